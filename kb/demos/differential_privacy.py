"""Differential privacy — clipping and noise bound what one example can do to the weights; plain SGD bounds nothing.

The promise: with any one example more or less, every outcome of training is at most exp(epsilon) times as probable, but
for a small delta. DP-SGD clips the gradient of each example and adds Gaussian noise to the sum; the accountant says by
Renyi divergence what that is worth: epsilon is 12 at noise of 2 and delta of 0.001, a weak promise. Assumed: every
example joins a batch by its own coin, and the attacker sees all weights of all steps. One attack is tried, on the last
weights: of 600 training digits 100 are canaries with labels drawn at random, and the loss is to tell them from 400 such
others that were not used. It does so better where plain SGD trained (the control, at the rate of its best accuracy).
Clipping alone helps as much against it, a smaller rate nearly so, but both promise nothing; epsilon allows far better
attacks. That the learning rates were tuned on these data costs privacy as well and is not counted.

Needs:  torch, scikit-learn
Source: M. Abadi et al., Deep Learning with Differential Privacy, CCS 2016; I. Mironov et al., Renyi Differential
        Privacy of the Sampled Gaussian Mechanism, arXiv 2019; R. Shokri et al., Membership Inference Attacks against
        Machine Learning Models, IEEE S&P 2017; N. Carlini et al., The Secret Sharer, USENIX Security 2019 (canaries)
"""

import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.func import grad, vmap
from torch.nn import functional as F

HONEST, CANARIES, WIDTH, RATE, CLIP, DELTA = 500, 100, 128, 0.2, 1.0, 1e-3
NOISES, CHOSEN = (0.6, 1.0, 2.0, 4.0, 8.0), 2.0
Weights = list[Tensor]

# %% the concept


def each_gradient(w: Weights, x: Tensor, y: Tensor) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """Per layer the two factors whose outer product is an example's gradient, and the norm of it all: (n,)."""
    hidden = (x @ w[0] + w[1]).relu()
    wrong = (hidden @ w[2] + w[3]).softmax(-1) - F.one_hot(y, 10)  # dL/dlogits
    back = (wrong @ w[2].mT) * (hidden > 0)
    squares = (x.square().sum(1) + 1) * back.square().sum(1) + (hidden.square().sum(1) + 1) * wrong.square().sum(1)
    return [(x, back), (hidden, wrong)], squares.sqrt()  # |a b^T|^2 = |a|^2 |b|^2, and |b|^2 of the bias


def clipped_sum(w: Weights, x: Tensor, y: Tensor, clip: float) -> Weights:
    """Sum over the batch of g_i min(1, C / |g_i|): no example moves it by more than C."""
    factors, norms = each_gradient(w, x, y)
    share = (clip / norms).clamp(max=1)[:, None]
    return [part for a, b in factors for part in (a.mT @ (share * b), (share * b).sum(0))]


def private(total: Weights, sigma: float, clip: float, generator: torch.Generator) -> Weights:
    """The sum and Gaussian noise of deviation sigma C."""
    return [g + sigma * clip * torch.randn(g.shape, generator=generator, dtype=g.dtype).to(g.device) for g in total]


def renyi(q: float, sigma: float, order: int) -> float:
    """Renyi divergence of one step: log sum_k C(a, k) (1 - q)^(a - k) q^k exp(k (k - 1) / (2 sigma^2)) / (a - 1)."""
    if q == 1:
        return order / (2 * sigma**2)
    terms = [
        math.log(math.comb(order, k)) + (order - k) * math.log1p(-q) + k * math.log(q) + k * (k - 1) / (2 * sigma**2)
        for k in range(order + 1)
    ]
    return torch.tensor(terms, dtype=torch.float64).logsumexp(0).item() / (order - 1)


def epsilon(q: float, sigma: float, steps: int, delta: float) -> float:
    """The best over orders of T D_a + log(1 / delta) / (a - 1)."""
    return min(steps * renyi(q, sigma, a) + math.log(1 / delta) / (a - 1) for a in range(2, 65))


# %% its control


def plain_sum(w: Weights, x: Tensor, y: Tensor) -> Weights:
    return clipped_sum(w, x, y, math.inf)


# %% the experiment


def fit(x: Tensor, y: Tensor, sigma: float | None, rate: float, steps: int, seed: int) -> Weights:
    init, coins, noise = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    w = [torch.randn(64, WIDTH, generator=init) / 8, torch.zeros(WIDTH)]
    w = [t.to(x.device) for t in (*w, torch.randn(WIDTH, 10, generator=init) / WIDTH**0.5, torch.zeros(10))]
    for step in range(steps):
        batch = (torch.rand(len(y), generator=coins) < RATE).nonzero()[:, 0].to(x.device)
        if sigma is None:
            total = plain_sum(w, x[batch], y[batch])
        else:
            total = private(clipped_sum(w, x[batch], y[batch], CLIP), sigma, CLIP, noise)
        w = [p - rate * (1 - step / steps) * g / (RATE * len(y)) for p, g in zip(w, total, strict=True)]
    return w


def answer(w: Weights, x: Tensor) -> Tensor:
    return (x @ w[0] + w[1]).relu() @ w[2] + w[3]


def attack(w: Weights, x: Tensor, y: Tensor) -> float:
    """How often a canary that was trained on, the first ones, has a lower loss than one that was not: AUC."""
    loss = F.cross_entropy(answer(w, x), y, reduction="none")
    return (loss[:CANARIES, None] < loss[CANARIES:]).float().mean().item()


def vmap_gap(w: Weights, x: Tensor, y: Tensor, at_once: bool = False) -> float:
    """Largest gap of the clipped sum to torch.func's gradient of each example, clipped; f64."""
    w, x = [t.cpu().double() for t in w], x.double()
    names = tuple(range(4))

    def loss(*given: Tensor) -> Tensor:
        return F.cross_entropy(answer(list(given[:4]), given[4][None]), given[5][None])

    each = vmap(grad(loss, argnums=names), in_dims=(None,) * 4 + (0, 0))(*w, x, y)
    norms = torch.stack([g.flatten(1).square().sum(1) for g in each]).sum(0).sqrt()
    share = (CLIP / norms).clamp(max=1)
    if at_once:
        share = torch.ones_like(share) * (CLIP / torch.cat([g.sum(0).flatten() for g in each]).norm()).clamp(max=1)
    theirs = [torch.einsum("n,n...->...", share, g) for g in each]
    return max((a - b).abs().max().item() for a, b in zip(clipped_sum(w, x, y, CLIP), theirs, strict=True))


def moved(w: Weights, x: Tensor, y: Tensor, clip: float) -> float:
    """How far the sum moves at most, in units of C, when one example is left out; f64."""
    w, x = [t.cpu().double() for t in w], x.double()
    flat = [torch.cat([g.flatten() for g in clipped_sum(w, x, y, clip)])]
    for i in range(len(y)):
        rest = torch.arange(len(y)) != i
        flat.append(torch.cat([g.flatten() for g in clipped_sum(w, x[rest], y[rest], clip)]))
    return (torch.stack(flat[1:]) - flat[0]).norm(dim=1).max().item() / CLIP


def noise_gap(total: Weights, sigma: float, generator: torch.Generator, batch: int = 1) -> float:
    """How far the deviation of the noise is from sigma C / batch, as a share of sigma C."""
    noisy = private(total, sigma, 2 * CLIP, generator)
    noise = torch.cat([(a - b).flatten() for a, b in zip(noisy, total, strict=True)])
    return abs(noise.std().item() / (2 * CLIP * sigma) - 1 / batch)


def integral(q: float, sigma: float, order: int) -> float:
    """The divergence of (1 - q) N(0, s^2) + q N(1, s^2) from N(0, s^2), by summing its density on a fine grid."""
    z = torch.linspace(-60, 100, 400_001, dtype=torch.float64)
    ratio = torch.logaddexp(torch.tensor(math.log1p(-q)).double(), math.log(q) + (2 * z - 1) / (2 * sigma**2))
    density = order * ratio - z.square() / (2 * sigma**2) - math.log(sigma * math.sqrt(2 * math.pi))
    return (density.logsumexp(0).item() + math.log(160 / 400_000)) / (order - 1)


def run(device="cpu", seed=0, steps=500):
    split, noise = (torch.Generator().manual_seed(4 * seed + k) for k in (0, 10**6))
    digits, used = load_digits(), HONEST + CANARIES
    mixed = torch.randperm(len(digits.target), generator=split)
    all_x, all_y = torch.tensor(digits.data / 16).float()[mixed], torch.tensor(digits.target)[mixed]
    aside = torch.cat([torch.arange(HONEST, used), torch.arange(len(all_y) - 4 * CANARIES, len(all_y))])
    all_y = all_y.index_copy(0, aside, torch.randint(10, (len(aside),), generator=split))
    x, y, marked, marks = (t.to(device) for t in (all_x[:used], all_y[:used], all_x[aside], all_y[aside]))
    x_test, y_test = (t[used : -4 * CANARIES].to(device) for t in (all_x, all_y))

    found, nets = {}, {}
    for k, sigma in enumerate((None, *NOISES)):
        nets[sigma] = fit(x, y, sigma, 0.3 if sigma is None else min(1.0, 4 / sigma), steps, seed)  # rates that suit
        right = (answer(nets[sigma], x_test).argmax(-1) == y_test).float().mean().item()
        found[sigma] = right, attack(nets[sigma], marked, marks)
        yield (k + 1) / (1 + len(NOISES)), {"accuracy": found[sigma][0], "attack": found[sigma][1]}

    spent = [epsilon(RATE, sigma, steps, DELTA) for sigma in NOISES]
    few, labels, net = all_x[HONEST - 20 : HONEST + 20], all_y[HONEST - 20 : HONEST + 20], nets[CHOSEN]
    total = [t.cpu() for t in clipped_sum(net, x[:40], y[:40], CLIP)]
    s, t = 20.0, 100
    closed = t / (2 * s**2) + math.sqrt(2 * t * math.log(1 / DELTA)) / s
    return {
        "private_attack": found[CHOSEN][1],
        "plain_attack": found[None][1],
        "private_accuracy": found[CHOSEN][0],
        "noisy_accuracy": found[NOISES[-1]][0],
        "vmap_gap": vmap_gap(net, few, labels),
        "at_once_gap": vmap_gap(net, few, labels, True),
        "moved": moved(net, few, labels, CLIP),
        "moved_unclipped": moved(net, few, labels, math.inf),
        "noise_gap": noise_gap(total, CHOSEN, noise),
        "averaged_gap": noise_gap(total, CHOSEN, noise, 2),
        "integral_gap": max(abs(renyi(RATE, CHOSEN, a) - integral(RATE, CHOSEN, a)) for a in (2, 5, 16)),
        "whole_gap": abs(renyi(1, CHOSEN, 5) - integral(RATE, CHOSEN, 5)),
        "closed_gap": abs(epsilon(1, s, t, DELTA) / closed - 1),
        "sampled_gap": abs(epsilon(RATE, s, t, DELTA) / closed - 1),
        "epsilon": epsilon(RATE, CHOSEN, steps, DELTA),
    }, {
        "DP-SGD: what the noise buys and costs": {
            "kind": "lines",
            "series": {
                "accuracy": (spent, [found[sigma][0] for sigma in NOISES]),
                "attack": (spent, [found[sigma][1] for sigma in NOISES]),
                "attack on plain SGD": (spent, [found[None][1]] * len(spent)),
            },
            "x": "epsilon",
            "y": "share",
            "log": "x",
        },
    }


# %% what is claimed

TITLE = {"en": "DP-SGD bounds the single example", "zh": "DP-SGD 限制单个样本的影响"}
CURVES = "accuracy, and success of the attack"
CPU_SECONDS = 2
CLAIMS = {
    "trained private_attack <= 0.62 < plain_attack <= 0.8": {
        "en": "how often a canary that was trained on has a lower loss than one that was not, DP-SGD with noise of 2; "
        "the control is SGD without clipping and noise, at 0.3 of the rate",
        "zh": "训练过的金丝雀损失低于未训练过的比例，DP-SGD 噪声倍数为 2；对照为不裁剪不加噪的 SGD，学习率为 0.3 倍",
    },
    "trained private_accuracy >= 0.88 > noisy_accuracy >= 0.7": {
        "en": "accuracy on 797 other digits of DP-SGD with noise of 2; the control has noise of 8, at half the rate",
        "zh": "噪声倍数为 2 的 DP-SGD 在另外 797 个数字上的准确率；对照的噪声倍数为 8，学习率减半",
    },
    "parity vmap_gap <= 1e-10 < at_once_gap": {
        "en": "largest gap of the clipped sum, after training, to torch.func's vmap of grad, clipped (f64); the "
        "control clips the sum and not the examples",
        "zh": "训练结束时裁剪后的梯度之和与 torch.func 的 vmap(grad) 逐样本裁剪的最大差距（f64）；对照裁剪的是总和",
    },
    "parity moved <= 1.000001 < moved_unclipped": {
        "en": "how far one example moves the sum at most, in units of C, over 40 that are left out in turn; the "
        "control is not clipped",
        "zh": "依次去掉 40 个样本之一时，梯度之和最多移动多少个 C；对照不裁剪",
    },
    "parity noise_gap <= 0.05 < averaged_gap": {
        "en": "deviation of the noise from sigma C, as a share; the control is noise halved by a mean of two",
        "zh": "噪声标准差与 sigma C 的相对偏差；对照为对两个样本取平均而减半的噪声",
    },
    "parity integral_gap <= 1e-6 < whole_gap": {
        "en": "largest gap of the Renyi divergence of a sampled step to the integral, orders 2, 5, 16; the control "
        "omits the sampling",
        "zh": "抽样一步的 Rényi 散度与数值积分的最大差距（2、5、16 阶）；对照忽略抽样",
    },
    "parity closed_gap <= 0.01 < sampled_gap": {
        "en": "relative gap of epsilon of 100 whole batches to T/(2s^2) + sqrt(2 T log(1/delta))/s; the control "
        "samples a fifth",
        "zh": "100 个整批的 epsilon 与 T/(2s^2) + sqrt(2 T log(1/delta))/s 的相对差距；对照只抽五分之一",
    },
    "constant epsilon <= 12.4": {
        "en": "epsilon of 500 steps at noise of 2, each example in a batch with chance 1/5, delta = 0.001",
        "zh": "噪声倍数为 2、每个样本以 1/5 概率入批、500 步、delta = 0.001 时的 epsilon",
    },
}
ZH = {
    "accuracy, and success of the attack": "准确率与攻击成功率",
    "accuracy": "准确率",
    "attack": "攻击",
    "attack on plain SGD": "对普通 SGD 的攻击",
    "DP-SGD: what the noise buys and costs": "DP-SGD：噪声换来什么，代价是什么",
    "share": "比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
