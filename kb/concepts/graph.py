"""How concepts are linked: written links, links in the text, and the inverses of both; as edges or in NetworkX.

Two concepts share at most one edge of a relation and direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from kb.concepts.model import Concept
from kb.concepts.vocabulary import RELATIONS
from kb.language import wiki
from kb.language.text import Bilingual

if TYPE_CHECKING:
    import networkx as nx

Kind = Literal["written", "inverse", "mention"]


class Edge(NamedTuple):
    """A relation as one concept has it: `id` `rel` `target`."""

    id: str
    rel: str
    target: str
    why: Bilingual | None
    kind: Kind
    """How it came about: written in the entry of `id` or of `target`, or a link in the text of either."""


def edges_of(concepts: Iterable[Concept]) -> Iterator[Edge]:
    """Every relation in both directions, by concept; links to unknown ids are left out."""
    known = {concept.id: concept for concept in concepts}
    found: dict[str, dict[str, dict[str, Edge]]] = {id: {} for id in known}

    def add(edge: Edge, inverse: Kind) -> None:
        found[edge.id].setdefault(edge.target, {})[edge.rel] = edge
        back = RELATIONS[edge.rel].inverse
        found[edge.target].setdefault(edge.id, {}).setdefault(back, Edge(edge.target, back, edge.id, edge.why, inverse))

    for id, concept in known.items():
        for link in concept.links:
            if link.to in known:
                add(Edge(id, link.rel, link.to, link.why, "written"), "inverse")
    for id, concept in known.items():
        for target in _mentioned(concept):
            if target in known and target != id and target not in found[id]:
                add(Edge(id, "mentions", target, None, "mention"), "mention")
    return (edge for neighbours in found.values() for edges in neighbours.values() for edge in edges.values())


def _mentioned(concept: Concept) -> list[str]:
    texts = [text.en for text in (concept.summary, concept.body, concept.misconception) if text]
    return [target for text in texts for target in wiki.targets(text)]


def build_graph(concepts: Iterable[Concept]) -> nx.MultiDiGraph:
    """The graph: nodes are ids with the attribute `concept`; edges carry `rel`, their key as well, `why` and `kind`."""
    import networkx as nx

    graph = nx.MultiDiGraph()
    all_of_them = list(concepts)
    graph.add_nodes_from((concept.id, {"concept": concept}) for concept in all_of_them)
    for edge in edges_of(all_of_them):
        graph.add_edge(edge.id, edge.target, key=edge.rel, rel=edge.rel, why=edge.why, kind=edge.kind)
    return graph
