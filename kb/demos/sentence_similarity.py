"""Sentence embedding — one vector a sentence: paraphrases come close, and who did what to whom keeps others apart.

Headlines are invented: a person, a deed and another person, each in one of three words for it, active or passive, with
filler anywhere. An LSTM reads both ways; the largest value that each unit takes, mapped and scaled to length one, is
the sentence's vector. Contrastive training pulls two wordings of one meaning together and pushes away the others of the
batch, and one with the two persons swapped (a hard negative). Tests use meanings that no training sentence has: which
of 400 sentences, half of them with persons swapped, is nearest? Controls, trained as long, each at its own rate: the
mean of word vectors, which cannot see order and so finds about half, and that of pairs of neighbours, which filler
often parts (with filler at fixed places it came close to the LSTM). TF-IDF (cosines of word counts, rare words weighing
more) knows no synonyms. The figure's sentences may be among those it was trained on.

Needs:  torch
Source: N. Reimers, I. Gurevych, Sentence-BERT, EMNLP 2019; T. Gao et al., SimCSE, EMNLP 2021 (the loss and hard
        negatives); A. Conneau et al., Supervised Learning of Universal Sentence Representations from Natural Language
        Inference Data, EMNLP 2017 (the encoder)
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, BATCH, HEAT, TEST, LENGTH = 32, 64, 0.1, 200, 7

# %% the concept


class Encoder(nn.Module):
    def __init__(self, words: int) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(words, WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.read = nn.LSTM(WIDTH, WIDTH, batch_first=True, bidirectional=True)

    def forward(self, words: Tensor) -> Tensor:  # (B, T) -> (B, D), of length one
        states, _ = self.read(self.embed(words))
        return F.normalize(self.head(states.amax(1)), dim=1)


def contrast(one: Tensor, same: Tensor, swapped: Tensor) -> Tensor:
    """-log(exp(x . x+ / h) / sum of exp(x . z / h)), z all paraphrases and swapped ones: 3 (B, D) -> ()."""
    cosines = one @ torch.cat([same, swapped]).mT  # (B, 2 B)
    return F.cross_entropy(cosines / HEAT, torch.arange(len(one)).to(one.device))


# %% its control


class Bag(nn.Module):
    def __init__(self, words: int, pairs: bool) -> None:
        super().__init__()
        self.words, self.pairs = words, pairs
        self.embed, self.head = nn.Embedding(words**2 if pairs else words, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, words: Tensor) -> Tensor:  # (B, T) -> (B, D)
        parts = words[:, :-1] * self.words + words[:, 1:] if self.pairs else words
        return F.normalize(self.head(self.embed(parts).mean(1)), dim=1)


# %% the experiment

PERSONS = (
    "doctor medic physician|lawyer attorney counsel|teacher tutor instructor|boss chief manager|thief robber burglar|"
    "child kid youngster|sailor seaman mariner|farmer grower planter|soldier fighter warrior|policeman cop officer|"
    "cook chef caterer|writer author novelist"
)
DEEDS = (
    "called phoned contacted|helped aided assisted|followed trailed shadowed|noticed spotted observed|"
    "hired employed engaged|praised lauded commended"
)
FILLER = "today yesterday perhaps indeed then again also often later soon".split()
MEANT = [group.split() for group in f"{PERSONS}|{DEEDS}".split("|")]
WORDS = [word for group in MEANT for word in group] + ["was", "by", *FILLER]
ID = {word: i for i, word in enumerate(WORDS)}
RATES = {"LSTM": 2e-2, "words": 1e-2, "pairs of words": 3e-1}  # each its own, of a few tried
SHOWN = "doctor-helped-lawyer attorney-was-aided-by-medic lawyer-helped-doctor doctor-hired-lawyer boss-helped-lawyer"


def meanings() -> Tensor:
    """Who, what, whom: (N, 3)."""
    return torch.tensor([(a, 12 + v, b) for a in range(12) for b in range(12) for v in range(6) if a != b])


def spread(core: Tensor, generator: torch.Generator) -> Tensor:
    """The words in their order, filler in all other places: (B, k) -> (B, T)."""
    n, k = core.shape
    fill = ID[FILLER[0]] + torch.randint(len(FILLER), (n, LENGTH), generator=generator)
    places = torch.rand(n, LENGTH, generator=generator).topk(k).indices.sort().values
    return fill.scatter(1, places, core)


def said(meant: Tensor, generator: torch.Generator) -> Tensor:
    """A wording of each, active or passive: (B, 3) -> (B, T)."""
    who, what, whom = (3 * meant + torch.randint(3, meant.shape, generator=generator)).unbind(1)
    was, by = torch.full_like(who, ID["was"]), torch.full_like(who, ID["by"])
    active = spread(torch.stack([who, what, whom], 1), generator)
    passive = spread(torch.stack([whom, was, what, by, who], 1), generator)
    return torch.where(torch.rand(len(meant), 1, generator=generator) < 0.5, active, passive)


def triples(meant: Tensor, generator: torch.Generator) -> list[Tensor]:
    return [said(m, generator) for m in (meant, meant, meant.flip(1))]


def scores(one: Tensor, same: Tensor, swapped: Tensor) -> tuple[float, float]:
    """How often the paraphrase is nearest of all, and how often nearer than the same with the persons swapped."""
    cosines = (one @ torch.cat([same, swapped]).mT).cpu()
    right, turned = cosines.diagonal(), cosines.diagonal(len(one))
    found = (cosines.argmax(1) == torch.arange(len(one))).sum().item() / len(one)
    return found, (right > turned).sum().item() / len(one)


def contrast_gap(net: Encoder, texts: list[Tensor], heat: float) -> float:
    """Largest difference, in the loss and its gradients, from a loop by F.cosine_similarity; f64."""
    net, losses = copy.deepcopy(net).cpu().double(), []
    vectors = [[net.head(net.read(net.embed(t)[None])[0][0].max(0)[0]) for t in text.cpu()] for text in texts]
    for i, x in enumerate(vectors[0]):
        cosines = torch.stack([F.cosine_similarity(x, z, dim=0) for z in vectors[1] + vectors[2]])
        losses.append((cosines / heat).logsumexp(0) - cosines[i] / heat)
    found = []
    for loss in (contrast(*(net(t.cpu()) for t in texts)), torch.stack(losses).mean()):
        found.append([loss.detach(), *torch.autograd.grad(loss, [*net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=450):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    every = meanings()[torch.randperm(len(meanings()), generator=data)]
    turned = (every[:, None] == every.flip(1)).all(2).int().argmax(1)  # where each stands with the persons swapped
    held = every[turned > torch.arange(len(every))][:TEST]  # never both: else two of the 400 would be right
    is_held = (every[:, None] == torch.cat([held, held.flip(1)])).all(2).any(1)
    known = every[~is_held]  # nor does it know a test meaning with the persons swapped
    torch.manual_seed(3 * seed)  # weights, training and test sentences: three streams
    nets = {"LSTM": Encoder(len(WORDS)), "words": Bag(len(WORDS), False), "pairs of words": Bag(len(WORDS), True)}
    optimizers = {name: torch.optim.Adam(net.to(device).parameters()) for name, net in nets.items()}
    for step in range(steps):
        rows = torch.randperm(len(known), generator=data)[:BATCH]
        texts, losses = [t.to(device) for t in triples(known[rows], data)], {}
        for name, net in nets.items():
            loss = contrast(*map(net, texts))
            optimizers[name].param_groups[0]["lr"] = RATES[name] * (1 - step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    tests = [t.to(device) for t in triples(held, unseen)]
    counts = [F.one_hot(t, len(WORDS)).sum(1).float() for t in tests]
    rare = (3 * TEST / torch.stack(counts).sum((0, 1)).clamp(min=1)).log()
    cores = [torch.tensor([[ID[word] for word in text.split("-")]]) for text in SHOWN.split()]
    with torch.no_grad():
        vectors = {name: [net(t) for t in tests] for name, net in nets.items()}
        drawn = nets["LSTM"](torch.cat([spread(core, unseen) for core in cores]).to(device))
    found = {name: scores(*v) for name, v in vectors.items()}
    kept = {tuple(m) for m in held.tolist()} | {tuple(m) for m in held.flip(1).tolist()}
    return {
        "lstm_found": found["LSTM"][0],
        "bag_found": max(found["words"][0], found["pairs of words"][0]),
        "lstm_order": found["LSTM"][1],
        "bag_order": max(found["words"][1], found["pairs of words"][1]),
        "words_found": found["words"][0],
        "count_found": scores(*(F.normalize(c * rare, dim=1) for c in counts))[0],
        "shared": sum(tuple(m) in kept for m in known.tolist()),
        "shared_before": sum(tuple(m) in kept for m in every.tolist()),
        "contrast_gap": contrast_gap(nets["LSTM"], [t[:6] for t in tests], HEAT),
        "warm_gap": contrast_gap(nets["LSTM"], [t[:6] for t in tests], 2 * HEAT),
    }, {
        "cosine of each two sentences": {
            "kind": "heatmap",
            "values": (drawn @ drawn.mT).cpu().double().round(decimals=2).tolist(),
            "rows": [f"{i}:{label}" for i, label in enumerate(SHOWN.split(), 1)],
            "columns": list("12345"),
            "x": "sentence",
            "y": "sentence",
        },
    }


# %% what is claimed

TITLE = {"en": "Paraphrases close, swapped persons apart", "zh": "同义句靠近，角色对调的句子远离"}
CURVES = "contrastive loss"
CPU_SECONDS = 4
CLAIMS = {
    "trained lstm_found >= 0.85 > bag_found >= 0.42": {
        "en": "the paraphrase of a new meaning is nearest of 400; control: the mean of vectors of words, or of "
        "pairs of neighbouring words, whichever is better",
        "zh": "新含义的同义句在 400 句中最近的比例；对照：词向量均值或相邻词对向量均值，取较好者",
    },
    "trained lstm_order >= 0.85 > bag_order >= 0.5": {
        "en": "the paraphrase is nearer than the sentence with persons swapped; control: the better of the same means",
        "zh": "同义句比人物对调的句子更近的比例；对照：上述两种均值中较好者",
    },
    "trained words_found >= 0.4 > count_found >= 0.04": {
        "en": "the paraphrase is nearest of 400 by the mean of trained word vectors; control: cosines by TF-IDF",
        "zh": "用训练后的词向量均值时，同义句在 400 句中最近的比例；对照：TF-IDF 的余弦",
    },
    "parity shared <= 0 < shared_before": {
        "en": "training meanings that are tested, or tested with persons swapped; control: before these are taken out",
        "zh": "训练含义中出现在测试里（含人物对调）的个数；对照：剔除之前",
    },
    "parity contrast_gap <= 1e-10 < warm_gap": {
        "en": "largest gap to a loop over sentences by F.cosine_similarity, in the loss and its gradients (f64); "
        "control: twice the temperature",
        "zh": "损失及其梯度与用 F.cosine_similarity 逐句循环的最大差距（f64）；对照：温度加倍",
    },
}
ZH = {
    "contrastive loss": "对比损失",
    "words": "词向量均值",
    "pairs of words": "相邻词对向量均值",
    "cosine of each two sentences": "每两句的余弦相似度",
    "sentence": "句子",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
