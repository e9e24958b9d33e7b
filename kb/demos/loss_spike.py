"""Loss spike — attention logits grow with the rate until the loss goes back up; normalized queries and keys hold them.

A one-layer transformer learns to say a sequence of 16 symbols backwards while the learning rate rises steadily. It
succeeds; then, at a rate that has become too large, its attention logits (query times key) have grown to hundreds, each
softmax is stuck on one position, and the loss rises from nearly nothing towards that of guessing and stays there, while
the logits grow on. QK-norm brings every query and key to length one before the product, times one learned scale, so
that no logit can exceed that scale: the same net, data and rates, and no spike. The control is without it, the better
of with and without clipping of the gradient's norm; clipping lowers the spike but does not prevent it, at any of four
limits (one is shown), since Adam divides by the gradient's size anyway. QK-norm learns more slowly, at small constant
rates as well, where there is no spike to prevent; and at five times this peak it spikes, too (neither is shown).

Needs:  torch
Source: A. Henry et al., Query-Key Normalization for Transformers, Findings of EMNLP 2020; M. Dehghani et al.,
        Scaling Vision Transformers to 22 Billion Parameters, ICML 2023 (growing attention logits)
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LENGTH, WIDTH, SYMBOLS, HEADS, BATCH, PEAK, CLIP = 16, 32, 16, 2, 32, 0.2, 0.1

# %% the concept


class Attention(nn.Module):
    def __init__(self, normalized: bool) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.normalized, self.scale = normalized, nn.Parameter(torch.tensor(4.0))
        self.largest = 0.0

    def forward(self, x: Tensor) -> Tensor:  # (B, T, D) -> (B, T, D)
        q, k, v = (part(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        if self.normalized:
            q, k = (part / part.norm(dim=-1, keepdim=True) for part in (q, k))  # cosines: |q k| <= 1
            logits = self.scale * q @ k.mT  # (B, H, T, T)
        else:
            logits = q @ k.mT / math.sqrt(q.shape[-1])
        self.largest = float(logits.detach().abs().max())
        return self.out((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))


# %% the experiment


class Reverser(nn.Module):
    def __init__(self, normalized: bool) -> None:
        super().__init__()
        self.symbols, self.places = nn.Embedding(SYMBOLS, WIDTH), nn.Parameter(0.1 * torch.randn(LENGTH, WIDTH))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.attention = Attention(normalized)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.head = nn.Linear(WIDTH, SYMBOLS)

    def forward(self, tokens: Tensor) -> Tensor:  # (B, T) -> (B, T, symbols)
        x = self.symbols(tokens) + self.places
        x = x + self.attention(self.norms[0](x))
        return self.head(self.norms[2](x + self.mlp(self.norms[1](x))))


def gap_to_torch(net: Attention, x: Tensor, scaled: bool = True) -> float:
    """Largest gap to torch's attention, of normalized queries and keys where the net's are, in outputs and gradients of
    inputs and parameters (f64). QK-norm has no root of a head's width below; without `scaled` it has, plain none."""
    net, found = copy.deepcopy(net).cpu().double(), []
    x = x.double().requires_grad_()

    def theirs(x: Tensor) -> Tensor:
        q, k, v = (part(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for part in (net.q, net.k, net.v))
        if net.normalized:
            q, k = F.normalize(q, dim=-1) * net.scale, F.normalize(k, dim=-1)
        root = math.sqrt(q.shape[-1])
        y = F.scaled_dot_product_attention(q, k, v, scale=1 / root if scaled != net.normalized else 1)
        return F.linear(y.transpose(1, 2).flatten(2), net.out.weight)

    for model in (net, theirs):
        y = model(x)
        weighted = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)).sum()
        held = [p for p in net.parameters() if net.normalized or p is not net.scale]
        found.append([y, *torch.autograd.grad(weighted, [x, *held])])
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def spike(losses: list[float]) -> float:
    """How far the mean of ten losses rises above its smallest before."""
    smooth = torch.tensor(losses).unfold(0, min(10, len(losses)), 1).mean(1)
    return float((smooth - smooth.cummin(0).values).max())


def run(device="cpu", seed=0, steps=300):
    data, checks = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets, clips = {}, {"QK-norm": math.inf, "neither": math.inf, "clipping": CLIP}
    for name in clips:
        torch.manual_seed(3 * seed)
        nets[name] = Reverser(name == "QK-norm").to(device)
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    losses, logits = {name: [] for name in nets}, {name: [] for name in nets}
    for step in range(steps):
        tokens = torch.randint(SYMBOLS, (BATCH, LENGTH), generator=data).to(device)
        for name, net in nets.items():
            loss = F.cross_entropy(net(tokens).flatten(0, 1), tokens.flip(1).flatten())
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), clips[name])
            optimizers[name].param_groups[0]["lr"] = PEAK * (step + 1) / steps
            optimizers[name].step()
            losses[name].append(loss.item())
            logits[name].append(net.attention.largest)
        yield (step + 1) / steps, {name: held[-1] for name, held in losses.items()}

    leaps = {name: spike(held) for name, held in losses.items()}
    x, kinds = torch.randn(4, LENGTH, WIDTH, generator=checks), (nets["QK-norm"].attention, Attention(False))
    return {
        "norm_spike": leaps["QK-norm"],
        "plain_spike": min(leaps["neither"], leaps["clipping"]),
        "norm_logit": max(logits["QK-norm"]),
        "plain_logit": min(max(logits["neither"]), max(logits["clipping"])),
        "least_loss": max(min(held) for held in losses.values()),
        "end_loss": sum(losses["neither"][-10:]) / 10,
        "gap": max(gap_to_torch(kind, x) for kind in kinds),
        "scale_gap": min(gap_to_torch(kind, x, scaled=False) for kind in kinds),
    }, {
        "largest attention logit as the rate rises": {
            "kind": "lines",
            "series": {name: ([PEAK * (i + 1) / steps for i in range(steps)], held) for name, held in logits.items()},
            "x": "learning rate",
            "y": "largest logit",
            "log": "y",
        },
    }


# %% what is claimed

TITLE = {
    "en": "A loss spike at a rising rate, and none with QK-norm",
    "zh": "学习率上升引起的损失尖峰，与没有尖峰的 QK 归一化",
}
CURVES = "training loss"
CPU_SECONDS = 3
CLAIMS = {
    "trained norm_spike <= 0.3 < plain_spike": {
        "en": "rise of the training loss (means of ten) above its smallest before, with QK-norm; control: without, the "
        "better of with and without clipping",
        "zh": "使用 QK 归一化时，训练损失（十步平均）高出此前最小值的最大幅度；"
        "对照：不用 QK 归一化，裁剪梯度与否取较好者",
    },
    "trained norm_logit <= 15 < plain_logit": {
        "en": "largest attention logit with QK-norm; control: without, the smaller of with and without clipping",
        "zh": "使用 QK 归一化时最大的注意力 logit；对照：不用 QK 归一化，裁剪梯度与否取较小者",
    },
    "trained least_loss <= 0.1 < end_loss": {
        "en": "the smallest loss that each net reaches, the largest of the three: all had learned the task; control: "
        "the plain net's loss at the end",
        "zh": "各网络曾达到的最小损失，取三者中最大者：它们都学会过这项任务；对照：普通网络结束时的损失",
    },
    "parity gap <= 1e-10 < scale_gap": {
        "en": "largest gap of the attention, with QK-norm (trained) and without (new), to torch's, in outputs and "
        "gradients (f64); control: divided by the root of a head's width where it should not be, or the reverse",
        "zh": "注意力（训练后的 QK 归一化与未训练的普通注意力）同 PyTorch 的在输出与梯度上的最大差距（f64）；"
        "对照：该除以头宽的平方根时不除，不该除时却除",
    },
}
ZH = {
    "training loss": "训练损失",
    "QK-norm": "QK 归一化",
    "neither": "两者都不用",
    "clipping": "梯度裁剪",
    "largest attention logit as the rate rises": "学习率上升时最大的注意力 logit",
    "learning rate": "学习率",
    "largest logit": "最大的 logit",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
