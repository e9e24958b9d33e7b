"""Note names that every file system and Obsidian accept, and that links can reach.

Which of a concept's names it is, and what tells two alike apart, `export` decides; it also renames the notes of vaults
that are there already.
"""

from __future__ import annotations

import re
import unicodedata

from kb.language.hidden import HIDDEN

_FORBIDDEN = re.compile(rf'[?<>:*|"\[\]#^\t\n]|{HIDDEN.pattern}')
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
LONGEST = 240
"""Bytes of UTF-8 that a name may have; file systems stop at 255, and an extension follows."""
READ = 10_000
"""Characters of a text that are looked at: normalizing takes long where accents pile up."""


def note_name(text: str) -> str:
    """A file name without extension: NFC, nothing forbidden or hidden, no device names, at most 240 bytes."""
    name = unicodedata.normalize("NFC", text[:READ]).replace("/", "-").replace("\\", "-")
    name = re.sub(r"\s+", " ", re.sub("%%+", "%", _FORBIDDEN.sub("", name))).strip(" .")
    name = name.encode()[:LONGEST].decode(errors="ignore")  # a character that is cut in two goes
    name = name.rstrip(" .") or "Untitled"
    return f"{name}-" if name.split(".")[0].casefold() in _DEVICES else name


def collision_key(name: str) -> str:
    """Two names with one key are the same file on macOS or Windows."""
    return unicodedata.normalize("NFC", name).casefold()
