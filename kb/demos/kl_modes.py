"""KL divergence — one Gaussian for two peaks: forward KL spreads over both, reverse KL settles on one.

The density p has two peaks, of weight 0.6 and 0.4; q is a single Gaussian and cannot have both. Forward KL, KL(p | q),
is dear where p has mass and q has none: q covers both peaks and the gap between them, at the mean and the deviation of
p. Reverse KL, KL(q | p), is dear where q has mass and p has none: q keeps to the peak beside which it starts, be it the
lesser; a start in the middle can be caught in a spread fit that is worse than either peak (not drawn). Each is the
control of the other, from the same eight starts, for the same steps. Jensen-Shannon, the mean of both to the middle of
p and q, does not mind which of them comes first; here it, too, ends on one peak from many starts (not drawn). Integrals
are sums over a grid; only the starts are random.

Needs:  torch
Source: S. Kullback, R. A. Leibler, On Information and Sufficiency, Annals of Mathematical Statistics 22, 1951;
        T. Minka, Divergence Measures and Message Passing, Microsoft Research MSR-TR-2005-173, 2005
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal, kl_divergence

WEIGHTS, PEAKS, WIDTH, EDGE, POINTS, STARTS, RATE = (0.6, 0.4), (-2.5, 2.5), 0.7, 15.0, 1501, 8, 0.1

# %% the concept


def kl(log_a: Tensor, log_b: Tensor, dx: float) -> Tensor:  # (..., n) twice -> (...)
    return (log_a.exp() * (log_a - log_b)).sum(-1) * dx  # KL(a | b) = integral of a (log a - log b)


def jensen_shannon(log_a: Tensor, log_b: Tensor, dx: float) -> Tensor:
    middle = torch.logaddexp(log_a, log_b) - math.log(2)  # m = (a + b) / 2
    return (kl(log_a, middle, dx) + kl(log_b, middle, dx)) / 2


LOSSES: dict[str, Callable] = {
    "forward KL": lambda log_p, log_q, dx: kl(log_p, log_q, dx),  # as in maximum likelihood: covers
    "reverse KL": lambda log_p, log_q, dx: kl(log_q, log_p, dx),  # as in variational inference: seeks
    "Jensen-Shannon": jensen_shannon,
}


# %% the experiment


def gaussian(x: Tensor, mean: Tensor, log_width: Tensor) -> Tensor:  # (n,), (B,), (B,) -> log q: (B, n)
    z = (x - mean[:, None]) / log_width.exp()[:, None]
    return -z.square() / 2 - log_width[:, None] - math.log(2 * math.pi) / 2


def two_peaks(x: Tensor) -> Tensor:  # (n,) -> log p: (n,)
    mean, width = (torch.tensor(v, dtype=x.dtype).to(x.device) for v in (PEAKS, [math.log(WIDTH)] * 2))
    weight = torch.tensor(WEIGHTS, dtype=x.dtype).to(x.device)
    return (gaussian(x, mean, width) + weight.log()[:, None]).logsumexp(0)


def mass(log_q: Tensor, x: Tensor, low: float, high: float, dx: float) -> Tensor:
    return (log_q.exp() * ((x > low) & (x < high))).sum(-1) * dx


def exact() -> MixtureSameFamily:
    weight, peak = (torch.tensor(v, dtype=torch.float64) for v in (WEIGHTS, PEAKS))
    return MixtureSameFamily(Categorical(weight), Normal(peak, WIDTH))


def kl_gap(swap: bool = False) -> float:
    """Largest gap of p to torch's mixture, and of KL between Gaussians and its gradients to the closed form (f64);
    `swap` turns KL round."""
    x = torch.linspace(-EDGE, EDGE, POINTS, dtype=torch.float64)
    at = [torch.tensor(v).double().requires_grad_() for v in ([0.5, -1.0], [0.1, 0.3], [1.0, 0.4], [0.5, 0.0])]
    a, b = gaussian(x, *at[:2]), gaussian(x, *at[2:])
    ours = kl(b, a, float(x[1] - x[0])) if swap else kl(a, b, float(x[1] - x[0]))
    theirs = kl_divergence(Normal(at[0], at[1].exp()), Normal(at[2], at[3].exp()))
    found = [(value, *torch.autograd.grad(value.sum(), at, materialize_grads=True)) for value in (ours, theirs)]
    found[0] += (two_peaks(x),)
    found[1] += (exact().log_prob(x),)
    return max((p - q).abs().max().item() for p, q in zip(*found, strict=True))


def middle_gap(kind: Callable) -> float:
    """Largest gap of a divergence and its gradients, in both orders, to the entropy of the middle less the mean
    entropy (f64)."""
    x = torch.linspace(-EDGE, EDGE, POINTS, dtype=torch.float64)
    p, dx = two_peaks(x)[None], float(x[1] - x[0])
    at = [x.new_tensor(v).requires_grad_() for v in ([0.0, 2.5, -3.0], [0.8, -0.4, 0.0])]
    q = gaussian(x, *at)
    h = [-torch.special.xlogy(d, d).sum(-1) * dx for d in ((p.exp() + q.exp()) / 2, p.exp(), q.exp())]
    values = (h[0] - (h[1] + h[2]) / 2, kind(p, q, dx), kind(q, p, dx))
    want, *found = [(value, *torch.autograd.grad(value.sum(), at, retain_graph=True)) for value in values]
    return max((a - b).abs().max().item() for pair in found for a, b in zip(want, pair, strict=True))


def run(device="cpu", seed=0, steps=500):
    starts = torch.Generator().manual_seed(seed)
    mean = PEAKS[0] * (0.5 + torch.rand(STARTS, generator=starts)) * torch.tensor([1.0, -1.0]).repeat(STARTS // 2)
    x = torch.linspace(-EDGE, EDGE, POINTS)
    dx, x = float(x[1] - x[0]), x.to(device)
    log_p = two_peaks(x)
    found = {name: [mean.clone().to(device), torch.zeros(STARTS).to(device)] for name in LOSSES}
    optimizers = {name: torch.optim.Adam([v.requires_grad_() for v in pair]) for name, pair in found.items()}
    for step in range(steps):
        values = {}
        for name, kind in LOSSES.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            loss = kind(log_p, gaussian(x, *found[name]), dx)
            optimizers[name].zero_grad()
            loss.sum().backward()
            optimizers[name].step()
            values[name] = loss.mean().item()
        yield (step + 1) / steps, values

    fits = {name: [v.detach() for v in pair] for name, pair in found.items()}
    log_q = {name: gaussian(x, *pair) for name, pair in fits.items()}
    between = {name: mass(q, x, -1.0, 1.0, dx) for name, q in log_q.items()}  # where p has hardly any
    left = {name: mass(q, x, -EDGE, 0.0, dx) for name, q in log_q.items()}
    lesser = {name: torch.minimum(m, 1 - m) for name, m in left.items()}
    p, off, beside = exact(), {}, {}
    for name, (centre, log_width) in fits.items():
        apart = [centre.cpu() - p.mean, log_width.exp().cpu() - p.stddev]
        off[name] = torch.stack(apart).abs().amax(0)
        apart = [centre.cpu() - PEAKS[1] * mean.sign(), log_width.exp().cpu() - WIDTH]
        beside[name] = torch.stack(apart).abs().amax(0)
    lines = {"p, two peaks": log_p} | {"forward KL": log_q["forward KL"][0]}
    lines |= {f"reverse KL, {side} start": log_q["reverse KL"][k] for k, side in enumerate(("left", "right"))}
    shown = slice(POINTS // 2 - 350, POINTS // 2 + 351, 5)
    return {
        "covered": lesser["forward KL"].min().item(),
        "sought": lesser["reverse KL"].max().item(),
        "reverse_between": between["reverse KL"].max().item(),
        "forward_between": between["forward KL"].min().item(),
        "peak_gap": beside["reverse KL"].max().item(),
        "forward_peak_gap": beside["forward KL"].min().item(),
        "moments_gap": off["forward KL"].max().item(),
        "reverse_moments_gap": off["reverse KL"].min().item(),
        "kl_gap": kl_gap(),
        "swapped_gap": kl_gap(swap=True),
        "middle_gap": middle_gap(jensen_shannon),
        "kl_middle_gap": middle_gap(kl),
    }, {
        "one Gaussian fitted to two peaks": {
            "kind": "lines",
            "series": {name: (x[shown].tolist(), line[shown].exp().tolist()) for name, line in lines.items()},
            "x": "x",
            "y": "density",
        }
    }


# %% what is claimed

TITLE = {"en": "Forward KL covers, reverse KL seeks", "zh": "前向 KL 覆盖两峰，反向 KL 只取一峰"}
CURVES = "divergence"
CPU_SECONDS = 1
CLAIMS = {
    "trained covered >= 0.42 > sought": {
        "en": "mass that the fit by forward KL has on the side where it has less, lowest of 8 starts beside the "
        "peaks; control: the fit by reverse KL, highest",
        "zh": "以前向 KL 拟合的高斯在其质量较少一侧的占比，8 次在峰旁的初始化中最低者；对照：以反向 KL 拟合，最高者",
    },
    "trained reverse_between <= 0.017 < forward_between <= 0.31": {
        "en": "mass that the fit by reverse KL puts between the peaks, where p has hardly any, highest of 8 starts; "
        "control: forward KL, lowest",
        "zh": "以反向 KL 拟合的高斯落在两峰之间（p 几乎为零处）的质量，8 次初始化中最高者；对照：前向 KL，最低者",
    },
    "trained peak_gap <= 0.004 < forward_peak_gap <= 2.1": {
        "en": "gap of the fit's mean and deviation to those of the peak beside its start, reverse KL, highest of 8; "
        "control: forward KL, lowest",
        "zh": "以反向 KL 拟合所得均值、标准差与起点旁那个峰的差距，8 次中最高者；对照：前向 KL，最低者",
    },
    "trained moments_gap <= 0.00001 < reverse_moments_gap <= 2.1": {
        "en": "gap of the fit's mean and deviation to those of p, forward KL, highest of 8; control: reverse KL, "
        "lowest",
        "zh": "以前向 KL 拟合所得均值、标准差与 p 的差距，8 次中最高者；对照：反向 KL，最低者",
    },
    "parity kl_gap <= 1e-10 < swapped_gap": {
        "en": "largest gap of KL between Gaussians and its gradients to the closed form, and of p to torch's mixture "
        "(f64); control: the arguments swapped",
        "zh": "高斯之间的 KL 及其梯度同闭式、p 同 torch 混合分布的最大差距（f64）；对照：交换两个参数",
    },
    "parity middle_gap <= 1e-10 < kl_middle_gap": {
        "en": "largest gap of Jensen-Shannon and its gradients, in both orders, to the entropy of the middle less the "
        "mean entropy (f64); control: KL",
        "zh": "JS 散度及其梯度（两种次序）同“中间分布的熵减去平均熵”的最大差距（f64）；对照：KL",
    },
}
ZH = {
    "divergence": "散度",
    "forward KL": "前向 KL",
    "reverse KL": "反向 KL",
    "Jensen-Shannon": "JS 散度",
    "one Gaussian fitted to two peaks": "用一个高斯拟合两个峰",
    "p, two peaks": "p，两个峰",
    "reverse KL, left start": "反向 KL，从左侧开始",
    "reverse KL, right start": "反向 KL，从右侧开始",
    "density": "密度",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
