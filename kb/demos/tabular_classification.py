"""Tabular classification — on tables the columns must be prepared before a network can learn.

Real table: 178 wines of three growers, 13 measurements in units from 0.1 to 1000. Synthetic table: 4000 loans
with income, age, debt and one of 40 towns, written as an arbitrary number; all four decide the risk. The same
small multilayer perceptron (MLP) learns each table from two preparations.

Claim:  standardized columns let it learn the wines in far fewer steps than raw ones at the best of three
        learning rates; a learned vector for each town beats the town's number as one more measurement.
        Standardization is the one of scikit-learn.
        The score of boosted trees, which need no scaling, is printed beside; nothing here claims that
        networks beat trees.
Source: C. Guo, F. Berkhahn, Entity Embeddings of Categorical Variables, 2016; L. Grinsztajn et al., Why Do
        Tree-Based Models Still Outperform Deep Learning on Typical Tabular Data?, NeurIPS 2022 (trees)
Run:    python kb/demos/tabular_classification.py --device cpu --seed 0 --steps 200
"""

import torch
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Tables: scale the numbers, embed the categories", "zh": "表格数据：数值要标准化，类别要嵌入"}
CPU_SECONDS = 1
CLAIMS = {
    "trained wine_steps <= 40 < raw_wine_steps": {
        "en": "steps until 95% of the training wines are right; the control: raw columns, the best of three rates",
        "zh": "训练集葡萄酒 95% 判对所需的步数；对照用原始列，取三种学习率中最好者",
    },
    "trained loan_accuracy >= 0.77 > numbered_loan_accuracy": {
        "en": "accuracy on unseen loans with a learned vector per town; the control has its number, scaled",
        "zh": "为每个城镇学习向量时在未见贷款上的准确率；对照把城镇编号当作数值",
    },
    "parity scaler_gap <= 1e-10 < sample_scaler_gap": {
        "en": "standardized columns against scikit-learn's StandardScaler; the control divides by n - 1",
        "zh": "标准化结果与 scikit-learn StandardScaler 的差距；对照方差除以 n − 1",
    },
}

TOWNS, LOANS = 40, 4000
RATE, RAW_RATES = 1e-2, (3e-3, 1e-2, 3e-2)  # raw columns may need another one


class Mixed(nn.Module):
    """An MLP on numbers and, if towns > 0, on a learned vector for the town in the last column."""

    def __init__(self, numbers: int, towns: int, classes: int) -> None:
        super().__init__()
        self.town = nn.Embedding(towns, 4) if towns else None
        self.mlp = nn.Sequential(nn.Linear(numbers + 4 * (towns > 0), 32), nn.ReLU(), nn.Linear(32, classes))

    def forward(self, x: Tensor) -> Tensor:  # (B, columns) -> (B, classes)
        if self.town is not None:
            x = torch.cat([x[:, :-1], self.town(x[:, -1].long())], 1)
        return self.mlp(x)


def standardize(train: Tensor, *others: Tensor, correction: int = 0) -> list[Tensor]:
    """Every column to mean 0 and variance 1 on the training rows; the others only follow."""
    mean, std = train.mean(0), train.std(0, correction=correction)
    return [(rows - mean) / std for rows in (train, *others)]


def loans(data: torch.Generator) -> tuple[Tensor, Tensor]:
    """Income, age, debt, town -> whether the loan fails: (LOANS, 4), (LOANS,)."""
    income = 30000 * torch.exp(0.5 * torch.randn(LOANS, generator=data))
    age = 20 + 50 * torch.rand(LOANS, generator=data)
    debt = 10000 * torch.exp(0.8 * torch.randn(LOANS, generator=data))
    town = torch.randint(TOWNS, (LOANS,), generator=data)
    town_risk = 2 * torch.randn(TOWNS, generator=data)
    risk = (debt / income).log() + 1.1 - (age - 45) / 25 + town_risk[town]
    fails = torch.rand(LOANS, generator=data) < (2 * risk).sigmoid()
    return torch.stack([income, age, debt, town.float()], 1), fails.long()


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    wine, (risky, fails) = load_wine(), loans(data)
    order = torch.randperm(len(wine.data), generator=data)
    grower = torch.tensor(wine.target)[order].split([100, len(order) - 100])
    raw = torch.tensor(wine.data)[order].split([100, len(order) - 100])  # float64
    cut = [1000, LOANS - 1000]
    risky, fails = risky.split(cut), fails.split(cut)
    scaled, coded = standardize(*raw), standardize(*risky)
    mixed = [torch.cat([ready[:, :3], rows[:, 3:]], 1) for ready, rows in zip(coded, risky, strict=True)]
    raw_wines = {f"raw wine at {rate}": rate for rate in RAW_RATES}
    contenders = {  # (training rows, test rows), (training labels, test labels), network
        "wine": (scaled, grower, Mixed(13, 0, 3)),
        **{name: (raw, grower, Mixed(13, 0, 3)) for name in raw_wines},
        "loan": (mixed, fails, Mixed(3, TOWNS, 2)),
        "numbered_loan": (coded, fails, Mixed(4, 0, 2)),
    }
    rows = {name: [part.float().to(device) for part in parts] for name, (parts, _, _) in contenders.items()}
    labels = {name: [part.to(device) for part in parts] for name, (_, parts, _) in contenders.items()}
    nets = {name: net.to(device) for name, (_, _, net) in contenders.items()}
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
            accuracy["raw_wine"] = max(accuracy.pop(name) for name in raw_wines)
            yield (step + 1) / steps, accuracy

    for name, parts, answers in (("wine", raw, grower), ("loan", risky, fails)):
        trees = HistGradientBoostingClassifier(max_iter=50).fit(parts[0].numpy(), answers[0].numpy())
        accuracy[f"trees_{name}"] = trees.score(parts[1].numpy(), answers[1].numpy())
    twin = torch.tensor(StandardScaler().fit(raw[0].numpy()).transform(raw[1].numpy()))
    return {
        "wine_steps": needed["wine"],
        "raw_wine_steps": min(needed[name] for name in raw_wines),
        **{f"{name}_accuracy": score for name, score in accuracy.items()},
        "scaler_gap": float((scaled[1] - twin).abs().max()),
        "sample_scaler_gap": float((standardize(*raw, correction=1)[1] - twin).abs().max()),
    }, {
        "accuracy on unseen rows": {
            "kind": "bars",
            "zh": "在未见样本上的准确率",
            "values": {name.replace("_", " "): score for name, score in accuracy.items()},
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
