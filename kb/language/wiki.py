"""Obsidian-style links in a text: `[[id]]` or `[[id|shown text]]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_LINK = re.compile(r"\[\[([^\[\]|]+)(?:\|([^\[\]|]+))?\]\]")


class Span(NamedTuple):
    """A stretch of text, and the id that it links to, if any."""

    text: str
    to: str | None


def targets(text: str) -> list[str]:
    """The ids that a text links to, in order, each once."""
    return list(dict.fromkeys(match[1].strip() for match in _LINK.finditer(text)))


def spans(text: str, name: Callable[[str], str]) -> Iterator[Span]:
    """Split a text at its links; a link without shown text is shown by its target's name."""
    end = 0
    for match in _LINK.finditer(text):
        if match.start() > end:
            yield Span(text[end : match.start()], None)
        target = match[1].strip()
        yield Span(match[2] or name(target), target)
        end = match.end()
    if end < len(text):
        yield Span(text[end:], None)


def plain(text: str, name: Callable[[str], str] = str) -> str:
    """The text as it is read, without link marks."""
    return "".join(span.text for span in spans(text, name))
