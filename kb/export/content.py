"""One Obsidian note: properties, a region that kb keeps, and everything else, which is the user's.

The region stands between two comment marks; the first carries the hash of what was written, so that a region that the
user edited is known as such even when the manifest is lost.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from kb import wiki
from kb.text import Bilingual, Language
from kb.vocabulary import RELATIONS, TYPES, WRITTEN_RELATIONS

ID_KEY = "kb-id"
Value = str | int | list[str]
Properties = dict[str, Value]
Link = Callable[[str, str], str]
"""(target id, shown text) -> `[[Note|text]]`, or the text alone where the target has no note."""

_BEGIN = re.compile(r"^%% kb:begin ([0-9a-f]{16}) .*%%\n", re.MULTILINE)
_END = "%% kb:end %%"
_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_KEY = re.compile(r"^(?:\"([^\"]+)\"|'([^']+)'|([^\s#'\"\-][^:]*?))[ \t]*:(?=\s|$)")


@dataclass(slots=True)
class Note:
    """A note taken apart: the properties by key as they stand, and the text around and inside the region."""

    properties: dict[str, str]
    before: str
    region: str | None
    mark: str
    after: str

    @property
    def is_edited(self) -> bool:
        """The region is no longer what was written, or is gone."""
        return self.region is None or digest(self.region) != self.mark

    def value(self, key: str) -> Any:
        """A property's value; None where it is missing or is not YAML."""
        try:
            return yaml.safe_load(self.properties.get(key, "")).get(key)
        except (yaml.YAMLError, AttributeError):
            return None


def parse(text: str) -> Note:
    """Take a note apart; any text can be."""
    front = _FRONT.match(text)
    rest = text[front.end() :] if front else text
    properties = _split_properties(front[1]) if front else {}
    begin = _BEGIN.search(rest)
    end = rest.find(_END, begin.end()) if begin else -1
    if begin is None or end < 0:
        return Note(properties, rest, None, "", "")
    return Note(properties, rest[: begin.start()], rest[begin.end() : end], begin[1], rest[end + len(_END) :])


def _split_properties(front: str) -> dict[str, str]:
    """The raw lines of each top-level property, so that those that are not ours stay as they are."""
    properties: dict[str, str] = {}
    key = ""
    for line in front.splitlines(keepends=True):
        if match := _KEY.match(line):
            key = match[1] or match[2] or match[3]
        properties[key] = properties.get(key, "") + line
    return properties


def assemble(note: Note, properties: Mapping[str, Value], region: str) -> str:
    """The note's text with our properties and region put in, and all that is the user's kept."""
    ours = "".join(_property(key, value) for key, value in properties.items())
    theirs = "".join(raw for key, raw in note.properties.items() if key not in properties)
    mark = f"%% kb:begin {digest(region)} written by kb; your own notes go below the end mark %%\n"
    return f"---\n{ours}{theirs}---\n{note.before}{mark}{region}{_END}{note.after or chr(10)}"


def _property(key: str, value: Value) -> str:
    """YAML that Obsidian reads as it is meant: strings quoted, lists one item a line, nothing wrapped."""
    if isinstance(value, list):
        return f"{key}:\n" + "".join(f"  - {json.dumps(item, ensure_ascii=False)}\n" for item in value)
    return f"{key}: {json.dumps(value, ensure_ascii=False)}\n"


def digest(text: str) -> str:
    """A short hash of a region, blind to the kind of line ends."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()[:16]


def make_properties(card: Mapping[str, Any], title: str, link: Link) -> Properties:
    """The properties that kb owns: id, aliases, tags, type, area, year, and the written links by relation."""
    names = [*card["name"].values(), *card["aliases"]["en"], *card["aliases"]["zh"]]
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


def make_region(card: Mapping[str, Any], languages: tuple[Language, ...], link: Link) -> str:
    """The Markdown of a concept."""
    first = languages[0]
    parts = [_names(card, first)]
    for language in languages:
        parts += _prose(card, language, link)
    parts += [
        *_formula(card, first),
        *_relations(card, first, link),
        *_sources(card, first),
        *_demo(card, languages),
    ]
    return "\n\n".join(parts) + "\n"


def _names(card: Mapping[str, Any], language: Language) -> str:
    names = list(dict.fromkeys([card["name"][language], *card["name"].values()]))
    return f"**{escape(' · '.join(names))}** — {TYPES[card['type']].of(language)}"


def _prose(card: Mapping[str, Any], language: Language, link: Link) -> list[str]:
    parts = [f"> [!abstract]\n> {escape(wiki.plain(card['summary'][language]))}"]
    if card["body"]:
        parts.append(_linked(card["body"][language], card, language, link))
    if card["misconception"]:
        title = Bilingual("Not so", "误区").of(language)
        parts.append(f"> [!warning] {title}\n> {_linked(card['misconception'][language], card, language, link)}")
    return parts


def _linked(text: str, card: Mapping[str, Any], language: Language, link: Link) -> str:
    def name(id: str) -> str:
        names = card["link_names"].get(id)
        return str(names[language]) if names else id

    pieces = (link(span.to, span.text) if span.to else escape(span.text) for span in wiki.spans(text, name))
    return "".join(pieces).replace("\n", "\n\n")


def escape(text: str) -> str:
    """Text that Markdown, Obsidian and HTML leave as it is."""
    return re.sub(r"([\\`*_\[\]<>#|$]|=(?==)|~(?=~)|%(?=%))", r"\\\1", text)


def _formula(card: Mapping[str, Any], language: Language) -> list[str]:
    if not card["formula"]:
        return []
    lines = [f"- ${symbol}$ {escape(text[language])}" for symbol, text in card["symbols"].items()]
    return [f"$$\n{card['formula'].replace('$', '')}\n$$", *(["\n".join(lines)] if lines else [])]


def _relations(card: Mapping[str, Any], language: Language, link: Link) -> list[str]:
    lines = []
    for edge in card["links"]:
        names = {other["to"]: other["name"] for other in card["related"]}
        if edge["to"] not in names:
            continue
        why = f" — {escape(edge['why'][language])}" if edge["why"] else ""
        shown = link(edge["to"], names[edge["to"]][language])
        lines.append(f"- {RELATIONS[edge['rel']].says.of(language)}: {shown}{why}")
    heading = Bilingual("Relations", "关系").of(language)
    return [f"## {heading}", "\n".join(lines)] if lines else []


def _sources(card: Mapping[str, Any], language: Language) -> list[str]:
    lines = []
    for source in card["sources"]:
        url = source["url"].replace("<", "%3C").replace(">", "%3E")
        lines.append(f"- {escape(source['author'])}, [{escape(source['title'])}](<{url}>), {source['year']}")
    return ["## " + Bilingual("Sources", "文献").of(language), "\n".join(lines)] if lines else []


def _demo(card: Mapping[str, Any], languages: tuple[Language, ...]) -> list[str]:
    if not card["demo"]:
        return []
    shows = [escape(wiki.plain(card["demo_shows"][language])) for language in languages] if card["demo_shows"] else []
    return ["## " + Bilingual("Demo", "演示").of(languages[0]), f"```sh\nkb demo {card['demo']}\n```", *shows]
