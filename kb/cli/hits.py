"""Search results: both names, a bar for the score, and the summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.text import Text

from kb.cli.card import WIDEST, Flow
from kb.cli.plain import printable
from kb.search.hybrid import Hit
from kb.text import Bilingual, Language

PARTS = {
    "lexical": Bilingual("words", "词语"),
    "name": Bilingual("share named", "名称占比"),
    "semantic": Bilingual("cosine", "余弦"),
}


def render_hits(
    hits: Sequence[Hit], languages: tuple[Language, ...], console: Console, *, explain: bool = False
) -> Iterator[RenderableType]:
    """Best first; weak ones dimmed. `explain` adds the parts of each score."""
    console.width = min(console.width, WIDEST)
    for rank, hit in enumerate(hits, 1):
        en, zh = map(printable, hit.row.name)
        first, second = (zh, en) if languages[0] == "zh" else (en, zh)
        line = Text(f"{rank:>2}  ", style="dim")
        line.append(first, style="dim" if hit.weak else "bold cyan")
        line.append(f"  {second}" if second != first else "", style="dim" if hit.weak else "cyan")
        yield line
        for language in languages:
            yield Flow(Text(printable(hit.row.summary.of(language)), style="dim" if hit.weak else ""), indent=4)
        if explain:
            shown = [f"{PARTS[part].of(languages[0])} {value:.3g}" for part, value in hit.parts.items()]
            exact = [Bilingual("exact name", "名称完全一致").of(languages[0])] * hit.exact
            yield Text("    " + " · ".join([*exact, *shown, f"= {hit.score:.3g}"]), style="dim")
