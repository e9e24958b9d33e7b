"""Dropout — switching units off at random keeps a net from learning wrong labels by heart.

Two equal nets fit 300 digits for 200 steps; 40 % of the labels are redrawn at random. Without dropout the net ends up
repeating every label, right or wrong: it overfits. With dropout every image of a step trains another thinned net,
drawn at random; at test time all units stay on, which for a softmax layer is exactly the normalized geometric mean
of all its thinned versions (for deeper nets only roughly). Two rivals are in the table: the plain net at its
best moment, which an oracle picks on the test digits, comes close, and so does the nearest mean image. A lower
learning rate, which leaves the plain net on its way, helps it too.

Needs:  torch, scikit-learn
Source: N. Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, JMLR 15, 2014
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

P, TRAIN, NOISE, WIDTH, UNITS = 0.5, 300, 0.4, 256, 10

# %% the concept


class Dropout(nn.Module):
    def __init__(self, p: float, generator: torch.Generator) -> None:
        super().__init__()
        self.p, self.generator = p, generator

    def thin(self, x: Tensor, keep: Tensor) -> Tensor:
        return x * keep / (1 - self.p)  # E[keep] = 1 - p: on average a unit is what it is at test time

    def forward(self, x: Tensor) -> Tensor:  # any shape; every number is switched off by itself
        if not self.training:
            return x
        keep = torch.empty(x.shape).bernoulli_(1 - self.p, generator=self.generator)
        return self.thin(x, keep.to(x))


def network(p: float, generator: torch.Generator) -> nn.Sequential:  # (B, 64) -> (B, 10)
    return nn.Sequential(
        *(Dropout(p / 2, generator), nn.Linear(64, WIDTH), nn.ReLU()),
        *(Dropout(p, generator), nn.Linear(WIDTH, WIDTH), nn.ReLU()),
        *(Dropout(p, generator), nn.Linear(WIDTH, 10)),
    )


# %% the experiment


def gap_to_torch(net: nn.Module, x: Tensor, seed: int, other: int) -> float:
    """Largest gap to a net of nn.Dropout, in training and in use, in outputs and gradients (f64).

    The two draw their masks from equal seeds; from unequal ones, they differ.
    """
    masks, gaps = torch.Generator(), []
    mine = network(P, masks).double()
    mine.load_state_dict(net.state_dict())
    twin = nn.Sequential(*(nn.Dropout(m.p) if isinstance(m, Dropout) else m for m in mine))
    leaf = x.cpu().double().requires_grad_()
    weighted, knobs = torch.linspace(-1, 1, 10, dtype=torch.float64), [leaf, *mine.parameters()]
    for training in (True, False):
        masks.manual_seed(seed)
        torch.manual_seed(other)  # what nn.Dropout draws from
        outputs = [model.train(training)(leaf) for model in (mine, twin)]
        seen = [(o, *torch.autograd.grad((o * weighted).sum(), knobs, materialize_grads=True)) for o in outputs]
        gaps += [(a - b).abs().max().item() for a, b in zip(*seen, strict=True)]
    return max(gaps)


def ensemble_gap(p: float, layer: Dropout, generator: torch.Generator) -> float:
    """Softmax layer with all units on, against the geometric mean of its 2^UNITS thinned versions (f64)."""
    x, weight = (torch.randn(s, dtype=torch.float64, generator=generator) for s in ((UNITS,), (UNITS, 3)))
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * UNITS)  # (2^UNITS, UNITS)
    chance = torch.where(masks == 1, 1 - p, p).prod(1, keepdim=True)  # (2^UNITS, 1)
    thinned = layer.thin(x, masks) @ weight
    geometric = (chance * thinned.log_softmax(1)).sum(0).softmax(0)
    return float((geometric - (x @ weight).softmax(0)).abs().max())


def shared(rows: Tensor, others: Tensor) -> int:
    """How many of some images are among others."""
    return len(set(map(tuple, rows.tolist())) & set(map(tuple, others.tolist())))


def learn(net: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> Tensor:
    """One step of training; gives back the labels that it taught."""
    loss = F.cross_entropy(net(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return labels


def run(device="cpu", seed=0, steps=200):
    data, noise, masks = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    x, clean = torch.tensor(digits.data).float()[order] / 16, torch.tensor(digits.target)[order]
    redrawn = torch.rand(len(x), generator=noise) < NOISE
    noisy = torch.where(redrawn, torch.randint(10, clean.shape, generator=noise), clean)
    x, clean, noisy = (t.to(device) for t in (x, clean, noisy))
    x, x_test, y, noisy_test, y_test = x[:TRAIN], x[TRAIN:], noisy[:TRAIN], noisy[TRAIN:], clean[TRAIN:]
    nets = {}
    for name, p in {"dropout": P, "plain": 0.0}.items():
        torch.manual_seed(4 * seed)  # both start from the same weights
        nets[name] = network(p, masks).to(device)
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=1e-3) for name, net in nets.items()}

    def accuracy(net: nn.Module, images: Tensor, labels: Tensor) -> float:
        net.eval()
        with torch.no_grad():
            right = net(images).argmax(1) == labels
        net.train()
        return right.float().mean().item()

    parts = {"noisy training labels": (x, y), "clean test labels": (x_test, y_test)}
    names = [f"{name}: {part}" for name in nets for part in parts]
    at, seen = [], []
    for step in range(steps):
        taught = [learn(net, optimizers[name], x, y) for name, net in nets.items()]
        if step % 8 == 7 or step == steps - 1:
            at.append(step + 1)
            seen.append([accuracy(net, *held) for net in nets.values() for held in parts.values()])
            yield (step + 1) / steps, dict(zip(names, seen[-1], strict=True))

    means = torch.stack([x[y == c].mean(0) for c in range(10)])
    cheap = [(torch.cdist(a, means).argmin(1) == b).float().mean().item() for a, b in parts.values()]
    train, test, plain_train, plain_test = seen[-1]
    layers = Dropout(P, masks), Dropout(0.0, masks)
    ensembles = [ensemble_gap(P, layer, torch.Generator().manual_seed(4 * seed + 1)) for layer in layers]
    return {
        "dropout_accuracy": test,
        "plain_accuracy": plain_test,
        "dropout_gap": train - accuracy(nets["dropout"], x_test, noisy_test),
        "plain_gap": plain_train - accuracy(nets["plain"], x_test, noisy_test),
        "net_gap": gap_to_torch(nets["dropout"], x[:16], seed, seed),
        "other_masks_gap": gap_to_torch(nets["dropout"], x[:16], seed, seed + 1),
        "ensemble_gap": ensembles[0],
        "unscaled_gap": ensembles[1],
        "shared_images": shared(x_test, x),
        "own_images": shared(x_test, x_test),
        "wrong_labels": min((labels != clean[:TRAIN]).float().mean().item() for labels in taught),
        "wrong_test_labels": (y_test != clean[TRAIN:]).float().mean().item(),
    }, {
        "accuracy while training": {
            "kind": "lines",
            "series": {name: (at, list(ys)) for name, ys in zip(names, zip(*seen, strict=True), strict=True)},
            "x": "step",
            "y": "accuracy",
        },
        "accuracy of four readers": {
            "kind": "table",
            "columns": ["reader", *parts],
            "rows": [
                ["net with dropout", train, test],
                ["plain net", plain_train, plain_test],
                ["plain net, at its best on the test", *max((row[2:] for row in seen), key=lambda row: row[1])],
                ["nearest mean image", *cheap],
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "Dropout against overfitting to wrong labels", "zh": "Dropout 抑制对错误标签的过拟合"}
CURVES = "accuracy"
CPU_SECONDS = 2
CLAIMS = {
    "trained dropout_accuracy >= 0.8 > plain_accuracy >= 0.5": {
        "en": "accuracy on clean test digits after training on noisy labels; the control has no dropout",
        "zh": "用含噪标签训练后在干净测试集上的准确率；对照不用 Dropout",
    },
    "trained dropout_gap <= 0.2 < plain_gap": {
        "en": "training accuracy minus accuracy on equally noisy test labels; the control has no dropout",
        "zh": "泛化差距：训练准确率减去同样含噪的测试标签上的准确率；对照不用 Dropout",
    },
    "parity net_gap <= 1e-10 < other_masks_gap": {
        "en": "trained net against one of nn.Dropout, outputs and gradients (f64); the control draws other masks",
        "zh": "训练好的网络与换用 nn.Dropout 的同一网络在输出和梯度上的差距（f64）；对照抽取了不同的掩码",
    },
    "parity ensemble_gap <= 1e-10 < unscaled_gap": {
        "en": "full layer against the geometric mean of its thinned versions; the control omits 1 / (1 - p)",
        "zh": "完整的层与其 1024 个子网络的几何平均之差；对照漏掉 1 / (1 - p)",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images that are among the training images; the control counts those among the test images",
        "zh": "同时出现在训练集中的测试图像数；对照数的是测试集自身中的图像",
    },
    "parity wrong_labels >= 0.28 > wrong_test_labels": {
        "en": "share of wrong labels among those that both nets were taught; the control is the test set",
        "zh": "两个网络训练时所用标签的错误比例；对照为测试集",
    },
}
ZH = {
    "accuracy": "准确率",
    "step": "步",
    "dropout: noisy training labels": "Dropout：含噪训练标签",
    "dropout: clean test labels": "Dropout：干净测试标签",
    "plain: noisy training labels": "普通网络：含噪训练标签",
    "plain: clean test labels": "普通网络：干净测试标签",
    "accuracy while training": "训练过程中的准确率",
    "accuracy of four readers": "四种分类器的准确率",
    "reader": "分类器",
    "noisy training labels": "含噪训练标签",
    "clean test labels": "干净测试标签",
    "net with dropout": "带 Dropout 的网络",
    "plain net": "普通网络",
    "plain net, at its best on the test": "普通网络，取测试最好的时刻",
    "nearest mean image": "最近平均图像",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
