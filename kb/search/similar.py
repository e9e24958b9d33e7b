"""Concepts that are near in meaning: what a reader may want next, and what a curator may have forgotten to link."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from kb.search.hybrid import Semantic, Served
from kb.snapshot.lookup import Match
from kb.snapshot.store import Row, Store

if TYPE_CHECKING:
    from kb.search.index import Index

MUTUAL = 10
"""Two concepts are suggested as a link where each is among this many nearest of the other that are not linked."""


class Neighbour(NamedTuple):
    """A concept near another one: their similarity in [-1, 1], and the relations that already link them."""

    row: Row
    score: float
    relations: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The stable form of `kb similar --json`."""
        return {
            "id": self.row.id,
            "name": self.row.name._asdict(),
            "score": round(self.score, 4),
            "relations": list(self.relations),
        }


@dataclass(frozen=True, slots=True)
class Near:
    """The neighbours of one concept, best first, and who compared them; iterating yields the neighbours."""

    match: Match
    neighbours: list[Neighbour]
    served: Served

    def __iter__(self) -> Iterator[Neighbour]:
        return iter(self.neighbours)

    def __len__(self) -> int:
        return len(self.neighbours)

    def __getitem__(self, rank: int) -> Neighbour:
        return self.neighbours[rank]

    def to_json(self) -> dict[str, Any]:
        """The stable form of `kb similar --json`."""
        who = {"id": self.match.id, "model": self.served.model, "device": self.served.device}
        return {**who, "near": [neighbour.to_json() for neighbour in self.neighbours]}


def near(store: Store, side: Semantic, match: Match, k: int = 10, *, linked: bool = False) -> Near:
    """The concepts nearest in meaning to one, as `similar` has them, and who compared them."""
    return Near(match, similar(store, side.index, match.id, k, linked=linked), side.served)


def similar(store: Store, index: Index, id: str, k: int = 10, *, linked: bool = False) -> list[Neighbour]:
    """The concepts nearest to one in meaning, best first.

    Args:
        linked: Those that are linked with it already, too.

    Raises:
        KeyError: no such id.
    """
    relations: dict[str, list[str]] = {}
    for link in store.card(id)["related"]:
        relations.setdefault(link["to"], []).append(link["rel"])
    scores = index.similar(index.position[id])
    order = (index.ids[i] for i in (-scores).argsort(kind="stable").tolist())
    wanted = (other for other in order if other != id and (linked or other not in relations))
    ids = list(itertools.islice(wanted, k))
    rows = {row.id: row for row in store.rows(ids)}
    return [
        Neighbour(rows[other], float(scores[index.position[other]]), tuple(relations.get(other, ()))) for other in ids
    ]


def suggest_links(store: Store, index: Index, k: int = 20) -> list[tuple[str, str, float]]:
    """The k nearest pairs that are not linked: (id, id, similarity), best first, the ids of a pair in order."""
    near = {id: similar(store, index, id, MUTUAL) for id in index.ids}
    found = {
        (id, other.row.id, other.score)
        for id, others in near.items()
        for other in others
        if id < other.row.id and id in {back.row.id for back in near[other.row.id]}
    }
    return sorted(found, key=lambda pair: (-pair[2], pair))[:k]
