"""What a demo asks for is what is drawn: looked at in the figure, before it becomes pixels."""

from __future__ import annotations

from typing import Any

import pytest

from kb.lab import figures
from kb.lab.figures import WITH_VALUES, compose, draw, translated
from kb.language.text import Bilingual

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
    assert draw({"curves": LINES}, Bilingual("LSTM", "长短期记忆")).startswith(b"\x89PNG")


def test_a_figure_of_an_unknown_kind_is_a_defect() -> None:
    with pytest.raises(ValueError, match="unknown figure kind 'pie'"):
        draw({"title": {"kind": "pie"}}, Bilingual("heading", "标题"))


def test_labels_are_said_in_chinese_where_they_are_known() -> None:
    given = {
        "errors": {"kind": "lines", "series": {"net": ([0], [1]), "other": ([0], [2])}, "x": "step", "y": "error"},
        "map": {"kind": "heatmap", "values": [[1, 2]], "columns": ["cat", "dog"], "rows": ["cat"]},
        "numbers": {"kind": "table", "columns": ["net"], "rows": [["cat", 1.5]]},
        "all": {"kind": "bars", "values": {"net": 1}},
        "seen": {
            "kind": "images",
            "images": [[[0.5]]],
            "titles": ["cat"],
            "boxes": [[(0, 0, 1, 1, "dog"), (0, 0, 1, 1, "cat")]],
        },
        "places": {"kind": "scatter", "series": {}, "texts": {"cat": (0, 1), "dog": (1, 1)}},
    }
    zh = {"errors": "误差", "net": "网络", "step": "步", "cat": "猫", "error": "误差值", "all": "全部"}
    said = translated(given, zh)
    assert list(said) == ["误差", "map", "numbers", "全部", "seen", "places"]
    assert said["误差"] == {
        "kind": "lines", "series": {"网络": ([0], [1]), "other": ([0], [2])}, "x": "步", "y": "误差值"
    }  # fmt: skip
    assert said["map"] == {"kind": "heatmap", "values": [[1, 2]], "columns": ["猫", "dog"], "rows": ["猫"]}
    assert said["numbers"] == {"kind": "table", "columns": ["网络"], "rows": [["猫", 1.5]]}
    assert said["全部"]["values"] == {"网络": 1}
    assert said["seen"]["titles"] == ["猫"]
    assert said["seen"]["boxes"] == [[[0, 0, 1, 1, "dog"], [0, 0, 1, 1, "猫"]]]
    assert said["places"]["texts"] == {"猫": (0, 1), "dog": (1, 1)}


def test_a_picture_is_chinese_only_where_a_font_has_the_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    headings: list[tuple[str, str]] = []

    def composed(shown: Any, heading: str) -> Any:
        headings.append((next(iter(shown)), heading))
        return compose(shown, heading)

    monkeypatch.setattr(figures, "compose", composed)
    for font in (None, "DejaVu Sans"):
        monkeypatch.setattr(figures, "chinese_font", lambda font=font: font)
        draw({"curves": LINES}, Bilingual("LSTM", "LSTM 2"), {"curves": "curves 2"})
        draw({"curves": LINES}, Bilingual("LSTM", "LSTM 2"))
    assert headings == [("curves", "LSTM")] * 2 + [("curves 2", "LSTM 2"), ("curves", "LSTM")]


def test_the_cells_of_a_small_map_hold_their_values() -> None:
    small = axes({"kind": "heatmap", "values": [[1, 2.5], [3, 4]]})
    assert [text.get_text() for text in small.texts] == ["1", "2.5", "3", "4"]
    large = axes({"kind": "heatmap", "values": [list(range(WITH_VALUES + 1))]})
    assert not large.texts


def test_points_may_be_joined_named_and_of_one_scale() -> None:
    drawn = axes(
        {
            "kind": "scatter",
            "series": {"a": ([0, 1], [0, 1])},
            "edges": [((0, 0), (1, 1))],
            "texts": {"here": (1, 1)},
            "equal": True,
        }
    )
    assert len(drawn.lines) == 1
    assert [text.get_text() for text in drawn.texts] == ["here"]
    assert drawn.get_aspect() == 1.0
