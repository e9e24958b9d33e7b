"""The pedant finds each kind of slip, at its place, and nothing in a clean file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kb.lint import lint

Check = Callable[[str, str], list[str]]


@pytest.fixture
def check(sample: Path, tmp_path: Path) -> Check:
    """Change one thing in the sample and lint it."""

    def changed(old: str, new: str) -> list[str]:
        text = sample.read_text("utf-8")
        assert old in text
        path = tmp_path / "c.yaml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return [problem.said("en") for problem in lint(path, None)]

    return changed


def test_the_sample_is_clean(check: Check) -> None:
    assert check("- id: accuracy", "- id: accuracy") == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("- id: accuracy", "- id: zebra", "out of order"),
        ("to: pytorch}", "to: pytoch}", "no concept 'pytoch'"),
        ("[[transformer|Transformers]]", "[[transfomer|Transformers]]", "no concept [[transfomer]]"),
        ("[[transformer|Transformers]]", "Transformers", "linked in one language only"),
        ("数字很高却没有用", "数字很高,却没有用", "half-width punctuation"),
        ("每个参数都有自己的步长", "每个参数都有自己的step步长", "no space between"),
        ("每个参数都有自己的步长", "每个参数都 有自己的步长", "a needless space"),
        ("Each parameter has its own step size.", "Each parameter，has its own step size.", "Chinese characters"),
        ("Each parameter has its own step size. ", "", "2 sentences, not 3 to 8"),
        ("The share of predictions", "The accuracy of predictions", "defines 'Accuracy' by itself"),
        ("The share of predictions that", "The share " + "very " * 30 + "that", "at most 30"),
        ("预测正确的样本", "预测正确的样本" + "多" * 60, "at most 60"),
        ("adaptive moment estimation", "LSTM", "also names"),
        ("inverted dropout", "Drop-Out", "resolves already"),
        (r"\frac{c}{n}", r"\fraction{c}{n}", "cannot be shown in a terminal"),
        (r"A = \frac{c}{n}", r"A = \frac{c}{m}", "not in the formula"),
        ("implemented_in, to: pytorch}", "mitigates, to: pytorch}", "mitigates says why"),
        ("uses, to: gradient}", "is_a, to: adam}", "links to itself"),
        ("  demo: metrics\n", "", "demo: missing"),
        ("what share did my classifier get right", "accuracy", ""),
    ],
)
def test_each_slip_is_found(check: Check, old: str, new: str, said: str) -> None:
    found = check(old, new)
    assert any(said in line for line in found) if said else found == [], found


def test_a_cycle_is_found(check: Check) -> None:
    why = '{rel: prerequisite, to: vanishing-gradient, why: {en: "x", zh: "某"}}'
    found = check("{rel: part_of, to: adam}", why)
    assert any("a cycle of prerequisite: " in line for line in found), found


def test_a_symmetric_link_written_twice_is_found(check: Check) -> None:
    old = "{rel: is_a, to: recurrent-neural-network}\n    - {rel: mitigates"
    found = check(old, old.replace("is_a, to: recurrent-neural-network", "alternative_to, to: gated-recurrent-unit"))
    assert any("says so already" in line for line in found), found


def test_a_missing_demo_is_found(sample: Path) -> None:
    assert any("no demo 'adam'" in problem.said("en") for problem in lint(sample, {"lstm"}))


def test_an_overlay_is_checked_on_its_base(sample: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("- id: adam\n  aliases: {zh: [亚当]}\n", encoding="utf-8")
    assert lint(sample, None, overlay) == []
    overlay.write_text("- id: adam\n  aliases: {en: [GRU]}\n- id: mine\n  typo: x\n", encoding="utf-8")
    found = [problem.said("en") for problem in lint(sample, None, overlay)]
    assert any("overlay.yaml:4: mine: typo: unknown field" in line for line in found), found
    assert any("'GRU' also names gated-recurrent-unit" in line for line in found), found
