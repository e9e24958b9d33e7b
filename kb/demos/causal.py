"""Causal inference — the same data from two worlds: setting t raises y in one and lowers it in the other.

Two simulated worlds give t, y and a third variable w one and the same Gaussian distribution. In the first, w causes
t and y, and t causes y (w is a confounder); in the second, t causes y, and both cause w (a collider). Two networks
learn y from data of the first, since those of the second are no different: one from t, one from t and w. The effect
adjusted for w averages the answers of the second net over the w that occur, t held; the plain effect is what the first
net foretells. Both are compared with simulated interventions, which set t whatever causes it. Where w is the confounder
the adjusted effect is right and the plain one has the wrong sign; where it is the collider (or lay between t and y),
the other way round. The network with w predicts y better in either world, so test error does not tell which to take,
nor can more of such data: one has to know the arrows, or to intervene. All arrows are linear, so that least squares
finds both effects, too.

Needs:  torch
Source: J. Pearl, Causal Diagrams for Empirical Research, Biometrika 82(4), 1995 (adjustment); J. Berkson, Limitations
        of the Application of Fourfold Table Analysis to Hospital Data, Biometrics Bulletin 2(3), 1946 (colliders)
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

W, T, Y = range(3)
WT, WY, TY = 0.7, 0.8, 0.4  # the correlations that either world shows
HIDDEN, BATCH, TEST, RATE = 32, 512, 4000, 1e-2

# %% the concept


class World(NamedTuple):
    """x_i = sum over its causes j of arrow_ij x_j + width_i noise_i, each variable after its causes."""

    order: tuple[int, ...]
    arrow: Tensor  # (3, 3)
    width: Tensor  # (3,)


def happen(world: World, noise: Tensor, t: float | None = None) -> Tensor:
    """What is seen; or, given t, what would be if t were set, for the same noise: (n, 3) -> (n, 3)."""
    x = torch.zeros_like(noise)
    for i in world.order:
        value = x @ world.arrow[i] + world.width[i] * noise[:, i]
        if i == T and t is not None:
            value = torch.full_like(value, t)  # do(t): whatever causes t no longer does
        x = x + value[:, None] * F.one_hot(torch.tensor(i), 3).to(noise)
    return x


def adjusted(net: Callable[[Tensor], Tensor], t: float, w: Tensor) -> Tensor:  # (n,) -> ()
    """Mean over w of E[y | t, w]: that of y under do(t), if t does not cause w and w blocks all paths from y into t."""
    return net(torch.stack([w, torch.full_like(w, t)], 1)).mean()


# %% its control


def plain(net: nn.Module, t: float, w: Tensor) -> Tensor:  # E[y | t]: what seeing t foretells; w is left out
    return net(torch.full_like(w[:1, None], t)).mean()


# %% the experiment


def seen() -> Tensor:
    return torch.tensor([[1.0, WT, WY], [WT, 1.0, TY], [WY, TY, 1.0]], dtype=torch.float64)


def world_of(order: tuple[int, ...], cov: Tensor) -> World:
    """Each variable regressed on those before it: a world of that order with that covariance; f64."""
    arrow, width = torch.zeros_like(cov), torch.zeros(3, dtype=cov.dtype)
    for k, i in enumerate(order):
        before = list(order[:k])
        share = torch.linalg.solve(cov[before][:, before], cov[before, i])
        arrow[i, before], width[i] = share, (cov[i, i] - share @ cov[before, i]).sqrt()
    return World(order, arrow, width)


def covariance(world: World, is_set: bool = False) -> Tensor:
    """(I - A)^-1 diag(width^2) (I - A)^-T: (3, 3); if t is set, the arrows into it and its width are gone."""
    kept = torch.ones(3, dtype=torch.float64)
    kept[T] = 0.0 if is_set else 1.0
    spread = torch.linalg.solve(torch.eye(3).double() - kept[:, None] * world.arrow, torch.diag(kept * world.width))
    return spread @ spread.mT


def happen_gap(worlds: dict[str, World], noise: Tensor, is_cut: bool = True) -> float:
    """Largest gap of what happens, t seen or set to 0.7, and of its gradients to one solve of x = A x + u (f64); the
    control adds 0.7 to what the causes of t make of it."""
    found = []
    for world, t in [(world, t) for world in worlds.values() for t in (None, 0.7)]:
        leaves = [part.clone().requires_grad_() for part in (world.arrow, world.width, noise)]
        is_on = torch.ones(3, dtype=noise.dtype)
        is_on[T] = 1.0 if t is None else 0.0
        pushed = is_on * leaves[1] * leaves[2] + (1 - is_on) * (t or 0.0)
        into = (is_on[:, None] if is_cut else 1) * leaves[0]
        theirs = torch.linalg.solve(torch.eye(3).double() - into, pushed.mT).mT
        for out in (happen(World(world.order, *leaves[:2]), leaves[2], t), theirs):
            grads = torch.autograd.grad(out.sin().sum(), leaves, materialize_grads=True)
            found.append((out.detach(), *(g * (leaf != 0) for g, leaf in zip(grads, leaves, strict=True))))
    return max((a - b).abs().max().item() for k in range(0, 8, 2) for a, b in zip(*found[k : k + 2], strict=True))


def mean_gap(w: Tensor, is_inside: bool = False) -> float:
    """Largest gap of the adjusted mean of exp(w t) to a mean case by case (f64); the control puts in the mean of w."""
    cases = [w.mean().item()] if is_inside else w.tolist()
    theirs = {t: sum(math.exp(one * t) for one in cases) / len(cases) for t in (-1.0, 0.5, 1.0)}
    return max(abs(adjusted(lambda x: x.prod(1).exp(), t, w).item() - mean) for t, mean in theirs.items())


def network(d_in: int) -> nn.Module:
    return nn.Sequential(nn.Linear(d_in, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1), nn.Flatten(0))


def run(device="cpu", seed=0, steps=1200):
    torch.manual_seed(3 * seed)  # weights, training noise and test noise: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    worlds = {"confounder": world_of((W, T, Y), seen()), "collider": world_of((T, Y, W), seen())}
    single = {name: World(w.order, w.arrow.float(), w.width.float()) for name, w in worlds.items()}
    nets = {"t": network(1).to(device), "t and w": network(2).to(device)}
    inputs = {"t": slice(T, T + 1), "t and w": slice(W, T + 1)}
    optimizer = torch.optim.Adam([part for net in nets.values() for part in net.parameters()])
    for step in range(steps):
        x = happen(single["confounder"], torch.randn(BATCH, 3, generator=data)).to(device)
        losses = {name: F.mse_loss(net(x[:, inputs[name]]), x[:, Y]) for name, net in nets.items()}
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    noise = torch.randn(TEST, 3, generator=unseen)
    fresh = {name: happen(world, noise).to(device) for name, world in single.items()}
    ts = [k / 4 for k in range(-6, 7)]
    with torch.no_grad():
        errors = {
            name: [F.mse_loss(net(x[:, inputs[name]]), x[:, Y]).item() for x in fresh.values()]
            for name, net in nets.items()
        }
        means = {f"done, w a {name}": [happen(w, noise, t)[:, Y].mean() for t in ts] for name, w in single.items()}
        w = fresh["confounder"][:, W]  # distributed alike in the other world
        means["net of t"] = [plain(nets["t"], t, w) for t in ts]
        means["net of t and w, averaged over w"] = [adjusted(nets["t and w"], t, w) for t in ts]
    effects = {name: ((line[10] - line[2]) / 2).item() for name, line in means.items()}  # from t = -1 to t = 1
    done, foretold, averaged = list(effects.values())[:2], *list(effects.values())[2:]
    observed, after = ([covariance(world, is_set) for world in worlds.values()] for is_set in (False, True))
    return {
        "adjusted_gap": abs(averaged - done[0]),
        "plain_gap": abs(foretold - done[0]),
        "collider_plain_gap": abs(foretold - done[1]),
        "collider_adjusted_gap": abs(averaged - done[1]),
        "mse_with_w": max(errors["t and w"]),
        "mse_of_t": min(errors["t"]),
        "seen_gap": (observed[0] - observed[1]).abs().max().item(),
        "done_gap": (after[0] - after[1]).abs().max().item(),
        "happen_gap": happen_gap(worlds, noise[:16].double()),
        "uncut_gap": happen_gap(worlds, noise[:16].double(), is_cut=False),
        "mean_gap": mean_gap(noise[:16, W].double()),
        "inside_gap": mean_gap(noise[:16, W].double(), is_inside=True),
    }, {
        "mean of y when t is set, and what the nets say": {
            "kind": "lines",
            "series": {name: (ts, [value.item() for value in line]) for name, line in means.items()},
            "x": "t",
            "y": "y",
        }
    }


# %% what is claimed

TITLE = {"en": "Same data, opposite effects: the arrows decide", "zh": "数据相同，效应相反：取决于因果箭头"}
CURVES = "squared error"
CPU_SECONDS = 1
CLAIMS = {
    "trained adjusted_gap <= 0.06 < plain_gap <= 0.8": {
        "en": "gap of y's rise per unit of t, adjusted for w, to that when t is set, w a confounder; control: the "
        "rise that the net of t alone foretells",
        "zh": "w 为混杂因素时，t 每增加 1，对 w 调整后 y 的增量与设定 t 时的增量之差；对照：只看 t 的网络的增量",
    },
    "trained collider_plain_gap <= 0.03 < collider_adjusted_gap <= 0.8": {
        "en": "the same gap of the net of t alone, w a collider; control: the rise adjusted for w",
        "zh": "w 为对撞因素时，只看 t 的网络的同一差距；对照：对 w 调整后的增量",
    },
    "trained mse_with_w <= 0.35 < mse_of_t <= 0.93": {
        "en": "squared error of the net of t and w on fresh data, the worse of both worlds; control: the net of t, "
        "in the better",
        "zh": "看 t 与 w 的网络在新数据上的均方误差，取两个世界中较差者；对照：只看 t 的网络，取较好者",
    },
    "parity seen_gap <= 1e-10 < done_gap": {
        "en": "largest gap between the covariances that the two worlds show (f64); control: the same with t set",
        "zh": "两个世界所呈现的协方差之间的最大差距（f64）；对照：设定 t 之后的同一差距",
    },
    "parity happen_gap <= 1e-10 < uncut_gap": {
        "en": "largest gap of what happens, t seen or set, and of its gradients, to one linear solve (f64); the "
        "control does not cut the arrows into t",
        "zh": "t 被观察或被设定时所发生的值及其梯度同一次线性求解的最大差距（f64）；对照没有切断指向 t 的箭头",
    },
    "parity mean_gap <= 1e-10 < inside_gap": {
        "en": "largest gap of the adjusted mean of a nonlinear answer to a mean case by case (f64); control: the "
        "answer at the mean of w",
        "zh": "非线性回答的调整后均值同逐例求平均的最大差距（f64）；对照：w 取均值时的回答",
    },
}
ZH = {
    "squared error": "均方误差",
    "t and w": "t 与 w",
    "mean of y when t is set, and what the nets say": "设定 t 时 y 的均值，与网络所说的",
    "done, w a confounder": "干预，w 为混杂因素",
    "done, w a collider": "干预，w 为对撞因素",
    "net of t": "只看 t 的网络",
    "net of t and w, averaged over w": "看 t 与 w 的网络，对 w 取平均",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
