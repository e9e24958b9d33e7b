"""The names that stand in a query: `what does dropout do` names dropout, whatever else it says."""

from __future__ import annotations

import re

from kb.language.surface import fold
from kb.language.text import normal
from kb.snapshot.store import Store

_TOKEN = re.compile(r"[a-z0-9+#]+|[^\W\d_a-z]")
_PLURAL = re.compile(r"(?<=[a-rt-z]{2})s$")
LONGEST_NAME = 14
"""Tokens of a name: words, or single 汉字."""
TOKENS = 120
"""Tokens of a query that are looked at."""
ASKING = frozenset(
    "的了是什么吗呢怎如何为有和与还在一个我你请问哪些全称意思区别到底啥吧就也都要不会能这那它他们把被给让用跟或者时候里上下中咋几多少"
)
"""汉字 that ask and connect: they are no part of what is asked about. English words of this kind changed nothing."""


def name_scores(store: Store, query: str) -> dict[str, float]:
    """How much of what a query asks about each concept's name covers, in (0, 1]; inside a longer one it counts a third.

    Characters that only ask count where they are part of the name, and nowhere else.
    """
    from kb.language.han import TO_SIMPLIFIED

    text = normal(query).casefold().translate(TO_SIMPLIFIED)
    tokens = _TOKEN.findall(text)[:TOKENS]
    spans: dict[str, list[tuple[int, int]]] = {}
    for start in range(len(tokens)):
        for end in range(start + 1, min(start + LONGEST_NAME, len(tokens)) + 1):
            key = fold("".join(tokens[start:end]))
            for name in {key, _PLURAL.sub("", key)}:
                if len(name) > 1:
                    spans.setdefault(name, []).append((start, end))
    found = [(start, end, id) for key, id in store.named_by(spans) for start, end in spans[key]]
    total = sum(len(token) for token in tokens if token not in ASKING)
    scores: dict[str, float] = {}
    for start, end, id in found:
        inside = any(a <= start and end <= b and (a, b) != (start, end) for a, b, _ in found)
        named = sum(map(len, tokens[start:end]))
        share = named / max(named, total) / (3 if inside else 1)
        scores[id] = max(scores.get(id, 0.0), share)
    return scores
