"""Metrics — accuracy prefers a model that finds nothing; recall and the ROC curve do not.

Two in a hundred patients are ill (synthetic data: eight measurements, all a little higher in the ill). One
"model" calls everybody healthy; the other is a logistic detector trained with the rare class weighted up.

Claim:  the useless model wins on accuracy and loses on recall and AUC; accuracy, precision, recall, F1 and
        AUC are those of scikit-learn; AUC is the share of (ill, healthy) pairs that the score ranks rightly.
Source: T. Fawcett, An Introduction to ROC Analysis, Pattern Recognition Letters 27(8), 2006; J. Hanley, B.
        McNeil, The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC) Curve,
        Radiology 143(1), 1982 (AUC as the share of pairs)
Run:    python kb/demos/metrics.py --device cpu --seed 0 --steps 200
"""

import torch
from sklearn import metrics as reference
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Accuracy is fooled by imbalance", "zh": "准确率会被类别不平衡欺骗"}
CPU_SECONDS = 1
CLAIMS = {
    "trained useless_accuracy >= 0.91 > detector_accuracy": {
        "en": "accuracy of calling everybody healthy; the control, the trained detector, scores lower",
        "zh": "把所有人判为健康的准确率；对照是训练好的检测器，得分反而更低",
    },
    "trained detector_recall >= 0.38 > useless_recall": {
        "en": "share of the ill that the detector finds; the control calls everybody healthy",
        "zh": "检测器找出的病人比例（召回率）；对照把所有人判为健康",
    },
    "trained detector_auc >= 0.7 > useless_auc": {
        "en": "area under the ROC curve of the detector; the control gives everybody the same score",
        "zh": "检测器的 ROC 曲线下面积（AUC）；对照给所有人相同的分数",
    },
    "parity library_gap <= 1e-10 < swapped_library_gap": {
        "en": "largest gap of the five metrics from scikit-learn; the control swaps precision and recall",
        "zh": "五个指标与 scikit-learn 的最大差距；对照互换了精确率与召回率",
    },
    "parity pairs_gap <= 1e-10 < ties_lost_gap": {
        "en": "gap of AUC from the share of pairs ranked rightly, a tie counts half; in the control, nothing",
        "zh": "AUC 与正确排序的样本对比例之差，同分算一半；对照中同分不计",
    },
}

TRAIN, TEST, FEATURES, ILL, SHIFT = 4000, 8000, 8, 0.02, 0.65


def patients(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Measurements and whether the patient is ill, exactly ILL of them: (n, FEATURES), (n,)."""
    y = (torch.arange(n) < ILL * n).long()
    return torch.randn(n, FEATURES, generator=generator) + SHIFT * y[:, None], y


def confusion(y: Tensor, predicted: Tensor) -> Tensor:
    """Counts with the truth in rows and the prediction in columns: [[TN, FP], [FN, TP]]."""
    return torch.bincount(2 * y + predicted, minlength=4).view(2, 2)


def summary(matrix: Tensor) -> dict[str, float]:
    (tn, fp), (fn, tp) = matrix.tolist()
    return {
        "accuracy": (tp + tn) / (tp + tn + fp + fn),
        "precision": tp / max(tp + fp, 1),  # of those called ill, how many are; 0 when nobody is called ill
        "recall": tp / (tp + fn),  # of the ill, how many are found
        "F1": 2 * tp / (2 * tp + fp + fn),  # harmonic mean of the two
    }


def roc(y: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
    """False and true positive rate as the threshold falls past each distinct score."""
    order = score.argsort(descending=True)
    y, score = y[order].double(), score[order]
    last = torch.cat([score[1:] != score[:-1], torch.tensor([True])])  # equal scores enter together
    curve = torch.stack([(1 - y).cumsum(0), y.cumsum(0)])[:, last]  # (2, thresholds)
    curve = torch.cat([torch.zeros(2, 1), curve / curve[:, -1:]], 1)
    return curve[0], curve[1]


def auc(y: Tensor, score: Tensor) -> float:
    fpr, tpr = roc(y, score)
    return float(((fpr[1:] - fpr[:-1]) * (tpr[1:] + tpr[:-1]) / 2).sum())  # trapezoids


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(seed)
    x, y = (t.to(device) for t in patients(TRAIN, torch.Generator().manual_seed(seed)))
    x_test, truth = patients(TEST, torch.Generator().manual_seed(seed + 1000))
    detector = nn.Linear(FEATURES, 1).to(device)
    optimizer = torch.optim.Adam(detector.parameters(), lr=0.05)
    rare = torch.tensor((1 - ILL) / ILL, device=device)  # both classes weigh the same in the loss
    for step in range(steps):
        loss = F.binary_cross_entropy_with_logits(detector(x)[:, 0], y.float(), pos_weight=rare)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 5 == 4 or step == steps - 1:
            with torch.no_grad():
                risk = detector(x_test.to(device))[:, 0].sigmoid().cpu()
            yield (step + 1) / steps, summary(confusion(truth, (risk >= 0.5).long()))

    risk = risk.double().mul(20).round().div(20)  # a report in steps of 5 %, so that scores tie
    found = (risk >= 0.5).long()
    detector_metrics = summary(confusion(truth, found)) | {"AUC": auc(truth, risk)}
    nobody = torch.zeros_like(truth)
    useless_metrics = summary(confusion(truth, nobody)) | {"AUC": auc(truth, nobody.double())}
    library = {
        "accuracy": reference.accuracy_score(truth, found),
        "precision": reference.precision_score(truth, found),
        "recall": reference.recall_score(truth, found),
        "F1": reference.f1_score(truth, found),
        "AUC": reference.roc_auc_score(truth, risk),
    }
    swap = {"precision": "recall", "recall": "precision"}
    ill, healthy = risk[truth == 1][:, None], risk[truth == 0][None]  # (ill, 1), (1, healthy)
    ranked, tied = (ill > healthy).double().mean().item(), (ill == healthy).double().mean().item()
    return {
        "useless_accuracy": useless_metrics["accuracy"],
        "detector_accuracy": detector_metrics["accuracy"],
        "detector_recall": detector_metrics["recall"],
        "useless_recall": useless_metrics["recall"],
        "detector_auc": detector_metrics["AUC"],
        "useless_auc": useless_metrics["AUC"],
        "library_gap": max(abs(detector_metrics[name] - library[name]) for name in library),
        "swapped_library_gap": max(abs(detector_metrics[swap.get(name, name)] - library[name]) for name in library),
        "pairs_gap": abs(detector_metrics["AUC"] - ranked - tied / 2),
        "ties_lost_gap": abs(detector_metrics["AUC"] - ranked),
    }, {
        "ROC curve": {
            "kind": "lines",
            "zh": "ROC 曲线",
            "series": {
                "detector": tuple(rate.tolist() for rate in roc(truth, risk)),
                "same score for all": ([0.0, 1.0], [0.0, 1.0]),
            },
            "x": "false positive rate",
            "y": "true positive rate",
        },
        "confusion matrix of the detector": {
            "kind": "heatmap",
            "zh": "检测器的混淆矩阵",
            "values": confusion(truth, found),
            "rows": ["healthy", "ill"],
            "columns": ["called healthy", "called ill"],
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
