"""Note names that every file system and Obsidian accept, and that links can reach."""

from __future__ import annotations

import re
import unicodedata

_FORBIDDEN = re.compile(r'[?<>:*|"\[\]#^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]')
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
LONGEST = 240
"""Bytes of UTF-8 that a name may have; file systems stop at 255, and an extension follows."""


def note_name(text: str) -> str:
    """A file name without extension: NFC, no forbidden characters, no device names, at most 240 bytes."""
    name = unicodedata.normalize("NFC", text).replace("/", "-").replace("\\", "-")
    name = re.sub(r"\s+", " ", _FORBIDDEN.sub("", name)).strip(" .")
    while len(name.encode()) > LONGEST:
        name = name[:-1]
    name = name.rstrip(" .") or "Untitled"
    return f"{name}-" if name.split(".")[0].casefold() in _DEVICES else name


def collision_key(name: str) -> str:
    """Two names with one key are the same file on macOS or Windows."""
    return unicodedata.normalize("NFC", name).casefold()
