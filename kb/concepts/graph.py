"""How concepts are linked: written links, links in the text, and the inverses of both; as edges or in NetworkX.

Two concepts share at most one edge of a relation and direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from kb.concepts.model import Concept, Link
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
    soft: bool = False
    """The one that is needed helps, and the other can be understood without."""


class Node(NamedTuple):
    """What a concept says of others."""

    id: str
    links: Sequence[Link]
    mentioned: Sequence[str]
    """Ids that its text links to."""


def node_of(concept: Concept) -> Node:
    """What a concept says of others."""
    return Node(concept.id, concept.links, linked(concept))


def linked(concept: Concept) -> list[str]:
    """The ids that the text of a concept links to."""
    return sorted({target for _, pair in concept.prose() for text in pair for target in wiki.targets(text)})


def edges_of(nodes: Iterable[Node]) -> Iterator[Edge]:
    """Every relation in both directions, by concept; links to unknown ids are left out."""
    known = {node.id: node for node in nodes}
    found: dict[str, dict[str, dict[str, Edge]]] = {id: {} for id in known}

    def add(edge: Edge, inverse: Kind) -> None:
        found[edge.id].setdefault(edge.target, {})[edge.rel] = edge
        back = RELATIONS[edge.rel].inverse
        turned = Edge(edge.target, back, edge.id, edge.why, inverse, edge.soft)
        found[edge.target].setdefault(edge.id, {}).setdefault(back, turned)

    for id, node in known.items():
        for link in node.links:
            if link.to in known:
                add(Edge(id, link.rel, link.to, link.why, "written", bool(link.soft)), "inverse")
    for id, node in known.items():
        for target in node.mentioned:
            if target in known and target != id and target not in found[id]:
                add(Edge(id, "mentions", target, None, "mention"), "mention")
    return (edge for neighbours in found.values() for edges in neighbours.values() for edge in edges.values())


def build_graph(concepts: Iterable[Concept]) -> nx.MultiDiGraph:
    """The graph: nodes are ids with the attribute `concept`; edges have `rel` (the key, too), `why`, `kind`, `soft`."""
    import networkx as nx

    graph = nx.MultiDiGraph()
    all_of_them = list(concepts)
    graph.add_nodes_from((concept.id, {"concept": concept}) for concept in all_of_them)
    for edge in edges_of(map(node_of, all_of_them)):
        graph.add_edge(edge.id, edge.target, key=edge.rel, rel=edge.rel, why=edge.why, kind=edge.kind, soft=edge.soft)
    return graph
