"""Reward shaping — small rewards on the way to a far goal speed learning up; earned in circles, they mislead.

An 8 x 8 maze with a reward of 1 at the goal alone, discounted by 0.95 a move. Shaping adds 0.95 * potential(after) -
potential(before) to each reward; here the potential is 1 - distance / 20, by rows and columns, as if there were no
wall, and 0 at the goal: knowledge that most controls lack. Which policy is best does not change, and learning with it
is learning without it from tables that start at the potential. So the strongest controls get the sparse reward and
start from tables of 0.01, 0.1 or 1 (optimism); others start from zero and move at random in a tenth, three tenths or
all of their moves. After 1000 moves none is near; from 0.01 or 0.1 the way is found later (the figure: 0.1). A
potential lower by 1, but for the goal, is of no use in that time. A bonus of 0.2 for each move towards the goal, with
no charge for going away, makes going to and fro the best policy.

Needs:  torch
Source: A. Ng, D. Harada, S. Russell, Policy invariance under reward transformations, ICML 1999; E. Wiewiora,
        Potential-Based Shaping and Q-Value Initialization are Equivalent, Journal of AI Research 19, 2003
"""

from functools import cache

import torch
from torch import Tensor

SIDE, DISCOUNT, RATE, LEARNERS, BONUS = 8, 0.95, 0.5, 50, 0.2
STATES, START, GOAL, WALL = SIDE * SIDE, 0, SIDE * SIDE - 1, range(4 * SIDE, 4 * SIDE + 6)

# %% the concept


def distance() -> Tensor:
    """Rows and columns to the goal, as if there were no wall: (S,)."""
    s = torch.arange(STATES)
    return (2 * (SIDE - 1) - s // SIDE - s % SIDE).double()


def potential(lower: float = 0.0) -> Tensor:
    phi = 1 - distance() / 20 - lower
    phi[GOAL] = 0  # where an episode ends, or the sum below would not cancel
    return phi


def sparse(after: Tensor) -> Tensor:  # reward of each move, (S, A), by the state that it leads to
    return (after == GOAL).double()


def shaped(after: Tensor, lower: float = 0.0) -> Tensor:
    phi = potential(lower)
    # r + discount * phi(s') - phi(s): from s to the goal, what is added sums, discounted, to -phi(s) whatever the way
    return sparse(after) + DISCOUNT * phi[after] - phi[:, None]


def learn(q: Tensor, s: Tensor, a: Tensor, reward: Tensor, after: Tensor) -> Tensor:
    """One move of each Q-learner: (n, S, A), and (n,) each."""
    n = torch.arange(len(q), device=q.device)
    target = reward + DISCOUNT * q[n, after].amax(-1)  # the goal's row stays zero
    return q.index_put((n, s, a), q[n, s, a] + RATE * (target - q[n, s, a]))


# %% its control


def bonus(after: Tensor) -> Tensor:
    far = distance()
    return sparse(after) + BONUS * (far[after] < far[:, None])  # coming nearer pays, going away costs nothing


# %% the experiment


@cache
def maze() -> Tensor:
    """The state that each move leads to: (S, A); from the goal there is no way."""
    after = torch.empty(STATES, 4, dtype=torch.long)
    for s in range(STATES):
        for a, (down, right) in enumerate([(-1, 0), (0, 1), (1, 0), (0, -1)]):
            row, column = s // SIDE + down, s % SIDE + right
            free = 0 <= row < SIDE and 0 <= column < SIDE and row * SIDE + column not in WALL and s != GOAL
            after[s, a] = row * SIDE + column if free else s
    return after


def optimum(reward: Tensor) -> Tensor:
    """Q of the best policy by value iteration: (S, A)."""
    after, q = maze(), torch.zeros(STATES, 4, dtype=torch.float64)
    for _ in range(1000):
        q = reward + DISCOUNT * q.amax(1)[after]
        q[GOAL] = 0
    return q


def worth(q: Tensor) -> Tensor:
    """Sparse return from the start by the best-looking moves, as a share of the best: (n, S, A) -> (n,)."""
    after, best, n = maze(), q.cpu().argmax(-1), torch.arange(len(q))
    s, found = torch.full((len(q),), START), torch.zeros(len(q), dtype=torch.float64)
    for k in range(STATES):
        s_next = after[s, best[n, s]]
        found += DISCOUNT**k * ((s != GOAL) & (s_next == GOAL))
        s = s_next
    return found / optimum(sparse(after))[START].max()


def walk(q: Tensor, s: Tensor, reward: Tensor, curious: Tensor, chance: Tensor) -> tuple[Tensor, Tensor]:
    """A move and an update of each: tables (n, S, A), states, rewards (n, S, A), share of random moves, (6, n)."""
    n, after = torch.arange(len(q), device=q.device), maze().to(q.device)
    best = (q[n, s] + 1e-6 * chance[2:].T).argmax(-1)  # ties broken at random
    a = torch.where(chance[0] < curious, (chance[1] * 4).long(), best)
    to = after[s, a]
    return learn(q, s, a, reward[n, s, a], to), torch.where(to == GOAL, START, to)


def gap_of_learners(generator: torch.Generator, start: Tensor) -> float:
    """Largest gap of tables learned with shaping from zero, and of states, to those without from `start`; f64."""
    after, tables, states = maze(), [torch.zeros(LEARNERS, STATES, 4).double()], [torch.full((LEARNERS,), START)] * 2
    tables.append(tables[0] + start)
    for _ in range(500):
        chance = torch.rand(6, LEARNERS, generator=generator, dtype=torch.float64)
        for i, reward in enumerate((shaped(after), sparse(after))):
            tables[i], states[i] = walk(tables[i], states[i], reward.expand_as(tables[i]), torch.tensor(0.1), chance)
    gap = (tables[0] + potential()[:, None] - tables[1]).abs().max()
    return max(float(gap), float((states[0] != states[1]).sum()))


def run(device="cpu", seed=0, steps=2000):
    chances, checks = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))
    after = maze()
    settings = {  # reward, share of random moves, what the tables start from
        "shaped": (shaped(after), 0.1, 0.0),
        "lowered potential": (shaped(after, 1.0), 0.1, 0.0),
        "bonus": (bonus(after), 0.1, 0.0),
        **{f"sparse, {share:.0%} random": (sparse(after), share, 0.0) for share in (0.1, 0.3, 1.0)},
        **{f"optimistic, {first}": (sparse(after), 0.1, first) for first in (0.01, 0.1, 1.0)},
    }
    rewards, curious, q = (
        torch.stack([torch.as_tensor(setting[i]).float().expand(shape) for setting in settings.values()])
        .repeat_interleave(LEARNERS, 0)
        .to(device)
        for i, shape in enumerate([(STATES, 4), (), (STATES, 4)])
    )
    q[:, GOAL] = 0
    s = torch.full((len(q),), START, device=device)
    curves: dict = {name: ([], []) for name in settings}
    for step in range(steps):
        chance = torch.rand(6, len(q), generator=chances).to(device)
        q, s = walk(q, s, rewards, curious, chance)
        if (step + 1) % (steps // 40 or 1) == 0 or step == steps - 1:
            shares = dict(zip(settings, worth(q).view(len(settings), -1).mean(1).tolist(), strict=True))
            for name, (x, y) in curves.items():
                x.append(step + 1)
                y.append(shares[name])
            yield (step + 1) / steps, {name: shares[name] for name in list(settings)[:4]}

    half = {name: y[max(len(y) // 2 - 1, 0)] for name, (_, y) in curves.items()}
    best = {name: optimum(of(after)) for name, of in (("sparse", sparse), ("shaped", shaped), ("bonus", bonus))}
    gaps = [(best[k] + potential()[:, None] - best["sparse"])[:GOAL].abs().max().item() for k in ("shaped", "bonus")]
    return {
        "shaped_share": half["shaped"],
        "sparse_share": max(share for name, share in half.items() if name.startswith(("sparse", "optimistic"))),
        "potential_share": half["shaped"],
        "lowered_share": half["lowered potential"],
        "value_gap": gaps[0],
        "bonus_value_gap": gaps[1],
        "learner_gap": gap_of_learners(checks, potential()[:, None] * (torch.arange(STATES) != GOAL)[:, None]),
        "zero_learner_gap": gap_of_learners(checks, torch.zeros(())),
        "best_share": worth(best["shaped"][None]).item(),
        "bonus_best_share": worth(best["bonus"][None]).item(),
    }, {
        "how good what was learned is, over moves": {
            "kind": "lines",
            "series": {name: curves[name] for name in [*list(settings)[:4], "optimistic, 0.1"]},
            "x": "moves",
            "y": "share of the best value",
        }
    }


# %% what is claimed

TITLE = {"en": "Rewards on the way", "zh": "沿途给奖励"}
CURVES = "share of the best value"
CPU_SECONDS = 1
CLAIMS = {
    "trained shaped_share >= 0.9 > sparse_share": {
        "en": "value of the learned policy as a share of the best, halfway (1000 moves), mean of 50 learners; "
        "control: the sparse reward, the best of three shares of random moves and three optimistic starts",
        "zh": "半程（1000 步）时所学策略的价值占最优的比例，50 个学习者平均；"
        "对照：稀疏奖励，三种随机比例与三种乐观初值中最好的",
    },
    "trained potential_share >= 0.9 > lowered_share": {
        "en": "the same share; control: the same shaping by a potential that is lower by 1, but for the goal",
        "zh": "同一比例；对照：势函数除目标外降低 1 的同样塑形",
    },
    "parity value_gap <= 1e-10 < bonus_value_gap": {
        "en": "gap of the best action values with shaping, plus the potential, to those without (exact, f64); "
        "control: the bonus",
        "zh": "有塑形时的最优动作价值加上势函数，与无塑形时的差距（价值迭代，f64）；对照：靠近奖金",
    },
    "parity learner_gap <= 1e-10 < zero_learner_gap": {
        "en": "gap of tables learned with shaping, plus the potential, and of the last states, to those that "
        "start at the potential without it (f64); control: they start at zero",
        "zh": "带塑形学到的表加上势函数，与不塑形但以势函数为初值者的差距，最后的状态也比较（f64）；对照：以零为初值",
    },
    "parity best_share >= 0.999 > bonus_best_share": {
        "en": "what the best policy by shaped rewards earns of the sparse reward, as a share of the best; control: the "
        "best policy by the bonus, which goes to and fro",
        "zh": "按塑形奖励最优的策略所得稀疏回报占最优的比例；对照：按靠近奖金最优的策略，它来回走动",
    },
}
ZH = {
    "share of the best value": "占最优价值的比例",
    "shaped": "塑形",
    "lowered potential": "降低的势函数",
    "bonus": "靠近奖金",
    "sparse, 10% random": "稀疏，10% 随机",
    "optimistic, 0.1": "乐观初值 0.1",
    "how good what was learned is, over moves": "所学策略随步数的好坏",
    "moves": "步数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
