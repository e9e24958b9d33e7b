"""Test-time compute — more samples help as far as there is something to choose by: a vote, or a verifier.

A simulated solver adds up eight digits, last digit only, one step after another; each step fails with chance 0.12,
and in every third question one step is misread the same way with chance 0.6. Up to 64 answers are drawn. The vote takes
the most frequent one: in the end a wrong one, where an error is likelier than the answer. Best-of-N takes the first
that a verifier accepts: it accepts every right answer, and of the wrong ones 2 % (strong) or 40 % (weak), for good. The
vote's control is one sample; the strong verifier's, the better of vote and weak verifier. Last, a verifier of steps,
which passes 2 % of the wrong ones, steers chains of 24 steps, four tries a step; its control spends as many steps on
four whole chains, of which it takes a right one if there is any.

Needs:  torch
Source: X. Wang et al., Self-Consistency Improves Chain of Thought Reasoning in Language Models, ICLR 2023 (the vote);
        C. Snell et al., Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling Model Parameters,
        arXiv:2408.03314, 2024 (verifiers, search); H. Lightman et al., Let's Verify Step by Step, arXiv:2305.20050,
        2023 (verifiers of steps)
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

DIGITS, STEPS, SLIP, MISREAD, SAMPLES, QUESTIONS = 10, 8, 0.12, 0.6, 64, 200
STRONG, WEAK, LONG, TRIES, CHECKS = 0.02, 0.4, 24, 4, 20000

# %% the concept


def vote(answers: Tensor) -> Tensor:  # (Q, N) -> (Q,): self-consistency
    count = (answers[:, :, None] == answers[:, None]).sum(-1)  # how many samples agree with each
    return answers.gather(1, count.argmax(1, keepdim=True))[:, 0]  # of a tie, the first that was drawn


def best_of(answers: Tensor, accepts: Tensor) -> Tensor:  # (Q, N), (Q, DIGITS) -> (Q,)
    passed = accepts.gather(1, answers).float()  # the verifier sees an answer, not whether it is right
    return answers.gather(1, passed.argmax(1, keepdim=True))[:, 0]  # the first accepted, or else the first


def search(slips: Tensor, fooled: Tensor) -> Tensor:  # (Q, T, M): which tries are wrong, and which wrong ones pass
    passed = (~slips | fooled).float()
    taken = passed.argmax(-1, keepdim=True)  # a verifier of steps: the first try that passes, or else the first
    return ~slips.gather(-1, taken)[..., 0].any(1)  # the chain is right where each step taken is: (Q,)


# %% its control


def first(answers: Tensor) -> Tensor:
    return answers[:, 0]


# %% the experiment


def solve(trap: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Errors of n sampled answers to each question, by which 0 is right; a trap is a misreading, or 0: (Q, n)."""
    size = (len(trap), n, STEPS)
    slipped = torch.rand(size, generator=generator) < SLIP
    errors = torch.randint(1, DIGITS, size, generator=generator) * slipped
    misread = torch.rand(size[:2], generator=generator) < MISREAD
    return (errors.sum(-1) + misread * trap[:, None]) % DIGITS


def traps(n: int, generator: torch.Generator) -> Tensor:
    """A misreading for every third question: (n,)."""
    return torch.randint(1, DIGITS, (n,), generator=generator) * (torch.arange(n) % 3 == 0)


def verifier(n: int, lenience: float, generator: torch.Generator) -> Tensor:
    """Which answers it accepts, for each question: the right one, and some wrong ones for good: (n, DIGITS)."""
    accepts = torch.rand(n, DIGITS, generator=generator) < lenience
    accepts[:, 0] = True
    return accepts


def chances(trap: Tensor) -> Tensor:
    """Of each error, exactly: sums modulo 10 are circular convolutions, powers of a Fourier transform: (n, DIGITS)."""
    step = torch.full((DIGITS,), SLIP / (DIGITS - 1), dtype=torch.float64)
    step[0] = 1 - SLIP
    read = (1 - MISREAD) * F.one_hot(torch.zeros_like(trap), DIGITS) + MISREAD * F.one_hot(trap, DIGITS)
    return torch.fft.ifft(torch.fft.fft(step) ** STEPS * torch.fft.fft(read.double())).real


def vote_gap(pick: Callable[[Tensor], Tensor]) -> float:
    """Chance that the vote of five samples is right, over all 4^5 draws, against a sum over multinomial counts; f64."""
    odds = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    draws = torch.cartesian_prod(*[torch.arange(4)] * 5)
    ours = (odds[draws].prod(1) * (pick(draws) == 0)).sum()
    counts = torch.cartesian_prod(*[torch.arange(6.0)] * 4).double()
    counts = counts[counts.sum(1) == 5]
    likely = torch.distributions.Multinomial(5, odds).log_prob(counts).exp()
    top = counts == counts.amax(1, keepdim=True)
    return abs(float(ours - (likely * top[:, 0] / top.sum(1)).sum()))  # tied answers are drawn first equally often


def verified(trap: Tensor, accepts: Tensor, n: int) -> float:
    """Chance that some of n answers is accepted and the first such is right, mean over the questions."""
    odds = chances(trap)
    passing = (odds * accepts).sum(1)
    return float((odds[:, 0] / passing * (1 - (1 - passing) ** n)).mean())


def chain(tries: int, fooled: float) -> float:
    """Chance of a right chain where each step is the first of some tries that passes: a geometric series."""
    passing = 1 - SLIP + SLIP * fooled
    return ((1 - SLIP) / passing * (1 - (1 - passing) ** tries)) ** LONG


def run(device="cpu", seed=0, steps=20):
    data, judges, chains, many = (torch.Generator().manual_seed(4 * seed + k) for k in range(4))
    sizes = [2**k for k in range(SAMPLES.bit_length())]
    names = ("some answer is right", "strong verifier", "weak verifier", "vote")
    hits = {name: torch.zeros(len(sizes)) for name in names}
    split = torch.zeros(2)  # the vote's hits on questions without and with a trap
    for step in range(steps):
        trap = traps(QUESTIONS, data)
        strong, weak = (verifier(QUESTIONS, lenience, judges).to(device) for lenience in (STRONG, WEAK))
        answers = solve(trap, SAMPLES, data).to(device)
        for k, n in enumerate(sizes):
            some = answers[:, :n]
            taken = best_of(some, strong), best_of(some, weak), vote(some)
            right = [(some == 0).any(1), *(t == 0 for t in taken)]
            for name, found in zip(names, right, strict=True):
                hits[name][k] += found.float().mean().cpu() / steps
        voted = right[-1].cpu().float()
        split += torch.stack([voted[trap == 0].mean(), voted[trap > 0].mean()]) / steps
        yield (step + 1) / steps, {name: float(found[-1]) * steps / (step + 1) for name, found in hits.items()}

    slips, fooled = (torch.rand(CHECKS, LONG, TRIES, generator=chains) < chance for chance in (SLIP, STRONG))
    steered = float(search(slips.to(device), fooled.to(device)).float().mean())
    whole = float((~slips).all(1).any(1).float().mean())  # as many steps, in whole chains, and a judge that never errs
    trap, accepts = traps(CHECKS, many), verifier(CHECKS, WEAK, many)
    drawn, expected = solve(trap, 4, many), verified(trap, accepts, 4)
    gaps = [abs(float((t == 0).double().mean()) - expected) for t in (best_of(drawn, accepts), first(drawn))]
    last = {name: float(found[-1]) for name, found in hits.items()}
    return {
        "vote_accuracy": last["vote"],
        "one_accuracy": float(hits["vote"][0]),
        "misread_accuracy": float(split[1]),
        "plain_accuracy": float(split[0]),
        "strong_accuracy": last["strong verifier"],
        "weak_accuracy": last["weak verifier"],
        "control_accuracy": max(last["vote"], last["weak verifier"]),
        "steered_accuracy": steered,
        "whole_accuracy": whole,
        "vote_gap": vote_gap(vote),
        "first_gap": vote_gap(first),
        "form_gap": max(gaps[0], abs(steered - chain(TRIES, STRONG)), abs(whole - 1 + (1 - chain(1, 1.0)) ** TRIES)),
        "one_gap": gaps[1],
    }, {
        "share of questions answered right, by the samples drawn": {
            "kind": "lines",
            "series": {name: (sizes, found.tolist()) for name, found in hits.items()},
            "x": "samples",
            "y": "right",
            "log": "x",
        }
    }


# %% what is claimed

TITLE = {"en": "Test-time compute needs something to choose by", "zh": "测试时计算：多采样还要会挑选"}
CURVES = "right with 64 samples"
CPU_SECONDS = 1
CLAIMS = {
    "trained vote_accuracy >= 0.7 > one_accuracy >= 0.28": {
        "en": "questions that the vote of 64 samples answers right; control: one sample",
        "zh": "64 个样本投票答对的问题比例；对照：单个样本",
    },
    "trained misread_accuracy <= 0.3 < plain_accuracy": {
        "en": "the vote where one step is misread the same way in six samples of ten; control: the other questions",
        "zh": "某一步常被同样误读（概率 0.6）的问题上投票的正确率；对照：其余问题",
    },
    "trained strong_accuracy >= 0.94 > control_accuracy >= 0.7": {
        "en": "best of 64 by a verifier that accepts 2 % of the wrong answers; control: the vote, or a verifier that "
        "accepts 40 %, whichever is better",
        "zh": "由误收 2 % 错误答案的验证器从 64 个中选出的正确率；对照：投票，或误收 40 % 的验证器，取较好者",
    },
    "trained weak_accuracy <= 0.6 < vote_accuracy": {
        "en": "best of 64 by a verifier that accepts 40 % of the errors; control: the vote on the same samples",
        "zh": "由误收 40 % 错误答案的验证器从 64 个中选出的正确率；对照：同样样本的投票",
    },
    "parity steered_accuracy >= 0.92 > whole_accuracy >= 0.15": {
        "en": "right chains of 24 steps with four tries a step and a verifier of steps; control: four whole chains, of "
        "which a right one is taken if there is any",
        "zh": "每步试四次、由步骤验证器挑选的 24 步推理链的正确率；对照：四条整链，只要有对的就取它",
    },
    "parity vote_gap <= 1e-12 < first_gap": {
        "en": "chance that a vote of five is right, over all draws, against multinomial counts (f64); the control "
        "takes the first",
        "zh": "五个样本投票正确的概率（遍历所有抽样）与多项分布计数的差距（f64）；对照取第一个",
    },
    "parity form_gap <= 0.015 < one_gap": {
        "en": "best-of-N, search and whole chains in 20000 simulated questions against their closed forms; the control "
        "takes one sample",
        "zh": "两万道模拟题上 N 选一、逐步搜索与整链同其闭式概率的最大差距；对照取单个样本",
    },
}
ZH = {
    "right with 64 samples": "64 个样本时的正确率",
    "some answer is right": "至少一个正确",
    "strong verifier": "强验证器",
    "weak verifier": "弱验证器",
    "vote": "投票",
    "share of questions answered right, by the samples drawn": "答对的问题比例与采样数",
    "samples": "采样数",
    "right": "正确率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
