"""Policy gradient — raising the odds of actions that a good return followed climbs the expected return.

A walker has 12 moves on a slippery 4 x 4 grid: the far corner pays 1, two holes cost 1, all three end the
walk, and every other move costs 0.02. The policy is a table of logits. The grid is small enough to compute
the expected return and its gradient exactly, and to judge by them what is estimated from episodes.

Claim:  the policy-gradient theorem gives the gradient of the expected return; REINFORCE estimates it from
        episodes, a value function as baseline lowers the variance, and climbing it finds a good policy.
        Crediting an action with its immediate reward alone gives neither the gradient nor the policy.
Source: R. Williams, Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement
        Learning, Machine Learning 8, 1992 (REINFORCE); R. Sutton, D. McAllester, S. Singh, Y. Mansour, Policy
        Gradient Methods for Reinforcement Learning with Function Approximation, NIPS 1999 (the theorem)
Run:    python kb/demos/policy_gradient.py --device cpu --seed 0 --steps 150
"""

import torch
from torch import Tensor
from torch.nn import functional as F

TITLE = {"en": "REINFORCE estimates and climbs the policy gradient", "zh": "REINFORCE：估计策略梯度并沿其上升"}
CPU_SECONDS = 1
CLAIMS = {
    "parity theorem_gap <= 1e-10 < unvisited_theorem_gap": {
        "en": "policy-gradient theorem against autograd; the control forgets how often states are visited",
        "zh": "策略梯度定理与自动求导的差距；对照忽略状态的访问频率",
    },
    "trained baseline_estimate_error <= 0.45 < myopic_estimate_error": {
        "en": "relative error of the gradient from episodes; the control credits only the immediate reward",
        "zh": "由回合估计的梯度的相对误差；对照只计即时奖励",
    },
    "trained baseline_variance <= 2.1 < plain_variance": {
        "en": "variance of one episode's gradient with a value function as baseline; the control has none",
        "zh": "以价值函数为基线时单回合梯度的方差；对照无基线",
    },
    "trained reinforce_return >= 0.35 > myopic_return": {
        "en": "exact expected return after training; the control trains on immediate rewards",
        "zh": "训练后策略的精确期望回报；对照只用即时奖励训练",
    },
}

SIDE, MOVES, SLIP, COST = 4, 12, 0.1, 0.02
STATES, GOAL, HOLES = SIDE * SIDE, 15, (5, 11)


def grid() -> tuple[Tensor, Tensor, Tensor]:
    """Transitions, reward for entering a state, and which states end the walk: (S, A, S), (S,), (S,)."""
    sure = torch.zeros(STATES, 4, STATES, dtype=torch.float64)
    for s in range(STATES):
        for a, (down, right) in enumerate([(-1, 0), (0, 1), (1, 0), (0, -1)]):
            row, column = min(max(s // SIDE + down, 0), SIDE - 1), min(max(s % SIDE + right, 0), SIDE - 1)
            sure[s, a, row * SIDE + column] = 1
    moves = (1 - SLIP) * sure + SLIP * sure.mean(1, keepdim=True)  # a slip is a random move
    reward, over = torch.full((STATES,), -COST, dtype=torch.float64), torch.zeros(STATES, dtype=torch.bool)
    reward[GOAL], reward[list(HOLES)], over[[GOAL, *HOLES]] = 1.0, -1.0, True
    return moves, reward, over


def exact(logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return, visits (T, S), values (T, S) and action values (T, S, A) of a policy, by full summation."""
    moves, reward, over = grid()
    policy, alive = logits.softmax(-1), (~over).double()
    at, visits = F.one_hot(torch.tensor(0), STATES).double(), []
    for _ in range(MOVES):
        visits.append(at * alive)  # (S,)
        at = torch.einsum("s,sa,sak->k", visits[-1], policy, moves)
    value, values, action_values = torch.zeros(STATES).double(), [], []
    for _ in range(MOVES):  # backwards: what an action is worth with that many moves left
        action_values.insert(0, moves @ (reward + alive * value))  # (S, A)
        value = (policy * action_values[0]).sum(-1)
        values.insert(0, value)
    return value[0], torch.stack(visits), torch.stack(values), torch.stack(action_values)


def episodes(logits: Tensor, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Play n walks: states, actions, rewards, and whether the walk was still on, each (n, MOVES)."""
    moves, reward, over = grid()
    going, reward, over = (t.to(logits.device) for t in (moves.cumsum(-1).float(), reward.float(), over))
    chance = torch.rand(MOVES, 2, n, 1, generator=generator).to(logits.device)
    s, history = torch.zeros(n, dtype=torch.long, device=logits.device), []
    acting = logits.detach().softmax(-1).cumsum(-1)
    for u, v in chance:
        a = (acting[s] < u).sum(-1).clamp(max=3)  # the first action whose cumulated odds pass u
        after, on = (going[s, a] < v).sum(-1).clamp(max=STATES - 1), ~over[s]
        history.append((s, a, reward[after] * on, on.float()))
        s = torch.where(on, after, s)
    return tuple(torch.stack(column, 1) for column in zip(*history, strict=True))


def to_go(rewards: Tensor) -> Tensor:
    """The return from each move on: (n, T) -> (n, T)."""
    return rewards.flip(1).cumsum(1).flip(1)


def per_episode(logits: Tensor, s: Tensor, a: Tensor, credit: Tensor) -> Tensor:
    """Gradient of sum(credit * log policy(a | s)) by the logits, one for each walk: (n, S, A)."""
    score = F.one_hot(a, 4) - logits.softmax(-1)[s]  # (n, T, A)
    return torch.einsum("nts,nta->nsa", F.one_hot(s, STATES).float(), score * credit[..., None])


def compare(start: Tensor, device: str, data: torch.Generator) -> dict[str, float]:
    """The exact gradient at a policy against the theorem and three estimates from the same episodes."""
    logits = start.double().requires_grad_()
    gain, visits, values, action_values = exact(logits)
    (gradient,) = torch.autograd.grad(gain, logits)
    policy, visits, values = (t.detach() for t in (logits.softmax(-1), visits, values))
    advantage = action_values.detach() - values[..., None]  # (T, S, A)
    theorem = torch.einsum("ts,sa,tsa->sa", visits, policy, advantage)
    unvisited = torch.einsum("sa,tsa->sa", policy / STATES, advantage)

    s, a, rewards, on = episodes(start.to(device), 20000, data)
    baseline = values.float().to(device)[torch.arange(MOVES, device=device), s]  # (n, T)
    found = {
        "theorem_gap": float((theorem - gradient).abs().max()),
        "unvisited_theorem_gap": float((unvisited - gradient).abs().max()),
    }
    credits = {"plain": to_go(rewards), "baseline": to_go(rewards) - baseline, "myopic": rewards}
    for name, credit in credits.items():
        sample = per_episode(start.to(device), s, a, credit * on).cpu().double()  # (n, S, A)
        found[f"{name}_variance"] = float(sample.var(0).sum())
        found[f"{name}_estimate_error"] = float((sample.mean(0) - gradient).norm() / gradient.norm())
    return found


def run(device="cpu", seed=0, steps=150):
    data = torch.Generator().manual_seed(seed)
    found = compare(0.3 * torch.randn(STATES, 4, generator=data), device, data)
    tables, optimizers = {}, {}
    for name in ("REINFORCE", "immediate reward"):
        tables[name] = [torch.zeros(shape, device=device) for shape in ((STATES, 4), (MOVES, STATES))]
        optimizers[name] = torch.optim.Adam([table.requires_grad_() for table in tables[name]], lr=0.1)
    for step in range(steps):
        for name, (logits, value) in tables.items():
            s, a, rewards, on = episodes(logits, 64, data)
            target = to_go(rewards) if name == "REINFORCE" else rewards
            expected = value[torch.arange(MOVES, device=device), s]
            credit = (target - expected.detach()) * on
            climb = (logits.log_softmax(-1)[s, a] * credit).sum(1).mean()
            loss = ((target - expected) ** 2 * on).sum(1).mean() - climb
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        if step % 5 == 4 or step == steps - 1:
            policies = {name: pair[0].detach().cpu().double() for name, pair in tables.items()}
            gains = {name: exact(policy)[0].item() for name, policy in policies.items()}
            yield (step + 1) / steps, gains
    visited = exact(policies["REINFORCE"])[1].sum(0).view(SIDE, SIDE)
    return {
        **found,
        "reinforce_return": gains["REINFORCE"],
        "myopic_return": gains["immediate reward"],
    }, {
        "moves spent in each cell after REINFORCE": {
            "kind": "heatmap",
            "zh": "REINFORCE 训练后在各格停留的步数",
            "values": visited,
        },
        "variance of one episode's gradient": {
            "kind": "bars",
            "zh": "单回合梯度的方差",
            "values": {name: found[f"{name}_variance"] for name in ("plain", "baseline")},
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
