"""One ranking from two: BM25 finds the words, the encoder finds the meaning.

Both scores are standardized over all concepts before they are blended, so that neither's scale matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from kb.language.text import whole
from kb.search import caution
from kb.search.lexical import lexical_scores
from kb.search.names import name_scores
from kb.search.reading import Reading, read_query
from kb.snapshot.store import Row, Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kb.encoder.protocol import Encoder
    from kb.search.index import Found, Index

    Scores = NDArray[np.floating]

Mode = Literal["hybrid", "lexical", "semantic"]
LEXICAL_SHARE = 0.3
"""Weight of BM25 in the blend; from .3 to .4 the results hardly change, see docs/search.md."""
NAME_WEIGHT = 2.0
"""Of the share that names have in a query, in standard deviations; from 1 to 3 the results hardly change."""
BATCH = 64
"""Queries that are encoded together."""
WEAK = 0.25
"""Below this nearness a hit that the query does not name is weak, where `kb.search.caution` does not know better."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A concept found, and why: its rank score and the parts of it."""

    row: Row
    score: float
    parts: Mapping[str, float]
    exact: bool
    weak: bool

    def to_json(self) -> dict[str, Any]:
        """The stable form of `kb search --json`."""
        return {
            "id": self.row.id,
            "type": self.row.type,
            "name": self.row.name._asdict(),
            "summary": self.row.summary._asdict(),
            "score": round(self.score, 4),
            "parts": {name: round(value, 4) for name, value in self.parts.items()},
            "exact": self.exact,
            "weak": self.weak,
        }


class Served(NamedTuple):
    """Which encoder answered, and where it ran; all None for words alone."""

    model: str | None = None
    device: str | None = None
    runtime: str | None = None


BY_WORDS = Served()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query was read as, who served it, and the hits, best first; iterating yields these."""

    query: str
    reading: Reading
    hits: list[Hit]
    mode: Mode = "hybrid"
    served: Served = BY_WORDS
    missing: tuple[str, ...] = ()
    """Words of it that no text here has: any where nothing fits well, else such as look like a term."""

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, rank: int) -> Hit:
        return self.hits[rank]

    @property
    def weak(self) -> bool:
        """Nothing fits well."""
        return all(hit.weak for hit in self.hits)

    def to_json(self) -> dict[str, Any]:
        """The stable form of `kb search --json`."""
        return {
            "query": self.query,
            "read_as": self.reading.text,
            "weak": self.weak,
            "missing": list(self.missing),
            "mode": self.mode,
            **self.served._asdict(),
            "hits": [hit.to_json() for hit in self.hits],
        }


@dataclass(frozen=True, slots=True)
class Semantic:
    """The encoder and the vectors that it is compared with."""

    encoder: Encoder
    index: Index

    @property
    def served(self) -> Served:
        """What an answer says of the encoder."""
        return Served(self.encoder.name, self.encoder.device, self.encoder.runtime)


def search(
    store: Store,
    query: str,
    *,
    k: int = 10,
    mode: Mode = "hybrid",
    semantic: Callable[[], Semantic] | None = None,
) -> Answer:
    """The concepts that a query means, best first: exact names, then the blend.

    Args:
        semantic: Loads the semantic side; not called where the mode does not need it.
    """
    return next(search_all(store, [query], k=k, mode=mode, semantic=semantic))


def search_all(
    store: Store,
    queries: Sequence[str],
    *,
    k: int = 10,
    mode: Mode = "hybrid",
    semantic: Callable[[], Semantic] | None = None,
) -> Iterator[Answer]:
    """The answers to many queries, in order; the encoder sees BATCH of them at once."""
    queries = [whole(query) for query in queries]
    side = semantic() if semantic and mode != "lexical" and any(map(str.strip, queries)) else None
    served = side.served if side else BY_WORDS
    for start in range(0, len(queries), BATCH):
        readings = [read_query(store, query) for query in queries[start : start + BATCH]]
        vectors = side.encoder.encode([reading.text for reading in readings]) if side else None
        for i, reading in enumerate(readings):
            query = queries[start + i]
            if not query.strip():
                yield Answer(query, reading, [], mode)
                continue
            words = mode != "semantic"
            parts = {
                "lexical": lexical_scores(store, reading.text) if words else {},
                "name": name_scores(store, reading.text) if words else {},
            }
            exact = {match.id for match in store.resolve(query) or store.resolve(reading.text)}
            if side is None or vectors is None:
                scores = blend_words(parts)
            else:
                scores = _compare(side.index, vectors[i], reading.text, parts, exact, k)
            hits = _hits(store, scores, parts, exact, k)
            if side is not None and mode == "hybrid" and caution.knows(store, side.encoder):
                hits = _judged(store, reading.text, hits, parts)
            weak = all(hit.weak for hit in hits)
            missing = caution.unknown_terms(store, reading.text, any_word=weak) if words and not exact else []
            yield Answer(query, reading, hits, mode, served, tuple(missing))


Parts = dict[str, dict[str, float]]
"""The scores of the concepts by part: lexical (BM25), name (share of the query), semantic (cosine)."""


def _hits(store: Store, scores: Mapping[str, float], parts: Parts, exact: set[str], k: int) -> list[Hit]:
    scores = dict.fromkeys(exact, 0.0) | dict(scores)
    order = sorted(scores, key=lambda id: (id not in exact, -scores[id], id))[:k]
    rows = {row.id: row for row in store.rows(order)}
    return [_hit(rows[id], scores[id], parts, id in exact) for id in order]


def _judged(store: Store, text: str, hits: list[Hit], parts: Parts) -> list[Hit]:
    """The hits, all weak where the query has no answer here, and the first one else not."""
    if not hits or hits[0].exact:
        return hits
    first, *others = hits
    near = first.parts["semantic"]
    seen = caution.signs(store, text, first.row.id, near, parts["lexical"], parts["name"])
    if caution.has_answer(seen, chinese=is_chinese(text)):
        return [replace(first, weak=False), *others]
    return [replace(hit, weak=not hit.exact) for hit in hits]


def is_chinese(text: str) -> bool:
    """Whether a query is compared as a Chinese one: it holds a 汉字."""
    return any("\u3400" <= c <= "\u9fff" for c in text)


def _hit(row: Row, score: float, tables: Parts, exact: bool) -> Hit:
    parts = {name: table[row.id] for name, table in tables.items() if row.id in table}
    near = parts["semantic"] >= WEAK if "semantic" in parts else "lexical" in parts
    return Hit(row, score, parts, exact, weak=not (exact or "name" in parts or near))


def _compare(index: Index, vector: Scores, text: str, parts: Parts, exact: set[str], k: int) -> dict[str, float]:
    """The scores of the k best concepts and of those in `exact`; adds the semantic part of these."""
    import numpy as np

    named = {*parts["lexical"], *parts["name"], *exact}
    found = index.find(vector, chinese=is_chinese(text), k=k, also=[index.position[id] for id in named])
    place = {id: int(np.searchsorted(found.concepts, index.position[id])) for id in named}
    blend = blend_all(parts, found, place, len(index.ids))
    best = np.argpartition(-blend, k)[:k].tolist() if k < len(blend) else range(len(blend))
    wanted = {*best, *(place[id] for id in exact)}
    ids = {i: index.ids[found.concepts[i]] for i in wanted}
    parts["semantic"] = {ids[i]: float(found.scores[i]) for i in wanted}
    return {ids[i]: float(blend[i]) for i in wanted}


def blend_words(parts: Parts) -> dict[str, float]:
    """The score without an encoder: BM25, and what the names in the query add."""
    words, names = parts["lexical"], parts["name"]
    return {id: words.get(id, 0.0) + NAME_WEIGHT * names.get(id, 0.0) for id in words.keys() | names.keys()}


def blend_all(parts: Parts, found: Found, place: Mapping[str, int], n: int) -> Scores:
    """The score of every concept that was compared: (C,). One that shares no word has the lexical score 0.

    Args:
        place: Where the concepts that share words stand in `found`.
        n: How many concepts there are.
    """
    blend: Scores = (found.scores.astype("f8") - found.mean) / found.spread
    if words := parts["lexical"]:
        mean = sum(words.values()) / n
        spread = ((sum((score - mean) ** 2 for score in words.values()) + (n - len(words)) * mean**2) / n) ** 0.5
        spread = spread if spread > 1e-6 * mean else 1.0  # all alike but for rounding
        blend = (1 - LEXICAL_SHARE) * blend - LEXICAL_SHARE * mean / spread
        for id, score in words.items():
            blend[place[id]] += LEXICAL_SHARE * score / spread
    for id, named in parts["name"].items():
        blend[place[id]] += NAME_WEIGHT * named
    return blend
