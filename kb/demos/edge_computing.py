"""Edge computing — for chips without floating point: a network that infers with integers alone, and about as well.

A digit classifier is trained in floats, then frozen into integers: weights in 8 bits, biases and sums in 32; scales
are set by the largest weights, and the largest outputs on training images. Between layers a sum has to become 8 bits
again, which means times a real factor: multiply by an integer of 31 bits, for a product of 64, and shift to the right;
the clamp to 0..127 is the ReLU. Pixels are the integers 0..16 as they come, the largest sum is the answer. A factor of
8 bits gives other integers, yet about as many right answers. Scales can spoil it. A hidden unit times 300, planted
here, which the next layer undoes, is the same function in floats, yet takes its layer's range for itself and the
others round to nearly nothing. A scale for each unit's weights does not save them: their outputs still share one.
Equalization does, by the root of the ratio of a unit's two ranges. Here a CPU does the integers.

Needs:  torch, scikit-learn
Source: B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
        CVPR 2018; M. Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019
"""

import copy
from itertools import pairwise
from typing import NamedTuple

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

TRAIN, BATCH, RATE, BITS, PIXEL, FACTORS = 1300, 64, 1e-2, 31, 16, (1, 3, 10, 30, 100, 300)

# %% the concept


class Frozen(NamedTuple):
    weight: Tensor  # int8: (n, m)
    bias: Tensor  # int32: (n,)
    factor: Tensor  # 31 bits: (n,)
    shift: Tensor  # times factor / 2 ** shift: (n,)


def infer(layers: list[Frozen], x: Tensor) -> list[Tensor]:
    """The integers of every layer, the last in 32 bits: (B, 64) int8 -> (B, n) each."""
    found = []
    for layer in layers:
        total = x.int() @ layer.weight.int().T + layer.bias
        product = total.long() * layer.factor + (1 << (layer.shift - 1))  # half of what a shift drops: it rounds
        x = (product >> layer.shift).clamp(0, 127).to(torch.int8)  # and negative sums become 0
        found.append(x)
    return [*found[:-1], total]


@torch.no_grad()
def freeze(net: nn.Sequential, seen: Tensor, by_unit: bool = False) -> list[Frozen]:
    """Scales from the largest weight, of the layer or of each unit, and the largest output on images seen (f64)."""
    layers, scale = [], 1 / PIXEL  # x = scale * integer
    for linear in net[::2]:
        seen, large = linear(seen).relu(), linear.weight.abs().amax(1)
        step, after = (large if by_unit else large.max().expand_as(large)) / 127, seen.max() / 127
        weight, bias = linear.weight / step[:, None], linear.bias / (scale * step)
        fraction, exponent = torch.frexp(scale * step / after)  # fraction * 2 ** exponent, fraction below 1
        factor, shift = (fraction * 2**BITS).round().long(), BITS - exponent.long()
        layers.append(Frozen(weight.round().to(torch.int8), bias.round().int(), factor, shift))
        scale = after
    return layers


def equalized(net: nn.Sequential, rounds: int = 3) -> nn.Sequential:
    """The same function: each hidden unit's weights, in and out, brought nearly to one range."""
    net = copy.deepcopy(net)
    for _ in range(rounds):
        for first, second in pairwise(net[::2]):
            s = (first.weight.abs().amax(1) / second.weight.abs().amax(0)).sqrt()  # r_in / s = s r_out
            first.weight.data, first.bias.data = first.weight / s[:, None], first.bias / s
            second.weight.data = second.weight * s
    return net


# %% its control


def unequal(net: nn.Sequential, factor: float, unit: int) -> nn.Sequential:
    """The same function in floats: a hidden unit times a factor, the next layer's weights divided by it."""
    net = copy.deepcopy(net)
    net[0].weight.data[unit] *= factor
    net[0].bias.data[unit] *= factor
    net[2].weight.data[:, unit] /= factor
    return net


# %% the experiment


class Floats(TorchDispatchMode):
    count = 0  # of numbers that operations return as floats

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **kwargs or {})
        self.count += out.numel() if isinstance(out, Tensor) and out.is_floating_point() else 0
        return out


@torch.no_grad()
def simulated(net: nn.Sequential, x: Tensor, seen: Tensor) -> list[Tensor]:
    """The same whole numbers in floating point, with a scale for each layer (f64): (B, 64) -> (B, n) each."""
    found, scale = [], 1 / PIXEL
    for linear in net[::2]:
        seen = F.relu(F.linear(seen, linear.weight, linear.bias))
        step, after = linear.weight.abs().max() / 127, seen.max() / 127
        total = F.linear(x, torch.round(linear.weight / step)) + torch.round(linear.bias / (scale * step))
        x = torch.clip(torch.floor(total * (scale * step / after) + 0.5), 0, 127)
        found, scale = [*found, x], after
    return [*found[:-1], total]


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(3 * seed)  # weights, the split, and batches: three streams
    split, batches = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    pixels, digit = (torch.tensor(t) for t in load_digits(return_X_y=True))
    mixed = torch.randperm(len(pixels), generator=split)
    (x, x_test), (y, y_test) = (t[mixed].split([TRAIN, len(t) - TRAIN]) for t in (pixels, digit))
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)).to(device)
    optimizer = torch.optim.Adam(net.parameters())
    for step in range(steps):
        rows = torch.randint(TRAIN, (BATCH,), generator=batches)
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        loss = F.cross_entropy(net(x[rows].float().to(device) / PIXEL), y[rows].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"float32": loss.item()}

    net, seen, whole = net.cpu().double().requires_grad_(False), x / PIXEL, x_test.to(torch.int8)  # ints: on the CPU
    bent = {factor: unequal(net, factor, net[:2](seen).mean(0).argmax().item()) for factor in FACTORS}  # the busiest

    def right(layers: list[Frozen]) -> float:
        return (infer(layers, whole)[-1].argmax(1) == y_test).double().mean().item()

    full = (net(x_test / PIXEL).argmax(1) == y_test).double().mean().item()
    series = {
        "a scale for each layer": [right(freeze(of, seen)) for of in bent.values()],
        "a scale for each unit's weights": [right(freeze(of, seen, by_unit=True)) for of in bent.values()],
        "a scale for each layer, equalized": [right(freeze(equalized(of), seen)) for of in bent.values()],
    }
    lost, layers, large = [full - of[-1] for of in series.values()], freeze(net, seen), bent[FACTORS[-1]]
    coarse = [layer._replace(factor=layer.factor >> BITS - 8 << BITS - 8) for layer in layers]
    with Floats() as own:
        integers = infer(layers, whole)
    with Floats() as floats:
        reference = simulated(net, x_test, seen)
    far = [(torch.cat(reference, 1) - torch.cat(of, 1)).abs().max().item() for of in (integers, infer(coarse, whole))]
    same = large, equalized(large), nn.Sequential(*large[:2], *net[2:])  # the last undoes nothing
    gaps = [(of(seen) - net(seen)).abs().max().item() for of in same]
    return {
        "integer_gap": far[0],
        "coarse_gap": far[1],
        "floats_made": own.count,
        "simulation_floats": floats.count,
        "int8_lost": full - min(right(layers), right(coarse)),
        "unequal_lost": lost[0],
        "equalized_lost": lost[2],
        "by_unit_lost": lost[1],
        "function_gap": max(gaps[:2]),
        "undone_gap": gaps[2],
        "shared_images": (x_test[:, None] == seen * PIXEL).all(-1).any(1).sum().item(),
        "own_images": (x[:100, None] == x).all(-1).any(1).sum().item(),
    }, {
        "test accuracy, by the factor of one unit's weights": {
            "kind": "lines",
            "series": {name: (list(FACTORS), found) for name, found in series.items()},
            "x": "factor",
            "y": "test accuracy",
            "log": "x",
        },
    }


# %% what is claimed

TITLE = {"en": "Inference in integers, from pixels to answer", "zh": "从像素到答案都只用整数的推理"}
CURVES = "cross-entropy"
CPU_SECONDS = 1
CLAIMS = {
    "parity integer_gap <= 0 < coarse_gap": {
        "en": "largest gap of all integers on test images to a simulation in floats (f64); control: factors of 8 bits",
        "zh": "在测试图像上，全部整数与浮点模拟（f64）的最大差；对照：乘数只有 8 位",
    },
    "parity floats_made <= 0 < simulation_floats": {
        "en": "floating-point numbers that operations return on the way; control: the simulation",
        "zh": "推理途中各运算产生的浮点数个数；对照：浮点模拟",
    },
    "trained int8_lost <= 0.012 < unequal_lost": {
        "en": "test accuracy lost by integers, factors of 31 bits or 8, the more; control: a unit's weights times 300",
        "zh": "改用整数损失的测试准确率，乘数 31 位或 8 位，取损失较多者；对照：同一函数，但一个单元的权重放大 300 倍",
    },
    "trained equalized_lost <= 0.012 < by_unit_lost": {
        "en": "test accuracy lost with that unit, equalized; control: instead, a scale for each unit's weights",
        "zh": "含该单元而先做均衡时损失的测试准确率；对照：不做均衡，而给每个单元的权重各定一个标度",
    },
    "parity function_gap <= 1e-10 < undone_gap": {
        "en": "largest change of the outputs by the large unit, and by equalizing it (f64); control: the next layer "
        "does not divide",
        "zh": "放大该单元以及再做均衡后输出的最大变化（f64）；对照：下一层不除回来",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images among the training images; control: a hundred training images",
        "zh": "训练集中出现的测试图像数；对照：对一百张训练图像计数",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "a scale for each layer": "每层一个标度",
    "a scale for each unit's weights": "每个单元的权重一个标度",
    "a scale for each layer, equalized": "每层一个标度，经均衡",
    "test accuracy, by the factor of one unit's weights": "测试准确率，按一个单元权重的放大倍数",
    "factor": "放大倍数",
    "test accuracy": "测试准确率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
