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


def key(path: str) -> str:
    """Case and composition do not matter to a link."""
    return unicodedata.normalize("NFC", path).casefold()


def resolve(notes: set[str], folder: str, target: str) -> bool:
    """Whether a link reaches a note: exact path, own folder, then the end of any path."""
    wanted = key(target + ".md")
    return (
        wanted in notes or key(f"{folder}/{target}.md") in notes or any(path.endswith("/" + wanted) for path in notes)
    )


def faults(vault: Path) -> list[str]:
    """What Obsidian would stumble over."""
    found: list[str] = []
    notes = {key(path.relative_to(vault).as_posix()) for path in vault.rglob("*.md")}
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
        for text in (body, *(item for item in quoted if item.startswith("[["))):
            for match in LINK.finditer(text):
                if not resolve(notes, path.parent.relative_to(vault).as_posix(), match[1]):
                    found.append(f"{path.name}: no note {match[1]}")
        if any("[[" in comment for comment in re.findall(r"%%.*?%%", body, re.DOTALL)):
            found.append(f"{path.name}: a link inside a comment")
    return found
