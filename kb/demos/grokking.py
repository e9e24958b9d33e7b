"""Grokking — a network learns all it is shown by heart, and only long after that finds the rule behind it.

The task is addition on a clock with 29 hours: (a + b) mod 29. A network with one hidden layer of squares sees 70 % of
the unordered pairs, each number as a symbol of its own; the others test it, so that no pair is known from its mirror
image. It soon gets every training pair right, but hardly any of the others; with weight decay that changes hundreds of
steps later. The control is the same network from the same weights without decay, which stays there for as many steps.
Decay is not the only way: a network whose first weights are a hundredth as large gets many of the others right without
it, and soon (in the picture; how many depends on the seed), and Gromov's, under a squared error, grok without decay.
What decay leaves are waves: a hidden unit's weights run over the numbers much like a cosine, and a network put together
from cosines by formula adds rightly. A support vector machine whose kernel is of squares, neighbours and a forest do
not find the rule.

Needs:  torch, scikit-learn
Source: A. Power et al., Grokking: Generalization Beyond Overfitting on Small Algorithmic Datasets, 2022; A. Gromov,
        Grokking Modular Arithmetic, 2023 (the quadratic network, and its weights as waves)
"""

import math

import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from torch import Tensor
from torch.nn import functional as F

HOURS, HIDDEN, SHARE, RATE, DECAY = 29, 128, 0.7, 1e-2, 0.5

# %% the concept


def network(x: Tensor, w: Tensor, v: Tensor) -> Tensor:  # (N, p), (p, H), (H, p) -> (N, p)
    return (x @ w).square() @ v  # (w_a + w_b)^2: it holds the product 2 w_a w_b


def optimizer(weights: list[Tensor], decay: float) -> torch.optim.Optimizer:
    """Adam, and in each step w <- (1 - RATE decay) w besides: what the loss does not need fades away."""
    return torch.optim.AdamW(weights, RATE, (0.9, 0.98), weight_decay=decay)


def waves(phases: int = 5) -> tuple[Tensor, Tensor]:
    """Weights by formula: a unit for each frequency f = 1 .. (p - 1) / 2 and phase u, w_a = cos(2 pi f a / p + u) and
    v_c = cos(2 pi f c / p + 2 u) / phases: (p, H), (H, p), f64."""
    f, u = 2 * math.pi * torch.cartesian_prod(torch.arange(1, HOURS // 2 + 1), torch.arange(phases)).double().T
    angle, turn = f[:, None] * torch.arange(HOURS) / HOURS, u[:, None] / phases
    return (angle + turn).cos().T, (angle + 2 * turn).cos() / phases


# %% its control


def by_heart(x: Tensor, y: Tensor, x_test: Tensor, y_test: Tensor, seed: int) -> float:
    """The best accuracy on pairs not seen of three others: the kernel of squares, neighbours, a forest."""
    rivals = (
        SVC(kernel="poly", degree=2, C=100),
        KNeighborsClassifier(3),
        RandomForestClassifier(100, random_state=seed),
    )
    return max(rival.fit(x.numpy(), y.numpy()).score(x_test.numpy(), y_test.numpy()) for rival in rivals)


# %% the experiment


def one_wave(w: Tensor) -> float:
    """Share of a hidden unit's weights, squared and without their mean, that lies in its strongest frequency, as a mean
    over units by their squared weights."""
    power = torch.fft.rfft(w.cpu().double(), dim=0)[1:].abs().square()  # (14, H)
    return float(power.amax(0).sum() / power.sum())


def network_gap(x: Tensor, w: Tensor, v: Tensor, both: float = 2.0) -> float:
    """Largest gap of logits and gradients to a sum over two symbols, v (w_a^2 + 2 w_a w_b + w_b^2), in f64."""
    found, pairs = [], x.cpu().double()
    a, b = (((pairs > 0).double() * s).argmax(1) for s in (torch.arange(HOURS, 0, -1.0), torch.arange(1.0, HOURS + 1)))
    for ours in (True, False):
        w, v = (t.detach().cpu().double().requires_grad_() for t in (w, v))
        z = network(pairs, w, v) if ours else (w[a] ** 2 + both * w[a] * w[b] + w[b] ** 2) @ v
        found.append([z, *torch.autograd.grad((z * torch.linspace(-1, 1, HOURS).double()).sum(), (w, v))])
    return max(float((p - q).detach().abs().max()) for p, q in zip(*found, strict=True))


def waves_gap(x: Tensor, a: Tensor, b: Tensor, phases: int = 5) -> float:
    """Largest gap of the network of waves to p / 4 at c = a + b, p / 8 at 2 a and at 2 b, less 1 / 2 (f64)."""
    at = [F.one_hot(c % HOURS, HOURS).double() for c in (a + b, 2 * a, 2 * b)]
    return float((network(x.double(), *waves(phases)) - HOURS * (2 * at[0] + at[1] + at[2]) / 8 + 0.5).abs().max())


def run(device="cpu", seed=0, steps=1200):
    start, split = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))
    a, b = torch.combinations(torch.arange(HOURS), with_replacement=True).T  # a <= b
    pairs, sums = (F.one_hot(a, HOURS) + F.one_hot(b, HOURS)).float(), (a + b) % HOURS
    mixed = torch.randperm(len(sums), generator=split)
    train, test = mixed.tensor_split([round(SHARE * len(mixed))])
    x, y, x_test, y_test = (t.to(device) for t in (pairs[train], sums[train], pairs[test], sums[test]))
    first = [torch.randn(n, m, generator=start) / k**0.5 for n, m, k in ((HOURS, HIDDEN, 2), (HIDDEN, HOURS, HIDDEN))]
    ways = {"decay": (1.0, DECAY), "no decay": (1.0, 0.0), "no decay, small start": (0.01, 0.0)}  # first weights, decay
    weights = {name: [(size * w).to(device).requires_grad_() for w in first] for name, (size, _) in ways.items()}
    optimizers = {name: optimizer(weights[name], decay) for name, (_, decay) in ways.items()}
    right = {f"{name}, {part} pairs": [] for name in weights for part in ("training", "other")}
    for step in range(steps):
        for name, held in weights.items():
            z = network(x, *held)
            with torch.no_grad():
                for part, logits, labels in (("training", z, y), ("other", network(x_test, *held), y_test)):
                    right[f"{name}, {part} pairs"].append((logits.argmax(1) == labels).float().mean().item())
            optimizers[name].zero_grad()
            F.cross_entropy(z, y).backward()
            optimizers[name].step()
        yield (step + 1) / steps, {name: held[-1] for name, held in right.items()}

    known, other = right["decay, training pairs"], right["decay, other pairs"]
    soon = 3 * (known.index(1) + 1 if 1 in known else 0)  # three times as long as the training pairs took
    w, v = weights["decay"]
    powers = {name: torch.fft.rfft(held[0].detach().cpu(), dim=0)[1:].abs().square() for name, held in weights.items()}
    units = {name: power[:, power.sum(0).argmax()] for name, power in powers.items()}
    found = by_heart(*(t.cpu() for t in (x, y, x_test, y_test)), seed)
    return {
        "late_accuracy": other[-1],
        "control_accuracy": max(right["no decay, other pairs"][-1], found),
        "early_accuracy": max(other[:soon], default=1.0),
        "final_accuracy": other[-1],
        "wave_share": one_wave(w.detach()),
        "plain_share": one_wave(weights["no decay"][0].detach()),
        "network_gap": network_gap(x[:60], w, v),
        "single_gap": network_gap(x[:60], w, v, 1.0),
        "waves_gap": waves_gap(pairs, a, b),
        "four_gap": waves_gap(pairs, a, b, 4),
    }, {
        "pairs told rightly, over the steps": {
            "kind": "lines",
            "series": {name: (list(range(1, steps + 1)), held) for name, held in right.items()},
            "x": "step",
            "y": "accuracy",
            "log": "x",
        },
        "frequencies in the weights of the strongest hidden unit": {
            "kind": "lines",
            "series": {name: (list(range(1, len(p) + 1)), (p / p.sum()).tolist()) for name, p in units.items()},
            "x": "waves in 29 hours",
            "y": "share of the squared weights",
        },
    }


# %% what is claimed

TITLE = {"en": "First by heart, then the rule", "zh": "先死记，后悟出规则"}
CURVES = "accuracy"
CPU_SECONDS = 2
CLAIMS = {
    "trained late_accuracy >= 0.95 > control_accuracy": {
        "en": "share of pairs not seen that are told rightly at the end, with weight decay; control: without, from the "
        "same weights, or a support vector machine, neighbours or a forest, whichever is best",
        "zh": "训练结束时，有权重衰减的网络答对的未见数对的比例；"
        "对照：没有权重衰减的网络（初始权重相同），以及支持向量机、近邻、随机森林，取最好者",
    },
    "trained early_accuracy <= 0.15 < final_accuracy": {
        "en": "the highest such share until three times as many steps as all training pairs took; control: at the end",
        "zh": "训练数对首次全部答对所需步数的三倍之内，这一比例的最高值；对照：训练结束时",
    },
    "trained wave_share >= 0.85 > plain_share": {
        "en": "share of the hidden weights (squared, without their means) in their strongest frequency; the control "
        "has no decay",
        "zh": "隐藏单元的权重（减去均值后平方）中最强频率所占的比例；对照：没有权重衰减",
    },
    "parity network_gap <= 1e-10 < single_gap": {
        "en": "largest gap of the trained network's logits and gradients to a sum over two symbols (f64); the control "
        "counts their product once, not twice",
        "zh": "训练后网络的 logits 与梯度同按两个符号展开之和的最大差距（f64）；对照把两者之积只算一次而非两次",
    },
    "parity waves_gap <= 1e-10 < four_gap": {
        "en": "largest gap of the logits of the network of cosines, over all pairs, to a table that is largest at the "
        "sum (f64); control: four phases in place of five",
        "zh": "对全部数对，余弦网络的 logits 同在和处取最大值的表的最大差距（f64）；对照：相位取四个而非五个",
    },
}
ZH = {
    "accuracy": "准确率",
    "decay, training pairs": "有衰减，训练数对",
    "decay, other pairs": "有衰减，未见数对",
    "no decay, training pairs": "无衰减，训练数对",
    "no decay, other pairs": "无衰减，未见数对",
    "no decay, small start, training pairs": "无衰减，小初值，训练数对",
    "no decay, small start, other pairs": "无衰减，小初值，未见数对",
    "no decay, small start": "无衰减，小初值",
    "pairs told rightly, over the steps": "答对的数对比例随步数的变化",
    "step": "步数",
    "frequencies in the weights of the strongest hidden unit": "最强的隐藏单元的权重所含的频率",
    "decay": "有衰减",
    "no decay": "无衰减",
    "waves in 29 hours": "29 个小时内的波数",
    "share of the squared weights": "占权重平方的比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
