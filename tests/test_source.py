"""Reading YAML: safe, strict, and precise about the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.errors import KbError
from kb.fields import unwrap
from kb.model import Concept
from kb.source import load, read_entries

GOOD = """
- id: a
  type: concept
  name: {en: A, zh: 甲}
  summary: {en: First., zh: 第一。}
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    """What is said of a file, `line: id.field: message` each."""
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        load(path)
    except KbError as error:
        assert error.hint is not None
        return error.hint.en.splitlines()
    return []


def test_a_good_file_loads(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("type: concept", "type: thing"), "c.yaml:3: a: type: 'thing' is not one of"),
        (("en: A,", "en: no,"), "c.yaml:4: a: name.en: 'no' is not text; quote it"),
        (("en: A,", "en: 1.0,"), "'1.0' is not text"),
        (("en: A,", "en: 2024-01-01,"), "'2024-01-01' is not text"),
        (("en: A,", "en: ~,"), "is not text"),
        (("en: A,", ""), "name.en: missing"),
        (("id: a", "id: A B"), "is not kebab-case"),
        (("type: concept", "type: concept\n  typo: x"), "typo: unknown field"),
        (("type: concept", "type: concept\n  type: model"), "type: this key stands twice"),
        (("type: concept", "type: concept\n  year: 12"), "not a whole number from 1600"),
        (("type: concept", "type: concept\n  aliases: {en: LSTM}"), "aliases.en: not a list"),
        (("type: concept", "type: concept\n  links: [{rel: likes, to: a}]"), "links[0].rel: 'likes' is not one of"),
        (("type: concept", "type: concept\n  sources: [{title: T, author: A, year: 2000, url: x}]"), "http"),
        (("type: concept", "type: !!python/object/apply:os.system ['true']"), "is not text"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    found = problems(tmp_path, GOOD.replace(*change))
    assert any(said in line for line in found), found


def test_an_id_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    assert any("stands twice" in line for line in problems(tmp_path, GOOD + GOOD))


@pytest.mark.parametrize("text", ["a: [", "just words", "a: 1", "- [1, 2]", "\t- x", "- &a [*a]"])
def test_what_is_no_list_of_entries_is_a_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KbError):
        load(path)


def test_bytes_that_are_no_text_are_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xff\xfe- id: a")
    with pytest.raises(KbError, match="UTF-8"):
        read_entries(path)


def test_wrapped_lines_join_as_each_language_does() -> None:
    assert unwrap("two\n  words") == "two words"
    assert unwrap("两\n  行，\n文字") == "两行，文字"
    assert unwrap("用\nPyTorch\n写") == "用 PyTorch 写"
    assert unwrap("见\n[[a|甲]]\n。") == "见[[a|甲]]。"
    assert unwrap("甲，\nGPU 与\n[[b|GPU]]") == "甲，GPU 与 [[b|GPU]]"
    assert unwrap("one\n\n two") == "one\n\ntwo"


def test_json_and_back_is_the_same_concept(sample: Path) -> None:
    for concept in load(sample):
        assert Concept.from_json(concept.to_json()) == concept
