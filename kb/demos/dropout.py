"""Dropout — switching units off at random keeps a net from learning wrong labels by heart.

Two equal nets fit 300 digits; 40 % of the labels are redrawn at random. Without dropout the net ends up
repeating every label, right or wrong: it overfits. With dropout every step trains another thinned net, drawn
at random; at test time all units stay on. What that averages is shown on a softmax layer whose 1,024 thinned
versions are written out.

Claim:  after equal training the net with dropout reads clean test digits far better and its generalization
        gap is smaller (stopping the plain net at its best moment would close most of the difference); a
        softmax layer with all units on is exactly the normalized geometric mean of its thinned versions,
        which holds for deeper nets only roughly.
Source: N. Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, JMLR 15, 2014
Run:    python kb/demos/dropout.py --device cpu --seed 0 --steps 200
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Dropout against overfitting to wrong labels", "zh": "Dropout 抑制对错误标签的过拟合"}
CPU_SECONDS = 3
CLAIMS = {
    "trained dropout_accuracy >= 0.76 > plain_accuracy": {
        "en": "accuracy on clean test digits after training on noisy labels; the control has no dropout",
        "zh": "用含噪标签训练后在干净测试集上的准确率；对照不用 Dropout",
    },
    "trained dropout_gap <= 0.34 < plain_gap": {
        "en": "training accuracy minus accuracy on equally noisy test labels; the control has no dropout",
        "zh": "泛化差距：训练准确率减去同样含噪的测试标签上的准确率；对照不用 Dropout",
    },
    "parity ensemble_gap <= 1e-10 < unscaled_gap": {
        "en": "full layer against the geometric mean of its thinned versions; the control omits 1 / (1 - p)",
        "zh": "完整的层与其 1024 个子网络的几何平均之差；对照漏掉 1 / (1 - p)",
    },
}

TRAIN, NOISE, WIDTH = 300, 0.4, 256


class Dropout(nn.Module):
    def __init__(self, p: float, generator: torch.Generator) -> None:
        super().__init__()
        self.p, self.generator = p, generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep = torch.rand(x.shape, generator=self.generator) >= self.p
        return x * keep.to(x.device) / (1 - self.p)  # divided: on average the unit is what it is at test time


def network(p: float, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    noise = torch.Generator().manual_seed(seed)
    return nn.Sequential(
        Dropout(p / 2, noise),
        nn.Linear(64, WIDTH),
        nn.ReLU(),
        Dropout(p, noise),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        Dropout(p, noise),
        nn.Linear(WIDTH, 10),
    )


def ensemble_gap(scale: bool, p: float = 0.5, d: int = 10) -> float:
    """Softmax layer: distance between the full layer and the mean of all 2^d thinned ones, in float64."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(s, dtype=torch.float64, generator=generator) for s in ((d,), (d, 3)))
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * d)  # (2^d, d)
    chance = torch.where(masks == 1, 1 - p, p).prod(1, keepdim=True)  # (2^d, 1)
    thinned = (x * masks / (1 - p if scale else 1)) @ weight
    geometric = (chance * thinned.log_softmax(1)).sum(0).softmax(0)
    return float((geometric - (x @ weight).softmax(0)).abs().max())


def run(device="cpu", seed=0, steps=200):
    digits = load_digits()
    data = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(digits.data), generator=data)
    x = torch.tensor(digits.data, dtype=torch.float32)[order].to(device) / 16
    clean = torch.tensor(digits.target)[order]
    wrong = torch.rand(len(x), generator=data) < NOISE
    noisy = torch.where(wrong, torch.randint(10, clean.shape, generator=data), clean).to(device)
    clean = clean.to(device)
    nets = {"dropout": network(0.5, seed).to(device), "plain": network(0.0, seed).to(device)}
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=1e-3) for name, net in nets.items()}

    train, test = slice(0, TRAIN), slice(TRAIN, None)

    def accuracy(net: nn.Module, labels: Tensor, rows: slice) -> float:
        net.eval()
        with torch.no_grad():
            right = net(x[rows]).argmax(1) == labels[rows]
        net.train()
        return right.float().mean().item()

    curves = {f"{name} {part}": ([], []) for name in nets for part in ("train", "test")}
    for step in range(steps):
        for name, net in nets.items():
            loss = F.cross_entropy(net(x[train]), noisy[train])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        if step % 8 == 7 or step == steps - 1:
            for name, (xs, ys) in curves.items():
                net, on_train = nets[name.split()[0]], name.endswith("train")
                xs.append(step + 1)
                ys.append(accuracy(net, noisy, train) if on_train else accuracy(net, clean, test))
            yield (step + 1) / steps, {name: ys[-1] for name, (_, ys) in curves.items()}

    measured = {}
    for name, net in nets.items():
        measured[f"{name}_accuracy"] = accuracy(net, clean, test)
        measured[f"{name}_train_accuracy"] = accuracy(net, noisy, train)
        measured[f"{name}_gap"] = measured[f"{name}_train_accuracy"] - accuracy(net, noisy, test)
    return {
        **measured,
        "plain_best_accuracy": max(curves["plain test"][1]),  # stopped early by an oracle that sees the test
        "ensemble_gap": ensemble_gap(scale=True),
        "unscaled_gap": ensemble_gap(scale=False),
    }, {
        "accuracy: noisy training labels, clean test labels": {
            "kind": "lines",
            "zh": "准确率：含噪训练标签与干净测试标签",
            "series": curves,
            "x": "step",
            "y": "accuracy",
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
