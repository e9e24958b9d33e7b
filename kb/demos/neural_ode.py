"""Neural ODE — a network says how fast a state changes, a solver adds it up: a pendulum learned from rare snapshots.

A simulated pendulum with friction is seen in 36 pairs of noisy snapshots, up to 2 seconds apart. The network is the
right side of a differential equation: RK4 carries the first snapshot of a pair to the second, and the adjoint equation,
solved backwards, brings the gradient back without a stored path: near backpropagation's with the 4 solver steps of
training, nearer with more. From unseen starts it then foretells 6 seconds. Control: a network with as many hidden
units, trained for three times the steps at its own rate, that is told snapshot and gap and leaps straight to the next
snapshot. It has no solver to pay for. One Euler step, x + gap f(x), is a residual block; it is no solution.

Needs:  torch
Source: R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, Neural Ordinary Differential Equations, NeurIPS 2018
"""

import copy
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

SIDE, LEAST, MOST, NOISE, HIDDEN, SOLVER, EVERY, TIMES = 6, 0.25, 2.0, 0.01, 32, 4, 0.25, 24

# %% the concept


def rk4(f: Callable, state: list[Tensor], steps: int) -> list[Tensor]:
    """The state at time 1 of d state / dt = f(state): fourth-order Runge-Kutta."""
    h = 1 / steps
    for _ in range(steps):
        a = f(state)
        b = f([s + h / 2 * k for s, k in zip(state, a, strict=True)])
        c = f([s + h / 2 * k for s, k in zip(state, b, strict=True)])
        d = f([s + h * k for s, k in zip(state, c, strict=True)])
        state = [s + h / 6 * sum(k) for s, *k in zip(state, a, b, b, c, c, d, strict=True)]
    return state


class Solve(torch.autograd.Function):
    """x(gap) of dx / dt = net(x), and its gradient by the adjoint: (B, d), (B, 1) -> (B, d)."""

    @staticmethod
    def forward(ctx, x, gap, steps, net, *parameters):
        (y,) = rk4(lambda state: [gap * net(state[0])], [x], steps)  # every gap is scaled to one unit of time
        ctx.save_for_backward(y, gap)  # the end alone: no path
        ctx.steps, ctx.net, ctx.parameters = steps, net, parameters
        return y

    @staticmethod
    def backward(ctx, a):  # a = dL / dx, at the end
        y, gap = ctx.saved_tensors

        def back(state: list[Tensor]) -> list[Tensor]:  # time runs backwards, so that every sign turns
            with torch.enable_grad():
                x = state[0].detach().requires_grad_()
                v = gap * ctx.net(x)
                slopes = torch.autograd.grad(v, [x, *ctx.parameters], state[1])
            return [-v.detach(), *slopes]  # dx/dt = f; da/dt = -a df/dx; dg/dt = -a df/dw

        _, a, *g = rk4(back, [y, a, *map(torch.zeros_like, ctx.parameters)], ctx.steps)
        return a, None, None, None, *g


def solve(net: nn.Module, x: Tensor, gap: Tensor, steps: int = SOLVER) -> Tensor:
    return Solve.apply(x, gap, steps, net, *net.parameters())


# %% its control


def through(net: nn.Module, x: Tensor, gap: Tensor, steps: int = SOLVER) -> Tensor:
    return rk4(lambda state: [gap * net(state[0])], [x], steps)[0]  # no adjoint: autograd holds every step


def leap(net: nn.Module, x: Tensor, gap: Tensor) -> Tensor:  # (B, 2), (B, 1) -> (B, 2)
    return x + gap * net(torch.cat([x, gap], 1))  # told the gap: straight to the next snapshot


# %% the experiment


def mlp(*widths: int) -> nn.Module:
    layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


def pendulum(state: Tensor) -> Tensor:  # angle and speed, (B, 2), to their slopes
    return torch.stack([state[:, 1], -4 * state[:, 0].sin() - 0.2 * state[:, 1]], 1)


def starts(side: int, generator: torch.Generator) -> Tensor:
    """One in each cell of a grid: (side ** 2, 2)."""
    cells = torch.cartesian_prod(torch.arange(side), torch.arange(side))
    return 1.6 * (2 * (cells + torch.rand(side**2, 2, generator=generator)) / side - 1)


def path(step: Callable, x: Tensor, leaps: bool = False) -> Tensor:
    """All states every quarter of a second; or each in leaps of about a second (at first shorter)."""
    states = [x]  # (TIMES + 1, B, 2) in the end
    with torch.no_grad():
        for k in range(1, TIMES + 1):
            hops = max(1, round(k * EVERY)) if leaps else 1
            state, span = (x, k * EVERY / hops) if leaps else (states[-1], EVERY)
            for _ in range(hops):
                state = step(state, x.new_full((len(x), 1), span))
            states.append(state)
    return torch.stack(states).cpu()


def solve_gap(net: nn.Module, x: Tensor, own: Callable) -> float:
    """Largest gap of a solution and its gradients, of a trained network to backpropagation through the solver, of a
    linear one to the matrix exponential (f64); `own` solves."""
    net, line, x = copy.deepcopy(net).cpu().double(), nn.Linear(2, 2, bias=False).double(), x.double().requires_grad_()
    gap = torch.linspace(0.05, 0.15, len(x), dtype=torch.float64)[:, None]
    line.weight.data = torch.tensor([[-0.2, 1.0], [-4.0, -0.3]], dtype=torch.float64)
    exact = (torch.linalg.matrix_exp(gap[..., None] * line.weight) @ x[..., None])[..., 0]
    apart = []
    for module, wanted in ((net, through(net, x, gap, 64)), (line, exact)):
        found = []
        for y in (own(module, x, gap), wanted):
            grads = torch.autograd.grad(y.sin().sum(), [x, *module.parameters()], materialize_grads=True)
            found.append((y.detach(), *grads))
        apart += [(a - b).abs().max().item() for a, b in zip(*found, strict=True)]
    return max(apart)


def kept(net: nn.Module, x: Tensor, steps: int, own: Callable) -> int:
    """Numbers that are held for the backward pass."""
    held: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: held.append(t.numel()), lambda _: None):
        own(net, x.clone().requires_grad_(), torch.ones(len(x), 1), steps)
    return sum(held)


def run(device="cpu", seed=0, steps=600):
    torch.manual_seed(3 * seed)  # weights, snapshots and test: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    x, gap = starts(SIDE, data), LEAST + (MOST - LEAST) * torch.rand(SIDE**2, 1, generator=data)
    pair = torch.stack([x, through(pendulum, x, gap, 40)])
    before, after = (pair + NOISE * torch.randn(pair.shape, generator=data)).to(device)
    fresh, gap = starts(SIDE, unseen), gap.to(device)
    nets = {"neural ODE": mlp(2, HIDDEN, HIDDEN, 2).to(device), "leaps": mlp(3, HIDDEN, HIDDEN, 2).to(device)}
    steppers, rates = {"neural ODE": solve, "leaps": leap}, {"neural ODE": 1.5e-2, "leaps": 3e-3}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    losses = dict.fromkeys(nets, 0.0)
    for step in range(steps):
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = rates[name] * min(1, 2 - 2 * step / steps)
            for _ in range(3 if name == "leaps" else 1):
                loss = (steppers[name](net, before, gap) - after).square().mean()
                optimizers[name].zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, dict(losses)

    truth = path(partial(through, pendulum, steps=40), fresh)
    paths = {name: path(partial(steppers[name], net), fresh.to(device), name == "leaps") for name, net in nets.items()}
    off = {name: ((way - truth).norm(dim=(0, 2)) / truth.norm(dim=(0, 2))).median() for name, way in paths.items()}
    ode, few, swing = copy.deepcopy(nets["neural ODE"]).cpu(), fresh[:4], int(fresh.norm(dim=1).argmax())
    return {
        "ode_error": off["neural ODE"].item(),
        "leaps_error": off["leaps"].item(),
        "solve_gap": solve_gap(ode, few, partial(solve, steps=64)),
        "residual_gap": solve_gap(ode, few, lambda net, x, gap: x + gap * net(x)),
        "kept_growth": kept(ode, few, 64, solve) / kept(ode, few, 4, solve),
        "tape_growth": kept(ode, few, 64, through) / kept(ode, few, 4, through),
        "shared_starts": int((fresh[:, None] == pair[0]).all(2).sum()),
        "leaked_starts": int((pair[0][:, None] == pair[0]).all(2).sum()),
    }, {
        "one unseen swing of 6 seconds: angle and speed": {
            "kind": "lines",
            "series": {name: tuple(way[:, swing].T.tolist()) for name, way in {"pendulum": truth, **paths}.items()},
            "x": "angle",
            "y": "speed",
        }
    }


# %% what is claimed

TITLE = {"en": "A neural ODE swings like the pendulum", "zh": "神经 ODE 像单摆一样摆动"}
CURVES = "squared error"
CPU_SECONDS = 4
CLAIMS = {
    "trained ode_error <= 0.07 < leaps_error <= 0.4": {
        "en": "median error over 6 seconds from unseen starts, relative to the swing; control: a network as "
        "wide that leaps straight to the next snapshot, trained for three times the steps",
        "zh": "从新的初始状态出发，6 秒内误差与摆动之比的中位数；对照：直接跳到下一快照的同宽网络，训练步数为三倍",
    },
    "parity solve_gap <= 1e-10 < residual_gap": {
        "en": "largest gap of a solution in 64 steps over a short time, and its gradients, to backpropagation and to "
        "the matrix exponential (f64); control: one residual step x + gap f(x)",
        "zh": "短时间内走 64 步的解及其梯度同反向传播、同矩阵指数的最大差距（f64）；对照：一个残差步 x + gap f(x)",
    },
    "parity kept_growth <= 1 < tape_growth": {
        "en": "numbers held for the backward pass with 64 solver steps, over those with 4; control: backpropagation "
        "through the solver",
        "zh": "求解器走 64 步时为反向传播保存的数值个数与走 4 步时之比；对照：穿过求解器的反向传播",
    },
    "parity shared_starts <= 0 < leaked_starts": {
        "en": "test starts that are training starts; control: the same count where they are leaked",
        "zh": "同时出现在训练中的测试初始状态数；对照：泄漏时的同一计数",
    },
}
ZH = {
    "squared error": "均方误差",
    "neural ODE": "神经 ODE",
    "leaps": "跳跃",
    "one unseen swing of 6 seconds: angle and speed": "一次未见过的 6 秒摆动：角度与角速度",
    "pendulum": "单摆",
    "angle": "角度",
    "speed": "角速度",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
