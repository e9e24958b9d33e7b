"""A card as it leaves the snapshot: an entry in its JSON form, and what the graph says of it.

It is plain JSON from the compiler to the screen, so that nothing is converted where a card is only shown. What an entry
holds, `kb.concepts.fields` says; here stand the keys that something reads.
"""

from __future__ import annotations

from typing import TypedDict


class Texts(TypedDict):
    """The same thing said in English and in Chinese."""

    en: str
    zh: str


class Cited(TypedDict):
    """A primary source."""

    title: str
    author: str
    year: int
    url: str


class Written(TypedDict):
    """A link as it stands in an entry; there may be no such concept."""

    rel: str
    to: str
    why: Texts | None


class Relation(TypedDict):
    """An edge of the graph, from the concept of the card."""

    rel: str
    to: str
    name: Texts
    why: Texts | None


class Next(TypedDict):
    """A concept that this one leads to."""

    id: str
    name: Texts


class Step(Next):
    """A concept to learn before this one, and how many steps before."""

    distance: int


class Entry(TypedDict):
    """The JSON form of a concept."""

    id: str
    type: str
    area: list[str]
    name: Texts
    aliases: dict[str, list[str]]
    alias_status: dict[str, str]
    summary: Texts
    body: Texts | None
    formula: str | None
    symbols: dict[str, Texts]
    misconception: Texts | None
    links: list[Written]
    year: int | None
    sources: list[Cited]
    demo: str | None
    demo_shows: Texts | None
    wikidata: str | None


class Kept(Entry):
    """What the snapshot keeps of a concept: its formulas in readable form, and whom its texts link to."""

    formula_text: str | None
    symbols_text: dict[str, str]
    linked: list[str]


class Card(Entry):
    """Everything about a concept."""

    related: list[Relation]
    learn_first: list[Step]
    leads_to: list[Next]
    link_names: dict[str, Texts]
    formula_text: str | None
    symbols_text: dict[str, str]
