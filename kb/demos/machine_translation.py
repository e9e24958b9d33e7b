"""Machine translation — an encoder-decoder moves words and chooses measure words, where a dictionary can do neither.

A small grammar of English into Chinese: "we lost two red maps on may ten" becomes
"五 月 十 日 我们 丢 了 两 张 红 的 地图". The date moves to the front, two is 两 for things but 二 in dates, and the
noun chooses the measure word, 张 for a map. A small Transformer reads the sentence (its encoder) and writes word after
word, each from all of the source and what is written (its decoder). Every verb-noun pair of the test sentences is held
out of the training sentences. Rivals learn from the same sentences: word by word with a dictionary, IBM's Model 1
(which word comes with which, from counts; here without its empty word), and the translation of the most similar
training sentence, with the words that differ exchanged by that dictionary.

Needs:  torch
Source: A. Vaswani et al., Attention Is All You Need, NeurIPS 2017; K. Papineni et al., BLEU: a Method for Automatic
        Evaluation of Machine Translation, ACL 2002; P. Brown et al., The Mathematics of Statistical Machine
        Translation, Computational Linguistics 19(2), 1993 (Model 1); M. Nagao, A Framework of a Mechanical
        Translation between Japanese and English by Analogy Principle, 1984 (translation by the nearest example)
"""

import copy
import math
from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HEADS, BATCH, RATE, TRAIN, TEST, HELD, ROUNDS = 48, 4, 64, 4e-3, 2000, 200, 24, 8
SOURCE, TARGET = 10, 18  # padded lengths of sentences

# %% the concept


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.randn(3 * WIDTH, WIDTH) / WIDTH**0.5)  # of q, k and v
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * WIDTH))
        self.out_proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:  # (B, M, D), (B, N, D) -> (B, M, D)
        parts = zip((x, memory, memory), self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3), strict=True)
        q, k, v = (
            F.linear(t, w, b).unflatten(-1, (HEADS, -1)).transpose(1, 2) for t, w, b in parts
        )  # (B, H, ., D / H)
        scores = (q @ k.mT / math.sqrt(WIDTH // HEADS)).masked_fill(~mask, -math.inf)
        weights = scores.softmax(-1)  # of each word over the words it reads
        self.looks = weights.detach()
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """x + attention, x + cross-attention (a decoder's), x + MLP, each after a layer norm."""

    def __init__(self, cross: bool) -> None:
        super().__init__()
        self.self_attn = Attention()
        if cross:
            self.multihead_attn, self.norm3 = Attention(), nn.LayerNorm(WIDTH)
        self.linear1, self.linear2 = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.norm1, self.norm2, self.cross = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH), cross

    def forward(self, x: Tensor, mask: Tensor, memory: Tensor | None = None, there: Tensor | None = None) -> Tensor:
        normed = self.norm1(x)
        x, last = x + self.self_attn(normed, normed, mask), self.norm2
        if self.cross:
            x, last = x + self.multihead_attn(self.norm2(x), memory, there), self.norm3  # reads the source
        return x + self.linear2(self.linear1(last(x)).relu())


class Translator(nn.Module):
    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.embed = nn.ModuleList([nn.Embedding(source, WIDTH), nn.Embedding(target, WIDTH)])
        self.place = nn.ModuleList([nn.Embedding(SOURCE, WIDTH), nn.Embedding(TARGET, WIDTH)])
        for table in (*self.embed, *self.place):
            nn.init.normal_(table.weight, std=0.5)
        self.encoder, self.decoder = Block(False), Block(True)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, target)

    def forward(self, source: Tensor, written: Tensor) -> Tensor:  # (B, N), (B, M) -> (B, M, target words)
        there = (source > 0)[:, None, None]  # padding is not read
        before = torch.ones(written.shape[1], written.shape[1]).tril().to(source.device) > 0  # nor what comes later
        tables = zip(self.embed, self.place, (source, written), strict=True)
        x, y = (embed(text) + place.weight[: text.shape[1]] for embed, place, text in tables)
        memory = self.encoder(x, there)
        return self.head(self.norm(self.decoder(y, before, memory, there)))

    @torch.no_grad()
    def translate(self, source: Tensor) -> Tensor:  # (B, N) -> (B, TARGET - 1)
        written = torch.ones_like(source[:, :1])  # 1 is the start, 0 the end
        for _ in range(TARGET - 1):
            written = torch.cat([written, self(source, written)[:, -1:].argmax(-1)], 1)  # greedily, from its own words
        return written[:, 1:]


def grams(text: list, n: int) -> Counter:
    return Counter(zip(*(text[k:] for k in range(n)), strict=False))


def bleu(said: list, right: list, clip: bool = True) -> float:
    """BLEU of a corpus: the geometric mean of the shares of n-grams found, n = 1..4, times a penalty for brevity."""
    shares = []
    for n in range(1, 5):
        pairs = [[grams(text, n) for text in both] for both in zip(said, right, strict=True)]
        found = sum(min(c, r[g]) if clip else c * (g in r) for s, r in pairs for g, c in s.items())  # clipped counts
        shares.append(found / max(1, sum(s.total() for s, _ in pairs)))
    ratio = sum(map(len, right)) / max(1, sum(map(len, said)))
    return math.exp(min(0, 1 - ratio) + sum(map(math.log, shares)) / 4) if min(shares) else 0.0


# %% its control


class Dictionary:
    """IBM's Model 1, by expectation-maximization: how likely a target word is as the translation of a source word."""

    def __init__(self, sources: list[list[str]], targets: list[list[str]]) -> None:
        self.sources, self.targets = sources, targets
        table: dict = {}
        for round in range(ROUNDS):
            counts, totals = Counter(), Counter()
            for source, target in zip(sources, targets, strict=True):
                for t in target:
                    shares = [table[s, t] if round else 1.0 for s in source]
                    whole = sum(shares)
                    for s, share in zip(source, shares, strict=True):
                        counts[s, t] += share / whole
                        totals[s] += share / whole
            table = {(s, t): c / totals[s] for (s, t), c in counts.items()}
        self.best = {}
        for (s, t), p in sorted(table.items()):
            if p > table.get((s, self.best.get(s)), 0):
                self.best[s] = t

    def word_by_word(self, source: list[str]) -> list[str]:
        return [self.best[word] for word in source]

    def by_example(self, source: list[str]) -> list[str]:
        alike = [sum(a != b for a, b in zip(source, s, strict=False)) + abs(len(s) - len(source)) for s in self.sources]
        k = min(range(len(alike)), key=alike.__getitem__)
        target = list(self.targets[k])
        for new, old in zip(source, self.sources[k], strict=False):
            if new != old and self.best[old] in target:
                target[target.index(self.best[old])] = self.best[new]
        return target


# %% the experiment

SHOWN = "we lost two red maps on may twenty three", "五 月 二 十 三 日 我们 丢 了 两 张 红 的 地图"
PINYIN = "wu yue er shi san ri women diu le liang zhang hong de ditu".split()  # of the second, for any font
DIGITS = "一 二 三 四 五 六 七 八 九".split()
NUMBERS = "one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
MONTHS = "january february march april may june july august september october november december".split()
PEOPLE = dict(pair.split("/") for pair in "i/我 you/你 he/他 she/她 we/我们 they/他们".split())
VERBS = dict(pair.split("/") for pair in "bought/买 sold/卖 saw/看见 lost/丢 found/找到 drew/画 hid/藏 took/拿".split())
COLOURS = dict(pair.split("/") for pair in "red/红 black/黑 white/白 green/绿 old/旧 big/大".split())
NOUNS = "book/书/本 novel/小说/本 album/相册/本 cat/猫/只 bird/鸟/只 dog/狗/只 car/车/辆 bike/自行车/辆 truck/卡车/辆"
THINGS = {
    words.split("/")[0]: words.split("/")[1:] for words in f"{NOUNS} map/地图/张 ticket/票/张 photo/照片/张".split()
}


def english(n: int) -> str:
    tens = {0: "", 1: TEENS[n % 10], 2: "twenty", 3: "thirty"}[n // 10]
    return tens if n // 10 == 1 or n % 10 == 0 else f"{tens} {NUMBERS[n % 10 - 1]}".strip()


def chinese(n: int) -> str:
    tens = {0: "", 1: "十"}.get(n // 10, f"{DIGITS[n // 10 - 1]} 十")
    return f"{tens} {DIGITS[n % 10 - 1] if n % 10 else ''}".strip()


def sentences(n: int, held: set[tuple[str, str]], fresh: bool, generator: torch.Generator) -> tuple[list, list]:
    def pick(options):
        return options[int(torch.randint(len(options), (), generator=generator))]

    sources, targets = [], []
    while len(sources) < n:
        who, verb, thing, count = pick([*PEOPLE]), pick([*VERBS]), pick([*THINGS]), pick(range(1, 10))
        colour, month, day = pick([*COLOURS, *6 * [""]]), pick(range(1, 13)), pick(range(1, 32))
        dated = pick([True, True, False])
        if ((verb, thing) in held) == fresh:
            noun, measure = THINGS[thing]
            many = "两" if count == 2 else DIGITS[count - 1]
            source = f"{who} {verb} {NUMBERS[count - 1]} {colour} {thing}{'s' * (count > 1)}"
            described = f"{COLOURS[colour]} 的" if colour else ""
            target = f"{PEOPLE[who]} {VERBS[verb]} 了 {many} {measure} {described} {noun}"
            if dated:
                source = f"{source} on {MONTHS[month - 1]} {english(day)}"
                target = f"{chinese(month)} 月 {chinese(day)} 日 {target}"
            sources.append(source.split())
            targets.append(target.split())
    return sources, targets


def known_pairs(texts: list[list[str]], known: list[list[str]]) -> int:
    """How many texts have a verb and a noun that stand together in a known one."""

    def pair(text: list[str]) -> tuple[str, str]:
        return next(w for w in text if w in VERBS), next(t for t in THINGS if {t, f"{t}s"} & {*text})

    seen = {pair(text) for text in known}
    return sum(pair(text) in seen for text in texts)


def net_gap(net: Translator, source: Tensor, target: Tensor, there: Tensor) -> float:
    """Largest difference, in loss and gradients, from torch's Transformer layers with the same weights; f64."""
    twins = []
    for kind, block in ((nn.TransformerEncoderLayer, net.encoder), (nn.TransformerDecoderLayer, net.decoder)):
        twins.append(kind(WIDTH, HEADS, 2 * WIDTH, 0.0, batch_first=True, norm_first=True, dtype=torch.float64))
        twins[-1].load_state_dict(block.state_dict())
    written = torch.cat([torch.ones_like(target[:, :1]), target[:, :-1]], 1)
    x, y = (net.embed[k](text) + net.place[k](torch.arange(text.shape[1])) for k, text in enumerate((source, written)))
    later = torch.ones(written.shape[1], written.shape[1]).triu(1) > 0
    decoded = twins[1](y, twins[0](x, src_key_padding_mask=~there), later, memory_key_padding_mask=~there)
    shared, found = [*net.embed.parameters(), *net.place.parameters(), *net.head.parameters()], []
    for answer, blocks in ((net(source, written), (net.encoder, net.decoder)), (net.head(net.norm(decoded)), twins)):
        loss = F.cross_entropy(answer.flatten(0, 1), target.flatten())
        weights = [weight for block in blocks for _, weight in sorted(block.named_parameters())]
        found.append([loss.detach(), *torch.autograd.grad(loss, [*shared, *weights], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def bleu_gap(clip: bool, seed: int) -> float:
    """Difference from counting by hand, on random texts: each n-gram of the reference is crossed off once."""
    generator = torch.Generator().manual_seed(seed)
    said, right = (torch.randint(2, (5, length), generator=generator).tolist() for length in (10, 12))
    by_hand = 1 - 12 / 10
    for n in range(1, 5):
        found = 0
        for mine, theirs in zip(said, right, strict=True):
            left = [theirs[k : k + n] for k in range(13 - n)]
            for k in range(11 - n):
                if mine[k : k + n] in left:
                    left.remove(mine[k : k + n])
                    found += 1
        by_hand += math.log(found / (5 * (11 - n))) / 4
    return abs(bleu(said, right, clip) - math.exp(by_hand))


def run(device="cpu", seed=0, steps=200):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    pairs = [(verb, thing) for verb in VERBS for thing in THINGS]
    held = {pairs[k] for k in torch.randperm(len(pairs), generator=data)[:HELD].tolist()}
    known, tests = sentences(TRAIN, held, False, data), sentences(TEST, held, True, unseen)
    words = [["", *sorted({word for text in known[0] for word in text})]]
    words.append(["", "(start)", *sorted({word for text in known[1] for word in text})])

    def rows(texts: list[list[str]], side: int) -> Tensor:
        number, length = {word: k for k, word in enumerate(words[side])}, (SOURCE, TARGET)[side]
        return torch.tensor([[number[w] for w in text] + [0] * (length - len(text)) for text in texts]).to(device)

    torch.manual_seed(3 * seed)  # weights, training and test sentences: three streams
    net = Translator(*map(len, words)).to(device)
    optimizer = torch.optim.Adam(net.parameters())
    sources, targets = rows(known[0], 0), rows(known[1], 1)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 * (1 - step / steps), (step + 1) / 30)
        chosen = torch.randint(TRAIN, (BATCH,), generator=data).to(device)
        source, target = sources[chosen], targets[chosen]
        written = torch.cat([torch.ones_like(target[:, :1]), target[:, :-1]], 1)
        loss = F.cross_entropy(net(source, written).flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        yield (step + 1) / steps, {"Transformer": loss.item()}

    dictionary = Dictionary(*known)
    said = {"net": [[words[1][k] for k in text if k > 1] for text in net.translate(rows(tests[0], 0)).tolist()]}
    said |= {"words": [*map(dictionary.word_by_word, tests[0])], "example": [*map(dictionary.by_example, tests[0])]}
    right = {name: sum(a == b for a, b in zip(texts, tests[1], strict=True)) / TEST for name, texts in said.items()}
    scores = {name: bleu(texts, tests[1]) for name, texts in said.items()}
    shown = [text.split() for text in SHOWN]
    net(rows(shown[:1], 0), torch.cat([torch.ones_like(targets[:1, :1]), rows(shown[1:], 1)[:, :-1]], 1))
    looks = net.decoder.multihead_attn.looks[0].mean(0)[: len(shown[1]), : len(shown[0])]
    exact, few = copy.deepcopy(net).cpu().double(), [t[:8].cpu() for t in (sources, targets)]
    return {
        "exact_match": right["net"],
        "rival_match": max(right["words"], right["example"]),
        "net_bleu": scores["net"],
        "rival_bleu": max(scores["words"], scores["example"]),
        "net_gap": net_gap(exact, *few, few[0] > 0),
        "padded_gap": net_gap(exact, *few, few[0] >= 0),
        "bleu_gap": bleu_gap(True, 3 * seed + 2),
        "unclipped_gap": bleu_gap(False, 3 * seed + 2),
        "tested_known": known_pairs(tests[0], known[0]),
        "trained_known": known_pairs(known[0][:TEST], known[0]),
    }, {
        "where it looks as it writes each word, in %, mean of the heads": {
            "kind": "heatmap",
            "values": (100 * looks).round().tolist(),
            "rows": PINYIN,
            "columns": shown[0],
            "x": "source word",
            "y": "target word",
        }
    }


# %% what is claimed

TITLE = {"en": "Translation is more than a word for a word", "zh": "翻译不只是逐词替换"}
CURVES = "cross-entropy"
CPU_SECONDS = 5
CLAIMS = {
    "trained exact_match >= 0.96 > rival_match >= 0.16": {
        "en": "share of sentences with unseen verb-noun pairs translated without a fault; control: word by word or the "
        "nearest example with words exchanged, whichever is better",
        "zh": "动词与名词的搭配未见过的句子中，译得一字不差的比例；对照：逐词翻译，或最相近例句的译文换词，取较好者",
    },
    "trained net_bleu >= 0.98 > rival_bleu >= 0.68": {
        "en": "BLEU of the same translations; the control is the better of the same rivals",
        "zh": "同一批译文的 BLEU；对照同上，取较好者",
    },
    "parity net_gap <= 1e-10 < padded_gap": {
        "en": "largest gap to nn.TransformerEncoderLayer and nn.TransformerDecoderLayer, in loss and gradients (f64); "
        "the control reads the padding",
        "zh": "与 nn.TransformerEncoderLayer 和 nn.TransformerDecoderLayer 在损失与梯度上的最大差（f64）；对照会读填充",
    },
    "parity bleu_gap <= 1e-12 < unclipped_gap": {
        "en": "gap of BLEU to crossing n-grams off by hand, on random texts; the control counts one n-gram of the "
        "reference again and again",
        "zh": "随机文本上，BLEU 与逐个划去 n 元组的手工计算之差；对照把参考译文中的同一个 n 元组反复计数",
    },
    "parity tested_known <= 0 < trained_known": {
        "en": "test sentences whose verb-noun pair was trained on; the control counts training sentences",
        "zh": "测试句中，动词与名词的搭配在训练里出现过的句数；对照数的是训练句",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "where it looks as it writes each word, in %, mean of the heads": "写每个中文词时在看哪些英文词（%，各头平均）",
    "source word": "原文词",
    "wu": "五",
    "yue": "月",
    "er": "二",
    "shi": "十",
    "san": "三",
    "ri": "日",
    "women": "我们",
    "diu": "丢",
    "le": "了",
    "liang": "两",
    "zhang": "张",
    "hong": "红",
    "de": "的",
    "ditu": "地图",
    "target word": "译文词",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
