"""Tabular classification — how the columns of a table are prepared decides how soon and how much a network learns.

Real table: 178 wines of three growers, 13 measurements of values from 0.13 to 1680. Synthetic table: loans with income,
age, debt and one of 40 towns, written as an arbitrary number; all four decide the risk. The same small multilayer
perceptron (MLP) learns each table from several preparations. Standardized columns let it learn the wines in a few
steps, raw ones at the best of five learning rates in many times as many, if at all in this run. Two numbers that are
learned for each town beat the town's number as one more measurement, and two random numbers that are not learned; a
column of its own for each town (one-hot), in the table, does about as well: a town is no quantity. Boosted trees, which
need no scaling, stand beside; nothing here claims that networks beat trees.

Needs:  torch, scikit-learn
Source: C. Guo, F. Berkhahn, Entity Embeddings of Categorical Variables, 2016; L. Grinsztajn et al., Why Do
        Tree-Based Models Still Outperform Deep Learning on Typical Tabular Data?, NeurIPS 2022 (trees)
"""

import copy

import torch
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

TOWNS, VECTOR, HIDDEN, LOANS, TEST_LOANS, WINES = 40, 2, 32, 1000, 3000, 100
RATE, RAW_RATES = 1e-2, (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # raw columns may need another one

# %% the concept


def standardize(train: Tensor, *others: Tensor, correction: int = 0) -> list[Tensor]:
    """Every column to mean 0 and variance 1 on the training rows; the others only follow."""
    mean, std = train.mean(0), train.std(0, correction=correction)
    return [(rows - mean) / std for rows in (train, *others)]


class Mixed(nn.Module):
    """An MLP on numbers and, if towns > 0, on a learned vector for the town in the last column."""

    def __init__(self, numbers: int, towns: int, classes: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(0.1 * torch.randn(towns, VECTOR)) if towns else None
        self.hidden = nn.Linear(numbers + VECTOR * (towns > 0), HIDDEN)
        self.out = nn.Linear(HIDDEN, classes)

    def forward(self, x: Tensor) -> Tensor:  # (B, columns) -> (B, classes)
        if self.vectors is not None:
            town = F.one_hot(x[:, -1].long(), len(self.vectors)).to(x)  # a category is a choice, no quantity
            x = torch.cat([x[:, :-1], town @ self.vectors], 1)  # times the table: the town's row
        return self.out(self.hidden(x).relu())


# %% the experiment


def loans(n: int, town_risk: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Income, age, debt, town -> whether the loan fails: (n, 4), (n,)."""
    income = 30000 * torch.exp(0.5 * torch.randn(n, generator=generator))
    age = 20 + 50 * torch.rand(n, generator=generator)
    debt = 10000 * torch.exp(0.8 * torch.randn(n, generator=generator))
    town = torch.randint(TOWNS, (n,), generator=generator)
    risk = (debt / income).log() + 1.1 - (age - 45) / 25 + town_risk[town]
    fails = torch.rand(n, generator=generator) < (2 * risk).sigmoid()
    return torch.stack([income, age, debt, town.float()], 1), fails.long()


def net_gap(net: Mixed, x: Tensor, shift: int = 0) -> float:
    """Largest difference from nn.Embedding and nn.Linear, outputs and gradients, f64; `shift` picks another town's."""
    net = copy.deepcopy(net).cpu().double().requires_grad_()
    town, first, last = nn.Embedding(TOWNS, VECTOR), nn.Linear(3 + VECTOR, HIDDEN), nn.Linear(HIDDEN, 2)
    twin = nn.ModuleList([town, first, last]).double()
    for theirs, mine in zip(twin.parameters(), net.parameters(), strict=True):
        theirs.data = mine.data.clone()
    rows = x.double()
    joined = torch.cat([rows[:, :3], town((rows[:, 3].long() + shift) % TOWNS)], 1)
    sides = []
    for answer, module in ((net(rows), net), (last(first(joined).relu()), twin)):
        weighted = (answer * torch.tensor([1.0, 0.3])).sum()
        grads = torch.autograd.grad(weighted, list(module.parameters()), materialize_grads=True)
        sides.append([answer.detach(), *grads])
    return torch.stack([(a - b).abs().max() for a, b in zip(*sides, strict=True)]).max().item()


def shared_rows(some: Tensor, others: Tensor) -> float:
    """How many of the one occur in the other."""
    known = {row.numpy().tobytes() for row in others}
    return float(sum(row.numpy().tobytes() in known for row in some))


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    wine = load_wine()
    order = torch.randperm(len(wine.data), generator=data).split([WINES, len(wine.data) - WINES])
    raw, grower = ([torch.tensor(held)[rows] for rows in order] for held in (wine.data, wine.target))  # raw is f64
    town_risk = 2 * torch.randn(TOWNS, generator=data)
    risky, fails = zip(loans(LOANS, town_risk, data), loans(TEST_LOANS, town_risk, unseen), strict=True)
    risky = [rows.double() for rows in risky]
    scaled, coded = standardize(*raw), standardize(*risky)
    mixed = [torch.cat([ready[:, :3], rows[:, 3:]], 1) for ready, rows in zip(coded, risky, strict=True)]
    columns = [torch.cat([rows[:, :3], F.one_hot(rows[:, 3].long(), TOWNS)], 1) for rows in mixed]
    raw_wines = {f"raw wine, {rate}": rate for rate in RAW_RATES}
    contenders = {  # (training rows, test rows), (training labels, test labels), network
        "wine": (scaled, grower, Mixed(13, 0, 3)),
        **{name: (raw, grower, Mixed(13, 0, 3)) for name in raw_wines},
        "learned vectors": (mixed, fails, Mixed(3, TOWNS, 2)),
        "random vectors": (mixed, fails, Mixed(3, TOWNS, 2)),
        "numbers": (coded, fails, Mixed(4, 0, 2)),
        "one-hot": (columns, fails, Mixed(3 + TOWNS, 0, 2)),
    }
    rows = {name: [part.float().to(device) for part in parts] for name, (parts, _, _) in contenders.items()}
    labels = {name: [part.to(device) for part in parts] for name, (_, parts, _) in contenders.items()}
    nets = {name: net.to(device) for name, (_, _, net) in contenders.items()}
    nets["random vectors"].vectors.requires_grad_(False).mul_(30)  # kept; this size suits them
    optimizers = {n: torch.optim.Adam(net.parameters(), lr=raw_wines.get(n, RATE)) for n, net in nets.items()}
    needed = dict.fromkeys(["wine", *raw_wines], float(steps))
    for step in range(steps):
        for name, net in nets.items():
            logits = net(rows[name][0])
            if name in needed and (logits.argmax(-1) == labels[name][0]).float().mean() >= 0.95:
                needed[name] = min(needed[name], float(step))
            loss = F.cross_entropy(logits, labels[name][0])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        if step % 5 == 4 or step == steps - 1:
            with torch.no_grad():
                right = {name: net(rows[name][1]).argmax(-1) == labels[name][1] for name, net in nets.items()}
            accuracy = {name: hits.float().mean().item() for name, hits in right.items()}
            accuracy["raw wine"] = max(accuracy.pop(name) for name in raw_wines)
            yield (step + 1) / steps, accuracy

    for name, parts, answers in (("wine", raw, grower), ("loan", risky, fails)):
        trees = HistGradientBoostingClassifier(max_iter=50).fit(parts[0].numpy(), answers[0].numpy())
        accuracy[f"trees, {name}"] = trees.score(parts[1].numpy(), answers[1].numpy())
    twins = [torch.tensor(StandardScaler().fit(a.numpy()).transform(b.numpy())) for a, b in (raw, risky)]
    vectors = nets["learned vectors"].vectors.detach().cpu()
    ranked = vectors[town_risk.argsort()].split(TOWNS // 4)
    quarters = dict(zip(("safest ten", "safer ten", "riskier ten", "riskiest ten"), ranked, strict=True))
    return {
        "wine_steps": needed["wine"],
        "raw_wine_steps": min(needed[name] for name in raw_wines),
        "loan_accuracy": accuracy["learned vectors"],
        "numbered_loan_accuracy": accuracy["numbers"],
        "random_loan_accuracy": accuracy["random vectors"],
        "control_loan_accuracy": max(accuracy["numbers"], accuracy["random vectors"]),
        "scaler_gap": max(float((own[1] - twin).abs().max()) for own, twin in zip((scaled, coded), twins, strict=True)),
        "sample_scaler_gap": float((standardize(*raw, correction=1)[1] - twins[0]).abs().max()),
        "net_gap": net_gap(nets["learned vectors"], mixed[1][:100]),
        "other_town_gap": net_gap(nets["learned vectors"], mixed[1][:100], shift=1),
        "shared_rows": shared_rows(raw[1], raw[0]) + shared_rows(risky[1], risky[0]),
        "training_rows": shared_rows(raw[0], raw[0]) + shared_rows(risky[0], risky[0]),
    }, {
        "the vectors learned for the towns": {
            "kind": "scatter",
            "series": {name: (some[:, 0].tolist(), some[:, 1].tolist()) for name, some in quarters.items()},
            "x": "first number",
            "y": "second number",
            "equal": True,
        },
        "accuracy on unseen rows, in %": {
            "kind": "table",
            "columns": ["prepared", "network", "boosted trees"],
            "rows": [
                ["wine, standardized", 100 * accuracy["wine"], "-"],
                ["wine, raw", 100 * accuracy["raw wine"], 100 * accuracy["trees, wine"]],
                ["loans, learned vectors", 100 * accuracy["learned vectors"], "-"],
                ["loans, one-hot columns", 100 * accuracy["one-hot"], "-"],
                ["loans, random vectors", 100 * accuracy["random vectors"], "-"],
                ["loans, town as a number", 100 * accuracy["numbers"], 100 * accuracy["trees, loan"]],
            ],
        },
    }


# %% what is claimed

TITLE = {
    "en": "Tables: scale the numbers, and read no category as one",
    "zh": "表格数据：数值要标准化，类别别当数值",
}
CURVES = "accuracy on unseen rows"
CPU_SECONDS = 2
CLAIMS = {
    "trained wine_steps <= 12 < raw_wine_steps": {
        "en": "steps until 95% of the training wines are right; the control: raw columns, the best of five rates",
        "zh": "训练集葡萄酒 95% 判对所需的步数；对照用原始列，取五种学习率中最好者",
    },
    "trained loan_accuracy >= 0.83 > control_loan_accuracy >= 0.6": {
        "en": "accuracy on unseen loans with two learned numbers per town; control: its number, scaled, or two random "
        "numbers, whichever is better",
        "zh": "为每个城镇学习两个数时在未见贷款上的准确率；对照把城镇编号当作数值，或用两个不学习的随机数，取较好者",
    },
    "parity scaler_gap <= 1e-10 < sample_scaler_gap": {
        "en": "standardized columns against scikit-learn's StandardScaler; the control divides by n - 1",
        "zh": "标准化结果与 scikit-learn StandardScaler 的差距；对照方差除以 n − 1",
    },
    "parity net_gap <= 1e-10 < other_town_gap": {
        "en": "largest gap of the trained network to nn.Embedding and nn.Linear, outputs and gradients (f64); the "
        "control takes the next town's vector",
        "zh": "训练后网络的输出与梯度同 nn.Embedding 加 nn.Linear 的最大差距（f64）；对照取下一个城镇的向量",
    },
    "parity shared_rows <= 0 < training_rows": {
        "en": "test rows that occur in the training set; the control counts the training set in itself",
        "zh": "测试样本中出现在训练集里的个数；对照在训练集自身中计数",
    },
}
ZH = {
    "accuracy on unseen rows": "未见样本上的准确率",
    "wine": "葡萄酒",
    "raw wine": "葡萄酒，原始列",
    "learned vectors": "学到的向量",
    "random vectors": "随机向量",
    "numbers": "编号当数值",
    "one-hot": "独热编码",
    "the vectors learned for the towns": "为各城镇学到的向量",
    "safest ten": "最安全的十个",
    "safer ten": "较安全的十个",
    "riskier ten": "较危险的十个",
    "riskiest ten": "最危险的十个",
    "first number": "第一个分量",
    "second number": "第二个分量",
    "accuracy on unseen rows, in %": "未见样本上的准确率（%）",
    "prepared": "预处理",
    "network": "网络",
    "boosted trees": "提升树",
    "wine, standardized": "葡萄酒，标准化",
    "wine, raw": "葡萄酒，原始列",
    "loans, learned vectors": "贷款，学到的向量",
    "loans, one-hot columns": "贷款，独热编码",
    "loans, random vectors": "贷款，随机向量",
    "loans, town as a number": "贷款，城镇编号当数值",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
