"""A folder of notes as it is found: which of them are kb's, which names are taken, what kb remembers of it."""

from __future__ import annotations

import errno
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from kb import files
from kb.errors import KbError
from kb.files import State
from kb.formats.obsidian.filenames import collision_key
from kb.formats.obsidian.manifest import MANIFEST, Entry, Manifest, read_manifest
from kb.formats.obsidian.note import parse
from kb.language.text import Bilingual, Language

LINKED = 20_000
"""Folders behind one link that are looked into."""
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
    languages: tuple[Language, ...] = ()
    """Those of the last export."""
    litter: set[str] = field(default_factory=set)
    """Folders in which a crash left something."""


class _Listing(NamedTuple):
    """Everything below a root that matters, before a note is opened."""

    notes: list[str]
    others: list[str]
    manifests: list[str]
    vaults: list[str]
    linked: list[str]
    """Notes behind links to folders."""
    litter: set[str]


def look(folder: Path, asked: str | None) -> Vault:
    """Find out what lies in a folder, and what the vault that it belongs to calls its notes.

    Other vaults in it are left alone, and so is what is hidden; of what lies in the vault beside it, only the names
    count.

    Args:
        asked: The folder of the notes, from the one that was named; None for the one that is in use, or else kb.

    Raises:
        OSError, KbError: the folder cannot be read, or its home leads elsewhere.
    """
    root = _root_of(folder)
    base = "" if root == folder else folder.resolve().relative_to(root.resolve()).as_posix()
    listing = _list(root)
    manifests = [read_manifest(root, path) for path in listing.manifests if _is_in(path, base)]
    wanted = None if asked is None else _checked(root, f"{base}/{asked}" if base else asked)
    ours = _ours(manifests, wanted, base, is_vault=(root / ".obsidian").is_dir(), inner=listing.vaults)
    home = ours[-1].folder if wanted is None and ours else _checked(root, f"{base}/kb" if base else "kb")
    vault = Vault(root, home if wanted is None else wanted)
    vault.manifests = [found.path for found in ours]
    vault.litter = {place for place in listing.litter if _is_in(place, base)}
    for found in sorted(ours, key=lambda found: found.folder == vault.home):
        vault.known |= found.entries()
        vault.languages = found.languages or vault.languages
    vault.taken = {collision_key(path) for path in listing.notes + listing.others + listing.linked}
    vault.names = Counter(name_key(path) for path in listing.notes + listing.linked)
    foreign = [found.root for found in manifests if found.root and found not in ours]
    inner = [place for place in listing.vaults + foreign if not f"{vault.home}/".startswith(f"{place}/")]
    _take_in(
        vault, [path for path in listing.notes if _is_in(path, base) and not any(_is_in(path, at) for at in inner)]
    )
    return vault


def _take_in(vault: Vault, paths: Sequence[str]) -> None:
    """Read the notes that may be kb's, and choose one for each concept."""
    carried: dict[str, list[Found]] = defaultdict(list)
    for path in paths:
        _open(vault, path, carried)
    for id, notes in carried.items():
        _choose(vault, id, notes)


def _root_of(folder: Path) -> Path:
    """The vault that a folder lies in, or the folder itself: links by name are looked up over a whole vault."""
    above = folder.resolve()
    found = next((place for place in (above, *above.parents) if (place / ".obsidian").is_dir()), above)
    return folder if found == above else found


def _is_in(path: str, base: str) -> bool:
    return not base or path.startswith(f"{base}/")


def _ours(
    manifests: Sequence[Manifest], wanted: str | None, base: str, *, is_vault: bool, inner: Sequence[str]
) -> list[Manifest]:
    """The manifests of this vault, the one that counts most last.

    One that was written for another root is another vault's, unless its folder is the one that is wanted. Where the
    vault has none of its own, a single one that was moved is its own: with its folder, or, where Obsidian has not
    opened the place that it would be of, deeper into the vault.
    """
    ours = [found for found in manifests if found.root in ("", base)]
    ours.sort(key=lambda found: any(entry.also for entry in found.known.values()))
    ours += [found for found in manifests if found.folder == wanted and found not in ours]
    others = [found for found in manifests if not any(_is_in(found.path, vault) for vault in inner)]
    strangers = [found for found in others if found.root is None or is_vault]
    return ours or (strangers if len(strangers) == 1 else [])


def name_key(path: str) -> str:
    """What a link by name alone says of a note; case does not matter to it."""
    return collision_key(PurePosixPath(path).stem)


def _list(root: Path) -> _Listing:
    listing = _Listing([], [], [], [], [], set())
    for parent, folders, names in os.walk(root):
        here = Path(parent).relative_to(root).as_posix()
        inside = "" if here == "." else f"{here}/"
        if ".obsidian" in folders and inside:
            listing.vaults.append(here)
        listing.others.extend(inside + name for name in folders if _is_note(name))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if Path(parent, name).is_symlink():
                listing.linked.extend(inside + path for path in _linked(Path(parent, name)))
        for name in sorted(names):
            if name == MANIFEST:
                listing.manifests.append(inside + name)
            elif name.startswith(".kb-"):
                listing.litter.add(inside)
            elif _is_note(name):
                listing.notes.append(inside + name)
    return listing


def _is_note(name: str) -> bool:
    return name.lower().endswith(".md") and not name.startswith(".")


def _linked(folder: Path) -> Iterator[str]:
    """The notes behind a link to a folder: they count by their names, and are never opened."""
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        state = os.stat(parent)  # noqa: PTH116  (what os.walk gives)
        if (state.st_dev, state.st_ino) in seen or len(seen) > LINKED:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name).relative_to(folder.parent).as_posix() for name in names if _is_note(name))


def _checked(root: Path, home: str) -> str:
    """The folder of the notes, if it lies in the vault and links can lead there."""
    path = PurePosixPath(home.replace(os.sep, "/"))
    is_odd = (
        not home.strip("/ ")
        or path.is_absolute()
        or any(part.startswith(".") or re.search(r"[#^|\[\]]", part) for part in path.parts)
    )
    if is_odd:
        raise KbError(
            Bilingual(f"'{home}' is not a folder inside {root}", f"“{home}”不是 {root} 中的文件夹"),
            Bilingual(
                "name one without .., dots in front and # ^ | [ ], such as kb",
                "请给出不含 .. 和 # ^ | [ ] 且不以点开头的名称，例如 kb",
            ),
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
