"""The search on a large knowledge base: time of a warm query, memory, and what its short cuts lose.

python scripts/bench_scale.py                       # the shipped concepts, then 100,000 made from them
python scripts/bench_scale.py --concepts 10000
python scripts/bench_scale.py --texts 100000 --device cuda    # texts a second on the CPU and on a GPU instead

The made concepts have names of their own, sentences of shipped entries in new combinations, and the shipped vectors
with noise: as many words and vectors a concept as there are now. Times are medians over the frozen queries, in one
process after a warm-up; the target is 15 ms on what ships and 60 ms at 100,000 concepts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs in a checkout with nothing installed

from kb.base import open as open_base
from kb.concepts.model import Concept
from kb.encoder.models import open_encoder
from kb.language.text import Bilingual
from kb.search.hybrid import Semantic, search_all
from kb.search.index import CHUNK, Index
from kb.search.kept import quantize
from kb.search.side import open_semantic
from kb.snapshot.compile import words_of
from kb.snapshot.store import Store
from kb.snapshot.tables import TABLES
from kb.snapshot.update import Change, write

FROZEN = ROOT / "tests" / "data" / "search_queries.jsonl"
NOISE = 0.01
"""Standard deviation of what is added to each number of a unit vector."""


def make_store(shipped: Store, n: int, path: Path) -> Store:
    """A snapshot of n made concepts."""
    connection = sqlite3.connect(path)
    connection.executescript(TABLES)
    with connection:
        write(connection, Change([(concept, "") for concept in make_concepts(shipped, n)], [], []))
    return Store((connection, path), lambda: (connection, path))


def make_concepts(shipped: Store, n: int) -> Iterator[Concept]:
    """Concepts whose names are drawn from the shipped words, and whose texts are halves of shipped ones."""
    draw = random.Random(0)
    texts = [words_of(concept) for concept in shipped.concepts()]
    pool = sorted({word for of_it in texts for column in of_it for word in column if word.isascii() and len(word) > 3})
    han = sorted({c for row in shipped.rows() for c in row.name.zh if "\u3400" <= c <= "\u9fff"})
    for i in range(n):
        name = Bilingual(f"{draw.choice(pool)} {draw.choice(pool)} {i}", "".join(draw.choices(han, k=4)) + str(i))
        summary, asks, body = (
            " ".join(_half(draw.choice(texts)[part], draw) + _half(draw.choice(texts)[part], draw))
            for part in range(1, 4)
        )
        yield Concept(
            f"made-{i:06d}", "concept", name, Bilingual(summary, ""), asks={"en": (asks,)}, how=Bilingual(body, "")
        )


def _half(tokens: list[str], draw: random.Random) -> list[str]:
    start = draw.randrange(max(len(tokens) // 2, 1))
    return tokens[start : start + (len(tokens) + 1) // 2]


def make_index(shipped: Index, ids: list[str]) -> Index:
    """Each made concept lies somewhere between two shipped ones: its passages are blends of theirs, with noise."""
    draw = np.random.default_rng(0)
    bounds = [*shipped.starts.tolist(), len(shipped.codes)]
    pairs = draw.integers(0, len(shipped.ids), (len(ids), 2)).tolist()
    rows = [np.arange(bounds[first], bounds[first + 1]) for first, _ in pairs]
    others = [
        _of_kinds(shipped, bounds[second], bounds[second + 1], row)
        for row, (_, second) in zip(rows, pairs, strict=True)
    ]
    counts = np.array([len(row) for row in rows])
    shares = draw.uniform(0.5, 1.0, len(ids)).repeat(counts).astype(np.float32)[:, None]
    one, two = np.concatenate(rows), np.concatenate(others)
    vectors = shipped.vectors
    codes = np.empty((len(one), vectors.shape[1]), np.int8)
    for start in range(0, len(one), 10_000):
        part = slice(start, start + 10_000)
        mixed = shares[part] * vectors[one[part]] + (1 - shares[part]) * vectors[two[part]]
        mixed += NOISE * draw.standard_normal(mixed.shape, dtype=np.float32)
        codes[part] = quantize(mixed)
    starts = np.append(0, counts.cumsum()[:-1]).astype(np.int32)
    return Index(ids, starts, codes, np.arange(len(one), dtype=np.uint64), shipped.kinds[one])


def _of_kinds(shipped: Index, start: int, end: int, rows: Any) -> Any:
    """Passages of one concept that have the kinds of another's, over and over."""
    places = np.arange(start, end)
    by_kind = {kind: itertools.cycle(places[shipped.kinds[start:end] == kind].tolist() or [start]) for kind in range(4)}
    return np.array([next(by_kind[kind]) for kind in shipped.kinds[rows].tolist()])


def measure(name: str, store: Store, side: Semantic, queries: list[str]) -> None:
    """Time single warm queries, and parts of them."""
    for query in queries[:20]:
        next(search_all(store, [query], semantic=lambda: side))
    times = []
    for query in queries:
        start = time.perf_counter()
        next(search_all(store, [query], semantic=lambda: side))
        times.append(1000 * (time.perf_counter() - start))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform != "darwin" else 1024**3)
    cut = statistics.quantiles(times, n=20)
    print(
        f"{name:<28}median {statistics.median(times):>6.1f} ms   95 % {cut[-1]:>6.1f} ms   peak {peak:.2f} GB",
        flush=True,
    )


def recall(side: Semantic, queries: list[str]) -> tuple[float, float]:
    """How often the short cut finds the nearest concept, and how many of the ten nearest; all are compared for that."""
    index, first, ten = side.index, [], []
    for query, vector in zip(queries, side.encoder.encode(queries), strict=True):
        chinese = any("\u3400" <= c <= "\u9fff" for c in query)
        rough = set(index.find(vector, chinese=chinese).concepts.tolist())
        parts = []
        for start in range(0, len(index.ids), 2000):
            found = index.find(vector, chinese=chinese, also=range(start, min(start + 2000, len(index.ids))))
            parts.append(np.stack([found.scores, found.concepts]))
        scores, concepts = np.concatenate(parts, axis=1)
        order = list(dict.fromkeys(concepts[np.argsort(-scores, kind="stable")].astype(int).tolist()))[:10]
        first.append(order[0] in rough)
        ten.append(sum(concept in rough for concept in order) / 10)
    return float(np.mean(first)), float(np.mean(ten))


def throughput(store: Store, n: int, device: str) -> None:
    """Embed n passages on the CPU and on another device, in turn, and say how far the vectors agree."""
    passages = [text for *_, text in store.passages()]
    draw = random.Random(0)
    texts = [f"{draw.choice(passages)} {i}" for i in range(n)]
    some: dict[str, Any] = {}
    for wanted in dict.fromkeys(("cpu", device)):
        encoder = open_encoder("", wanted)
        encoder.encode(texts[:256], "passage")  # libraries and kernels are loaded when the clock starts
        start = time.perf_counter()
        for at in range(0, n, CHUNK * 16):
            encoder.encode(texts[at : at + CHUNK * 16], "passage")
        rate = n / (time.perf_counter() - start)
        some[wanted] = encoder.encode(texts[:64], "passage")
        print(f"{encoder.device}, {encoder.runtime}: {rate:.0f} texts a second", flush=True)
    print(f"least cosine between the two: {(some['cpu'] * some[device]).sum(1).min():.5f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concepts", type=int, default=100_000)
    parser.add_argument("--texts", type=int, help="embed so many texts instead")
    parser.add_argument("--device", default="auto", help="with --texts: besides the CPU")
    options = parser.parse_args()
    if options.texts:
        throughput(open_base().store, options.texts, options.device)
        return
    n = options.concepts
    queries = [json.loads(line)["q"] for line in FROZEN.read_text(encoding="utf-8").splitlines()]
    base = open_base()
    side = open_semantic(base.store, device="cpu")
    measure(f"{len(base)} shipped concepts", base.store, side, queries)
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(base.store, n, Path(folder) / "made.sqlite")
        made = Semantic(side.encoder, make_index(side.index, [row.id for row in store.rows()]))
        print(f"{n} concepts, {len(made.index.codes)} vectors are made", flush=True)
        start = time.perf_counter()
        next(search_all(store, queries[:1], semantic=lambda: made))
        print(f"first query, which prepares the short cut: {time.perf_counter() - start:.1f} s")
        measure(f"{n} made concepts", store, made, queries)
        first, ten = recall(made, queries[::40])
        print(
            f"the short cut finds the nearest concept in {first:.3f} of the queries, and {ten:.3f} of the ten nearest"
        )


if __name__ == "__main__":
    main()
