"""Hyperparameter search — where one setting matters, random trials beat a grid; where two do, the grid can win.

A small net is trained on 200 digits from the same first weights with each of 24 x 24 settings; two tables keep its loss
on 400 other digits after 10, 30 and 60 steps, and a trial looks it up. In one, the learning rate varies with a weight
decay so small that it hardly matters: a grid of 4 x 4 trials has four learning rates, 16 random trials about 12. In
the other it varies with momentum, which matters as well, and the grid, evenly spread, is better than random trials. A
Latin hypercube, whose 16 trials lie in 16 strips along either axis, beats them in both. Judged is how many settings are
better than the best tried: its mean over places of the grid, for random trials by formula, over many draws of the
rest. Then successive halving: 81 settings get 10 steps, the best 27 go on to 30, the best 9 of these to 60: a third of
the work of training all. Where both settings matter it hardly loses anything and beats a grid of 25, of about equal
work; in the other case early losses mislead on some seeds (not 0, 1), and it loses more. Whether the winner is
as good on digits that did not choose it is not asked.

Needs:  torch, scikit-learn
Source: J. Bergstra, Y. Bengio, Random Search for Hyper-Parameter Optimization, JMLR 13, 2012; K. Jamieson, A.
        Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016 (halving)
"""

import math
from itertools import combinations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, HIDDEN, STAGES, MANY, KEPT = 24, 16, (10, 30, 60), 81, 3
SECOND, GLANCE = {"decay": "one setting matters", "momentum": "two matter"}, "54 for 30 steps, their best"

# %% the concept


def random_left(settings: int, trials: int) -> float:
    """Expected number of settings better than the best of some that are drawn without repetition: (n - k) / (k + 1)."""
    return (settings - trials) / (trials + 1)  # the k split the n - k others into k + 1 gaps, alike on average


def halving(losses: Tensor, drawn: Tensor) -> Tensor:
    """Train all a little, keep the best third, train these on: (stages, n), (repeats, k) -> (repeats, k / 9)."""
    for early in losses[:-1]:
        order = early[drawn].argsort(dim=1, stable=True)
        drawn = drawn.gather(1, order[:, : drawn.shape[1] // KEPT])
    return drawn


def work(count: int) -> int:
    """Steps of training that halving takes."""
    counts = [count // KEPT**k for k in range(len(STAGES))]
    return sum(n * (now - before) for n, now, before in zip(counts, STAGES, (0, *STAGES), strict=False))


def latin(n: int, repeats: int, generator: torch.Generator) -> Tensor:
    """Random places, one in each of n strips of rows and one in each of columns: (repeats, n), of SIDE x SIDE."""
    strips = torch.rand(2, repeats, n, generator=generator).argsort(2)
    row, column = ((strips + torch.rand(strips.shape, generator=generator)) * SIDE / n).long()
    return row * SIDE + column


# %% its control


def grid_left(rank: Tensor, n: int) -> float:
    """Settings better than the best of n x n evenly spaced, to whole places, as a mean over where they may begin."""
    square, lines, gap = rank.view(SIDE, SIDE), torch.arange(n) * SIDE // n, SIDE // n
    tried = [square[i + lines][:, j + lines].min() for i in range(gap) for j in range(gap)]
    return float(torch.stack(tried).mean())


# %% the experiment


def settings(second: str) -> Tensor:
    """Learning rate from 0.01 to 10, momentum and decay, of which only `second` varies: (576, 3), f64."""
    a, b = torch.cartesian_prod(*[torch.linspace(0, 1, SIDE, dtype=torch.float64)] * 2).T
    decay, momentum = (10 ** (3 * b - 8), 0 * b + 0.5) if second == "decay" else (0 * b, 1 - 10 ** (-2 * b))
    return torch.stack([10 ** (3 * a - 2), momentum, decay], 1)


def table(chosen: Tensor, w: list[Tensor], data: list[Tensor]) -> Tensor:
    """Loss on other digits after 10, 30 and 60 steps of SGD with each setting, side by side: (3, n)."""
    (x, y, x_val, y_val), found = data, []
    rate, momentum, decay = chosen.T[:, :, None, None].to(x)
    w = [t.expand(len(chosen), -1, -1) for t in w]
    v = [torch.zeros_like(t) for t in w]
    for step in range(STAGES[-1]):
        h = (x @ w[0]).relu()
        wrong = ((h @ w[1]).softmax(-1) - F.one_hot(y, 10)) / len(x)  # d loss / d logits
        slopes = x.mT @ (wrong @ w[1].mT * (h > 0)), h.mT @ wrong
        v = [momentum * a + g + decay * p for a, g, p in zip(v, slopes, w, strict=True)]
        w = [p - rate * a for p, a in zip(w, v, strict=True)]
        if step + 1 in STAGES:
            logits = (x_val @ w[0]).relu() @ w[1]
            found.append(-(logits.log_softmax(-1) * F.one_hot(y_val, 10)).sum(-1).mean(1).nan_to_num(1e3))
    return torch.stack(found).cpu()


def table_gap(chosen: Tensor, w: list[Tensor], data: list[Tensor], x: Tensor, y: Tensor, factor: float = 1.0) -> float:
    """Largest gap of a few columns of the table to nn.Linear trained by torch.optim.SGD on digits 0 to 199 (f64)."""
    w, x, y, theirs = [t.cpu().double() for t in w], x.cpu().double(), y.cpu(), []
    ours = table(chosen, w, [t.cpu().double() if t.is_floating_point() else t.cpu() for t in data]).T.flatten()
    for rate, momentum, decay in chosen.tolist():
        net = nn.Sequential(nn.Linear(64, HIDDEN, bias=False), nn.ReLU(), nn.Linear(HIDDEN, 10, bias=False)).double()
        net[0].weight.data, net[2].weight.data = w[0].T.clone(), w[1].T.clone()
        optimizer = torch.optim.SGD(net.parameters(), rate * factor, momentum, weight_decay=decay)
        for step in range(STAGES[-1]):
            optimizer.zero_grad()
            F.cross_entropy(net(x[:200]), y[:200]).backward()
            optimizer.step()
            if step + 1 in STAGES:
                theirs.append(F.cross_entropy(net(x[200:600]), y[200:600]).item())
    return float((ours - torch.tensor(theirs, dtype=ours.dtype)).abs().max())


def search_gap(losses: Tensor, drawn: Tensor, kept: Tensor, plus: int = 1) -> float:
    """How many settings only halving or only a sorting loop keeps, plus the gap of `random_left` to a count of all 84
    subsets of three of nine, where k + `plus` gaps are left."""
    odd = 0
    for row, survivors in zip(drawn.tolist(), kept.tolist(), strict=True):
        for early in losses[:-1].tolist():
            row = sorted(row, key=early.__getitem__)[: len(row) // KEPT]
        odd += len(set(row) ^ set(survivors))
    counted = [min(subset) for subset in combinations(range(9), 3)]  # rank r: r settings are better
    return odd + abs(sum(counted) / len(counted) - random_left(9, 3) * 4 / (3 + plus))


def run(device="cpu", seed=0, steps=1000):
    split, weights, trials = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
    order = torch.randperm(len(labels), generator=split)
    x, y = (pixels.float() / 16)[order].to(device), labels[order].to(device)
    data = [x[:200], y[:200], x[200:600], y[200:600]]
    w = [torch.randn(n, m, generator=weights).to(device) / math.sqrt(n) for n, m in ((64, HIDDEN), (HIDDEN, 10))]
    sides, left, tables, kept, cost = (2, 3, 4, 5, 6, 8), {}, {}, {}, work(MANY)
    drawn = torch.rand(steps, SIDE**2, generator=trials).argsort(1)  # random orders of the settings
    places, full, early = latin(16, 4 * steps, trials), cost // STAGES[-1], cost // STAGES[1]
    for k, second in enumerate(SECOND):
        tables[second] = losses = table(settings(second), w, data)
        rank = losses[-1].argsort().argsort().double()  # how many settings are better
        kept[second] = halving(losses, drawn[:, :MANY])
        glance = drawn[:, :early].gather(1, losses[1][drawn[:, :early]].argmin(1, keepdim=True))
        best = {"a Latin hypercube of 16": places, f"halving of {MANY}": kept[second], GLANCE: glance}
        left[second] = {f"a grid of {n * n}": grid_left(rank, n) for n in sides}
        left[second] |= {name: rank[tried].amin(1).mean().item() for name, tried in best.items()}
        left[second] |= {f"{n} at random": random_left(SIDE**2, n) for n in (16, full, MANY)}
        yield (k + 1) / len(SECOND), {name: left[second][name] for name in ("a grid of 16", "16 at random")}

    one, both = (left[second] for second in SECOND)
    few = torch.cat([settings(second)[[90, 200, 300]] for second in SECOND])
    some, whole = (tables["decay"], drawn[:20, :MANY], kept["decay"][:20]), STAGES[-1]
    spent = {f"a grid of {n}": n * whole for n in (16, 25)}
    spent |= {"16 at random": 16 * whole, "a Latin hypercube of 16": 16 * whole, f"{MANY} at random": MANY * whole}
    spent |= {f"halving of {MANY}": cost, f"{full} at random": full * whole, GLANCE: early * STAGES[1]}
    counts = [n * n for n in sides]
    grids = {f"grid, {SECOND[s]}": (counts, [left[s][f"a grid of {n}"] for n in counts]) for s in SECOND}
    return {
        "one_ratio": one["a grid of 16"] / one["16 at random"],
        "both_ratio": both["a grid of 16"] / both["16 at random"],
        "even_ratio": both["a grid of 16"] / both["16 at random"],
        "latin_ratio": max(s["a Latin hypercube of 16"] / s["16 at random"] for s in (one, both)),
        "grid_ratio": max(s["a grid of 16"] / s["16 at random"] for s in (one, both)),
        "halving_left": both[f"halving of {MANY}"],
        "same_work_left": min(both[name] for name in (f"{full} at random", GLANCE, "a grid of 25")),
        "table_gap": table_gap(few, w, data, x, y),
        "faster_gap": table_gap(few, w, data, x, y, 1.1),
        "search_gap": search_gap(*some),
        "one_gap_fewer": search_gap(*some, 0),
    }, {
        "settings of 576 better than the best tried": {
            "kind": "lines",
            "series": grids | {"random, either": (counts, [random_left(SIDE**2, n) for n in counts])},
            "x": "trials",
            "y": "settings",
            "log": "xy",
        },
        "settings better than the best found, and the work": {
            "kind": "table",
            "columns": ["search", "steps of training", *SECOND.values()],
            "rows": [[name, str(n), *(f"{left[s][name]:.1f}" for s in SECOND)] for name, n in spent.items()],
        },
    }


# %% what is claimed

TITLE = {"en": "Random, grid, halving: which search when", "zh": "随机、网格、逐次减半：何时用哪种搜索"}
CURVES = "settings better than the best tried"
CPU_SECONDS = 5
CLAIMS = {
    "trained one_ratio >= 1.7 > both_ratio": {
        "en": "settings better than the best of a grid of 16, over those better than the best of 16 at random, where "
        "one setting matters; control: where two matter",
        "zh": "只有一个超参数重要时，优于 16 点网格最好者的设置个数，与 16 次随机试验时的个数之比；对照：两个都重要",
    },
    "trained even_ratio <= 0.7 < one_ratio": {
        "en": "that ratio where two settings matter; control: where one matters",
        "zh": "两个超参数都重要时的这一比值；对照：只有一个重要",
    },
    "trained latin_ratio <= 0.98 < grid_ratio": {
        "en": "that ratio for a Latin hypercube of 16, the larger of both cases; control: the grid's",
        "zh": "16 点拉丁超立方的这一比值，两种情形取较大者；对照：网格",
    },
    "trained halving_left <= 9 < same_work_left <= 16": {
        "en": "settings better than the best that halving of 81 finds where two matter; control, at no "
        "more work: 27 at random, a grid of 25, or the best of 54 by the loss after 30 steps, whichever is best",
        "zh": "两个都重要时，优于从 81 组逐次减半所得最好者的设置个数；"
        "对照（工作量不更多）：随机 27 组、25 点网格，或 54 组中 30 步后损失最低者，取最好者",
    },
    "parity table_gap <= 1e-10 < faster_gap": {
        "en": "largest gap of six columns of the tables to nn.Linear trained by torch.optim.SGD (f64); control: a "
        "learning rate larger by a tenth",
        "zh": "表中六列同用 torch.optim.SGD 训练的 nn.Linear 的最大差距（f64）；对照：学习率大十分之一",
    },
    "parity search_gap <= 1e-10 < one_gap_fewer": {
        "en": "settings that only halving or only sorting in a loop keeps, plus the gap of the expectation of random "
        "trials to a count of all subsets of three of nine; control: its denominator less by one",
        "zh": "逐次减半的幸存者与循环排序所得不一致的个数，加上随机试验的期望同枚举九取三全部子集的差距；"
        "对照：分母少一",
    },
}
ZH = {
    "settings better than the best tried": "优于已试最好者的设置个数",
    "a grid of 16": "16 点网格",
    "a grid of 25": "25 点网格",
    "16 at random": "随机 16 组",
    "settings of 576 better than the best tried": "576 组设置中优于已试最好者的个数",
    "grid, one setting matters": "网格，一个重要",
    "grid, two matter": "网格，两个都重要",
    "random, either": "随机，两种情形",
    "trials": "试验次数",
    "settings": "设置个数",
    "settings better than the best found, and the work": "优于所得最好者的设置个数，与工作量",
    "search": "搜索方法",
    "steps of training": "训练步数",
    "one setting matters": "一个重要",
    "two matter": "两个都重要",
    "a Latin hypercube of 16": "16 点拉丁超立方",
    "81 at random": "随机 81 组",
    "halving of 81": "从 81 组逐次减半",
    "27 at random": "随机 27 组",
    "54 for 30 steps, their best": "54 组各训 30 步，取最好者",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
