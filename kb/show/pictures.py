"""Figures in characters: curves and points in braille, bars, maps with their values, small pictures in half blocks.

A figure is what a demo returns, a dict with a `kind` (`kb.lab.figures` lists them). It fits the width it is given;
colour tells series and shades apart, and where there is none, letters and ░▒▓█ do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from kb.show.plain import one_line, printable

Figure = Mapping[str, Any]

WIDEST = 100
ROWS = 12
"""Lines of a plot."""
COLORS = ("cyan", "yellow", "magenta", "green", "red", "blue")
SHADES = " ░▒▓█"
PLAIN_SHADES = " .:*#"
GAP = 3
"""Columns between pictures."""
MAP_CELLS = 16
"""Columns of a map whose cells show their values."""
SMALL = 10
"""Pixels of a picture up to which it is shown twice as large."""


class Picture:
    """One figure under its title."""

    def __init__(self, title: str, figure: Figure) -> None:
        self.title, self.figure = title, figure

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(printable(self.title), style="italic")
        yield from _KINDS[self.figure["kind"]](self.figure, pen_of(console, options))


class Pen(NamedTuple):
    """What a picture is drawn with: how wide, in colours or not, in braille or not."""

    width: int
    colored: bool
    ascii_only: bool

    def label(self, text: Any) -> str:
        """A label, safe and on one line."""
        return one_line(str(text))


def pen_of(console: Console, options: ConsoleOptions) -> Pen:
    """The pen for a place on a console."""
    colored = console.color_system is not None and not console.no_color
    return Pen(min(options.max_width, WIDEST), colored, options.ascii_only)


def number(value: float) -> str:
    """A value beside an axis or in a cell: three digits."""
    return f"{value:.3g}"


def _curves(figure: Figure, pen: Pen) -> Iterator[Any]:
    yield from plot(figure["series"], pen, figure, joined=True)


def _points(figure: Figure, pen: Pen) -> Iterator[Any]:
    yield from plot(figure["series"], pen, figure, joined=False)


def plot(series: Mapping[str, Any], pen: Pen, figure: Figure, *, joined: bool, rows: int = ROWS) -> Iterator[Text]:
    """Curves or points between their extremes, with axes and a legend.

    Args:
        series: Of each name its xs and ys.
        figure: May name the axes, `x` and `y`, ask for a logarithm, `log: "xy"`, for equal axes, and hold `edges`,
            pairs of points that are joined by a thin line.
    """
    log = figure.get("log", "")
    held = {name: _finite(xs, ys, log) for name, (xs, ys) in series.items()}
    held = {name: points for name, points in held.items() if points}
    every = [point for points in held.values() for point in points]
    if not every:
        return
    (left, right), (low, high) = (_range([point[i] for point in every]) for i in (0, 1))
    ends = number(_back(high, "y", log)), number(_back(low, "y", log))
    margin = max(map(cell_len, ends))
    columns = pen.width - margin - 2
    if figure.get("equal"):
        columns, rows = _equal(right - left, high - low, columns)
    canvas = _canvas(columns, rows, (left, right, low, high))
    for start, end in figure.get("edges", ()):
        canvas.line(*map(float, (*start, *end)), color=None)
    for text, (x, y) in figure.get("texts", {}).items():
        if left < x < right and low < y < high:
            canvas.text(float(x), float(y), pen.label(text))
    for color, letter, points in zip(COLORS * len(held), _letters(held, pen), held.values(), strict=False):
        _draw(canvas, points, (color if pen.colored else None, letter), joined=joined and len(points) > 1)
    if figure.get("y"):
        yield Text(" " * (margin + 1) + pen.label(figure["y"]), style="dim")
    for i, line in enumerate(_plotted(canvas, pen)):
        end = ends[0] if i == 0 else ends[1] if i == rows - 1 else ""
        yield Text.assemble((f"{end:>{margin}} ", "dim"), ("|" if pen.ascii_only else "│", "dim"), line)
    yield _below(
        number(_back(left, "x", log)), pen.label(figure.get("x", "")), number(_back(right, "x", log)), margin, columns
    )
    yield from _legend(
        {name: number(_back(points[-1][1], "y", log)) if joined else "" for name, points in held.items()},
        pen,
        margin + 2,
    )


def _finite(xs: Any, ys: Any, log: str) -> list[tuple[float, float]]:
    """The points that can be drawn, in the units of the axes."""
    pairs = [(_scaled(x, "x", log), _scaled(y, "y", log)) for x, y in zip(values(xs), values(ys), strict=True)]
    return [pair for pair in pairs if all(map(math.isfinite, pair))]


def _scaled(value: float, axis: str, log: str) -> float:
    if axis not in log:
        return float(value)
    return math.log10(value) if value > 0 else math.nan


def _back(value: float, axis: str, log: str) -> float:
    return float(10**value) if axis in log else value


def _range(numbers: Sequence[float]) -> tuple[float, float]:
    low, high = min(numbers), max(numbers)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _equal(wide: float, high: float, columns: int) -> tuple[int, int]:
    """Columns and rows in which a unit is as long in both directions: a character is twice as high as wide."""
    rows = round(columns * high / wide / 2)
    if rows > 2 * ROWS:
        return max(round(4 * ROWS * wide / high), 8), 2 * ROWS
    return columns, max(rows, 4)


def _canvas(columns: int, rows: int, ends: tuple[float, float, float, float]) -> Any:
    import plotille

    left, right, low, high = ends  # plotille rounds to the nearest of 2 x 4 dots a character: the last is to be one
    right, high = left + (right - left) * columns / (columns - 0.5), low + (high - low) * rows / (rows - 0.25)
    return plotille.Canvas(width=columns, height=rows, xmin=left, xmax=right, ymin=low, ymax=high, mode="names")


def _draw(canvas: Any, points: Sequence[tuple[float, float]], look: tuple[str | None, str], *, joined: bool) -> None:
    """A curve, with its letter at its end where it has one; or points, which are their letter then."""
    color, letter = look
    if joined:
        for start, end in pairwise(points):
            canvas.line(*start, *end, color=color)
    for point in points[-1:] if joined else points:
        if letter or not joined:
            canvas.point(*point, color=color, marker=letter or None)


def _letters(held: Mapping[str, Any], pen: Pen) -> Sequence[str]:
    """What tells series apart where no colour does."""
    return (
        "".join(chr(ord("a") + i % 26) for i in range(len(held)))
        if len(held) > 1 and not pen.colored
        else [""] * len(held)
    )


def _plotted(canvas: Any, pen: Pen) -> Iterator[Text]:
    for line in canvas.plot().splitlines():
        text = Text.from_ansi(line)
        if pen.ascii_only:
            text = Text("".join("*" if "\u2800" < c <= "\u28ff" else " " if c == "\u2800" else c for c in text.plain))
        yield text


def _below(left: str, name: str, right: str, margin: int, columns: int) -> Text:
    """The ends of the axis below a plot, and its name between them."""
    room = columns - len(left) - len(right)
    middle = f" {name} " if name and cell_len(name) + 2 <= room else ""
    before = (room - cell_len(middle)) // 2
    return Text(
        " " * (margin + 2) + left + " " * before + middle + " " * (room - before - cell_len(middle)) + right,
        style="dim",
    )


def _legend(last: Mapping[str, str], pen: Pen, indent: int) -> Iterator[Text]:
    """The names of the series in their colours and their last values, in as many lines as they need."""
    line, used = Text(" " * indent), indent
    for color, letter, (name, value) in zip(COLORS * len(last), _letters(last, pen), last.items(), strict=False):
        mark = letter or ("-" if pen.ascii_only else "━")
        shown = f"{mark} {pen.label(name)} {value}".rstrip()
        if used > indent and used + cell_len(shown) > pen.width:
            yield line
            line, used = Text(" " * indent), indent
        line.append(shown + "   ", style=color if pen.colored else None)
        used += cell_len(shown) + 3
    yield line


def _bars(figure: Figure, pen: Pen) -> Iterator[Text]:
    names = {pen.label(name): float(value) for name, value in figure["values"].items()}
    wide = min(max(map(cell_len, names), default=0), pen.width // 2)
    most = max((abs(value) for value in names.values() if math.isfinite(value)), default=0.0) or 1.0
    room = max(pen.width - wide - 12, 4)
    for name, value in names.items():
        length = round(room * abs(value) / most) if math.isfinite(value) else 0
        bar = ("#" if pen.ascii_only else "█") * length
        yield Text.assemble(
            set_cell_size(name, wide), "  ", (bar, "cyan" if pen.colored else ""), " " * bool(bar), number(value)
        )


def _map(figure: Figure, pen: Pen) -> Iterator[Any]:
    """A map: its values in its cells where they fit, else shades."""
    rows = [values(row) for row in values(figure["values"])]
    names = [pen.label(name) for name in figure.get("columns") or [""] * len(rows[0])]
    sides = [pen.label(name) for name in figure.get("rows") or [""] * len(rows)]
    left = max(map(cell_len, sides)) + 2 if any(sides) else 0
    cell = max(6, *(cell_len(name) + 1 for name in names)) if len(names) <= MAP_CELLS else 0
    low, high = _range([value for row in rows for value in row])
    if cell and left + cell * len(names) <= pen.width:
        yield from _cells(rows, (names, sides), (low, high), (left, cell), pen)
    else:
        yield from _strip([rows], (low, high), pen, [""])
    if figure.get("x") or figure.get("y"):
        marks = ("v", ">") if pen.ascii_only else ("↓", "→")
        axes = [f"{mark} {pen.label(figure[key])}" for key, mark in zip("yx", marks, strict=True) if figure.get(key)]
        yield Text(" " * left + "   ".join(axes), style="dim")


def _cells(
    rows: list[list[float]],
    names: tuple[list[str], list[str]],
    ends: tuple[float, float],
    sizes: tuple[int, int],
    pen: Pen,
) -> Iterator[Text]:
    (above, sides), (low, high), (left, cell) = names, ends, sizes
    if any(above):
        yield Text(" " * left + "".join(f"{'':{max(cell - cell_len(name), 0)}}{name}" for name in above), style="dim")
    for side, row in zip(sides, rows, strict=True):
        line = Text(set_cell_size(side, left), style="dim") if left else Text()
        for value in row:
            share = (value - low) / (high - low)
            shade = (PLAIN_SHADES if pen.ascii_only else SHADES)[min(int(share * 5), 4)]
            text = f"{number(value):>{cell - 1}}"
            line.append(text + " " if pen.colored else f"{shade}{text}", style=_on(share) if pen.colored else "not dim")
        yield line


def _on(share: float) -> str:
    """A background from dark to bright, and letters that are read on it."""
    level = round(40 + 200 * share)
    return f"not dim {'black' if share > 0.5 else 'white'} on rgb({level // 4},{level},{round(level * 0.9)})"


def _images(figure: Figure, pen: Pen) -> Iterator[Text]:
    """Small pictures side by side, as many as fit, each under its title."""
    pictures = [_gray(image) for image in figure["images"]]
    titles = [pen.label(title) for title in figure.get("titles") or [""] * len(pictures)]
    boxes = figure.get("boxes") or [()] * len(pictures)
    many = figure.get("columns") or len(pictures)
    wide = max(len(picture[0]) for picture in pictures)
    if wide <= SMALL and (2 * wide + GAP) * min(many, len(pictures)) <= pen.width:
        pictures, wide = [_twice(picture) for picture in pictures], 2 * wide
        boxes = [[tuple(2 * edge for edge in mark[:4]) for mark in marks] for marks in boxes]
    fits = max(min((pen.width + GAP) // (wide + GAP), many, len(pictures)), 1)
    ends = _range([value for picture in pictures for row in picture for value in row])
    for start in range(0, len(pictures), fits):
        part = slice(start, start + fits)
        yield from _strip(pictures[part], ends, pen, titles[part], boxes[part])


def _gray(image: Any) -> list[list[float]]:
    """The rows of a picture; of one in colour, its brightness."""
    rows = [values(row) for row in values(image)]
    return [[sum(values(p)) / len(p) if isinstance(p, (list, tuple)) else float(p) for p in row] for row in rows]


def _twice(picture: list[list[float]]) -> list[list[float]]:
    """A picture, each pixel four."""
    return [[value for value in row for _ in range(2)] for row in picture for _ in range(2)]


def _strip(
    pictures: Sequence[list[list[float]]],
    ends: tuple[float, float],
    pen: Pen,
    titles: Sequence[str],
    boxes: Sequence[Any] = (),
) -> Iterator[Text]:
    """Pictures beside each other, two rows of pixels a line."""
    wide = [max(len(picture[0]), 1) for picture in pictures]
    if any(titles):
        cut = (set_cell_size(title, width) for title, width in zip(titles, wide, strict=True))
        yield Text((" " * GAP).join(cut).rstrip(), style="dim")
    framed = [_edges(marks) for marks in boxes] or [set()] * len(pictures)
    for y in range(0, max(map(len, pictures)), 2):
        line = Text()
        for picture, width, edges in zip(pictures, wide, framed, strict=True):
            line.append(" " * GAP if line else "")
            for x in range(min(width, pen.width)):
                line.append(*_pixel(picture, (x, y), ends, edges, pen))
        yield line


def _edges(marks: Any) -> set[tuple[int, int]]:
    """The pixels on the edges of some boxes."""
    found = set()
    for x0, y0, x1, y1, *_ in marks:
        a, b, c, d = (round(float(v)) for v in (x0, y0, x1 - 1, y1 - 1))
        found |= {(x, y) for x in range(a, c + 1) for y in (b, d)} | {(x, y) for y in range(b, d + 1) for x in (a, c)}
    return found


def _pixel(
    picture: list[list[float]], at: tuple[int, int], ends: tuple[float, float], edges: set[tuple[int, int]], pen: Pen
) -> tuple[str, str]:
    """Two pixels, one above the other, as one character and its style."""
    x, y = at
    low, high = ends
    both = [picture[row][x] if row < len(picture) and x < len(picture[row]) else low for row in (y, y + 1)]
    upper, lower = (min(max((value - low) / (high - low), 0.0), 1.0) for value in both)
    on_edge = [(x, row) in edges for row in (y, y + 1)]
    if pen.colored and not pen.ascii_only:
        above, below = (
            "rgb(255,140,0)" if edge else f"rgb({g},{g},{g})"
            for edge, g in zip(on_edge, (round(255 * upper), round(255 * lower)), strict=True)
        )
        return "▀", f"{above} on {below}"
    if any(on_edge):
        return "+", ""
    return (PLAIN_SHADES if pen.ascii_only else SHADES)[min(int((upper + lower) / 2 * 5), 4)], ""


def _table(figure: Figure, pen: Pen) -> Iterator[Table]:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in figure["columns"]:
        table.add_column(pen.label(name))
    for row in figure["rows"]:
        table.add_row(*(Text(pen.label(cell) if isinstance(cell, str) else f"{float(cell):.4g}") for cell in row))
    yield table


def values(held: Any) -> list[Any]:
    """A list of numbers, of a tensor too."""
    return list(held.tolist()) if hasattr(held, "tolist") else list(held)


_KINDS: dict[str, Callable[[Figure, Pen], Iterator[Any]]] = {
    "bars": _bars,
    "lines": _curves,
    "scatter": _points,
    "heatmap": _map,
    "images": _images,
    "table": _table,
}
