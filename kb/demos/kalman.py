"""Kalman filter — where is it now? Each noisy measurement counts by how sure it is against what was foretold.

Simulated objects drift over a plane, pushed at random; every step is measured by one of two sensors, a good one or one
with ten times the noise, and the filter is told which. It foretells position and velocity with their covariance, and
corrects them by the gain: the share of the surprise that it believes. Controls: a straight line through the last 30
measurements, weighted by noise and age, at the best of seven rates of forgetting on these very paths; and for the
variance that the filter states, the same filter told half the push. The filter is told the laws of start, motion and
noise; under these, which are Gaussian, no estimate from the same measurements has a smaller expected squared error.
Where they are wrong it has no such claim.

Needs:  torch
Source: R. E. Kalman, A New Approach to Linear Filtering and Prediction Problems, Journal of Basic Engineering 82, 1960
"""

import torch
from torch import Tensor

TIMES, START, PUSH, GOOD, BAD, SETTLED = 60, 5.0, 0.3, 0.3, 3.0, 10
KEEPS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)

# %% the concept


def kalman(y: Tensor, noise: Tensor, push: float = PUSH) -> tuple[Tensor, Tensor]:
    """Each position from the measurements up to it, and its variance: (B, T, 2), (B, T) -> (B, T, 2), (B, T)."""
    move = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=y.dtype).to(y.device)  # position += velocity
    kick = push * torch.tensor([0.5, 1.0], dtype=y.dtype).to(y.device)  # what a push does to both
    mean = y.new_zeros(len(y), 2, 2)  # position and velocity, along x and y
    cov = torch.diag(torch.tensor([START**2, 1.0], dtype=y.dtype)).to(y.device).expand(len(y), 2, 2)  # of either
    means, variances = [], []
    for t in range(y.shape[1]):
        if t > 0:
            mean, cov = move @ mean, move @ cov @ move.mT + kick[:, None] * kick  # foretell: A m, A P A^T + Q
        gain = cov[:, :, :1] / (cov[:, :1, :1] + noise[:, t, None, None] ** 2)  # K = P H^T / (H P H^T + R): (B, 2, 1)
        mean = mean + gain * (y[:, t] - mean[:, 0])[:, None]  # correct: m + K (y - H m)
        cov = cov - gain * cov[:, :1]  # P - K H P
        means.append(mean[:, 0])
        variances.append(cov[:, 0, 0])
    return torch.stack(means, 1), torch.stack(variances, 1)


# %% its control


def line(y: Tensor, noise: Tensor, keep: float) -> Tensor:
    """The end of a straight line through the last 30 measurements, each weighted by keep^age / noise^2."""
    ends = [y[:, 0]]
    for t in range(1, y.shape[1]):
        since = slice(max(0, t - 29), t + 1)
        age = torch.arange(t - since.start, -1, -1, dtype=y.dtype).to(y.device)
        basis = torch.stack([torch.ones_like(age), age], 1)  # (L, 2)
        weighted = basis.mT * keep**age * noise[:, None, since] ** -2  # (B, 2, L)
        ends.append(torch.linalg.solve(weighted @ basis, weighted @ y[:, since])[:, 0])
    return torch.stack(ends, 1)


# %% the experiment


def paths(n: int, generator: torch.Generator) -> Tensor:
    """Positions of objects that are pushed at random: (n, T, 2)."""
    position = START * torch.randn(n, 2, generator=generator)
    velocity, found = torch.randn(n, 2, generator=generator), [position]
    for _ in range(TIMES - 1):
        push = PUSH * torch.randn(n, 2, generator=generator)
        position, velocity = position + velocity + push / 2, velocity + push
        found.append(position)
    return torch.stack(found, 1)


def batch_gap(y: Tensor, noise: Tensor, push: float = PUSH) -> float:
    """Largest gap of the filter's means and variances, and of their gradients, to conditioning the joint Gaussian of
    all positions on the measurements so far by one solve (f64)."""
    y, noise = y.double().requires_grad_(), noise.double().requires_grad_()
    steps = y.shape[1]
    causes = torch.zeros(steps, steps + 1, dtype=torch.float64)  # positions, by start, velocity and each push
    for t in range(steps):
        causes[t, 0], causes[t, 1] = START, t
        for k in range(1, t + 1):
            causes[t, k + 1] = PUSH * (t - k + 0.5)
    joint, means, variances = causes @ causes.mT, [], []
    for t in range(steps):
        seen = joint[: t + 1, : t + 1] + torch.diag_embed(noise[:, : t + 1] ** 2)
        share = torch.linalg.solve(seen, joint[: t + 1, t].expand(len(y), -1)[..., None]).mT  # C (C + R)^-1
        means.append((share @ y[:, : t + 1])[:, 0])
        variances.append(joint[t, t] - (share @ joint[: t + 1, t])[:, 0])
    found = []
    for mean, variance in (kalman(y, noise, push), (torch.stack(means, 1), torch.stack(variances, 1))):
        value = mean.sin().sum() + variance.sum()
        found.append((mean, variance, *torch.autograd.grad(value, (y, noise), materialize_grads=True)))
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def rms(estimate: Tensor, truth: Tensor) -> float:
    return (estimate.cpu() - truth)[:, SETTLED:].square().sum(-1).mean().sqrt().item()


def run(device="cpu", seed=0, steps=1000):
    moved, sensed = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))  # paths and noise: two streams
    truth = paths(steps, moved)
    noise = torch.where(torch.rand(steps, TIMES, generator=sensed) < 0.5, GOOD, BAD)
    measured = truth + noise[..., None] * torch.randn(truth.shape, generator=sensed)
    y, told = measured.to(device), noise.to(device)
    lines = []
    for k, keep in enumerate(KEEPS):
        lines.append(rms(line(y, told, keep), truth))
        yield (k + 1) / len(KEEPS), {"forgetting line": lines[-1]}
    (mean, variance), stubborn = kalman(y, told), kalman(y, told, PUSH / 2)

    def miscalibrated(mean: Tensor, variance: Tensor) -> float:
        """How far the mean of the squared error over the variance that the filter states is from 1."""
        error = (mean.cpu() - truth)[:, SETTLED:].square().mean(-1)
        return abs((error / variance.cpu()[:, SETTLED:]).mean().item() - 1)

    shown, few, stated = slice(20, 50), (measured[:3, :12], noise[:3, :12]), variance[0].cpu().sqrt()
    drawn = {"measurement": (measured - truth)[0, :, 0], "Kalman filter": (mean.cpu() - truth)[0, :, 0]}
    drawn |= {"stated deviation, up": stated, "stated deviation, down": -stated}
    return {
        "kalman_error": rms(mean, truth),
        "line_error": min(lines),
        "stubborn_error": rms(stubborn[0], truth),
        "measured_error": rms(measured, truth),
        "miscalibrated": miscalibrated(mean, variance),
        "stubborn_miscalibrated": miscalibrated(*stubborn),
        "batch_gap": batch_gap(*few),
        "stubborn_gap": batch_gap(*few, PUSH / 2),
    }, {
        "one path: how far off in x, and how far the filter says": {
            "kind": "lines",
            "series": {name: (list(range(20, 50)), off[shown].tolist()) for name, off in drawn.items()},
            "x": "step",
            "y": "estimate less truth",
        }
    }


# %% what is claimed

TITLE = {"en": "A Kalman filter follows a noisy path", "zh": "卡尔曼滤波跟踪带噪声的路径"}
CURVES = "root mean squared error"
CPU_SECONDS = 1
CLAIMS = {
    "trained kalman_error <= 1.0 < line_error <= 1.12": {
        "en": "root mean squared distance from the true position, after the first 10 steps; control: a straight line "
        "weighted by noise and age, at the best of seven rates of forgetting on these paths",
        "zh": "前 10 步之后与真实位置的均方根距离；对照：按噪声和时间远近加权的直线拟合，遗忘率取这些路径上七者之最优",
    },
    "trained miscalibrated <= 0.03 < stubborn_miscalibrated": {
        "en": "how far the mean of the squared error over the variance that the filter states is from 1; control: the "
        "filter told half the push",
        "zh": "平方误差与滤波器自报方差之比的均值偏离 1 的程度；对照：只被告知一半推动强度的滤波器",
    },
    "parity batch_gap <= 1e-10 < stubborn_gap": {
        "en": "largest gap of positions, variances and gradients to conditioning the joint Gaussian on all "
        "measurements so far (f64); control: the filter told half the push",
        "zh": "位置、方差及梯度同“以至今全部测量为条件的联合高斯”的最大差距（f64）；对照：只被告知一半推动强度的滤波器",
    },
}
ZH = {
    "root mean squared error": "均方根误差",
    "forgetting line": "带遗忘的直线拟合",
    "one path: how far off in x, and how far the filter says": "一条路径：x 方向的偏差，与滤波器自报的标准差",
    "measurement": "测量",
    "Kalman filter": "卡尔曼滤波",
    "stated deviation, up": "自报标准差，上",
    "stated deviation, down": "自报标准差，下",
    "step": "步",
    "estimate less truth": "估计减真值",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
