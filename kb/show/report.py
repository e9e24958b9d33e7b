"""What a demo measured, as a table: claim, measured, threshold, control, verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from kb.lab.figures import Figure, translated
from kb.lab.measured import margins
from kb.lab.runner import Demo, Report, Result, Unfinished, Verdict
from kb.language.text import Bilingual, Language
from kb.show.card import Flow
from kb.show.colours import NAME
from kb.show.pictures import Picture
from kb.show.plain import one_line, printable, prose

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

HEADS = (
    Bilingual("demo", "演示"),
    Bilingual("verdict", "结论"),
    Bilingual("CPU s", "CPU 秒"),
    Bilingual("claims", "论断"),
    Bilingual("smallest margin", "最小余量"),
)
"""Of the table of all demos; the last where there are several seeds."""


def render_report(report: Report, language: Language, shows: Bilingual | None = None) -> Iterable[RenderableType]:
    """The claims of one run, and its figures in characters.

    Args:
        shows: What to look at.
    """
    yield from render_claims(report, language, shows)
    yield from render_figures(report.figures, report.demo.zh if language == "zh" else {})


def render_claims(report: Report, language: Language, shows: Bilingual | None = None) -> Iterable[RenderableType]:
    """The claims of one run: what was measured, and whether they hold.

    Args:
        shows: What to look at.
    """
    run = Bilingual(
        f"{report.demo.id}, {report.device}, seed {report.seed}, {report.cpu_seconds:.1f} s CPU",
        f"{report.demo.id}，{report.device}，随机种子 {report.seed}，CPU {report.cpu_seconds:.1f} 秒",
    )
    yield Flow(Text.assemble((printable(report.demo.title.of(language)), "bold"), (f"  {run.of(language)}", "dim")))
    if shows:
        yield Flow(Text(prose(shows.of(language)), style="italic"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(COLUMNS):
        table.add_column(column.of(language), justify="right" if i in (1, 3) else "left", no_wrap=i > 0)
    for verdict in report.verdicts:
        table.add_row(*_cells(verdict, language))
    yield table


def render_figures(figures: Mapping[str, Figure], zh: Mapping[str, str]) -> Iterable[RenderableType]:
    """Figures in characters.

    Args:
        zh: The Chinese of their labels; empty where they stay as they are.
    """
    for title, figure in translated(figures, zh).items():
        yield ""
        yield Picture(title, figure)


def _cells(verdict: Verdict, language: Language) -> Sequence[RenderableType]:
    said, style = VERDICTS[verdict.holds]
    claim = verdict.claim
    return (
        Flow(Text(printable(claim.says.of(language)))),
        _number(verdict.value),
        f"{'≤' if claim.op == '<=' else '≥'} {claim.threshold:g}",
        _control(verdict),
        Text(said.of(language), style=style),
    )


def _control(verdict: Verdict) -> str:
    """The control's value; beside its floor where it stays short of it, which fails the claim."""
    told, floor = _number(verdict.control), verdict.claim.floor
    short = floor is not None and verdict.control is not None and verdict.claim.falls_short(verdict.control)
    return f"{told} ({'>' if verdict.claim.op == '<=' else '<'} {floor:g})" if short else told


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4g}"


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


def result_said(result: Result) -> tuple[Bilingual, str]:
    """What one demo of many came to, in a word and its style."""
    return UNFINISHED[result.why] if isinstance(result, Unfinished) else VERDICTS[result.outcome]


def render_summary(results: Sequence[Sequence[Result]], language: Language) -> Table:
    """`kb demo --all`: one line a demo; the failures named, and the smallest margins where there are several seeds."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    several = any(len(of_demo) > 1 for of_demo in results)
    heads = [
        Bilingual("demo", "演示"),
        Bilingual("verdict", "结论"),
        Bilingual("CPU s", "CPU 秒"),
        Bilingual("claims", "论断"),
    ]
    heads += [Bilingual("smallest margin", "最小余量")] * several
    for i, head in enumerate(heads):
        table.add_column(head.of(language), no_wrap=i < 3, justify="right" if i == 2 else "left")
    for of_demo in sorted(results, key=_tightness) if several else results:
        first = next((result for result in of_demo if result.exit_code), of_demo[0])
        said, style = result_said(first)
        cells = [*_details(of_demo), *([_tightest(of_demo)] if several else [])]
        table.add_row(first.demo.id, Text(said.of(language), style=style), *cells)
    return table


def _details(of_demo: Sequence[Result]) -> tuple[str, str | Text]:
    """CPU seconds of a run, and the claims that failed or how many hold; without a report, why there is none."""
    reports = [result for result in of_demo if isinstance(result, Report)]
    if lost := next((result for result in of_demo if isinstance(result, Unfinished)), None):
        return "", Text(one_line(lost.detail))
    judged = [verdict for report in reports for verdict in report.verdicts if verdict.holds is not None]
    failed = list(dict.fromkeys(verdict.claim.name for verdict in judged if not verdict.holds))
    seconds = sum(report.cpu_seconds for report in reports) / len(reports)
    return f"{seconds:.1f}", ", ".join(failed) if failed else f"{len(judged)}/{sum(len(r.verdicts) for r in reports)}"


def _margins(of_demo: Sequence[Result]) -> list[tuple[float, str]]:
    """Of each claim how far the worst of its values and controls lies from the threshold, as a share of the way."""
    return sorted(
        (margin.share, margin.claim) for margin in margins([one for one in of_demo if isinstance(one, Report)])
    )


def _tightness(of_demo: Sequence[Result]) -> float:
    return next((share for share, _ in _margins(of_demo)), -1.0)


def _tightest(of_demo: Sequence[Result]) -> str:
    return next((f"{share:.0%} {claim}" for share, claim in _margins(of_demo)), "")
