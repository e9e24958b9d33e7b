"""Two demos in one picture: the figure that both draw, as the demos of a family do."""

from __future__ import annotations

from typing import Any

from kb.lab.figures import plain
from kb.lab.runner import Report, all_demos


def families() -> dict[str, list[str]]:
    """The demos that draw a figure in common, by its title."""
    found: dict[str, list[str]] = {}
    for demo in all_demos():
        if demo.common:
            found.setdefault(demo.common, []).append(demo.id)
    return found


def common_figure(one: Report, other: Report) -> dict[str, dict[str, Any]]:
    """The figure that two demos of a family draw, with the series of both; one that they have alike stands once."""
    title = one.demo.common
    figure = one.figures[title]
    series = {name: plain(points) for name, points in figure["series"].items()}
    for name, points in other.figures[title]["series"].items():
        if series.setdefault(name, plain(points)) != plain(points):
            series[f"{name} ({other.demo.id})"] = plain(points)
    return {title: {**figure, "series": series}}
