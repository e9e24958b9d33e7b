"""Attention — a query looks up, by content, a weighted mean of values; one vector for all pairs does far worse.

Twelve keys that no network has seen come with a label each; a noisy copy of one key asks for its label. Attention
compares the question with every key. The control, trained as long, sums the pairs up in one vector before it hears
the question, as an encoder without attention does; a second one names the commonest of the twelve labels.
And 1/sqrt(d) keeps the weights soft: the scores of random queries and keys then have variance 1, and the entropy
of the weights is near log n - 1/2; without it, queries of size 512 see hardly more than one key.

Needs:  torch
Source: A. Vaswani et al., Attention Is All You Need, NeurIPS 2017 (scaled dot product, multi-head);
        D. Bahdanau, K. Cho, Y. Bengio, Neural Machine Translation by Jointly Learning to Align and Translate,
        ICLR 2015 (attention in place of a fixed-size summary)
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KEYS, LABELS, D_KEY, WIDTH, BATCH, NOISE = 12, 10, 16, 32, 128, 0.2

# %% the concept


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, scaled: bool = True) -> tuple[Tensor, Tensor]:
    scores = q @ k.mT  # q k^T: (..., M, d), (..., N, d) -> (..., M, N)
    if scaled:
        scores = scores / math.sqrt(q.shape[-1])  # a sum of d products of variance 1 has variance d
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(-1)  # of each query over the keys
    return weights @ v, weights  # softmax(q k^T / sqrt(d)) v: (..., M, d_v)


class MultiHeadAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:  # self-attention: (B, T, D) -> (B, T, D)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, H, T, D / H) each
        return self.out(attend(q, k, v)[0].transpose(1, 2).flatten(2))


class Lookup(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(D_KEY, WIDTH), nn.Linear(D_KEY, WIDTH)
        self.v, self.head = nn.Embedding(LABELS, WIDTH), nn.Linear(WIDTH, LABELS)

    def read(self, keys: Tensor, labels: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:  # (B, N, d), (B, N), (B, d)
        return attend(self.q(query[:, None]), self.k(keys), self.v(labels))  # (B, 1, D), (B, 1, N)

    def forward(self, keys: Tensor, labels: Tensor, query: Tensor) -> Tensor:  # -> (B, LABELS)
        return self.head(self.read(keys, labels, query)[0][:, 0])


# %% its control


class Summary(nn.Module):
    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.label = nn.Embedding(LABELS, WIDTH)
        self.pair = nn.Sequential(nn.Linear(D_KEY + WIDTH, width), nn.ReLU(), nn.Linear(width, width))
        self.head = nn.Sequential(nn.Linear(width + D_KEY, width), nn.ReLU(), nn.Linear(width, LABELS))

    def forward(self, keys: Tensor, labels: Tensor, query: Tensor) -> Tensor:
        summary = self.pair(torch.cat([keys, self.label(labels)], -1)).mean(1)  # (B, N, .) -> (B, width)
        return self.head(torch.cat([summary, query], -1))


# %% the experiment


def questions(n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Keys (n, N, d), labels (n, N), a noisy copy of one key (n, d), its label (n,), and which it is (n,)."""
    keys = torch.randn(n, KEYS, D_KEY, generator=generator)
    labels = torch.randint(LABELS, (n, KEYS), generator=generator)
    which = torch.randint(KEYS, (n,), generator=generator)
    rows = torch.arange(n)
    query = keys[rows, which] + NOISE * torch.randn(n, D_KEY, generator=generator)
    return keys, labels, query, labels[rows, which], which


def difference(ours: Tensor, theirs: Tensor, mine: list[Tensor], yours: list[Tensor]) -> float:
    """The largest, in two outputs and in the gradients of a weighted sum of each."""
    found = []
    for y, leaves in ((ours, mine), (theirs, yours)):
        weighted = (y * torch.linspace(-1, 1, y.shape[-1], dtype=y.dtype)).sum()
        found.append([y.detach(), *torch.autograd.grad(weighted, leaves, materialize_grads=True)])
    return torch.stack([(a - b).abs().max() for a, b in zip(*found, strict=True)]).max().item()


def attention_gap(net: Lookup, keys: Tensor, labels: Tensor, query: Tensor, scaled: bool = True) -> float:
    """The trained net, and causal attention with its weights, to F.scaled_dot_product_attention; f64."""
    net, causal = copy.deepcopy(net).cpu().double(), torch.ones(KEYS, KEYS, dtype=torch.bool).tril()
    keys, labels, query = keys.cpu().double(), labels.cpu(), query.cpu().double()
    q, k, v, asked = net.q(keys), net.k(keys), net.v(labels), net.q(query[:, None])
    causally = F.scaled_dot_product_attention(q, k, v[..., 1:], is_causal=True)  # values narrower than keys
    theirs = torch.cat([causally.flatten(), net.head(F.scaled_dot_product_attention(asked, k, v)).flatten()])
    q, k, v = net.q(keys), net.k(keys), net.v(labels)
    ours = torch.cat([attend(q, k, v[..., 1:], causal, scaled)[0].flatten(), net(keys, labels, query).flatten()])
    return difference(ours, theirs, [*net.parameters()], [*net.parameters()])


def multihead_gap(heads: int, generator: torch.Generator) -> float:
    module, twin = MultiHeadAttention(32, heads).double(), nn.MultiheadAttention(32, 4, batch_first=True).double()
    for theirs, mine in zip(twin.parameters(), module.parameters(), strict=True):
        theirs.data = mine.data.clone()
    x = torch.randn(2, 7, 32, generator=generator, dtype=torch.float64).requires_grad_()
    answer = twin(x, x, x, need_weights=False)[0]
    return difference(module(x), answer, [x, *module.parameters()], [x, *twin.parameters()])


def entropy(scaled: bool, generator: torch.Generator, n: int = 64, d: int = 512) -> float:
    """Mean entropy of the weights as a share of its largest value: 1 is the plain mean, 0 a single key."""
    q, k = torch.randn(2, 32, n, d, generator=generator)
    return float(torch.special.entr(attend(q, k, k, scaled=scaled)[1]).sum(-1).mean()) / math.log(n)


def held(n: int, generator: torch.Generator) -> int:
    """Numbers between q, k, v and the output of one head: the scores, and the weights that are made of them."""
    q, k, v = torch.randn(3, n, 64, generator=generator)
    return 2 * attend(q, k, v)[1].numel()


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets = {"attention": Lookup().to(device), "one vector": Summary().to(device)}
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=3e-3) for name, net in nets.items()}
    for step in range(steps):
        *inputs, answer, _ = (t.to(device) for t in questions(BATCH, data))
        losses = {name: F.cross_entropy(net(*inputs), answer) for name, net in nets.items()}
        for name, loss in losses.items():
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    *inputs, answer, which = (t.to(device) for t in questions(2000, unseen))
    one_each = torch.tensor([int((which == i).nonzero()[0]) for i in range(KEYS)]).to(device)  # a question for each key
    with torch.no_grad():
        hits = {name: (net(*inputs).argmax(1) == answer).float().mean().item() for name, net in nets.items()}
        weights = nets["attention"].read(*(t[one_each] for t in inputs))[1][:, 0]  # (N, N)
    commonest = (inputs[1].cpu().mode(1)[0] == answer.cpu()).float().mean().item()
    lengths = [64, 128, 256, 512, 1024]
    checked = (nets["attention"], *(t[:20] for t in inputs))
    return {
        "attention_accuracy": hits["attention"],
        "summary_accuracy": hits["one vector"],
        "commonest_accuracy": commonest,
        "control_accuracy": max(hits["one vector"], commonest),
        "scaled_entropy": entropy(True, unseen),
        "unscaled_entropy": entropy(False, unseen),
        "attention_gap": attention_gap(*checked),
        "unscaled_gap": attention_gap(*checked, scaled=False),
        "multihead_gap": multihead_gap(4, unseen),
        "one_head_gap": multihead_gap(1, unseen),
    }, {
        "weight of each key, in %, when one is asked for": {
            "kind": "heatmap",
            "values": (100 * weights).round().tolist(),
            "rows": [str(i + 1) for i in range(KEYS)],
            "columns": [str(i + 1) for i in range(KEYS)],
            "x": "key",
            "y": "key asked for",
        },
        COMMON: {
            "kind": "lines",
            "series": {"attention": (lengths, [held(n, unseen) for n in lengths])},
            "x": "tokens",
            "y": "numbers",
            "log": "xy",
        },
    }


# %% what is claimed

TITLE = {"en": "Attention looks up values by content", "zh": "注意力按内容查找取值"}
CURVES = "cross-entropy"
COMMON = "numbers held for one head"
CPU_SECONDS = 2
CLAIMS = {
    "trained attention_accuracy >= 0.98 > control_accuracy >= 0.2": {
        "en": "labels found among fresh keys; control: a network that sums up all pairs in one vector, or the "
        "commonest label of the twelve, whichever is better",
        "zh": "在全新的键中找对标签的比例；对照：先把键值对压成一个向量的网络，或十二个标签中最常见的一个，取较好者",
    },
    "parity scaled_entropy >= 0.88 > unscaled_entropy": {
        "en": "entropy of the weights over log n for random queries, d = 512, n = 64; the control omits 1/sqrt(d)",
        "zh": "随机查询（d = 512，n = 64）的权重熵与 log n 之比；对照不除以 sqrt(d)",
    },
    "parity attention_gap <= 1e-10 < unscaled_gap": {
        "en": "largest gap to F.scaled_dot_product_attention, causal and as trained, in outputs and gradients (f64); "
        "the control omits 1/sqrt(d)",
        "zh": "与 F.scaled_dot_product_attention 在输出与梯度上的最大差距（因果掩码与训练后的网络，f64）；"
        "对照不除以 sqrt(d)",
    },
    "parity multihead_gap <= 1e-10 < one_head_gap": {
        "en": "largest gap to nn.MultiheadAttention in outputs and gradients (f64); the control has one head, not four",
        "zh": "与 nn.MultiheadAttention 在输出与梯度上的最大差距（f64）；对照只有一个头而非四个",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "attention": "注意力",
    "one vector": "压成一个向量",
    "weight of each key, in %, when one is asked for": "询问某个键时各键的权重（%）",
    "key": "键",
    "key asked for": "所问的键",
    "numbers held for one head": "单个注意力头同时占用的数",
    "tokens": "词元数",
    "numbers": "数的个数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
