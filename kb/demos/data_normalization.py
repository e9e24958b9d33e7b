"""Data normalization — features brought to one scale make gradient descent usable.

The 13 measurements of 178 wines reach from 0.1 to 1,700. A softmax classifier is trained by gradient descent
on the raw values, on standardized ones (mean 0, variance 1) and on min-max normalized ones (range 0 to 1).
All statistics come from the training part alone, or the test would leak into it.

Claim:  after the same steps, each at its best of 19 learning rates, a classifier of scaled features is far
        better than one of raw ones; the condition number says why. One outlier squeezes min-max values more
        than standardized ones (both suffer). Both scalings are those of scikit-learn.
Source: Y. LeCun et al., Efficient BackProp, in Neural Networks: Tricks of the Trade, 1998
Run:    python kb/demos/data_normalization.py --device cpu --seed 0 --steps 300
"""

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import Tensor
from torch.nn import functional as F

TITLE = {"en": "Standardized and normalized inputs", "zh": "数据标准化与归一化"}
CPU_SECONDS = 1
CLAIMS = {
    "trained standard_accuracy >= 0.845 > raw_accuracy": {
        "en": "test accuracy on standardized features; the control has raw ones, each at its best rate",
        "zh": "特征标准化后的测试准确率；对照用原始特征，各取最优学习率",
    },
    "trained minmax_loss <= 0.38 < raw_loss": {
        "en": "training loss on min-max normalized features; the control is trained on the raw ones",
        "zh": "特征归一化到 0 与 1 之间后的训练损失；对照用原始特征",
    },
    "trained standard_condition <= 4.9 < raw_condition": {
        "en": "log10 of the condition number of the standardized features' curvature; the control: raw ones",
        "zh": "标准化特征曲率矩阵条件数的 log10；对照为原始特征",
    },
    "trained outlier_spread >= 0.25 > minmax_outlier_spread": {
        "en": "spread left to ordinary values after standardizing with one outlier; the control is min-max",
        "zh": "含一个离群点时标准化后正常值保留的离散程度；对照为最小最大归一化",
    },
    "parity scaler_gap <= 1e-10 < sample_gap": {
        "en": "gap of both scalings to scikit-learn's; the control divides the variance by n - 1",
        "zh": "两种缩放与 scikit-learn 之差；对照用 n - 1 计算方差",
    },
}

TRAIN = 120
RATES = 10.0 ** torch.arange(-8, 1.1, 0.5)


def standardize(train: Tensor, x: Tensor, correction: int = 0) -> Tensor:  # (n, d), (m, d) -> (m, d)
    """Mean 0 and variance 1 on the training part."""
    return (x - train.mean(0)) / train.var(0, correction=correction).sqrt()


def normalize(train: Tensor, x: Tensor) -> Tensor:  # (n, d), (m, d) -> (m, d)
    """Range 0 to 1 on the training part."""
    low, high = train.min(0).values, train.max(0).values
    return (x - low) / (high - low)


def log_condition(x: Tensor) -> float:
    """log10 of largest by smallest curvature that squared error on these features has."""
    curvature = torch.linalg.eigvalsh(x.T @ x / len(x))
    return (curvature[-1] / curvature[0]).log10().item()


def run(device="cpu", seed=0, steps=300):
    wine = load_wine()
    order = torch.randperm(len(wine.data), generator=torch.Generator().manual_seed(seed))
    x, y = torch.tensor(wine.data)[order], torch.tensor(wine.target)[order]  # float64
    train, y_train, y_test = x[:TRAIN], y[:TRAIN].to(device), y[TRAIN:].to(device)
    inputs = {"raw": x, "standard": standardize(train, x), "minmax": normalize(train, x)}
    one = torch.ones(len(x), 1)  # for the bias
    features = {name: torch.cat([v, one], 1).float().to(device) for name, v in inputs.items()}
    rates, target = RATES[:, None, None].to(device), F.one_hot(y_train, 3).float()
    weights = {name: torch.zeros(len(RATES), 14, 3, device=device) for name in inputs}
    for step in range(steps):
        for name, w in weights.items():
            values = features[name][:TRAIN]
            weights[name] = w - rates * (values.T @ ((values @ w).softmax(-1) - target)) / TRAIN
        if step % 10 == 9 or step == steps - 1:
            losses = {}
            for name, w in weights.items():
                log_p = (features[name][:TRAIN] @ w).log_softmax(-1)
                losses[name] = -(log_p * target).sum(-1).mean(-1).nan_to_num(1e9)
            yield (step + 1) / steps, {name: loss.min().item() for name, loss in losses.items()}

    accuracy = {}
    for name, w in weights.items():
        right = (features[name][TRAIN:] @ w).argmax(-1) == y_test
        accuracy[name] = right.float().mean(1).max().item()  # at the best rate

    wild = train.clone()
    wild[0] = train.mean(0) + 30 * train.std(0)  # one broken measurement of every feature
    spread = {
        name: (scale(wild, wild)[1:].std(0) / scale(train, train)[1:].std(0)).mean().item()
        for name, scale in {"standard": standardize, "minmax": normalize}.items()
    }
    references = StandardScaler().fit(train.numpy()), MinMaxScaler().fit(train.numpy())
    standard, minmax = (torch.tensor(scaler.transform(x.numpy())) for scaler in references)
    gaps = [(inputs["standard"] - standard).abs().max(), (inputs["minmax"] - minmax).abs().max()]
    return {
        **{f"{name}_accuracy": value for name, value in accuracy.items()},
        **{f"{name}_loss": loss.min().item() for name, loss in losses.items()},
        **{f"{name}_condition": log_condition(values[:TRAIN]) for name, values in inputs.items()},
        "outlier_spread": spread["standard"],
        "minmax_outlier_spread": spread["minmax"],
        "scaler_gap": max(gaps).item(),
        "sample_gap": (standardize(train, x, correction=1) - standard).abs().max().item(),
    }, {
        "training loss by learning rate": {
            "kind": "lines",
            "zh": "训练损失随学习率的变化",
            "series": {n: (RATES.tolist(), loss.clamp(max=10).tolist()) for n, loss in losses.items()},
            "x": "learning rate",
            "y": "loss",
            "log": "x",
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
