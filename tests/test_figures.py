"""What a demo asks for is what is drawn: looked at in the figure, before it becomes pixels."""

from __future__ import annotations

from typing import Any

import pytest

from kb.lab.figures import compose, draw

LINES = {"kind": "lines", "series": {"a": ([1, 10, 100], [1.0, 2.0, 4.0]), "b": ([1, 10], [3.0, 5.0])}, "x": "size", "y": "rate"}  # fmt: skip  # noqa: E501


def axes(figure: dict[str, Any], title: str = "title") -> Any:
    """The first axes of the row that a figure becomes."""
    return compose({title: figure}, "heading").subfigs[0].axes[0]


@pytest.mark.parametrize("log", ["", "x", "y", "xy"])
def test_the_axes_that_a_figure_names_are_logarithmic(log: str) -> None:
    drawn = axes(LINES | ({"log": log} if log else {}))
    assert drawn.get_xscale() == ("log" if "x" in log else "linear")
    assert drawn.get_yscale() == ("log" if "y" in log else "linear")


@pytest.mark.parametrize("kind", ["lines", "scatter"])
def test_series_are_drawn_with_their_names_and_axes(kind: str) -> None:
    drawn = axes(LINES | {"kind": kind})
    if kind == "lines":
        seen = {line.get_label(): line.get_xydata().tolist() for line in drawn.lines}
    else:
        seen = {points.get_label(): points.get_offsets().tolist() for points in drawn.collections}
    assert seen == {"a": [[1, 1], [10, 2], [100, 4]], "b": [[1, 3], [10, 5]]}
    assert [text.get_text() for text in drawn.get_legend().get_texts()] == ["a", "b"]
    assert (drawn.get_xlabel(), drawn.get_ylabel()) == ("size", "rate")


def test_bars_are_as_long_as_their_values() -> None:
    drawn = axes({"kind": "bars", "values": {"one": 1.0, "three": 3.0}, "y": "error"})
    names = dict(zip(drawn.get_yticks(), (label.get_text() for label in drawn.get_yticklabels()), strict=True))
    bars = {names[round(bar.get_y() + bar.get_height() / 2)]: bar.get_width() for bar in drawn.patches}
    assert bars == {"one": 1.0, "three": 3.0}
    assert drawn.get_xlabel() == "error"


def test_a_heatmap_shows_its_values_rows_and_columns() -> None:
    import torch

    drawn = axes({"kind": "heatmap", "values": torch.arange(6.0).view(2, 3), "rows": ["p", "q"], "columns": "xyz"})
    assert drawn.images[0].get_array().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert [label.get_text() for label in drawn.get_yticklabels()] == ["p", "q"]
    assert [label.get_text() for label in drawn.get_xticklabels()] == ["x", "y", "z"]


def test_images_have_their_titles_and_boxes() -> None:
    figure = {"kind": "images", "images": [[[0, 1], [1, 0]]] * 3, "titles": "abc", "columns": 2}
    figure["boxes"] = [[(0, 0, 1, 2, "true cat")], [], []]
    cells = compose({"title": figure}, "heading").subfigs[0].axes
    assert [cell.get_title() for cell in cells] == ["a", "b", "c", ""]
    assert [len(cell.images) for cell in cells] == [1, 1, 1, 0]
    assert cells[0].lines[0].get_xydata().tolist() == [[0, 0], [1, 0], [1, 2], [0, 2], [0, 0]]
    assert [text.get_text() for text in cells[0].texts] == ["true cat"]


def test_a_table_shows_its_cells() -> None:
    drawn = axes({"kind": "table", "columns": ["name", "error"], "rows": [["LSTM", 0.000123456]]})
    cells = {place: cell.get_text().get_text() for place, cell in drawn.tables[0].get_celld().items()}
    assert cells == {(0, 0): "name", (0, 1): "error", (1, 0): "LSTM", (1, 1): "0.0001235"}


def test_every_figure_has_its_row_and_its_title() -> None:
    canvas = compose({"curves": LINES, "more": LINES | {"log": "y"}}, "LSTM")
    assert canvas.get_suptitle() == "LSTM"
    assert [row.get_suptitle() for row in canvas.subfigs] == ["curves", "more"]
    assert [row.axes[0].get_yscale() for row in canvas.subfigs] == ["linear", "log"]
    assert draw({"curves": LINES}, "LSTM").startswith(b"\x89PNG")


def test_a_figure_of_an_unknown_kind_is_a_defect() -> None:
    with pytest.raises(ValueError, match="unknown figure kind 'pie'"):
        draw({"title": {"kind": "pie"}}, "heading")
