"""Mathematical foundations — eight facts that networks rest on, each beside what fails where the fact is ignored.

Linear algebra: singular values by rotations, and the best matrix of a rank. Calculus: the chain rule, a product of
Jacobians (matrices of partial derivatives) in order. Probability: the Gaussian density, its conditional, and the
estimate at which the likelihood is highest. Information: entropy, divergence, mutual information. All against PyTorch.
Then two facts are sampled: the error of a mean of n draws falls as n to the power -1/2 where their variance is finite
(the Cauchy distribution has not even an expectation); and in 1,000 dimensions the farthest of 500 uniform points is
hardly farther from one more than the nearest.

Needs:  torch
Source: C. Eckart, G. Young, The Approximation of One Matrix by Another of Lower Rank, Psychometrika 1, 1936;
        C. E. Shannon, A Mathematical Theory of Communication, Bell System Technical Journal 27, 1948; K. Beyer et al.,
        When Is "Nearest Neighbor" Meaningful?, ICDT 1999
"""

import math
from itertools import combinations

import torch
from torch import Tensor
from torch.distributions import Categorical, MultivariateNormal, kl_divergence

DRAWS, POINTS, DIMENSIONS, SIZES = 50, 500, 1000, tuple(2**k for k in range(4, 12))

# %% the concept


def svd(a: Tensor, sweeps: int = 8) -> tuple[Tensor, Tensor, Tensor]:  # (m, n) -> (m, n), (n,), (n, n)
    """Columns are turned in pairs until all are orthogonal: A V = U S; then A'A V = V S^2, an eigendecomposition."""
    a, v = a.clone(), torch.eye(a.shape[1], dtype=a.dtype)
    for _ in range(sweeps):
        for i in range(a.shape[1]):
            for j in range(i):
                (p, r), (_, q) = a[:, [i, j]].T @ a[:, [i, j]]
                half = torch.atan2(2 * r, p - q) / 2
                turn = torch.stack([half.cos(), -half.sin(), half.sin(), half.cos()]).view(2, 2)
                a[:, [i, j]], v[:, [i, j]] = a[:, [i, j]] @ turn, v[:, [i, j]] @ turn
    s, order = (a**2).sum(0).sqrt().sort(descending=True)  # the norm of each column
    return a[:, order] / s, s, v[:, order]


def low_rank(u: Tensor, s: Tensor, v: Tensor, rank: int) -> Tensor:
    return u[:, :rank] * s[:rank] @ v[:, :rank].T  # the sum of the largest s_i u_i v_i'


def jacobian(layers: list[Tensor], x: Tensor) -> Tensor:
    """Of x -> tanh(W x), layer on layer: dz/dx = dz/dy dy/dx."""
    product = torch.eye(len(x), dtype=x.dtype)
    for w in layers:
        x = (w @ x).tanh()
        product = (1 - x**2)[:, None] * w @ product  # tanh' = 1 - tanh^2
    return product


def log_density(x: Tensor, mean: Tensor, cov: Tensor) -> Tensor:  # (..., n), (n,), (n, n)
    """-1/2 (n log 2 pi + log det C + (x - m)' C^-1 (x - m))."""
    away = x - mean
    return -0.5 * (len(mean) * math.log(2 * math.pi) + cov.logdet() + (away @ cov.inverse() * away).sum(-1))


def conditional(x: Tensor, mean: Tensor, cov: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the first k where the others are known: x is (n - k,)."""
    gain = cov[:k, k:] @ cov[k:, k:].inverse()
    return mean[:k] + gain @ (x - mean[k:]), cov[:k, :k] - gain @ cov[k:, :k]


def most_likely(x: Tensor) -> tuple[Tensor, Tensor]:
    """The Gaussian with the highest likelihood: mean, and covariance E (x - m)(x - m)'."""
    away = x - x.mean(0)
    return x.mean(0), away.T @ away / len(x)


def entropy(p: Tensor) -> Tensor:
    return -(p * p.log()).sum()


def divergence(p: Tensor, q: Tensor) -> Tensor:  # KL(p || q) = cross-entropy - entropy
    return -(p * q.log()).sum() - entropy(p)


def mutual_information(joint: Tensor) -> Tensor:  # H(X) + H(Y) - H(X, Y)
    return entropy(joint.sum(1)) + entropy(joint.sum(0)) - entropy(joint)


# %% its control


def from_columns(a: Tensor, rank: int) -> float:
    """What the best choice of as many columns leaves over, when they are combined by least squares."""
    chosen = (a[:, list(of)] for of in combinations(range(a.shape[1]), rank))
    return min((a - b @ torch.linalg.lstsq(b, a).solution).norm().item() for b in chosen)


# %% the experiment


def gap(ours: list[Tensor], theirs: list[Tensor]) -> float:
    return max((a - b).detach().abs().max().item() for a, b in zip(ours, theirs, strict=True))


def rank_errors(a: Tensor) -> dict[str, list[float]]:
    """What is left over at ranks 1 to n - 1; by theorem not less than the singular values that are dropped."""
    (u, s, v), ranks = svd(a), range(1, a.shape[1])
    return {
        "singular values": [(a - low_rank(u, s, v, k)).norm().item() for k in ranks],
        "columns": [from_columns(a, k) for k in ranks],
        "least possible": [torch.linalg.svdvals(a)[k:].norm().item() for k in ranks],
    }


def algebra_gap(a: Tensor) -> float:
    u, s, v = svd(a)
    values, vectors = torch.linalg.eigh(a.T @ a)
    signs = (vectors.flip(1) * v).sum(0).sign()
    ours, ends = [s, s**2, v * signs, u.T @ u, v.T @ v, u * s @ v.T], [torch.eye(len(s), dtype=a.dtype)] * 2
    return gap(ours, [torch.linalg.svdvals(a), values.flip(0), vectors.flip(1), *ends, a])


def gaussian_gaps(x: Tensor, mean: Tensor, cov: Tensor) -> tuple[float, float]:
    """Densities and their gradients to torch.distributions, joint = conditional + marginal; taken as independent."""
    ends = []
    for density in (log_density, lambda x, m, c: MultivariateNormal(m, c).log_prob(x)):
        leaves = [t.clone().requires_grad_() for t in (x, mean)]
        value = density(*leaves, cov)
        ends.append([value, *torch.autograd.grad(value.sum(), leaves)])
    k = len(mean) // 2
    joint = MultivariateNormal(mean, cov).log_prob(x[0])
    rest = MultivariateNormal(mean[k:], cov[k:, k:]).log_prob(x[0, k:])
    parts = [log_density(x[0, :k], *of) + rest for of in (conditional(x[0, k:], mean, cov, k), (mean[:k], cov[:k, :k]))]
    return max(gap(*ends), gap(parts[:1], [joint])), gap(parts[1:], [joint])


def likelihood_slope(x: Tensor, mean: Tensor, cov: Tensor) -> float:
    """How steep the likelihood is there: its gradient by torch.distributions, at the top 0."""
    leaves = [mean.clone().requires_grad_(), cov.clone().requires_grad_()]
    return max(
        g.abs().max().item() for g in torch.autograd.grad(MultivariateNormal(*leaves).log_prob(x).mean(), leaves)
    )


def information_gaps(joint: Tensor) -> tuple[float, float]:
    """Entropy, divergence and mutual information to torch.distributions; of the divergence the other way round."""
    x, y = joint.sum(1), joint.sum(0)
    other = y.roll(1)
    apart = Categorical((x[:, None] * y).flatten())
    theirs = [Categorical(y).entropy(), kl_divergence(Categorical(y), Categorical(other))]
    theirs.append(kl_divergence(Categorical(joint.flatten()), apart))
    ours = [entropy(y), divergence(y, other), mutual_information(joint)]
    return gap(ours, theirs), gap([divergence(other, y)], theirs[1:2])


def slope(errors: Tensor) -> float:
    """Of the median error against the number of draws, both as logarithms."""
    x, y = torch.tensor(SIZES).log(), errors.log()
    return ((x - x.mean()) @ (y - y.mean()) / (x - x.mean()).square().sum()).item()


def run(device="cpu", seed=0, steps=20):
    numbers, data, noise = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    a, b, c, spread = torch.randn(4, 8, 8, generator=numbers, dtype=torch.float64)
    mean, cov = a[0], spread @ spread.T / 8 + torch.eye(8, dtype=torch.float64) / 2
    x = mean + torch.randn(60, 8, generator=data, dtype=torch.float64) @ torch.linalg.cholesky(cov).T
    joint = torch.rand(4, 5, generator=numbers, dtype=torch.float64) + 0.05
    errors: dict[str, list[list[Tensor]]] = {"uniform": [], "exponential": [], "Cauchy": []}
    ratios: list[list[float]] = []
    for step in range(steps):
        u = torch.rand(DRAWS, SIZES[-1], generator=noise).to(device).clamp(1e-7, 1 - 1e-7)
        for name, drawn in (
            ("uniform", u - 0.5),
            ("exponential", -u.log() - 1),
            ("Cauchy", (math.pi * (u - 0.5)).tan()),
        ):
            errors[name].append([drawn[:, :n].mean(1).abs().cpu() for n in SIZES])  # the expectation, or centre, is 0
        ratios.append([])
        for d in (DIMENSIONS, 2):
            cloud, query = (torch.rand(n, d, generator=noise).to(device) for n in (POINTS, 1))
            away = (cloud - query).square().sum(1).sqrt()
            ratios[-1].append((away.max() / away.min()).item())
        medians = {
            name: torch.stack([torch.cat(e).median() for e in zip(*of, strict=True)]) for name, of in errors.items()
        }
        yield (step + 1) / steps, {name: of[-1].item() for name, of in medians.items()}

    left = rank_errors(a)
    over = {
        name: [e / least - 1 for e, least in zip(of, left["least possible"], strict=True)] for name, of in left.items()
    }
    start = b[:, 0].clone()
    middle = (a @ start).tanh()
    each = [jacobian([w], z) for w, z in ((a, start), (b, middle), (c, (b @ middle).tanh()))]
    exact = torch.autograd.functional.jacobian(lambda z: (c @ (b @ (a @ z).tanh()).tanh()).tanh(), start)
    gaussian, information = gaussian_gaps(x, mean, cov), information_gaps(joint / joint.sum())
    found = most_likely(x)
    far = torch.tensor(ratios).median(0).values.tolist()
    misses = {name: abs(slope(of) + 0.5) for name, of in medians.items()}
    return {
        "algebra_gap": algebra_gap(a),
        "unturned_gap": gap([a.norm(dim=0).sort(descending=True).values], [torch.linalg.svdvals(a)]),
        "rank_excess": max(over["singular values"]),
        "column_excess": min(over["columns"]),
        "jacobian_gap": gap([jacobian([a, b, c], start)], [exact]),
        "disordered_gap": gap([each[0] @ each[1] @ each[2]], [exact]),
        "gaussian_gap": gaussian[0],
        "independent_gap": gaussian[1],
        "likelihood_slope": likelihood_slope(x, *found),
        "unbiased_slope": likelihood_slope(x, found[0], found[1] * len(x) / (len(x) - 1)),
        "information_gap": information[0],
        "other_way_gap": information[1],
        "mean_miss": max(misses["uniform"], misses["exponential"]),
        "cauchy_miss": misses["Cauchy"],
        "far_over_near": far[0],
        "plane_far_over_near": far[1],
    }, {
        "error of a mean of n draws": {
            "kind": "lines",
            "series": {name: (SIZES, of.tolist()) for name, of in medians.items()},
            "x": "n",
            "y": "median error",
            "log": "xy",
        },
        "what a matrix of lower rank leaves over": {
            "kind": "lines",
            "series": {name: (list(range(1, 8)), of) for name, of in left.items() if name != "least possible"},
            "x": "rank",
            "y": "norm of the rest",
        },
    }


# %% what is claimed

TITLE = {"en": "The mathematics that networks rest on", "zh": "神经网络所依据的数学"}
CURVES = "median error of a mean"
CPU_SECONDS = 1
CLAIMS = {
    "parity algebra_gap <= 1e-10 < unturned_gap": {
        "en": "largest gap of singular values, vectors and eigenvalues, found by rotations, to torch.linalg (f64); the "
        "control takes the norms of the columns as they are",
        "zh": "用旋转求得的奇异值、奇异向量与特征值同 torch.linalg 的最大差距（f64）；对照直接取各列的范数",
    },
    "parity rank_excess <= 1e-10 < column_excess": {
        "en": "excess of the error of the largest singular values over the least possible, at every rank; the control "
        "is the best choice of as many columns",
        "zh": "保留最大的若干奇异值时，各个秩上的误差超出最小可能值的比例；对照为同样多的列的最优选择",
    },
    "parity jacobian_gap <= 1e-10 < disordered_gap": {
        "en": "largest gap of the chain rule's Jacobian of three layers to torch.autograd (f64); the control "
        "multiplies them in the opposite order",
        "zh": "三层网络按链式法则求得的雅可比矩阵与 torch.autograd 的最大差距（f64）；对照按相反次序相乘",
    },
    "parity gaussian_gap <= 1e-10 < independent_gap": {
        "en": "largest gap of Gaussian log-densities, gradients, and conditional times marginal, to "
        "torch.distributions (f64); the control takes the two halves as independent",
        "zh": "高斯对数密度、其梯度以及“条件密度乘边缘密度”与 torch.distributions "
        "的最大差距（f64）；对照把两半当作独立",
    },
    "parity likelihood_slope <= 1e-10 < unbiased_slope": {
        "en": "largest gradient of the mean log-likelihood at mean and covariance of the data, its maximum; the "
        "control divides by n - 1",
        "zh": "以样本均值与协方差为参数时平均对数似然的最大梯度（极大值处为零）；对照除以 n - 1",
    },
    "parity information_gap <= 1e-10 < other_way_gap": {
        "en": "largest gap of entropy, KL divergence and mutual information to torch.distributions (f64); the control "
        "is the divergence the other way round",
        "zh": "熵、KL 散度与互信息同 torch.distributions 的最大差距（f64）；对照为反方向的 KL 散度",
    },
    "trained mean_miss <= 0.035 < cauchy_miss": {
        "en": "gap to -1/2 of the power of n with which the median error of a mean of n uniform or exponential draws "
        "falls; the control is the Cauchy distribution",
        "zh": "n 个均匀或指数分布样本的均值，其误差中位数随 n 下降的幂次与 -1/2 的差距；对照为柯西分布",
    },
    "trained far_over_near <= 1.13 < plane_far_over_near": {
        "en": "distance of a point to the farthest of 500 others over that to the nearest, all uniform in 1,000 "
        "dimensions, median; the control is the plane",
        "zh": "1000 维均匀分布中，一点到另外 500 个点的最远距离与最近距离之比（中位数）；对照为平面",
    },
}
ZH = {
    "median error of a mean": "均值误差的中位数",
    "uniform": "均匀分布",
    "exponential": "指数分布",
    "Cauchy": "柯西分布",
    "error of a mean of n draws": "n 个样本均值的误差",
    "median error": "误差中位数",
    "what a matrix of lower rank leaves over": "低秩近似剩下的部分",
    "singular values": "奇异值",
    "columns": "若干列",
    "rank": "秩",
    "norm of the rest": "余量的范数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
