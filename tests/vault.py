"""A checker for exported vaults, with Obsidian's own resolution order."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import yaml

LINK = re.compile(r"(?<!\\)\[\[([^\[\]|#]+)(#[^\[\]|]+)?(?:\\?\|([^\[\]]+))?\]\]")


def read(path: Path) -> tuple[dict[str, Any], str]:
    """A note's properties and its text."""
    text = path.read_bytes().decode("utf-8")
    assert "\r" not in text
    assert text.startswith("---\n")
    front, _, body = text[4:].partition("\n---\n")
    return yaml.safe_load(front), body


def resolve(vault: Path, source: Path, target: str) -> Path | None:
    """The note that a link means: exact path, own folder, shortest path; case does not matter."""

    def key(path: str) -> str:
        return unicodedata.normalize("NFC", path).casefold()

    notes = {key(path.relative_to(vault).as_posix()): path for path in vault.rglob("*.md")}
    wanted = key(target + ".md")
    own = key((source.parent.relative_to(vault) / (target + ".md")).as_posix())
    if wanted in notes or own in notes:
        return notes.get(wanted) or notes[own]
    ends = sorted((path for path in notes if path.endswith("/" + wanted)), key=lambda path: path.count("/"))
    return notes[ends[0]] if ends else None


def faults(vault: Path) -> list[str]:
    """What Obsidian would stumble over."""
    found: list[str] = []
    types: dict[str, type] = {}
    names: set[str] = set()
    for path in sorted(vault.rglob("*.md")):
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
        for key, value in properties.items():
            kind = type(value)
            if types.setdefault(key, kind) is not kind:
                found.append(f"{path.name}: {key} is a {kind.__name__} here, elsewhere a {types[key].__name__}")
            if kind not in (str, int, list) or (kind is list and not all(isinstance(item, str) for item in value)):
                found.append(f"{path.name}: {key} is not flat")
        for tag in properties.get("tags", []):
            if not re.fullmatch(r"[\w/-]+", tag) or tag.isdigit():
                found.append(f"{path.name}: bad tag {tag}")
        quoted = [item for value in properties.values() if isinstance(value, list) for item in value]
        for text in (body, *(item for item in quoted if item.startswith("[["))):
            for match in LINK.finditer(text):
                if resolve(vault, path, match[1]) is None:
                    found.append(f"{path.name}: no note {match[1]}")
        if any("[[" in comment for comment in re.findall(r"%%.*?%%", body, re.DOTALL)):
            found.append(f"{path.name}: a link inside a comment")
    return found
