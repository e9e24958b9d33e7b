"""Low rank by SVD — keep the largest singular values: what is lost is the rest, and no matrix of that rank is closer.

The singular value decomposition writes a matrix as a sum of simple ones, each a column times a row, the largest first.
Here it is done to two: 1,797 images of digits, one a row, and the update that training writes into the weights of a
hidden layer. Cut after k terms, the squared error is the sum of the squares of the singular values left out; k columns
of the matrix, picked greedily, from which the others are made by least squares, leave more (control). Ten terms hold
nearly the whole update, but not half of a matrix of random numbers; in its place, the rest of the network trained, they
read digits nearly as well. LoRA, which tunes a trained network, supposes as much of its updates. That the images
themselves need few directions is not why: the update seen along their ten main ones (control) reads worse. Ten columns
of the update, picked greedily, often read nearly as well as its ten terms (not shown). With ten classes ten terms are
no wonder, and the task is easy: a linear classifier reads these digits about as well as the network (not shown).

Needs:  torch, scikit-learn
Source: C. Eckart, G. Young, The Approximation of One Matrix by Another of Lower Rank, Psychometrika 1, 1936; E. Hu et
        al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN, HIDDEN, BATCH, RATE, RANK, RANKS = 1200, 64, 64, 0.2, 10, (1, 2, 4, 8, 16, 32)

# %% the concept


def svd(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (m, n) -> (m, n), (n,), (n, n)
    """A = U S V', from A'A = V S^2 V': short, but the small s lose half of their digits."""
    squares, v = torch.linalg.eigh(a.T @ a)
    s, v = squares.flip(0).clamp(min=0).sqrt(), v.flip(1)  # the largest first
    return a @ v / s.clamp(min=1e-12), s, v


def low_rank(a: Tensor, k: int) -> Tensor:
    u, s, v = svd(a)
    return u[:, :k] * s[:k] @ v[:, :k].T  # sum of the first k s_i u_i v_i'


def left_over(a: Tensor, b: Tensor) -> float:
    """The share of the squared norm that is missing in b."""
    return ((a - b).square().sum() / a.square().sum()).item()


# %% its control


def from_columns(a: Tensor, k: int) -> Tensor:
    """Greedy: the column of which most is left over, k times; the others by least squares from these."""
    rest, basis = a.clone(), []
    for _ in range(k):
        best = rest[:, rest.square().sum(0).argmax()]
        basis.append(best / best.norm())
        rest = rest - basis[-1][:, None] * (basis[-1] @ rest)
    return a - rest


def along(a: Tensor, x: Tensor, k: int) -> Tensor:
    """Projected onto the k main directions of the rows of x."""
    q = svd(x)[2][:, :k]
    return a @ q @ q.T


# %% the experiment


def least_possible(a: Tensor, k: int) -> float:
    """The share of the squared norm in the singular values after the first k, by torch."""
    squares = torch.linalg.svdvals(a).square()
    return (squares[k:].sum() / squares.sum()).item()


def by_torch(a: Tensor, k: int) -> Tensor:
    u, s, vh = torch.linalg.svd(a, full_matrices=False)
    return u[:, :k] * s[:k] @ vh[:k]


def run(device="cpu", seed=0, steps=1500):
    torch.manual_seed(3 * seed)
    data, checks = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    images, labels = torch.tensor(digits.data)[order] / 16, torch.tensor(digits.target)[order]
    x, x_test, y, y_test = (t[part] for t in (images, labels) for part in (slice(TRAIN), slice(TRAIN, None)))
    net = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10)).to(device)
    before = net[0].weight.detach().cpu().double()
    optimizer = torch.optim.SGD(net.parameters(), RATE)
    for step in range(steps):
        rows = torch.randint(TRAIN, (BATCH,), generator=data)
        loss = F.cross_entropy(net(x[rows].float().to(device)), y[rows].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"training": loss.item()}

    first, second = (layer.cpu().double() for layer in (net[0], net[2]))
    update = first.weight.detach() - before

    def accuracy(change: Tensor) -> float:
        with torch.no_grad():
            logits = second(F.linear(x_test, before + change, first.bias).relu())
        return (logits.argmax(1) == y_test).double().mean().item()

    whole, noise = accuracy(update), torch.randn(update.shape, generator=checks, dtype=torch.float64)
    pairs = [(a, k) for a in (images, update) for k in RANKS]
    least = [least_possible(a, k) for a, k in pairs]
    values_gap = (svd(noise[:, :32])[1] - torch.linalg.svdvals(noise[:, :32])).abs().max().item()
    curves = {"images": images, "update of the weights": update, "random numbers": noise}
    ranks, shown = list(range(1, 33)), [0, *(k for k in RANKS if k > 1)]
    return {
        "excess": max(abs(left_over(a, low_rank(a, k)) - rest) for (a, k), rest in zip(pairs, least, strict=True)),
        "column_excess": min(left_over(images, from_columns(images, k)) - least_possible(images, k) for k in RANKS),
        "gap": max(*((low_rank(a, k) - by_torch(a, k)).abs().max().item() for a, k in pairs), values_gap),
        "early_gap": min((low_rank(a, k) - by_torch(a, k - 1)).abs().max().item() for a, k in pairs),
        "update_left": left_over(update, low_rank(update, RANK)),
        "noise_left": left_over(noise, low_rank(noise, RANK)),
        "accuracy_lost": whole - accuracy(low_rank(update, RANK)),
        "images_lost": whole - accuracy(along(update, x, RANK)),
        "whole_accuracy": whole,
        "untrained_accuracy": accuracy(0 * update),
        "shared": int((x_test[:, None] == x).all(-1).any(1).sum()),
        "shared_when_drawn": int(
            (images[torch.randperm(len(images), generator=checks)[:500], None] == x).all(-1).any(1).sum()
        ),
    }, {
        "share of the squared norm that is left over": {
            "kind": "lines",
            "series": {name: (ranks, [least_possible(a, k) for k in ranks]) for name, a in curves.items()}
            | {"images, by columns": (ranks, [left_over(images, from_columns(images, k)) for k in ranks])},
            "x": "rank",
            "y": "left over",
        },
        "four digits, and what is left of them at each rank": {
            "kind": "images",
            "images": [(low_rank(images, k) if k else images)[i].view(8, 8).tolist() for i in range(4) for k in shown],
            "titles": [f"{k}" if k else "all" for _ in range(4) for k in shown],
            "columns": len(shown),
        },
    }


# %% what is claimed

TITLE = {"en": "Low rank by singular values", "zh": "用奇异值做低秩近似"}
CURVES = "cross-entropy"
CPU_SECONDS = 2
CLAIMS = {
    "parity excess <= 1e-10 < column_excess <= 0.008": {
        "en": "largest gap of the squared error, as a share, to the sum of the squared singular values left out, at "
        "six ranks, 1 to 32 (f64); control: as many columns of the images, picked greedily, at the rank of least gap",
        "zh": "误差平方（占比）与被舍弃的奇异值平方之和的最大差距，取 1 到 32 间的六个秩（f64）；"
        "对照：贪心选取图像矩阵中同样多的列，取差距最小的秩",
    },
    "parity gap <= 1e-10 < early_gap": {
        "en": "largest gap of low-rank matrices, and of singular values of random ones, to torch.linalg's (f64); "
        "control: a term less",
        "zh": "低秩矩阵以及随机数矩阵的奇异值，与用 torch.linalg 所得者的最大差距（f64）；对照：少一项",
    },
    "trained update_left <= 0.04 < noise_left": {
        "en": "share of the squared norm of the weight update left over at rank 10; control: random numbers",
        "zh": "权重更新量截到秩 10 时，范数平方未被保留的比例；对照：随机数矩阵",
    },
    "trained accuracy_lost <= 0.015 < images_lost <= 0.2": {
        "en": "test accuracy lost when the update is cut to rank 10; control: projected onto the ten main directions "
        "of the training images",
        "zh": "把更新量截到秩 10 时损失的测试准确率；对照：投影到训练图像的十个主方向上",
    },
    "trained whole_accuracy >= 0.93 > untrained_accuracy": {
        "en": "test accuracy with the whole update; control: without it, the hidden weights untrained",
        "zh": "加上完整更新量时的测试准确率；对照：不加，隐藏层权重未训练",
    },
    "parity shared <= 0 < shared_when_drawn": {
        "en": "test images that are among those trained on; control: 500 images drawn from all",
        "zh": "测试图像中属于训练图像的个数；对照：从全部图像中抽取 500 幅",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "training": "训练",
    "share of the squared norm that is left over": "范数平方所剩的比例",
    "images": "图像",
    "update of the weights": "权重更新量",
    "random numbers": "随机数",
    "images, by columns": "图像，选列",
    "rank": "秩",
    "left over": "所剩比例",
    "four digits, and what is left of them at each rank": "四个数字，以及各个秩下所保留的样子",
    "all": "原图",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
