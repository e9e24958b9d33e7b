"""Window and sparse attention — a window is blind beyond depth x (width - 1) tokens; the best keys are read anywhere.

Each token holds a key, a label, and a question: the key of an earlier token or its own, whose label is wanted. Three
nets of two layers see the same data from the same weights. With full attention a token may read itself and all before
it; in a sliding window, itself and the last 7; sparse top-k attention scores all and reads the 8 best, so that each
token mixes as few as in the window. The window's reach is counted by gradients: from two layers of 7 tokens back, 14,
they are there, and beyond exactly zero. (Choosing the best keys still costs a score for each; in DeepSeek-V3.2 a small,
cheap indexer gives it.)

Needs:  torch
Source: I. Beltagy et al., Longformer: The Long-Document Transformer, 2020 (sliding window); R. Child et al., Generating
        Long Sequences with Sparse Transformers, 2019 (other fixed patterns); A. Gupta et al., Memory-efficient
        Transformers via Top-k Attention, SustaiNLP 2021; DeepSeek-AI, DeepSeek-V3.2, 2025 (the indexer)
"""

import copy
import math
import weakref
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

TOKENS, D_KEY, LABELS, WIDTH, LAYERS, BATCH, RATE, HEAD = 32, 8, 6, 48, 2, 24, 1e-2, 64
WINDOW, KEEP, LENGTHS = 8, 8, "64 128 256 512 1024"

# %% the concept


def windowed(q: Tensor, k: Tensor, v: Tensor, width: int = WINDOW) -> Tensor:
    """Each query reads itself and the width - 1 before it, block by block: (..., n, d) -> (..., n, d_v)."""
    out = v.new_empty(*q.shape[:-1], v.shape[-1])
    for i in range(0, q.shape[-2], width):
        rows, first = slice(i, i + width), max(0, i - width + 1)
        scores = q[..., rows, :] @ k[..., first : i + width, :].mT / math.sqrt(q.shape[-1])
        back = torch.arange(scores.shape[-2])[:, None] + i - first - torch.arange(scores.shape[-1])  # tokens back
        scores = scores.masked_fill(((back < 0) | (back >= width)).to(q.device), -math.inf)
        out[..., rows, :] = scores.softmax(-1) @ v[..., first : i + width, :]
    return out


def sparse(q: Tensor, k: Tensor, v: Tensor, keep: int = KEEP, block: int = 32) -> Tensor:
    """Each query reads the `keep` keys before it, or its own, of the highest scores."""
    out = v.new_empty(*q.shape[:-1], v.shape[-1])
    for i in range(0, q.shape[-2], block):
        seen = slice(0, i + block)
        scores = q[..., i : i + block, :] @ k[..., seen, :].mT / math.sqrt(q.shape[-1])
        ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1 + i)
        best, at = scores.masked_fill(ahead, -math.inf).topk(min(keep, scores.shape[-1]))
        weights = torch.zeros_like(scores).scatter(-1, at, best.softmax(-1))  # zero elsewhere
        out[..., i : i + block, :] = weights @ v[..., seen, :]
    return out


# %% its control


def full(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.mT  # (..., n, n)
    scores = scores / math.sqrt(q.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
    scores = scores.masked_fill(future, -math.inf)
    return scores.softmax(-1) @ v


# %% the experiment


class Net(nn.Module):
    def __init__(self, attend) -> None:
        super().__init__()
        self.enter, self.attend = nn.Linear(2 * D_KEY + LABELS, WIDTH), attend
        self.q, self.k, self.v = (nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS)) for _ in range(3))
        self.head = nn.Linear(WIDTH, LABELS)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, 2 D_KEY + LABELS) -> (B, T, LABELS)
        x = self.enter(x)
        for q, k, v in zip(self.q, self.k, self.v, strict=True):
            x = x + self.attend(q(x), k(x), v(x))
        return self.head(x)


def questions(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (n, T, 2 d + L), the label that each asks for (n, T), and how far back it stands (n, T)."""
    keys = torch.randn(n, TOKENS, D_KEY, generator=generator)
    labels = torch.randint(LABELS, (n, TOKENS), generator=generator)
    spread = torch.rand(n, TOKENS, generator=generator)
    back = (spread * (torch.arange(TOKENS) + 1)).long()  # from 0, the token itself, to the first
    rows, at = torch.arange(n)[:, None], torch.arange(TOKENS) - back
    x = torch.cat([keys, 2 * F.one_hot(labels, LABELS), keys[rows, at]], -1)
    return x, labels[rows, at], back


def gap(method, mask_of, generator: torch.Generator) -> float:
    """Largest difference from masked F.scaled_dot_product_attention in outputs and gradients; f64, 75 tokens."""
    made = [torch.randn(2, 3, 75, d, generator=generator, dtype=torch.float64) for d in (8, 8, 5)]
    found = []
    for attend in (method, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask_of(q.detach(), k.detach()))):
        leaves = [t.clone().requires_grad_() for t in made]
        out = attend(*leaves)
        weighted = (out * torch.linspace(-1, 1, 5, dtype=torch.float64)).square().sum()
        found.append([out.detach(), *torch.autograd.grad(weighted, leaves, materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def band(q: Tensor, k: Tensor) -> Tensor:
    causal = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
    return causal & ~causal.tril(-WINDOW)


def best_keys(q: Tensor, k: Tensor) -> Tensor:
    """Where fewer than KEEP keys of the past score higher."""
    causal = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
    scores = (q @ k.mT).masked_fill(~causal, -math.inf)
    return causal & ((scores[..., None, :] > scores[..., None]).sum(-1) < KEEP)


def reach(net: Net, x: Tensor) -> int:
    """How far back the last token's answer depends on what stands there, by its gradient; f64."""
    net, x = copy.deepcopy(net).cpu().double(), x.cpu().double().requires_grad_()
    (slope,) = torch.autograd.grad(net(x)[:, -1].square().sum(), x)
    return int(TOKENS - 1 - slope.abs().sum((0, 2)).nonzero()[0])


class Ledger(TorchDispatchMode):
    """What operations make and free, as (number of the tensor, its size or minus its size); no inputs, no masks."""

    def __init__(self, inputs: list[Tensor]) -> None:
        super().__init__()
        self.number = {t.untyped_storage()._cdata: -1 for t in inputs}
        self.entries: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **kwargs or {})
        for t in result if isinstance(result, tuple) else (result,):
            storage = t.untyped_storage()  # a view has that of its base
            if t.dtype != torch.bool and storage._cdata not in self.number:
                size, number = storage.nbytes() // t.element_size(), len(self.entries)
                self.number[storage._cdata] = number
                self.entries.append((number, size))
                weakref.finalize(storage, self.free, storage._cdata, number, -size)
        return result

    def free(self, address: int, number: int, size: int) -> None:
        self.number.pop(address, None)
        self.entries.append((number, size))


@torch.no_grad()
def held(method, inputs: list[Tensor]) -> int:
    """The most numbers that live at once between the inputs and the output, without either."""
    with Ledger(inputs) as ledger:
        out = method(*inputs)
    own = ledger.number[out.untyped_storage()._cdata]
    return max(accumulate(size for number, size in ledger.entries if number != own))


def run(device="cpu", seed=0, steps=160):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    methods = {"attention": full, "sliding window": windowed, "top-k": sparse}
    nets = {}
    for name, method in methods.items():
        torch.manual_seed(3 * seed)  # all begin with the same weights, and see the same data
        nets[name] = Net(method).to(device)
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        x, y, _ = (t.to(device) for t in questions(BATCH, data))
        losses = {name: F.cross_entropy(net(x).flatten(0, 1), y.flatten()) for name, net in nets.items()}
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 * (1 - step / steps))
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    x, y, back = questions(300, unseen)
    with torch.no_grad():
        hits = {name: (net(x.to(device)).argmax(-1).cpu() == y).double() for name, net in nets.items()}
    limit = LAYERS * (WINDOW - 1)
    near = {name: float(hit[back < WINDOW].mean()) for name, hit in hits.items()}
    far = {name: float(hit[back > limit].mean()) for name, hit in hits.items()}
    shown = range(TOKENS - 4)
    by_distance = {name: (list(shown), [float(hit[back == d].mean()) for d in shown]) for name, hit in hits.items()}
    lengths = [int(n) for n in LENGTHS.split()]
    inputs = {n: [torch.randn(n, HEAD, generator=unseen) for _ in range(3)] for n in lengths}
    counts = {name: [held(method, inputs[n]) for n in lengths] for name, method in methods.items()}
    return {
        "window_gap": gap(nets["sliding window"].attend, band, unseen),
        "wider_gap": gap(lambda *qkv: windowed(*qkv, width=WINDOW + 1), band, unseen),
        "sparse_gap": gap(nets["top-k"].attend, best_keys, unseen),
        "one_more_gap": gap(lambda *qkv: sparse(*qkv, keep=KEEP + 1), best_keys, unseen),
        "reach_gap": abs(reach(nets["sliding window"], x[:8]) - limit),
        "full_reach_gap": abs(reach(nets["attention"], x[:8]) - limit),
        "window_held": counts["sliding window"][-1],
        "full_held": counts["attention"][-1],
        "window_near": near["sliding window"],
        "topk_far": far["top-k"],
        "full_far": far["attention"],
        "window_far": far["sliding window"],
    }, {
        "share of labels found, by distance": {
            "kind": "lines",
            "series": by_distance,
            "x": "tokens back",
            "y": "share right",
        },
        COMMON: {
            "kind": "lines",
            "series": {name: (lengths, values) for name, values in counts.items()},
            "x": "tokens",
            "y": "numbers",
            "log": "xy",
        },
    }


# %% what is claimed

COMMON = "numbers held for one head"
TITLE = {"en": "A window forgets, the best keys reach far", "zh": "滑动窗口看不远，top-k 稀疏注意力看得到"}
CURVES = "cross-entropy"
CPU_SECONDS = 3
CLAIMS = {
    "parity window_gap <= 1e-10 < wider_gap": {
        "en": "largest gap of the window, in blocks, to masked F.scaled_dot_product_attention in outputs and "
        "gradients (f64); the control's window is one token wider",
        "zh": "分块计算的窗口与加掩码的 F.scaled_dot_product_attention 在输出与梯度上的最大差距（f64）；"
        "对照的窗口多一个词元",
    },
    "parity sparse_gap <= 1e-10 < one_more_gap": {
        "en": "largest gap of top-k attention to masked F.scaled_dot_product_attention in outputs and gradients (f64), "
        "the mask made by counting higher scores; the control keeps one key more",
        "zh": "top-k 注意力与加掩码的 F.scaled_dot_product_attention 在输出与梯度上的最大差距"
        "（f64，掩码由统计更高分数的个数得到）；对照多保留一个键",
    },
    "parity reach_gap <= 0 < full_reach_gap": {
        "en": "tokens by which the distance of the furthest input with a gradient differs from depth x (width - 1); "
        "control: full attention",
        "zh": "梯度不为零的最远输入的距离与“深度 ×（窗口宽 − 1）”相差的词元数；对照：全注意力",
    },
    "parity window_held <= 900 < full_held <= 2100000": {
        "en": "numbers held at once for one head of 1024 tokens, beside inputs, output and masks, window of 8; "
        "control: full attention",
        "zh": "单个注意力头处理 1024 个词元时除输入与输出外同时占用的数值个数（窗口为 8，不计掩码）；对照：全注意力",
    },
    "trained topk_far >= 0.88 > window_far >= 0.14": {
        "en": "share of labels found beyond the window's reach by top-k attention, 8 keys a query; control: a window "
        "of 8 keys",
        "zh": "超出窗口可及范围时，top-k 注意力（每个查询 8 个键）找对标签的比例；对照：8 个键的滑动窗口",
    },
    "trained window_near >= 0.9 > window_far >= 0.14": {
        "en": "share of labels found by the net with a sliding window inside the window; control: the same net "
        "beyond its reach",
        "zh": "滑动窗口网络在窗口之内找对标签的比例；对照：同一网络在可及范围之外",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "attention": "全注意力",
    "sliding window": "滑动窗口",
    "share of labels found, by distance": "各距离上找对标签的比例",
    "tokens back": "向前相距的词元数",
    "share right": "正确率",
    "numbers held for one head": "单个注意力头同时占用的数值",
    "tokens": "词元数",
    "numbers": "数值个数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
