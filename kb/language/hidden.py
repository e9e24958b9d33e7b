"""Characters that nobody sees and that act all the same: controls, and what Unicode says to ignore by default.

The joiners U+200C and U+200D and the emoji styles U+FE0E and U+FE0F are not among them: Persian, Hindi and emoji are
misspelt without these, and they change nothing but the shape of their neighbours.
"""

from __future__ import annotations

import re

HIDDEN = re.compile(  # line breaks and tabs are left to whoever lays a text out
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """The text without hidden characters; a line or paragraph separator becomes a space."""
    return HIDDEN.sub(lambda match: " " if match[0] in "\u2028\u2029" else "", text)
