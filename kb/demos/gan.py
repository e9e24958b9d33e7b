"""GAN — a generator learns to sample a distribution from nothing but a discriminator's verdict.

The data are eight narrow Gaussians on a ring. The generator maps noise to points, the discriminator tells points from
data, and each is trained against the other with the non-saturating loss. The GAN covers all eight modes, and its points
lie on them more often than those of a Gaussian or of a ring at the data's radius. The balance matters: a second pair,
whose discriminator learns at a hundredth of the rate, shows mode collapse: its generator squeezes its points into one
heap or streak, often beside the modes, and moves it about, as the right side of the figure shows.

Needs:  torch
Source: I. Goodfellow et al., Generative Adversarial Nets, NeurIPS 2014 (Theorem 1); the ring: L. Metz et al.,
        Unrolled Generative Adversarial Networks, ICLR 2017; two rates: M. Heusel et al., GANs Trained by a
        Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, NeurIPS 2017
"""

import math
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MODES, RADIUS, SPREAD = 8, 2.0, 0.1
NOISE, HIDDEN, BATCH = 2, 64, 128
RATE, SLOWER = 4e-3, 100

# %% the concept


def as_real(logit: Tensor) -> Tensor:  # -log D, with D = sigmoid(logit)
    return F.softplus(-logit)


def as_fake(logit: Tensor) -> Tensor:  # -log(1 - D)
    return F.softplus(logit)


class GAN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.generator, self.discriminator = mlp(NOISE, 2), mlp(2, 1)

    def discriminator_loss(self, x: Tensor, fake: Tensor) -> Tensor:  # (B, 2) twice -> ()
        fake = fake.detach()  # the generator does not help its judge
        return as_real(self.discriminator(x)).mean() + as_fake(self.discriminator(fake)).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:  # (B, 2) -> (); fake = generator(z)
        return as_real(self.discriminator(fake)).mean()  # non-saturating: strong when D rejects


def mlp(d_in: int, d_out: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(d_in, HIDDEN), nn.LeakyReLU(0.2)),
        *(nn.Linear(HIDDEN, HIDDEN), nn.LeakyReLU(0.2), nn.Linear(HIDDEN, d_out)),
    )


# %% the experiment


def ring() -> Tensor:
    """Centres of the modes: (8, 2)."""
    angle = torch.arange(MODES) * 2 * math.pi / MODES
    return RADIUS * torch.stack([angle.cos(), angle.sin()], 1)


def real(n: int, generator: torch.Generator) -> Tensor:  # -> (n, 2)
    centres = ring()[torch.randint(0, MODES, (n,), generator=generator)]
    return centres + SPREAD * torch.randn(n, 2, generator=generator)


def quality(points: Tensor) -> tuple[float, float]:
    """Modes that hold at least 1 % of the points, and the share of points on any mode."""
    distance, mode = torch.cdist(points, ring()).min(1)
    on_mode = distance < 3 * SPREAD
    counts = torch.bincount(mode[on_mode], minlength=MODES)
    return float((counts >= len(points) / 100).sum()), on_mode.float().mean().item()


def gap_to_torch(gan: GAN, x: Tensor, z: Tensor, saturating: bool = False) -> float:
    """Largest difference of both losses and their gradients from torch's cross-entropy (f64); the discriminator's loss
    has no gradient for the generator. `saturating` has the generator minimize log(1 - D) instead."""
    gan, x, z = deepcopy(gan).cpu().double(), x.cpu().double(), z.cpu().double()
    fake = gan.generator(z)
    one, zero = torch.ones_like(fake[:, :1]), torch.zeros_like(fake[:, :1])
    cost = F.binary_cross_entropy_with_logits
    known, passed, caught = gan.discriminator(x), gan.discriminator(fake), gan.discriminator(fake.detach())
    judge, forger = cost(known, one) + cost(caught, zero), -cost(passed, zero) if saturating else cost(passed, one)
    pairs = [(gan.discriminator_loss(x, fake), judge), (gan.generator_loss(fake), forger)]
    for mine, theirs in pairs[:]:
        both = (
            torch.autograd.grad(loss, [*gan.parameters()], retain_graph=True, materialize_grads=True)
            for loss in (mine, theirs)
        )
        pairs += zip(*both, strict=True)
    return max((a - b).detach().abs().max().item() for a, b in pairs)


def value_gap(generator: torch.Generator, blind: bool) -> float:
    """E_p log D + E_q log(1 - D) against 2 JSD(p, q) - log 4, for two random distributions of 20 outcomes."""
    p, q = torch.rand(2, 20, generator=generator, dtype=torch.float64).softmax(1)
    logit = torch.zeros_like(p) if blind else p.log() - q.log()  # the logit of D = p / (p + q)
    mixture = (p + q) / 2
    jsd = ((p * (p / mixture).log()).sum() + (q * (q / mixture).log()).sum()) / 2
    return abs(-(p * as_real(logit) + q * as_fake(logit)).sum().item() - (2 * jsd.item() - math.log(4)))


def run(device="cpu", seed=0, steps=1000):
    torch.manual_seed(3 * seed)  # weights, training and test: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    pairs = {"GAN": GAN().to(device), "slow discriminator": GAN().to(device)}
    optimizers = [
        (
            torch.optim.Adam(pair.discriminator.parameters(), RATE / slower, betas=(0.5, 0.99)),
            torch.optim.Adam(pair.generator.parameters(), RATE / 4, betas=(0.5, 0.99)),
        )
        for pair, slower in zip(pairs.values(), (1, SLOWER), strict=True)
    ]
    fresh, noise = real(2000, unseen), torch.randn(2000, NOISE, generator=unseen).to(device)
    times, path = [round(steps * share) for share in (0.8, 0.9, 1.0)], []
    for step in range(1, steps + 1):
        x, z = real(BATCH, data).to(device), torch.randn(BATCH, NOISE, generator=data).to(device)
        for pair, (judge, forger) in zip(pairs.values(), optimizers, strict=True):
            fake = pair.generator(z)
            judge.zero_grad()
            pair.discriminator_loss(x, fake).backward()
            judge.step()
            forger.zero_grad()
            pair.generator_loss(fake).backward()
            forger.step()
        if step % max(steps // 50, 1) == 0 or step in times:
            with torch.no_grad():
                samples = {name: pair.generator(noise).cpu() for name, pair in pairs.items()}
            path += [samples["slow discriminator"]] * times.count(step)
            yield step / steps, {name: quality(points)[0] for name, points in samples.items()}

    radius = fresh.norm(dim=1, keepdim=True)
    directions = torch.randn(2000, 2, generator=unseen)
    gaussian = directions @ torch.linalg.cholesky(fresh.T.cov()).T + fresh.mean(0)
    fitted = [quality(points)[1] for points in (gaussian, F.normalize(directions, dim=1) * radius)]
    (modes, on_mode), (collapsed, _) = (quality(points) for points in samples.values())
    x, z = (t.to(device) for t in (fresh[:BATCH], noise[:BATCH]))
    measured = {
        "modes": modes,
        "collapsed_modes": collapsed,
        "on_mode": on_mode,
        "fitted_on_mode": max(fitted),
        "data_on_mode": quality(fresh)[1],
        "loss_gap": gap_to_torch(pairs["GAN"], x, z),
        "saturating_gap": gap_to_torch(pairs["GAN"], x, z, saturating=True),
        "value_gap": value_gap(unseen.manual_seed(seed), blind=False),
        "blind_value_gap": value_gap(unseen.manual_seed(seed), blind=True),
    }
    right = torch.tensor([6.0, 0.0])
    shown = {"data": torch.cat([fresh[:300], fresh[300:600] + right]), "GAN": samples["GAN"][:300]}
    for name, heap in zip(("slow, at 80 %", "slow, at 90 %", "slow, at the end"), path, strict=True):
        shown[name] = heap[:300] + right
    return measured, {
        "left: data, GAN; right: data, slow discriminator": {
            "kind": "scatter",
            "series": {name: tuple(points.T.tolist()) for name, points in shown.items()},
            "equal": True,
            "x": "x; on the right x + 6",
            "y": "y",
        },
    }


# %% what is claimed

TITLE = {"en": "GAN covers eight modes, or collapses", "zh": "GAN：覆盖八个模式，或者模式坍塌"}
CURVES = "modes covered, of eight"
CPU_SECONDS = 5
CLAIMS = {
    "trained modes >= 8 > collapsed_modes": {
        "en": "modes of eight that get at least 1 % of the samples; the control has a slow discriminator",
        "zh": "八个模式中得到至少 1% 样本的个数；对照的判别器学得太慢",
    },
    "trained on_mode >= 0.54 > fitted_on_mode >= 0.3": {
        "en": "share of samples within three deviations of a mode; the control is fitted to the data, a Gaussian or a "
        "ring, whichever is better",
        "zh": "落在某个模式三倍标准差之内的样本比例；对照为对数据拟合的高斯分布或圆环，取较好者",
    },
    "parity loss_gap <= 1e-10 < saturating_gap": {
        "en": "largest gap of both losses and their gradients to torch's cross-entropy (f64); the control's generator "
        "minimizes log(1 - D)",
        "zh": "两个损失及其梯度与 torch 交叉熵的最大差距（f64）；对照的生成器最小化 log(1 - D)",
    },
    "parity value_gap <= 1e-10 < blind_value_gap": {
        "en": "game value at D = p / (p + q) against 2 JSD(p, q) - log 4; the control always answers 1/2",
        "zh": "判别器取 D = p / (p + q) 时的博弈值与 2 JSD(p, q) - log 4 的差距；对照恒答 1/2",
    },
}
ZH = {
    "modes covered, of eight": "八个模式中覆盖了几个",
    "slow discriminator": "慢判别器",
    "data": "数据",
    "slow, at 80 %": "慢判别器，80% 处",
    "slow, at 90 %": "慢判别器，90% 处",
    "slow, at the end": "慢判别器，训练结束",
    "left: data, GAN; right: data, slow discriminator": "左：数据与 GAN；右：数据与慢判别器",
    "x; on the right x + 6": "x；右侧为 x + 6",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
