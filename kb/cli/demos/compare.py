"""`kb demo A --compare B`: two demos of a family, in one picture."""

from __future__ import annotations

from pathlib import Path

from kb.cli.demos.run import Run, check_plot, watched
from kb.cli.session import Session
from kb.cli.target import is_stdout, write_to
from kb.errors import KbError
from kb.lab.runner import Demo
from kb.language.text import Bilingual


def compare(session: Session, one: Demo, other: Demo, run: Run, plot: Path | None, *, as_json: bool) -> int:
    """Run two demos, and show their claims and the figure that both draw.

    Raises:
        KbError: they draw none in common.
    """
    _check_family(one, other)
    check_plot(session, plot, as_json=as_json)
    reports = [watched(session, demo, run)[0] for demo in (one, other)]
    from kb.lab.compare import common_figure

    figure, zh = common_figure(*reports), one.zh | other.zh if session.language == "zh" else {}
    if plot:
        from kb.lab.figures import draw

        title = Bilingual(f"{one.id}, {other.id}", f"{one.id}、{other.id}")
        write_to(plot, draw(figure, title, zh or None))
    if as_json:
        session.print_json([report.to_json() for report in reports])
    else:
        from kb.show.report import render_claims, render_figures

        shown = session.notes if plot and is_stdout(plot) else session.console
        for report in reports:
            for part in render_claims(report, session.language):
                shown.print(part)
        for part in render_figures(figure, zh):
            shown.print(part)
        if plot:
            session.note(f"figure in {plot}", f"图已写入 {plot}")
    return 1 if 1 in {report.exit_code for report in reports} else max(report.exit_code for report in reports)


def _check_family(one: Demo, other: Demo) -> None:
    """See that two demos draw a figure in common, before they are run."""
    from kb.lab.compare import families

    if one.id == other.id:
        raise KbError(
            Bilingual(f"both names stand for one demo, {one.id}", f"两个名称指同一个演示 {one.id}"),
            Bilingual(f"kb demo {one.id} shows it", f"kb demo {one.id} 即可运行"),
        )
    if not one.common or one.common != other.common:
        alike = families()
        known = [alike[demo.common] for demo in (one, other) if demo.common] or list(alike.values())
        raise KbError(
            Bilingual(f"{one.id} and {other.id} draw no figure in common", f"{one.id} 与 {other.id} 没有共同的图"),
            Bilingual(
                "these do: " + "; ".join(", ".join(ids) for ids in known),
                "有共同的图的是：" + "；".join("、".join(ids) for ids in known),
            ),
        )
