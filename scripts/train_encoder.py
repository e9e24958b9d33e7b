"""Tune the bundled encoder on training queries, and say whether that helps with concepts that it did not see.

python scripts/train_encoder.py                        # two folds over the concepts: does it win? changes nothing
python scripts/train_encoder.py --out FOLDER           # then train on all, as a sentence-transformers model
python scripts/train_encoder.py --tune all --device cuda --out FOLDER    # more than biases and LayerNorms

By default only biases and LayerNorms learn, so that the 4-bit matrices stay bit for bit what they are. A fold trains on
the queries of half of the concepts; the plain and the tuned encoder then answer the frozen queries of the other half,
in whole searches. The result is worth keeping where the interval of the difference lies above zero.

Source: Ben Zaken et al., BitFit, 2022 (tuning biases); van den Oord et al., 2018 (InfoNCE, here in both directions).
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs in a checkout with nothing installed

import torch  # noqa: E402  (the path comes first)
from eval_search import FROZEN, Query, interval, mode_ranker, read_queries, score  # noqa: E402
from torch.nn.functional import cross_entropy, normalize  # noqa: E402

from kb.base import open as open_base  # noqa: E402
from kb.search.encoder import PREFIX  # noqa: E402
from kb.search.hybrid import Mode, Semantic  # noqa: E402
from kb.search.index import open_index  # noqa: E402
from kb.search.models import expanded  # noqa: E402
from kb.store import Store  # noqa: E402

TRAINING = ROOT / "scripts" / "training_queries.jsonl"
BATCH = 48
MAX_TOKENS = 96
"""Of a text while training; longer passages are cut."""


class Recipe(NamedTuple):
    """How it learns."""

    tune: str
    epochs: int
    rate: float
    temperature: float
    device: str
    seed: int = 0


class Model:
    """The expanded encoder in torch, as an `Encoder` of the search and as something that learns."""

    runtime = "torch"

    def __init__(self, folder: Path, device: str, name: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.name, self.key, self.device = name, name, device
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.bert: Any = AutoModel.from_pretrained(folder, dtype=torch.float32).to(device).eval()

    def embed(self, texts: Sequence[str], max_tokens: int = 512) -> torch.Tensor:
        """Unit rows: (N, D)."""
        prefixed = [PREFIX + text for text in texts]
        tokens = self.tokenizer(prefixed, padding=True, truncation=True, max_length=max_tokens, return_tensors="pt")
        tokens = tokens.to(self.device)
        states = self.bert(**tokens).last_hidden_state
        mask = tokens["attention_mask"][..., None]
        return normalize((states * mask).sum(1) / mask.sum(1), dim=1)

    def encode(self, texts: Sequence[str], side: str = "query") -> Any:
        """Unit rows, float32 on the CPU: (N, D)."""
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))  # like lengths share a batch
        with torch.inference_mode():
            parts = [self.embed([texts[i] for i in order[at : at + 32]]) for at in range(0, len(order), 32)]
        vectors = torch.empty_like(rows := torch.cat(parts))
        vectors[order] = rows
        return vectors.float().cpu().numpy()


def passages_of(store: Store) -> dict[str, list[str]]:
    """What the encoder sees of each concept."""
    found: dict[str, list[str]] = {}
    for id, text in store.query("SELECT id, text FROM passage ORDER BY rowid"):
        found.setdefault(id, []).append(text)
    return found


def train(model: Model, queries: Sequence[Query], passages: dict[str, list[str]], recipe: Recipe) -> None:
    """Pull each query towards a passage of its concept, in either language, and away from those of others."""
    draw = random.Random(recipe.seed)
    torch.manual_seed(recipe.seed)
    learns = [
        weight
        for name, weight in model.bert.named_parameters()
        if weight.requires_grad_(recipe.tune == "all" or name.endswith("bias") or "LayerNorm" in name).requires_grad
        and "pooler" not in name
    ]
    steps = recipe.epochs * (len(queries) // BATCH)
    optimizer = torch.optim.AdamW(learns, lr=recipe.rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps, pct_start=0.1)
    for epoch in range(recipe.epochs):
        started, losses = time.perf_counter(), []
        for batch in batches(queries, draw):
            texts = [draw.choice(passages[draw.choice(sorted(query.gold))]) for query in batch]
            with torch.autocast(model.device.split(":")[0], dtype=torch.bfloat16):
                asked = model.embed([query.text for query in batch], MAX_TOKENS)
                found = model.embed(texts, MAX_TOKENS)
            near = asked.float() @ found.float().T / recipe.temperature
            same = [[i != j and bool(a.gold & b.gold) for j, b in enumerate(batch)] for i, a in enumerate(batch)]
            near = near.masked_fill(torch.tensor(same, device=near.device), float("-inf"))
            own = torch.arange(len(batch), device=near.device)
            loss = (cross_entropy(near, own) + cross_entropy(near.T, own)) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"  epoch {epoch + 1}: loss {mean(losses):.3f}, {time.perf_counter() - started:.0f} s", flush=True)


def batches(queries: Sequence[Query], draw: random.Random) -> Iterator[list[Query]]:
    """Every query once, in random order, in whole batches."""
    order = draw.sample(list(queries), len(queries))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        yield order[start : start + BATCH]


def halves(ids: Sequence[str], seed: int) -> tuple[set[str], set[str]]:
    """The concepts in two halves by lot."""
    order = random.Random(seed).sample(sorted(ids), len(ids))
    return set(order[::2]), set(order[1::2])


def scores(store: Store, model: Model, queries: Sequence[Query], mode: Mode, scratch: Path) -> list[float]:
    """The reciprocal rank of every query with this encoder."""
    index = open_index(store, model, [scratch], lambda done, total: None)
    ranker = mode_ranker(store, Semantic(model, index), mode)
    return [seen.mrr for seen in score(ranker, queries)]


def compare(store: Store, training: Sequence[Query], frozen: Sequence[Query], recipe: Recipe) -> None:
    """Two folds: train on one half of the concepts, ask about the other; print plain, tuned and their difference."""
    passages = passages_of(store)
    seen: dict[str, list[tuple[Query, float, float]]] = {"hybrid": [], "semantic": []}
    own: list[tuple[float, float]] = []
    parts = halves(list(passages), seed=1)
    with tempfile.TemporaryDirectory() as scratch:
        plain = Model(expanded(), recipe.device, "plain")
        for fold, unseen in enumerate(parts):
            model = Model(expanded(), recipe.device, f"tuned-{fold}")
            train(model, [query for query in training if not query.gold & unseen], passages, recipe)
            asked = [query for query in frozen if query.gold <= unseen]
            held = [query for query in training if query.gold <= unseen]
            for mode in ("hybrid", "semantic"):
                before = scores(store, plain, asked, mode, Path(scratch))  # type: ignore[arg-type]  # a Mode
                after = scores(store, model, asked, mode, Path(scratch))  # type: ignore[arg-type]  # a Mode
                seen[mode] += zip(asked, before, after, strict=True)
            own += zip(
                scores(store, plain, held, "hybrid", Path(scratch)),
                scores(store, model, held, "hybrid", Path(scratch)),
                strict=True,
            )
    print(f"\n{len(seen['hybrid'])} frozen queries of concepts that were not trained on; MRR@10")
    for mode, rows in seen.items():
        for group in ("all", "crosslingual", "symptom", "zh", "en"):
            chosen = [(a, b) for query, a, b in rows if group in ("all", query.style, query.lang)]
            show(f"{mode}, {group}", chosen)
    show("hybrid, held-out training queries", own)


def show(name: str, pairs: Sequence[tuple[float, float]]) -> None:
    """One line: before, after, and the interval of the difference."""
    before, after = (mean(side) for side in zip(*pairs, strict=True))
    low, high = interval([b - a for a, b in pairs])
    gain = f"{after - before:+.3f} ({low:+.3f}, {high:+.3f})"
    print(f"{name:<36}{len(pairs):>5}  plain {before:.3f}  tuned {after:.3f}  {gain}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=Path, default=TRAINING, help="training queries, as eval_search.py reads them")
    parser.add_argument("--tune", choices=("norms", "all"), default="norms", help="biases and LayerNorms, or all")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--temperature", type=float, default=0.05)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="train on all concepts and write a model folder here")
    options = parser.parse_args()
    recipe = Recipe(options.tune, options.epochs, options.rate, options.temperature, options.device)
    store = open_base().store
    training = read_queries(options.queries, store)
    compare(store, training, read_queries(FROZEN, store), recipe)


if __name__ == "__main__":
    main()
