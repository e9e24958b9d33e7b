"""Fairness — a model that never sees the group treats groups unequally, and mending one measure leaves another unequal.

Synthetic applicants of two groups: of group 0 40 % repay and of group 1 60 %; a test score tells who will, less well
in group 0, and a proxy (say, the district) tells the group and nothing else. A logistic regression that is not given
the group accepts group 1 far more often (by 18 to 20 points; 20 is the difference of those who repay): the control.
Thresholds of each group's own equalize acceptance (demographic parity), or, with a coin, the shares accepted of those
who would repay and of those who would not (equalized odds). With unequal shares who repay, the accepted of group 0 are
then less reliable (lower precision), as Bayes' rule has it; where both groups repay alike they are not. Reweighing
counts an applicant so that both groups repay alike in training, and the proxy then gets hardly any weight. The
thresholds have to know an applicant's group, reweighing only in training. Which of them is fair is no measurement. The
table is of new applicants.

Needs:  torch, scikit-learn
Source: M. Hardt, E. Price, N. Srebro, Equality of Opportunity in Supervised Learning, NeurIPS 2016; F. Kamiran, T.
        Calders, Data Preprocessing Techniques for Classification without Discrimination, Knowledge and Information
        Systems 33, 2012 (reweighing); A. Chouldechova, Fair Prediction with Disparate Impact, Big Data 5, 2017
"""

import torch
from sklearn.metrics import confusion_matrix
from torch import Tensor
from torch.nn import functional as F

TRAIN, TEST, REPAY, TELLS, PROXY = 10_000, 40_000, (0.4, 0.6), (0.6, 1.0), 1.0  # of group 0, of group 1

# %% the concept


def rates(accept: Tensor, y: Tensor, group: Tensor) -> Tensor:
    """Of each group: accepted, accepted of those with y = 1, of those with y = 0, and y = 1 of the accepted: (2, 4)."""
    found = []
    for g in (0, 1):
        a, t = accept[group == g], y[group == g]
        found.append(torch.stack([a.mean(), a[t == 1].mean(), a[t == 0].mean(), (a * t).sum() / a.sum()]))
    return torch.stack(found)


def equal_acceptance(score: Tensor, group: Tensor, share: float) -> list[float]:
    """Demographic parity: for each group the threshold above which that share of it lies."""
    return [score[group == g].quantile(1 - share).item() for g in (0, 1)]


def equal_odds(score: Tensor, y: Tensor, group: Tensor, share: float) -> tuple[list[float], list[float]]:
    """For each group a threshold that accepts that share of those with y = 0, and how often a coin decides instead."""
    limits = equal_acceptance(score[y == 0], group[y == 0], share)
    hits = [(score[(y == 1) & (group == g)] > limits[g]).float().mean().item() for g in (0, 1)]
    # the coin accepts that share of anyone: it keeps the rate of y = 0 and draws that of y = 1 down to the lower one
    return limits, [(hit - min(hits)) / (hit - share) for hit in hits]


def decide(score: Tensor, group: Tensor, limits: list[float], coin: list[float], share: float) -> Tensor:
    """The probability of acceptance: (n,) -> (n,)."""
    at = group.long()
    above = (score > torch.tensor(limits).to(score.device)[at]).float()
    mix = torch.tensor(coin).to(score.device)[at]
    return (1 - mix) * above + mix * share


def reweigh(y: Tensor, group: Tensor) -> Tensor:
    """w = P(group) P(y) / P(group, y): so weighted, repayment is the same in both groups."""
    w = torch.zeros_like(y)
    for g in (0, 1):
        for t in (0, 1):
            cell = ((group == g) & (y == t)).to(y.dtype)
            w = w + cell * (group == g).to(y.dtype).mean() * (y == t).to(y.dtype).mean() / cell.mean()
    return w


# %% its control


def slope(x: Tensor, y: Tensor, w: Tensor, weights: Tensor) -> Tensor:
    """Gradient of the weighted cross-entropy of a logistic regression: (n, d), (n,), (d,), (n,) -> (d,)."""
    return x.mT @ (weights * ((x @ w).sigmoid() - y)) / len(y)


# %% the experiment


def applicants(n: int, generator: torch.Generator, repay: tuple[float, ...] = REPAY) -> tuple[Tensor, Tensor, Tensor]:
    """Score, proxy and a one (n, 3); repaid (n,); group (n,)."""
    group = (torch.rand(n, generator=generator) < 0.5).float()
    g = group.long()
    y = (torch.rand(n, generator=generator) < torch.tensor(repay)[g]).float()
    score = (2 * y - 1) * torch.tensor(TELLS)[g] + torch.randn(n, generator=generator)
    proxy = (2 * group - 1) * PROXY + torch.randn(n, generator=generator)
    return torch.stack([score, proxy, torch.ones(n)], 1), y, group


def slope_gap(x: Tensor, y: Tensor, w: Tensor, weights: Tensor, plain: bool = False) -> float:
    """Largest gap of the slope, where training ended, to autograd's of F.binary_cross_entropy_with_logits; f64."""
    x, y, w, weights = (t.cpu().double() for t in (x, y, w, weights))
    w.requires_grad_()
    loss = F.binary_cross_entropy_with_logits(x @ w, y, torch.ones_like(y) if plain else weights)
    return (torch.autograd.grad(loss, w)[0] - slope(x, y, w, weights)).abs().max().item()


def counted(accept: Tensor, y: Tensor, group: Tensor) -> Tensor:
    """The four rates of each group from scikit-learn's confusion matrix."""
    found = []
    for g in (0, 1):
        tn, fp, fn, tp = confusion_matrix(y[group == g], accept[group == g]).ravel().tolist()
        found.append([(tp + fp) / (tn + fp + fn + tp), tp / (tp + fn), fp / (fp + tn), tp / (tp + fp)])
    return torch.tensor(found, dtype=torch.float64)


def by_bayes(found: Tensor, base: Tensor) -> Tensor:
    """Precision of each group from its other rates and its share of y = 1."""
    return base * found[:, 1] / (base * found[:, 1] + (1 - base) * found[:, 2])


def run(device="cpu", seed=0, steps=100):
    train, test = (torch.Generator().manual_seed(2 * seed + k) for k in (0, 1))
    same, new_same = (torch.Generator().manual_seed(2 * seed + k + 10**6) for k in (0, 1))
    x, y, group = (t.to(device) for t in applicants(TRAIN, train))
    new_x, new_y, new_group = (t.to(device) for t in applicants(TEST, test))
    even, weighed = torch.ones_like(y), reweigh(y, group)
    tasks = {"plain": even, "reweighed": weighed}
    w, speed = ({name: torch.zeros(3).to(device) for name in tasks} for _ in range(2))
    for step in range(steps):
        for name, weights in tasks.items():
            speed[name] = 0.9 * speed[name] - 0.5 * slope(x, y, w[name], weights)
            w[name] = w[name] + speed[name]
        yield (step + 1) / steps, {k: F.binary_cross_entropy_with_logits(x @ v, y).item() for k, v in w.items()}

    score, new_score = x @ w["plain"], new_x @ w["plain"]
    blind = (score > 0).float()
    share, wrong = blind.mean().item(), blind[y == 0].mean().item()
    odds = equal_odds(score, y, group, wrong)
    rules = {
        "one threshold": ([0.0, 0.0], [0.0, 0.0]),
        "equal acceptance": (equal_acceptance(score, group, share), [0.0, 0.0]),
        "equal odds": odds,
    }
    old = {name: rates(decide(score, group, *rule, wrong), y, group).cpu() for name, rule in rules.items()}
    decided = {name: decide(new_score, new_group, *rule, wrong) for name, rule in rules.items()}
    decided["reweighed"] = (new_x @ w["reweighed"] > 0).float()
    new = {name: rates(accept, new_y, new_group).cpu() for name, accept in decided.items()}
    gaps = {name: (found[0] - found[1]).abs().tolist() for name, found in new.items()}
    right = {name: (a * new_y + (1 - a) * (1 - new_y)).mean().item() for name, a in decided.items()}

    half = [[t.to(device) for t in applicants(n, g, (0.5, 0.5))] for n, g in ((TRAIN, same), (TEST, new_same))]
    rule = equal_odds(half[0][0] @ w["plain"], *half[0][1:], wrong)
    alike = rates(decide(half[1][0] @ w["plain"], half[1][2], *rule, wrong), *half[1][1:])[:, 3]

    answers = [t.cpu().double() for t in (decided["one threshold"], new_y, new_group)]
    base = torch.stack([answers[1][answers[2] == g].mean() for g in (0, 1)])
    own, theirs = rates(*answers), counted(*answers)
    wd, yd, gd = reweigh(y.cpu().double(), group.cpu()), y.cpu().double(), group.cpu()
    repaid = [[(v * yd)[gd == g].sum() / v[gd == g].sum() for g in (0, 1)] for v in (wd, torch.ones_like(wd))]
    in_training = {name: (found[0] - found[1]).abs().tolist() for name, found in old.items()}
    return {
        "acceptance_gap": gaps["equal acceptance"][0],
        "blind_gap": gaps["one threshold"][0],
        "odds_gap": max(gaps["equal odds"][1:3]),
        "acceptance_odds_gap": max(gaps["equal acceptance"][1:3]),
        "precision_gap": gaps["equal odds"][3],
        "alike_precision_gap": (alike[0] - alike[1]).abs().item(),
        "proxy_weight": abs(w["reweighed"][1].item()),
        "blind_proxy_weight": abs(w["plain"][1].item()),
        "fitted_gap": max(in_training["equal acceptance"][0], *in_training["equal odds"][1:3]),
        "unfitted_gap": max(in_training["one threshold"][:3]),
        "rates_gap": max((own - theirs).abs().max().item(), (own[:, 3] - by_bayes(own, base)).abs().max().item()),
        "one_base_gap": (own[:, 3] - by_bayes(own, base.mean())).abs().max().item(),
        "weighed_gap": abs(repaid[0][0] - repaid[0][1]).item(),
        "unweighed_gap": abs(repaid[1][0] - repaid[1][1]).item(),
        "slope_gap": slope_gap(x, y, w["reweighed"], weighed),
        "plain_gap": slope_gap(x, y, w["reweighed"], weighed, True),
    }, {
        "gap between the groups, and accuracy, in %": {
            "kind": "heatmap",
            "values": [[100 * v for v in (*gaps[name], right[name])] for name in decided],
            "rows": list(decided),
            "columns": ["acceptance", "true pos.", "false pos.", "precision", "accuracy"],
            "x": "measure",
            "y": "rule",
        },
    }


# %% what is claimed

TITLE = {"en": "Fair by one measure, unfair by another", "zh": "一种指标公平，另一种不公平"}
CURVES = "cross-entropy"
CPU_SECONDS = 1
CLAIMS = {
    "trained acceptance_gap <= 0.05 < blind_gap <= 0.23": {
        "en": "difference of the groups' acceptance, new applicants, thresholds of each group's own; the control is "
        "one threshold for a model that is not given the group",
        "zh": "每组用各自阈值时，两组新申请人通过率之差；对照为看不到组别的模型用同一阈值",
    },
    "trained odds_gap <= 0.05 < acceptance_odds_gap <= 0.26": {
        "en": "larger difference of the groups' true and false positive rates, thresholds with a coin; the control is "
        "the rule of equal acceptance",
        "zh": "阈值加抛硬币时，两组真阳率之差与假阳率之差中的较大者；对照为通过率相等的规则",
    },
    "trained precision_gap >= 0.11 > alike_precision_gap": {
        "en": "difference of the groups' precision under equalized odds; the control has groups that repay alike",
        "zh": "均等几率（equalized odds）之下两组精确率之差；对照为两组还款率相同",
    },
    "trained proxy_weight <= 0.08 < blind_proxy_weight": {
        "en": "weight of the proxy after training on reweighed applicants; the control trains on them as they are",
        "zh": "在重新加权的申请人上训练后代理变量的权重；对照不加权",
    },
    "parity weighed_gap <= 1e-12 < unweighed_gap": {
        "en": "difference of the groups' shares who repay, reweighed (f64); the control is not reweighed",
        "zh": "重新加权后两组还款比例之差（f64）；对照不加权",
    },
    "parity fitted_gap <= 0.002 < unfitted_gap": {
        "en": "largest gap, on the applicants that they are set on, of the rates that the rules equalize; the control "
        "is one threshold",
        "zh": "在用来定阈值的申请人上，各规则要拉平的比率之间的最大差距；对照为同一阈值",
    },
    "parity rates_gap <= 1e-12 < one_base_gap": {
        "en": "largest gap of the rates to scikit-learn's confusion matrix, and of precision to Bayes' rule (f64); the "
        "control takes one share who repay for both groups",
        "zh": "各比率与 scikit-learn 混淆矩阵、精确率与贝叶斯公式的最大差距（f64）；对照对两组用同一还款率",
    },
    "parity slope_gap <= 1e-12 < plain_gap": {
        "en": "largest gap of the slope that trains the reweighed model to autograd's (f64); the control omits the "
        "weights",
        "zh": "重新加权模型所用梯度与自动求导的最大差距（f64）；对照不加权",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "plain": "不加权",
    "reweighed": "重新加权",
    "one threshold": "同一阈值",
    "equal acceptance": "通过率相等",
    "equal odds": "均等几率",
    "gap between the groups, and accuracy, in %": "两组之差与准确率（%）",
    "acceptance": "通过率",
    "true pos.": "真阳率",
    "false pos.": "假阳率",
    "precision": "精确率",
    "accuracy": "准确率",
    "measure": "指标",
    "rule": "规则",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
