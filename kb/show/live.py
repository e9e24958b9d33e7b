"""A running demo on the terminal: a progress bar, and its curves as they grow."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

HEIGHT = 8
COLORS = ("cyan", "yellow", "magenta", "green", "red", "blue")


class LiveCurves:
    """Listens to a demo's points; shows nothing where the console is no terminal."""

    def __init__(self, console: Console, title: str) -> None:
        self.console = console
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
        drawn = {name: series for name, series in self.series.items() if len(series[0]) > 1}
        if not drawn:
            return Group()
        low = min(min(ys) for _, ys in drawn.values())
        high = max(max(ys) for _, ys in drawn.values())
        colored = list(zip(COLORS * len(drawn), drawn.items(), strict=False))
        canvas = self._canvas(low, high if high > low else low + 1)
        for color, (_, (xs, ys)) in colored:
            for start, end in pairwise(zip(xs, ys, strict=True)):
                canvas.line(*start, *end, color=None if self.console.no_color else color)
        lines = canvas.plot().splitlines()
        labels = {0: f"{high:.3g}", len(lines) - 1: f"{low:.3g}"}
        width = max(map(len, labels.values()))
        plot = "\n".join(f"{labels.get(i, ''):>{width}} │{line}" for i, line in enumerate(lines))
        legend = Text("   ").join(Text(f"━ {name} {ys[-1]:.4g}", style=color) for color, (name, (_, ys)) in colored)
        return Group(Text.from_ansi(plot), Text(" " * (width + 2)).append_text(legend))

    def _canvas(self, low: float, high: float) -> Any:
        import plotille

        return plotille.Canvas(
            width=max(min(self.console.width - 14, 90), 20),
            height=HEIGHT,
            xmin=0,
            xmax=1,
            ymin=low,
            ymax=high,
            mode="names",
        )
