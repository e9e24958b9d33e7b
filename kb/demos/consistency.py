"""Consistency model — a flow that is followed in twenty steps becomes a network that jumps to the end in one.

First a flow is trained from noise to two moons (synthetic): the teacher, which follows its velocity in 20 Euler steps.
The student learns to say, from any step of a way, where the way ends. The teacher takes one step of the twenty; from
there and from before it the student has to give one answer. At the end of a way it answers with the point itself, by
construction, and from there the answers spread back to the noise. The goals are the student's own; Song et al. take
them from its running average. Controls: the teacher's velocity, straight on in one step or two, or in a midpoint step,
which asks it twice; near the end of a way, straight on is closer than the student. Plain regression onto the ends of
4,000 ways that the teacher walked is closer too, and asks it less often (--set WALKED=1); the loss here walks none.

Needs:  torch
Source: Y. Song, P. Dhariwal, M. Chen, I. Sutskever, Consistency Models, ICML 2023; Y. Lipman et al., Flow Matching
        for Generative Modeling, ICLR 2023 (the teacher)
"""

import copy
import math

import torch
from torch import Tensor, nn

HIDDEN, BATCH, STEPS, RATE, STUDENT_RATE, SAMPLES, WALKED = 64, 256, 20, 1e-2, 2e-3, 2000, 0

# %% the concept


def answer(net: nn.Module, x: Tensor, t: Tensor) -> Tensor:  # (B, 2), (B,) -> (B, 2)
    return x + (1 - t)[:, None] * net(x, t)  # f(x, 1) = x: at the data there is nothing to do


def consistency_loss(student: nn.Module, teacher: nn.Module, x: Tensor, t: Tensor) -> Tensor:  # -> (B,)
    with torch.no_grad():  # what is later on the way teaches what is earlier, not the other way round
        later = x + teacher(x, t) / STEPS  # one Euler step of dx = v(x, t) dt
        goal = answer(student, later, t + 1 / STEPS)
    return (answer(student, x, t) - goal).square().sum(1)  # |f(x, t) - f(x + v dt, t + dt)|^2


# %% its control


def follow(velocity: nn.Module, z: Tensor, steps: int) -> Tensor:
    """The teacher's ways in equal Euler steps: (B, 2) -> (steps + 1, B, 2)."""
    path = [z]
    for k in range(steps):
        path.append(path[-1] + velocity(path[-1], torch.full_like(z[:, 0], k / steps)) / steps)
    return torch.stack(path)


# %% the experiment


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Linear(2 + 8, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU()),
            *(nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 2)),
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:  # (B, 2), (B,) -> (B, 2)
        angle = t[:, None] * math.pi / 2 * 2 ** torch.arange(4).to(x.device)
        return self.net(torch.cat([x, angle.sin(), angle.cos()], 1))


def moons(n: int, generator: torch.Generator) -> Tensor:
    """Two half ellipses, the second upside down, with a little noise; centred, about unit variance: (n, 2)."""
    angle = math.pi * torch.rand(n, generator=generator)
    sign = torch.randint(0, 2, (n,), generator=generator) * 2.0 - 1  # which moon
    x = torch.stack([sign * (angle.cos() - 0.5), sign * (angle.sin() - 0.25)], 1)
    return torch.tensor([1.15, 2.0]) * (x + 0.05 * torch.randn(n, 2, generator=generator))


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|: zero on average when the two samples have one distribution."""
    within = sum(torch.cdist(s, s).sum() / (len(s) * (len(s) - 1)) for s in (a, b))
    return float(2 * torch.cdist(a, b).mean() - within)


def loss_gap(student: nn.Module, teacher: nn.Module, x: Tensor, t: Tensor, held: bool = True) -> float:
    """Largest gap of the loss and its gradients from a loop over rows, where the goal comes from a second copy of the
    student, or, if it is not `held`, from the student itself; f64."""
    student, teacher, x, t = copy.deepcopy(student).double(), copy.deepcopy(teacher).double(), x.double(), t.double()
    goals, total = copy.deepcopy(student) if held else student, x.new_zeros(())
    for row, time in zip(x.split(1), t.split(1), strict=True):
        step, ahead = torch.lerp(row, row + teacher(row, time), 1 / STEPS), time + 1 / STEPS
        goal = ahead * step + (1 - ahead) * (step + goals(step, ahead))
        total = total + torch.dist(time * row + (1 - time) * (row + student(row, time)), goal) ** 2
    losses = consistency_loss(student, teacher, x, t).sum(), total
    found = [[loss.detach(), *torch.autograd.grad(loss, [*student.parameters()])] for loss in losses]
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def gaussian_loss(z: Tensor, deviation: float, late: int = 0) -> float:
    """Largest loss, where the data are a Gaussian, of the student that multiplies by the steps still to come; f64.
    It should be zero; `late` shifts the student's time."""

    def stretch(t: Tensor) -> Tensor:  # of the velocity, which is linear in x
        return (t * deviation**2 - (1 - t)) / ((1 - t) ** 2 + (t * deviation) ** 2)

    times = torch.arange(STEPS, dtype=torch.float64) / STEPS
    ahead = torch.cat([(1 + stretch(times) / STEPS).flip(0).cumprod(0).flip(0), torch.ones(1, dtype=torch.float64)])

    def exact(x: Tensor, t: Tensor) -> Tensor:  # (f - x) / (1 - t)
        k = ((t * STEPS).round().long() + late).clamp(max=STEPS)
        return ((ahead[k] - 1) / (1 - t).clamp(min=0.01))[:, None] * x

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return stretch(t)[:, None] * x

    return max(consistency_loss(exact, velocity, z.double(), t.expand(len(z))).max().item() for t in times)


def run(device="cpu", seed=0, steps=1600):
    torch.manual_seed(4 * seed)  # weights, data, noise and test: four streams
    data, noise, unseen = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    teacher = Network().to(device)
    half, points = max(steps // 2, 1), {}
    for name, rate, momentum in (("teacher", RATE, 0.9), ("student", STUDENT_RATE, 0.0)):  # the student's goals move
        net = teacher if name == "teacher" else copy.deepcopy(teacher)
        optimizer = torch.optim.Adam(net.parameters(), betas=(momentum, 0.99))
        if WALKED and name == "student":
            with torch.no_grad():
                starts = torch.randn(4000, 2, generator=noise).to(device)
                ways = follow(teacher, starts, STEPS)
        for step in range(half):
            z, x, drawn = torch.randn(BATCH, 2, generator=noise), moons(BATCH, data), torch.rand(BATCH, generator=noise)
            t = drawn if name == "teacher" else (drawn * STEPS).floor() / STEPS
            on_way = ((1 - t)[:, None] * z + t[:, None] * x).to(device)  # t = 0: noise, t = 1: data
            t, toward = t.to(device), (x - z).to(device)
            if name == "teacher":
                loss = (net(on_way, t) - toward).square().sum(1).mean()  # flow matching
            elif WALKED:
                at, way = (drawn * STEPS).long(), torch.randint(len(starts), (BATCH,), generator=noise)
                loss = (answer(net, ways[at, way], t) - ways[-1, way]).square().sum(1).mean()
            else:
                loss = consistency_loss(net, teacher, on_way, t).mean()
            optimizer.param_groups[0]["lr"] = rate * min(1, 2 - 2 * step / half)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            points[name] = loss.item()
            yield (step + 1 + half * (name == "student")) / (2 * half), dict(points)
    z, fresh = torch.randn(SAMPLES, 2, generator=unseen), moons(SAMPLES, unseen)
    with torch.no_grad():
        path, start = follow(teacher, z.to(device), STEPS), torch.zeros(SAMPLES).to(device)
        jumps = [follow(teacher, z.to(device), k)[-1].cpu() for k in (1, 2)]
        jumps.append((path[0] + teacher(path[0] + teacher(path[0], start) / 2, start + 0.5)).cpu())  # the midpoint rule
        errors = {"student": [], "teacher, straight on": []}
        for k in range(STEPS):
            t = torch.full((SAMPLES,), k / STEPS).to(device)
            for name, how in zip(errors, (net, teacher), strict=True):
                errors[name].append((answer(how, path[k], t) - path[-1]).square().sum(1).mean().item())
        leap = answer(net, path[0], start).cpu()
    checked = net.cpu(), teacher.cpu(), path[5, :16].cpu(), torch.full((16,), 5 / STEPS)
    times = [k / STEPS for k in range(STEPS - 1)]  # from the last time the teacher is right by definition
    lines = {name: (times, e[:-1]) for name, e in errors.items()}
    return {
        "leap_distance": energy_distance(leap, fresh),
        "jump_distance": min(energy_distance(jump, fresh) for jump in jumps),
        "way_error": sum(errors["student"]) / STEPS,
        "straight_error": sum(errors["teacher, straight on"]) / STEPS,
        "loss_gap": max(loss_gap(*checked), gaussian_loss(z[:50], 0.5)),
        "control_gap": min(loss_gap(*checked, held=False), gaussian_loss(z[:50], 0.5, late=1)),
    }, {
        COMMON: {
            "kind": "scatter",
            "series": {
                "data": tuple(fresh[:300].T.tolist()),
                "student, 1 step": tuple(leap[:300].T.tolist()),
                "teacher, 1 step": tuple(jumps[0][:300].T.tolist()),
            },
            "equal": True,
            "x": "x",
            "y": "y",
        },
        "error of the end told at t": {"kind": "lines", "series": lines, "x": "t", "y": "squared error", "log": "y"},
    }


# %% what is claimed

COMMON = "samples beside the two moons"
TITLE = {"en": "A consistency model jumps to the end", "zh": "一致性模型一步到终点"}
CURVES = "loss"
CPU_SECONDS = 3
CLAIMS = {
    "trained leap_distance <= 0.012 < jump_distance <= 0.04": {
        "en": "energy distance from fresh data after one step of the student; control: the teacher in one step, in two "
        "or in one midpoint step, the best",
        "zh": "学生一步所得样本与新数据的能量距离；对照：教师走一步、两步或一个中点法步，取最好者",
    },
    "trained way_error <= 0.006 < straight_error": {
        "en": "mean squared error of the end of the teacher's way, as told at its 20 times; control: straight on by "
        "the teacher's velocity there",
        "zh": "在教师路径的 20 个时刻所给终点的均方误差；对照：从该处沿教师的速度直行",
    },
    "parity loss_gap <= 1e-10 < control_gap": {
        "en": "largest gap of the loss and its gradients from a loop over rows with a second copy of the student, and "
        "loss of a Gaussian's exact student (f64); control: the goal passes gradients, or the student is a step late",
        "zh": "损失与梯度同使用学生副本的逐行计算之间的最大差距，以及高斯情形下精确学生的损失（f64）；"
        "对照：目标传递梯度，或学生晚一步",
    },
}
ZH = {
    "loss": "损失",
    "teacher": "教师",
    "student": "学生",
    "samples beside the two moons": "样本与双月形数据",
    "data": "数据",
    "student, 1 step": "学生，1 步",
    "teacher, 1 step": "教师，1 步",
    "error of the end told at t": "在路径的时刻 t 所给终点的误差",
    "teacher, straight on": "教师，直行",
    "squared error": "平方误差",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
