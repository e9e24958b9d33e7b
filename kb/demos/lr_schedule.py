"""Learning-rate schedules — decay ends below the noise of the best constant rate; warm-up makes a larger rate usable.

A noisy quadratic bowl in two dimensions: curvatures 1 and 0.1, a start 10 away along each, and noise of standard
deviation 1 in each component of each gradient; 800 runs of 300 steps. A constant rate must be large to arrive and small
to be quiet; cosine, linear and stepwise decay need not choose. Each schedule takes the best of 33 rates, and theory
says at which loss a constant rate ends. Then networks of four hidden layers learn digits with Adam, four each, in 100
steps, all with linear decay to zero: at a highest rate of 0.1 they do after a warm-up of 40 steps, and badly without
one. At 0.02 they need none, and end lower still: here warm-up saves a rate that is too large, and does not beat a good
one.

Needs:  torch, scikit-learn
Source: H. Robbins, S. Monro, A Stochastic Approximation Method, Annals of Mathematical Statistics 22(3), 1951 (decay);
        I. Loshchilov, F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR 2017 (cosine);
        P. Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017 (warm-up)
"""

import math
from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

RUNS, BATCH, TRAIN, WARM, HIGH, LOW = 800, 64, 1300, 40, 0.1, 0.02

# %% the concept


def constant(t: int, steps: int) -> float:
    return 1.0


def cosine(t: int, steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * t / steps))  # half a wave, from 1 to 0: slow, fast, slow


def linear(t: int, steps: int) -> float:
    return 1 - t / steps


def stepwise(t: int, steps: int) -> float:
    return 0.1 ** (3 * t // steps)  # a tenth after each third


def warmed_up(rule: Callable[[int, int], float], t: int, steps: int, warm: int) -> float:
    return (t + 1) / warm if t < warm else rule(t - warm, steps - warm)  # the first steps grow in a line; then the rule


def floor(rate: Tensor, curvature: Tensor) -> Tensor:  # (R, 1), (D,) -> (R,)
    """Mean loss that a constant rate ends at: each step keeps (1 - rate h)^2 of w^2 and adds rate^2."""
    return (rate / (2 * (2 - rate * curvature))).sum(-1)  # sum over h of h w^2 / 2, w^2 = rate / (h (2 - rate h))


# %% the experiment

SCHEDULES = {"constant": constant, "cosine": cosine, "linear": linear, "stepwise": stepwise}
CURVATURE = (1.0, 0.1)


def torch_gap(steps: int, late: int = 0) -> float:
    """Of the rates of all schedules to torch.optim.lr_scheduler; `late` mistakes the length."""
    kinds = torch.optim.lr_scheduler
    gaps = []
    for name in ("constant", "cosine", "linear", "stepwise", "warmed up"):
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        if name == "constant":
            twin = kinds.ConstantLR(optimizer, 1.0)
        elif name == "cosine":
            twin = kinds.CosineAnnealingLR(optimizer, steps)
        elif name == "linear":
            twin = kinds.LinearLR(optimizer, 1.0, 0.0, steps)
        elif name == "stepwise":
            twin = kinds.StepLR(optimizer, steps // 3, 0.1)
        else:
            parts = kinds.LinearLR(optimizer, 1 / 10, 1.0, 9), kinds.LinearLR(optimizer, 1.0, 0.0, steps - 10)
            twin = kinds.SequentialLR(optimizer, list(parts), [10])
        for t in range(steps):
            mine = (
                warmed_up(linear, t, steps + late, 10 + late)
                if name == "warmed up"
                else SCHEDULES[name](t, steps + late)
            )
            gaps.append(abs(mine - twin.get_last_lr()[0]))
            optimizer.step()
            twin.step()
    return max(gaps)


def network_loss(weights: list[Tensor], x: Tensor, y: Tensor) -> Tensor:  # (R, in, out) each -> (R,)
    h = x
    for w in weights[:-1]:
        h = (h @ w).relu()
    return -((h @ weights[-1]).log_softmax(-1) * y).sum(-1).mean(1)


def adam(g: Tensor, first: Tensor, second: Tensor, t: int) -> tuple[Tensor, Tensor, Tensor]:
    """A step at rate 1, and both averages."""
    first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
    return first / (1 - 0.9 ** (t + 1)) / ((second / (1 - 0.999 ** (t + 1))).sqrt() + 1e-8), first, second


class Networks:
    """Copies of some networks, each copy with a rate and a warm-up of its own."""

    def __init__(self, weights: list[Tensor], rates: Tensor, warm: list[int]) -> None:
        self.weights, self.rates, self.warm = weights, rates, warm
        self.averages = [(0 * w, 0 * w) for w in weights]

    def step(self, x: Tensor, y: Tensor, t: int, steps: int) -> None:
        leaves = [w.detach().requires_grad_() for w in self.weights]
        found = torch.autograd.grad(network_loss(leaves, x, y).sum(), leaves)
        shares = torch.tensor([warmed_up(linear, t, steps, warm) for warm in self.warm], dtype=torch.float64)
        rates = self.rates * shares.to(self.rates)[:, None, None]
        for i, g in enumerate(found):
            u, *self.averages[i] = adam(g, *self.averages[i], t)
            self.weights[i] = self.weights[i] - rates * u


def network_gap(weights: list[Tensor], x: Tensor, y: Tensor, warm: int) -> float:
    """Weights after 8 steps, to autograd, torch.optim.Adam and LambdaLR with a warm-up of 4 steps; f64."""
    nets = Networks([w[:1] for w in weights], torch.full((1, 1, 1), 0.01, dtype=torch.float64), [warm])
    twins = [w[0].clone().requires_grad_() for w in weights]
    optimizer = torch.optim.Adam(twins, lr=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: min((t + 1) / 4, (8 - t) / 4))
    for t in range(8):
        nets.step(x, y, t, 8)
        h = x
        for w in twins[:-1]:
            h = F.relu(h @ w)
        optimizer.zero_grad()
        F.cross_entropy(h @ twins[-1], y.argmax(1)).backward()
        optimizer.step()
        schedule.step()
    return max((a[0] - b).detach().abs().max().item() for a, b in zip(nets.weights, twins, strict=True))


def law_gap(stretched: float = 1.0) -> float:
    """Of `floor` to 10,000 steps of the expected w^2, relative; `stretched` mistakes the rate. f64."""
    rates, curvature = torch.logspace(-1, 0.2, 23).double()[:, None], torch.tensor(CURVATURE).double()
    square = torch.full((23, 2), 100.0).double()
    for _ in range(10000):
        square = (1 - rates * curvature) ** 2 * square + rates**2
    return (floor(stretched * rates, curvature) / ((curvature * square).sum(-1) / 2) - 1).abs().max().item()


def run(device="cpu", seed=0, steps=300):
    made, order, noisy = (torch.Generator().manual_seed(3 * seed + k) for k in (0, 1, 2))
    curvature, rates = torch.tensor(CURVATURE).to(device), torch.logspace(-3, 0.2, 33)[:, None, None].to(device)
    places = {name: torch.full((33, RUNS, 2), 10.0).to(device) for name in SCHEDULES}
    losses = {name: [] for name in SCHEDULES}  # by step and rate
    x, y = load_digits(return_X_y=True)
    some = torch.randperm(len(x), generator=order)[:TRAIN]
    digits = (torch.tensor(x) / 16)[some], F.one_hot(torch.tensor(y)[some], 10).double()
    x, y = (t.float().to(device) for t in digits)
    sizes = list(zip((64, 32, 32, 32, 32), (32, 32, 32, 32, 10), strict=True))
    start = [torch.randn(4, rows, columns, generator=made) * (2 / rows) ** 0.5 for rows, columns in sizes]
    each = torch.tensor([HIGH, HIGH, LOW]).repeat_interleave(4)[:, None, None].to(device)
    nets = Networks([w.repeat(3, 1, 1).to(device) for w in start], each, [WARM] * 4 + [0] * 8)
    for step in range(steps):
        noise = torch.randn(RUNS, 2, generator=noisy).to(device)
        for name, w in places.items():
            places[name] = w - rates * SCHEDULES[name](step, steps) * (curvature * w + noise)
            losses[name].append(((curvature * places[name] ** 2).sum(-1).mean(1) / 2).cpu())
        if step % 3 == 0:
            rows = torch.randint(TRAIN, (BATCH,), generator=order).to(device)
            nets.step(x[rows], y[rows], step // 3, -(-steps // 3))
        yield (step + 1) / steps, {name: min(of_it[-1].min().item(), 1e3) for name, of_it in losses.items()}

    tables = {name: torch.stack(of_it).nan_to_num(1e9) for name, of_it in losses.items()}  # (steps, rates)
    best = {name: table[-1].argmin().item() for name, table in tables.items()}
    ends = {name: table[-1, best[name]].item() for name, table in tables.items()}
    law = floor(rates[:, 0], curvature).cpu()[25:]  # rates of 0.3 to 1.6 have arrived
    settled, quiet = (tables[name][-steps // 3 :, 25:].mean(0) / law - 1 for name in ("constant", "linear"))
    warm, cold, low = network_loss(nets.weights, x, y).nan_to_num(1e9).view(3, 4).mean(1).tolist()
    exact = [w.double() for w in start], digits[0][:50], digits[1][:50]
    times = list(range(steps))
    return {
        "cosine_loss": ends["cosine"],
        "linear_loss": ends["linear"],
        "stepwise_loss": ends["stepwise"],
        "constant_loss": ends["constant"],
        "settled_gap": settled.abs().max().item(),
        "decaying_gap": quiet.abs().min().item(),
        "warm_loss": warm,
        "low_loss": low,
        "cold_loss": cold,
        "torch_gap": torch_gap(30),
        "late_gap": torch_gap(30, late=1),
        "network_gap": network_gap(*exact, warm=4),
        "unwarmed_gap": network_gap(*exact, warm=0),
        "law_gap": law_gap(),
        "mistaken_gap": law_gap(1.01),
    }, {
        "learning rate, as a share of the largest": {
            "kind": "lines",
            "series": {name: (times, [rule(t, steps) for t in times]) for name, rule in SCHEDULES.items()}
            | {
                "warm-up, then linear": (
                    times,
                    [warmed_up(linear, t, steps, steps * WARM // 100) for t in times],
                )
            },
            "x": "step",
            "y": "share",
        },
        "loss on the noisy bowl, each at its best rate": {
            "kind": "lines",
            "series": {name: (times, table[:, best[name]].tolist()) for name, table in tables.items()},
            "x": "step",
            "y": "loss",
            "log": "y",
        },
    }


# %% what is claimed

TITLE = {"en": "Learning-rate decay and warm-up", "zh": "学习率的衰减与预热"}
CURVES = "loss on the noisy bowl, at the best rate"
CPU_SECONDS = 1
CLAIMS = {
    "trained cosine_loss <= 0.036 < constant_loss <= 0.075": {
        "en": "cosine annealing: loss on a noisy quadratic bowl after 300 steps, mean of 800 runs; the control is a "
        "constant rate; each at the best of 33",
        "zh": "余弦退火：带噪声的二次损失在 300 步后的值，800 次运行的均值；对照为恒定学习率；各取 33 种学习率中的最优",
    },
    "trained linear_loss <= 0.036 < constant_loss <= 0.075": {
        "en": "linear decay: loss on a noisy quadratic bowl after 300 steps, mean of 800 runs; the control is a "
        "constant rate; each at the best of 33",
        "zh": "线性衰减：带噪声的二次损失在 300 步后的值，800 次运行的均值；对照为恒定学习率；各取 33 种学习率中的最优",
    },
    "trained stepwise_loss <= 0.055 < constant_loss <= 0.075": {
        "en": "stepwise decay, to a tenth after each third: loss on a noisy quadratic bowl after 300 steps, mean of "
        "800 runs; the control is a constant rate; each at the best of 33",
        "zh": "阶梯衰减（每过三分之一降为十分之一）：带噪声的二次损失在 300 步后的值，800 次运行的均值；"
        "对照为恒定学习率；各取 33 种学习率中的最优",
    },
    "trained settled_gap <= 0.05 < decaying_gap": {
        "en": "largest relative gap of the loss of constant rates from 0.3 to 1.6, mean of the last 100 steps, to "
        "theory; the control is linear decay from the same rates, its smallest",
        "zh": "0.3 到 1.6 的恒定学习率在最后 100 步的平均损失与理论值的最大相对差距；"
        "对照为从同样学习率线性衰减的最小差距",
    },
    "trained warm_loss <= 0.4 < cold_loss <= 2": {
        "en": "warm-up: loss of networks on their training digits, Adam at a highest rate of 0.1 with a warm-up over "
        "40 of 100 steps, mean of four; the control has none",
        "zh": "预热：Adam 最高学习率 0.1，100 步中前 40 步预热，四个网络在训练用手写数字上的平均损失；对照不预热",
    },
    "trained low_loss <= 0.17 < cold_loss <= 2": {
        "en": "loss of such networks without a warm-up at a highest rate of 0.02; the control's is 0.1, and it has "
        "none either",
        "zh": "同样的网络在最高学习率 0.02、不预热时的损失；对照的最高学习率为 0.1，也不预热",
    },
    "parity torch_gap <= 1e-10 < late_gap": {
        "en": "largest gap of the rates of five schedules to torch.optim.lr_scheduler; the control's are a step longer",
        "zh": "五种调度的学习率与 torch.optim.lr_scheduler 的最大差距；对照的长度多一步",
    },
    "parity network_gap <= 1e-10 < unwarmed_gap": {
        "en": "gap of a network's weights after 8 steps to torch.optim.Adam with LambdaLR (f64); the control has no "
        "warm-up",
        "zh": "网络训练 8 步后权重与 torch.optim.Adam 加 LambdaLR 的差距（f64）；对照不预热",
    },
    "parity law_gap <= 1e-10 < mistaken_gap": {
        "en": "relative gap of the loss where a constant rate ends to 10,000 steps of the expected squares (f64); the "
        "control puts a rate 1 % too large into the formula",
        "zh": "恒定学习率最终损失的公式与平方期望递推 10000 步的相对差距（f64）；对照在公式中用大了 1 % 的学习率",
    },
}
ZH = {
    "loss on the noisy bowl, at the best rate": "带噪声的二次损失（最佳学习率）",
    "constant": "恒定",
    "cosine": "余弦",
    "linear": "线性",
    "stepwise": "阶梯",
    "warm-up, then linear": "先预热，再线性衰减",
    "learning rate, as a share of the largest": "学习率与最大值之比",
    "loss on the noisy bowl, each at its best rate": "带噪声的二次损失，各取最佳学习率",
    "step": "步",
    "share": "比例",
    "loss": "损失",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
