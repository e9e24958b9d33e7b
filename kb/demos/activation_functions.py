"""Activation functions — what sigmoid, tanh, ReLU, leaky ReLU and softmax compute and pass back.

All are written out, all but softmax with their slopes. The slope of the sigmoid never exceeds 1/4, so of ten layers the
first gets next to no gradient; ReLU passes slope 1. But for negative inputs ReLU has slope 0: hidden units that start
far below zero (bias -3) are dead, while leaky ReLU lets them come back. The nets are trained on digits for the same
number of steps, with the usual initialization and no normalization, each at that of five learning rates which fits the
training digits best.

Needs:  torch, scikit-learn
Source: X. Glorot, Y. Bengio, Understanding the Difficulty of Training Deep Feedforward Neural Networks,
        AISTATS 2010; V. Nair, G. Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines, ICML
        2010; A. Maas et al., Rectifier Nonlinearities Improve Neural Network Acoustic Models, 2013 (leaky
        ReLU)
"""

from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

LEAK = 0.1  # the slope of leaky ReLU below zero; often 0.01, where a picture would not show it
DEPTH, WIDTH, TRAIN, BATCH = 9, 32, 1300, 64  # hidden layers and their units
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)

# %% the concept


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def tanh(x: Tensor) -> Tensor:
    return 1 - 2 / ((2 * x).exp() + 1)


def relu(x: Tensor) -> Tensor:
    return x * (x > 0)


def leaky_relu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, LEAK * x)


def softmax(x: Tensor) -> Tensor:  # (B, C) -> (B, C)
    e = (x - x.max(-1, keepdim=True).values).exp()  # the shift changes nothing but keeps exp finite
    return e / e.sum(-1, keepdim=True)  # p_i = exp(x_i) / sum_j exp(x_j)


SLOPES = {  # what the backward pass multiplies by
    sigmoid: lambda x: sigmoid(x) * (1 - sigmoid(x)),  # at most 1/4
    tanh: lambda x: 1 - tanh(x) ** 2,  # at most 1
    relu: lambda x: (x > 0).to(x),  # 1 or 0
    leaky_relu: lambda x: torch.where(x > 0, torch.ones_like(x), LEAK),  # never 0
}

# %% the experiment

MODULES = {sigmoid: nn.Sigmoid(), tanh: nn.Tanh(), relu: nn.ReLU(), leaky_relu: nn.LeakyReLU(LEAK)}
NAMES = {leaky_relu: "leaky ReLU", relu: "ReLU", tanh: "tanh", sigmoid: "sigmoid"}


class Nets:
    """One net per learning rate, trained side by side: weights (R, D, D')."""

    def __init__(self, act, hidden: int, bias: float, generator: torch.Generator, device: str) -> None:
        self.act = act
        gain = 2**0.5 if act in (relu, leaky_relu) else 1.0  # He's initialization; for the others LeCun's
        self.weights, self.biases = [], []
        for m, n in pairwise([64] + [WIDTH] * hidden + [10]):
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

    def losses(self, x: Tensor, y: Tensor) -> Tensor:  # (R,)
        each = F.cross_entropy(self.logits(x).flatten(0, 1), y.repeat(len(RATES)), reduction="none")
        return each.view(len(RATES), -1).mean(1)

    def step(self, x: Tensor, y: Tensor, rest: float) -> float:
        """One of gradient descent with momentum; the smallest loss before it."""
        losses = self.losses(x, y)
        gradients = torch.autograd.grad(losses.sum(), self.weights + self.biases)
        with torch.no_grad():
            for p, m, g in zip(self.weights + self.biases, self.momenta, gradients, strict=True):
                m.mul_(0.9).add_(g)
                p -= rest * self.rates * m
        return losses.nan_to_num(1e9).min().item()

    @torch.no_grad()
    def best(self, x: Tensor, y: Tensor) -> int:
        """The rate of the smallest loss."""
        return int(self.losses(x, y).nan_to_num(1e9).argmin())

    @torch.no_grad()
    def accuracy(self, x: Tensor, y: Tensor, known: Tensor, best: int) -> float:
        """Share of the images that are read rightly; one that was trained on counts as wrong."""
        fresh = ~(x[:, None] == known).all(-1).any(1)
        return ((self.logits(x)[best].argmax(-1) == y) & fresh).float().mean().item()

    def gap_to_torch(self, x: Tensor, y: Tensor, best: int, bare: bool = False) -> float:
        """Largest difference of its logits and gradients from nn.Sequential's, f64; `bare` leaves activations out."""
        mine, twin = Nets(self.act, 0, 0.0, torch.Generator(), "cpu"), nn.Sequential()
        for name in ("weights", "biases"):
            ours = [p[best : best + 1].detach().cpu().double().requires_grad_() for p in getattr(self, name)]
            setattr(mine, name, ours)
        for weight, bias in zip(mine.weights, mine.biases, strict=True):
            linear = nn.Linear(*weight.shape[1:]).double()
            linear.weight.data, linear.bias.data = weight.detach()[0].T, bias.detach()[0, 0]
            twin.extend([linear, nn.Identity() if bare else MODULES[self.act]])
        x, y = x.cpu().double().requires_grad_(), y.cpu()
        results = []
        for logits, weights in ((mine.logits(x)[0], mine.weights), (twin[:-1](x), [one.weight for one in twin[::2]])):
            first, *rest = torch.autograd.grad(F.cross_entropy(logits, y), [x, *weights])
            results.append([logits, first, *(g[0] if g.dim() == 3 else g.T for g in rest)])
        return max((a - b).detach().abs().max().item() for a, b in zip(*results, strict=True))


def parities(generator: torch.Generator) -> dict[str, float]:
    """Values and slopes against torch, the shift of softmax, the collapse of linear layers; in float64."""
    x = torch.linspace(-6, 6, 100, dtype=torch.float64).requires_grad_()  # skips 0, where ReLU has no slope
    logits, start, *weights = torch.randn(7, 8, 8, dtype=torch.float64, generator=generator)
    gaps = [softmax(scale * logits) - (scale * logits).softmax(-1) for scale in (1, 1e4)]  # exp(1e4) is infinite
    for function, slope in SLOPES.items():
        value, exact = function(x), MODULES[function](x)
        slopes = [torch.autograd.grad(v.sum(), x)[0] for v in (value, exact)]
        gaps += [value - exact, slope(x) - slopes[1], slopes[0] - slopes[1]]
    linear, bent, product = start, start, torch.eye(8, dtype=torch.float64)
    for weight in weights:
        linear, bent, product = linear @ weight, relu(bent @ weight), product @ weight
    differences = {
        "function_gap": torch.cat([gap.flatten() for gap in gaps]),
        "wrong_slope_gap": (1 - tanh(x)) - SLOPES[tanh](x),
        "softmax_shift_gap": softmax(logits + 3) - softmax(logits),
        "sigmoid_shift_gap": sigmoid(logits + 3) - sigmoid(logits),
        "collapse_gap": linear - start @ product,
        "relu_collapse_gap": bent - start @ product,
    }
    return {name: difference.detach().abs().max().item() for name, difference in differences.items()}


def run(device="cpu", seed=0, steps=200):
    start, data, checks = (torch.Generator().manual_seed(3 * seed + k) for k in (0, 1, 2))  # three streams
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    images, labels = torch.tensor(digits.data, dtype=torch.float32)[order] / 16, torch.tensor(digits.target)[order]
    parts = slice(TRAIN), slice(TRAIN, None)
    x, y, x_test, y_test = (t[part].to(device) for part in parts for t in (images, labels))
    nets = {
        "sigmoid": Nets(sigmoid, DEPTH, 0.0, start, device),
        "tanh": Nets(tanh, DEPTH, 0.0, start, device),
        "ReLU": Nets(relu, DEPTH, 0.0, start, device),
        "ReLU, dead": Nets(relu, 1, -3.0, start, device),
        "leaky, from -3": Nets(leaky_relu, 1, -3.0, start, device),
    }
    ratio = {}  # gradient that reaches the first layer, as a share of the last one's, before training
    for name in ("sigmoid", "tanh", "ReLU"):
        first, last = torch.autograd.grad(nets[name].losses(x, y).sum(), nets[name].weights[::DEPTH])
        ratio[name] = (first.square().mean() / last.square().mean()).sqrt().item()
    for step in range(steps):
        rows = torch.randint(TRAIN, (BATCH,), generator=data).to(device)
        rest = min(1, 2 - 2 * step / steps)  # the rates decay over the second half
        yield (step + 1) / steps, {name: net.step(x[rows], y[rows], rest) for name, net in nets.items()}

    best = {name: net.best(x, y) for name, net in nets.items()}
    accuracy = {name: net.accuracy(x_test, y_test, x, best[name]) for name, net in nets.items()}
    some = x_test[:64], y_test[:64]
    gaps, bare = ([net.gap_to_torch(*some, best[name], out) for name, net in nets.items()] for out in (False, True))
    xs = torch.linspace(-3, 3, 121)
    values = {name: (xs.tolist(), function(xs).tolist()) for function, name in NAMES.items()}
    slopes = {name: (xs.tolist(), SLOPES[function](xs).tolist()) for function, name in NAMES.items()}
    return {
        "relu_accuracy": accuracy["ReLU"],
        "tanh_accuracy": accuracy["tanh"],
        "sigmoid_accuracy": accuracy["sigmoid"],
        "relu_first_gradient": ratio["ReLU"],
        "tanh_first_gradient": ratio["tanh"],
        "sigmoid_first_gradient": ratio["sigmoid"],
        "leaky_accuracy": accuracy["leaky, from -3"],
        "dead_relu_accuracy": accuracy["ReLU, dead"],
        "net_gap": max(gaps),
        "bare_net_gap": min(bare),
        **parities(checks),
    }, {
        "activation functions": {"kind": "lines", "series": values, "x": "x", "y": "value"},
        "their slopes": {"kind": "lines", "series": slopes, "x": "x", "y": "slope"},
    }


# %% what is claimed

TITLE = {"en": "Activation functions: value, slope and depth", "zh": "激活函数：取值、斜率与深度"}
CURVES = "cross-entropy"
CPU_SECONDS = 3
CLAIMS = {
    "trained relu_accuracy >= 0.88 > sigmoid_accuracy": {
        "en": "test accuracy of a net of ten layers with ReLU; the control has sigmoids, both at best rates",
        "zh": "十层 ReLU 网络的测试准确率；对照为 sigmoid 网络，二者均取最优学习率",
    },
    "parity relu_first_gradient >= 0.3 > sigmoid_first_gradient": {
        "en": "gradient of the first of ten layers over that of the last, with ReLU, untrained; control: sigmoid",
        "zh": "十层 ReLU 网络训练前首层与末层梯度之比；对照为 sigmoid 网络",
    },
    "trained leaky_accuracy >= 0.92 > dead_relu_accuracy": {
        "en": "test accuracy of leaky ReLU when all hidden units start far below zero; the control is ReLU, all dead",
        "zh": "全部隐藏单元初始都远低于零时 leaky ReLU 的测试准确率；对照为 ReLU，全部失活",
    },
    "parity function_gap <= 1e-10 < wrong_slope_gap": {
        "en": "gap of values and slopes to PyTorch; the control takes 1 - tanh for the slope of tanh",
        "zh": "函数值和导数与 PyTorch 之差；对照把 tanh 的导数误作 1 - tanh",
    },
    "parity net_gap <= 1e-10 < bare_net_gap": {
        "en": "gap of the trained nets, logits and gradients, to nn.Sequential (f64); the control has no activations",
        "zh": "训练后各网络的 logit 与梯度同 nn.Sequential 的差距（f64）；对照不加激活函数",
    },
    "parity softmax_shift_gap <= 1e-10 < sigmoid_shift_gap": {
        "en": "change of softmax when all logits grow by 3; the control is the sigmoid of the same logits",
        "zh": "所有 logit 同加 3 时 softmax 的变化；对照为同样 logit 的 sigmoid",
    },
    "parity collapse_gap <= 1e-10 < relu_collapse_gap": {
        "en": "five linear layers against the product of their matrices; the control has ReLU after each",
        "zh": "五个线性层与其矩阵乘积之差；对照在每层之后加 ReLU",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "ReLU, dead": "ReLU，已失活",
    "leaky, from -3": "leaky ReLU，偏置从 -3 起步",
    "leaky ReLU": "带泄露的 ReLU",
    "activation functions": "激活函数",
    "their slopes": "激活函数的斜率",
    "value": "值",
    "slope": "斜率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
