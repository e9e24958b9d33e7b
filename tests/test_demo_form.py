"""The form of a demo: the concept first, in a cell of its own; what is claimed last; labels in both languages."""

from __future__ import annotations

import ast
import re
from collections import Counter

import pytest

from kb.lab.cells import CONCEPT, cells, concept
from kb.lab.runner import DECLARED, Demo, Report, all_demos, run_demo

FIRST = 30
"""Lines within which the concept begins."""
DEMOS = all_demos()


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.id)
def test_a_demo_begins_with_its_concept_and_ends_with_its_claims(demo: Demo) -> None:
    source = demo.path.read_text("utf-8")
    titles = [cell.title for cell in cells(source)]
    assert titles[:2] == ["", CONCEPT]
    assert titles[-2:] == ["the experiment", "what is claimed"]
    assert source[: source.index(f"# %% {CONCEPT}")].count("\n") < FIRST
    before, _, after = source.partition("# %% what is claimed")
    declared = re.findall(rf"^({'|'.join(DECLARED)}) = ", after, re.MULTILINE)
    assert {"TITLE", "CURVES", "CLAIMS", "CPU_SECONDS"} <= set(declared)
    assert not re.search(rf"^({'|'.join(DECLARED)}) = ", before, re.MULTILINE)
    assert concept(source).count("\n") < source.count("\n") / 2


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.id)
def test_a_demo_says_what_it_needs(demo: Demo) -> None:
    tree = ast.parse(demo.path.read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    roots = {(n.module if isinstance(n, ast.ImportFrom) else n.names[0].name).partition(".")[0] for n in imports}  # type: ignore[union-attr]
    used = {{"sklearn": "scikit-learn"}.get(root, root) for root in roots & {"torch", "sklearn", "networkx"}}
    needs = re.search(r"^Needs: +(.+)$", ast.get_docstring(tree) or "", re.MULTILINE)
    assert needs
    assert set(needs[1].replace(" ", "").split(",")) - {"numpy"} == used


COMMON = {
    "loss on a ravine": ("lines", "step", "loss", "y"),
    "gradient from k steps back": ("lines", "steps back", "gradient, relative to the last step", "y"),
    "samples beside the two moons": ("scatter", "x", "y", ""),
    "numbers held for one head": ("lines", "tokens", "numbers", "xy"),
    "change of a row's output over batch size": ("lines", "images in the batch", "change, relative to the output", "x"),
}
"""What the figures that families of demos draw in common are like: kind, axes, logarithms."""


def test_a_family_has_several_demos() -> None:
    counts = Counter(demo.common for demo in DEMOS if demo.common)
    assert set(counts) == set(COMMON)
    assert min(counts.values()) > 1


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.id)
def test_a_claim_has_a_name_of_its_own(demo: Demo) -> None:
    """By it an entry says which of them concerns it, and measured.json keeps it."""
    names = Counter(claim.name for claim in demo.claims)
    assert max(names.values()) == 1, names


def labels(report: Report) -> set[str]:
    """Every text that its figures show."""
    said: set[str] = set()
    for title, figure in report.figures.items():
        said |= {title, figure.get("x", ""), figure.get("y", "")}
        for key in ("series", "texts", "titles", "columns", "rows", "values"):
            held = figure.get(key) or ()
            if isinstance(held, (dict, list, tuple)):
                said |= {text for text in held if isinstance(text, str)}
        said |= {
            cell
            for row in figure.get("rows") or ()
            if isinstance(row, list | tuple)
            for cell in row
            if isinstance(cell, str)
        }
    return said


@pytest.mark.demo
@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.id)
def test_what_a_demo_shows_is_the_concept_in_both_languages(demo: Demo) -> None:
    points: list[dict[str, float]] = []
    report = run_demo(demo, steps=max(1, demo.steps // 10), listen=lambda _, values: points.append(dict(values)))
    shown = {demo.curves, *labels(report)}.union(*points)
    assert {text for text in shown if re.search("[\u3400-\u9fff]", text)} == set(), "the font of English lacks it"
    texts = {text for text in shown if re.search("[A-Za-z]{2}", text)}
    assert {text for text in texts if text not in demo.zh and " " in text} == set(), "a word alone may be a name"
    assert all(re.search("[\u3400-\u9fff]", text) for text in demo.zh.values())
    assert report.figures
    measured = {f"{value:.6g}" for value in report.measured.values()}
    for title, figure in report.figures.items():
        if figure["kind"] == "bars":
            assert {f"{float(value):.6g}" for value in figure["values"].values()} - measured, f"{title} repeats claims"
    if demo.common:
        drawn = report.figures[demo.common]
        assert (drawn["kind"], drawn["x"], drawn["y"], drawn.get("log", "")) == COMMON[demo.common]
        assert drawn["series"]
