"""Line breaking for mixed Chinese and English; rich breaks at spaces only.

A line may end after a space or between two 汉字, but never starts with closing punctuation and never ends with
opening punctuation.
"""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.text import Text

_CLOSING = "，。、；：？！）》」』】”’…%,.;:?!)]}"
_OPENING = "（《「『【“‘([{"
_WIDE = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f"
_ATOM = re.compile(
    rf"[{re.escape(_OPENING)}]*(?:[^\s{_WIDE}]+|[{_WIDE}])[{re.escape(_CLOSING)}]*|\s+|[{re.escape(_OPENING)}]+"
)


def wrap(text: Text, width: int) -> list[Text]:
    """Break a text into lines of at most `width` columns, its styles kept; line breaks in it stay."""
    return [line for paragraph in text.split("\n", allow_blank=True) for line in _wrap_one(paragraph, width)]


def _wrap_one(text: Text, width: int) -> list[Text]:
    plain, breaks, used = text.plain, [], 0
    for atom in _ATOM.finditer(plain):
        piece = atom[0]
        columns = cell_len(piece)
        if used + columns > width and not piece.isspace() and used:
            breaks.append(atom.start())
            used = 0
        while columns > width:  # a word wider than the line is cut
            fits = next(n for n in range(len(piece), 0, -1) if cell_len(piece[:n]) <= max(width, 2))
            breaks.append(atom.end() - len(piece) + fits)
            piece = piece[fits:]
            columns = cell_len(piece)
        used += columns
    lines = list(text.divide(breaks)) if breaks else [text.copy()]
    for line in lines:
        line.rstrip()
    return lines or [text]
