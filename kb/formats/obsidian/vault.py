"""A folder of notes as it is found: which of them are kb's, which names are taken, what kb remembers of it."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from kb import files
from kb.errors import KbError
from kb.files import State
from kb.formats.obsidian.filenames import collision_key
from kb.formats.obsidian.note import Properties, parse
from kb.language.text import Bilingual

MANIFEST = ".kb-manifest.json"
FORMAT = 2
BOM = b"\xef\xbb\xbf"
LARGEST = 16_000_000
"""Bytes of a note; a larger one is none of kb's."""


@dataclass(frozen=True, slots=True)
class Found:
    """A note of kb's as it lies there."""

    path: str
    text: str
    bom: bool
    state: State

    def to_bytes(self, text: str) -> bytes:
        """A new text in the same manner; bytes that are not UTF-8 come back as they were."""
        return (BOM if self.bom else b"") + text.encode("utf-8", "surrogateescape")


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
    owned: Properties | None = None
    """The properties as kb wrote them."""


@dataclass(slots=True)
class Vault:
    """What is there, every path relative to the root."""

    root: Path
    home: str
    """The folder that notes go to; empty for the root itself."""
    notes: dict[str, Found] = field(default_factory=dict)
    copies: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By id, what else carries it."""
    odd: dict[str, Bilingual] = field(default_factory=dict)
    """What cannot be read, and why."""
    taken: set[str] = field(default_factory=set)
    """Every path that ends like a note's, folders and links included, as `collision_key` has it."""
    names: Counter[str] = field(default_factory=Counter)
    """How many notes have a name, wherever they lie."""
    known: dict[str, Entry] = field(default_factory=dict)
    manifests: list[str] = field(default_factory=list)
    """The manifests of the root, the home's own and those of earlier homes."""
    litter: set[str] = field(default_factory=set)
    """Folders in which a crash left something."""


class _Listing(NamedTuple):
    """Everything below a root that matters, before a note is opened."""

    notes: list[str]
    others: list[str]
    manifests: list[str]
    vaults: list[str]
    litter: set[str]


def look(root: Path, home: str | None) -> Vault:
    """Find out what lies in a folder. Other vaults in it are left alone, and so is what is hidden.

    Args:
        home: The folder of the notes, from the root; None for the one that is in use, or else kb.

    Raises:
        OSError, KbError: the folder cannot be read, or its home leads elsewhere.
    """
    listing = _list(root)
    manifests = {path: _read_manifest(root, path) for path in listing.manifests}
    ours = [path for path, (at, _) in manifests.items() if at == ""]
    inner = listing.vaults + [at for at, _ in manifests.values() if at]
    vault = Vault(root, _home(root, home, ours), manifests=ours, litter=listing.litter)
    for path in sorted(ours, key=lambda path: _folder(path) == vault.home):
        vault.known |= manifests[path][1]
    vault.taken = {collision_key(path) for path in listing.notes + listing.others}
    vault.names = Counter(name_key(path) for path in listing.notes)
    carried: dict[str, list[Found]] = defaultdict(list)
    for path in listing.notes:
        if not any(path.startswith(f"{other}/") for other in inner):
            _open(vault, path, carried)
    for id, found in carried.items():
        _choose(vault, id, found)
    return vault


def name_key(path: str) -> str:
    """What a link by name alone says of a note; case does not matter to it."""
    return collision_key(PurePosixPath(path).stem)


def _list(root: Path) -> _Listing:
    listing = _Listing([], [], [], [], set())
    for parent, folders, names in os.walk(root):
        here = Path(parent).relative_to(root).as_posix()
        inside = "" if here == "." else f"{here}/"
        if ".obsidian" in folders and inside:
            listing.vaults.append(here)
        listing.others.extend(inside + name for name in folders if name.endswith(".md"))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name == MANIFEST:
                listing.manifests.append(inside + name)
            elif name.startswith(".kb-"):
                listing.litter.add(inside)
            elif name.endswith(".md") and not name.startswith("."):
                listing.notes.append(inside + name)
    return listing


def _home(root: Path, asked: str | None, manifests: list[str]) -> str:
    """The folder of the notes: as asked, or as it was, or kb."""
    if asked is None:
        asked = _folder(manifests[0]) if len(manifests) == 1 else "kb"
    path = PurePosixPath(asked.replace(os.sep, "/"))
    if path.is_absolute() or any(part.startswith(".") for part in path.parts):
        raise KbError(
            Bilingual(f"--folder {asked}: not a folder inside {root}", f"--folder {asked}：不是 {root} 中的文件夹"),
            Bilingual("name one without .. and dots in front, such as kb", "请给出不含 .. 且不以点开头的名称，例如 kb"),
        )
    for folder in [path, *path.parents]:
        place = root / folder
        is_link = place.is_symlink() and place != root
        if is_link or (place.exists() and not place.is_dir()):
            raise KbError(
                Bilingual(f"{place} is not a folder", f"{place} 不是文件夹"),
                Bilingual("move it away, or export to another folder", "请移走它，或导出到其他文件夹"),
            )
    return "" if path == PurePosixPath(".") else path.as_posix()


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _read_manifest(root: Path, path: str) -> tuple[str, dict[str, Entry]]:
    """The root that a manifest is of ("" for ours), and what it remembers; nothing where it is damaged.

    Raises:
        KbError: the root is itself the folder of notes of a vault around it.
    """
    here = _folder(path)
    try:
        told = json.loads(files.read(root / path, follow=False).data)
        at = os.path.normpath(Path(here or ".", told.get("root", ".."))).replace(os.sep, "/")
        known = {str(id): entry for id, value in told["notes"].items() if (entry := _entry(value)) is not None}
        if told["format"] != FORMAT:  # the older one did not tell whose place a path was
            known = {id: entry._replace(path="") for id, entry in known.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", {}  # lost: the ids in the notes stand in for it
    if at.startswith("..") and not here:
        outer = (root / at).resolve()
        raise KbError(
            Bilingual(f"{root} holds the notes of the export to {outer}", f"{root} 存放的是导出到 {outer} 的笔记"),
            Bilingual(f"kb export obsidian {outer}", f"kb export obsidian {outer}"),
        )
    return (here if at.startswith("..") else "" if at == "." else at), known


def _entry(value: Any) -> Entry | None:
    """What a manifest says of one note; None where that is nothing that kb writes."""
    path, also, owned = value.get("path"), value.get("also", ()), value.get("owned", {})
    is_sound = isinstance(path, str) and all(isinstance(other, str) for other in also) and isinstance(owned, dict)
    if not is_sound:
        return None
    plain = {key: item for key, item in owned.items() if _is_value(item)}
    return Entry(path, value.get("placed") is True, tuple(also), str(value.get("file", "")), plain)


def _is_value(item: Any) -> bool:
    return isinstance(item, str | int) or (isinstance(item, list) and all(isinstance(text, str) for text in item))


def _open(vault: Vault, path: str, carried: dict[str, list[Found]]) -> None:
    """Read a note that may be kb's, and put it under the id that it carries."""
    try:
        if files.head(vault.root / path, 6).removeprefix(BOM).startswith(b"---"):
            found = read_note(vault.root, path)
            if id := parse(found.text).id:
                carried[id].append(found)
    except OSError as error:
        if error.errno != errno.ELOOP:  # links are left alone without a word
            vault.odd[path] = files.reason(error)


def read_note(root: Path, path: str) -> Found:
    """A note as it is now.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    data, state = files.read(root / path, follow=False, most=LARGEST)
    return to_found(path, data, state)


def to_found(path: str, data: bytes, state: State) -> Found:
    """A note of these bytes."""
    return Found(path, data.removeprefix(BOM).decode("utf-8", "surrogateescape"), data.startswith(BOM), state)


def _choose(vault: Vault, id: str, found: list[Found]) -> None:
    """Of several notes of one id, the one that kb knows, or else the one that lies nearest to home."""
    entry = vault.known.get(id, Entry(""))
    places = (entry.path, *entry.also)

    def rank(note: Found) -> tuple[object, ...]:
        known = places.index(note.path) if note.path in places else len(places)
        return known, _folder(note.path) != vault.home, len(note.path), note.path

    first, *others = sorted(found, key=rank)
    vault.notes[id] = first
    if others:
        vault.copies[id] = [note.path for note in others]


def walk_entries(known: dict[str, Entry]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a manifest holds, by id; what is empty is left out."""
    for id, entry in sorted(known.items()):
        told = {key: value for key, value in entry._asdict().items() if value}
        yield id, {key: list(value) if key == "also" else value for key, value in told.items()}
