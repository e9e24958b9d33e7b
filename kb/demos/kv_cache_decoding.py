"""Decoding — a language model writes word by word: cached, streamed, sampled, searched and guessed ahead.

A small Transformer learns a language of eight words and a full stop, and then writes. A cache of keys and values
spares it another pass over what stands before, and words can be read as they come. Greedy decoding takes the likeliest
next word, and so misses the likeliest four, which a beam, the best few beginnings, finds here (all are enumerated); it
repeats itself, less where words just written are penalized. Temperature, top-k and top-p reshape what is drawn from.
Speculative decoding lets a bigram table guess four words, checks them in one pass, and draws as the model does.

Needs:  torch
Source: Y. Leviathan et al., Fast Inference from Transformers via Speculative Decoding, ICML 2023; A. Holtzman et al.,
        The Curious Case of Neural Text Degeneration, ICLR 2020 (top-p); A. Fan et al., Hierarchical Neural Story
        Generation, ACL 2018 (top-k); N. Keskar et al., CTRL, 2019 (repetition penalty)
"""

import copy
import math
from itertools import combinations, islice, product

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

WORDS = ". we they all run walk sing talk sleep".split()
NEXT = {".": "we .55 they .45", "we": "run .25 walk .25 sing .25 talk .25", "they": "all .9 run .1"}
NEXT["all"] = "sleep .9 sing .1"  # and each verb ends its sentence
WIDTH, HEADS, LAYERS, WINDOW, BATCH, RATE = 16, 2, 2, 16, 32, 1e-2
LONG, HORIZON, BEAM, GUESSES, PENALTY, RECENT = 128, 4, 3, 4, 1.5, 12

# %% the concept


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, cache: list[Tensor] | None = None) -> Tensor:  # (B, T, D) -> (B, T, D)
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # (B, H, T, d) each
        if cache is not None:  # keys and values of the past stay what they are
            if cache:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            cache[:] = k, v
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        past = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).tril(k.shape[2] - q.shape[2])
        x = x + self.out((scores.masked_fill(~past, -math.inf).softmax(-1) @ v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word, self.blocks = nn.Embedding(len(WORDS), WIDTH), nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, len(WORDS))

    def forward(self, words: Tensor, caches: list | None = None) -> Tensor:  # (B, T) -> (B, T, V)
        x = self.word(words)
        for i, block in enumerate(self.blocks):
            x = block(x, None if caches is None else caches[i])
        return self.head(self.norm(x))


def stream(gpt: GPT, word: Tensor, choose, cached: bool = True):  # word (B, 1); yields words (B, 1) as they come
    words, caches = word, [[] for _ in range(LAYERS)]
    while True:
        logits = gpt(words[:, -1:], caches) if cached else gpt(words)
        word = choose(logits[:, -1], words)
        yield word
        words = torch.cat([words, word], 1)


def greedy(logits: Tensor, words: Tensor) -> Tensor:
    return logits.argmax(-1, keepdim=True)


def penalized(logits: Tensor, words: Tensor) -> Tensor:
    seen = words[:, -RECENT:]
    old = logits.gather(1, seen)
    return greedy(logits.scatter(1, seen, torch.where(old > 0, old / PENALTY, old * PENALTY)), words)


def reshape(logits: Tensor, temperature: float = 1.0, top_k: int = 99, top_p: float = 1.0) -> Tensor:  # (V,) -> (V,)
    p, order = (logits / temperature).softmax(-1).sort(descending=True)
    p[top_k:] = 0  # the k likeliest
    p = p / p.sum()
    p[p.cumsum(0) - p >= top_p] = 0  # the fewest words whose sum reaches top_p
    return torch.zeros_like(p).scatter(0, order, p / p.sum())


def draw(p: Tensor, u: Tensor) -> Tensor:
    """The words in whose share of [0, 1] the numbers u fall: (..., V), (..., 1) -> (..., 1)."""
    return (p.cumsum(-1) <= u * p.sum(-1, keepdim=True)).sum(-1, keepdim=True).clamp(max=len(WORDS) - 1)


@torch.no_grad()
def beam(gpt: GPT, start: int, length: int, width: int) -> tuple[Tensor, float]:
    beams, logs = torch.tensor([[start]]), torch.zeros(1, dtype=torch.float64)
    for _ in range(length):
        sums = logs[:, None] + gpt(beams)[:, -1].double().log_softmax(-1)  # log p of each beam and each next word
        logs, best = sums.flatten().topk(min(width, sums.numel()))
        beams = torch.cat([beams[best // len(WORDS)], best[:, None] % len(WORDS)], 1)
    return beams[0, 1:], float(logs[0])


def keeps(p: Tensor, q: Tensor) -> Tensor:  # the chance that a word which q guessed stands
    return (p / q).clamp(max=1)


def residual(p: Tensor, q: Tensor) -> Tensor:  # where the next word comes from if it does not
    return (p - q).clamp(min=0)


@torch.no_grad()
def speculate(gpt: GPT, draft: Tensor, words: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Guesses and one word of the model (B, GUESSES + 1), and how many of them count (B,); u (> GUESSES, 2, B, 1)."""
    guesses = words[:, -1:]
    for n in range(GUESSES):
        guesses = torch.cat([guesses, draw(draft[guesses[:, -1]], u[n, 0])], 1)
    p = gpt(torch.cat([words, guesses[:, 1:]], 1))[:, -GUESSES - 1 :].double().softmax(-1)  # one pass for all
    q = draft[guesses[:, :-1]]  # (B, GUESSES, V)
    chance = keeps(p[:, :-1], q).gather(2, guesses[:, 1:, None])[..., 0]
    stands = (chance > u[:GUESSES, 1, :, 0].T).long().cumprod(1)  # until the first that falls
    count, rows = stands.sum(1), torch.arange(len(words))
    last = torch.cat([residual(p[:, :-1], q), p[:, -1:]], 1)[rows, count]
    out = torch.cat([guesses[:, 1:], guesses[:, :1]], 1)
    out[rows, count] = draw(last, u[GUESSES, 0])[:, 0]
    return out, count + 1


# %% its control


def bigrams(text: Tensor) -> Tensor:  # the draft: what follows each word in a little text: (V, V)
    counts = torch.full((len(WORDS), len(WORDS)), 0.3, dtype=torch.float64)
    for a, b in zip(text[:, :-1].flatten().tolist(), text[:, 1:].flatten().tolist(), strict=True):
        counts[a, b] += 1
    return counts / counts.sum(1, keepdim=True)


def reference(logits: Tensor, temperature: float, top_k: int, top_p: float, late: bool = False) -> Tensor:
    """Top-k, then top-p, by trying all sets of words; `late` applies the temperature last instead of first."""
    p = (logits if late else logits / temperature).exp()
    for fits in (lambda s: len(s) == top_k, lambda s: p[list(s)].sum() / p.sum() >= top_p):
        sets = [s for n in range(1, len(p) + 1) for s in combinations(range(len(p)), n) if fits(s)]
        fewest = min(map(len, sets))
        best = max((s for s in sets if len(s) == fewest), key=lambda s: float(p[list(s)].sum()))
        p = torch.zeros_like(p).index_put((torch.tensor(best),), p[list(best)])
    p = p ** (1 / temperature) if late else p
    return p / p.sum()


# %% the experiment


def text(n: int, length: int, generator: torch.Generator) -> Tensor:
    """Windows of the language, which begin at a full stop or just behind one: (n, length)."""
    table = torch.zeros(len(WORDS), len(WORDS), dtype=torch.float64)
    table[:, 0] = 1e-9
    for word, follows in NEXT.items():
        for other, share in zip(follows.split()[::2], follows.split()[1::2], strict=True):
            table[WORDS.index(word), WORDS.index(other)] = float(share)
    words = torch.zeros(n, 1, dtype=torch.long)
    for _ in range(length + 3):
        u = torch.rand(n, 1, generator=generator, dtype=torch.float64)
        words = torch.cat([words, draw(table[words[:, -1]], u)], 1)
    return words[:, 4:]


@torch.no_grad()
def cache_gap(gpt: GPT, words: Tensor, remembers: bool = True) -> float:
    caches: list[list[Tensor]] = [[] for _ in range(LAYERS)]
    parts = []
    for t in range(words.shape[1]):
        parts.append(gpt(words[:, t : t + 1], caches if remembers else [[] for _ in range(LAYERS)]))
    return (torch.cat(parts, 1) - gpt(words)).abs().max().item()


@torch.no_grad()
def flops(gpt: GPT, cached: bool) -> list[int]:
    """Floating-point operations of the matrix products until each word is out."""
    done = []
    with FlopCounterMode(display=False) as counter:
        for _ in islice(stream(gpt, torch.zeros(1, 1, dtype=torch.long), greedy, cached), LONG):
            done.append(counter.get_total_flops())
    return done


@torch.no_grad()
def repeats(gpt: GPT, choose) -> float:
    """Share of the triples of words that came before, in the first 24 words."""
    words = [int(word) for word in islice(stream(gpt, torch.zeros(1, 1, dtype=torch.long), choose), 24)]
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(triples)) / len(triples)


def distance(triples: Tensor, p: Tensor) -> float:
    """Total variation between the frequencies of words (n, 3) and p (V ** 3,)."""
    at = triples @ torch.tensor([len(WORDS) ** 2, len(WORDS), 1])
    return float((torch.bincount(at, minlength=len(p)) / len(at) - p).abs().sum()) / 2


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(3 * seed)  # weights, training data, and dice: three streams
    data, dice = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    gpt = GPT().to(device)
    optimizer = torch.optim.Adam(gpt.parameters())
    for step in range(steps):
        words = text(BATCH, WINDOW + 1, data).to(device)
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 * (1 - step / steps))
        loss = F.cross_entropy(gpt(words[:, :-1]).flatten(0, 1), words[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"GPT": loss.item()}

    net = copy.deepcopy(gpt).cpu().double()
    n = len(WORDS)
    start = torch.zeros(1, 1, dtype=torch.long)
    spent = {"with a cache": flops(net, True), "without": flops(net, False)}
    everything = torch.tensor(list(product(range(n), repeat=HORIZON)))
    with torch.no_grad():
        whole = torch.cat([start.expand(len(everything), 1), everything], 1)
        each = net(whole[:, :-1]).log_softmax(-1).gather(2, everything[..., None])[..., 0]  # (V ** HORIZON, HORIZON)
        logits = net(start)[0, 0]
    best = float(each.sum(1).max())
    triple = each[::n, :3].sum(1).exp()  # p of the first three words

    odds = torch.randn(6, 7, generator=dice, dtype=torch.float64) * 2
    settings = [(0.5, 7, 1.0), (2.0, 7, 1.0), (1.0, 3, 1.0), (1.0, 7, 0.8), (2.0, 5, 0.7), (2.0, 7, 0.8)]
    pairs = [(odd, setting) for odd in odds for setting in settings]
    shaped = [
        max(float((reshape(odd, *s) - reference(odd, *s, late)).abs().max()) for odd, s in pairs)
        for late in (False, True)
    ]
    odd = torch.randn(n, generator=dice, dtype=torch.float64)
    grid = (torch.arange(100_000, dtype=torch.float64)[:, None] + 0.5) / 100_000
    drawn = torch.bincount(draw(odd.softmax(0).expand(len(grid), n), grid)[:, 0], minlength=n) / len(grid)
    likeliest = F.one_hot(odd.argmax(), n)

    draft, many = bigrams(text(4, WINDOW, data)), 10_000
    u = torch.rand(GUESSES + 3, 2, many, 1, generator=dice, dtype=torch.float64)
    written, count = speculate(net, draft, start.expand(many, 1), u)
    drafted = written.clone()
    for i in range(3):  # where the guesses fell before three words, the model goes on
        p = net(torch.cat([start.expand(many, 1), written[:, :i]], 1))[:, -1].softmax(-1).detach()
        written[:, i] = torch.where(count > i, written[:, i], draw(p, u[GUESSES + 2 - i // 2, 1])[:, 0])
        drafted[:, i] = draw(draft[drafted[:, i - 1] if i else start[0].expand(many)], u[i, 0])[:, 0]
    p, q = logits.softmax(-1), draft[0]
    rest = {"residual": residual(p, q), "model": p}
    mixed = {name: q * keeps(p, q) + (1 - (q * keeps(p, q)).sum()) * r / r.sum() for name, r in rest.items()}
    found = {width: beam(net, 0, HORIZON, width) for width in (1, BEAM)}
    told = {
        choose: "\xa0".join(WORDS[int(w)] for w in islice(stream(net, start, choose), 12))
        for choose in (greedy, penalized)
    }
    return {
        "cache_gap": cache_gap(net, whole[-20:]),
        "forgetful_gap": cache_gap(net, whole[-20:], remembers=False),
        "cached_flops": spent["with a cache"][-1] / spent["without"][-1],
        "uncached_flops": 1,
        "first_word_flops": spent["with a cache"][0] / spent["with a cache"][-1],
        "all_words_flops": 1,
        "shape_gap": shaped[0],
        "late_gap": shaped[1],
        "draw_gap": float((drawn - odd.softmax(0)).abs().max()),
        "greedy_gap": float((likeliest - odd.softmax(0)).abs().max()),
        "beam_regret": best - found[BEAM][1],
        "greedy_regret": best - found[1][1],
        "mixture_gap": float((mixed["residual"] - p).abs().max()),
        "redrawn_gap": float((mixed["model"] - p).abs().max()),
        "speculative_distance": distance(written[:, :3], triple),
        "draft_distance": distance(drafted[:, :3], triple),
        "words_per_pass": float(count.double().mean()),
        "one_word": 1,
        "penalized_repeats": repeats(net, penalized),
        "greedy_repeats": repeats(net, greedy),
    }, {
        "work until a word is out": {
            "kind": "lines",
            "series": {name: (list(range(1, LONG + 1)), values) for name, values in spent.items()},
            "x": "word",
            "y": "floating-point operations",
            "log": "y",
        },
        "what is written after a full stop": {
            "kind": "table",
            "columns": ["method", "words", "log p"],
            "rows": [
                ["greedy", "\xa0".join(WORDS[i] for i in found[1][0]), f"{found[1][1]:.2f}"],
                ["beam", "\xa0".join(WORDS[i] for i in found[BEAM][0]), f"{found[BEAM][1]:.2f}"],
                ["likeliest of all", "\xa0".join(WORDS[i] for i in everything[each.sum(1).argmax()]), f"{best:.2f}"],
                ["greedy, longer", told[greedy], ""],
                ["with a penalty", told[penalized], ""],
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "How a language model writes", "zh": "语言模型如何写出文本"}
CURVES = "nats per word"
CPU_SECONDS = 3
CLAIMS = {
    "parity cache_gap <= 1e-10 < forgetful_gap": {
        "en": "largest gap of the logits with a KV cache, word by word, to one full pass (f64); the control keeps no "
        "past",
        "zh": "用 KV 缓存逐词计算的 logits 与整段计算的最大差距（f64）；对照不保留过去",
    },
    "parity cached_flops <= 0.02 < uncached_flops": {
        "en": "operations of the matrix products for 128 words with a cache, counted, as a share of the control's; the "
        "control has no cache",
        "zh": "用缓存生成 128 个词时矩阵乘法的实测运算量与对照之比；对照不用缓存",
    },
    "parity first_word_flops <= 0.01 < all_words_flops": {
        "en": "share of the operations for 128 words, with a cache, that is spent when the first is streamed; the "
        "control waits for all",
        "zh": "用缓存流式输出第一个词时，已完成的运算占全部 128 个词的比例；对照等全部写完再输出",
    },
    "parity shape_gap <= 1e-10 < late_gap": {
        "en": "largest gap of temperature, top-k and top-p to a search among all sets of words (f64); the control "
        "applies the temperature last",
        "zh": "温度、top-k 与 top-p 与枚举所有词集的结果的最大差距（f64）；对照最后才用温度",
    },
    "parity draw_gap <= 1e-4 < greedy_gap": {
        "en": "largest gap between the frequencies of words drawn for 100,000 evenly spaced numbers and their "
        "probabilities; the control takes the likeliest word",
        "zh": "用 10 万个等距的数抽词，各词频率与其概率的最大差距；对照总取概率最大的词",
    },
    "parity mixture_gap <= 1e-10 < redrawn_gap": {
        "en": "largest gap of the distribution of a guessed word, kept or replaced, to the model's, after a full stop "
        "(f64); the control replaces it by a draw from the model",
        "zh": "句号之后，推测解码所得的词（保留或替换）的分布与模型分布的最大差距（f64）；对照改为从模型分布中重抽",
    },
    "trained speculative_distance <= 0.02 < draft_distance <= 0.6": {
        "en": "total variation between 10,000 speculative texts of three words and the model's distribution; control: "
        "the bigram draft alone",
        "zh": "一万段三词推测文本与模型分布的全变差距离；对照：只用二元组草稿",
    },
    "trained words_per_pass >= 2.5 > one_word": {
        "en": "words per pass of the model, mean of 10,000 speculative rounds of four guesses after a full stop; the "
        "control guesses nothing",
        "zh": "模型每次前向得到的词数，句号之后一万轮、每轮猜四个词的平均；对照不猜词",
    },
    "trained beam_regret <= 1e-10 < greedy_regret <= 1.8": {
        "en": "log-probability that a beam of three loses to the likeliest four words, after a full stop; control: "
        "greedy decoding",
        "zh": "句号之后，束宽为 3 的束搜索与所有四词序列中概率最大者的对数概率之差；对照：贪心解码",
    },
    "trained penalized_repeats <= 0.5 < greedy_repeats <= 0.95": {
        "en": "share of the triples of words that came before, in 24 words by greedy decoding with a repetition "
        "penalty; the control has no penalty",
        "zh": "加重复惩罚的贪心解码写出的 24 个词中，重复出现的三词组所占的比例；对照不加惩罚",
    },
}
ZH = {
    "nats per word": "每词奈特数",
    "work until a word is out": "写出各词之前的运算量",
    "with a cache": "有缓存",
    "without": "无缓存",
    "word": "第几个词",
    "floating-point operations": "浮点运算次数",
    "what is written after a full stop": "句号之后写出的词",
    "method": "方法",
    "words": "词",
    "log p": "对数概率",
    "greedy": "贪心",
    "beam": "束搜索",
    "likeliest of all": "概率最大的序列",
    "greedy, longer": "贪心，更长",
    "with a penalty": "加重复惩罚",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
