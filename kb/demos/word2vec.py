"""Word2vec — words that keep the same company get similar vectors, and vector arithmetic solves analogies.

The corpus is generated: each sentence has a person (king, queen, actor, actress ...), words that go with the
role, words that go with the gender, and words that go with anything; the roles' frequencies follow Zipf's
law. Skip-gram with negative sampling sees only which words share a sentence. The contender gets the same
words, shuffled across sentences.

Claim:  king - man + woman is nearest to queen, and so for all pairs of roles; products of the vectors follow
        pointwise mutual information (PMI), not counts; at PMI - log k the gradient of the loss vanishes.
Source: T. Mikolov et al., Distributed Representations of Words and Phrases and their Compositionality,
        NeurIPS 2013; O. Levy, Y. Goldberg, Neural Word Embedding as Implicit Matrix Factorization, NeurIPS
        2014 (PMI)
Run:    python kb/demos/word2vec.py --device cpu --seed 0 --steps 800
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Word2vec solves analogies", "zh": "Word2vec 求解词语类比"}
CPU_SECONDS = 2
CLAIMS = {
    "trained analogy_accuracy >= 0.53 > shuffled_analogy_accuracy": {
        "en": "analogies solved by vector arithmetic; the control's words are shuffled across all sentences",
        "zh": "用向量加减求对的类比比例；对照的语料把所有词跨句打乱",
    },
    "trained pmi_correlation >= 0.55 > count_correlation": {
        "en": "correlation of the vectors' products with PMI; the control is that with log counts",
        "zh": "向量内积与点互信息的相关系数；对照为与对数共现次数的相关系数",
    },
    "parity optimum_gradient <= 1e-10 < unshifted_gradient": {
        "en": "relative gradient of the expected loss at PMI - log k (f64); the control leaves out log k",
        "zh": "期望损失在 PMI - log k 处的相对梯度（f64）；对照去掉 log k",
    },
}

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
SENTENCES, LENGTH, WIDTH, NEGATIVES, BATCH = 5000, 7, 16, 5, 512


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


def pairs(sentences: Tensor) -> Tensor:
    """All (word, context) pairs of two words in one sentence: (S, L) -> (P, 2)."""
    word, context = (~torch.eye(sentences.shape[1], dtype=torch.bool)).nonzero().unbind(1)
    return torch.stack([sentences[:, word], sentences[:, context]], -1).flatten(0, 1)


class SkipGram(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word, self.context = (nn.Parameter(torch.randn(len(WORDS), WIDTH) * 0.1) for _ in range(2))

    def forward(self, word: Tensor, context: Tensor, negatives: Tensor) -> Tensor:  # (B,), (B,), (B, k) -> ()
        vector = self.word[word]
        true = (vector * self.context[context]).sum(-1)  # (B,)
        false = torch.einsum("bd,bkd->bk", vector, self.context[negatives])
        return -(F.logsigmoid(true) + F.logsigmoid(-false).sum(-1)).mean()


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


def optimum_gradient(counts: Tensor, pmi: Tensor, shift: float) -> float:
    """Largest gradient, over the seen pairs, of the expected loss where every product is pmi - shift."""
    seen = counts > 0
    expected = counts.sum(1, keepdim=True) * counts.sum(0) / counts.sum()  # how often chance would pair them
    product = torch.where(seen, pmi - shift, 0.0).requires_grad_()
    loss = -(counts * F.logsigmoid(product) + NEGATIVES * expected * F.logsigmoid(-product)).sum()
    loss.backward()
    return float((product.grad / counts)[seen].abs().max())


def run(device="cpu", seed=0, steps=800):
    data = torch.Generator().manual_seed(seed)
    sentences = corpus(data)
    shuffled = sentences.flatten()[torch.randperm(sentences.numel(), generator=data)].view_as(sentences)
    texts = {"corpus": pairs(sentences), "shuffled": pairs(shuffled)}
    nets = {}
    for name in texts:
        torch.manual_seed(seed)
        nets[name] = SkipGram().to(device)
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=2e-2) for name, net in nets.items()}
    for step in range(steps):
        losses = {}
        for name, net in nets.items():
            chosen = torch.randint(len(texts[name]), (BATCH,), generator=data)
            words, context = texts[name][chosen].to(device).unbind(1)
            noise = torch.randint(len(texts[name]), (BATCH, NEGATIVES), generator=data)  # words by their frequency
            loss = net(words, context, texts[name][noise, 0].to(device))
            optimizers[name].param_groups[0]["lr"] = 2e-2 * (1 - step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 20 == 19 or step == steps - 1:
            yield (step + 1) / steps, losses

    word, context = texts["corpus"].unbind(1)
    counts = torch.bincount(word * len(WORDS) + context, minlength=len(WORDS) ** 2).view(len(WORDS), -1).double()
    pmi = (counts * counts.sum() / (counts.sum(1, keepdim=True) * counts.sum(0))).log()
    net, seen = nets["corpus"], counts >= 10
    product = (net.word @ net.context.T).detach().cpu().double()
    solved = {name: analogies(net.word.detach().cpu()) for name, net in nets.items()}
    shares = {name: sum(row[3] == row[4] for row in rows) / len(rows) for name, rows in solved.items()}
    measured = {
        "analogy_accuracy": shares["corpus"],
        "shuffled_analogy_accuracy": shares["shuffled"],
        "pmi_correlation": float(torch.corrcoef(torch.stack([product[seen], pmi[seen]]))[0, 1]),
        "count_correlation": float(torch.corrcoef(torch.stack([product[seen], counts[seen].log()]))[0, 1]),
        "optimum_gradient": optimum_gradient(counts, pmi, math.log(NEGATIVES)),
        "unshifted_gradient": optimum_gradient(counts, pmi, 0.0),
    }
    persons = net.word.detach().cpu()[: 2 * len(PERSONS)]
    axes = torch.linalg.svd(persons - persons.mean(0))[2][:2]  # (2, D)
    points = (persons - persons.mean(0)) @ axes.T
    return measured, {
        "persons on their two main axes": {
            "kind": "scatter",
            "zh": "人物词在前两个主轴上",
            "series": {name: tuple(points[i::2].T.tolist()) for i, name in enumerate(("male", "female"))},
        },
        "some analogies": {
            "kind": "table",
            "zh": "若干类比",
            "columns": ["analogy", "nearest word"],
            "rows": [[f"{a} - {b} + {c}", nearest] for a, b, c, _, nearest in solved["corpus"][14:28]],
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
