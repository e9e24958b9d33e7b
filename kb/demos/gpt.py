"""GPT — a decoder-only Transformer learns a language by predicting the next word, and then writes it.

The text is generated and cut into windows of 24 words: "the dog near the hills above the lake sleeps ." The verb
agrees with the first noun, up to seven phrases away, so a few words in a row do not suffice. As the grammar is known,
so is the entropy, the floor of the loss. The controls are n-grams of order 2 to 5, Witten-Bell smoothed, counted on the
same text; order 3 sees nothing but the nearest noun, and is always wrong where that misleads. (The norms stand before
the layers, as in GPT-2; the paper has them behind.)

Needs:  torch
Source: A. Radford et al., Improving Language Understanding by Generative Pre-Training, 2018 (GPT); T. Linzen,
        E. Dupoux, Y. Goldberg, Assessing the Ability of LSTMs to Learn Syntax-Sensitive Dependencies, TACL 4,
        2016 (the test of agreement)
"""

import copy
import math
import random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NOUNS = ["dog", "cat", "bird", "horse", "boy", "girl", "car", "tree", "house", "river", "hill", "lake"]
VERBS, PLACES = ["sleep", "run", "sing", "wait", "fall", "play"], ["near", "behind", "above", "with"]
WORDS = [".", "the", *NOUNS, *(n + "s" for n in NOUNS), *VERBS, *(v + "s" for v in VERBS), *PLACES]
ID = {word: i for i, word in enumerate(WORDS)}
MORE = 0.7  # the chance of one more phrase
WINDOW, WIDTH, HEADS, LAYERS, BATCH, RATE, ORDER = 24, 32, 4, 2, 32, 1.2e-2, 5

# %% the concept


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, cache: list[Tensor] | None = None) -> Tensor:  # (B, T, D) -> (B, T, D)
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # (B, H, T, D / H)
        if cache is not None:  # keys and values of the past do not change: no second pass
            if cache:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            cache[:] = k, v
        scores = q @ k.mT / math.sqrt(q.shape[-1])  # q k^T / sqrt(d): (B, H, T, S)
        past = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).tril(k.shape[2] - q.shape[2])
        y = scores.masked_fill(~past, -math.inf).softmax(-1) @ v  # a word reads itself and what stands before it
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word, self.position = nn.Embedding(len(WORDS), WIDTH), nn.Embedding(WINDOW, WIDTH)
        for table in (self.word, self.position):
            nn.init.normal_(table.weight, std=0.2)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, len(WORDS))

    def forward(self, words: Tensor, start: int = 0, caches: list | None = None) -> Tensor:  # (B, T) -> (B, T, V)
        x = self.word(words) + self.position.weight[start : start + words.shape[1]]
        for i, block in enumerate(self.blocks):
            x = block(x, caches[i] if caches else None)
        return self.head(self.norm(x))


@torch.no_grad()
def write(gpt: GPT, n: int, generator: torch.Generator) -> Tensor:  # -> (n, 1 + WINDOW)
    """Sample n windows word by word, each word drawn given all that stands before it."""
    words, caches = torch.full((n, 1), ID["."]), [[] for _ in range(LAYERS)]
    for t in range(WINDOW):
        odds = gpt(words[:, -1:], t, caches)[:, 0].softmax(-1).float()
        words = torch.cat([words, torch.multinomial(odds, 1, generator=generator)], 1)
    return words


# %% its control


def contexts(words: Tensor, length: int) -> Tensor:
    """The `length` words before each word after the first, as one number: (n, T + 1) -> (n, T)."""
    padded = F.pad(words[:, :-1], (length, 0))  # full stops before the window
    return (padded.unfold(1, length + 1, 1)[..., 1:] * len(WORDS) ** torch.arange(length)).sum(-1)


def count(keys: Tensor, counts: Tensor, wanted: Tensor) -> Tensor:
    """The counts of the wanted keys, 0 where the sorted `keys` lack them."""
    at = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return torch.where(keys[at] == wanted, counts[at], 0).double()


def ngrams(train: Tensor, test: Tensor, words: Tensor) -> list[Tensor]:
    """P(words | those before them in test), words (m, n, T), by order from 1. Each leaves mass to the shorter."""
    p, found = torch.full(words.shape, 1 / len(WORDS), dtype=torch.float64), []
    for length in range(ORDER):
        known, here = contexts(train, length), contexts(test, length)
        pairs, repeats = (known * len(WORDS) + train[:, 1:]).unique(return_counts=True)
        total = count(*known.unique(return_counts=True), here)
        kinds = count(*(pairs // len(WORDS)).unique(return_counts=True), here)  # different words seen there
        blend = (count(pairs, repeats, here * len(WORDS) + words) + kinds * p) / (total + kinds).clamp(min=1)
        p = torch.where(total > 0, blend, p)
        found.append(p)
    return found


# %% the experiment


def sentence(chance: random.Random) -> list[tuple[str, float, int]]:
    """Words, each with its log-probability; of a verb that the last noun misleads, how many phrases stand between."""
    subject = noun = chance.choice(["", "s"])
    phrases = 0
    words = [("the", 0.0, 0), (chance.choice(NOUNS) + noun, -math.log(2 * len(NOUNS)), 0)]
    while chance.random() < MORE:
        noun, phrases = chance.choice(["", "s"]), phrases + 1
        words += [(chance.choice(PLACES), math.log(MORE / len(PLACES)), 0), ("the", 0.0, 0)]
        words += [(chance.choice(NOUNS) + noun, -math.log(2 * len(NOUNS)), 0)]
    verb = chance.choice(VERBS) + ("" if subject else "s")
    return [*words, (verb, math.log((1 - MORE) / len(VERBS)), phrases * (noun != subject)), (".", 0.0, 0)]


def text(n: int, chance: random.Random) -> tuple[Tensor, float, Tensor]:
    """Windows of text behind a full stop (n, T + 1), their mean entropy, phrases that mislead (n, T)."""
    rows = []
    for _ in range(n):
        row = []
        while len(row) < WINDOW:
            row += sentence(chance)
        rows.append(row[:WINDOW])
    words = torch.tensor([[ID["."], *(ID[word] for word, _, _ in row)] for row in rows])
    entropy = -sum(p for row in rows for _, p, _ in row) / (n * WINDOW)
    return words, entropy, torch.tensor([[misled for _, _, misled in row] for row in rows])


def twin_gap(gpt: GPT, words: Tensor, causal: bool) -> float:
    """Largest difference from torch's encoder with a mask, same weights, in outputs and gradients; f64."""
    gpt = copy.deepcopy(gpt).cpu().double()
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, F.gelu, batch_first=True, norm_first=True)
    twin = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False).double()
    own = [*gpt.blocks.parameters(), *gpt.norm.parameters()]
    for theirs, mine in zip(twin.parameters(), own, strict=True):
        theirs.data = mine.data.clone()
    future = nn.Transformer.generate_square_subsequent_mask(words.shape[1], dtype=torch.float64)
    answers = gpt(words), gpt.head(twin(gpt.word(words) + gpt.position.weight, future if causal else None))
    around = [gpt.word.weight, gpt.position.weight, *gpt.head.parameters()]
    found = []
    for answer, inner in zip(answers, (own, twin.parameters()), strict=True):
        weighted = (answer * torch.linspace(-1, 1, len(WORDS), dtype=torch.float64)).sum()
        found.append([answer.detach(), *torch.autograd.grad(weighted, [*around, *inner], materialize_grads=True)])
    return torch.stack([(a - b).abs().max() for a, b in zip(*found, strict=True)]).max().item()


@torch.no_grad()
def cache_gap(gpt: GPT, words: Tensor, moving: bool) -> float:
    gpt, caches = copy.deepcopy(gpt).cpu().double(), [[] for _ in range(LAYERS)]
    steps = [gpt(words[:, t : t + 1], t if moving else 0, caches) for t in range(words.shape[1])]
    return (torch.cat(steps, 1) - gpt(words)).abs().max().item()


@torch.no_grad()
def miswritten(gpt: GPT, words: Tensor, generator: torch.Generator, greedy: bool) -> float:
    """Share of the words that are not those drawn, or the likeliest, after one pass over all before them."""
    logits = gpt(words[:, :-1])
    wanted = [torch.multinomial(odds.softmax(-1).float(), 1, generator=generator)[:, 0] for odds in logits.unbind(1)]
    return (words[:, 1:] != (logits.argmax(-1) if greedy else torch.stack(wanted, 1))).double().mean().item()


def run(device="cpu", seed=0, steps=400):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    gpt, data, seen = GPT().to(device), random.Random(3 * seed + 1), []
    optimizer = torch.optim.AdamW(gpt.parameters(), betas=(0.9, 0.95))
    for step in range(steps):
        words, entropy, _ = text(BATCH, data)
        seen.append(words)
        words = words.to(device)
        optimizer.param_groups[0]["lr"] = RATE * min((step + 1) / 80, 2 * (1 - step / steps), 1)
        loss = F.cross_entropy(gpt(words[:, :-1]).flatten(0, 1), words[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(gpt.parameters(), 1.0)
        optimizer.step()
        yield (step + 1) / steps, {"GPT": loss.item(), "entropy": entropy}

    words, entropy, misled = text(800, random.Random(3 * seed + 2))
    right = words[:, 1:]
    is_plural = (right >= ID["sleep"]) & (right < ID["sleeps"])
    both = torch.stack([right, torch.where(misled > 0, right + torch.where(is_plural, 1, -1) * len(VERBS), right)])
    with torch.no_grad():
        logs = gpt(words[:, :-1].to(device)).log_softmax(-1).cpu()  # (n, T, V)
    odds = {f"{k + 1}-gram": p for k, p in enumerate(ngrams(torch.cat(seen), words, both)) if k}
    odds = {"GPT": torch.stack([logs.gather(2, w[..., None])[..., 0].exp() for w in both])} | odds
    excess = {name: float(-p[0].log().mean()) - entropy for name, p in odds.items()}
    is_right = {name: (p[0] > p[1]).double() for name, p in odds.items()}
    agreement = {name: float(hits[misled > 0].mean()) for name, hits in is_right.items()}
    far = range(1, 6)
    by_phrases = {
        name: [float(is_right[name][misled == k].mean()) for k in far] for name in ("GPT", f"{ORDER}-gram", "3-gram")
    }
    checked, twin = words[:8, :-1], copy.deepcopy(gpt).cpu().double()
    dice = [torch.Generator().manual_seed(3 * seed + 2) for _ in range(3)]
    written = write(twin, 4, dice[0])
    return {
        "gpt_excess": excess.pop("GPT"),
        "ngram_excess": min(excess.values()),
        "gpt_agreement": agreement.pop("GPT"),
        "ngram_agreement": max(agreement.values()),
        "nearest_noun_agreement": agreement["3-gram"],
        "twin_gap": twin_gap(gpt, checked, causal=True),
        "unmasked_gap": twin_gap(gpt, checked, causal=False),
        "cache_gap": cache_gap(gpt, checked, moving=True),
        "stale_cache_gap": cache_gap(gpt, checked, moving=False),
        "miswritten": miswritten(twin, written, dice[1], greedy=False),
        "greedy_miswritten": miswritten(twin, written, dice[2], greedy=True),
    }, {
        "right verb form where the last noun misleads": {
            "kind": "lines",
            "series": {name: (list(far), shares) for name, shares in by_phrases.items()},
            "x": "phrases between subject and verb",
            "y": "share right",
        },
        "text that it writes": {
            "kind": "table",
            "columns": ["sample"],
            "rows": [["\xa0".join(WORDS[i] for i in row[1:])] for row in written.tolist()],
        },
    }


# %% what is claimed

TITLE = {"en": "A small GPT learns agreement", "zh": "小型 GPT 学会主谓一致"}
CURVES = "nats per word"
SCALE = ("WIDTH", "BATCH")
CPU_SECONDS = 5
CLAIMS = {
    "trained gpt_excess <= 0.01 < ngram_excess <= 0.055": {
        "en": "nats per word above the entropy of the text, on fresh text; the control is the best n-gram",
        "zh": "在新文本上每词超出文本熵的奈特数；对照为最好的 n-gram",
    },
    "trained gpt_agreement >= 0.93 > ngram_agreement >= 0.4": {
        "en": "right verb form where the last noun's number misleads; the control is the best n-gram",
        "zh": "最近名词的单复数与主语不同时选对动词形式的比例；对照为最好的 n-gram",
    },
    "parity twin_gap <= 1e-10 < unmasked_gap": {
        "en": "largest gap to a masked nn.TransformerEncoder in outputs and gradients (f64); the control has no mask",
        "zh": "与加掩码的 nn.TransformerEncoder 在输出与梯度上的最大差距（f64）；对照没有掩码",
    },
    "parity cache_gap <= 1e-10 < stale_cache_gap": {
        "en": "logits with a key-value cache against one full pass (f64); the control's position stays 0",
        "zh": "用键值缓存逐词计算的 logits 与整段计算之差（f64）；对照的位置停在 0",
    },
    "parity miswritten <= 0 < greedy_miswritten": {
        "en": "share of the words it writes that differ from draws by the same dice without a cache; the control "
        "expects the likeliest words",
        "zh": "生成的词与用同一随机数、不用缓存抽出的词不同的比例；对照以概率最大的词为准",
    },
}
ZH = {
    "nats per word": "每词奈特数",
    "entropy": "熵",
    "right verb form where the last noun misleads": "最近名词误导时选对动词形式的比例",
    "phrases between subject and verb": "主语与动词之间的短语数",
    "share right": "正确率",
    "text that it writes": "生成的文本",
    "sample": "样本",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
