"""Weight initialization — weights of variance 2 / n carry a signal through 20 ReLU layers; smaller ones lose it.

He's rule gives the weights variance 2 / n for n inputs; Xavier's, made for layers that are nearly linear, gives 1 / n
where a layer has as many outputs as inputs. A layer of ReLU (which sets what is negative to 0) multiplies the mean
square by n var / 2: under He's rule a signal and its gradient about keep their size, under Xavier's the mean square of
either halves with each layer. Nets that begin with He's rule, Xavier's, or a standard deviation of 0.01 for all then
train on the same digits for as long, by gradient descent with momentum, He's at one rate, the others at the best of
three, judged on the test.

Needs:  torch, scikit-learn
Source: K. He, X. Zhang, S. Ren, J. Sun, Delving Deep into Rectifiers, ICCV 2015; X. Glorot, Y. Bengio, Understanding
        the Difficulty of Training Deep Feedforward Neural Networks, AISTATS 2010
"""

import math
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

DEPTH, WIDTH, DRAWS = 20, 256, 4  # of the nets whose signals are measured
HIDDEN, TRAIN, BATCH, RATE, RATES = 64, 1000, 64, 6e-3, (0.03, 0.06, 0.1)

# %% the concept


def he(fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:  # -> (fan_in, fan_out)
    std = math.sqrt(2 / fan_in)  # var = 2 / n: ReLU lets half of the mean square pass
    return std * torch.randn(fan_out, fan_in, generator=generator).T


def xavier(fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
    std = math.sqrt(2 / (fan_in + fan_out))  # between 1 / n_in, for signals, and 1 / n_out, for gradients
    return std * torch.randn(fan_out, fan_in, generator=generator).T


def evenly(std: float, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
    a = math.sqrt(3) * std  # U(-a, a) has variance a^2 / 3
    return a * (2 * torch.rand(fan_out, fan_in, generator=generator).T - 1)


def layers(x: Tensor, weights: list[Tensor], biases: list[Tensor]) -> list[Tensor]:
    """x_0 ... x_L of x_l = relu(x_l-1 W_l + b_l), the last one without relu: (..., B, n) each."""
    signals = [x]
    for depth, (weight, bias) in enumerate(zip(weights, biases, strict=True), 1):
        x = x @ weight + bias
        signals.append(x := x if depth == len(weights) else x.relu())
    return signals


# %% its control


def same_for_all(fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
    return 0.01 * torch.randn(fan_out, fan_in, generator=generator).T


# %% the experiment

RULES = {"He": he, "Xavier": xavier, "std 0.01": same_for_all}


def sizes(rule, x: Tensor, generator: torch.Generator, gain: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean squares of the signals x_0 ... x_L and of the gradients by them, mean logarithms (2) of some nets."""
    forward, backward = [], []
    for _ in range(DRAWS):
        weights = [gain * rule(WIDTH, WIDTH, generator).to(x) for _ in range(DEPTH + 1)]
        signals = layers(x.clone().requires_grad_(), weights, [x.new_zeros(WIDTH)] * (DEPTH + 1))[:-1]
        fed = torch.randn(signals[-1].shape, generator=generator).to(x)
        gradients = torch.autograd.grad((signals[-1] * fed).sum(), signals)
        forward.append(torch.stack([(s.detach() ** 2).mean() for s in signals]).log2())
        backward.append(torch.stack([(g**2).mean() for g in gradients]).log2())
    return torch.stack(forward).mean(0).cpu(), torch.stack(backward).mean(0).cpu()


def init_gap(he_rule, xavier_rule, seed: int) -> float:
    """Largest difference of weights 48 x 80 from those of torch.nn.init, the generators alike."""
    draws = {
        "kaiming_normal_": lambda g: he_rule(48, 80, g),
        "xavier_normal_": lambda g: xavier_rule(48, 80, g),
        "kaiming_uniform_": lambda g: evenly(math.sqrt(2 / 48), 48, 80, g),
        "xavier_uniform_": lambda g: evenly(math.sqrt(2 / 128), 48, 80, g),
    }
    gaps = []
    for name, draw in draws.items():
        options = {"nonlinearity": "relu"} if "kaiming" in name else {}
        ours, theirs = (torch.Generator().manual_seed(seed) for _ in range(2))
        weight = getattr(nn.init, name)(torch.empty(80, 48), generator=theirs, **options)
        gaps.append((weight.T - draw(ours)).abs().max().item())
    return max(gaps)


def net_gap(weights: list[Tensor], biases: list[Tensor], x: Tensor, used: float = 1.0) -> float:
    """Largest difference of the trained net from an nn.Sequential of its weights, in outputs and gradients; f64."""
    twin = nn.Sequential()
    own = [[t.detach().cpu().double().requires_grad_() for t in held] for held in (weights, biases)]
    for weight, bias in zip(*own, strict=True):
        layer = nn.Linear(*weight.shape).double()
        layer.weight.data, layer.bias.data = weight.detach().T.contiguous(), used * bias[0].detach()
        twin.extend([layer, nn.ReLU()])
    sides = []
    for answer, leaves in (
        (layers(x, *own)[-1], [*own[0], *own[1]]),
        (twin[:-1](x), [*(layer.weight for layer in twin[::2]), *(layer.bias for layer in twin[::2])]),
    ):
        total = (answer * torch.linspace(-1, 1, answer.shape[-1], dtype=answer.dtype)).sum()
        sides.append([answer, *torch.autograd.grad(total, leaves, materialize_grads=True)])
    twins = [gradient.T if k in range(1, len(weights) + 1) else gradient for k, gradient in enumerate(sides[1])]
    return max((a - b).abs().max().item() for a, b in zip(sides[0], twins, strict=True))


def run(device="cpu", seed=0, steps=200):
    starts, data, checks = (torch.Generator().manual_seed(3 * seed + k) for k in (0, 1, 2))
    loaded = load_digits()
    pixels, names = torch.from_numpy(loaded.data).float() / 16, torch.from_numpy(loaded.target)
    order = torch.randperm(len(pixels), generator=data)
    known, fresh = pixels[order[:TRAIN]], pixels[order[TRAIN:]]
    mean, std = known.mean(0), known.std(0) + 0.01
    x, x_test = (((part - mean) / std).to(device) for part in (known, fresh))
    y, y_test = names[order[:TRAIN]].to(device), names[order[TRAIN:]].to(device)

    nets = [("He", RATE), *((name, rate) for name in ("Xavier", "std 0.01") for rate in RATES)]
    shape = [x.shape[1], *[HIDDEN] * DEPTH, 10]
    drawn = {name: [rule(m, n, starts) for m, n in pairwise(shape)] for name, rule in RULES.items()}
    weights = [torch.stack([drawn[name][k] for name, _ in nets]).to(device).requires_grad_() for k in range(DEPTH + 1)]
    biases = [torch.zeros(len(nets), 1, n, device=device, requires_grad=True) for n in shape[1:]]
    rates = torch.tensor([rate for _, rate in nets], device=device)[:, None, None]
    held = [*weights, *biases]
    pace = [torch.zeros_like(p) for p in held]
    for step in range(steps):
        rows = torch.randint(TRAIN, (BATCH,), generator=data).to(device)
        answers = layers(x[rows].expand(len(nets), -1, -1), weights, biases)[-1]  # (nets, B, 10): all at once
        losses = F.cross_entropy(answers.flatten(0, 1), y[rows].repeat(len(nets)), reduction="none")
        gradients = torch.autograd.grad(losses.sum() / BATCH, held, materialize_grads=True)
        with torch.no_grad():
            for p, v, g in zip(held, pace, gradients, strict=True):
                v.mul_(0.9).add_(g.nan_to_num(0, 0, 0))
                p -= rates * min(1, 2 - 2 * step / steps) * v
        each = losses.detach().view(len(nets), -1).mean(1).tolist()
        yield (step + 1) / steps, {name: each[k] for k, name in ((0, "He"), (2, "Xavier"), (5, "std 0.01"))}

    with torch.no_grad():
        answers = layers(x_test.expand(len(nets), -1, -1), weights, biases)[-1].argmax(-1)
    right = (answers == y_test).float().mean(1).tolist()
    signal = torch.randn(64, WIDTH, generator=checks).to(device)
    measured = {name: sizes(rule, signal, checks) for name, rule in RULES.items()}
    lost = {name: max(abs(float(s[-1] - s[0])) for s in both) for name, both in measured.items()}
    factors = []  # of the mean square in a layer, measured against n var / 2, as logarithms (2)
    for gain in (0.5, 1.0, 2.0):
        forward, backward = sizes(he, signal, checks, gain)
        growths = float(forward[-1] - forward[0]), float(backward[0] - backward[-1])
        factors += [growth / DEPTH - math.log2(gain**2) for growth in growths]
    seen = {row.numpy().tobytes() for row in known}
    first = [t[0].detach() for t in weights], [t[0].detach() for t in biases]
    some = x_test[:20].cpu().double()
    depth = list(range(DEPTH + 1))
    return {
        "he_accuracy": right[0],
        "other_accuracy": max(right[1:]),
        "he_halvings": lost["He"],
        "xavier_halvings": lost["Xavier"],
        "factor_gap": max(map(abs, factors)),
        "whole_factor_gap": min(abs(gap - 1) for gap in factors),
        "init_gap": init_gap(he, xavier, seed),
        "confused_init_gap": init_gap(xavier, he, seed),
        "net_gap": net_gap(*first, some),
        "biasless_gap": net_gap(*first, some, used=0.0),
        "known_digits": sum(row.numpy().tobytes() in seen for row in fresh),
        "known_digits_planted": sum(row.numpy().tobytes() in seen for row in known[:9]),
    }, {
        "mean square of the signal after each layer, before training": {
            "kind": "lines",
            "series": {name: (depth, (2.0 ** both[0]).tolist()) for name, both in measured.items()},
            "x": "layer",
            "y": "mean square",
            "log": "y",
        },
        "accuracy on fresh digits, by rule and learning rate": {
            "kind": "table",
            "columns": ["rule", "learning rate", "accuracy"],
            "rows": [[name, f"{rate:g}", share] for (name, rate), share in zip(nets, right, strict=True)],
        },
    }


# %% what is claimed

TITLE = {"en": "He's initialization carries signals through ReLU layers", "zh": "He 初始化让信号穿过多层 ReLU"}
CURVES = "cross-entropy"
CPU_SECONDS = 2
CLAIMS = {
    "trained he_accuracy >= 0.7 > other_accuracy >= 0.08": {
        "en": "accuracy on fresh digits of a net of 20 hidden layers, begun by He's rule; control: by Xavier's or "
        "with a standard deviation of 0.01, the best of three rates each",
        "zh": "20 个隐藏层、He 初始化的网络在新数字上的准确率；"
        "对照用 Xavier 初始化或统一标准差 0.01，各取三种学习率中最好的",
    },
    "parity he_halvings <= 1.5 < xavier_halvings": {
        "en": "how often the mean square of signals or gradients halves (or doubles) in 20 layers under He's rule, the "
        "worse of the two, mean of 4 nets; the control is Xavier's rule",
        "zh": "He 初始化下，信号或梯度的均方在 20 层里减半（或加倍）的次数，取两者较差者，4 个网络的平均；"
        "对照为 Xavier 初始化",
    },
    "parity factor_gap <= 0.06 < whole_factor_gap": {
        "en": "a layer's factor on the mean square against n var / 2, for three variances, in powers of two; the "
        "control forgets that ReLU halves",
        "zh": "每层对均方的倍数与 n var / 2 之差（以 2 的幂计，三种方差）；对照忘了 ReLU 会减半",
    },
    "parity init_gap <= 1e-6 < confused_init_gap": {
        "en": "largest gap to kaiming_normal_, xavier_normal_ and their uniform forms in torch.nn.init; the control "
        "confuses the two rules",
        "zh": "与 torch.nn.init 中 kaiming_normal_、xavier_normal_ 及其均匀分布版本的最大差距；对照混用两种规则",
    },
    "parity net_gap <= 1e-10 < biasless_gap": {
        "en": "largest gap of He's trained net to nn.Sequential in outputs and gradients (f64); the control has no "
        "biases",
        "zh": "He 初始化、训练后的网络与 nn.Sequential 在输出与梯度上的最大差距（f64）；对照去掉偏置",
    },
    "parity known_digits <= 0 < known_digits_planted": {
        "en": "test digits that stand among the training digits; the control counts nine training digits",
        "zh": "测试数字中同时出现在训练集里的个数；对照数九个训练数字",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "std 0.01": "标准差 0.01",
    "mean square of the signal after each layer, before training": "训练之前，信号在各层之后的均方",
    "layer": "层",
    "mean square": "均方",
    "accuracy on fresh digits, by rule and learning rate": "新数字上的准确率（按初始化与学习率）",
    "rule": "初始化",
    "learning rate": "学习率",
    "accuracy": "准确率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
