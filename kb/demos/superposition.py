"""Superposition — a net keeps five features in two numbers, at angles, if they are rarely there at the same time.

Five features, each worth a little less than the one before, are squeezed through two numbers and brought back by the
same weights and a ReLU. Where all are always there (each a random number from 0 to 1) the net keeps the two that
matter most and gives up the rest, like the best linear code, principal components (PCA). Where each is there one time
in twenty it keeps all five, in directions that share the plane; the ReLU and a negative bias cut off much of what
leaks from one into the other. So a number need not mean one thing. The price shows when all features come at once:
there the crowded net is far worse, as are all pentagons tried (lengths from 0.8, biases not above 0). Controls: the
net that learned from dense inputs, and PCA, below whose error comes no code of two numbers that is linear both ways,
nor a linear probe of the net's two. The net's code is not the best: a regular pentagon made by hand does about as
well as the net where features are rare, and numbers not linear in the features (which is the largest, how large) do
better. Synthetic data; that large models do the same is not shown here.

Needs:  torch, scikit-learn
Source: N. Elhage et al., Toy Models of Superposition, arXiv:2209.10652, 2022
"""

import torch
from sklearn.decomposition import PCA
from torch import Tensor

FEATURES, NUMBERS, TRIES, BATCH, TEST, RATE = 5, 2, 8, 256, 20000, 2e-2
DENSITIES = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05)
WORTH = 0.9 ** torch.arange(FEATURES).double()

# %% the concept


def answer(x: Tensor, w: Tensor, b: Tensor) -> Tensor:  # (..., B, F), (..., F, 2), (..., F) -> (..., B, F)
    h = x @ w  # two numbers: feature i adds x_i times its direction w_i
    return (h @ w.mT + b[..., None, :]).relu()  # x'_i = ReLU(w_i . h + b_i)


def error(x: Tensor, w: Tensor, b: Tensor) -> Tensor:  # (...)
    return (WORTH.to(x) * (answer(x, w, b) - x).square()).sum(-1).mean(-1)  # E sum_i worth_i (x'_i - x_i)^2


# %% its control


def least_linear(x: Tensor) -> Tensor:
    """Least error of a code of two numbers, linear both ways, on the data it is tested on: (..., B, F) -> (...)."""
    scaled = WORTH.to(x).sqrt() * x
    scaled = scaled - scaled.mean(-2, keepdim=True)
    spread = torch.linalg.eigvalsh(scaled.mT @ scaled / x.shape[-2])  # in rising order
    return spread[..., :-NUMBERS].sum(-1)  # all variance but that of the two principal components


def pentagon(x: Tensor) -> Tensor:
    """Five directions at equal angles, the best of some lengths and biases, on the very data: (B, F) -> ()."""
    turn = 2 * torch.pi * torch.arange(FEATURES) / FEATURES
    star = torch.stack([turn.cos(), turn.sin()], 1).to(x)  # (F, 2)
    shapes = [(length, bias) for length in (0.8, 0.9, 1, 1.1, 1.2) for bias in (0, 0.1, 0.2, 0.3, 0.4)]
    return torch.stack([error(x, length * star, -bias * torch.ones(FEATURES).to(x)) for length, bias in shapes]).min()


def largest(x: Tensor) -> Tensor:
    """Which feature is the largest and how large, the others taken for 0: (B, F) -> ()."""
    kept = torch.where(x == x.amax(-1, keepdim=True), x, 0)
    return (WORTH.to(x) * (kept - x).square()).sum(-1).mean()


# %% the experiment


def features(n: int, generator: torch.Generator) -> Tensor:
    """Random numbers from 0 to 1, each there with the probability of its density: (D, n, F)."""
    x, chance = torch.rand(2, len(DENSITIES), n, FEATURES, generator=generator)
    return x * (chance < torch.tensor(DENSITIES)[:, None, None])


def gap_by_hand(x: Tensor, w: Tensor, b: Tensor, tied: bool = True) -> float:
    """Largest gap of the error and its gradients to those by hand, f64; not `tied`: weights count as decoders alone."""
    x, w, b = (t.detach().cpu().double() for t in (x, w, b))
    total, by_w, by_b = torch.zeros(()).double(), 0 * w, 0 * b
    for row in x:
        h = w.T @ row
        out = (w @ h + b).clamp(min=0)
        total += (WORTH * (out - row) ** 2).sum() / len(x)
        back = 2 * WORTH * (out - row) * (out > 0) / len(x)
        by_b += back
        by_w += torch.outer(back, h) + tied * torch.outer(row, w.T @ back)
    leaves = w.clone().requires_grad_(), b.clone().requires_grad_()
    loss = error(x, *leaves)
    found = [loss.detach(), *torch.autograd.grad(loss, leaves, materialize_grads=True)]
    return max((a - c).abs().max().item() for a, c in zip(found, (total, by_w, by_b), strict=True))


def gap_to_pca(x: Tensor, kept: int = NUMBERS) -> float:
    """Gap of the least linear error to what scikit-learn's PCA leaves, f64."""
    scaled = (WORTH.sqrt() * x.cpu().double()).numpy()
    fit = PCA(kept).fit(scaled)
    left = ((fit.inverse_transform(fit.transform(scaled)) - scaled) ** 2).sum(1).mean()
    return abs(least_linear(x.cpu().double()).item() - float(left))


def run(device="cpu", seed=0, steps=1000):
    weights, data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    nets = len(DENSITIES) * TRIES  # several beginnings for each density, all at once
    w = (torch.randn(nets, FEATURES, NUMBERS, generator=weights) / 2).to(device).requires_grad_()
    b = torch.zeros(nets, FEATURES, device=device, requires_grad=True)
    optimizer = torch.optim.Adam([w, b])
    usual = torch.tensor(DENSITIES).to(device).repeat_interleave(TRIES)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        losses = error(features(BATCH, data).to(device).repeat_interleave(TRIES, 0), w, b)
        optimizer.zero_grad()
        (losses / usual).sum().backward()
        optimizer.step()
        shares = (losses / usual).detach().view(-1, TRIES).amin(1)
        yield (step + 1) / steps, {NAMES[k]: shares[k].item() for k in SHOWN}

    with torch.no_grad():
        tried = error(features(TEST, data).to(device).repeat_interleave(TRIES, 0), w, b).view(-1, TRIES)
        best = tried.argmin(1).cpu() + TRIES * torch.arange(len(DENSITIES))
        w, b, x = w[best.to(device)], b[best.to(device)], features(TEST, unseen).to(device)
        bound = least_linear(x)
        shares = error(x, w, b) / bound
        crowded = error(x[0], w[-1], b[-1]) / bound[0]
        rivals = [torch.stack([rival(part) for part in x]) / bound for rival in (pentagon, largest)]
    kept = (w.norm(dim=2) > 0.5).sum(1).tolist()
    drawn = {NAMES[k]: w[k].cpu() + torch.tensor([3.0 * place, 0]) for place, k in enumerate(SHOWN)}
    rays = [([3.0 * i, 0.0], end) for i, ends in enumerate(drawn.values()) for end in ends.tolist()]
    lines = {"net": shares, "pentagon by hand": rivals[0], "largest feature only": rivals[1], "PCA": bound / bound}
    few = x[-1, :40]
    return {
        "kept_sparse": kept[-1],
        "kept_dense": kept[0],
        "sparse_error": shares[-1].item(),
        "dense_error": shares[0].item(),
        "at_home_error": shares[0].item(),
        "crowded_error": crowded.item(),
        "highest_bias": b[-1].max().item(),
        "dense_bias": b[0].max().item(),
        "largest_error": rivals[1][-1].item(),
        "pentagon_error": rivals[0][-1].item(),
        "hand_gap": max(gap_by_hand(few, w[-1], b[-1]), gap_by_hand(x[0, :40], w[0], b[0])),
        "untied_gap": gap_by_hand(few, w[-1], b[-1], tied=False),
        "pca_gap": max(gap_to_pca(part) for part in x[:, :1000]),
        "one_less_gap": gap_to_pca(x[-1, :1000], NUMBERS - 1),
    }, {
        "directions of the five features in two numbers": {
            "kind": "scatter",
            "series": {name: tuple(ends.T.tolist()) for name, ends in drawn.items()},
            "edges": rays,
            "equal": True,
            "x": "first number (each next net drawn 3 further right)",
            "y": "second number",
        },
        "error over how often a feature is there": {
            "kind": "lines",
            "series": {name: (list(DENSITIES), held.tolist()) for name, held in lines.items()},
            "x": "probability that a feature is there",
            "y": "error, as a share of PCA's",
            "log": "xy",
        },
    }


# %% what is claimed

SHOWN, NAMES = (0, 3, 5), {0: "always there", 3: "1 time in 5", 5: "1 time in 20"}
TITLE = {"en": "Five features in two numbers", "zh": "两个数里的五个特征"}
CURVES = "error over the probability, best of eight beginnings"
CPU_SECONDS = 2
CLAIMS = {
    "trained kept_sparse >= 5 > kept_dense >= 2": {
        "en": "features kept (direction longer than 1/2) where each is there 1 time in 20; control: always there",
        "zh": "每个特征二十次中出现一次时保留下来的特征数（方向长度大于 1/2）；对照：特征始终出现",
    },
    "trained sparse_error <= 0.27 < dense_error <= 1.02": {
        "en": "error on fresh rare features, as a share of PCA's, the least of codes linear both ways; control: the "
        "net of dense features, as a share of PCA's there",
        "zh": "稀疏特征新样本上的误差与 PCA（编解码皆线性的下限）误差之比；对照：稠密特征上网络误差与 PCA 误差之比",
    },
    "trained at_home_error <= 1.02 < crowded_error": {
        "en": "error on fresh dense features, as a share of PCA's, of the net that learned from such; control: the net "
        "of features there 1 time in 20",
        "zh": "以稠密特征训练的网络在稠密新样本上的误差与 PCA 误差之比；对照：特征二十次出现一次时训练的网络",
    },
    "trained highest_bias <= -0.2 < dense_bias": {
        "en": "highest bias of the net of features there 1 time in 20; control: of the net of dense features",
        "zh": "特征二十次出现一次时训练的网络五个偏置中的最大值；对照：稠密特征上的网络",
    },
    "trained largest_error <= 0.15 < pentagon_error <= 0.27": {
        "en": "error on rare features, as a share of PCA's, of which is the largest and how large; control: a pentagon",
        "zh": "稀疏特征上只记“哪个最大、有多大”的误差与 PCA 误差之比；对照：手工正五边形",
    },
    "parity hand_gap <= 1e-10 < untied_gap": {
        "en": "largest gap of two trained nets' error and gradients to those written out by hand (f64); the control "
        "forgets that the weights encode too",
        "zh": "训练后两个网络的误差与梯度同手写推导的最大差距（f64）；对照忘了权重也用于编码",
    },
    "parity pca_gap <= 1e-10 < one_less_gap": {
        "en": "largest gap of the least linear error to what scikit-learn's PCA leaves (f64); the control keeps one "
        "component",
        "zh": "线性编码的最小误差同 scikit-learn 的 PCA 所余误差的最大差距（f64）；对照只保留一个主成分",
    },
}
ZH = {
    "error over the probability, best of eight beginnings": "误差除以出现概率，取八次初始化中最好的",
    "always there": "始终出现",
    "1 time in 5": "五次出现一次",
    "1 time in 20": "二十次出现一次",
    "directions of the five features in two numbers": "五个特征在两个数中的方向",
    "first number (each next net drawn 3 further right)": "第一个数（每个网络依次右移 3）",
    "second number": "第二个数",
    "error over how often a feature is there": "误差随特征出现概率的变化",
    "net": "网络",
    "pentagon by hand": "手工正五边形",
    "largest feature only": "只记最大的特征",
    "PCA": "主成分分析（PCA）",
    "probability that a feature is there": "特征出现的概率",
    "error, as a share of PCA's": "与 PCA 误差之比",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
