"""GRPO — answers to one question are graded against one another by a rule that checks them; its gaps are learned too.

A small policy answers "a + b" with up to four tokens; right is the last digit of the sum. It imitates demonstrations
that are right one time in five; for two questions of three one wrong digit is more frequent. Then it draws eight
answers a question, and the right digit, followed by the end, earns a mark more. Each question is marked on a scale of
its own, from a zero of its own: the mean of the group cancels the zero, its deviation the scale. The control takes mean
and deviation of the whole batch, at the same rate (half as much again suits it better, and is not enough). At last a
careless rule looks for the right digit anywhere: what it pays rises, the true score falls, since listing digits pays.
With a penalty on the KL divergence from the start the true score rises instead.

Needs:  torch
Source: Z. Shao et al., DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models,
        arXiv:2402.03300, 2024 (GRPO and its KL penalty); L. Gao, J. Schulman, J. Hilton, Scaling Laws for Reward
        Model Overoptimization, ICML 2023 (pay rises, true score falls)
"""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, kl_divergence

CLIP, PENALTY, RATE, ZERO = 0.2, 0.3, 1e-2, 3.0
SIDE, END, VOCAB, LENGTH, GROUP, QUESTIONS, WIDTH = 6, 10, 11, 4, 8, 16, 64

# %% the concept


def group_advantage(reward: Tensor) -> Tensor:  # (Q, G): all answers of a row are to one question
    centered = reward - reward.mean(1, keepdim=True)
    return centered / reward.std(1, keepdim=True, correction=0).clamp(min=1e-6)  # A_i = (r_i - mean) / std


def grpo(log_p: Tensor, log_old: Tensor, log_start: Tensor, on: Tensor, advantage: Tensor, penalty: float) -> Tensor:
    """What to descend for each group, from log-probabilities of its tokens (Q, G, T) and advantages (Q, G): (Q,)."""
    ratio, a = (log_p - log_old).exp(), advantage[..., None]  # to the policy that drew the answers
    gain = torch.minimum(ratio * a, ratio.clamp(1 - CLIP, 1 + CLIP) * a)  # nothing to gain beyond 1 +- CLIP, as in PPO
    drift = log_start - log_p
    kl = drift.exp() - drift - 1  # never below 0; its mean over the policy's answers is KL(policy || start)
    return -(((gain - penalty * kl) * on).sum(-1) / on.sum(-1)).mean(-1)  # mean over the tokens, then over the group


# %% its control


def batch_advantage(reward: Tensor) -> Tensor:  # answers to other questions are rivals too
    return (reward - reward.mean()) / reward.std(correction=0).clamp(min=1e-6)


# %% the experiment


def one_hot(values: Tensor, n: int) -> Tensor:
    return (values[..., None] == torch.arange(n, device=values.device)).long()


class Policy(nn.Module):
    """The next token, from the question, the tokens said so far, and their number."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(SIDE**2 + VOCAB + LENGTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, VOCAB))

    def forward(self, asked: Tensor, said: Tensor) -> Tensor:  # (N,), (N, T) -> log-probabilities (N, T, VOCAB)
        tokens = one_hot(said, VOCAB)
        seen, t = tokens.cumsum(1) - tokens, torch.arange(said.shape[1], device=said.device).expand_as(said)
        known = torch.cat([one_hot(asked[:, None].expand_as(said), SIDE**2), seen, one_hot(t, LENGTH)], -1)
        return self.net(known.to(self.net[0].weight.dtype)).log_softmax(-1)


def score(policy: nn.Module, asked: Tensor, said: Tensor) -> Tensor:
    """Log-probability of each token: (N, T)."""
    return policy(asked, said).gather(-1, said[..., None])[..., 0]


def still_on(said: Tensor) -> Tensor:
    """1 up to the end and with it, then 0."""
    ends = (said == END).long()
    return (ends.cumsum(1) == ends).float()


@torch.no_grad()
def draw(policy: Policy, asked: Tensor, chance: Tensor) -> Tensor:
    """Tokens drawn one by one with the numbers (N, T), or the likeliest where those are nan: (N, T)."""
    said = torch.full(chance.shape, END, device=asked.device)
    for t in range(chance.shape[1]):
        odds, u = policy(asked, said[:, : t + 1])[:, -1].exp(), chance[:, t]
        token = torch.where(u.isnan(), odds.argmax(1), (odds.cumsum(1) < u[:, None]).sum(1).clamp(max=END))
        said[:, t] = torch.where((said[:, :t] == END).any(1), END, token)
    return said


def total(asked: Tensor) -> Tensor:
    return (asked // SIDE + asked % SIDE) % 10


def exact_rule(asked: Tensor, said: Tensor) -> Tensor:
    return ((said[:, 0] == total(asked)) & (said[:, 1] == END)).float()


def careless_rule(asked: Tensor, said: Tensor) -> Tensor:
    return (said == total(asked)[:, None]).any(1).float()


def demonstrations(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    asked = torch.randint(SIDE**2, (n,), generator=generator)
    said, u = torch.randint(10, (n, LENGTH), generator=generator), torch.rand(n, generator=generator)
    popular = (total(asked) + 1) % 10  # an error that is more frequent than the answer, for two questions of three
    said[:, 0] = torch.where(u < 0.2, total(asked), said[:, 0])
    said[:, 0] = torch.where((u > 0.6) & (asked % 3 > 0), popular, said[:, 0])
    ends = torch.rand(n, LENGTH, generator=generator) < 0.8  # now and then one goes on
    ends[:, 0] = False
    return asked, torch.where(ends.cumsum(1) > 0, END, said)


def gap_to_exact(policy: Policy, start: Policy, advantage: Callable[[Tensor], Tensor]) -> float:
    """Gradients by all weights, expected over all groups, against closed forms, and the penalty's value; f64."""
    policy, start = (copy.deepcopy(net).cpu().double() for net in (policy, start))
    weights, gaps = list(policy.parameters()), list[Tensor]()
    # one token, three answers each drawn by the policy: expected is the slope of P(right), scaled, and of a KL
    said, asked = torch.arange(VOCAB)[:, None], torch.full((VOCAB,), 7)
    log_p, log_start, right = score(policy, asked, said), score(start, asked, said).detach(), total(asked)[0]
    groups = torch.cartesian_prod(*[torch.arange(VOCAB)] * 3)
    likely, paid = log_p.detach().exp()[groups, 0].prod(1), careless_rule(asked, said)[groups].double()
    logs = log_p[groups], log_p.detach()[groups], log_start[groups]
    ours = grpo(*logs, torch.ones_like(logs[0]), advantage(paid), PENALTY) @ likely
    now, before, p = Categorical(logits=log_p[:, 0]), Categorical(logits=log_start[:, 0]), log_p[right, 0].exp()
    q = float(p.detach())
    spread = sum(math.comb(3, k) * q**k * (1 - q) ** (3 - k) * math.sqrt(k * (3 - k)) for k in range(4))
    theirs = PENALTY * kl_divergence(before, now) - p * spread / (3 * q * (1 - q))
    gaps.append(ours.detach() - PENALTY * kl_divergence(now, before).detach())
    gaps += [
        a - b
        for a, b in zip(*(torch.autograd.grad(y, weights, retain_graph=True) for y in (ours, theirs)), strict=True)
    ]
    # up to two tokens, two answers each drawn by the start: ratios are not 1, and some are clipped
    said = torch.cat([torch.full((1, 2), END), torch.cartesian_prod(torch.arange(10), torch.arange(VOCAB))])
    asked, on = torch.full((len(said),), 7), still_on(said).double()
    log_p, log_old, paid = score(policy, asked, said), score(start, asked, said).detach(), careless_rule(asked, said)
    drawn, groups = (log_old * on).sum(1).exp(), torch.cartesian_prod(*[torch.arange(len(said))] * 2)
    logs = log_p[groups], log_old[groups], log_old[groups]
    ours = grpo(*logs, on[groups], advantage(paid.double()[groups]), PENALTY) @ drawn[groups].prod(1)
    ratio, p = (log_p - log_old).exp(), drawn @ paid.double()
    kept = torch.where(paid[:, None] > 0, (1 - p) * ratio.clamp(max=1 + CLIP), -p * ratio.clamp(min=1 - CLIP))
    kept = kept - PENALTY * (1 / ratio + ratio.log() - 1)  # of what is said up to the end alone
    theirs = -drawn @ ((kept * on).sum(1) / on.sum(1))
    gaps += [
        a - b
        for a, b in zip(*(torch.autograd.grad(y, weights, retain_graph=True) for y in (ours, theirs)), strict=True)
    ]
    return max(float(gap.abs().max()) for gap in gaps)


def run(device="cpu", seed=0, steps=60):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    start = Policy().to(device)
    imitation = torch.optim.Adam(start.parameters(), 1e-2)
    for _ in range(100):
        asked, said = (t.to(device) for t in demonstrations(512, data))
        imitation.zero_grad()
        (-(score(start, asked, said) * still_on(said)).sum(1).mean()).backward()
        imitation.step()

    runs = {
        "group": (group_advantage, exact_rule, 0.0),
        "whole batch": (batch_advantage, exact_rule, 0.0),
        "careless": (group_advantage, careless_rule, 0.0),
        "careless, KL penalty": (group_advantage, careless_rule, PENALTY),
    }
    nets = {name: copy.deepcopy(start) for name in runs}
    optimizers = {name: torch.optim.Adam(net.parameters(), RATE) for name, net in nets.items()}
    zero, scale = ZERO * torch.randn(SIDE**2, generator=data), 0.5 + 1.5 * torch.rand(SIDE**2, generator=data)
    zero, scale, every = zero.to(device), scale.to(device), torch.arange(SIDE**2).to(device)
    right = torch.stack([total(every), torch.full_like(every, END)], 1)
    shown = {f"{what}, {rule}": [] for rule in ("careless", "careless, KL penalty") for what in ("paid", "true")}
    for step in range(steps):
        asked = torch.randint(SIDE**2, (QUESTIONS,), generator=data).repeat_interleave(GROUP).to(device)
        chance, scores = torch.rand(len(asked), LENGTH, generator=data).to(device), {}
        for name, (advantage, rule, penalty) in runs.items():
            said, net = draw(nets[name], asked, chance), nets[name]
            paid, log_p = rule(asked, said), score(net, asked, said)
            # one step for each draw, so here every ratio is 1 and nothing is clipped
            logs = log_p, log_p.detach(), score(start, asked, said).detach(), still_on(said)
            marks = (zero[asked] + scale[asked] * paid).view(QUESTIONS, GROUP)
            optimizers[name].zero_grad()
            grpo(*(t.view(QUESTIONS, GROUP, LENGTH) for t in logs), advantage(marks), penalty).mean().backward()
            optimizers[name].step()
            with torch.no_grad():
                scores[name] = score(net, every, right).sum(1).exp().mean().item()  # exact
            if f"paid, {name}" in shown:
                shown[f"paid, {name}"].append(paid.mean().item())
                shown[f"true, {name}"].append(scores[name])
        yield (step + 1) / steps, scores

    likeliest = {
        name: draw(net, every, torch.full((SIDE**2, LENGTH), math.nan).to(device))
        for name, net in {"start": start, **nets}.items()
    }
    many, chance = every.repeat(50), torch.rand(50 * SIDE**2, LENGTH, generator=unseen).to(device)
    pays = {
        name: careless_rule(many, draw(net, many, chance)).mean().item()
        for name, net in {"start": start, **nets}.items()
    }
    before = exact_rule(every, likeliest["start"]).mean().item()
    gaps = [gap_to_exact(nets["careless, KL penalty"], start, f) for f in (group_advantage, batch_advantage)]

    def told(name: str, i: int) -> str:
        return " ".join(map(str, likeliest[name][i].tolist())).replace("10", "").strip()

    picked = [name for name in likeliest if name != "whole batch"]
    return {
        "grpo_score": scores["group"],
        "batch_score": scores["whole batch"],
        "likeliest_score": before,
        "control_score": max(scores["whole batch"], before),
        "hacked_score": scores["careless"],
        "hacked_pay": pays["careless"],
        "start_pay": pays["start"],
        "kept_score": scores["careless, KL penalty"],
        "grpo_gap": gaps[0],
        "batch_gap": gaps[1],
    }, {
        "training on a careless rule: what it pays, and the true score": {
            "kind": "lines",
            "series": {name: (list(range(steps)), seen) for name, seen in shown.items()},
            "x": "step",
            "y": "share of the answers",
        },
        "the answer, always by the likeliest token": {
            "kind": "table",
            "columns": ["question", "right", *picked],
            "rows": [
                [f"{i // SIDE} + {i % SIDE}", str(int(total(every)[i])), *(told(name, i) for name in picked)]
                for i in range(1, SIDE**2, 6)
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "GRPO learns from a checking rule, or from its gaps", "zh": "GRPO：向校验规则学习，也会钻它的空子"}
CURVES = "true score"
CPU_SECONDS = 2
CLAIMS = {
    "trained grpo_score >= 0.95 > control_score >= 0.3": {
        "en": "mean probability of the right answer after 60 steps, each question marked from a zero of its own; "
        "control: mean and deviation of the whole batch, or the start's likeliest answer, whichever is better",
        "zh": "各题评分的零点不同时，60 步后答对的平均概率；对照：用整个批次而非组内的均值与标准差，"
        "或起始策略最可能的回答，取较好者",
    },
    "trained hacked_score <= 0.02 < grpo_score": {
        "en": "the true score after training on the careless rule; the control trains on the exact rule",
        "zh": "用粗心规则训练后的真实得分；对照用严格规则训练",
    },
    "trained hacked_pay >= 0.97 > start_pay": {
        "en": "what the careless rule pays the policy trained on it; the control is the policy before",
        "zh": "粗心规则付给按它训练的策略的奖励；对照是训练前的策略",
    },
    "trained kept_score >= 0.35 > hacked_score": {
        "en": "the true score with a KL penalty of 0.3, the rule still careless; the control has no penalty",
        "zh": "规则仍粗心、KL 惩罚为 0.3 时的真实得分；对照没有惩罚",
    },
    "parity grpo_gap <= 1e-10 < batch_gap": {
        "en": "gradients by all weights, expected over all groups, against closed forms: slope of the success rate, "
        "clipped ratios, KL (f64); the control takes mean and deviation of the batch",
        "zh": "对所有组求期望的全部权重的梯度，与闭式解（成功率的斜率、截断的比率、KL）的最大差距（f64）；"
        "对照用批次的均值与标准差",
    },
}
ZH = {
    "true score": "真实得分",
    "group": "组内比较",
    "whole batch": "整个批次",
    "start": "起始策略",
    "careless": "粗心规则",
    "careless, KL penalty": "粗心规则，有 KL 惩罚",
    "training on a careless rule: what it pays, and the true score": "按粗心规则训练：它付的奖励与真实得分",
    "paid, careless": "所付奖励，粗心规则",
    "true, careless": "真实得分，粗心规则",
    "paid, careless, KL penalty": "所付奖励，有 KL 惩罚",
    "true, careless, KL penalty": "真实得分，有 KL 惩罚",
    "step": "步",
    "share of the answers": "回答的占比",
    "the answer, always by the likeliest token": "每步取最可能词元时的回答",
    "question": "问题",
    "right": "正确答案",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
