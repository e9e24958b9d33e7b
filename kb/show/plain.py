"""Text from data and from users, made safe for a terminal."""

from __future__ import annotations

import json
import re
import sys

from kb.language.hidden import HIDDEN, visible
from kb.language.wiki import plain


def printable(text: str) -> str:
    """The text without what a terminal would act on and no reader sees; line breaks and tabs stay."""
    return text if text.isascii() and text.isprintable() else visible(text)


def prose(text: str) -> str:
    """The printable text without the marks of its links."""
    return printable(plain(text))


def one_line(text: str) -> str:
    """The printable text on one line, without tabs: a name, or a cell of a row."""
    return re.sub(r"[\t\n]+", " ", printable(text))


def escaped(document: str) -> str:
    """JSON with what is hidden in its strings escaped: printable, and the same value.

    Where standard output is not UTF-8, all but ASCII is: what an encoding lacks would be lost, or break a string.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    odd = HIDDEN.pattern if encoding.lower().startswith("utf") else r"[^\x00-\x7f]"
    return re.sub(odd, lambda match: json.dumps(match[0])[1:-1], document)
