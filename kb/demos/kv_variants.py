"""KV cache variants — in the same bytes, shared or compressed keys and values recall more than fewer heads or tokens.

A dictionary of twelve pairs is held in the cache; one token then asks four things at once, two in either direction:
given one half of a pair, what is the other? The score is the share of the variance left unexplained (1: no better
than no answer). Multi-head attention (MHA) caches a key and a value for each of four heads. Grouped queries (GQA)
cache two of each, multi-query (MQA) one; multi-head latent attention (MLA) caches one vector of 16, from which each
head makes its keys and values, or rather: its matrices move to the query and to the output, so that nothing is
expanded. Here it is made from the trained MHA, whose keys and values have rank 16 on these tokens, so that nothing is
lost. The controls have caches of the same size: MHA with fewer heads, and for MLA, MQA; an 8-bit cache is compared with
one that keeps only the newest tokens, in float32 and no fewer bytes. (Positions play no part here: the small rotary key
of the MLA paper is left out.)

Needs:  torch
Source: J. Ainslie et al., GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints,
        EMNLP 2023; N. Shazeer, Fast Transformer Decoding: One Write-Head is All You Need, 2019 (MQA); DeepSeek-AI,
        DeepSeek-V2, 2024 (MLA); Z. Liu et al., KIVI, ICML 2024 (keys by channel, values by token; there in 2 bits)
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PAIRS, CODE, WIDTH, ASKED, HEAD, RANK, BATCH, RATE = 12, 8, 64, 4, 8, 16, 64, 3e-2

# %% the concept


class Grouped(nn.Module):
    """`heads` queries share `groups` keys and values: MHA where they are as many, MQA where there is one."""

    def __init__(self, heads: int, groups: int) -> None:
        super().__init__()
        self.heads, self.groups = heads, groups
        self.q, self.out = linear(ASKED * CODE, heads * HEAD), linear(heads * HEAD, ASKED * CODE)
        self.k, self.v = linear(WIDTH, groups * HEAD), linear(WIDTH, groups * HEAD)

    def cache(self, tokens: Tensor) -> list[Tensor]:  # (B, N, WIDTH) -> (B, N, groups * HEAD) twice
        return [self.k(tokens), self.v(tokens)]

    def read(self, cache: list[Tensor], asked: Tensor) -> Tensor:  # (B, ASKED * CODE) -> the same
        k, v = (t.unflatten(-1, (self.groups, HEAD)).transpose(1, 2) for t in cache)  # (B, G, N, d)
        q = self.q(asked).unflatten(-1, (self.groups, -1, HEAD))  # (B, G, H / G, d): neighbours share
        weights = (q @ k.mT / math.sqrt(HEAD)).softmax(-1)
        return self.out((weights @ v).flatten(1))


class Latent(nn.Module):
    """Keys and values of all heads are linear in one cached vector c: k = K c, v = V c."""

    def __init__(self, heads: int, rank: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.out = linear(ASKED * CODE, heads * HEAD), linear(heads * HEAD, ASKED * CODE)
        self.down, self.k, self.v = linear(WIDTH, rank), linear(rank, heads * HEAD), linear(rank, heads * HEAD)

    def cache(self, tokens: Tensor) -> list[Tensor]:  # (B, N, WIDTH) -> (B, N, rank)
        return [self.down(tokens)]

    def read(self, cache: list[Tensor], asked: Tensor) -> Tensor:
        c = cache[0]  # (B, N, r)
        up_k, up_v = (layer.weight.unflatten(0, (self.heads, HEAD)) for layer in (self.k, self.v))  # (H, d, r)
        q = torch.einsum("bhd,hdr->bhr", self.q(asked).unflatten(-1, (self.heads, HEAD)), up_k)  # q (K c) = (q K) c
        weights = (q @ c.mT / math.sqrt(HEAD)).softmax(-1)  # (B, H, N)
        return self.out(torch.einsum("bhr,hdr->bhd", weights @ c, up_v).flatten(1))  # sum w (V c) = V (sum w c)

    @classmethod
    @torch.no_grad()
    def of(cls, full: Grouped, tokens: Tensor, rank: int) -> "Latent":
        """The best latent for the keys and values that an MHA has on these tokens, by singular values."""
        net, both = cls(full.heads, rank), torch.cat([full.k.weight, full.v.weight]).cpu()
        up = torch.linalg.svd(both @ tokens.flatten(0, 1).mT, full_matrices=False)[0][:, :rank]  # U: (2 H d, r)
        net.down.weight.copy_(up.mT @ both)  # c = U' W x, and U c = W x where the rank suffices
        net.k.weight.copy_(up[: len(up) // 2])
        net.v.weight.copy_(up[len(up) // 2 :])
        net.q.weight.copy_(full.q.weight)
        net.out.weight.copy_(full.out.weight)
        return net


def pack(t: Tensor, dim: int) -> list[Tensor]:
    """Eight bits, and a scale for each slice along the other dimension than `dim`: (B, N, C)."""
    scale = t.abs().amax(dim, keepdim=True) / 127
    return [(t / scale).round().to(torch.int8), scale]


def unpack(packed: list[Tensor]) -> Tensor:
    return packed[0].to(packed[1].dtype) * packed[1]


def size(cache: list[Tensor]) -> int:
    """Bytes of a batch."""
    return sum(t.numel() * t.element_size() for t in cache)


# %% its control


def newest(cache: list[Tensor], n: int) -> list[Tensor]:
    """What is left of a cache that evicts its oldest tokens."""
    return [t[:, -n:] for t in cache]


# %% the experiment


def linear(n: int, m: int) -> nn.Linear:
    layer = nn.Linear(n, m, bias=False)
    nn.init.normal_(layer.weight, std=n**-0.5)
    return layer


def dictionaries(n: int, generator: torch.Generator, spread: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (n, N, WIDTH) that hold a pair each, halves that are asked for, and their other halves (n, A * CODE)."""
    pairs = torch.randn(n, PAIRS, 2, CODE, generator=generator)
    which, rows = torch.randint(PAIRS, (n, ASKED), generator=generator), torch.arange(n)[:, None]
    way = torch.arange(ASKED) * 2 // ASKED  # the first two ask forwards, the others backwards
    return pairs.flatten(2) @ spread, pairs[rows, which, way].flatten(1), pairs[rows, which, 1 - way].flatten(1)


def sdpa_gap(net: Grouped | Latent, tokens: Tensor, asked: Tensor, tiled: bool = False, by_rank: bool = False) -> float:
    """Largest difference from F.scaled_dot_product_attention on expanded keys, in outputs and all gradients; f64."""
    net, tokens, asked = copy.deepcopy(net).cpu().double(), tokens.cpu().double(), asked.cpu().double()
    ours = net.read(net.cache(tokens), asked)
    source = net.down(tokens) if isinstance(net, Latent) else tokens
    q, k, v = (
        t.unflatten(-1, (-1, HEAD)).transpose(-3, -2) for t in (net.q(asked)[:, None], net.k(source), net.v(source))
    )
    if tiled:  # each key meets queries far apart
        k, v = (t.repeat(1, net.heads // t.shape[1], 1, 1) for t in (k, v))
    scale = (RANK if by_rank else HEAD) ** -0.5
    theirs = net.out(F.scaled_dot_product_attention(q, k, v, scale=scale, enable_gqa=True)[:, :, 0].flatten(1))
    found = []
    for answer in (ours, theirs):
        weighted = (answer * torch.linspace(-1, 1, answer.shape[-1], dtype=torch.float64)).sum()
        found.append([answer.detach(), *torch.autograd.grad(weighted, [*net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def int8_gap(t: Tensor, restored: Tensor, axis: int) -> float:
    """Largest difference from torch.fake_quantize_per_channel_affine with scales along `axis`; of one sequence, f32."""
    t, restored = t[0].cpu(), restored[0].cpu()  # (N, C)
    scale = t.abs().amax(1 - axis) / 127
    theirs = torch.fake_quantize_per_channel_affine(
        t, scale, torch.zeros(len(scale), dtype=torch.int32), axis, -127, 127
    )
    return (restored - theirs).abs().max().item()


def run(device="cpu", seed=0, steps=250):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    made = {"MHA": (4, 4), "GQA": (4, 2), "MQA": (4, 1), "MHA, 2 heads": (2, 2), "MHA, 1 head": (1, 1)}
    nets: dict[str, nn.Module] = {name: Grouped(*of).to(device) for name, of in made.items()}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    spread = nn.init.orthogonal_(torch.empty(2 * CODE, WIDTH), generator=data) * math.sqrt(WIDTH / 2 / CODE)
    for step in range(steps):
        tokens, asked, answer = (t.to(device) for t in dictionaries(BATCH, data, spread))
        losses = {name: F.mse_loss(net.read(net.cache(tokens), asked), answer) for name, net in nets.items()}
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 * (1 - step / steps))
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    nets["MLA"] = Latent.of(nets["MHA"], dictionaries(BATCH, data, spread)[0], RANK).to(device)
    tokens, asked, answer = (t.to(device) for t in dictionaries(1000, unseen, spread))
    with torch.no_grad():
        caches = {name: net.cache(tokens) for name, net in nets.items()}
        keys, values = caches["MHA"]
        packed = [pack(keys, 1), pack(values, 2)]  # keys by channel, values by token
        sizes = {name: size(cache) / tokens[..., 0].numel() for name, cache in caches.items()}
        sizes["MHA, 8 bits"] = size([*packed[0], *packed[1]]) / tokens[..., 0].numel()
        rest = math.ceil(PAIRS * sizes["MHA, 8 bits"] / sizes["MHA"])
        caches |= {"MHA, 8 bits": [unpack(t) for t in packed], "MHA, newest tokens": newest(caches["MHA"], rest)}
        sizes["MHA, newest tokens"] = sizes["MHA"] * rest / PAIRS
        unread = {
            name: F.mse_loss(nets[name if name in nets else "MHA"].read(cache, asked), answer).item()
            for name, cache in caches.items()
        }
    numbers = {name: 2 * groups * HEAD for name, (_, groups) in made.items()} | {"MLA": RANK}
    by_queries = {name: 2 * heads * HEAD for name, (heads, _) in made.items()}
    some, restored = (tokens[:20], asked[:20]), caches["MHA, 8 bits"]
    return {
        "gqa_gap": max(sdpa_gap(nets[name], *some) for name in made),
        "tiled_gap": sdpa_gap(nets["GQA"], *some, tiled=True),
        "mla_gap": sdpa_gap(nets["MLA"], *some),
        "by_rank_gap": sdpa_gap(nets["MLA"], *some, by_rank=True),
        "int8_gap": max(int8_gap(keys, restored[0], 1), int8_gap(values, restored[1], 0)),
        "other_axis_gap": max(int8_gap(keys, restored[0], 0), int8_gap(values, restored[1], 1)),
        "bytes_astray": max(abs(sizes[name] - 4 * n) for name, n in numbers.items()),
        "bytes_by_queries": max(abs(sizes[name] - 4 * n) for name, n in by_queries.items()),
        "gqa_unread": unread["GQA"],
        "two_heads_unread": unread["MHA, 2 heads"],
        "mqa_unread": unread["MQA"],
        "one_head_unread": unread["MHA, 1 head"],
        "mla_unread": unread["MLA"],
        "int8_harm": abs(unread["MHA, 8 bits"] - unread["MHA"]),
        "eviction_harm": min(unread["MHA, newest tokens"], 1) - unread["MHA"],
    }, {
        "bytes in the cache, and what is not recalled": {
            "kind": "scatter",
            "series": {name: ([sizes[name]], [unread[name]]) for name in sizes},
            "x": "bytes per token",
            "y": "unexplained share",
        },
        "the cache of each": {
            "kind": "table",
            "columns": ["variant", "bytes per token", "unexplained share"],
            "rows": [[name, f"{sizes[name]:.0f}", f"{unread[name]:.3f}"] for name in sizes],
        },
    }


# %% what is claimed

TITLE = {"en": "Smaller KV caches, and what they still recall", "zh": "KV 缓存变小后还能回忆多少"}
CURVES = "unexplained share"
CPU_SECONDS = 3
CLAIMS = {
    "parity gqa_gap <= 1e-10 < tiled_gap": {
        "en": "largest gap of the trained MHA, GQA and MQA to F.scaled_dot_product_attention(enable_gqa=True) in "
        "outputs and gradients (f64); in the control, query heads that share a key are not neighbours",
        "zh": "训练后的 MHA、GQA、MQA 与 F.scaled_dot_product_attention(enable_gqa=True) 在输出与梯度上的"
        "最大差距（f64）；对照中共用同一个键的查询头不相邻",
    },
    "parity mla_gap <= 1e-10 < by_rank_gap": {
        "en": "largest gap of MLA, computed in the latent, to attention over its expanded keys and values, in outputs "
        "and gradients (f64); the control divides the scores by the root of the latent's width",
        "zh": "直接用潜向量计算的 MLA 与展开键值后的注意力在输出与梯度上的最大差距（f64）；"
        "对照把分数除以潜向量宽度的平方根",
    },
    "parity int8_gap <= 1e-6 < other_axis_gap": {
        "en": "largest gap of the 8-bit cache to torch.fake_quantize_per_channel_affine, keys scaled by channel and "
        "values by token (f32); the control scales along the other axis",
        "zh": "8 位缓存与 torch.fake_quantize_per_channel_affine 的最大差距（键按通道、值按词元定标度，f32）；"
        "对照沿另一维定标度",
    },
    "parity bytes_astray <= 0 < bytes_by_queries": {
        "en": "largest difference of the counted bytes per token from 4 * 2 * groups * head width (MLA: 4 * rank); the "
        "control counts query heads",
        "zh": "每词元实测字节数与 4 × 2 × 组数 × 头宽（MLA 为 4 × 秩）的最大差；对照按查询头数计算",
    },
    "trained gqa_unread <= 0.25 < two_heads_unread <= 0.63": {
        "en": "share of the variance that GQA leaves unexplained on fresh dictionaries; control: MHA with two heads, a "
        "cache of the same size",
        "zh": "GQA 在新词典上未能解释的方差比例；对照：缓存同样大、只有两个头的 MHA",
    },
    "trained mqa_unread <= 0.63 < one_head_unread <= 0.83": {
        "en": "share of the variance that MQA leaves unexplained on fresh dictionaries; control: attention with one "
        "head, a cache of the same size",
        "zh": "MQA 在新词典上未能解释的方差比例；对照：缓存同样大的单头注意力",
    },
    "trained mla_unread <= 0.26 < mqa_unread <= 0.63": {
        "en": "share of the variance that MLA, made from the trained MHA, leaves unexplained on fresh dictionaries; "
        "control: MQA, a cache of the same size",
        "zh": "由训练好的 MHA 转成的 MLA 在新词典上未能解释的方差比例；对照：缓存同样大的 MQA",
    },
    "trained int8_harm <= 0.0005 < eviction_harm <= 0.9": {
        "en": "change of the unexplained share when the cache of MHA is stored in 8 bits; control: only the newest "
        "tokens, in float32 and no fewer bytes, or no answer at all, whichever is better",
        "zh": "MHA 的缓存改用 8 位存储后，未解释的方差比例的变化；对照：用不少于它的字节数以 float32 只保留最新的词元，"
        "或干脆不作答，取较好者",
    },
}
ZH = {
    "unexplained share": "未解释的方差比例",
    "bytes per token": "每词元字节数",
    "bytes in the cache, and what is not recalled": "缓存的字节数与未能回忆的比例",
    "the cache of each": "各方案的缓存",
    "variant": "方案",
    "MHA, 2 heads": "MHA，2 个头",
    "MHA, 1 head": "MHA，1 个头",
    "MHA, 8 bits": "MHA，8 位",
    "MHA, newest tokens": "MHA，只留最新词元",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
