"""The concepts as a NetworkX graph: written links, links in the text, and the inverses of both.

Nodes are ids with the attributes `concept` and `needs`, the ids of its prerequisites; edges carry `rel`, `why` (or
None) and `derived` (True for inverses and for `mentions`). The key of an edge is its relation, so two concepts share at
most one edge of a kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import networkx as nx

from kb.concepts.model import Concept
from kb.concepts.vocabulary import RELATIONS, SYMMETRIC
from kb.language import wiki


def build_graph(concepts: Iterable[Concept]) -> nx.MultiDiGraph:
    """Every concept and every relation, in both directions; links to unknown ids are left out."""
    graph = nx.MultiDiGraph()
    known = {concept.id: concept for concept in concepts}
    graph.add_nodes_from((id, {"concept": concept}) for id, concept in known.items())
    for concept in known.values():
        for link in concept.links:
            if link.to in known:
                _add_both(graph, concept.id, link.to, link.rel, why=link.why, derived=False)
    for concept in known.values():
        for target in _mentioned(concept):
            if target in known and target != concept.id and not graph.has_edge(concept.id, target):
                _add_both(graph, concept.id, target, "mentions", why=None, derived=True)
    for id, neighbours in graph.adjacency():
        graph.nodes[id]["needs"] = tuple(to for to, edges in neighbours.items() if "prerequisite" in edges)
    return graph


def _add_both(graph: nx.MultiDiGraph, start: str, end: str, rel: str, *, why: object, derived: bool) -> None:
    inverse = RELATIONS[rel].inverse
    graph.add_edge(start, end, key=rel, rel=rel, why=why, derived=derived)
    if not graph.has_edge(end, start, key=inverse):
        graph.add_edge(end, start, key=inverse, rel=inverse, why=why, derived=rel not in SYMMETRIC or derived)


def _mentioned(concept: Concept) -> list[str]:
    texts = [text.en for text in (concept.summary, concept.body, concept.misconception) if text]
    return [target for text in texts for target in wiki.targets(text)]


def learning_path(graph: nx.MultiDiGraph, id: str) -> dict[str, int]:
    """Everything to learn before a concept, the most basic first, each with its distance from the concept.

    A cycle is cut where it closes.
    """
    needs = graph.nodes.data("needs")
    distance, waiting = {id: 0}, [id]
    for node in waiting:
        for needed in needs[node]:
            if needed not in distance:
                distance[needed] = distance[node] + 1
                waiting.append(needed)
    return {node: distance[node] for node in _basic_first(needs, id) if node != id}


def _basic_first(needs: Mapping[str, Sequence[str]], id: str) -> list[str]:
    """A depth-first walk, each concept after what it needs; without recursion, for chains may be long."""
    order, seen, path = [], {id}, [(id, iter(needs[id]))]
    while path:
        node, rest = path[-1]
        needed = next((other for other in rest if other not in seen), None)
        if needed is None:
            order.append(node)
            path.pop()
        else:
            seen.add(needed)
            path.append((needed, iter(needs[needed])))
    return order
