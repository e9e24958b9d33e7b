"""Reading YAML: safe, strict, and precise about the place."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest
import yaml

from kb.concepts.fields import unwrap
from kb.concepts.model import Concept
from kb.concepts.nodes import compose
from kb.concepts.source import Source, load, read_entries
from kb.errors import KbError

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
        load([Source.open(path)])
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
        load([Source.open(path)])


def test_bytes_that_are_no_text_are_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xff\xfe- id: a")
    with pytest.raises(KbError, match="UTF-8"):
        read_entries(Source.open(path))


def test_wrapped_lines_join_as_each_language_does() -> None:
    assert unwrap("two\n  words") == "two words"
    assert unwrap("两\n  行，\n文字") == "两行，文字"
    assert unwrap("用\nPyTorch\n写") == "用 PyTorch 写"
    assert unwrap("见\n[[a|甲]]\n。") == "见[[a|甲]]。"
    assert unwrap("甲，\nGPU 与\n[[b|GPU]]") == "甲，GPU 与 [[b|GPU]]"
    assert unwrap("one\n\n two") == "one\n\ntwo"


def test_json_and_back_is_the_same_concept(sample: Path) -> None:
    for concept in load([Source.open(sample)]):
        assert Concept.from_json(concept.to_json()) == concept


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- " * 50_000 + "x", "nested too deeply"),
        ("[" * 50_000 + "]" * 50_000, "nested too deeply"),
        ("? " * 50_000 + "x", "nested too deeply"),
        ("- id: a\n  x: &a [*a]", "c.yaml:2: not YAML: an alias of nothing before it"),
        ("- x0: &a0 [1,1,1,1,1,1,1,1,1]\n"
         + "".join(f"  x{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
         + "  id: *a8", "aliases repeat too much"),
        (f"- id: a\n  asks:\n    en:\n    - &a {'x' * 100_000}\n" + "    - *a\n" * 2_000, "aliases repeat too much"),
        ("".join(f"%TAG !a{i}! tag:x\n" for i in range(99)) + "--- []", "too many directives"),
        ("- id: a\n--- \n- id: b", "c.yaml:2: not YAML: a second document"),
        ("- id: a\n  type: \0", "c.yaml:2: a control character, U+0000"),
        ("- id: a\n\n  type: \x1b[31m", "c.yaml:3: a control character, U+001B"),
    ],
)  # fmt: skip
def test_what_would_crash_or_never_end_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KbError) as raised:
        load([Source.open(path)])
    assert said in raised.value.message.en.replace(str(tmp_path) + "/", "")


def test_a_short_alias_is_read_as_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD.replace("zh: 甲", "zh: &n 甲") + "  aliases: {zh: [*n, 乙]}\n", encoding="utf-8")
    (concept,) = load([Source.open(path)])
    assert concept.aliases == {"zh": ("甲", "乙")}


def test_nodes_are_those_of_the_library(sample: Path) -> None:
    def told(node: yaml.Node) -> object:
        inner = node.value if isinstance(node, yaml.ScalarNode) else [*map(told, flat(node.value))]
        return node.tag, inner, node.start_mark.line, node.start_mark.column

    def flat(values: list) -> list:  # type: ignore[type-arg]  # nodes, or pairs of them
        return [node for value in values for node in (value if isinstance(value, tuple) else (value,))]

    texts = (
        sample.read_text("utf-8"),
        "a: !!str 1\nb: !x {c: [~, 'q', \"d\", 0x1F, yes]}\n? [k]\n: |\n  block\n",
        "- !!map {}",
    )
    for text in texts:
        assert told(compose(text)) == told(yaml.compose(text, Loader=yaml.SafeLoader))


def test_a_mark_of_byte_order_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert [concept.id for concept in load([Source.open(path)])] == ["a"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "/dev/null", "round", "absent", "n\0ul"])
def test_what_is_no_file_is_a_clear_error_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x" if not kind.startswith("/") else Path(kind)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        path = Path(tempfile.mkdtemp()) / "s"  # a short name, as sockets want
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    elif kind == "round":
        path.symlink_to(path)
    elif kind == "n\0ul":
        path = tmp_path / kind
    with pytest.raises(KbError, match="cannot read"):
        Source.open(path)
