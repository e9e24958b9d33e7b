"""Quantization — 8-bit integers are enough to infer with; for 2-bit weights the net has to be trained for it.

A digit classifier is trained in float32; then its weights (by output unit) and activations (by layer, from
the largest value on training data) become integers times a scale. Inference multiplies integers and
accumulates in int32, as int8 hardware does; here this is ordinary CPU arithmetic, a simulation without claims
of speed. Quantization-aware training rounds the weights in the forward pass and hands the gradient on as if
it did not: a straight-through estimator.

Claim:  8 bits cost next to no accuracy; 2-bit weights cost much when rounded after training and far less when
        trained with rounding; integer arithmetic gives what the dequantized net gives, if int32 accumulates;
        rounding errs by half a step at most and is that of torch.
Source: B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference, CVPR 2018; Y. Bengio et al., Estimating or Propagating Gradients Through Stochastic
        Neurons, arXiv:1308.3432, 2013
Run:    python kb/demos/quantization.py --device cpu --seed 0 --steps 400
"""

import copy
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "INT8 inference and quantization-aware training", "zh": "INT8 推理与量化感知训练"}
CPU_SECONDS = 2
CLAIMS = {
    "trained int8_drop <= 0.08 < ptq2_drop": {
        "en": "test accuracy lost by quantizing to 8 bits after training; the control has 2-bit weights",
        "zh": "训练后量化到 8 位损失的测试准确率；对照为 2 位权重",
    },
    "trained qat2_accuracy >= 0.77 > ptq2_accuracy": {
        "en": "test accuracy of 2-bit weights trained with rounding; the control is rounded after training",
        "zh": "2 位权重经量化感知训练后的测试准确率；对照为训练后量化",
    },
    "trained step_error <= 0.75 < truncation_step_error": {
        "en": "largest error of a quantized weight, in steps; the control truncates instead of rounding",
        "zh": "量化后权重的最大误差（以步长计）；对照用截断代替就近舍入",
    },
    "parity integer_gap <= 1e-10 < int16_gap": {
        "en": "gap of integer inference to the dequantized net; the control overflows an int16 accumulator",
        "zh": "整数推理与反量化网络之差；对照用 int16 累加器而溢出",
    },
    "parity torch_gap <= 1e-5 < truncation_torch_gap": {
        "en": "gap to torch.fake_quantize_per_channel_affine; the control truncates instead of rounding",
        "zh": "与 torch.fake_quantize_per_channel_affine 之差；对照用截断代替就近舍入",
    },
}

SIZES = (64, 48, 48, 48, 48, 10)


def scale_of(x: Tensor, bits: int, dim: int | None = None) -> Tensor:
    """The step that puts the largest magnitude (of each row) on the largest integer."""
    largest = x.abs().max() if dim is None else x.abs().amax(dim, keepdim=True)
    return largest / (2 ** (bits - 1) - 1)


def quantize(x: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Integers, still stored as floats: symmetric about zero, -127..127 for 8 bits."""
    top = 2 ** (bits - 1) - 1
    return (x / scale).round().clamp(-top, top)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(m, n) for m, n in pairwise(SIZES))

    def forward(self, x: Tensor, bits: int | None = None) -> Tensor:  # (B, 64) -> (B, 10)
        for number, layer in enumerate(self.layers):
            weight = layer.weight
            if bits:  # the value is rounded; the gradient sees only the identity
                scale = scale_of(weight, bits, 1).detach()
                weight = weight + (quantize(weight, scale, bits) * scale - weight).detach()
            x = F.linear(x if number == 0 else x.relu(), weight, layer.bias)
        return x


@torch.no_grad()
def infer(net: Net, x: Tensor, calibration: Tensor, bits: int, accumulator: torch.dtype | None) -> Tensor:
    """Logits with integer products, or with dequantized float64 ones where no accumulator is given."""
    x, calibration = x.double(), calibration.double()
    for number, layer in enumerate(net.layers):
        weight, bias = layer.weight.double(), layer.bias.double()
        if number:
            x, calibration = x.relu(), calibration.relu()
        w_scale, x_scale = scale_of(weight, bits, 1), scale_of(calibration, 8)
        w_int, x_int = quantize(weight, w_scale, bits), quantize(x, x_scale, 8)
        if accumulator is None:
            total = (x_int * x_scale) @ (w_int * w_scale).T
        else:  # int32 holds any such sum; a narrower accumulator wraps around
            total = (x_int.int() @ w_int.int().T).to(accumulator) * (x_scale * w_scale.T)
        x, calibration = total + bias, F.linear(calibration, weight, bias)
    return x


def rounding() -> dict[str, float]:
    """8-bit weights against torch's, and the largest error in steps; truncation beside both."""
    weight = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    scale = scale_of(weight, 8, 1)
    zero = torch.zeros(64, dtype=torch.int32)
    twin = torch.fake_quantize_per_channel_affine(weight, scale[:, 0], zero, 0, -127, 127)
    measured = {}
    for name, integers in {"": quantize(weight, scale, 8), "truncation_": (weight / scale).trunc()}.items():
        measured[f"{name}torch_gap"] = (integers * scale - twin).abs().max().item()
        measured[f"{name}step_error"] = (integers - weight / scale).abs().max().item()
    return measured


def run(device="cpu", seed=0, steps=400):
    digits, data = load_digits(), torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    order = torch.randperm(len(digits.data), generator=data)
    x, y = torch.tensor(digits.data, dtype=torch.float32)[order] / 16, torch.tensor(digits.target)[order]
    x_test, y_test = x[1300:], y[1300:]
    bits = {"float32": None, "2-bit QAT": 2}
    nets = {"float32": Net().to(device)}
    nets["2-bit QAT"] = copy.deepcopy(nets["float32"])
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=3e-3) for name, net in nets.items()}
    for step in range(steps):
        rows = torch.randint(1300, (64,), generator=data)
        losses = {}
        for name, net in nets.items():
            loss = F.cross_entropy(net(x[rows].to(device), bits[name]), y[rows].to(device))
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, losses

    trained, aware = (net.cpu() for net in nets.values())

    def accuracy(net: Net, bits: int) -> float:
        logits = infer(net, x_test, x[:1300], bits, torch.int32)
        return (logits.argmax(1) == y_test).float().mean().item()

    with torch.no_grad():
        full = (trained(x_test).argmax(1) == y_test).float().mean().item()
    by_bits = {b: accuracy(trained, b) for b in range(2, 9)}
    exact = infer(trained, x_test, x[:1300], 8, None)
    wide, narrow = (infer(trained, x_test, x[:1300], 8, a) for a in (torch.int32, torch.int16))
    return {
        "float_accuracy": full,
        "int8_accuracy": by_bits[8],
        "ptq2_accuracy": by_bits[2],
        "qat2_accuracy": accuracy(aware, 2),
        "int8_drop": full - by_bits[8],
        "ptq2_drop": full - by_bits[2],
        "integer_gap": (wide - exact).abs().max().item(),
        "int16_gap": (narrow - exact).abs().max().item(),
        **rounding(),
    }, {
        "test accuracy by bits of a weight": {
            "kind": "lines",
            "zh": "测试准确率随权重位数的变化",
            "series": {
                "after training": (list(by_bits), list(by_bits.values())),
                "trained in": ([2], [accuracy(aware, 2)]),
                "float32": ([2, 8], [full, full]),
            },
            "x": "bits",
            "y": "accuracy",
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
