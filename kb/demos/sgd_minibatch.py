"""Mini-batch SGD — many noisy steps against few exact ones, and what the learning rate makes of the noise.

A softmax classifier of 1300 digits is trained for the same number of epochs with the whole set in each step (batch
gradient descent), with 32 examples (mini-batch) and with one (stochastic), each at the best of eight rates, which
fall towards zero in a line. Then linear regressions: on an endless stream of single noisy samples a constant rate
ends on a floor of noise, the higher the larger the rate; one that decays as 1/t goes below the best of six. And on a
fixed set of samples, descent converges at 1.9 / (largest curvature) and diverges at 2.1.

Needs:  torch, scikit-learn
Source: H. Robbins, S. Monro, A Stochastic Approximation Method, Annals of Mathematical Statistics 22(3), 1951;
        L. Bottou, F. Curtis, J. Nocedal, Optimization Methods for Large-Scale Machine Learning, SIAM Review
        60(2), 2018
"""

import itertools

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

TRAIN, MINI, STREAM, RUNS, DIM = 1300, 32, 100, 200, 10  # samples an epoch, repetitions and features of the stream
CONSTANTS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)

# %% the concept


def gradient(w: Tensor, x: Tensor, y: Tensor) -> Tensor:  # (R, D, C), (B, D), (B, C) -> (R, D, C)
    """Of the mean cross-entropy of a softmax classifier on a batch, for R weights at once."""
    return x.T @ ((x @ w).softmax(-1) - y) / len(x)


def shuffled(n: int, generator: torch.Generator) -> Tensor:
    """The order of an epoch, in which every example comes once."""
    return torch.randperm(n, generator=generator)


def epoch(w: Tensor, x: Tensor, y: Tensor, rate: Tensor | float, order: Tensor, size: int) -> Tensor:
    """A step for every batch of `size`: all examples is batch gradient descent, one is stochastic."""
    for rows in order.split(size):
        w = w - rate * gradient(w, x[rows], y[rows])  # on average the full gradient, the less noisy the larger the size
    return w


def stream_step(w: Tensor, x: Tensor, y: Tensor, rate: float) -> Tensor:  # (R, D), (R, D), (R,) -> (R, D)
    """Stochastic descent of (w x - y)^2 / 2, one sample for each of R weights."""
    return w - rate * ((w * x).sum(1) - y)[:, None] * x


def decayed(t: int) -> float:
    return 1 / (t + 20)  # the rates add up to infinity, so any place is reached; their squares, the noise, do not


# %% the experiment


def parities(x: Tensor, y: Tensor, inputs: Tensor, answers: Tensor, generator: torch.Generator) -> dict[str, float]:
    """An epoch against torch.optim.SGD, unbiased batches and the 1/B law of their variance, f64, on 30 examples."""
    w, order = torch.zeros(1, x.shape[1], 10, dtype=torch.float64), shuffled(30, generator)
    twin, streamed = w[0].clone().requires_grad_(), torch.zeros_like(inputs).requires_grad_()
    optimizer = torch.optim.SGD([twin, streamed], lr=0.5)
    for rows in order.split(8):
        loss = F.cross_entropy(x[rows] @ twin, y[rows].argmax(1))
        loss = loss + ((streamed * inputs).sum(1) - answers).square().sum() / 2  # the same sample again each time
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    own = inputs * 0
    for _ in order.split(8):
        own = stream_step(own, inputs, answers, 0.5)
    gaps = [epoch(w, x, y, 0.5, order, size)[0] - twin.detach() for size in (8, 15)]

    w = w + 0.1 * torch.arange(10)  # not where all classes are alike
    full, parts = gradient(w, x, y)[0], order.split(8)  # 8, 8, 8 and 6 examples
    means = torch.stack([gradient(w, x[part], y[part])[0] for part in parts])
    shares = torch.tensor([len(part) / 30 for part in parts], dtype=torch.float64)[:, None, None]
    singles = torch.stack([gradient(w, x[i : i + 1], y[i : i + 1])[0] for i in range(30)])
    pairs = [[gradient(w, x[[i, j]], y[[i, j]])[0] for j in range(30)] for i in range(30)]  # every ordered pair
    noise = ((torch.stack([torch.stack(row) for row in pairs]) - full) ** 2).sum((-1, -2))
    half = ((singles - full) ** 2).sum((-1, -2)).mean() / 2
    distinct = noise[~torch.eye(30, dtype=torch.bool)]
    return {
        "sgd_gap": torch.stack([gaps[0].abs().max(), (own - streamed.detach()).abs().max()]).max().item(),
        "larger_batch_gap": gaps[1].abs().max().item(),
        "epoch_gap": ((shares * means).sum(0) - full).abs().max().item(),
        "unweighted_gap": (means.mean(0) - full).abs().max().item(),
        "variance_gap": (noise.mean() - half).abs().item(),
        "without_replacement_gap": (distinct.mean() - half).abs().item(),
    }


def ravine(generator: torch.Generator) -> dict[str, tuple[list[int], list[float]]]:
    """(x^2 + 100 y^2) / 2 along 60 steps from (10, 1): the mean of x^2 and 100 y^2, one of them seen a step; f64."""
    curvature, rates = torch.tensor([1.0, 100.0]).double(), torch.logspace(-3, 0, 61, dtype=torch.float64)[:, None]
    path = [torch.tensor([10.0, 1.0]).double().expand(61, 2)]
    for _ in range(30):
        for sample in F.one_hot(shuffled(2, generator), 2):
            path.append(path[-1] - rates * 2 * curvature * sample * path[-1])
    of_it = (curvature * torch.stack(path) ** 2).sum(-1) / 2  # (61 places, 61 rates)
    return {"SGD, one of two samples a step": (list(range(61)), of_it[:, of_it[-1].argmin()].tolist())}


def run(device="cpu", seed=0, steps=20):
    chosen, order, stream = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    digits = load_digits()  # examples, their order and the stream: three random streams; weights begin at zero
    x = torch.cat([torch.tensor(digits.data) / 16, torch.ones(len(digits.data), 1)], 1)  # f64
    some = torch.randperm(len(x), generator=chosen)[:TRAIN]
    exact = x[some], F.one_hot(torch.tensor(digits.target)[some], 10).double()
    x, y = (t.float().to(device) for t in exact)
    rates = 10 ** torch.arange(-0.5, 1.26, 0.25, device=device)[:, None, None]  # every one is tried at once
    sizes = {"full batch": TRAIN, "mini-batch": MINI, "single": 1}
    weights = {name: torch.zeros(len(rates), x.shape[1], 10, device=device) for name in sizes}
    losses = {name: [] for name in sizes}  # of each epoch, by rate

    true = torch.randn(RUNS, DIM, generator=stream)
    streamed = {kind: torch.zeros(RUNS, DIM, device=device) for kind in [*CONSTANTS, "1/(t+20)"]}
    seen, excess = [], {kind: [] for kind in streamed}

    samples = torch.randn(200, DIM, generator=stream, dtype=torch.float64)
    curvature = samples.T @ samples / 200  # of half the mean squared error
    best = torch.randn(DIM, generator=stream, dtype=torch.float64)
    descents = dict.fromkeys((1.9, 2.1), 0 * best)

    for step in range(steps):  # an epoch each
        rows = shuffled(TRAIN, order).to(device)
        for name, size in sizes.items():
            weights[name] = epoch(weights[name], x, y, rates * (1 - step / steps), rows, size)
            loss = -((x @ weights[name]).log_softmax(-1) * y).sum(-1).mean(-1)
            losses[name].append(loss.nan_to_num(1e9).tolist())
        for t in range(step * STREAM, (step + 1) * STREAM):
            inputs = torch.randn(RUNS, DIM, generator=stream)
            answers = (inputs * true).sum(1) + torch.randn(RUNS, generator=stream)
            sample = inputs.to(device), answers.to(device)
            for kind, w in streamed.items():
                streamed[kind] = stream_step(w, *sample, decayed(t) if kind == "1/(t+20)" else kind)
            if t % 20 == 19 or t % STREAM == STREAM - 1:
                seen.append(t + 1)
                for kind, w in streamed.items():
                    excess[kind].append(((w.cpu() - true) ** 2).sum(1).mean().item())  # of (w x - y)^2
        for factor, w in descents.items():
            for _ in range(10):
                w = w - factor / torch.linalg.eigvalsh(curvature)[-1] * curvature @ (w - best)
            descents[factor] = w
        yield (step + 1) / steps, {name: min(of_it[-1]) for name, of_it in losses.items()}

    at_best = {name: min(zip(*of_it, strict=True), key=lambda path: path[-1]) for name, of_it in losses.items()}
    ends = {kind: path[-1] for kind, path in excess.items()}
    growth = [ends[b] / ends[a] for a, b in itertools.pairwise(CONSTANTS)]
    bowls = {k: (w - best) @ curvature @ (w - best) / (best @ curvature @ best) for k, w in descents.items()}
    return {
        "minibatch_loss": at_best["mini-batch"][-1],
        "single_loss": at_best["single"][-1],
        "full_batch_loss": at_best["full batch"][-1],
        "decayed_excess": ends["1/(t+20)"],
        "constant_excess": min(ends[rate] for rate in CONSTANTS),
        "floor_growth": min(growth[1:]),
        "unfinished_growth": growth[0],
        "stable_log10": bowls[1.9].log10().item(),
        "unstable_log10": bowls[2.1].log10().item(),
        **parities(exact[0][:30], exact[1][:30], inputs[:5].double(), answers[:5].double(), order),
    }, {
        "excess loss on a stream of noisy samples, by rate": {
            "kind": "lines",
            "series": {str(kind): (seen, path) for kind, path in excess.items()},
            "x": "samples",
            "y": "excess loss",
            "log": "xy",
        },
        "training loss of the digits, each at the best of eight rates": {
            "kind": "lines",
            "series": {name: (list(range(1, steps + 1)), list(path)) for name, path in at_best.items()},
            "x": "epochs",
            "y": "cross-entropy",
            "log": "y",
        },
        COMMON: {"kind": "lines", "series": ravine(order), "x": "step", "y": "loss", "log": "y"},
    }


# %% what is claimed

TITLE = {"en": "Batch, mini-batch and stochastic gradient descent", "zh": "批量、小批量与随机梯度下降"}
CURVES = "cross-entropy"
COMMON = "loss on a ravine"
CPU_SECONDS = 3
CLAIMS = {
    "trained minibatch_loss <= 0.03 < full_batch_loss <= 0.3": {
        "en": "training loss with batches of 32; control: the full batch, as many epochs, each at the best of 8 rates",
        "zh": "每批 32 个样本时的训练损失；对照为轮数相同的批量梯度下降，各取 8 种学习率中最优者",
    },
    "trained decayed_excess <= 0.0075 < constant_excess <= 0.02": {
        "en": "excess loss of SGD on a noisy stream, rate decaying as 1/t; the control: the best of 6 constant rates",
        "zh": "噪声数据流上学习率按 1/t 衰减时 SGD 的超额损失；对照为 6 种恒定学习率中最好者",
    },
    "trained floor_growth >= 1.7 > unfinished_growth": {
        "en": "least growth of the excess loss from one constant rate to the next, from 0.002 up; the control is the "
        "growth from 0.001, which is still on its way, to 0.002",
        "zh": "恒定学习率从 0.002 起每增大一档，超额损失至少变为几倍；对照为从 0.001（尚未走完）到 0.002 的变化",
    },
    "trained stable_log10 <= -17.5 < unstable_log10": {
        "en": "log10 of the loss change in 200 steps at 1.9 / (largest curvature); the control steps at 2.1",
        "zh": "学习率为 1.9 / 最大曲率时 200 步前后损失之比的 log10；对照取 2.1 / 最大曲率",
    },
    "parity sgd_gap <= 1e-10 < larger_batch_gap": {
        "en": "gap of the weights to torch.optim.SGD with autograd after an epoch (f64); the control takes larger "
        "batches",
        "zh": "一轮之后的权重与 torch.optim.SGD 加自动求导的差距（f64）；对照用更大的批",
    },
    "parity epoch_gap <= 1e-10 < unweighted_gap": {
        "en": "mean gradient of an epoch against the full one; the control weights all batches alike",
        "zh": "一轮内小批量梯度的均值与全量梯度之差；对照不按批大小加权",
    },
    "parity variance_gap <= 1e-10 < without_replacement_gap": {
        "en": "variance over all pairs against half that of singles; the control draws no example twice",
        "zh": "所有样本对的梯度方差与单样本方差一半之差；对照为不放回抽样",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "full batch": "全部样本",
    "mini-batch": "每批 32 个",
    "single": "单个样本",
    "excess loss on a stream of noisy samples, by rate": "噪声数据流上的超额损失，按学习率",
    "samples": "样本数",
    "excess loss": "超额损失",
    "training loss of the digits, each at the best of eight rates": "数字分类的训练损失，各取八种学习率中最好的",
    "epochs": "轮数",
    "SGD, one of two samples a step": "SGD，每步只看两个样本之一",
    "loss on a ravine": "狭长山谷上的损失",
    "step": "步",
    "loss": "损失",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
