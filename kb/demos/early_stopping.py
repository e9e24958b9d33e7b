"""Early stopping — a validation set tells when a network starts to learn the noise.

Digits, two in five labels wrong: 300 to train on, 300 to validate on (as noisy as the training set), the
rest, with its true labels, to test once at the end. The network is large enough to learn the wrong labels by
heart. It stops when the validation loss has found no new low for 20 epochs, and goes back to the weights of
the last low.

Claim:  these weights are far better on the test set than those that the training loss would choose, the last
        ones. For linear regression the reason is exact: t steps of gradient descent from zero keep the share
        1 - (1 - rate * s^2)^t of the least-squares weight in a direction of singular value s: small s wait.
Source: L. Prechelt, Early Stopping - But When?, Neural Networks: Tricks of the Trade, 1998; Y. Yao, L.
        Rosasco, A. Caponnetto, On Early Stopping in Gradient Descent Learning, Constructive Approximation 26,
        2007
Run:    python kb/demos/early_stopping.py --device cpu --seed 0 --steps 200
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Early stopping by a validation set", "zh": "用验证集早停"}
CPU_SECONDS = 1
CLAIMS = {
    "trained stopped_accuracy >= 0.71 > last_accuracy": {
        "en": "test accuracy of the epoch chosen by validation loss; the control: chosen by training loss",
        "zh": "验证集选出的轮次的测试准确率；对照为训练损失最低的轮次",
    },
    "parity filter_gap <= 1e-10 < ridge_filter_gap": {
        "en": "gradient descent stopped after 50 steps against the closed form; the control is ridge",
        "zh": "梯度下降 50 步后停止的解与闭式解的差距；对照为岭回归",
    },
}

NOISE, TRAIN, VALIDATE, PATIENCE = 0.4, 300, 300, 20


def split(seed: int) -> list[tuple[Tensor, Tensor]]:
    """Images and labels to train on, to validate on and to test on; only the test labels are all right."""
    data = torch.Generator().manual_seed(seed)
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    x, y = torch.tensor(digits.data).float()[order] / 16, torch.tensor(digits.target)[order]
    wrong = torch.rand(len(y), generator=data) < NOISE
    wrong[TRAIN + VALIDATE :] = False
    y = torch.where(wrong, (y + torch.randint(1, 10, y.shape, generator=data)) % 10, y)
    sizes = [TRAIN, VALIDATE, len(x) - TRAIN - VALIDATE]
    return list(zip(x.split(sizes), y.split(sizes), strict=True))


def stopped_descent(x: Tensor, y: Tensor, rate: float, steps: int) -> Tensor:
    """Gradient descent on |x w - y|^2 / 2 from w = 0."""
    w = torch.zeros_like(x[0])
    for _ in range(steps):
        w = w - rate * x.T @ (x @ w - y)
    return w


def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return (net(x).argmax(-1) == y).float().mean().item()


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(seed)
    (x, y), (x_val, y_val), (x_test, y_test) = ((x.to(device), y.to(device)) for x, y in split(seed))
    net = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 10)).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    best, stop, kept = float("inf"), 0, net
    for step in range(steps):
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            validation = F.cross_entropy(net(x_val), y_val).item()
        if validation < best and step - stop <= PATIENCE:  # one would stop for good once this fails; we go
            best, stop, kept = validation, step, copy.deepcopy(net)  # on training to show the control
        if step % 5 == 4 or step == steps - 1:
            yield (step + 1) / steps, {"training loss": loss.item(), "validation loss": validation}

    x, y, rate, t = x.cpu().double(), (y.cpu() >= 5).double(), 1e-4, 50
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    s = s.clamp(min=1e-9)  # pixels that are always dark
    filters = {"descent": (1 - (1 - rate * s**2) ** t) / s, "ridge": s / (s**2 + 1 / (rate * t))}
    gaps = {
        name: float((vh.T @ (f * (u.T @ y)) - stopped_descent(x, y, rate, t)).abs().max())
        for name, f in filters.items()
    }
    return {
        "stopped_accuracy": accuracy(kept, x_test, y_test),
        "last_accuracy": accuracy(net, x_test, y_test),
        "stopped_epoch": stop + 1.0,
        "filter_gap": gaps["descent"],
        "ridge_filter_gap": gaps["ridge"],
    }, {
        "what each direction keeps of its least-squares weight": {
            "kind": "lines",
            "zh": "各主方向保留的最小二乘权重比例",
            "series": {name: (s.tolist(), (f * s).tolist()) for name, f in filters.items()},
            "x": "singular value",
            "y": "share",
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
