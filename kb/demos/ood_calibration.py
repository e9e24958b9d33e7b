"""Calibration — one number, the temperature, makes a net's confidence come true; once the data change, it does not.

A net that learned noisy digits, 0 to 7, by heart is surer than it is right. Its logits are divided by a temperature,
fitted on images that were kept apart: no answer changes, and confidence comes close to accuracy. Then the data change.
Drift: where noise is twice as strong, the net at the same temperature is too sure. Unknown classes: it never saw an 8
or a 9, cannot be right about them, and is fairly sure all the same, though less than of known ones. So its logits do
tell them from known ones, far from perfectly: the log of their summed exponentials (minus the energy) better than the
nearest training image does; a table shows other scores. With hardly any noise the nearest image would be better, and a
logistic regression of the right strength is as accurate as the net and tells unknown digits as well (neither is shown).

Needs:  torch, scikit-learn
Source: C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017; W. Liu et al., Energy-based
        Out-of-distribution Detection, NeurIPS 2020
"""

import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

KNOWN, TRAIN, KEPT, COPIES, NOISE, DRIFT, BINS = 8, 700, 300, 4, 0.3, 0.6, 10

# %% the concept


def temperature(z: Tensor, y: Tensor) -> Tensor:  # logits (N, C), labels (N,) -> ()
    """T that makes the cross-entropy of z / T least: convex in b = 1 / T, so bisection finds its slope's zero."""
    low, high = z.new_tensor([0.01, 100.0])
    for _ in range(80):
        b = (low + high) / 2
        expected = ((b * z).softmax(1) * z).sum(1)  # d/db of -log softmax(b z)_y: expected logit - the label's
        slope = (expected - z.gather(1, y[:, None])[:, 0]).mean()
        low, high = (low, b) if slope > 0 else (b, high)
    return 1 / b


def calibration_error(p: Tensor, y: Tensor) -> Tensor:  # probabilities (N, C), labels (N,) -> ()
    """ECE: sum over bins of |accuracy - confidence|, by the share of examples in the bin."""
    sure, answer = p.max(1)
    bin_of = (sure * BINS).ceil().long() - 1  # (0, 0.1], (0.1, 0.2] ...
    excess = sure - (answer == y).to(p.dtype)
    return p.new_zeros(BINS).index_add(0, bin_of, excess).abs().sum() / len(p)


def confidence(z: Tensor) -> Tensor:  # (N, C) -> (N,)
    return z.softmax(1).amax(1)


def familiarity(z: Tensor) -> Tensor:  # (N, C) -> (N,)
    return z.logsumexp(1)  # the negative energy: large for what looks known


def detection(known: Tensor, unknown: Tensor) -> float:  # scores (N,), (M,)
    """AUC: how often a known example has the higher score of the two; ties count half."""
    ranked = unknown.sort().values
    below = torch.searchsorted(ranked, known) + torch.searchsorted(ranked, known, right=True)
    return float(below.double().mean() / 2 / len(unknown))


# %% the experiment


def gap_to_others(z: Tensor, y: Tensor, other: Tensor, t: Tensor) -> float:
    """Largest of: the slope of torch's cross-entropy at the temperature t, and the gaps of the calibration error to
    a loop over examples and of the detection to scikit-learn's (f64)."""
    b = (1 / t).clone().requires_grad_()
    (slope,) = torch.autograd.grad(F.cross_entropy(z * b, y), b)
    p, found = (z / t).softmax(1), 0.0
    for low in range(BINS):
        held = [(max(row), row.index(max(row)) == label) for row, label in zip(p.tolist(), y.tolist(), strict=True)]
        held = [(sure, right) for sure, right in held if low < sure * BINS <= low + 1]
        found += abs(sum(right for _, right in held) - sum(sure for sure, _ in held)) / len(p)
    labels, energy = [1] * len(z) + [0] * len(other), torch.cat([z, other]).exp().sum(1).log()
    known, unknown = (familiarity(part).round(decimals=1) for part in (z, other))  # some are equal
    area = detection(known, unknown) - roc_auc_score(labels, energy.round(decimals=1).numpy())
    gaps = [float(slope), float(calibration_error(p, y)) - found, area]
    return max(map(abs, gaps))


def reliability(p: Tensor, y: Tensor) -> tuple[list[float], list[float]]:
    """Mean confidence and accuracy of tenths of the examples, from the least sure on."""
    sure, answer = p.max(1)
    order = sure.argsort()
    parts = [part.tensor_split(10) for part in (sure[order], (answer == y)[order].double())]
    return tuple([float(tenth.mean()) for tenth in part] for part in parts)


def run(device="cpu", seed=0, steps=1500):
    torch.manual_seed(4 * seed)  # weights, order, batches and noise: four streams
    order, batches, noise = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
    mixed = torch.randperm(len(labels), generator=order)
    x, y = pixels.float()[mixed] / 16, labels[mixed]
    x, y, unknown = x[y < KNOWN], y[y < KNOWN], x[y >= KNOWN]
    (x_train, kept, test), (y_train, y_kept, y_test) = (part.tensor_split([TRAIN, TRAIN + KEPT]) for part in (x, y))

    def noisy(x: Tensor, level: float = NOISE) -> Tensor:
        return x + level * torch.randn(x.shape, generator=noise)

    seen = noisy(x_train)
    layers = nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, KNOWN)
    net = nn.Sequential(*layers).to(device)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for step in range(steps):
        rows = torch.randint(TRAIN, (64,), generator=batches)
        loss = F.cross_entropy(net(seen[rows].to(device)), y_train[rows].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"training loss": loss.item()}

    @torch.no_grad()
    def logits(x: Tensor) -> Tensor:
        return net(x.to(device)).cpu().double()

    @torch.no_grad()
    def nearness(x: Tensor, layer: int) -> Tensor:  # to the nearest training image, by pixels (0) or a hidden layer
        held = [net[:layer](part.to(device)).cpu().double() for part in (x, seen)]
        return -torch.cdist(*(F.normalize(part, dim=1) if layer else part for part in held)).amin(1)

    y_test, y_kept = y_test.repeat(COPIES), y_kept.repeat(COPIES)
    cases = (kept, NOISE), (test, NOISE), (unknown, NOISE), (test, DRIFT)
    x_kept, x_test, x_other, x_drift = (noisy(part.repeat(COPIES, 1), level) for part, level in cases)
    z, other, drift, t = logits(x_test), logits(x_other), logits(x_drift), temperature(logits(x_kept), y_kept)
    told = {
        "log of summed exponentials": detection(familiarity(z), familiarity(other)),
        "largest probability": detection(confidence(z), confidence(other)),
        "largest probability, temperature": detection(confidence(z / t), confidence(other / t)),
        "nearest image, pixels": detection(nearness(x_test, 0), nearness(x_other, 0)),
        "nearest image, hidden layer": detection(nearness(x_test, 4), nearness(x_other, 4)),
    }
    fresh, held = ({*map(tuple, part.tolist())} for part in (cases[1][0], torch.cat([x_train, cases[0][0]])))
    some = z[:200], y_test[:200], other[:200]
    drawn = {"temperature 1": z, "fitted": z / t, "fitted, drift": drift / t}
    curves = {name: reliability(logits.softmax(1), y_test) for name, logits in drawn.items()}
    return {
        "error": float(calibration_error((z / t).softmax(1), y_test)),
        "raw_error": float(calibration_error(z.softmax(1), y_test)),
        "drift_error": float(calibration_error((drift / t).softmax(1), y_test)),
        "unknown_excess": float(confidence(other / t).mean()),
        "known_excess": float((confidence(z / t) - (z.argmax(1) == y_test).double()).mean()),
        "energy_auc": told["log of summed exponentials"],
        "near_auc": told["nearest image, pixels"],
        "gap": gap_to_others(*some, temperature(*some[:2])),
        "one_gap": gap_to_others(*some, torch.ones_like(t)),
        "shared_images": len(fresh & held),
        "own_images": len(fresh),
    }, {
        "reliability": {
            "kind": "lines",
            "series": {"exactly right": ([0.2, 1.0], [0.2, 1.0])} | curves,
            "x": "confidence",
            "y": "accuracy",
        },
        "known digits that score above unknown ones, by score": {
            "kind": "table",
            "columns": ["score", "share (AUC)"],
            "rows": [[name, f"{area:.2f}"] for name, area in told.items()],
        },
    }


# %% what is claimed

TITLE = {"en": "Confidence that comes true, until the data change", "zh": "名副其实的置信度——直到数据改变"}
CURVES = "training loss"
CPU_SECONDS = 1
CLAIMS = {
    "trained error <= 0.045 < raw_error": {
        "en": "expected calibration error on fresh images at the fitted temperature; control: at temperature 1",
        "zh": "在新图像上用拟合的温度所得的期望校准误差；对照：温度为 1",
    },
    "trained drift_error >= 0.14 > error": {
        "en": "the same error, at the same temperature, under noise twice as strong; control: the noise of training",
        "zh": "噪声强度加倍、温度不变时的同一误差；对照：与训练时同样强的噪声",
    },
    "trained unknown_excess >= 0.62 > known_excess": {
        "en": "mean confidence less accuracy on digits of classes never seen, where accuracy is 0; control: known ones",
        "zh": "在从未见过的类别上，平均置信度减去准确率（此处准确率为 0）；对照：已知类别",
    },
    "trained energy_auc >= 0.78 > near_auc >= 0.6": {
        "en": "share of pairs in which the known digit's logits have a larger log-sum-exp than the unknown one's; "
        "control: in which its pixels are nearer to a training image",
        "zh": "已知与未知数字配对时，前者 logits 的 log-sum-exp 更大的比例；对照：前者的像素离最近的训练图像更近的比例",
    },
    "parity gap <= 1e-10 < one_gap": {
        "en": "largest of: the slope of torch's cross-entropy at the fitted temperature, the gap of the calibration "
        "error to a loop, of the detection to scikit-learn's AUC (f64); control: at temperature 1",
        "zh": "PyTorch 交叉熵在拟合温度处的斜率、校准误差与循环之差、检测与 scikit-learn 的 AUC 之差，"
        "取最大者（f64）；对照：温度为 1",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images that are among those of training or fitting; control: among the test images",
        "zh": "同时出现在训练集或温度拟合集中的测试图像数；对照：出现在测试集自身中的图像数",
    },
}
ZH = {
    "training loss": "训练损失",
    "reliability": "可靠性图",
    "exactly right": "恰好校准",
    "temperature 1": "温度为 1",
    "fitted": "拟合的温度",
    "fitted, drift": "拟合的温度，数据漂移后",
    "confidence": "置信度",
    "accuracy": "准确率",
    "known digits that score above unknown ones, by score": "已知数字得分高于未知数字的比例（按得分）",
    "score": "得分",
    "share (AUC)": "比例（AUC）",
    "log of summed exponentials": "指数和的对数",
    "largest probability": "最大概率",
    "largest probability, temperature": "最大概率，用拟合的温度",
    "nearest image, pixels": "最近的图像，按像素",
    "nearest image, hidden layer": "最近的图像，按隐藏层",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
