"""BERT — filling in masked words from both sides teaches a language; few labels then suffice for a task.

The language is generated: a sentence names three nouns and then their three verbs, all of one topic, and
every noun has a verb of its own (80 pairs in 4 topics). Pre-training masks words at random and asks for them.
One contender sees only what stands to the left; the other is not pre-trained and learns the topics from the
same eight labelled sentences, which show only some of the words. Next-sentence prediction, the other task of
the paper, is left out.

Claim:  the masked word is found from both sides and not from the left; after pre-training eight labelled
        sentences teach the topics, without they do not; the loss is F.cross_entropy over the masked words.
Source: J. Devlin, M.-W. Chang, K. Lee, K. Toutanova, BERT: Pre-training of Deep Bidirectional Transformers
        for Language Understanding, NAACL 2019
Run:    python kb/demos/bert.py --device cpu --seed 0 --steps 300
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "BERT fills in words from both sides", "zh": "BERT 从两侧上下文填词"}
CPU_SECONDS = 5
CLAIMS = {
    "trained fill_accuracy >= 0.78 > left_fill_accuracy": {
        "en": "masked words filled in, fresh sentences; the control, trained alike, sees only the left side",
        "zh": "新句子中填对被遮盖词的比例；对照同样训练，但只看左侧上下文",
    },
    "trained topic_accuracy >= 0.78 > scratch_topic_accuracy": {
        "en": "topics of fresh sentences after eight labelled ones; the control is not pre-trained",
        "zh": "仅用八个标注句微调后的主题分类准确率；对照未经预训练",
    },
    "parity loss_gap <= 1e-10 < all_words_loss_gap": {
        "en": "gap to F.cross_entropy with ignore_index (f64); the control averages over all words",
        "zh": "损失与带 ignore_index 的 F.cross_entropy 之差（f64）；对照在所有词上取平均",
    },
}

TOPICS, PAIRS, LENGTH, WIDTH, HEADS, LAYERS, BATCH, LABELLED = 4, 20, 6, 32, 2, 2, 48, 8
NOUNS = TOPICS * PAIRS  # a noun is a number below, its verb the same number above
WORDS, MASK = 2 * NOUNS, 2 * NOUNS


def sentences(n: int, generator: torch.Generator, topics: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Three nouns of one topic and their verbs in the same order, and the topic: (n, 6), (n,)."""
    if topics is None:
        topics = torch.randint(TOPICS, (n,), generator=generator)
    nouns = topics[:, None] * PAIRS + torch.rand(n, PAIRS, generator=generator).argsort(1)[:, : LENGTH // 2]
    return torch.cat([nouns, nouns + NOUNS], 1), topics


def mask(words: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Choose 3 words in 10; of 10 chosen 8 become MASK, 1 any word, 1 stays: (n, T) -> spoilt, chosen."""
    chosen, fate = (torch.rand(words.shape, generator=generator) for _ in range(2))
    any_word = torch.randint(WORDS, words.shape, generator=generator)
    spoilt = torch.where(fate < 0.8, MASK, torch.where(fate < 0.9, any_word, words))
    return torch.where(chosen < 0.3, spoilt, words), chosen < 0.3


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor, left_only: bool) -> Tensor:  # (B, T, D) -> (B, T, D)
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # (B, H, T, D / H)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if left_only:
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


def masked_loss(logits: Tensor, words: Tensor, chosen: Tensor) -> Tensor:
    """Mean surprise over the chosen words only: (B, T, V), (B, T), (B, T) -> ()."""
    surprise = -logits.log_softmax(-1).gather(-1, words[..., None])[..., 0]
    return surprise[chosen].mean()


def loss_gap(chosen_only: bool, generator: torch.Generator) -> float:
    words = sentences(8, generator)[0]
    _, chosen = mask(words, generator)
    logits = torch.randn(8, LENGTH, WORDS, generator=generator, dtype=torch.float64)
    twin = F.cross_entropy(logits.flatten(0, 1), words.masked_fill(~chosen, -100).flatten(), ignore_index=-100)
    return abs(float(masked_loss(logits, words, chosen if chosen_only else chosen | True) - twin))


def fine_tune(net: Encoder, words: Tensor, topics: Tensor) -> Encoder:
    net = copy.deepcopy(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(60):
        loss = F.cross_entropy(net.classify(words), topics)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def run(device="cpu", seed=0, steps=300):
    data = torch.Generator().manual_seed(seed)
    nets = {}
    for name in ("both sides", "left side"):
        torch.manual_seed(seed)
        nets[name] = Encoder(left_only=name == "left side").to(device)
    scratch = copy.deepcopy(nets["both sides"])
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=5e-3) for name, net in nets.items()}
    for step in range(steps):
        words, _ = sentences(BATCH, data)
        spoilt, chosen = mask(words, data)
        words, spoilt, chosen = (t.to(device) for t in (words, spoilt, chosen))
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = 5e-3 * min((step + 1) / 50, 1, 2 * (1 - step / steps))
            loss = masked_loss(net.fill(net(spoilt)), words, chosen)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, losses

    fresh = torch.Generator().manual_seed(seed + 1000)
    words, topics = sentences(600, fresh)
    rows, hidden = (
        torch.arange(600),
        torch.randint(LENGTH, (600,), generator=fresh),
    )  # one masked word in each
    spoilt = words.clone()
    spoilt[rows, hidden] = MASK
    few, labels = (t.to(device) for t in sentences(LABELLED, fresh, torch.arange(LABELLED) % TOPICS))
    starts = {"pre-trained": nets["both sides"], "from scratch": scratch}
    tuned = {name: fine_tune(net, few, labels) for name, net in starts.items()}
    with torch.no_grad():
        fills = {name: net.fill(net(spoilt.to(device))).argmax(-1).cpu()[rows, hidden] for name, net in nets.items()}
        filled = {name: float((fill == words[rows, hidden]).double().mean()) for name, fill in fills.items()}
        guesses = {name: net.classify(words.to(device)).argmax(-1).cpu() for name, net in tuned.items()}
        known = {name: float((guess == topics).double().mean()) for name, guess in guesses.items()}
        learned = float((tuned["from scratch"].classify(few).argmax(-1) == labels).float().mean())
    return {
        "fill_accuracy": filled["both sides"],
        "left_fill_accuracy": filled["left side"],
        "topic_accuracy": known["pre-trained"],
        "scratch_topic_accuracy": known["from scratch"],
        "scratch_training_accuracy": learned,
        "loss_gap": loss_gap(True, data),
        "all_words_loss_gap": loss_gap(False, data),
    }, {
        "share right": {
            "kind": "bars",
            "zh": "正确率",
            "values": {
                "fill in, both sides": filled["both sides"],
                "fill in, left side": filled["left side"],
                "topic, pre-trained": known["pre-trained"],
                "topic, from scratch": known["from scratch"],
            },
        }
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
