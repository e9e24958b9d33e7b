"""Mixed precision — half the bits for most of the work, if small gradients are saved from becoming zero.

FP16 ends at 65504 and rounds to zero what is below 3e-8. Here a network predicts displacements of about a millimetre,
in metres: the gradients that come back from its answers are smaller than that, and with them all others become zero.
The weights are kept in FP32 (the master copy); every layer computes, forwards and backwards, in FP16. The loss is
scaled up and the gradients down; the scale is found while training: it starts too high, is halved where a gradient
overflows and doubled after four good steps. BF16 has the range of FP32 and needs no scale; the master copy stays.
Whether any of it is faster depends on the device and is not claimed.

Needs:  torch
Source: P. Micikevicius et al., Mixed Precision Training, ICLR 2018; D. Kalamkar et al., A Study of BFLOAT16 for Deep
        Learning Training, 2019
"""

from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUTS, HIDDEN, ROWS, METRE = 4, 32, 512, 1e-3  # METRE: a millimetre in metres
RATE, START, PATIENCE = 1e-2, 2.0**40, 4

# %% the concept


def forward(weights: list[Tensor], x: Tensor) -> Tensor:
    """Every product in the precision of the weights; the answer in FP32 metres: (B, INPUTS) -> (B,)."""
    h = x.to(weights[0].dtype)
    for i in (0, 2):
        h = F.linear(h, weights[i], weights[i + 1]).tanh()
    return METRE * F.linear(h, weights[4], weights[5])[:, 0].float()


class Training:
    """FP32 master weights, gradients in `dtype`, and a loss scale; it stays as it is unless it is `dynamic`."""

    def __init__(self, master: list[Tensor], dtype: torch.dtype, scale: float = 1.0, dynamic: bool = False) -> None:
        self.master, self.dtype, self.scale, self.dynamic = [w.clone() for w in master], dtype, scale, dynamic
        self.good = self.skipped = 0
        self.optimizer = torch.optim.Adam(self.master, eps=1e-15)

    def gradients(self, x: Tensor, y: Tensor) -> tuple[float, list[Tensor]]:
        """The loss, and the gradients in FP32, unscaled; those that FP16 cannot hold are zero or not finite."""
        low = [w.to(self.dtype).requires_grad_() for w in self.master]
        loss = F.mse_loss(forward(low, x), y)
        found = torch.autograd.grad(loss * self.scale, low, materialize_grads=True)  # d(s L) = s dL: out of zero's way
        return loss.item(), [g.float() / self.scale for g in found]

    def step(self, x: Tensor, y: Tensor, rate: float) -> float:
        loss, gradients = self.gradients(x, y)
        if all(g.isfinite().all() for g in gradients):
            for w, g in zip(self.master, gradients, strict=True):
                w.grad = g
            self.optimizer.param_groups[0]["lr"] = rate
            self.optimizer.step()  # in FP32: w += dw adds up where FP16 would lose dw
            self.good += 1
            if self.dynamic and self.good % PATIENCE == 0:
                self.scale *= 2
        elif self.dynamic:  # overflow: no step is made, and the scale is halved
            self.scale, self.good, self.skipped = self.scale / 2, 0, self.skipped + 1
        return loss


# %% the experiment


class Torch:
    """The same with what torch brings: autocast and GradScaler."""

    def __init__(self, master: list[Tensor]) -> None:
        first, second, third = (nn.Linear(*w.shape[::-1]).to(w.device) for w in master[::2])
        self.net = nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), third)
        for own, given in zip(self.net.parameters(), master, strict=True):
            own.data = given.clone()
        self.device = master[0].device.type
        self.scaler = torch.amp.GradScaler(self.device, init_scale=START, growth_interval=PATIENCE)
        self.optimizer = torch.optim.Adam(self.net.parameters(), eps=1e-15)

    def step(self, x: Tensor, y: Tensor, rate: float) -> None:
        with torch.autocast(self.device, dtype=torch.float16):
            answer = self.net(x)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        self.scaler.scale(F.mse_loss(METRE * answer[:, 0].float(), y)).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def gap(self, weights: list[Tensor]) -> float:
        """Largest difference of its weights from others."""
        return max((a - b).detach().abs().max().item() for a, b in zip(self.net.parameters(), weights, strict=True))


def displacements(n: int, mix: Tensor, data: torch.Generator) -> tuple[Tensor, Tensor]:
    x = 2 * torch.rand(n, INPUTS, generator=data) - 1
    return x, METRE * torch.sin(3 * x @ mix)


def first_gradient_error(one: Training, exact: Tensor, x: Tensor, y: Tensor, scale: float) -> float:
    """Relative error of the first gradient in low precision at some scale; 1 where it is zero or overflows."""
    one = Training(one.master, one.dtype, scale)
    gradient = torch.cat([g.flatten() for g in one.gradients(x, y)[1]])
    error = ((gradient - exact).norm() / exact.norm()).item()
    return min(error, 1.0) if error == error else 1.0


def lost(weights: Tensor) -> float:
    """Share of 1000 updates of 1e-4 that get lost where they are added one by one, for the weights above 1/4."""
    before = weights[weights > 0.25]
    after = before
    for _ in range(1000):
        after = after + 1e-4
    return (1 - (after.cpu().double() - before.cpu().double()).mean() / 0.1).abs().item()


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    mix = F.normalize(torch.randn(INPUTS, generator=data), dim=0)
    x, y = displacements(ROWS, mix, data)
    x_test, y_test = displacements(1000, mix, unseen)
    x, y, x_test, y_test = (t.to(device) for t in (x, y, x_test, y_test))
    layers = [nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 1)]
    master = [p.detach().to(device) for layer in layers for p in (layer.weight, layer.bias)]
    runs = {
        "FP32": Training(master, torch.float32),
        "FP16, scaled": Training(master, torch.float16, START, dynamic=True),
        "FP16": Training(master, torch.float16),
        "BF16": Training(master, torch.bfloat16),
    }
    here = [w.cpu() for w in master]  # where torch's scaler has the f64 it needs
    own, twin = Training(here, torch.float16, START, dynamic=True), Torch(here)
    example = x.cpu(), y.cpu()
    exact = torch.cat([g.flatten() for g in runs["FP32"].gradients(x, y)[1]])
    scales = [2.0**k for k in range(0, 53, 4)]
    curves = {
        name: (scales, [first_gradient_error(runs[name], exact, x, y, scale) for scale in scales])
        for name in ("FP16", "BF16")
    }
    for step in range(steps):
        rate = RATE * min(1, 2 - 2 * step / steps)
        errors = {name: one.step(x, y, rate) / y.var().item() for name, one in runs.items()}
        own.step(*example, rate)
        twin.step(*example, rate)
        yield (step + 1) / steps, errors

    test = {}
    with torch.no_grad():
        for name, one in runs.items():
            low = [w.to(one.dtype) for w in one.master]
            test[name] = (F.mse_loss(forward(low, x_test), y_test) / y_test.var()).item()
    single = torch.cat([w.flatten() for w in runs["FP32"].master])
    return {
        "scaled_error": test["FP16, scaled"],
        "bfloat16_error": test["BF16"],
        "unscaled_error": test["FP16"],
        "gradient_gap": min(curves["FP16"][1]),
        "unscaled_gradient_gap": curves["FP16"][1][0],
        "autocast_gap": twin.gap(own.master),
        "single_gap": twin.gap([w.cpu() for w in runs["FP32"].master]),
        "master_lost": lost(single),
        "half_lost": lost(single.half()),
        "shared_rows": (x_test[:, None] == x).all(-1).any(1).sum().item(),
        "own_rows": (x[:100, None] == x).all(-1).any(1).sum().item(),
    }, {
        "relative error of the first gradient, by loss scale": {
            "kind": "lines",
            "series": curves,
            "x": "loss scale",
            "y": "relative error",
            "log": "xy",
        },
        "how they trained": {
            "kind": "table",
            "columns": ["precision", "relative test error", "skipped steps", "log2 of the last scale"],
            "rows": [[name, test[name], one.skipped, log2(one.scale)] for name, one in runs.items()],
        },
    }


# %% what is claimed

TITLE = {"en": "FP16 needs loss scaling where gradients are small", "zh": "梯度很小时，FP16 训练需要损失缩放"}
CURVES = "relative squared error"
CPU_SECONDS = 2
CLAIMS = {
    "trained scaled_error <= 0.025 < unscaled_error": {
        "en": "test error of FP16 training with loss scaling (1: the mean's); the control does not scale",
        "zh": "带损失缩放的 FP16 训练的相对测试误差（恒预测均值时为 1）；对照不缩放",
    },
    "trained bfloat16_error <= 0.015 < unscaled_error": {
        "en": "test error of BF16 training without a scale; the control is FP16 without one",
        "zh": "不缩放的 BF16 训练的相对测试误差；对照为不缩放的 FP16",
    },
    "parity gradient_gap <= 0.001 < unscaled_gradient_gap": {
        "en": "relative error of the first FP16 gradient at the best scale below; the control does not scale",
        "zh": "第一步 FP16 梯度在下图最佳缩放倍数下的相对误差；对照不缩放",
    },
    "parity autocast_gap <= 1e-5 < single_gap": {
        "en": "largest gap of the trained weights to those of torch.autocast and GradScaler; the control is FP32",
        "zh": "训练后的权重同 torch.autocast 加 GradScaler 所得权重的最大差距；对照为 FP32 训练",
    },
    "parity master_lost <= 0.001 < half_lost": {
        "en": "share of 1000 updates of 1e-4 that is lost on trained weights above 1/4, kept in FP32; control: in FP16",
        "zh": "训练后大于 1/4 的权重累加 1000 次 1e-4 时丢失的比例（FP32）；对照权重存为 FP16",
    },
    "parity shared_rows <= 0 < own_rows": {
        "en": "test rows among the training rows; the control counts a hundred training rows",
        "zh": "训练集中出现的测试样本数；对照对一百个训练样本计数",
    },
}
ZH = {
    "relative squared error": "相对均方误差",
    "FP16, scaled": "FP16（缩放）",
    "relative error of the first gradient, by loss scale": "第一步梯度的相对误差随损失缩放倍数的变化",
    "loss scale": "损失缩放倍数",
    "relative error": "相对误差",
    "how they trained": "各精度的训练情况",
    "precision": "精度",
    "relative test error": "相对测试误差",
    "skipped steps": "跳过的步数",
    "log2 of the last scale": "最后缩放倍数的 log2",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
