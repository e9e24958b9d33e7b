"""Mixed precision — half the bits for most of the work, if small gradients are saved from becoming zero.

FP16 ends at 65504 and rounds to zero what is below 3e-8. Here a network predicts displacements of about a
millimetre, in metres, and its gradients start far below that. The weights are kept in FP32 (the master copy);
every layer computes, forwards and backwards, in the lower precision.

Claim:  with dynamic loss scaling FP16 training reaches a small error; without it every gradient vanishes and
        nothing is learned. The master copy is needed too: 1000 updates of 1e-4 add up in FP32, in FP16 each
        is rounded away. The hand-written FP16 layer is what torch.autocast computes. BF16 has the range of
        FP32 and needs no scaling here. Whether any of this is faster depends on the device and is not
        claimed.
Source: P. Micikevicius et al., Mixed Precision Training, ICLR 2018; D. Kalamkar et al., A Study of BFLOAT16
        for Deep Learning Training, 2019
Run:    python kb/demos/mixed_precision.py --device cpu --seed 0 --steps 200
"""

from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "FP16 training needs loss scaling", "zh": "FP16 训练需要损失缩放"}
CPU_SECONDS = 2
CLAIMS = {
    "trained scaled_error <= 0.5 < unscaled_error": {
        "en": "test error of FP16 training with loss scaling, 1 is the mean's; the control does not scale",
        "zh": "带损失缩放的 FP16 训练的相对测试误差（恒预测均值时为 1）；对照不缩放",
    },
    "trained lost_share <= 0.5 < unscaled_lost_share": {
        "en": "share of gradient entries that FP16 turns into zero in the first step; the control: unscaled",
        "zh": "第一步中被 FP16 舍入为零的梯度比例；对照不缩放",
    },
    "trained master_error <= 0.05 < half_master_error": {
        "en": "error of 1 + 1000 updates of 1e-4 kept in FP32; the control keeps the weight in FP16",
        "zh": "从 1 开始累加 1000 次 1e-4 的误差（FP32 主权重）；对照权重存为 FP16",
    },
    "parity autocast_gap <= 1e-5 < full_autocast_gap": {
        "en": "hand-written FP16 layer against torch.autocast; the control is the layer in FP32",
        "zh": "手写 FP16 层与 torch.autocast 的差距；对照为 FP32 层",
    },
}

INPUTS, HIDDEN, ROWS, METRE = 4, 32, 512, 1e-3  # METRE: a millimetre in metres


def weights() -> list[Tensor]:
    layers = [nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 1)]
    return [p.detach().clone() for layer in layers for p in (layer.weight, layer.bias)]


def forward(parameters: list[Tensor], x: Tensor) -> Tensor:
    """Every product in the precision of the parameters; the answer in FP32 metres: (B, INPUTS) -> (B,)."""
    h = x.to(parameters[0].dtype)
    for i in (0, 2):
        h = F.linear(h, parameters[i], parameters[i + 1]).tanh()
    return METRE * F.linear(h, parameters[4], parameters[5])[:, 0].float()


class Training:
    """FP32 master weights, gradients in `dtype`, and a loss scale that is halved when gradients overflow."""

    def __init__(self, master: list[Tensor], dtype: torch.dtype, scale: float = 1.0) -> None:
        self.master, self.dtype, self.scale, self.good = [w.clone() for w in master], dtype, scale, 0
        self.dynamic, self.skipped = scale > 1, 0
        self.optimizer = torch.optim.Adam(self.master, lr=1e-2)

    def gradients(self, x: Tensor, y: Tensor) -> tuple[float, list[Tensor]]:
        low = [w.to(self.dtype).requires_grad_() for w in self.master]
        loss = F.mse_loss(forward(low, x), y)
        return loss.item(), list(torch.autograd.grad(loss * self.scale, low))

    def step(self, x: Tensor, y: Tensor) -> float:
        loss, gradients = self.gradients(x, y)
        if all(g.isfinite().all() for g in gradients):
            for w, g in zip(self.master, gradients, strict=True):
                w.grad = g.float() / self.scale
            self.optimizer.step()
            self.good += 1
            if self.dynamic and self.good % 4 == 0:  # torch.amp.GradScaler waits for 2000 good steps
                self.scale *= 2
        elif self.dynamic:  # overflow: skip this step, scale less
            self.scale, self.skipped = self.scale / 2, self.skipped + 1
        return loss


def displacements(n: int, mix: Tensor, data: torch.Generator) -> tuple[Tensor, Tensor]:
    x = 2 * torch.rand(n, INPUTS, generator=data) - 1
    return x, METRE * torch.sin(3 * x @ mix)


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    mix = F.normalize(torch.randn(INPUTS, generator=data), dim=0)
    x, y, x_test, y_test = (t.to(device) for n in (ROWS, 1000) for t in displacements(n, mix, data))
    master = [w.to(device) for w in weights()]
    runs = {
        "FP32": Training(master, torch.float32),
        "FP16 scaled": Training(master, torch.float16, 2.0**16),
        "FP16": Training(master, torch.float16),
        "BF16": Training(master, torch.bfloat16),
    }
    exact = torch.cat([g.flatten() for g in runs["FP32"].gradients(x, y)[1]]) != 0
    zeros = {name: torch.cat([g.flatten() for g in one.gradients(x, y)[1]]) == 0 for name, one in runs.items()}
    lost = {name: zero[exact].float().mean().item() for name, zero in zeros.items()}
    for step in range(steps):
        errors = {name: one.step(x, y) / y.var().item() for name, one in runs.items()}
        if step % 5 == 4 or step == steps - 1:
            yield (step + 1) / steps, errors

    test = {}
    with torch.no_grad():
        for name, one in runs.items():
            low = [w.to(one.dtype) for w in one.master]
            test[name] = (F.mse_loss(forward(low, x_test), y_test) / y_test.var()).item()
        single, half = torch.ones(()), torch.ones(()).half()
        for _ in range(1000):
            single, half = single + 1e-4, half + 1e-4
        layer = nn.Linear(INPUTS, HIDDEN).to(device)
        with torch.autocast(torch.device(device).type, dtype=torch.float16):
            twin = layer(x)
        by_hand = F.linear(x.half(), layer.weight.half(), layer.bias.half())
        gaps = [float((ours.float() - twin.float()).abs().max()) for ours in (by_hand, layer(x))]
    return {
        "scaled_error": test["FP16 scaled"],
        "unscaled_error": test["FP16"],
        "full_error": test["FP32"],
        "bfloat16_error": test["BF16"],
        "lost_share": lost["FP16 scaled"],
        "unscaled_lost_share": lost["FP16"],
        "skipped_steps": float(runs["FP16 scaled"].skipped),
        "final_log2_scale": log2(runs["FP16 scaled"].scale),
        "master_error": abs(single.item() - 1.1),
        "half_master_error": abs(half.item() - 1.1),
        "autocast_gap": gaps[0],
        "full_autocast_gap": gaps[1],
    }, {
        "relative test error": {"kind": "bars", "zh": "相对测试误差", "values": test},
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
