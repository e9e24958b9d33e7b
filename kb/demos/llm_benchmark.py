"""Error bars of a benchmark — questions on one text are no independent trials; two models meet the same questions.

A simulation, no language model: each passage is easy or hard, each of its questions as well, and a model likes a
passage or does not, all half and half; the chance of a right answer depends on the three. A score is a mean of rights
and wrongs; its error bar says how far other passages would take it. Counting questions as if each stood alone makes
the bar too short, the more so the more of them share a passage; adding up the errors of each passage first mends
that. To compare two models, take the gap question by question: much of what is hard for both cancels. One control
adds up the two models' squared error bars, by passage as well; another takes the gaps, each question alone, which
would do for equal models if neither liked passages of its own. Where all passages have equally many questions, the
bar is that of a plain mean over the passages' scores: the simplest remedy is the same. Intervals reach 1.96 error
bars to either side; far fewer passages than 100 ask for Student's t. Passages are drawn independently.

Needs:  torch
Source: E. Miller, Adding Error Bars to Evals, arXiv:2411.00640, 2024 (clustered and paired errors); L. Kish, Survey
        Sampling, 1965 (the design effect)
"""

import itertools
import math

import torch
from torch import Tensor

SKILL, LEAD, HARD, LIKES, GUESS, WIDE = 0.8, 0.6, 1.5, 0.8, 0.25, 1.96
PASSAGES, EACH, EXAMS = 100, (1, 2, 4, 7, 10), 200

# %% the concept


def squared_error(score: Tensor, passage: Tensor) -> Tensor:  # (..., n), (n,) -> (...)
    """Of the mean of n scores: G / (G - 1) times the sum over G passages of (sum of s - mean)^2, over n^2."""
    groups, n = int(passage.max()) + 1, len(passage)
    member = (passage[:, None] == torch.arange(groups).to(passage.device)).to(score.dtype)  # (n, G)
    apart = (score - score.mean(-1, keepdim=True)) @ member  # what a passage adds to the error, as a whole
    return groups / (groups - 1) * apart.square().sum(-1) / n**2


def lead(a: Tensor, b: Tensor, passage: Tensor) -> tuple[Tensor, Tensor]:
    """The gap of two models on the same questions, and its squared error: (..., n) twice, (n,) -> (...), (...)."""
    gap = a - b  # question by question
    return gap.mean(-1), squared_error(gap, passage)


def covers(estimate: Tensor, square: Tensor, truth: float) -> Tensor:  # (...), (...) -> (...)
    return (estimate - truth).abs() <= WIDE * square.sqrt()


# %% its control


def alone(score: Tensor) -> Tensor:
    return score.var(-1) / score.shape[-1]  # each question stands alone: the variance over n


def lead_unpaired(a: Tensor, b: Tensor, passage: Tensor) -> tuple[Tensor, Tensor]:
    return a.mean(-1) - b.mean(-1), squared_error(a, passage) + squared_error(b, passage)


def lead_alone(a: Tensor, b: Tensor, _) -> tuple[Tensor, Tensor]:
    return (a - b).mean(-1), alone(a - b)


# %% the experiment


def chance(skill: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Of a right answer: passage not liked or liked, passage easy or hard, question easy or hard: (2, 2, 2)."""
    side = torch.tensor([-1, 1], dtype=dtype)
    return GUESS + (1 - GUESS) * torch.sigmoid(skill + LIKES * side[:, None, None] - HARD * (side[:, None] + side))


def exams(skills: tuple[float, ...], each: int, generator: torch.Generator) -> tuple[list[Tensor], Tensor]:
    """EXAMS exams of PASSAGES passages with so many questions each; per model its rights, (E, n), and passages."""
    passage = torch.arange(PASSAGES).repeat_interleave(each)
    text, *likes = torch.randint(2, (1 + len(skills), EXAMS, PASSAGES), generator=generator)[..., passage]
    question = torch.randint(2, text.shape, generator=generator)
    p = [chance(skill)[liked, text, question] for skill, liked in zip(skills, likes, strict=True)]
    return [(torch.rand(text.shape, generator=generator) < of).float() for of in p], passage


def by_pairs(score: Tensor, passage: Tensor) -> float:
    """The squared error bar by its definition, in loops: over pairs of questions of the same passage."""
    s, p, n = (score - score.mean()).tolist(), passage.tolist(), len(score)
    total = sum(s[i] * s[j] for i in range(n) for j in range(n) if p[i] == p[j])
    return total / n**2 * len(set(p)) / (len(set(p)) - 1)


def expected(passages: int = 3, each: int = 2) -> dict[str, float]:
    """Over all outcomes of a small exam of two models: relative gap of the mean squared error bar to the variance."""
    a, b = chance(SKILL + LEAD, torch.float64)[:, None], chance(SKILL, torch.float64)
    pair = torch.stack([(1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b]).mean(-1).flatten(1)  # (4, 8): passages
    outcomes = torch.tensor(list(itertools.product(range(4), repeat=passages * each)))
    weight = pair[outcomes].unflatten(1, (passages, each)).prod(2).mean(-1).prod(1)  # (outcomes,)
    x, y = (outcomes // 2).double(), (outcomes % 2).double()
    passage = torch.arange(passages).repeat_interleave(each)

    def off(estimate: Tensor, square: Tensor) -> float:
        variance = weight @ estimate.square() - (weight @ estimate) ** 2
        return abs((weight @ square / variance).item() - 1)

    rivals = off(x.mean(1), alone(x)), off(*lead_alone(x, y, passage)), off(*lead_unpaired(x, y, passage))
    ours = off(x.mean(1), squared_error(x, passage)), off(*lead(x, y, passage))
    return {"expected_gap": max(ours), "rival_expected_gap": min(rivals)}


def design_effect(each: int) -> float:
    """1 + (m - 1) r, r the correlation of two questions on one passage: so many times as long is the squared bar."""
    p = chance(SKILL).mean(-1)  # (2, 2): by the passage
    return 1 + (each - 1) * (p.var(correction=0) / (p.mean() * (1 - p.mean()))).item()


def pair_gaps(generator: torch.Generator) -> tuple[float, float]:
    """Relative gap to the loops over pairs, for passages of unequal size; and where each question stands alone."""
    passage = torch.randint(4, (30,), generator=generator).sort().values
    score = (torch.rand(30, generator=generator) + 4 * torch.rand(4, generator=generator)[passage]).double()
    ours, others = squared_error(score, passage).item(), alone(score).item()
    return abs(ours / by_pairs(score, passage) - 1), abs(others / by_pairs(score, passage) - 1)


def run(device="cpu", seed=0, steps=80):
    single, pairs, checks = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    truth, share = chance(SKILL).mean().item(), {}
    found: dict[str, list[list[Tensor]]] = {name: [[] for _ in EACH] for name in ("by passage", "each alone")}
    rules = {"paired": (lead, 0), "unpaired": (lead_unpaired, 0), "equal": (lead, 2), "equal, alone": (lead_alone, 2)}
    seen: dict[str, list[Tensor]] = {name: [] for name in rules}
    bars = {name: torch.zeros(len(EACH), dtype=torch.float64) for name in found}
    for step in range(steps):
        for k, each in enumerate(EACH):
            (x,), passage = exams((SKILL,), each, single)
            x, passage = x.to(device), passage.to(device)
            for name, square in (("by passage", squared_error(x, passage)), ("each alone", alone(x))):
                found[name][k].append(covers(x.mean(1), square, truth).cpu())
                bars[name][k] += square.cpu().double().mean()
        rights, passage = exams((SKILL + LEAD, SKILL, SKILL), EACH[-1], pairs)
        models, passage = [t.to(device) for t in rights], passage.to(device)
        for name, (rule, other) in rules.items():
            seen[name].append(~covers(*rule(models[other], models[1], passage), 0).cpu())
        share = {name: [torch.cat(t).double().mean().item() for t in lists] for name, lists in found.items()}
        yield (step + 1) / steps, {name: lists[-1] for name, lists in share.items()}

    spotted = {name: torch.cat(t).double().mean().item() for name, t in seen.items()}
    ratio, effect = (bars["by passage"] / bars["each alone"]).tolist(), [design_effect(each) for each in EACH]
    formula = [math.erf(WIDE / math.sqrt(2 * times)) for times in effect]  # bars too short by the root
    known = {"each alone, closed form": formula, "promised": [0.95] * len(EACH)}
    gap, alone_gap = pair_gaps(checks)
    return expected() | {
        "coverage_miss": abs(share["by passage"][-1] - 0.95),
        "alone_coverage_miss": abs(share["each alone"][-1] - 0.95),
        "effect_miss": max(abs(a / b - 1) for a, b in zip(ratio, effect, strict=True)),
        "independent_miss": max(abs(a - 1) for a in ratio),
        "leads_seen": spotted["paired"],
        "unpaired_leads_seen": spotted["unpaired"],
        "false_alarm_miss": abs(spotted["equal"] - 0.05),
        "alone_alarm_excess": spotted["equal, alone"] - 0.05,
        "pairs_gap": gap,
        "alone_pairs_gap": alone_gap,
    }, {
        "how often a 95 % interval holds the true score": {
            "kind": "lines",
            "series": {name: (list(EACH), line) for name, line in (share | known).items()},
            "x": "questions per passage",
            "y": "coverage",
        },
    }


# %% what is claimed

TITLE = {"en": "Error bars of a benchmark", "zh": "基准测试的误差棒"}
CURVES = "coverage of a 95 % interval so far"
CPU_SECONDS = 2
CLAIMS = {
    "trained coverage_miss <= 0.012 < alone_coverage_miss": {
        "en": "gap to 0.95 of the share of exams, ten questions a passage, whose interval holds the true score, "
        "errors added up by passage; control: each question alone",
        "zh": "每篇 10 题的考试中，区间包含真实分数的比例与 0.95 的差距，误差按篇章汇总；对照：把每题当作独立",
    },
    "trained effect_miss <= 0.01 < independent_miss": {
        "en": "for 1/2/4/7/10 questions a passage, largest relative gap of the squared error bar, by passage over each "
        "question alone, to the design effect 1 + (m - 1) r; control: to 1",
        "zh": "每篇 1/2/4/7/10 题时，误差棒平方之比（按篇章汇总除以每题独立）与设计效应 1 + (m - 1) r 的最大相对差距；"
        "对照：与 1 的差距",
    },
    "trained leads_seen >= 0.78 > unpaired_leads_seen >= 0.4": {
        "en": "share of exams of 1,000 questions whose interval around the better model's lead excludes 0, the gap "
        "taken question by question; control: the two squared error bars added up, by passage as well",
        "zh": "1,000 题的考试中，较强模型领先幅度的区间不含 0 的比例，逐题相减；"
        "对照：两者误差棒的平方相加，同样按篇章汇总",
    },
    "trained false_alarm_miss <= 0.012 < alone_alarm_excess": {
        "en": "gap to 0.05 of that share for equally good models; control: its excess, each question's gap alone",
        "zh": "两个模型同样好时，这一比例与 0.05 的差距；对照：把每题的差值当作独立时，比 0.05 多出的部分",
    },
    "parity expected_gap <= 1e-10 < rival_expected_gap": {
        "en": "over all outcomes of an exam of three passages of two questions, relative gap of the mean squared error "
        "bar to the variance, of score and lead (f64); control: each question alone or bars added up, the least",
        "zh": "三篇、每篇两题的考试的全部结果上，误差棒平方的均值与方差的相对差距，分数与领先幅度取较大者（f64）；"
        "对照：把每题当作独立，或误差棒平方相加，取最小者",
    },
    "parity pairs_gap <= 1e-10 < alone_pairs_gap": {
        "en": "relative gap of the squared error bar to its definition, in loops over the pairs of questions that "
        "share a passage, for passages of unequal size (f64); control: each question alone",
        "zh": "各篇题数不等时，误差棒的平方与其定义（对同篇的题目对循环求和）的相对差距（f64）；对照：把每题当作独立",
    },
}
ZH = {
    "coverage of a 95 % interval so far": "到目前为止 95% 区间的覆盖率",
    "by passage": "按篇章汇总",
    "each alone": "每题独立",
    "each alone, closed form": "每题独立，闭式解",
    "promised": "承诺的覆盖率",
    "how often a 95 % interval holds the true score": "95% 区间包含真实分数的频率",
    "questions per passage": "每篇题数",
    "coverage": "覆盖率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
