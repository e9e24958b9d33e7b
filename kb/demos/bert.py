"""BERT — filling in masked words from both sides teaches a language; few labels then suffice for a task.

The language is generated: a sentence names three nouns and then their three verbs, all of one of 4 topics; each of
80 nouns has a verb of its own. Pre-training masks 3 words in 10 at random and asks for them. The control, trained
alike, sees only what stands to the left. From there every verb can be told, but a noun at best once in 18 or less:
so hidden nouns are the test. Then eight labelled sentences teach the topics; the controls are the same network without
pre-training, and naive Bayes. Next-sentence prediction, the other task of the paper, is left out.

Needs:  torch
Source: J. Devlin, M.-W. Chang, K. Lee, K. Toutanova, BERT: Pre-training of Deep Bidirectional Transformers
        for Language Understanding, NAACL 2019
"""

import copy
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOPICS, PAIRS, LENGTH, WIDTH, HEADS, LAYERS, BATCH, LABELLED, RATE = 4, 20, 6, 32, 2, 2, 48, 8, 5e-3
NOUNS = TOPICS * PAIRS  # a noun is a number below, its verb the same number above
WORDS, MASK = 2 * NOUNS, 2 * NOUNS

# %% the concept


def mask(words: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Choose 3 words in 10; of 10 chosen 8 become MASK, 1 any word, 1 stays: (n, T) -> spoilt, chosen."""
    chosen, fate = (torch.rand(words.shape, generator=generator) for _ in range(2))
    any_word = torch.randint(WORDS, words.shape, generator=generator)
    spoilt = torch.where(fate < 0.8, MASK, torch.where(fate < 0.9, any_word, words))
    return torch.where(chosen < 0.3, spoilt, words), chosen < 0.3


def masked_loss(logits: Tensor, words: Tensor, chosen: Tensor) -> Tensor:  # (B, T, V), (B, T), (B, T) -> ()
    surprise = -logits.log_softmax(-1).gather(-1, words[..., None])[..., 0]  # -log p(word | what is seen)
    return surprise[chosen].mean()  # over the chosen words only


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, left_only: bool) -> Tensor:  # (B, T, D) -> (B, T, D)
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # (B, H, T, D / H)
        scores = q @ k.mT / math.sqrt(q.shape[-1])  # every word looks at every word: (B, H, T, T)
        if left_only:  # the control
            right = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(right, -math.inf)
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class Encoder(nn.Module):
    def __init__(self, left_only: bool = False) -> None:
        super().__init__()
        self.left_only = left_only
        self.word, self.position = nn.Embedding(WORDS + 1, WIDTH), nn.Embedding(LENGTH, WIDTH)
        for table in (self.word, self.position):
            nn.init.normal_(table.weight, std=0.3)
        self.blocks, self.norm = nn.ModuleList(Block() for _ in range(LAYERS)), nn.LayerNorm(WIDTH)
        self.fill, self.topic = nn.Linear(WIDTH, WORDS), nn.Linear(WIDTH, TOPICS)

    def forward(self, words: Tensor) -> Tensor:  # (B, T) -> (B, T, D)
        x = self.word(words) + self.position.weight
        for block in self.blocks:
            x = block(x, self.left_only)
        return self.norm(x)

    def classify(self, words: Tensor) -> Tensor:  # (B, T) -> (B, TOPICS)
        return self.topic(self(words).mean(1))


# %% its control


def naive_bayes(known: Tensor, topics: Tensor, words: Tensor) -> Tensor:
    """Topics by how often each word stood in sentences of each topic, plus one: (n, T), (n,), (m, T) -> (m,)."""
    counts = torch.stack([known[topics == t].flatten().bincount(minlength=WORDS) for t in range(TOPICS)]) + 1.0
    return (counts / counts.sum(1, keepdim=True)).log()[:, words].sum(-1).argmax(0)


# %% the experiment


def sentences(n: int, generator: torch.Generator, topics: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Three nouns of one topic and their verbs in the same order, and the topic: (n, 6), (n,)."""
    if topics is None:
        topics = torch.randint(TOPICS, (n,), generator=generator)
    nouns = topics[:, None] * PAIRS + torch.rand(n, PAIRS, generator=generator).argsort(1)[:, : LENGTH // 2]
    return torch.cat([nouns, nouns + NOUNS], 1), topics


def loss_gap(net: Encoder, words: Tensor, spoilt: Tensor, chosen: Tensor, all_words: bool = False) -> float:
    """Largest difference, in the loss and all gradients, from torch's encoder and F.cross_entropy; f64."""
    net = copy.deepcopy(net).cpu().double()
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, F.gelu, batch_first=True, norm_first=True)
    twin = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False).double()
    own = [*net.blocks.parameters(), *net.norm.parameters()]
    for theirs, mine in zip(twin.parameters(), own, strict=True):
        theirs.data = mine.data.clone()
    logits = net.fill(twin(net.word(spoilt) + net.position.weight))
    wanted = words.masked_fill(~chosen, -100)
    losses = (
        masked_loss(net.fill(net(spoilt)), words, chosen | all_words),
        F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-100),
    )
    around = [*net.word.parameters(), *net.position.parameters(), *net.fill.parameters()]
    held = zip(losses, ([*around, *own], [*around, *twin.parameters()]), strict=True)
    ours, theirs = ([x.detach(), *torch.autograd.grad(x, leaves, materialize_grads=True)] for x, leaves in held)
    return torch.stack([(a - b).abs().max() for a, b in zip(ours, theirs, strict=True)]).max().item()


def mask_gap(words: Tensor, spoilt: Tensor, chosen: Tensor) -> float:
    """The largest difference from what is due: of ten 3 are chosen, of ten chosen 8 MASK, 1 kept; the others kept."""
    hidden, same = spoilt == MASK, spoilt == words
    shares = [chosen, hidden[chosen], same[chosen], same[~chosen]]
    return max(abs(float(share.double().mean()) - due) for share, due in zip(shares, (0.3, 0.8, 0.1, 1.0), strict=True))


def fine_tune(net: Encoder, words: Tensor, topics: Tensor) -> Callable[[Tensor], Tensor]:
    """What tells topics from words, after training on a few."""
    net, device = copy.deepcopy(net), net.position.weight.device
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(60):
        loss = F.cross_entropy(net.classify(words.to(device)), topics.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return lambda words: net.classify(words.to(device)).argmax(-1).cpu()


def share(right: Tensor) -> float:
    return float(right.cpu().double().mean())


@torch.no_grad()
def by_place(net: Encoder, words: Tensor) -> list[float]:
    """The share of words named rightly where those of one place are hidden, for each place."""
    found = []
    for place in range(LENGTH):
        spoilt = words.clone()
        spoilt[:, place] = MASK
        found.append(share(net.fill(net(spoilt)).argmax(-1)[:, place] == words[:, place]))
    return found


def run(device="cpu", seed=0, steps=300):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets = {}
    for name in ("both sides", "left side"):
        torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
        nets[name] = Encoder(left_only=name == "left side").to(device)
    starts = {"from scratch": copy.deepcopy(nets["both sides"]), "pre-trained": nets["both sides"]}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        words, _ = sentences(BATCH, data)
        words, spoilt, chosen = (t.to(device) for t in (words, *mask(words, data)))
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min((step + 1) / 50, 1, 2 * (1 - step / steps))
            loss = masked_loss(net.fill(net(spoilt)), words, chosen)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    words, topics = sentences(600, unseen)
    few, labels = sentences(LABELLED, unseen, torch.arange(LABELLED) % TOPICS)
    filled = {name: by_place(net, words.to(device)) for name, net in nets.items()}
    told = {name: fine_tune(net, few, labels) for name, net in starts.items()}
    told["naive Bayes"] = partial(naive_bayes, few, labels)
    tests = (few, labels), (words, topics)
    known = {name: [share(tell(some) == right) for some, right in tests] for name, tell in told.items()}
    many, _ = sentences(20000, unseen)
    spoilt, chosen = mask(many, unseen)
    checked = (nets["both sides"], many[:20], spoilt[:20], chosen[:20])
    nouns = LENGTH // 2
    best = [1 / NOUNS, *(1 / (PAIRS - k) for k in range(1, nouns)), *[1.0] * nouns]  # the first noun tells the topic
    rows = {**filled, "left, at best on average": best}
    return {
        "fill_accuracy": sum(filled["both sides"][:nouns]) / nouns,
        "left_fill_accuracy": sum(filled["left side"][:nouns]) / nouns,
        "left_verb_accuracy": sum(filled["left side"][nouns:]) / nouns,
        "topic_accuracy": known["pre-trained"][1],
        "control_topic_accuracy": max(known["from scratch"][1], known["naive Bayes"][1]),
        "loss_gap": loss_gap(*checked),
        "all_words_loss_gap": loss_gap(*checked, all_words=True),
        "mask_gap": mask_gap(many, spoilt, chosen),
        "always_mask_gap": mask_gap(many, many.masked_fill(chosen, MASK), chosen),
    }, {
        "words filled in, in %, by what is hidden": {
            "kind": "heatmap",
            "values": [[round(100 * value, 1) for value in row] for row in rows.values()],
            "rows": list(rows),
            "columns": [f"{kind} {k + 1}" for kind in ("noun", "verb") for k in range(nouns)],
            "x": "what is hidden",
            "y": "what is seen",
        },
        "topics told rightly, in %": {
            "kind": "table",
            "columns": ["learned", "the eight sentences", "fresh sentences"],
            "rows": [[name, *(100 * value for value in values)] for name, values in known.items()],
        },
    }


# %% what is claimed

TITLE = {"en": "BERT fills in words from both sides", "zh": "BERT 从两侧上下文填词"}
CURVES = "cross-entropy"
SCALE = ("WIDTH", "BATCH")
CPU_SECONDS = 5
CLAIMS = {
    "trained fill_accuracy >= 0.99 > left_fill_accuracy": {
        "en": "hidden nouns filled in, fresh sentences; the control, trained alike, sees only the left side",
        "zh": "新句子中填对被遮盖名词的比例；对照同样训练，但只看左侧上下文",
    },
    "trained left_fill_accuracy <= 0.06 < left_verb_accuracy": {
        "en": "nouns filled in from the left side alone; the control is verbs, whose nouns stand there",
        "zh": "只看左侧填对名词的比例；对照为填对动词的比例，其名词就在左侧",
    },
    "trained topic_accuracy >= 0.98 > control_topic_accuracy >= 0.6": {
        "en": "topics of fresh sentences after eight labelled ones; control: the same network without pre-training, or "
        "naive Bayes, whichever is better",
        "zh": "仅用八个标注句微调后的主题分类准确率；对照：未经预训练的同一网络或朴素贝叶斯，取较好者",
    },
    "parity loss_gap <= 1e-10 < all_words_loss_gap": {
        "en": "largest gap to nn.TransformerEncoder with F.cross_entropy, in the loss and all gradients (f64); the "
        "control averages over all words",
        "zh": "损失及全部梯度与 nn.TransformerEncoder 加 F.cross_entropy 的最大差距（f64）；对照在所有词上取平均",
    },
    "parity mask_gap <= 0.01 < always_mask_gap": {
        "en": "how far the shares of chosen, masked and kept words are from 3, 8 and 1 in 10; the control masks all",
        "zh": "被选中、被遮盖和保持原样的词所占比例与 3/10、8/10、1/10 的最大偏差；对照把选中的词全部遮盖",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "both sides": "两侧",
    "left side": "左侧",
    "left, at best on average": "左侧，平均至多",
    "words filled in, in %, by what is hidden": "各位置的词被遮盖时填对的比例（%）",
    "what is hidden": "被遮盖的词",
    "what is seen": "能看到的一侧",
    "noun 1": "名词 1",
    "noun 2": "名词 2",
    "noun 3": "名词 3",
    "verb 1": "动词 1",
    "verb 2": "动词 2",
    "verb 3": "动词 3",
    "topics told rightly, in %": "主题判断正确的比例（%）",
    "learned": "学法",
    "the eight sentences": "八个标注句",
    "fresh sentences": "新句子",
    "pre-trained": "先预训练",
    "from scratch": "从零训练",
    "naive Bayes": "朴素贝叶斯",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
