"""Mini-batch SGD — many noisy steps against few exact ones, and what the learning rate makes of the noise.

A softmax classifier of digits is trained for the same number of epochs with the whole training set in each
step (batch gradient descent), with 32 examples (mini-batch) and with one (stochastic). A linear regression on
an endless stream of single noisy samples then compares constant learning rates with one that decays like 1/t.

Claim:  after equal epochs mini-batches reach a lower loss than the full batch, each at its best rate; a
        constant rate leaves a floor of noise, under which the decaying one goes; just below 2 / (largest
        curvature) descent converges, just above it diverges; mini-batch gradients average to the full one,
        their variance falls as 1/B.
Source: H. Robbins, S. Monro, A Stochastic Approximation Method, Annals of Mathematical Statistics 22(3),
        1951; L. Bottou, F. Curtis, J. Nocedal, Optimization Methods for Large-Scale Machine Learning, SIAM
        Review 60(2), 2018
Run:    python kb/demos/sgd_minibatch.py --device cpu --seed 0 --steps 20
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

TITLE = {"en": "Batch, mini-batch and stochastic gradient descent", "zh": "批量、小批量与随机梯度下降"}
CPU_SECONDS = 2
CLAIMS = {
    "trained minibatch_loss <= 0.1 < full_batch_loss": {
        "en": "training loss of mini-batch SGD; control: full batch, as many epochs, both at their best rates",
        "zh": "小批量 SGD 的训练损失；对照为轮数相同的批量梯度下降，各取最优学习率",
    },
    "trained decayed_excess <= 0.009 < constant_excess": {
        "en": "excess loss of SGD on a noisy stream, rate decaying as 1/t; the control: best constant rate",
        "zh": "噪声数据流上学习率按 1/t 衰减时 SGD 的超额损失；对照为最好的恒定学习率",
    },
    "trained stable_log10 <= 0.0 < unstable_log10": {
        "en": "log10 of the loss change in 200 steps at 1.9 / (largest curvature); the control steps at 2.1",
        "zh": "学习率为 1.9 / 最大曲率时 200 步前后损失之比的 log10；对照取 2.1 / 最大曲率",
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

TRAIN = 1300
BATCHES = {"full batch": TRAIN, "mini-batch of 32": 32, "single": 1}
RATES = (0.1, 0.3, 0.5, 1.0, 3.0, 7.0, 10.0, 20.0)
STREAM, RUNS, DIM = 100, 50, 10  # samples per epoch, independent repetitions, features
CONSTANTS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)


def gradient(weights: Tensor, x: Tensor, y: Tensor) -> Tensor:  # (R, D, C), (B, D), (B, C) -> (R, D, C)
    """Of the mean cross-entropy of a softmax classifier, for R weights at once."""
    return x.T @ ((x @ weights).softmax(-1) - y) / len(x)


def parities(x: Tensor, y: Tensor) -> dict[str, float]:
    """Unbiased batches and the 1/B law of their variance, in float64 on 30 examples."""
    x, y = x[:30].cpu().double(), y[:30].cpu().double()
    weights = torch.zeros(1, x.shape[1], 10, dtype=torch.float64)
    full = gradient(weights, x, y)[0]
    parts = [slice(start, start + 8) for start in range(0, 30, 8)]  # 8, 8, 8 and 6 examples
    means = torch.stack([gradient(weights, x[part], y[part])[0] for part in parts])
    shares = torch.tensor([len(x[part]) / 30 for part in parts], dtype=torch.float64)[:, None, None]

    singles = torch.stack([gradient(weights, x[i : i + 1], y[i : i + 1])[0] for i in range(30)])
    pairs = (singles[:, None] + singles) / 2  # the mean gradient of every ordered pair: (30, 30, D, C)
    noise = ((pairs - full) ** 2).sum((-1, -2))
    half = ((singles - full) ** 2).sum((-1, -2)).mean() / 2
    distinct = noise[~torch.eye(30, dtype=torch.bool)]
    return {
        "epoch_gap": ((shares * means).sum(0) - full).abs().max().item(),
        "unweighted_gap": (means.mean(0) - full).abs().max().item(),
        "variance_gap": (noise.mean() - half).abs().item(),
        "without_replacement_gap": (distinct.mean() - half).abs().item(),
    }


def quadratic_change(factor: float) -> float:
    """Gradient descent on a bowl with curvatures 1..10 at rate factor / 10: log10 of the loss change."""
    curvature = torch.arange(1.0, 11.0)
    w = torch.ones(10)
    for _ in range(200):
        w = w - factor / 10 * curvature * w
    return ((curvature * w**2).sum() / curvature.sum()).log10().item()


def run(device="cpu", seed=0, steps=20):
    digits, data = load_digits(), torch.Generator().manual_seed(seed)
    x = torch.cat([torch.tensor(digits.data, dtype=torch.float32) / 16, torch.ones(len(digits.data), 1)], 1)
    order = torch.randperm(len(x), generator=data)[:TRAIN]
    x, y = x[order].to(device), F.one_hot(torch.tensor(digits.target)[order], 10).float().to(device)
    rates = torch.tensor(RATES, device=device)[:, None, None]
    weights = {name: torch.zeros(len(RATES), x.shape[1], 10, device=device) for name in BATCHES}
    true = torch.randn(DIM, generator=data).to(device)
    kinds = [*CONSTANTS, "decayed"]
    streamed = {kind: torch.zeros(RUNS, DIM, device=device) for kind in kinds}

    def best_loss(w: Tensor) -> float:
        return -((x @ w).log_softmax(-1) * y).sum(-1).mean(-1).nan_to_num(-1e9).max().item()

    for step in range(steps):  # an epoch each
        shuffled = torch.randperm(TRAIN, generator=data).to(device)
        for name, size in BATCHES.items():
            for rows in shuffled.split(size):
                weights[name] -= rates * gradient(weights[name], x[rows], y[rows])
        for t in range(step * STREAM, (step + 1) * STREAM):
            inputs = torch.randn(RUNS, DIM, generator=data).to(device)
            answers = inputs @ true + torch.randn(RUNS, generator=data).to(device)
            for kind, w in streamed.items():
                rate = 1 / (t + 20) if kind == "decayed" else kind
                error = (w * inputs).sum(1) - answers
                streamed[kind] = w - rate * error[:, None] * inputs
        yield (step + 1) / steps, {name: best_loss(w) for name, w in weights.items()}

    excess = {kind: ((w - true) ** 2).sum(1).mean().item() for kind, w in streamed.items()}
    return {
        "minibatch_loss": best_loss(weights["mini-batch of 32"]),
        "single_loss": best_loss(weights["single"]),
        "full_batch_loss": best_loss(weights["full batch"]),
        "decayed_excess": excess["decayed"],
        "constant_excess": min(excess[rate] for rate in CONSTANTS),
        **{f"excess_at_{rate}": excess[rate] for rate in CONSTANTS},
        "stable_log10": quadratic_change(1.9),
        "unstable_log10": quadratic_change(2.1),
        **parities(x, y),
    }, {
        "excess loss on the stream": {
            "kind": "bars",
            "zh": "数据流上的超额损失",
            "values": {f"rate {kind}": value for kind, value in excess.items()},
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
