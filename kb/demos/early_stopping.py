"""Early stopping — a validation set tells when a network starts to learn the noise.

Digits, about two in five labels wrong: 500 to train on, 500 to validate on (as noisy as the training set), the rest,
with its true labels, to test. Two nets that start alike, one at twenty times the learning rate of the other,
learn more and more wrong labels by heart. Each stops when its validation loss has found no new low for 20 epochs, and
goes back to the weights of the last low. No fixed number of epochs suits both, not even the best in hindsight.
For linear regression the reason is exact: t steps of gradient descent from zero keep the share
1 - (1 - rate * s^2)^t of the least-squares weight in a direction of singular value s: small s wait.

Needs:  torch, scikit-learn
Source: L. Prechelt, Early Stopping - But When?, Neural Networks: Tricks of the Trade, 1998; Y. Yao, L.
        Rosasco, A. Caponnetto, On Early Stopping in Gradient Descent Learning, Constructive Approximation 26,
        2007
"""

import copy
import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

NOISE, TRAIN, VALIDATE, PATIENCE, SLOW, FAST = 0.4, 500, 500, 20, 7e-4, 1.4e-2

# %% the concept


class EarlyStopping:
    def __init__(self, patience: int) -> None:
        self.patience, self.lowest, self.epoch, self.kept_at = patience, math.inf, 0, 0
        self.kept: dict[str, Tensor] = {}

    def says_stop(self, validation_loss: float, net: nn.Module) -> bool:
        """Whether to stop after this epoch; the weights of the lowest loss so far are kept."""
        self.epoch += 1
        if validation_loss < self.lowest:
            self.lowest, self.kept_at = validation_loss, self.epoch
            self.kept = copy.deepcopy(net.state_dict())  # a copy: training goes on in the net's own tensors
        return self.epoch - self.kept_at >= self.patience


def stopped_descent(x: Tensor, y: Tensor, rate: float, steps: int) -> Tensor:  # (n, d), (n,) -> (d,)
    """Gradient descent on |x w - y|^2 / 2 from w = 0."""
    w = torch.zeros_like(x[0])
    for _ in range(steps):
        w = w - rate * x.T @ (x @ w - y)
    return w


# %% the experiment


def mistakes(patience: int, generator: torch.Generator) -> int:
    """Of 100 random walks, how many are not stopped and kept where the definition says, for PATIENCE."""
    wrong = 0
    for walk in torch.randn(100, 120, generator=generator).cumsum(1).round(decimals=1).tolist():  # with ties
        stopping, net = EarlyStopping(patience), nn.Linear(1, 1, bias=False)
        for epoch, loss in enumerate(walk, 1):
            nn.init.constant_(net.weight, epoch)  # weights that say which epoch they are of
            if stopping.says_stop(loss, net):
                break
        lows = [walk.index(min(walk[:epoch])) + 1 for epoch in range(1, len(walk) + 1)]  # first of the lowest so far
        stop = next((epoch for epoch, low in enumerate(lows, 1) if epoch - low == PATIENCE), len(walk))
        wrong += (stopping.epoch, stopping.kept["weight"].item()) != (stop, lows[stop - 1])
    return wrong


def filter_gaps(x: Tensor, y: Tensor, rate: float = 1e-4, t: int = 50) -> list[float]:
    """Distance of stopped descent from the closed form, and from ridge of the same strength (f64)."""
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    s = s.clamp(min=1e-9)  # pixels that are always dark
    w = stopped_descent(x, y, rate, t)
    filters = (1 - (1 - rate * s**2) ** t) / s, s / (s**2 + 1 / (rate * t))
    return [float((vh.T @ (f * (u.T @ y)) - w).abs().max()) for f in filters]


def shared(rows: Tensor, others: Tensor) -> int:
    """How many of some images are among others."""
    return len(set(map(tuple, rows.tolist())) & set(map(tuple, others.tolist())))


def run(device="cpu", seed=0, steps=300):
    data, noise, walks = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    images, true = torch.tensor(digits.data).float()[order] / 16, torch.tensor(digits.target)[order]
    others = (true + torch.randint(1, 10, true.shape, generator=noise)) % 10
    labels = torch.where(torch.rand(len(true), generator=noise) < NOISE, others, true)
    train, validate, test = slice(TRAIN), slice(TRAIN, TRAIN + VALIDATE), slice(TRAIN + VALIDATE, None)
    x, x_val, x_test = (images[rows].to(device) for rows in (train, validate, test))
    y, y_val, y_test = labels[train].to(device), labels[validate].to(device), true[test].to(device)

    torch.manual_seed(4 * seed)
    slow = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10)).to(device)
    nets, rates = {"slow": slow, "fast": copy.deepcopy(slow)}, {"slow": SLOW, "fast": FAST}
    optimizers = {name: torch.optim.Adam(net.parameters(), rates[name]) for name, net in nets.items()}
    stoppings, going = {name: EarlyStopping(PATIENCE) for name in nets}, dict.fromkeys(nets, True)

    def accuracy(net: nn.Module) -> float:
        with torch.no_grad():
            return (net(x_test).argmax(1) == y_test).float().mean().item()

    used = {}  # the images that a loss was taken of, by what it was for

    def loss_of(net: nn.Module, images: Tensor, answers: Tensor, part: str) -> Tensor:
        used[part] = images
        return F.cross_entropy(net(images), answers)

    curves = {f"{name}: {part}": [] for name in nets for part in ("training", "validation")}
    accuracies = {name: [] for name in nets}
    for step in range(steps):
        for name, net in nets.items():
            loss = loss_of(net, x, y, "training")
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            with torch.no_grad():
                validation = loss_of(net, x_val, y_val, "validation").item()
            if going[name]:  # one would end the training; it goes on, to show the control
                going[name] = not stoppings[name].says_stop(validation, net)
            curves[f"{name}: training"].append(loss.item())
            curves[f"{name}: validation"].append(validation)
            accuracies[name].append(accuracy(net))
        yield (step + 1) / steps, {name: held[-1] for name, held in curves.items()}

    by_epoch = torch.tensor(list(accuracies.values()))  # (nets, epochs)
    fixed = int(by_epoch.mean(0).argmax())  # the best epoch that both can share: an oracle sees the test
    for name, net in nets.items():
        net.load_state_dict(stoppings[name].kept)
    stopped = torch.tensor([accuracy(net) for net in nets.values()])
    descent, ridge = filter_gaps(x.cpu().double(), (y.cpu() >= 5).double())
    ends = [min(curves["slow: training"]), max(curves["slow: validation"])]
    marks = {"lowest validation loss": stoppings["slow"].kept_at, "stops": stoppings["slow"].epoch}
    lines = {name: (range(1, steps + 1), held) for name, held in curves.items() if name.startswith("slow")}
    return {
        "stopped_accuracy": stopped.mean().item(),
        "last_accuracy": by_epoch[:, -1].mean().item(),
        "stopped_lead": (stopped - by_epoch[:, fixed]).mean().item(),
        "last_lead": (by_epoch[:, -1] - by_epoch[:, fixed]).mean().item(),
        "mistakes": mistakes(PATIENCE, walks),
        "impatient_mistakes": mistakes(PATIENCE - 1, walks),
        "filter_gap": descent,
        "ridge_filter_gap": ridge,
        "shared_images": shared(x_test, torch.cat([*used.values()])),
        "own_images": shared(x_test, x_test),
        "wrong_labels": min((a.cpu() != true[b]).float().mean().item() for a, b in ((y, train), (y_val, validate))),
        "wrong_test_labels": (y_test.cpu() != true[test]).float().mean().item(),
    }, {
        "loss of the slow net": {
            "kind": "lines",
            "series": lines | {name: ([epoch] * 2, ends) for name, epoch in marks.items()},
            "x": "epoch",
            "y": "loss",
        },
        "test accuracy, and the epoch": {
            "kind": "table",
            "columns": ["net", "stopped", "best fixed epoch for both", "last"],
            "rows": [
                [
                    name,
                    f"{stopped[i]:.3f} ({stoppings[name].kept_at})",
                    f"{by_epoch[i, fixed]:.3f} ({fixed + 1})",
                    f"{by_epoch[i, -1]:.3f} ({steps})",
                ]
                for i, name in enumerate(nets)
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "Early stopping by a validation set", "zh": "用验证集早停"}
CURVES = "loss"
CPU_SECONDS = 2
CLAIMS = {
    "trained stopped_accuracy >= 0.81 > last_accuracy": {
        "en": "test accuracy of the epochs chosen by validation loss; the control: chosen by training loss, the last",
        "zh": "验证损失选出的轮次的测试准确率；对照为训练损失最低的轮次，即最后一轮",
    },
    "trained stopped_lead >= 0.03 > last_lead": {
        "en": "lead in test accuracy over the best epoch that both nets can share, picked on the test; control: last",
        "zh": "测试准确率领先两个网络共用的最好轮次（在测试集上挑出）的幅度；对照为最后一轮",
    },
    "parity mistakes <= 0 < impatient_mistakes": {
        "en": "of 100 curves, those not stopped and kept where the definition says; control: one epoch less patient",
        "zh": "100 条曲线中停止或保留的位置不符合定义的条数；对照少等一轮",
    },
    "parity filter_gap <= 1e-10 < ridge_filter_gap": {
        "en": "gradient descent stopped after 50 steps against the closed form; the control is ridge",
        "zh": "梯度下降 50 步后停止的解与闭式解的差距；对照为岭回归",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images that training or validation took a loss of; the control counts those among the test images",
        "zh": "训练或验证时计算过损失的测试图像数；对照数的是测试集自身中的图像",
    },
    "parity wrong_labels >= 0.32 > wrong_test_labels": {
        "en": "share of wrong labels in the training or the validation set, the lesser; the control is the test set",
        "zh": "训练集与验证集中错误标签的比例，取较小者；对照为测试集",
    },
}
ZH = {
    "loss": "损失",
    "epoch": "轮次",
    "slow: training": "慢网络：训练",
    "slow: validation": "慢网络：验证",
    "fast: training": "快网络：训练",
    "fast: validation": "快网络：验证",
    "loss of the slow net": "慢网络的损失",
    "lowest validation loss": "验证损失最低处",
    "stops": "停止",
    "test accuracy, and the epoch": "测试准确率与轮次",
    "net": "网络",
    "slow": "慢",
    "fast": "快",
    "stopped": "早停",
    "best fixed epoch for both": "两者共用的最好轮次",
    "last": "最后一轮",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
