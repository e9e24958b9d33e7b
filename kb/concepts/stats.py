"""What a knowledge base holds, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from kb.concepts.model import Concept
from kb.concepts.vocabulary import AREAS, RELATIONS, TYPES, WRITTEN_RELATIONS
from kb.language.text import LANGUAGES

if TYPE_CHECKING:
    import networkx as nx


class Stats(NamedTuple):
    """Counts by key; each count in the order of the closed list that its keys are from."""

    concepts: int
    types: dict[str, int]
    areas: dict[str, int]
    """A concept may be in several."""
    names: dict[str, int]
    """By language: names and aliases, other spellings and misnomers among them."""
    asks: dict[str, int]
    """By language."""
    relations: dict[str, int]
    """As they are written, and `mentions`; inverses are not counted."""
    components: list[int]
    """Concepts in each connected part of the graph, the largest first."""
    sources: int
    """Works that are cited, each once."""
    sourced: int
    """Concepts that cite one."""
    demos: dict[str, int]
    """Concepts by their link to a demo: `measured` by a claim, only the `nearest` demo, or `none`."""
    experiments: int
    """Demos that concepts link to."""

    def to_json(self) -> dict[str, Any]:
        """The stable form of `kb stats --json`."""
        return self._asdict()


def count(graph: nx.MultiDiGraph) -> Stats:
    """Count what a graph holds, as `build_graph` makes it."""
    import networkx as nx

    concepts: list[Concept] = [concept for _, concept in graph.nodes(data="concept")]
    written = Counter(rel for _, _, rel in graph.edges(keys=True))
    relations = [*WRITTEN_RELATIONS, "mentions"]
    both_ways = {rel for rel in relations if RELATIONS[rel].inverse == rel}
    return Stats(
        concepts=len(concepts),
        types=_counted(TYPES, (concept.type for concept in concepts)),
        areas=_counted(AREAS, (area for concept in concepts for area in concept.area)),
        names={
            language: sum(1 + len(concept.aliases.get(language, ())) for concept in concepts) for language in LANGUAGES
        },
        asks={language: sum(len(concept.asks.get(language, ())) for concept in concepts) for language in LANGUAGES},
        relations={rel: written[rel] // (2 if rel in both_ways else 1) for rel in relations if written[rel]},
        components=sorted(map(len, nx.weakly_connected_components(graph)), reverse=True),
        sources=len({source.url for concept in concepts for source in concept.sources}),
        sourced=sum(bool(concept.sources) for concept in concepts),
        demos=_counted(("measured", "nearest", "none"), map(_link, concepts)),
        experiments=len({concept.demo for concept in concepts if concept.demo}),
    )


def _link(concept: Concept) -> str:
    if not concept.demo:
        return "none"
    return "measured" if concept.claim else "nearest"


def _counted(keys: Iterable[str], found: Iterable[str]) -> dict[str, int]:
    """How often each key was found; those that were not are left out."""
    counts = Counter(found)
    return {key: counts[key] for key in keys if counts[key]}


class Coverage(NamedTuple):
    """How far a list of terms is known: a line of it holds one term, or several forms of one between tabs."""

    lines: int
    whole: int
    """Lines whose every form is a name here."""
    forms: int
    known: int
    unknown: list[str]
    """Forms that are no name here, in their order."""

    def to_json(self) -> dict[str, Any]:
        """The stable form of `kb stats --terms --json`."""
        return self._asdict()


def cover(terms: str, has: Callable[[str], bool]) -> Coverage:
    """How far the terms of a text are known.

    Args:
        terms: A term a line, or several forms of one between tabs. Empty lines and those that begin with # are none.
        has: Whether a form is a name here.
    """
    lines = [line for line in terms.splitlines() if line.strip() and not line.startswith("#")]
    rows = [[form for cell in line.split("\t") if (form := cell.strip())] for line in lines]
    known = {form: has(form) for row in rows for form in row}
    return Coverage(
        lines=len(rows),
        whole=sum(all(known[form] for form in row) for row in rows),
        forms=len(known),
        known=sum(known.values()),
        unknown=[form for form, is_known in known.items() if not is_known],
    )
