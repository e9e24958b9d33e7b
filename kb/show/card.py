"""The card of a concept: everything about it on one screen, in one language or both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.text import Text

from kb.concepts.vocabulary import AREAS, LABELS, LEADS_TO, LEARN_FIRST, TYPES
from kb.language import wiki
from kb.language.text import Bilingual, Language
from kb.show.colours import LABEL, NAME, OTHER_NAME
from kb.show.plain import one_line, printable, prose
from kb.show.wrap import wrap

if TYPE_CHECKING:
    from kb.concepts.card import Card, Relation

WIDEST = 108
LONGEST_LINK = 2083
"""Bytes of an address that terminals follow; each line that shows a part of it holds it whole."""
SHOWN = 6
"""How many neighbours of one derived relation a card names."""

# What a card says of its neighbours, in this order; the rest of what is derived is left to --json.
OUTWARD = (
    "is_a", "variant_of", "part_of", "example_of", "uses", "trained_by", "evaluated_by", "applied_to", "mitigates",
    "causes", "reduces", "improves", "contrasts_with", "alternative_to", "implemented_in",
)  # fmt: skip
INWARD = (
    "has_kind", "has_variant", "has_part", "has_example", "used_by", "trains", "served_by", "evaluates",
    "mitigated_by", "caused_by", "reduced_by", "improved_by", "implements",
)  # fmt: skip


class Flow:
    """Text that wraps as Chinese and English do."""

    def __init__(self, text: Text, indent: int = 0) -> None:
        self.text, self.indent = text, indent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in _lines(self.text, options, self.indent):
            yield Text(" " * self.indent).append_text(line)


def _lines(text: Text, options: ConsoleOptions, indent: int) -> list[Text]:
    """The lines of a text beside an indent; what the terminal's encoding lacks is written otherwise before."""
    if options.ascii_only:  # rich's word for all that is not UTF
        from kb.show.narrow import narrow_text

        text = narrow_text(text, options.encoding)
    return wrap(text, max(options.max_width - indent, 10))


class Frame:
    """A card's frame, with its names and facts in it; without one they stand above."""

    def __init__(self, title: Text, facts: Text, content: RenderableType, *, drawn: bool) -> None:
        self.title, self.facts, self.content, self.drawn = title, facts, content, drawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.drawn or options.ascii_only:  # where Greek letters and quotes may be two columns wide
            yield Group(Flow(self.title), Flow(self.facts), Text(), self.content)
            return
        yield Panel(
            self.content,
            title=self.title,
            subtitle=self.facts,
            title_align="left",
            subtitle_align="right",
            padding=(1, 2),
            box=box.ROUNDED,
        )


class Style(NamedTuple):
    """How a card is shown: its languages, a note for a misnomer, and the frame, which a pipe does without."""

    languages: tuple[Language, ...]
    note: Bilingual | None = None
    framed: bool = True


class Pairs:
    """Labels in one column, what they label in the other."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Text]] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(cell_len(label) for label, _ in self.rows) + 2
        for label, text in self.rows:
            for i, line in enumerate(_lines(text, options, width)):
                shown = set_cell_size("" if i else label, width)
                yield Text.assemble((shown, LABEL), line)


def render_card(card: Card, style: Style) -> RenderableType:
    """The whole card."""
    languages = style.languages
    parts: list[RenderableType] = [*_note(style), Text()] if style.note else []
    for i, language in enumerate(languages):
        parts += [Text()] if i else []
        parts += _prose(card, language)
    first = languages[0]
    parts += [
        *_formula(card, first),
        *_relations(card, first),
        *_paths(card, first),
        *_sources(card, first),
        *_demo(card, languages),
    ]
    return _frame(card, style, Group(*parts))


def render_brief(card: Card, style: Style) -> RenderableType:
    """Names and summary only."""
    parts: list[RenderableType] = [*_note(style)]
    parts += [Flow(Text(prose(card["summary"][language]))) for language in style.languages]
    return _frame(card, style, Group(*parts))


def _note(style: Style) -> Iterator[RenderableType]:
    if style.note:
        yield Flow(Text(printable(style.note.of(style.languages[0])), style="yellow"))


def _frame(card: Card, style: Style, content: RenderableType) -> RenderableType:
    language = style.languages[0]
    en, zh = card["name"]["en"], card["name"]["zh"]
    names = [en] if en == zh else [zh, en] if language == "zh" else [en, zh]
    title = Text("  ").join(Text(one_line(name), style=NAME if i == 0 else OTHER_NAME) for i, name in enumerate(names))
    facts = [TYPES[card["type"]].of(language), *(AREAS[area].of(language) for area in card["area"])]
    facts += [str(card["year"])] if card["year"] else []
    subtitle = Text(" · ".join(dict.fromkeys(facts)), style="dim")
    return Frame(title, subtitle, content, drawn=style.framed)


def _prose(card: Card, language: Language) -> Iterator[RenderableType]:
    yield Flow(Text(prose(card["summary"][language]), style="bold"))
    if card["body"]:
        yield Text()
        yield Flow(_linked(card["body"][language], card, language))
    if card["misconception"]:
        yield Text()
        label = Text("误区：" if language == "zh" else "Not so: ", style="bold yellow")
        yield Flow(label.append_text(_linked(card["misconception"][language], card, language, style="yellow")))


def _linked(text: str, card: Card, language: Language, style: str = "") -> Text:
    """Prose with its links underlined; a link without shown text shows the target's name."""

    def name(id: str) -> str:
        names = card["link_names"].get(id)
        return names[language] if names else id

    linked = Text(style=style if style == "yellow" else "")
    for span in wiki.spans(text, name):
        linked.append(printable(span.text), style="underline" if span.to else None)
    return linked


def _formula(card: Card, language: Language) -> Iterator[RenderableType]:
    if not card["formula_text"]:
        return
    yield Text()
    yield Flow(Text(printable(card["formula_text"]), style="bold green"), indent=4)
    for symbol, text in card["symbols"].items():
        shown = one_line(card["symbols_text"][symbol])
        yield Flow(Text.assemble((shown, "green"), "  ", (one_line(text[language]), "dim")), indent=6)


def _relations(card: Card, language: Language) -> Iterator[RenderableType]:
    groups: dict[str, list[Relation]] = {}
    for edge in card["related"]:
        groups.setdefault(edge["rel"], []).append(edge)
    pairs = Pairs()
    for rel in (*OUTWARD, *INWARD):
        if rel in groups:
            pairs.rows.append((LABELS[rel].of(language), _names(groups[rel], language, with_reasons=rel in OUTWARD)))
    if pairs.rows:
        yield Text()
        yield pairs


def _names(edges: Sequence[Relation], language: Language, *, with_reasons: bool) -> Text:
    """`A, B (why), C`, cut after a few where the relation is derived."""
    shown = edges if with_reasons else edges[:SHOWN]
    names = []
    for edge in shown:
        name = Text(one_line(edge["name"][language]))
        if with_reasons and edge["why"]:
            why = one_line(edge["why"][language])
            name.append(f"（{why}）" if language == "zh" else f" ({why})", style="dim")
        names.append(name)
    more = [Text(f"… +{len(edges) - len(shown)}", style="dim")] if len(edges) > len(shown) else []
    return Text("、" if language == "zh" else ", ").join(names + more)


def _paths(card: Card, language: Language) -> Iterator[RenderableType]:
    pairs = Pairs()
    before, after = card["learn_first"], card["leads_to"]
    dots = Text("…", style="dim")
    if before:
        nearest = sorted(before, key=lambda step: step["distance"])[:SHOWN]
        steps = [Text(one_line(step["name"][language])) for step in before if step in nearest]
        path = Text(" → ", style="dim").join([dots] * (len(before) > SHOWN) + steps)
        pairs.rows.append((LEARN_FIRST.of(language), path))
    if after:
        names = [Text(one_line(step["name"][language])) for step in after[:SHOWN]]
        more = [Text(f"… +{len(after) - SHOWN}", style="dim")] * (len(after) > SHOWN)
        joined = Text("、" if language == "zh" else ", ").join(names + more)
        pairs.rows.append((LEADS_TO.of(language), joined))
    if pairs.rows:
        yield Text()
        yield pairs


def _sources(card: Card, language: Language) -> Iterator[RenderableType]:
    if not card["sources"]:
        return
    yield Text()
    for source in card["sources"]:
        link = _link(source["url"])
        line = Text(f"{one_line(source['author'])}, ", style="dim")
        line.append(one_line(source["title"]), style=f"italic {link}")
        line.append(f", {source['year']}  ", style="dim")
        line.append(one_line(source["url"]), style=f"dim {link}")
        yield Flow(line)


def _link(url: str) -> str:
    """A terminal link to an address, everything escaped that could end it early; none to one that is too long."""
    from urllib.parse import quote

    safe = quote(url, safe=":/?#[]@!$&'()*+,;=%~-._")
    return f"link {safe}" if len(safe) <= LONGEST_LINK else ""


def _demo(card: Card, languages: tuple[Language, ...]) -> Iterator[RenderableType]:
    if not card["demo"]:
        return
    yield Text()
    label = "演示" if languages[0] == "zh" else "demo"
    yield Text.assemble((label, LABEL), "  ", (f"kb demo {card['demo']}", "bold green"))
    if card["demo_shows"]:
        for language in languages:
            yield Flow(Text(prose(card["demo_shows"][language]), style="dim"), indent=2)
