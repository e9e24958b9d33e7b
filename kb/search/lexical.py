"""The lexical side: BM25 over folded words and Chinese bigrams, in SQLite's FTS5."""

from __future__ import annotations

from kb.store import Store
from kb.words import words

WEIGHTS = (0.0, 6.0, 3.0, 4.0, 1.0)
"""Of the columns id, names, summary, asks, body."""

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
    """BM25 of the concepts that share a word with the query, larger is better; empty where none does."""
    terms = list(dict.fromkeys(words(query)))
    telling = [term for term in terms if term not in _STOP and term not in _STOP_ZH] or terms
    if not telling:
        return {}
    match = " OR ".join('"' + term.replace('"', "") + '"' for term in telling[:64])
    weights = ", ".join(map(str, WEIGHTS))
    sql = (
        f"SELECT id, -bm25(lexical, {weights}) AS score FROM lexical WHERE lexical MATCH ? ORDER BY score DESC LIMIT ?"
    )
    return dict(store.query(sql, (match, limit)))
