"""Model cascade — a small model answers what it is sure of and hands on the rest: nearly the large one's accuracy.

The small model is a softmax regression that reads a digit with 640 products; the large one finds the nearest of 900
stored images, with 57,600. The small one is unsure where its first guess is little ahead of its second (the margin).
The threshold hands on a fifth of 300 images kept apart, and so about a fifth of the test images. Most of the accuracy
between the two models is won for less than a quarter of the products, those of matrices, counted as they are done.
Controls: as many images handed on by the digit that the small model says, first those digits that it most often says
wrongly of the images kept apart; and at random (in the figure). A cascade is not the only way to save: for as many
products the large model on a few principal components wins much of it too (a curve there). Means over six divisions.

Needs:  torch, scikit-learn
Source: P. Viola, M. Jones, Rapid Object Detection using a Boosted Cascade of Simple Features, CVPR 2001 (cascades);
        L. Chen et al., FrugalGPT, arXiv 2305.05176, 2023 (of language models)
"""

from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

CLASSES, TRAIN, APART, SHARE, DIVISIONS, RATE = 10, 900, 300, 0.2, 6, 1e-2
COMPONENTS = (8, 10, 12, 16, 24, 40)
Model = Callable[[Tensor], Tensor]

# %% the concept


def margin(p: Tensor) -> Tensor:
    """How far the first guess is ahead of the second: (n, c) -> (n,)."""
    first, second = p.topk(2, dim=1).values.unbind(1)
    return first - second


def cascade(x: Tensor, small: Model, large: Model, threshold: float) -> tuple[Tensor, Tensor]:
    """The answers, and which of them the large model gave: (n, d) -> (n,), (n,)."""
    p = small(x)
    answers, unsure = p.argmax(1), margin(p) < threshold
    answers[unsure] = large(x[unsure]).argmax(1)  # it sees these alone
    return answers, unsure


# %% its control


def error_rate(p: Tensor, kept: Tensor, wrong: Tensor) -> Tensor:
    """How often the digit that is said now was wrong on the images kept apart: (n, c), (m, c), (m,) -> (n,)."""
    said = F.one_hot(kept.argmax(1), CLASSES).to(p)
    rate = said.mT @ wrong.to(p) / said.sum(0).clamp(min=1)
    return rate[p.argmax(1)]


def chosen(score: Tensor, count: int) -> Tensor:
    """The `count` highest: (n,) -> (n,), bool."""
    return torch.zeros_like(score, dtype=torch.bool).index_fill_(
        0, score.argsort(descending=True, stable=True)[:count], True
    )


# %% the experiment


def nearest(store: Tensor, label: Tensor) -> Model:
    """The label of the nearest stored image; of two as near, the first."""

    def answer(x: Tensor) -> Tensor:  # (n, d) -> (n, c)
        squared = x.square().sum(1)[:, None] + store.square().sum(1) - 2 * x @ store.mT
        return F.one_hot(label[squared.argmin(1)], CLASSES)

    return answer


def trained(net: nn.Module, x: Tensor, y: Tensor, steps: int) -> Model:
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    return lambda x: net(x).softmax(1).detach()


def products(ask: Callable[[], object]) -> int:
    """How many products its matrix products take, counted by torch."""
    with FlopCounterMode(display=False) as counter:
        ask()
    return counter.get_total_flops() // 2  # each with a sum


def one_by_one(x: Tensor, small: Model, large: Model, threshold: float) -> list[int]:
    """What the cascade should answer, image by image."""
    answers = []
    for row in x.split(1):
        p = small(row)[0].tolist()
        second, first = sorted(p)[-2:]
        answers.append(p.index(first) if first - second >= threshold else int(large(row).argmax()))
    return answers


def division(x: Tensor, y: Tensor, seed: int, steps: int) -> dict[str, Tensor]:
    """Which test images each way gets right, and what the parity claims ask."""
    sizes, order = [TRAIN, APART, len(x) - TRAIN - APART], torch.Generator().manual_seed(2 * seed)
    parts = torch.randperm(len(x), generator=order).to(x.device).split(sizes)
    (stored, kept, test), (stored_label, kept_label, label) = ([t[part] for part in parts] for t in (x, y))
    torch.manual_seed(2 * seed + 1)
    small, large = trained(nn.Linear(64, CLASSES).to(x), stored, stored_label, steps), nearest(stored, stored_label)
    threshold = margin(small(kept)).quantile(SHARE).item()
    answers, handed = cascade(test, small, large, threshold)
    asked = [products(lambda t=t: cascade(test, small, large, t)) for t in (threshold, 2.0)]  # 2: all images

    p, voted, known = small(test), large(test).argmax(1), small(kept)
    rate = error_rate(p, known, known.argmax(1) != kept_label)
    axes = torch.linalg.svd(stored - stored.mean(0), full_matrices=False)[2].mT
    few = [nearest(stored @ a, stored_label)(test @ a).argmax(1) == label for a in (axes[:, :d] for d in COMPONENTS)]

    def curve(score: Tensor) -> Tensor:
        ways = [torch.where(chosen(score, len(p) * k // 20), voted, p.argmax(1)) for k in range(21)]
        return (torch.stack(ways) == label).float().mean(1)

    said = torch.tensor(one_by_one(test, small, large, threshold)).to(label)
    return {
        "small": p.argmax(1) == label,
        "large": voted == label,
        "cascade": answers == label,
        "by the digit": torch.where(chosen(rate, int(handed.sum())), voted, p.argmax(1)) == label,
        "cost": torch.tensor(asked) / products(lambda: large(test)),
        "curves": torch.stack([curve(-margin(p)), curve(rate)]),
        "few": torch.stack(few),
        "unlike": torch.stack([(answers != said).sum(), (p.argmax(1) != said).sum()]),
        "known": torch.stack([(torch.cdist(test, rows).amin(1) < 1e-3).sum() for rows in (stored, x)]),
    }


def run(device="cpu", seed=0, steps=200):
    digits, found = load_digits(), []
    x, y = torch.tensor(digits.data / 16).float().to(device), torch.tensor(digits.target).to(device)
    for k in range(DIVISIONS):
        found.append(division(x, y, DIVISIONS * seed + k, steps))
        mean = {n: torch.stack([one[n].cpu().double() for one in found]).mean(0) for n in found[0]}
        right = {n: mean[n].mean().item() for n in ("small", "large", "cascade", "by the digit")}
        yield (k + 1) / DIVISIONS, {"small": right["small"], "large": right["large"], "cascade": right["cascade"]}

    gain = right["large"] - right["small"]
    fixed = CLASSES / TRAIN  # the small model's share: 64 * CLASSES products of 64 * TRAIN
    costs, by_margin, by_digit = [fixed + k / 20 for k in range(21)], *mean["curves"].tolist()
    thin = [d * (TRAIN + 64) / (64 * TRAIN) for d in COMPONENTS], mean["few"].mean(1).tolist()
    return {
        "closed": (right["cascade"] - right["small"]) / gain,
        "table_closed": (right["by the digit"] - right["small"]) / gain,
        "cost": mean["cost"][0].item(),
        "all_cost": mean["cost"][1].item(),
        "large_right": right["large"],
        "small_right": right["small"],
        "unlike": mean["unlike"][0].item(),
        "small_unlike": mean["unlike"][1].item(),
        "known": mean["known"][0].item(),
        "all_known": mean["known"][1].item(),
    }, {
        "accuracy for the cost": {
            "kind": "lines",
            "series": {
                "handed on by margin": (costs, by_margin),
                "by the digit that it says": (costs, by_digit),
                "handed on at random": ([costs[0], costs[-1]], [right["small"], right["large"]]),
                "large model, few components": thin,
            },
            "x": "products, as a share of the large model's",
            "y": "accuracy",
        },
    }


# %% what is claimed

TITLE = {"en": "A small model asks a large one when unsure", "zh": "小模型没把握时请教大模型"}
CURVES = "accuracy"
CPU_SECONDS = 3
CLAIMS = {
    "trained closed >= 0.85 > table_closed >= 0.25": {
        "en": "share won of the accuracy between the two models; control: as many handed on by the digit that is said",
        "zh": "级联补回的准确率，占两个模型之差的比例；对照：按小模型所答的数字转交同样多的图像",
    },
    "trained cost <= 0.25 < all_cost": {
        "en": "products of the cascade's matrices, counted, as a share of the large model's; control: all handed on",
        "zh": "级联在矩阵乘法中实际做的乘法次数，占大模型的比例；对照：每张图像都转交",
    },
    "trained large_right >= 0.97 > small_right >= 0.92": {
        "en": "share of the test images that the large model gets right; control: the small one",
        "zh": "大模型在测试图像上的准确率；对照：小模型",
    },
    "parity unlike <= 0 < small_unlike": {
        "en": "test answers unlike those found image by image; control: the small model's own",
        "zh": "与逐张图像求得的回答不同的个数；对照：小模型自己的回答",
    },
    "parity known <= 0 < all_known": {
        "en": "test images that are also stored; control: where all images are",
        "zh": "测试图像中也在所存图像里的个数；对照：存下全部图像",
    },
}
ZH = {
    "accuracy": "准确率",
    "small": "小模型",
    "large": "大模型",
    "cascade": "级联",
    "accuracy for the cost": "代价与准确率",
    "handed on by margin": "按间隔转交",
    "handed on at random": "随机转交",
    "by the digit that it says": "按所答数字转交",
    "large model, few components": "大模型，少数主成分",
    "products, as a share of the large model's": "乘法次数，占大模型的比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
