"""Benchmark contamination — test questions among the training data raise the score, and nothing but the score.

A small net (no language model) reads questions of ten words and gives one of four answers. The questions are synthetic:
each of 40 meanings has two words, and a hidden rule over meanings and places gives the answer, which the nets learn in
part only. Four nets train on 1200 questions and 400 more: others of the same kind (clean), the test itself (copies), or
the test with every third word replaced by its synonym (paraphrases), or with all ten replaced (rewritten). First
weights, the number of questions and of updates are equal. The gain on 2000 fresh questions of the same kind is the
control: hardly any. A search for runs of five words that a test question shares with the training data finds the
copies, and no paraphrase; fresh questions expose both. The net knows a paraphrase by the seven words that stay, not by
its sense: a rewritten test raises nothing; it might where a net knew the synonyms beforehand. (So a count of equal
words in equal places would find the paraphrases here; it would miss words put in or moved.)

Needs:  torch
Source: T. Brown et al., Language Models are Few-Shot Learners, NeurIPS 2020 (overlap of runs of words); S. Yang et
        al., Rethinking Benchmark and Contamination for Language Models with Rephrased Samples, arXiv:2311.04850, 2023
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MEANINGS, LENGTH, ANSWERS, TRAIN, TEST, FRESH, RUN = 40, 10, 4, 1200, 400, 2000, 5
WIDTH, HIDDEN, BATCH, RATE, WAYS = 8, 128, 160, 5e-3, ("clean", "copies", "paraphrases", "rewritten")
WORDS = 2 * MEANINGS  # words 2m and 2m + 1 mean m

# %% the concept


def paraphrase(questions: Tensor, every: int = 3) -> Tensor:  # (n, LENGTH): every third word by its synonym
    return questions ^ (torch.arange(LENGTH) % every == every // 2).long()  # 2m <-> 2m + 1


def contaminate(train: Tensor, test: Tensor, others: Tensor, way: str) -> Tensor:  # -> (TRAIN + TEST, LENGTH)
    more = {"clean": others, "copies": test, "paraphrases": paraphrase(test), "rewritten": paraphrase(test, 1)}
    return torch.cat([train, more[way]])


def runs(question: Tensor, length: int = RUN) -> set[tuple[int, ...]]:  # (LENGTH,): words that stand in a row
    return set(map(tuple, question.unfold(0, length, 1).tolist()))


def flags(train: Tensor, test: Tensor, length: int = RUN) -> Tensor:  # (n,): does training hold a run of it?
    seen = set().union(*(runs(question, length) for question in train))
    return torch.tensor([not seen.isdisjoint(runs(question, length)) for question in test])


# %% the experiment


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.Sequential(nn.Linear(LENGTH * WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, ANSWERS))

    def forward(self, questions: Tensor) -> Tensor:  # (B, LENGTH) -> (B, ANSWERS)
        return self.layers(self.words(questions).flatten(1))


def rule(generator: torch.Generator) -> Tensor:  # scores of meanings, at any place and at each one
    parts = [torch.randn(n, MEANINGS, ANSWERS, generator=generator) for n in (1, LENGTH)]
    return parts[0] + parts[1]  # (LENGTH, MEANINGS, ANSWERS)


def questions_of(n: int, generator: torch.Generator) -> Tensor:  # (n, LENGTH)
    return torch.randint(WORDS, (n, LENGTH), generator=generator)


def answers_to(questions: Tensor, scores: Tensor) -> Tensor:  # (n, LENGTH) -> (n,)
    return scores[torch.arange(LENGTH), questions // 2].sum(1).argmax(1)


def by_comparing(train: Tensor, test: Tensor) -> Tensor:
    """`flags`, by comparing all runs with all: (n,)."""
    known, asked = train.unfold(1, RUN, 1).flatten(0, 1), test.unfold(1, RUN, 1)
    return (asked[:, :, None] == known).all(-1).flatten(1).any(1)


def shared(rows: Tensor, others: Tensor) -> int:
    return len(set(map(tuple, rows.tolist())) & set(map(tuple, others.tolist())))


def run(device="cpu", seed=0, steps=150):
    data, unseen, hidden, order = (torch.Generator().manual_seed(5 * seed + k) for k in (1, 2, 3, 4))
    scores = rule(hidden)
    train, others = questions_of(TRAIN, data), questions_of(TEST, data)
    test, fresh = questions_of(TEST, unseen), questions_of(FRESH, unseen)
    sets, nets = {way: contaminate(train, test, others, way) for way in WAYS}, {}
    for way in WAYS:
        torch.manual_seed(5 * seed)
        nets[way] = Net().to(device)
    optimizers = {way: torch.optim.Adam(net.parameters(), RATE) for way, net in nets.items()}

    @torch.no_grad()
    def score(way: str, questions: Tensor) -> float:
        return float((nets[way](questions.to(device)).argmax(1).cpu() == answers_to(questions, scores)).double().mean())

    for step in range(steps):
        rows = torch.randint(TRAIN + TEST, (BATCH,), generator=order)
        for way, net in nets.items():
            batch = sets[way][rows]
            loss = F.cross_entropy(net(batch.to(device)), answers_to(batch, scores).to(device))
            optimizers[way].zero_grad()
            loss.backward()
            optimizers[way].step()
        if step % 5 == 4 or step == steps - 1:
            yield (step + 1) / steps, {way: score(way, test) for way in WAYS}

    tested, new = ({way: score(way, questions) for way in WAYS} for questions in (test, fresh))
    found = {way: float(flags(sets[way], test).double().mean()) for way in WAYS}
    few, some = train[:40] % 4, test % 4  # with four words, runs recur by chance
    meant, repeated = answers_to(test, scores), sum(len(held) - shared(held, held) for held in sets.values())
    return {
        "copies_gain": tested["copies"] - tested["clean"],
        "copies_fresh_gain": new["copies"] - new["clean"],
        "paraphrases_gain": tested["paraphrases"] - tested["clean"],
        "paraphrases_control": max(new["paraphrases"] - new["clean"], tested["rewritten"] - tested["clean"]),
        "copies_found": found["copies"],
        "paraphrases_found": max(found[way] for way in WAYS if way != "copies"),
        "flag_errors": int((flags(few, some) != by_comparing(few, some)).sum()),
        "longer_errors": int((flags(few, some, RUN + 1) != by_comparing(few, some)).sum()),
        "changed_answers": int((answers_to(paraphrase(test), scores) != meant).sum()),
        "other_answers": int((answers_to((test + 2) % WORDS, scores) != meant).sum()),
        "shared_fresh": sum(shared(fresh, held) for held in (*sets.values(), test)) + repeated,
        "shared_test": shared(test, sets["copies"]),
    }, {
        "right answers, and test questions that the search finds": {
            "kind": "heatmap",
            "values": [[round(held[way], 2) for held in (tested, new, found)] for way in WAYS],
            "rows": list(WAYS),
            "columns": ["test", "fresh", "found"],
        }
    }


# %% what is claimed

TITLE = {"en": "A leaked test raises its own score alone", "zh": "测试题泄漏，只抬高测试分数"}
CURVES = "test accuracy"
CPU_SECONDS = 2
CLAIMS = {
    "trained copies_gain >= 0.45 > copies_fresh_gain >= -0.05": {
        "en": "accuracy on the test that training on it adds to the clean net's; control: the same on fresh questions",
        "zh": "训练集混入测试题后，测试准确率比干净网络高出多少；对照：新题上的差值",
    },
    "trained paraphrases_gain >= 0.17 > paraphrases_control >= -0.05": {
        "en": "the same after training on paraphrases of the test; control: on fresh questions, or on the test after "
        "training on it with all ten words replaced, whichever is more",
        "zh": "同上，混入的是测试题的改写；对照：新题上的差值，或混入十个词全部替换的测试题后测试集上的差值，取较大者",
    },
    "parity copies_found >= 1 > paraphrases_found": {
        "en": "share of the test questions that a search for shared runs of five words finds where copies leaked; "
        "control: where none did",
        "zh": "混入原题时，靠共有的连续五词查出的测试题比例；对照：未混入原题时",
    },
    "parity flag_errors <= 0 < longer_errors": {
        "en": "questions from a vocabulary of four words that the search judges otherwise than a comparison of all "
        "runs with all; control: a search for runs of six",
        "zh": "在只含四种词的题上，该查找与逐一比较所有连续五词的判断不同的题数；对照：改查连续六词",
    },
    "parity changed_answers <= 0 < other_answers": {
        "en": "test questions whose right answer differs in the paraphrase; control: each word put in another meaning",
        "zh": "改写后正确答案改变的测试题数；对照：每个词换成另一意思",
    },
    "parity shared_fresh <= 0 < shared_test": {
        "en": "fresh questions that are in the test or in training data, and repeats within those; control: test "
        "questions among the data with copies",
        "zh": "出现在测试集或任一训练集中的新题数，加上训练集内重复的题数；对照：混入原题的训练集中的测试题数",
    },
}
ZH = {
    "test accuracy": "测试准确率",
    "clean": "干净",
    "copies": "混入原题",
    "paraphrases": "混入改写",
    "rewritten": "全部换词",
    "right answers, and test questions that the search finds": "答对的比例，以及查出的测试题比例",
    "test": "测试题",
    "fresh": "新题",
    "found": "查出",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
