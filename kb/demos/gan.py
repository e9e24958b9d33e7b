"""GAN — a generator learns to sample a distribution from nothing but a discriminator's verdict.

The data are eight narrow Gaussians on a ring. The generator maps noise to points, the discriminator tells
points from data, and each is trained against the other with the non-saturating loss. The balance matters: a
second pair, whose discriminator learns 40 times slower, shows mode collapse: its generator puts its points in
one or two places and moves them around the ring.

Claim:  the GAN covers the eight modes, the one with the slow discriminator collapses; its points lie on the
        modes far more often than those of a Gaussian fitted to the data; at the optimal discriminator D = p /
        (p + q) the value of the game is 2 JSD(p, q) - log 4.
Source: I. Goodfellow et al., Generative Adversarial Nets, NeurIPS 2014 (Theorem 1); the ring: L. Metz et al.,
        Unrolled Generative Adversarial Networks, ICLR 2017; two rates: M. Heusel et al., GANs Trained by a
        Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, NeurIPS 2017
Run:    python kb/demos/gan.py --device cpu --seed 0 --steps 1000
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "GAN covers eight modes, or collapses", "zh": "GAN：覆盖八个模式，或者模式坍塌"}
CPU_SECONDS = 5
CLAIMS = {
    "trained modes >= 5 > collapsed_modes": {
        "en": "modes of eight that get at least 1 % of the samples; the control has a slow discriminator",
        "zh": "八个模式中得到至少 1% 样本的个数；对照的判别器学得太慢",
    },
    "trained on_mode >= 0.34 > gaussian_on_mode": {
        "en": "share of samples within three deviations of a mode; the control is a Gaussian fit to the data",
        "zh": "落在某个模式三倍标准差之内的样本比例；对照为对数据拟合的高斯分布",
    },
    "parity value_gap <= 1e-10 < blind_value_gap": {
        "en": "game value at D = p / (p + q) against 2 JSD(p, q) - log 4; the control always answers 1/2",
        "zh": "判别器取 D = p / (p + q) 时的博弈值与 2 JSD(p, q) - log 4 的差距；对照恒答 1/2",
    },
}

MODES, RADIUS, SPREAD = 8, 2.0, 0.1
NOISE, HIDDEN, BATCH = 2, 64, 128


def ring() -> Tensor:
    """Centres of the modes: (8, 2)."""
    angle = torch.arange(MODES) * 2 * math.pi / MODES
    return RADIUS * torch.stack([angle.cos(), angle.sin()], 1)


def real(n: int, generator: torch.Generator) -> Tensor:  # -> (n, 2)
    centres = ring()[torch.randint(0, MODES, (n,), generator=generator)]
    return centres + SPREAD * torch.randn(n, 2, generator=generator)


def mlp(d_in: int, d_out: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(d_in, HIDDEN), nn.LeakyReLU(0.2)),
        *(nn.Linear(HIDDEN, HIDDEN), nn.LeakyReLU(0.2), nn.Linear(HIDDEN, d_out)),
    )


class GAN:
    def __init__(self, discriminator_rate: float, device: str) -> None:
        self.generator, self.discriminator = mlp(NOISE, 2).to(device), mlp(2, 1).to(device)
        self.optimizers = [
            torch.optim.Adam(net.parameters(), lr=rate, betas=(0.5, 0.99))
            for net, rate in ((self.generator, 1e-3), (self.discriminator, discriminator_rate))
        ]

    def update(self, x: Tensor, z: Tensor) -> tuple[float, float]:
        """One step of each player on data (B, 2) and noise (B, NOISE); their losses."""
        for_generator, for_discriminator = self.optimizers
        fake = self.generator(z)
        guess = F.softplus(-self.discriminator(x)) + F.softplus(self.discriminator(fake.detach()))
        for_discriminator.zero_grad()
        guess.mean().backward()  # minus log D(x) and minus log(1 - D(G(z)))
        for_discriminator.step()
        fooled = F.softplus(-self.discriminator(fake))  # minus log D(G(z)): strong when D rejects
        for_generator.zero_grad()
        fooled.mean().backward()
        for_generator.step()
        return fooled.mean().item(), guess.mean().item()


def quality(points: Tensor) -> tuple[float, float]:
    """Modes that hold at least 1 % of the points, and the share of points on any mode."""
    distance, mode = torch.cdist(points, ring()).min(1)
    on_mode = distance < 3 * SPREAD
    counts = torch.bincount(mode[on_mode], minlength=MODES)
    return float((counts >= len(points) / 100).sum()), on_mode.float().mean().item()


def value_gap(generator: torch.Generator, blind: bool) -> float:
    """E_p log D + E_q log(1 - D) against its maximum, for two random distributions of 20 outcomes."""
    p, q = torch.rand(2, 20, generator=generator, dtype=torch.float64).softmax(1)
    d, mixture = (torch.full_like(p, 0.5) if blind else p / (p + q)), (p + q) / 2
    jsd = ((p * (p / mixture).log()).sum() + (q * (q / mixture).log()).sum()) / 2
    return float(((p * d.log()).sum() + (q * (1 - d).log()).sum() - (2 * jsd - math.log(4))).abs())


def run(device="cpu", seed=0, steps=1000):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    gan, slow = GAN(4e-3, device), GAN(1e-4, device)
    for step in range(steps):
        x, z = real(BATCH, data).to(device), torch.randn(BATCH, NOISE, generator=data).to(device)
        generator_loss, discriminator_loss = gan.update(x, z)
        slow.update(x, z)
        if step % 20 == 19 or step == steps - 1:
            yield (step + 1) / steps, {"generator": generator_loss, "discriminator": discriminator_loss}

    fresh, z = real(2000, data), torch.randn(2000, NOISE, generator=data)
    with torch.no_grad():
        samples = {"GAN": gan.generator(z.to(device)).cpu(), "slow": slow.generator(z.to(device)).cpu()}
    gaussian = torch.randn(2000, 2, generator=data) @ torch.linalg.cholesky(fresh.T.cov()).T + fresh.mean(0)
    (modes, on_mode), (collapsed, _) = quality(samples["GAN"]), quality(samples["slow"])
    measured = {
        "modes": modes,
        "collapsed_modes": collapsed,
        "on_mode": on_mode,
        "gaussian_on_mode": quality(gaussian)[1],
        "data_on_mode": quality(fresh)[1],
        "spread": samples["GAN"].std(0).norm().item(),
        "collapsed_spread": samples["slow"].std(0).norm().item(),
        "value_gap": value_gap(torch.Generator().manual_seed(seed), blind=False),
        "blind_value_gap": value_gap(torch.Generator().manual_seed(seed), blind=True),
    }
    return measured, {
        "samples": {
            "kind": "scatter",
            "zh": "样本",
            "series": {
                name: (points[:400, 0].tolist(), points[:400, 1].tolist())
                for name, points in {
                    "data": fresh,
                    "GAN": samples["GAN"],
                    "collapsed": samples["slow"],
                }.items()
            },
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
