"""Hopfield network — a memory that completes what it is shown; its modern update is the attention of Transformers.

Random patterns of 100 bits are stored, and up to ten of them shown again, each with 20 bits wrong. The network of 1982
stores them in one matrix by Hebb's rule and turns one unit after another, which never raises its energy. It recalls 5
patterns; 30 are too many for it. The modern network keeps every pattern, so that its memory grows with them, and
replaces the query by their softmax-weighted mean: attention with the patterns as keys and values, nothing learned. Of
400 it recalls what it is shown in one update. Controls: the old network at 30, and at 400 the better of Hebb's rule and
the pseudo-inverse, which recalls more until it stores as many patterns as units and changes nothing any more. Looking
up the nearest pattern recalls as much (not drawn); attention is its soft form, which passes gradients.

Needs:  torch
Source: J. J. Hopfield, Neural Networks and Physical Systems with Emergent Collective Computational Abilities, PNAS 79,
        1982; H. Ramsauer et al., Hopfield Networks is All You Need, ICLR 2021
"""

import torch
from torch import Tensor
from torch.nn import functional as F

UNITS, WRONG, SHARPNESS, SWEEPS, SHOWN, LOADS = 100, 20, 0.5, 5, 10, (5, 10, 15, 20, 30, 60, 100, 200, 400)

# %% the concept


def hebb(x: Tensor) -> Tensor:  # patterns of +-1, (..., p, n) -> (..., n, n)
    weight = x.mT @ x / x.shape[-1]  # w_ij = sum over patterns x_i x_j / n: what fires together wires together
    return weight * (1 - torch.eye(x.shape[-1], dtype=x.dtype)).to(x.device)  # no unit feeds itself


def energy(weight: Tensor, s: Tensor) -> Tensor:  # (..., n, n), (..., B, n) -> (..., B)
    return -(s @ weight * s).sum(-1) / 2  # E = -1/2 s W s


def sweep(weight: Tensor, s: Tensor, order: list[int]) -> Tensor:
    """One unit after another takes the sign of its input: (..., n, n), (..., B, n) -> (..., B, n)."""
    s = s.clone()
    for i in order:
        s[..., i] = (s @ weight[..., i, None])[..., 0].ge(0) * 2.0 - 1  # s_i = sign(sum_j w_ij s_j)
    return s


def modern(x: Tensor, s: Tensor) -> Tensor:  # patterns (..., p, n), states (..., B, n) -> (..., B, n)
    return (SHARPNESS * s @ x.mT).softmax(-1) @ x  # softmax(beta s X^T) X: attention, X being keys and values


def modern_energy(x: Tensor, s: Tensor) -> Tensor:  # -> (..., B)
    return s.square().sum(-1) / 2 - (SHARPNESS * s @ x.mT).logsumexp(-1) / SHARPNESS  # s^2 / 2 - lse(beta s X^T) / beta


# %% its control


def at_once(weight: Tensor, s: Tensor) -> Tensor:
    return (s @ weight).ge(0) * 2.0 - 1  # all units turn together


def projection(x: Tensor) -> Tensor:
    """The pseudo-inverse rule: the matrix that keeps every pattern, and nothing beside their span."""
    return torch.linalg.pinv(x) @ x


# %% the experiment


def patterns(networks: int, load: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 2, (networks, load, UNITS), generator=generator) * 2.0 - 1


def damaged(x: Tensor, generator: torch.Generator) -> Tensor:
    """The first patterns of each network with some bits wrong."""
    x = x[:, :SHOWN]
    return torch.where(torch.rand(x.shape, generator=generator).argsort(-1) < WRONG, -x, x)


def right(s: Tensor, x: Tensor) -> float:
    """The share of bits that are as they were stored."""
    return (s.sign().cpu() == x[:, : s.shape[1]]).float().mean().item()


def attention_gap(x: Tensor, s: Tensor, scale: float) -> float:
    """Largest gap of the modern update and its gradients to torch's attention of that scale, and of the update to a
    step down its energy (f64)."""
    x, s = x.clone().requires_grad_(), s.clone().requires_grad_()
    found = []
    for y in (modern(x, s), F.scaled_dot_product_attention(s, x, x, scale=scale)):
        found.append((y, *torch.autograd.grad(y.sin().sum(), (x, s), materialize_grads=True)))
    (slope,) = torch.autograd.grad(modern_energy(x, s).sum(), s)
    gaps = [(a - b).abs().max() for a, b in zip(*found, strict=True)]
    return max(*gaps, (s - slope - modern(x, s)).abs().max()).item()


def hebb_gap(x: Tensor, weight: Tensor) -> float:
    """Largest gap of weights, and of the first pattern's energy, to Hebb's rule unit by unit (f64)."""
    n, bits = x.shape[1], x.tolist()
    theirs = [[sum(p[i] * p[j] for p in bits) / n * (i != j) for j in range(n)] for i in range(n)]
    level = -sum(theirs[i][j] * bits[0][i] * bits[0][j] for i in range(n) for j in range(i))  # each pair once
    apart = (weight - torch.tensor(theirs, dtype=torch.float64)).abs().max()
    return max(apart.item(), abs(energy(weight, x[:1]).item() - level))


def run(device="cpu", seed=0, steps=20):
    stored, noise, order = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    recalled: dict[str, list[float]] = {"Hebb": [], "pseudo-inverse": [], "modern": []}
    rises = [0, 0]
    for done, load in enumerate(LOADS):
        x = patterns(steps, load, stored)
        shown = damaged(x, noise)
        weights = {"Hebb": hebb(x.to(device)), "pseudo-inverse": projection(x.double()).float().to(device)}
        for name, weight in weights.items():
            s = shown.to(device)
            together = at_once(weight, s)
            for _ in range(SWEEPS):
                before, s = s, sweep(weight, s, torch.randperm(UNITS, generator=order).tolist())
                if name == "Hebb":
                    rises[0] += int((energy(weight, s) > energy(weight, before) + 1e-3).sum())
                    last, together = together, at_once(weight, together)
                    rises[1] += int((energy(weight, together) > energy(weight, last) + 1e-3).sum())
            recalled[name].append(right(s, x))
        recalled["modern"].append(right(modern(x.to(device), shown.to(device)), x))
        nearest = x[torch.arange(steps)[:, None], (shown @ x.mT).argmax(-1)]
        yield (done + 1) / len(LOADS), {name: values[-1] for name, values in recalled.items()}

    few, at = patterns(1, 6, noise)[0].double(), {load: k for k, load in enumerate(LOADS)}
    kept = few.mT @ few / UNITS
    return {
        "few_right": recalled["Hebb"][at[5]],
        "overloaded_right": recalled["Hebb"][at[30]],
        "modern_right": recalled["modern"][at[400]],
        "linear_right": max(recalled["Hebb"][at[400]], recalled["pseudo-inverse"][at[400]]),
        "nearest_right": right(nearest, x),
        "energy_rises": rises[0],
        "rises_at_once": rises[1],
        "attention_gap": attention_gap(few, few[:2] * 0.1, SHARPNESS),
        "other_scale_gap": attention_gap(few, few[:2] * 0.1, UNITS**-0.5),
        "hebb_gap": hebb_gap(few, hebb(few)),
        "self_fed_gap": hebb_gap(few, kept),
    }, {
        "bits right after recall; 80 of 100 were right before": {
            "kind": "lines",
            "series": {name: (list(LOADS), values) for name, values in recalled.items()},
            "x": "patterns stored",
            "y": "share of bits right",
            "log": "x",
        }
    }


# %% what is claimed

TITLE = {"en": "An associative memory, old and modern", "zh": "联想记忆：经典与现代"}
CURVES = "share of bits right"
CPU_SECONDS = 1
CLAIMS = {
    "trained few_right >= 0.99 > overloaded_right >= 0.7": {
        "en": "bits right when Hebb's rule recalls one of 5 patterns of 100 bits, 20 wrong; control: the same memory "
        "with 30 patterns",
        "zh": "赫布规则存储 5 个 100 位模式、从 20 位出错的输入回忆后的正确位占比；对照：存储 30 个模式的同一记忆",
    },
    "trained modern_right >= 0.999 > linear_right >= 0.79": {
        "en": "bits right, by sign, after one update of the modern network with 400 patterns; control: Hebb's rule or "
        "the pseudo-inverse, whichever is better",
        "zh": "存有 400 个模式的现代 Hopfield 网络更新一次后（取符号）的正确位占比；对照：赫布规则与伪逆规则中较好者",
    },
    "parity energy_rises <= 0 < rises_at_once": {
        "en": "sweeps that raised the energy, units turning one after another; control: all units turning at once",
        "zh": "逐个更新单元时能量上升的轮数；对照：所有单元同时更新",
    },
    "parity attention_gap <= 1e-10 < other_scale_gap": {
        "en": "largest gap of the modern update and its gradients to torch's attention, and of the update to a step "
        "down its energy (f64); control: attention at its usual scale",
        "zh": "现代更新及其梯度同 torch 的注意力、以及更新同能量下降一步的最大差距（f64）；对照：采用常用缩放的注意力",
    },
    "parity hebb_gap <= 1e-10 < self_fed_gap": {
        "en": "largest gap of the weights and the energy to sums unit by unit (f64); control: units that "
        "feed themselves",
        "zh": "权重与能量同逐单元求和的最大差距（f64）；对照：单元连接到自身",
    },
}
ZH = {
    "share of bits right": "正确位占比",
    "Hebb": "赫布规则",
    "pseudo-inverse": "伪逆规则",
    "modern": "现代 Hopfield",
    "bits right after recall; 80 of 100 were right before": "回忆后的正确位占比；回忆前 100 位中有 80 位正确",
    "patterns stored": "存储的模式数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
