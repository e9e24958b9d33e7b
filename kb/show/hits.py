"""Search results, and neighbours in meaning: both names and the summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.text import Text

from kb.concepts.vocabulary import LABELS
from kb.language.text import Bilingual, Language
from kb.search.hybrid import Hit
from kb.search.similar import Near
from kb.show.card import WIDEST, Flow
from kb.show.colours import NAME, OTHER_NAME
from kb.show.plain import one_line, prose
from kb.snapshot.store import Row

PARTS = {
    "lexical": Bilingual("words", "词语"),
    "name": Bilingual("share named", "名称占比"),
    "semantic": Bilingual("meaning", "语义"),
}


def render_hits(
    hits: Sequence[Hit], languages: tuple[Language, ...], console: Console, *, explain: bool = False
) -> Iterator[RenderableType]:
    """Best first; weak ones dimmed. `explain` adds the parts of each score."""
    console.width = min(console.width, WIDEST)
    for rank, hit in enumerate(hits, 1):
        yield headline(rank, hit.row, languages[0], dim=hit.weak)
        for language in languages:
            yield Flow(Text(prose(hit.row.summary.of(language)), style="dim" if hit.weak else ""), indent=4)
        if explain:
            shown = [f"{PARTS[part].of(languages[0])} {value:.3g}" for part, value in hit.parts.items()]
            exact = [Bilingual("exact name", "名称完全一致").of(languages[0])] * hit.exact
            yield Text("    " + " · ".join([*exact, *shown, f"= {hit.score:.3g}"]), style="dim")


def render_near(found: Near, languages: tuple[Language, ...], console: Console) -> Iterator[RenderableType]:
    """Neighbours in meaning, the nearest first, each with its similarity and the relations that already link it."""
    console.width = min(console.width, WIDEST)
    for rank, (row, score, relations) in enumerate(found, 1):
        said = [LABELS[rel].of(languages[0]) for rel in relations]
        yield headline(rank, row, languages[0]).append("  " + " · ".join([f"{score:.2f}", *said]), style="dim")
        for language in languages:
            yield Flow(Text(prose(row.summary.of(language))), indent=4)


def headline(rank: int, row: Row, language: Language, *, dim: bool = False) -> Text:
    """A result's rank and its two names."""
    en, zh = map(one_line, row.name)
    first, second = (zh, en) if language == "zh" else (en, zh)
    line = Text(f"{rank:>2}  ", style="dim")
    line.append(first, style="dim" if dim else NAME)
    line.append(f"  {second}" if second != first else "", style="dim" if dim else OTHER_NAME)
    return line
