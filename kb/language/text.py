"""A text in both languages: the one shape of every name, message and clause."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Literal, NamedTuple

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Bilingual(NamedTuple):
    """The same thing said in English and in Chinese."""

    en: str
    zh: str

    def of(self, language: Language) -> str:
        """The text in one language."""
        return self.zh if language == "zh" else self.en


def short(text: str, most: int = 80) -> str:
    """A text to be named in a message: cut where it is long."""
    return text if len(text) <= most else text[: most - 1] + "…"


def columns(text: str) -> int:
    """How wide a line is in a terminal: two columns for what is wide or full width, one for all else."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def whole(text: str) -> str:
    """A text that can be encoded: halves of characters, which no file or database takes, are replaced."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


PIECE = 1000
"""Characters that are brought into a normal form at once."""


def normal(text: str, form: Literal["NFC", "NFD", "NFKC"] = "NFKC") -> str:
    """The text in a normal form of Unicode; a long one in pieces, since accents that pile up cost their square."""
    if len(text) <= PIECE:
        return unicodedata.normalize(form, text)
    cuts = [0]
    while cuts[-1] < len(text):
        cut = cuts[-1] + PIECE
        near = range(cut, min(cut + 30, len(text)))  # an accent stays with its letter
        cuts.append(next((i for i in near if not unicodedata.combining(text[i])), cut))
    return "".join(unicodedata.normalize(form, text[a:b]) for a, b in pairwise(cuts))
