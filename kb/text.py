"""A text in both languages: the one shape of every name, message and clause."""

from __future__ import annotations

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


def whole(text: str) -> str:
    """A text that can be encoded: halves of characters, which no file or database takes, are replaced."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
