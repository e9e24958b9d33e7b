"""`kb demo`: run the experiment behind a concept, or all of them."""

from __future__ import annotations

import ast
import os
import shlex
import signal
import sys
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context, resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from kb.cli.names import offer_demos
from kb.cli.options import DEVICE, FILE, JSON, both
from kb.cli.session import Session
from kb.cli.target import check_target, is_stdout, is_stream, write_to
from kb.devices import choose_device
from kb.errors import KbError
from kb.lab.runner import QUICK, Demo, Report, Unfinished, all_demos, demo_ids, demo_named, run_demo
from kb.language.surface import fold
from kb.language.text import Bilingual

if TYPE_CHECKING:
    from kb.show.live import LiveCurves


@dataclass(frozen=True, slots=True)
class Run:
    """How to run: on what, from which seed, for how long."""

    device: str
    seed: int
    steps: int | None
    quick: bool

    def steps_of(self, demo: Demo) -> int | None:
        """The budget for a demo; None for its default."""
        return max(1, demo.steps // QUICK) if self.quick else self.steps


def command(
    session: Session,
    name: Annotated[
        list[str] | None,
        typer.Argument(
            metavar=both("NAME…", "名称…"),
            help=both("A concept or a demo id.", "概念名或演示 id。"),
            autocompletion=offer_demos,
        ),
    ] = None,
    device: DEVICE = "",
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, max=2**31 - 1, help=both("Of data, noise and weights.", "数据、噪声与权重的随机种子。")
        ),
    ] = 0,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            help=both("Effort; the default is what the claims need.", "步数；默认值即论断所需。"),
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help=both("A tenth of the steps; judges only identities.", "只跑十分之一步数，仅判定恒等式。"),
        ),
    ] = False,
    as_json: JSON = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar=FILE,
            help=both("Draw the figures as PNG.", "把图画成 PNG。"),
            show_default=False,
        ),
    ] = None,
    code: Annotated[bool, typer.Option("--code", help=both("Show the code instead.", "只显示代码。"))] = False,
    eject: Annotated[
        Path | None,
        typer.Option(
            "--eject",
            metavar=FILE,
            help=both("Write the code to a file of yours.", "把代码写到文件。"),
            show_default=False,
        ),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help=both("List the demos.", "列出演示。"))] = False,
    everything: Annotated[bool, typer.Option("--all", help=both("Run every demo.", "运行全部演示。"))] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help=both("Processes for --all.", "--all 的进程数。"), show_default=False),
    ] = None,
) -> int:
    run = Run(device or session.settings.device, seed, steps, quick)
    if listing:
        return _list(session, as_json)
    if everything:
        return _run_all(session, run, jobs or os.cpu_count() or 1, as_json)
    if not name:
        which = session.say(
            "a concept or a demo id; kb demo --list shows them", "请给出概念名或演示 id；kb demo --list 可列出"
        )
        raise typer.BadParameter(which, param_hint="NAME")
    demo = find_demo(session, " ".join(name))
    if code or eject:
        return _show_code(session, demo, eject)
    return _run_one(session, demo, run, plot, as_json)


def find_demo(session: Session, name: str) -> Demo:
    """The demo of that id, or of the concept of that name.

    Raises:
        KbError: neither is known, or the concept has no demo.
    """
    known = demo_ids()
    for id in known:
        if fold(id) == fold(name):
            return demo_named(id)
    match = session.base.find(name)
    shown = session.base.row(match.id).demo
    if shown is None or shown not in known:
        raise KbError(
            Bilingual(f"{match.name.en} has no demo", f"{match.name.zh}没有演示"),
            Bilingual("kb demo --list shows those that there are", "kb demo --list 列出现有演示"),
        )
    return demo_named(shown)


def _list(session: Session, as_json: bool) -> int:
    demos = all_demos()
    if as_json:
        session.print_json(
            [
                {
                    "id": d.id,
                    "title": d.title._asdict(),
                    "claims": [c.name for c in d.claims],
                    "cpu_seconds": d.cpu_seconds,
                }
                for d in demos
            ]
        )
        return 0
    from kb.show.report import render_demos

    session.print(render_demos(demos, session.language))
    return 0


def _show_code(session: Session, demo: Demo, target: Path | None) -> int:
    if target is not None:
        return _eject(session, demo, target)
    source = demo.path.read_text(encoding="utf-8")
    if not session.console.is_terminal:
        print(source, end="")
        return 0
    from rich.syntax import Syntax

    session.print(Syntax(source, "python", background_color="default"))
    return 0


def _eject(session: Session, demo: Demo, target: Path) -> int:
    """Write a demo and its exam to one file, or to a stream."""
    from kb.lab.eject import one_file

    check_target(target)
    source = one_file(demo)
    if is_stream(target):
        write_to(target, source.encode())
        return 0
    if target.exists():
        raise KbError(
            Bilingual(f"{target} exists", f"{target} 已存在"),
            Bilingual("name another file", "请换一个文件名"),
        )
    write_to(target, source.encode())
    name, needed = shlex.quote(str(target)), _packages(source)
    session.note(
        f"python {name} runs it; it needs {', '.join(needed)}", f"python {name} 即可运行，需要 {'、'.join(needed)}"
    )
    return 0


def _packages(source: str) -> list[str]:
    """What is to be installed for the imports of a file, torch first."""
    roots: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            roots.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
    named = {"scikit-learn" if root == "sklearn" else root for root in roots - sys.stdlib_module_names}
    return sorted(named, key=lambda name: (name != "torch", name))


def _run_one(session: Session, demo: Demo, run: Run, plot: Path | None, as_json: bool) -> int:
    if demo.missing:
        raise_skip(session, demo)
    from kb.show.live import LiveCurves

    if plot:
        check_target(plot)
        if as_json and is_stdout(plot):
            taken = session.say("--json has standard output already", "标准输出已用于 --json")
            raise typer.BadParameter(taken, param_hint="--plot")
    device = choose_device(run.device)
    with LiveCurves(session.notes, demo.title.of(session.language)) as live:
        report = run_demo(demo, device=device, seed=run.seed, steps=run.steps_of(demo), listen=live)
    if plot:
        from kb.lab.figures import draw

        write_to(plot, draw(report.figures, demo.title.en))
    if as_json:
        session.print_json(report.to_json())
    else:
        _show_report(session, report, live, plot)
    return report.exit_code


def _show_report(session: Session, report: Report, live: LiveCurves, plot: Path | None) -> None:
    """Show what a run measured: on standard error where the picture has standard output to itself."""
    from kb.show.report import render_report

    shown = session.notes if plot and is_stdout(plot) else session.console
    if shown.is_terminal:
        shown.print(live.curves())
    for part in render_report(report, session.language):
        shown.print(part)
    if plot:
        session.note(f"figures in {plot}", f"图已写入 {plot}")
    elif any(figure["kind"] not in ("bars", "table") for figure in report.figures.values()):
        session.note("--plot FILE.png draws its figures", "--plot FILE.png 可画出图像")


def raise_skip(session: Session, demo: Demo) -> NoReturn:
    """Say what an optional demo needs, and end with the exit code of a skip."""
    needed = "; ".join(demo.missing)
    session.note(f"{demo.id} is skipped; it needs: {needed}", f"{demo.id} 已跳过，需要先安装：{needed}")
    raise typer.Exit(3)


def _run_all(session: Session, run: Run, jobs: int, as_json: bool) -> int:
    """Run every demo and show a row for each; those that were done, where Ctrl-C ends it early."""
    device = choose_device(run.device)
    demos = sorted(all_demos(), key=lambda demo: -demo.cpu_seconds)
    ready = [demo for demo in demos if not demo.missing]
    results: list[Report | Unfinished] = [
        Unfinished(demo, "skipped", "; ".join(demo.missing)) for demo in demos if demo.missing
    ]
    interrupted = False
    try:
        with closing(_reports(ready, run, device, jobs)) as reports:
            for i, result in enumerate(reports):
                results.append(result)  # before it is told: what was told is shown, whenever Ctrl-C comes
                _tell(session, f"[{i + 1}/{len(ready)}]", result)
    except KeyboardInterrupt:
        interrupted = True
    if results or not interrupted:
        _show_results(session, sorted(results, key=lambda result: result.demo.id), as_json)
    return 130 if interrupted else _exit_code(results)


def _tell(session: Session, place: str, result: Report | Unfinished) -> None:
    from kb.show.report import result_said

    said, _ = result_said(result)
    session.note(f"{place} {result.demo.id}: {said.en}", f"{place} {result.demo.id}: {said.zh}")


def _show_results(session: Session, results: list[Report | Unfinished], as_json: bool) -> None:
    if as_json:
        session.print_json([result.to_json() for result in results])
    else:
        from kb.show.report import render_summary

        session.console.print(render_summary(results, session.language))


def _exit_code(results: list[Report | Unfinished]) -> int:
    """1 where a claim fails or a demo raised; 3 where nothing was judged at all; a skip alone changes nothing."""
    codes = {result.exit_code for result in results}
    return 1 if 1 in codes else min(codes, default=3)


def _reports(demos: list[Demo], run: Run, device: str, jobs: int) -> Generator[Report | Unfinished, None, None]:
    """Results as they come, the longest demos begun first; figures are left out, they may be large."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            with _uninterrupted():
                begun = {pool.submit(_run_alone, demo, device, run.seed, run.steps_of(demo)): demo for demo in demos}
            for done in as_completed(begun):
                yield _broken(begun[done], error) if (error := done.exception()) else done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in active_children():  # they would be waited for
                worker.terminate()
            raise


def _broken(demo: Demo, error: BaseException) -> Unfinished:
    return Unfinished(demo, "error", f"{type(error).__name__}: {error}")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Start processes that Ctrl-C passes by: it is this one that stops them, without a traceback from each."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which lets interrupts through when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_alone(demo: Demo, device: str, seed: int, steps: int | None) -> Report:
    from dataclasses import replace

    return replace(run_demo(demo, device=device, seed=seed, steps=steps), figures={})
