"""The card of a concept: everything about it on one screen, in one language or both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from kb.concepts.vocabulary import (
    AREAS,
    CONTROL,
    HELPS,
    LABELLED,
    LABELS,
    LEADS_TO,
    LEARN_FIRST,
    PARTS,
    TYPES,
    USUALLY,
)
from kb.language import wiki
from kb.language.text import Bilingual, Language
from kb.show.colours import LABEL, NAME, OTHER_NAME
from kb.show.plain import one_line, printable, prose
from kb.show.wrap import wrap

if TYPE_CHECKING:
    from kb.concepts.card import Card, Pair, Relation, Texts

WIDEST = 108
LONGEST_LINK = 2083
"""Bytes of an address that terminals follow; each line that shows a part of it holds it whole."""
SHOWN = 6
"""How many neighbours of one derived relation a card names."""
ALSO = 3
"""How many of its other names a card tells in each language."""

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
            yield from _drawn(Text(" " * self.indent).append_text(line), console, options)


def _lines(text: Text, options: ConsoleOptions, indent: int) -> list[Text]:
    """The lines of a text beside an indent; what the terminal's encoding lacks is written otherwise before."""
    if options.ascii_only:  # rich's word for all that is not UTF
        from kb.show.narrow import narrow_text

        text = narrow_text(text, options.encoding)
    return wrap(text, max(options.max_width - indent, 10))


def _drawn(line: Text, console: Console, options: ConsoleOptions) -> Iterable[RenderableType | Segment]:
    """A line as it is, where it fits: rich would look anew for places to wrap it, which takes long."""
    if console.color_system is None and line.cell_len <= options.max_width:  # rich writes no style there, nor a link
        return (Segment(line.plain + "\n"),)
    return line.render(console, "\n") if line.cell_len <= options.max_width else (line,)


class Frame:
    """A card's frame, with its names in it; without one they stand above."""

    def __init__(self, title: Text, content: RenderableType, *, drawn: bool) -> None:
        self.title, self.content, self.drawn = title, content, drawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.drawn or options.ascii_only:  # where Greek letters and quotes may be two columns wide
            yield Group(Flow(self.title), self.content)
            return
        from rich.panel import Panel  # a pipe does without

        yield Panel(self.content, title=self.title, title_align="left", padding=(0, 2))


class Style(NamedTuple):
    """How a card is shown: its languages, the name that was asked for and a note on it, and the frame."""

    languages: tuple[Language, ...]
    asked: str = ""
    note: Bilingual | None = None
    framed: bool = True
    """A pipe does without."""


class Pairs:
    """Labels in one column, what they label in the other; what is drawn keeps its lines."""

    def __init__(self, rows: Iterable[tuple[str, Text]] = ()) -> None:
        self.rows = list(rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(cell_len(label) for label, _ in self.rows) + 2
        for label, text in self.rows:
            for i, line in enumerate(_lines(text, options, width)):
                shown = set_cell_size("" if i else label, width)
                yield from _drawn(Text.assemble((shown, LABEL), line) if line else Text(), console, options)


class Facts:
    """Other names on the left, what kind of thing it is on the right; below each other where a line is too short."""

    def __init__(self, names: Text, facts: Text) -> None:
        self.names, self.facts = names, facts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        gap = options.max_width - self.names.cell_len - self.facts.cell_len
        if gap >= 2 and self.names:
            yield Text.assemble(self.names, " " * gap, self.facts)
        else:
            yield from (Flow(text) for text in (self.names, self.facts) if text)


Part = Sequence[RenderableType]
"""What stands together on a card, an empty line before it."""


def render_card(card: Card, style: Style) -> RenderableType:
    """The whole card."""
    languages, first = style.languages, style.languages[0]
    return _frame(
        card,
        style,
        [
            *_beginning(card, style),
            _pairs(_code(card, languages)),
            _pairs(_labelled(card, languages, LABELLED)),
            *(_pairs(_believed(pair, card, languages)) for pair in card["believed"]),
            list(_formula(card, first)),
            _pairs(_measured(card, languages)),
            _pairs(_relations(card, first)),
            _pairs(_paths(card, first)),
            list(_sources(card, first)),
            list(_demo(card, languages)),
        ],
    )


def render_brief(card: Card, style: Style) -> RenderableType:
    """What a first look needs: names, summary, idea and example."""
    return _frame(card, style, _beginning(card, style))


def _beginning(card: Card, style: Style) -> list[Part]:
    note = [Flow(Text(printable(style.note.of(style.languages[0])), style="yellow"))] if style.note else []
    summary = [Flow(Text(prose(card["summary"][language]), style="bold")) for language in style.languages]
    opening = [*_labelled(card, style.languages, ("idea",)), *_example(card, style.languages)]
    return [note, summary, _pairs(opening)]


def _pairs(rows: Iterable[tuple[str, Text]]) -> Part:
    found = list(rows)
    return [Pairs(found)] if found else []


def _frame(card: Card, style: Style, parts: Iterable[Part]) -> RenderableType:
    language = style.languages[0]
    en, zh = card["name"]["en"], card["name"]["zh"]
    names = [en] if en == zh else [zh, en] if language == "zh" else [en, zh]
    title = Text("  ").join(Text(one_line(name), style=NAME if i == 0 else OTHER_NAME) for i, name in enumerate(names))
    content: list[RenderableType] = [Facts(_also(card, style), _facts(card, language))]
    for part in filter(None, parts):
        content += [Text(), *part]
    return Frame(title, Group(*content), drawn=style.framed)


def _facts(card: Card, language: Language) -> Text:
    facts = [TYPES[card["type"]].of(language), *(AREAS[area].of(language) for area in card["area"])]
    facts += [str(card["year"])] if card["year"] else []
    return Text(" · ".join(dict.fromkeys(facts)), style="dim")


def _also(card: Card, style: Style) -> Text:
    """The other names that readers meet first, and the one that was asked for, marked."""
    language, names = style.languages[0], dict[str, None]()
    for each in style.languages:
        forms = [form for form in card["aliases"].get(each, ()) if form not in card["alias_status"]]
        names |= dict.fromkeys(forms[:ALSO])
    aliases = {form for forms in card["aliases"].values() for form in forms}
    if asked := style.asked if style.asked in aliases else "":
        names = {asked: None, **dict.fromkeys(list(names)[: ALSO * len(style.languages) - (asked not in names)])}
    shown = Text("又称：" if language == "zh" else "also: ", style="dim") if names else Text()
    for i, name in enumerate(names):
        shown.append(("、" if language == "zh" else ", ") * (i > 0))
        shown.append(one_line(name), style="bold" if name == asked else None)
        shown.append(Bilingual(" (asked for)", "（所查）").of(language) * (name == asked), style="dim")
    return shown


def _labelled(card: Card, languages: Iterable[Language], parts: Iterable[str]) -> Iterator[tuple[str, Text]]:
    """The labelled lines that the entry has, the languages of each together."""
    for part in parts:
        text: Texts | None = card[part]  # type: ignore[literal-required]  # a name of the table
        for language in languages if text else ():
            yield PARTS[part].of(language), _linked(text[language], card, language)  # type: ignore[index]


def _example(card: Card, languages: Iterable[Language]) -> Iterator[tuple[str, Text]]:
    if example := card["example"]:
        for language in languages:
            yield PARTS["example"].of(language), Text(printable(example[language]).expandtabs())


def _code(card: Card, languages: Iterable[Language]) -> Iterator[tuple[str, Text]]:
    if not card["code"]:
        return
    call, trap = card["code"]["call"], card["code"]["trap"]
    for i, language in enumerate(languages):
        text = Text(printable(call).expandtabs() if i == 0 else "", style="bold green")
        if trap:
            text.append(("\n" if i == 0 else "") + prose(trap[language]), style="not bold default")
        if text:
            yield PARTS["code"].of(language) if i == 0 else "", text


def _believed(pair: Pair, card: Card, languages: Iterable[Language]) -> Iterator[tuple[str, Text]]:
    for language in languages:
        yield PARTS["belief"].of(language), _linked(pair["belief"][language], card, language, style="yellow")
        yield PARTS["fact"].of(language), _linked(pair["fact"][language], card, language)


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
    for line in card["formula_text"]:
        yield Flow(Text(printable(line), style="bold green"), indent=4)
    for symbol, meant in card["symbols"].items() if card["formula_text"] else ():
        said = [meant[language], meant["shape"], meant["default"] and f"{USUALLY.of(language)} {meant['default']}"]
        shown = one_line(card["symbols_text"][symbol])
        joined = ("，" if language == "zh" else ", ").join(one_line(each) for each in said if each)
        yield Flow(Text.assemble((shown, "green"), "  ", (joined, "dim")), indent=6)


def _measured(card: Card, languages: Iterable[Language]) -> Iterator[tuple[str, Text]]:
    """What was measured, and what it gave; what the control was, and what that gave."""
    if not (found := card["measured"]):
        return
    value, worst, control = (figure(found[key]) for key in ("value", "worst", "control"))
    for language in languages:
        colon, stop = Bilingual(": ", "：").of(language), Bilingual("; ", "；").of(language)
        said, _, compared = prose(found["says"][language]).partition(stop)
        text = Text.assemble(said, colon, (value, "bold"))
        if worst != value:
            n = found["seeds"]
            text.append(Bilingual(f" (worst of {n} seeds {worst})", f"（{n} 个种子中最差 {worst}）").of(language))
        if found["control"] is not None:
            text.append(stop + (compared or CONTROL.of(language)) + colon).append(control, style="bold")
        yield PARTS["measured"].of(language), text


def figure(value: float | None) -> str:
    """A measured number, short."""
    return "" if value is None else f"{value:.3g}"


def _relations(card: Card, language: Language) -> Iterator[tuple[str, Text]]:
    groups: dict[str, list[Relation]] = {}
    for edge in card["related"]:
        groups.setdefault(edge["rel"], []).append(edge)
    for rel in (*OUTWARD, *INWARD):
        if rel in groups and not (rel == "implemented_in" and card["code"]):  # the call says so
            yield LABELS[rel].of(language), _names(groups[rel], language, with_reasons=rel in OUTWARD)


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


def _paths(card: Card, language: Language) -> Iterator[tuple[str, Text]]:
    before, after = card["learn_first"], card["leads_to"]
    dots = Text("…", style="dim")
    if before:
        nearest = sorted(before, key=lambda step: step["distance"])[:SHOWN]
        steps = [Text(one_line(step["name"][language])) for step in before if step in nearest]
        path = Text(" → ", style="dim").join([dots] * (len(before) > SHOWN) + steps)
        yield LEARN_FIRST.of(language), path
    helps = [edge for edge in card["related"] if edge["rel"] == "prerequisite" and edge["soft"]]
    if helps:
        yield HELPS.of(language), _names(helps, language, with_reasons=True)
    if after:
        names = [Text(one_line(step["name"][language])) for step in after[:SHOWN]]
        more = [Text(f"… +{len(after) - SHOWN}", style="dim")] * (len(after) > SHOWN)
        joined = Text("、" if language == "zh" else ", ").join(names + more)
        yield LEADS_TO.of(language), joined


def _sources(card: Card, language: Language) -> Iterator[RenderableType]:
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
    label = "演示" if languages[0] == "zh" else "demo"
    nearest = "" if card["claim"] else Bilingual(" (the nearest demo)", "（最接近的演示）").of(languages[0])
    measured = card["measured"]
    took = (
        Bilingual(f" ({measured['seconds']:.0f} s)", f"（{measured['seconds']:.0f} 秒）").of(languages[0])
        if measured
        else ""
    )
    yield Text.assemble((label, LABEL), "  ", (f"kb demo {card['demo']}", "bold green"), (took + nearest, "dim"))
    if card["demo_shows"]:
        for language in languages:
            yield Flow(Text(prose(card["demo_shows"][language]), style="dim"), indent=2)
