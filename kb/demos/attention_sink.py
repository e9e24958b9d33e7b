"""Attention sink — a head with nothing to read puts its weight on the first token; drop that token and it breaks.

The weights of softmax sum to one, so a head must read something. Tokens of a stream carry a key and a value each;
one in four also asks for the value of an earlier key, the others must get zero. Trained with a first token that
carries only a mark, the head learns to put the weight of those that do not ask there: a sink, with a value of about
zero. A sliding window of 12 tokens holds all that is asked for, yet when the first token has left it, those that do
not ask get what others say; keeping it beside the window mends this (StreamingLLM keeps four). Trained with no such
token, softmax does both badly; with 1 added to its denominator (a key of score 0 and value 0), or a sigmoid gate on
its output, the head needs no sink. (In the language models of Xiao et al., the former alone was not enough.) A
dictionary would answer without any training: the task only makes the head idle. Synthetic data, one head, no layer
after it that could blot out what it read.

Needs:  torch
Source: G. Xiao et al., Efficient Streaming Language Models with Attention Sinks, ICLR 2024; E. Miller,
        Attention Is Off By One, 2023 (plus one); X. Gu et al., When Attention Sink Emerges in Language Models: An
        Empirical View, ICLR 2025; Z. Qiu et al., Gated Attention for Large Language Models, NeurIPS 2025 (the gate)
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

D, HEAD, TRAINED, LONG, WINDOW, BATCH, RATE, SHARE = 8, 16, 24, 48, 12, 32, 2e-2, 0.25

# %% the concept


class Head(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.q, self.k = way, nn.Linear(3 * D + 2, HEAD), nn.Linear(3 * D + 2, HEAD)
        self.v, self.gate = nn.Linear(3 * D + 2, D), nn.Linear(3 * D + 2, 1)

    def weights(self, x: Tensor, seen: Tensor) -> Tensor:  # (B, T, 3 D + 2), (T, T) -> (B, T, T)
        scores = (self.q(x) @ self.k(x).mT / math.sqrt(HEAD)).masked_fill(~seen, -math.inf)
        if self.way == "plus one":
            return F.pad(scores, (0, 1)).softmax(-1)[..., :-1]  # exp(s_j) / (1 + sum exp(s)): sums to less than 1
        return scores.softmax(-1)  # exp(s_j) / sum exp(s): sums to 1, whatever there is to read

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:  # (B, T, 3 D + 2), (T, T) -> (B, T, D)
        y = self.weights(x, seen) @ self.v(x)
        return self.gate(x).sigmoid() * y if self.way == "gate" else y


def sees(tokens: int, window: int, first: bool | None = None) -> Tensor:
    """Which tokens (columns) each reads: a window up to itself; the first as any other, always, or only by itself."""
    back = torch.arange(tokens)[:, None] - torch.arange(tokens)
    seen = (back >= 0) & (back < window)
    if first is not None:
        seen[1:, 0] = first
    return seen


# %% its control

HEADS = {"softmax": True, "softmax, no first": False, "plus one": False, "gate": False}  # trained with a first token?


# %% the experiment


def streams(n: int, tokens: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (key, value, key asked for, asks, is first), what each should get, and which ask."""
    place = torch.arange(tokens)
    keys = F.normalize(torch.randn(n, tokens, D, generator=generator), dim=-1)
    values = torch.randn(n, tokens, D, generator=generator)
    asks = (torch.rand(n, tokens, generator=generator) < SHARE) & (place > 1)
    back = 1 + (torch.rand(n, tokens, generator=generator) * (place - 1).clamp(1, WINDOW - 1)).long()
    source = (place - back).clamp(min=0)[..., None].expand(-1, -1, D)
    held, first = (place > 0)[:, None], (place == 0).float()[:, None].expand(n, -1, 1)
    asked, wanted = (t.gather(1, source) * asks[..., None] for t in (keys, values))
    return torch.cat([keys * held, values * held, asked, asks[..., None], first], -1), wanted, asks


def by_torch(net: Head, x: Tensor, seen: Tensor, null: bool) -> Tensor:
    """The head by F.scaled_dot_product_attention, where asked with one more key and value of zeros."""
    q, k, v = (F.linear(x, part.weight, part.bias) for part in (net.q, net.k, net.v))
    if null:
        k, v, seen = F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1)), F.pad(seen, (0, 1), value=True)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return y / (1 + (-net.gate(x)).exp()) if net.way == "gate" else y


def head_gap(net: Head, x: Tensor, seen: Tensor, null: bool) -> float:
    """Largest difference of a trained head from `by_torch`, in outputs and gradients; f64."""
    net, found = copy.deepcopy(net).cpu().double(), []
    for of in (lambda x: net(x, seen), lambda x: by_torch(net, x, seen, null)):
        leaf = x.double().requires_grad_()
        y = of(leaf)
        weighted = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)).sum()
        found.append([y, *torch.autograd.grad(weighted, [leaf, *net.parameters()], materialize_grads=True)])
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=400):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets = {}
    for name in HEADS:
        torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
        nets[name] = Head(name).to(device)
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        x, wanted, _ = (t.to(device) for t in streams(BATCH, TRAINED, data))
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            y = net(x, sees(TRAINED, TRAINED, HEADS[name]).to(device))
            loss = ((y - wanted)[:, 1:] ** 2).mean()
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    x, wanted, asks = (t.to(device) for t in streams(500, LONG, unseen))

    @torch.no_grad()
    def error(name: str, first: bool | None = None) -> Tensor:
        return ((nets[name](x, sees(LONG, WINDOW, first).to(device)) - wanted) ** 2).mean(-1)

    def of_idle(found: Tensor) -> float:
        return float(found[:, WINDOW:][~asks[:, WINDOW:]].mean())

    with torch.no_grad():
        weights = nets["softmax"].weights(x, sees(LONG, LONG, True).to(device))
    on_first, idle = weights[:, WINDOW:, 0], ~asks[:, WINDOW:]
    by_place = {"window": error("softmax"), "window and first": error("softmax", True), "plus one": error("plus one")}
    small, seen = x[:3, :TRAINED].cpu(), sees(TRAINED, WINDOW, True)
    with torch.no_grad():
        sizes = nets["softmax"].v(x).norm(dim=-1).cpu()
    return {
        "first_value": float(sizes[:, 0].mean()),
        "other_value": float(sizes[:, 1:].mean()),
        "idle_weight": float(on_first[idle].mean()),
        "asking_weight": float(on_first[~idle].mean()),
        "kept_error": of_idle(by_place["window and first"]),
        "dropped_error": of_idle(by_place["window"]),
        "no_first_error": max(float(error(name, False)[:, WINDOW:].mean()) for name in ("plus one", "gate")),
        "softmax_no_first_error": float(error("softmax, no first", False)[:, WINDOW:].mean()),
        "head_gap": max(head_gap(net, small, seen, name == "plus one") for name, net in nets.items()),
        "null_gap": min(head_gap(net, small, seen, name != "plus one") for name, net in nets.items()),
    }, {
        "weights of the softmax head on one stream": {
            "kind": "heatmap",
            "values": [[round(w, 2) for w in row] for row in weights[0, :12, :12].tolist()],
            "rows": [f"{t}?" if asks[0, t] else str(t) for t in range(12)],
            "columns": [str(t) for t in range(12)],
            "x": "token read",
            "y": "token (?: it asks)",
        },
        "error of tokens that do not ask, with a window of 12": {
            "kind": "lines",
            "series": {
                name: (list(range(1, LONG)), [float(e[:, t][~asks[:, t]].mean()) for t in range(1, LONG)])
                for name, e in by_place.items()
            },
            "x": "place in the stream",
            "y": "squared error",
            "log": "y",
        },
    }


# %% what is claimed

TITLE = {"en": "A head with nothing to read needs a sink", "zh": "没有可读之处时，注意力头需要一个注意力汇"}
CURVES = "squared error"
CPU_SECONDS = 3
CLAIMS = {
    "trained idle_weight >= 0.95 > asking_weight": {
        "en": "mean weight on the first token, from the 13th token on, of those that do not ask; control: of those "
        "that ask",
        "zh": "从第 13 个词元起，不提问的词元放在首个词元上的平均权重；对照：提问的词元",
    },
    "trained first_value <= 0.02 < other_value": {
        "en": "length of the value of the first token, for the softmax head; control: of the other tokens, on average",
        "zh": "Softmax 头中首个词元的值向量的长度；对照：其余词元的平均",
    },
    "trained kept_error <= 0.0001 < dropped_error": {
        "en": "squared error of tokens from the 13th on that do not ask, with a window of 12 and the first; control: "
        "the same head, the first token dropped",
        "zh": "窗口为 12 且另外保留首个词元时，第 13 个起不提问的词元的平方误差；对照：同一个头，丢掉首个词元",
    },
    "trained no_first_error <= 0.002 < softmax_no_first_error <= 0.08": {
        "en": "squared error from the 13th token on, no first to read: worse of plus one and the gate, trained so; "
        "control: softmax, trained so as well",
        "zh": "训练与测试都无首个词元可读时，第 13 个起的平方误差，取分母加一与门控中较差者；对照：同样训练的 Softmax",
    },
    "parity head_gap <= 1e-10 < null_gap": {
        "en": "largest gap of the trained heads to F.scaled_dot_product_attention, for plus one with a key and a "
        "value of zeros, in outputs and gradients (f64); control: zeros where they do not belong, none where they do",
        "zh": "训练后的各头同 F.scaled_dot_product_attention（分母加一者另添一个全零的键与值）在输出与梯度上的最大差距"
        "（f64）；对照：该添的不添，不该添的添上",
    },
}
ZH = {
    "squared error": "平方误差",
    "softmax, no first": "Softmax，无首个词元",
    "plus one": "分母加一",
    "gate": "门控",
    "weights of the softmax head on one stream": "Softmax 头在一段词元流上的权重",
    "token read": "被读的词元",
    "token (?: it asks)": "词元（?：提问）",
    "error of tokens that do not ask, with a window of 12": "不提问的词元的误差（窗口为 12）",
    "window": "只有窗口",
    "window and first": "窗口加首个词元",
    "place in the stream": "在流中的位置",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
