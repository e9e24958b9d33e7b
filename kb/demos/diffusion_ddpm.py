"""DDPM — learn to remove a little noise, then turn pure noise into data in 50 small steps.

The data are two interleaved half-moons in the plane. Diffusion mixes a point with Gaussian noise until hardly anything
of it is left; a small network learns to tell the noise from the mixture, at every level. Sampling starts from noise and
takes back one step after the other. The samples come closer to the data in distribution than two Gaussians fitted to
the moons do (the table shows that eight do about as well: the plane is easy); the figure shows a few between the moons.

Needs:  torch, scikit-learn
Source: J. Ho, A. Jain, P. Abbeel, Denoising Diffusion Probabilistic Models, NeurIPS 2020; the cosine
        schedule: A. Nichol, P. Dhariwal, Improved Denoising Diffusion Probabilistic Models, ICML 2021
"""

import math
from copy import deepcopy
from itertools import pairwise

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS, HIDDEN, BATCH, SAMPLES, RATE = 50, 96, 256, 2000, 1.2e-2

# %% the concept


def schedule(like: Tensor) -> tuple[Tensor, Tensor]:
    """Noise beta that each step adds, and the share of the data's variance left after it: (LEVELS,) twice."""
    angle = (torch.linspace(0, 1, LEVELS + 1, dtype=torch.float64) + 0.008) / 1.008 * math.pi / 2
    left = angle.cos() ** 2  # the cosine schedule
    beta = (1 - left[1:] / left[:-1]).clamp(max=0.999)
    return beta.to(like), (1 - beta).cumprod(0).to(like)


def noised(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:  # (B, 2), (B,), (B, 2) -> (B, 2)
    left = schedule(x)[1][t, None]
    return left.sqrt() * x + (1 - left).sqrt() * noise  # q(x_t | x_0): any level at once


def ddpm_loss(denoiser: nn.Module, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    return ((denoiser(noised(x, t, noise), t) - noise) ** 2).mean()  # |eps(x_t, t) - eps|^2


def sample(denoiser: nn.Module, noises: Tensor) -> list[Tensor]:  # (LEVELS, n, 2) -> LEVELS + 1 of (n, 2)
    x = noises[0]
    beta, left = schedule(x)
    path = [x]
    for t in reversed(range(LEVELS)):
        eps = denoiser(x, torch.full((len(x),), t, device=x.device))
        x = (x - beta[t] / (1 - left[t]).sqrt() * eps) / (1 - beta[t]).sqrt()  # mean of p(x_{t-1} | x_t)
        if t > 0:
            x = x + beta[t].sqrt() * noises[LEVELS - t]
        path.append(x)
    return path


# %% the experiment


class Denoiser(nn.Module):
    """Predicts the noise in x_t; the level enters as sines and cosines."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequency", 2 ** torch.arange(8) * math.pi / 2)
        self.net = nn.Sequential(
            *(nn.Linear(2 + 16, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU()),
            *(nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 2)),
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:  # (B, 2), (B,) -> (B, 2)
        angle = t[:, None] / LEVELS * self.frequency
        return self.net(torch.cat([x, angle.sin(), angle.cos()], 1))


def moons(n: int, generator: torch.Generator) -> Tensor:
    """Two half circles, the second upside down, with a little noise; centred, about unit variance: (n, 2)."""
    angle = math.pi * torch.rand(n, generator=generator)
    sign = torch.randint(0, 2, (n,), generator=generator) * 2.0 - 1  # which moon
    x = torch.stack([sign * (angle.cos() - 0.5), sign * (angle.sin() - 0.25)], 1)
    return torch.tensor([1.15, 2.0]) * (x + 0.05 * torch.randn(n, 2, generator=generator))


def composed() -> tuple[Tensor, Tensor]:
    """Scale and variance that steps x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) noise come to, each beta by the cosine
    of the double angle: (LEVELS,) twice."""
    scale, variance, found = 1.0, 0.0, []
    left = [1 + math.cos(math.pi * (t / LEVELS + 0.008) / 1.008) for t in range(LEVELS + 1)]  # 2 cos^2
    for before, after in pairwise(left):
        b = min(1 - after / before, 0.999)
        scale, variance = scale * (1 - b) ** 0.5, (1 - b) * variance + b
        found.append((scale, variance))
    return torch.tensor(found, dtype=torch.float64).unbind(1)


def forward_gap(summed: bool = False) -> float:
    """Gap of `noised` from composed steps in scale and deviation; `summed` adds the steps' variances up instead."""
    t, one = torch.arange(LEVELS), torch.ones(LEVELS, 1, dtype=torch.float64)
    scale, variance = composed()
    if summed:
        variance = schedule(one)[0].cumsum(0)
    theirs = torch.stack([scale, variance.sqrt()])
    mine = torch.cat([noised(one, t, 0 * one), noised(0 * one, t, one)], 1).T
    return (mine - theirs).abs().max().item()


def reverse_gap(denoiser: Denoiser, x: Tensor, t: Tensor, noises: Tensor, late: bool = False) -> float:
    """Largest gap of the loss, its gradients and the way of the samples from Bayes' rule on composed steps (f64): the
    mean of q(x_{t-1} | x_t, x_0), x_0 as the network guesses it. `late` takes x_{t-1} to be as noisy as x_t."""
    denoiser, t = deepcopy(denoiser).cpu().double(), t.cpu()
    x, noises = x.cpu().double(), noises.cpu().double()
    scale, variance = composed()
    weights, guess = [*denoiser.parameters()], denoiser(scale[t, None] * x + variance[t, None].sqrt() * noises[0], t)
    losses = ddpm_loss(denoiser, x, t, noises[0]), F.mse_loss(guess, noises[0])
    pairs = [
        losses,
        *zip(*(torch.autograd.grad(loss, weights, materialize_grads=True) for loss in losses), strict=True),
    ]
    state = noises[0]
    for level, own in zip(reversed(range(LEVELS)), sample(denoiser, noises)[1:], strict=True):
        start = (state - variance[level].sqrt() * denoiser(state, torch.full_like(t, level))) / scale[level]
        before = level if late else level - 1
        shrink, known = (scale[before], variance[before]) if before >= 0 else (scale.new_ones(()), scale.new_zeros(()))
        step = scale[level] / shrink  # x_t = step x_{t-1} + fresh noise
        fresh = variance[level] - step**2 * known
        state = (known * step * state + fresh * shrink * start) / variance[level]
        beta = schedule(x)[0][level]
        state = state + (beta.sqrt() * noises[LEVELS - level] if level else 0)
        size = state.detach().abs().max().clamp(min=1)
        pairs.append((own / size, state / size))
    return max((a - b).detach().abs().max().item() for a, b in pairs)


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|: zero on average when the two samples have one distribution."""
    within = sum(torch.cdist(s, s).sum() / (len(s) * (len(s) - 1)) for s in (a, b))
    return float(2 * torch.cdist(a, b).mean() - within)


def run(device="cpu", seed=0, steps=1500):
    torch.manual_seed(3 * seed)  # weights, training and test: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    denoiser = Denoiser().to(device)
    optimizer = torch.optim.Adam(denoiser.parameters())

    def batch():
        drawn = moons(BATCH, data), torch.randint(0, LEVELS, (BATCH,), generator=data)
        return [part.to(device) for part in (*drawn, torch.randn(BATCH, 2, generator=data))]

    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        loss = ddpm_loss(denoiser, *batch())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"denoiser": loss.item(), "guess no noise": 1.0}

    fresh = moons(SAMPLES, unseen)
    noises = torch.randn(LEVELS, SAMPLES, 2, generator=unseen).to(device)
    with torch.no_grad():
        path = [x.cpu() for x in sample(denoiser, noises)]
    known = moons(SAMPLES, data)
    points = {"noise": path[0], "data": known, "DDPM": path[-1]}
    for n in (1, 2, 8):
        mixture = GaussianMixture(n, random_state=seed).fit(known.cpu().double().numpy())
        points[f"Gaussians: {n}"] = torch.from_numpy(mixture.sample(SAMPLES)[0]).float()
    distances = {name: energy_distance(x, fresh) for name, x in points.items()}
    (x, t, _), others = batch(), torch.randn(LEVELS, BATCH, 2, generator=data)
    shown = {f"level {LEVELS - i}": path[i] for i in (0, 25, 40, LEVELS)} | {"data": known}
    return {
        "ddpm_distance": distances["DDPM"],
        "gaussians_distance": distances["Gaussians: 2"],
        "closed_form_gap": forward_gap(),
        "summed_noise_gap": forward_gap(summed=True),
        "reverse_gap": reverse_gap(denoiser, x, t, others),
        "late_gap": reverse_gap(denoiser, x, t, others, late=True),
    }, {
        "from noise (level 50) to data (level 0)": {
            "kind": "scatter",
            "series": {
                name: tuple((x[:300] + torch.tensor([5.0 * i, 0.0])).T.tolist())
                for i, (name, x) in enumerate(shown.items())
            },
            "equal": True,
            "x": "x, each level moved 5 to the right",
            "y": "y",
        },
        COMMON: {
            "kind": "scatter",
            "series": {name: tuple(x[:300].T.tolist()) for name, x in {"data": fresh, "DDPM": path[-1]}.items()},
            "equal": True,
            "x": "x",
            "y": "y",
        },
        "energy distance from fresh data": {
            "kind": "table",
            "columns": ["points", "distance"],
            "rows": [[name, distance] for name, distance in distances.items()],
        },
    }


# %% what is claimed

TITLE = {"en": "DDPM turns noise into two moons", "zh": "DDPM：把噪声变成双月形数据"}
CURVES = "squared error of the noise"
COMMON = "samples beside the two moons"
SCALE = ("HIDDEN", "BATCH")
CPU_SECONDS = 4
CLAIMS = {
    "trained ddpm_distance <= 0.009 < gaussians_distance <= 0.025": {
        "en": "energy distance of samples from fresh data; the control is two Gaussians fitted to the data",
        "zh": "样本与新数据的能量距离；对照为对数据拟合的两个高斯",
    },
    "parity closed_form_gap <= 1e-10 < summed_noise_gap": {
        "en": "closed form of q(x_t | x_0) against composed single steps (f64); the control sums up the noise",
        "zh": "q(x_t | x_0) 的闭式与逐步复合的差距（f64）；对照直接累加噪声方差",
    },
    "parity reverse_gap <= 1e-10 < late_gap": {
        "en": "loss, gradients and every step of the samples against Bayes' rule (f64); the control is a level late",
        "zh": "损失、梯度与采样的每一步同贝叶斯公式的最大差距（f64）；对照晚了一级",
    },
}
ZH = {
    "squared error of the noise": "噪声的平方误差",
    "denoiser": "去噪网络",
    "guess no noise": "猜没有噪声",
    "from noise (level 50) to data (level 0)": "从噪声（第 50 级）到数据（第 0 级）",
    "level 50": "第 50 级",
    "level 25": "第 25 级",
    "level 10": "第 10 级",
    "level 0": "第 0 级",
    "data": "数据",
    "x, each level moved 5 to the right": "x，每一级依次右移 5",
    "samples beside the two moons": "样本与双月形数据",
    "energy distance from fresh data": "与新数据的能量距离",
    "points": "点",
    "distance": "距离",
    "noise": "噪声",
    "Gaussians: 1": "1 个高斯",
    "Gaussians: 2": "2 个高斯",
    "Gaussians: 8": "8 个高斯",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
