"""Whether a query has its answer here: what the best hit and the words of the query say, weighed by a fitted rule.

`scripts/fit_caution.py` fits the rule on questions that have an answer and on such that have none; docs/search.md has
its curve.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from kb.encoder.models import BUNDLED
from kb.language.words import words
from kb.snapshot.store import Store

if TYPE_CHECKING:
    from kb.encoder.protocol import Encoder

SMALLEST, LARGEST = 100, 20_000
"""Concepts of a knowledge base that the rule says something about."""
WORDS = 64
"""Words of a query that are looked up."""
_TERM = re.compile(r"[A-Za-z][A-Za-z0-9+#]*(?:-[A-Za-z0-9]+)*")


class Signs(NamedTuple):
    """What speaks for an answer, or against it."""

    near: float
    """Nearness of the best hit in meaning."""
    words: float
    """BM25 of the concept that shares most with the query."""
    named: float
    """Share of the query that is the name of a concept, the largest."""
    covered: float
    """Share of the query's words that the best hit uses, the rare ones counting more."""
    unknown: float
    """Share of the query's characters that stand in words which the knowledge base does not use."""


class Rule(NamedTuple):
    """Weights of the signs; below 0 there is no answer here."""

    bias: float
    weights: Signs


RULES: dict[str, Rule] = {
    "en": Rule(-3.4371, Signs(near=6.905, words=0.168, named=0.8285, covered=1.3927, unknown=-6.5573)),
    "zh": Rule(-0.9559, Signs(near=3.8667, words=0.1253, named=1.5471, covered=-1.9808, unknown=-4.8708)),
}
"""By language of the query."""


def knows(store: Store, encoder: Encoder) -> bool:
    """Whether the rule says something of this knowledge base and encoder: it was fitted with those that ship."""
    return encoder.name == BUNDLED and SMALLEST <= store.size() <= LARGEST


def signs(
    store: Store, query: str, best: str, near: float, lexical: Mapping[str, float], named: Mapping[str, float]
) -> Signs:
    """The signs of a query, whose best hit is the concept `best`; `lexical` and `named` score all that share a word."""
    asked = words(query)[:WORDS]
    size = store.size()
    used = {word: store.usage(word, best) for word in dict.fromkeys(asked)}
    weight = {word: math.log((size + 1) / (count + 0.5)) for word, (count, _) in used.items()}
    total = sum(weight[word] for word in asked) or 1.0
    length = sum(map(len, asked)) or 1
    return Signs(
        near=near,
        words=max(lexical.values(), default=0.0),
        named=max(named.values(), default=0.0),
        covered=sum(weight[word] for word in asked if used[word][1]) / total,
        unknown=sum(len(word) for word in asked if not used[word][0]) / length,
    )


def has_answer(seen: Signs, *, chinese: bool) -> bool:
    """Whether the signs speak for an answer."""
    bias, weights = RULES["zh" if chinese else "en"]
    return bias + sum(a * b for a, b in zip(seen, weights, strict=True)) >= 0


def unknown_terms(store: Store, query: str, *, any_word: bool) -> list[str]:
    """Words of a query that stand in no text here, as they were typed.

    Args:
        any_word: Lower-case ones as well; else only what looks like a term: capitals inside, or digits.
    """
    typed = dict.fromkeys(_TERM.findall(query)[:WORDS])
    terms = [term for term in typed if len(term) > 1 and (any_word or _looks_like_a_term(term))]
    return [term for term in terms if not any(store.usage(word, "")[0] for word in words(term))]


def _looks_like_a_term(word: str) -> bool:
    return any(c.isupper() for c in word[1:]) or any(map(str.isdigit, word))
