"""Transformer — attention without recurrence reads a sequence and writes another; positions have to be put in.

An encoder-decoder with one layer each learns to write ten random symbols backwards, then writes fresh ones symbol
by symbol, each chosen with what it wrote before; 99 in 100 or more have no error. The control is the same without the
positional encoding: its encoder sees a bag of symbols, whose order nothing after it can restore. A second control
writes the reverse of the most similar sequence of the training.

Needs:  torch
Source: A. Vaswani et al., Attention Is All You Need, NeurIPS 2017; R. Xiong et al., On Layer Normalization in
        the Transformer Architecture, ICML 2020 (normalization before each block, as here)
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LENGTH, SYMBOLS, WIDTH, HEADS, LAYERS, BATCH, RATE = 10, 10, 32, 2, 1, 32, 1e-2
START = SYMBOLS  # the symbol before the first

# %% the concept


def positions(length: int, width: int) -> Tensor:  # (T, D)
    angles = torch.arange(length)[:, None] * 1e4 ** (-torch.arange(0, width, 2) / width)  # t / 10000^(2 i / D)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)  # sin and cos in turn


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, memory: Tensor, causal: bool) -> Tensor:  # (B, T, D), (B, S, D) -> (B, T, D)
        w, b = self.in_proj.weight.chunk(3), self.in_proj.bias.chunk(3)
        q, k, v = (F.linear(y, w[i], b[i]) for i, y in enumerate((x, memory, memory)))
        q, k, v = (y.unflatten(-1, (HEADS, -1)).transpose(1, 2) for y in (q, k, v))  # (B, H, T or S, D / H)
        scores = q @ k.mT / math.sqrt(q.shape[-1])  # (B, H, T, S), of softmax(q k^T / sqrt(d)) v
        if causal:
            future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(future, -math.inf)
        self.weights = scores.softmax(-1)
        return self.out_proj((self.weights @ v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, decoder: bool) -> None:
        super().__init__()  # names as in torch.nn.Transformer (in_proj_ is in_proj. here), to load these weights
        self.self_attn, self.norm1, self.norm2 = Attention(), nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        if decoder:
            self.multihead_attn, self.norm3 = Attention(), nn.LayerNorm(WIDTH)
        self.linear1, self.linear2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor, memory: Tensor | None = None, causal: bool = False) -> Tensor:
        y, norm = self.norm1(x), self.norm2
        x = x + self.self_attn(y, y, causal)  # each block beside a shortcut
        if memory is not None:  # the decoder looks at the encoder's answer
            x, norm = x + self.multihead_attn(self.norm2(x), memory, False), self.norm3
        return x + self.linear2(self.linear1(norm(x)).relu())


class Stack(nn.Module):
    def __init__(self, decoder: bool) -> None:
        super().__init__()
        self.layers, self.norm = nn.ModuleList(Layer(decoder) for _ in range(LAYERS)), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, *memory_and_mask: Tensor | bool) -> Tensor:
        for layer in self.layers:
            x = layer(x, *memory_and_mask)
        return self.norm(x)


class Transformer(nn.Module):
    def __init__(self, ordered: bool) -> None:
        super().__init__()
        self.symbols = nn.Embedding(SYMBOLS + 1, WIDTH)
        nn.init.normal_(self.symbols.weight, std=0.5)  # near the sinusoids' size (0.7): neither drowns the other
        self.encoder, self.decoder = Stack(decoder=False), Stack(decoder=True)
        self.head = nn.Linear(WIDTH, SYMBOLS)
        self.register_buffer("encoding", positions(LENGTH, WIDTH) * ordered)

    def embed(self, symbols: Tensor) -> Tensor:  # (B, T) -> (B, T, D)
        return self.symbols(symbols) + self.encoding[: symbols.shape[1]]

    def forward(self, source: Tensor, written: Tensor, causal: bool = True) -> Tensor:  # -> (B, T, SYMBOLS)
        return self.head(self.decoder(self.embed(written), self.encoder(self.embed(source)), causal))

    @torch.no_grad()
    def write(self, source: Tensor) -> Tensor:  # (B, T) -> (B, T)
        written = torch.full_like(source[:, :1], START)
        for _ in range(LENGTH):
            best = self(source, written)[:, -1:].argmax(-1)
            written = torch.cat([written, best], 1)
        return written[:, 1:]


# %% the experiment


def after_start(symbols: Tensor) -> Tensor:
    """What the decoder has before each symbol: the start and the symbols before."""
    return torch.cat([torch.full_like(symbols[:, :1], START), symbols[:, :-1]], 1)


def stack_gap(net: Transformer, source: Tensor, pre_norm: bool) -> float:
    """Largest difference from torch.nn.Transformer of the same weights, in outputs and gradients."""
    kind = {"dim_feedforward": 4 * WIDTH, "dropout": 0.0, "batch_first": True, "norm_first": pre_norm}
    layer, norm = nn.TransformerEncoderLayer(WIDTH, HEADS, **kind), nn.LayerNorm(WIDTH)
    encoder = nn.TransformerEncoder(layer, LAYERS, norm, enable_nested_tensor=False)
    twin = nn.Transformer(WIDTH, HEADS, LAYERS, LAYERS, custom_encoder=encoder, **kind).double()
    own = {k.replace("in_proj.", "in_proj_"): p for k, p in net.named_parameters() if "coder" in k}
    twin.load_state_dict(own)
    mask, written = twin.generate_square_subsequent_mask(LENGTH, dtype=torch.float64), after_start(source.flip(1))
    answers = net(source, written), net.head(twin(net.embed(source), net.embed(written), tgt_mask=mask))
    theirs = dict(twin.named_parameters())
    found = []
    for answer, held in zip(answers, (own, {name: theirs[name] for name in own}), strict=True):
        weighted = (answer * torch.linspace(-1, 1, SYMBOLS, dtype=torch.float64)).sum()
        leaves = [net.symbols.weight, *net.head.parameters(), *held.values()]
        found.append([answer.detach(), *torch.autograd.grad(weighted, leaves, materialize_grads=True)])
    return torch.stack([(a - b).abs().max() for a, b in zip(*found, strict=True)]).max().item()


def encoding_gap(encoding: Tensor, exponent: int) -> float:
    """From the same by turning: each position is the one before it, turned by angles 10^(-2 i exponent / WIDTH)."""
    angles = torch.logspace(0, -exponent, WIDTH // 2 + 1, dtype=torch.float64)[:-1]
    turn = torch.polar(torch.ones_like(angles), angles)  # cos + i sin
    turned = turn.expand(LENGTH, -1).cumprod(0) / turn
    return (encoding - torch.stack([turned.imag, turned.real], -1).flatten(1)).abs().max().item()


@torch.no_grad()
def identities(net: Transformer, bare: Transformer, source: Tensor, written: Tensor) -> dict[str, float]:
    """Of the trained networks, in f64: permuted inputs, the causal mask, and what was written by the bare one."""
    gaps, target = {}, source.flip(1)
    for name, n in {"permutation_gap": bare, "position_permutation_gap": net}.items():
        gaps[name] = (n.encoder(n.embed(target)) - n.encoder(n.embed(source)).flip(1)).abs().max().item()
    changed = target.roll(1, 1)
    for name, causal in {"leak": True, "unmasked_leak": False}.items():
        pair = [net(source, torch.cat([target[:, :5], rest[:, 5:]], 1), causal) for rest in (target, changed)]
        gaps[name] = (pair[0] - pair[1])[:, :5].abs().max().item()
    for name, seen in {"slips": written, "told_slips": target}.items():
        gaps[name] = float((bare(source, after_start(seen)).argmax(-1) != written).sum())
    return gaps


def run(device="cpu", seed=0, steps=200):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets, known = {}, []
    for name in ("positions", "no positions"):
        torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
        nets[name] = Transformer(name == "positions").to(device)
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        known.append(torch.randint(SYMBOLS, (BATCH, LENGTH), generator=data))
        source = known[-1].to(device)
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min((step + 1) / 50, 1 - step / steps)
            target = source.flip(1)
            loss = F.cross_entropy(net(source, after_start(target)).flatten(0, 1), target.flatten())
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    fresh, known = torch.randint(SYMBOLS, (500, LENGTH), generator=unseen), torch.cat(known)
    net, bare = (n.cpu().double() for n in nets.values())  # from here in f64: a near tie is no slip
    written = {name: n.write(fresh) for name, n in nets.items()}
    alike = [F.one_hot(symbols).flatten(1).float() for symbols in (fresh, known)]
    written["most similar"] = known[(alike[0] @ alike[1].T).argmax(1)].flip(1)
    matches = {name: (said == fresh.flip(1)).all(1).float().mean().item() for name, said in written.items()}
    weights = net.decoder.layers[-1].multihead_attn.weights.mean((0, 1))  # (T, S), of the last pass
    numbers = [str(i + 1) for i in range(LENGTH)]
    return {
        "exact_match": matches["positions"],
        "no_position_exact_match": matches["no positions"],
        "control_match": max(matches["no positions"], matches["most similar"]),
        "stack_gap": stack_gap(net, fresh[:8], pre_norm=True),
        "post_norm_gap": stack_gap(net, fresh[:8], pre_norm=False),
        "encoding_gap": encoding_gap(net.encoding, 4),
        "base_ten_gap": encoding_gap(net.encoding, 1),
        **identities(net, bare, fresh[:50], written["no positions"][:50]),  # it errs, which tells what it saw
    }, {
        "where each written symbol looks in the input, in %": {
            "kind": "heatmap",
            "values": (100 * weights).round().tolist(),
            "rows": numbers,
            "columns": numbers,
            "x": "input",
            "y": "output",
        }
    }


# %% what is claimed

TITLE = {"en": "Transformer reverses a sequence", "zh": "Transformer 反转序列"}
CURVES = "cross-entropy"
SCALE = ("WIDTH", "BATCH")
CPU_SECONDS = 3
CLAIMS = {
    "trained exact_match >= 0.99 > control_match": {
        "en": "share of fresh sequences written without an error; control: no positional encoding, or the answer "
        "to the most similar sequence of the training, whichever is better",
        "zh": "完全写对的新序列比例；对照：没有位置编码的同一网络，或照抄训练中最相似序列的答案，取较好者",
    },
    "parity stack_gap <= 1e-10 < post_norm_gap": {
        "en": "largest gap to torch.nn.Transformer in outputs and gradients (f64); the control normalizes after each "
        "block, not before",
        "zh": "与 torch.nn.Transformer 在输出与梯度上的最大差距（f64）；对照在每个子层之后而非之前做归一化",
    },
    "parity encoding_gap <= 1e-5 < base_ten_gap": {
        "en": "gap of the positional encoding to the same made by turning each position on (f32); the control turns "
        "by powers of 10, not 10000",
        "zh": "位置编码与逐位旋转得到的编码之差（f32）；对照的角度以 10 而非 10000 为底",
    },
    "parity permutation_gap <= 1e-10 < position_permutation_gap": {
        "en": "encoder of a reversed input against the reversed encoding (f64); the control has positions",
        "zh": "倒序输入的编码与倒序后的编码之差（f64）；对照带位置编码",
    },
    "parity leak <= 1e-10 < unmasked_leak": {
        "en": "change of the first five outputs when later symbols change (f64); the control has no causal mask",
        "zh": "改动后面的符号时前五个输出的变化（f64）；对照没有因果掩码",
    },
    "parity slips <= 0 < told_slips": {
        "en": "symbols written without positions that differ from those of one pass over what was written; the "
        "control is told the right ones",
        "zh": "无位置编码的网络所写符号中，与把所写内容整段过一遍的结果不同的个数；对照被告知了正确的符号",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "positions": "有位置编码",
    "no positions": "无位置编码",
    "where each written symbol looks in the input, in %": "写出每个符号时对输入的注意力（%）",
    "input": "输入",
    "output": "输出",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
