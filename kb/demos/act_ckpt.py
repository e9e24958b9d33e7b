"""Activation checkpointing — what a backward pass needs is computed a second time instead of being kept.

A chain of 24 residual blocks with dropout keeps its activations (what the backward pass will need) until that pass has
used them. Checkpointed, a segment of blocks keeps its input alone and runs forwards again when its gradient is due:
then the activations of one segment live beside the inputs of all. With n blocks in segments of k, n / k inputs and k
blocks are held: least near k = sqrt(n), here near 3, as a block holds some three times its input. The bytes that
autograd holds are counted while they are held (weights, gradients, the optimizer and 5 KB of random state for each
segment are not). One segment of all 24 blocks saves nothing, and segments of one keep more than segments of three. The
price is a second forward pass. The gradients are those of the plain pass, but only if the second pass draws the same
dropout: the control does not restore the random state.

Needs:  torch
Source: T. Chen, B. Xu, C. Zhang, C. Guestrin, Training Deep Nets with Sublinear Memory Cost, 2016 (arXiv:1604.06174)
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

BLOCKS, SEGMENT, WIDTH, BATCH, DROP, RATE, CLASSES = 24, 3, 32, 64, 0.1, 0.05, 4
LENGTHS = (1, 2, 3, 4, 6, 8, 12, 24)

# %% the concept


class Checkpoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, segment: nn.Module, restored: bool) -> Tensor:
        ctx.segment, ctx.state = segment, torch.get_rng_state() if restored else None
        ctx.save_for_backward(x)  # its input alone: inside of forward, autograd records nothing
        return segment(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, None, None]:  # dL/dy -> dL/dx
        x = ctx.saved_tensors[0].detach().requires_grad_()
        after = torch.get_rng_state()
        if ctx.state is not None:
            torch.set_rng_state(ctx.state)  # the dropout of the first pass
        with torch.enable_grad():
            y = ctx.segment(x)  # once more, and now its activations are kept
        torch.set_rng_state(after)
        torch.autograd.backward(y, g)  # adds to .grad of the segment's weights
        return x.grad, None, None


class Chain(nn.Module):
    """Residual blocks, checkpointed in segments of so many; 0: not at all."""

    def __init__(self, segment: int = 0, restored: bool = True) -> None:
        super().__init__()
        self.blocks, self.head = nn.Sequential(*(Block() for _ in range(BLOCKS))), nn.Linear(WIDTH, CLASSES)
        self.segment, self.restored = segment, restored

    def features(self, x: Tensor) -> Tensor:  # (B, D) -> (B, D)
        x = x.requires_grad_()  # so that the first segment's backward is called
        if not self.segment:
            return self.blocks(x)
        for i in range(0, BLOCKS, self.segment):
            x = Checkpoint.apply(x, self.blocks[i : i + self.segment], self.restored)
        return x

    def forward(self, x: Tensor) -> Tensor:  # (B, D) -> (B, CLASSES)
        return self.head(self.features(x))


def bytes_held(segment: int, batch: int) -> int:
    """The most at once: in a block its input, tanh and the masked tanh, 4 bytes each, and the mask, 1."""
    inputs, inside = BLOCKS // segment * 4, segment * 13  # n / k + k
    return (inputs + inside - 4) * batch * WIDTH  # the first block's input is the segment's


# %% its control


class Block(nn.Module):
    """Plain autograd keeps all of this for every block."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        h = self.up(x).tanh()
        mask = (torch.rand(h.shape) >= DROP).to(h.device)  # drawn on the CPU
        return x + self.down(h * mask / (1 - DROP))


# %% the experiment


class Meter:
    """Counts the bytes that autograd holds, each storage once, while it holds them."""

    def __init__(self, net: nn.Module) -> None:
        self.now, self.most, self.held = 0, 0, dict[int, int]()
        self.free = {w.untyped_storage()._cdata for w in net.parameters()}

    def count(self, t: Tensor, change: int) -> None:
        storage = t.untyped_storage()
        if storage._cdata in self.free:
            return
        before = self.held.get(storage._cdata, 0)
        self.held[storage._cdata] = before + change
        if 0 in (before, before + change):
            self.now += change * storage.nbytes()
        self.most = max(self.most, self.now)

    def step(self, net: "Chain", x: Tensor) -> int:
        """The most bytes in a forward and a backward pass."""
        meter = self

        class Held:
            def __init__(self, t: Tensor) -> None:
                self.t = t
                meter.count(t, 1)

            def __del__(self) -> None:
                meter.count(self.t, -1)

        with saved_tensors_hooks(Held, lambda held: held.t):
            net.features(x).sum().backward()
        return self.most


def gradients(net: Chain, x: Tensor, y: Tensor, segment: int, restored: bool = True) -> Tensor:
    """Loss, the random number that comes next, gradients by input and weights: one vector; f64, dropout of one seed."""
    net, x = copy.deepcopy(net).cpu().double(), x.detach().cpu().double().clone()
    net.segment, net.restored = segment, restored
    torch.manual_seed(0)
    loss = F.cross_entropy(net(x), y.cpu())
    loss.backward()
    found = [torch.zeros_like(t) if t.grad is None else t.grad for t in (x, *net.parameters())]
    return torch.cat([t.detach().flatten() for t in (loss, torch.rand(1), *found)])


def work(segment: int) -> int:
    """Floating-point operations of a step in products of matrices, by PyTorch's counter."""
    with FlopCounterMode(display=False) as counter:
        Chain(segment).features(torch.zeros(BATCH, WIDTH)).sum().backward()
    return counter.get_total_flops()


def run(device="cpu", seed=0, steps=40):
    data, lesson = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    torch.manual_seed(3 * seed)
    plain, teacher = Chain(), torch.randn(WIDTH, CLASSES, generator=lesson)
    nets = {"plain": plain, "checkpointed": copy.deepcopy(plain), "other dropout": copy.deepcopy(plain)}
    nets["checkpointed"].segment = nets["other dropout"].segment = SEGMENT
    nets["other dropout"].restored = False
    optimizers = {name: torch.optim.SGD(net.to(device).parameters(), RATE, 0.9) for name, net in nets.items()}
    apart = dict.fromkeys(nets, 0.0)
    for step in range(steps):
        x = torch.randn(BATCH, WIDTH, generator=data)
        y, losses = (x @ teacher).argmax(1).to(device), {}
        for name, net in nets.items():
            torch.manual_seed(step)  # all three drop the same in their first pass
            loss = F.cross_entropy(net(x.to(device, copy=True)), y)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        apart = {name: max(gap, abs(losses[name] - losses["plain"])) for name, gap in apart.items()}
        yield (step + 1) / steps, losses

    right = gradients(nets["checkpointed"], x, y, 0)
    gaps = [(gradients(nets["checkpointed"], x, y, segment) - right).abs().max().item() for segment in LENGTHS]
    wrong = (gradients(nets["checkpointed"], x, y, SEGMENT, restored=False) - right).abs().max().item()
    x = torch.zeros(BATCH, WIDTH)
    held = [Meter(net).step(net, x.clone()) for net in (Chain(segment) for segment in (0, *LENGTHS))]
    gone = [abs(bytes_held(segment, BATCH) - found) for segment, found in zip(LENGTHS, held[1:], strict=True)]
    inputs = [found - BLOCKS // segment * 4 * BATCH * WIDTH for segment, found in zip(LENGTHS, held[1:], strict=True)]
    return {
        "gradient_gap": max(gaps),
        "unrestored_gap": wrong,
        "loss_gap": apart["checkpointed"],
        "unrestored_loss_gap": apart["other dropout"],
        "held_share": min(held) / held[0],
        "edge_share": min(held[1], held[-1]) / held[0],
        "byte_gap": float(max(gone)),
        "inputs_gap": float(min(inputs)),
        "work_gap": abs(work(SEGMENT) / work(0) - 4 / 3),
        "free_gap": abs(work(0) / work(0) - 4 / 3),
    }, {
        "bytes that autograd holds": {
            "kind": "lines",
            "series": {
                "plain": ([1, BLOCKS], [held[0] / 1024] * 2),
                "checkpointed": (LENGTHS, [found / 1024 for found in held[1:]]),
            },
            "x": "blocks in a segment",
            "y": "KiB at the peak",
        }
    }


# %% what is claimed

TITLE = {
    "en": "Checkpointing runs forwards twice, keeps about a fifth",
    "zh": "激活检查点：前向算两遍，激活约留五分之一",
}
CURVES = "cross-entropy"
CPU_SECONDS = 2
CLAIMS = {
    "parity gradient_gap <= 1e-10 < unrestored_gap": {
        "en": "largest gap of the checkpointed chain to the plain one, in loss, gradients and the random number that "
        "follows, for eight lengths of segments (f64); the control draws other dropout in its second pass",
        "zh": "八种段长下，使用检查点与不使用时在损失、梯度与下一个随机数上的最大差距（f64）；"
        "对照在第二遍前向中另抽 dropout 掩码",
    },
    "trained loss_gap <= 1e-5 < unrestored_loss_gap": {
        "en": "largest difference to the plain chain's training loss in any step; the control draws other dropout in "
        "its second pass",
        "zh": "训练中任一步的损失与不用检查点时的最大差距；对照在第二遍前向中另抽 dropout 掩码",
    },
    "parity held_share <= 0.215 < edge_share <= 0.34": {
        "en": "bytes held at the peak at the best length of segments, relative to the plain chain; the control makes a "
        "segment of every block, or one of all, whichever keeps less",
        "zh": "最佳段长下自动微分所存字节的峰值与不用检查点时之比；对照让每块自成一段或所有块合成一段，取占用较少者",
    },
    "parity byte_gap <= 0 < inputs_gap": {
        "en": "largest gap in bytes between the measured peak and the closed form, for eight lengths of segments; the "
        "control counts the inputs of the segments only",
        "zh": "八种段长下实测峰值与闭式解的最大字节差；对照只计各段的输入",
    },
    "parity work_gap <= 0 < free_gap": {
        "en": "distance of the operations of a step (products of matrices), relative to the plain chain's, from 4/3, "
        "one more forward pass; the control is the plain chain",
        "zh": "一步中矩阵乘法的运算量与不用检查点时之比，同 4/3（多一次前向）的差距；对照不用检查点",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "plain": "不用检查点",
    "checkpointed": "用检查点",
    "other dropout": "另抽掩码",
    "bytes that autograd holds": "自动微分所存的字节",
    "blocks in a segment": "每段的块数",
    "KiB at the peak": "峰值（KiB）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
