"""Positional encoding — four ways to tell attention the order, and how each does on texts longer than it trained on.

A text says things of four keys, again and again; at its end one key is asked for: what was last said of it? The same
small attention reads it with sinusoids added, with learned vectors added, with rotated queries and keys (RoPE), with a
penalty on the distance (ALiBi), and without any. It trains on texts of 16 and is asked on texts of up to 128. Rivals
without order: the net without positions, and a count of what was said oftenest of the key. Learned vectors beyond the
16th place are as they were drawn. ALiBi's slopes begin at 1, not at the paper's 2^(-8 / heads): with two heads that is
1/16, too gentle a penalty here, which on seed 0 did worse than RoPE.

Needs:  torch
Source: A. Vaswani et al., Attention Is All You Need, NeurIPS 2017 (sinusoids); J. Su et al., RoFormer: Enhanced
        Transformer with Rotary Position Embedding, 2021; O. Press, N. Smith, M. Lewis, Train Short, Test Long:
        Attention with Linear Biases Enables Input Length Extrapolation, ICLR 2022 (ALiBi)
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KEYS, SAID, WIDTH, HEADS, BATCH, TRAINED, RATE, SPREAD = 4, 8, 32, 2, 32, 16, 1e-2, 0.3
LENGTHS = (16, 32, 64, 128)
WAYS = ("sinusoids", "learned", "RoPE", "ALiBi", "no positions")

# %% the concept


def angles(n: int, d: int) -> Tensor:  # (n, d / 2): position p turns pair i by p / 10000^(2i / d)
    return torch.arange(n)[:, None] * 10000 ** -(torch.arange(0, d, 2, dtype=torch.float64) / d)


def sinusoids(n: int, d: int) -> Tensor:  # (n, d): sin and cos of the angles, in turn
    return torch.stack([angles(n, d).sin(), angles(n, d).cos()], -1).flatten(1)


def rotate(x: Tensor) -> Tensor:  # RoPE: (..., T, d), each pair of x_p turned by its angle
    a, b = x[..., ::2], x[..., 1::2]
    sin, cos = (f(angles(*x.shape[-2:])).to(x) for f in (torch.sin, torch.cos))
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


def penalty(n: int, heads: int) -> Tensor:  # ALiBi: (H, T, T), -m_h |i - j|, m_h = 2^(-8h / H), h = 0 .. H - 1
    slopes = 2.0 ** -(8 * torch.arange(heads) / heads)
    return -slopes[:, None, None] * (torch.arange(n)[:, None] - torch.arange(n)).abs()


class Reader(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.key, self.said = way, nn.Embedding(KEYS, WIDTH), nn.Embedding(SAID + 1, WIDTH)
        self.qkv, self.out, self.head = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, SAID)
        self.places = nn.Parameter(torch.randn(max(LENGTHS), WIDTH))
        for learned in (self.key.weight, self.said.weight, self.places):
            learned.data *= SPREAD

    def forward(self, keys: Tensor, said: Tensor) -> Tensor:  # (B, T), (B, T) -> (B, SAID)
        x, n = self.key(keys) + self.said(said), keys.shape[1]
        if self.way == "sinusoids":
            x = x + sinusoids(n, WIDTH).to(x)
        if self.way == "learned":
            x = x + self.places[:n]
        q, k, v = self.qkv(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # (B, H, T, D / H) each
        if self.way == "RoPE":
            q, k = rotate(q), rotate(k)
        scores = q[:, :, -1:] @ k.mT / math.sqrt(q.shape[-1])  # the end asks: (B, H, 1, T)
        if self.way == "ALiBi":
            scores = scores + penalty(n, HEADS)[:, -1:].to(x)
        mixed = (scores.softmax(-1) @ v)[:, :, 0].flatten(1)
        return self.head(self.out(mixed).relu())


# %% the experiment


def texts(n: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Keys, what is said of each, and what was last said of the key at the end: (n, T), (n, T), (n,)."""
    keys = torch.randint(KEYS, (n, length), generator=generator)
    said = torch.randint(SAID, (n, length), generator=generator)
    said[:, -1] = SAID  # the question
    keys[:, 0] = torch.where((keys[:, 1:-1] == keys[:, -1:]).any(1), keys[:, 0], keys[:, -1])  # it has an answer
    last = ((keys == keys[:, -1:])[:, :-1] * torch.arange(length - 1)).argmax(1, keepdim=True)
    return keys, said, said.gather(1, last)[:, 0]


def oftenest(keys: Tensor, said: Tensor) -> Tensor:
    """What was said oftenest of the key asked for: all that is known without order."""
    return (F.one_hot(said, SAID + 1) * (keys == keys[:, -1:])[..., None]).sum(1)[:, :SAID].argmax(1)


def by_torch(net: Reader, way: str, keys: Tensor, said: Tensor) -> Tensor:
    """The net's answers, by F.scaled_dot_product_attention, complex rotations and a bias of explicit distances."""
    n = keys.shape[1]
    x, place = net.key(keys) + net.said(said), torch.arange(n)[:, None]
    sizes = [torch.arange(d // 2).double() / (d // 2) for d in (WIDTH, WIDTH // HEADS)]
    turn, factors = (torch.exp(1j * place * 1e4**-size) for size in sizes)  # cos + i sin
    extra = {"sinusoids": torch.stack([turn.imag, turn.real], -1).flatten(1), "learned": net.places[:n]}
    q, k, v = F.linear(x + extra.get(way, torch.zeros(())), net.qkv.weight, net.qkv.bias).chunk(3, -1)
    q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (q, k, v))
    if way == "RoPE":
        q, k = (
            torch.view_as_real(torch.view_as_complex(t.unflatten(-1, (-1, 2))) * factors).flatten(3) for t in (q, k)
        )
    distances = torch.tensor([[float(j - n + 1) for j in range(n)]], dtype=torch.float64)  # minus those to the end
    bias = torch.stack([distances, distances / 16]) if way == "ALiBi" else None
    mixed = F.scaled_dot_product_attention(q[:, :, -1:].contiguous(), k.contiguous(), v.contiguous(), attn_mask=bias)
    return net.head(net.out(mixed.transpose(1, 2).flatten(1)).relu())


def reader_gap(net: Reader, keys: Tensor, said: Tensor, way: str) -> float:
    """Largest difference of a trained net from `by_torch`, in answers and gradients; f64."""
    net, found = copy.deepcopy(net).cpu().double(), []
    for y in (net(keys, said), by_torch(net, way, keys, said)):
        weighted = (y * torch.linspace(-1, 1, SAID, dtype=torch.float64)).sum()
        found.append([y.detach(), *torch.autograd.grad(weighted, [*net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def moved_gap(rotated: bool, generator: torch.Generator) -> float:
    """Largest change of the scores of 16 queries and keys when all move on by 50 places; f64."""
    q, k = torch.randn(2, 16, WIDTH, generator=generator, dtype=torch.float64)
    scores = []
    for moved in (0, 50):
        a, b = (F.pad(t, (0, 0, moved, 0)) for t in (q, k))
        a, b = (rotate(t) if rotated else t + sinusoids(len(t), WIDTH) for t in (a, b))
        scores.append((a @ b.T)[moved:, moved:] / math.sqrt(WIDTH))
    return (scores[0] - scores[1]).abs().max().item()


def shift_gap(places: Tensor, k: int = 5) -> float:
    """What is left of the vectors k places on, after the best linear map of those here; f64."""
    here, there = places[:-k].double(), places[k:].double()
    return (here @ torch.linalg.lstsq(here, there, driver="gelsd").solution - there).abs().max().item()


def run(device="cpu", seed=0, steps=250):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets = {}
    for way in WAYS:
        torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
        nets[way] = Reader(way).to(device)
    optimizers = {way: torch.optim.Adam(net.parameters()) for way, net in nets.items()}
    for step in range(steps):
        keys, said, answer = (t.to(device) for t in texts(BATCH, TRAINED, data))
        losses = {}
        for way, net in nets.items():
            optimizers[way].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            loss = F.cross_entropy(net(keys, said), answer)
            optimizers[way].zero_grad()
            loss.backward()
            optimizers[way].step()
            losses[way] = loss.item()
        yield (step + 1) / steps, losses

    shares: dict[str, list[float]] = {way: [] for way in WAYS}
    counted = []
    for length in LENGTHS:
        keys, said, answer = texts(600, length, unseen)
        counted.append((oftenest(keys, said) == answer).float().mean().item())
        for way, net in nets.items():
            with torch.no_grad():
                best = net(keys.to(device), said.to(device)).argmax(1).cpu()
            shares[way].append((best == answer).float().mean().item())
    keys, said, _ = texts(8, 24, unseen)
    ordered = WAYS[:-1]
    return {
        "ordered_share": min(shares[way][0] for way in ordered),
        "unordered_share": max(shares["no positions"][0], counted[0]),
        "alibi_long_share": shares["ALiBi"][-1],
        "others_long_share": max(shares[way][-1] for way in WAYS if way != "ALiBi"),
        "reader_gap": max(reader_gap(nets[way], keys, said, way) for way in WAYS),
        "no_position_gap": min(reader_gap(nets[way], keys, said, "no positions") for way in ordered),
        "rope_moved_gap": moved_gap(True, unseen),
        "sinusoid_moved_gap": moved_gap(False, unseen),
        "sinusoid_shift_gap": shift_gap(sinusoids(128, WIDTH)),
        "learned_shift_gap": shift_gap(nets["learned"].places.detach().cpu()),
    }, {
        "right answers by length of the text, after training on 16": {
            "kind": "lines",
            "series": {way: (list(LENGTHS), share) for way, share in shares.items()},
            "x": "length",
            "y": "share of right answers",
            "log": "x",
        }
    }


# %% what is claimed

TITLE = {"en": "Positions give attention an order", "zh": "位置编码让注意力分出先后"}
CURVES = "cross-entropy"
CPU_SECONDS = 3
CLAIMS = {
    "trained ordered_share >= 0.95 > unordered_share >= 0.42": {
        "en": "what was last said of a key, found in fresh texts of 16 by the worst of four encodings; control: no "
        "positions, or what was said oftenest of the key, whichever is better",
        "zh": "问某个键最后一次说的是什么，四种编码里最差的一种在长 16 的新文本上答对的比例；对照：没有位置编码的"
        "网络，或答该键说得最多的内容，取较好者",
    },
    "trained alibi_long_share >= 0.96 > others_long_share >= 0.35": {
        "en": "the same with ALiBi, its slopes from 1 on, on texts of 128, after training on 16; control: the best of "
        "the other four nets",
        "zh": "ALiBi（斜率从 1 起）在长 16 的文本上训练后，在长 128 的文本上答对的比例；"
        "对照：其余四个网络在该长度上的最好成绩",
    },
    "parity reader_gap <= 1e-10 < no_position_gap": {
        "en": "largest gap of the five trained nets to F.scaled_dot_product_attention with complex rotations and "
        "explicit distances, in answers and gradients (f64); control: the same without positions",
        "zh": "五个训练后的网络与 F.scaled_dot_product_attention（用复数旋转与显式距离）在答案与梯度上的最大差距"
        "（f64）；对照：同一计算去掉位置编码",
    },
    "parity rope_moved_gap <= 1e-10 < sinusoid_moved_gap": {
        "en": "change of the RoPE scores when queries and keys move on by 50 places (f64); control: sinusoids added",
        "zh": "查询与键一起后移 50 位时 RoPE 分数的变化（f64）；对照：改为相加的正弦编码",
    },
    "parity sinusoid_shift_gap <= 1e-10 < learned_shift_gap": {
        "en": "what one linear map leaves of the sinusoids 5 places on (f64); control: the learned vectors, of "
        "which 16 were trained",
        "zh": "用一个线性映射由正弦编码推出其后 5 位的编码时的残差（f64）；对照：学得的位置向量（只有前 16 个"
        "经过训练）",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "sinusoids": "正弦编码",
    "learned": "学得的向量",
    "no positions": "无位置编码",
    "right answers by length of the text, after training on 16": "在长 16 的文本上训练后，各种长度上的答对比例",
    "length": "长度",
    "share of right answers": "答对比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
