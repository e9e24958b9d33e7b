"""Figures in characters: they fit their width, in colour or not, in braille or not, and show what they are given."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
import torch
from rich.cells import cell_len
from rich.console import Console

from kb.language.hidden import HIDDEN
from kb.show.pictures import ROWS, Picture

XS = list(range(40))
FIGURES: dict[str, dict[str, Any]] = {
    "curves": {"kind": "lines", "series": {"falls": (XS, [2.0**-x for x in XS]), "stays": (XS, [0.5] * 40)},
               "x": "step", "y": "squared error", "log": "y"},
    "points": {"kind": "scatter", "series": {"ring": ([math.cos(x) for x in XS], [math.sin(x) for x in XS]),
               "centre": ([0.0], [0.0])}, "equal": True, "edges": [((-1, 0), (1, 0))], "texts": {"here": (0.1, 0.2)}},
    "bars": {"kind": "bars", "values": {"a long name of what was measured": 0.889, "短": 0.4, "none": math.nan}},
    "map": {"kind": "heatmap", "values": [[85, 3], [5, 7]], "rows": ["ill", "well"], "columns": ["病", "well"],
            "x": "said", "y": "true"},
    "large map": {"kind": "heatmap", "values": torch.arange(800.0).view(20, 40)},
    "images": {"kind": "images", "images": [torch.arange(64.0).view(8, 8)] * 9,
               "titles": [f"digit {i}" for i in range(9)], "boxes": [[(1, 1, 5, 5, "true")]] + [()] * 8},
    "colour": {"kind": "images", "images": torch.rand(2, 4, 4, 3)},
    "table": {"kind": "table", "columns": ["rule", "steps"], "rows": [["Adam", 12.0], ["梯度下降", 40.0]]},
}  # fmt: skip


def drawn(figure: dict[str, Any], width: int = 80, colour: str | None = None, encoding: str = "utf-8") -> list[str]:
    raw = io.BytesIO()
    console = Console(
        file=io.TextIOWrapper(raw, encoding=encoding, write_through=True),
        width=width,
        force_terminal=True,
        color_system=colour,  # type: ignore[arg-type]  # a literal of rich
        no_color=colour is None,
    )
    console.print(Picture("title", figure))
    return raw.getvalue().decode(encoding).splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_fits_its_width(name: str, width: int) -> None:
    lines = drawn(FIGURES[name], width)
    assert lines[0] == "title"
    assert len(lines) > 1
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_needs_no_more_than_ascii_where_there_is_no_more(name: str) -> None:
    figure = {key: value for key, value in FIGURES[name].items() if key not in ("columns", "rows")}
    if name == "bars":
        figure["values"] = {"net": 0.889, "other": 0.4}
    if name == "table":
        figure = FIGURES["table"] | {"rows": [["Adam", 12.0]]}
    assert "".join(drawn(figure, encoding="ascii")).isascii()


def test_curves_have_axes_names_and_last_values() -> None:
    lines = drawn(FIGURES["curves"])
    assert lines[1].strip() == "squared error"
    plot = lines[2 : 2 + ROWS]
    assert plot[0].startswith("       1 │")
    assert plot[-1].startswith("1.82e-12 │")
    below = lines[2 + ROWS].split()
    assert below == ["0", "step", "39"]
    assert lines[3 + ROWS].split() == ["a", "falls", "1.82e-12", "b", "stays", "0.5"]


def test_without_colour_letters_tell_series_apart() -> None:
    plain, coloured = drawn(FIGURES["points"]), drawn(FIGURES["points"], colour="truecolor")
    body = "".join(line.partition("│")[2] for line in plain)
    assert body.count("a") > 20
    assert "b" in body
    assert "here" in body
    assert not any(
        "a" in line.partition("│")[2].replace("\x1b", "") for line in coloured if "│" in line and "here" not in line
    )


def test_a_circle_is_round() -> None:
    plot = [line.partition("│")[2] for line in drawn(FIGURES["points"]) if "│" in line]
    assert cell_len(plot[0]) == pytest.approx(2 * len(plot), abs=2)


def test_the_outermost_points_are_drawn() -> None:
    corners = {"kind": "scatter", "series": {"low": ([0], [0]), "high": ([1], [1]), "right": ([1], [0])}}
    plot = [line.partition("│")[2].rstrip() for line in drawn(corners) if "│" in line]
    assert (plot[0][-1], plot[-1][0], plot[-1][-1]) == ("b", "a", "c")
    assert cell_len(plot[0]) == cell_len(plot[-1])


def test_what_is_not_finite_is_left_out() -> None:
    lines = drawn({"kind": "lines", "series": {"a": ([0, 1, 2], [1.0, math.nan, math.inf]), "b": ([0, 1], [0.0, 1.0])}})
    assert "1 │" in lines[1]
    assert drawn({"kind": "lines", "series": {"a": ([0], [math.nan])}}) == ["title"]


def test_bars_are_as_long_as_their_values() -> None:
    lengths = [
        line.count("█") for line in drawn({"kind": "bars", "values": {"one": 1.0, "half": 0.5, "none": 0.0}})[1:]
    ]
    assert lengths[0] == pytest.approx(2 * lengths[1], abs=1)
    assert lengths[2] == 0


def test_a_map_shows_its_values_where_they_fit_and_shades_where_not() -> None:
    small, large = drawn(FIGURES["map"]), drawn(FIGURES["large map"])
    assert small[1].split() == ["病", "well"]
    assert small[2].split() == ["ill", "█", "85", "3"]
    assert small[-1].split() == ["↓", "true", "→", "said"]
    assert large[1][0] == " "
    assert large[-1][-1] == "█"
    assert len(large) == 1 + 10


def test_small_pictures_stand_side_by_side_under_their_titles() -> None:
    lines = drawn(FIGURES["images"], 120)
    assert lines[1].split("  ")[0].strip().startswith("digit 0")
    assert sum("digit" in line for line in lines) == 1
    narrow = drawn(FIGURES["images"], 60)
    assert sum("digit" in line for line in narrow) > 1
    assert any("+" in line for line in lines), "the box"


def test_labels_reach_no_terminal_raw() -> None:
    odd = "x\x1b[31m\u202e\ny"
    for figure in (
        {"kind": "lines", "series": {odd: ([0, 1], [0, 1])}, "x": odd, "y": odd},
        {"kind": "bars", "values": {odd: 1.0}},
        {"kind": "heatmap", "values": [[1, 2]], "rows": [odd], "columns": [odd, odd], "x": odd},
        {"kind": "images", "images": [[[0, 1]]], "titles": [odd]},
        {"kind": "table", "columns": [odd], "rows": [[odd]]},
        {"kind": "scatter", "series": {"a": ([0, 1], [0, 1])}, "texts": {odd: (0.5, 0.5)}},
    ):
        assert not HIDDEN.search("".join(drawn(figure))), figure
