"""The one error that a reader can fix; anything else is a bug and keeps its traceback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from kb.language.text import Bilingual


class Way(NamedTuple):
    """A way out that a face has, told without its words: what it is to do, with what, and what that is."""

    to: Literal["explain", "search", "list", "doctor", "lint", "models", "fetch", "copy", "export", "cpu"]
    about: str = ""
    note: Bilingual | None = None


class KbError(Exception):
    """Something the reader can put right: what is wrong, and the way out.

    Args:
        message: What is wrong, in both languages, in one line.
        hint: What to do about it, whoever asked; lines separated by newlines.
        ways: What a face can do about it, which words it: the command line names its commands.
    """

    def __init__(self, message: Bilingual, hint: Bilingual | None = None, ways: Sequence[Way] = ()) -> None:
        super().__init__(message.en)
        self.message, self.hint, self.ways = message, hint, tuple(ways)
