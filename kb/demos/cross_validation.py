"""Cross-validation — every example is tested once, by a model that did not see it: the estimate depends less on luck.

The data are cut into ten parts (folds); each is predicted by a model fitted to the other nine. On measurements of cells
from breast tumours the estimates of 10-fold cross-validation scatter less from split to split than the mean of ten
random hold-outs of a third, which takes as many fits (less scatters more; a half slightly less, but its models see only
half the data). Other controls: nine folds, test sets drawn at random, folds that ignore the classes, the error on the
training rows (0 for a nearest neighbour), and the classic leak: of 1,000 noise features the 20 that go best with all
labels, those of the test rows too, make random labels seem predictable; chosen in each training part, they do not.

Needs:  torch, scikit-learn
Source: M. Stone, Cross-Validatory Choice and Assessment of Statistical Predictions, JRSS B 36, 1974; R. Kohavi, A
        Study of Cross-Validation and Bootstrap for Accuracy Estimation and Model Selection, IJCAI 1995; C. Ambroise,
        G. McLachlan, Selection Bias in Gene Extraction on the Basis of Microarray Gene-Expression Data, PNAS 99, 2002
"""

import math
from collections.abc import Callable

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

K, HELD, PENALTY, NOISE_ROWS, NOISE_FEATURES, CHOSEN = 10, 3, 1.0, 50, 1000, 20
Model = Callable[[Tensor], Tensor]

# %% the concept


def folds(n: int, k: int, generator: torch.Generator) -> list[Tensor]:
    """Rows in random order, cut into k parts as equal as can be."""
    return list(torch.randperm(n, generator=generator).tensor_split(k))


def stratified(classes: Tensor, k: int, generator: torch.Generator) -> list[Tensor]:
    """Each class is dealt to the folds like cards, in random order."""
    mixed = torch.randperm(len(classes), generator=generator)
    ordered = mixed[classes[mixed].argsort(stable=True)]  # class by class
    return [ordered[i::k] for i in range(k)]


def cross_validate(x: Tensor, y: Tensor, parts: list[Tensor], fit: Callable[[Tensor, Tensor], Model]) -> Tensor:
    """For each row what the model says that was fitted to the other parts: (n, d), (n,) -> (n,)."""
    answers = torch.zeros_like(y)
    for i, part in enumerate(parts):
        rest = torch.cat(parts[:i] + parts[i + 1 :])
        answers[part] = fit(x[rest], y[rest])(x[part])
    return answers


def ridge(x: Tensor, y: Tensor) -> Model:
    """Least squares with a penalty, on features that are scaled by what the training rows show."""
    mean, scale = x.mean(0), x.std(0, correction=0)
    z = (x - mean) / scale
    w = torch.linalg.solve(z.T @ z + PENALTY * torch.eye(z.shape[1], dtype=z.dtype).to(z.device), z.T @ (y - y.mean()))
    return lambda t: (t - mean) / scale @ w + y.mean()


def nearest(x: Tensor, y: Tensor) -> Model:
    mean, scale = x.mean(0), x.std(0)
    return lambda t: y[torch.cdist((t - mean) / scale, (x - mean) / scale).argmin(1)]


def best_features(x: Tensor, y: Tensor) -> Tensor:
    return ((x - x.mean(0)) / x.std(0) * (y - y.mean())[:, None]).sum(0).abs().topk(CHOSEN).indices


def choose_and_fit(x: Tensor, y: Tensor) -> Model:  # choosing features is part of fitting
    chosen = best_features(x, y)
    model = ridge(x[:, chosen], y)
    return lambda t: model(t[:, chosen])


# %% its control


def hold_outs(
    x: Tensor, y: Tensor, times: int, fit: Callable[[Tensor, Tensor], Model], generator: torch.Generator
) -> list[float]:
    """Errors on random thirds, each by a model of the other rows."""
    found = []
    for _ in range(times):
        test, train = (
            torch.randperm(len(x), generator=generator).to(x.device).split([len(x) // HELD, len(x) - len(x) // HELD])
        )
        found.append(error(fit(x[train], y[train])(x[test]), y[test]))
    return found


# %% the experiment


def error(answers: Tensor, y: Tensor) -> float:
    return (answers.sign() != y).float().mean().item()


def sklearn_gap(x: Tensor, y: Tensor, k: int, generator: torch.Generator) -> float:
    """Largest difference of the answers from cross_val_predict on the same rows in the same order; f64."""
    parts = folds(len(x), K, generator)
    order = torch.cat(parts)
    model = make_pipeline(StandardScaler(), Ridge(PENALTY))
    theirs = cross_val_predict(model, x[order].numpy(), y[order].numpy(), cv=KFold(k))
    return (cross_validate(x, y, parts, ridge)[order] - torch.tensor(theirs)).abs().max().item()


def untested(parts: list[Tensor], n: int) -> int:
    """Rows that are not tested exactly once."""
    return int((torch.cat(parts).bincount(minlength=n) != 1).sum())


def run(device="cpu", seed=0, steps=60):
    splits, other, noise = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    cancer = load_breast_cancer()
    all_x, all_y = torch.tensor(cancer.data), 2.0 * torch.tensor(cancer.target, dtype=torch.float64) - 1
    # in float32 the columns have to be of like size; the models scale by their training rows all the same
    x, y = (t.float().to(device) for t in ((all_x - all_x.mean(0)) / all_x.std(0), all_y))
    n, half = len(y), len(y) // 2
    found: dict[str, list[float]] = {"10 folds": [], "10 hold-outs": [], "1 hold-out": []}
    misses: dict[str, list[float]] = {name: [] for name in ("folds", "training", "inside", "outside")}
    for step in range(steps):
        parts = [part.to(device) for part in folds(n, K, splits)]
        found["10 folds"].append(error(cross_validate(x, y, parts, ridge), y))
        single = hold_outs(x, y, K, ridge, other)
        found["10 hold-outs"].append(sum(single) / K)
        found["1 hold-out"].append(single[0])

        seen, unseen = torch.randperm(n, generator=splits).to(device).tensor_split([half])
        model = nearest(x[seen], y[seen])
        parts = [part.to(device) for part in folds(half, K, splits)]
        truth = error(model(x[unseen]), y[unseen])
        misses["folds"].append(error(cross_validate(x[seen], y[seen], parts, nearest), y[seen]) - truth)
        misses["training"].append(error(model(x[seen]), y[seen]) - truth)

        for _ in range(2):
            z = torch.randn(NOISE_ROWS, NOISE_FEATURES, generator=noise).to(device)
            coin = (2.0 * (torch.randperm(NOISE_ROWS, generator=noise) % 2) - 1).to(device)
            parts = [part.to(device) for part in stratified(coin.cpu(), K, noise)]
            misses["inside"].append(error(cross_validate(z, coin, parts, choose_and_fit), coin) - 0.5)
            early = z[:, best_features(z, coin)]
            misses["outside"].append(error(cross_validate(early, coin, parts, ridge), coin) - 0.5)
        yield (step + 1) / steps, {name: errors[-1] for name, errors in found.items()}

    spread = {name: torch.tensor(errors).std(correction=0).item() for name, errors in found.items()}
    means = {name: sum(errors) / len(errors) for name, errors in found.items()}
    miss = {name: abs(sum(values) / len(values)) for name, values in misses.items()}
    plain, fair = folds(n, K, splits), stratified(all_y, K, splits)
    drawn = [torch.randint(n, (len(part),), generator=other) for part in plain]
    ones = [[int((all_y[part] > 0).sum()) for part in parts] for parts in (fair, plain)]
    return {
        "sklearn_gap": sklearn_gap(all_x, all_y, K, splits),
        "fewer_folds_gap": sklearn_gap(all_x, all_y, K - 1, splits),
        "untested": max(untested(plain, n), untested(fair, n)),
        "untested_when_drawn": untested(drawn, n),
        "class_difference": max(ones[0]) - min(ones[0]),
        "plain_difference": max(ones[1]) - min(ones[1]),
        "fold_spread": spread["10 folds"] or math.nan,  # none at all: it was one split, again and again
        "fold_shift": abs(means["10 folds"] - means["10 hold-outs"]),
        "training_shift": abs(error(ridge(x, y)(x), y) - means["10 hold-outs"]),
        "hold_out_spread": spread["10 hold-outs"],
        "fold_miss": miss["folds"],
        "training_miss": miss["training"],
        "inside_miss": miss["inside"],
        "outside_miss": miss["outside"],
    }, {
        "estimates of the error, each with other splits, sorted": {
            "kind": "lines",
            "series": {name: (list(range(1, steps + 1)), sorted(errors)) for name, errors in found.items()},
            "x": "place",
            "y": "estimated error",
        },
    }


# %% what is claimed

TITLE = {"en": "Cross-validation depends less on luck", "zh": "交叉验证少受运气左右"}
CURVES = "estimated error"
CPU_SECONDS = 3
CLAIMS = {
    "parity sklearn_gap <= 1e-10 < fewer_folds_gap": {
        "en": "largest gap of the answers to scikit-learn's cross_val_predict, scaling within each training part "
        "(f64); the control has one fold less",
        "zh": "各行预测与 scikit-learn 的 cross_val_predict 的最大差距（在各训练部分内做标准化，f64）；对照少一折",
    },
    "parity untested <= 0 < untested_when_drawn": {
        "en": "rows that are not tested exactly once; the control draws test sets of the same sizes at random",
        "zh": "未恰好被测试一次的样本数；对照随机抽取同样大小的测试集",
    },
    "parity class_difference <= 1 < plain_difference": {
        "en": "by how many benign tumours stratified folds differ at most; the control ignores the classes",
        "zh": "分层各折中良性样本数的最大相差；对照不看类别",
    },
    "trained fold_spread <= 0.0031 < hold_out_spread <= 0.0055": {
        "en": "standard deviation of the estimated error over 60 splits; the control is the mean of ten random "
        "hold-outs of a third, which takes as many fits",
        "zh": "60 次划分中误差估计的标准差；对照为十次随机留出三分之一的均值，拟合次数相同",
    },
    "trained fold_shift <= 0.003 < training_shift": {
        "en": "mean of these estimates against that of the hold-outs; the control is the error on the training rows",
        "zh": "这些误差估计的均值与留出法均值之差；对照为训练样本上的误差",
    },
    "trained fold_miss <= 0.008 < training_miss": {
        "en": "mean difference between the nearest neighbour's estimated error and that on rows never used; the "
        "control is the error on the training rows",
        "zh": "最近邻分类器的误差估计与从未用过的样本上误差的平均差；对照为训练样本上的误差",
    },
    "trained inside_miss <= 0.04 < outside_miss": {
        "en": "mean difference of the estimated error from 1/2, the truth where labels are random, half of each class; "
        "the control chooses features by all rows, the tested ones too",
        "zh": "标签随机（两类各半）时误差估计与真值 1/2 的平均差；对照用全部样本（含被测试的）挑选特征",
    },
}
ZH = {
    "estimated error": "误差估计",
    "10 folds": "10 折",
    "10 hold-outs": "10 次留出",
    "1 hold-out": "1 次留出",
    "estimates of the error, each with other splits, sorted": "误差的估计（每次划分不同，由小到大）",
    "place": "名次",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
