"""Offline RL — from a fixed log alone Q-learning trusts rare actions that got lucky; a conservative penalty helps.

In 64 made-up worlds of 20 states and 6 actions somebody has walked 1000 moves, half of them by habit (the better of two
actions drawn for a state), half at random; a move earns 1 or nothing. From this log alone Q-learning estimates what
each action is worth and does what looks best: often what was seen a few times and happened to pay. Nobody tries it
again; the error stays. Conservative Q-learning (CQL) pushes an action's value down the better it looks, and up the more
often it was logged. The judge knows the worlds, and solves for the true value of each policy, averaged over all states.
Controls: Q-learning from the log; beside it the same learner when it makes as many moves itself and so tries what it
believes in; and cloning, which does what the log does most. A cheap rival, less reward for what was seen seldom, does
about as well as CQL. How cautious both are was set by trial in such worlds, as nobody can offline: four times the
penalty undoes the gain. Values start at 0, below all true ones.

Needs:  torch
Source: A. Kumar et al., Conservative Q-Learning for Offline Reinforcement Learning, NeurIPS 2020
"""

import torch
from torch import Tensor
from torch.nn import functional as F

WORLDS, STATES, ACTIONS, BRANCHES, DISCOUNT = 64, 20, 6, 3, 0.9
HABIT, PENALTY, DOUBT, LAST_CURIOUS = 0.5, 0.14, 0.6, 0.1

# %% the concept


def backup(counts: Tensor, paid: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """How often the log takes each action in its state, and what it says of it: (..., S, A, S), 2 x (..., S, A)."""
    n = counts.sum(-1)
    best = q.amax(-1)[..., None]  # V(s') = max_b Q(s', b)
    after = (counts.flatten(-3, -2) @ best).view(n.shape)
    # y(s, a) = the mean of r + discount * V(s') over the moves that took a in s
    return n / n.sum(-1, keepdim=True).clamp(min=1), (paid + DISCOUNT * after) / n.clamp(min=1)


def slope(q: Tensor, share: Tensor, y: Tensor, penalty: Tensor) -> Tensor:  # all but the last: (..., S, A)
    # of (Q(s,a) - r - discount * V(s'))^2 / 2 + penalty * (log sum_b e^Q(s,b) - Q(s,a)), averaged over a state's moves
    return share * (q - y) + penalty * (q.softmax(-1) - share)  # V held fixed; a penalty of 0: Q-learning


# %% its control


def doubted(paid: Tensor, counts: Tensor) -> Tensor:
    """Rewards less DOUBT / sqrt(n) a move, for what was seen n times: pessimism by counts."""
    return paid - DOUBT * counts.sum(-1).sqrt()


def cloned(counts: Tensor) -> Tensor:
    return counts.sum(-1).argmax(-1)  # what the log does most: (W, S)


# %% the experiment
NAMES = ("Q-learning, log", "CQL, log", "CQL, log, harsh", "less for the rare, log", "Q-learning, own moves")


def worlds(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Where moves lead, and how likely they pay: (W, S, A, S), (W, S, A)."""
    size = (WORLDS, STATES, ACTIONS)
    places = torch.rand(*size, STATES, generator=generator).topk(BRANCHES, -1).indices
    weight = 0.1 + torch.rand(*size, BRANCHES, generator=generator)
    moves = torch.zeros(*size, STATES).scatter(-1, places, weight / weight.sum(-1, keepdim=True))
    return moves, 0.1 + 0.5 * torch.rand(size, generator=generator)


def optimum(moves: Tensor, pay: Tensor, rounds: int = 350) -> Tensor:
    q = torch.zeros_like(pay)
    for _ in range(rounds):
        q = pay + DISCOUNT * (moves.flatten(1, 2) @ q.amax(-1)[..., None]).view(q.shape)
    return q


def true_value(moves: Tensor, pay: Tensor, a: Tensor) -> Tensor:
    """V = r + discount P V of always taking a[s] in s: (W, S) -> (W, S)."""
    pick = F.one_hot(a, ACTIONS).to(pay.dtype)
    walk, earned = (pick[..., None] * moves).sum(2), (pick * pay).sum(2)
    return torch.linalg.solve(torch.eye(STATES).to(walk) - DISCOUNT * walk, earned)


def gap_by_moves(q: Tensor, log: Tensor, penalised: bool = True) -> float:
    """Largest gap of the slope to autograd through one world's moves (s, a, r, s'), one by one: (T, 4); f64."""
    (s, a, after), r = log[:, [0, 1, 3]].T.long(), log[:, 2].double()
    counts = torch.bincount((s * ACTIONS + a) * STATES + after, minlength=q.numel() * STATES).view(*q.shape, -1)
    paid = torch.bincount(s * ACTIONS + a, r, minlength=q.numel()).view(q.shape)
    leaf = q.clone().requires_grad_()
    wrong = leaf[s, a] - r - DISCOUNT * leaf[after].amax(-1).detach()
    push = PENALTY * penalised * (leaf[s].logsumexp(-1) - leaf[s, a])
    total = ((wrong.square() / 2 + push) / (s[:, None] == s).sum(1)).sum()
    (theirs,) = torch.autograd.grad(total, leaf)
    mine = slope(q, *backup(counts.double(), paid, q), torch.tensor(PENALTY, dtype=torch.float64))
    return float((mine - theirs)[s].abs().max())  # where the walk came by


def run(device="cpu", seed=0, steps=1000):
    worlds_at, log_at, own_at = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    known = worlds(worlds_at)
    ideal = optimum(*(t.double() for t in known))
    moves, pay = (t.to(device) for t in known)
    w, going = torch.arange(WORLDS, device=device), moves.cumsum(-1)
    two = torch.randint(ACTIONS, (WORLDS, STATES, 2), generator=log_at)  # a habit: the better of two actions
    habit = two.gather(-1, ideal.gather(-1, two).argmax(-1, keepdim=True))[..., 0].to(device)

    def walk(s: Tensor, a: Tensor, curious: float, generator: torch.Generator) -> tuple[Tensor, ...]:
        """What is done, at random as often as `curious` says, what it pays and where it leads."""
        chance = torch.rand(4, WORLDS, generator=generator).to(device)
        a = torch.where(chance[0] < curious, (chance[1] * ACTIONS).long(), a)
        after = (going[w, s, a] < chance[2, :, None]).sum(-1).clamp(max=STATES - 1)
        return a, (chance[3] < pay[w, s, a]).float(), after

    counts = torch.zeros(len(NAMES), *moves.shape, device=device)
    paid, q = torch.zeros(2, len(NAMES), *pay.shape, device=device)
    s, log = torch.zeros_like(w), []
    for _ in range(steps):
        a, r, after = walk(s, habit[w, s], 1 - HABIT, log_at)
        counts[:-1, w, s, a, after] += 1
        paid[:-1, w, s, a] += r
        log.append(torch.stack([s[0], a[0], r[0], after[0]]))
        s = after
    paid[3] = doubted(paid[3], counts[3])
    penalty = torch.tensor([0, PENALTY, 4 * PENALTY, 0, 0], device=device).view(-1, 1, 1, 1)
    s = torch.zeros_like(w)
    for step in range(steps):
        a, r, after = walk(s, q[-1, w, s].argmax(-1), max(LAST_CURIOUS, 1 - 1.5 * step / steps), own_at)
        counts[-1, w, s, a, after] += 1  # the last learner's own move
        paid[-1, w, s, a] += r
        s = after
        q = q - slope(q, *backup(counts, paid, q), penalty)
        if step % (steps // 25 + 1) == 0 or step == steps - 1:
            chosen, believed = q.argmax(-1), q.amax(-1)
            true = torch.stack([true_value(moves, pay, c) for c in chosen])
            excess = dict(zip(NAMES, ((1 - DISCOUNT) * (believed - true).mean((1, 2))).tolist(), strict=True))
            yield (step + 1) / steps, excess

    best, clone = ideal.amax(-1), true_value(moves, pay, cloned(counts[0]))
    shares = [float(value.sum()) / float(best.sum()) for value in (*true, clone)]
    seen = counts.sum(-1)
    of_chosen = seen.gather(-1, chosen[..., None])[..., 0]
    rare = (of_chosen < 5).float().mean((1, 2)).tolist()
    # what an action seems worth, less what the world says of it, if what follows were worth what is believed
    wrong = q - pay - DISCOUNT * (moves.flatten(1, 2) @ believed[..., None]).view(q.shape)
    picked, times = wrong.gather(-1, chosen[..., None])[..., 0], range(1, 13)
    groups = {f"{name}: what it does": (of_chosen[i], picked[i]) for i, name in enumerate(("Q-learning", "CQL"))}
    groups["Q-learning: every action"] = (seen[0], wrong[0])
    lines = {name: (list(times), [float(e[n == k].mean()) for k in times]) for name, (n, e) in groups.items()}
    wavy = q[1, 0].cpu().double() + torch.arange(STATES * ACTIONS).view(STATES, ACTIONS).sin()
    gaps = [gap_by_moves(wavy, torch.stack(log[:200]).cpu(), penalised) for penalised in (True, False)]
    solved = true_value(known[0].double(), known[1].double(), ideal.argmax(-1))
    return {
        "conservative_share": shares[1],
        "offline_share": max(shares[0], shares[2]),
        "cautious_share": min(shares[1], shares[3]),
        "cloned_share": shares[-1],
        "own_moves_share": shares[-2],
        "log_share": shares[0],
        "conservative_excess": excess[NAMES[1]],
        "offline_excess": excess[NAMES[0]],
        "conservative_rare": rare[1],
        "offline_rare": rare[0],
        "slope_gap": max(gaps[0], float((solved - best).abs().max())),
        "unpenalised_gap": gaps[1],
    }, {
        "how much an action is over-rated, by how often the log has it": {
            "kind": "lines",
            "series": lines,
            "x": "times in the log",
            "y": "estimate less truth, one move",
        }
    }


# %% what is claimed

TITLE = {"en": "A fixed log flatters rare actions that got lucky", "zh": "固定日志会高估少见而走运的动作"}
CURVES = "believed reward a move less the true one"
CPU_SECONDS = 2
CLAIMS = {
    "trained conservative_share >= 0.85 > offline_share >= 0.77": {
        "en": "CQL's true value, a share of the optimum; control: Q-learning, or four times the penalty, the better",
        "zh": "CQL 所学策略的真实价值占最优价值的比例；对照：Q 学习与惩罚四倍的 CQL，取较好者",
    },
    "trained cautious_share >= 0.83 > cloned_share >= 0.75": {
        "en": "the same share, for the worse of CQL and pessimism by counts; control: what the log does most",
        "zh": "同一比例，取 CQL 与按次数悲观两者中较低者；对照：照做日志中最常见的动作",
    },
    "trained own_moves_share >= 0.88 > log_share": {
        "en": "the same share, for Q-learning that makes its moves itself; control: Q-learning from as long a log",
        "zh": "同一比例，Q 学习自己与环境交互；对照：从同样长的日志学习",
    },
    "trained conservative_excess <= 0.12 < offline_excess": {
        "en": "reward a move that CQL expects of what it does, less the true one; control: Q-learning from the log",
        "zh": "CQL 对自己策略预期的每步奖励减去真实值；对照：从日志学习的 Q 学习",
    },
    "trained conservative_rare <= 0.25 < offline_rare": {
        "en": "share of states where CQL does what the log has fewer than 5 times; control: Q-learning from the log",
        "zh": "CQL 选中日志里不足 5 次的动作的状态比例；对照：从日志学习的 Q 学习",
    },
    "parity slope_gap <= 1e-10 < unpenalised_gap": {
        "en": "the update against autograd by move, the optimum against its policy's value (f64); control: no penalty",
        "zh": "更新量与逐条计算损失再自动求导的差距，以及裁判的最优价值与其策略价值的差距（f64）；对照去掉惩罚项",
    },
}
ZH = {
    "believed reward a move less the true one": "预期的每步奖励减去真实值",
    "Q-learning, log": "Q 学习，日志",
    "CQL, log": "CQL，日志",
    "CQL, log, harsh": "CQL，日志，重罚",
    "less for the rare, log": "少见者减分，日志",
    "Q-learning, own moves": "Q 学习，自己交互",
    "how much an action is over-rated, by how often the log has it": "动作被高估多少，按日志中出现的次数",
    "times in the log": "日志中出现的次数",
    "estimate less truth, one move": "估计减真实值（一步）",
    "Q-learning: what it does": "Q 学习：它选的动作",
    "CQL: what it does": "CQL：它选的动作",
    "Q-learning: every action": "Q 学习：所有动作",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
