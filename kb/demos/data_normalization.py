"""Data normalization — features brought to one scale make gradient descent usable.

The 13 measurements of 178 wines reach from 0.1 to 1,700. A softmax classifier is trained by gradient descent on
the raw values, on standardized ones (mean 0, variance 1) and on min-max normalized ones (range 0 to 1), for as
many steps, at 19 learning rates; losses and accuracies are means over 5 random divisions into training and test
wines. All statistics come from the training part alone, or the test would leak into it. The condition number,
largest by smallest curvature of squared error on the features (a stand-in for the loss), says why scaling helps.
One outlier squeezes min-max values more than standardized ones, though both suffer.

Needs:  torch, scikit-learn
Source: Y. LeCun et al., Efficient BackProp, in Neural Networks: Tricks of the Trade, 1998
"""

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import Tensor
from torch.nn import functional as F

TRAIN, DIVISIONS, OUTLIER = 120, 5, 30.0
RATES = [10 ** (k / 2) for k in range(-16, 3)]

# %% the concept


def standardize(train: Tensor, x: Tensor) -> Tensor:  # (..., n, d), (..., m, d) -> (..., m, d)
    """Mean 0 and variance 1 on the training part."""
    mean = train.mean(-2, keepdim=True)
    variance = ((train - mean) ** 2).mean(-2, keepdim=True)
    return (x - mean) / variance.sqrt()


def normalize(train: Tensor, x: Tensor) -> Tensor:  # (..., n, d), (..., m, d) -> (..., m, d)
    """Range 0 to 1 on the training part."""
    low, high = train.amin(-2, keepdim=True), train.amax(-2, keepdim=True)
    return (x - low) / (high - low)


# %% the experiment


def descend(w: Tensor, x: Tensor, y: Tensor, rate: float | Tensor) -> Tensor:
    """A step on the cross-entropy of a softmax classifier: (..., d, c), (..., n, d), (..., n, c) -> (..., d, c)."""
    return w - rate * (x.mT @ ((x @ w).softmax(-1) - y)) / x.shape[-2]


def cross_entropy(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return -((x @ w).log_softmax(-1) * y).sum(-1).mean(-1).nan_to_num(1e9)


def log_condition(x: Tensor) -> float:
    """log10 of largest by smallest curvature that squared error on these features has."""
    curvature = torch.linalg.eigvalsh(x.mT @ x / x.shape[-2])
    return (curvature[..., -1] / curvature[..., 0]).log10().mean().item()


def step_gap(w: Tensor, x: Tensor, y: Tensor, rate: float = 0.1, softmax: bool = True) -> float:
    """Gap of one step to autograd through F.cross_entropy, or through squared error."""
    leaf = w.clone().requires_grad_()
    loss = F.cross_entropy(x @ leaf, y) if softmax else ((x @ leaf - y) ** 2).sum(1).mean() / 2
    gap = descend(w, x, y, rate) - (w - rate * torch.autograd.grad(loss, leaf)[0])
    return max(gap.abs().max().item(), (cross_entropy(w, x, y) - loss).abs().item())


def shared(rows: Tensor, others: Tensor) -> int:
    """How many of some wines are among others, over all divisions."""
    pairs = zip(rows.tolist(), others.tolist(), strict=True)
    return sum(len(set(map(tuple, a)) & set(map(tuple, b))) for a, b in pairs)


def run(device="cpu", seed=0, steps=300):
    wine = load_wine()
    draw = torch.Generator().manual_seed(seed)
    order = torch.stack([torch.randperm(len(wine.data), generator=draw) for _ in range(DIVISIONS)])
    x, y = torch.tensor(wine.data)[order], torch.tensor(wine.target)[order]  # (DIVISIONS, 178, 13), (DIVISIONS, 178)
    train, test = x[:, :TRAIN], x[:, TRAIN:]
    scales = {"raw": lambda _, x: x, "standardized": standardize, "min-max": normalize}
    inputs = {name: [scale(train, part) for part in (train, test)] for name, scale in scales.items()}
    rates = torch.tensor(RATES, device=device)[:, None, None]
    target = F.one_hot(y[:, None, :TRAIN], 3).float().to(device)  # (DIVISIONS, 1, TRAIN, 3)
    y_test = y[:, None, TRAIN:].to(device)
    features = {
        name: [torch.cat([part, torch.ones_like(part[..., :1])], -1)[:, None].float().to(device) for part in parts]
        for name, parts in inputs.items()
    }  # with a one for the bias: (DIVISIONS, 1, n, 14)
    weights = {name: torch.zeros(DIVISIONS, len(RATES), 14, 3, device=device) for name in inputs}
    for step in range(steps):
        for name, w in weights.items():
            weights[name] = descend(w, features[name][0], target, rates)
        if step % 10 == 9 or step == steps - 1:
            losses = {name: cross_entropy(w, features[name][0], target) for name, w in weights.items()}
            yield (step + 1) / steps, {name: loss.amin(1).mean().item() for name, loss in losses.items()}

    right = {n: ((features[n][1] @ w).argmax(-1) == y_test).float().mean(-1) for n, w in weights.items()}
    best = {name: loss.argmin(1, keepdim=True) for name, loss in losses.items()}
    accuracy = {name: held.gather(1, best[name]).mean().item() for name, held in right.items()}
    loss = {name: held.amin(1).mean().item() for name, held in losses.items()}
    condition = {name: log_condition(parts[0]) for name, parts in inputs.items()}
    wild = train.clone()
    wild[:, 0] = train.mean(1) + OUTLIER * train.std(1)  # one broken measurement of every feature
    spread = {
        name: (scales[name](wild, wild)[:, 1:].std(1) / scales[name](train, train)[:, 1:].std(1)).mean().item()
        for name in ("standardized", "min-max")
    }
    scalers = {"standardized": StandardScaler(), "min-max": MinMaxScaler()}
    theirs = {
        name: torch.tensor(scaler.fit(train[0].numpy()).transform(test[0].numpy())) for name, scaler in scalers.items()
    }
    gap = {name: (inputs[name][1][0] - values).abs().max().item() for name, values in theirs.items()}
    sample = theirs["standardized"] * (1 - 1 / TRAIN) ** 0.5  # as if the variance were divided by n - 1
    exact = [t.cpu().double() for t in (features["standardized"][0][0, 0], target[0, 0])]
    trained = weights["standardized"][0, best["standardized"][0, 0]].cpu().double()
    return {
        "standard_accuracy": accuracy["standardized"],
        "raw_accuracy": right["raw"].amax(1).mean().item(),  # the control may choose its rate on the test
        "minmax_loss": loss["min-max"],
        "raw_loss": loss["raw"],
        "standard_condition": condition["standardized"],
        "raw_condition": condition["raw"],
        "outlier_spread": spread["standardized"],
        "minmax_outlier_spread": spread["min-max"],
        "scaler_gap": max(gap.values()),
        "sample_gap": (inputs["standardized"][1][0] - sample).abs().max().item(),
        "step_gap": step_gap(trained, *exact),
        "no_softmax_gap": step_gap(trained, *exact, softmax=False),
        "shared_wines": shared(test, train),
        "own_wines": shared(test, test),
    }, {
        "training loss by learning rate": {
            "kind": "lines",
            "series": {n: (RATES, held.mean(0).clamp(max=10).tolist()) for n, held in losses.items()},
            "x": "learning rate",
            "y": "cross-entropy, at most 10",
            "log": "xy",
        },
        "at the best learning rate": {
            "kind": "table",
            "columns": ["features", "log10 of condition number", "training loss", "test accuracy"],
            "rows": [[name, condition[name], loss[name], accuracy[name]] for name in inputs],
        },
    }


# %% what is claimed

TITLE = {"en": "Standardized and normalized inputs", "zh": "数据标准化与归一化"}
CURVES = "training loss at the best rate"
CPU_SECONDS = 2
CLAIMS = {
    "trained standard_accuracy >= 0.93 > raw_accuracy": {
        "en": "test accuracy on standardized features; the control has raw ones, and its rate is chosen on the test",
        "zh": "特征标准化后的测试准确率；对照用原始特征，且在测试集上挑选学习率",
    },
    "trained minmax_loss <= 0.02 < raw_loss <= 1": {
        "en": "training loss on min-max normalized features; the control is trained on the raw ones",
        "zh": "特征归一化到 0 与 1 之间后的训练损失；对照用原始特征",
    },
    "parity standard_condition <= 1.9 < raw_condition": {
        "en": "log10 of the condition number of squared error on the standardized features; the control: raw ones",
        "zh": "标准化特征上平方误差的曲率矩阵条件数的 log10；对照为原始特征",
    },
    "parity outlier_spread >= 0.33 > minmax_outlier_spread": {
        "en": "spread left to ordinary values after standardizing with one outlier; the control is min-max",
        "zh": "含一个离群点时标准化后正常值保留的离散程度；对照为最小最大归一化",
    },
    "parity scaler_gap <= 1e-10 < sample_gap": {
        "en": "gap of both scalings to scikit-learn's, on test wines; the control divides the variance by n - 1",
        "zh": "测试样本上两种缩放与 scikit-learn 之差；对照用 n - 1 计算方差",
    },
    "parity step_gap <= 1e-10 < no_softmax_gap": {
        "en": "gap of a training step to autograd through F.cross_entropy (f64); the control omits the softmax",
        "zh": "一步训练与经 F.cross_entropy 自动求导的差距（f64）；对照漏掉 softmax",
    },
    "parity shared_wines <= 0 < own_wines": {
        "en": "test wines that are among the training wines; the control counts those among the test wines",
        "zh": "同时出现在训练集中的测试样本数；对照数的是测试集自身中的样本",
    },
}
ZH = {
    "training loss at the best rate": "最优学习率下的训练损失",
    "raw": "原始",
    "standardized": "标准化",
    "min-max": "最小最大归一化",
    "training loss by learning rate": "训练损失随学习率的变化",
    "learning rate": "学习率",
    "cross-entropy, at most 10": "交叉熵（最大画到 10）",
    "at the best learning rate": "在最优学习率下",
    "features": "特征",
    "log10 of condition number": "条件数的 log10",
    "training loss": "训练损失",
    "test accuracy": "测试准确率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
