"""Tune the bundled encoder on training queries, and say whether that helps with concepts that it did not see.

python scripts/train_encoder.py                        # two folds over the concepts: does it win? writes nothing
python scripts/train_encoder.py --out FOLDER           # trains on all, if it won: kb search --model FOLDER
python scripts/train_encoder.py --tune all --device cuda --out FOLDER    # more than biases and LayerNorms

By default only biases and LayerNorms learn, so that the 4-bit matrices stay bit for bit what they are; the result is
then written in the bundled form too, as FOLDER/encoder, which may replace data/encoder. A fold trains on the queries of
half of the concepts; the plain and the tuned encoder then answer the frozen queries of the other half, in whole
searches. It wins where the interval of the difference of the hybrid search lies above zero; else nothing is written.

Source: Ben Zaken et al., BitFit, 2022 (tuning biases); van den Oord et al., 2018 (InfoNCE, here in both directions).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
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

import numpy as np
import torch
from eval_search import FROZEN, TRAINING, Query, interval, mode_ranker, read_queries, score
from safetensors.numpy import load_file
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy, normalize

from kb.base import open as open_base
from kb.encoder.expand import MATRICES, NORMS
from kb.encoder.models import expanded
from kb.encoder.onnx import PREFIX
from kb.paths import shipped_data
from kb.search.hybrid import Mode, Semantic
from kb.search.kept import open_index
from kb.snapshot.store import Store

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
    for id, _, _, text in store.passages():
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
            texts = [draw.choice(others(query, passages[draw.choice(sorted(query.gold))])) for query in batch]
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


def others(query: Query, passages: Sequence[str]) -> list[str]:
    """The passages of a concept that are not the query itself."""
    return [text for text in passages if text != query.text]


def questions(store: Store) -> list[Query]:
    """The questions of the entries as queries; each is to find the other passages of its concept."""
    return [
        Query(text, language, "ask", frozenset({id})) for id, part, language, text in store.passages() if part == "ask"
    ]


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
    index = open_index(store, model, scratch / "shipped", scratch, lambda done, total: None)
    ranker = mode_ranker(store, Semantic(model, index), mode)
    return [seen.mrr for seen in score(ranker, queries)]


def compare(store: Store, training: Sequence[Query], frozen: Sequence[Query], recipe: Recipe) -> bool:
    """Two folds: train on one half of the concepts, ask about the other; print plain, tuned and their difference.

    Returns:
        Whether the tuned encoder wins.
    """
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
            held = [query for query in training if query.gold <= unseen and query.style != "ask"]
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
    return interval([after - before for _, before, after in seen["hybrid"]])[0] > 0


def write(model: Model, tune: str, folder: Path) -> None:
    """Keep what was learnt: a sentence-transformers folder, and the bundled form where the matrices are as before."""
    shutil.copytree(expanded(), folder, ignore=shutil.ignore_patterns("made.json"))
    learnt = {name: tensor.detach().cpu() for name, tensor in model.bert.state_dict().items()}
    save_file(
        {name: tensor.contiguous() for name, tensor in learnt.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    if tune == "norms":
        shipped = shipped_data() / "encoder"
        shutil.copytree(shipped, folder / "encoder")
        packed = tuned(
            {name: tensor.numpy() for name, tensor in learnt.items()}, load_file(shipped / "model.safetensors")
        )
        patch(folder / "encoder", packed)


def tuned(bert: dict[str, Any], packed: dict[str, Any]) -> dict[str, Any]:
    """The packed tensors with the biases and norms of a BERT in place; `kb.encoder.expand` goes the other way."""
    found = {f"embed.norm.{kind}": bert[f"embeddings.LayerNorm.{kind}"] for kind in ("weight", "bias")}
    for layer in range(1 + max(int(name.split(".")[0]) for name in packed if name[0].isdigit())):
        there = f"encoder.layer.{layer}"
        stacks: dict[str, list[Any]] = {}
        for name, (source, _, _) in MATRICES.items():  # parts of a stack stand in order
            stacks.setdefault(source, []).append(bert[f"{there}.{name}.bias"])
        found |= {f"{layer}.{source}.bias": np.concatenate(parts) for source, parts in stacks.items()}
        for name, source in NORMS.items():
            found |= {f"{layer}.{source}.{kind}": bert[f"{there}.{name}.{kind}"] for kind in ("weight", "bias")}
    return {name: tensor.astype(packed[name].dtype) for name, tensor in found.items()}


def patch(folder: Path, tensors: dict[str, Any]) -> None:
    """Overwrite tensors where they lie in model.safetensors, which model.onnx points into; renew meta.json."""
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for name, tensor in tensors.items():
        start, end = (8 + length + offset for offset in header[name]["data_offsets"])
        assert end - start == tensor.nbytes, name
        data[start:end] = tensor.tobytes()
    path.write_bytes(data)
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    meta["name"] += "-tuned"
    meta["files"]["model.safetensors"]["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "meta.json").write_text(json.dumps(meta, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def show(name: str, pairs: Sequence[tuple[float, float]]) -> None:
    """One line: before, after, and the interval of the difference."""
    before, after = (mean(side) for side in zip(*pairs, strict=True))
    low, high = interval([b - a for a, b in pairs])
    gain = f"{after - before:+.3f} ({low:+.3f}, {high:+.3f})"
    print(f"{name:<36}{len(pairs):>5}  plain {before:.3f}  tuned {after:.3f}  {gain}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=Path, default=TRAINING, help="training queries, as eval_search.py reads them")
    parser.add_argument("--asks", action="store_true", help="train on the questions of the entries, too")
    parser.add_argument("--tune", choices=("norms", "all"), default="norms", help="biases and LayerNorms, or all")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--temperature", type=float, default=0.05)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="a new folder for what was learnt from all concepts")
    options = parser.parse_args()
    recipe = Recipe(options.tune, options.epochs, options.rate, options.temperature, options.device)
    store = open_base().store
    training = read_queries(options.queries, store) + (questions(store) if options.asks else [])
    if options.out and options.out.exists():
        sys.exit(f"{options.out} exists already")
    won = compare(store, training, read_queries(FROZEN, store), recipe)
    if not won:
        print("\nit does not win on concepts that it did not see: the plain encoder stays")
    elif options.out:
        model = Model(expanded(), recipe.device, "tuned")
        train(model, training, passages_of(store), recipe)
        write(model, recipe.tune, options.out)
        print(f"\nwritten: {options.out}")


if __name__ == "__main__":
    main()
