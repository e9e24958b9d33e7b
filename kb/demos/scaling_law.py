"""Scaling law — errors of small models lie nearly on a curve that says what a model 33 times as dear will reach.

A case small enough to be solved: an answer is the sum of endlessly many independent Gaussian features, the i-th of
variance i^-1.5, and noise of variance 0.2. A model of P weights sees the first P features of n rows and is fitted by
least squares; the features it lacks act as more noise. Its mean error follows in closed form, and what it costs is
counted as n P. At each cost one split into weights and rows is best. To mean errors at six costs up to 30,000 a power
law of the cost is fitted, plus a constant for what no model can learn; it foretells the error at a cost of 1,000,000. A
power law without the constant, a straight line on logarithmic paper, promises too much, even when only the dearest
models are fitted. Each of the six means is over 800 models, in all dearer than the large one: shown is that the law
reaches so far, not what is saved. Real networks are not solved like this: their laws and best splits are measured.

Needs:  torch
Source: J. Hoffmann et al., Training Compute-Optimal Large Language Models, NeurIPS 2022 (cost n P, the split, the
        constant); J. Kaplan et al., Scaling Laws for Neural Language Models, 2020; Y. Bahri et al., Explaining Neural
        Scaling Laws, 2021; M. Belkin, D. Hsu, J. Xu, Two Models of Double Descent for Weak Features, SIAM Journal on
        Mathematics of Data Science 2(4), 2020 (the closed form)
"""

import math

import torch
from torch import Tensor

DECAY, NOISE, COSTS, LARGE, DRAWS = 1.5, 0.2, (100, 300, 1000, 3000, 10_000, 30_000), 1_000_000, 20

# %% the concept


def unseen(weights: int) -> float:
    """sum_{i > weights} i^-1.5: the variance of the features that the model lacks."""
    return torch.special.zeta(*(torch.tensor(v, dtype=torch.float64) for v in (DECAY, weights + 1.0))).item()


def expected_error(weights: int, rows: int) -> float:
    """(noise + unseen) (n - 1) / (n - P - 1): what is not seen, and what P weights catch of it by n rows."""
    return (NOISE + unseen(weights)) * (rows - 1) / (rows - weights - 1)


def best_split(cost: int) -> int:
    """The weights of least expected error where rows x weights = cost; rows are rounded down."""
    return min((w for w in range(1, math.isqrt(cost)) if cost // w > w + 2), key=lambda w: expected_error(w, cost // w))


def fitted(costs: Tensor, errors: Tensor, floors: Tensor) -> tuple[float, Tensor]:
    """floor + exp(a + b log cost) of least squared relative error; a, b by least squares for each floor."""
    columns = torch.stack([torch.ones_like(costs), costs.log()], 1)
    laws = torch.linalg.lstsq(columns, (errors - floors[:, None]).log().T).solution  # (2, floors)
    misses = ((columns @ laws).exp() + floors - errors[:, None]) / errors[:, None]
    best = misses.square().sum(0).argmin()
    return floors[best].item(), laws[:, best]


def foretold(law: tuple[float, Tensor], cost: float) -> float:
    floor, (a, b) = law
    return floor + math.exp(a + b * math.log(cost))


# %% its control: the power law tends to zero; three times the rows, or twice the weights


def straight(costs: Tensor, errors: Tensor, last: int) -> tuple[float, Tensor]:
    return fitted(costs[-last:], errors[-last:], torch.zeros_like(errors[:1]))


# %% the experiment


def measured_error(weights: int, rows: int, draws: int, generator: torch.Generator, device: str) -> float:
    """Mean error expected on new rows, noise included, of `draws` models, each fitted to rows of its own."""
    size = torch.arange(1.0, weights + 1) ** -DECAY
    x = torch.randn(draws, rows, weights, generator=generator) * size.sqrt()
    y = x.sum(2) + torch.randn(draws, rows, generator=generator) * (unseen(weights) + NOISE) ** 0.5
    x, y, size = (t.to(device) for t in (x, y, size))
    fit = torch.linalg.solve(x.mT @ x, (x.mT @ y[..., None])[..., 0])
    return ((fit - 1) ** 2 * size).sum(1).mean().item() + unseen(weights) + NOISE


def run(device="cpu", seed=0, steps=40):
    small, large, splits = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    weights = [best_split(cost) for cost in COSTS]
    sums = torch.zeros(len(COSTS), dtype=torch.float64)
    for step in range(steps):
        sums += torch.tensor(
            [measured_error(w, c // w, DRAWS, small, device) for w, c in zip(weights, COSTS, strict=True)]
        ).double()
        yield (step + 1) / steps, {f"cost {c:,}": e for c, e in zip(COSTS, (sums / (step + 1)).tolist(), strict=True)}

    errors, costs = sums / steps, torch.tensor(COSTS, dtype=torch.float64)
    pairs = list(zip(weights, COSTS, strict=True))
    expected = torch.tensor([expected_error(w, cost // w) for w, cost in pairs], dtype=torch.float64)
    blind = torch.tensor([NOISE + unseen(w) for w in weights], dtype=torch.float64)
    dear = best_split(LARGE)
    reached = measured_error(dear, LARGE // dear, 6, large, device)
    alone = [straight(costs, errors, last) for last in range(2, len(COSTS) + 1)]
    laws = {
        "power law and constant": fitted(costs, errors, errors.min() * torch.linspace(0, 1, 401)[:-1].to(errors)),
        "power law alone, two dearest costs": alone[0],
        "power law alone, all six costs": alone[-1],
    }
    at = [*COSTS, 100_000, 300_000, LARGE]
    middle, cost = weights[-1], COSTS[-1]
    tried = sorted({4, 8, 16, 32, 96, middle // 3, middle, 2 * middle})
    split = {w: measured_error(w, cost // w, 2 * DRAWS, splits, device) for w in tried}
    far, last = unseen(40), torch.arange(41, 10**6 + 1, dtype=torch.float64).pow(-DECAY).sum().item()
    return {
        "promise_off": abs(foretold(laws["power law and constant"], LARGE) / reached - 1),
        "straight_off": min(abs(foretold(law, LARGE) / reached - 1) for law in alone),
        "law_off": (errors / expected - 1).abs().max().item(),
        "blind_off": (errors / blind - 1).abs().min().item(),
        "split_excess": split[middle] / min(split.values()) - 1,
        "other_excess": min(split[middle // 3], split[2 * middle]) / min(split.values()) - 1,
        "tail_gap": abs(far - last - 2 * (10**6 + 0.5) ** -0.5),  # beyond a million an integral is near enough
        "cut_gap": abs(far - last),
    }, {
        "error of models that spend their cost best": {
            "kind": "lines",
            "series": {
                "measured": ([*COSTS, LARGE], [*errors.tolist(), reached]),
                **{name: (at, [foretold(law, c) for c in at]) for name, law in laws.items()},
            },
            "x": "cost, rows x weights",
            "y": "mean squared error",
            "log": "xy",
        },
        "error by the split of a cost of 30,000": {
            "kind": "lines",
            "series": {
                "measured": (tried, list(split.values())),
                "closed form": (tried, [expected_error(w, cost // w) for w in tried]),
            },
            "x": "weights",
            "y": "mean squared error",
            "log": "x",
        },
    }


# %% what is claimed

TITLE = {"en": "Small models foretell what a large one reaches", "zh": "小模型能预告大模型达到的误差"}
CURVES = "mean squared error so far"
CPU_SECONDS = 1
CLAIMS = {
    "trained promise_off <= 0.06 < straight_off <= 0.15": {
        "en": "relative error of what a power law and a constant, fitted to costs up to 30,000, say of 1,000,000; "
        "control: the power law alone, fitted to the two to six dearest of these, whichever comes nearest",
        "zh": "在不超过 3 万的成本上拟合“幂律加常数”，对 100 万成本的预测的相对误差；"
        "对照：只用幂律，拟合其中最贵的两至六个成本，取最接近者",
    },
    "trained law_off <= 0.04 < blind_off": {
        "en": "largest relative difference of measured mean errors from the closed form; control: only noise and "
        "unseen features counted",
        "zh": "实测平均误差与闭式解的最大相对差距；对照：只计噪声与未见特征",
    },
    "trained split_excess <= 0.03 < other_excess": {
        "en": "error at the closed form's best split of a cost of 30,000, above the least measured of eight; "
        "control: a third or twice the weights at the same cost, whichever is better",
        "zh": "成本 3 万时，闭式解的最优配比比八种配比的实测最小误差高多少；"
        "对照：同样成本下权重为其三分之一或两倍，取较好者",
    },
    "parity tail_gap <= 1e-10 < cut_gap": {
        "en": "difference of the unseen variance beyond 40 features from the sum to the millionth term and an integral "
        "for the rest; control: without the rest",
        "zh": "第 40 个特征之后的方差，同第 41 至第一百万项之和加其余部分积分的差距；对照：不计其余部分",
    },
}
ZH = {
    "mean squared error so far": "到目前为止的均方误差",
    "cost 100": "成本 100",
    "cost 300": "成本 300",
    "cost 1,000": "成本 1,000",
    "cost 3,000": "成本 3,000",
    "cost 10,000": "成本 10,000",
    "cost 30,000": "成本 30,000",
    "error of models that spend their cost best": "成本配比最优的模型的误差",
    "measured": "实测",
    "power law and constant": "幂律加常数",
    "power law alone, two dearest costs": "只用幂律，最贵的两个成本",
    "power law alone, all six costs": "只用幂律，全部六个成本",
    "cost, rows x weights": "成本（行数 × 权重数）",
    "mean squared error": "均方误差",
    "error by the split of a cost of 30,000": "成本 3 万的不同配比的误差",
    "closed form": "闭式解",
    "weights": "权重数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
