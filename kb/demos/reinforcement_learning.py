"""Reinforcement learning — from rewards alone Q-learning finds the best policy, if it explores.

On a slippery 5 x 5 grid a reward of 0.2 waits two cells from the start and a reward of 1 in the far corner.
Either ends the episode; a later reward is discounted by 0.95 a move. Value iteration knows the grid and gives
the optimum. Fifty Q-learners per setting know nothing and update a table Q(state, action) as they walk.

Claim:  learners that explore at first and then less and less reach nearly the optimal value; learners that
        always do what looks best settle for the near reward; pure random walkers also learn what is best,
        since Q-learning is off-policy, but earn little meanwhile. Value iteration solves the Bellman
        equation.
Source: C. Watkins, P. Dayan, Q-Learning, Machine Learning 8, 1992; R. Bellman, Dynamic Programming, 1957; R.
        Sutton, A. Barto, Reinforcement Learning: An Introduction, 2nd edition, 2018, chapters 2, 4 and 6
Run:    python kb/demos/reinforcement_learning.py --device cpu --seed 0 --steps 3000
"""

from functools import cache

import torch
from torch import Tensor

TITLE = {"en": "Q-learning needs exploration", "zh": "Q 学习离不开探索"}
CPU_SECONDS = 1
CLAIMS = {
    "trained explorer_share >= 0.63 > greedy_share": {
        "en": "value of the learned policy as a share of the optimum; the control never explores",
        "zh": "学到的策略的价值占最优价值的比例；对照从不探索",
    },
    "trained explorer_reward >= 0.075 > random_walker_reward": {
        "en": "reward per move in the last quarter of learning; the control keeps walking at random",
        "zh": "学习最后四分之一阶段每步的奖励；对照始终随机行走",
    },
    "parity bellman_gap <= 1e-10 < averaged_bellman_gap": {
        "en": "value iteration against the linear solution of its policy; the control averages over actions",
        "zh": "价值迭代与其贪心策略线性方程解的差距；对照对动作取平均而非最大",
    },
}

SIDE, SLIP, DISCOUNT, RATE, LEARNERS = 5, 0.1, 0.95, 0.2, 50
STATES, START, REWARDS = SIDE * SIDE, 10, {2: 0.2, 24: 1.0}
SETTINGS = ("greedy", "explorer", "random walker")


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


def action_values(value: Tensor) -> Tensor:
    """Bellman's right-hand side: what each action is worth if afterwards states are worth `value`: (S, A)."""
    moves, reward, over = grid()
    return (moves @ (reward + DISCOUNT * value * ~over)) * ~over[:, None]


def value_iteration(best=torch.amax) -> Tensor:
    value = torch.zeros(STATES, dtype=torch.float64)
    for _ in range(1000):
        value = best(action_values(value), -1)
    return value


def policy_value(actions: Tensor) -> Tensor:
    """Value of always taking actions[s] in s, by solving V = r + discount P V: (n, S) -> (n, S)."""
    moves, reward, over = grid()
    walk = moves[torch.arange(STATES), actions] * ~over[:, None]  # (n, S, S)
    gain = torch.eye(STATES) - DISCOUNT * walk * ~over
    return torch.linalg.solve(gain, walk @ reward)


def run(device="cpu", seed=0, steps=3000):
    data = torch.Generator().manual_seed(seed)
    moves, reward, over = grid()
    going, reward, over = (t.to(device) for t in (moves.cumsum(-1).float(), reward.float(), over))
    optimum = value_iteration()
    n = torch.arange(len(SETTINGS) * LEARNERS, device=device)
    q = torch.zeros(len(n), STATES, 4, device=device)
    s = torch.full_like(n, START)
    earned = torch.zeros(len(n), device=device)
    for step in range(steps):
        curious = min(max(2.5 - 3.5 * step / steps, 0.05), 1)  # how often the explorer moves at random
        epsilon = torch.tensor([0.0, curious, 1.0]).repeat_interleave(LEARNERS).to(device)  # (N,)
        chance = torch.rand(7, len(n), generator=data).to(device)
        looks = q[n, s] + 1e-6 * chance[:4].T  # (N, A), ties broken at random
        a = torch.where(chance[4] < epsilon, (chance[5] * 4).long(), looks.argmax(-1))
        after = (going[s, a] < chance[6][:, None]).sum(-1).clamp(max=STATES - 1)
        target = reward[after] + DISCOUNT * q[n, after].amax(-1)  # an end state's row of q stays zero
        q[n, s, a] += RATE * (target - q[n, s, a])
        earned += reward[after] * (step >= 0.75 * steps)
        s = torch.where(over[after], START, after)
        if step % (steps // 30 + 1) == 0 or step == steps - 1:
            values = policy_value(q.argmax(-1).cpu())[:, START].view(len(SETTINGS), -1).mean(1)
            shares = dict(zip(SETTINGS, (values / optimum[START]).tolist(), strict=True))
            yield (step + 1) / steps, shares
    pay = dict(zip(SETTINGS, (earned.view(len(SETTINGS), -1).mean(1) / (0.25 * steps)).tolist(), strict=True))
    averaged = value_iteration(torch.mean)
    gaps = [float((policy_value(action_values(v).argmax(-1)[None])[0] - v).abs().max()) for v in (optimum, averaged)]
    return {
        "explorer_share": shares["explorer"],
        "greedy_share": shares["greedy"],
        "random_walker_share": shares["random walker"],
        "explorer_reward": pay["explorer"],
        "greedy_reward": pay["greedy"],
        "random_walker_reward": pay["random walker"],
        "bellman_gap": gaps[0],
        "averaged_bellman_gap": gaps[1],
    }, {
        "optimal value of each cell": {
            "kind": "heatmap",
            "zh": "各格的最优价值",
            "values": optimum.view(SIDE, SIDE),
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
