"""Muon — steps whose singular values are mostly near 1 move weak directions of a matrix about as far as strong ones.

An autoencoder of four weight matrices (64-32-32-32-64, tanh) learns 300 digits in 50 steps on all of them, with rates
that fall to zero in a line. Muon's error is compared with those of SGD, Adam and Lion, which takes the sign of each
entry instead; each is at the best of 9 rates and two settings of its momentum, mostly low, for so few steps. All four
matrices are Muon's, where its authors leave the first and the last to AdamW. Without weight decay, AdamW is Adam. Steps
are counted, not seconds: one of Muon has 15 products more for each matrix. Singular values below a thousandth of the
largest stay behind, as the figure shows. On the ravine, (x^2 + 100 y^2) / 2, the two numbers are a 1 x 2 matrix,
which has one singular value: Muon only sets the length of its steps there. 61 rates from 0.001 to 1 are tried for each
method, at the usual momentum.

Needs:  torch, scikit-learn
Source: K. Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024 (kellerjordan.github.io);
        J. Liu et al., Muon is Scalable for LLM Training, arXiv:2502.16982, 2025; X. Chen et al., Symbolic Discovery of
        Optimization Algorithms, NeurIPS 2023 (Lion)
"""

from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

SIZES, TRAIN, TEST = (64, 32, 32, 32, 64), 300, 300
A, B, C = 3.4445, -4.7750, 2.0315

# %% the concept

State = dict[str, Tensor]  # what an optimizer keeps of each weight matrix


def orthogonalize(m: Tensor, steps: int = 5) -> Tensor:  # (..., rows, columns), kept
    """Newton-Schulz: U diag(s) V^T -> U diag(p(p(...p(s)))) V^T, p(s) = A s + B s^3 + C s^5, by products only."""
    x = m / m.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # no singular value is above 1
    for _ in range(steps):
        gram = x @ x.mT
        x = A * x + (B * gram + C * gram @ gram) @ x
    return x


def muon(g: Tensor, state: State, beta: float = 0.95) -> Tensor:
    state["m"] = beta * state.get("m", 0 * g) + (1 - beta) * g
    ahead = beta * state["m"] + (1 - beta) * g  # Nesterov's look ahead
    return orthogonalize(ahead) * max(1, g.shape[-2] / g.shape[-1]) ** 0.5  # tall matrices step further


def lion(g: Tensor, state: State, beta: float = 0.9, kept: float = 0.99) -> Tensor:
    m = state.get("m", 0 * g)
    state["m"] = kept * m + (1 - kept) * g  # one number for each weight; Adam keeps two
    return (beta * m + (1 - beta) * g).sign()  # all entries step as far


# %% its control


def sgd(g: Tensor, state: State, beta: float = 0.9) -> Tensor:
    state["m"] = beta * state.get("m", 0 * g) + g
    return state["m"]


def adam(g: Tensor, state: State, beta: float = 0.9, kept: float = 0.99) -> Tensor:
    state["t"] = state.get("t", torch.zeros(())) + 1
    state["m"] = beta * state.get("m", 0 * g) + (1 - beta) * g
    state["v"] = kept * state.get("v", 0 * g) + (1 - kept) * g**2
    t = state["t"].item()
    return state["m"] / (1 - beta**t) / ((state["v"] / (1 - kept**t)).sqrt() + 1e-8)


def cubic(m: Tensor, steps: int = 5) -> Tensor:
    """The classical Newton-Schulz iteration, p(s) = 1.5 s - 0.5 s^3: it converges to 1, slowly from small values."""
    x = m / m.norm(dim=(-2, -1), keepdim=True)
    for _ in range(steps):
        x = 1.5 * x - 0.5 * x @ x.mT @ x
    return x


# %% the experiment

Rule = Callable[..., Tensor]
TRIED: dict[str, tuple[Rule, float, list[dict[str, float]]]] = {  # the middle one of 9 rates, and settings
    "Muon": (muon, 0.2, [{"beta": 0.8}, {"beta": 0.9}]),
    "SGD": (sgd, 1.0, [{"beta": 0.8}, {"beta": 0.9}]),
    "Adam": (adam, 0.03, [{"beta": 0.6, "kept": 0.6}, {"beta": 0.7, "kept": 0.7}]),
    "Lion": (lion, 0.015, [{"beta": 0.7, "kept": 0.7}, {"beta": 0.8, "kept": 0.8}]),
}


def errors(weights: list[Tensor], x: Tensor) -> Tensor:  # (R, out, in) each, (N, 64) -> (R,)
    """Squared error of the autoencoders as a share of that of the mean digit, which is 0."""
    h = x.expand(len(weights[0]), -1, -1)
    for w in weights[:-1]:
        h = (h @ w.mT).tanh()
    return (h @ weights[-1].mT - x).square().mean((1, 2)) / x.square().mean()


def gradients(weights: list[Tensor], x: Tensor) -> tuple[Tensor, ...]:
    leaves = [w.detach().requires_grad_() for w in weights]
    return torch.autograd.grad(errors(leaves, x).sum(), leaves)


def polar(m: Tensor, steps: int) -> Tensor:
    """What `orthogonalize` computes, by the singular value decomposition; 0 steps: all values 1."""
    u, s, v = torch.linalg.svd(m, full_matrices=False)
    s = s / s.norm() if steps else torch.ones_like(s)
    for _ in range(steps):
        s = A * s + B * s**3 + C * s**5
    return u @ s.diag() @ v


def muon_gap(steps: list[Tensor], newton: int = 5) -> float:
    """After a series of gradients, to momentum as a sum and `polar`; f64."""
    state, n = State(), len(steps)
    mine = [muon(g, state) for g in steps][-1]
    ahead = 0.05 * (steps[-1] + sum(0.95 ** (n - k) * g for k, g in enumerate(steps)))
    tall = max(1, mine.shape[0] / mine.shape[1]) ** 0.5
    return (mine - tall * polar(ahead, newton)).abs().max().item()


def lion_gap(steps: list[Tensor], kept: float = 0.99) -> float:
    """After a series of gradients, to the sign of their weighted sum; f64."""
    state, n = State(), len(steps) - 1
    mine = [lion(g, state) for g in steps][-1]
    old = sum((1 - kept) * kept ** (n - 1 - k) * g for k, g in enumerate(steps[:-1]))
    return (mine - (0.9 * old + 0.1 * steps[-1]).sign()).abs().max().item()


def rivals_gap(weights: list[Tensor], x: Tensor, kept: float = 0.99) -> float:
    """Weights after 5 steps, to torch.optim and autograd through nn.Sequential; f64."""
    gaps = []
    for rule, make in ((sgd, torch.optim.SGD), (adam, torch.optim.Adam)):
        layers = [nn.Linear(*w.shape[:0:-1], bias=False).double() for w in weights]
        for layer, w in zip(layers, weights, strict=True):
            layer.weight.data = w[0].clone()
        net = nn.Sequential(*[part for layer in layers for part in (layer, nn.Tanh())][:-1])
        optimizer = make(net.parameters(), lr=0.01, **({"betas": (0.9, kept)} if rule is adam else {"momentum": 0.9}))
        mine, states = list(weights), [State() for _ in weights]
        for _ in range(5):
            found = gradients(mine, x)
            mine = [w - 0.01 * rule(g, state) for w, g, state in zip(mine, found, states, strict=True)]
            optimizer.zero_grad()
            (nn.functional.mse_loss(net(x), x) / x.square().mean()).backward()
            optimizer.step()
        gaps += [(w[0] - p).abs().max() for w, p in zip(mine, net.parameters(), strict=True)]
    return torch.stack(gaps).max().item()


def turned_gap(rule: Rule, m: Tensor, turn: Tensor) -> float:
    """Between the step of a turned gradient and the turned step; f64."""
    return (rule(turn @ m, State()) - turn @ rule(m, State())).abs().max().item()


def memory(rule: Rule) -> float:
    """Numbers kept of each weight."""
    state = State()
    rule(torch.ones(8, 8), state)
    return sum(kept.numel() for kept in state.values() if kept.dim()) / 64


def singular(m: Tensor) -> Tensor:
    """Singular values, the largest first, of root mean square 1."""
    values = torch.linalg.svdvals(m)
    return values / values.square().mean().sqrt()


def share_of(some: Tensor, those: Tensor) -> float:
    return (some[:, None] == those).all(2).any(1).float().mean().item()


def ravine() -> dict[str, tuple[list[int], list[float]]]:
    """The loss (x^2 + 100 y^2) / 2 along 60 steps from (10, 1), at the rate of 0.001 to 1 that ends lowest."""
    curvature, rates = torch.tensor([[1.0], [100.0]]).double(), torch.logspace(-3, 0, 61, dtype=torch.float64)
    series = {}
    for name, rule in {"Muon": lambda g, state: muon(g.mT, state).mT, "Lion": lion}.items():
        w, state, losses = torch.tensor([[10.0], [1.0]]).double().repeat(61, 1, 1), State(), []
        for _ in range(61):
            losses.append((curvature * w**2).sum((1, 2)) / 2)
            w = w - rates[:, None, None] * rule(curvature * w, state)
        series[name] = (list(range(61)), torch.stack(losses)[:, losses[-1].argmin()].tolist())
    return series


def run(device="cpu", seed=0, steps=50):
    made, drawn, turned = (torch.Generator().manual_seed(3 * seed + k) for k in (0, 1, 2))
    digits = torch.tensor(load_digits().data).float() / 16
    digits = digits[torch.randperm(len(digits), generator=drawn)[: TRAIN + TEST]]
    digits = digits - digits[:TRAIN].mean(0)
    x, unseen = (t.to(device) for t in digits.split([TRAIN, TEST]))
    sizes = list(zip(SIZES[1:], SIZES[:-1], strict=True))
    start = [torch.randn(rows, columns, generator=made) / columns**0.5 for rows, columns in sizes]
    around = torch.logspace(-1, 1, 9)[:, None, None].to(device)
    rates = {name: middle * around for name, (_, middle, _) in TRIED.items()}
    runs = [(name, rule, setting) for name, (rule, _, settings) in TRIED.items() for setting in settings]
    nets = [[w.repeat(9, 1, 1).to(device) for w in start] for _ in runs]
    states = [[State() for _ in start] for _ in runs]
    for step in range(steps):
        best = dict.fromkeys(TRIED, (1e9, 1e9))
        for (name, rule, setting), weights, kept in zip(runs, nets, states, strict=True):
            for i, g in enumerate(gradients(weights, x)):
                weights[i] = weights[i] - rates[name] * (1 - step / steps) * rule(g, kept[i], **setting)
            ends = [errors(weights, of_it).nan_to_num(1e9).tolist() for of_it in (x, unseen)]
            best[name] = min(best[name], *zip(*ends, strict=True))  # by the error in training
        yield (step + 1) / steps, {name: min(error, 10) for name, (error, _) in best.items()}

    rivals = [best[name] for name in TRIED if name != "Muon"]
    weights = [w[None].double() for w in start]
    steep = [g[0] for g in gradients(weights, x.cpu().double())]
    kinds = [w.shape for w in start[1:]]
    series = [[torch.randn(kind, generator=turned, dtype=torch.float64) for _ in range(6)] for kind in kinds]
    turn, other = (torch.linalg.qr(series[0][k])[0] for k in (0, 1))
    spread = turn @ torch.logspace(0, -2, 32).double().diag() @ other
    values = {"gradient": steep[1], "Muon": orthogonalize(steep[1]), "Lion": lion(steep[1], State())}
    ends = {
        name: torch.linalg.svdvals(m) for name, m in {"five": orthogonalize(spread), "cubic": cubic(spread)}.items()
    }
    return {
        "muon_error": best["Muon"][0],
        "rival_error": min(error for error, _ in rivals),
        "muon_unseen": best["Muon"][1],
        "rival_unseen": min(error for _, error in rivals),
        "seen_share": share_of(unseen, x),
        "train_share": share_of(x, x),
        "muon_spread": (ends["five"][0] / ends["five"][-1]).item(),
        "cubic_spread": (ends["cubic"][0] / ends["cubic"][-1]).item(),
        "muon_gap": max(map(muon_gap, series)),
        "polar_gap": min(muon_gap(of_it, newton=0) for of_it in series),
        "lion_gap": max(map(lion_gap, series)),
        "late_gap": min(lion_gap(of_it, kept=0.9) for of_it in series),
        "rivals_gap": rivals_gap(weights, x.cpu().double()),
        "longer_gap": rivals_gap(weights, x.cpu().double(), kept=0.999),
        "muon_turned_gap": turned_gap(muon, series[0][2], turn),
        "lion_turned_gap": turned_gap(lion, series[0][2], turn),
        "lion_memory": max(memory(lion), memory(muon)),
        "adam_memory": memory(adam),
    }, {
        "singular values of the first step of the second matrix": {
            "kind": "lines",
            "series": {name: (list(range(1, 33)), singular(m).tolist()) for name, m in values.items()},
            "x": "singular value, by size",
            "y": "relative to their root mean square",
        },
        COMMON: {"kind": "lines", "series": ravine(), "x": "step", "y": "loss", "log": "y"},
    }


# %% what is claimed

TITLE = {"en": "Muon: steps with singular values mostly near 1", "zh": "Muon：奇异值多数接近 1 的更新"}
CURVES = "error as a share of the mean digit's"
COMMON = "loss on a ravine"
CPU_SECONDS = 2
CLAIMS = {
    "trained muon_error <= 0.04 < rival_error <= 0.08": {
        "en": "error of an autoencoder on its training digits after 50 steps; the control is the best of Adam, Lion "
        "and SGD, each at the best of 9 rates and two settings, as Muon is",
        "zh": "自编码器训练 50 步后在训练数字上的误差；对照为 Adam、Lion、SGD 中最好者，"
        "与 Muon 一样各取 9 种学习率和两组设置中的最优",
    },
    "trained muon_unseen <= 0.06 < rival_unseen <= 0.105": {
        "en": "error of the same runs on 300 digits that none was trained on; the control is the best of the three "
        "rivals",
        "zh": "同一批训练在 300 个未见过的数字上的误差；对照为三个对手中最好者",
    },
    "parity seen_share <= 0 < train_share": {
        "en": "share of those digits that stand among the training digits; the control is the training digits",
        "zh": "这些数字中有多少出现在训练数字里；对照为训练数字自身",
    },
    "parity muon_spread <= 1.8 < cubic_spread <= 30": {
        "en": "largest over smallest singular value of a matrix after five Newton-Schulz steps, 100 before; the "
        "control is the classical cubic iteration, five steps too",
        "zh": "矩阵经五步 Newton-Schulz 迭代后最大与最小奇异值之比（迭代前为 100）；对照为经典的三次迭代，同样五步",
    },
    "parity muon_gap <= 1e-10 < polar_gap": {
        "en": "gap of Muon's step after six gradients to a sum of gradients and a singular value decomposition (f64); "
        "the control sets all singular values to 1",
        "zh": "六个梯度之后 Muon 的更新与“梯度加权和 + 奇异值分解”算法的差距（f64）；对照把奇异值全设为 1",
    },
    "parity lion_gap <= 1e-10 < late_gap": {
        "en": "gap of Lion's step after six gradients to the sign of a weighted sum (f64); the control forgets faster, "
        "keeping 0.9 a step instead of 0.99",
        "zh": "六个梯度之后 Lion 的更新与加权和的符号之差（f64）；对照遗忘更快，每步保留 0.9 而非 0.99",
    },
    "parity lion_memory <= 1 < adam_memory": {
        "en": "numbers that Lion, and Muon, keep of each weight; the control is Adam",
        "zh": "Lion 与 Muon 为每个权重保存几个数；对照为 Adam",
    },
    "parity muon_turned_gap <= 1e-10 < lion_turned_gap": {
        "en": "difference between Muon's step for a turned gradient and its turned step (f64); the control is Lion, "
        "whose signs depend on the axes",
        "zh": "梯度先旋转再由 Muon 处理，与先处理再旋转之差（f64）；对照为 Lion，其符号取决于坐标轴",
    },
    "parity rivals_gap <= 1e-10 < longer_gap": {
        "en": "gap of SGD and Adam to torch.optim, and of the gradients to autograd through nn.Sequential, weights "
        "after 5 steps (f64); the control keeps Adam's squares longer",
        "zh": "SGD 与 Adam 训练 5 步后的权重与 torch.optim（梯度经 nn.Sequential 自动求导）的差距（f64）；"
        "对照让 Adam 的平方梯度保留得更久",
    },
}
ZH = {
    "error as a share of the mean digit's": "误差（以平均数字的误差为 1）",
    "singular values of the first step of the second matrix": "第二个矩阵第一步更新的奇异值",
    "gradient": "梯度",
    "singular value, by size": "奇异值（按大小）",
    "relative to their root mean square": "与其均方根之比",
    "loss on a ravine": "狭长山谷上的损失",
    "step": "步",
    "loss": "损失",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
