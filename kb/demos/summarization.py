"""Summarization — a network that reads the whole report seldom repeats a fact; scores of a sentence's words often do.

Reports in English and Chinese are generated: three facts, each told twice in other words, among three remarks; the
summary to learn has the first sentence of each fact. A pointer network reads all and points at one after the other. Its
control is the best of four: the first three sentences (lead-3), TextRank (high is what shares words with many), and
logistic regression on a sentence's words (numbers are one word): its three best, or the first three of its six best.
The gain is of the reading: the same reader with one score for each sentence, in place of the pointer, does as well.

Needs:  torch, scikit-learn, networkx
Source: O. Vinyals, M. Fortunato, N. Jaitly, Pointer Networks, NeurIPS 2015; C.-Y. Lin, ROUGE: A Package for Automatic
        Evaluation of Summaries, 2004; R. Mihalcea, P. Tarau, TextRank: Bringing Order into Text, EMNLP 2004
"""

import copy
import math
import re
from collections import Counter
from itertools import permutations

import networkx as nx
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN, TEST, FACTS, REMARKS, LONGEST, WIDTH, BATCH, RATE, DAMPING = 1000, 300, 3, 3, 8, 32, 64, 2e-2, 0.85
STRENGTH = 10.0  # of the control: how little it is regularized

# %% the concept


class Pointer(nn.Module):
    def __init__(self, words: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, WIDTH, padding_idx=0)
        self.read = nn.LSTM(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)
        self.write = nn.GRUCell(WIDTH, WIDTH)
        self.key, self.query = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, WIDTH)
        self.v = nn.Parameter(torch.randn(WIDTH) / WIDTH**0.5)

    def forward(self, text: Tensor, told: Tensor | None = None) -> Tensor:
        """Words (B, N, L) of sentences, and those that a teacher points at (B, K), or its own: logits (B, K, N)."""
        e = self.read(self.embed(text).sum(2))[0]  # (B, N, D)
        state, seen, logits = e.mean(1), torch.zeros_like(e[:, 0]), []
        for k in range(FACTS):
            state = self.write(seen, state)  # d_k: what was taken
            u = (self.key(e) + self.query(state)[:, None]).tanh() @ self.v  # u_j = v . tanh(W1 e_j + W2 d_k): (B, N)
            logits.append(u)
            at = u.argmax(1) if told is None else told[:, k]  # the softmax of u over the input is the answer
            seen = e.gather(1, at[:, None, None].expand(-1, 1, WIDTH))[:, 0]
        return torch.stack(logits, 1)


def rouge_n(said: list[str], true: list[str], n: int) -> float:
    """Overlap of two summaries in runs of n words."""
    a, b = (Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1)) for words in (said, true))
    return 2 * (a & b).total() / max(1, a.total() + b.total())  # F1; a run counts as often as both have it


def links(sentences: list[list[str]]) -> Tensor:
    """What two sentences share: words in both / (log of one length + log of the other), (N, N)."""
    weights = torch.zeros(len(sentences), len(sentences), dtype=torch.float64)
    for i, j in permutations(range(len(sentences)), 2):
        a, b = sentences[i], sentences[j]
        weights[i, j] = len({*a} & {*b}) / (math.log(len(a)) + math.log(len(b)))
    return weights


def page_rank(weights: Tensor) -> Tensor:  # (N, N) -> (N,)
    n, out = len(weights), weights.sum(1, True)
    rank, step = torch.full((n,), 1 / n, dtype=torch.float64), torch.where(out > 0, weights / out, 1 / n)
    for _ in range(200):
        rank = (1 - DAMPING) / n + DAMPING * rank @ step  # r_i = (1 - d) / N + d sum_j r_j w_ji / sum_k w_jk
    return rank


# %% its control


def by_words(train: list[list[str]], chosen: list[bool], reports: list[list[list[str]]]) -> list[list[float]]:
    """The log-odds that a sentence stands in the summary, from its words: logistic regression."""
    vectors = TfidfVectorizer(analyzer=lambda words: words)
    model = LogisticRegression(C=STRENGTH).fit(vectors.fit_transform(train), chosen)
    return [model.decision_function(vectors.transform(report)).tolist() for report in reports]


def best(scores: list[float], n: int) -> list[int]:
    return sorted(sorted(range(len(scores)), key=lambda i: -scores[i])[:n])


# %% the experiment

SAYINGS = [  # a fact in two ways, English and Chinese
    ("profit rose by {} percent|the firm earned {} million more", "利润 增长 百分之 {}|公司 多 赚 了 {} 万"),
    ("the firm hires {} workers|there are {} new jobs", "公司 招聘 {} 名 员工|新增 岗位 {} 个"),
    ("plant {} was opened|production starts in hall {}", "{} 号 工厂 开业|{} 号 车间 开始 投产"),
    ("director {} takes over|the board appoints number {}", "{} 号 董事 接任|董事会 任命 {} 号"),
]
REMARK = "the weather was fine|coffee was served at {}|the hall was full", "天气 很 好|咖啡 {} 点 供应|大厅 坐满 了 人"
LOOKS = "where it points, in % (A1, A2: a fact, again)"


def reports(n: int, generator: torch.Generator) -> tuple[list[list[list[str]]], list[list[int]], list[list[str]]]:
    """Sentences of reports; the first of each fact, in their order; and what each is: A1, A2 (a fact), or a dot."""
    texts, firsts, kinds = [], [], []
    for _ in range(n):
        tongue = int(torch.randint(2, (), generator=generator))
        facts = torch.randperm(len(SAYINGS), generator=generator)[:FACTS].tolist()
        told = [(fact, way) for fact in facts for way in SAYINGS[fact][tongue].split("|")]
        remarks = REMARK[tongue].split("|")
        told += [(-1, remarks[i]) for i in torch.randint(len(remarks), (REMARKS,), generator=generator)]
        order = torch.randperm(len(told), generator=generator).tolist()
        numbers = torch.randint(10, 60, (len(told),), generator=generator).tolist()
        texts.append([told[i][1].format(k).split() for i, k in zip(order, numbers, strict=True)])
        of = [told[i][0] for i in order]
        firsts.append(sorted(of.index(fact) for fact in facts))
        kinds.append(["." if k < 0 else f"{'ABCD'[k]}{1 + of[:i].count(k)}" for i, k in enumerate(of)])
    return texts, firsts, kinds


def pointer_gap(net: Pointer, text: Tensor, told: Tensor, blind: bool = False) -> float:
    """Largest gap to torch.gru_cell and attention written out, in outputs and gradients, f64; `blind`: no state."""
    net = copy.deepcopy(net).cpu().double()
    e = net.read(F.embedding(text, net.embed.weight, padding_idx=0).sum(2))[0]
    state, taken, logits = e.mean(1), 0 * e[:, 0], []
    for k in range(FACTS):
        state = torch.gru_cell(taken, state, *net.write.parameters())
        asked = F.linear(0 * state if blind else state, net.query.weight, net.query.bias)
        logits.append(torch.einsum("bnd,d->bn", (e @ net.key.weight.T + asked.unsqueeze(1)).tanh(), net.v))
        taken = e[torch.arange(len(e)), told[:, k]]
    sides = []
    for y in (net(text, told), torch.stack(logits, 1)):
        weighted = (y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum()
        sides.append([y.detach(), *torch.autograd.grad(weighted, [*net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*sides, strict=True))


def rouge_gap(generator: torch.Generator, clip: bool = True) -> float:
    """Largest gap of ROUGE-1 and -2 of random texts to counting each run."""
    worst = 0.0
    for _ in range(20):
        a, b = (["abc"[i] for i in torch.randint(3, (7,), generator=generator)] for _ in range(2))
        for n in (1, 2):
            ours, theirs = ([tuple(words[i : i + n]) for i in range(8 - n)] for words in (a, b))
            both = sum(min(ours.count(r), theirs.count(r) if clip else 9) for r in {*ours} & {*theirs})
            worst = max(worst, abs(rouge_n(a, b, n) - both / (8 - n)))
    return worst


def run(device="cpu", seed=0, steps=250):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    (texts, firsts, _), (fresh, wanted, kinds) = reports(TRAIN, data), reports(TEST, unseen)
    flat, asked = ([[[re.sub(r"\d+", "#", w) for w in ws] for ws in t] for t in many] for many in (texts, fresh))
    known = {w: i + 1 for i, w in enumerate(sorted({w for report in flat for words in report for w in words}))}
    ids = [[[[known.get(w, 0) for w in ws] + [0] * (LONGEST - len(ws)) for ws in t] for t in m] for m in (flat, asked)]
    x, x_test = (torch.tensor(many).to(device) for many in ids)
    y, net = torch.tensor(firsts).to(device), Pointer(len(known) + 1).to(device)
    optimizer = torch.optim.Adam(net.parameters())
    for step in range(steps):
        rows = torch.randint(TRAIN, (BATCH,), generator=data).to(device)
        loss = F.cross_entropy(net(x[rows], y[rows]).flatten(0, 1), y[rows].flatten())
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"pointer network": loss.item()}

    with torch.no_grad():
        looks = net(x_test).softmax(-1).cpu()
    chosen = [i in first for report, first in zip(texts, firsts, strict=True) for i in range(len(report))]
    scores = by_words([words for report in flat for words in report], chosen, asked)
    picked = {
        "pointer network": looks.argmax(-1).tolist(),
        "lead-3": [[0, 1, 2]] * len(fresh),
        "TextRank": [best(page_rank(links(report)).tolist(), FACTS) for report in fresh],
        "words": [best(score, FACTS) for score in scores],
        "words, first": [best(score, 2 * FACTS)[:FACTS] for score in scores],
    }
    rouge, repeats = {}, {}
    for name, answers in picked.items():
        rouge[name] = repeats[name] = 0.0
        for answer, first, report, kind in zip(answers, wanted, fresh, kinds, strict=True):
            said, true = ([word for i in rows for word in report[i]] for rows in (answer, first))
            facts = [kind[i][0] for i in answer if kind[i] != "."]
            rouge[name] += rouge_n(said, true, 2) / TEST
            repeats[name] += (len({*facts}) < len(facts)) / TEST
    graphs, gaps = [links(report) for report in fresh[:20]], []
    for weigh in (Tensor.clone, torch.sign):  # the control forgets how much two sentences share
        theirs = [nx.pagerank(nx.from_numpy_array(weigh(g).numpy()), DAMPING, tol=1e-13, max_iter=500) for g in graphs]
        gaps += [max(abs(page_rank(g)[i].item() - t[i]) for g, t in zip(graphs, theirs, strict=True) for i in t)]
    rival = max([*picked][1:], key=lambda name: rouge[name])
    shown = (100 * looks[0]).round().tolist()
    checked = net, x_test[:8].cpu(), torch.tensor(wanted[:8])
    return {
        "pointer_rouge": rouge["pointer network"],
        "control_rouge": rouge[rival],
        "pointer_repeats": repeats["pointer network"],
        "rival_repeats": repeats[rival],
        "pointer_gap": pointer_gap(*checked),
        "blind_gap": pointer_gap(*checked, blind=True),
        "rank_gap": gaps[0],
        "unweighted_gap": gaps[1],
        "rouge_gap": rouge_gap(unseen),
        "unclipped_gap": rouge_gap(unseen, clip=False),
    }, {
        LOOKS: {
            "kind": "heatmap",
            "values": shown,
            "rows": [*"123"],
            "columns": kinds[0],
            "x": "sentence",
            "y": "step",
        },
    }


# %% what is claimed

TITLE = {"en": "Who reads it all seldom repeats a fact", "zh": "通读全文，摘要才少重复"}
CURVES = "cross-entropy"
CPU_SECONDS = 3
CLAIMS = {
    "trained pointer_rouge >= 0.94 > control_rouge >= 0.7": {
        "en": "mean ROUGE-2 (F1) of fresh summaries; control: the best of lead-3, TextRank and regression on words",
        "zh": "新报告摘要的平均 ROUGE-2（F1）；对照：前三句、TextRank、基于词的逻辑回归，取最好者",
    },
    "trained pointer_repeats <= 0.1 < rival_repeats <= 0.75": {
        "en": "summaries that tell a fact twice; the control is the rival of the best ROUGE-2",
        "zh": "把同一件事说了两遍的摘要比例；对照为 ROUGE-2 最高的对手",
    },
    "parity pointer_gap <= 1e-10 < blind_gap": {
        "en": "largest gap to torch.gru_cell and attention, gradients too (f64); the control asks without its state",
        "zh": "与 torch.gru_cell 加注意力的最大差距，含梯度（f64）；对照的查询不看解码器状态",
    },
    "parity rank_gap <= 1e-10 < unweighted_gap": {
        "en": "largest gap of the sentences' ranks to networkx.pagerank; the control forgets how much two share",
        "zh": "句子得分与 networkx.pagerank 的最大差距；对照不计两句共有词的多少",
    },
    "parity rouge_gap <= 1e-12 < unclipped_gap": {
        "en": "largest gap of ROUGE-1 and -2 to counting one by one; the control counts a match again and again",
        "zh": "ROUGE-1、ROUGE-2 与逐一计数的最大差距；对照把同一处匹配重复计数",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "pointer network": "指针网络",
    "where it points, in % (A1, A2: a fact, again)": "每一步指向哪一句（%；A1、A2：一件事，再说一次）",
    "sentence": "句子",
    "step": "步",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
