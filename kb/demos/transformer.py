"""Transformer — attention alone reads a sequence and writes another; the positions have to be put in.

An encoder-decoder with one layer each learns to write ten random symbols backwards, and then writes symbol by
symbol, each chosen with what it wrote before. The contender is the same without the positional encoding: its
encoder sees a bag of symbols, whose order nothing after it can restore.

Claim:  fresh sequences come out reversed without one error, never so without positions; the whole stack is
        torch.nn.Transformer's; a permuted input without positions permutes the output; the causal mask leaks
        nothing of the future.
Source: A. Vaswani et al., Attention Is All You Need, NeurIPS 2017; R. Xiong et al., On Layer Normalization in
        the Transformer Architecture, ICML 2020 (normalization before each block, as here)
Run:    python kb/demos/transformer.py --device cpu --seed 0 --steps 200
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Transformer reverses a sequence", "zh": "Transformer 反转序列"}
CPU_SECONDS = 4
CLAIMS = {
    "trained exact_match >= 0.5 > no_position_exact_match": {
        "en": "fresh sequences written without an error; the control has no positional encoding",
        "zh": "完全写对的新序列比例；对照没有位置编码",
    },
    "parity stack_gap <= 1e-10 < post_norm_gap": {
        "en": "gap to torch.nn.Transformer in f64; the control normalizes after each block, not before",
        "zh": "与 torch.nn.Transformer 的差距（f64）；对照在每个子层之后而非之前做归一化",
    },
    "parity permutation_gap <= 1e-10 < position_permutation_gap": {
        "en": "encoder of a permuted input against the permuted encoding (f64); the control has positions",
        "zh": "打乱输入后的编码与打乱后的编码之差（f64）；对照带位置编码",
    },
    "parity leak <= 1e-10 < unmasked_leak": {
        "en": "change of earlier outputs when the last written symbol changes (f64); the control has no mask",
        "zh": "改动最后一个已写符号时此前输出的变化（f64）；对照没有因果掩码",
    },
}

LENGTH, SYMBOLS, WIDTH, HEADS, LAYERS, BATCH = 10, 10, 32, 2, 1, 32
START = SYMBOLS  # the symbol before the first


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, memory: Tensor, causal: bool) -> Tensor:  # (B, T, D), (B, S, D) -> (B, T, D)
        w, b = self.in_proj.weight.chunk(3), self.in_proj.bias.chunk(3)
        q, k, v = (F.linear(y, w[i], b[i]) for i, y in enumerate((x, memory, memory)))
        q, k, v = (y.unflatten(-1, (HEADS, -1)).transpose(1, 2) for y in (q, k, v))  # (B, H, T, D / H)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (B, H, T, S)
        if causal:
            future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(future, -math.inf)
        self.weights = scores.softmax(-1)
        return self.out_proj((self.weights @ v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Self-attention, in the decoder attention to the encoder, and a small net, each beside a shortcut."""

    def __init__(self, decoder: bool) -> None:
        super().__init__()  # names as in torch.nn.Transformer, which can then load these weights
        self.self_attn, self.norm1, self.norm2 = Attention(), nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        if decoder:
            self.multihead_attn, self.norm3 = Attention(), nn.LayerNorm(WIDTH)
        self.linear1, self.linear2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor, memory: Tensor | None = None, causal: bool = False) -> Tensor:
        y, norm = self.norm1(x), self.norm2
        x = x + self.self_attn(y, y, causal)
        if memory is not None:
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
    def __init__(self, positions: bool) -> None:
        super().__init__()
        self.symbols = nn.Embedding(SYMBOLS + 1, WIDTH)
        nn.init.normal_(self.symbols.weight, std=0.5)  # the sinusoids' size: neither drowns the other
        self.encoder, self.decoder = Stack(decoder=False), Stack(decoder=True)
        self.head = nn.Linear(WIDTH, SYMBOLS)
        angles = torch.arange(LENGTH)[:, None] * 1e4 ** (-torch.arange(0, WIDTH, 2) / WIDTH)
        encoding = torch.stack([angles.sin(), angles.cos()], -1).flatten(1)  # (T, D)
        self.register_buffer("encoding", encoding * positions)

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


@torch.no_grad()
def parities(net: Transformer, bare: Transformer, source: Tensor) -> dict[str, float]:
    """The identities, in f64 on the CPU, of the trained networks."""
    net, bare = (copy.deepcopy(n).cpu().double() for n in (net, bare))
    source = source.cpu()
    written = torch.cat([torch.full_like(source[:, :1], START), source[:, 1:]], 1)
    x, y = net.embed(source), net.embed(written)
    ours = net.decoder(y, net.encoder(x), True)
    weights = {k.replace("in_proj.", "in_proj_"): v for k, v in net.state_dict().items() if "coder" in k}
    gaps = {}
    for name, first in {"stack_gap": True, "post_norm_gap": False}.items():
        kind = {"dim_feedforward": 4 * WIDTH, "dropout": 0.0, "batch_first": True, "norm_first": first}
        layer, norm = nn.TransformerEncoderLayer(WIDTH, HEADS, **kind), nn.LayerNorm(WIDTH)
        encoder = nn.TransformerEncoder(layer, LAYERS, norm, enable_nested_tensor=False)
        twin = nn.Transformer(WIDTH, HEADS, LAYERS, LAYERS, custom_encoder=encoder, **kind).double()
        twin.load_state_dict(weights)
        mask = twin.generate_square_subsequent_mask(LENGTH, dtype=torch.float64)
        gaps[name] = float((twin(x, y, tgt_mask=mask) - ours).abs().max())
    for name, n in {"permutation_gap": bare, "position_permutation_gap": net}.items():
        gaps[name] = float((n.encoder(n.embed(source.flip(1))) - n.encoder(n.embed(source)).flip(1)).abs().max())
    changed = written.clone()
    changed[:, -1] = (changed[:, -1] + 1) % SYMBOLS
    for name, causal in {"leak": True, "unmasked_leak": False}.items():
        gaps[name] = float((net(source, changed, causal) - net(source, written, causal))[:, :-1].abs().max())
    return gaps


def run(device="cpu", seed=0, steps=200):
    data = torch.Generator().manual_seed(seed)
    nets = {}
    for name in ("positions", "no positions"):
        torch.manual_seed(seed)
        nets[name] = Transformer(name == "positions").to(device)
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=1e-2) for name, net in nets.items()}
    for step in range(steps):
        source = torch.randint(SYMBOLS, (BATCH, LENGTH), generator=data).to(device)
        target = source.flip(1)
        written = torch.cat([torch.full_like(target[:, :1], START), target[:, :-1]], 1)
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = 1e-2 * min((step + 1) / 50, 1 - step / steps)
            loss = F.cross_entropy(net(source, written).flatten(0, 1), target.flatten())
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, losses

    fresh = torch.Generator().manual_seed(seed + 1000)
    source = torch.randint(SYMBOLS, (500, LENGTH), generator=fresh).to(device)
    right = {name: net.write(source) == source.flip(1) for name, net in nets.items()}
    net, bare = nets.values()
    measured = {
        "exact_match": right["positions"].all(1).float().mean().item(),
        "no_position_exact_match": right["no positions"].all(1).float().mean().item(),
        "symbol_accuracy": right["positions"].float().mean().item(),
        "no_position_symbol_accuracy": right["no positions"].float().mean().item(),
        **parities(net, bare, source[:8]),
    }
    weights = net.decoder.layers[-1].multihead_attn.weights  # (B, H, T, S) of the last symbol written
    return measured, {
        "where each written symbol looks in the input": {
            "kind": "heatmap",
            "zh": "写出每个符号时对输入的注意力",
            "values": weights.mean((0, 1)).cpu(),
            "rows": [f"output {i + 1}" for i in range(LENGTH)],
            "columns": [f"input {i + 1}" for i in range(LENGTH)],
        }
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
