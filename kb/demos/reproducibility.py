"""Reproducibility — one seed gives one result, to the last bit; the best of 20 seeds gives a number that does not last.

Twenty networks differ in nothing but the seed of their weights and of the draw of their batches. Trained again with its
seed, on the same machine and with the same software, one comes out with the same bits; with one more random number
drawn beforehand it does not. Then accuracies are read off 100 test images. That of the best seed lies well above the
mean of the twenty; on the images that are left over most of that lead is gone, and what stays is real: seeds differ a
little. Its bootstrap interval (the images drawn again with replacement, 500 times) is of the usual width, but
misses its accuracy on the left-over images more often than that of a network named beforehand. What helps is other
images: chosen on 100 and reported on another 100, the number is right on average. From the accuracies on, all are
averages over 400 draws of the test images from digits that no network was trained on; each learned the same 150.

Needs:  torch, scikit-learn
Source: B. Efron, Bootstrap Methods: Another Look at the Jackknife, Annals of Statistics 7, 1979 (the bootstrap);
        X. Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks, MLSys 2021 (seeds)
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

SEEDS, TRAIN, TEST, DRAWS, RESAMPLED, HIDDEN, BATCH, RATE = 20, 150, 100, 400, 500, 32, 15, 0.3

# %% the concept


class Nets:
    """One network per seed, side by side: weights (S, 64, H) and (S, H, 10)."""

    def __init__(self, seeds: list[int], device: str, extra: int = 0) -> None:
        self.streams = [torch.Generator().manual_seed(s) for s in seeds]
        self.parameters = []
        for g in self.streams:
            torch.rand(extra, generator=g)  # somebody else draws from the same stream
        for m, n in ((64, HIDDEN), (HIDDEN, 10)):
            weights = torch.stack([torch.randn(m, n, generator=g) for g in self.streams]) * (2 / m) ** 0.5
            biases = torch.zeros(len(seeds), 1, n)
            self.parameters += [t.to(device).requires_grad_() for t in (weights, biases)]

    def logits(self, x: Tensor) -> Tensor:  # (S, B, 64) -> (S, B, 10)
        w, b, v, c = self.parameters
        return (x @ w + b).relu() @ v + c

    def loss(self, x: Tensor, y: Tensor) -> Tensor:  # (S, B, 64), (S, B) -> (S,)
        return F.cross_entropy(self.logits(x).flatten(0, 1), y.flatten(), reduction="none").view(y.shape).mean(1)

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """One step of SGD, on batches that each network draws from its own stream; the losses before it."""
        rows = torch.stack([torch.randint(len(x), (BATCH,), generator=g) for g in self.streams]).to(x.device)
        losses = self.loss(x[rows], y[rows])
        for p, g in zip(self.parameters, torch.autograd.grad(losses.sum(), self.parameters), strict=True):
            p.data -= RATE * g
        return losses.detach()


def interval(right: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The middle 95 % of the accuracies on images drawn again with replacement: (D, n) -> (D,), (D,)."""
    n = right.shape[1]
    again = [right.gather(1, torch.randint(n, right.shape, generator=generator)).mean(1) for _ in range(RESAMPLED)]
    low, high = torch.stack(again).quantile(torch.tensor([0.025, 0.975], dtype=right.dtype), dim=0)
    return low, high


# %% its control


def best_of(test: Tensor) -> Tensor:
    """The seed that reads the test images best, for each draw of them: (S, D) -> (D,)."""
    return test.argmax(0)


# %% the experiment


def overlap(a: Tensor, b: Tensor) -> int:
    """How many images of a stand in b, added up over the draws: (D, m), (D, n)."""
    return int((a[:, :, None] == b[:, None]).any(2).sum())


def apart(a: Nets, b: Nets) -> tuple[int, float]:
    """How many weights of the first network of each are not the same, and the largest difference."""
    gaps = torch.cat([(p[0] - q[0]).abs().flatten() for p, q in zip(a.parameters, b.parameters, strict=True)])
    return int((gaps != 0).sum()), gaps.max().item()


def gap_to_torch(nets: Nets, x: Tensor, y: Tensor, i: int, j: int) -> float:
    """Largest difference of logits and gradients of network i from nn.Sequential's with the weights of j (f64)."""
    mine = Nets([0], "cpu")
    mine.parameters = [p[i : i + 1].detach().cpu().double().requires_grad_() for p in nets.parameters]
    twin = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10)).double()
    for p, q in zip(twin.parameters(), nets.parameters, strict=True):
        p.data = q[j].detach().cpu().double().T.reshape(p.shape).clone()
    x, y = x.cpu().double(), y.cpu()
    ours = torch.autograd.grad(mine.loss(x[None], y[None]).sum(), mine.parameters)
    theirs = torch.autograd.grad(F.cross_entropy(twin(x), y), [*twin.parameters()])
    gaps = [(a[0].T.view(b.shape) - b).abs().max().item() for a, b in zip(ours, theirs, strict=True)]
    return max(*gaps, (mine.logits(x[None])[0] - twin(x)).abs().max().item())


def run(device="cpu", seed=0, steps=150):
    data, draws, resampled = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    images, labels = torch.tensor(digits.data, dtype=torch.float32)[order] / 16, torch.tensor(digits.target)[order]
    x, held, y, held_y = (t[part].to(device) for t in (images, labels) for part in (slice(TRAIN), slice(TRAIN, None)))
    seeds = [10**6 + SEEDS * seed + i for i in range(SEEDS)]
    nets, first, again, later = (
        Nets(of, device, extra) for of, extra in ((seeds, 0), *[(seeds[:1], k) for k in (0, 0, 1)])
    )
    for step in range(steps):
        losses = nets.step(x, y)
        for one in (first, again, later):
            one.step(x, y)
        yield (step + 1) / steps, {"mean of the seeds": losses.mean().item(), "lowest loss": losses.min().item()}

    with torch.no_grad():
        right = (nets.logits(held.expand(SEEDS, -1, -1)).argmax(2) == held_y).cpu().double()  # (S, P)
    rows = torch.stack([torch.randperm(right.shape[1], generator=draws) for _ in range(DRAWS)])
    parts = rows[:, :TEST], rows[:, TEST : 2 * TEST], rows[:, 2 * TEST :]
    test, other, rest = (right[:, part].mean(2) for part in parts)  # accuracies: (S, D)
    best, named, d = best_of(test), torch.arange(DRAWS) % SEEDS, torch.arange(DRAWS)
    covered, wide = {}, {}
    for name, chosen in (("named", named), ("best", best)):
        low, high = interval(right[chosen[:, None], parts[0]], resampled)
        covered[name] = ((low <= rest[chosen, d]) & (rest[chosen, d] <= high)).double().mean().item()
        p = test[chosen, d]
        wide[name] = (high - low).mean().item() / (2 * (p * (1 - p) / TEST).sqrt()).mean().item()  # half, std errors
    lead = {name: (of[best, d] - of.mean(0)).mean().item() for name, of in (("test", test), ("rest", rest))}
    order, places = test.argsort(0, descending=True), list(range(1, SEEDS + 1))
    sorted_by_test = {name: of.gather(0, order) for name, of in (("on the test images", test), ("on the rest", rest))}
    known = (held[:, None] == x).all(-1).any(1).sum().item()
    anew = torch.randint(right.shape[1], (DRAWS, TEST), generator=draws)
    return {
        "differing": apart(first, again)[0],
        "differing_later": apart(first, later)[0],
        "beside_gap": apart(first, nets)[1],
        "later_gap": apart(first, later)[1],
        "best_lead": lead["test"],
        "rest_lead": lead["rest"],
        "other_bias": abs((other[best, d] - rest[best, d]).mean().item()),
        "same_bias": abs((test[best, d] - rest[best, d]).mean().item()),
        "named_covered": covered["named"],
        "best_covered": covered["best"],
        "width_gap": max(abs(w / 1.96 - 1) for w in wide.values()),
        "width_gap_90": min(abs(w / 1.645 - 1) for w in wide.values()),
        "gap": max(gap_to_torch(nets, held[:50], held_y[:50], i, i) for i in range(SEEDS)),
        "other_seed_gap": min(gap_to_torch(nets, held[:50], held_y[:50], i, i - 1) for i in range(SEEDS)),
        "shared": known + overlap(parts[0], parts[1]) + overlap(parts[0], parts[2]) + overlap(parts[1], parts[2]),
        "shared_when_drawn": overlap(anew, parts[1]),
    }, {
        "accuracy of twenty seeds, sorted by the test images": {
            "kind": "lines",
            "series": {name: (places, of.mean(1).tolist()) for name, of in sorted_by_test.items()},
            "x": "place on the test images",
            "y": "accuracy, mean of all draws",
        },
    }


# %% what is claimed

TITLE = {"en": "One seed repeats; the best of twenty does not", "zh": "同一种子能复现，二十个里的最好成绩却不能"}
CURVES = "cross-entropy"
CPU_SECONDS = 1
CLAIMS = {
    "parity differing <= 0 < differing_later": {
        "en": "numbers that differ between the weights of two trainings with one seed; control: one more random number "
        "is drawn beforehand",
        "zh": "以同一随机种子训练两次，权重中不相同的数的个数；对照：事先多抽一个随机数",
    },
    "parity beside_gap <= 0.001 < later_gap": {
        "en": "largest difference of a network's weights, trained beside nineteen others, from trained alone; control: "
        "one more random number is drawn beforehand",
        "zh": "同一网络与另外十九个并排训练和单独训练所得权重的最大差距；对照：事先多抽一个随机数",
    },
    "trained best_lead >= 0.025 > rest_lead": {
        "en": "by how much the accuracy of the best of 20 seeds exceeds their mean, on the 100 images that chose it; "
        "control: on the rest",
        "zh": "20 个种子中最好者的准确率高出均值多少，在用来挑选它的 100 幅图像上；对照：在其余图像上",
    },
    "trained named_covered >= 0.88 > best_covered >= 0.6": {
        "en": "how often the 95 % bootstrap interval holds the accuracy on the rest, for a seed named beforehand; "
        "control: for the best of 20",
        "zh": "95% 自助法区间包含其余图像上准确率的频率，种子事先指定；对照：20 个里最好的种子",
    },
    "trained width_gap <= 0.04 < width_gap_90": {
        "en": "by what share the mean width of these intervals is off that of accuracy ± 1.96 standard errors; "
        "control: ± 1.645, for 90 %",
        "zh": "这些区间的平均宽度与“准确率 ± 1.96 个标准误”的宽度相差的比例；对照：± 1.645（90%）",
    },
    "trained other_bias <= 0.005 < same_bias": {
        "en": "how far the best seed's mean accuracy on another 100 images lies from its mean accuracy on the rest; "
        "control: on those that chose it",
        "zh": "最好种子在另外 100 幅图像上的平均准确率与在其余图像上的平均准确率相差多少；对照：在挑选它的图像上",
    },
    "parity gap <= 1e-10 < other_seed_gap": {
        "en": "largest gap of logits and gradients of the trained networks to nn.Sequential (f64); control: with the "
        "weights of another seed",
        "zh": "训练后各网络的 logit 与梯度同 nn.Sequential 的最大差距（f64）；对照：换用另一个种子的权重",
    },
    "parity shared <= 0 < shared_when_drawn": {
        "en": "images in two of the parts (training, choosing, reporting, the rest), added up over the draws; "
        "control: drawn independently",
        "zh": "同时属于训练、挑选、报告与其余四部分中两部分的图像数，各次抽取合计；对照：各自独立抽取",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "mean of the seeds": "各种子的均值",
    "lowest loss": "最低的损失",
    "accuracy of twenty seeds, sorted by the test images": "二十个种子的准确率，按测试图像上的名次排列",
    "on the test images": "在测试图像上",
    "on the rest": "在其余图像上",
    "place on the test images": "测试图像上的名次",
    "accuracy, mean of all draws": "准确率，各次抽取的均值",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
