"""Activation functions — what sigmoid, tanh, ReLU, leaky ReLU and softmax compute and pass back.

All are written out, with their slopes. The slope of the sigmoid never exceeds 1/4, so of ten layers the first
gets next to no gradient; ReLU passes slope 1. But for negative inputs ReLU has slope 0: hidden units that
start far below zero (bias -3) are dead, while leaky ReLU lets them come back. Every net is judged at its own
best of five learning rates.

Claim:  after equal training a deep ReLU net reads digits, a deep sigmoid net does not (the usual
        initialization, no normalization); leaky ReLU recovers from dead units, ReLU does not; values and
        slopes are PyTorch's; softmax ignores a common shift; linear layers without a nonlinearity are one
        matrix.
Source: X. Glorot, Y. Bengio, Understanding the Difficulty of Training Deep Feedforward Neural Networks,
        AISTATS 2010; V. Nair, G. Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines, ICML
        2010; A. Maas et al., Rectifier Nonlinearities Improve Neural Network Acoustic Models, 2013 (leaky
        ReLU)
Run:    python kb/demos/activation_functions.py --device cpu --seed 0 --steps 200
"""

from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

TITLE = {"en": "Activation functions: value, slope and depth", "zh": "激活函数：取值、斜率与深度"}
CPU_SECONDS = 4
CLAIMS = {
    "trained relu_accuracy >= 0.49 > sigmoid_accuracy": {
        "en": "test accuracy of a net of ten layers with ReLU; the control has sigmoids, both at best rates",
        "zh": "十层 ReLU 网络的测试准确率；对照为 sigmoid 网络，二者均取最优学习率",
    },
    "trained relu_first_gradient >= 0.19 > sigmoid_first_gradient": {
        "en": "gradient of the first of ten ReLU layers over that of the last, untrained; control: sigmoid",
        "zh": "十层 ReLU 网络训练前首层与末层梯度之比；对照为 sigmoid 网络",
    },
    "trained leaky_accuracy >= 0.43 > dead_relu_accuracy": {
        "en": "test accuracy of leaky ReLU when all units start dead; the control is ReLU",
        "zh": "全部单元初始即失活时 leaky ReLU 的测试准确率；对照为 ReLU",
    },
    "parity function_gap <= 1e-10 < wrong_slope_gap": {
        "en": "gap of values and slopes to PyTorch; the control takes 1 - tanh for the slope of tanh",
        "zh": "函数值和导数与 PyTorch 之差；对照把 tanh 的导数误作 1 - tanh",
    },
    "parity softmax_shift_gap <= 1e-10 < sigmoid_shift_gap": {
        "en": "change of softmax when all logits grow by 3; the control is the sigmoid of the same logits",
        "zh": "所有 logit 同加 3 时 softmax 的变化；对照为同样 logit 的 sigmoid",
    },
    "parity collapse_gap <= 1e-10 < relu_collapse_gap": {
        "en": "five linear layers against the product of their matrices; the control has ReLU in between",
        "zh": "五个线性层与其矩阵乘积之差；对照在层间加入 ReLU",
    },
}


def leaky_slope(x: Tensor) -> Tensor:
    return torch.where(x > 0, torch.ones_like(x), 0.01)


ACTIVATIONS = {  # name: the function, its derivative, PyTorch's twin
    "sigmoid": (lambda x: 1 / (1 + (-x).exp()), lambda x: x.sigmoid() * (1 - x.sigmoid()), torch.sigmoid),
    "tanh": (lambda x: 1 - 2 / ((2 * x).exp() + 1), lambda x: 1 - x.tanh() ** 2, torch.tanh),
    "ReLU": (lambda x: x * (x > 0), lambda x: (x > 0).to(x), F.relu),
    "leaky ReLU": (lambda x: x * leaky_slope(x), leaky_slope, F.leaky_relu),
}
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
DEPTH, WIDTH = 9, 32  # hidden layers and their units


def softmax(x: Tensor) -> Tensor:  # (B, C) -> (B, C)
    e = (x - x.max(-1, keepdim=True).values).exp()  # the shift changes nothing but keeps exp finite
    return e / e.sum(-1, keepdim=True)


class Nets:
    """One net per learning rate, trained side by side: weights (R, D, D')."""

    def __init__(self, name: str, hidden: int, bias: float, generator: torch.Generator, device: str) -> None:
        self.act = ACTIVATIONS[name][0]
        gain = 2**0.5 if "ReLU" in name else 1.0  # He's and Glorot's initialization
        sizes = [64] + [WIDTH] * hidden + [10]
        self.weights, self.biases = [], []
        for m, n in pairwise(sizes):
            weight = gain / m**0.5 * torch.randn(m, n, generator=generator)
            self.weights.append(weight.repeat(len(RATES), 1, 1).to(device).requires_grad_())
            start = bias if n == WIDTH else 0.0
            self.biases.append(torch.full((len(RATES), 1, n), start, device=device).requires_grad_())
        self.momenta = [torch.zeros_like(p) for p in self.weights + self.biases]
        self.rates = torch.tensor(RATES, device=device)[:, None, None]

    def logits(self, x: Tensor) -> Tensor:  # (B, 64) -> (R, B, 10)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = self.act(x @ weight + bias)
        return x @ self.weights[-1] + self.biases[-1]

    def gradients(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        logits, labels = self.logits(x).flatten(0, 1), y.repeat(len(RATES))
        loss = F.cross_entropy(logits, labels) * len(RATES)  # the mean for each net
        return torch.autograd.grad(loss, self.weights + self.biases)

    def step(self, x: Tensor, y: Tensor) -> None:
        gradients = self.gradients(x, y)
        with torch.no_grad():
            for p, m, g in zip(self.weights + self.biases, self.momenta, gradients, strict=True):
                m.mul_(0.9).add_(g)
                p -= self.rates * m

    def accuracy(self, x: Tensor, y: Tensor) -> float:
        with torch.no_grad():
            return (self.logits(x).argmax(-1) == y).float().mean(1).max().item()


def parities() -> dict[str, float]:
    """Values and slopes against torch, the shift of softmax, the collapse of linear layers; in float64."""
    x = torch.linspace(-6, 6, 100, dtype=torch.float64).requires_grad_()  # skips 0, where ReLU has no slope
    generator = torch.Generator().manual_seed(0)
    logits, start, *weights = torch.randn(7, 8, 8, dtype=torch.float64, generator=generator)
    gaps = [softmax(logits) - logits.softmax(-1)]
    for function, slope, twin in ACTIVATIONS.values():
        gaps += [function(x) - twin(x), slope(x.detach()) - torch.autograd.grad(twin(x).sum(), x)[0]]
    linear, bent, product = start, start, torch.eye(8, dtype=torch.float64)
    for weight in weights:
        linear, bent, product = linear @ weight, (bent @ weight).relu(), product @ weight
    tanh = x.detach().tanh()
    differences = {
        "function_gap": torch.cat([gap.flatten() for gap in gaps]),
        "wrong_slope_gap": (1 - tanh) - (1 - tanh**2),
        "softmax_shift_gap": softmax(logits + 3) - softmax(logits),
        "sigmoid_shift_gap": (logits + 3).sigmoid() - logits.sigmoid(),
        "collapse_gap": linear - start @ product,
        "relu_collapse_gap": bent - start @ product,
    }
    return {name: difference.detach().abs().max().item() for name, difference in differences.items()}


def run(device="cpu", seed=0, steps=200):
    digits, data = load_digits(), torch.Generator().manual_seed(seed)
    order = torch.randperm(len(digits.data), generator=data)
    x = torch.tensor(digits.data, dtype=torch.float32)[order].to(device) / 16
    y = torch.tensor(digits.target)[order].to(device)
    x, y, x_test, y_test = x[:1300], y[:1300], x[1300:], y[1300:]
    nets = {
        "sigmoid": Nets("sigmoid", DEPTH, 0.0, data, device),
        "tanh": Nets("tanh", DEPTH, 0.0, data, device),
        "ReLU": Nets("ReLU", DEPTH, 0.0, data, device),
        "ReLU, dead": Nets("ReLU", 1, -3.0, data, device),
        "leaky, dead": Nets("leaky ReLU", 1, -3.0, data, device),
    }
    first_to_last = {}  # gradient that reaches the first layer, as a share of the last one's, before training
    for name in ("sigmoid", "tanh", "ReLU"):
        sizes = [gradient.pow(2).mean().sqrt().item() for gradient in nets[name].gradients(x, y)]
        first_to_last[name] = sizes[0] / sizes[DEPTH]
    for step in range(steps):
        rows = torch.randint(len(x), (64,), generator=data).to(device)
        for net in nets.values():
            net.step(x[rows], y[rows])
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, {name: net.accuracy(x_test, y_test) for name, net in nets.items()}

    accuracy = {name: net.accuracy(x_test, y_test) for name, net in nets.items()}
    xs = torch.linspace(-4, 4, 81)
    values = {name: (xs.tolist(), part[0](xs).tolist()) for name, part in ACTIVATIONS.items()}
    slopes = {name: (xs.tolist(), part[1](xs).tolist()) for name, part in ACTIVATIONS.items()}
    return {
        "relu_accuracy": accuracy["ReLU"],
        "tanh_accuracy": accuracy["tanh"],
        "sigmoid_accuracy": accuracy["sigmoid"],
        "relu_first_gradient": first_to_last["ReLU"],
        "tanh_first_gradient": first_to_last["tanh"],
        "sigmoid_first_gradient": first_to_last["sigmoid"],
        "leaky_accuracy": accuracy["leaky, dead"],
        "dead_relu_accuracy": accuracy["ReLU, dead"],
        **parities(),
    }, {
        "activation functions": {"kind": "lines", "zh": "激活函数", "series": values, "x": "x", "y": "value"},
        "their derivatives": {
            "kind": "lines",
            "zh": "激活函数的导数",
            "series": slopes,
            "x": "x",
            "y": "slope",
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
