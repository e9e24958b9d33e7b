"""A running demo on the terminal: a progress bar, and its curves as they grow."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

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
        """The curves so far, with their legend; empty before the second point."""
        import plotille

        drawn = {name: series for name, series in self.series.items() if len(series[0]) > 1}
        if not drawn:
            return Group()
        figure = plotille.Figure()
        figure.width, figure.height = max(min(self.console.width - 16, 90), 20), 8
        figure.color_mode, figure.with_colors = "names", not self.console.no_color
        figure.set_x_limits(0, 1)
        figure.x_label, figure.y_label = "", ""
        figure.x_ticks_fkt = lambda low, high: f"{low:.0%}"
        figure.y_ticks_fkt = lambda low, high: f"{low:.3g}"
        for color, (xs, ys) in zip(COLORS * len(drawn), drawn.values(), strict=False):
            figure.plot(xs, ys, lc=color)
        legend = Text("   ").join(
            Text(f"━ {name} {ys[-1]:.4g}", style=color)
            for color, (name, (_, ys)) in zip(COLORS * len(drawn), drawn.items(), strict=False)
        )
        return Group(Text.from_ansi(figure.show(legend=False)), legend)
