"""Model-based RL — a learner that counts where moves lead can plan for any goal; values for one goal serve that goal.

Twenty learners walk 2000 moves at random through a slippery maze of 35 cells. A model-based one counts where each move
led and, when it is told a goal, plans by value iteration in its own counts, with no further move. A model-free
Q-learner turns the same moves into values for one goal; where the goal is another, they lead to the old one. The
stronger model-free rival keeps a table for each cell as the goal and updates all of them with every move: it gets
near, but later. If it keeps its moves, too, and learns ten of them again at each step (replay), it gets nearly as far
as planning: a kept log is a model. All is judged over all goals and starts unless said otherwise, as a share of the
optimum, which is computed from the true maze; each Q-learner without replay is the best of three rates. A plan is no
better than its model: when two cells are shut that the counts say are open (one of the worst pairs), it loses much;
once the counts are put right, it is near the optimum again.

Needs:  torch
Source: R. Sutton, Integrated Architectures for Learning, Planning, and Reacting Based on Approximating Dynamic
        Programming, ICML 1990
"""

import torch
from torch import Tensor
from torch.nn import functional as F

MAZE = "....... .###.#. .....#. .#.###. .#..... .#.###. .......".split()
SHUT = ((2, 2), (4, 6))  # row and column
SLIP, DISCOUNT, LEARNERS, SWEEPS, RATES, REPLAYS = 0.1, 0.95, 20, 100, (0.1, 0.3, 1.0), 10
CELLS = [(i, j) for i, row in enumerate(MAZE) for j, mark in enumerate(row) if mark == "."]
STATES = len(CELLS)

# %% the concept


def counted(n: Tensor) -> Tensor:
    """The model: how often each move led where; one never made is believed to lead nowhere: (..., S, 4, S)."""
    total = n.sum(-1, keepdim=True)
    stay = torch.eye(STATES).to(n)[:, None].expand_as(n)
    return torch.where(total > 0, n / total.clamp(min=1), stay)


def plan(model: Tensor, sweeps: int = SWEEPS) -> Tensor:
    """What each move is worth for each cell as the goal, which pays 1 and ends the episode: -> (..., S, 4, G)."""
    goal = torch.eye(STATES).to(model)
    value = torch.zeros_like(model[..., 0, :])
    for _ in range(sweeps):
        # Q(s, a) = sum_s' P(s' | s, a) (1 at the goal, else discount * max_b Q(s', b))
        q = (model.flatten(-3, -2) @ (goal + DISCOUNT * value * (1 - goal))).view(model.shape)
        value = q.amax(-2)
    return q


# %% its control


def q_learning(q: Tensor, s: Tensor, a: Tensor, after: Tensor, rate: Tensor) -> Tensor:
    """A table for each goal, all updated by one move: (n, S, 4, G), (n,) each."""
    n = torch.arange(len(q), device=q.device)
    there = F.one_hot(after, STATES).to(q)  # is it the goal?
    target = there + DISCOUNT * q[n, after].amax(1) * (1 - there)
    return q.index_put_((n, s, a), q[n, s, a] + rate[:, None] * (target - q[n, s, a]))


# %% the experiment
NAMES = ("plan in counts", "Q-learning, a table for each goal", "the same, with replay")


def maze(shut: tuple[tuple[int, int], ...] = ()) -> Tensor:
    """Where moves lead; a slip is a move at random: (S, 4, S)."""
    sure = torch.zeros(STATES, 4, STATES, dtype=torch.float64)
    for s, (i, j) in enumerate(CELLS):
        for a, (down, right) in enumerate([(-1, 0), (0, 1), (1, 0), (0, -1)]):
            to = i + down, j + right
            sure[s, a, CELLS.index(to) if to in CELLS and to not in shut else s] = 1
    return (1 - SLIP) * sure + SLIP * sure.mean(1, keepdim=True)


def worth(moves: Tensor, q: Tensor) -> Tensor:
    """Value of doing what looks best, V = P (1 at the goal, else discount * V): (n, S, 4, G) -> (n, G, S)."""
    walk = moves[torch.arange(STATES), q.argmax(2).mT]  # (n, G, S, S)
    goal = torch.eye(STATES).to(moves)
    arrive = walk.diagonal(dim1=1, dim2=3).mT[..., None]  # P(goal | s): (n, G, S, 1)
    return torch.linalg.solve(goal - DISCOUNT * walk * (1 - goal)[:, None], arrive)[..., 0]


def gap_by_hand(trail: list[tuple[int, int, int]], n: Tensor, q: Tensor, moves: Tensor, sweeps: int) -> float:
    """Largest gap of a plan in the true maze to the value of its policy, of one learner's model to a tally of its
    moves, of a Q-learner's update to one goal after another, and of a corner's slips to their odds; f64."""
    q_true = plan(moves, sweeps)
    gaps = [float((worth(moves, q_true[None])[0].mT - q_true.amax(-2)).abs().max())]
    model = counted(n)
    for s, a in {move[:2] for move in trail}:
        ends = [to for s_, a_, to in trail if (s_, a_) == (s, a)]
        gaps += [abs(float(model[s, a, to]) - ends.count(to) / len(ends)) for to in set(ends)]
    gaps.append(abs(float(moves[0, 0, 0]) - (1 - SLIP / 2)))  # up, in the corner: but for a slip right or down it stays
    s, a, after = trail[-1]
    move, rate = [torch.tensor([k]) for k in trail[-1]], torch.tensor([0.3], dtype=q.dtype)
    learned = q_learning(q[None].clone(), *move, rate)[0]
    for goal in range(STATES):
        future = 1.0 if goal == after else DISCOUNT * max(q[after, :, goal].tolist())
        gaps.append(abs(float(learned[s, a, goal]) - 0.7 * float(q[s, a, goal]) - 0.3 * future))
    return max(gaps)


def informed(n: Tensor) -> Tensor:
    """Counts as if moves into the cells that are shut had led nowhere."""
    n, shut, s = n.clone(), [CELLS.index(cell) for cell in SHUT], torch.arange(STATES)
    n[:, s, :, s] += n[..., shut].sum(-1).movedim(1, 0)
    n[..., shut] = 0
    return n


def run(device="cpu", seed=0, steps=2000):
    moves, walks, memory = maze(), *(torch.Generator().manual_seed(2 * seed + k) for k in range(2))
    best = plan(moves, 400).amax(-2).mT  # (G, S)
    going, w = moves.cumsum(-1).float().to(device), torch.arange(LEARNERS, device=device)
    n = torch.zeros(LEARNERS, STATES, 4, STATES, device=device)
    q = torch.zeros(len(RATES) * LEARNERS, STATES, 4, STATES, device=device)
    rate = torch.tensor(RATES).repeat_interleave(LEARNERS).to(device)
    replayed, middle = torch.zeros_like(q[:LEARNERS]), torch.full((LEARNERS,), RATES[1], device=device)
    s, trail, shares = torch.zeros_like(w), [], {name: {} for name in NAMES}
    for step in range(steps):
        a = torch.randint(4, (LEARNERS,), generator=walks).to(device)
        chance = torch.rand(LEARNERS, 1, generator=walks).to(device)
        after = (going[s, a] < chance).sum(-1).clamp(max=STATES - 1)
        n[w, s, a, after] += 1
        q = q_learning(q, *(t.repeat(len(RATES)) for t in (s, a, after)), rate)
        trail.append((s, a, after))
        for k in [step, *torch.randint(step + 1, (REPLAYS,), generator=memory).tolist()]:
            replayed = q_learning(replayed, *trail[k], middle)
        s = after
        if step + 1 in {steps >> k for k in range(6)}:
            planned = worth(moves, plan(counted(n)).cpu())
            tables = worth(moves, q.cpu()).view(len(RATES), LEARNERS, STATES, STATES)
            again = worth(moves, replayed.cpu())
            for name, value in zip(NAMES, (planned[None], tables, again[None]), strict=True):
                shares[name][step + 1] = float((value.mean((1, 2, 3)) / best.mean()).max())
            yield (step + 1) / steps, {name: share[step + 1] for name, share in shares.items()}

    own = float((tables[..., -1, :].mean((1, 2)) / best[-1].mean()).max())
    old = worth(moves, q[..., -1:].expand_as(q).cpu()).view_as(tables)  # the values for the last cell, for any goal
    shut_maze, open_ = maze(SHUT), [i for i, cell in enumerate(CELLS) if cell not in SHUT]
    possible = plan(shut_maze, 400).amax(-2).mT[open_][:, open_].mean()
    told = [float(worth(shut_maze, plan(counted(c)).cpu())[:, open_][..., open_].mean()) for c in (informed(n), n)]
    known = [tuple(int(t[0]) for t in move) for move in trail], n[0].cpu().double(), q[0].cpu().double(), moves
    by_plan, by_tables, by_replay = ([*share.values()] for share in shares.values())
    return {
        "planned_share": by_plan[-1],
        "old_goal_share": float((old.mean((1, 2, 3)) / best.mean()).max()),
        "own_goal_share": own,
        "other_goals_share": float((old.mean((1, 2, 3)) / best.mean()).max()),
        "half_way_plan": by_plan[-2:][0],
        "half_way_tables": by_tables[-2:][0],
        "replayed_share": by_replay[-2:][0],
        "unreplayed_share": by_tables[-2:][0],
        "informed_share": told[0] / float(possible),
        "stale_share": told[1] / float(possible),
        "maze_gap": gap_by_hand(*known, sweeps=400),
        "hasty_gap": gap_by_hand(*known, sweeps=10),
    }, {
        "how good it is over all goals, by the moves made": {
            "kind": "lines",
            "series": {name: (list(share), list(share.values())) for name, share in shares.items()},
            "x": "moves",
            "y": "share of the optimum",
            "log": "x",
        },
    }


# %% what is claimed

TITLE = {"en": "A model serves any goal", "zh": "一个模型，任何目标"}
CURVES = "share of the optimum, all goals"
CPU_SECONDS = 3
CLAIMS = {
    "trained planned_share >= 0.97 > old_goal_share >= 0.15": {
        "en": "value over all goals of plans in counted moves, as a share of the optimum; control: Q-learning's values "
        "for one goal, from the same moves",
        "zh": "在计数所得模型里规划，对所有目标的平均价值占最优的比例；对照：同样的移动学到的单一目标 Q 值",
    },
    "trained own_goal_share >= 0.7 > other_goals_share": {
        "en": "share of the optimum that those values of Q-learning reach for their own goal; control: over all goals",
        "zh": "上述 Q 值对自己的目标所达到的最优比例；对照：对所有目标",
    },
    "trained half_way_plan >= 0.9 > half_way_tables >= 0.55": {
        "en": "the share over all goals after half the moves, planned; control: Q-learning with a table for each goal",
        "zh": "移动次数过半时规划对所有目标的比例；对照：每个目标各存一张表的 Q 学习",
    },
    "trained replayed_share >= 0.83 > unreplayed_share": {
        "en": "the share after half the moves, for a table for each goal with replay of ten moves a step; control: "
        "without replay",
        "zh": "移动次数过半时的比例，每个目标一张表并每步重放十次旧移动；对照：不重放",
    },
    "trained informed_share >= 0.92 > stale_share >= 0.55": {
        "en": "the share of plans when two cells are shut and the counts say so; control: the counts hold them open",
        "zh": "两格被封、计数已更正时规划的比例；对照：计数仍以为可以通行",
    },
    "parity maze_gap <= 1e-10 < hasty_gap": {
        "en": "a plan in the true maze against the value of its policy, counts against a tally, Q-learning against one "
        "goal after another, slips against their odds (f64); the control plans for 10 sweeps",
        "zh": "真实迷宫的规划同策略价值、计数同统计、Q 学习同逐目标更新、打滑同概率的最大差距（f64）；对照只迭代 10 次",
    },
}
ZH = {
    "share of the optimum, all goals": "占最优的比例（所有目标）",
    "plan in counts": "在计数模型中规划",
    "Q-learning, a table for each goal": "Q 学习，每个目标一张表",
    "how good it is over all goals, by the moves made": "对所有目标的表现，按移动次数",
    "the same, with replay": "同上，加经验重放",
    "moves": "移动次数",
    "share of the optimum": "占最优的比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
