"""Prompt injection — an assistant that obeys the last order it reads obeys its data; a split of rights holds here.

A model of words, not a language model: the assistant carries out the last order in what it takes for instructions.
Its user asks for a summary; a document holds an attack: an opening ("ignore the above", in one of two wordings), an
order in one of twelve forms, half of them disguised, and perhaps a forged end mark: 48 attacks, all tried. It
understands every form, which is an assumption. Defences: a naive Bayes filter (word counts of attacks against those of
clean documents) that knows one opening and the plain forms, fixed marks around the data, both, and a split of rights:
the part that acts never reads the document (the part without rights, which would, is not modelled). The filter blocks
who quotes that opening since only one in twenty of its clean documents does (at one in four it hardly does). A red team
tries 16 random attacks. The attack's control is a clean document; a table shows what each defence costs in honest work.

Needs:  torch, scikit-learn
Source: K. Greshake et al., Not what you've signed up for, arXiv:2302.12173, 2023 (indirect injection);
        E. Perez et al., Red Teaming Language Models with Language Models, arXiv:2202.03286, 2022;
        L. Beurer-Kellner et al., Design Patterns for Securing LLM Agents against Prompt Injections, 2025 (the split)
"""

import itertools
import math

import torch
from sklearn.naive_bayes import MultinomialNB
from torch import Tensor
from torch.nn import functional as F

LENGTH, DOCUMENTS, TRAINING, TRIES, QUOTING = 30, 40, 100, 16, 0.05
FILLER, OPENINGS, FORMS, FORGED = 100, (100, 101), range(102, 114), (False, True)  # words are numbers
SUMMARIZE, DELEGATE, REQUEST, BEGIN, END, VOCABULARY = range(114, 120)  # two orders of the user, one in a mail

# %% the concept


def prompt(order: int, documents: Tensor) -> Tensor:  # (n, L) -> (n, L + 3)
    return F.pad(F.pad(F.pad(documents, (1, 0), value=BEGIN), (1, 0), value=order), (0, 1), value=END)


def obeyed(words: Tensor, trusted: Tensor) -> Tensor:  # the last order among the words that are trusted: (n,)
    is_order = (words >= FORMS[0]) & (words <= REQUEST) & trusted
    last = (is_order * torch.arange(1, words.shape[1] + 1, device=words.device)).argmax(1)
    return words.gather(1, last[:, None])[:, 0]


def everything(words: Tensor) -> Tensor:  # no line between instruction and data: the whole problem
    return torch.ones_like(words, dtype=torch.bool)


def outside(words: Tensor) -> Tensor:  # marking: what stands between the marks is data
    opened, closed = ((words == mark).int().cumsum(1) for mark in (BEGIN, END))
    return opened <= closed  # a forged end mark makes the rest trusted


def first_word(words: Tensor) -> Tensor:  # the split: the part that acts reads its user's order, and no document
    return torch.arange(words.shape[1], device=words.device).expand_as(words) == 0


class Filter:  # naive Bayes: log P(attack | words) - log P(clean | words)
    def __init__(self) -> None:
        self.counts = torch.zeros(2, VOCABULARY, dtype=torch.float64)
        self.classes = torch.zeros(2, dtype=torch.float64)

    def learn(self, documents: Tensor, is_attack: int) -> None:
        self.counts[is_attack] += documents.flatten().bincount(minlength=VOCABULARY)
        self.classes[is_attack] += len(documents)

    def odds(self, documents: Tensor) -> Tensor:  # (n, L) -> (n,), with add-one smoothing
        rates = (self.counts + 1).log() - (self.counts + 1).sum(1, keepdim=True).log()
        return (rates[1] - rates[0])[documents].sum(1) + (self.classes[1] / self.classes[0]).log()


DEFENCES = {"nothing": everything, "filter": everything, "marks": outside, "both": outside, "split": first_word}


def act(name: str, order: int, documents: Tensor, detector: Filter, device: str) -> Tensor:
    """The order carried out behind a defence, or 0 where the filter stops the document: (n,), on the CPU."""
    words = prompt(order, documents).to(device)
    took = obeyed(words, DEFENCES[name](words)).cpu()
    return took * (detector.odds(documents) <= 0) if name in ("filter", "both") else took


# %% the experiment


def clean(n: int, generator: torch.Generator, quoting: float = 0.0) -> Tensor:
    """Documents without orders, of which some quote the known opening, as a warning does: (n, L)."""
    words = torch.randint(FILLER, (n, LENGTH), generator=generator)
    quotes = torch.rand(n, generator=generator) < quoting
    words[:, 3] = torch.where(quotes, OPENINGS[0], words[:, 3])
    return words


def attacked(documents: Tensor, opening: int, form: int, forged: bool, generator: torch.Generator) -> Tensor:
    """The same with an attack at a random place: an end mark where one is forged, an opening, an order."""
    documents, rows = documents.clone(), torch.arange(len(documents))
    at = torch.randint(LENGTH - 2, (len(documents),), generator=generator)
    documents[rows, at + 1], documents[rows, at + 2] = opening, form
    if forged:
        documents[rows, at] = END
    return documents


def filter_gap(detector: Filter, documents: Tensor, alpha: float) -> float:
    """The filter's log odds against scikit-learn's naive Bayes with the same counts and smoothing."""
    theirs = MultinomialNB(alpha=alpha, fit_prior=True)
    theirs.fit(detector.counts.numpy(), [0, 1])
    theirs.class_log_prior_ = (detector.classes / detector.classes.sum()).log().numpy()
    bags = torch.stack([d.bincount(minlength=VOCABULARY) for d in documents])
    log_odds = theirs.predict_joint_log_proba(bags.numpy())
    return float((detector.odds(documents) - torch.from_numpy(log_odds[:, 1] - log_odds[:, 0])).abs().max())


def run(device="cpu", seed=0, steps=20):
    data, unseen, team = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    detector = Filter()
    for step in range(steps):
        known = FORMS[step % (len(FORMS) // 2)]  # the first six forms are known
        detector.learn(attacked(clean(TRAINING, data), OPENINGS[0], known, False, data), 1)
        detector.learn(clean(TRAINING, data, QUOTING), 0)
        odds = detector.odds(attacked(clean(50, data), OPENINGS[0], FORMS[0], False, data))
        yield (step + 1) / steps, {"known attack": (odds > 0).float().mean().item()}

    found = {name: torch.zeros(2, len(FORMS), 2) for name in DEFENCES}  # by opening, form, forged end
    blocks, half = torch.zeros(2, len(FORMS)), len(FORMS) // 2
    for (i, opening), (j, form), forged in itertools.product(enumerate(OPENINGS), enumerate(FORMS), (False, True)):
        documents = attacked(clean(DOCUMENTS, unseen), opening, form, forged, unseen)
        for name, share in found.items():
            took = act(name, SUMMARIZE, documents, detector, device)
            share[i, j, int(forged)] = (took == form).float().mean()
        blocks[i, j] += (detector.odds(documents) > 0).float().mean() / 2
    plain, quoting, mails = clean(500, unseen), clean(500, unseen, 1.0), clean(500, unseen)
    mails[:, 9] = REQUEST  # the user asks to do what the mail says
    work = ((SUMMARIZE, plain, SUMMARIZE), (SUMMARIZE, quoting, SUMMARIZE), (DELEGATE, mails, REQUEST))
    done = {
        name: [(act(name, order, d, detector, device) == wanted).float().mean().item() for order, d, wanted in work]
        for name in DEFENCES
    }
    open_to = (found["both"] > 0.5).flatten()  # attacks that both together do not stop
    order = torch.rand(20000, len(open_to), generator=team).argsort(1)
    hits = open_to[order[:, :TRIES]].any(1).float().mean().item()
    total, ways = len(open_to), int(open_to.sum())
    exact = 1 - math.comb(total - ways, TRIES) / math.comb(total, TRIES)
    once = open_to[order[:, 0]].float().mean().item()
    kinds = [(i, part) for i in (0, 1) for part in (slice(0, half), slice(half, None))]
    cells = [[100 * found[name][i, part, k].mean().item() for name in DEFENCES] for k in (0, 1) for i, part in kinds]
    titles = [name + end for end in ("", ", forged") for name in ("known", "disguised", "new opening", "both new")]
    return {
        "injected_harm": found["nothing"].min().item(),
        "clean_harm": 1 - done["nothing"][0],
        "split_harm": found["split"].max().item(),
        "best_harm": min(found[name].mean().item() for name in ("filter", "marks", "both")),
        "known_blocked": blocks[0, :half].mean().item(),
        "new_blocked": blocks[1, half:].mean().item(),
        "quoting_blocked": 1 - done["filter"][1],
        "plain_blocked": 1 - done["filter"][0],
        "team_share": hits,
        "once_share": once,
        "team_gap": abs(hits - exact),
        "once_gap": abs(once - exact),
        "filter_gap": filter_gap(detector, plain, 1.0),
        "smoothing_gap": filter_gap(detector, plain, 0.1),
    }, {
        "orders in documents that are obeyed, in %": {
            "kind": "table",
            "columns": ["attack", *DEFENCES],
            "rows": [[name, *(f"{v:.0f}" for v in row)] for name, row in zip(titles, cells, strict=True)],
        },
        "honest work done, in %": {
            "kind": "table",
            "columns": ["defence", "clean", "quotes an opening", "mail to act upon"],
            "rows": [[name, *(f"{100 * share:.0f}" for share in row)] for name, row in done.items()],
        },
    }


# %% what is claimed

TITLE = {"en": "Orders hidden in data are obeyed", "zh": "藏在数据里的指令会被照办"}
CURVES = "known attacks that the filter blocks"
CPU_SECONDS = 1
CLAIMS = {
    "parity injected_harm >= 1 > clean_harm": {
        "en": "orders obeyed, of the attack that is obeyed least, without defence; control: clean documents",
        "zh": "没有防护时指令被照办的比例（取最不易得手的攻击）；对照：干净的文档",
    },
    "parity split_harm <= 0 < best_harm <= 0.3": {
        "en": "orders obeyed, of the attack that is obeyed most, where the part that acts reads no document; control: "
        "mean over all attacks with the filter, fixed marks or both, whichever is best",
        "zh": "负责行动的部分不读文档时指令被照办的比例（取最易得手的攻击）；对照：过滤器、固定标记或两者并用"
        "对所有攻击的均值，取最好者",
    },
    "trained known_blocked >= 0.99 > new_blocked": {
        "en": "attacks that the filter blocks, of the opening and forms that it was trained on, half with a forged end "
        "mark; control: a disguised order with an opening that it has not seen",
        "zh": "过滤器对开场白与形式均见过的攻击（半数另有伪造的结束标记）的拦截率；"
        "对照：换了没见过的开场白、又经伪装的指令",
    },
    "trained quoting_blocked >= 0.98 > plain_blocked": {
        "en": "harmless documents blocked because they quote the known opening, which few clean documents did in "
        "training; control: documents that quote none",
        "zh": "因引用已知开场白而被误拦的无害文档的比例（训练用的干净文档很少引用它）；对照：不引用的文档",
    },
    "trained team_share >= 0.91 > once_share >= 0.11": {
        "en": "red teams of 16 different attacks, at least one of which passes filter and fixed marks; control: one "
        "attack",
        "zh": "红队各试 16 种不同攻击，至少一种突破过滤器加固定标记的比例；对照：只试一种",
    },
    "parity team_gap <= 0.01 < once_gap": {
        "en": "the same share in 20000 simulated teams against the hypergeometric chance; control: one attack",
        "zh": "两万支模拟红队的这一比例与超几何概率的差距；对照：只试一种",
    },
    "parity filter_gap <= 1e-10 < smoothing_gap": {
        "en": "largest gap of the filter's log odds to scikit-learn's naive Bayes (f64); the control smooths less",
        "zh": "过滤器的对数几率与 scikit-learn 朴素贝叶斯的最大差距（f64）；对照的平滑更弱",
    },
}
ZH = {
    "known attacks that the filter blocks": "过滤器拦下的已知攻击",
    "known attack": "已知攻击",
    "orders in documents that are obeyed, in %": "文档中被照办的指令（%）",
    "known": "已知攻击",
    "disguised": "伪装的指令",
    "new opening": "新的开场白",
    "both new": "两者皆新",
    "known, forged": "已知，伪造结束标记",
    "disguised, forged": "伪装，伪造结束标记",
    "new opening, forged": "新开场白，伪造结束标记",
    "both new, forged": "两者皆新，伪造结束标记",
    "nothing": "无防护",
    "filter": "过滤器",
    "marks": "固定标记",
    "both": "两者并用",
    "split": "权限分离",
    "defence": "防护",
    "attack": "攻击",
    "honest work done, in %": "正当工作完成的比例（%）",
    "clean": "干净的文档",
    "quotes an opening": "引用开场白的文档",
    "mail to act upon": "须照办的邮件",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
