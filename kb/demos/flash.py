"""FlashAttention — attention tile by tile with a running softmax: the same numbers, without the n x n table.

A block of queries meets one tile (32, in training 8) of keys and values after the other. The largest score so far is
subtracted before exp; when a larger one comes, what was summed is scaled down to it. So the result is exact but for
rounding, also where scores of 1000 overflow exp. For the gradient, each tile is computed again; beside inputs and
output, that takes one number a query, the log of its sum. The controls: plain attention, which holds and keeps the
n x n table; and the naive way to work in tiles, a softmax in each and the mean of all, which is another function. Held
numbers are counted as each operation makes and frees its tensors, on the CPU; the paper's gain in speed, by fewer reads
and writes of a GPU's slow memory, is not measured here.

Needs:  torch
Source: T. Dao et al., FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness, NeurIPS 2022;
        T. Dao, FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning, ICLR 2024 (the order
        of the loops, one number a query); M. Milakov, N. Gimelshein, Online normalizer calculation for softmax, 2018
"""

import math
import weakref
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

TILE, HEAD, LENGTHS = 32, 64, "64 128 256 512 1024"
KEYS, LABELS, WIDTH, BATCH, RATE = 24, 10, 16, 32, 1e-2

# %% the concept


def tile_scores(q: Tensor, k: Tensor, i: int, j: int, tile: int, causal: bool) -> Tensor:  # -> (..., tile, tile)
    s = q[..., i : i + tile, :] @ k[..., j : j + tile, :].mT / math.sqrt(q.shape[-1])
    if causal and j + tile > i:  # here some keys may stand behind their query
        ahead = torch.ones(s.shape[-2:], dtype=torch.bool, device=s.device).triu(1 + i - j)
        s = s.masked_fill(ahead, -math.inf)
    return s


class Flash(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, causal: bool, tile: int) -> Tensor:  # -> (..., n, d_v)
        out, log_sum = q.new_empty(*q.shape[:-1], v.shape[-1]), q.new_empty(*q.shape[:-1], 1)
        for i in range(0, q.shape[-2], tile):
            top, total, mixed = torch.full_like(q[..., i : i + tile, :1], -math.inf), 0, 0
            for j in range(0, i + 1 if causal else k.shape[-2], tile):
                s = tile_scores(q, k, i, j, tile, causal)
                higher = torch.maximum(top, s.amax(-1, keepdim=True))
                p, shrink = (s - higher).exp(), (top - higher).exp()
                total = shrink * total + p.sum(-1, keepdim=True)  # sum of exp(s - max), as if all tiles were here
                mixed = shrink * mixed + p @ v[..., j : j + tile, :]
                top = higher
            out[..., i : i + tile, :] = mixed / total
            log_sum[..., i : i + tile, :] = top + total.log()
        ctx.save_for_backward(q, k, v, out, log_sum)
        ctx.options = causal, tile
        return out

    @staticmethod
    def backward(ctx, d_out: Tensor) -> tuple:
        (q, k, v, out, log_sum), (causal, tile) = ctx.saved_tensors, ctx.options
        dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
        inner = (d_out * out).sum(-1, keepdim=True)  # sum over keys of p * dp: (..., n, 1)
        for i in range(0, q.shape[-2], tile):
            rows = slice(i, i + tile)
            for j in range(0, i + 1 if causal else k.shape[-2], tile):
                columns = slice(j, j + tile)
                p = (tile_scores(q, k, i, j, tile, causal) - log_sum[..., rows, :]).exp()  # the weights once more
                dp = d_out[..., rows, :] @ v[..., columns, :].mT
                ds = p * (dp - inner[..., rows, :]) / math.sqrt(q.shape[-1])  # softmax' = p (dp - sum p dp)
                dq[..., rows, :] += ds @ k[..., columns, :]
                dk[..., columns, :] += ds.mT @ q[..., rows, :]
                dv[..., columns, :] += p.mT @ d_out[..., rows, :]
        return dq, dk, dv, None, None


def flash(q: Tensor, k: Tensor, v: Tensor, causal: bool = False, tile: int = TILE) -> Tensor:
    return Flash.apply(q, k, v, causal, tile)


# %% its control


def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.mT  # (..., n, n)
    scores = scores / math.sqrt(q.shape[-1])
    return scores.softmax(-1) @ v


def tile_means(q: Tensor, k: Tensor, v: Tensor, tile: int = TILE) -> Tensor:
    """Each tile with a softmax of its own, and the mean of all: no softmax of a whole row, and no attention."""
    return torch.stack([plain(q, *pair) for pair in zip(k.split(tile, -2), v.split(tile, -2), strict=True)]).mean(0)


# %% the experiment


class Ledger(TorchDispatchMode):
    """What operations make and free, as (number of the tensor, its size or minus its size); not the inputs."""

    def __init__(self, inputs: list[Tensor]) -> None:
        super().__init__()
        self.number = {t.untyped_storage()._cdata: -1 for t in inputs}
        self.entries: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **kwargs or {})
        storage = result.untyped_storage()  # a view has that of its base
        if storage._cdata not in self.number:
            size, number = storage.nbytes() // result.element_size(), len(self.entries)
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


def kept(method, inputs: list[Tensor]) -> int:
    """The numbers that wait for the gradient."""
    found: dict[int, int] = {}

    def keep(t: Tensor) -> Tensor:
        found[t.untyped_storage()._cdata] = t.untyped_storage().nbytes() // t.element_size()
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        out = method(*(t.clone().requires_grad_() for t in inputs))
    return sum(found.values()) + 0 * len(out)


def gap(method, causal: bool, generator: torch.Generator) -> float:
    """Largest difference from F.scaled_dot_product_attention in outputs and gradients, f64; scores near 1000."""
    made = [torch.randn(2, 3, 3 * TILE + 5, d, generator=generator, dtype=torch.float64) for d in (8, 8, 5)]
    for t in made[:2]:
        t[..., 0] = math.sqrt(1000 * math.sqrt(8))  # adds 1000 to each score
    found = []
    for attend in (method, lambda *qkv: F.scaled_dot_product_attention(*qkv, is_causal=causal)):
        leaves = [t.clone().requires_grad_() for t in made]
        out = attend(*leaves)
        weighted = (out * torch.linspace(-1, 1, 5, dtype=torch.float64)).square().sum()
        found.append([out.detach(), *torch.autograd.grad(weighted, leaves)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


class Lookup(nn.Module):
    """Each token asks for the label of the one whose key is the opposite of its own."""

    def __init__(self, attend) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.v, self.head, self.attend = nn.Embedding(LABELS, WIDTH), nn.Linear(WIDTH, LABELS), attend

    def forward(self, keys: Tensor, labels: Tensor) -> Tensor:  # (B, N, d), (B, N) -> (B, N, LABELS)
        return self.head(self.attend(self.q(keys), self.k(keys), self.v(labels)))


def questions(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Keys (n, N, d), labels (n, N), and for each token the label of its opposite (n, N)."""
    half = torch.randn(n, KEYS // 2, WIDTH, generator=generator)
    labels = torch.randint(LABELS, (n, KEYS), generator=generator)
    return torch.cat([half, -half], 1), labels, labels.roll(KEYS // 2, 1)


def run(device="cpu", seed=0, steps=100):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    methods = {"FlashAttention": lambda *qkv: flash(*qkv, tile=8), "attention": plain}
    methods["mean of the tiles"] = lambda *qkv: tile_means(*qkv, tile=8)
    nets = {}
    for name, method in methods.items():
        torch.manual_seed(3 * seed)  # all begin with the same weights, and see the same data
        nets[name] = Lookup(method).to(device)
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=RATE) for name, net in nets.items()}
    for step in range(steps):
        keys, labels, answers = (t.to(device) for t in questions(BATCH, data))
        losses = {
            name: F.cross_entropy(net(keys, labels).flatten(0, 1), answers.flatten()) for name, net in nets.items()
        }
        for name, loss in losses.items():
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    keys, labels, right = questions(100, unseen)
    with torch.no_grad():
        answers = {name: net(keys.to(device), labels.to(device)).cpu() for name, net in nets.items()}
    hits = {name: float((logits.argmax(-1) == right).double().mean()) for name, logits in answers.items()}
    astray = {name: float((answers[name] - answers["attention"]).abs().max()) for name in nets}
    lengths = [int(n) for n in LENGTHS.split()]
    inputs = {n: [torch.randn(n, HEAD, generator=unseen) for _ in range(3)] for n in lengths}
    counts = {
        name: [held(m, inputs[n]) for n in lengths] for name, m in (("FlashAttention", flash), ("attention", plain))
    }
    saved = {name: kept(m, inputs[lengths[-1]]) for name, m in (("FlashAttention", flash), ("attention", plain))}
    gaps = [gap(lambda *qkv, c=c: flash(*qkv, causal=c), c, unseen) for c in (False, True)]
    ours, theirs = counts["FlashAttention"], counts["attention"]
    return {
        "flash_gap": max(gaps),
        "tile_means_gap": gap(tile_means, False, unseen),
        "flash_held": ours[-1],
        "table_held": theirs[-1],
        "flash_growth": ours[-1] / ours[-2],
        "table_growth": theirs[-1] / theirs[-2],
        "flash_kept": saved["FlashAttention"],
        "table_kept": saved["attention"],
        "flash_astray": astray["FlashAttention"],
        "tile_means_astray": astray["mean of the tiles"],
        "flash_right": hits["FlashAttention"],
        "tile_means_right": hits["mean of the tiles"],
    }, {
        COMMON: {
            "kind": "lines",
            "series": {name: (lengths, values) for name, values in counts.items()},
            "x": "tokens",
            "y": "numbers",
            "log": "xy",
        }
    }


# %% what is claimed

COMMON = "numbers held for one head"
TITLE = {"en": "FlashAttention is exact without the table", "zh": "FlashAttention 不存注意力矩阵，结果仍然精确"}
CURVES = "cross-entropy"
CPU_SECONDS = 2
CLAIMS = {
    "parity flash_gap <= 1e-10 < tile_means_gap": {
        "en": "largest gap to F.scaled_dot_product_attention in outputs and gradients, causal and not, scores near "
        "1000 (f64); control: the mean of a softmax per tile",
        "zh": "与 F.scaled_dot_product_attention 在输出与梯度上的最大差距（含因果与非因果，分数接近 1000，f64）；"
        "对照：各分块分别做 softmax 再取平均",
    },
    "parity flash_held <= 12000 < table_held <= 2100000": {
        "en": "numbers held at once for one head of 1024 tokens, beside inputs and output; control: plain attention",
        "zh": "单个注意力头处理 1024 个词元时，除输入与输出外同时占用的数值个数；对照：普通注意力",
    },
    "parity flash_growth <= 1.1 < table_growth <= 4.1": {
        "en": "factor by which the held numbers grow from 512 to 1024 tokens; control: plain attention",
        "zh": "从 512 个词元增到 1024 个时，占用的数值个数增大的倍数；对照：普通注意力",
    },
    "parity flash_kept <= 270000 < table_kept <= 1300000": {
        "en": "numbers kept for the gradient at 1024 tokens, inputs and any output included; control: plain attention",
        "zh": "1024 个词元时为求梯度而保留的数值个数（含输入，以及保留的输出）；对照：普通注意力",
    },
    "trained flash_astray <= 5e-5 < tile_means_astray <= 20": {
        "en": "largest difference in the logits for fresh questions from a net trained with plain attention on the "
        "same data from the same weights (f32); control: trained with the mean of the tiles",
        "zh": "与用普通注意力、以相同初值和数据训练的网络相比，对新问题的 logits 的最大差异（f32）；"
        "对照：改用各分块 softmax 的平均来训练的网络",
    },
    "trained flash_right >= 0.92 > tile_means_right >= 0.8": {
        "en": "share of fresh questions that the net trained with FlashAttention answers right; control: the net "
        "trained with the mean of the tiles",
        "zh": "用 FlashAttention 训练的网络对新问题的正确率；对照：改用各分块 softmax 的平均来训练的网络",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "attention": "普通注意力",
    "mean of the tiles": "各分块的平均",
    "numbers held for one head": "单个注意力头同时占用的数值",
    "tokens": "词元数",
    "numbers": "数值个数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
