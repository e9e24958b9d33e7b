"""A running demo on the terminal: a progress bar, and its curves as they grow."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from kb.show.pictures import pen_of, plot

HEIGHT = 8


class LiveCurves:
    """Listens to a demo's points; shows nothing where the console is no terminal.

    Args:
        title: What is run.
        measured: What the points are.
        zh: The Chinese of these and of the names of the series, where that is wanted.
    """

    def __init__(self, console: Console, title: str, measured: str = "", zh: Mapping[str, str] | None = None) -> None:
        self.console, self.measured, self.zh, self.done = console, measured, zh or {}, 0.0
        self.series: dict[str, tuple[list[float], list[float]]] = {}
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
        )
        self.progress = Progress(*columns, TimeElapsedColumn(), console=console, expand=True)
        self.task = self.progress.add_task(title, total=1.0)
        self.live = Live(self.progress, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> LiveCurves:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def __call__(self, done: float, points: Mapping[str, float]) -> None:
        """Take one point: the share that is done, and each series' value."""
        self.done = done
        for name, value in points.items():
            xs, ys = self.series.setdefault(name, ([], []))
            if value == value and abs(value) != float("inf"):
                xs.append(done)
                ys.append(value)
        if self.console.is_terminal:
            self.progress.update(self.task, completed=done)
            self.live.update(Group(self.progress, self.curves()))

    def curves(self) -> Group:
        """The curves so far between their extremes, with a legend of the last values; empty before the second point."""
        drawn = {self._said(name): series for name, series in self.series.items() if len(series[0]) > 1}
        pen = pen_of(self.console, self.console.options)
        axes = {"y": self._said(self.measured), "x": "运行进度" if self.zh else "share of the run"}
        return Group(*(plot(drawn, pen, axes, joined=True, rows=HEIGHT) if drawn else ()))

    def _said(self, text: str) -> str:
        return self.zh.get(text, text)
