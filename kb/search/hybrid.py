"""One ranking from two: BM25 finds the words, the encoder finds the meaning.

Both scores are standardized over all concepts before they are blended, so that neither's scale matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kb.search.lexical import lexical_scores
from kb.search.names import name_scores
from kb.search.reading import Reading, read_query
from kb.store import Row, Store

if TYPE_CHECKING:
    from kb.search.index import Encoder, Index

Mode = Literal["hybrid", "lexical", "semantic"]
LEXICAL_SHARE = 0.35
"""Weight of BM25 in the blend, chosen before the frozen queries were written; .2, .5 and .65 do no better on them."""
NAME_WEIGHT = 3.0
"""Of the share that names have in a query, in standard deviations; from 2 to 6 the results hardly change."""
WEAK_COSINE = 0.875
"""Below this, with no word shared, a hit is weak: the best for real queries is mostly above, for noise below."""


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


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query was read as, and the hits, best first."""

    reading: Reading
    hits: list[Hit]


@dataclass(frozen=True, slots=True)
class Semantic:
    """The encoder and the vectors that it is compared with."""

    encoder: Encoder
    index: Index


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
    reading = read_query(store, query)
    rows = {row.id: row for row in store.rows()}
    if not rows:
        return Answer(reading, [])
    exact = {match.id for match in store.resolve(query) or store.resolve(reading.text)}
    words = lexical_scores(store, reading.text) if mode != "semantic" else {}
    names = name_scores(store, reading.text) if mode != "semantic" else {}
    cosines: dict[str, float] = {}
    if mode != "lexical" and semantic is not None and query.strip():
        side = semantic()
        vector = side.encoder.encode([reading.text])
        cosines = dict(zip(side.index.ids, side.index.scores(vector)[0].tolist(), strict=True))
    blend = fuse(words, cosines)
    blend = {id: blend.get(id, 0.0) + NAME_WEIGHT * names.get(id, 0.0) for id in blend.keys() | names.keys()}
    order = sorted(blend, key=lambda id: (id not in exact, -blend[id], id))
    order = [*sorted(exact - blend.keys()), *order]
    parts = {"lexical": words, "name": names, "semantic": cosines}
    hits = [_hit(rows[id], blend.get(id, 0.0), parts, id in exact) for id in order[:k]]
    return Answer(reading, hits)


def _hit(row: Row, score: float, tables: Mapping[str, Mapping[str, float]], exact: bool) -> Hit:
    parts = {name: table[row.id] for name, table in tables.items() if row.id in table}
    strong = exact or "lexical" in parts or "name" in parts or parts.get("semantic", 0.0) >= WEAK_COSINE
    return Hit(row, score, parts, exact, weak=not strong)


def fuse(words: Mapping[str, float], cosines: Mapping[str, float], share: float = LEXICAL_SHARE) -> dict[str, float]:
    """Blend two score tables into one; a concept that shares no word has the lexical score 0.

    Args:
        share: Weight of the lexical side, in [0, 1]; it is the whole where the other side is empty.
    """
    if not cosines:
        return dict(words)
    lexical, semantic = _standardize({id: words.get(id, 0.0) for id in cosines}), _standardize(cosines)
    share = share if words else 0.0
    return {id: share * lexical[id] + (1 - share) * semantic[id] for id in cosines}


def _standardize(scores: Mapping[str, float]) -> dict[str, float]:
    mean = sum(scores.values()) / len(scores)
    spread = (sum((value - mean) ** 2 for value in scores.values()) / len(scores)) ** 0.5 or 1.0
    return {id: (value - mean) / spread for id, value in scores.items()}
