"""Multi-head attention — heads look up several things at once; with fewer heads than things sought, answers blend.

A question names four of eight keys, in order, and wants the vector that stands at each. Layers of the same width and
the same number of parameters answer it with one, two and four heads. A head returns one weighted mean, and of k
Gaussian vectors blended into one of their size no reader gets back more than a k-th of the variance: of four, H heads
leave at least the share 1 - H/4 on average, the floors that are drawn. The rivals come down to theirs.

Needs:  torch
Source: A. Vaswani et al., Attention Is All You Need, NeurIPS 2017 (multi-head attention)
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SOUGHT, PLACES, D_VALUE, WIDTH, BATCH, RATE = 4, 8, 4, 32, 64, 2e-2
HEADS = (4, 2, 1)

# %% the concept


class MultiHeadAttention(nn.Module):
    def __init__(self, d_query: int, d_key: int, d_value: int, heads: int) -> None:
        super().__init__()
        self.heads, self.out = heads, nn.Linear(WIDTH, WIDTH)
        self.q, self.k, self.v = (nn.Linear(d, WIDTH) for d in (d_query, d_key, d_value))

    def forward(self, query: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """(B, M, d_query), (B, N, d_key), (B, N, d_value) -> (B, M, D) and the weights of each head, (B, H, M, N)."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # H heads of D / H: (B, H, ., D / H)
            for layer, x in ((self.q, query), (self.k, keys), (self.v, values))
        )
        weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)  # softmax(q_h k_h^T / sqrt(D / H))
        joined = (weights @ v).transpose(1, 2).flatten(2)  # [head_1; ...; head_H]
        return self.out(joined), weights  # W_o [head_1; ...; head_H]


# %% the experiment


class Answerer(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(SOUGHT * PLACES, PLACES, D_VALUE, heads)
        self.head = nn.Linear(WIDTH, SOUGHT * D_VALUE)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:  # -> (B, SOUGHT * D_VALUE)
        return self.head(self.attention(query, keys, values)[0][:, 0])


def questions(n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """The keys sought (n, 1, 4 * 8), keys in random order (n, 8, 8), their values (n, 8, 4), answers, and places."""
    keys = torch.eye(PLACES)[torch.rand(n, PLACES, generator=generator).argsort(1)]
    values = torch.randn(n, PLACES, D_VALUE, generator=generator)
    sought = torch.rand(n, PLACES, generator=generator).argsort(1)[:, :SOUGHT]
    rows = torch.arange(n)[:, None]
    return keys[rows, sought].flatten(1)[:, None], keys, values, values[rows, sought].flatten(1), sought


def torch_gap(net: Answerer, heads: int, *inputs: Tensor) -> float:
    """Largest difference from nn.MultiheadAttention with the same weights, of so many heads: in answers, mean
    weights of the heads and all gradients; f64.
    """
    net = copy.deepcopy(net).cpu().double()
    own = net.attention
    twin = nn.MultiheadAttention(WIDTH, heads, kdim=PLACES, vdim=D_VALUE, batch_first=True).double()
    pairs = [(twin.q_proj_weight, own.q.weight), (twin.k_proj_weight, own.k.weight), (twin.v_proj_weight, own.v.weight)]
    pairs += [(twin.out_proj.weight, own.out.weight), (twin.out_proj.bias, own.out.bias)]
    for theirs, mine in pairs:
        theirs.data = mine.detach().clone()
    twin.in_proj_bias.data = torch.cat([layer.bias.detach() for layer in (own.q, own.k, own.v)])
    found = []
    for attention in (own, twin):
        leaves = [x.cpu().double().requires_grad_() for x in inputs]
        if attention is own:
            (y, weights), biases = own(*leaves), [own.q.bias, own.k.bias, own.v.bias]
        else:
            (y, weights), biases = twin(*leaves, average_attn_weights=False), [twin.in_proj_bias]
        answer = net.head(y[:, 0])
        weighted = (answer * torch.linspace(-1, 1, answer.shape[1], dtype=torch.float64)).sum()
        parts = [*leaves, *(pair[attention is own] for pair in pairs), *net.head.parameters(), *biases]
        gradients = torch.autograd.grad(weighted, parts, materialize_grads=True)
        of_biases = torch.cat(gradients[-len(biases) :])
        found.append([answer.detach(), weights.detach().mean(1), *gradients[: -len(biases)], of_biases])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def run(device="cpu", seed=0, steps=350):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets = {}
    for heads in HEADS:
        torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
        nets[heads] = Answerer(heads).to(device)
    names = {heads: f"{heads} head{'s' * (heads > 1)}" for heads in HEADS}
    floors = {f"floor of {names[heads]}": 1 - heads / SOUGHT for heads in HEADS if heads < SOUGHT}
    optimizers = {heads: torch.optim.Adam(net.parameters()) for heads, net in nets.items()}
    for step in range(steps):
        *inputs, answer, _ = (t.to(device) for t in questions(BATCH, data))
        losses = {}
        for heads, net in nets.items():
            optimizers[heads].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            loss = F.mse_loss(net(*inputs), answer)
            optimizers[heads].zero_grad()
            loss.backward()
            optimizers[heads].step()
            losses[names[heads]] = loss.item()
        yield (step + 1) / steps, losses | floors

    fresh = questions(8000, unseen)
    *inputs, answer, sought = (t.to(device) for t in fresh)
    errors, rows, looks = {}, [], []
    with torch.no_grad():
        for heads, net in nets.items():
            errors[heads] = (F.mse_loss(net(*inputs), answer) / answer.square().mean()).item()
            weights = net.attention(*inputs)[1][:, :, 0]  # (B, H, 8)
            found = weights.gather(2, sought[:, None].expand(-1, heads, -1)).mean(0)  # (H, 4)
            looks += torch.cat([found, 1 - found.sum(1, keepdim=True)], 1).tolist()
            rows += [f"{names[heads]}: {i + 1}" for i in range(heads)] if heads > 1 else [names[heads]]
    few = [t[:6] for t in inputs]
    sizes = [parameters(net) for net in nets.values()]
    return {
        "four_head_error": errors[4],
        "two_head_error": errors[2],
        "one_head_error": errors[1],
        "torch_gap": max(torch_gap(net, heads, *few) for heads, net in nets.items()),
        "other_heads_gap": min(torch_gap(net, {4: 2, 2: 4, 1: 2}[heads], *few) for heads, net in nets.items()),
        "parameter_spread": max(sizes) - min(sizes),
        "full_width_spread": (SOUGHT - 1)
        * (parameters(nets[1].attention) - WIDTH),  # one bias of the output serves all
    }, {
        "weight of each head at what is sought, mean in %": {
            "kind": "heatmap",
            "values": [[round(100 * share) for share in look] for look in looks],
            "rows": rows,
            "columns": ["1st", "2nd", "3rd", "4th", "rest"],
            "x": "what is sought",
            "y": "head",
        }
    }


# %% what is claimed

TITLE = {"en": "Four heads look up four things at once, one blends them", "zh": "四个头同时查四样，一个头只得混合"}
CURVES = "squared error"
CPU_SECONDS = 2
CLAIMS = {
    "trained four_head_error <= 0.005 < two_head_error <= 0.53": {
        "en": "share of the variance that four heads miss of the four vectors sought; control: two heads of twice the "
        "width, trained as long, which must miss a half on average",
        "zh": "四个头答四个所求向量时未能还原的方差比例；对照：两个两倍宽的头，训练同样久，平均至少失掉一半",
    },
    "trained two_head_error <= 0.53 < one_head_error <= 0.8": {
        "en": "the same share for two heads; control: one head of the whole width, which must miss three quarters on "
        "average",
        "zh": "两个头未能还原的比例；对照：一个占满整个宽度的头，平均至少失掉四分之三",
    },
    "parity torch_gap <= 1e-10 < other_heads_gap": {
        "en": "largest gap of the three nets to torch.nn.MultiheadAttention in answers, mean weights, gradients (f64); "
        "control: the same weights cut into another number of heads",
        "zh": "三个网络与 torch.nn.MultiheadAttention 在答案、平均权重与梯度上的最大差距（f64）；对照：同样的参数切成"
        "另一种头数",
    },
    "parity parameter_spread <= 0 < full_width_spread": {
        "en": "difference in parameters between the nets of one, two and four heads; control: four heads that are each "
        "as wide as the one",
        "zh": "一头、两头、四头网络的参数个数之差；对照：四个头各与单头同宽",
    },
}
ZH = {
    "squared error": "均方误差",
    "4 heads": "四个头",
    "2 heads": "两个头",
    "1 head": "一个头",
    "floor of 2 heads": "两个头的下限",
    "floor of 1 head": "一个头的下限",
    "weight of each head at what is sought, mean in %": "每个头给各所求之物的权重（平均，%）",
    "4 heads: 1": "四个头：1",
    "4 heads: 2": "四个头：2",
    "4 heads: 3": "四个头：3",
    "4 heads: 4": "四个头：4",
    "2 heads: 1": "两个头：1",
    "2 heads: 2": "两个头：2",
    "1st": "第一个",
    "2nd": "第二个",
    "3rd": "第三个",
    "4th": "第四个",
    "rest": "其余",
    "what is sought": "所求之物",
    "head": "头",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
