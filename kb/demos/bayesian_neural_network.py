"""Bayesian neural network — not one network but all that fit the data: where data are lacking, they disagree.

Simulated: 400 small networks, drawn from a prior, each give ten noisy points with x between -1 and 1. From these alone
Hamiltonian Monte Carlo draws networks, more of those that explain the points better and were likelier before. A 90 %
interval, of the mean and spread of their answers, is to hold 90 % of fresh points, beyond the data too: as the truths
come from the prior, it nearly does; a wrong one promises nothing. Controls: a deep ensemble, 20 networks from different
starts, trained on the points, in as many steps in all as HMC leaps, and the best of them, both with intervals stretched
until they hold 90 % of further points among the data; and the prior, whose intervals are as honest but wide. A rival
that is no network does as well, in closed form: a Gaussian process with the covariance of that prior.

Needs:  torch
Source: R. Neal, Bayesian Learning for Neural Networks, 1996 (HMC; many hidden units give a Gaussian process); C.
        Williams, Computing with Infinite Networks, NeurIPS 1996 (its covariance); B. Lakshminarayanan et al., Simple
        and Scalable Predictive Uncertainty Estimation using Deep Ensembles, NeurIPS 2017
"""

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.distributions import Normal

TASKS, HIDDEN, POINTS, NOISE, SLOPE, LEAPS, MEMBERS = 400, 10, 10, 0.1, 3.0, 20, 20
LEVEL, QUANTILE = 0.9, 1.6448536269514722  # 90 % of a normal lie within so many deviations

# %% the concept


def network(w: Tensor, x: Tensor) -> Tensor:  # (M, 3 HIDDEN), (M, n) -> (M, n)
    a, b, v = w.view(len(w), 3, 1, HIDDEN).unbind(1)  # one network a row
    return ((SLOPE * (a * x[:, :, None] + b)).erf() * v).sum(2) / HIDDEN**0.5


def log_joint(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """log p(y | w) + log p(w), by Bayes' rule log p(w | y) but for a constant: y = f(x) + noise, w standard normal."""
    fit = -((y - network(w, x)) / NOISE).square().sum(1) / 2 - y.shape[1] * math.log(NOISE * math.sqrt(2 * math.pi))
    return fit - w.square().sum(1) / 2 - w.shape[1] * math.log(2 * math.pi) / 2


def slope(w: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    w = w.detach().requires_grad_()
    value = log_joint(w, x, y)
    return value.detach(), torch.autograd.grad(value.sum(), w)[0]


def hmc(w: Tensor, x: Tensor, y: Tensor, p: Tensor, u: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """One step of Hamiltonian Monte Carlo for each row, of size h, and whether it was taken: (M, D), (M,)."""
    (begun, g), q = slope(w, x, y), w
    before = begun - p.square().sum(1) / 2
    for _ in range(LEAPS):
        p = p + h[:, None] / 2 * g
        q = q + h[:, None] * p
        value, g = slope(q, x, y)
        p = p + h[:, None] / 2 * g
    taken = u.log() < value - p.square().sum(1) / 2 - before  # accept with chance min(1, e^-(rise of energy))
    return torch.where(taken[:, None], q, w), taken


def predicted(nets: list[Tensor] | Tensor, x: Tensor) -> Normal:
    """Mean and spread of S networks' answers, noise included: (S, M, D), (M, n) -> (M, n)."""
    f = torch.stack([network(w, x) for w in nets])
    return Normal(f.mean(0), (f.var(0, correction=0) + NOISE**2).sqrt())


# %% its control


def ensemble(w: Tensor, x: Tensor, y: Tensor, steps: int) -> Tensor:
    """Adam from each start towards a higher log p(y | w): (M, D)."""
    w = w.clone().requires_grad_()
    optimizer = torch.optim.Adam([w], 0.05)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / steps)
        w.grad = -slope(w, x, y)[1] - w.detach()  # without the prior's share, -w
        optimizer.step()
    return w.detach()


def kernel(a: Tensor, b: Tensor) -> Tensor:  # (M, n), (M, m) -> (M, n, m)
    """Covariance of the prior's networks: 2 / pi asin(c(a, b) / sqrt((1/2 + c(a, a)) (1/2 + c(b, b))))."""
    cross = SLOPE**2 * (1 + a[:, :, None] * b[:, None])  # c(a, b), of what goes into a hidden unit
    left, right = (0.5 + SLOPE**2 * (1 + t.square()) for t in (a, b))
    return 2 / math.pi * (cross / (left[:, :, None] * right[:, None]).sqrt()).asin()


def gaussian_process(x: Tensor, y: Tensor, new: Tensor) -> Normal:
    """The prediction of y at new places, in closed form: (M, n), (M, n), (M, m) -> (M, m)."""
    root = torch.linalg.cholesky(kernel(x, x) + NOISE**2 * torch.eye(x.shape[1]).to(x))
    z, k = (torch.linalg.solve_triangular(root, t, upper=False) for t in (y[:, :, None], kernel(x, new)))
    left = kernel(new, new).diagonal(dim1=1, dim2=2) - k.square().sum(1)
    return Normal((k.mT @ z)[:, :, 0], (left + NOISE**2).sqrt())


def stretched(nets: Tensor, kept: tuple[Tensor, Tensor], new: Tensor) -> Normal:
    """Their prediction, with intervals that hold 90 % of the points kept apart."""
    among, beyond = predicted(nets, kept[0]), predicted(nets, new)
    factor = ((kept[1] - among.mean).abs() / among.stddev).quantile(LEVEL) / QUANTILE
    return Normal(beyond.mean, factor * beyond.stddev)


# %% the experiment


def holds(predicted: Normal, y: Tensor) -> Tensor:
    return (y - predicted.mean).abs() <= QUANTILE * predicted.stddev


def distributions(w: Tensor, x: Tensor, y: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """log p(y, w) by torch.distributions, and its gradient."""
    w = w.clone().requires_grad_()
    a, b, v = w.unflatten(1, (3, HIDDEN)).unbind(1)
    inner = SLOPE * (torch.einsum("mh,mn->mhn", a, x) + b[:, :, None])
    answer = torch.einsum("mh,mhn->mn", v, inner.erf()) / math.sqrt(HIDDEN)
    value = Normal(answer, noise).log_prob(y).sum(1) + Normal(0, 1).log_prob(w).sum(1)
    return value.detach(), torch.autograd.grad(value.sum(), w)[0]


def network_gap(w: Tensor, x: Tensor, y: Tensor, generator: torch.Generator, noise: float = NOISE) -> float:
    """Largest gap of log p(y, w), its gradient and one step of the chain to `distributions` and Verlet's recursion,
    f64; the first two relative to the largest value."""
    w, x, y = (t.cpu().double() for t in (w, x, y))
    p, u = torch.randn(w.shape, generator=generator).to(w), torch.rand(len(w), generator=generator).to(w)
    (begun, g), h = distributions(w, x, y, noise), 0.03
    places = [w, w + h * p + h**2 / 2 * g]
    while len(places) <= LEAPS:
        places.append(2 * places[-1] - places[-2] + h**2 * distributions(places[-1], x, y, noise)[1])
    ended, pushed = distributions(places[-1], x, y, noise)
    rise = begun - ended + ((places[-1] - places[-2]) / h + h / 2 * pushed).square().sum(1) / 2 - p.square().sum(1) / 2
    moved = torch.where((u < (-rise).exp())[:, None], places[-1], w)
    gaps = [(ours - t).abs().max() / t.abs().max() for ours, t in zip(slope(w, x, y), (begun, g), strict=True)]
    return float(max(*gaps, (hmc(w, x, y, p, u, w.new_full((len(w),), h))[0] - moved).abs().max()))


def run(device="cpu", seed=0, steps=240):
    weights, data, chain, check = (torch.Generator().manual_seed(4 * seed + k) for k in range(4))
    truth = torch.randn(TASKS, 3 * HIDDEN, generator=weights).to(device)

    def observe(low: float, high: float, n: int) -> tuple[Tensor, Tensor]:
        x = (low + (high - low) * torch.rand(TASKS, n, generator=data)).to(device)
        return x, network(truth, x) + NOISE * torch.randn(TASKS, n, generator=data).to(device)

    (x, y), kept = observe(-1, 1, POINTS), observe(-1, 1, POINTS)
    far = [torch.cat(pair, 1) for pair in zip(observe(-2, -1.25, 20), observe(1.25, 2, 20), strict=True)]
    starts = torch.randn(TASKS * MEMBERS, 3 * HIDDEN, generator=chain).to(device)
    many = [t.repeat_interleave(MEMBERS, 0) for t in (x, y)]
    fits = ensemble(starts, *many, steps)
    closest = log_joint(fits, *many).view(TASKS, MEMBERS).argmax(1)
    members = fits.view(TASKS, MEMBERS, -1).transpose(0, 1)  # (MEMBERS, M, D)
    best = members[closest, torch.arange(TASKS, device=device)][None]

    w, h, drawn = best[0], x.new_full((TASKS,), 0.02), []  # from a start at random, a chain in 400 or so can get stuck
    for step in range(steps):
        p, u = torch.randn(w.shape, generator=chain).to(device), torch.rand(TASKS, generator=chain).to(device)
        w, taken = hmc(w, x, y, p, u, h)
        if step < steps // 3:  # the way there: larger steps while they are taken, about three in four
            h = h * torch.where(taken, 1.05, 0.85)
        else:
            drawn.append(w)
        yield (step + 1) / steps, {"chain": log_joint(w, x, y).mean().item()}

    grid = torch.linspace(-2, 2, 41, device=device).expand(TASKS, -1)
    fresh = network(truth, grid) + NOISE * torch.randn(grid.shape, generator=data).to(device)
    before = torch.randn(200, TASKS, 3 * HIDDEN, generator=chain).to(device)
    covered, density = [], {}
    for new, answers in ((grid, fresh), far):
        ways = {
            "posterior": predicted(drawn, new),
            "Gaussian process": gaussian_process(x, y, new),
            "ensemble, stretched": stretched(members, kept, new),
            "best network, stretched": stretched(best, kept, new),
            "prior": predicted(before, new),
        }
        covered.append({name: holds(way, answers).float().mean(0) for name, way in ways.items()})
        density = {name: way.log_prob(answers).mean().item() for name, way in ways.items()}
    miss = {name: abs(t.mean().item() - LEVEL) for name, t in covered[1].items()}
    short = {name: density["Gaussian process"] - t for name, t in density.items()}
    some, at = (w[:20], x[:20], y[:20]), grid[0].tolist()
    ways = [list(zip(at, network(w, grid)[0].tolist(), strict=True)) for w in drawn[:: max(1, len(drawn) // 12)]]
    return {
        "far_miss": max(miss["posterior"], miss["Gaussian process"]),
        "ensemble_miss": min(miss["ensemble, stretched"], miss["best network, stretched"]),
        "far_short": short["posterior"],
        "rival_short": min(short[name] for name in ("ensemble, stretched", "best network, stretched", "prior")),
        "network_gap": network_gap(*some, check),
        "louder_gap": network_gap(*some, check, 1.1 * NOISE),
    }, {
        "one task: its points, its truth, and networks drawn for them": {
            "kind": "scatter",
            "series": {"truth": (at, network(truth, grid)[0].tolist()), "points": (x[0].tolist(), y[0].tolist())},
            "edges": [pair for way in ways for pair in pairwise(way)],
            "x": "x",
            "y": "y",
        },
        "how often the 90 % interval holds a fresh point": {
            "kind": "lines",
            "series": {name: (at, t.tolist()) for name, t in covered[0].items()} | {"promised": ([-2, 2], [LEVEL] * 2)},
            "x": "x; the data lie between -1 and 1",
            "y": "coverage",
        },
    }


# %% what is claimed

TITLE = {"en": "Networks that disagree where there are no data", "zh": "没有数据的地方，网络各执一词"}
CURVES = "log density of weights and data"
CPU_SECONDS = 6
CLAIMS = {
    "trained far_miss <= 0.045 < ensemble_miss <= 0.15": {
        "en": "gap to 0.9 of the share of fresh points beyond the data within 90 % intervals, of the posterior or the "
        "Gaussian process, the larger; control: ensemble or best network, stretched, whichever is closer",
        "zh": "数据范围之外，90% 区间包含新点的比例与 0.9 的差距，后验与高斯过程取较大者；"
        "对照：集成与最优的单个网络，区间均已拉宽，取较接近者",
    },
    "trained far_short <= 0.08 < rival_short <= 0.5": {
        "en": "mean log density of fresh points beyond the data: what the posterior falls short of the Gaussian "
        "process; control: stretched ensemble or best network, or the prior, whichever is closest",
        "zh": "数据范围之外新点的平均对数密度，后验比高斯过程低多少；"
        "对照：已拉宽的集成或最优的单个网络，或没有见过数据的先验，取最接近者",
    },
    "parity network_gap <= 1e-10 < louder_gap": {
        "en": "largest gap of log p(y, w), its gradient (both relative) and one step of the chain to "
        "torch.distributions and Verlet's recursion (f64); control: noise larger by a tenth",
        "zh": "log p(y, w)、其梯度（均为相对差距）与链的一步，同 torch.distributions 与 Verlet 递推的最大差距"
        "（f64）；对照：噪声大十分之一",
    },
}
ZH = {
    "log density of weights and data": "权重与数据的对数密度",
    "chain": "马尔可夫链",
    "posterior": "后验",
    "Gaussian process": "高斯过程",
    "ensemble, stretched": "集成，已拉宽",
    "best network, stretched": "最优的单个网络，已拉宽",
    "prior": "先验",
    "one task: its points, its truth, and networks drawn for them": "一个任务：数据点、真实函数、由后验抽出的网络",
    "truth": "真实函数",
    "points": "数据点",
    "how often the 90 % interval holds a fresh point": "90% 区间包含新点的频率",
    "x; the data lie between -1 and 1": "x；数据在 -1 与 1 之间",
    "coverage": "覆盖率",
    "promised": "承诺的覆盖率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
