"""Batch normalization — a deep net learns at a learning rate at which its plain twin never does.

Two ReLU nets of eight layers read 8x8 digits: same initial weights, mini-batches and SGD with a large
learning rate. One standardizes every unit over the mini-batch (train mode) and keeps running averages of mean
and variance. In eval mode these stand in for the batch, so that a prediction does not depend on the
neighbours of its example.

Claim:  at the large rate only the normalized net learns (at a small one the plain net does too); batches of
        one class are read correctly in eval mode, not in train mode; the layer is torch.nn.BatchNorm1d. The
        paper explains the effect by a smaller internal covariate shift; that is disputed and not tested here.
Source: S. Ioffe, C. Szegedy, Batch Normalization: Accelerating Deep Network Training by Reducing Internal
        Covariate Shift, ICML 2015; S. Santurkar et al., How Does Batch Normalization Help Optimization?, 2018
Run:    python kb/demos/batch_normalization.py --device cpu --seed 0 --steps 200
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {
    "en": "Batch normalization and the learning rate that it permits",
    "zh": "批归一化与它所允许的学习率",
}
CPU_SECONDS = 2
CLAIMS = {
    "trained bn_accuracy >= 0.53 > plain_accuracy": {
        "en": "test accuracy after training at the large rate; the control is the net without normalization",
        "zh": "大学习率训练后的测试准确率；对照为去掉批归一化的同一网络",
    },
    "trained eval_accuracy >= 0.53 > train_mode_accuracy": {
        "en": "accuracy on batches of one class in eval mode; the control leaves the net in train mode",
        "zh": "评估模式下对单一类别批次的准确率；对照为仍处于训练模式的同一网络",
    },
    "parity layer_gap <= 1e-10 < biased_gap": {
        "en": "largest gap to nn.BatchNorm1d, gradients included; the control averages the biased variance",
        "zh": "与 nn.BatchNorm1d 的最大差距（输出、梯度、滑动平均）；对照累积有偏方差",
    },
}

LAYERS, WIDTH, BATCH, LARGE, SMALL = 8, 64, 64, 1.0, 0.05


class BatchNorm(nn.Module):
    def __init__(self, width: int, unbiased: bool = True) -> None:
        super().__init__()
        self.unbiased = unbiased
        self.gain, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:  # (B, D) -> (B, D)
        mean, var = self.mean, self.var
        if self.training:
            mean = x.mean(0)
            var = ((x - mean) ** 2).mean(0)  # divides by B; the running average keeps the one over B - 1
            with torch.no_grad():
                kept = var * len(x) / (len(x) - 1) if self.unbiased else var
                self.mean.lerp_(mean, 0.1)
                self.var.lerp_(kept, 0.1)
        return (x - mean) / (var + 1e-5).sqrt() * self.gain + self.shift


def network(normalize: bool, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    net = nn.Sequential()
    for _ in range(LAYERS - 1):
        net.append(nn.Linear(WIDTH, WIDTH))  # 64 pixels in, 64 units
        nn.init.kaiming_normal_(net[-1].weight, nonlinearity="relu")  # fair to plain: keeps the scale
        nn.init.zeros_(net[-1].bias)
        if normalize:
            net.append(BatchNorm(WIDTH))
        net.append(nn.ReLU())
    return net.append(nn.Linear(WIDTH, 10))


def gap_to_torch(unbiased: bool = True) -> float:
    """Largest difference from nn.BatchNorm1d in three training steps and one evaluation, in float64."""
    generator = torch.Generator().manual_seed(0)
    mine, twin, gaps = BatchNorm(5, unbiased).double(), nn.BatchNorm1d(5).double(), []
    for training in (True, True, True, False):
        x = 3 * torch.randn(8, 5, dtype=torch.float64, generator=generator) + 1
        weight = torch.randn(8, 5, dtype=torch.float64, generator=generator)
        seen = []
        for layer in (mine.train(training), twin.train(training)):
            leaf = x.clone().requires_grad_()
            out = layer(leaf)
            gain, shift, mean, var = (*layer.parameters(), *list(layer.buffers())[:2])
            seen.append((out, *torch.autograd.grad((out * weight).sum(), (leaf, gain, shift)), mean, var))
        gaps += [float((a - b).detach().abs().max()) for a, b in zip(*seen, strict=True)]
    return max(gaps)


def run(device="cpu", seed=0, steps=200):
    digits = load_digits()
    data = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(digits.data), generator=data)
    x = torch.tensor(digits.data, dtype=torch.float32)[order].to(device) / 16
    y = torch.tensor(digits.target)[order].to(device)
    x, y, x_test, y_test = x[:1300], y[:1300], x[1300:], y[1300:]
    nets = {
        "BN": network(True, seed),
        "plain": network(False, seed),
        "plain, small rate": network(False, seed),
    }
    rates = {"BN": LARGE, "plain": LARGE, "plain, small rate": SMALL}
    for net in nets.values():
        net.to(device)

    def accuracy(net: nn.Module, train_mode: bool = False, by_class: bool = False) -> float:
        groups = [y_test == c for c in range(10)] if by_class else [torch.ones_like(y_test, dtype=torch.bool)]
        net.train(train_mode)
        with torch.no_grad():
            right = sum((net(x_test[rows]).argmax(1) == y_test[rows]).sum() for rows in groups)
        net.train()
        return float(right) / len(y_test)

    for step in range(steps):
        rows = torch.randint(len(x), (BATCH,), generator=data).to(device)
        for name, net in nets.items():
            loss = F.cross_entropy(net(x[rows]), y[rows])
            net.zero_grad()
            loss.backward()
            with torch.no_grad():
                for p in net.parameters():
                    p -= rates[name] * p.grad
        if step % 8 == 7 or step == steps - 1:
            yield (step + 1) / steps, {name: accuracy(net) for name, net in nets.items()}

    measured = {
        "bn_accuracy": accuracy(nets["BN"]),
        "plain_accuracy": accuracy(nets["plain"]),
        "plain_small_rate_accuracy": accuracy(nets["plain, small rate"]),
        "eval_accuracy": accuracy(nets["BN"], by_class=True),
        "train_mode_accuracy": accuracy(nets["BN"], train_mode=True, by_class=True),
        "layer_gap": gap_to_torch(),
        "biased_gap": gap_to_torch(unbiased=False),
    }
    return measured, {
        "test accuracy": {
            "kind": "bars",
            "zh": "测试准确率",
            "values": {
                "BN, large rate": measured["bn_accuracy"],
                "plain, large rate": measured["plain_accuracy"],
                "plain, small rate": measured["plain_small_rate_accuracy"],
                "BN, one class a batch, eval": measured["eval_accuracy"],
                "BN, one class a batch, train": measured["train_mode_accuracy"],
            },
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
