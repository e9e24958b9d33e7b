"""What kb remembers of a vault is read as it was written, and nothing else is believed; names fit every file system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kb.errors import KbError
from kb.formats.obsidian.filenames import LONGEST, collision_key, note_name
from kb.formats.obsidian.manifest import FORMAT, MANIFEST, Entry, Manifest, read_manifest, to_bytes

FULL = Entry("kb/A.md", True, ("kb/B.md", "kb/C.md"), "f1", "r1", {"tags": ["x", "y"], "year": 1997, "id": "a"})
BARE = Entry("kb/D.md")


def read(folder: Path, told: Any, path: str = f"kb/{MANIFEST}") -> Manifest:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(told if isinstance(told, bytes) else json.dumps(told).encode())
    return read_manifest(folder, path)


def told(**note: Any) -> dict[str, Any]:
    return {"format": FORMAT, "home": "kb", "languages": ["en"], "notes": {"a": {"path": "kb/A.md"} | note}}


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    data = to_bytes("kb", ("zh", "en"), {"b": BARE, "a": FULL})
    found = read(tmp_path, data)
    assert (found.home, found.languages, found.path) == ("kb", ("zh", "en"), f"kb/{MANIFEST}")
    assert found.known == {"a": FULL, "b": BARE._replace(owned={})}
    assert list(json.loads(data)["notes"]) == ["a", "b"], "in the order of the ids"
    assert json.loads(data)["notes"]["b"] == {"path": "kb/D.md"}, "what is empty is left out"
    assert data.endswith(b"\n") and data.count(b"\n") > 5
    assert "甲".encode() in to_bytes("kb", (), {"a": Entry("kb/甲.md")})


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"{}", b"\xff", b'{"notes": []}', b'{"notes": {"a": 1}, "format": 2}', b"[" * 10**5]
)
def test_a_damaged_manifest_remembers_nothing(tmp_path: Path, damage: bytes) -> None:
    assert read(tmp_path, damage) == Manifest(f"kb/{MANIFEST}", "kb", (), {})
    assert read_manifest(tmp_path, f"none/{MANIFEST}").known == {}


@pytest.mark.parametrize(
    "note",
    [{"path": 1}, {"path": None}, {"also": [1]}, {"also": ["kb/B.md", None]}, {"owned": []}, {"owned": "x"}],
)
def test_a_note_that_kb_does_not_write_so_is_not_believed(tmp_path: Path, note: dict[str, Any]) -> None:
    assert read(tmp_path, told(**note)).known == {}


@pytest.mark.parametrize(
    ("note", "entry"),
    [
        ({}, Entry("kb/A.md", owned={})),
        ({"placed": 1}, Entry("kb/A.md", owned={})),
        ({"placed": True}, Entry("kb/A.md", placed=True, owned={})),
        ({"file": "f", "region": "r"}, Entry("kb/A.md", file="f", region="r", owned={})),
        ({"also": ["x"]}, Entry("kb/A.md", also=("x",), owned={})),
        ({"owned": {"a": 1, "b": "x", "c": ["y"], "d": [1], "e": {}, "f": None}}, None),
    ],
)
def test_of_a_note_is_kept_what_kb_may_have_written(tmp_path: Path, note: dict[str, Any], entry: Entry | None) -> None:
    expected = entry or Entry("kb/A.md", owned={"a": 1, "b": "x", "c": ["y"]})
    assert read(tmp_path, told(**note)).known == {"a": expected}


def test_an_older_manifest_tells_no_places(tmp_path: Path) -> None:
    found = read(tmp_path, told(region="r") | {"format": FORMAT - 1})
    assert found.known == {"a": Entry("", region="r", owned={})}
    assert found.languages == ("en",)


def test_what_a_manifest_does_not_say_is_as_usual(tmp_path: Path) -> None:
    found = read(tmp_path, {"format": FORMAT, "notes": {}})
    assert (found.home, found.languages) == ("kb", ())
    assert read(tmp_path, {"format": FORMAT, "notes": {}, "languages": ["en", "de", "zh"]}).languages == ("en", "zh")


def test_a_link_in_the_place_of_a_manifest_is_not_followed(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.json"
    real.write_text(json.dumps(told()), encoding="utf-8")
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / MANIFEST).symlink_to(real)
    assert read_manifest(tmp_path, f"kb/{MANIFEST}").known == {}


@pytest.mark.parametrize(
    ("path", "home", "root", "moved"),
    [
        (f"kb/{MANIFEST}", "kb", "", "kb/A.md"),  # where it was written
        (f"sub/kb/{MANIFEST}", "kb", "sub", "sub/kb/A.md"),  # the vault lies in another one
        (f"other/{MANIFEST}", "kb", None, "other/A.md"),  # the folder was renamed
        (f"kb/{MANIFEST}", "", "kb", "kb/kb/A.md"),
        (f"akb/{MANIFEST}", "kb", None, "akb/A.md"),  # only the ends of the names are alike
    ],
)
def test_places_are_those_of_the_root_that_is_looked_at(path: str, home: str, root: str | None, moved: str) -> None:
    found = Manifest(path, home, (), {"a": Entry("kb/A.md", also=("kb/A.md",)), "b": Entry("")})
    assert found.root == root
    assert found.entries()["a"] == Entry(moved, also=(moved,))
    assert found.entries()["b"].path == ""


def test_what_lies_outside_of_a_folder_stays_where_it_is_when_that_is_renamed() -> None:
    found = Manifest(f"other/{MANIFEST}", "kb", (), {"a": Entry("mine/A.md"), "b": Entry("kbx/A.md")})
    assert [entry.path for entry in found.entries().values()] == ["mine/A.md", "kbx/A.md"]


def test_the_folder_of_the_notes_is_no_vault_of_its_own(tmp_path: Path) -> None:
    inner = tmp_path / "vault" / "deep" / "kb"
    with pytest.raises(KbError, match="holds the notes of the export to") as raised:
        read(inner, told() | {"home": "deep/kb"}, MANIFEST)
    assert raised.value.message.en.endswith(f" {tmp_path / 'vault'}")
    assert read(inner, told() | {"home": ""}, MANIFEST).known
    assert not read(inner, told() | {"notes": {}}, MANIFEST).known


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a" * LONGEST, "a" * LONGEST),
        ("a" * (LONGEST + 1), "a" * LONGEST),
        ("a" * (LONGEST - 1) + "深", "a" * (LONGEST - 1)),  # no half of a character
        ("a" * (LONGEST - 1) + " b", "a" * (LONGEST - 1)),  # no space at the end
        ("a \t\n b", "a b"),
        ("a%%b%%%c%d", "a%b%c%d"),  # a comment of Obsidian
        ("con.tar.x", "con.tar.x-"),
        ("LPT9", "LPT9-"),
        ("lpt", "lpt"),
        ("console", "console"),
        ("...", "Untitled"),
        ("a. .", "a"),
        ("x" * 20_000, "x" * LONGEST),
    ],
)
def test_a_name_fits_every_file_system(text: str, name: str) -> None:
    assert note_name(text) == name


def test_names_that_one_file_system_takes_for_one_have_one_key() -> None:
    assert collision_key("E\u0301t\u00c9") == collision_key("\u00e9te\u0301")
    assert collision_key("Straße") == collision_key("STRASSE")
    assert collision_key("a") != collision_key("b")
