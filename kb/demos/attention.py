"""Attention — each query looks up, by content, a weighted mean of values; sqrt(d) keeps the weights soft.

Twelve keys that were never seen before come with a label each; a noisy copy of one asks for its label. The
contender, with more weights, must sum the pairs up in one vector before it hears the question, as an encoder
without attention does.

Claim:  attention answers, the fixed-size summary does not; the hand-written attention and its multi-head form
        are PyTorch's; without 1/sqrt(d) the weights of random queries of size 512 collapse onto single keys.
Source: A. Vaswani et al., Attention Is All You Need, NeurIPS 2017 (scaled dot product, multi-head);
        D. Bahdanau, K. Cho, Y. Bengio, Neural Machine Translation by Jointly Learning to Align and Translate,
        ICLR 2015 (attention in place of a fixed-size summary)
Run:    python kb/demos/attention.py --device cpu --seed 0 --steps 300
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Attention looks up values by content", "zh": "注意力按内容查找取值"}
CPU_SECONDS = 4
CLAIMS = {
    "trained attention_accuracy >= 0.63 > summary_accuracy": {
        "en": "labels found among fresh keys; the control, trained as long, sums up all pairs in one vector",
        "zh": "在全新的键中查到标签的准确率；对照训练同样久，但先把所有键值对压成一个向量",
    },
    "trained scaled_entropy >= 0.47 > unscaled_entropy": {
        "en": "entropy of the weights over log n for random queries, d = 512; the control omits 1/sqrt(d)",
        "zh": "512 维随机查询的权重熵与 log n 之比；对照不除以 sqrt(d)",
    },
    "parity attention_gap <= 1e-10 < unscaled_gap": {
        "en": "gap to F.scaled_dot_product_attention, causal mask, f64; the control omits 1/sqrt(d)",
        "zh": "与 F.scaled_dot_product_attention 的差距（因果掩码，f64）；对照不除以 sqrt(d)",
    },
    "parity multihead_gap <= 1e-10 < mixed_heads_gap": {
        "en": "gap to nn.MultiheadAttention in f64; the control splits the heads without transposing",
        "zh": "与 nn.MultiheadAttention 的差距（f64）；对照拆分多头时未转置",
    },
}

KEYS, LABELS, D_KEY, WIDTH, BATCH, NOISE = 12, 10, 16, 32, 128, 0.2


def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None = None, scaled: bool = True) -> Tensor:
    scores = q @ k.transpose(-2, -1)  # (..., M, d), (..., N, d) -> (..., M, N)
    if scaled:
        scores = scores / math.sqrt(q.shape[-1])  # a sum of d products of unit variance has variance d
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(-1)


class MultiHeadAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, transpose: bool = True) -> Tensor:  # self-attention: (B, T, D) -> (B, T, D)
        b, t, d = x.shape
        if transpose:
            q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        else:  # right shapes, wrong contents: a head gets a stretch of time instead of a slice of features
            q, k, v = self.qkv(x).view(b, t, 3, d).unbind(2)
            q, k, v = (y.reshape(b, self.heads, t, d // self.heads) for y in (q, k, v))
        y = attention_weights(q, k) @ v  # (B, H, T, D/H)
        return self.out(y.transpose(1, 2).reshape(b, t, d))


class Lookup(nn.Module):
    """Attention from one query over the pairs: the question decides what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(D_KEY, WIDTH), nn.Linear(D_KEY, WIDTH)
        self.v, self.head = nn.Embedding(LABELS, WIDTH), nn.Linear(WIDTH, LABELS)

    def weights(self, keys: Tensor, query: Tensor) -> Tensor:  # (B, N, d), (B, d) -> (B, 1, N)
        return attention_weights(self.q(query[:, None]), self.k(keys))

    def forward(self, keys: Tensor, labels: Tensor, query: Tensor) -> Tensor:  # -> (B, LABELS)
        return self.head((self.weights(keys, query) @ self.v(labels))[:, 0])


class Summary(nn.Module):
    """The pairs are averaged into one vector before the query is known; more weights than Lookup has."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.label = nn.Embedding(LABELS, WIDTH)
        self.pair = nn.Sequential(nn.Linear(D_KEY + WIDTH, width), nn.ReLU(), nn.Linear(width, width))
        self.head = nn.Sequential(nn.Linear(width + D_KEY, width), nn.ReLU(), nn.Linear(width, LABELS))

    def forward(self, keys: Tensor, labels: Tensor, query: Tensor) -> Tensor:
        summary = self.pair(torch.cat([keys, self.label(labels)], -1)).mean(1)  # (B, N, .) -> (B, width)
        return self.head(torch.cat([summary, query], -1))


def questions(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Keys (n, N, d), labels (n, N), a noisy copy of one key (n, d), and its label (n,)."""
    keys = torch.randn(n, KEYS, D_KEY, generator=generator)
    labels = torch.randint(LABELS, (n, KEYS), generator=generator)
    which = torch.randint(KEYS, (n,), generator=generator)
    rows = torch.arange(n)
    query = keys[rows, which] + NOISE * torch.randn(n, D_KEY, generator=generator)
    return keys, labels, query, labels[rows, which]


@torch.no_grad()
def gaps_to_torch(generator: torch.Generator) -> dict[str, float]:
    q, k, v = torch.randn(3, 2, 4, 7, 16, generator=generator, dtype=torch.float64)  # (B, H, T, d) each
    causal = torch.ones(7, 7, dtype=torch.bool).tril()
    twin = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    ours = {name: attention_weights(q, k, causal, scaled) @ v for name, scaled in [("a", True), ("u", False)]}
    module, reference = (
        MultiHeadAttention(32, 4).double(),
        nn.MultiheadAttention(32, 4, batch_first=True).double(),
    )
    reference.in_proj_weight.copy_(module.qkv.weight)
    reference.in_proj_bias.copy_(module.qkv.bias)
    reference.out_proj.load_state_dict(module.out.state_dict())
    x = torch.randn(2, 7, 32, generator=generator, dtype=torch.float64)
    answer = reference(x, x, x, need_weights=False)[0]
    return {
        "attention_gap": float((ours["a"] - twin).abs().max()),
        "unscaled_gap": float((ours["u"] - twin).abs().max()),
        "multihead_gap": float((module(x) - answer).abs().max()),
        "mixed_heads_gap": float((module(x, transpose=False) - answer).abs().max()),
    }


def entropy(scaled: bool, generator: torch.Generator, n: int = 64, d: int = 512) -> float:
    """Mean entropy of the weights as a share of its largest value: 1 is the plain mean, 0 a single key."""
    q, k = torch.randn(2, n, d, generator=generator)
    weights = attention_weights(q, k, scaled=scaled)
    return float(torch.special.entr(weights).sum(-1).mean()) / math.log(n)


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    nets = {"attention": Lookup().to(device), "summary": Summary().to(device)}
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=3e-3) for name, net in nets.items()}
    for step in range(steps):
        *inputs, answer = (t.to(device) for t in questions(BATCH, data))
        losses = {}
        for name, net in nets.items():
            loss = F.cross_entropy(net(*inputs), answer)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, losses

    *inputs, answer = (t.to(device) for t in questions(2000, torch.Generator().manual_seed(seed + 1000)))
    with torch.no_grad():
        hits = {name: (net(*inputs).argmax(1) == answer).float().mean().item() for name, net in nets.items()}
        keys, _, query, _ = (t[:10] for t in (*inputs, answer))
        weights = nets["attention"].weights(keys, query)[:, 0]  # (10, N)
        wanted = (keys - query[:, None]).norm(dim=-1).argmin(1).tolist()
    return {
        **{f"{name}_accuracy": hit for name, hit in hits.items()},
        "scaled_entropy": entropy(True, data),
        "unscaled_entropy": entropy(False, data),
        **gaps_to_torch(data),
    }, {
        "attention of ten questions": {
            "kind": "heatmap",
            "zh": "十个问题的注意力权重",
            "values": weights.cpu(),
            "rows": [f"asks for key {i + 1}" for i in wanted],
            "columns": [f"key {i + 1}" for i in range(KEYS)],
        }
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
