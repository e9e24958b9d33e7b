"""Embedding plots — t-SNE keeps neighbours in two dimensions; sizes, and even clusters, may be its own invention.

600 images of 8x8 digits become points on a page, without their labels (the colours are added afterwards). t-SNE turns
distances into odds of being neighbours, in the data with a Gaussian about each point whose width gives it about 30
neighbours (the perplexity), on the page with a curve of long tails, and moves the points to bring the odds closer. What
is measured: how many of an image's ten nearest are among its ten nearest on the page. Control: the best of PCA, a
random projection, spectral embedding and Isomap. Then two warnings, on synthetic data: a cloud eight times as wide as
another is drawn about as wide; and at perplexity 3 pure noise breaks into small islands (points are joined within three
times the median distance to the nearest), where PCA and perplexity 30 show one that holds more than half.

Needs:  torch, scikit-learn
Source: L. van der Maaten, G. Hinton, Visualizing Data using t-SNE, JMLR 9, 2008; M. Wattenberg et al., How to Use t-SNE
        Effectively, Distill, 2016
"""

import math

import torch
from sklearn.datasets import load_digits
from sklearn.manifold import Isomap, SpectralEmbedding
from torch import Tensor

IMAGES, NOISE, DIMENSIONS, PERPLEXITY, LOW, WIDER, NEAR, EARLY = 600, 300, 20, 30, 3, 8, 10, 12

# %% the concept


def squared(x: Tensor) -> Tensor:  # (n, d) -> (n, n)
    s = x.square().sum(1)  # |a - b|^2 = |a|^2 + |b|^2 - 2 ab
    return (s[:, None] + s - 2 * x @ x.mT).clamp(min=0)


def affinities(x: Tensor, perplexity: float) -> Tensor:
    """Probabilities of being neighbours in the data: (n, d) -> (n, n), which sum to one; f64."""
    d = squared(x.double()).fill_diagonal_(math.inf)
    d = d - d.amin(1, keepdim=True)
    low, high = (torch.full_like(d[:, :1], end) for end in (-30.0, 30.0))
    for _ in range(100):  # halve the interval in which log 1 / 2 sigma_i^2 lies
        middle = (low + high) / 2
        p = (-d * middle.exp()).softmax(1)  # p_j|i ~ exp(-|x_i - x_j|^2 / 2 sigma_i^2)
        entropy = torch.special.entr(p).sum(1, keepdim=True)
        wide = entropy > math.log(perplexity)  # exp H(p_i) = perplexity
        low, high = torch.where(wide, middle, low), torch.where(wide, high, middle)
    return (p + p.mT) / (2 * len(x))


def tails(y: Tensor) -> Tensor:
    return (1 + squared(y)).reciprocal() * (1 - torch.eye(len(y), dtype=y.dtype).to(y.device))  # of Student's t


def gradient(p: Tensor, y: Tensor) -> Tensor:
    """Of KL(P | Q), with q_ij = w_ij / sum w and w_ij = 1 / (1 + |y_i - y_j|^2): (n, n), (n, 2) -> (n, 2)."""
    w = tails(y)
    pull = (p - w / w.sum()) * w  # sum_j 4 (p_ij - q_ij) w_ij (y_i - y_j)
    return 4 * (pull.sum(1, keepdim=True) * y - pull @ y)


def moved(p: Tensor, y: Tensor, speed: Tensor, gain: Tensor, early: bool) -> tuple[Tensor, Tensor, Tensor]:
    """A step with momentum and a gain for each coordinate; early on, what belongs together is pulled harder."""
    g = gradient(EARLY * p if early else p, y)
    gain = torch.where(g * speed < 0, gain + 0.2, 0.8 * gain).clamp(min=0.01)
    speed = (0.5 if early else 0.8) * speed - max(len(y) / EARLY / 4, 50) * gain * g
    return y + speed - (y + speed).mean(0), speed, gain


# %% its control


def pca(x: Tensor) -> Tensor:  # (n, d) -> (n, 2)
    x = x - x.mean(0)  # onto the two directions of most variance
    return x @ torch.linalg.svd(x, full_matrices=False).Vh[:2].mT


# %% the experiment


def nearest(x: Tensor) -> Tensor:
    return squared(x.double()).fill_diagonal_(math.inf).topk(NEAR, largest=False).indices


def kept(x: Tensor, y: Tensor) -> float:  # share of the nearest in x that are among the nearest in y
    return (nearest(x)[:, :, None] == nearest(y)[:, None]).any(2).double().mean().item()


def joined(y: Tensor) -> Tensor:
    """Which points are closer than three times the median distance to the nearest: (n, 2) -> (n, n)."""
    d = squared(y.double()).fill_diagonal_(math.inf).sqrt()
    return d < 3 * d.amin(1).median()


def largest(y: Tensor) -> float:  # share of the points in the largest island of joined points
    reached = joined(y).double() + torch.eye(len(y))
    for _ in range(9):  # over up to 512 steps
        reached = (reached @ reached).clamp(max=1)
    return reached.sum(1).max().item() / len(y)


def wider(y: Tensor) -> float:  # of the second half of the points, over the first
    return (y[len(y) // 2 :].std(0).norm() / y[: len(y) // 2].std(0).norm()).item()


def affinity_gap(x: Tensor, perplexity: float) -> float:
    """Largest gap of the affinities at perplexity 5 to those of widths found point by point with plain numbers."""
    n, x, odds = len(x), x.double(), torch.zeros(len(x), len(x), dtype=torch.float64)
    for i in range(n):
        d, low, high = [(x[i] - x[j]).square().sum().item() for j in range(n)], 1e-6, 1e6
        for _ in range(200):
            beta = math.sqrt(low * high)
            e = [math.exp(-beta * d[j]) if j != i else 0.0 for j in range(n)]
            p = [v / max(sum(e), 1e-300) for v in e]
            wide = -sum(v * math.log(v) for v in p if v > 0) > math.log(perplexity)
            low, high = (beta, high) if wide else (low, beta)
        odds[i] = torch.tensor(p, dtype=torch.float64)
    return (affinities(x, 5) - (odds + odds.mT) / (2 * n)).abs().max().item()


def gradient_gap(p: Tensor, y: Tensor, tail: float = 1.0) -> float:
    """Largest gap to the derivative by autograd of KL(P | Q), where w = 1 / (1 + d^2)^tail; f64."""
    y, off = y.double().requires_grad_(), ~torch.eye(len(y), dtype=torch.bool)
    w = (1 + (y[:, None] - y).square().sum(2))[off] ** -tail
    (theirs,) = torch.autograd.grad((p[off] * (p[off] / w * w.sum()).log()).sum(), y)
    return (gradient(p, y.detach()) - theirs).abs().max().item()


def run(device="cpu", seed=0, steps=300):
    data, starts, clouds = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    digits = load_digits()
    rows = torch.randperm(len(digits.data), generator=data)[:IMAGES]
    x, labels = torch.tensor(digits.data)[rows].float() / 16, torch.tensor(digits.target)[rows]
    noise, two = (torch.randn(NOISE, DIMENSIONS, generator=clouds) for _ in range(2))
    two[NOISE // 2 :] = WIDER * two[NOISE // 2 :] + 40 / DIMENSIONS**0.5  # centres 40 apart
    asked = {"digits": (x, PERPLEXITY), "noise": (noise, LOW), "smooth": (noise, PERPLEXITY), "two": (two, PERPLEXITY)}
    p = {name: affinities(*one).float().to(device) for name, one in asked.items()}
    states = {}
    for name, (points, _) in asked.items():
        y = (1e-4 * torch.randn(len(points), 2, generator=starts)).to(device)
        states[name] = (y, torch.zeros_like(y), torch.ones_like(y))
    for step in range(steps):
        for name, state in states.items():
            states[name] = moved(p[name], *state, early=step < steps // 3)
        if step % 15 == 14 or step == steps - 1:
            w = tails(states["digits"][0])
            loss = (torch.special.entr(p["digits"]).neg() - torch.xlogy(p["digits"], w / w.sum())).sum().item()
            yield (step + 1) / steps, {"t-SNE": loss}

    y, flat = {name: state[0].cpu() for name, state in states.items()}, pca(noise)
    rivals = {
        "PCA": pca(x),
        "random projection": x @ torch.randn(64, 2, generator=starts),
        "Isomap": torch.tensor(Isomap(n_neighbors=5).fit_transform(x.numpy())),
        "spectral": torch.tensor(SpectralEmbedding(n_neighbors=10, random_state=seed).fit_transform(x.numpy())),
    }
    some = affinities(x[:60], 10), y["digits"][:60] / 10
    return {
        "tsne_kept": kept(x, y["digits"]),
        "rival_kept": max(kept(x, rival) for rival in rivals.values()),
        "drawn_width": wider(y["two"]),
        "pca_width": wider(pca(two)),
        "noise_island": largest(y["noise"]),
        "whole_island": min(largest(flat), largest(y["smooth"])),
        "gradient_gap": gradient_gap(*some),
        "tail_gap": gradient_gap(*some, tail=0.5),
        "affinity_gap": affinity_gap(x[:25], 5),
        "perplexity_gap": affinity_gap(x[:25], 6),
    }, {
        "600 digits by t-SNE; labels only colour them": {
            "kind": "scatter",
            "series": {str(c): (*y["digits"][labels == c].mT.tolist(),) for c in range(10)},
            "x": "first coordinate",
            "y": "second coordinate",
        },
    }


# %% what is claimed

TITLE = {"en": "What t-SNE plots keep, and what they invent", "zh": "t-SNE 图保留什么，又臆造什么"}
CURVES = "KL divergence of the odds"
CPU_SECONDS = 2
CLAIMS = {
    "trained tsne_kept >= 0.6 > rival_kept >= 0.28": {
        "en": "share of a digit's ten nearest that are among its ten nearest on the page, t-SNE; control: the best of "
        "PCA, a random projection, spectral embedding and Isomap",
        "zh": "每幅数字图像的十个最近邻中，在 t-SNE 图上仍属十个最近邻的比例；"
        "对照：PCA、随机投影、谱嵌入、Isomap 中最好者",
    },
    "trained drawn_width <= 1.4 < pca_width <= 12": {
        "en": "width of a cloud over that of one an eighth as wide, as t-SNE draws them; control: as PCA draws them",
        "zh": "t-SNE 图上两团点的宽度之比，实际为 8；对照：PCA 图上的比",
    },
    "trained noise_island <= 0.2 < whole_island": {
        "en": "share of the points of pure noise in the largest island, t-SNE at perplexity 3; control: the smaller of "
        "PCA and perplexity 30",
        "zh": "纯噪声的点落在最大一片相连点中的比例，困惑度为 3 的 t-SNE；对照：PCA 与困惑度 30，取较小者",
    },
    "parity gradient_gap <= 1e-10 < tail_gap": {
        "en": "largest gap of the gradient to autograd's of the KL divergence (f64); the control's tails are wider",
        "zh": "梯度与自动求导所得 KL 散度梯度的最大差距（f64）；对照的分布尾部更重",
    },
    "parity affinity_gap <= 1e-10 < perplexity_gap": {
        "en": "largest gap of the odds in the data to those found point by point (f64); control: perplexity 6, not 5",
        "zh": "数据中的近邻概率与逐点求得者的最大差距（f64）；对照的困惑度为 6 而非 5",
    },
}
ZH = {
    "KL divergence of the odds": "近邻概率的 KL 散度",
    "600 digits by t-SNE; labels only colour them": "t-SNE 画出的 600 个数字；标签只用来着色",
    "first coordinate": "第一坐标",
    "second coordinate": "第二坐标",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
