"""Multi-agent RL — two learners who each ignore the other avoid the best pair of actions; values of pairs find it.

Two agents choose among a, b and c, and both get what the pair of choices pays: 11 for a and a, but -30 where one of
them takes a and the other b. Independent Q-learners each keep a value for their own three actions. While the other
still tries things, a pays badly on average, so both turn from it, and from then on it stays bad. Controls and rivals,
400 pairs each: the same learner whose partner always plays a; two who share one table of all nine pairs and each
play their half of the best; hysteretic learners, who raise a value fast and lower it slowly (how slowly was chosen by
trial), and so mostly forgive the other's tries; optimists, who never lower one. Where b and b pay 14 or 0 by chance, 7
on average, optimists fall for luck, the hysteretic often, those with a table of pairs do not; but for n agents it has
3^n entries. All learners try things equally often, at first always; the independent are the best of three rates.

Needs:  torch
Source: C. Claus, C. Boutilier, The Dynamics of Reinforcement Learning in Cooperative Multiagent Systems, AAAI 1998 (the
        game); L. Matignon et al., Hysteretic Q-Learning: An Algorithm for Decentralized Reinforcement Learning in
        Cooperative Multi-Agent Teams, IROS 2007; M. Lauer, M. Riedmiller, An Algorithm for Distributed Reinforcement
        Learning in Cooperative Multi-Agent Systems, ICML 2000 (the optimists)
"""

import torch
from torch import Tensor

PAIRS, RATE, SLOW, LAST_CURIOUS, LUCK = 400, 0.15, 0.0075, 0.05, 14.0
GAME = ((11.0, -30.0, 0.0), (-30.0, 7.0, 6.0), (0.0, 0.0, 5.0))

# %% the concept


def learn(q: Tensor, a: Tensor, reward: Tensor, rate: Tensor, slow: Tensor) -> Tensor:  # (N, A), then (N,) each
    now = q.gather(1, a[:, None])[:, 0]
    error = reward - now
    # Q(a) <- Q(a) + rate * (r - Q(a)); hysteretic learners take a slower rate where r is less than Q(a)
    return q.scatter(1, a[:, None], (now + torch.where(error < 0, slow, rate) * error)[:, None])


def reply(joint: Tensor) -> tuple[Tensor, Tensor]:
    """What each action is worth to either agent if the other then does its best: (N, 9) -> 2 x (N, 3)."""
    table = joint.view(-1, 3, 3)
    return table.amax(2), table.amax(1)


# %% its control
# name: rate, and rate of lowering; the values of own actions alone
SETTINGS = {
    "independent": (RATE, RATE),
    "independent, slower": (RATE / 3, RATE / 3),
    "independent, faster": (3 * RATE, 3 * RATE),
    "hysteretic": (RATE, SLOW),
    "optimist": (RATE, 0.0),
    "partner plays a": (RATE, RATE),
}
JOINT = "values of pairs"

# %% the experiment


def payoff(a: Tensor, b: Tensor, lucky: Tensor, chance: Tensor) -> Tensor:
    """What a pair of actions pays; where `lucky`, b and b pay LUCK or nothing: all (N,)."""
    sure = torch.tensor(GAME, device=a.device)[a, b]
    return torch.where(lucky & (a == 1) & (b == 1), LUCK * (chance < 0.5), sure)


def choose(looks: Tensor, curious: float, chance: Tensor) -> Tensor:
    """The best-looking action, or any as often as `curious` says; ties broken at random: (N, 3), (5, N) -> (N,)."""
    best = (looks + 1e-6 * chance[2:].T).argmax(1)
    return torch.where(chance[0] < curious, (3 * chance[1]).long(), best)


def gap_by_hand(q: Tensor, slow: float) -> float:
    """Largest gap of updates, expected over a partner who plays a, b, c with odds 3 : 2 : 1, and of best replies, to
    sums written out; f64."""
    odds, found = (3 / 6, 2 / 6, 1 / 6), []
    rate, lower = (torch.tensor([r], dtype=q.dtype) for r in (RATE, slow))
    for row in q:
        own = row[:3]
        for a in range(3):
            paid = [torch.tensor([GAME[a][b]], dtype=q.dtype) for b in range(3)]
            got = sum(
                p * learn(own[None], torch.tensor([a]), x, rate, lower)[0] for p, x in zip(odds, paid, strict=True)
            )
            errors = [GAME[a][b] - float(own[a]) for b in range(3)]
            step = sum(p * e * (RATE if e > 0 else SLOW) for p, e in zip(odds, errors, strict=True))
            found += [abs(float(got[k]) - float(own[k]) - step * (k == a)) for k in range(3)]
        table = row.view(3, 3).tolist()
        worth = [[max(line) for line in table], [max(line[b] for line in table) for b in range(3)]]
        found.append(float((torch.cat(reply(row[None])) - torch.tensor(worth, dtype=q.dtype)).abs().max()))
    return max(found)


def run(device="cpu", seed=0, steps=1000):
    whims, luck = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))
    names, block = [*SETTINGS, JOINT], 2 * PAIRS  # a block: half play the sure game, half the lucky one
    n = len(SETTINGS) * block
    rate, slow = (torch.tensor(r).repeat_interleave(block).to(device) for r in zip(*SETTINGS.values(), strict=True))
    lucky = (torch.arange(n + block) % block >= PAIRS).to(device)
    taught = torch.tensor([name == "partner plays a" for name in names]).repeat_interleave(block).to(device)
    own, joint = [torch.zeros(n, 3, device=device) for _ in range(2)], torch.zeros(block, 9, device=device)
    even = torch.full((block,), RATE, device=device)
    for step in range(steps):
        curious = max(LAST_CURIOUS, 1 - 1.25 * step / steps)
        looks = [torch.cat(both) for both in zip(own, reply(joint), strict=True)]
        a, b = (choose(look, curious, torch.rand(5, n + block, generator=whims).to(device)) for look in looks)
        b = b.masked_fill(taught, 0)
        reward = payoff(a, b, lucky, torch.rand(n + block, generator=luck).to(device))
        own = [learn(q, done[:n], reward[:n], rate, slow) for q, done in zip(own, (a, b), strict=True)]
        joint = learn(joint, (3 * a + b)[n:], reward[n:], even, even)
        if step % (steps // 50 + 1) == 0 or step == steps - 1:
            a, b = (look.argmax(1) for look in (torch.cat(both) for both in zip(own, reply(joint), strict=True)))
            b = b.masked_fill(taught, 0)
            ends = ((a == 0) & (b == 0)).view(-1, 2, PAIRS).float().mean(2).tolist()  # sure game, lucky game
            best = dict(zip(names, ends, strict=True))
            yield (step + 1) / steps, {name: best[name][0] for name in names if "," not in name}

    independent = max(best[name][0] for name in names if name.startswith("independent"))
    checked = torch.cat([joint[:2], joint[-2:]]).cpu().double() + 20 * torch.arange(36).view(4, 9).sin()
    often = [k / 20 for k in range(21)]
    game = torch.tensor(GAME)
    worth = torch.stack([game @ torch.tensor([p, (1 - p) / 2, (1 - p) / 2]) for p in often])
    shown = [i for i, name in enumerate(names) if "," not in name and name != "partner plays a"]
    seems = torch.cat([own[0], reply(joint)[0]]).view(-1, 2, PAIRS, 3).mean(2).tolist()  # to the first of each pair
    return {
        "hysteretic_share": best["hysteretic"][0],
        "independent_share": independent,
        "taught_share": min(best["partner plays a"]),
        "untaught_share": independent,
        "pairs_lucky_share": best[JOINT][1],
        "hysteretic_lucky_share": best["hysteretic"][1],
        "forgiving_lucky_share": best["hysteretic"][1],
        "optimist_lucky_share": best["optimist"][1],
        "update_gap": gap_by_hand(checked, SLOW),
        "even_gap": gap_by_hand(checked, RATE),
    }, {
        "what an action pays the first, by how often the second plays a (else b or c, evenly)": {
            "kind": "lines",
            "series": {name: (often, worth[:, k].tolist()) for k, name in enumerate("abc")},
            "x": "share of a in the partner's play",
            "y": "mean reward",
        },
        "what a, b and c seem worth to the first in the end, on average": {
            "kind": "heatmap",
            "values": [seems[i][k] for k in range(2) for i in shown],
            "rows": [names[i] + end for end in ("", "; lucky b and b") for i in shown],
            "columns": list("abc"),
        },
    }


# %% what is claimed

TITLE = {"en": "Learning beside another learner", "zh": "与另一个学习者同时学习"}
CURVES = "share of pairs whose best are a and a"
CPU_SECONDS = 1
CLAIMS = {
    "trained hysteretic_share >= 0.98 > independent_share": {
        "en": "share of hysteretic pairs whose best actions in the end are a and a; control: independent pairs",
        "zh": "滞后学习者最终双双选 a 的比例；对照：相互独立的学习者",
    },
    "trained taught_share >= 0.99 > untaught_share": {
        "en": "share of independent learners that find a where the partner always plays it; control: both learn",
        "zh": "搭档总是选 a 时独立学习者找到 a 的比例；对照：双方都在学习",
    },
    "trained pairs_lucky_share >= 0.98 > hysteretic_lucky_share >= 0.4": {
        "en": "the same share where b and b pay 14 or 0, for a shared table of pairs; control: hysteretic pairs",
        "zh": "b 与 b 随机得 14 或 0 时，共用一张联合动作价值表者的同一比例；对照：滞后学习者",
    },
    "trained forgiving_lucky_share >= 0.5 > optimist_lucky_share": {
        "en": "the same share, in that game too, for hysteretic pairs; control: optimists, who never lower a value",
        "zh": "同样看运气时，滞后学习者的这一比例；对照：从不下调价值的乐观者",
    },
    "parity update_gap <= 1e-10 < even_gap": {
        "en": "updates expected over a partner's play, and best replies, against sums by hand (f64); the control "
        "lowers as fast as it raises",
        "zh": "对搭档的动作取期望的更新量以及最佳应对，同逐项手算的差距（f64）；对照下调与上调一样快",
    },
}
ZH = {
    "share of pairs whose best are a and a": "双双以 a 为最佳的比例",
    "independent": "相互独立",
    "hysteretic": "滞后学习",
    "optimist": "乐观者",
    "partner plays a": "搭档总选 a",
    "values of pairs": "联合动作价值",
    "independent; lucky b and b": "相互独立；b 与 b 看运气",
    "hysteretic; lucky b and b": "滞后学习；b 与 b 看运气",
    "optimist; lucky b and b": "乐观者；b 与 b 看运气",
    "values of pairs; lucky b and b": "联合动作价值；b 与 b 看运气",
    "what an action pays the first, by how often the second plays a (else b or c, evenly)": "甲各动作的平均所得，"
    "按乙选 a 的频率（其余时候 b、c 各半）",
    "share of a in the partner's play": "搭档选 a 的比例",
    "mean reward": "平均奖励",
    "what a, b and c seem worth to the first in the end, on average": "甲最终认为 a、b、c 各值多少（平均）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
