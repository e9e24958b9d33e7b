"""Line breaking for mixed Chinese and English; rich breaks at spaces only.

A line may end after a space or between two 汉字, but never starts with closing punctuation and never ends with
opening punctuation.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

_CLOSING = frozenset("，。、；：？！）》」』】”’…%,.;:?!)]}")
_OPENING = frozenset("（《「『【“‘([{")
_WIDE = "\u2e80"
"""From here on letters need no spaces between them."""


def wrap(text: Text, width: int) -> list[Text]:
    """Break a text into lines of at most `width` columns, styles kept; line breaks stay, tabs become spaces."""
    return [line for paragraph in text.split("\n", allow_blank=True) for line in _wrap_one(paragraph, max(width, 1))]


def _wrap_one(text: Text, width: int) -> list[Text]:
    if "\t" in text.plain:
        text.expand_tabs()
    breaks, used, at = [], 0, 0
    columns_of = len if text.plain.isascii() and text.plain.isprintable() else cell_len
    for piece in _atoms(text.plain) if columns_of(text.plain) > width else ():
        columns = columns_of(piece)
        if used and used + columns > width and not piece.isspace():
            breaks.append(at)
            used = 0
        if columns > width:
            *cuts, last = _cut(piece, width)
            breaks += (at + cut for cut in (*cuts, last))
            columns = columns_of(piece[last:])
        at += len(piece)
        used += columns
    lines = list(text.divide(breaks)) if breaks else [text.copy()]
    for line in lines:
        line.rstrip()
    return lines


def _cut(piece: str, width: int) -> list[int]:
    """Where to cut a word that is wider than the line."""
    cuts = [0]
    while (end := _reach(piece, cuts[-1], width)) < len(piece):
        cuts.append(max(end, cuts[-1] + 1))
    return cuts[1:]


def _reach(piece: str, start: int, width: int) -> int:
    """Up to where a word fits into a line; only as much of it is measured as a line may hold."""
    step = width
    while start + step < len(piece) and cell_len(piece[start : start + step]) <= width:
        step *= 2  # characters without a width of their own
    ends = range(start, min(start + step, len(piece)) + 1)
    return ends[bisect_right(ends, width, key=lambda end: cell_len(piece[start:end])) - 1]


def _atoms(plain: str) -> Iterator[str]:
    """What stays together: a run of spaces, a word, a 汉字; each with the punctuation that clings to it."""
    if not plain or max(plain) < _WIDE:  # as most lines are
        yield from re.findall(r"\s+|\S+", plain)
        return
    start = 0
    for i in range(1, len(plain)):
        if _may_break(plain[i - 1], plain[i]):
            yield plain[start:i]
            start = i
    if plain:
        yield plain[start:]


def _may_break(left: str, right: str) -> bool:
    if left.isspace() or right.isspace():
        return left.isspace() != right.isspace()
    if right in _CLOSING or left in _OPENING:
        return False
    return left >= _WIDE or right >= _WIDE
