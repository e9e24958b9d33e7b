"""Question answering — a reader points at the span that answers, and learns whom "he" and "she" mean on the way.

Stories are generated: two pairs of people who meet, each a "mr" and a "ms", and a fact about each, of "he" or "she" or,
one time in four, by name; the facts of a pair are of one kind. A question names a person and asks for the fact, mostly
in other words than the story's. The reader marks the question's words in the passage, reads both ways and scores each
token as start and as end of the answer. Two rivals choose among the answers that the training stories name: the nearest
of the right kind after a mention of the person, by a table of counts, and a logistic regression on that table, the
order and the distance of the candidates since the mention, and all pairs of a question's and a sentence's words. They
are not told which pronoun goes with which title.

Needs:  torch, scikit-learn
Source: P. Rajpurkar et al., SQuAD: 100,000+ Questions for Machine Comprehension of Text, EMNLP 2016 (exact match; the
        regression); D. Chen et al., Reading Wikipedia to Answer Open-Domain Questions, ACL 2017 (the reader)
"""

import copy
import math
from collections import Counter
from itertools import permutations

import torch
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HIDDEN, BATCH, RATE, TRAIN, TEST = 24, 32, 64, 2e-2, 3000, 400
SPAN, LONGEST, STRENGTH = 2, 48, 1.0  # tokens of an answer and of a passage; how little the regression is regularized

# %% the concept


class Reader(nn.Module):
    def __init__(self, words: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, WIDTH, padding_idx=0)
        self.read = nn.LSTM(2 * WIDTH + 1, HIDDEN, batch_first=True, bidirectional=True)
        for name, bias in self.read.named_parameters():
            if "bias_ih" in name:
                bias.data[HIDDEN : 2 * HIDDEN] += 1  # the forget gates: remember to begin with
        self.ends = nn.Linear(WIDTH, 2 * 2 * HIDDEN)

    def forward(self, passage: Tensor, question: Tensor) -> Tensor:  # (B, T), (B, M) -> (B, T, 2)
        there = (question > 0).sum(1, keepdim=True)
        asked = self.embed(question).sum(1) / there  # q, the mean of the question's words: (B, D)
        match = (passage[:, :, None] == question[:, None]).any(2, keepdim=True) & (passage > 0)[..., None]
        known = [self.embed(passage), match.float().to(asked), asked[:, None].expand(-1, passage.shape[1], -1)]
        states, _ = self.read(torch.cat(known, -1))  # h_i: (B, T, 2 H)
        scores = states @ self.ends(asked).unflatten(1, (2, -1)).mT  # s_i = h_i (W q + b), e_i alike: (B, T, 2)
        return scores.masked_fill((passage == 0)[..., None], -math.inf)


def loss_of(scores: Tensor, spans: Tensor) -> Tensor:  # (B, T, 2), (B, 2) -> ()
    log_p = scores.log_softmax(1)  # of each token as start, and as end
    return -log_p.gather(1, spans[:, None]).sum(2).mean()  # -log p(start) - log p(end)


def best_span(scores: Tensor) -> Tensor:  # (B, T, 2) -> (B, 2)
    start, end = scores.unbind(2)
    pairs = start[:, :, None] + end[:, None]  # s_i + e_j: (B, T, T)
    allowed = torch.ones_like(pairs[0]).triu().tril(SPAN - 1) > 0  # i <= j < i + SPAN
    best = pairs.masked_fill(~allowed, -math.inf).flatten(1).argmax(1)
    return torch.stack([best // scores.shape[1], best % scores.shape[1]], 1)


# %% the experiment

NAMES = "brown clark davis evans green jones lewis moore scott smith taylor white".split()
MORE = "new small great young".split()
KINDS = {  # answers, sentences, questions
    "home": "rome oslo lima cairo delhi paris/S lives in A .|A is where S lives ./where is N ?|which town is N in ?",
    "job": "cook nurse pilot judge poet clerk/S works as a A .|a A is what S is ./what does N do ?|what is N 's job ?",
    "pet": "cat dog horse parrot goat hen/S owns a A .|a A is what S feeds ./what does N keep ?|which animal is N 's ?",
}
SHOWN = "ms clark met mr lewis . he works as a clerk . she works as a pilot ."
THEN = " mr green saw ms white . white owns a small horse . a cat is what he feeds ."
Story = tuple[list[str], list[str], tuple[int, int], bool]  # passage, question, first and last token, told of "he"?


def story(generator: torch.Generator) -> Story:
    def pick(options):
        return options[int(torch.randint(len(options), (), generator=generator))]

    names = [NAMES[n] for n in torch.randperm(len(NAMES), generator=generator).tolist()]
    passage, facts = [], []
    for one, other in (names[:2], names[2:4]):
        titles, kind = pick([("ms", "mr"), ("mr", "ms")]), pick([*KINDS])
        passage += [titles[0], one, pick(["met", "called", "saw"]), titles[1], other, "."]
        for name, title in pick([*permutations(zip((one, other), titles, strict=True))]):
            is_pronoun, described = pick([True, True, True, False]), pick([[], [pick(MORE)]])
            nouns, tellings, _ = KINDS[kind].split("/")
            answer, words = [*described, pick(nouns.split())], pick(tellings.split("|")).split()
            first = len(passage) + words.index("A")
            facts.append((name, kind, (first, first + len(answer) - 1), is_pronoun))
            says = {"S": [{"mr": "he", "ms": "she"}[title] if is_pronoun else name], "A": answer}
            passage += [word for part in words for word in says.get(part, [part])]
    name, kind, span, is_pronoun = pick(facts)
    return passage, pick(KINDS[kind].split("/")[2].split("|")).replace("N", name).split(), span, is_pronoun


def padded(texts: list[list[str]], length: int, vocabulary: dict[str, int]) -> Tensor:
    return torch.tensor([[vocabulary[word] for word in text] + [0] * (length - len(text)) for text in texts])


class Rivals:
    """What answers by counting, from the candidates that the training stories name."""

    def __init__(self, stories: list[Story]) -> None:
        self.table, self.answers = Counter(), Counter()
        for passage, question, (_, last), _ in stories:
            self.answers[passage[last]] += 1
            self.table.update((word, passage[last]) for word in set(question))
        rows = [(features, span == s[2]) for s in stories for span, features in self.candidates(s)]
        self.vectors, self.model = DictVectorizer(), LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3)
        self.model.fit(self.vectors.fit_transform([features for features, _ in rows]), [y for _, y in rows])

    def candidates(self, story: Story) -> list[tuple[tuple[int, int], dict[str, float]]]:
        """Each span that may be an answer, and its features."""
        passage, question, *_ = story
        name, found, rank = next(word for word in question if word in NAMES), [], 0
        for i, word in enumerate(passage):
            if word in self.answers:
                begin = i - passage[i::-1].index(".") + 1
                sentence = passage[begin : passage.index(".", i)]
                since = passage[i::-1].index(name) if name in passage[:i] else LONGEST  # the name was said
                fits = sum(math.log((self.table[q, word] + 0.1) / self.answers[word]) for q in sorted(set(question)))
                rank += since < LONGEST and fits > -15
                features = {"fits": fits, "since": since, "before": since == LONGEST, f"rank {rank}": 1}
                features |= {f"{q} {w}": 1 for q in question for w in sentence}
                found.append(((i - (passage[i - 1] in MORE), i), features))
        return found

    def answers_of(self, story: Story) -> dict[str, tuple[int, int]]:
        found = self.candidates(story)
        spans, features = [span for span, _ in found], [f for _, f in found]
        scores = {
            "nearest mention": [f["fits"] - 100 * f["before"] - 1e-3 * f["since"] for f in features],
            "regression": self.model.decision_function(self.vectors.transform(features)),
        }
        return {name: spans[max(range(len(spans)), key=lambda k: values[k])] for name, values in scores.items()}


def reader_gap(net: Reader, passage: Tensor, question: Tensor, spans: Tensor, marks: float) -> float:
    """Largest difference, in loss and gradients, from one story after the other, by F.cross_entropy; f64."""
    theirs = []
    for p, q, span in zip(passage, question, spans, strict=True):
        words, asked = net.embed(p), net.embed(q[q > 0]).mean(0)
        match = marks * (torch.isin(p, q) & (p > 0))[:, None].double()
        ends = F.linear(asked, net.ends.weight, net.ends.bias).view(2, -1)
        states = net.read(torch.cat([words, match, asked.expand_as(words)], -1))[0][p > 0]
        theirs.append(F.cross_entropy(ends @ states.T, span, reduction="sum"))
    found = []
    for loss in (loss_of(net(passage, question), spans), torch.stack(theirs).mean()):
        found.append([loss.detach(), *torch.autograd.grad(loss, [*net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def slips(scores: Tensor, spans: Tensor) -> int:
    """How many of the spans are not the best of those that are allowed, each tried."""
    tried = [(i, j) for i in range(scores.shape[1]) for j in range(i, min(i + SPAN, scores.shape[1]))]
    best = [max(tried, key=lambda ij: s[ij[0]][0] + s[ij[1]][1]) for s in scores.tolist()]
    return sum(span != tuple(given) for span, given in zip(best, spans.tolist(), strict=True))


def run(device="cpu", seed=0, steps=400):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    stories, tests = ([story(g) for _ in range(n)] for g, n in ((data, TRAIN), (unseen, TEST)))
    words = {w for s in stories for w in s[0] + s[1]}
    vocabulary = {word: i + 1 for i, word in enumerate(sorted(words))}
    torch.manual_seed(3 * seed)  # weights, training stories and test stories: three streams
    net = Reader(len(vocabulary) + 1).to(device)
    optimizer = torch.optim.Adam(net.parameters())

    def batch(stories: list[Story]) -> list[Tensor]:
        texts = [padded([s[k] for s in stories], n, vocabulary) for k, n in ((0, LONGEST), (1, 7))]
        return [t.to(device) for t in (*texts, torch.tensor([s[2] for s in stories]))]

    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 * (1 - step / steps), (step + 1) / 20)
        chosen = torch.randint(TRAIN, (BATCH,), generator=data).tolist()
        passage, question, spans = batch([stories[k] for k in chosen])
        loss = loss_of(net(passage, question), spans)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        yield (step + 1) / steps, {"reader": loss.item()}

    passage, question, spans = batch(tests)
    with torch.no_grad():
        read = best_span(net(passage, question)).tolist()
        asked = [
            ((SHOWN + THEN).split(), f"what does {name} do ?".split(), (0, 0), True) for name in ("lewis", "clark")
        ]
        shown = net(*batch(asked)[:2])
    rivals = Rivals(stories)
    answers = {"reader": [tuple(span) for span in read]}
    for found in map(rivals.answers_of, tests):
        for name, span in found.items():
            answers.setdefault(name, []).append(span)
    right = {name: [a == s[2] for a, s in zip(given, tests, strict=True)] for name, given in answers.items()}
    matches = {name: sum(hits) / TEST for name, hits in right.items()}
    told = [k for k, s in enumerate(tests) if s[3]]
    pronouns = {name: sum(hits[k] for k in told) / len(told) for name, hits in right.items()}
    exact, few = copy.deepcopy(net).cpu().double(), [t[:8].cpu() for t in (passage, question, spans)]
    random = torch.randn(100, 12, 2, generator=unseen)
    names = [*matches][1:]
    return {
        "exact_match": matches["reader"],
        "rival_match": max(matches[name] for name in names),
        "pronoun_match": pronouns["reader"],
        "rival_pronoun_match": max(pronouns[name] for name in names),
        "reader_gap": reader_gap(exact, *few, 1.0),
        "unmarked_gap": reader_gap(exact, *few, 0.0),
        "slips": slips(random, best_span(random)),
        "apart_slips": slips(random, random.argmax(1)),
    }, {
        "where the answer begins, in %, for the two who are asked about": {
            "kind": "heatmap",
            "values": (100 * shown.softmax(1)[:, : len(SHOWN.split()), 0].mT).round().tolist(),
            "rows": SHOWN.split(),
            "columns": ["lewis", "clark"],
            "x": "what does … do?",
            "y": "story",
        },
    }


# %% what is claimed

TITLE = {"en": "A reader points at the words that answer", "zh": "阅读器在原文中指出答案"}
CURVES = "cross-entropy of start and end"
CPU_SECONDS = 6
CLAIMS = {
    "trained exact_match >= 0.98 > rival_match >= 0.66": {
        "en": "share of answers found word for word in fresh stories; control: the better of the nearest mention and a "
        "logistic regression, which choose among given candidates",
        "zh": "在新故事中一字不差地找出答案的比例；对照：最近提及法与逻辑回归中较好者，它们从给定的候选里挑选",
    },
    "trained pronoun_match >= 0.98 > rival_pronoun_match >= 0.56": {
        "en": 'the same where the fact is told of "he" or "she", whose title stands a sentence or two before; '
        "control: the better of the same rivals on these",
        "zh": "同上，但只看事实用 he 或 she 讲述、称谓在前一两句里的问题；对照：上述两种方法在这些题上的较好成绩",
    },
    "parity reader_gap <= 1e-10 < unmarked_gap": {
        "en": "largest gap to one story after the other, written with F.linear and F.cross_entropy, in loss and "
        "gradients (f64); the control does not mark the question's words",
        "zh": "与用 F.linear 和 F.cross_entropy 逐个故事写成的版本在损失与梯度上的最大差（f64）；对照不标出问题中的词",
    },
    "parity slips <= 0 < apart_slips": {
        "en": "spans that are not the best of all that are allowed, for 100 random scores; the control takes the best "
        "start and the best end apart",
        "zh": "在 100 组随机打分上，所选片段不是所有允许片段中最优的次数；对照分别取最优起点与最优终点",
    },
}
ZH = {
    "cross-entropy of start and end": "起点与终点的交叉熵",
    "reader": "阅读器",
    "where the answer begins, in %, for the two who are asked about": "分别问两个人时，答案从哪个词开始（%）",
    "what does … do?": "what does … do?（问谁的职业）",
    "story": "故事",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
