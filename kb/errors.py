"""The one error that a reader can fix; anything else is a bug and keeps its traceback."""

from __future__ import annotations

from kb.language.text import Bilingual


class KbError(Exception):
    """Something the reader can put right: what is wrong, and the way out.

    Args:
        message: What is wrong, in both languages, in one line.
        hint: What to do about it; lines separated by newlines.
    """

    def __init__(self, message: Bilingual, hint: Bilingual | None = None) -> None:
        super().__init__(message.en)
        self.message = message
        self.hint = hint
