"""What an Obsidian note says of a concept: the properties that kb owns, and the Markdown of its region."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from kb.concepts.vocabulary import LABELLED, LABELS, PARTS, TYPES, USUALLY, WRITTEN_RELATIONS
from kb.formats.obsidian.note import ID_KEY, Properties
from kb.language import wiki
from kb.language.text import LANGUAGES, Bilingual, Language

if TYPE_CHECKING:
    from kb.concepts.card import Card, Symbol, Texts

Link = Callable[[str, str], str]
"""(target id, shown text) -> `[[Note|text]]`, or the text alone where the target has no note."""


def make_properties(card: Card, title: str, link: Link) -> Properties:
    """The properties that kb owns: id, aliases, tags, type, area, year, and the written links by relation."""
    names = [*_both_names(card), *card["aliases"]["en"], *card["aliases"]["zh"]]
    found: Properties = {
        ID_KEY: card["id"],
        "aliases": [name for name in dict.fromkeys(names) if name != title],
        "tags": [f"kb/{card['type']}", *(f"kb/{area}" for area in card["area"])],
        "type": card["type"],
        "area": list(card["area"]),
    }
    if card["year"]:
        found["year"] = card["year"]
    for rel in WRITTEN_RELATIONS:
        targets = [link(edge["to"], "") for edge in card["links"] if edge["rel"] == rel]
        if targets := [target for target in targets if target]:
            found[rel] = targets
    return found


def _both_names(card: Card) -> list[str]:
    return [card["name"][language] for language in LANGUAGES]


def make_region(card: Card, languages: tuple[Language, ...], link: Link) -> str:
    """The Markdown of a concept."""
    first = languages[0]
    parts = [_names(card, first)]
    for language in languages:
        parts += _prose(card, language, link)
    parts += [
        *_code(card, languages),
        *_formula(card, first),
        *_relations(card, first, link),
        *_sources(card, first),
        *_demo(card, languages),
    ]
    return "\n\n".join(parts) + "\n"


def _names(card: Card, language: Language) -> str:
    names = list(dict.fromkeys([card["name"][language], *_both_names(card)]))
    return f"**{escape(' · '.join(names))}** — {TYPES[card['type']].of(language)}"


def _prose(card: Card, language: Language, link: Link) -> list[str]:
    parts = [_callout("abstract", "", escape(wiki.plain(card["summary"][language])))]
    for part in ("idea", "example", *LABELLED):
        text = card[part]  # type: ignore[literal-required]  # a name of the table
        label = f"**{PARTS[part].of(language)}**"
        if text and part == "example":
            parts += [label, _fenced("text", text[language])]
        elif text:
            parts.append(f"{label} {_linked(text[language], card, language, link)}")
    for pair in card["believed"]:
        title = f"{PARTS['belief'].of(language)}{'：' if language == 'zh' else ': '}{plain(pair['belief'], language)}"
        parts.append(_callout("question", title, _linked(pair["fact"][language], card, language, link)))
    return parts


def plain(text: Texts, language: Language) -> str:
    """A text without links, on one line, as Markdown leaves it."""
    return re.sub(r"\s+", " ", escape(wiki.plain(text[language])))


def _fenced(kind: str, text: str) -> str:
    """Lines as they are drawn, in a fence that nothing in them ends; two percent signs would make a mark of ours."""
    text = re.sub("%(?=%)", "% ", text)
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{text}\n{fence}"


def _code(card: Card, languages: tuple[Language, ...]) -> list[str]:
    if not card["code"]:
        return []
    call, trap = card["code"]["call"], card["code"]["trap"]
    return [_fenced("python", call), *([plain(trap, language) for language in languages] if trap else [])]


def _callout(kind: str, title: str, text: str) -> str:
    return f"> [!{kind}]{title and ' ' + title}\n> " + text.replace("\n", "\n> ")


def _linked(text: str, card: Card, language: Language, link: Link) -> str:
    def name(id: str) -> str:
        names = card["link_names"].get(id)
        return str(names[language]) if names else id

    pieces = (_link_or_text(link, span) for span in wiki.spans(text, name))
    return "".join(pieces).replace("\n", "\n\n")


def _link_or_text(link: Link, span: wiki.Span) -> str:
    linked = link(span.to, span.text) if span.to else span.text
    return linked if linked != span.text else escape(span.text)


def escape_html(text: str) -> str:
    """Text inside a link, in which a tag would be one."""
    return text.replace("<", "\\<")


def escape(text: str) -> str:
    """Text that Markdown, Obsidian and HTML leave as it is."""
    return re.sub(r"([\\`*_\[\]<>#|$]|=(?==)|~(?=~)|%(?=%))", r"\\\1", text)


def _formula(card: Card, language: Language) -> list[str]:
    if not card["formula"]:
        return []
    lines = [f"- ${_math(symbol)}$ {_meaning(meant, language)}" for symbol, meant in card["symbols"].items()]
    return [*(f"$$\n{_math(line)}\n$$" for line in card["formula"]), *(["\n".join(lines)] if lines else [])]


def _meaning(symbol: Symbol, language: Language) -> str:
    """What a symbol is, its shape and its usual value."""
    usual = symbol["default"] and f"{USUALLY.of(language)} {symbol['default']}"
    said = [symbol[language], symbol["shape"], usual]
    return escape(("，" if language == "zh" else ", ").join(each for each in said if each))


def _math(latex: str) -> str:
    """A formula that stays one between its dollar signs: no comment, no HTML, no end before the end."""
    tight = re.sub(r"\s+", " ", latex.replace("$", "")).strip()
    shown = re.sub(r"(?<!\\)((?:\\\\)*)%", r"\1\\%", tight).replace("<", r"\lt ").replace(">", r"\gt ")
    return shown + " " * ((len(shown) - len(shown.rstrip("\\"))) % 2)


def _relations(card: Card, language: Language, link: Link) -> list[str]:
    lines = []
    for edge in card["links"]:
        names = {other["to"]: other["name"] for other in card["related"]}
        if edge["to"] not in names:
            continue
        why = f" — {escape(edge['why'][language])}" if edge["why"] else ""
        name = names[edge["to"]][language]
        shown = _link_or_text(link, wiki.Span(name, edge["to"]))
        lines.append(f"- {LABELS[edge['rel']].of(language)}: {shown}{why}")
    heading = Bilingual("Relations", "关系").of(language)
    return [f"## {heading}", "\n".join(lines)] if lines else []


def _sources(card: Card, language: Language) -> list[str]:
    lines = []
    for source in card["sources"]:
        url = source["url"].replace("<", "%3C").replace(">", "%3E")
        lines.append(f"- {escape(source['author'])}, [{escape(source['title'])}](<{url}>), {source['year']}")
    return ["## " + Bilingual("Sources", "文献").of(language), "\n".join(lines)] if lines else []


def _demo(card: Card, languages: tuple[Language, ...]) -> list[str]:
    if not card["demo"]:
        return []
    shows = [escape(wiki.plain(card["demo_shows"][language])) for language in languages] if card["demo_shows"] else []
    return ["## " + Bilingual("Demo", "演示").of(languages[0]), f"```sh\nkb demo {card['demo']}\n```", *shows]
