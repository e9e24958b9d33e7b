"""Needle in a haystack — one line of a long text answers; what attention finds it by, and where it must stand.

Every line of a text says something of a key; the last line asks for a key of which only one line, the needle,
speaks. One layer of attention learns this on texts of 16 lines and is asked on up to 4096, with the needle at five
places. Without positions, it finds the needle by its key: turning the text round changes nothing. But in long texts
the weight is thinned out; scores times log(length) / log(16), in the test alone, make up for that. So does any
factor that is large enough, or training at three times the rate, which makes larger scores. ALiBi, whose penalty
favours recent lines, loses the first lines of 4096 even so (at three times the rate it then finds nine in ten);
RoPE, which turns far keys by angles that it never trained on, nearly all at both rates, scaled or not. Where no
line speaks of the key, what a line drawn at random says counts as right: by chance in 1/8, oftener where nets name
what many lines say. A dictionary would do the task. That language models lose what stands in the middle (Liu et
al.) is not shown.

Needs:  torch
Source: C.-P. Hsieh et al., RULER, 2024 (such tests); A. Kazemnejad et al., The Impact of Positional Encoding on
        Length Generalization in Transformers, NeurIPS 2023; D. Chiang, P. Cholak, Overcoming a Theoretical Limitation
        of Self-Attention, ACL 2022 (log length); N. Liu et al., Lost in the Middle, 2023
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KEYS, SAID, WIDTH, HEADS, TRAINED, BATCH, RATE, TEXTS = 16, 8, 32, 2, 16, 64, 1e-2, 60
LENGTHS, DEPTHS, WAYS = (16, 256, 4096), (0, 25, 50, 75, 100), ("no positions", "ALiBi", "RoPE")

# %% the concept


class Reader(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.scaled = way, False
        self.key, self.said = nn.Embedding(KEYS, WIDTH), nn.Embedding(SAID + 1, WIDTH)
        self.qkv, self.head = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, SAID)
        for table in (self.key, self.said):
            table.weight.data *= 0.5

    def forward(self, keys: Tensor, said: Tensor) -> Tensor:  # (B, T), (B, T) -> (B, SAID)
        x, n = self.key(keys) + self.said(said), keys.shape[1]
        q, k, v = self.qkv(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # (B, H, T, D / H) each
        if self.way == "RoPE":
            q, k = turned(q), turned(k)
        scores = q[:, :, -1:] @ k.mT / math.sqrt(q.shape[-1])  # the last line asks: (B, H, 1, T)
        if self.scaled:
            scores = scores * math.log(n) / math.log(TRAINED)  # as n weights exp(score) share a sum
        if self.way == "ALiBi":
            scores = scores - penalty(n).to(x)
        return self.head((scores.softmax(-1) @ v)[:, :, 0].flatten(1))


def turned(x: Tensor) -> Tensor:  # RoPE: at place p, pair i of d / 2 is turned by p / 10000^(2i / d)
    n, d = x.shape[-2:]
    angle = (torch.arange(n)[:, None] * 10000 ** -(torch.arange(0, d, 2, dtype=torch.float64) / d)).to(x)
    a, b = x.chunk(2, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)


def penalty(n: int) -> Tensor:  # ALiBi: (H, 1, T), 2^(-8 h / H) times the distance to the end, h = 1 .. H
    slopes = 2.0 ** -(8 * torch.arange(1, HEADS + 1) / HEADS)
    return slopes[:, None, None] * torch.arange(n - 1, -1, -1)


# %% the experiment


def texts(n: int, length: int, generator: torch.Generator, depth: int | None = None, absent: bool = False):
    """Keys, what is said of them, and the answer: (n, T), (n, T), (n,); the needle at random, or at a depth in %."""
    rows, asked = torch.arange(n), torch.randint(KEYS, (n,), generator=generator)
    keys = torch.randint(KEYS - 1, (n, length), generator=generator)
    keys += keys >= asked[:, None]  # any key but the one asked for
    said = torch.randint(SAID, (n, length), generator=generator)
    place = torch.randint(length - 1, (n,), generator=generator)
    place = place if depth is None else torch.full((n,), depth * (length - 2) // 100)
    answer = said[rows, place]
    keys[:, -1], said[:, -1] = asked, SAID  # the question
    keys[rows, place] = keys[rows, place] if absent else asked
    return keys, said, answer


def by_hand(net: Reader, keys: Tensor, said: Tensor, plain: bool) -> Tensor:
    """The net's answers, by a rotation matrix for each distance and weights that are divided by hand."""
    n, d, scaled = keys.shape[1], WIDTH // HEADS, net.scaled and not plain
    x = net.key.weight[keys] + net.said.weight[said]
    q, k, v = F.linear(x, net.qkv.weight, net.qkv.bias).view(len(x), n, 3, HEADS, d).unbind(2)
    speeds = torch.diag(1e4 ** -(torch.arange(d // 2).double() * 2 / d)) * (net.way == "RoPE" and not plain)
    turn = torch.cat([torch.cat([0 * speeds, -speeds], 1), torch.cat([speeds, 0 * speeds], 1)])
    back = torch.arange(n).double() - (n - 1)
    matrices = torch.linalg.matrix_exp(back[:, None, None] * turn)  # exp(p turn): pairs turned by p times their speeds
    scores = torch.einsum("bhi,tij,bthj->bth", q[:, -1], matrices, k) / d**0.5
    slopes = torch.tensor([1 / 16, 1 / 256]) * (net.way == "ALiBi" and not plain)
    weights = (scores * (math.log(n, TRAINED) if scaled else 1) + back[:, None] * slopes).exp()
    mixed = torch.einsum("bth,bthi->bhi", weights / weights.sum(1, keepdim=True), v).flatten(1)
    return F.linear(mixed, net.head.weight, net.head.bias)


def reader_gap(net: Reader, keys: Tensor, said: Tensor, plain: bool = False) -> float:
    """Largest difference of a trained net from `by_hand`, in answers and gradients; f64."""
    net, found = copy.deepcopy(net).cpu().double(), []
    for y in (net(keys, said), by_hand(net, keys, said, plain)):
        weighted = (y * torch.linspace(-1, 1, SAID, dtype=torch.float64)).sum()
        found.append([y.detach(), *torch.autograd.grad(weighted, [*net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


@torch.no_grad()
def shuffled_gap(net: Reader, keys: Tensor, said: Tensor) -> float:
    """Largest change of the answers when the lines before the question are turned round; f64."""
    net = copy.deepcopy(net).cpu().double()
    moved = (torch.cat([t[:, :-1].flip(1), t[:, -1:]], 1) for t in (keys, said))
    return float((net(keys, said) - net(*moved)).abs().max())


def run(device="cpu", seed=0, steps=500):
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

    for way in WAYS:
        nets[f"{way}, scaled"] = copy.deepcopy(nets[way])  # the same weights
        nets[f"{way}, scaled"].scaled = True

    @torch.no_grad()
    def share(way: str, asked: tuple[Tensor, Tensor, Tensor]) -> float:
        keys, said, answer = asked
        return (nets[way](keys.to(device), said.to(device)).argmax(1).cpu() == answer).float().mean().item()

    asked = [[texts(TEXTS, length, unseen, depth) for depth in DEPTHS] for length in LENGTHS]
    right = {way: [[share(way, one) for one in row] for row in asked] for way in nets}
    missing = texts(10 * TEXTS, TRAINED, unseen, absent=True)
    worst = {way: [min(row) for row in rows] for way, rows in right.items()}
    keys, said, _ = texts(8, 40, unseen)
    return {
        "log_length_share": min(worst["no positions, scaled"]),
        "rival_share": max(min(worst[way]) for way in nets if way != "no positions, scaled"),
        "alibi_last_share": right["ALiBi, scaled"][-1][-1],
        "alibi_first_share": right["ALiBi, scaled"][-1][0],
        "trained_length_share": min(worst[way][0] for way in nets),
        "absent_share": max(share(way, missing) for way in nets),
        "shuffled_gap": max(shuffled_gap(nets[way], keys, said) for way in nets if way.startswith("no")),
        "positioned_shuffled_gap": min(shuffled_gap(nets[way], keys, said) for way in ("ALiBi", "RoPE")),
        "reader_gap": max(reader_gap(net, keys, said) for net in nets.values()),
        "plain_gap": min(reader_gap(nets[way], keys, said, True) for way in nets if way != "no positions"),
    }, {
        "share of right answers in texts of 4096 lines, after training on 16": {
            "kind": "heatmap",
            "values": [[round(value, 2) for value in rows[-1]] for rows in right.values()],
            "rows": list(right),
            "columns": [f"{depth}%" for depth in DEPTHS],
            "x": "place of the needle",
        },
    }


# %% what is claimed

TITLE = {"en": "Where a needle is found", "zh": "针在何处找得到"}
CURVES = "cross-entropy"
CPU_SECONDS = 10
CLAIMS = {
    "trained log_length_share >= 0.93 > rival_share": {
        "en": "share of needles found at the worst of five places and three lengths up to 4096, without positions, "
        "scores scaled by log length; control: the best of the same unscaled, and ALiBi and RoPE, scaled or not",
        "zh": "五个位置、三种长度（至 4096）中最差处找到针的比例，无位置编码、分数按长度的对数缩放；"
        "对照：不缩放的同一网络，以及缩放与不缩放的 ALiBi 与 RoPE，取其中最好的",
    },
    "trained alibi_last_share >= 0.97 > alibi_first_share": {
        "en": "share of needles found by ALiBi, scaled, in 4096 lines, in the last before the question; control: in "
        "the first",
        "zh": "经缩放的 ALiBi 在 4096 行中找到针的比例，针在提问前的最后一行；对照：针在第一行",
    },
    "trained trained_length_share >= 0.97 > absent_share": {
        "en": "share of right answers at the worst place in texts of 16, as trained, by the worst net; control: the "
        "best net, where no line speaks of the key (naming what most lines say would be right in .27)",
        "zh": "与训练时同为 16 行的文本中，最差位置、最差网络答对的比例；对照：没有一行谈到该键时最好的网络"
        "（若总报多数行所说的，可答对 0.27）",
    },
    "parity shuffled_gap <= 1e-10 < positioned_shuffled_gap": {
        "en": "change of the answers when the text is turned round, without positions (f64); control: ALiBi or RoPE",
        "zh": "把文本各行倒过来后答案的变化，无位置编码（f64）；对照：ALiBi 或 RoPE",
    },
    "parity reader_gap <= 1e-10 < plain_gap": {
        "en": "largest gap of the trained nets to attention by hand, with a rotation matrix for each distance, in "
        "answers and gradients (f64); control: no positions and no scaling",
        "zh": "训练后的各网络同手算的注意力（每个距离一个旋转矩阵）在答案与梯度上的最大差距（f64）；"
        "对照：既无位置编码也不缩放",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "no positions": "无位置编码",
    "no positions, scaled": "无位置编码，缩放",
    "ALiBi, scaled": "ALiBi，缩放",
    "RoPE, scaled": "RoPE，缩放",
    "share of right answers in texts of 4096 lines, after training on 16": "用 16 行训练后，在 4096 行中答对的比例",
    "place of the needle": "针的位置",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
