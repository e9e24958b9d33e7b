"""DDPM — learn to remove a little noise, then turn pure noise into data in 50 small steps.

The data are two interleaved half-moons in the plane. Diffusion mixes a point with Gaussian noise until
nothing of it is left; a small network learns to tell the noise from the mixture, at every level. Sampling
starts from noise and takes back one step after the other. Samples come close to the data in distribution;
some still lie between the moons.

Claim:  the samples are nearer to fresh data, in energy distance, than those of a Gaussian fitted to the data;
        the closed form of q(x_t | x_0) is what composing the single steps gives.
Source: J. Ho, A. Jain, P. Abbeel, Denoising Diffusion Probabilistic Models, NeurIPS 2020; the cosine
        schedule: A. Nichol, P. Dhariwal, Improved Denoising Diffusion Probabilistic Models, ICML 2021
Run:    python kb/demos/diffusion_ddpm.py --device cpu --seed 0 --steps 1500
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "DDPM turns noise into two moons", "zh": "DDPM：把噪声变成双月形数据"}
CPU_SECONDS = 4
CLAIMS = {
    "trained ddpm_distance <= 0.0135 < gaussian_distance": {
        "en": "energy distance of samples from fresh data; the control is a Gaussian fitted to the data",
        "zh": "样本与新数据的能量距离；对照为对数据拟合的高斯分布",
    },
    "parity closed_form_gap <= 1e-10 < summed_noise_gap": {
        "en": "closed form of q(x_t | x_0) against composed single steps; the control sums up the noise",
        "zh": "q(x_t | x_0) 均值与方差的闭式与逐步复合的差距；对照直接累加噪声方差",
    },
}

LEVELS, HIDDEN, BATCH, SAMPLES = 50, 96, 256, 2000


def schedule() -> tuple[Tensor, Tensor]:
    """Noise added by each step, and the share of the data's variance left after it: (LEVELS,) twice."""
    angle = (torch.linspace(0, 1, LEVELS + 1, dtype=torch.float64) + 0.008) / 1.008 * math.pi / 2
    left = angle.cos() ** 2
    beta = (1 - left[1:] / left[:-1]).clamp(max=0.999)
    return beta, (1 - beta).cumprod(0)


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


def sample(denoiser: Denoiser, generator: torch.Generator, device: str) -> dict[int, Tensor]:
    """Points at a few levels on the way from noise (LEVELS) to data (0), each (SAMPLES, 2)."""
    x = torch.randn(SAMPLES, 2, generator=generator).to(device)
    beta, left = (values.float().to(device) for values in schedule())
    path = {LEVELS: x}
    for t in reversed(range(LEVELS)):
        noise = denoiser(x, torch.full((SAMPLES,), t, device=device))
        x = (x - beta[t] / (1 - left[t]).sqrt() * noise) / (1 - beta[t]).sqrt()  # mean of p(x_{t-1} | x_t)
        if t > 0:
            x = x + beta[t].sqrt() * torch.randn(SAMPLES, 2, generator=generator).to(device)
        path[t] = x
    return path


def closed_form_gaps() -> dict[str, float]:
    """Gap of scale sqrt(left) and variance 1 - left from those of the composed steps."""
    beta, left = schedule()
    scale, variance, gaps = 1.0, 0.0, {"closed_form_gap": 0.0, "summed_noise_gap": 0.0}
    for t in range(LEVELS):
        scale, variance = scale * (1 - beta[t]) ** 0.5, (1 - beta[t]) * variance + beta[t]
        off = max(abs(scale - left[t] ** 0.5), abs(variance - (1 - left[t])))
        gaps["closed_form_gap"] = max(gaps["closed_form_gap"], float(off))
        gaps["summed_noise_gap"] = max(gaps["summed_noise_gap"], float(abs(variance - beta[: t + 1].sum())))
    return gaps


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|: zero when the two samples have one distribution."""
    within = sum(torch.cdist(s, s).sum() / (len(s) * (len(s) - 1)) for s in (a, b))
    return float(2 * torch.cdist(a, b).mean() - within)


def run(device="cpu", seed=0, steps=1500):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    denoiser = Denoiser().to(device)
    optimizer = torch.optim.Adam(denoiser.parameters())
    _, left = schedule()
    for step in range(steps):
        x = moons(BATCH, data)
        t = torch.randint(0, LEVELS, (BATCH,), generator=data)
        noise = torch.randn(BATCH, 2, generator=data)
        kept = left[t, None].float()
        noisy = kept.sqrt() * x + (1 - kept).sqrt() * noise  # any level at once, by the closed form
        optimizer.param_groups[0]["lr"] = 3e-3 * min(1, 2 - 2 * step / steps)
        loss = F.mse_loss(denoiser(noisy.to(device), t.to(device)), noise.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 25 == 24 or step == steps - 1:
            yield (step + 1) / steps, {"error of the noise": loss.item()}

    with torch.no_grad():
        path = {t: x.cpu() for t, x in sample(denoiser, data, device).items()}
    fresh, known = moons(SAMPLES, data), moons(SAMPLES, data)
    spread = torch.linalg.cholesky(known.T.cov())
    gaussian = torch.randn(SAMPLES, 2, generator=data) @ spread.T + known.mean(0)
    shown = {"noise": path[LEVELS], "samples": path[0]}
    measured = {
        "ddpm_distance": energy_distance(path[0], fresh),
        "gaussian_distance": energy_distance(gaussian, fresh),
        "data_distance": energy_distance(known, fresh),
        **closed_form_gaps(),
    }
    return measured, {
        "from noise to data": {
            "kind": "scatter",
            "zh": "从噪声到数据",
            "series": {name: tuple(points[:300].T.tolist()) for name, points in shown.items()},
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
