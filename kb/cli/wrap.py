"""Line breaking for mixed Chinese and English; rich breaks at spaces only.

A line may end after a space or between two 汉字, but never starts with closing punctuation and never ends with
opening punctuation.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

_CLOSING = frozenset("，。、；：？！）》」』】”’…%,.;:?!)]}")
_OPENING = frozenset("（《「『【“‘([{")


def wrap(text: Text, width: int) -> list[Text]:
    """Break a text into lines of at most `width` columns, its styles kept; line breaks in it stay."""
    return [line for paragraph in text.split("\n", allow_blank=True) for line in _wrap_one(paragraph, width)]


def _wrap_one(text: Text, width: int) -> list[Text]:
    breaks, used, at = [], 0, 0
    for piece in _atoms(text.plain):
        columns = cell_len(piece)
        if used and used + columns > width and not piece.isspace():
            breaks.append(at)
            used = 0
        at += len(piece)
        while columns > width:  # a word wider than the line is cut
            fits = next((n for n in range(len(piece), 1, -1) if cell_len(piece[:n]) <= width), 1)
            piece = piece[fits:]
            breaks.append(at - len(piece))
            columns = cell_len(piece)
        used += columns
    lines = list(text.divide(breaks)) if breaks else [text.copy()]
    for line in lines:
        line.rstrip()
    return lines


def _atoms(plain: str) -> Iterator[str]:
    """What stays together: a run of spaces, a word, a 汉字; each with the punctuation that clings to it."""
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
    return left >= "\u2e80" or right >= "\u2e80"
