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
    soft: bool | None


class Drawn(Texts):
    """An example: lines as they are drawn, and where their numbers come from."""

    computed: dict[str, str]


class Pair(TypedDict):
    """What learners believe, and what is true."""

    belief: Texts
    fact: Texts


class Symbol(Texts):
    """What a symbol of a formula is, its shape and its usual value."""

    shape: str | None
    default: str | None


class Called(TypedDict):
    """The call that does it, and what goes wrong with that."""

    call: str
    trap: Texts | None


class Relation(TypedDict):
    """An edge of the graph, from the concept of the card."""

    rel: str
    to: str
    name: Texts
    why: Texts | None
    soft: bool


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
    weak: list[str]
    summary: Texts
    idea: Texts | None
    example: Drawn | None
    how: Texts | None
    use: Texts | None
    avoid: Texts | None
    cost: Texts | None
    mind: Texts | None
    believed: list[Pair]
    formula: list[str]
    symbols: dict[str, Symbol]
    code: Called | None
    links: list[Written]
    year: int | None
    sources: list[Cited]
    demo: str | None
    claim: str | None
    demo_shows: Texts | None
    wikidata: str | None


class Kept(Entry):
    """What the snapshot keeps of a concept: its formulas in readable form, and whom its texts link to."""

    formula_text: list[str]
    symbols_text: dict[str, str]
    linked: list[str]


class Measured(TypedDict):
    """What a claim gave: the median over some seeds, and the worst; for a control the median."""

    says: Texts
    kind: str
    op: str
    threshold: float
    value: float
    worst: float
    control: float | None
    seeds: int
    seconds: float


class Card(Entry):
    """Everything about a concept."""

    schema_version: int
    related: list[Relation]
    learn_first: list[Step]
    leads_to: list[Next]
    link_names: dict[str, Texts]
    measured: Measured | None
    formula_text: list[str]
    symbols_text: dict[str, str]
