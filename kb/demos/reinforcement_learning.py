"""Reinforcement learning — from rewards alone Q-learning finds nearly the best policy, if it explores.

On a slippery 5 x 5 grid a reward of 0.2 waits four moves from the start and a reward of 1 in the far corner; either
ends the episode, and a later reward is discounted by 0.95 a move. Value iteration knows the grid and gives the
optimum. Fifty Q-learners per setting know nothing and update a table as they walk. Explorers move at random at first
and then less and less. Greedy learners always do what looks best, and mostly settle for the near reward. Pure random
walkers learn what is best as well, since Q-learning is off-policy, but earn little meanwhile.

Needs:  torch
Source: C. Watkins, P. Dayan, Q-Learning, Machine Learning 8, 1992; R. Bellman, Dynamic Programming, 1957; R.
        Sutton, A. Barto, Reinforcement Learning: An Introduction, 2nd edition, 2018, chapters 2, 4 and 6
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

SIDE, SLIP, DISCOUNT, LEARNERS = 5, 0.1, 0.95, 50
RATE, LAST_RATE, LAST_CURIOUS = 0.5, 0.02, 0.05
STATES, START, REWARDS = SIDE * SIDE, 10, {2: 0.2, 24: 1.0}

# %% the concept


def learn(q: Tensor, seen: tuple[Tensor, ...], rate: float, best: Callable = torch.amax) -> Tensor:
    """The tables (n, S, A) after one move each: from s by a, with a reward, to the state after, (n,) each."""
    s, a, reward, after = seen
    n = torch.arange(len(q), device=q.device)
    # Q(s, a) <- Q(s, a) + rate * (r + discount * max_b Q(s', b) - Q(s, a))
    target = reward + DISCOUNT * best(q[n, after], -1)  # an end state's row of q stays zero
    return q.index_put((n, s, a), q[n, s, a] + rate * (target - q[n, s, a]))


def choose(looks: Tensor, epsilon: Tensor, chance: Tensor) -> Tensor:
    """Epsilon-greedy: at random as often as epsilon says, else what looks best: (n, A), (n,), (2+, n) -> (n,)."""
    return torch.where(chance[0] < epsilon, (chance[1] * 4).long(), looks.argmax(-1))


def action_values(value: Tensor) -> Tensor:
    """Bellman's right-hand side, of one who knows the grid: (S,) -> (S, A)."""
    moves, reward, over = grid()
    # Q(s, a) = sum_s' P(s' | s, a) (r(s') + discount * V(s')), and V(s) = max_a Q(s, a)
    return (moves @ (reward + DISCOUNT * value * ~over)) * ~over[:, None]


def value_iteration(best: Callable = torch.amax) -> Tensor:
    value = torch.zeros(STATES, dtype=torch.float64)
    for _ in range(1000):
        value = best(action_values(value), -1)
    return value


# %% its control


def curiosity(setting: str, done: float) -> float:
    """How often a learner moves at random, after that share of the run."""
    return {"greedy": 0.0, "explorer": min(max(2.5 - 3.5 * done, LAST_CURIOUS), 1), "random walker": 1.0}[setting]


SETTINGS = ("greedy", "explorer", "random walker")

# %% the experiment


@cache
def grid() -> tuple[Tensor, Tensor, Tensor]:
    """Transitions, reward for entering a state, and which states end the episode: (S, A, S), (S,), (S,)."""
    sure = torch.zeros(STATES, 4, STATES, dtype=torch.float64)
    for s in range(STATES):
        for a, (down, right) in enumerate([(-1, 0), (0, 1), (1, 0), (0, -1)]):
            row, column = min(max(s // SIDE + down, 0), SIDE - 1), min(max(s % SIDE + right, 0), SIDE - 1)
            sure[s, a, row * SIDE + column] = 1
    reward = torch.zeros(STATES, dtype=torch.float64)
    for state, worth in REWARDS.items():
        reward[state] = worth
    return (1 - SLIP) * sure + SLIP * sure.mean(1, keepdim=True), reward, reward > 0  # a slip: a random move


def policy_value(actions: Tensor) -> Tensor:
    """Value of always taking actions[s] in s, by solving V = r + discount P V: (n, S) -> (n, S)."""
    moves, reward, over = grid()
    walk = moves[torch.arange(STATES), actions] * ~over[:, None]  # (n, S, S)
    return torch.linalg.solve(torch.eye(STATES) - DISCOUNT * walk * ~over, walk @ reward)


def gap_of_update(q: Tensor, best: Callable = torch.amax) -> float:
    """How far a learner's move, expected over where it leads, is from a step towards Bellman's right-hand side;
    at the values it has learned, moved by a wave, so that they differ before it has."""
    moves, reward, over = grid()
    s, a, after = (i.flatten() for i in torch.meshgrid(*map(torch.arange, moves.shape), indexing="ij"))
    table = (q.cpu().double() + torch.arange(q.numel()).view(q.shape).sin()) * ~over[:, None]
    change = learn(table.expand(len(s), -1, -1), (s, a, reward[after], after), RATE, best) - table
    expected = (change * moves.flatten()[:, None, None]).view(*moves.shape, *table.shape).sum(2)  # (S, A, S, A)
    right = RATE * (action_values(table.amax(-1)) - table).flatten().diag().view_as(expected)
    return float((expected - right)[~over].abs().max())


def run(device="cpu", seed=0, steps=3000):
    whims, world = (torch.Generator().manual_seed(3 * seed + k) for k in range(2))
    moves, reward, over = grid()
    going, reward, over = (t.to(device) for t in (moves.cumsum(-1).float(), reward.float(), over))
    optimum = value_iteration()
    q = torch.zeros(len(SETTINGS) * LEARNERS, STATES, 4, device=device)
    n = torch.arange(len(q), device=device)
    s, earned = torch.full_like(n, START), torch.zeros(len(q), device=device)
    for step in range(steps):
        epsilon = torch.tensor([curiosity(name, step / steps) for name in SETTINGS]).repeat_interleave(LEARNERS)
        whim = torch.rand(6, len(n), generator=whims).to(device)
        looks = q[n, s] + 1e-6 * whim[2:].T  # (n, A), ties broken at random
        a = choose(looks, epsilon.to(device), whim)
        chance = torch.rand(len(n), 1, generator=world).to(device)
        after = (going[s, a] < chance).sum(-1).clamp(max=STATES - 1)
        q = learn(q, (s, a, reward[after], after), RATE + (LAST_RATE - RATE) * step / steps)
        earned += reward[after] * (step >= 0.75 * steps)
        s = torch.where(over[after], START, after)
        if step % (steps // 30 + 1) == 0 or step == steps - 1:
            values = policy_value(q.argmax(-1).cpu())[:, START].view(len(SETTINGS), -1).mean(1)
            shares = dict(zip(SETTINGS, (values / optimum[START]).tolist(), strict=True))
            yield (step + 1) / steps, shares
    pay = dict(zip(SETTINGS, (earned.view(len(SETTINGS), -1).mean(1) / (0.25 * steps)).tolist(), strict=True))
    iterated = [optimum, value_iteration(torch.mean)]
    gaps = [float((policy_value(action_values(v).argmax(-1)[None])[0] - v).abs().max()) for v in iterated]
    mean_q = q.view(len(SETTINGS), LEARNERS, STATES, 4).mean(1).cpu()
    shown = dict(zip(SETTINGS, torch.where(over.cpu(), reward.cpu(), mean_q.amax(-1)), strict=True))
    lines = [str(1 + i) for i in range(SIDE)]
    axes = {"rows": lines, "columns": lines, "x": "column", "y": "row"}
    return {
        "explorer_share": shares["explorer"],
        "greedy_share": shares["greedy"],
        "random_walker_share": shares["random walker"],
        "explorer_reward": pay["explorer"],
        "other_reward": max(pay["greedy"], pay["random walker"]),
        "greedy_reward": pay["greedy"],
        "random_walker_reward": pay["random walker"],
        "update_gap": gap_of_update(q[LEARNERS]),
        "averaged_update_gap": gap_of_update(q[LEARNERS], torch.mean),
        "bellman_gap": gaps[0],
        "averaged_bellman_gap": gaps[1],
    }, {
        "what explorers learned to expect of a cell; start: row 3, column 1": {
            "kind": "heatmap",
            "values": shown["explorer"].view(SIDE, SIDE).tolist(),
            **axes,
        },
        "what greedy learners expect of it": {
            "kind": "heatmap",
            "values": shown["greedy"].view(SIDE, SIDE).tolist(),
            **axes,
        },
    }


# %% what is claimed

TITLE = {"en": "Q-learning needs exploration", "zh": "Q 学习离不开探索"}
CURVES = "share of the best value"
CPU_SECONDS = 1
CLAIMS = {
    "trained explorer_share >= 0.99 > greedy_share >= 0.12": {
        "en": "value of the learned policy as a share of the optimum; the control never explores",
        "zh": "学到的策略的价值占最优价值的比例；对照从不探索",
    },
    "trained random_walker_share >= 0.99 > greedy_share": {
        "en": "the same share for learners that only walk at random (off-policy); the control never explores",
        "zh": "只随机行走的学习者所学策略的同一比例（离策略）；对照从不探索",
    },
    "trained explorer_reward >= 0.138 > other_reward": {
        "en": "reward per move in the last quarter of learning; control: greedy learners or random walkers, whichever "
        "earn more",
        "zh": "学习最后四分之一阶段每步的奖励；对照：贪心学习者与随机行走者中较高者",
    },
    "parity update_gap <= 1e-10 < averaged_update_gap": {
        "en": "the learner's update, expected over where a move leads, against a step towards Bellman's equation "
        "(f64); the control averages over actions",
        "zh": "学习者的更新对转移取期望后，同朝贝尔曼方程迈一步的差距（f64）；对照对动作取平均而非最大",
    },
    "parity bellman_gap <= 1e-10 < averaged_bellman_gap": {
        "en": "value iteration against the linear solution of its policy; the control averages over actions",
        "zh": "价值迭代与其贪心策略线性方程解的差距；对照对动作取平均而非最大",
    },
}
ZH = {
    "share of the best value": "占最优价值的比例",
    "greedy": "贪心",
    "explorer": "探索者",
    "random walker": "随机行走",
    "what explorers learned to expect of a cell; start: row 3, column 1": "探索者学到的各格价值；起点：第 3 行第 1 列",
    "what greedy learners expect of it": "贪心学习者学到的各格价值",
    "column": "列",
    "row": "行",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
