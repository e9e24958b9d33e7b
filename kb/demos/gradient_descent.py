"""Gradient descent — the largest curvature sets the largest learning rate, and the spread of curvatures the speed.

Three quadratic bowls in 30 dimensions, turned at random, have curvatures from 1 to kappa = 10, 30 and 100. Beyond a
rate of 2 / kappa descent diverges; at its best rate, 2 / (kappa + 1), a step leaves in the end a share
(kappa - 1) / (kappa + 1) of the distance. Then a logistic regression of 569 tumours takes the whole set in each step:
its loss is convex, and twenty starts end at one loss. The control, two tanh units on XOR, does not, at any of seven
rates. On the ravine, (x^2 + 100 y^2) / 2, 61 rates from 0.001 to 1 are tried, and the one that ends lowest is drawn.

Needs:  torch, scikit-learn
Source: S. Boyd, L. Vandenberghe, Convex Optimization, Cambridge University Press 2004 (9.3: descent and the condition
        number); L. Bottou, F. Curtis, J. Nocedal, Optimization Methods for Large-Scale Machine Learning, SIAM Review
        60(2), 2018
"""

import math
from collections.abc import Callable

import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor
from torch.nn import functional as F

DIM, STARTS, L2 = 30, 20, 0.1

# %% the concept


def descend(gradient: Callable[[Tensor], Tensor], w: Tensor, rate: Tensor | float, steps: int) -> list[Tensor]:
    """The places that gradient descent comes to: a step for each look at the whole loss."""
    path = [w]
    for _ in range(steps):
        w = w - rate * gradient(w)  # w <- w - rate * grad f(w)
        path.append(w)
    return path


def largest_rate(steepest: float) -> float:
    return 2 / steepest  # |1 - rate * L| < 1: beyond, each step along the steepest direction overshoots by more


def best_rate(flattest: float, steepest: float) -> float:
    return 2 / (steepest + flattest)  # shrinks the flattest and the steepest direction alike


def best_factor(kappa: float) -> float:
    return (kappa - 1) / (kappa + 1)  # |1 - rate * curvature| of both ends at the best rate


def logistic_gradient(w: Tensor, x: Tensor, y: Tensor) -> Tensor:  # (S, D), (N, D), (N,) -> (S, D)
    """Of the mean cross-entropy over all N examples plus L2 |w|^2 / 2, for S weights at once."""
    return ((w @ x.T).sigmoid() - y) @ x / len(x) + L2 * w


# %% its control


def network_losses(w: Tensor) -> Tensor:  # (S, 9) -> (S,)
    """Of two tanh units and a logistic one on the four points of XOR: no convex function of the weights."""
    points, answers = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]).to(w), torch.tensor([0.0, 1, 1, 0]).to(w)
    hidden = (points @ w[:, :4].unflatten(1, (2, 2)) + w[:, None, 4:6]).tanh()  # (S, 4, 2)
    margins = (hidden * w[:, None, 6:8]).sum(-1) + w[:, 8:]
    return F.softplus(margins * (1 - 2 * answers)).mean(1)


def network_gradient(w: Tensor) -> Tensor:
    w = w.detach().requires_grad_()
    return torch.autograd.grad(network_losses(w).sum(), w)[0]


# %% the experiment

KAPPAS = (10, 30, 100)
SHOWN = [f"{net}, {which} start" for net in ("logistic regression", "network") for which in ("best", "worst")]
NETWORK_RATES = (0.03, 0.1, 0.3, 1, 3, 10, 30)
SHARES = torch.linspace(0.05, 2.05, 81)  # rate times largest curvature


def bowl(kappa: float, generator: torch.Generator) -> Tensor:
    """A symmetric matrix with eigenvalues spread evenly from 1 to kappa and random axes, f64."""
    turn = torch.linalg.qr(torch.randn(DIM, DIM, generator=generator, dtype=torch.float64))[0]
    return turn @ torch.linspace(1, kappa, DIM, dtype=torch.float64).diag() @ turn.T


def factors(matrix: Tensor, w: Tensor, rates: Tensor, steps: int) -> Tensor:  # (D, D), (D,), (R,) -> (R,)
    """By which a step multiplies the distance to the lowest point, the geometric mean of the last quarter."""
    path = descend(lambda w: w @ matrix, w.expand(len(rates), -1), rates[:, None], steps)
    return (path[-1].norm(dim=1) / path[-1 - steps // 4].norm(dim=1)) ** (4 / steps)


def closed_gap(matrix: Tensor, w: Tensor, rate: float, stretched: float = 1.0) -> float:
    """To (I - rate A)^20 w, relative to w; `stretched` mistakes the rate."""
    mine = descend(lambda w: matrix @ w, w, rate, 20)[-1]
    turned = torch.eye(DIM, dtype=torch.float64) - stretched * rate * matrix
    return ((mine - torch.linalg.matrix_power(turned, 20) @ w).norm() / w.norm()).item()


def sgd_gap(x: Tensor, y: Tensor, w: Tensor, rate: float, part: slice) -> float:
    """After 20 steps on `part` of the examples, to torch.optim.SGD with autograd on all of them, f64."""
    twin = w.clone().requires_grad_()
    optimizer = torch.optim.SGD([twin], lr=rate)
    for _ in range(20):
        optimizer.zero_grad()
        each = F.binary_cross_entropy_with_logits(twin @ x.T, y.expand(len(w), -1), reduction="none").mean(1)
        (each + L2 * twin.square().sum(1) / 2).sum().backward()
        optimizer.step()
    mine = descend(lambda w: logistic_gradient(w, x[part], y[part]), w, rate, 20)[-1]
    return (mine - twin).detach().abs().max().item()


def logistic_losses(w: Tensor, x: Tensor, y: Tensor) -> Tensor:  # (S, D), (N, D), (N,) -> (S,)
    return F.softplus((w @ x.T) * (1 - 2 * y)).mean(1) + L2 * w.square().sum(1) / 2


def spread(losses: Tensor) -> Tensor:
    return losses.max() - losses.min()


def ravine() -> dict[str, tuple[list[int], list[float]]]:
    """The loss (x^2 + 100 y^2) / 2 along 60 steps from (10, 1), at the rate of 0.001 to 1 that ends lowest."""
    curvature, rates = torch.tensor([1.0, 100.0]).double(), torch.logspace(-3, 0, 61, dtype=torch.float64)[:, None]
    path = torch.stack(descend(lambda w: curvature * w, torch.tensor([10.0, 1.0]).double(), rates, 60)[1:])
    losses = torch.cat([torch.full((1, 61), 100.0).double(), (curvature * path**2).sum(-1) / 2])  # (61, R)
    return {"gradient descent": (list(range(61)), losses[:, losses[-1].argmin()].tolist())}


def run(device="cpu", seed=0, steps=400):
    drawn, begun = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))  # bowls and starts: two streams
    bowls = {kappa: bowl(kappa, drawn) for kappa in KAPPAS}
    start = torch.randn(DIM, generator=begun, dtype=torch.float64)
    shown, stable, unstable, speeds, slower = {}, [], [], [], []
    for kappa, exact in bowls.items():
        matrix, w = exact.float().to(device), start.float().to(device)
        curve = factors(matrix, w, (SHARES / kappa).to(device), 8 * kappa)
        shown[f"curvatures from 1 to {kappa}"] = (SHARES.tolist(), curve.tolist())
        rates = [0.99 * largest_rate(kappa), 1.01 * largest_rate(kappa), best_rate(1, kappa), 1 / kappa]
        found = factors(matrix, w, torch.tensor(rates).to(device), 8 * kappa).cpu()
        stable.append(found[0].item())
        unstable.append(found[1].item())
        speeds += [abs(math.log(found[2]) / math.log(best_factor(kappa)) - 1)]
        slower += [abs(math.log(found[3]) / math.log(best_factor(kappa)) - 1)]

    x, y = load_breast_cancer(return_X_y=True)
    x = torch.tensor((x - x.mean(0)) / x.std(0))
    tumours = torch.cat([x, torch.ones(len(x), 1)], 1), torch.tensor(y).double()
    x, y = (t.float().to(device) for t in tumours)
    steepest = torch.linalg.eigvalsh(tumours[0].T @ tumours[0] / len(x))[-1].item() / 4 + L2  # no curvature exceeds it
    begin = torch.randn(STARTS, x.shape[1], generator=begun)
    w = begin.to(device)
    nets = dict.fromkeys(NETWORK_RATES, torch.randn(STARTS, 9, generator=begun).to(device))
    apart = spread(logistic_losses(w, x, y))  # before a step is taken
    for step in range(steps):
        w = descend(lambda w: logistic_gradient(w, x, y), w, best_rate(L2, steepest), 1)[-1]
        nets = {rate: descend(network_gradient, v, rate, 1)[-1] for rate, v in nets.items()}
        losses = logistic_losses(w, x, y)
        ends = min((network_losses(v) for v in nets.values()), key=spread)
        convex, other = ([of_it.min().item(), of_it.max().item()] for of_it in (losses, ends))
        yield (step + 1) / steps, dict(zip(SHOWN, [*convex, *other], strict=True))

    rate = best_rate(L2, steepest)
    return {
        "stable_factor": max(stable),
        "unstable_factor": min(unstable),
        "speed_gap": max(speeds),
        "half_rate_gap": min(slower),
        "convex_spread": spread(losses).item(),
        "network_spread": spread(ends).item(),
        "control_spread": min(spread(ends), apart).item(),
        "closed_gap": max(closed_gap(of_it, start, best_rate(1, kappa)) for kappa, of_it in bowls.items()),
        "mistaken_gap": closed_gap(bowls[100], start, best_rate(1, 100), 1.01),
        "sgd_gap": sgd_gap(*tumours, begin.double(), rate, slice(None)),
        "part_gap": sgd_gap(*tumours, begin.double(), rate, slice(0, 512)),
    }, {
        "what a step makes of the distance: below 1 it converges": {
            "kind": "lines",
            "series": shown,
            "x": "learning rate times largest curvature",
            "y": "factor of a step",
        },
        COMMON: {"kind": "lines", "series": ravine(), "x": "step", "y": "loss", "log": "y"},
    }


# %% what is claimed

TITLE = {"en": "Gradient descent: learning rate, curvature and speed", "zh": "梯度下降：学习率、曲率与收敛速度"}
CURVES = "training loss"
COMMON = "loss on a ravine"
CPU_SECONDS = 1
CLAIMS = {
    "parity stable_factor <= 0.982 < unstable_factor <= 1.021": {
        "en": "learning rate: what a step makes of the distance to the lowest point, at 0.99 of the rate 2 / (largest "
        "curvature), the worst of three bowls; the control is 1.01 of it, its best of three",
        "zh": "学习率：取 2 / 最大曲率的 0.99 倍时，每步使到最低点的距离变为几倍，三个碗中最差者；"
        "对照取 1.01 倍，三个碗中最好者",
    },
    "parity speed_gap <= 0.006 < half_rate_gap <= 0.6": {
        "en": "convergence: relative gap of the speed, the log of that factor, to that of (kappa - 1) / (kappa + 1) at "
        "the rate 2 / (kappa + 1), largest of three bowls; the control is the rate 1 / kappa, its smallest",
        "zh": "收敛：学习率取 2 / (kappa + 1) 时，收敛速度（上述倍数的对数）与 (kappa - 1) / (kappa + 1) 所给速度"
        "的相对差距，三个碗中最大者；对照取学习率 1 / kappa，三个碗中最小者",
    },
    "trained convex_spread <= 2e-7 < control_spread <= 0.6": {
        "en": "convex optimization: difference between the best and the worst final loss of twenty starts, logistic "
        "regression of tumours; control: before the first step, or a network on XOR, at the rate of seven where they "
        "differ least, whichever is less",
        "zh": "凸优化：肿瘤逻辑回归从二十个起点出发，最终损失的最大差异；"
        "对照为第一步之前，或 XOR 上的小网络（取七种学习率中差异最小的），取较小者",
    },
    "trained network_spread >= 0.2 > convex_spread": {
        "en": "not convex: that difference for the network on XOR; the control is the logistic regression",
        "zh": "非凸：XOR 小网络的上述差异；对照为逻辑回归",
    },
    "parity closed_gap <= 1e-10 < mistaken_gap": {
        "en": "gradient descent: relative gap to the closed form (I - rate A)^20 w after 20 steps (f64), largest of "
        "three bowls; the control puts a rate 1 % too large into the formula of the steepest",
        "zh": "梯度下降：20 步之后与闭式解 (I - rate A)^20 w 的相对差距（f64），三个碗中最大者；"
        "对照针对最陡的碗，公式中的学习率偏大 1 %",
    },
    "parity sgd_gap <= 1e-10 < part_gap": {
        "en": "batch gradient descent: gap of the weights to torch.optim.SGD with autograd on the whole set, after 20 "
        "steps (f64); the control leaves out the last 57 of 569 examples",
        "zh": "批量梯度下降：20 步之后权重与 torch.optim.SGD 加自动求导（用全部样本）的差距（f64）；"
        "对照漏掉 569 个样本中的最后 57 个",
    },
}
ZH = {
    "training loss": "训练损失",
    "logistic regression, best start": "逻辑回归，最好的起点",
    "logistic regression, worst start": "逻辑回归，最差的起点",
    "network, best start": "网络，最好的起点",
    "network, worst start": "网络，最差的起点",
    "what a step makes of the distance: below 1 it converges": "每步使距离变为几倍：小于 1 则收敛",
    "curvatures from 1 to 10": "曲率从 1 到 10",
    "curvatures from 1 to 30": "曲率从 1 到 30",
    "curvatures from 1 to 100": "曲率从 1 到 100",
    "learning rate times largest curvature": "学习率乘以最大曲率",
    "factor of a step": "每步的倍数",
    "loss on a ravine": "狭长山谷上的损失",
    "gradient descent": "梯度下降",
    "step": "步",
    "loss": "损失",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
