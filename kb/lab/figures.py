"""What a demo asks to be drawn, as one PNG: bars, lines, points, maps, images with boxes, tables.

A figure is a plain dict with a `kind`; its data are lists or tensors on the CPU. Labels are Chinese where the reader's
language is, and a font here has the characters.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from kb.language.text import Bilingual

Figure = Mapping[str, Any]


WITH_VALUES = 12
"""Rows and columns of a map up to which its cells show their values."""
CHINESE_FONTS = (
    "Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei",
    "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "Heiti SC", "Noto Sans CJK JP",
)  # fmt: skip
"""Fonts with simplified characters that systems have."""


def chinese_font() -> str | None:
    """The first of the Chinese fonts that is here."""
    from matplotlib import font_manager

    there = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in CHINESE_FONTS if name in there), None)


def translated(figures: Mapping[str, Figure], zh: Mapping[str, str]) -> dict[str, Figure]:
    """The figures with their titles and labels in another language; what has no translation stays."""
    return {
        zh.get(title, title): {key: _said(key, held, zh) for key, held in of_it.items()}
        for title, of_it in figures.items()
    }


def _said(key: str, held: Any, zh: Mapping[str, str]) -> Any:
    if key in ("x", "y"):
        return zh.get(held, held)
    if key in ("series", "values", "texts") and isinstance(held, dict):
        return {zh.get(name, name): value for name, value in held.items()}
    if key in ("titles", "columns", "rows", "boxes") and isinstance(held, (list, tuple)):
        return [_said(key, part, zh) if isinstance(part, (list, tuple)) else zh.get(part, part) for part in held]
    return held


def draw(figures: Mapping[str, Figure], title: Bilingual, zh: Mapping[str, str] | None = None) -> bytes:
    """One PNG with all figures of a report, each under its title.

    Args:
        zh: The Chinese of their labels, where they are to be Chinese. Without a Chinese font they are not.

    Raises:
        ValueError: a figure of an unknown kind; a defect of the demo.
    """
    import matplotlib

    buffer, font = io.BytesIO(), None if zh is None else chinese_font()
    fonts = {"font.sans-serif": [font, "DejaVu Sans"], "axes.unicode_minus": False} if font else {}
    with matplotlib.rc_context(fonts):  # type: ignore[arg-type]  # its type lists every key
        shown = translated(figures, zh) if font and zh else figures
        compose(shown, title.zh if font else title.en).savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def compose(figures: Mapping[str, Figure], heading: str) -> Any:
    """What `draw` draws, as a Figure of matplotlib: one row a figure of the report.

    Raises:
        ValueError: a figure of an unknown kind; a defect of the demo.
    """
    from matplotlib.figure import Figure as Canvas

    heights = [_height(figure) for figure in figures.values()] or [1.0]
    canvas = Canvas(figsize=(8, sum(heights) + 0.6), layout="constrained")
    canvas.suptitle(heading, fontsize=13, fontweight="bold")
    rows = canvas.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for row, (title, figure) in zip(rows, figures.items(), strict=True):
        if figure["kind"] not in _KINDS:
            raise ValueError(f"unknown figure kind {figure['kind']!r}")
        row.suptitle(title, fontsize=10)
        _KINDS[figure["kind"]](row, figure)
    return canvas


def _height(figure: Figure) -> float:
    if figure["kind"] == "images":
        columns = figure.get("columns") or min(len(figure["images"]), 8)
        return 0.5 + 7.5 / columns * -(-len(figure["images"]) // columns) * (1.15 if figure.get("titles") else 1)
    if figure["kind"] == "table":
        return 0.6 + 0.3 * (len(figure["rows"]) + 1)
    return 4.2


def _axes(row: Any, figure: Figure) -> Any:
    axes = row.subplots()
    axes.set_xlabel(figure.get("x", ""))
    axes.set_ylabel(figure.get("y", ""))
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _bars(row: Any, figure: Figure) -> None:
    axes = _axes(row, figure)
    names, values = list(figure["values"]), [float(value) for value in figure["values"].values()]
    bars = axes.barh(names[::-1], values[::-1], color="#4c78a8")
    axes.bar_label(bars, fmt="%.3g", padding=3)
    axes.margins(x=0.12)
    axes.set_xlabel(figure.get("y", ""))
    axes.set_ylabel("")


def _lines(row: Any, figure: Figure) -> None:
    axes = _axes(row, figure)
    for name, (xs, ys) in figure["series"].items():
        axes.plot(plain(xs), plain(ys), label=name)
    for axis in figure.get("log", ""):
        getattr(axes, f"set_{axis}scale")("log")
    axes.legend(frameon=False, fontsize=8)


def _scatter(row: Any, figure: Figure) -> None:
    axes = _axes(row, figure)
    for (x0, y0), (x1, y1) in figure.get("edges", ()):
        axes.plot([x0, x1], [y0, y1], color="#cccccc", linewidth=0.7, zorder=0)
    for name, (xs, ys) in figure["series"].items():
        axes.scatter(plain(xs), plain(ys), s=7, alpha=0.6, label=name)
    for text, (x, y) in figure.get("texts", {}).items():
        axes.annotate(text, (x, y), fontsize=7, xytext=(3, 3), textcoords="offset points")
    for axis in figure.get("log", ""):
        getattr(axes, f"set_{axis}scale")("log")
    if figure.get("equal"):
        axes.set_aspect("equal")
    axes.legend(frameon=False, fontsize=8)


def _heatmap(row: Any, figure: Figure) -> None:
    axes = row.subplots()
    values = plain(figure["values"])
    image = axes.imshow(values, cmap="viridis", aspect="auto", interpolation="nearest")
    if len(values[0]) <= WITH_VALUES and len(values) <= WITH_VALUES:
        for y, x in itertools.product(range(len(values)), range(len(values[0]))):
            color = "black" if image.norm(values[y][x]) > 0.6 else "white"
            axes.text(x, y, f"{values[y][x]:.3g}", ha="center", va="center", fontsize=7, color=color)
    for labels, axis in ((figure.get("columns"), axes.xaxis), (figure.get("rows"), axes.yaxis)):
        if labels:
            axis.set_ticks(range(len(labels)), [str(label) for label in labels], fontsize=7)
    axes.set_xlabel(figure.get("x", ""))
    axes.set_ylabel(figure.get("y", ""))
    row.colorbar(image, ax=axes, shrink=0.8)


def _images(row: Any, figure: Figure) -> None:
    images = figure["images"]
    columns = figure.get("columns") or min(len(images), 8)
    grid = row.subplots(-(-len(images) // columns), columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    titles = figure.get("titles") or [""] * len(images)
    boxes = figure.get("boxes") or [()] * len(images)
    for axes, image, title, marks in zip(grid, images, titles, boxes, strict=False):
        pixels = plain(image)
        edges = (0, len(pixels[0]), len(pixels), 0)  # boxes are given in the coordinates of pixel edges
        axes.imshow(pixels, cmap="gray", interpolation="nearest", extent=edges)
        axes.set_title(str(title), fontsize=7, pad=2)
        for x0, y0, x1, y1, label in marks:
            color = "#2ca02c" if str(label).startswith("true") else "#ff7f0e"
            axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=color, linewidth=1.2)
            axes.text(x0, y0, str(label), color=color, fontsize=6, va="bottom")


def _table(row: Any, figure: Figure) -> None:
    axes = row.subplots()
    axes.axis("off")
    cells = [[cell if isinstance(cell, str) else f"{cell:.4g}" for cell in line] for line in figure["rows"]]
    table = axes.table(cells, colLabels=figure["columns"], loc="center", cellLoc="left", edges="horizontal")
    table.auto_set_font_size(False)
    table.set_fontsize(8)


def plain(values: Any) -> Any:
    """Lists from tensors and sequences of tensors."""
    if hasattr(values, "detach"):
        return values.detach().cpu().tolist()
    return [plain(value) for value in values] if isinstance(values, (list, tuple)) else values


_KINDS: dict[str, Callable[[Any, Figure], None]] = {
    "bars": _bars,
    "lines": _lines,
    "scatter": _scatter,
    "heatmap": _heatmap,
    "images": _images,
    "table": _table,
}
