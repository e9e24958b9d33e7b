"""A checker for exported vaults, with Obsidian's own resolution order."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import yaml

CODE = re.compile(r"^([> ]*)(```+)[^`\n]*\n.*?^\1\2 *$", re.M | re.S)
"""A fenced block: brackets in it link to nothing."""
LINK = re.compile(r"(?<!\\)\[\[([^\[\]|#]+)(#[^\[\]|]+)?(?:\\?\|([^\[\]]+))?\]\]")


def read(path: Path) -> tuple[dict[str, Any], str]:
    """A note's properties and its text."""
    text = path.read_bytes().decode("utf-8")
    assert "\r" not in text
    assert text.startswith("---\n")
    front, _, body = text[4:].partition("\n---\n")
    return yaml.safe_load(front), body


def key(path: str) -> str:
    """Case and composition do not matter to a link."""
    return unicodedata.normalize("NFC", path).casefold()


def notes_of(vault: Path) -> list[str]:
    """Every note, by its path from the root; what is hidden is none."""
    paths = (path.relative_to(vault) for path in sorted(vault.rglob("*.md")) if path.is_file())
    return [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]


def resolve(notes: list[str], source: str, target: str) -> str | None:
    """The note that a link reaches from another, or None: the exact path from the root, a note of the own folder, or
    else the one with the shortest path of those that end so. Case does not matter, and aliases are not looked at."""
    wanted = key(target.removesuffix(".md") + ".md")
    folder = source.rpartition("/")[0]
    by_key = {key(path): path for path in notes}
    for exact in (wanted, key(f"{folder}/") + wanted):
        if exact in by_key:
            return by_key[exact]
    ends = [path for path in notes if key(path).endswith(f"/{wanted}")]
    return min(ends, key=lambda path: (path.count("/"), len(path), path), default=None)


def links(vault: Path, source: str) -> dict[str, str | None]:
    """Every link of a note, properties included but not code, and the note that it reaches."""
    notes = notes_of(vault)
    text = CODE.sub("", (vault / source).read_bytes().decode("utf-8", "replace"))
    return {match[0]: resolve(notes, source, match[1]) for match in LINK.finditer(text)}


def id_of(vault: Path, path: str) -> str:
    """The concept that a note says it is of."""
    found = re.search(r'^kb-id: "?([a-z0-9-]+)"?\r?$', (vault / path).read_bytes().decode("utf-8", "replace"), re.M)
    return found[1] if found else ""


def faults(vault: Path) -> list[str]:
    """What Obsidian would stumble over in kb's notes, and which of their links open other notes."""
    found: list[str] = []
    notes = notes_of(vault)
    types: dict[str, type] = {}
    names: set[str] = set()
    for path in (vault / note for note in notes if id_of(vault, note)):
        properties, body = read(path)
        stem = path.stem
        if (
            re.search(r'[\[\]#^|?<>:*"\\]', stem)
            or stem != unicodedata.normalize("NFC", stem)
            or len(stem.encode()) > 240
        ):
            found.append(f"{path.name}: bad name")
        if stem.casefold() in names:
            found.append(f"{path.name}: differs from another only in case")
        names.add(stem.casefold())
        for name, value in properties.items():
            kind = type(value)
            if types.setdefault(name, kind) is not kind:
                found.append(f"{path.name}: {name} is a {kind.__name__} here, elsewhere a {types[name].__name__}")
            if kind not in (str, int, list) or (kind is list and not all(isinstance(item, str) for item in value)):
                found.append(f"{path.name}: {name} is not flat")
        for tag in properties.get("tags", []):
            if not re.fullmatch(r"[\w/-]+", tag) or tag.isdigit():
                found.append(f"{path.name}: bad tag {tag}")
        quoted = [item for value in properties.values() if isinstance(value, list) for item in value]
        for text in (CODE.sub("", body), *(item for item in quoted if item.startswith("[["))):
            for match in LINK.finditer(text):
                reached = resolve(notes, path.relative_to(vault).as_posix(), match[1])
                if reached is None:
                    found.append(f"{path.name}: no note {match[1]}")
                elif not id_of(vault, reached):
                    found.append(f"{path.name}: {match[0]} opens {reached}, a note of the user's")
        if any("[[" in comment for comment in re.findall(r"%%.*?%%", body, re.DOTALL)):
            found.append(f"{path.name}: a link inside a comment")
    return found
