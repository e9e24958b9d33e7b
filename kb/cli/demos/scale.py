"""`kb demo NAME --scale N`: the same experiment so much larger that a GPU is worthwhile, and how fast it goes."""

from __future__ import annotations

from dataclasses import replace

from kb.cli.demos.run import Run, watched
from kb.cli.session import Session
from kb.errors import KbError
from kb.lab.runner import Demo, Report, all_demos
from kb.language.text import Bilingual

BESIDE = 20
"""The CPU, for comparison, does one step in so many."""


def run_scaled(session: Session, demo: Demo, run: Run, times: int, *, as_json: bool) -> int:
    """Run a demo with its widths and batches several times as large, and tell steps a second, beside the CPU's.

    Raises:
        KbError: the demo has no larger form.
    """
    if not demo.scale:
        known = [each.id for each in all_demos() if each.scale]
        raise KbError(
            Bilingual(f"{demo.id} has no larger form", f"{demo.id} 没有放大版"),
            Bilingual(f"these have one: {', '.join(known)}", f"有放大版的是：{'、'.join(known)}"),
        )
    larger = replace(run, constants={name: str(times * int(demo.constants[name])) for name in demo.scale})
    report, _ = watched(session, demo, larger)
    reports = [report]
    if report.device != "cpu":
        beside = replace(larger, device="cpu", quick=False, steps=max(4, report.steps // BESIDE))
        reports.append(watched(session, demo, beside)[0])
    if as_json:
        session.print_json([each.to_json() for each in reports])
        return 3
    from kb.show.report import render_claims

    for part in render_claims(report, session.language):
        session.console.print(part)
    session.console.print(_told(session, larger, reports), markup=False)
    return 3


def _told(session: Session, run: Run, reports: list[Report]) -> str:
    """With which sizes, and how fast on each device."""
    sizes = ", ".join(f"{name} = {value}" for name, value in run.constants.items())
    paces = [
        session.say(
            f"{_named(report).en} {_number(pace)} steps a second", f"{_named(report).zh}每秒 {_number(pace)} 步"
        )
        for report in reports
        if (pace := report.steps_per_second)
    ]
    return "; ".join([sizes, *paces]) if session.language == "en" else "；".join([sizes, *paces])


def _named(report: Report) -> Bilingual:
    """The device of a run; demos take one thread of the CPU."""
    if report.device == "cpu":
        return Bilingual("cpu (one thread)", "cpu（单线程）")
    return Bilingual(report.device, f"{report.device} ")


def _number(pace: float) -> str:
    return f"{pace:,.0f}" if pace >= 100 else f"{pace:.3g}"
