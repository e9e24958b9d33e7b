"""Neural architecture search — a changed copy of a good network is often good, so copying and changing saves trials.

A cell has four nodes and an edge from each to all later ones; an edge is nothing, a skip (what comes in goes out) or
a layer: 3^6 = 729 architectures. All are trained side by side, from two first weights each, to tell even digits from
odd ones, and a table keeps the mean of their losses on other digits; a trial looks it up. Evolution keeps the last 10
that it tried, takes the best of 5 of them and changes one edge; the oldest leaves. How many architectures are better
than the best of 100 trials? A formula says it for random ones, none twice; evolution leaves clearly fewer. The control
is the same table shuffled: now a child is no more like its parent than a stranger, and evolution does worse than
random trials, as it tries some twice. And yet a rule that searches nothing leaves fewer still in this small space: try
those with the fewest edges left out first. Training was cheap; whether
the winner is as good on digits that did not choose it is not asked.

Needs:  torch, scikit-learn
Source: E. Real et al., Regularized Evolution for Image Classifier Architecture Search, AAAI 2019; X. Dong, Y. Yang,
        NAS-Bench-201, ICLR 2020 (the form of the space)
"""

import random
from collections import deque
from collections.abc import Callable, Iterator

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

# %% the concept

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # from a node to a later one
SKIP, LAYER = 1, 2  # 0 is nothing
SPACE, LAST, SAMPLE = 3 ** len(EDGES), 10, 5  # an architecture is a number of six digits to the base of 3


def cell(x: Tensor, kinds: Tensor, weights: Tensor) -> Tensor:
    """What the last node holds, in many architectures at a time: (A, B, W), (A, 6), (6, A, W, W) -> (A, B, W)."""
    nodes, skip, layer = [x], *((kinds == kind).to(x.dtype)[:, :, None, None] for kind in (SKIP, LAYER))
    for end in (1, 2, 3):  # a node adds up its edges
        into = [(e, nodes[start]) for e, (start, stop) in enumerate(EDGES) if stop == end]
        nodes.append(sum(skip[:, e] * h + layer[:, e] * (h @ weights[e]).relu() for e, h in into))
    return nodes[-1]


def changed(number: int, place: int, by: int) -> int:
    """Another kind for one edge: 1 or 2 further, in a circle."""
    kind = number // 3**place % 3
    return number + ((kind + by) % 3 - kind) * 3**place


def evolution(losses: list[float], trials: int, rng: random.Random) -> list[int]:
    alive: deque[int] = deque(maxlen=LAST)  # the oldest dies
    tried = []
    for _ in range(trials):
        if len(alive) < LAST:
            child = rng.randrange(SPACE)
        else:
            parent = min(rng.sample(alive, SAMPLE), key=losses.__getitem__)
            child = changed(parent, rng.randrange(len(EDGES)), rng.randint(1, 2))
        alive.append(child)
        tried.append(child)
    return tried


# %% its control


def most_edges(losses: list[float], trials: int, rng: random.Random) -> list[int]:
    """Looks at no loss: those with the fewest edges left out come first, else in random order."""
    return sorted(range(SPACE), key=lambda n: ((KINDS[n] == 0).sum().item(), rng.random()))[:trials]


# %% the experiment

WIDTH, TWICE, BATCH, RATE, TRAIN, TRIALS, REPEATS = 8, 2, 32, 0.01, 600, 100, 100
KINDS = torch.tensor([[n // 3**place % 3 for place in range(len(EDGES))] for n in range(SPACE)])  # (SPACE, 6)


def trained(kinds: Tensor, first: list[Tensor], x: Tensor, y: Tensor, rows: Tensor) -> Iterator[Tensor]:
    """Architectures side by side, each from TWICE first weights: losses at each step; last, on other digits: (A,)."""
    start, middle, end = weights = [t.repeat_interleave(len(kinds), -3).requires_grad_() for t in first]
    kinds, adam = kinds.repeat(TWICE, 1), torch.optim.Adam(weights)

    def losses(x: Tensor, y: Tensor) -> Tensor:  # (B, 64), (B,) -> (2 A,)
        logits = cell(x @ start, kinds, middle) @ end
        return -(logits.log_softmax(-1) * F.one_hot(y, 2)).sum(-1).mean(1)

    for step, batch in enumerate(rows):
        adam.param_groups[0]["lr"] = RATE * (1 - step / len(rows))
        loss = losses(x[batch], y[batch])
        adam.zero_grad()
        loss.sum().backward()  # nets share nothing: each gets its own gradient
        adam.step()
        yield loss.detach()
    with torch.no_grad():
        yield losses(x[TRAIN : 2 * TRAIN], y[TRAIN : 2 * TRAIN]).view(TWICE, -1).mean(0)


def alone(number: int, first: list[Tensor], x: Tensor, y: Tensor, rows: Tensor, rate: float) -> float:
    """One net by itself, edge by edge: its loss on digits 600 to 1199."""
    start, layers, end = weights = [t.clone().requires_grad_() for t in first]
    adam = torch.optim.Adam(weights)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        held = [x @ start] + [torch.zeros(len(x), WIDTH, dtype=x.dtype)] * 3
        for (low, high), kind, layer in zip(EDGES, KINDS[number].tolist(), layers, strict=True):
            held[high] = held[high] + (0, held[low], (held[low] @ layer).relu())[kind]
        return F.cross_entropy(held[3] @ end, y)

    for step, batch in enumerate(rows):
        adam.param_groups[0]["lr"] = rate * (1 - step / len(rows))
        adam.zero_grad()
        loss(x[batch], y[batch]).backward()
        adam.step()
    return loss(x[600:1200], y[600:1200]).item()


def table_gap(first: list[Tensor], x: Tensor, y: Tensor, rows: Tensor, rate: float = RATE) -> float:
    """Largest gap of six entries to nets trained alone, at a rate that may be another; f64."""
    first, x, numbers = [t.double() for t in first], x.double(), list(range(728, 0, -140))
    *_, ours = trained(KINDS[numbers], first, x, y, rows)
    theirs = [[alone(n, [t.select(-3, k) for t in first], x, y, rows, rate) for n in numbers] for k in range(TWICE)]
    return (ours - torch.tensor(theirs, dtype=x.dtype).mean(0)).abs().max().item()


def left(search: Callable, losses: list[float], seed: int) -> list[float]:
    """After each trial, how many architectures are better than the best found, on average over repeats."""
    rank = torch.tensor(losses).argsort().argsort()
    tried = torch.tensor([search(losses, TRIALS, random.Random(REPEATS * seed + k)) for k in range(REPEATS)])
    return rank[tried].cummin(1).values.double().mean(0).tolist()


def kinship(losses: list[float]) -> float:
    """Correlation of the rank of a parent with that of a child, over all parents and changes."""
    rank = torch.tensor(losses).argsort().argsort().double()
    children = [changed(n, place, by) for place in range(len(EDGES)) for by in (1, 2) for n in range(SPACE)]
    return torch.corrcoef(torch.stack([rank.repeat(2 * len(EDGES)), rank[children]]))[0, 1].item()


def run(device="cpu", seed=0, steps=60):
    split, weights, batches, mixing = (torch.Generator().manual_seed(4 * seed + k) for k in range(4))
    pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
    order = torch.randperm(len(labels), generator=split)
    x, y = (pixels.float() / 16)[order], labels[order] % 2
    sizes = (TWICE, 64, WIDTH), (len(EDGES), TWICE, WIDTH, WIDTH), (TWICE, WIDTH, 2)
    first = [torch.randn(size, generator=weights) / size[-2] ** 0.5 for size in sizes]
    rows = torch.randint(TRAIN, (steps, BATCH), generator=batches)
    here, told = [t.to(device) for t in first], [t.to(device) for t in (x, y, rows)]
    for step, loss in enumerate(trained(KINDS.to(device), here, *told)):
        if step < steps:
            yield (step + 1) / steps, {"median": loss.median().item()}

    table, mixed = loss.tolist(), loss.cpu()[torch.randperm(SPACE, generator=mixing)].tolist()  # the last: other digits
    curves = {
        "random": [(SPACE + 1) / (k + 1) - 1 for k in range(1, TRIALS + 1)],  # none twice: the expected minimum
        "evolution": left(evolution, table, seed),
        "most edges first": left(most_edges, table, seed),
        "evolution, table shuffled": left(evolution, mixed, seed),
    }
    shown = {name: (list(range(1, TRIALS + 1)), [1 + n for n in held]) for name, held in curves.items()}
    last = {name: held[-1] for name, held in curves.items()}
    return {
        "table_gap": table_gap(first, x, y, rows[:10]),
        "other_rate_gap": table_gap(first, x, y, rows[:10], 1.01 * RATE),
        "kinship": kinship(table),
        "shuffled_kinship": kinship(mixed),
        "evolution_left": last["evolution"],
        "random_left": last["random"],
        "most_edges_left": last["most edges first"],
        "random_again_left": last["random"],
        "evolution_by_likeness": last["evolution"],
        "shuffled_evolution_left": last["evolution, table shuffled"],
    }, {"rank of the best found, of 729": {"kind": "lines", "series": shown, "x": "trials", "y": "rank", "log": "xy"}}


# %% what is claimed

TITLE = {"en": "Evolutionary architecture search lives on family likeness", "zh": "进化式架构搜索靠的是亲代与子代相似"}
CURVES = "training loss"
CPU_SECONDS = 3
CLAIMS = {
    "parity table_gap <= 1e-10 < other_rate_gap": {
        "en": "largest gap of six entries of the table, ten steps trained, to nets trained alone (f64); control: at "
        "a rate one per cent higher",
        "zh": "训练十步时，表中六项与单独训练的网络的最大差距（f64）；对照：学习率高 1%",
    },
    "trained kinship >= 0.48 > shuffled_kinship": {
        "en": "correlation of the ranks of parents and of children, one edge changed; control: in a shuffled table",
        "zh": "亲代与改动一条边的子代之间名次的相关系数；对照：打乱的表",
    },
    "trained evolution_left <= 4.5 < random_left": {
        "en": "architectures of 729 better than the best of 100 trials by evolution, mean; control: random trials",
        "zh": "729 种架构中优于进化搜索 100 次试验最好者的平均个数；对照：随机试验",
    },
    "trained most_edges_left <= 3 < random_again_left": {
        "en": "the same where those with the fewest edges left out come first, without search; control: random trials",
        "zh": "同上，不作搜索，缺边少者先试；对照：随机试验",
    },
    "trained evolution_by_likeness <= 4.5 < shuffled_evolution_left": {
        "en": "that number for evolution again; control: for evolution in a shuffled table",
        "zh": "进化搜索的同一个数；对照：在打乱的表中进化",
    },
}
ZH = {
    "training loss": "训练损失",
    "median": "中位数",
    "rank of the best found, of 729": "已试最好者在 729 种中的名次",
    "random": "随机",
    "evolution": "进化",
    "most edges first": "边多者优先",
    "evolution, table shuffled": "进化，打乱的表",
    "trials": "试验次数",
    "rank": "名次",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
