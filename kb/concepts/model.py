"""What the knowledge base is made of: concepts, their links and their sources."""

from __future__ import annotations

from collections.abc import Mapping
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
        from kb.concepts.fields import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Concept:
        """The inverse of `to_json`."""
        from kb.concepts.fields import from_json

        return from_json(record)
