"""RLHF and DPO — from comparisons alone, a policy comes close to the best one that may stray so far from its start.

Replies are three tokens, so that all 64 can be listed for each of four prompts. By a hidden reward r, reply w is
preferred to l with chance 1 / (1 + exp(r_l - r_w)). A reward model learns to order replies from 8000 such pairs; its
control sees the tokens without their order. RLHF wants the highest reward less beta times the KL divergence from the
start (how far the policy is from it). The policy that attains it is known, start * exp(r / beta), normalized: for RLHF
it is computed from the learned reward, not trained. DPO is trained on the pairs, without a reward model or sampling.
Its control imitates the preferred replies of pairs without end: that too is computed, not trained.

Needs:  torch
Source: R. Rafailov et al., Direct Preference Optimization: Your Language Model is Secretly a Reward Model,
        NeurIPS 2023 (DPO, and the closed form); L. Ouyang et al., Training language models to follow instructions
        with human feedback, NeurIPS 2022 (reward model, RLHF)
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BETA, PAIRS, BATCH = 0.5, 8000, 256
PROMPTS, VOCAB, LENGTH, WIDTH = 4, 4, 3, 48

# %% the concept


def bradley_terry(won: Tensor, lost: Tensor) -> Tensor:  # -log P(w preferred to l), P = sigma(r_w - r_l)
    return -F.logsigmoid(won - lost)


def dpo(won: Tensor, lost: Tensor, start_won: Tensor, start_lost: Tensor) -> Tensor:
    """What to descend for each pair, from the log-probabilities of both replies, before and now: (N,)."""
    # the best policy is start * exp(r / beta) / Z, so r = beta log(policy / start) + beta log Z, and Z cancels
    return bradley_terry(BETA * (won - start_won), BETA * (lost - start_lost))


class RewardModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(PROMPTS + LENGTH * VOCAB, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))

    def forward(self, prompt: Tensor, reply: Tensor) -> Tensor:  # (N,), (N, T) -> (N,)
        tokens = F.one_hot(reply, VOCAB).flatten(1)
        return self.net(torch.cat([F.one_hot(prompt, PROMPTS), tokens], 1).float())[:, 0]


# %% its control


class TokenReward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(PROMPTS + VOCAB, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))

    def forward(self, prompt: Tensor, reply: Tensor) -> Tensor:  # how often each token stands there, not where
        tokens = F.one_hot(reply, VOCAB).sum(1)
        return self.net(torch.cat([F.one_hot(prompt, PROMPTS), tokens], 1).float())[:, 0]


def imitated(log_start: Tensor, reward: Tensor) -> Tensor:
    """What the preferred of two replies of the start is, as log-probabilities: (P, R)."""
    beats = (reward[:, :, None] - reward[:, None]).sigmoid()  # of a reply over each other
    return log_start + (2 * beats @ log_start.exp()[..., None])[..., 0].log()


# %% the experiment


class Policy(nn.Module):
    """Token by token: the next from the prompt and those before it."""

    def __init__(self) -> None:
        super().__init__()
        self.prompt, self.past = nn.Linear(PROMPTS, WIDTH), nn.Linear(LENGTH * VOCAB + LENGTH, WIDTH)
        self.out = nn.Linear(WIDTH, VOCAB)

    def forward(self, prompt: Tensor, reply: Tensor) -> Tensor:  # log-probability of the reply: (N,), (N, T) -> (N,)
        tokens, dtype = F.one_hot(reply, VOCAB), self.out.weight.dtype
        before = torch.ones(LENGTH, LENGTH, device=reply.device).tril(-1)[:, :, None]  # which tokens a place sees
        past = (tokens[:, None] * before).flatten(2)
        place = torch.eye(LENGTH, device=reply.device).expand(len(reply), -1, -1)
        hidden = self.past(torch.cat([past, place], -1).to(dtype))
        hidden = (hidden + self.prompt(F.one_hot(prompt, PROMPTS).to(dtype))[:, None]).tanh()
        return (self.out(hidden).log_softmax(-1) * tokens).sum((1, 2))


def listed() -> tuple[Tensor, Tensor]:
    """Every prompt with every reply."""
    replies = torch.cartesian_prod(*[torch.arange(VOCAB)] * LENGTH)
    return torch.arange(PROMPTS).repeat_interleave(len(replies)), replies.repeat(PROMPTS, 1)


def hidden_reward(generator: torch.Generator) -> Tensor:
    """Of each reply, by its tokens at their places and its neighbours: (P, R), mean 0 and variance 1 for a prompt."""
    prompt, reply = listed()
    places = torch.randn(PROMPTS, LENGTH, VOCAB, generator=generator)
    neighbours = torch.randn(VOCAB, VOCAB, generator=generator)
    reward = places[prompt[:, None], torch.arange(LENGTH), reply].sum(1) + neighbours[reply[:, :-1], reply[:, 1:]].sum(
        1
    )
    reward = reward.view(PROMPTS, -1)
    return (reward - reward.mean(1, keepdim=True)) / reward.std(1, keepdim=True)


def pairs(n: int, log_start: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Prompts, and two replies of the start for each, by number: (n,) each."""
    prompt, odds = torch.randint(PROMPTS, (n,), generator=generator), log_start.exp().cumsum(1)
    drawn = (odds[prompt, None] < torch.rand(n, 2, 1, generator=generator)).sum(-1).clamp(max=odds.shape[1] - 1)
    return prompt, *drawn.T


def judged(net: Policy) -> Tensor:
    """Log-probability of every reply, on the CPU: (P, R)."""
    with torch.no_grad():
        device = net.out.weight.device
        return net(*(t.to(device) for t in listed())).cpu().view(PROMPTS, -1)


def gap_to_torch(net: Policy, start: Policy, pair: tuple[Tensor, Tensor, Tensor], beta: float) -> float:
    """Loss and gradients, against binary cross-entropy of the log-odds in a table of all replies; f64."""
    (prompt, won, lost), (net, start) = pair, (copy.deepcopy(n).cpu().double() for n in (net, start))
    every, replies = listed()
    before, now = (n(every, replies).view(PROMPTS, -1) for n in (start, net))
    of = every.shape[0] // PROMPTS * prompt
    ours = dpo(*(n(prompt, replies[of + k]) for n in (net, start) for k in (won, lost))).mean()
    table = now.log_softmax(1) - before.detach()
    odds = beta * (table[prompt, won] - table[prompt, lost])
    theirs = F.binary_cross_entropy_with_logits(odds, torch.ones_like(odds))
    slopes = [torch.autograd.grad(y, list(net.parameters())) for y in (ours, theirs)]
    total = now.logsumexp(1).abs().max().item()  # the chances of all replies sum up to 1
    return max(total, abs(ours - theirs).item(), *(float((a - b).abs().max()) for a, b in zip(*slopes, strict=True)))


def slope(log_start: Tensor, reward: Tensor, beta: float) -> float:
    """Largest slope, at start * exp(r / beta), of DPO's loss over all pairs and of RLHF's goal, both exact; f64."""
    log_start, reward = log_start.double(), reward.double()
    logits = (log_start + reward / beta).requires_grad_()
    log_p, size = logits.log_softmax(1), reward.shape[1]
    i, j = torch.cartesian_prod(torch.arange(size), torch.arange(size)).T
    likely = (log_start[:, i] + log_start[:, j]).exp() * (
        reward[:, i] - reward[:, j]
    ).sigmoid()  # drawn, and i preferred
    loss = 2 * (likely * dpo(log_p[:, i], log_p[:, j], log_start[:, i], log_start[:, j])).sum()
    goal = (log_p.exp() * (reward - BETA * (log_p - log_start))).sum()
    return max(float(torch.autograd.grad(y, logits, retain_graph=True)[0].abs().max()) for y in (loss, goal))


def run(device="cpu", seed=0, steps=400):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    start, reward, (every, replies) = Policy(), hidden_reward(data), listed()
    start.out.weight.data *= 2  # a start that has preferences
    log_start = judged(start)
    prompt, one, two = pairs(PAIRS, log_start, data)
    first = torch.rand(PAIRS, generator=data) < (reward[prompt, one] - reward[prompt, two]).sigmoid()
    won, lost = torch.where(first, one, two), torch.where(first, two, one)
    net = copy.deepcopy(start).to(device)
    models = {"reward model": RewardModel().to(device), "no order": TokenReward().to(device)}
    rates = {"reward model": 1e-2, "no order": 1e-2, "DPO": 2e-2}
    parts = {**models, "DPO": net}
    optimizers = {name: torch.optim.Adam(part.parameters(), rates[name]) for name, part in parts.items()}
    optimum = (log_start + reward / BETA).log_softmax(1)

    def told(log_p: Tensor) -> tuple[float, float]:
        """KL divergence from the start and mean reward."""
        odds = log_p.exp()
        return max(0.0, float((odds * (log_p - log_start)).sum(1).mean())), float((odds * reward).sum(1).mean())

    path = []
    for step in range(steps):
        batch = torch.randint(PAIRS, (BATCH,), generator=data)
        p, w, v = prompt[batch], won[batch], lost[batch]
        before = [log_start[p, k].to(device) for k in (w, v)]
        p, w, v = p.to(device), replies[w].to(device), replies[v].to(device)
        losses = {name: bradley_terry(model(p, w), model(p, v)).mean() for name, model in models.items()}
        losses["DPO"] = dpo(net(p, w), net(p, v), *before).mean()
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = rates[name] * (1 - step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        if step % 20 == 19 or step == steps - 1:
            path.append(told(judged(net)))
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    p, a, b = pairs(4000, log_start, unseen)
    p, a, b = (t[a != b] for t in (p, a, b))
    ordered = {}
    for name, model in models.items():
        with torch.no_grad():
            x, y = (model(p.to(device), replies[k].to(device)).cpu() for k in (a, b))
        ordered[name] = float(((x > y) == (reward[p, a] > reward[p, b])).float().mean())
    with torch.no_grad():
        learned = models["reward model"](every.to(device), replies.to(device)).cpu().view(PROMPTS, -1)
    ends = {
        "start": log_start,
        "preferred replies imitated": imitated(log_start, reward),
        "RLHF, learned reward": (log_start + learned / BETA).log_softmax(1),
        "DPO": judged(net),
    }
    low, high = told(log_start)[1], told(optimum)[1]
    shares = {name: (told(log_p)[1] - low) / (high - low) for name, log_p in ends.items()}
    distances = {  # total variation, mean over the prompts
        name: float((log_p.exp() - optimum.exp()).abs().sum(1).mean()) / 2 for name, log_p in ends.items()
    }
    few = prompt[:64], won[:64], lost[:64]
    gaps = [gap_to_torch(net, start, few, beta) for beta in (BETA, 2 * BETA)]
    frontier = [told((log_start + k / 10 * reward).log_softmax(1)) for k in range(21)]
    shown = {"best for its KL": frontier, "DPO, as it learns": path} | {name: [told(p)] for name, p in ends.items()}
    return {
        "model_order": ordered["reward model"],
        "token_order": ordered["no order"],
        "dpo_share": shares["DPO"],
        "rlhf_share": shares["RLHF, learned reward"],
        "imitated_share": shares["preferred replies imitated"],
        "dpo_distance": distances["DPO"],
        "imitated_distance": distances["preferred replies imitated"],
        "optimum_slope": slope(log_start, reward, BETA),
        "wrong_slope": slope(log_start, reward, 2 * BETA),
        "dpo_gap": gaps[0],
        "wrong_gap": gaps[1],
    }, {
        "reward against distance from the start": {
            "kind": "scatter",
            "series": {name: tuple(map(list, zip(*points, strict=True))) for name, points in shown.items()},
            "x": "KL divergence from the start",
            "y": "mean reward",
        }
    }


# %% what is claimed

TITLE = {"en": "DPO and RLHF: policies from comparisons", "zh": "DPO 与 RLHF：从比较中学习策略"}
CURVES = "loss"
CPU_SECONDS = 2
CLAIMS = {
    "trained model_order >= 0.9 > token_order >= 0.6": {
        "en": "share of newly drawn pairs of replies (seven in ten occur in training) that the reward model orders as "
        "the hidden reward does; control: "
        "a model that counts the tokens, trained as long",
        "zh": "奖励模型排序与隐藏奖励一致的新抽取回复对的比例（约七成训练时见过）；"
        "对照：只统计词元次数的模型，训练同样久",
    },
    "trained dpo_share >= 0.75 > imitated_share >= 0.1": {
        "en": "reward gained over the start, as a share of what start * exp(r / beta) gains; control: imitating the "
        "preferred replies, to its end",
        "zh": "相对起点的奖励增益，占最优策略 start * exp(r / beta) 增益的比例；对照：模仿被偏好的回复，直到极限",
    },
    "trained rlhf_share >= 0.85 > imitated_share >= 0.1": {
        "en": "the same share for the policy that is best for the learned reward, in closed form (above 1, it is "
        "farther from the start); control: imitation",
        "zh": "按学到的奖励以闭式求得的策略的同一比例（大于 1 时它离起点更远）；对照：模仿",
    },
    "trained dpo_distance <= 0.3 < imitated_distance <= 0.7": {
        "en": "total variation to start * exp(r / beta), mean over the prompts; control: imitation",
        "zh": "与 start * exp(r / beta) 的全变差，对提示取平均；对照：模仿",
    },
    "parity optimum_slope <= 1e-12 < wrong_slope": {
        "en": "largest slope at start * exp(r / beta), of DPO's loss over all pairs and of RLHF's goal (f64); the "
        "control takes twice the beta",
        "zh": "在 start * exp(r / beta) 处，DPO 对所有回复对的损失与 RLHF 目标的最大斜率（f64）；对照的 beta 大一倍",
    },
    "parity dpo_gap <= 1e-10 < wrong_gap": {
        "en": "loss and gradients against binary cross-entropy of log-odds in a table of all replies, whose sum "
        "is 1 (f64); the control takes twice the beta",
        "zh": "损失与梯度，同由全部回复的概率表（和为 1）算出的对数几率的二元交叉熵的差距（f64）；对照的 beta 大一倍",
    },
}
ZH = {
    "loss": "损失",
    "reward model": "奖励模型",
    "no order": "不看词序",
    "reward against distance from the start": "奖励与偏离起点的程度",
    "best for its KL": "给定 KL 下的最优",
    "DPO, as it learns": "学习中的 DPO",
    "start": "起点",
    "preferred replies imitated": "模仿被偏好的回复",
    "RLHF, learned reward": "RLHF，学到的奖励",
    "KL divergence from the start": "与起点的 KL 散度",
    "mean reward": "平均奖励",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
