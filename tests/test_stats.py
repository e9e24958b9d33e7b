"""What `kb stats` counts: an entry, a link, a work once each; and which terms of a list are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLE

import kb
from kb.concepts.graph import build_graph
from kb.concepts.model import Concept, Link, Source
from kb.concepts.stats import Coverage, count, cover
from kb.errors import KbError
from kb.language.text import Bilingual


def concept(id: str, **more: Any) -> Concept:
    return Concept(id, "model", Bilingual(id, id), Bilingual("[[b|B]] is there.", "有 [[b|B]]。"), **more)


WORK = Source("T", "A", 2020, "https://example.org/1")


def test_each_thing_is_counted_once() -> None:
    a = concept(
        "a",
        area=("vision", "data"),
        links=(Link("contrasts_with", "c"), Link("is_a", "c")),
        sources=(WORK, WORK),
        aliases={"en": ("x", "y")},
        asks={"zh": ("问？",)},
        demo="d",
        claim="v",
    )
    others = concept("b", demo="d"), concept("c", area=("data",), sources=(WORK,)), concept("alone")
    found = count(build_graph([a, *others]))
    assert found.concepts == 4
    assert found.types == {"model": 4}
    assert found.areas == {"vision": 1, "data": 2}
    assert found.names == {"en": 6, "zh": 4}
    assert found.asks == {"en": 0, "zh": 1}
    assert found.relations == {"is_a": 1, "contrasts_with": 1, "mentions": 3}
    assert found.components == [4]
    assert (found.sources, found.sourced) == (1, 2)
    assert found.demos == {"measured": 1, "nearest": 1, "none": 2}
    assert found.experiments == 1


def test_parts_that_nothing_connects_are_counted() -> None:
    plain = [Concept(id, "model", Bilingual(id, id), Bilingual("s", "s")) for id in "abc"]
    assert count(build_graph(plain)).components == [1, 1, 1]
    assert count(build_graph([])).components == []


def test_a_term_is_covered_where_every_form_of_it_is_known() -> None:
    known = {"a", "b", "c d"}
    text = "# a list\na\tb\n\nc d \nb\t z\t\n\t a\n"
    assert cover(text, known.__contains__) == Coverage(lines=4, whole=3, forms=4, known=3, unknown=["z"])


def test_a_list_of_terms_is_read_as_people_save_it(tmp_path: Path) -> None:
    file = tmp_path / "terms.txt"
    with kb.open(SAMPLE) as base:
        file.write_bytes("\ufeffLSTM\r\n梯度\r\nflux capacitor\r\n".encode())
        assert base.coverage(file) == Coverage(3, 2, 3, 2, ["flux capacitor"])
        file.write_text("# nothing\n")
        with pytest.raises(KbError, match="no term"):
            base.coverage(file)
        with pytest.raises(KbError, match="cannot read"):
            base.coverage(tmp_path / "nowhere.txt")
