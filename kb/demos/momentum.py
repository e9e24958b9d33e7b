"""Momentum — gradients that agree add up, those that alternate cancel; a ravine takes far fewer steps than descent.

A quadratic bowl in 30 dimensions, turned at random, has curvatures from 1 to kappa = 100. Each step of gradient descent
leaves in the end (kappa - 1) / (kappa + 1) of the distance at best, 99/101; one of heavy-ball momentum comes near
(sqrt kappa - 1) / (sqrt kappa + 1), 9/11. Both momenta take the constants of theory; the control, gradient descent, the
best of 61 rates. On a convex loss that is no quadratic, there are starts (here from 3.07 to 3.46) from which the heavy
ball, with the constants that are best on quadratics of its curvatures, circles for ever, while Nesterov's look ahead
arrives; at a lower rate the heavy ball does, too. On the ravine, (x^2 + 100 y^2) / 2, each rule takes the best of 61
rates from 0.001 to 1 at a momentum of theory; the heavy ball's rate is larger, and so are its first swings across.

Needs:  torch
Source: B. Polyak, Some Methods of Speeding up the Convergence of Iteration Methods, 1964 (heavy ball);
        Y. Nesterov, A Method of Solving a Convex Programming Problem with Convergence Rate O(1/k^2), 1983;
        L. Lessard, B. Recht, A. Packard, Analysis and Design of Optimization Algorithms via Integral Quadratic
        Constraints, SIAM Journal on Optimization 26(1), 2016 (the circle, and the constants)
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

DIM, KAPPA, TARGET = 30, 100, 1e-5

# %% the concept


def momentum(
    gradient: Callable[[Tensor], Tensor], w: Tensor, rate: Tensor | float, beta: float, steps: int, nesterov: bool
) -> list[Tensor]:
    """The places that it comes to; beta = 0 is gradient descent."""
    path, v = [w], 0 * w
    for _ in range(steps):
        g = gradient(w)
        v = beta * v + g  # v <- beta v + g: a sum of gradients, each worth beta times the next
        w = w - rate * (g + beta * v if nesterov else v)  # the heavy ball moves by v; Nesterov as v will be, g standing
        path.append(w)
    return path


def heavy_ball_constants(flattest: float, steepest: float) -> tuple[float, float]:
    """Rate and beta that are the best on quadratics of these curvatures."""
    low, high = math.sqrt(flattest), math.sqrt(steepest)
    return 4 / (high + low) ** 2, ((high - low) / (high + low)) ** 2


def nesterov_constants(flattest: float, steepest: float) -> tuple[float, float]:
    """Rate and beta that converge on every convex loss of these curvatures."""
    low, high = math.sqrt(flattest), math.sqrt(steepest)
    return 1 / steepest, (high - low) / (high + low)


# %% the experiment


def bowl(generator: torch.Generator) -> Tensor:
    """A symmetric matrix with eigenvalues spread evenly from 1 to KAPPA and random axes, f64."""
    turn = torch.linalg.qr(torch.randn(DIM, DIM, generator=generator, dtype=torch.float64))[0]
    return turn @ torch.linspace(1, KAPPA, DIM, dtype=torch.float64).diag() @ turn.T


def bend(w: Tensor) -> Tensor:
    """Gradient of a convex loss of one number, of curvature 25, but 1 between 1 and 2: its lowest point is 0. A tenth
    of the starts from -10 to 10 leads the heavy ball into the circle; those of `run` are the authors'."""
    return torch.where(w < 1, 25 * w, torch.where(w < 2, w + 24, 25 * w - 24))


def block_gap(matrix: Tensor, w: Tensor, nesterov: bool, averaged: bool = False) -> float:
    """After 40 steps, to the power of the matrix that takes (w, v) to the next; `averaged` weights g by 1 - beta."""
    rate, beta = (nesterov_constants if nesterov else heavy_ball_constants)(1, KAPPA)
    one, share = torch.eye(DIM, dtype=torch.float64), 1 - beta if averaged else 1.0
    v_row = torch.cat([share * matrix, beta * one], 1)  # v' = beta v + A w
    pull = torch.cat([matrix, 0 * one], 1) + beta * v_row if nesterov else v_row
    step = torch.cat([torch.cat([one, 0 * one], 1) - rate * pull, v_row])
    exact = (torch.linalg.matrix_power(step, 40) @ torch.cat([w, 0 * w]))[:DIM]
    mine = momentum(lambda w: matrix @ w, w, rate, beta, 40, nesterov)[-1]
    return ((mine - exact).norm() / w.norm()).item()


def network_gap(x: Tensor, weights: Tensor, nesterov: bool, theirs: bool) -> float:
    """After 20 steps of a small network, to torch.optim.SGD with its momentum; f64."""
    net = nn.Sequential(nn.Linear(DIM, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    size = sum(p.numel() for p in net.parameters())
    nn.utils.vector_to_parameters(weights[:size], net.parameters())
    names = [name for name, _ in net.named_parameters()]

    def gradient(w: Tensor) -> Tensor:
        w = w.detach().requires_grad_()
        parts = w.split([p.numel() for p in net.parameters()])
        held = {name: part.view_as(p) for name, part, p in zip(names, parts, net.parameters(), strict=True)}
        return torch.autograd.grad(torch.func.functional_call(net, held, (x,)).square().mean(), w)[0]

    mine = momentum(gradient, weights[:size].clone(), 0.1, 0.9, 20, nesterov)[-1]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=theirs)
    for _ in range(20):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
    return (mine - nn.utils.parameters_to_vector(net.parameters())).detach().abs().max().item()


def ravine() -> tuple[dict[str, tuple[list[int], list[float]]], dict[str, tuple[list[float], list[float]]]]:
    """The loss along 60 steps from (10, 1), at the rate of 0.001 to 1 that ends lowest, and the first 21 places."""
    curvature, rates = torch.tensor([1.0, 100.0]).double(), torch.logspace(-3, 0, 61, dtype=torch.float64)[:, None]
    ball, ahead = heavy_ball_constants(1, 100)[1], nesterov_constants(1, 100)[1]
    rules, losses, places = (
        {"gradient descent": (0, False), "momentum": (ball, False), "Nesterov": (ahead, True)},
        {},
        {},
    )
    for name, (beta, nesterov) in rules.items():
        start = torch.tensor([10.0, 1.0]).double().expand(61, 2)
        path = torch.stack(momentum(lambda w: curvature * w, start, rates, beta, 60, nesterov))
        of_it = (curvature * path**2).sum(-1) / 2  # (61 places, 61 rates)
        chosen = of_it[-1].argmin()
        losses[name] = (list(range(61)), of_it[:, chosen].tolist())
        places[name] = tuple(path[:21, chosen].T.tolist())
    return losses, places


def run(device="cpu", seed=0, steps=600):
    drawn, begun, nets = (torch.Generator().manual_seed(3 * seed + k) for k in (0, 1, 2))
    exact, start = bowl(drawn), torch.randn(DIM, generator=begun, dtype=torch.float64)
    matrix, w = exact.float().to(device), start.float().to(device)
    rates = torch.logspace(-2.2, -1.6, 61)[:, None].to(device)  # around 2 / (kappa + 1)
    rules: dict[str, tuple[Tensor | float, float, bool]] = {
        "gradient descent": (rates, 0.0, False),
        "momentum": (*heavy_ball_constants(1, KAPPA), False),
        "Nesterov": (*nesterov_constants(1, KAPPA), True),
    }
    far = {}  # distances from the lowest point by step, 1 at the start
    for name, (rate, beta, nesterov) in rules.items():
        path = momentum(lambda w: w @ matrix, w.expand(61, -1), rate, beta, steps, nesterov)
        apart = (torch.stack(path).cpu().double().norm(dim=2) / start.norm()).nan_to_num(1e9)  # (steps + 1, 61)
        far[name] = apart[:, apart[-1].argmin()]  # at the best rate, where there are several
    for step in range(steps):
        yield (step + 1) / steps, {name: apart[step + 1].item() for name, apart in far.items()}

    needed = {name: (apart > TARGET).sum().item() for name, apart in far.items()}
    factor = {name: (apart[-1 - steps // 2] / apart[steps // 4]) ** (4 / steps) for name, apart in far.items()}
    starts = torch.empty(10, dtype=torch.float64).uniform_(3.07, 3.46, generator=begun)
    circle = momentum(bend, starts, *heavy_ball_constants(1, 25), 300, False)[-1]
    light = momentum(bend, starts, 1 / 25, 0.25, 300, False)[-1]
    ahead = momentum(bend, starts, *nesterov_constants(1, 25), 300, True)[-1]
    x = torch.randn(50, DIM, generator=nets, dtype=torch.float64)
    weights = 0.3 * torch.randn(400, generator=nets, dtype=torch.float64)
    losses, places = ravine()
    return {
        "momentum_steps": needed["momentum"],
        "nesterov_steps": needed["Nesterov"],
        "descent_steps": needed["gradient descent"],
        "momentum_factor": factor["momentum"].item(),
        "descent_factor": factor["gradient descent"].item(),
        "nesterov_end": ahead.abs().max().item(),
        "light_ball_end": light.abs().max().item(),
        "heavy_ball_end": circle.abs().min().item(),
        "rule_gap": max(network_gap(x, weights, rule, rule) for rule in (False, True)),
        "swapped_gap": network_gap(x, weights, False, True),
        "block_gap": max(block_gap(exact, start, rule) for rule in (False, True)),
        "averaged_gap": min(block_gap(exact, start, rule, averaged=True) for rule in (False, True)),
    }, {
        "the first 20 steps down a ravine, 10 long and 1 wide": {
            "kind": "lines",
            "series": places,
            "x": "x, of curvature 1",
            "y": "y, of curvature 100",
        },
        COMMON: {"kind": "lines", "series": losses, "x": "step", "y": "loss", "log": "y"},
    }


# %% what is claimed

TITLE = {"en": "Momentum: the heavy ball and Nesterov's look ahead", "zh": "动量：重球法与 Nesterov 的前瞻"}
CURVES = "distance from the lowest point"
COMMON = "loss on a ravine"
CPU_SECONDS = 1
CLAIMS = {
    "trained momentum_steps <= 90 < descent_steps <= 600": {
        "en": "steps of heavy-ball momentum to 1e-5 of the distance, curvatures from 1 to 100; the control is gradient "
        "descent at the best of 61 rates",
        "zh": "曲率从 1 到 100，重球动量把距离缩到 1e-5 所需的步数；对照为取 61 种学习率中最优者的梯度下降",
    },
    "trained nesterov_steps <= 150 < descent_steps <= 600": {
        "en": "steps of Nesterov's momentum to 1e-5 of the distance; the control is gradient descent at the best of 61 "
        "rates",
        "zh": "Nesterov 动量把距离缩到 1e-5 所需的步数；对照为取 61 种学习率中最优者的梯度下降",
    },
    "trained momentum_factor <= 0.826 < descent_factor <= 0.981": {
        "en": "share of the distance that a step of the heavy ball leaves, mean of steps 150 to 300; theory says 9/11 "
        "in the end; the control is gradient descent, 99/101",
        "zh": "重球法每步留下的距离比例，取第 150 到 300 步的平均；理论极限为 9/11；对照为梯度下降，理论为 99/101",
    },
    "parity nesterov_end <= 1e-10 < heavy_ball_end <= 0.7": {
        "en": "where Nesterov's momentum ends on a convex loss that is no quadratic, the worst of ten starts from 3.07 "
        "to 3.46; the control is the heavy ball with the constants that are best on quadratics, its best of ten",
        "zh": "在非二次的凸损失上，Nesterov 动量从 3.07 到 3.46 间的十个起点出发，终点离最低点最远者；"
        "对照为重球法（用二次函数上最优的常数），取十个起点中最近者",
    },
    "parity light_ball_end <= 1e-10 < heavy_ball_end <= 0.7": {
        "en": "where the heavy ball ends there with less momentum, 0.25, at a rate of 1 / (largest curvature); the "
        "control is its momentum of 4/9 and rate of 1/9",
        "zh": "同一损失上，把动量减到 0.25、学习率取 1 / 最大曲率时重球法的终点；对照为动量 4/9、学习率 1/9",
    },
    "parity rule_gap <= 1e-10 < swapped_gap": {
        "en": "gap of both rules to torch.optim.SGD with autograd, weights of a network after 20 steps (f64); the "
        "control compares the heavy ball with torch's Nesterov",
        "zh": "两种规则训练小网络 20 步后，权重与 torch.optim.SGD 加自动求导的差距（f64）；"
        "对照拿重球法与 torch 的 Nesterov 相比",
    },
    "parity block_gap <= 1e-10 < averaged_gap": {
        "en": "relative gap of both to the closed form, the 40th power of the matrix that takes w and v to the next "
        "(f64); the control averages gradients, weighting the new one by 1 - beta",
        "zh": "两种规则与闭式解（把 w 和 v 推进一步的矩阵的 40 次幂）的相对差距（f64）；"
        "对照改用梯度的平均，新梯度乘以 1 - beta",
    },
}
ZH = {
    "distance from the lowest point": "到最低点的距离",
    "gradient descent": "梯度下降",
    "momentum": "动量",
    "the first 20 steps down a ravine, 10 long and 1 wide": "沿狭长山谷下行的前 20 步（长 10，宽 1）",
    "x, of curvature 1": "x，曲率为 1",
    "y, of curvature 100": "y，曲率为 100",
    "loss on a ravine": "狭长山谷上的损失",
    "step": "步",
    "loss": "损失",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
