"""Differentiable programming — throw a ball by the gradient of its flight; at a bounce the exact gradient can lie.

The program is a simulator: 200 steps of a ball with gravity and drag. Walked backwards, once for either coordinate of
where the ball ends, it says how each number that goes in moves that end, and a few Gauss-Newton steps bring the ball
to within 1 cm of a target. What goes in is a throw (2 numbers) or 64 kicks on the way (128), whose effort, the sum of
their squares, is to be small. The control takes the same steps by finite differences, a flight more for each number:
cheaper with 2 numbers, far dearer with 128. Then the ball must bounce once. With the floor as an "if" at the end of a
step, the gradient is exactly that of the program and mostly misses: the moment of the bounce is left out of it, and
the result is a saw whose teeth rise while it falls. Computing the moment within the step repairs this; so do, without
it, differences over 0.2 m/s, which is several teeth.

Needs:  torch
Source: Y. Hu et al., DiffTaichi: Differentiable Programming for Physical Simulation, ICLR 2020 (time of impact)
"""

import torch
from torch import Tensor
from torch.nn import functional as F

STEPS, TIME, GRAVITY, DRAG, RETURN, START = 200, 1.0, 9.81, 0.05, 0.8, (0.0, 1.5)
MANY, TARGETS, THROWS, EFFORT, NEAR, WALK, SPAN = 128, 5, 20, 1e-5, 0.01, 3, 0.2
# %% the concept


def pull(v: Tensor) -> Tensor:  # (B, 2) -> (B, 2)
    down = torch.tensor([0, -GRAVITY], dtype=v.dtype, device=v.device)
    return down - DRAG * v.norm(dim=1, keepdim=True) * v  # g - c |v| v


def fly(kicks: Tensor, floor: str = "") -> Tensor:  # (B, m, 2), evenly spaced -> (steps + 1, B, 2)
    dt, m, like = TIME / STEPS, kicks.shape[1], {"dtype": kicks.dtype, "device": kicks.device}
    start, flip = torch.tensor(START, **like), torch.tensor([1, -RETURN], **like)
    kicked = {j * STEPS // m: j for j in range(m)}
    x, v = start.expand_as(kicks[:, 0]), torch.zeros_like(kicks[:, 0])
    path = [x]
    for k in range(STEPS):
        v = v + kicks[:, kicked[k]] if k in kicked else v
        dv = dt * pull(v)
        x_new, v_new = x + dt * (v + dv), v + dv
        if floor:
            hit = (x_new[:, 1:] < 0) & (v_new[:, 1:] < 0)
            above, fall = (torch.where(hit, t[:, 1:], 1) for t in (x, x - x_new))
            share = above / fall if floor == "moment" else torch.ones_like(above)  # of the step, until it bounces
            up = flip * (v + share * dv)
            after = up + (1 - share) * dt * pull(up)
            x_new = torch.where(hit, x + share * (x_new - x) + (1 - share) * dt * after, x_new)
            v_new = torch.where(hit, after, v_new)
        x, v = x_new, v_new
        path.append(x)
    return torch.stack(path)


def slopes(kicks: Tensor, floor: str = "") -> tuple[Tensor, Tensor]:
    """The path, and d end / d kicks by a walk backwards for each coordinate: (steps + 1, B, 2), (B, 2, 2m)."""
    kicks = kicks.detach().requires_grad_()
    path = fly(kicks, floor)
    rows = [torch.autograd.grad(path[-1, :, i].sum(), kicks, retain_graph=i == 0)[0].flatten(1) for i in (0, 1)]
    return path.detach(), torch.stack(rows, 1)


# %% its control


def differences(kicks: Tensor, floor: str = "", by: float = SPAN) -> tuple[Tensor, Tensor]:
    """The same by a flight more for each number."""
    path, n = fly(kicks, floor), kicks[0].numel()
    moved = kicks[:, None] + by * torch.eye(n, device=kicks.device).view(1, n, n // 2, 2)
    return path, ((fly(moved.flatten(0, 1), floor)[-1].view(-1, n, 2) - path[-1][:, None]) / by).mT


# %% the experiment

FLOORS = ("moment", "branch")
BOUNCES = {
    "bounce at its moment": (slopes, "moment"),
    "bounce at the step's end": (slopes, "branch"),
    "the same, by differences": (differences, "branch"),
}


def step(kicks: Tensor, end: Tensor, slope: Tensor, target: Tensor) -> Tensor:
    """Gauss-Newton for |end - target|^2 + EFFORT |kicks|^2."""
    at, J, miss = (t.double() for t in (kicks.flatten(1), slope, end - target))
    square = J.mT @ J + EFFORT * torch.eye(J.shape[2])
    way = torch.linalg.solve(square, (J.mT @ miss[..., None])[..., 0] + EFFORT * at)
    return (at - way).view(kicks.shape).to(kicks)


def by_hand(kicks: list, floor: str = "") -> tuple:
    """The end of a flight in plain numbers; an imaginary part 1e-30 of a kick carries its derivative along."""
    (x, y), u, w, dt = START, 0.0, 0.0, TIME / STEPS
    kicked = {j * STEPS // len(kicks): kick for j, kick in enumerate(kicks)}

    def free(u: complex, w: complex, time: complex) -> tuple:
        slow = 1 - time * DRAG * (u * u + w * w) ** 0.5
        return u * slow, w * slow - time * GRAVITY

    for k in range(STEPS):
        du, dw = kicked.get(k, (0, 0))
        a, b = free(u := u + du, w := w + dw, dt)
        share, back = 1.0, 1.0
        if floor and (y + dt * b).real < 0 and b.real < 0:
            share, back = y / (-dt * b) if floor == "moment" else 1.0, -RETURN
        x, y, rest = x + share * dt * a, y + share * dt * b, (1 - share) * dt
        u, w = free(u + share * (a - u), back * (w + share * (b - w)), rest)
        x, y = x + rest * u, y + rest * w
    return x, y


def gap_by_hand(kicks: Tensor, floor: str, other: str) -> float:
    """Largest gap of the end and its slopes to the plain loop and its complex steps (f64)."""
    kicks, gaps = kicks.cpu().double(), []
    path, slope = slopes(kicks, floor)
    for b, row in enumerate(kicks.tolist()):
        for i in range(2 * len(row)):
            turned = [[c + 1e-30j * (2 * j + d == i) for d, c in enumerate(kick)] for j, kick in enumerate(row)]
            for d, z in enumerate(by_hand(turned, other)):
                gaps += [abs(z.real - float(path[-1, b, d])), abs(z.imag / 1e-30 - float(slope[b, d, i]))]
    return max(gaps)


def hits(path: Tensor, target: Tensor) -> Tensor:
    """Whether the ball falls, rises again, and ends within 1 cm: (B,)."""
    rise = path[..., 1].diff(dim=0)
    return ((rise[:-1] < 0) & (rise[1:] > 0)).any(0) & ((path[-1] - target).norm(dim=1) <= NEAR)


def run(device="cpu", seed=0, steps=10):
    far, low = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))
    targets = torch.tensor([6.0, 0.0]) + torch.tensor([6.0, 2.5]) * torch.rand(TARGETS, 2, generator=far)
    throws, starts = torch.tensor([6.0, 1.2]) + torch.tensor([6.0, 1.4]) * torch.rand(2, THROWS, 1, 2, generator=low)
    first = {n: F.pad(torch.full((TARGETS, 1, 2), 5.0), (0, 0, 0, n // 2 - 1)) for n in (2, MANY)}
    tasks: dict = {(find, n): [first[n], targets, find, ""] for find in (slopes, differences) for n in first}
    for name, (find, floor) in BOUNCES.items():
        tasks[name] = [starts, fly(throws.to(device), floor)[-1].cpu(), find, floor]
    logs: dict = {name: [] for name in tasks}
    for at in range(steps):
        for name, (kicks, target, find, floor) in tasks.items():
            path, slope = find(kicks.to(device), floor)
            logs[name].append((path.cpu(), kicks))
            tasks[name][0] = step(kicks, path[-1].cpu(), slope.cpu(), target)
        found = {name: torch.stack([hits(path, tasks[name][1]) for path, _ in logs[name]]).any(0) for name in BOUNCES}
        yield (at + 1) / steps, {name: hit.float().mean().item() for name, hit in found.items()}

    cost, throw = {}, logs[slopes, 2][-1][1].square().sum((1, 2))  # the effort of a throw
    for find, n in tasks.keys() - BOUNCES.keys():  # mean flights until all is well, with the one that shows it
        near = torch.stack([(path[-1] - targets).norm(dim=1) <= NEAR for path, _ in logs[find, n]])
        effort = torch.stack([kicks for _, kicks in logs[find, n]]).square().sum((2, 3))
        done = near & (effort <= (0.05 if n == MANY else 2) * throw)
        flights = done.int().argmax(0) * (1 + (2 * WALK if find is slopes else n)) + 1.0
        cost[find, n] = torch.where(done.any(0), flights, torch.inf).mean().item()
    error, known = {}, throws.double()
    for floor in FLOORS:
        wide = differences(known - torch.tensor([0, SPAN / 2]), floor)[1][:, 1, 1]
        error[floor] = ((slopes(known, floor)[1][:, 1, 1] - wide).norm() / wide.norm()).item()
    gaps = [gap_by_hand(tasks[slopes, MANY][0][:1], "", ""), *(gap_by_hand(throws, f, f) for f in FLOORS)]
    fan = torch.cartesian_prod(torch.tensor([9.0]), torch.linspace(1.4, 2.4, 401))[:, None]
    ends = {name: fly(fan.to(device), floor)[-1, :, 1].tolist() for name, floor in zip(BOUNCES, FLOORS, strict=False)}
    moment, branch, spread = (hit.float().mean().item() for hit in found.values())
    return {
        "many_cost": cost[slopes, MANY],
        "many_differences_cost": cost[differences, MANY],
        "two_differences_cost": cost[differences, 2],
        "two_cost": cost[slopes, 2],
        "moment_share": moment,
        "branch_share": branch,
        "spread_share": spread,
        "lying_share": branch,
        "moment_error": error["moment"],
        "branch_error": error["branch"],
        "flight_gap": max(gaps),
        "other_floor_gap": gap_by_hand(throws, "branch", "moment"),
    }, {
        "height after 1 s, thrown at 9 m/s forward": {
            "kind": "lines",
            "series": {name: (fan[:, 0, 1].tolist(), heights) for name, heights in ends.items()},
            "x": "speed upward, m/s",
            "y": "height, m",
        },
    }


# %% what is claimed

TITLE = {"en": "The gradient of a program, and where it lies", "zh": "程序的梯度，以及它误导人的时候"}
CURVES = "share of targets hit after a bounce"
CPU_SECONDS = 4
CLAIMS = {
    "trained many_cost <= 22 < many_differences_cost <= 400": {
        "en": "mean flights until 128 numbers bring the ball within 1 cm, with at most a twentieth of a throw's "
        "effort; a walk backwards counts as three; control: the same steps by finite differences",
        "zh": "用 128 个数、以不超过单次投掷二十分之一的用力把球送到距目标 1 cm 以内，平均所需的飞行次数，"
        "反向走一遍按三次计；对照：同样的步，用有限差分",
    },
    "trained two_differences_cost <= 10 < two_cost": {
        "en": "the flights that finite differences need with the two numbers of a throw; control: the gradient",
        "zh": "只有投掷的两个数时有限差分所需的飞行次数；对照：梯度",
    },
    "trained moment_share >= 0.85 > branch_share": {
        "en": "share of 20 targets hit within 1 cm after a bounce, by the gradient, with the moment of the bounce "
        "computed within the step; control: bounce at the step's end",
        "zh": "在步内算出反弹时刻时，梯度在反弹后命中（1 cm 以内）20 个目标的比例；对照：在步末反弹",
    },
    "trained spread_share >= 0.75 > lying_share": {
        "en": "the same share with the bounce at the step's end, by differences over 0.2 m/s; control: by the gradient",
        "zh": "在步末反弹时，用跨 0.2 m/s 的差分的命中比例；对照：用梯度",
    },
    "parity moment_error <= 0.05 < branch_error": {
        "en": "relative error of the gradient of the height by the upward speed, against differences over 0.2 m/s, "
        "with the moment computed (f64); control: bounce at the step's end",
        "zh": "算出反弹时刻时，高度对向上速度的梯度的相对误差，以跨 0.2 m/s 的差分为准（f64）；对照：在步末反弹",
    },
    "parity flight_gap <= 1e-10 < other_floor_gap": {
        "en": "largest gap of ends and gradients to a plain loop and its complex steps, for both kinds of bounce and "
        "for none (f64); control: the two kinds against each other",
        "zh": "终点与梯度同朴素循环及其复数步长导数的最大差距，含两种反弹与无反弹（f64）；对照：两种反弹互比",
    },
}
ZH = {
    "share of targets hit after a bounce": "反弹后命中目标的比例",
    "bounce at its moment": "在反弹时刻反弹",
    "bounce at the step's end": "在步末反弹",
    "the same, by differences": "同上，用差分",
    "height after 1 s, thrown at 9 m/s forward": "以 9 m/s 向前投出，1 秒后的高度",
    "speed upward, m/s": "向上的速度，m/s",
    "height, m": "高度，m",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
