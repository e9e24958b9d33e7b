"""Seq2seq with attention — the translator looks back at the source instead of remembering all of it.

Translation in miniature: the target language has another word for each of the 20 source words and the
mirrored word order. A bidirectional LSTM reads sentences of 4 to 14 words, another LSTM writes the
translation. In the contender, equal otherwise, the last states of the encoder are all that reaches the
decoder. Both write word by word, each word chosen with what they wrote before. The claim is about equal
training; more of it helps both.

Claim:  on fresh sentences of 14 words attention gets most words right, the fixed-size code does not; the
        context vectors are those of F.scaled_dot_product_attention without its scaling (Luong's dot score has
        none).
Source: I. Sutskever, O. Vinyals, Q. Le, Sequence to Sequence Learning with Neural Networks, NeurIPS 2014 (the
        encoder-decoder); D. Bahdanau, K. Cho, Y. Bengio, Neural Machine Translation by Jointly Learning to
        Align and Translate, ICLR 2015 (attention); M.-T. Luong, H. Pham, C. Manning, Effective Approaches to
        Attention-based Neural Machine Translation, EMNLP 2015 (the dot score used here)
Run:    python kb/demos/seq2seq_attention.py --device cpu --seed 0 --steps 450
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Translation needs to look back", "zh": "翻译需要回看原文"}
CPU_SECONDS = 6
CLAIMS = {
    "trained attention_accuracy >= 0.65 > code_accuracy": {
        "en": "words right for 14-word sentences; the control, trained as long, has no attention",
        "zh": "14 词句子译文中正确词的比例；对照训练同样久但没有注意力",
    },
    "parity context_gap <= 1e-10 < scaled_context_gap": {
        "en": "gap to F.scaled_dot_product_attention with scale 1 in f64; the control keeps its 1/sqrt(d)",
        "zh": "与 scale=1 的 F.scaled_dot_product_attention 的差距（f64）；对照保留 1/sqrt(d)",
    },
}

WORDS, WIDTH, BATCH, SHORTEST, LONGEST = 20, 48, 32, 4, 14
START = WORDS  # the target word before the first


def attend(states: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Decoder states (B, M, D) over encoder states (B, N, D): context (B, M, D), weights (B, M, N)."""
    weights = (states @ memory.transpose(1, 2)).softmax(-1)
    return weights @ memory, weights


class Translator(nn.Module):
    def __init__(self, attention: bool) -> None:
        super().__init__()
        self.attention = attention
        self.source, self.target = nn.Embedding(WORDS, WIDTH), nn.Embedding(WORDS + 1, WIDTH)
        self.encoder = nn.LSTM(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)
        self.decoder = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.mix, self.head = nn.Linear(2 * WIDTH if attention else WIDTH, WIDTH), nn.Linear(WIDTH, WORDS)

    def forward(self, source: Tensor, written: Tensor) -> Tensor:  # (B, N), (B, M) -> (B, M, WORDS)
        memory, last = self.encoder(self.source(source))
        code = tuple(state.transpose(0, 1).flatten(1)[None] for state in last)  # both directions: (1, B, D)
        states, _ = self.decoder(self.target(written), code)
        if self.attention:
            context, self.weights = attend(states, memory)
            states = torch.cat([context, states], -1)
        return self.head(self.mix(states).tanh())

    @torch.no_grad()
    def translate(self, source: Tensor) -> Tensor:  # (B, N) -> (B, N)
        written = torch.full_like(source[:, :1], START)
        for _ in range(source.shape[1]):
            best = self(source, written)[:, -1:].argmax(-1)
            written = torch.cat([written, best], 1)
        return written[:, 1:]


def context_gap(scale: float | None, generator: torch.Generator) -> float:
    states, memory = (torch.randn(2, n, 16, generator=generator, dtype=torch.float64) for n in (5, 7))
    twin = F.scaled_dot_product_attention(states, memory, memory, scale=scale)
    return float((attend(states, memory)[0] - twin).abs().max())


def run(device="cpu", seed=0, steps=450):
    data = torch.Generator().manual_seed(seed)
    lexicon = torch.randperm(WORDS, generator=data)
    nets = {}
    for name in ("attention", "fixed-size code"):
        torch.manual_seed(seed)
        nets[name] = Translator(name == "attention").to(device)
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=1e-2) for name, net in nets.items()}

    def sentences(n: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        source = torch.randint(WORDS, (n, length), generator=generator)
        return source.to(device), lexicon[source].flip(1).to(device)

    for step in range(steps):
        length = int(torch.randint(SHORTEST, LONGEST + 1, (), generator=data))  # one length a batch: no padding
        source, target = sentences(BATCH, length, data)
        written = torch.cat([torch.full_like(target[:, :1], START), target[:, :-1]], 1)
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = 1e-2 * min(1, 2 * (1 - step / steps))
            loss = F.cross_entropy(net(source, written).flatten(0, 1), target.flatten())
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, losses

    fresh, lengths, curves = torch.Generator().manual_seed(seed + 1000), range(SHORTEST, LONGEST + 1, 2), {}
    for length in lengths:
        source, target = sentences(200, length, fresh)
        for name, net in nets.items():
            curves.setdefault(name, []).append((net.translate(source) == target).float().mean().item())
    return {
        "attention_accuracy": curves["attention"][-1],
        "code_accuracy": curves["fixed-size code"][-1],
        "context_gap": context_gap(1.0, data),
        "scaled_context_gap": context_gap(None, data),
    }, {
        "words right by length of the sentence": {
            "kind": "lines",
            "zh": "各句长的译词正确率",
            "series": {name: (list(lengths), shares) for name, shares in curves.items()},
            "x": "words in the source",
            "y": "share right",
        },
        "where each translated word looks": {
            "kind": "heatmap",
            "zh": "译出每个词时的注意力",
            "values": nets["attention"].weights[0].cpu(),
            "rows": [f"target {i + 1}" for i in range(LONGEST)],
            "columns": [f"source {i + 1}" for i in range(LONGEST)],
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
