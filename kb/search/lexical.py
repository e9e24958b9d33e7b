"""The lexical side: BM25 over folded words and Chinese bigrams, in SQLite's FTS5."""

from __future__ import annotations

from kb.language.words import words
from kb.snapshot.store import Store

WEIGHTS = (6.0, 3.0, 4.0, 0.5)
"""Of the columns names, summary, asks, body."""

LARGE = 20_000
"""Concepts from which a word that many share is not looked up: ranking every one of them would take too long."""
RARE = 1_000
"""Concepts that share a word, at most, for it to be rare."""


def lexical_scores(store: Store, query: str, limit: int = 100) -> dict[str, float]:
    """BM25 of the concepts that share a word with the query, larger is better; empty where none does.

    In a large knowledge base only the rare words of the query count, see `_match`.
    """
    terms = list(dict.fromkeys(words(query)))
    if not terms:
        return {}
    quoted = ['"' + term.replace('"', "") + '"' for term in terms[:64]]
    return store.ranked(_match(store, quoted), WEIGHTS, limit)


def _match(store: Store, quoted: list[str]) -> str:
    """The FTS5 query: any of the words; in a large knowledge base of the rarest, or else the two longest together."""
    if store.size() <= LARGE:
        return " OR ".join(quoted)
    counts = {term: store.count(term, RARE + 1) for term in quoted}
    rare = sorted((term for term, count in counts.items() if 0 < count <= RARE), key=counts.__getitem__)
    common = sorted((term for term, count in counts.items() if count), key=len, reverse=True)
    return " OR ".join(rare[:5]) or " AND ".join(common[:2]) or quoted[0]
