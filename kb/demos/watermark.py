"""Watermarking — favoured words, chosen anew by a key after each word, are found again by counting them.

A language model is simulated: a Markov chain over 200 words. A key and the word before choose about half the words as
green; marked text is drawn with 2 added to the green logits. The detector knows the key and not the model: it counts
the green words and tells how many deviations they lie above chance; a pair of words that is repeated counts once. It
says "marked" above 4. Its controls are plain text of the same model, and marked text tried with another key. Where
half of the words are replaced at random, as a crude paraphrase, 100 words are mostly too few to find the mark. The
price is the KL divergence from the model; drawing from green words alone costs more. With one green list for all
places, the word frequencies give it away.

Needs:  torch
Source: J. Kirchenbauer et al., A Watermark for Large Language Models, ICML 2023
"""

import math
from itertools import pairwise

import torch
from torch import Tensor

WORDS, GREEN, BIAS, LENGTH, TEXTS, REPLACED, ALARM = 200, 0.5, 2.0, 100, 30, 0.5, 4.0
PRIME = 2**31 - 1

# %% the concept


def shade(key: int, before: Tensor) -> Tensor:  # (N,) -> (N, WORDS)
    """Which words are green after a word: a hash of the key, the word before and the word."""
    x = before[:, None] * 1_000_003 + torch.arange(WORDS, device=before.device) * 7_919 + key
    for _ in range(3):  # stirred, so that neighbours have nothing in common
        x = (x + 1) * 48_271 % PRIME
        x = x ^ (x >> 15)
    return x % PRIME < GREEN * PRIME


def mark(logits: Tensor, green: Tensor) -> Tensor:
    return (logits + BIAS * green).log_softmax(-1)  # p'(w) ~ p(w) e^bias where w is green


def z_score(text: Tensor, table: Tensor) -> Tensor:  # (N, T), green words after each word (WORDS, WORDS) -> (N,)
    before, word = text[:, :-1], text[:, 1:]
    green = table[before, word]
    pair = before * WORDS + word
    new = ~((pair[:, :, None] == pair[:, None]).tril(-1).any(-1))  # a pair that was there before tells nothing new
    n = new.sum(1)
    return ((green & new).sum(1) - GREEN * n) / (n * GREEN * (1 - GREEN)).sqrt()  # binomial, if there is no mark


# %% its control


def one_list(key: int, before: Tensor) -> Tensor:  # the same green words after every word
    return shade(key, torch.zeros_like(before))


# %% the experiment


def draw(table: Tensor, chance: Tensor) -> Tensor:
    """Texts, word by word, from log-probabilities (WORDS, WORDS) and numbers (N, T): (N, T)."""
    odds, text = table.exp().cumsum(-1), [(chance[:, 0] * WORDS).long()]
    for u in chance[:, 1:].T:
        text.append((odds[text[-1]] < u[:, None]).sum(-1).clamp(max=WORDS - 1))
    return torch.stack(text, 1)


def counted(text: list[int], table: Tensor, once: bool = True) -> float:
    """The score by its definition, pair by pair."""
    pairs = list(pairwise(text))
    pairs = list(dict.fromkeys(pairs)) if once else pairs
    green = sum(bool(table[pair]) for pair in pairs)
    return (green - GREEN * len(pairs)) / math.sqrt(GREEN * (1 - GREEN) * len(pairs))


def mark_gap(model: Tensor, green: Tensor, bias: float) -> float:
    """Marked probabilities against those of a mixture: green mass g becomes g e^b / (g e^b + 1 - g); f64."""
    model = model.double().log_softmax(-1)
    p = model.exp()
    mass = (p * green).sum(-1, keepdim=True)
    share = mass * math.exp(bias) / (mass * math.exp(bias) + 1 - mass)
    mixed = torch.where(green, p / mass * share, p / (1 - mass) * (1 - share))
    return float((mark(model, green).exp() - mixed).abs().max())


def frequencies(text: Tensor) -> Tensor:
    return text.cpu().flatten().bincount(minlength=WORDS) / text.numel()


def run(device="cpu", seed=0, steps=10):
    weights, data, noise, keys = (torch.Generator().manual_seed(4 * seed + k) for k in range(4))
    logits = torch.randn(WORDS, WORDS, generator=weights) + torch.randn(WORDS, generator=weights)
    model, every = logits.log_softmax(-1), torch.arange(WORDS)
    key, wrong = torch.randint(PRIME, (2,), generator=keys).tolist()
    green, other, same = shade(key, every), shade(wrong, every), one_list(key, every)
    tables = {"marked": mark(model, green), "plain": model, "one list": mark(model, same)}
    drawn: dict[str, list[Tensor]] = {name: [] for name in (*tables, "replaced")}
    lengths = list(range(10, LENGTH + 1, 10))
    there, unknown = green.to(device), other.to(device)
    for step in range(steps):
        chance = torch.rand(TEXTS, LENGTH + 1, generator=data).to(device)
        for name, table in tables.items():
            drawn[name].append(draw(table.to(device), chance))
        swapped = torch.rand(TEXTS, LENGTH + 1, generator=noise) < REPLACED
        words = torch.randint(WORDS, swapped.shape, generator=noise)
        drawn["replaced"].append(torch.where(swapped.to(device), words.to(device), drawn["marked"][-1]))
        yield (step + 1) / steps, {name: float(z_score(text[-1], there).mean()) for name, text in drawn.items()}

    texts = {name: torch.cat(text) for name, text in drawn.items()}
    scores = {name: z_score(text, there) for name, text in texts.items()} | {"key": z_score(texts["marked"], unknown)}
    found = {name: float((z > ALARM).float().mean()) for name, z in scores.items()}
    plain = frequencies(texts["plain"])
    shift = {name: float((frequencies(text) - plain).abs().sum()) / 2 for name, text in texts.items()}
    visits = frequencies(texts["marked"])
    cost = float((visits * (tables["marked"].exp() * (tables["marked"] - model)).sum(-1)).sum())
    hard = float((visits * -(model.exp() * green).sum(-1).log()).sum())  # KL of the model, cut to green words
    twice = [text[:30].tolist() * 2 for text in texts["marked"][:20].cpu()]  # repeats
    z = z_score(torch.tensor(twice), green)
    gaps = [
        max(abs(float(a) - counted(b, green, once)) for a, b in zip(z, twice, strict=True)) for once in (True, False)
    ]
    return {
        "found": found["marked"],
        "false_alarms": max(found["plain"], found["key"]),
        "found_replaced": found["replaced"],
        "shift": shift["marked"],
        "one_list_shift": shift["one list"],
        "cost": cost,
        "hard_cost": hard,
        "mark_gap": mark_gap(model, green, BIAS),
        "unmarked_gap": mark_gap(model, green, 0.0),
        "z_gap": gaps[0],
        "repeats_gap": gaps[1],
    }, {
        "green words, in deviations above chance, by the words read": {
            "kind": "lines",
            "series": {
                name: (lengths, [float(z_score(text[:, : n + 1], there).mean()) for n in lengths])
                for name, text in texts.items()
                if name != "one list"
            },
            "x": "words",
            "y": "deviations, mean",
        }
    }


# %% what is claimed

TITLE = {"en": "A watermark that is found with its key", "zh": "用密钥检出的水印"}
CURVES = "deviations above chance"
CPU_SECONDS = 1
CLAIMS = {
    "trained found >= 0.98 > false_alarms": {
        "en": "marked texts of 100 words that are found; control: alarms on plain text, or with another key, whichever "
        "are more",
        "zh": "100 词的带水印文本被检出的比例；对照：无水印文本或换用另一密钥时的误报，取较多者",
    },
    "trained found_replaced <= 0.1 < found": {
        "en": "marked texts of 100 words found after half of their words were replaced at random; the control is "
        "untouched",
        "zh": "100 词的带水印文本随机替换一半单词后仍被检出的比例；对照未经改动",
    },
    "trained shift <= 0.1 < one_list_shift <= 0.45": {
        "en": "total variation of the word frequencies to plain text; control: one green list for all places",
        "zh": "词频与无水印文本的全变差；对照：所有位置共用一张绿表",
    },
    "parity cost <= 0.4 < hard_cost <= 0.8": {
        "en": "KL divergence from the model, nats a word; control: drawing from green words alone",
        "zh": "每词相对模型的 KL 散度（奈特）；对照：只从绿词中抽取",
    },
    "parity mark_gap <= 1e-12 < unmarked_gap": {
        "en": "marked probabilities against a mixture whose green share is g e^b / (g e^b + 1 - g) (f64); the control "
        "takes b = 0",
        "zh": "加水印后的概率同绿词占比为 g e^b / (g e^b + 1 - g) 的混合分布的差距（f64）；对照取 b = 0",
    },
    "parity z_gap <= 1e-5 < repeats_gap": {
        "en": "the detector's score against its definition, counted pair by pair; the control counts repeated pairs "
        "again",
        "zh": "检测分数同逐对计数的定义的差距；对照把重复的词对再次计入",
    },
}
ZH = {
    "deviations above chance": "高出随机的标准差数",
    "marked": "带水印",
    "plain": "无水印",
    "one list": "共用一张绿表",
    "replaced": "替换一半",
    "green words, in deviations above chance, by the words read": "绿词数高出随机的标准差数，随词数变化",
    "words": "词数",
    "deviations, mean": "标准差数（平均）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
