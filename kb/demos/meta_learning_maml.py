"""MAML — from a start learned on many sine waves, five steps on ten points fit a new one; other starts do far worse.

A task is a sine wave of random amplitude and phase; ten points of its left half are known, and the error is taken on
other points, of both halves. MAML takes a gradient step on the ten points, and the gradient of the error passes through
that step to the start. The rivals: the same network trained as long on the points of all tasks jointly, a random start,
and a Gaussian process on the ten points whose kernel only knows that curves are smooth (a kernel of sines would be
exact). All are tested on 800 new waves, networks after five steps, each at the best of five rates, the Gaussian process
at the best of six length scales.

Needs:  torch
Source: C. Finn, P. Abbeel, S. Levine, Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks, ICML 2017
"""

import math

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, vmap
from torch.nn import functional as F

WIDTH, SHOTS, TASKS, TESTS, INNER, RATE, STEPS = 40, 10, 16, 800, 0.02, 6e-3, 5
RATES, LENGTHS = (1e-3, 3e-3, 0.01, 0.02, 0.04), (1.0, 1.25, 1.5, 1.75, 2.0, 3.0)
Points = tuple[Tensor, Tensor]

# %% the concept

Weights = list[Tensor]


def predict(weights: Weights, x: Tensor) -> Tensor:  # weights with or without a leading dimension of tasks; (..., n, 1)
    w1, b1, w2, b2, w3, b3 = weights
    hidden = (x @ w1 + b1).relu()
    return (hidden @ w2 + b2).relu() @ w3 + b3


def task_losses(weights: Weights, x: Tensor, y: Tensor) -> Tensor:  # (T, n, 1), (T, n, 1) -> (T,)
    return (predict(weights, x) - y).square().mean((1, 2))


def adapt(
    weights: Weights,
    x: Tensor,
    y: Tensor,
    rate: float,
    steps: int,
    through: bool = True,
) -> Weights:
    """Weights of their own for each task: w - a dL/dw, some times over; the result can be differentiated by w."""
    own = [w.expand(len(x), *w.shape[-2:]) for w in weights]
    for _ in range(steps):
        slopes = torch.autograd.grad(task_losses(own, x, y).sum(), own, create_graph=through)
        own = [w - rate * slope for w, slope in zip(own, slopes, strict=True)]
    return own


def meta_loss(weights: Weights, few: Points, fresh: Points, through: bool = True) -> Tensor:
    return task_losses(adapt(weights, *few, INNER, 1, through), *fresh).mean()  # mean_i L_i(w - a dL_i(w) / dw)


# %% its control


def pooled_loss(weights: Weights, few: Points, fresh: Points) -> Tensor:
    """The joint rival: all points of all tasks, with no step between."""
    return (task_losses(weights, *few).mean() + task_losses(weights, *fresh).mean()) / 2


def gaussian_process(few: Points, x: Tensor, length: float) -> Tensor:
    """Mean after the few points, for waves of standard deviation 2 and a squared exponential kernel: (T, n, 1)."""
    x_few, y_few, x = few[0].double(), few[1].double(), x.double()
    kernel = 4 * (-(x_few - x_few.mT).square() / (2 * length**2)).exp() + 1e-6 * torch.eye(SHOTS)
    return 4 * (-(x - x_few.mT).square() / (2 * length**2)).exp() @ torch.linalg.solve(kernel, y_few)


# %% the experiment


def waves(n: int, generator: torch.Generator) -> list[Points]:
    """Waves a sin(x - p): SHOTS points x < 0 of each, and as many of -5 < x < 5: (n, SHOTS, 1) twice, and twice."""
    a, p = (
        0.1 + 4.9 * torch.rand(n, 1, 1, generator=generator),
        math.pi * torch.rand(n, 1, 1, generator=generator),
    )
    sides = [width * torch.rand(n, SHOTS, 1, generator=generator) - 5 for width in (5, 10)]
    return [(x, a * (x - p).sin()) for x in sides]


def start(generator: torch.Generator) -> Weights:
    """As nn.Linear begins."""
    sizes = [(1, WIDTH), (WIDTH, WIDTH), (WIDTH, 1)]
    shapes = [(rows, shape[1], shape[0]) for shape in sizes for rows in (shape[0], 1)]
    return [(2 * torch.rand(rows, n, generator=generator) - 1) / fan**0.5 for rows, n, fan in shapes]


def gap_to_func(weights: Weights, few: Points, fresh: Points, through: bool) -> float:
    """Largest difference of loss and gradients by the start from torch.func, a net and a step a task, in f64."""
    mine = [w.detach().cpu().double().requires_grad_() for w in weights]
    (a, b), (x, y) = ([t.cpu().double() for t in side] for side in (few, fresh))
    net = nn.Sequential(
        nn.Linear(1, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, 1),
    )
    names = [name for name, _ in net.named_parameters()]
    theirs = {n: w.detach()[0] if "bias" in n else w.detach().mT for n, w in zip(names, mine, strict=True)}

    def loss(own: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(functional_call(net, own, (x,)), y)

    def after(own: dict[str, Tensor], *points: Tensor) -> Tensor:
        slope = grad(loss)(own, *points[:2])
        return loss({name: w - INNER * slope[name] for name, w in own.items()}, *points[2:])

    slopes, value = grad_and_value(lambda own: vmap(after, (None, 0, 0, 0, 0))(own, a, b, x, y).mean())(theirs)
    own = meta_loss(mine, (a, b), (x, y), through)
    gradients = torch.autograd.grad(own, mine)
    pairs = [
        (own, value),
        *((g, slopes[n].reshape(g.mT.shape).mT) for n, g in zip(names, gradients, strict=True)),
    ]
    return max((ours - func).detach().abs().max().item() for ours, func in pairs)


def run(device="cpu", seed=0, steps=1200):
    init, data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    first = start(init)
    starts = {name: [w.clone().to(device).requires_grad_() for w in first] for name in ("MAML", "joint")}
    optimizers = {name: torch.optim.Adam(weights, RATE) for name, weights in starts.items()}
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, steps) for o in optimizers.values()]
    for step in range(steps):
        few, fresh = ((x.to(device), y.to(device)) for x, y in waves(TASKS, data))
        losses = {"MAML": meta_loss(starts["MAML"], few, fresh), "joint": pooled_loss(starts["joint"], few, fresh)}
        for name, loss in losses.items():
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        for schedule in schedules:
            schedule.step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    few, fresh = waves(TESTS, unseen)
    here, asked = ((x.to(device), y.to(device)) for x, y in (few, fresh))
    starts["random"] = [w.to(device).requires_grad_() for w in first]
    errors, rates = {}, {}
    for name, w in starts.items():
        by_rate = []
        for rate in RATES:
            own, curve = w, [task_losses(w, *asked).mean().item()]
            for _ in range(STEPS):
                own = adapt(own, *here, rate, 1, False)
                curve.append(task_losses(own, *asked).mean().item())
            by_rate.append(curve)
        errors[name], rates[name] = min(
            zip(by_rate, RATES, strict=True), key=lambda p: (math.isnan(p[0][-1]), p[0][-1])
        )
    process = {
        length: F.mse_loss(gaussian_process(few, fresh[0], length), fresh[1].double()).item() for length in LENGTHS
    }
    best = min(process, key=lambda length: process[length])
    grid = torch.linspace(-5, 5, 41)[:, None]
    (a, b), xs = (t[:1] for t in here), grid.flatten().tolist()
    shown = {
        "ten known points": (a.flatten().tolist(), b.flatten().tolist()),
        "ten others": tuple(t[0].flatten().tolist() for t in fresh),
    }
    for name, taken in (("MAML", 0), ("MAML", STEPS), ("joint", STEPS)):
        own = adapt(starts[name], a, b, rates[name], taken, False)
        said = "after five steps" if taken else "before"
        shown[f"{name}, {said}"] = (xs, predict(own, grid.to(device)).flatten().tolist())
    known = {name: (list(range(STEPS + 1)), curve) for name, curve in errors.items()}
    known["Gaussian process"] = (list(range(STEPS + 1)), [process[best]] * (STEPS + 1))
    return {
        "maml_mse": errors["MAML"][-1],
        "rival_mse": min(errors["joint"][-1], errors["random"][-1], process[best]),
        "maml_left": errors["MAML"][1] / errors["MAML"][0],
        "joint_left": errors["joint"][1] / errors["joint"][0],
        "gradient_gap": gap_to_func(starts["MAML"], few, fresh, True),
        "first_order_gap": gap_to_func(starts["MAML"], few, fresh, False),
    }, {
        "squared error on new waves, by the steps taken": {
            "kind": "lines",
            "series": known,
            "x": "gradient steps on ten points",
            "y": "squared error",
        },
        "a new wave": {"kind": "scatter", "series": shown, "x": "x", "y": "y"},
    }


# %% what is claimed

TITLE = {"en": "MAML: a start from which few steps suffice", "zh": "MAML：几步就够的起点"}
CURVES = "squared error"
CPU_SECONDS = 4
CLAIMS = {
    "trained maml_mse <= 1.0 < rival_mse <= 1.9": {
        "en": "squared error on 800 new waves after five steps on ten points of their left half; the control is a "
        "joint net or a random start after as many steps, or a Gaussian process of smooth curves, the best",
        "zh": "在 800 条新波形上，用左半边的十个点做五步梯度下降之后的均方误差；"
        "对照为同样五步之后的联合训练网络、随机起点，或只假定曲线光滑的高斯过程，取最好者",
    },
    "trained maml_left <= 0.6 < joint_left <= 1.0": {
        "en": "share of the error that the first of these steps leaves; the control is the joint net",
        "zh": "其中第一步之后剩余误差所占的比例；对照为联合训练的网络",
    },
    "parity gradient_gap <= 1e-10 < first_order_gap": {
        "en": "error after a step and its gradient by the start, through that step, against torch.func (f64); the "
        "control takes the step for a constant (first order)",
        "zh": "一步之后的误差及其穿过这一步对起点的梯度，与 torch.func 之差（f64）；对照把这一步当作常数（一阶）",
    },
}
ZH = {
    "squared error": "均方误差",
    "joint": "联合训练",
    "random": "随机起点",
    "Gaussian process": "高斯过程",
    "squared error on new waves, by the steps taken": "新波形上的均方误差与所走步数",
    "gradient steps on ten points": "在十个点上的梯度步数",
    "a new wave": "一条新波形",
    "ten known points": "十个已知点",
    "ten others": "另外十个点",
    "MAML, before": "MAML，调整前",
    "MAML, after five steps": "MAML，五步之后",
    "joint, after five steps": "联合训练，五步之后",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
