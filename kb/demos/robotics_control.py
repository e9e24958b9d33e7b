"""Robot arm — two elbow poses reach one point; averaging them misses it, learning through the arm's geometry does not.

An arm of two links stands on a table; its hand is where its two joint angles put it (forward kinematics). Which angles
reach a point in range? Two answers are right, one with the elbow to the left and one to the right. From 400 recorded
poses, either at random, a network that is trained to name the recorded angles gives about their average: an arm bent
too little, whose hand shoots past the point. The same network comes near it if the error is measured at the hand, with
gradients through the geometry, which must be known, or if the records hold one elbow alone. The mean of the five
nearest records misses as well; the single nearest misses by a little more than the network. From either, four damped
least-squares steps bring the hand all but to the point; from what was learned from the angles it takes more. Where the
arm is nearly straight an undamped step leaps; a damped one is at most the distance over twice the damping. For two
links a formula gives both poses; it makes the records; for arms in general there is none. The arm is simulated.

Needs:  torch
Source: M. Jordan, D. Rumelhart, Forward Models: Supervised Learning with a Distal Teacher, Cognitive Science 16, 1992;
        C. Wampler, Manipulator Inverse Kinematic Solutions Based on Vector Formulations and Damped Least-Squares
        Methods, IEEE Transactions on Systems, Man, and Cybernetics 16(1), 1986
"""

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn

UPPER, LOWER, POSES, HIDDEN, RATE, DAMPING, MOVES = 1.0, 0.8, 400, 48, 1e-2, 0.2, 4

# %% the concept


def joints(q: Tensor) -> tuple[Tensor, Tensor]:
    """Where elbow and hand are, by the angles of shoulder and elbow: (n, 2) -> 2 x (n, 2)."""
    first, both = q[:, 0], q[:, 0] + q[:, 1]
    elbow = UPPER * torch.stack([first.cos(), first.sin()], 1)
    return elbow, elbow + LOWER * torch.stack([both.cos(), both.sin()], 1)


def at_the_hand(net: nn.Module, x: Tensor, q: Tensor) -> Tensor:
    """How far the hand is from the point, squared, whatever the recorded angles."""
    return (joints(net(x))[1] - x).square().mean()


def jacobian(q: Tensor) -> Tensor:
    """d hand / d angles: a turn of a joint moves the hand at right angles to the way from it: (n, 2) -> (n, 2, 2)."""
    elbow, hand = joints(q)
    ways = torch.stack([hand, hand - elbow], 2)  # from shoulder, from elbow
    return torch.stack([-ways[:, 1], ways[:, 0]], 1)


def step(q: Tensor, x: Tensor, damping: float) -> Tensor:
    """J^T (J J^T + damping^2 I)^-1 (x - hand): least squares, with a price on the angles' change: -> (n, 2)."""
    j = jacobian(q)
    square = j @ j.mT + damping**2 * torch.eye(2).to(q)
    return (j.mT @ torch.linalg.solve(square, (x - joints(q)[1])[..., None]))[..., 0]


# %% its control


def at_the_angles(net: nn.Module, x: Tensor, q: Tensor) -> Tensor:
    """How far the angles are from the recorded ones, squared: best answered by an average."""
    return (net(x) - q).square().mean()


def nearest(x: Tensor, poses: tuple[Tensor, Tensor], k: int) -> Tensor:
    """Mean angles of the k records whose hand is nearest."""
    points, angles = poses
    return angles[torch.cdist(x, points).topk(k, largest=False).indices].mean(1)


# %% the experiment


def pose(x: Tensor, side: Tensor) -> Tensor:
    """The angles that reach a point, by the law of cosines; side 1 or -1 says where the elbow is: (n, 2)."""
    bend = side * ((x.square().sum(1) - UPPER**2 - LOWER**2) / (2 * UPPER * LOWER)).clamp(-1, 1).acos()
    turn = torch.atan2(LOWER * bend.sin(), UPPER + LOWER * bend.cos())
    return torch.stack([torch.atan2(x[:, 1], x[:, 0]) - turn, bend], 1)


def records(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points in front of the arm, 0.5 to 1.6 away, and angles that reach them, with either elbow: (n, 2), (n, 2)."""
    far, way, side = torch.rand(3, n, generator=generator)
    far, way = 0.5 + 1.1 * far, 3 * (way - 0.5)
    x = far[:, None] * torch.stack([way.cos(), way.sin()], 1)
    return x, pose(x, torch.where(side < 0.5, -1.0, 1.0))


def miss(q: Tensor, x: Tensor) -> Tensor:
    return (joints(q)[1] - x).norm(dim=1)


def gap_to_reference(q: Tensor, x: Tensor, damping: float = DAMPING) -> float:
    """Largest gap of the Jacobian to autograd, of the steps to lstsq with the damping as extra rows, and of the hand
    to the point for both poses of the formula; f64."""
    theirs = torch.stack([torch.autograd.functional.jacobian(lambda a: joints(a[None])[1][0], row) for row in q])
    rows = torch.cat([theirs, DAMPING * torch.eye(2).to(q).expand(len(q), 2, 2)], 1)
    wanted = torch.cat([x - joints(q)[1], torch.zeros_like(x)], 1)[..., None]
    gaps = [jacobian(q) - theirs, step(q, x, damping) - torch.linalg.lstsq(rows, wanted).solution[..., 0]]
    gaps += [joints(pose(x, torch.full_like(x[:, 0], side)))[1] - x for side in (-1.0, 1.0)]
    return max(float(gap.abs().max()) for gap in gaps)


def run(device="cpu", seed=0, steps=600):
    torch.manual_seed(3 * seed)  # weights, records and fresh points: three streams
    recorded, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    x, q = (t.to(device) for t in records(POSES, recorded))
    goal, _ = (t.to(device) for t in records(500, unseen))
    one_side = pose(x, torch.ones_like(x[:, 0]))
    first = nn.Sequential(nn.Linear(2, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2))
    tasks = {"angles": (at_the_angles, q), "hand": (at_the_hand, q), "angles, one elbow": (at_the_angles, one_side)}
    nets = {name: copy.deepcopy(first).to(device) for name in tasks}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    lookup = {k: float(miss(nearest(goal, (x, q), k), goal).mean()) for k in (1, 5)}
    for now in range(steps):
        for name, (loss, angles) in tasks.items():
            optimizers[name].param_groups[0]["lr"] = RATE * (1 - now / steps)
            optimizers[name].zero_grad()
            loss(nets[name], x, angles).backward()
            optimizers[name].step()
        if now % (steps // 50 + 1) == 0 or now == steps - 1:
            with torch.no_grad():
                answers = {name: net(goal) for name, net in nets.items()}
            missed = {name: float(miss(said, goal).mean()) for name, said in answers.items()}
            yield (now + 1) / steps, missed | {"nearest record": lookup[1]}

    answers["nearest"] = nearest(goal, (x, q), 1)
    x64, ends, said64 = goal.cpu().double(), {}, {name: said.cpu().double() for name, said in answers.items()}
    for name, said in said64.items():
        for _ in range(MOVES):
            said = said + step(said, x64, DAMPING)
        ends[name] = float(miss(said, x64).max())
    start = said64["angles"]
    most = miss(start, x64) / (2 * DAMPING)  # since s / (s^2 + damping^2) <= 1 / (2 damping) for any s
    leaps = [float((step(start, x64, damping).norm(dim=1) / most).max()) for damping in (DAMPING, 0.0)]
    checked = said64["hand"][:40], x64[:40]
    points, shift = torch.tensor([[0.3, 0.7], [0.6, -0.5]]), torch.tensor([[0.0, 0.0], [2.2, 0.0]])
    arms, edges = {"target": [points + shift], "shoulder": [shift]}, []
    for name in ("angles", "hand"):
        with torch.no_grad():
            arms[f"elbow and hand: {name}"] = [p.cpu() + shift for p in joints(nets[name](points.to(device)))]
        for start, end in pairwise([shift, *arms[f"elbow and hand: {name}"]]):
            edges += zip(start.tolist(), end.tolist(), strict=True)
    return {
        "hand_miss": missed["hand"],
        "angles_miss": missed["angles"],
        "one_elbow_miss": missed["angles, one elbow"],
        "two_elbows_miss": missed["angles"],
        "five_nearest_miss": lookup[5],
        "nearest_miss": lookup[1],
        "refined_miss": max(ends["hand"], ends["nearest"]),
        "refined_angles_miss": ends["angles"],
        "damped_leap": leaps[0],
        "plain_leap": leaps[1],
        "geometry_gap": gap_to_reference(*checked),
        "undamped_gap": gap_to_reference(*checked, damping=0.0),
    }, {
        "two points, and the arm as two networks bend it": {
            "kind": "scatter",
            "series": {name: tuple(torch.cat(parts).T.tolist()) for name, parts in arms.items()},
            "edges": edges,
            "equal": True,
            "x": "x; on the right x + 2.2",
            "y": "y",
        }
    }


# %% what is claimed

TITLE = {"en": "Two elbows reach one point", "zh": "两种肘位到达同一点"}
CURVES = "mean distance from hand to target"
CPU_SECONDS = 1
CLAIMS = {
    "trained hand_miss <= 0.04 < angles_miss <= 0.9": {
        "en": "mean distance from hand to fresh targets, learned at the hand; control: the same network, learned from "
        "the recorded angles",
        "zh": "手到新目标的平均距离，以手的位置误差训练；对照：同样的网络，以记录的关节角训练",
    },
    "trained one_elbow_miss <= 0.04 < two_elbows_miss": {
        "en": "the same distance, learned from angles where the elbow is always on one side; control: on either",
        "zh": "同一距离，以关节角训练且肘部总在同一侧；对照：两侧都有",
    },
    "trained five_nearest_miss >= 0.5 > nearest_miss >= 0.03": {
        "en": "the same distance for the mean angles of the five nearest records; control: the nearest alone",
        "zh": "同一距离，取最近五条记录的平均关节角；对照：只取最近一条",
    },
    "trained refined_miss <= 8e-4 < refined_angles_miss": {
        "en": "largest distance after four damped steps from what was learned at the hand, or from the nearest "
        "record, the worse of the two; control: from what was learned from the angles",
        "zh": "从以手的误差训练的回答或最近的记录出发，四次阻尼步后的最大距离，取较差者；对照：从关节角训练的回答出发",
    },
    "trained damped_leap <= 1.001 < plain_leap": {
        "en": "largest first step from what was learned from the angles, damped, in units of distance / (2 damping); "
        "control: undamped",
        "zh": "从以关节角训练的回答出发，带阻尼的第一步与“距离 ÷ 两倍阻尼”之比的最大值；对照：无阻尼",
    },
    "parity geometry_gap <= 1e-10 < undamped_gap": {
        "en": "the Jacobian against autograd, steps against lstsq, both poses against their target (f64); the control "
        "is not damped",
        "zh": "雅可比矩阵同自动求导、每步同 lstsq、两种姿态同目标点的最大差距（f64）；对照不加阻尼",
    },
}
ZH = {
    "mean distance from hand to target": "手到目标的平均距离",
    "angles": "关节角",
    "hand": "手",
    "angles, one elbow": "关节角，单侧肘",
    "nearest record": "最近的记录",
    "target": "目标",
    "shoulder": "肩",
    "elbow and hand: angles": "肘与手：以关节角训练",
    "elbow and hand: hand": "肘与手：以手的误差训练",
    "two points, and the arm as two networks bend it": "两个目标点，以及其中两个网络给出的手臂姿态",
    "x; on the right x + 2.2": "x；右侧为 x + 2.2",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
