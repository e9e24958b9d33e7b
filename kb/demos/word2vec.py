"""Word2vec — words that keep the same company get similar vectors, and vector arithmetic solves analogies.

The corpus is generated: each sentence has a person (king, queen, actor, actress ...), words that go with the role,
words that go with the gender, and words that go with anything; the roles' frequencies follow Zipf's law. Skip-gram
with negative sampling sees only which words share a sentence. The control gets the same words, shuffled across
sentences. Products of the vectors follow pointwise mutual information (PMI) less log k, k negatives a pair, and not
the counts: there the gradient of the expected loss vanishes.

Needs:  torch
Source: T. Mikolov et al., Distributed Representations of Words and Phrases and their Compositionality,
        NeurIPS 2013; O. Levy, Y. Goldberg, Neural Word Embedding as Implicit Matrix Factorization, NeurIPS 2014 (PMI)
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SENTENCES, LENGTH, WIDTH, NEGATIVES, BATCH, RATE = 5000, 7, 16, 5, 512, 2e-2

# %% the concept


def pairs(sentences: Tensor) -> Tensor:
    """All (word, context) pairs of two words in one sentence: (S, L) -> (P, 2)."""
    word, context = (~torch.eye(sentences.shape[1], dtype=torch.bool)).nonzero().unbind(1)
    return torch.stack([sentences[:, word], sentences[:, context]], -1).flatten(0, 1)


class SkipGram(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word, self.context = (nn.Parameter(torch.randn(len(WORDS), WIDTH) * 0.1) for _ in range(2))

    def forward(self, word: Tensor, context: Tensor, negatives: Tensor) -> Tensor:  # (B,), (B,), (B, k) -> ()
        vector = self.word[word]  # (B, D)
        true = (vector * self.context[context]).sum(-1)  # w . c: (B,)
        false = torch.einsum("bd,bkd->bk", vector, self.context[negatives])  # w . n of each negative: (B, k)
        return -(F.logsigmoid(true) + F.logsigmoid(-false).sum(-1)).mean()  # tell the pair from k drawn words


def analogies(vectors: Tensor) -> list[tuple[str, str, str, str, str]]:
    """a - b + c for every two roles and both genders: (a, b, c, expected, nearest other word)."""
    vectors, rows = F.normalize(vectors, dim=1), []
    for one in PERSONS:
        for other in PERSONS:
            for g in (0, 1) if one is not other else ():
                a, b, c = one[g], other[g], other[1 - g]
                near = vectors @ (vectors[ID[a]] - vectors[ID[b]] + vectors[ID[c]])
                near[[ID[a], ID[b], ID[c]]] = -math.inf
                rows.append((a, b, c, one[1 - g], WORDS[int(near.argmax())]))
    return rows


# %% the experiment

ROLES = {  # man's word, woman's word, what goes with either
    "man woman": "person adult someone",
    "king queen": "crown throne palace",
    "prince princess": "heir castle carriage",
    "actor actress": "stage film script",
    "waiter waitress": "menu table tray",
    "uncle aunt": "family visit cousin",
    "monk nun": "prayer chapel silence",
    "wizard witch": "spell magic broom",
}
GENDERS = [["he", "his", "beard", "suit"], ["she", "her", "dress", "earrings"]]
ANY = ["the", "and", "very", "today", "often", "there", "quite", "then"]
PERSONS = [role.split() for role in ROLES]
WORDS = [w for pair in PERSONS for w in pair] + [w for group in ROLES.values() for w in group.split()]
WORDS += [*GENDERS[0], *GENDERS[1], *ANY]
ID = {word: i for i, word in enumerate(WORDS)}


def corpus(generator: torch.Generator) -> Tensor:
    """Sentences of LENGTH words: a person, two words of the role, two of the gender, two of any kind."""

    def pick(groups: list[list[str]], which: Tensor, n: int) -> Tensor:  # (S,) -> (S, n)
        ids = torch.tensor([[ID[w] for w in group] for group in groups])
        return ids[which].gather(1, torch.randint(ids.shape[1], (len(which), n), generator=generator))

    zipf = 1 / torch.arange(1.0, len(ROLES) + 1)
    role = torch.multinomial(zipf, SENTENCES, replacement=True, generator=generator)
    gender = torch.randint(2, (SENTENCES,), generator=generator)
    person = torch.tensor([[ID[w] for w in pair] for pair in PERSONS])[role, gender]
    things = [group.split() for group in ROLES.values()]
    parts = [person[:, None], pick(things, role, 2), pick(GENDERS, gender, 2), pick([ANY], role * 0, 2)]
    words = torch.cat(parts, 1)
    return words.gather(1, torch.rand(words.shape, generator=generator).argsort(1))


def loss_gap(net: SkipGram, word: Tensor, context: Tensor, negatives: Tensor, true: int = 0) -> float:
    """Largest difference, in the loss and its gradients, from torch's binary cross-entropy of all scores; f64."""
    net = copy.deepcopy(net).cpu().double()
    scores = torch.einsum("bd,bkd->bk", net.word[word], net.context[torch.cat([context[:, None], negatives], 1)])
    labels = torch.zeros_like(scores)
    labels[:, true] = 1
    twin = F.binary_cross_entropy_with_logits(scores, labels, reduction="sum") / len(word)
    losses = net(word, context, negatives), twin
    found = [[x.detach(), *torch.autograd.grad(x, [net.word, net.context], materialize_grads=True)] for x in losses]
    return torch.stack([(a - b).abs().max() for a, b in zip(*found, strict=True)]).max().item()


def optimum_gradient(counts: Tensor, pmi: Tensor, shift: float) -> float:
    """Largest gradient over its count, among seen pairs, of the expected loss where their products are pmi - shift."""
    seen = counts > 0
    expected = counts.sum(1, keepdim=True) * counts.sum(0) / counts.sum()  # how often chance would pair them
    product = torch.where(seen, pmi - shift, 0.0).requires_grad_()
    loss = -(counts * F.logsigmoid(product) + NEGATIVES * expected * F.logsigmoid(-product)).sum()
    loss.backward()
    return float((product.grad / counts)[seen].abs().max())


def correlation(a: Tensor, b: Tensor) -> float:
    return torch.corrcoef(torch.stack([a, b]))[0, 1].item()


def run(device="cpu", seed=0, steps=800):
    texts, data = torch.Generator().manual_seed(3 * seed + 1), torch.Generator().manual_seed(3 * seed + 2)
    sentences = corpus(texts)
    shuffled = sentences.flatten()[torch.randperm(sentences.numel(), generator=texts)].view_as(sentences)
    found, nets = {"corpus": pairs(sentences), "shuffled": pairs(shuffled)}, {}
    for name in found:
        torch.manual_seed(3 * seed)  # weights, texts and what is drawn from them: three streams
        nets[name] = SkipGram().to(device)
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}

    def draw(name: str) -> list[Tensor]:
        chosen = torch.randint(len(found[name]), (BATCH,), generator=data)
        noise = torch.randint(len(found[name]), (BATCH, NEGATIVES), generator=data)  # words by their frequency
        return [*found[name][chosen].unbind(1), found[name][noise, 0]]

    for step in range(steps):
        losses = {}
        for name, net in nets.items():
            loss = net(*(t.to(device) for t in draw(name)))
            optimizers[name].param_groups[0]["lr"] = RATE * (1 - step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    word, context = found["corpus"].unbind(1)
    counts = torch.bincount(word * len(WORDS) + context, minlength=len(WORDS) ** 2).view(len(WORDS), -1).double()
    pmi = (counts * counts.sum() / (counts.sum(1, keepdim=True) * counts.sum(0))).log()
    net, seen = nets["corpus"], counts >= 10
    product = (net.word @ net.context.T).detach().cpu().double()
    shift = float((pmi - product)[seen].median())
    solved = {name: analogies(net.word.detach().cpu()) for name, net in nets.items()}
    shares = {name: sum(row[3] == row[4] for row in rows) / len(rows) for name, rows in solved.items()}
    drawn = draw("corpus")
    measured = {
        "analogy_accuracy": shares["corpus"],
        "shuffled_analogy_accuracy": shares["shuffled"],
        "pmi_correlation": correlation(product[seen], pmi[seen]),
        "count_correlation": correlation(product[seen], counts[seen].log()),
        "shift_gap": abs(shift - math.log(NEGATIVES)),
        "unshifted_gap": abs(shift),
        "loss_gap": loss_gap(net, *drawn),
        "wrong_pair_gap": loss_gap(net, *drawn, true=1),
        "optimum_gradient": optimum_gradient(counts, pmi, math.log(NEGATIVES)),
        "unshifted_gradient": optimum_gradient(counts, pmi, 0.0),
    }
    persons = net.word.detach().cpu()[: 2 * len(PERSONS)]
    persons = persons - persons.mean(0)
    points = (persons @ torch.linalg.svd(persons)[2][:2].T).tolist()  # (2 R, 2)
    beside = [0.1 if i % 2 == 0 else -0.1 * len(WORDS[i]) - 0.1 for i in range(len(points))]  # names between the pairs
    names = {WORDS[i]: (x + beside[i], 0.98 * y) for i, (x, y) in enumerate(points)}
    return measured, {
        "persons on the two main axes of their vectors": {
            "kind": "scatter",
            "series": {name: tuple(zip(*points[i::2], strict=True)) for i, name in enumerate(("male", "female"))},
            "texts": names,
            "edges": list(zip(points[::2], points[1::2], strict=True)),
            "equal": True,
            "x": "first axis",
            "y": "second axis",
        },
        "some analogies": {
            "kind": "table",
            "columns": ["word", "minus", "plus", "nearest"],
            "rows": [[a, b, c, nearest] for a, b, c, _, nearest in solved["corpus"][14:24]],
        },
    }


# %% what is claimed

TITLE = {"en": "Word2vec solves analogies", "zh": "Word2vec 求解词语类比"}
CURVES = "negative sampling loss"
CPU_SECONDS = 2
CLAIMS = {
    "trained analogy_accuracy >= 0.98 > shuffled_analogy_accuracy": {
        "en": "analogies solved by vector arithmetic; the control's words are shuffled across all sentences",
        "zh": "用向量加减求对的类比比例；对照的语料把所有词跨句打乱",
    },
    "trained shuffled_analogy_accuracy <= 0.15 < analogy_accuracy": {
        "en": "analogies solved from the shuffled words: nearly none; the control is the text itself",
        "zh": "从打乱的词求对的类比比例：几乎没有；对照为原语料",
    },
    "trained pmi_correlation >= 0.975 > count_correlation": {
        "en": "correlation of the vectors' products with PMI, pairs met 10 times or more; the control is that with log "
        "counts",
        "zh": "向量内积与点互信息的相关系数（相遇至少 10 次的词对）；对照为与对数共现次数的相关系数",
    },
    "trained shift_gap <= 0.03 < unshifted_gap": {
        "en": "how far the products are below PMI, in the median, less log k; the control leaves out log k",
        "zh": "内积低于点互信息的中位数与 log k 之差；对照不减 log k",
    },
    "parity loss_gap <= 1e-10 < wrong_pair_gap": {
        "en": "largest gap to F.binary_cross_entropy_with_logits in the loss and its gradients (f64); the control "
        "takes a negative for the pair",
        "zh": "损失及其梯度与 F.binary_cross_entropy_with_logits 的最大差距（f64）；对照把一个负样本当作正样本",
    },
    "parity optimum_gradient <= 1e-10 < unshifted_gradient": {
        "en": "relative gradient of the expected loss at PMI - log k (f64); the control leaves out log k",
        "zh": "期望损失在 PMI - log k 处的相对梯度（f64）；对照去掉 log k",
    },
}
ZH = {
    "negative sampling loss": "负采样损失",
    "corpus": "语料",
    "shuffled": "打乱的语料",
    "persons on the two main axes of their vectors": "人物词的向量在前两个主轴上",
    "first axis": "第一主轴",
    "second axis": "第二主轴",
    "male": "男性",
    "female": "女性",
    "some analogies": "若干类比",
    "word": "词",
    "minus": "减",
    "plus": "加",
    "nearest": "最近的词",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
