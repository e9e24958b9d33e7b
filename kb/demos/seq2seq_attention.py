"""Seq2seq with attention — the translator looks back at the source instead of remembering all of it.

Translation in miniature: the target language has another word for each of the 20 source words and the mirrored
word order. A bidirectional LSTM reads sentences of 4 to 14 words, another LSTM writes the translation, each word
chosen with what it wrote before. The control is the same but for the attention: the last states of the encoder are
all its decoder gets, the hidden ones again at every word. The claim is about equal training; more helps both.

Needs:  torch
Source: I. Sutskever, O. Vinyals, Q. Le, Sequence to Sequence Learning with Neural Networks, NeurIPS 2014 (the
        encoder-decoder); K. Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, EMNLP 2014 (the
        code at every word); M.-T. Luong, H. Pham, C. Manning, Effective Approaches to Attention-based Neural
        Machine Translation, EMNLP 2015 (attention with the dot score, which is not scaled)
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WORDS, WIDTH, BATCH, SHORTEST, LONGEST, RATE = 20, 64, 32, 4, 14, 1e-2
START = WORDS  # the target word before the first

# %% the concept


def attend(states: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Decoder states (B, M, D) over encoder states (B, N, D): context (B, M, D), weights (B, M, N)."""
    weights = (states @ memory.mT).softmax(-1)  # a_ij = softmax_j(s_i . h_j)
    return weights @ memory, weights  # c_i = sum_j a_ij h_j


class Translator(nn.Module):
    def __init__(self, attention: bool) -> None:
        super().__init__()
        self.attention = attention
        self.source, self.target = nn.Embedding(WORDS, WIDTH), nn.Embedding(WORDS + 1, WIDTH)
        for table in (self.source, self.target):
            nn.init.normal_(table.weight, std=0.3)
        self.encoder = nn.LSTM(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)
        self.decoder = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.mix, self.head = nn.Linear(2 * WIDTH, WIDTH), nn.Linear(WIDTH, WORDS)

    def forward(self, source: Tensor, written: Tensor) -> Tensor:  # (B, N), (B, M) -> (B, M, WORDS)
        memory, last = self.encoder(self.source(source))  # (B, N, D)
        code = tuple(state.transpose(0, 1).flatten(1)[None] for state in last)  # both directions: (1, B, D)
        states, _ = self.decoder(self.target(written), code)  # (B, M, D)
        if self.attention:
            context, self.weights = attend(states, memory)
        else:  # the control
            context = code[0][0, :, None].expand_as(states)
        return self.head(self.mix(torch.cat([context, states], -1)).tanh())

    @torch.no_grad()
    def translate(self, source: Tensor) -> Tensor:  # (B, N) -> (B, N)
        written = torch.full_like(source[:, :1], START)
        for _ in range(source.shape[1]):
            best = self(source, written)[:, -1:].argmax(-1)
            written = torch.cat([written, best], 1)
        return written[:, 1:]


# %% the experiment


def after_start(words: Tensor) -> Tensor:
    """What the decoder has before each word: the start and the words before."""
    return torch.cat([torch.full_like(words[:, :1], START), words[:, :-1]], 1)


def unrolled(lstm: nn.LSTM, x: Tensor, state: tuple[Tensor, Tensor], suffix: str = "") -> tuple[Tensor, tuple]:
    """The states of an LSTM's layer word by word, by nn.LSTMCell, and the last: (B, T, D), (h, c)."""
    cell, states = nn.LSTMCell(lstm.input_size, lstm.hidden_size), []
    weights = {name: getattr(lstm, f"{name}_l0{suffix}") for name, _ in cell.named_parameters()}
    for x_t in x.unbind(1):
        state = torch.func.functional_call(cell, weights, (x_t, state))
        states.append(state[0])
    return torch.stack(states, 1), state


def twin_gap(net: Translator, source: Tensor, target: Tensor, scale: float | None) -> float:
    """Largest difference, in outputs and gradients, from cells and F.scaled_dot_product_attention; f64."""
    words, written = net.source(source), net.target(after_start(target))
    zeros = 2 * (words.new_zeros(len(words), WIDTH // 2),)
    (ahead, first), (back, second) = (
        unrolled(net.encoder, words, zeros),
        unrolled(net.encoder, words.flip(1), zeros, "_reverse"),
    )
    memory = torch.cat([ahead, back.flip(1)], -1)
    states, _ = unrolled(net.decoder, written, tuple(torch.cat(pair, -1) for pair in zip(first, second, strict=True)))
    context = F.scaled_dot_product_attention(states, memory, memory, scale=scale)
    answers = net(source, after_start(target)), net.head(net.mix(torch.cat([context, states], -1)).tanh())
    found = []
    for answer in answers:
        weighted = (answer * torch.linspace(-1, 1, WORDS, dtype=torch.float64)).sum()
        found.append([answer.detach(), *torch.autograd.grad(weighted, [*net.parameters()], materialize_grads=True)])
    return torch.stack([(a - b).abs().max() for a, b in zip(*found, strict=True)]).max().item()


@torch.no_grad()
def slips(net: Translator, source: Tensor, said: Tensor, seen: Tensor) -> int:
    """How many of the words that were said are worse for the net than another, after the words that it has seen."""
    logits = net(source, after_start(seen))
    return int((logits.gather(-1, said[..., None])[..., 0] < logits.amax(-1) - 1e-3).sum())  # near ties are none


def run(device="cpu", seed=0, steps=450):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    lexicon = torch.randperm(WORDS, generator=data)
    nets = {}
    for name in ("attention", "fixed-size code"):
        torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
        nets[name] = Translator(name == "attention").to(device)
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}

    def sentences(n: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        source = torch.randint(WORDS, (n, length), generator=generator)
        return source.to(device), lexicon[source].flip(1).to(device)

    for step in range(steps):
        length = int(torch.randint(SHORTEST, LONGEST + 1, (), generator=data))  # one length a batch: no padding
        source, target = sentences(BATCH, length, data)
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 * (1 - step / steps), (step + 1) / 20)
            loss = F.cross_entropy(net(source, after_start(target)).flatten(0, 1), target.flatten())
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    curves = {name: [] for name in nets}
    lengths, looks = range(SHORTEST, LONGEST + 1, 2), Tensor()
    for length in lengths:
        source, target = sentences(200, length, unseen)
        said = {name: net.translate(source) for name, net in nets.items()}
        for name, words in said.items():
            curves[name].append((words == target).float().mean().item())
        looks = nets["attention"].weights[0].cpu() if length <= 10 else looks
    bare, wrote = nets["fixed-size code"], said["fixed-size code"]  # it errs, so that it shows what it saw
    net, exact = copy.deepcopy(nets["attention"]).cpu().double(), (source[:8].cpu(), target[:8].cpu())
    return {
        "attention_accuracy": curves["attention"][-1],
        "code_accuracy": curves["fixed-size code"][-1],
        "context_gap": twin_gap(net, *exact, 1.0),
        "scaled_context_gap": twin_gap(net, *exact, None),
        "slips": slips(bare, source, wrote, wrote),
        "told_slips": slips(bare, source, wrote, target),
    }, {
        "words translated rightly": {
            "kind": "lines",
            "series": {name: (list(lengths), shares) for name, shares in curves.items()},
            "x": "words in the sentence",
            "y": "share right",
        },
        "where each word of a translation looks, in %": {
            "kind": "heatmap",
            "values": (100 * looks).round().tolist(),
            "rows": [str(i + 1) for i in range(len(looks))],
            "columns": [str(i + 1) for i in range(len(looks))],
            "x": "source word",
            "y": "target word",
        },
    }


# %% what is claimed

TITLE = {"en": "Translation is learned far sooner by looking back", "zh": "能回看原文，翻译学得快得多"}
CURVES = "cross-entropy"
CPU_SECONDS = 5
CLAIMS = {
    "trained attention_accuracy >= 0.9 > code_accuracy >= 0.32": {
        "en": "share of words right in fresh sentences of 14 words; the control, trained as long, has no attention",
        "zh": "14 词新句子的译文中正确词的比例；对照训练同样久但没有注意力",
    },
    "parity context_gap <= 1e-10 < scaled_context_gap": {
        "en": "largest gap to nn.LSTMCell word by word with F.scaled_dot_product_attention of scale 1, in outputs and "
        "gradients (f64); the control keeps its 1/sqrt(d)",
        "zh": "与逐词的 nn.LSTMCell 加 scale=1 的 F.scaled_dot_product_attention 在输出与梯度上的最大差距（f64）；"
        "对照保留 1/sqrt(d)",
    },
    "parity slips <= 0 < told_slips": {
        "en": "words of the control's translations that differ from those of one pass over what it wrote; the control "
        "of this is told the right words",
        "zh": "无注意力网络的译文中，与把所写内容整段过一遍的结果不同的词数；对照被告知了正确的词",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "attention": "注意力",
    "fixed-size code": "定长编码",
    "words translated rightly": "译对的词",
    "words in the sentence": "句子的词数",
    "share right": "正确率",
    "where each word of a translation looks, in %": "译出每个词时的注意力（%）",
    "source word": "原文词",
    "target word": "译文词",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
