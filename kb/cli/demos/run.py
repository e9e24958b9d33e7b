"""How a demo is run from the command line, and one run of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from kb.cli.session import Session
from kb.cli.target import check_target, is_stdout, write_to
from kb.devices import choose_device
from kb.errors import KbError
from kb.lab.runner import QUICK, Constant, Demo, Report, run_demo
from kb.language.text import Bilingual

if TYPE_CHECKING:
    from kb.show.live import LiveCurves


@dataclass(frozen=True, slots=True)
class Run:
    """How to run: on what, from which seed, for how long, with which constants."""

    device: str
    seed: int
    steps: int | None
    quick: bool
    seeds: int = 1
    constants: Mapping[str, str] = field(default_factory=dict)

    def steps_of(self, demo: Demo) -> int | None:
        """The budget for a demo; None for its default."""
        return max(1, demo.steps // QUICK) if self.quick else self.steps

    def all_seeds(self) -> range:
        """The seeds of `--all`."""
        return range(self.seed, self.seed + self.seeds)


def run_one(
    session: Session, demo: Demo, run: Run, plot: Path | None, shows: Bilingual | None, *, as_json: bool
) -> int:
    """Run one demo and show what it measured.

    Args:
        shows: What to look at, of the concept that was asked for.
    """
    check_plot(session, plot, as_json=as_json)
    report, live = watched(session, demo, run)
    if plot:
        from kb.lab.figures import draw

        write_to(plot, draw(report.figures, demo.title, demo.zh if session.language == "zh" else None))
    if as_json:
        session.print_json(report.to_json())
    else:
        _show_report(session, report, live, plot, shows)
    return report.exit_code


def check_plot(session: Session, plot: Path | None, *, as_json: bool) -> None:
    """See that a picture can be written where it is to go, before what it shows is run."""
    if plot:
        check_target(plot)
        if as_json and is_stdout(plot):
            taken = session.say("--json has standard output already", "标准输出已用于 --json")
            raise typer.BadParameter(taken, param_hint="--plot")


def watched(session: Session, demo: Demo, run: Run) -> tuple[Report, LiveCurves]:
    """Run a demo while its curves grow on the terminal."""
    if demo.missing:
        raise_skip(session, demo)
    from kb.show.live import LiveCurves

    constants, device = constants_of(demo, run.constants), choose_device(run.device)
    zh = demo.zh if session.language == "zh" else None
    with LiveCurves(session.notes, demo.title.of(session.language), demo.curves, zh) as live:
        try:
            steps = run.steps_of(demo)
            report = run_demo(demo, device=device, seed=run.seed, steps=steps, listen=live, constants=constants)
        except KeyboardInterrupt:
            live.live.stop()
            _stopped(session, demo, live)
            raise
        except RuntimeError as error:
            if "out of memory" not in str(error):
                raise
            raise KbError(
                Bilingual(f"{demo.id} ran out of memory on {device}", f"{demo.id} 在 {device} 上内存不足"),
                Bilingual(*_smaller(demo)),
            ) from error
    return report, live


def _smaller(demo: Demo) -> tuple[str, str]:
    """What makes a run take less memory."""
    if demo.scale:
        return (
            "a smaller --scale takes less, --device cpu another memory",
            "减小 --scale 可降低占用，或改用 --device cpu",
        )
    return (
        "--set with a smaller batch or width takes less, --device cpu another memory",
        "用 --set 减小批量或宽度可降低占用，或改用 --device cpu",
    )


def constants_of(demo: Demo, asked: Mapping[str, str]) -> dict[str, Constant]:
    """The values of `--set`, each of the kind that the constant has.

    Raises:
        KbError: there is no such constant, or the text is no such value.
    """
    found: dict[str, Constant] = {}
    for name, text in asked.items():
        if name not in demo.constants:
            known = ", ".join(f"{key}={value}" for key, value in demo.constants.items())
            raise KbError(
                Bilingual(f"{demo.id} has no constant '{name}'", f"{demo.id} 没有常量“{name}”"),
                Bilingual(f"there are {known}", f"可用的有 {known}") if known else None,
            )
        kind = type(demo.constants[name])
        try:
            found[name] = {"True": True, "False": False}[text] if kind is bool else kind(text)
        except (KeyError, ValueError):
            wanted = {int: "a whole number", float: "a number", bool: "True or False"}.get(kind, "text")
            wanted_zh = {int: "整数", float: "数", bool: " True 或 False"}.get(kind, "文本")
            said = Bilingual(f"{name} is {wanted}, not '{text}'", f"{name} 应为{wanted_zh}，而不是“{text}”")
            raise KbError(
                said, Bilingual(f"by default {demo.constants[name]}", f"默认 {demo.constants[name]}")
            ) from None
    return found


def _stopped(session: Session, demo: Demo, live: LiveCurves) -> None:
    """What an interrupted run leaves on the screen: its curves, and how far it came."""
    if session.notes.is_terminal:
        session.notes.print(live.curves())
    session.note(f"{demo.id} stopped at {live.done:.0%}", f"{demo.id} 已在 {live.done:.0%} 处停止")


def _show_report(
    session: Session, report: Report, live: LiveCurves, plot: Path | None, shows: Bilingual | None
) -> None:
    """Show what a run measured: on standard error where the picture has standard output to itself."""
    from kb.show.report import render_report

    shown = session.notes if plot and is_stdout(plot) else session.console
    if shown.is_terminal and not report.figures:
        shown.print(live.curves())
    for part in render_report(report, session.language, shows):
        shown.print(part)
    if plot:
        session.note(f"figures in {plot}", f"图已写入 {plot}")
    elif report.figures:
        session.note("--plot FILE.png draws its figures", "--plot FILE.png 可画出图像")


def raise_skip(session: Session, demo: Demo) -> NoReturn:
    """Say what an optional demo needs, and end with the exit code of a skip."""
    needed = "; ".join(demo.missing)
    session.note(f"{demo.id} is skipped; it needs: {needed}", f"{demo.id} 已跳过，需要先安装：{needed}")
    raise typer.Exit(3)
