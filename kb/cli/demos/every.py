"""`kb demo --all`: every demo, on one seed or several, in several processes; what is done when it is interrupted."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing, contextmanager
from multiprocessing import active_children, get_context, resource_tracker

from kb.cli.demos.run import Run
from kb.cli.session import Session
from kb.devices import choose_device
from kb.lab.runner import Demo, Report, Result, Unfinished, all_demos, run_demo


def run_all(session: Session, run: Run, jobs: int, *, as_json: bool) -> int:
    """Run every demo and show a row for each; those that were done, where Ctrl-C ends it early."""
    device = choose_device(run.device)
    demos = sorted(all_demos(), key=lambda demo: -demo.cpu_seconds)
    ready = [demo for demo in demos if not demo.missing]
    results: list[Result] = [Unfinished(demo, "skipped", "; ".join(demo.missing)) for demo in demos if demo.missing]
    interrupted = False
    try:
        with closing(_reports(ready, run, device, jobs)) as reports:
            for i, result in enumerate(reports):
                results.append(result)  # before it is told: what was told is shown, whenever Ctrl-C comes
                _tell(session, f"[{i + 1}/{len(ready) * run.seeds}]", result)
    except KeyboardInterrupt:
        interrupted = True
    if results or not interrupted:
        _show(session, results, as_json=as_json)
    return 130 if interrupted else _exit_code(results)


def _tell(session: Session, place: str, result: Result) -> None:
    from kb.show.report import result_said

    said, _ = result_said(result)
    seed = f" {result.seed}" if isinstance(result, Report) and result.seed else ""
    session.note(f"{place} {result.demo.id}{seed}: {said.en}", f"{place} {result.demo.id}{seed}: {said.zh}")


def _show(session: Session, results: list[Result], *, as_json: bool) -> None:
    results = sorted(results, key=lambda result: (result.demo.id, result.seed if isinstance(result, Report) else 0))
    if as_json:
        session.print_json([result.to_json() for result in results])
        return
    from kb.show.report import render_summary

    of_demo: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        of_demo[result.demo.id].append(result)
    session.console.print(render_summary(list(of_demo.values()), session.language))


def _exit_code(results: list[Result]) -> int:
    """1 where a claim fails or a demo raised; 3 where nothing was judged at all; a skip alone changes nothing."""
    codes = {result.exit_code for result in results}
    return 1 if 1 in codes else min(codes, default=3)


def _reports(demos: list[Demo], run: Run, device: str, jobs: int) -> Generator[Result, None, None]:
    """Results as they come, the longest demos begun first; figures are left out, they may be large."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            with _uninterrupted():
                begun = {
                    pool.submit(_run_alone, demo, device, seed, run.steps_of(demo)): demo
                    for demo in demos
                    for seed in run.all_seeds()
                }
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
