"""What a demo measured, as a table: claim, measured, threshold, control, verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from kb.lab.runner import Demo, Report, Unfinished, Verdict
from kb.language.text import Bilingual, Language
from kb.show.card import Flow
from kb.show.colours import NAME
from kb.show.plain import one_line, printable

VERDICTS = {
    True: (Bilingual("holds", "成立"), "bold green"),
    False: (Bilingual("FAILS", "不成立"), "bold red"),
    None: (Bilingual("not judged", "未判定"), "dim"),
}
UNFINISHED = {
    "skipped": (Bilingual("skipped", "跳过"), "yellow"),
    "error": (Bilingual("error", "出错"), "bold red"),
}
COLUMNS = (
    Bilingual("claim", "论断"),
    Bilingual("measured", "测得"),
    Bilingual("threshold", "阈值"),
    Bilingual("control", "对照"),
    Bilingual("verdict", "结论"),
)


def render_report(report: Report, language: Language) -> Iterable[RenderableType]:
    """The claims of one run, and the small figures that fit a terminal."""
    run = Bilingual(
        f"{report.demo.id}, {report.device}, seed {report.seed}, {report.cpu_seconds:.1f} s CPU",
        f"{report.demo.id}，{report.device}，随机种子 {report.seed}，CPU {report.cpu_seconds:.1f} 秒",
    )
    yield Text.assemble((printable(report.demo.title.of(language)), "bold"), (f"  {run.of(language)}", "dim"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(COLUMNS):
        table.add_column(column.of(language), justify="right" if i in (1, 3) else "left", no_wrap=i > 0)
    for verdict in report.verdicts:
        table.add_row(*_cells(verdict, language))
    yield table
    for title, figure in report.figures.items():
        if figure["kind"] in ("bars", "table"):
            yield _small(title, figure, language)


def _cells(verdict: Verdict, language: Language) -> Sequence[RenderableType]:
    said, style = VERDICTS[verdict.holds]
    claim = verdict.claim
    return (
        Flow(Text(printable(claim.says.of(language)))),
        _number(verdict.value),
        f"{'≤' if claim.op == '<=' else '≥'} {claim.threshold:g}",
        _number(verdict.control),
        Text(said.of(language), style=style),
    )


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4g}"


def _small(title: str, figure: dict[str, Any], language: Language) -> Table:
    heading = figure.get("zh", title) if language == "zh" else title
    is_bars = figure["kind"] == "bars"
    title_text = Text(printable(heading), style="italic")
    shape = None if is_bars else box.SIMPLE_HEAD
    table = Table(title=title_text, box=shape, show_header=not is_bars, pad_edge=False, title_justify="left")
    rows = list(figure["values"].items()) if is_bars else figure["rows"]
    for name in ("", "") if is_bars else figure["columns"]:
        table.add_column(printable(str(name)))
    for row in rows:
        table.add_row(*(Text(cell if isinstance(cell, str) else f"{float(cell):.4g}") for cell in row))
    return table


def render_demos(demos: Iterable[Demo], language: Language) -> Table:
    """Every demo: its id, title, number of claims and CPU seconds."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(
        ("id", "演示" if language == "zh" else "demo", "论断" if language == "zh" else "claims", "CPU s")
    ):
        table.add_column(column, justify="right" if i > 1 else "left", no_wrap=i != 1, style=NAME if i == 0 else "")
    for demo in demos:
        table.add_row(
            demo.id,
            Flow(Text(printable(demo.title.of(language)))),
            str(len(demo.claims)),
            f"{demo.cpu_seconds:g}",
        )
    return table


def result_said(result: Report | Unfinished) -> tuple[Bilingual, str]:
    """What one demo of many came to, in a word and its style."""
    return UNFINISHED[result.why] if isinstance(result, Unfinished) else VERDICTS[result.outcome]


def render_summary(results: Sequence[Report | Unfinished], language: Language) -> Table:
    """`kb demo --all`: one line a demo, the failures named."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in (
        "demo",
        "结论" if language == "zh" else "verdict",
        "CPU s",
        "论断" if language == "zh" else "claims",
    ):
        table.add_column(name, no_wrap=name != "claims", justify="right" if name == "CPU s" else "left")
    for result in results:
        said, style = result_said(result)
        table.add_row(result.demo.id, Text(said.of(language), style=style), *_details(result))
    return table


def _details(result: Report | Unfinished) -> tuple[str, str | Text]:
    """CPU seconds, and the claims that failed or how many hold; for a demo without a report, why it has none."""
    if isinstance(result, Unfinished):
        return "", Text(one_line(result.detail))
    judged = [verdict for verdict in result.verdicts if verdict.holds is not None]
    failed = [verdict.claim.name for verdict in judged if not verdict.holds]
    return f"{result.cpu_seconds:.1f}", ", ".join(failed) if failed else f"{len(judged)}/{len(judged)}"
