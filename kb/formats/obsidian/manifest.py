"""What kb remembers of a vault: a file beside the notes, which may be lost, damaged, moved or copied by the user."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kb import files
from kb.errors import KbError, Way
from kb.formats.obsidian.note import Properties
from kb.language.text import LANGUAGES, Bilingual, Language

MANIFEST = ".kb-manifest.json"
FORMAT = 2
LARGEST = 100_000_000
"""Bytes of a manifest."""


class Entry(NamedTuple):
    """What kb remembers of a note."""

    path: str
    """Where it lay, from the vault's root."""
    placed: bool = False
    """The user put it there: it stays."""
    also: tuple[str, ...] = ()
    """Where it may lie as well, should a renaming have been interrupted."""
    file: str = ""
    """The hash of the file, where nothing in it was the user's."""
    region: str = ""
    """The hash of kb's part, whatever its links are called."""
    owned: Properties | None = None
    """The properties as kb wrote them."""


class Manifest(NamedTuple):
    """One such file."""

    path: str
    """Where it lies, from the root that is looked at."""
    home: str
    """Where its folder lay, from the root that it was written for."""
    languages: tuple[Language, ...]
    known: Mapping[str, Entry]

    @property
    def folder(self) -> str:
        """Where its folder lies."""
        return self.path.rpartition("/")[0]

    @property
    def root(self) -> str | None:
        """The root that it was written for, from ours; None where its folder was moved or copied since."""
        here, home = self.folder, self.home
        if here == home:
            return ""
        if not home:
            return here
        return here.removesuffix(f"/{home}") if here.endswith(f"/{home}") else None

    def entries(self) -> dict[str, Entry]:
        """What it remembers, every path from our root, as if its folder had always lain here."""

        def moved(path: str) -> str:
            if self.root is not None:
                return f"{self.root}/{path}".removeprefix("/")
            is_inside = not self.home or path.startswith(f"{self.home}/")
            return f"{self.folder}/{path.removeprefix(self.home).removeprefix('/')}" if is_inside else path

        return {
            id: entry._replace(path=entry.path and moved(entry.path), also=tuple(map(moved, entry.also)))
            for id, entry in self.known.items()
        }


def read_manifest(root: Path, path: str) -> Manifest:
    """A manifest; one that is damaged remembers nothing.

    Raises:
        KbError: the root is itself the folder of notes of a vault around it.
    """
    try:
        told = json.loads(files.read(root / path, follow=False, most=LARGEST).data)
        home, languages = told.get("home", "kb"), tuple(one for one in told.get("languages", ()) if one in LANGUAGES)
        known = {str(id): entry for id, value in told["notes"].items() if (entry := _entry(value)) is not None}
        if told["format"] != FORMAT:  # the older one did not tell whose place a path was
            known = {id: entry._replace(path="") for id, entry in known.items()}
        found = Manifest(path, str(home), languages, known)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found = Manifest(path, "kb", (), {})  # lost: the ids in the notes stand in for it
    if not found.folder and found.home and found.known:
        outer = root.resolve().parents[found.home.count("/")]
        raise KbError(
            Bilingual(f"{root} holds the notes of the export to {outer}", f"{root} 存放的是导出到 {outer} 的笔记"),
            ways=[Way("export", str(outer))],
        )
    return found


def _entry(value: Any) -> Entry | None:
    """What a manifest says of one note; None where that is nothing that kb writes."""
    path, also, owned = value.get("path"), value.get("also", ()), value.get("owned", {})
    is_sound = isinstance(path, str) and all(isinstance(other, str) for other in also) and isinstance(owned, dict)
    if not is_sound:
        return None
    plain = {key: item for key, item in owned.items() if _is_value(item)}
    file, region = str(value.get("file", "")), str(value.get("region", ""))
    return Entry(path, value.get("placed") is True, tuple(also), file, region, plain)


def _is_value(item: Any) -> bool:
    return isinstance(item, str | int) or (isinstance(item, list) and all(isinstance(text, str) for text in item))


def to_bytes(home: str, languages: Sequence[Language], known: Mapping[str, Entry]) -> bytes:
    """A manifest's file; what is empty is left out."""
    notes = {}
    for id, entry in sorted(known.items()):
        told = {key: value for key, value in entry._asdict().items() if value}
        notes[id] = {key: list(value) if key == "also" else value for key, value in told.items()}
    told = {"format": FORMAT, "home": home, "languages": list(languages), "notes": notes}
    return (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "surrogatepass")
