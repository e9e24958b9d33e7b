"""The writer of data/concepts.yaml: entries go to their place, and every other byte stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, SAMPLE
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(ROOT / "scripts"))
from concepts import DATA, Pieces, Refusal, add, cut, split, write


def entry(id: str, text: str = "One.") -> str:
    head = f"- id: {id}\n  type: concept\n  name: {{en: {id}, zh: 甲}}\n"
    return f"{head}  summary:\n    en: |\n      {text}\n    zh: 一。\n"


def script(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "concepts.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("path", [DATA, SAMPLE], ids=["shipped", "sample"])
def test_a_file_in_pieces_is_the_file(path: Path) -> None:
    text = path.read_text("utf-8")
    pieces = cut(text, path.name)
    assert pieces.text() == text
    assert list(pieces.blocks) == [found["id"] for found in yaml.safe_load(text)]
    for id, block in pieces.blocks.items():
        assert [found["id"] for found in yaml.safe_load(block)] == [id]


IDS = st.lists(st.sampled_from([a + b for a in "abcdef" for b in "xyz"]), unique=True, max_size=9)
NOISE = st.sampled_from(["", "\n", "# a note\n", "\n# a note\n# of two lines\n"])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(IDS, IDS, st.data())
def test_adding_keeps_every_byte_of_the_others(old: list[str], new: list[str], data: st.DataObject) -> None:
    text = "# head\n\n" + "".join(
        data.draw(NOISE) + entry(id, data.draw(st.text("ab:#-\"'[", max_size=9))) for id in sorted(old)
    )
    base = cut(text, "base")
    blocks = cut("".join(entry(id, "New.") for id in new), "new").blocks if new else {}
    made = add(base, blocks)
    again = cut(made.text(), "made")
    assert again == made
    assert again.head == base.head
    assert {id: block for id, block in again.blocks.items() if id not in new} == {
        id: block for id, block in base.blocks.items() if id not in new
    }
    assert {id: again.blocks[id] for id in new} == blocks
    assert list(again.blocks) == sorted({*old, *new})


@pytest.mark.slow
def test_what_is_split_and_added_again_is_the_same_file(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_bytes(DATA.read_bytes())
    count = len(cut(own.read_text("utf-8"), "own").blocks)
    done = script("--data", own, "split", tmp_path / "areas")
    parts = sorted((tmp_path / "areas").iterdir())
    assert done.stdout.split() == [str(path) for path in parts]
    assert len(parts) > 10
    done = script("--data", own, "add", *parts)
    assert done.stdout == f"0 entries added, {count} replaced\n", done.stderr
    assert own.read_bytes() == DATA.read_bytes()
    empty = tmp_path / "empty.yaml"
    empty.write_text("# head\n\n", encoding="utf-8")
    assert script("--data", empty, "add", *parts).stdout == f"{count} entries added, 0 replaced\n"
    assert empty.read_text("utf-8") == "# head\n\n" + "".join(cut(own.read_text("utf-8"), "own").blocks.values())
    assert "is there already" in script("--data", own, "split", tmp_path / "areas").stderr


def test_sorting_moves_blocks_with_their_comments(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("# head\n\n" + entry("b") + "# of c\n" + entry("c") + "\n# of a\n" + entry("a"), encoding="utf-8")
    assert script("--data", own, "sort").stdout == "3 entries stand elsewhere now\n"
    assert (
        own.read_text("utf-8") == "# head\n\n" + "# of a\n" + entry("a") + entry("b") + "# of c\n" + entry("c") + "\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (entry("a") + entry("a"), "holds an id twice: a"),
        ("- type: concept\n", "without an id"),
        ("[{id: a}]\n", "one a block of lines"),
        ("a: 1\n", "one a block of lines"),
        ("- id: a\r\n", "line breaks"),
        ("- id: a\n  x: \u2028\n", "line breaks"),
        ("  - id: a\n", "begins with"),
        (entry("a").rstrip("\n"), "does not end with a line break"),
        ("- [\n", "is not YAML"),
        (entry("a").replace("concept", "nonsense"), "is not one of"),
        ("- id: a\n", "type: missing"),
    ],
)
def test_what_cannot_be_spliced_is_refused_and_nothing_is_written(tmp_path: Path, text: str, said: str) -> None:
    own, new = tmp_path / "own.yaml", tmp_path / "new.yaml"
    own.write_text("# head\n\n" + entry("b"), encoding="utf-8")
    new.write_bytes(text.encode())
    before = own.read_bytes()
    done = script("--data", own, "add", new)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert own.read_bytes() == before


def test_pieces_that_do_not_read_as_they_should_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="nothing was written"):
        write(Pieces("", {"a": entry("b")}), tmp_path / "own.yaml")
    with pytest.raises(Refusal, match="two files hold b"):
        new = tmp_path / "new.yaml"
        new.write_text(entry("b"), encoding="utf-8")
        done = script("--data", new, "add", new, new)
        raise Refusal(done.stderr)
    assert not (tmp_path / "own.yaml").exists()
    assert split(Pieces("", {}), tmp_path / "none", []) == []
