"""The formulas of the notes, rendered by KaTeX itself: what Obsidian shows is mathematics and not an error in red."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from py_mini_racer import JSEvalException, MiniRacer

import kb
from kb.formats.obsidian.export import Options

MATH = re.compile(r"(?<!\\)\$\$\n(.+?)\n\$\$|(?<![\\$])\$([^$\n]+?)(?<!\\)\$", re.DOTALL)
"""Between its dollar signs, on lines of its own or in a line."""
Render = Callable[[str], str]


@pytest.fixture(scope="module")
def render() -> Render:
    library = files("sphinxcontrib") / "katex.min.js"
    engine = MiniRacer()
    engine.eval(library.read_text("utf-8"))
    # the Chinese in \text{…} is no fault: MathJax and KaTeX show it in the font of the page
    strict = "code => code === 'unicodeTextInMathMode' ? 'ignore' : 'error'"
    engine.eval(f"const shown = tex => katex.renderToString(tex, {{throwOnError: true, strict: {strict}}})")
    return lambda tex: str(engine.call("shown", tex))


def test_every_formula_of_the_notes_is_rendered(render: Render, tmp_path: Path) -> None:
    with kb.open() as base:
        base.export(tmp_path, Options(("en", "zh")))
        held = {line for concept in base for line in [*concept.formula, *concept.symbols]}
    found = {
        whole or inner
        for note in tmp_path.rglob("*.md")
        for whole, inner in MATH.findall(re.sub(r"```.*?```|`[^`\n]*`", "", note.read_text("utf-8"), flags=re.DOTALL))
    }
    assert len(found) > 0.9 * len(held)  # some are alike once their spaces are
    faults = {}
    for tex in found:
        try:
            assert "katex-html" in render(tex)
        except JSEvalException as error:
            faults[tex] = str(error).splitlines()[0]
    assert faults == {}


@pytest.mark.parametrize("tex", [r"\frac{a", r"\nabla_x \lossof", "a_b_c", r"\begin{aligned} a", "50% of it}"])
def test_what_katex_refuses_is_noticed(render: Render, tex: str) -> None:
    with pytest.raises(JSEvalException):
        render(tex)
