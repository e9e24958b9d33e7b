"""Probabilistic neural network — each example is a unit, and a class is as likely as its units are near.

A unit answers exp(-|x - x_i|^2 / (2 h^2)); the mean over a class, divided by the volume of a unit, is its density (a
Parzen window), and times the share of the class it gives, by Bayes' rule, the odds. Nothing is trained but the width h,
by the log-probability of each of 240 examples under the others. Synthetic data: three classes of three islands each, so
that the best odds are known; judged is by how much the log loss on fresh examples exceeds theirs. Controls: one
Gaussian for each class, with a covariance of its own; a width by Silverman's rule, which takes a class for one hill;
and a width that was trained with every example among its own units, which shrinks for as long as one trains. Other
methods do as well here: k nearest neighbours in accuracy, on some seeds a support vector machine or an MLP in log
loss too. The price: every example is kept, and asked each time.

Needs:  torch, scikit-learn
Source: D. Specht, Probabilistic Neural Networks, Neural Networks 3(1), 1990; B. Silverman, Density Estimation for
        Statistics and Data Analysis, 1986 (the rule of the width)
"""

import math

import torch
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.neighbors import KernelDensity
from torch import Tensor
from torch.nn import functional as F

CLASSES, TRAIN, TEST, SPREAD = 3, 240, 3000, 0.3
ISLANDS = torch.tensor([[[0, 0], [1, 2], [2, 1]], [[0, 1], [1, 0], [2, 2]], [[0, 2], [1, 1], [2, 0]]]).float()

# %% the concept


def log_joint(x: Tensor, units: Tensor, label: Tensor, width: Tensor, leave_out: bool = False) -> Tensor:
    """log p(c) p(x | c): (m, d), (n, d), (n,), () -> (m, 3)."""
    far = (x[:, None] - units).square().sum(-1)  # (m, n)
    near = -far / (2 * width**2)  # pattern units: exp(-|x - x_i|^2 / (2 h^2)), its logarithm
    if leave_out:  # x are the units themselves: none answers for its own
        near = near.masked_fill(torch.eye(len(x), dtype=torch.bool, device=x.device), -math.inf)
    own = F.one_hot(label, CLASSES).to(x.dtype)
    sums = (near[:, :, None] + own.log()).logsumexp(1)  # summation units: one for each class
    count = own.sum(0)  # n_c: it cancels from the odds, whether one is left out or not
    scale = x.shape[1] * (width * math.sqrt(2 * math.pi)).log()
    density = sums - count.log() - scale  # p(x | c) = the mean over the n_c units of the class
    return density + (count / count.sum()).log()  # times p(c) = n_c / n


def lost(units: Tensor, label: Tensor, width: Tensor, leave_out: bool = True) -> Tensor:
    """-mean log p(c_i | x_i), each example under the others, or under all: ()."""
    return F.cross_entropy(log_joint(units, units, label, width, leave_out), label)


# %% its control


def gaussians(x: Tensor, units: Tensor, label: Tensor) -> Tensor:
    """log p(c | x) by one Gaussian for each class: (m, 3)."""
    model = QuadraticDiscriminantAnalysis().fit(units.cpu().numpy(), label.cpu().numpy())
    return torch.from_numpy(model.predict_log_proba(x.cpu().numpy()))


def rule_of_thumb(units: Tensor) -> Tensor:
    """Silverman's width, best for one Gaussian in two dimensions: h = s (n / 3)^(-1 / 6): ()."""
    return units.std(0).mean() * (len(units) / CLASSES) ** (-1 / 6)


# %% the experiment


def islands(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points and classes: (n, 2), (n,)."""
    label, island = (torch.randint(CLASSES, (n,), generator=generator) for _ in range(2))
    return ISLANDS[label, island] + SPREAD * torch.randn(n, 2, generator=generator), label


def best_odds(x: Tensor) -> Tensor:
    """log p(x | c) by the islands themselves, but for a constant: (m, 3)."""
    return torch.distributions.Normal(ISLANDS, SPREAD).log_prob(x[:, None, None]).sum(-1).logsumexp(-1)


def by_sklearn(x: Tensor, units: Tensor, label: Tensor, width: float) -> Tensor:
    """log p(c) p(x | c) by KernelDensity: (m, 3)."""
    found = []
    for c in range(CLASSES):
        model = KernelDensity(bandwidth=width, leaf_size=TRAIN).fit(units[label == c].numpy())
        found.append(torch.from_numpy(model.score_samples(x.numpy())) + (label == c).double().mean().log())
    return torch.stack(found, 1)


def loop(units: Tensor, label: Tensor, width: float) -> float:
    """`lost` by KernelDensity, which is fitted anew without each example."""
    odds = []
    for i in range(len(units)):
        rest = torch.arange(len(units)) != i
        odds.append(by_sklearn(units[i : i + 1], units[rest], label[rest], width))
    return F.cross_entropy(torch.cat(odds), label).item()


def slope(units: Tensor, label: Tensor, width: Tensor, leave_out: bool = True) -> Tensor:
    """dlost / dlog h: ()."""
    log_width = width.log().requires_grad_()
    (g,) = torch.autograd.grad(lost(units, label, log_width.exp(), leave_out), log_width)
    return g


def run(device="cpu", seed=0, steps=60):
    data, unseen = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))
    (near, kind), (x_test, y_test) = islands(TRAIN, data), islands(TEST, unseen)
    units, label = near.to(device), kind.to(device)
    widths = {"left out": torch.ones((), device=device), "among its own": torch.ones((), device=device)}
    best = F.cross_entropy(best_odds(x_test), y_test).item()
    for step in range(steps):
        for name, width in widths.items():
            moved = slope(units, label, width, name == "left out").clamp(-0.3, 0.3)
            widths[name] = width * (-moved).exp()  # log h <- log h - dlost / dlog h, clipped
        yield (step + 1) / steps, {name: width.item() for name, width in widths.items()}

    tried = widths | {"by rule": rule_of_thumb(units)}
    odds = {name: log_joint(x_test.to(device), units, label, width).cpu() for name, width in tried.items()}
    odds["Gaussians"] = gaussians(x_test, near, kind)
    excess = {name: F.cross_entropy(o, y_test).item() - best for name, o in odds.items()}
    right = {name: (o.argmax(1) == y_test).float().mean().item() for name, o in odds.items()}
    exact, h = near.double(), widths["left out"].item()
    width = torch.tensor(h, dtype=torch.float64)
    few, named, step = exact[:60], kind[:60], 1e-4
    central = (loop(few, named, h * math.exp(step)) - loop(few, named, h * math.exp(-step))) / (2 * step)
    asked = x_test[:300].double()
    ours, theirs = log_joint(asked, exact, kind, width), by_sklearn(asked, exact, kind, h)
    grid = torch.cartesian_prod(*[torch.linspace(-0.6, 2.6, 33)] * 2)
    regions = log_joint(grid.to(device), units, label, widths["left out"]).argmax(1).cpu()
    return {
        "excess_loss": excess["left out"],
        "gaussian_excess": excess["Gaussians"],
        "left_out_excess": excess["left out"],
        "width_excess": min(excess["among its own"], excess["by rule"]),
        "accuracy": right["left out"],
        "gaussian_accuracy": right["Gaussians"],
        "density_gap": (ours - theirs).abs().max().item(),
        "wide_gap": (log_joint(asked, exact, kind, 1.1 * width) - theirs).abs().max().item(),
        "loop_gap": abs(lost(few, named, width).item() - loop(few, named, h)),
        "left_in_gap": abs(lost(few, named, width, False).item() - loop(few, named, h)),
        "slope_gap": abs(slope(few, named, width).item() - central),
        "left_in_slope_gap": abs(slope(few, named, width, False).item() - central),
    }, {
        "the likeliest class, over the plane": {
            "kind": "scatter",
            "series": {f"class {c + 1}": tuple(grid[regions == c].mT.tolist()) for c in range(CLASSES)},
            "x": "x",
            "y": "y",
            "equal": True,
        },
    }


# %% what is claimed

TITLE = {"en": "Classes by the nearness of examples", "zh": "以样本的远近定类别"}
CURVES = "width h"
CPU_SECONDS = 1
CLAIMS = {
    "trained excess_loss <= 0.11 < gaussian_excess <= 0.55": {
        "en": "log loss on 3,000 fresh points, above that of the true densities; control: one Gaussian for each class",
        "zh": "3000 个新样本上的对数损失减去真实后验概率的对数损失；对照：每类一个高斯分布",
    },
    "trained left_out_excess <= 0.11 < width_excess <= 0.3": {
        "en": "the same, with the width that was trained on left-out examples; control: Silverman's rule, or trained "
        "with each among its own units, whichever is better",
        "zh": "同上，宽度由留一法训练；对照：Silverman 经验宽度，与训练时样本也算在自己单元之内的宽度，取较好者",
    },
    "trained accuracy >= 0.83 > gaussian_accuracy >= 0.5": {
        "en": "accuracy on the fresh points; control: one Gaussian for each class",
        "zh": "新样本上的准确率；对照：每类一个高斯分布",
    },
    "parity density_gap <= 1e-10 < wide_gap": {
        "en": "largest gap of the joint log-density, trained width, to Bayes' rule with scikit-learn's KernelDensity "
        "(f64); control: a width 10% greater",
        "zh": "联合对数密度（用训练出的宽度）与按贝叶斯公式、"
        "用 scikit-learn 的 KernelDensity 算得者的最大差距（f64）；对照：宽度大 10%",
    },
    "parity loop_gap <= 1e-10 < left_in_gap": {
        "en": "gap of the left-out log loss of 60 examples to KernelDensity, fitted anew without each (f64); control: "
        "none is left out",
        "zh": "60 个样本的留一对数损失与逐一去掉后重新拟合的 KernelDensity 的差距（f64）；对照：不留出",
    },
    "parity slope_gap <= 1e-6 < left_in_slope_gap": {
        "en": "gap of its slope over log h to a central difference of that loop (f64); control: none is left out",
        "zh": "上述损失对 log h 的导数与对逐一重新拟合所得损失取中心差分的差距（f64）；对照：不留出",
    },
}
ZH = {
    "width h": "宽度 h",
    "left out": "留一",
    "among its own": "不留出",
    "the likeliest class, over the plane": "平面各处最可能的类别",
    "class 1": "第一类",
    "class 2": "第二类",
    "class 3": "第三类",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
