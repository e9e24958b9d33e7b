"""Linear attention — the past in one matrix that never grows, old values with the new; the delta rule replaces them.

Each token writes a value under one of up to 64 keys (48 tokens use some 34 of 64), and asks for the newest value of a
key written so far (tested from the 25th token). Linear attention adds key times value to a matrix of fixed size; what
a key held before stays mixed in: it recalls less with 8 keys than with 64. The delta rule first reads what the key
holds and adds a share of the difference. Either is a recurrence and, the same function, a table over pairs of tokens.
With 8 keys the delta rule beats the best of three that carry about as many numbers: linear attention; unit keys in a
matrix whose channels fade at learned rates; softmax attention to the last 8 tokens. With 64 keys its matrix is too
small (`--set D=64` is not); softmax attention, which keeps the keys and values of all tokens and prefers recent ones,
still answers. Synthetic data; one layer each, learning rates chosen.

Needs:  torch
Source: A. Katharopoulos et al., Transformers are RNNs …, ICML 2020; I. Schlag et al., Linear Transformers Are
        Secretly Fast Weight Programmers, ICML 2021 (delta rule); S. Yang et al., Parallelizing Linear Transformers
        with the Delta Rule over Sequence Length, NeurIPS 2024 (its table); S. Yang et al., Gated Linear Attention
        Transformers with Hardware-Efficient Training, ICML 2024 (decay)
"""

import copy
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOKENS, KEYS, LABELS, D, BATCH, LOADS = 48, 64, 8, 16, 16, (2, 4, 8, 16, 32, 64)

# %% the concept

unit = partial(F.normalize, dim=-1)


def phi(x: Tensor) -> Tensor:
    return F.elu(x) + 1  # positive, so that the weights of the values are


def linear(q: Tensor, k: Tensor, v: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:  # (B, T, D), (B, D, D + 1)
    """S_t = S_(t-1) + phi(k_t)^T (v_t, 1); y_t = phi(q_t) S_t, over its last number. Outputs and last state."""
    state, out = v.new_zeros(len(v), D, D + 1), []
    for q_t, k_t, v_t in zip(phi(q).unbind(1), phi(k).unbind(1), F.pad(v, (0, 1), value=1.0).unbind(1), strict=True):
        state = state + k_t[:, :, None] * v_t[:, None]
        y = (q_t[:, None] @ state)[:, 0]
        out.append(y[:, :-1] / y[:, -1:])
    return torch.stack(out, 1), state


def linear_table(q: Tensor, k: Tensor, v: Tensor, _: Tensor, ahead: int = 0) -> Tensor:
    """Y = A V; A = mask(phi(Q) phi(K)^T), rows divided by their sums."""
    scores = (phi(q) @ phi(k).mT).tril(ahead)  # (B, T, T)
    return scores @ v / scores.sum(-1, keepdim=True)


def delta(q: Tensor, k: Tensor, v: Tensor, gate: Tensor, erase: float = 1.0) -> tuple[Tensor, Tensor]:
    """S_t = S_(t-1) + b_t k_t^T (v_t - k_t S_(t-1)); y_t = q_t S_t: what the key holds already is not added again."""
    state, out = v.new_zeros(len(v), D, D), []
    q, k, b = unit(q), unit(k), (gate + 2).sigmoid()
    for q_t, k_t, v_t, b_t in zip(*(t.unbind(1) for t in (q, k, v, b)), strict=True):
        held = (k_t[:, None] @ state)[:, 0]
        state = state + b_t[:, :, None] * k_t[:, :, None] * (v_t - erase * held)[:, None]
        out.append((q_t[:, None] @ state)[:, 0])
    return torch.stack(out, 1), state


def delta_table(q: Tensor, k: Tensor, v: Tensor, gate: Tensor) -> Tensor:
    """(I + strictly lower part of diag(b) K K^T) U = diag(b) V; Y = mask(Q K^T) U."""
    q, k, b = unit(q), unit(k), (gate + 2).sigmoid()
    system = (b * k @ k.mT).tril(-1) + torch.eye(k.shape[1], dtype=k.dtype, device=k.device)
    return (q @ k.mT).tril() @ torch.linalg.solve_triangular(system, b * v, upper=False)


# %% its control


def decayed(q: Tensor, k: Tensor, v: Tensor, gate: Tensor) -> Tensor:
    """S_t = diag(w_t) S_(t-1) + k_t^T v_t; y_t = q_t S_t: what is old fades, whichever key it has."""
    total = F.logsigmoid(gate + 3).cumsum(1)  # log w_1 + ... + log w_t
    since = (total[:, :, None] - total[:, None]).clamp(max=0).exp()  # (B, T, T, D)
    return (unit(q)[:, :, None] * since * unit(k)[:, None]).sum(-1).tril() @ v


def softmax(q: Tensor, k: Tensor, v: Tensor, gate: Tensor, width: int = TOKENS) -> Tensor:
    """A slope takes the more from a score the further back the key stands; no more than `width` keys are read."""
    at = torch.arange(k.shape[1], device=k.device)
    back = at[:, None] - at
    scores = q @ k.mT - back * F.softplus(gate)
    return scores.masked_fill((back < 0) | (back >= width), -torch.inf).softmax(-1) @ v


# %% the experiment


class Net(nn.Module):
    def __init__(self, attend, gates: int = 1) -> None:
        super().__init__()
        self.attend = attend
        self.q, self.k, self.v = nn.Embedding(KEYS, D), nn.Embedding(KEYS, D), nn.Embedding(LABELS, D)
        self.gate, self.head = nn.Embedding(KEYS, gates), nn.Linear(D, LABELS)
        self.k.load_state_dict(self.q.state_dict())  # a key and the question for it begin alike

    def forward(self, key: Tensor, label: Tensor, ask: Tensor) -> Tensor:  # (B, T) each -> (B, T, LABELS)
        return self.head(self.attend(self.q(ask), self.k(key), self.v(label), self.gate(key)))


def stream(n: int, generator: torch.Generator, loads: tuple[int, ...] = LOADS) -> tuple[Tensor, ...]:
    """Key, label and asked key of each token, and the answer; n sequences, each with a load of keys: (n, T) each."""
    load = torch.tensor(loads)[torch.randint(len(loads), (n, 1), generator=generator)]
    slot = (torch.rand(n, TOKENS, generator=generator) * load).long()
    key = torch.rand(n, KEYS, generator=generator).argsort(1).gather(1, slot)
    label = torch.randint(LABELS, (n, TOKENS), generator=generator)
    at = torch.arange(TOKENS)
    ask = key.gather(1, (torch.rand(n, TOKENS, generator=generator) * (at + 1)).long())
    newest = ((key[:, None] == ask[..., None]).tril() * at).amax(-1)  # where the asked key was written last
    return key, label, ask, label.gather(1, newest)


def gap(net: Net, attend, tokens: tuple[Tensor, ...]) -> float:
    """Largest difference in outputs and all parameters' gradients when the net attends otherwise; f64."""
    found, model = [], copy.deepcopy(net).cpu().double()
    for model.attend in (net.attend, attend):
        out = model(*tokens)
        weighted = (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)).sum()
        found.append([out, *torch.autograd.grad(weighted, [*model.parameters()], materialize_grads=True)])
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=150):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    methods = {"softmax attention": softmax, "delta rule": delta_table, DECAY: decayed, LINEAR: linear_table}
    methods[WINDOW] = partial(softmax, width=8)
    nets, rates = {}, {DECAY: 0.15, LINEAR: 0.15}
    for name, method in methods.items():
        torch.manual_seed(3 * seed)
        nets[name] = Net(method, D if name == DECAY else 1).to(device)
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        *tokens, y = (t.to(device) for t in stream(BATCH, data))
        losses = {name: F.cross_entropy(net(*tokens).flatten(0, 1), y.flatten()) for name, net in nets.items()}
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = rates.get(name, 0.04) * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    right: dict[str, list[float]] = {name: [] for name in nets}
    with torch.no_grad():
        for load in LOADS:
            *tokens, y = stream(150, unseen, (load,))
            for name, net in nets.items():
                hits = net(*(t.to(device) for t in tokens)).argmax(-1).cpu() == y
                right[name].append(float(hits[:, TOKENS // 2 :].double().mean()))  # the second half of each sequence
    few, many = ({name: shares[LOADS.index(load)] for name, shares in right.items()} for load in (8, 64))
    tokens, parts = [t[:8] for t in tokens], [*torch.randn(3, 1, TOKENS, D), torch.zeros(1, TOKENS, 1)]
    drawn = {name: (list(LOADS), shares) for name, shares in right.items()}
    figure = {"kind": "lines", "series": drawn, "x": "keys to draw from", "y": "share right", "log": "x"}
    gaps = [gap(nets[LINEAR], other, tokens) for other in (lambda *p: linear(*p)[0], partial(linear_table, ahead=1))]
    gaps += [gap(nets["delta rule"], lambda *p, e=e: delta(*p, erase=e)[0], tokens) for e in (1.0, 0.0)]
    return {
        "table_gap": max(gaps[::2]),
        "wrong_gap": min(gaps[1::2]),
        "state_numbers": max(method(*parts)[1].numel() for method in (linear, delta)),
        "cache_numbers": sum(part.numel() for part in parts[1:3]),
        "linear_many": many[LINEAR],
        "linear_few": few[LINEAR],
        "delta_few": few["delta rule"],
        "rivals_few": max(few[name] for name in (DECAY, LINEAR, WINDOW)),
        "softmax_many": many["softmax attention"],
        "states_many": max(many[name] for name in ("delta rule", DECAY, LINEAR)),
    }, {"newest values recalled, by the keys to draw from": figure}


# %% what is claimed

LINEAR, DECAY, WINDOW = "linear attention", "linear, with decay", "softmax, last 8 tokens"
TITLE = {"en": "Linear attention keeps a matrix, not the past", "zh": "线性注意力只留一个矩阵，不留全部过去"}
CURVES = "cross-entropy"
CPU_SECONDS = 4
CLAIMS = {
    "parity table_gap <= 1e-10 < wrong_gap": {
        "en": "largest gap of the two recurrences, linear attention and delta rule, to their tables, in outputs and "
        "gradients, trained (f64); control: a table one token ahead, or a delta rule that adds without reading first",
        "zh": "训练后，线性注意力与 delta 规则的递推同各自表格在输出与梯度上的最大差距（f64）；"
        "对照：多看一个词元的表格，或不先读取、直接相加的 delta 规则",
    },
    "parity state_numbers <= 272 < cache_numbers": {
        "en": "numbers that linear attention and the delta rule carry after 48 tokens, the larger of the two; "
        "control: keys and values that softmax attention caches",
        "zh": "48 个词元后线性注意力与 delta 规则所携带的数值个数（取较多者）；对照：softmax 注意力缓存的键与值",
    },
    "trained linear_many >= 0.5 > linear_few >= 0.32": {
        "en": "newest values recalled by linear attention, keys drawn from 64; control: from 8, each written often",
        "zh": "键取自 64 个时线性注意力答对最新值的比例；对照：取自 8 个，每个键被多次写入",
    },
    "trained delta_few >= 0.94 > rivals_few >= 0.8": {
        "en": "newest values recalled by the delta rule, keys drawn from 8; control: the best of linear attention, "
        "with and without decay, and softmax attention to the last 8 tokens",
        "zh": "键取自 8 个时 delta 规则的答对比例；对照：线性注意力（带或不带衰减）、最近 8 个词元的 softmax，取最优",
    },
    "trained softmax_many >= 0.97 > states_many >= 0.68": {
        "en": "newest values recalled by softmax attention, keys drawn from 64; control: the best of delta rule and "
        "linear attention, with and without decay",
        "zh": "键取自 64 个时 softmax 注意力答对最新值的比例；对照：delta 规则与（带或不带衰减的）线性注意力，取最优",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "softmax attention": "softmax 注意力",
    "delta rule": "delta 规则",
    "linear, with decay": "带衰减的线性注意力",
    "linear attention": "线性注意力",
    "softmax, last 8 tokens": "softmax，最近 8 个词元",
    "newest values recalled, by the keys to draw from": "按候选键数，答对最新值的比例",
    "keys to draw from": "候选键数",
    "share right": "正确率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
