"""Flow matching — learn the velocity that carries noise to data; rectified, it carries it there in a single step.

Noise and data (two half-moons) are paired at random and joined by straight lines; a small network learns the mean
velocity of the lines that pass through a point. Following it in 20 small steps turns noise into samples closer to the
data than those of two Gaussians fitted to the moons; eight are mostly closer still (not shown). Yet its ways bend,
and one large step leads all noise near the mean of the data. Rectified flow trains a second network on the pairs that
the first flow joined: nearly straight ways, and one step does.

Needs:  torch, scikit-learn
Source: Y. Lipman et al., Flow Matching for Generative Modeling, ICLR 2023 (Theorem 2); X. Liu, C. Gong, Q. Liu,
        Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow, ICLR 2023;
        Y. Song et al., Score-Based Generative Modeling through Stochastic Differential Equations, ICLR 2021
"""

import math
from copy import deepcopy
from itertools import pairwise

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

HIDDEN, BATCH, RATE, STEPS, PAIRS, SAMPLES = 64, 256, 1e-2, 20, 4000, 2000

# %% the concept


def flow_loss(net: nn.Module, z: Tensor, x: Tensor, t: Tensor) -> Tensor:  # (B, 2) twice, (B,) -> (B,)
    x_t = (1 - t)[:, None] * z + t[:, None] * x  # on the line from noise (t = 0) to data (t = 1)
    return ((net(x_t, t) - (x - z)) ** 2).sum(1)  # |v(x_t, t) - (x - z)|^2: least for the mean velocity


def follow(net: nn.Module, z: Tensor, steps: int) -> Tensor:  # (B, 2) -> (steps + 1, B, 2)
    path = [z]
    for k in range(steps):
        t = torch.full((len(z),), k / steps, dtype=z.dtype, device=z.device)
        path.append(path[-1] + net(path[-1], t) / steps)  # Euler's method for dx = v(x, t) dt
    return torch.stack(path)


def rectified(net: nn.Module, z: Tensor) -> tuple[Tensor, Tensor]:
    return z, follow(net, z, STEPS)[-1]  # pairs that belong together: lines between them hardly cross


# %% the experiment


class Velocity(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequency", 2 ** torch.arange(4) * math.pi / 2)
        self.net = nn.Sequential(
            *(nn.Linear(2 + 8, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU()),
            *(nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 2)),
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:  # (B, 2), (B,) -> (B, 2)
        angle = t[:, None] * self.frequency
        return self.net(torch.cat([x, angle.sin(), angle.cos()], 1))


def moons(n: int, generator: torch.Generator) -> Tensor:
    """Two half ellipses, the second upside down, with a little noise; centred, about unit variance: (n, 2)."""
    angle = math.pi * torch.rand(n, generator=generator)
    sign = torch.randint(0, 2, (n,), generator=generator) * 2.0 - 1  # which moon
    x = torch.stack([sign * (angle.cos() - 0.5), sign * (angle.sin() - 0.25)], 1)
    return torch.tensor([1.15, 2.0]) * (x + 0.05 * torch.randn(n, 2, generator=generator))


def matching_gap(net: Velocity, data: Tensor, x: Tensor, t: Tensor, scaled: bool = True) -> float:
    """Largest gap of the loss and its gradients, taken over all lines from noise to `data` through x at time t, from
    the squared distance to the velocity of the probability flow ODE, (x + (1 - t) score) / t, and the spread of the
    lines around it (f64). Without `scaled` the score counts in full."""
    net, data, x, t = deepcopy(net).cpu().double(), data.double(), x.double().requires_grad_(), t.double()
    at = t[:, None]
    density = -((x[:, None] - at[..., None] * data) ** 2).sum(2) / (2 * (1 - at) ** 2)  # of each line: (B, n)
    score = torch.autograd.grad(density.logsumexp(1).sum(), x)[0]
    velocity, share, x = (
        (x.detach() + ((1 - at) if scaled else 1) * score) / at,
        density.softmax(1).detach(),
        x.detach(),
    )
    start = (x[:, None] - at[..., None] * data) / (1 - at)[..., None]  # where each line began: (B, n, 2)
    rows, end = t.repeat_interleave(len(data)), data.expand(len(x), -1, -1)
    lines = (share * flow_loss(net, start.flatten(0, 1), end.flatten(0, 1), rows).view(len(x), -1)).sum()
    spread = (share * ((end - start - velocity[:, None]) ** 2).sum(2)).sum()
    found = []
    for loss in (lines, ((net(x, t) - velocity) ** 2).sum() + spread):
        found.append([loss.detach(), *torch.autograd.grad(loss, [*net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def path_gap(z: Tensor, deviation: float, late: float = 0.0) -> float:
    """Gap of `follow` from the product of its steps where the data are a Gaussian, whose velocity is known (f64);
    `late` moves each step's time."""

    def exact(x: Tensor, t: Tensor) -> Tensor:
        return ((t * deviation**2 - (1 - t)) / ((1 - t) ** 2 + (t * deviation) ** 2))[:, None] * x

    one = torch.ones(1, dtype=torch.float64)
    stretch = [1 + float(exact(one[:, None], one * (k + late) / STEPS)) / STEPS for k in range(STEPS)]
    theirs = torch.stack([math.prod(stretch[:k]) * z.double() for k in range(STEPS + 1)])
    return (follow(exact, z.double(), STEPS) - theirs).abs().max().item()


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|: zero on average when the two samples have one distribution."""
    within = sum(torch.cdist(s, s).sum() / (len(s) * (len(s) - 1)) for s in (a, b))
    return float(2 * torch.cdist(a, b).mean() - within)


def detour(path: Tensor) -> float:
    """Mean length of the ways, over the mean distance from their starts to their ends."""
    return float(path.diff(dim=0).norm(dim=2).sum(0).mean() / (path[-1] - path[0]).norm(dim=1).mean())


def run(device="cpu", seed=0, steps=1000):
    torch.manual_seed(3 * seed)  # weights, training and test: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets = {"flow": Velocity().to(device), "rectified flow": Velocity().to(device)}
    half, errors, known = max(steps // 2, 1), dict.fromkeys(nets, 2.0), (torch.empty(0), torch.empty(0))
    for name, net in nets.items():
        optimizer = torch.optim.Adam(net.parameters())
        for step in range(half):
            optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / half)
            if name == "flow":
                pairs = torch.randn(BATCH, 2, generator=data), moons(BATCH, data)  # at random
            else:
                drawn = torch.randint(PAIRS, (BATCH,), generator=data)
                pairs = known[0][drawn], known[1][drawn]
            t = torch.rand(BATCH, generator=data)
            loss = flow_loss(net, *(part.to(device) for part in (*pairs, t))).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            errors[name] = loss.item()
            yield (step + 1 + half * (name != "flow")) / (2 * half), dict(errors)
        if name == "flow":
            with torch.no_grad():
                z, x = rectified(net, torch.randn(PAIRS, 2, generator=data).to(device))
                known = z.cpu(), x.cpu()

    fresh, z = moons(SAMPLES, unseen), torch.randn(SAMPLES, 2, generator=unseen)
    with torch.no_grad():
        paths = {name: follow(net, z.to(device), STEPS).cpu() for name, net in nets.items()}
        leaps = {name: follow(net, z.to(device), 1)[-1].cpu() for name, net in nets.items()}
    mixture = GaussianMixture(2, random_state=seed).fit(moons(SAMPLES, data).double().numpy())
    checked = nets["flow"], moons(30, data), moons(20, unseen), 0.2 + 0.6 * torch.rand(20, generator=unseen)
    right, several = torch.tensor([6.0, 0.0]), slice(0, 12)
    ways = {name: path[:, several] + i * right for i, (name, path) in enumerate(paths.items())}
    edges = [pair for path in ways.values() for way in path.movedim(1, 0).tolist() for pair in pairwise(way)]
    ends = {"noise": torch.cat([way[0] for way in ways.values()])} | {name: way[-1] for name, way in ways.items()}
    return {
        "flow_distance": energy_distance(paths["flow"][-1], fresh),
        "gaussians_distance": energy_distance(torch.from_numpy(mixture.sample(SAMPLES)[0]).float(), fresh),
        "leap_distance": energy_distance(leaps["rectified flow"], fresh),
        "bent_leap_distance": energy_distance(leaps["flow"], fresh),
        "detour": detour(paths["rectified flow"]),
        "bent_detour": detour(paths["flow"]),
        "flow_gap": max(matching_gap(*checked), path_gap(z[:50], 0.5)),
        "control_gap": min(matching_gap(*checked, scaled=False), path_gap(z[:50], 0.5, late=1.0)),
    }, {
        "ways of twelve points: left the flow, right the rectified flow": {
            "kind": "scatter",
            "series": {name: tuple(points.T.tolist()) for name, points in ends.items()},
            "edges": edges,
            "equal": True,
            "x": "x; on the right x + 6",
            "y": "y",
        },
        COMMON: {
            "kind": "scatter",
            "series": {
                "data": tuple(fresh[:300].T.tolist()),
                "flow matching, 20 steps": tuple(paths["flow"][-1][:300].T.tolist()),
                "rectified flow, 1 step": tuple(leaps["rectified flow"][:300].T.tolist()),
            },
            "equal": True,
            "x": "x",
            "y": "y",
        },
    }


# %% what is claimed

TITLE = {"en": "Flow matching, bent and rectified", "zh": "流匹配：先弯曲，再拉直"}
CURVES = "squared error of the velocity"
COMMON = "samples beside the two moons"
CPU_SECONDS = 3
CLAIMS = {
    "trained flow_distance <= 0.009 < gaussians_distance <= 0.025": {
        "en": "energy distance from fresh data after 20 steps; the control is two Gaussians fitted to the data",
        "zh": "走 20 步所得样本与新数据的能量距离；对照为对数据拟合的两个高斯",
    },
    "trained leap_distance <= 0.012 < bent_leap_distance <= 1": {
        "en": "energy distance from fresh data after one step of the rectified flow; control: one step of the first",
        "zh": "整流后的流走一步所得样本与新数据的能量距离；对照：最初的流走一步",
    },
    "trained detour <= 1.01 < bent_detour": {
        "en": "length of the rectified flow's ways over the distance that they lead; the control is the first flow",
        "zh": "整流后路径的长度与起终点距离之比；对照为最初的流",
    },
    "parity flow_gap <= 1e-10 < control_gap": {
        "en": "largest gap of the loss over all lines through a point, and of its gradients, to the velocity of the "
        "probability flow ODE, and of the steps to a Gaussian's (f64); control: the score unscaled, or a step late",
        "zh": "过同一点的全部直线上的损失及其梯度同概率流 ODE 的速度之间、各步同高斯情形的闭式之间的最大差距（f64）；"
        "对照未缩放分数函数，或晚了一步",
    },
}
ZH = {
    "squared error of the velocity": "速度的平方误差",
    "flow": "最初的流",
    "rectified flow": "整流流",
    "ways of twelve points: left the flow, right the rectified flow": "十二个点的路径：左为最初的流，右为整流流",
    "noise": "噪声",
    "x; on the right x + 6": "x；右侧为 x + 6",
    "samples beside the two moons": "样本与双月形数据",
    "data": "数据",
    "flow matching, 20 steps": "流匹配，20 步",
    "rectified flow, 1 step": "整流流，1 步",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
