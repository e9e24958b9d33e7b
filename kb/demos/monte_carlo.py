"""Monte Carlo — a mean of random draws converges in six dimensions as in one; weights make it see what is rare.

The error of a mean of n draws falls as n to the power -1/2, in one dimension and in six. The control is a grid, the
middles of as many equal cells: in six dimensions it begins ahead and falls behind. In one it is far better (not shown),
and for so smooth a function Sobol's evenly spread points (drawn) and a grid by Gauss's rule (not shown) beat both in
six. A rare event is the harder case: a standard normal variable exceeds 4 about 32 times in a million. Importance
sampling draws from a normal distribution around 4, where it happens half the time, and weights each draw by p / q, the
ratio of the two densities; the control is a plain mean of 100 times as many draws. Moved too far, the error grows
again, as the closed form of the variance says. The weights pass gradients as well: as sums over all outcomes, value and
gradient are those of the mean under p, which PPO's ratio rests on. Errors of draws are root mean squares of 800 runs.

Needs:  torch
Source: N. Metropolis, S. Ulam, The Monte Carlo Method, JASA 44, 1949; H. Kahn, A. Marshall, Methods of Reducing Sample
        Size in Monte Carlo Computations, Journal of the Operations Research Society of America 1, 1953
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

RARE, DRAWS, REPEATS, SIDES, MEANS, MORE = 4.0, 1000, 10, (2, 3, 4, 5), (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0), 100

# %% the concept


def mean_of(f: Callable[[Tensor], Tensor], draws: Tensor) -> Tensor:  # (R, n, d) -> (R,)
    """E f(x) by 1/n sum f(x_i), x_i drawn from p."""
    return f(draws).mean(1)


def log_normal(x: Tensor, mean: float) -> Tensor:
    return -0.5 * (x - mean) ** 2 - 0.5 * math.log(2 * math.pi)


def importance(f: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    """What is to be averaged over draws from q: f(x) p(x) / q(x), so that E_q = E_p f."""
    return f * (log_p - log_q).exp()


def relative_error(mean: float, n: int) -> float:
    """Of P(x > a) by n draws around a mean m: E_q (1[x > a] p / q)^2 = exp(m^2) P(x > a + m)."""
    p = tail(RARE)
    return math.sqrt((math.exp(mean**2) * tail(RARE + mean) / p**2 - 1) / n)


# %% its control


def grid(f: Callable[[Tensor], Tensor], side: int, dimensions: int) -> Tensor:
    """The mean over the middles of side^d equal cells."""
    middles = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    return f(torch.cartesian_prod(*[middles] * dimensions).view(1, -1, dimensions)).mean()


# %% the experiment


def tail(a: float) -> float:
    return math.erfc(a / math.sqrt(2)) / 2  # P(x > a) of a standard normal variable


def bump(x: Tensor) -> Tensor:
    """prod exp(-x_i^2) over the last axis: (..., d) -> (...)."""
    return (-x.square().sum(-1)).exp()


def bump_mean(dimensions: int) -> float:
    return (math.sqrt(math.pi) / 2 * math.erf(1)) ** dimensions  # exact, over the unit cube


def slope(sizes: list[int], errors: list[float]) -> float:
    """The power of n with which the errors fall: of least squares on logarithms."""
    x, y = (torch.tensor(t, dtype=torch.float64).log() for t in (sizes, errors))
    return ((x - x.mean()) @ (y - y.mean()) / (x - x.mean()).square().sum()).item()


def ratio_gaps(generator: torch.Generator) -> tuple[float, float]:
    """Over all outcomes under q: gap of the weighted mean and its gradient to those of E_p f; and without weights."""
    f, old = torch.randn(2, 9, generator=generator, dtype=torch.float64)
    new = (old + torch.randn(9, generator=generator, dtype=torch.float64)).requires_grad_()
    p, q = new.log_softmax(0), old.log_softmax(0)
    direct = (p.exp() * f).sum()
    found = []
    for value in (direct, (q.exp() * importance(f, p, q)).sum(), (q.exp() * f * (1 + p - p.detach())).sum()):
        found.append(torch.cat([value.detach().view(1), torch.autograd.grad(value, new, retain_graph=True)[0]]))
    return (found[1] - found[0]).abs().max().item(), (found[2] - found[0]).abs().max().item()


def by_quadrature(mean: float, n: int) -> float:
    """The square of `relative_error`, integrated by Simpson's rule from the border on."""
    x = torch.linspace(RARE, RARE + 10, 20001, dtype=torch.float64)
    log_q = log_normal(x, mean)
    y = log_q.exp() * importance(torch.ones_like(x), log_normal(x, 0.0), log_q) ** 2
    square = (y[0] + y[-1] + 4 * y[1::2].sum() + 2 * y[2:-1:2].sum()).item() * (x[1] - x[0]).item() / 3
    return (square / tail(RARE) ** 2 - 1) / n


def rms(t: list[Tensor]) -> float:
    return torch.cat(t).square().mean().sqrt().item()


def sobol_error(n: int, seed: int) -> float:
    """Of Sobol's points in six dimensions, scrambled 16 times."""
    draws = [torch.quasirandom.SobolEngine(6, True, seed + k).draw(n) for k in range(16)]
    return rms([mean_of(bump, torch.stack(draws)) - bump_mean(6)])


def run(device="cpu", seed=0, steps=80):
    cube, normal, plain, checks = (torch.Generator().manual_seed(4 * seed + k) for k in range(4))
    p, sizes = tail(RARE), {d: [side**6 for side in SIDES] for d in (1, 6)}
    misses: dict[int, list[list[Tensor]]] = {d: [[] for _ in SIDES] for d in (1, 6)}
    weighted: dict[float, list[Tensor]] = {mean: [] for mean in MEANS}
    naive: list[Tensor] = []
    for step in range(steps):
        for d, of in misses.items():
            for k, n in enumerate(sizes[d]):
                draws = torch.rand(REPEATS, n, d, generator=cube).to(device)
                of[k].append(mean_of(bump, draws).cpu() - bump_mean(d))
        for mean, of in weighted.items():
            x = (mean + torch.randn(REPEATS, DRAWS, generator=normal)).to(device)
            each = importance((x > RARE).float(), log_normal(x, 0.0), log_normal(x, mean))
            of.append(each.mean(1).cpu() / p - 1)
        x = torch.randn(REPEATS, MORE * DRAWS, generator=plain).to(device)
        naive.append((x > RARE).float().mean(1).cpu() / p - 1)
        yield (step + 1) / steps, {"importance sampling": rms(weighted[RARE]), "plain, 100 times the draws": rms(naive)}

    errors = {f"draws, {d} D": [rms(one) for one in of] for d, of in misses.items()}
    errors |= {"grid, 6 D": [abs(grid(bump, side, 6).item() - bump_mean(6)) for side in SIDES]}
    errors |= {"Sobol's points, 6 D": [sobol_error(n, 16 * seed) for n in sizes[6]]}
    slopes = {name: slope(sizes[6], of) for name, of in errors.items()}
    curve = {mean: rms(of) for mean, of in weighted.items()}
    formula = {mean: relative_error(mean, DRAWS) for mean in MEANS}
    gap, unweighted_gap = ratio_gaps(checks)
    return {
        "slope_miss": max(abs(slopes[name] + 0.5) for name in ("draws, 1 D", "draws, 6 D")),
        "grid_slope_miss": abs(slopes["grid, 6 D"] + 0.5),
        "rare_error": curve[RARE],
        "plain_error": rms(naive),
        "near_error": curve[RARE],
        "far_error": curve[MEANS[-1]],
        "formula_gap": max(abs(by_quadrature(mean, DRAWS) / formula[mean] ** 2 - 1) for mean in MEANS),
        "other_centre_gap": min(abs(by_quadrature(mean + 0.5, DRAWS) / formula[mean] ** 2 - 1) for mean in MEANS),
        "ratio_gap": gap,
        "unweighted_gap": unweighted_gap,
    }, {
        "error of a mean over a cube": {
            "kind": "lines",
            "series": {name: (sizes[6], of) for name, of in errors.items()},
            "x": "points",
            "y": "error",
            "log": "xy",
        },
        "relative error of P(x > 4) by 1,000 draws": {
            "kind": "lines",
            "series": {
                "measured": (list(MEANS), list(curve.values())),
                "closed form": (list(MEANS), list(formula.values())),
            },
            "x": "where the draws are centred; 0 is a plain mean",
            "y": "relative error",
            "log": "y",
        },
    }


# %% what is claimed

TITLE = {"en": "Monte Carlo, and where to draw", "zh": "蒙特卡罗方法，以及在何处抽样"}
CURVES = "relative error so far"
CPU_SECONDS = 1
CLAIMS = {
    "trained rare_error <= 0.08 < plain_error <= 0.7": {
        "en": "relative error of a probability of 32 in a million by 1,000 draws around 4, weighted; control: a plain "
        "mean of 100,000",
        "zh": "用以 4 为中心的 1,000 个加权样本估计百万分之 32 的概率的相对误差；对照：100,000 个样本的直接平均",
    },
    "trained near_error <= 0.08 < far_error": {
        "en": "relative error where the draws are centred at the border of the event; control: far beyond it, at 7",
        "zh": "样本以事件边界为中心时的相对误差；对照：中心远在其外，位于 7",
    },
    "parity formula_gap <= 1e-10 < other_centre_gap": {
        "en": "largest relative gap of the closed form of that error's square to its integral by Simpson's rule (f64); "
        "control: the integral for a centre higher by 0.5",
        "zh": "该误差平方的闭式解与辛普森求积结果的最大相对差距（f64）；对照：中心移高 0.5 时的积分",
    },
    "trained slope_miss <= 0.04 < grid_slope_miss <= 0.2": {
        "en": "gap to -1/2 of the power of n with which the error of n draws falls, the larger of 1 D and 6 D; "
        "control: a grid in six",
        "zh": "n 个样本的误差随 n 下降的幂次与 -1/2 的差距（一维与六维，取较大者）；对照：六维网格",
    },
    "parity ratio_gap <= 1e-10 < unweighted_gap": {
        "en": "gap of the weighted mean under q, summed over all outcomes, and its gradient, to the mean under p and "
        "its gradient (f64); control: no weights",
        "zh": "q 下的加权平均（对全部结果求和）及其梯度，与 p 下的平均及其梯度的差距（f64）；对照：不加权",
    },
}
ZH = {
    "relative error so far": "到目前为止的相对误差",
    "importance sampling": "重要性采样",
    "plain, 100 times the draws": "直接平均，样本数为 100 倍",
    "error of a mean over a cube": "在立方体上求平均的误差",
    "draws, 1 D": "随机样本，一维",
    "draws, 6 D": "随机样本，六维",
    "grid, 6 D": "网格，六维",
    "Sobol's points, 6 D": "Sobol 点，六维",
    "points": "点数",
    "error": "误差",
    "relative error of P(x > 4) by 1,000 draws": "用 1,000 个样本估计 P(x > 4) 的相对误差",
    "measured": "测得",
    "closed form": "闭式解",
    "where the draws are centred; 0 is a plain mean": "样本的中心；0 为直接平均",
    "relative error": "相对误差",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
