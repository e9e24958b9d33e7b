"""Exposure bias — a copy of a driver errs little on his drives, yet leaves the road; DAgger asks him there.

A simulated car on a winding road, in the wind. Ten times a second a small network reads the curve, and offset and
heading through noise, and says how to steer. The clone learns from frames of a teacher, who knows the true state and
stays so near the middle that the noise, many times larger, hides how he answers an offset: the clone steers along the
curve and answers too weakly. When it drives, it comes into states that hardly a frame shows, and drifts on (with a
third of the noise it nearly stays). DAgger (dataset aggregation) lets the learner drive, asks the teacher how he would
steer in the states it came to, adds these frames and goes on, with as many frames and updates in sum. It errs more in
the teacher's states, and stays on the road. The control is the best of the clone, least squares and five nearest
neighbours. A teacher whose hand is shaken on purpose, so that his frames show how to come back, keeps the clone on the
road too (the figure).

Needs:  torch
Source: S. Ross, G. Gordon, D. Bagnell, A Reduction of Imitation Learning and Structured Prediction to No-Regret Online
        Learning, AISTATS 2011 (DAgger); S. Bengio et al., Scheduled Sampling for Sequence Prediction with Recurrent
        Neural Networks, NeurIPS 2015; M. Laskey et al., DART, CoRL 2017 (shaking)
"""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FRAMES, CARS, TESTS, ROUNDS, BATCH, RATE = 200, 64, 100, 8, 128, 3e-3
DT, NOISE, WIND, SHAKE, EDGE, LOCK = 0.1, 0.3, 0.02, 1.0, 1.0, 2.0

# %% the concept

World = tuple[Tensor, Tensor, Tensor]  # of n cars: road's curve, noise of readings, wind: (T, n), (T, n, 2), (T, n)
Drive = tuple[Tensor, Tensor, Tensor]  # what was read, what the teacher would do, and offset: (T, n, 3), (T, n), (T, n)
Policy = Callable[[Tensor], Tensor]


def teacher(offset: Tensor, heading: Tensor, curve: Tensor) -> Tensor:
    return (curve - 1.5 * offset - 2 * heading).clamp(-LOCK, LOCK)


def drive(world: World, policy: Policy | None, shake: Tensor | None = None) -> Drive:
    """The cars under a policy, or under the teacher, whose hand may shake; what he would do is noted either way."""
    offset = heading = torch.zeros_like(world[0][0])
    read, answers, offsets = [], [], []
    for t, (curve, noise, wind) in enumerate(zip(*world, strict=True)):
        answer = teacher(offset, heading, curve)
        x = torch.stack([offset + NOISE * noise[:, 0], heading + NOISE * noise[:, 1], curve], 1)
        steer = answer if policy is None else policy(x).clamp(-LOCK, LOCK)  # who acts decides which states come next
        if shake is not None:
            steer = steer + SHAKE * shake[t]
        for held, value in zip((read, answers, offsets), (x, answer, offset), strict=True):
            held.append(value)
        offset = (offset + DT * heading.sin()).clamp(-3, 3)
        heading = (heading + DT * (steer - curve) + WIND * wind).clamp(-1.5, 1.5)
    return torch.stack(read), torch.stack(answers), torch.stack(offsets)


def dagger(world: World, policy: Policy, round_: int) -> Drive:
    return drive(world, policy if round_ else None)  # the first round is the teacher's, the others the learner's own


# %% its control


def clone(world: World, policy: Policy, round_: int) -> Drive:
    return drive(world, None)


# %% the experiment


def worlds(n: int, generator: torch.Generator) -> World:
    """Roads of three sine waves, noise and wind."""
    size, speed, phase = torch.rand(3, n, 3, generator=generator)
    t = DT * torch.arange(FRAMES).view(-1, 1, 1)
    curve = (0.25 * (2 * size - 1) * ((speed / 2 + 0.2) * t + 2 * math.pi * phase).sin()).sum(2)
    return curve, torch.randn(FRAMES, n, 2, generator=generator), torch.randn(FRAMES, n, generator=generator)


def acts(net: nn.Module) -> Policy:
    def policy(x: Tensor) -> Tensor:
        with torch.no_grad():
            return net(x)[:, 0]

    return policy


def least_squares(x: Tensor, y: Tensor) -> Policy:
    weights = torch.linalg.lstsq(x.cpu().double(), y[:, None].cpu().double()).solution.float().to(x.device)
    return lambda seen: (seen @ weights)[:, 0]


def neighbours(x: Tensor, y: Tensor) -> Policy:
    return lambda seen: y[torch.cdist(seen, x).topk(5, largest=False).indices].mean(1)


def gap_to_loop(net: nn.Module, world: World, own: bool = True) -> float:
    """Largest gap of a drive to plain numbers, car by car; without `own` the teacher drives; f64."""
    net, world = copy.deepcopy(net).cpu().double(), tuple(t[:60, :3].cpu().double() for t in world)
    ours, gaps = drive(world, acts(net) if own else None), []
    for i in range(3):
        e = phi = 0.0
        for t in range(60):
            curve, noise = world[0][t, i].item(), world[1][t, i].tolist()
            x = [e + NOISE * noise[0], phi + NOISE * noise[1], curve]
            answer = min(max(curve - 1.5 * e - 2 * phi, -LOCK), LOCK)
            gaps += [
                abs(a - b) for a, b in zip([*ours[0][t, i].tolist(), ours[1][t, i].item()], [*x, answer], strict=True)
            ]
            steer = min(max(net(torch.tensor([x], dtype=torch.float64)).item(), -LOCK), LOCK)
            e, phi = e + DT * math.sin(phi), phi + DT * (steer - curve) + WIND * world[2][t, i].item()
            e, phi = min(max(e, -3), 3), min(max(phi, -1.5), 1.5)
    return max(gaps)


def run(device="cpu", seed=0, steps=800):
    torch.manual_seed(5 * seed)
    roads, draws, tests, shakes = (torch.Generator().manual_seed(5 * seed + k) for k in range(1, 5))
    net = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 1))
    ways = {"clone": clone, "DAgger": dagger}
    ways["clone, shaken teacher"] = lambda w, *_: drive(w, None, torch.randn(w[0].shape, generator=shakes).to(device))
    nets = {name: copy.deepcopy(net).to(device) for name in ways}
    memory: dict = {name: ([], []) for name in ways}
    test = tuple(t.to(device) for t in worlds(TESTS, tests))

    def off(policy: Policy) -> float:
        return (drive(test, policy)[2].abs() > EDGE).float().mean().item()

    for step in range(steps):
        round_ = step * ROUNDS // steps
        if step == 0 or round_ > (step - 1) * ROUNDS // steps:  # as many new frames for each
            world = tuple(t.to(device) for t in worlds(CARS // ROUNDS, roads))
            for name, way in ways.items():
                for held, seen in zip(memory[name], way(world, acts(nets[name]), round_), strict=False):
                    held.append(seen.flatten(0, 1))
            frames = {name: tuple(map(torch.cat, held)) for name, held in memory.items()}
            optimizers = {name: torch.optim.Adam(of.parameters(), RATE) for name, of in nets.items()}
        rows = torch.randint(len(frames["clone"][0]), (BATCH,), generator=draws).to(device)
        for name, of in nets.items():
            x, y = frames[name]
            optimizers[name].param_groups[0]["lr"] = RATE * (1 - step * ROUNDS / steps % 1)
            optimizers[name].zero_grad()
            F.mse_loss(of(x[rows])[:, 0], y[rows]).backward()
            optimizers[name].step()
        if (step + 1) * ROUNDS // steps > round_:
            strayed = {name: off(acts(of)) for name, of in nets.items()}
            yield (step + 1) / steps, strayed
    x, y = frames["clone"]
    rivals = [off(least_squares(x, y)), off(neighbours(x, y)), strayed["clone"]]
    taught, errors = drive(test, None), {}
    varied = taught[1].var()
    for name in ("clone", "DAgger"):
        policy = acts(nets[name])
        both = [taught, drive(test, policy)]
        errors[name] = [((policy(x.flatten(0, 1)) - y.flatten()).square().mean() / varied).item() for x, y, _ in both]
    drives = {"teacher": taught, **{name: drive(test, acts(of)) for name, of in nets.items()}}
    start = 10  # frames; at the first one every car is in the middle
    seconds = [DT * t for t in range(start, FRAMES)]
    far = {name: held[2][start:].abs().mean(1).tolist() for name, held in drives.items()}
    return {
        "dagger_off": strayed["DAgger"],
        "clone_off": min(rivals),
        "clone_error": errors["clone"][0],
        "dagger_error": errors["DAgger"][0],
        "dagger_growth": errors["DAgger"][1] / errors["DAgger"][0],
        "clone_growth": errors["clone"][1] / errors["clone"][0],
        "drive_gap": gap_to_loop(nets["clone"], test),
        "forced_gap": gap_to_loop(nets["clone"], test, own=False),
    }, {
        "distance from the middle of the road, mean of the cars": {
            "kind": "lines",
            "series": {name: (seconds, held) for name, held in far.items()},
            "x": "seconds",
            "y": "distance; the edge is at 1",
            "log": "y",
        }
    }


# %% what is claimed

TITLE = {"en": "A clone drifts where no teacher went", "zh": "克隆策略漂到老师没去过的地方"}
CURVES = "share of frames off the road"
CPU_SECONDS = 2
CLAIMS = {
    "trained dagger_off <= 0.01 < clone_off <= 0.4": {
        "en": "share of frames off the road when DAgger's network drives, on new roads; control: clones of the teacher "
        "(the same network, least squares, five nearest neighbours), the best of them",
        "zh": "DAgger 的网络在新路上驾驶时偏出道路的帧比例；对照：老师的克隆（同样的网络、最小二乘、五近邻）中最好的",
    },
    "trained clone_error <= 0.2 < dagger_error": {
        "en": "squared error of the clone in the teacher's states, on new roads, as a share of the variance of his "
        "answers; control: DAgger's network, which errs more there",
        "zh": "克隆在新路上老师所到状态中的平方误差与老师答案的方差之比；对照：DAgger 的网络，它在那里误差更大",
    },
    "trained dagger_growth <= 5 < clone_growth": {
        "en": "squared error of DAgger's network in the states it drives into, as a multiple of that in the teacher's; "
        "control: the clone",
        "zh": "DAgger 的网络在自己驶入的状态中的平方误差与老师状态中的之比；对照：克隆",
    },
    "parity drive_gap <= 1e-10 < forced_gap": {
        "en": "gap of a drive of the trained clone, readings and teacher's answers, to numbers car by car (f64); "
        "the control takes the teacher's drive",
        "zh": "训练后的克隆驾驶时的读数和老师的答案与逐车逐帧计算的差距（f64）；对照用老师驾驶的轨迹",
    },
}
ZH = {
    "share of frames off the road": "偏出道路的帧比例",
    "clone": "克隆",
    "clone, shaken teacher": "克隆，老师受扰动",
    "teacher": "老师",
    "distance from the middle of the road, mean of the cars": "与路中央的距离（各车平均）",
    "seconds": "秒",
    "distance; the edge is at 1": "距离；路沿在 1 处",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
