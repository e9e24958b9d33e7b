"""Code generation — programs are judged by running them, not by their text; pass@k asks whether k tries are enough.

A task is three examples, a list of four digits and what a program makes of each; asked for is such a program, three
operations out of eight. A network draws programs, operation by operation. Run as it is written, it sees at each step
what the lists have become; its control, as large and trained alike, sees the first lists and the operations before.
Neither other rates (3e-3, 2e-2) nor four times the steps helped the control much; given the last operation wherever
one leads to the goal, it makes up much of what it lacks (drawn). Right is what passes 20 tests, other lists. Comparing
texts takes many right programs for wrong; running on the three examples misjudges fewer, but some. pass@k: at least
one of k programs is right; of n draws, c right, the plain estimate 1 - (1 - c/n)^k is too low on average for k > 1.
No program in training does on 40 lists what one asked for does. Trying all 512 would solve each task.

Needs:  torch
Source: M. Chen et al., Evaluating Large Language Models Trained on Code, arXiv:2107.03374, 2021 (pass@k, unbiased);
        X. Chen, C. Liu, D. Song, Execution-Guided Neural Program Synthesis, ICLR 2019
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LENGTH, WIDTH, SEEN, HIDDEN, BATCH, DRAWS, REPEATS, TESTS = 3, 4, 3, 128, 128, 20, 4, 20

# %% the concept

OPERATIONS = (  # in plain Python, for one list; and for many at once
    (lambda x: x[::-1], lambda x: x.flip(-1)),
    (sorted, lambda x: x.sort(-1).values),
    (lambda x: x[-1:] + x[:-1], lambda x: x.roll(1, -1)),
    (lambda x: [(v + 1) % 10 for v in x], lambda x: (x + 1) % 10),
    (lambda x: [2 * v % 10 for v in x], lambda x: 2 * x % 10),
    (lambda x: [9 - v for v in x], lambda x: 9 - x),
    (lambda x: [sum(x[: i + 1]) % 10 for i in range(WIDTH)], lambda x: x.cumsum(-1) % 10),
    (lambda x: [(v + w) % 10 for v, w in zip(x, x[::-1], strict=True)], lambda x: (x + x.flip(-1)) % 10),
)


def execute(programs: Tensor, lists: Tensor) -> Tensor:  # (B, T), (B, E, W) -> (B, T + 1, E, W)
    """What the lists are at first and after each operation."""
    trace = [lists]
    for chosen in programs.unbind(1):
        each = torch.stack([operation(trace[-1]) for _, operation in OPERATIONS], 1)
        trace.append(each[torch.arange(len(each)).to(each.device), chosen])
    return torch.stack(trace, 1)


def pass_at(k: int, right: Tensor, n: int) -> Tensor:
    """Of n draws, c right: the share of the choices of k with a right one, 1 - C(n - c, k) / C(n, k)."""
    wrong = n - right[..., None] - torch.arange(k).to(right.device)  # n - c, n - c - 1, ...: 0 is one, if too few
    return 1 - (wrong.double() / (n - torch.arange(k).to(right.device))).prod(-1)


class Coder(nn.Module):
    """Logits of the next operation, from examples (now, wanted) and the operations before; a mean over examples."""

    def __init__(self) -> None:
        super().__init__()
        first, last = nn.Linear(20 * WIDTH + LENGTH * len(OPERATIONS), HIDDEN), nn.Linear(HIDDEN, len(OPERATIONS))
        self.net = nn.Sequential(first, nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), last)

    def forward(self, now: Tensor, wanted: Tensor, written: Tensor) -> Tensor:  # (B, E, W) twice, (B, T) -> (B, ops)
        before = (written[..., None] == torch.arange(len(OPERATIONS)).to(written.device)).flatten(1)  # -1: not yet
        lists = F.one_hot(torch.cat([now, wanted], -1), 10).flatten(-2)
        return self.net(torch.cat([lists, before[:, None].expand(-1, now.shape[1], -1)], -1).float()).mean(1)


def draw(coder: Coder, lists: Tensor, wanted: Tensor, generator: torch.Generator, guided: bool = True) -> Tensor:
    """One program for each task: (B, E, W) twice -> (B, LENGTH)."""
    written, now = torch.full((len(lists), LENGTH), -1).to(lists.device), lists
    for t in range(LENGTH):
        p = coder(now if guided else lists, wanted, written).softmax(1)
        chosen = torch.multinomial(p.cpu(), 1, generator=generator).to(lists.device)
        written, now = torch.cat([written[:, :t], chosen, written[:, t + 1 :]], 1), execute(chosen, now)[:, -1]
    return written


# %% its control


def plug_in(k: int, right: Tensor, n: int) -> Tensor:
    return 1 - (1 - right.double() / n) ** k


# %% the experiment


def loss_of(coder: Coder, programs: Tensor, trace: Tensor, guided: bool = True) -> Tensor:
    """Mean cross-entropy of the operations of given programs, whose lists are `trace`."""
    now = trace[:, :-1] if guided else trace[:, :1].expand(-1, LENGTH, -1, -1)
    later = torch.ones(LENGTH, LENGTH).triu().long().to(now.device)
    written = programs[:, None].expand(-1, LENGTH, -1).tril(-1) - later  # (B, T, T): -1 where nothing is written yet
    z = coder(now.flatten(0, 1), trace[:, -1:].expand_as(now).flatten(0, 1), written.flatten(0, 1))
    return F.cross_entropy(z, programs.flatten())


def agree(drawn: Tensor, target: Tensor, lists: Tensor) -> Tensor:  # (B, T) twice, (B, E, W) -> (B, E)
    return (execute(drawn, lists)[:, -1] == execute(target, lists)[:, -1]).all(-1)


def bias(estimate, n: int = 10) -> float:
    """Largest gap of an estimate's mean over all counts of n draws to 1 - (1 - p)^k, for several p and k."""
    c, gaps = torch.arange(n + 1), []
    for p, k in itertools.product((0.05, 0.3, 0.8), (1, 2, 5, 10)):
        odds = torch.tensor([math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(n + 1)], dtype=torch.float64)
        gaps.append(abs((odds @ estimate(k, c, n)).item() - (1 - (1 - p) ** k)))
    return max(gaps)


def differing(programs: Tensor, lists: Tensor) -> int:
    """Of all programs in order, how many make another list than plain Python does: (P, T), (P, W)."""
    made, x = execute(programs, lists[:, None])[:, -1, 0].tolist(), lists.tolist()
    for i, steps in enumerate(itertools.product(OPERATIONS, repeat=LENGTH)):
        for plain, _ in steps:
            x[i] = plain(x[i])
    return sum(ours != theirs for ours, theirs in zip(made, x, strict=True))


def run(device="cpu", seed=0, steps=400):
    torch.manual_seed(5 * seed)  # weights; tasks, training, tests and draws have streams of their own
    tasks, training, testing, dice = (torch.Generator().manual_seed(5 * seed + k) for k in (1, 2, 3, 4))
    programs = torch.cartesian_prod(*[torch.arange(len(OPERATIONS))] * LENGTH)
    probes = torch.randint(10, (1, 40, WIDTH), generator=tasks).expand(len(programs), -1, -1)
    does = execute(programs, probes)[:, -1].flatten(1).unique(dim=0, return_inverse=True)[1]  # equal: made the same
    fresh = torch.isin(does, torch.randperm(int(does.max()) + 1, generator=tasks)[: int(does.max()) // 4])
    known = (~fresh).nonzero()[:, 0]  # the programs of training
    asked = torch.stack([(does == one).nonzero()[0, 0] for one in does[fresh].unique()])
    coders = nn.ModuleDict({name: Coder() for name in ("run as written", "not run")}).to(device)
    adam = torch.optim.Adam(coders.parameters(), 1e-2)
    decay = torch.optim.lr_scheduler.LinearLR(adam, 1, 0, steps)
    for step in range(steps):
        batch = programs[known[torch.randint(len(known), (BATCH,), generator=training)]].to(device)
        trace = execute(batch, torch.randint(10, (BATCH, SEEN, WIDTH), generator=training).to(device))
        losses = {name: loss_of(coder, batch, trace, name != "not run") for name, coder in coders.items()}
        adam.zero_grad()
        sum(losses.values()).backward()  # no weight is shared
        adam.step()
        decay.step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    target, n = programs[asked].repeat_interleave(REPEATS * DRAWS, 0).to(device), len(asked) * REPEATS
    pairs = (torch.randint(10, (n, e, WIDTH), generator=testing) for e in (SEEN, TESTS))
    lists, tests = (t.repeat_interleave(DRAWS, 0).to(device) for t in pairs)
    with torch.no_grad():
        wanted = execute(target, lists)[:, -1]
        drawn = {name: draw(coder, lists, wanted, dice, name != "not run") for name, coder in coders.items()}
    right = {name: agree(of, target, tests).all(1) for name, of in drawn.items()}
    best, correct = drawn["run as written"], right["run as written"]
    right["run as written, judged by text"] = same = (best == target).all(1)
    ends = [torch.cat([drawn["not run"][:, :-1], torch.full_like(target[:, :1], k)], 1) for k in range(len(OPERATIONS))]
    right["not run, last operation given"] = torch.stack([agree(of, target, tests).all(1) for of in ends]).any(0)
    count = {name: of.unflatten(0, (-1, DRAWS)).sum(1).cpu() for name, of in right.items()}
    ks, mixed = list(range(1, DRAWS + 1)), does[torch.randperm(len(programs), generator=tasks)]
    curves = {name: [pass_at(k, c, DRAWS).mean().item() for k in ks] for name, c in count.items()}
    curves["run as written, plain estimate"] = [plug_in(k, count["run as written"], DRAWS).mean().item() for k in ks]
    return {
        "solved": curves["run as written"][9],
        "blind_solved": curves["not run"][9],
        "text_error": ((correct & ~same).sum() / correct.sum().clamp(1)).item(),
        "examples_error": ((correct != agree(best, target, lists).all(1)).sum() / correct.sum().clamp(1)).item(),
        "estimate_bias": bias(pass_at),
        "plain_bias": bias(plug_in),
        "differing_programs": differing(programs, probes[:, 0]),
        "differing_backwards": differing(programs.flip(1), probes[:, 0]),
        "shared": int(torch.isin(does[asked], does[known]).sum()),
        "shared_when_drawn": int(torch.isin(mixed[: len(asked)], mixed[len(asked) :]).sum()),
    }, {
        "chance that at least one of k programs is right": {
            "kind": "lines",
            "series": {name: (ks, curve) for name, curve in curves.items()},
            "x": "k, programs drawn",
            "y": "pass@k",
        },
    }


# %% what is claimed

TITLE = {"en": "Programs judged by running them", "zh": "以运行结果评判程序"}
CURVES = "cross-entropy of the next operation"
CPU_SECONDS = 4
CLAIMS = {
    "trained solved >= 0.37 > blind_solved >= 0.07": {
        "en": "pass@10 on tasks of new behaviour, programs run as they are written; control: not run, trained alike",
        "zh": "在行为未见过的任务上的 pass@10，边写边运行；对照：不运行，训练方式相同",
    },
    "trained text_error >= 0.28 > examples_error >= 0.005": {
        "en": "share of right programs whose text is another than the task's; control: verdicts by the three examples "
        "that differ from the tests', over right programs",
        "zh": "正确程序中文本与题目原程序不同的比例；对照：按三个示例所作评判与测试不符的次数，除以正确程序数",
    },
    "parity estimate_bias <= 1e-10 < plain_bias": {
        "en": "largest gap of the mean estimate of pass@k by 10 draws to 1 - (1 - p)^k; control: the plain estimate",
        "zh": "由 10 次抽样估计 pass@k，其均值与 1 - (1 - p)^k 的最大差距；对照：直接代入的估计",
    },
    "parity differing_programs <= 0 < differing_backwards": {
        "en": "of 512 programs, how many make another list than the same in plain Python; control: run backwards",
        "zh": "512 个程序中，结果与纯 Python 实现不同的个数；对照：倒序执行",
    },
    "parity shared <= 0 < shared_when_drawn": {
        "en": "test tasks whose behaviour some program in training has; control: test programs drawn at random",
        "zh": "训练程序中已有同样行为的测试任务数；对照：随机抽取测试程序",
    },
}
ZH = {
    "cross-entropy of the next operation": "下一个操作的交叉熵",
    "run as written": "边写边运行",
    "not run": "不运行",
    "not run, last operation given": "不运行，给出最后一步",
    "run as written, judged by text": "边写边运行，按文本评判",
    "run as written, plain estimate": "边写边运行，直接代入的估计",
    "chance that at least one of k programs is right": "k 个程序中至少有一个正确的概率",
    "k, programs drawn": "k（抽取的程序数）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
