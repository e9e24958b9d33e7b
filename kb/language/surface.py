"""Names as people type them, folded to one key: case, width, spacing, hyphens, traditional characters."""

from __future__ import annotations

import unicodedata

from kb.language.text import normal

_DROPPED = dict.fromkeys(map(ord, " \t\n\r\u00a0\u3000-‐‑‒–—−_·・./'’\"“”()（）,，:："))
_TITLE_MARKS = dict.fromkeys(map(ord, "《》"))


def fold(text: str, *, titles: bool = False) -> str:
    """The key of a surface form: `Long Short-Term  memory` and `long-short-term-memory` share one.

    Compatibility forms (full width) become plain, traditional characters simplified, letters lower case; spaces,
    hyphens, quotes, brackets and dots go. A text of nothing else folds to itself, stripped.

    Args:
        titles: Keep the marks of a title, which tell the book 《深度学习》 from its subject.
    """
    plain = normal(text).casefold()
    if not plain.isascii():
        from kb.language.han import TO_SIMPLIFIED

        plain = plain.translate(TO_SIMPLIFIED)
    plain = plain if titles else plain.translate(_TITLE_MARKS)
    return plain.translate(_DROPPED) or plain.strip()


def strip_tones(text: str) -> str:
    """Pinyin without its tone marks, `tī dù` -> `ti du`; ü becomes v, as it is typed."""
    decomposed = normal(text, "NFD").replace("u\u0308", "v")
    return "".join(mark for mark in decomposed if not unicodedata.combining(mark))
