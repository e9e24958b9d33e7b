"""The lexical side: BM25 over folded words and Chinese bigrams, in SQLite's FTS5."""

from __future__ import annotations

from kb.language.words import words
from kb.snapshot.store import Store

WEIGHTS = (0.0, 6.0, 3.0, 4.0, 1.0)
"""Of the columns id, names, summary, asks, body."""

LARGE = 20_000
"""Concepts from which a word that many share is not looked up: ranking every one of them would take too long."""
RARE = 1_000
"""Concepts that share a word, at most, for it to be rare."""

_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "can",
        "do",
        "does",
        "for",
        "from",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "me",
        "my",
        "not",
        "of",
        "on",
        "or",
        "so",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "this",
        "to",
        "was",
        "what",
        "when",
        "where",
        "which",
        "why",
        "will",
        "with",
        "without",
        "you",
        "your",
    ]
)
_STOP_ZH = frozenset(
    [
        "什么",
        "怎么",
        "么办",
        "怎样",
        "如何",
        "为什",
        "一个",
        "的是",
        "是什",
        "这个",
        "那个",
        "可以",
        "有没",
        "没有",
        "么样",
        "是不",
        "不是",
        "的时",
        "时候",
        "一下",
        "哪些",
    ]
)


def lexical_scores(store: Store, query: str, limit: int = 100) -> dict[str, float]:
    """BM25 of the concepts that share a word with the query, larger is better; empty where none does.

    In a large knowledge base only the telling words of the query count, see `_match`.
    """
    terms = list(dict.fromkeys(words(query)))
    telling = [term for term in terms if term not in _STOP and term not in _STOP_ZH] or terms
    if not telling:
        return {}
    quoted = ['"' + term.replace('"', "") + '"' for term in telling[:64]]
    return store.ranked(_match(store, quoted), WEIGHTS, limit)


def _match(store: Store, quoted: list[str]) -> str:
    """The FTS5 query: any of the words; in a large knowledge base of the rarest, or else the two longest together."""
    if store.size() <= LARGE:
        return " OR ".join(quoted)
    counts = {term: store.count(term, RARE + 1) for term in quoted}
    rare = sorted((term for term, count in counts.items() if 0 < count <= RARE), key=counts.__getitem__)
    common = sorted((term for term, count in counts.items() if count), key=len, reverse=True)
    return " OR ".join(rare[:5]) or " AND ".join(common[:2]) or quoted[0]
