"""Quantization — 8-bit integers are enough to infer with; 2-bit weights do best in a net that is trained for them.

A digit classifier is trained in float32; then its weights (by output unit) and activations (by layer, from the
largest value on training images) become integers times a scale. Inference multiplies integers and sums them in int32,
as int8 hardware does; here on a CPU, a simulation without claims of speed. 8 bits cost next to no accuracy. 2-bit
weights (-1, 0 or 1 times a scale) cost little where training rounds them in the forward pass and hands the gradient
on as if it did not, a straight-through estimator, and more when they are rounded after training, at a scale fitted to
each unit's outputs too. (Rounding after training that corrects the biases as well comes closer; that is not shown
here.)

Needs:  torch, scikit-learn
Source: B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
        CVPR 2018; Y. Bengio et al., Estimating or Propagating Gradients Through Stochastic Neurons, 2013
        (straight-through)
"""

import copy
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN, SIZES = 1300, (64, 48, 48, 48, 48, 48, 48, 10)

# %% the concept


def scale_of(x: Tensor, bits: int) -> Tensor:
    """The step that puts the largest magnitude of each row on the largest integer: (m, n) -> (m, 1)."""
    return x.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)


def quantize(x: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Integers, still stored as floats: symmetric about zero, -127..127 for 8 bits."""
    top = 2 ** (bits - 1) - 1
    return (x / scale).round().clamp(-top, top)  # x is about scale * q


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(m, n) for m, n in pairwise(SIZES))

    def forward(self, x: Tensor, bits: int = 0) -> Tensor:  # (B, 64) -> (B, 10)
        for i, layer in enumerate(self.layers):
            weight = layer.weight
            if bits:  # the value is rounded; its gradient is that of the identity
                scale = scale_of(weight, bits)
                weight = weight + (scale * quantize(weight, scale, bits) - weight).detach()
            x = F.linear(x.relu() if i else x, weight, layer.bias)
        return x


@torch.no_grad()
def infer(net: Net, x: Tensor, seen: Tensor, bits: int, sums=torch.int32, fitted: bool = False) -> Tensor:
    """Answers by integer products, whose sums are kept in the type `sums`; `seen` are training images: (B, 10)."""
    for i, layer in enumerate(net.layers):
        x, seen = (x.relu(), seen.relu()) if i else (x, seen)
        w_scale = fitted_scale(layer.weight, bits, seen) if fitted else scale_of(layer.weight, bits)
        x_scale = scale_of(seen.flatten()[None], 8)
        w, a = quantize(layer.weight, w_scale, bits), quantize(x, x_scale, 8)
        total = (a.int() @ w.int().T).to(sums)  # sum of a w; where the type is too narrow, it wraps around
        x = total * (x_scale * w_scale.T) + layer.bias
        seen = F.linear(seen, layer.weight, layer.bias)
    return x


# %% its control


def fitted_scale(x: Tensor, bits: int, seen: Tensor) -> Tensor:
    """Of twenty steps for each row that of the smallest squared error in the unit's outputs on training images."""
    steps = scale_of(x, bits) * torch.linspace(0.05, 1, 20).to(x)[:, None, None]  # (20, m, 1)
    errors = ((steps * quantize(x, steps, bits) - x) @ seen.T).square().sum(-1, keepdim=True)
    return steps.gather(0, errors.argmin(0, keepdim=True))[0]


# %% the experiment


def digits(split: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images to learn from and their labels, 497 others to be read and theirs."""
    held = load_digits()
    rows = torch.randperm(len(held.data), generator=split)
    x, y = torch.tensor(held.data, dtype=torch.float32)[rows] / 16, torch.tensor(held.target)[rows]
    return x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]


def shared(rows: Tensor, others: Tensor) -> int:
    """How many of the rows stand among the others."""
    return int((rows[:, None] == others).all(-1).any(1).sum())


@torch.no_grad()
def dequantized(net: Net, x: Tensor, seen: Tensor, bits: int) -> Tensor:
    """Answers of the net in floating point, its weights rounded to `bits`, its activations to 8."""
    for i, layer in enumerate(net.layers):
        if i:
            x, seen = F.relu(x), F.relu(seen)
        step, row_step = seen.abs().max() / 127, layer.weight.abs().max(1).values[:, None] / (2 ** (bits - 1) - 1)
        seen = layer(seen)
        rounded = torch.round(layer.weight / row_step) * row_step
        x = F.linear(torch.clip(torch.round(x / step), -127, 127) * step, rounded, layer.bias)
    return x


def gap_to_torch(net: Net, x: Tensor, y: Tensor, bits: int) -> float:
    """Largest difference from torch's 2-bit fake quantization of the same net, in answers and gradients, f64."""
    own, twin = (copy.deepcopy(net).cpu().double() for _ in range(2))
    given, y = x.cpu().double(), y.cpu()
    answers = own(given, bits)
    for i, layer in enumerate(twin.layers):
        scale, zero = layer.weight.detach().abs().amax(1).float(), torch.zeros(len(layer.weight)).int()
        weight = torch.fake_quantize_per_channel_affine(layer.weight, scale, zero, 0, -1, 1)
        given = F.linear(F.relu(given) if i else given, weight, layer.bias)
    mine, theirs = (
        [out, *torch.autograd.grad(F.cross_entropy(out, y), list(of.parameters()), materialize_grads=True)]
        for out, of in ((answers, own), (given, twin))
    )
    return max((a - b).detach().abs().max().item() for a, b in zip(mine, theirs, strict=True))


def run(device="cpu", seed=0, steps=600):
    torch.manual_seed(3 * seed)  # weights, the split, and batches: three streams
    split, batches = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    x, y, x_test, y_test = (t.to(device) for t in digits(split))
    bits = {"float32": 0, "2 bits": 2, "3 bits": 3}
    start = Net().to(device)
    nets = {name: copy.deepcopy(start) for name in bits}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        rows, losses = torch.randint(TRAIN, (64,), generator=batches).to(device), {}
        for name, net in nets.items():
            loss = F.cross_entropy(net(x[rows], bits[name]), y[rows])
            optimizers[name].param_groups[0]["lr"] = 3e-3 * min(1, 2.5 - 2.5 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    gaps = [gap_to_torch(nets["2 bits"], x_test, y_test, b) for b in (2, 0)]
    trained, two, three = (net.cpu().double() for net in nets.values())  # integer products are for the CPU
    x, y, x_test, y_test = x.cpu().double(), y.cpu(), x_test.cpu().double(), y_test.cpu()

    def accuracy(answers: Tensor) -> float:
        return (answers.argmax(1) == y_test).float().mean().item()

    with torch.no_grad():
        full = accuracy(trained(x_test))
    counts = [2, 3, 4, 5, 6, 8]
    cases = [*((trained, b) for b in counts), (two, 2), (three, 3)]
    answers = [infer(net, x_test, x, b) for net, b in cases]
    exact = [dequantized(net, x_test, x, b) for net, b in cases]
    *after, aware2, aware3 = map(accuracy, answers)
    tuned = [accuracy(infer(trained, x_test, x, b, fitted=True)) for b in counts]
    narrow = infer(trained, x_test, x, 8, torch.int16)
    weights = [layer.weight.detach() for layer in trained.layers]
    in_steps = [weight / scale_of(weight, 8) for weight in weights]
    rounded = [quantize(weight, scale_of(weight, 8), 8) for weight in weights]
    return {
        "int8_drop": full - after[-1],
        "ptq2_drop": full - max(after[0], tuned[0]),
        "qat2_accuracy": aware2,
        "ptq2_accuracy": max(after[0], tuned[0]),
        "integer_gap": max((a - b).abs().max().item() for a, b in zip(answers, exact, strict=True)),
        "int16_gap": (narrow - exact[len(after) - 1]).abs().max().item(),
        "torch_gap": gaps[0],
        "unrounded_gap": gaps[1],
        "step_error": max((a - b).abs().max().item() for a, b in zip(rounded, in_steps, strict=True)),
        "truncation_step_error": max((a.trunc() - a).abs().max().item() for a in in_steps),
        "shared_images": shared(x_test, x),
        "own_images": shared(x[:100], x),
        "float_accuracy": full,
    }, {
        "test accuracy by bits of a weight": {
            "kind": "lines",
            "series": {
                "float32": ([2, 8], [full, full]),
                "rounded in training": ([2, 3], [aware2, aware3]),
                "rounded after it, scale fitted": (counts, tuned),
                "rounded after it": (counts, after),
            },
            "x": "bits",
            "y": "test accuracy",
        },
    }


# %% what is claimed

TITLE = {"en": "INT8 inference and quantization-aware training", "zh": "INT8 推理与量化感知训练"}
CURVES = "cross-entropy"
CPU_SECONDS = 3
CLAIMS = {
    "trained int8_drop <= 0.01 < ptq2_drop <= 0.4": {
        "en": "test accuracy lost by rounding to 8 bits after training; the control rounds to 2-bit weights",
        "zh": "训练后舍入到 8 位损失的测试准确率；对照舍入到 2 位权重",
    },
    "trained qat2_accuracy >= 0.9 > ptq2_accuracy >= 0.6": {
        "en": "test accuracy of 2-bit weights trained with rounding; control: rounded after training, at the largest "
        "weight's scale or one fitted to a unit's outputs, whichever is better",
        "zh": "2 位权重经量化感知训练后的测试准确率；对照为训练后舍入，按最大权重定标或按输出误差选步长，取较好者",
    },
    "parity integer_gap <= 1e-10 < int16_gap": {
        "en": "gap of integer inference to the dequantized net (f64); the control overflows an int16 accumulator",
        "zh": "整数推理与反量化网络之差（f64）；对照用 int16 累加器而溢出",
    },
    "parity torch_gap <= 1e-10 < unrounded_gap": {
        "en": "gap of the 2-bit net to torch.fake_quantize_per_channel_affine in answers and gradients (f64); the "
        "control does not round",
        "zh": "2 位网络的输出与梯度同 torch.fake_quantize_per_channel_affine 的最大差距（f64）；对照不舍入",
    },
    "parity step_error <= 0.5 < truncation_step_error": {
        "en": "largest error of a quantized weight, in steps; the control truncates instead of rounding",
        "zh": "量化后权重的最大误差（以步长计）；对照用截断代替就近舍入",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images among the training images; the control counts a hundred training images",
        "zh": "训练集中出现的测试图像数；对照对一百张训练图像计数",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "2 bits": "2 位",
    "3 bits": "3 位",
    "test accuracy by bits of a weight": "测试准确率随权重位数的变化",
    "rounded in training": "训练中舍入",
    "rounded after it, scale fitted": "训练后舍入，步长经拟合",
    "rounded after it": "训练后舍入",
    "bits": "位数",
    "test accuracy": "测试准确率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
