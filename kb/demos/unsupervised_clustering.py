"""Clustering — groups found without labels: k-means cuts digits into clusters that roughly follow the ten digits.

k-means puts each point to its nearest centre and each centre to the mean of its points; EM (expectation-maximization)
does so with shares, under a mixture of Gaussians that may be long and slanted, where k-means cuts across. A
self-organizing map draws 36 centres along a grid, so that neighbours on it resemble each other. Controls: the centres
that k-means begins with, k-means where its round clusters do not fit, and as many centres of k-means, which have no
order. Agreement with the labels, which no method sees, is the adjusted Rand index: 0 by chance, 1 for the same groups.
How many groups there are is told to k-means and EM. About three in four images lie in a cluster of which their digit is
the commonest.

Needs:  torch, scikit-learn
Source: S. Lloyd, Least Squares Quantization in PCM, IEEE Trans. Information Theory 28, 1982; A. Dempster et al.,
        Maximum Likelihood from Incomplete Data via the EM Algorithm, JRSS B 39, 1977; T. Kohonen, Self-Organized
        Formation of Topologically Correct Feature Maps, Biol. Cybernetics 43, 1982
"""

import math
import warnings

import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from torch import Tensor
from torch.nn import functional as F

K, SHAPES, SIDE = 10, 3, 6

# %% the concept


def squared(a: Tensor, b: Tensor) -> Tensor:
    """|a_i - b_j|^2: (n, d), (m, d) -> (n, m)."""
    return (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.mT).clamp(min=0)


def seeded(x: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """k-means++: after the first, drawn with odds as the squared distance to the nearest centre before it."""
    rows = [int(torch.randint(len(x), (1,), generator=generator))]
    while len(rows) < k:
        far = squared(x, x[torch.tensor(rows).to(x.device)]).amin(1).cpu()
        rows.append(int(torch.multinomial(far, 1, generator=generator)))
    return x[torch.tensor(rows).to(x.device)]


def lloyd(x: Tensor, centres: Tensor) -> tuple[Tensor, float]:
    """One round of k-means: the new centres, and the squared distances before: (n, d), (k, d) -> (k, d), ()."""
    gaps = squared(x, centres)
    share = F.one_hot(gaps.argmin(1), len(centres)).to(x.dtype)  # each point to its nearest centre
    count = share.sum(0)[:, None]
    means = torch.where(count > 0, share.mT @ x / count.clamp(min=1), centres)  # each centre to the mean of its own
    return means, gaps.amin(1).sum().item()


def log_joint(x: Tensor, weight: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    """log w_k N(x; m_k, S_k): (n, d), (k,), (k, d), (k, d, d) -> (n, k)."""
    root = torch.linalg.cholesky(spread)
    z = torch.linalg.solve_triangular(root, (x - mean[:, None]).mT, upper=False)  # (k, d, n)
    scale = root.diagonal(dim1=1, dim2=2).log().sum(1) + x.shape[1] / 2 * math.log(2 * math.pi)
    return (weight.log()[:, None] - scale[:, None] - z.square().sum(1) / 2).mT


def em(x: Tensor, weight: Tensor, mean: Tensor, spread: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], float]:
    """One round: who is responsible for each point, then the weighted moments; and the mean log-likelihood before."""
    joint = log_joint(x, weight, mean, spread)
    share = joint.softmax(1)  # E: p(k | x)
    count = share.sum(0)
    mean = share.mT @ x / count[:, None]  # M: m_k = sum r x / sum r
    apart = x - mean[:, None]
    spread = (share.mT[..., None] * apart).mT @ apart / count[:, None, None]  # S_k = sum r (x - m)(x - m)^T / sum r
    spread = spread + 1e-6 * torch.eye(x.shape[1], dtype=x.dtype).to(x.device)
    return (count / len(x), mean, spread), joint.logsumexp(1).mean().item()


def som(x: Tensor, centres: Tensor, near: Tensor) -> Tensor:
    """One round of a self-organizing map: centres take a share of their grid neighbours' points: near is (k, k)."""
    nearest = F.one_hot(squared(x, centres).argmin(1), len(centres)).to(x.dtype)
    share = nearest @ near  # near_jk = exp(-d_jk^2 / 2 r^2), d on the grid
    count = share.sum(0)[:, None]
    return torch.where(count > 1e-9, share.mT @ x / count.clamp(min=1e-9), centres)


# %% its control


def best_kmeans(x: Tensor, k: int, rounds: int, tries: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Of several beginnings the centres with the lowest objective, and each point's cluster."""
    found = []
    for _ in range(tries):
        centres = seeded(x, k, generator)
        for _ in range(rounds):
            centres, _ = lloyd(x, centres)
        found.append((lloyd(x, centres)[1], centres))
    centres = min(found, key=lambda pair: pair[0])[1]
    return centres, squared(x, centres).argmin(1).cpu()


# %% the experiment


def gaussians(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Three long, slanted groups side by side: (3 n, 2), (3 n,)."""
    slant = torch.tensor([[1.6, 1.2], [0.15, -0.2]])
    centres = torch.tensor([[-1.2, 0.9], [0.0, 0.0], [1.2, -0.9]])
    label = torch.arange(SHAPES).repeat_interleave(n)
    return torch.randn(SHAPES * n, 2, generator=generator) @ slant + centres[label], label


def grid(radius: float) -> Tensor:
    at = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE)).float()
    return (-torch.cdist(at, at).square() / (2 * radius**2)).exp()


def apart(centres: Tensor) -> float:
    """Mean distance of grid neighbours over that of all pairs."""
    c = centres.cpu().unflatten(0, (SIDE, SIDE))
    steps = [(c[1:] - c[:-1]).norm(dim=-1).flatten(), (c[:, 1:] - c[:, :-1]).norm(dim=-1).flatten()]
    return (torch.cat(steps).mean() / torch.pdist(c.flatten(0, 1)).mean()).item()


def kmeans_gap(x: Tensor, centres: Tensor, rounds: int, theirs: int = 5) -> float:
    """Largest gap of the centres after `rounds` to KMeans after `theirs`, from the same beginning; f64."""
    twin = KMeans(len(centres), init=centres.numpy(), n_init=1, max_iter=theirs, tol=0).fit(x.numpy())
    for _ in range(rounds):
        centres, _ = lloyd(x, centres)
    return (centres - torch.from_numpy(twin.cluster_centers_)).abs().max().item()


def em_gap(x: Tensor, mean: Tensor, rounds: int, theirs: int = 5) -> float:
    """Largest gap of weights, means, covariances and likelihood to GaussianMixture from the same beginning; f64."""
    state = (torch.full((SHAPES,), 1 / SHAPES, dtype=x.dtype), mean, x.mT.cov().expand(SHAPES, -1, -1))
    precision = state[2].inverse().numpy()
    twin = GaussianMixture(
        SHAPES,
        tol=0,
        max_iter=theirs,
        weights_init=state[0].numpy(),
        means_init=mean.numpy(),
        precisions_init=precision,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        twin.fit(x.numpy())
    for _ in range(rounds):
        state, _ = em(x, *state)
    pairs = zip(state, (twin.weights_, twin.means_, twin.covariances_), strict=True)
    gaps = [(ours - torch.from_numpy(yours)).abs().max().item() for ours, yours in pairs]
    return max(*gaps, abs(em(x, *state)[1] - twin.score(x.numpy())))


def alike(a: Tensor, b: Tensor) -> float:
    return float(adjusted_rand_score(a.numpy(), b.numpy()))


def run(device="cpu", seed=0, steps=30):
    starts, shapes = (torch.Generator().manual_seed(3 * seed + k) for k in range(2))
    digits = load_digits()
    pixels, labels = torch.tensor(digits.data / 16), torch.tensor(digits.target)
    x, tries = pixels.float().to(device), 6
    found = [seeded(x, K, starts) for _ in range(tries)]
    begun, scores = [squared(x, c).argmin(1).cpu() for c in found], [0.0] * tries
    units = x[torch.randperm(len(x), generator=starts)[: SIDE**2].to(device)]
    points, kind = gaussians(200, shapes)
    flat = points.to(device)
    even, wide = torch.full((SHAPES,), 1 / SHAPES).to(device), points.mT.cov().expand(SHAPES, -1, -1).to(device)
    mixtures, likely = [(even, seeded(flat, SHAPES, shapes), wide) for _ in range(2 * tries)], [0.0] * 2 * tries
    for step in range(steps):
        for i in range(tries):
            found[i], scores[i] = lloyd(x, found[i])
        units = som(x, units, grid(3 * 0.15 ** (step / max(1, steps - 1))).to(device))
        for i in range(2 * tries):
            mixtures[i], likely[i] = em(flat, *em(flat, *mixtures[i])[0])
        yield (step + 1) / steps, {"k-means": min(scores) / len(x), "EM": -max(likely)}

    best = found[min(range(tries), key=lambda i: scores[i])]
    cluster = squared(x, best).argmin(1).cpu()
    mixture = mixtures[max(range(2 * tries), key=lambda i: likely[i])]
    by_shape = log_joint(flat, *mixture).argmax(1).cpu()
    by_distance = best_kmeans(flat, SHAPES, steps, tries, shapes)[1]
    placed = best_kmeans(x, SIDE**2, min(steps, 10), 1, starts)[0]
    few, first = pixels[:400], pixels[: SIDE**2]
    none = grid(1e-3).double()
    exact = points.double()
    mode = [int(labels[cluster == k].mode().values) if (cluster == k).any() else 0 for k in range(K)]
    return {
        "digits_found": alike(labels, cluster),
        "digits_at_first": max(alike(labels, c) for c in begun),
        "shapes_found": alike(kind, by_shape),
        "shapes_by_distance": alike(kind, by_distance),
        "neighbours_apart": apart(units),
        "unordered_apart": apart(placed),
        "kmeans_gap": kmeans_gap(few, few[:K], 5),
        "round_less_gap": kmeans_gap(few, few[:K], 4),
        "em_gap": em_gap(exact, exact[::200], 5),
        "em_round_less_gap": em_gap(exact, exact[::200], 4),
        "map_gap": (som(few, first, none) - lloyd(few, first)[0]).abs().max().item(),
        "wide_map_gap": (som(few, first, grid(1.0).double()) - lloyd(few, first)[0]).abs().max().item(),
    }, {
        "the ten centres of k-means, and the commonest digit of each": {
            "kind": "images",
            "images": [c.view(8, 8).tolist() for c in best.cpu()],
            "titles": [str(m) for m in mode],
            "columns": 5,
        },
        "what EM finds in three slanted groups": {
            "kind": "scatter",
            "series": {f"group {k + 1}": (*points[by_shape == k].mT.tolist(),) for k in range(SHAPES)},
            "x": "x",
            "y": "y",
        },
    }


# %% what is claimed

TITLE = {"en": "Clusters without labels", "zh": "没有标签的聚类"}
CURVES = "objective per point: squared distance, -log likelihood"
CPU_SECONDS = 1
CLAIMS = {
    "trained digits_found >= 0.55 > digits_at_first >= 0.25": {
        "en": "adjusted Rand index of k-means with the digits, the lowest objective of 6 beginnings; the control is "
        "the best of those beginnings (k-means++)",
        "zh": "k 均值（6 次初始化中目标最低者）与数字类别的调整兰德指数；对照为这些初始中心（k-means++）中最好的",
    },
    "trained shapes_found >= 0.93 > shapes_by_distance >= -0.02": {
        "en": "adjusted Rand index of a Gaussian mixture fitted by EM with three slanted groups; the control is "
        "k-means with three clusters",
        "zh": "EM 拟合的高斯混合与三个倾斜群体的调整兰德指数；对照为三个簇的 k 均值",
    },
    "trained neighbours_apart <= 0.68 < unordered_apart <= 1.1": {
        "en": "mean distance of grid neighbours over that of all pairs, self-organizing map; the control is 36 centres "
        "of k-means on the same grid",
        "zh": "自组织映射中网格邻居的平均距离与所有单元对之比；对照为放在同一网格上的 36 个 k 均值中心",
    },
    "parity kmeans_gap <= 1e-10 < round_less_gap": {
        "en": "largest gap of the centres to scikit-learn's KMeans after 5 rounds (f64); the control stops one earlier",
        "zh": "5 轮之后中心与 scikit-learn 的 KMeans 的最大差距（f64）；对照少一轮",
    },
    "parity em_gap <= 1e-8 < em_round_less_gap": {
        "en": "largest gap of weights, means, covariances and likelihood to scikit-learn's GaussianMixture after 5 "
        "rounds (f64); the control stops one earlier",
        "zh": "5 轮之后权重、均值、协方差与似然同 scikit-learn 的 GaussianMixture 的最大差距（f64）；对照少一轮",
    },
    "parity map_gap <= 1e-10 < wide_map_gap": {
        "en": "largest gap of a round of the map without neighbours to one of k-means (f64); the control "
        "has neighbours",
        "zh": "没有邻域的自组织映射一轮与 k 均值一轮的最大差距（f64）；对照有邻域",
    },
}
ZH = {
    "objective per point: squared distance, -log likelihood": "每点的目标函数：距离平方、负对数似然",
    "k-means": "k 均值",
    "the ten centres of k-means, and the commonest digit of each": "k 均值的十个中心，与各簇中最多的数字",
    "what EM finds in three slanted groups": "EM 在三个倾斜群体中找到的簇",
    "group 1": "第一簇",
    "group 2": "第二簇",
    "group 3": "第三簇",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
