"""Denoising autoencoder — it learns to undo noise, and its corrections point up the density, where data are likelier.

Points in the plane come from five Gaussians on a ring (synthetic, so the density is known) and get Gaussian noise of
variance s^2. A network that gives the clean point back ends near the mean of all clean points that could have been
there. By Tweedie's formula what it adds is s^2 times the score, the gradient of the noisy density's logarithm: moves
towards the ring's five places. Controls: the network trained as long on the same points without noise, which copies its
input; the same with a single number in the middle; and, from 4,000 other points, the best linear denoiser and the mean
of five k-means centres, each weighted by how likely noise leads from it to the noisy point. In the plane that mean
taken over all 4,000 points comes closer than the network, which needs no such store and knows no formula.

Needs:  torch, scikit-learn
Source: P. Vincent et al., Extracting and Composing Robust Features with Denoising Autoencoders, ICML 2008;
        P. Vincent, A Connection Between Score Matching and Denoising Autoencoders, Neural Computation 23(7), 2011;
        G. Alain, Y. Bengio, What Regularized Auto-Encoders Learn from the Data-Generating Distribution, JMLR 15, 2014
"""

import copy
import math
from itertools import pairwise

import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

PLACES, RING, WIDTH, NOISE, HIDDEN, BATCH, RATE, POINTS = 5, 2.0, 0.2, 0.5, 64, 256, 1e-2, 4000

# %% the concept


def autoencoder(middle: int = HIDDEN) -> nn.Sequential:  # (n, 2) -> (n, 2)
    sizes = [2, HIDDEN, middle, HIDDEN, 2]
    layers = [part for size in pairwise(sizes) for part in (nn.Linear(*size), nn.SiLU())]
    return nn.Sequential(*layers[:-1])


def corrupt(x: Tensor, noise: Tensor) -> Tensor:
    return x + NOISE * noise


def reconstruction(net: nn.Module, noisy: Tensor, x: Tensor) -> Tensor:  # (n, 2) twice -> (n,)
    return (net(noisy) - x).square().sum(1)  # |D(x + s e) - x|^2: least for the mean of x, given x + s e


def score(net: nn.Module, noisy: Tensor) -> Tensor:
    return (net(noisy) - noisy) / NOISE**2  # Tweedie: E[x | y] = y + s^2 grad log p(y)


# %% its control


def linear(noisy: Tensor, x: Tensor) -> nn.Module:
    """The best map with a matrix and a shift."""
    weights = torch.linalg.lstsq(torch.cat([noisy, torch.ones(len(noisy), 1)], 1), x).solution
    fitted = nn.Linear(2, 2)
    fitted.weight.data, fitted.bias.data = weights[:2].T.contiguous(), weights[2]
    return fitted


class Centres(nn.Module):
    """The mean of k-means centres of clean points, weighted by how likely noise leads from them to y."""

    def __init__(self, x: Tensor, seed: int) -> None:
        super().__init__()
        self.centres = torch.tensor(KMeans(PLACES, n_init=4, random_state=seed).fit(x.numpy()).cluster_centers_)

    def forward(self, y: Tensor) -> Tensor:
        return (-torch.cdist(y, self.centres).square() / (2 * NOISE**2)).softmax(1) @ self.centres


# %% the experiment


def places() -> Tensor:  # (PLACES, 2)
    angle = 2 * math.pi * torch.arange(PLACES, dtype=torch.float64) / PLACES
    return RING * torch.stack([angle.cos(), angle.sin()], 1)


def draw(n: int, generator: torch.Generator) -> Tensor:
    """Points of the five Gaussians: (n, 2)."""
    chosen = torch.randint(PLACES, (n,), generator=generator)
    return places().float()[chosen] + WIDTH * torch.randn(n, 2, generator=generator)


def true_score(y: Tensor) -> Tensor:
    """Of the noisy points' density, five Gaussians of variance w^2 + s^2: (n, 2) -> (n, 2); f64."""
    apart = places() - y.double()[:, None]
    share = (-apart.square().sum(2) / (2 * (WIDTH**2 + NOISE**2))).softmax(1)
    return (share[..., None] * apart).sum(1) / (WIDTH**2 + NOISE**2)


def score_gap(y: Tensor) -> float:
    """Largest gap of `true_score` from autograd through torch.distributions; f64."""
    y = y.double().requires_grad_()
    spread = math.hypot(WIDTH, NOISE) * torch.ones(PLACES, 2, dtype=torch.float64)
    part = torch.distributions.Independent(torch.distributions.Normal(places(), spread), 1)
    each = torch.distributions.Categorical(torch.ones(PLACES, dtype=torch.float64))
    (slope,) = torch.autograd.grad(torch.distributions.MixtureSameFamily(each, part).log_prob(y).sum(), y)
    return (slope - true_score(y.detach())).abs().max().item()


def loss_gap(net: nn.Module, x: Tensor, y: Tensor, power: int = 2) -> float:
    """Largest gap of the loss and its gradients, over all noise that leads from points x to y, from s^4 times the
    score's squared error plus the points' spread around Tweedie's mean; f64. s^power stands for s^2 in that mean."""
    net, x, y = copy.deepcopy(net).cpu().double(), x.double(), y.double().requires_grad_()
    noise = (y.detach()[:, None] - x) / NOISE  # (m, n, 2)
    density = -((y[:, None] - x).square().sum(2)) / (2 * NOISE**2)  # log p(y | x), up to a constant
    (slope,) = torch.autograd.grad(density.logsumexp(1).sum(), y)
    share, y, mean = density.softmax(1).detach(), y.detach(), y.detach() + NOISE**power * slope
    pairs = x.expand(len(y), -1, -1).flatten(0, 1), noise.flatten(0, 1)
    each = reconstruction(net, corrupt(*pairs), pairs[0]).view(len(y), -1)
    spread = (share * (x - mean[:, None]).square().sum(2)).sum()
    matched = NOISE**4 * (score(net, y) - slope).square().sum() + spread
    found = [
        [loss.detach(), *torch.autograd.grad(loss, [*net.parameters()])] for loss in ((share * each).sum(), matched)
    ]
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=800):
    torch.manual_seed(4 * seed)
    data, errors, unseen = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    nets = {"denoising": autoencoder(), "plain": autoencoder(), "narrow": autoencoder(1)}
    optimizers = {name: torch.optim.Adam(net.to(device).parameters(), RATE) for name, net in nets.items()}
    for step in range(steps):
        x = draw(BATCH, data)
        noisy = corrupt(x, torch.randn(BATCH, 2, generator=errors))
        points = {}
        for name, net in nets.items():
            seen = noisy if name == "denoising" else x
            loss = reconstruction(net, seen.to(device), x.to(device)).mean()
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            points[name] = loss.item()
        yield (step + 1) / steps, points

    kept, fresh = draw(POINTS, data), draw(POINTS, unseen)
    fits = {
        "linear": linear(corrupt(kept, torch.randn(POINTS, 2, generator=errors)), kept),
        "centres": Centres(kept, seed),
    }
    y = corrupt(fresh, torch.randn(POINTS, 2, generator=unseen))
    slope = true_score(y)
    wrong, left = {}, {}
    with torch.no_grad():
        for name, net in (nets | fits).items():
            net.cpu()
            wrong[name] = ((score(net, y) - slope).square().sum() / slope.square().sum()).item()
            left[name] = reconstruction(net, y, fresh).mean().item()
        grid = 0.65 * torch.cartesian_prod(*[torch.arange(-5, 6)] * 2).float()
        learned = grid + NOISE**2 * score(nets["denoising"], grid)
    true, right = grid + NOISE**2 * true_score(grid).float(), torch.tensor([8.0, 0.0])
    ends = torch.cat([learned, true + right])
    arrows = torch.stack([torch.cat([grid, grid + right]), ends], 1)
    return {
        "score_error": wrong.pop("denoising"),
        "rival_score_error": min(wrong.values()),
        "denoised_error": left["denoising"],
        "plain_error": left["plain"],
        "loss_gap": max(loss_gap(nets["denoising"], kept[:40], y[:20]), score_gap(y[:50])),
        "power_gap": loss_gap(nets["denoising"], kept[:40], y[:20], power=1),
    }, {
        "from each point to where it is denoised: left the network, right Tweedie's formula": {
            "kind": "scatter",
            "series": {
                "clean points": tuple(torch.cat([fresh[:150], fresh[:150] + right]).T.tolist()),
                "denoised": tuple(ends.T.tolist()),
            },
            "edges": arrows.tolist(),
            "equal": True,
            "x": "x; on the right x + 8",
            "y": "y",
        }
    }


# %% what is claimed

TITLE = {"en": "Denoising learns the score", "zh": "去噪学到分数函数"}
CURVES = "squared error"
CPU_SECONDS = 3
CLAIMS = {
    "trained score_error <= 0.008 < rival_score_error <= 0.04": {
        "en": "squared error of the score read from the corrections at fresh noisy points, relative; control: the best "
        "of a network trained without noise, one through a single number, a linear denoiser, weighted centres",
        "zh": "在新的带噪点上，由修正量读出的分数函数的相对平方误差；对照：不加噪声训练的网络、中间只有一个数的网络、"
        "线性去噪、五个加权聚类中心四者中的最好者",
    },
    "trained denoised_error <= 0.19 < plain_error <= 0.53": {
        "en": "squared distance of denoised points from the clean ones; control: the network trained without noise, "
        "which copies its input and so leaves the noise, 2 s^2 = 0.5",
        "zh": "去噪后的点与干净点的平方距离；对照：不加噪声训练的网络，它复制输入，噪声 2 s^2 = 0.5 原样留下",
    },
    "parity loss_gap <= 1e-10 < power_gap": {
        "en": "gap of the loss over all noise that leads to a point, and of its gradients, to s^4 times the score's "
        "squared error plus the spread around Tweedie's mean, and of the true score to autograd (f64); control: that "
        "mean with s for s^2",
        "zh": "对到达同一点的全部噪声求得的损失及其梯度同 s^4 倍的分数函数平方误差加点绕 Tweedie 均值的散布之间、"
        "真实分数函数同自动微分之间的最大差距（f64）；对照在该均值中以 s 代替 s^2",
    },
}
ZH = {
    "squared error": "平方误差",
    "denoising": "去噪自编码器",
    "plain": "普通自编码器",
    "narrow": "窄自编码器",
    "from each point to where it is denoised: left the network, right Tweedie's formula": "各点到其去噪结果的连线："
    "左为网络，右为 Tweedie 公式",
    "clean points": "干净点",
    "denoised": "去噪后",
    "x; on the right x + 8": "x；右侧为 x + 8",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
