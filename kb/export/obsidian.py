"""The knowledge base as a folder of Obsidian notes, kept in step without ever losing what the user wrote.

The notes live in a subfolder of their own. Each carries its id, so that one that was renamed, or whose manifest was
lost, is known again. First everything is planned; then, unless it is a dry run, the plan is carried out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kb.errors import KbError
from kb.export.filenames import collision_key, note_name
from kb.export.note import ID_KEY, Note, Properties, assemble, make_properties, make_region, parse
from kb.paths import write_all, write_atomically
from kb.text import Bilingual, Language

SUBFOLDER = "kb"
MANIFEST = ".kb-manifest.json"
BOM = b"\xef\xbb\xbf"

Action = Literal["create", "update", "rename", "unchanged", "conflict", "deleted", "prune", "keep"]


@dataclass(frozen=True, slots=True)
class Options:
    """How to export."""

    languages: tuple[Language, ...]
    force: bool = False
    prune: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done with one note; `old` is where it lies now when it is renamed."""

    action: Action
    id: str
    path: str
    text: str = ""
    old: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A note of ours as it lies there: its text with plain line ends, and how its bytes were written."""

    path: str
    text: str
    bom: bool
    crlf: bool

    def to_bytes(self, text: str) -> bytes:
        """A new text in the same manner; bytes that are not UTF-8 come back as they were."""
        ended = text.replace("\n", "\r\n") if self.crlf else text
        return (BOM if self.bom else b"") + ended.encode("utf-8", "surrogateescape")


@dataclass(slots=True)
class Vault:
    """What is there: the notes that carry an id, by id, all note names, and what the manifest remembers."""

    root: Path
    notes: dict[str, Found] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)


def export(cards: Sequence[Mapping[str, Any]], folder: Path, options: Options) -> list[Step]:
    """Write or update one note a concept below `folder`, and say what was done with each.

    Raises:
        KbError: the folder cannot be read or written, or leads outside itself by a link.
    """
    try:
        vault = _look(folder)
        steps = _plan(cards, vault, options)
        if not options.dry_run:
            _carry_out(steps, vault, {card["id"]: card for card in cards}, options)
    except OSError as error:
        why = f"{error.strerror or error}: {error.filename or folder}"
        raise KbError(Bilingual(f"cannot export to {folder}: {why}", f"无法导出到 {folder}：{why}")) from error
    return steps


def _look(folder: Path) -> Vault:
    """Find the notes that are ours, wherever in the folder the user has moved them."""
    vault = Vault(folder)
    home = folder / SUBFOLDER
    if home.is_symlink() or (home.exists() and not home.is_dir()):
        raise KbError(
            Bilingual(f"{home} is not a folder", f"{home} 不是文件夹"),
            Bilingual("move it away, or export to another folder", "请移走它，或导出到其他文件夹"),
        )
    for path in _markdown(folder):
        relative = path.relative_to(folder).as_posix()
        vault.taken.add(collision_key(relative))
        with path.open("rb") as file:
            if not file.read(6).removeprefix(BOM).startswith(b"---"):
                continue
        found = _read(path, relative)
        id = parse(found.text).value(ID_KEY)
        if isinstance(id, str):
            vault.notes.setdefault(id, found)
    manifest = home / MANIFEST
    try:
        known = json.loads(manifest.read_text(encoding="utf-8"))["notes"] if manifest.exists() else {}
        vault.known = {id: entry for id, entry in known.items() if isinstance(entry.get("path"), str)}
    except (ValueError, KeyError, TypeError, AttributeError):
        vault.known = {}  # lost: the ids in the notes stand in for it
    return vault


def _read(path: Path, relative: str) -> Found:
    content = path.read_bytes()
    text = content.removeprefix(BOM).decode("utf-8", "surrogateescape")
    return Found(relative, text.replace("\r\n", "\n"), content.startswith(BOM), "\r\n" in text)


def _markdown(folder: Path) -> Iterator[Path]:
    """Every note of the vault; hidden folders and links are left alone."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (
            Path(parent, name) for name in sorted(files) if name.endswith(".md") and not Path(parent, name).is_symlink()
        )


def _plan(cards: Sequence[Mapping[str, Any]], vault: Vault, options: Options) -> list[Step]:
    paths = _paths(cards, vault, options)
    steps = [_step(card, paths, vault, options) for card in cards]
    if options.prune:
        steps += _prune(set(paths), vault)
    return steps


def _paths(cards: Sequence[Mapping[str, Any]], vault: Vault, options: Options) -> dict[str, str]:
    """Where each note lies or will lie.

    A note that the user moved, or edited inside our region, stays where it is, and so does one whose concept is gone:
    no other note may take its place.
    """
    titles = {card["id"]: note_name(card["name"][options.languages[0]]) for card in cards}
    paths: dict[str, str] = {}
    movable: set[str] = set()
    for id, found in vault.notes.items():
        remembered = vault.known.get(id, {}).get("path", found.path)
        is_moved = found.path not in (remembered, f"{SUBFOLDER}/{titles.get(id)}.md")
        if id in titles and (is_moved or (parse(found.text).is_edited and not options.force)):
            paths[id] = found.path
        elif id in titles:
            movable.add(collision_key(found.path))
    used = {collision_key(path) for path in paths.values()}
    for id, title in titles.items():
        if id not in paths:
            suffixes = ("", f" ({id})", *(f" ({id} {n})" for n in range(2, 99)))
            tried = (f"{SUBFOLDER}/{title}{suffix}.md" for suffix in suffixes)
            paths[id] = next(
                path
                for path in tried
                if collision_key(path) not in used
                and (collision_key(path) not in vault.taken or collision_key(path) in movable)
            )
            used.add(collision_key(paths[id]))
    return paths


def _step(card: Mapping[str, Any], paths: Mapping[str, str], vault: Vault, options: Options) -> Step:
    id, path = card["id"], paths[card["id"]]
    found = vault.notes.get(id)
    here, text = (found.path, found.text) if found else ("", "")
    if not here and id in vault.known and not options.force:
        return Step("deleted", id, path)
    note = parse(text)
    properties = _merged(make_properties(card, Path(path).stem, _linker(paths, path)), note, vault.known.get(id, {}))
    region = make_region(card, options.languages, _linker(paths, path))
    if here and note.is_edited and note.region != region and not options.force:
        return Step("conflict", id, here)
    new = assemble(note, properties, region)
    if here and here != path:
        return Step("rename", id, path, new, here)
    if here:
        return Step("unchanged" if new == text else "update", id, path, new)
    return Step("create", id, path, new)


def _linker(paths: Mapping[str, str], source: str) -> Any:
    """Links from one note: by name inside the subfolder, by path from and to notes that were moved."""

    def link(id: str, shown: str) -> str:
        if id not in paths:
            return shown
        home = all(path.rpartition("/")[0] == SUBFOLDER for path in (paths[id], source))
        target = Path(paths[id]).stem if home else paths[id].removesuffix(".md")
        text = shown.replace("|", "-").replace("]]", "")
        return f"[[{target}|{text}]]" if text and text != target else f"[[{target}]]"

    return link


def _merged(ours: Properties, note: Note, entry: Mapping[str, Any]) -> Properties:
    """Our properties, with what the user added to our lists kept, and what they took out left out."""
    before = entry.get("owned", {})
    merged: Properties = {}
    for key, value in ours.items():
        theirs, old = note.value(key), before.get(key, [])
        if isinstance(value, list) and isinstance(theirs, list) and isinstance(old, list):
            kept = [item for item in value if item in theirs or item not in old]
            value = kept + [item for item in map(str, theirs) if item not in old and item not in kept]
        merged[key] = value
    return merged


def _prune(current: set[str], vault: Vault) -> list[Step]:
    """Notes of concepts that are gone, where the user has left them as they were written."""
    gone = sorted(id for id in vault.notes if id not in current and id in vault.known)
    steps = []
    for id in gone:
        note = parse(vault.notes[id].text)
        untouched = not note.is_edited and not note.before.strip() and not note.after.strip()
        steps.append(Step("prune" if untouched else "keep", id, vault.notes[id].path))
    return steps


def _carry_out(steps: Sequence[Step], vault: Vault, cards: Mapping[str, Mapping[str, Any]], options: Options) -> None:
    home = vault.root / SUBFOLDER
    home.mkdir(parents=True, exist_ok=True)
    written = [step for step in steps if step.action in ("create", "update", "rename")]
    plain = Found("", "", bom=False, crlf=False)
    write_all({vault.root / s.path: vault.notes.get(s.id, plain).to_bytes(s.text) for s in written})
    for step in steps:
        old = vault.root / (step.old if step.action == "rename" else step.path)
        if step.action == "prune" or (step.action == "rename" and not _is_written(old, vault.root, written)):
            old.unlink(missing_ok=True)
    paths = {step.id: step.path for step in steps if step.id in cards}
    notes = {
        step.id: {
            "path": step.path,
            "owned": make_properties(cards[step.id], Path(step.path).stem, _linker(paths, step.path)),
        }
        for step in steps
        if step.id in cards and step.action != "conflict"
    }
    pruned = {step.id for step in steps if step.action == "prune"}
    notes |= {id: vault.known[id] for id in vault.notes if id in vault.known and id not in notes and id not in pruned}
    content = json.dumps({"format": 1, "notes": dict(sorted(notes.items()))}, ensure_ascii=False, indent=1) + "\n"
    manifest = home / MANIFEST
    if not manifest.exists() or manifest.read_text(encoding="utf-8") != content:
        write_atomically(manifest, content.encode())


def _is_written(path: Path, root: Path, steps: Sequence[Step]) -> bool:
    """Whether a path is one that was just written; on some systems case does not tell two names apart."""
    return path.exists() and any((root / step.path).samefile(path) for step in steps)
