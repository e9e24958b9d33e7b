"""Data leakage — what learns from labels must not see those of the test rows; scaling, which sees none, hardly leaks.

Synthetic tables whose labels are drawn at random: no model can order fresh rows better than by chance, an AUC of 1/2
(how often a row of class 1 scores above one of class 0). Each is prepared in four ways: numbers are scaled; class 1,
one row in five, is repeated until both are equally common (oversampling); a category becomes the mean label of its
rows (target encoding); of 500 numbers the 10 that go best with the label are chosen. A nearest neighbour and a ridge
regression then learn one half and are tested on the other. Prepared after the split, all score about 1/2. The control
swaps two steps, prepares, then splits: wherever labels were looked at, both models score above 1/2, one of them far
above, and about 1/2 on fresh rows. Copies give themselves away to the nearest neighbour, less to a linear model. On
178 wines (real) scaling helps the nearest neighbour; test rows that help to scale hardly matter.

Needs:  torch, scikit-learn
Source: S. Kaufman et al., Leakage in Data Mining: Formulation, Detection, and Avoidance, KDD 2011; S. Kapoor, A.
        Narayanan, Leakage and the Reproducibility Crisis in Machine-Learning-Based Science, Patterns 2023
"""

from collections.abc import Callable

import torch
from sklearn.datasets import load_wine
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder
from torch import Tensor
from torch.nn import functional as F

# %% the concept

ROWS, NUMBERS, CHOSEN, LEVELS, SMOOTH, PENALTY = 400, 500, 10, 150, 2.0, 1.0
Later = Callable[[Tensor], Tensor]
G, Ready = torch.Generator, tuple[Tensor, Tensor, Later]  # rows and labels prepared; how later rows are


def scale(x: Tensor, y: Tensor) -> Ready:  # looks at no label
    mean, spread = x.mean(0), x.std(0, correction=0)
    return (x - mean) / spread, y, lambda t: (t - mean) / spread


def oversample(x: Tensor, y: Tensor) -> Ready:  # adds copies of class 1
    rare, missing = (y > 0).nonzero()[:, 0], len(y) - 2 * int(y.sum())
    rows = torch.cat([torch.arange(len(y)).to(x.device), rare.repeat(len(y) // len(rare))[:missing]])
    return x[rows], y[rows], lambda t: t


def encode(x: Tensor, y: Tensor) -> Ready:  # a category becomes a mean of labels
    member = F.one_hot(x[:, 0].long(), LEVELS).to(x.dtype)  # (n, LEVELS)
    value = (member.T @ y + SMOOTH * y.mean()) / (member.sum(0) + SMOOTH)  # of few rows: near the mean of all
    return member @ value[:, None], y, lambda t: value[t.long()]


def choose(x: Tensor, y: Tensor) -> Ready:  # keeps the numbers that correlate best with the label
    best = ((x - x.mean(0)) / x.std(0) * (y - y.mean())[:, None]).mean(0).abs().topk(CHOSEN).indices
    return x[:, best], y, lambda t: t[:, best]


def split_then_prepare(x: Tensor, y: Tensor, step: Callable, model: Callable, g: G) -> float:
    train, test = halves(x, g)
    seen, labels, later = step(x[train], y[train])
    return auc(model(seen, labels)(later(x[test])), y[test])


# %% its control


def prepare_then_split(x: Tensor, y: Tensor, step: Callable, model: Callable, g: G) -> tuple[float, Later]:
    seen, labels, later = step(x, y)  # the labels of rows that will test, too
    train, test = halves(seen, g)
    answer = model(seen[train], labels[train])
    return auc(answer(seen[test]), labels[test]), lambda t: answer(later(t))


# %% the experiment


def halves(x: Tensor, g: G) -> tuple[Tensor, ...]:
    return torch.randperm(len(x), generator=g).to(x.device).tensor_split(2)


def ridge(x: Tensor, y: Tensor) -> Later:
    z, penalty = x - x.mean(0), PENALTY * torch.eye(x.shape[1], dtype=x.dtype).to(x.device)
    w = torch.linalg.solve(z.T @ z + penalty, z.T @ (y - y.mean()))
    return lambda t: (t - x.mean(0)) @ w + y.mean()


def nearest(x: Tensor, y: Tensor) -> Later:
    return lambda t: y[torch.cdist(t, x).argmin(1)]


def auc(score: Tensor, y: Tensor) -> float:  # a tie counts half
    return ((score[y > 0][:, None] - score[y == 0]).sign().mean().item() + 1) / 2


def table(g: G) -> tuple[Tensor, Tensor]:
    """A category, numbers, and labels that neither tells, one in five of class 1: (ROWS, 1 + NUMBERS), (ROWS,)."""
    x = torch.cat([torch.randint(LEVELS, (ROWS, 1), generator=g), torch.randn(ROWS, NUMBERS, generator=g)], 1)
    return x, (torch.randperm(ROWS, generator=g) % 5 == 0).float()


def sklearn_gap(x: Tensor, y: Tensor, peek: bool = False) -> float:
    """Largest gap of answers and codes to scikit-learn's, ours prepared by all for `peek`; plus uneven copies."""
    (known, test), labels = x.double().tensor_split(2), y.double()[: len(y) // 2]
    fitted, told = (x.double(), y.double()) if peek else (known, labels)
    prepared, _, scaled = scale(fitted[:, 1:], told)
    chosen = choose(prepared, told)[2]
    mine = ridge(chosen(scaled(known[:, 1:])), labels)(chosen(scaled(test[:, 1:])))
    pipeline = make_pipeline(StandardScaler(), SelectKBest(k=CHOSEN), Ridge(PENALTY))
    theirs = pipeline.fit(known[:, 1:].numpy(), labels.numpy()).predict(test[:, 1:].numpy())
    encoder = TargetEncoder(smooth=SMOOTH, target_type="continuous").fit(known[:, :1].numpy(), labels.numpy())
    codes = encode(fitted[:, :1], told)[2](test[:, :1]) - torch.tensor(encoder.transform(test[:, :1].numpy()))
    rows, classes, _ = oversample(known, labels)
    unequal = abs(classes.mean() - 0.5) + abs((rows[:, 1].unique(return_counts=True)[1] > 1).sum() - labels.sum())
    return max(float(gap.abs().max()) for gap in (mine - torch.tensor(theirs), codes)) + float(unequal)


FEW, MODELS = slice(1, 1 + CHOSEN), {"ridge": ridge, "nearest": nearest}
WAYS = {"scale": (scale, FEW), "oversample": (oversample, FEW)}  # and the columns that each is given
LEAKY = {"choice": "choose features", "encoding": "target encoding", "copies": "oversample"}
COLUMNS = ["prepared", "model", "after the split", "before it", "before, fresh"]
WAYS |= {"target encoding": (encode, slice(0, 1)), "choose features": (choose, slice(1, None))}


def run(device="cpu", seed=0, steps=60):
    data, unseen, splits = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    held: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    (wine_x, wine_y), wines = (torch.tensor(part).float().to(device) for part in load_wine(return_X_y=True)), []
    for step in range(steps):
        (x, y), (new_x, new_y) = ([t.to(device) for t in table(g)] for g in (data, unseen))
        for way, (prepare, columns) in WAYS.items():
            found = []
            for model in MODELS.values():
                after = split_then_prepare(x[:, columns], y, prepare, model, splits)
                before, answer = prepare_then_split(x[:, columns], y, prepare, model, splits)
                found += [after, before, auc(answer(new_x[:, columns]), new_y)]
            held[way].append(found)
        train, test = halves(wine_x, splits)
        for z in (wine_x, scale(wine_x[train], wine_y)[2](wine_x), scale(wine_x, wine_y)[0]):
            wines.append((nearest(z[train], wine_y[train])(z[test]) == wine_y[test]).float().mean().item())
        yield (step + 1) / steps, {"split, then prepare": found[0], "prepare, then split": found[1]}  # of choosing

    mean = {way: torch.tensor(found).double().mean(0) for way, found in held.items()}  # (6,)
    miss, fresh = ({way: float((v[k::3] - 0.5).abs().max()) for way, v in mean.items()} for k in (0, 2))
    leak = {way: float(mean[way][1::3].min()) - 0.5 for way in LEAKY.values()}  # of two models the lesser
    rows = [
        [way, name, *(f"{v:.2f}" for v in row)]
        for way in WAYS
        for name, row in zip(MODELS, mean[way].view(2, 3).tolist(), strict=True)
    ]
    raw, inside, outside = torch.tensor(wines).double().view(steps, 3).mean(0).tolist()
    return {
        "sklearn_gap": sklearn_gap(x.cpu(), y.cpu()),
        "peeking_gap": sklearn_gap(x.cpu(), y.cpu(), peek=True),
        **{f"{name}_miss": miss[way] for name, way in LEAKY.items()},
        **{f"{name}_leak": leak[way] for name, way in LEAKY.items()},
        "fresh_miss": max(fresh.values()),
        "own_half_leak": min(leak.values()),
        "scaling_shift": abs(outside - inside),
        "scaling_gain": inside - raw,
    }, {
        "AUC where labels are random: the truth is 0.5": {"kind": "table", "columns": COLUMNS, "rows": rows},
    }


# %% what is claimed

TITLE = {"en": "Preparing by labels before the split leaks them", "zh": "划分前按标签做预处理会泄漏标签"}
CURVES = "AUC on random labels, features chosen"
CPU_SECONDS = 2
CLAIMS = {
    "parity sklearn_gap <= 1e-10 < peeking_gap": {
        "en": "largest gap of answers and codes to scikit-learn's Pipeline (scale, choose, ridge) and TargetEncoder, "
        "fitted to training rows (f64), plus what oversampling leaves unequal; control: fitted to all rows",
        "zh": "同 sklearn 的 Pipeline 与 TargetEncoder 之差（f64，只用训练样本），加过采样后的不均；对照：用全部样本",
    },
    "trained choice_miss <= 0.025 < choice_leak": {
        "en": "distance of the mean AUC on random labels from 1/2, of two models the worse, where the training rows "
        "choose features; control: its lead, of two models the lesser, where all rows choose, then are split",
        "zh": "只用训练样本选特征时，随机标签上平均 AUC 与 1/2 之差（两模型取大）；对照：先选再划分时的高出值（取小）",
    },
    "trained encoding_miss <= 0.025 < encoding_leak": {
        "en": "the same where a category becomes the mean label of its training rows; control: of all its rows",
        "zh": "同上，把类别换成其训练样本的标签均值；对照：用其全部样本的标签均值",
    },
    "trained copies_miss <= 0.025 < copies_leak": {
        "en": "the same where the rare class is repeated in the training rows; control: repeated, then split",
        "zh": "同上，只在训练样本中重复稀有类；对照：先重复，再划分",
    },
    "trained fresh_miss <= 0.025 < own_half_leak": {
        "en": "distance from 1/2 on fresh rows where rows were prepared, then split, at most; control: the least lead "
        "on their own half where labels were looked at",
        "zh": "先预处理再划分时，新样本上平均 AUC 与 1/2 的最大差距；对照：看标签者在自己测试集上超出 1/2 的最小幅度",
    },
    "trained scaling_shift <= 0.006 < scaling_gain": {
        "en": "change of a nearest neighbour's accuracy on wines when test rows help to set the scale; control: what "
        "scaling itself gains",
        "zh": "葡萄酒数据上，测试样本也参与确定缩放时最近邻准确率的变化；对照：缩放本身带来的提高",
    },
}
ZH = {
    "AUC on random labels, features chosen": "选特征后在随机标签上的 AUC",
    "split, then prepare": "先划分再预处理",
    "prepare, then split": "先预处理再划分",
    "AUC where labels are random: the truth is 0.5": "标签随机时的 AUC：真值为 0.5",
    "scale": "标准化",
    "oversample": "过采样",
    "target encoding": "目标编码",
    "choose features": "选特征",
    "prepared": "预处理",
    "model": "模型",
    "after the split": "划分后处理",
    "before it": "划分前处理",
    "before, fresh": "划分前，新样本",
    "ridge": "岭回归",
    "nearest": "最近邻",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
