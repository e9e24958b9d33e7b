"""Concepts in rows: names in both languages, and the summary where there is room."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.text import Text

from kb.concepts.vocabulary import TYPES
from kb.language.text import Language
from kb.show.colours import LABEL, NAME, OTHER_NAME
from kb.show.plain import one_line, prose
from kb.snapshot.store import Row


def plain_rows(rows: Sequence[Row], languages: Sequence[Language]) -> str:
    """One line a concept, tab-separated: what a pipe gets. The names are those of the languages asked for."""
    lines = ((row.id, row.type, *(row.name.of(language) for language in languages)) for row in rows)
    return "\n".join("\t".join(map(one_line, line)) for line in lines)


def render_rows(rows: Sequence[Row], languages: tuple[Language, ...], console: Console) -> RenderableType:
    """One line a concept, in columns, cut at the edge of the terminal."""
    first = languages[0]
    names = [one_line(row.name.of(first)) for row in rows]
    others = [
        "" if row.name.en == row.name.zh else one_line(row.name.en if first == "zh" else row.name.zh) for row in rows
    ]
    kinds = [TYPES[row.type].of(first) for row in rows]
    widths = [min(max(map(cell_len, column), default=0), 36) for column in (names, others, kinds)]
    room = console.width - sum(widths) - 6
    text = Text(no_wrap=True, overflow="crop")
    for row, *cells in zip(rows, names, others, kinds, strict=True):
        for cell, width, style in zip(cells, widths, (NAME, OTHER_NAME, LABEL), strict=True):
            text.append(_fit(cell, width) + "  ", style=style)
        text.append(_fit(one_line(prose(row.summary.of(first))), room) if room > 20 else "", style="dim")
        text.append("\n")
    text.rstrip()
    return Group(text)  # by itself it would be wrapped, whatever it says


def _fit(text: str, width: int) -> str:
    """Exactly `width` columns: padded, or cut with an ellipsis."""
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
