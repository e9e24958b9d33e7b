"""The cells of a demo: parts that begin with `# %% a title`, as editors and notebooks know them."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

_MARK = re.compile(r"^# %% ?(.*)$", re.MULTILINE)
CONCEPT = "the concept"
"""The title of the cell that holds what a demo is about."""


class Cell(NamedTuple):
    """A part of a demo under its title; what stands above the first mark has none."""

    title: str
    code: str


def cells(source: str) -> list[Cell]:
    """The parts of a source in order, without their marks and the empty lines around them."""
    _, *rest = marked = _MARK.split(source)
    titled = [("", marked[0]), *zip(rest[::2], rest[1::2], strict=True)]
    return [Cell(title.strip(), code.strip("\n") + "\n") for title, code in titled]


def concept(source: str) -> str:
    """What the file is about, in a line, and the cell of the concept; the whole source where it has no such cell."""
    found = next((cell for cell in cells(source) if cell.title == CONCEPT), None)
    if found is None:
        return source
    docstring = ast.get_docstring(ast.parse(source)) or ""
    return f"# {docstring.partition(chr(10))[0]}\n\n{found.code}"
