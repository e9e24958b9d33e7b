"""Metrics — accuracy prefers a model that finds nothing; recall and the ROC curve do not.

About two in a hundred patients are ill (synthetic data: eight measurements, all a little higher in the ill). One
"model" calls everybody healthy; the other is a logistic detector whose loss weights the rare class up. Its
control is the same detector without the weights, which calls hardly anybody ill; as many alarms at random and one
measurement alone are the cheap alternatives.

Needs:  torch, scikit-learn
Source: T. Fawcett, An Introduction to ROC Analysis, Pattern Recognition Letters 27(8), 2006; J. Hanley, B.
        McNeil, The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC) Curve,
        Radiology 143(1), 1982 (AUC as the share of pairs)
"""

import torch
from sklearn import metrics as reference
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN, TEST, FEATURES, ILL, SHIFT = 10000, 20000, 8, 0.02, 0.65

# %% the concept


def confusion(y: Tensor, predicted: Tensor) -> Tensor:  # (n,), (n,) of 0 and 1 -> (2, 2)
    """Counts with the truth in rows and the prediction in columns: [[TN, FP], [FN, TP]]."""
    return torch.bincount(2 * y + predicted, minlength=4).view(2, 2)


def summary(matrix: Tensor) -> dict[str, float]:
    (tn, fp), (fn, tp) = matrix.tolist()
    return {
        "accuracy": (tp + tn) / (tp + tn + fp + fn),  # of all, how many are judged rightly
        "precision": tp / max(tp + fp, 1),  # of those called ill, how many are; 0 when nobody is called ill
        "recall": tp / max(tp + fn, 1),  # of the ill, how many are found
        "F1": 2 * tp / (2 * tp + fp + fn),  # 2 / (1 / precision + 1 / recall), the harmonic mean
    }


def roc(y: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:  # (n,), (n,) -> (thresholds,) twice
    """FPR = FP / (FP + TN) and TPR = TP / (TP + FN) as the threshold falls past each distinct score."""
    order = score.argsort(descending=True)
    y, score = y[order].double(), score[order]
    last = torch.cat([score[1:] != score[:-1], torch.tensor([True])])  # equal scores enter together
    counts = torch.stack([(1 - y).cumsum(0), y.cumsum(0)])[:, last]  # FP and TP
    fpr, tpr = torch.cat([torch.zeros(2, 1), counts / counts[:, -1:]], 1)
    return fpr, tpr


def auc(y: Tensor, score: Tensor) -> float:
    fpr, tpr = roc(y, score)
    return float(((fpr[1:] - fpr[:-1]) * (tpr[1:] + tpr[:-1]) / 2).sum())  # the area under the curve, by trapezoids


# %% the experiment


def patients(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Measurements and who is ill: (n, FEATURES), (n,)."""
    y = (torch.rand(n, generator=generator) < ILL).long()
    return torch.randn(n, FEATURES, generator=generator) + SHIFT * y[:, None], y


def library(y: Tensor, found: Tensor, score: Tensor) -> dict[str, float]:
    """The same five metrics by scikit-learn."""
    precision, recall, f1, _ = reference.precision_recall_fscore_support(y, found, average="binary", zero_division=0)
    accuracy, area = reference.accuracy_score(y, found), reference.roc_auc_score(y, score)
    return {"accuracy": accuracy, "precision": precision, "recall": recall, "F1": f1, "AUC": area}


def shared_rows(some: Tensor, others: Tensor) -> float:
    """How many rows of the one occur in the other."""
    known = set(map(tuple, others.tolist()))
    return float(sum(tuple(row) in known for row in some.tolist()))


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    x, y = patients(TRAIN, data)
    x_test, truth = patients(TEST, unseen)
    weights = {"unweighted": 1.0, "detector": (1 - ILL) / ILL}  # of an ill patient in the loss
    nets = {name: nn.Linear(FEATURES, 1).to(device) for name in weights}
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=0.05) for name, net in nets.items()}
    seen, ill = x.to(device), y.to(device).float()
    for step in range(steps):
        for name, net in nets.items():
            weight = torch.tensor(weights[name], device=device)
            loss = F.binary_cross_entropy_with_logits(net(seen)[:, 0], ill, pos_weight=weight)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        with torch.no_grad():
            risks = {name: net(x_test.to(device))[:, 0].sigmoid().cpu() for name, net in nets.items()}
        yield (step + 1) / steps, summary(confusion(truth, (risks["detector"] >= 0.5).long()))

    scores = {"all healthy": torch.zeros(TEST, dtype=torch.float64)}
    for name, risk in risks.items():
        scores[name] = risk.double().mul(20).round().div(20)  # reported in steps of 5 %, so that scores tie
    calls = {name: (score >= 0.5).long() for name, score in scores.items()}
    matrices = {name: confusion(truth, call) for name, call in calls.items()}
    held = {name: summary(matrices[name]) | {"AUC": auc(truth, score)} for name, score in scores.items()}
    theirs = {name: library(truth, calls[name], score) for name, score in scores.items()}
    curve = reference.roc_curve(truth, scores["detector"], drop_intermediate=False)[:2]
    curve_gap = max(float(abs(a.numpy() - b).max()) for a, b in zip(roc(truth, scores["detector"]), curve, strict=True))
    swap = {"precision": "recall", "recall": "precision"}
    sick, healthy = scores["detector"][truth == 1][:, None], scores["detector"][truth == 0]
    ranked, tied = (sick > healthy).double().mean().item(), (sick == healthy).double().mean().item()
    said = ("healthy, called healthy", "healthy, called ill", "ill, called healthy", "ill, called ill")
    return {
        "useless_accuracy": held["all healthy"]["accuracy"],
        "detector_accuracy": held["detector"]["accuracy"],
        "detector_recall": held["detector"]["recall"],
        "control_recall": max(held["unweighted"]["recall"], calls["detector"].double().mean().item()),
        "detector_auc": held["detector"]["AUC"],
        "single_auc": max(max(area, 1 - area) for area in (auc(truth, column) for column in x_test.T)),  # either way up
        "library_gap": max(curve_gap, *(abs(held[net][of] - theirs[net][of]) for net in held for of in held[net])),
        "swapped_library_gap": max(abs(held["detector"][b] - theirs["detector"][a]) for a, b in swap.items()),
        "pairs_gap": abs(held["detector"]["AUC"] - ranked - tied / 2),
        "ties_lost_gap": abs(held["detector"]["AUC"] - ranked),
        "shared_rows": shared_rows(x_test, x),
        "training_rows": shared_rows(x, x),
    }, {
        "ROC curve": {
            "kind": "lines",
            "series": {
                "detector": tuple(rate.tolist() for rate in roc(truth, scores["detector"])),
                "one measurement": tuple(rate.tolist() for rate in roc(truth, x_test[:, 0].mul(5).round())),
                "same score for all": ([0.0, 1.0], [0.0, 1.0]),
            },
            "x": "false positive rate",
            "y": "true positive rate",
        },
        "three models on the same patients": {
            "kind": "table",
            "columns": ["", *held],
            "rows": [[text, *(str(int(matrices[name].flatten()[k])) for name in held)] for k, text in enumerate(said)]
            + [[metric, *(held[name][metric] for name in held)] for metric in held["detector"]],
        },
    }


# %% what is claimed

TITLE = {"en": "Accuracy is fooled by imbalance", "zh": "准确率会被类别不平衡欺骗"}
CURVES = "metrics of the detector"
CPU_SECONDS = 1
CLAIMS = {
    "trained useless_accuracy >= 0.976 > detector_accuracy": {
        "en": "accuracy of calling everybody healthy; the control, the trained detector, scores lower",
        "zh": "把所有人判为健康的准确率；对照是训练好的检测器，得分反而更低",
    },
    "trained detector_recall >= 0.77 > control_recall >= 0.14": {
        "en": "share of the ill that the detector finds; control: the same detector without class weights, or as many "
        "alarms at random, whichever finds more",
        "zh": "检测器找出的病人比例（召回率）；对照：不加类别权重的同一检测器，或同样多次的随机报警，取较好者",
    },
    "trained detector_auc >= 0.87 > single_auc >= 0.64": {
        "en": "area under the ROC curve of the detector; the control is the best of the eight measurements alone",
        "zh": "检测器的 ROC 曲线下面积（AUC）；对照为八项测量中单独最好的一项",
    },
    "parity library_gap <= 1e-10 < swapped_library_gap": {
        "en": "largest gap of five metrics and the ROC curve from scikit-learn; the control swaps precision and recall",
        "zh": "五个指标及 ROC 曲线与 scikit-learn 的最大差距；对照互换了精确率与召回率",
    },
    "parity pairs_gap <= 1e-10 < ties_lost_gap": {
        "en": "gap of AUC from the share of pairs ranked rightly, a tie counts half; in the control, nothing",
        "zh": "AUC 与正确排序的样本对比例之差，同分算一半；对照中同分不计",
    },
    "parity shared_rows <= 0 < training_rows": {
        "en": "test patients that occur in the training set; the control counts the training set in itself",
        "zh": "测试病人中出现在训练集里的人数；对照在训练集自身中计数",
    },
}
ZH = {
    "metrics of the detector": "检测器的各项指标",
    "accuracy": "准确率",
    "precision": "精确率",
    "recall": "召回率",
    "ROC curve": "ROC 曲线",
    "detector": "检测器",
    "one measurement": "单项测量",
    "same score for all": "所有人同分",
    "false positive rate": "假正率",
    "true positive rate": "真正率",
    "three models on the same patients": "同一批病人，三个模型",
    "all healthy": "全判健康",
    "unweighted": "不加权",
    "healthy, called healthy": "健康，判为健康",
    "healthy, called ill": "健康，判为患病",
    "ill, called healthy": "患病，判为健康",
    "ill, called ill": "患病，判为患病",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
