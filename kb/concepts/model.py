"""What the knowledge base is made of: concepts, their links and their sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kb.concepts.vocabulary import PROSE
from kb.language.text import LANGUAGES, Bilingual, Language


@dataclass(frozen=True, slots=True)
class Link:
    """A typed, directed link: the concept that carries it `rel` the concept `to`."""

    rel: str
    to: str
    why: Bilingual | None = None
    soft: bool | None = None
    """The target helps to understand and is not needed for it; None where nothing is said."""


@dataclass(frozen=True, slots=True)
class Example:
    """Something to follow with a pencil: lines as they are drawn, and where their numbers come from."""

    en: str
    zh: str
    computed: dict[str, str] = field(default_factory=dict)
    """An expression for each number that is worked out."""

    def of(self, language: Language) -> str:
        """The lines in one language."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, slots=True)
class Believed:
    """What learners believe, and what is true."""

    belief: Bilingual
    fact: Bilingual


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol of a formula: what it is, and where it has them, its shape and its usual value."""

    en: str
    zh: str
    shape: str | None = None
    default: str | None = None

    @property
    def says(self) -> Bilingual:
        """What it is."""
        return Bilingual(self.en, self.zh)


@dataclass(frozen=True, slots=True)
class Code:
    """The call that does it, and what goes wrong with that."""

    call: str
    trap: Bilingual | None = None


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

    `aliases` hold every other surface form, misnomers and older terms among them; `alias_status` names those. `weak`
    are the names that are everyday words, too.
    """

    id: str
    type: str
    name: Bilingual
    summary: Bilingual
    area: tuple[str, ...] = ()
    idea: Bilingual | None = None
    example: Example | None = None
    how: Bilingual | None = None
    use: Bilingual | None = None
    avoid: Bilingual | None = None
    cost: Bilingual | None = None
    mind: Bilingual | None = None
    believed: tuple[Believed, ...] = ()
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    alias_status: dict[str, str] = field(default_factory=dict)
    weak: tuple[str, ...] = ()
    asks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    formula: tuple[str, ...] = ()
    symbols: dict[str, Symbol] = field(default_factory=dict)
    code: Code | None = None
    links: tuple[Link, ...] = ()
    year: int | None = None
    sources: tuple[Source, ...] = ()
    demo: str | None = None
    claim: str | None = None
    demo_shows: Bilingual | None = None
    wikidata: str | None = None

    def prose(self) -> Iterator[tuple[str, Bilingual]]:
        """(field, text) of every sentence that a reader reads, in reading order."""
        for name in PROSE:
            if text := getattr(self, name):
                yield name, text
        for i, pair in enumerate(self.believed):
            yield f"believed[{i}].belief", pair.belief
            yield f"believed[{i}].fact", pair.fact
        if self.code and self.code.trap:
            yield "code.trap", self.code.trap

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
