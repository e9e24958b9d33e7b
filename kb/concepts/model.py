"""What the knowledge base is made of: concepts, their links and their sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kb.language.text import LANGUAGES, Bilingual


@dataclass(frozen=True, slots=True)
class Link:
    """A typed, directed link: the concept that carries it `rel` the concept `to`."""

    rel: str
    to: str
    why: Bilingual | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A primary source, as its publisher names it."""

    title: str
    author: str
    year: int
    url: str


@dataclass(frozen=True, slots=True)
class Concept:
    """One entry of the knowledge base; data/concepts.yaml says what each field must hold.

    `aliases` hold every other surface form, misnomers and older terms among them; `alias_status` names those.
    """

    id: str
    type: str
    name: Bilingual
    summary: Bilingual
    area: tuple[str, ...] = ()
    body: Bilingual | None = None
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    alias_status: dict[str, str] = field(default_factory=dict)
    asks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    formula: str | None = None
    symbols: dict[str, Bilingual] = field(default_factory=dict)
    misconception: Bilingual | None = None
    links: tuple[Link, ...] = ()
    year: int | None = None
    sources: tuple[Source, ...] = ()
    demo: str | None = None
    demo_shows: Bilingual | None = None
    wikidata: str | None = None

    def surfaces(self) -> list[tuple[str, str]]:
        """(text, status) of everything that this concept is called: its id, its names, its aliases."""
        named = [(self.id, "id"), (self.name.en, "name"), (self.name.zh, "name")]
        others = [text for language in LANGUAGES for text in self.aliases.get(language, ())]
        return named + [(text, self.alias_status.get(text, "alias")) for text in others]

    def to_json(self) -> dict[str, Any]:
        """The stable form of `--json`: plain dicts and lists, the keys in reading order."""

        def pair(text: Bilingual | None) -> dict[str, str] | None:
            return text and {"en": text.en, "zh": text.zh}

        return {
            "id": self.id,
            "type": self.type,
            "area": list(self.area),
            "name": pair(self.name),
            "aliases": {language: list(self.aliases.get(language, ())) for language in LANGUAGES},
            "alias_status": dict(self.alias_status),
            "summary": pair(self.summary),
            "body": pair(self.body),
            "formula": self.formula,
            "symbols": {symbol: pair(text) for symbol, text in self.symbols.items()},
            "misconception": pair(self.misconception),
            "asks": {language: list(self.asks.get(language, ())) for language in LANGUAGES},
            "links": [{"rel": link.rel, "to": link.to, "why": pair(link.why)} for link in self.links],
            "year": self.year,
            "sources": [{"title": s.title, "author": s.author, "year": s.year, "url": s.url} for s in self.sources],
            "demo": self.demo,
            "demo_shows": pair(self.demo_shows),
            "wikidata": self.wikidata,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Concept:
        """The inverse of `to_json`."""

        def pair(value: dict[str, str] | None) -> Any:
            return Bilingual(value["en"], value["zh"]) if value else None

        plain = {key: record[key] for key in ("id", "type", "formula", "year", "demo", "wikidata")}
        paired = ("name", "summary", "body", "misconception", "demo_shows")
        return cls(
            **plain,
            **{key: pair(record[key]) for key in paired},
            area=tuple(record["area"]),
            aliases={language: tuple(texts) for language, texts in record["aliases"].items() if texts},
            alias_status=dict(record["alias_status"]),
            asks={language: tuple(texts) for language, texts in record["asks"].items() if texts},
            symbols={symbol: Bilingual(**text) for symbol, text in record["symbols"].items()},
            links=tuple(Link(link["rel"], link["to"], pair(link["why"])) for link in record["links"]),
            sources=tuple(Source(**source) for source in record["sources"]),
        )
