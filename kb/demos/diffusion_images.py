"""Image diffusion — guidance makes digits look more like their label, and DDIM draws them in ten steps.

A small network learns to tell the noise in pictures of digits (8 x 8 pixels) from the mixture, given their label; some
labels are withheld, so it learns the noise of a "3" and that of any digit. Guidance steps away from the second, w times
as far as the two differ. At w = 1 a judge, trained on digits that the network never saw, takes fewer samples for
another digit than without guidance, and than of real digits. The table shows the cost: with w, the energy distance from
fresh digits (0 for equal distributions) grows, and w = 4 spoils them; a Gaussian for each digit, which knows mean and
covariance, is closer by this distance than the samples. DDIM takes the noise out in 10 steps and adds none; what it
draws is distributed almost as what all 100 levels of DDPM draw. The control is DDPM on the same 10.

Needs:  torch, scikit-learn
Source: J. Ho, T. Salimans, Classifier-Free Diffusion Guidance, NeurIPS 2021 workshop (arXiv:2207.12598);
        J. Song, C. Meng, S. Ermon, Denoising Diffusion Implicit Models, ICLR 2021
"""

import math
from copy import deepcopy
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from sklearn.svm import SVC
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS, STEPS, SAMPLES, KNOWN, HIDDEN = 100, 10, 1000, 1200, 160
BATCH, RATE, WITHHELD, ANY = 128, 8e-3, 0.15, 10  # ANY stands for no label

# %% the concept


def left(t: Tensor) -> Tensor:
    """Share of the digit's variance in x_t, at level t, from 0 (nearly 1) to LEVELS (nearly 0): (B,) -> (B,)."""
    return ((t / LEVELS + 0.008) / 1.008 * math.pi / 2).cos().square().clamp(min=1e-4)  # the cosine schedule


def diffusion_loss(net: nn.Module, x: Tensor, label: Tensor, t: Tensor, noise: Tensor, withheld: Tensor) -> Tensor:
    a = left(t)[:, None].to(x)
    guess = net(a.sqrt() * x + (1 - a).sqrt() * noise, t, label.masked_fill(withheld, ANY))
    return ((guess - noise) ** 2 / a).mean()  # |eps(x_t, t, c) - eps|^2, as in the paper but for 1 / a


def guided(net: nn.Module, x: Tensor, t: Tensor, label: Tensor, w: float) -> Tensor:
    eps, eps_of_any = net(x, t, label), net(x, t, torch.full_like(label, ANY))
    return (1 + w) * eps - w * eps_of_any  # away from what any digit is like


def step(x: Tensor, eps: Tensor, a: Tensor, b: Tensor, eta: float, fresh: Tensor) -> Tensor:
    """From a share a of the data to a share b > a: DDIM with eta = 0, DDPM with eta = 1."""
    clean = (x - (1 - a).sqrt() * eps) / a.sqrt()  # the digit that eps implies
    sigma = eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
    return b.sqrt() * clean + (1 - b - sigma**2).clamp(min=0).sqrt() * eps + sigma * fresh


def sample(net: nn.Module, noises: Tensor, label: Tensor, w: float, eta: float = 0.0) -> Tensor:
    x = noises[0]  # (steps + 1, B, 64) -> (B, 64)
    levels = torch.linspace(LEVELS, 0, len(noises)).round().to(x)
    for (t, then), fresh in zip(pairwise(levels), noises[1:], strict=True):
        eps = guided(net, x, t.expand(len(x)), label, w)
        x = step(x, eps, left(t), left(then), eta, fresh)
    return x


# %% the experiment


class Denoiser(nn.Module):
    """Predicts the noise in x_t; level and label enter with the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequency", 2 ** torch.arange(6) * math.pi / 2)
        self.label, self.first = nn.Embedding(11, HIDDEN), nn.Linear(64 + 12, HIDDEN)
        self.layers = nn.ModuleList(nn.Linear(HIDDEN, HIDDEN) for _ in range(2))
        self.last = nn.Linear(HIDDEN, 64)

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:  # (B, 64), (B,), (B,) -> (B, 64)
        angle, a = t[:, None] / LEVELS * self.frequency, left(t)[:, None]
        h = F.silu(self.first(torch.cat([x, angle.sin(), angle.cos()], 1)) + self.label(label))
        for layer in self.layers:
            h = h + F.silu(layer(h))
        return (1 - a).sqrt() * x + a.sqrt() * self.last(h)


def loss_gap(net: Denoiser, x: Tensor, label: Tensor, t: Tensor, noise: Tensor, withheld: Tensor) -> float:
    """Largest gap of the loss and its gradients from one written out row by row (f64)."""
    net, x, noise = deepcopy(net).cpu().double(), x.cpu().double(), noise.cpu().double()
    label, t, withheld = label.cpu(), t.cpu().double(), withheld.cpu()
    rows = []
    for i in range(len(x)):
        a = max(0.5 + math.cos((t[i].item() / LEVELS + 0.008) / 1.008 * math.pi) / 2, 1e-4)  # cos^2 by the double angle
        noisy = torch.lerp(torch.zeros(64).double(), x[i], a**0.5) + (1 - a) ** 0.5 * noise[i]
        given = torch.tensor([ANY if withheld[i] else label[i]])
        rows.append(F.mse_loss(net(noisy[None], t[i : i + 1], given)[0], noise[i]) / a)
    found = []
    for loss in (diffusion_loss(net, x, label, t, noise, withheld), torch.stack(rows).mean()):
        found.append([loss.detach(), *torch.autograd.grad(loss, [*net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def sampler_gap(net: Denoiser, noises: Tensor, label: Tensor, w: float, etas: tuple[float, float]) -> float:
    """Largest gap of two ways of sampling (f64): the first from Euler steps of the ODE dz = eps dsigma, z = x / sqrt(a)
    and sigma^2 = (1 - a) / a, the second from Bayes' rule, the mean and variance of q(x_b | x_a, x_0)."""
    net, label, noises = deepcopy(net).cpu().double(), label.cpu(), noises.cpu().double()
    levels = torch.linspace(LEVELS, 0, len(noises)).round().double()
    x = y = noises[0]
    for i, (level, (a, b)) in enumerate(zip(levels, pairwise(left(levels)), strict=False)):
        t = level.expand(len(x))
        both = [[net(z, t, label), net(z, t, 0 * label + ANY)] for z in (x, y)]
        eps, drawn = (known + w * (known - unknown) for known, unknown in both)
        x = (x / a.sqrt() + ((1 / b - 1).sqrt() - (1 / a - 1).sqrt()) * eps) * b.sqrt()
        r, clean = a / b, (y - (1 - a).sqrt() * drawn) / a.sqrt()  # r: the step's own share
        mean = (b.sqrt() * (1 - r) * clean + r.sqrt() * (1 - b) * y) / (1 - a)
        y = mean + ((1 - b) * (1 - r) / (1 - a)).sqrt() * noises[i + 1]
    ways = zip(etas, (x, y), strict=True)
    return max((sample(net, noises, label, w, eta) - z).abs().max().item() for eta, z in ways)


def guidance_gap(generator: torch.Generator, w: float, off: float = 0.0) -> float:
    """With the exact noise of ten Gaussians, guidance follows the gradient of log p(x) + (1 + w) log p(c | x)."""
    centre = torch.randn(10, 64, generator=generator, dtype=torch.float64) / 5
    x = (torch.randn(20, 64, generator=generator, dtype=torch.float64) / 3 + centre.repeat(2, 1)).requires_grad_()
    t, label = torch.full((20,), LEVELS // 2), torch.arange(20) % 10
    a = left(t[:1].double())
    variance = a / 4 + 1 - a  # each Gaussian's own is 1/4 in every direction
    joint = -((x[:, None] - a.sqrt() * centre) ** 2).sum(2) / variance / 2  # log p(x, c), but for a constant
    total, of_class = joint.logsumexp(1), joint[torch.arange(20), label]

    def exact(z: Tensor, _: Tensor, c: Tensor) -> Tensor:
        weight = F.one_hot(c, 11)[:, :10].double()
        weight = torch.where(c[:, None] == ANY, joint.detach().softmax(1), weight)
        return (1 - a).sqrt() * (z - a.sqrt() * weight @ centre) / variance

    score = torch.autograd.grad((total + (1 + w + off) * (of_class - total)).sum(), x)[0]
    return (guided(exact, x, t, label, w) + (1 - a).sqrt() * score).abs().max().item()


def energy_distance(a: Tensor, b: Tensor, paired: bool = False) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|: zero on average when the two samples have one distribution. Where they are
    `paired`, rows in the same place share label and noise, and are not compared, no more than a row with itself."""
    within = sum(torch.cdist(s, s).sum() / (len(s) * (len(s) - 1)) for s in (a, b))
    across = torch.cdist(a, b)
    return float(2 * (across[~torch.eye(len(a), dtype=torch.bool)] if paired else across).mean() - within)


def run(device="cpu", seed=0, steps=500):
    torch.manual_seed(3 * seed)  # weights, training and test: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    images, labels = torch.tensor(digits.data).float()[order] / 8 - 1, torch.tensor(digits.target)[order]
    (known, fresh), (known_label, fresh_label) = images.tensor_split([KNOWN]), labels.tensor_split([KNOWN])
    judge = SVC(gamma=0.05).fit(fresh, fresh_label)
    net = Denoiser().to(device)
    optimizer = torch.optim.Adam(net.parameters())

    def batch():
        i, t = torch.randint(KNOWN, (BATCH,), generator=data), torch.randint(LEVELS, (BATCH,), generator=data) + 1
        noise, withheld = torch.randn(BATCH, 64, generator=data), torch.rand(BATCH, generator=data) < WITHHELD
        return [part.to(device) for part in (known[i], known_label[i], t, noise, withheld)]

    for done in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * done / steps)
        loss = diffusion_loss(net, *batch())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield done / steps, {"loss": loss.item()}

    noises, wanted = torch.randn(LEVELS + 1, SAMPLES, 64, generator=unseen), torch.arange(SAMPLES) % 10
    asked = {"DDIM": (STEPS, 0.0, 0.0), "DDPM": (STEPS, 0.0, 1.0), "DDPM, all levels": (LEVELS, 0.0, 1.0)}
    asked |= {f"DDIM, w = {w}": (STEPS, float(w), 0.0) for w in (1, 2, 4)}
    drawn = {"real digits": (fresh, fresh_label)}
    with torch.no_grad():
        for name, (many, w, eta) in asked.items():
            given = noises[: many + 1].to(device), wanted.to(device)
            drawn[name] = sample(net, *given, w, eta).cpu(), wanted

    gaussian = torch.empty(SAMPLES, 64)
    for digit in range(10):
        of_it = known[known_label == digit]
        root = torch.linalg.cholesky(of_it.T.cov() + 1e-3 * torch.eye(64))
        gaussian[wanted == digit] = noises[0, wanted == digit] @ root.T + of_it.mean(0)
    drawn["a Gaussian for each digit"] = gaussian, wanted
    drawn["known digits, and some noise"] = known + 0.1 * torch.randn(known.shape, generator=unseen), known_label
    wrong = {name: 1 - judge.score(x, label) for name, (x, label) in drawn.items()}
    distance = {name: energy_distance(x, fresh) for name, (x, _) in drawn.items()}
    real = "real digits"  # of the judge and of the distance, the known ones
    wrong[real], distance[real] = 1 - judge.score(known, known_label), energy_distance(known, fresh)
    nearest = {name: torch.cdist(x, known).amin(1) for name, (x, _) in drawn.items()}
    closest, slowly = nearest[real].median() / 2, drawn["DDPM, all levels"][0]
    copied = {name: (near < closest).float().mean().item() for name, near in nearest.items()}
    shown = ("DDIM", "DDIM, w = 1", "DDIM, w = 4")
    few, some = noises[: STEPS + 1, :10], wanted[:10]
    checks = [max(loss_gap(net, *(part[:20] for part in batch())), sampler_gap(net, few, some, 1.5, (0.0, 1.0)))]
    checks += [sampler_gap(net, few, some, 1.5, (1.0, 0.0))]
    return {
        "guided_wrong": wrong["DDIM, w = 1"],
        "plain_wrong": wrong["DDIM"],
        "ddim_distance": energy_distance(drawn["DDIM"][0], slowly, paired=True),
        "ddpm_distance": energy_distance(drawn["DDPM"][0], slowly, paired=True),
        "copied": max(copied[name] for name in asked),
        "known_copied": copied["known digits, and some noise"],
        "guidance_gap": guidance_gap(unseen.manual_seed(seed), 1.5),
        "weak_guidance_gap": guidance_gap(unseen.manual_seed(seed), 1.5, -1.0),
        "ddim_gap": checks[0],
        "exchanged_gap": checks[1],
    }, {
        "one noise, guidance w = 0, 1 and 4": {
            "kind": "images",
            "images": [x.clamp(-1, 1) for name in shown for x in drawn[name][0][:7].view(-1, 8, 8)],
            "titles": [f"w = {w}" if i == 0 else "" for w in (0, 1, 4) for i in range(7)],
            "columns": 7,
        },
        "samples": {
            "kind": "table",
            "columns": ["", "taken for another digit", "distance", "nearest known"],
            "rows": [[name, wrong[name], distance[name], nearest[name].mean().item()] for name in drawn],
        },
    }


# %% what is claimed

TITLE = {"en": "Digits from noise: guidance and DDIM", "zh": "从噪声生成数字：引导与 DDIM"}
CURVES = "weighted squared error of the noise"
CPU_SECONDS = 3
CLAIMS = {
    "trained guided_wrong <= 0.008 < plain_wrong <= 0.08": {
        "en": "samples with guidance w = 1 that the judge takes for another digit; the control has no guidance",
        "zh": "引导强度 w = 1 时被判为别的数字的样本比例；对照不用引导",
    },
    "trained ddim_distance <= 0.0085 < ddpm_distance <= 0.025": {
        "en": "energy distance of ten-step DDIM samples from DDPM's over all 100 levels; control: DDPM in ten steps",
        "zh": "十步 DDIM 样本与 DDPM 走完 100 级所得样本的能量距离；对照：十步 DDPM",
    },
    "trained copied <= 0.01 < known_copied": {
        "en": "samples nearer to a training digit than half the median distance of fresh digits, most of any sampler; "
        "the control is the training digits with a little noise",
        "zh": "离最近训练图片的距离不到新图片中位距离一半的样本比例，取各采样器中最大者；对照为略加噪声的训练图片",
    },
    "parity guidance_gap <= 1e-10 < weak_guidance_gap": {
        "en": "largest gap of guidance to the gradient of log p(x) + (1 + w) log p(c | x) for ten Gaussians (f64); the "
        "control takes w for 1 + w",
        "zh": "在十个高斯上，引导与 log p(x) + (1 + w) log p(c | x) 的梯度的最大差距（f64）；对照把 1 + w 当成 w",
    },
    "parity ddim_gap <= 1e-10 < exchanged_gap": {
        "en": "largest gap of the loss and its gradients, to a sum by rows, and of samples: DDIM's to Euler steps of "
        "an ODE, DDPM's to Bayes' rule (f64); the control exchanges the two samplers",
        "zh": "最大差距（f64）：损失及其梯度对逐行计算的结果，DDIM 的样本对 ODE 的欧拉步，DDPM 的样本对贝叶斯公式；"
        "对照互换两种采样器",
    },
}
ZH = {
    "weighted squared error of the noise": "噪声的加权平方误差",
    "loss": "损失",
    "one noise, guidance w = 0, 1 and 4": "同一份噪声，引导强度 w = 0、1、4",
    "samples": "样本",
    "taken for another digit": "被判为别的数字",
    "distance": "与新数字的距离",
    "nearest known": "离最近的训练图片",
    "real digits": "真实数字",
    "DDPM, all levels": "DDPM，全部级别",
    "DDIM, w = 1": "DDIM，引导 w = 1",
    "DDIM, w = 2": "DDIM，引导 w = 2",
    "DDIM, w = 4": "DDIM，引导 w = 4",
    "a Gaussian for each digit": "每个数字一个高斯",
    "known digits, and some noise": "略加噪声的训练图片",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
