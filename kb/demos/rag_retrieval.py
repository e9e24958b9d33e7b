"""Retrieval-augmented generation — a net that looks things up answers about people whom it was never trained on.

The people are invented: two passages about each, and questions mostly in other words. A retriever compares the
sums of word vectors of question and passage; a reader points at one word in each of the K best passages; the answer's
probability is summed over them. Both learn from question and answer alone: no passage is marked as right. Then passages
about new people, of first and last names it knows, join the store, and nothing is trained again. Controls: a net
without a store that has all training facts by heart; BM25, which weighs shared words by rarity and knows no synonyms (a
table of which words go with which, counted on the training answers, would help it as far); and the same reader, given
passages found for another person.

Needs:  torch
Source: P. Lewis et al., Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks, NeurIPS 2020; S. Robertson,
        H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, Foundations and Trends in IR 3(4), 2009
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KNOWN, NEW, K, WIDTH, BATCH, RATE = 160, 60, 8, 96, 64, 1e-2  # people known and new; passages that are read

# %% the concept


class RAG(nn.Module):
    def __init__(self, words: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, WIDTH, padding_idx=0)
        self.embed.weight.data *= 2 * WIDTH**-0.5
        self.asks = nn.Linear(WIDTH, WIDTH)

    def retrieve(self, question: Tensor, store: Tensor) -> tuple[Tensor, Tensor]:
        """The K best passages and log p(z | x): (B, M), (P, T) -> (B, K), (B, K)."""
        scores = self.embed(question).sum(1) @ self.embed(store).sum(1).mT  # s(x, z) = q . d: (B, P)
        best, found = scores.topk(K)
        return found, best.log_softmax(1)  # p(z | x) = exp s(x, z) / its sum over the K best

    def answers(self, question: Tensor, passages: Tensor, log_z: Tensor) -> Tensor:
        """p(y | x) of every word y of the vocabulary: (B, M), (B, K, T), (B, K) -> (B, V)."""
        wanted = self.asks(self.embed(question).sum(1))  # (B, D)
        read = torch.einsum("bd,bktd->bkt", wanted, self.embed(passages)).log_softmax(2)  # p(y | x, z): it points
        joint = (log_z[..., None] + read).exp()  # p(z | x) p(y | x, z)
        words = F.one_hot(passages, self.embed.num_embeddings).to(joint)
        return torch.einsum("bkt,bktv->bv", joint, words)  # sum over z

    def forward(self, question: Tensor, store: Tensor) -> Tensor:
        found, log_z = self.retrieve(question, store)
        return self.answers(question, store[found], log_z)


# %% its control


class ClosedBook(nn.Module):
    def __init__(self, words: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, WIDTH, padding_idx=0)
        self.net = nn.Sequential(nn.Linear(WIDTH, 512), nn.ReLU(), nn.Linear(512, words))

    def forward(self, question: Tensor) -> Tensor:  # (B, M) -> p(y | x): (B, V)
        return self.net(self.embed(question).sum(1)).softmax(1)


def bm25(question: Tensor, store: Tensor, words: int) -> Tensor:
    """Scores of all passages, which are equally long: (B, M), (P, T) -> (B, P)."""
    asked, counts = (F.one_hot(t, words).sum(1).float()[:, 1:] for t in (question, store))
    there = (counts > 0).sum(0)
    rare = (1 + (len(store) - there + 0.5) / (there + 0.5)).log()  # idf
    return asked @ (rare * counts * 2.2 / (counts + 1.2)).mT


# %% the experiment

FIRST = "ada ben cleo dan eva finn gil hana ivo jun kira leo mia nils olga pia".split()
LAST = "abel berg cruz diaz egger frey gomez hahn ito jansen koch lund moser nagy ortiz popov".split()
PLACES = "rome oslo lima cairo delhi paris quito seoul tunis bern".split()
JOBS = "cook nurse pilot judge poet clerk baker tailor miner singer".split()
PETS = "cat dog horse parrot goat hen rabbit turtle snake donkey".split()
PASSAGES = ["F L was born in 0 and works as 1", "F L now lives in 2 and keeps a 3"]
ASKED = [
    ["where did F L grow up", "which town raised F L"],
    ["what is F L 's job", "how does F L earn money"],
    ["where is F L at home", "which place houses F L today"],
    ["what is F L 's pet", "which animal does F L feed"],
]
SPOKEN = " ".join(PASSAGES + [" ".join(two) for two in ASKED]).split() + FIRST + LAST + PLACES + JOBS + PETS
ID = {word: i + 1 for i, word in enumerate(sorted({*SPOKEN} - set("FL0123")))}


def world(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Passages (2 n, T); eight questions a person (8 n, M), their answers (8 n,), the rows of their passages (8 n,)."""
    who = torch.randperm(len(FIRST) * len(LAST), generator=generator)[:n].tolist()
    facts = torch.randint(10, (n, 4), generator=generator).tolist()
    store, asked = [], []
    for i, (person, told) in enumerate(zip(who, facts, strict=True)):
        answers = [kind[fact] for kind, fact in zip((PLACES, JOBS, PLACES, PETS), told, strict=True)]
        blanks = dict(zip("FL0123", [FIRST[person // 16], LAST[person % 16], *answers], strict=True))

        def fill(text):
            return torch.tensor([ID[blanks.get(word, word)] for word in text.split()])

        store += [fill(text) for text in PASSAGES]
        asked += [(fill(form), ID[answers[j]], 2 * i + j // 2) for j in range(4) for form in ASKED[j]]
    questions, answers, rows = zip(*asked, strict=True)
    padded = nn.utils.rnn.pad_sequence(questions, batch_first=True)
    return torch.stack(store), padded, torch.tensor(answers), torch.tensor(rows)


def rag_gap(net: RAG, question: Tensor, store: Tensor, answer: Tensor, k: int) -> float:
    """Largest gap, in p(y | x) and gradients, to a loop over questions, the k best passages and words; f64."""
    net, theirs = copy.deepcopy(net).cpu().double(), []
    for q, y in zip(question, answer, strict=True):
        table = net.embed.weight
        vector = table[q[q > 0]].sum(0)
        scores = torch.stack([vector @ table[z].sum(0) for z in store])
        chosen, wanted = scores.argsort(descending=True)[:k], F.linear(vector, net.asks.weight, net.asks.bias)
        read = [F.softmax(table[z] @ wanted, 0)[z == y].sum() for z in store[chosen]]
        theirs.append(F.softmax(scores[chosen], 0) @ torch.stack(read))
    ours, found = net(question, store).gather(1, answer[:, None])[:, 0], []
    for said in (ours, torch.stack(theirs)):
        found.append([said.detach(), *torch.autograd.grad(said.sum(), [*net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def share(said: Tensor, true: Tensor) -> float:
    return (said == true).sum().item() / len(true)


def run(device="cpu", seed=0, steps=300):
    data, order = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    store, question, answer, right = (t.to(device) for t in world(KNOWN + NEW, data))
    old, words = 8 * KNOWN, len(ID) + 1  # the first eight questions are about the first person
    known, told, new, true = question[:old], answer[:old], question[old:], answer[old:]
    torch.manual_seed(3 * seed)  # weights, people and the order of questions: three streams
    rag, closed = RAG(words).to(device), ClosedBook(words).to(device)
    optimizer = torch.optim.Adam([*rag.parameters(), *closed.parameters()])
    for step in range(steps):
        rows = torch.randint(len(known), (BATCH,), generator=order).to(device)
        said = {"RAG": rag(known[rows], store[: 2 * KNOWN]), "closed book": closed(known[rows])}
        losses = {name: F.nll_loss(p.clamp(min=1e-30).log(), told[rows]) for name, p in said.items()}
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        optimizer.zero_grad()
        torch.stack([*losses.values()]).sum().backward()
        optimizer.step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    with torch.no_grad():
        found, log_z = rag.retrieve(new, store)
        other = torch.arange(len(new)).roll(8).to(device)  # the same question about another person
        astray = rag.answers(new, store[found[other]], log_z[other]).argmax(1)
        grown = [2 * KNOWN + 2 * n for n in range(0, NEW + 1, NEW // 10)]
        shares = [share(rag(new, store[:size]).argmax(1), true) for size in grown]
    few = [t.cpu() for t in (known[:4], store[:40], told[:4])]
    guessed, percent = share(closed(new).argmax(1), true), [10 * n for n in range(len(grown))]
    return {
        "rag_accuracy": shares[-1],
        "closed_accuracy": guessed,
        "closed_known": share(closed(known).argmax(1), told),
        "recall": share(found[:, 0], right[old:]),
        "bm25_recall": share(bm25(new, store, words).argmax(1), right[old:]),
        "astray_as_read": share(astray, true[other]),
        "astray_right": share(astray, true),
        "rag_gap": rag_gap(rag, *few, K),
        "fewer_gap": rag_gap(rag, *few, K - 1),
    }, {
        "questions about new people, as their passages join the store": {
            "kind": "lines",
            "series": {"RAG": (percent, shares), "closed book": (percent, [guessed] * len(grown))},
            "x": "new people whose passages are in the store, %",
            "y": "share answered rightly",
        },
    }


# %% what is claimed

TITLE = {"en": "Looked up, not learned by heart", "zh": "查得到，不必背下来"}
CURVES = "negative log likelihood of the answer"
CPU_SECONDS = 2
CLAIMS = {
    "trained rag_accuracy >= 0.98 > closed_accuracy >= 0.03": {
        "en": "questions answered about people who joined the store after training; control: a closed-book net, which "
        "can only guess among ten",
        "zh": "训练之后才加入资料库的人，问题答对的比例；对照：闭卷网络，只能在十个候选里猜",
    },
    "trained closed_known >= 0.99 > closed_accuracy": {
        "en": "what the closed-book net answers rightly of the training questions, so it has learned; control: its "
        "answers about new people",
        "zh": "闭卷网络在训练问题上答对的比例，可见它学会了；对照：它回答新人物的问题",
    },
    "trained recall >= 0.98 > bm25_recall >= 0.4": {
        "en": "the right passage comes first for a question about a new person, though none was ever labelled; "
        "control: BM25, to which a person's two passages look alike",
        "zh": "问新人物时正确段落排在第一的比例，训练中从未标注段落；对照：BM25，同一人的两段在它看来一样",
    },
    "trained astray_as_read >= 0.98 > astray_right": {
        "en": "given the passages found for another person, it answers with that person's fact; control: with the "
        "fact asked for",
        "zh": "换成为另一个人检索到的段落后，按那个人的事实作答的比例；对照：仍答出所问事实的比例",
    },
    "parity rag_gap <= 1e-10 < fewer_gap": {
        "en": "largest gap to a loop over passages and words, in p(y | x) and gradients (f64); control: a loop over "
        "one passage fewer",
        "zh": "p(y | x) 及梯度与逐段、逐词循环的最大差距（f64）；对照：循环少算一段",
    },
}
ZH = {
    "negative log likelihood of the answer": "答案的负对数似然",
    "closed book": "闭卷",
    "questions about new people, as their passages join the store": "新人物的段落陆续加入资料库，问题答对多少",
    "new people whose passages are in the store, %": "段落已入库的新人物，%",
    "share answered rightly": "答对的比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
