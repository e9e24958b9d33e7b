"""Adam — a step size of its own for every weight, where one step size cannot suit them all.

Noise-free linear regression on 40 features that matter equally. "scaled": their sizes run from 1 to 1/100, so
curvature differs 10,000 times between weights; "rotated": the same, turned by a random rotation; "sparse": of one
size, but the rarest is absent from 99.7 % of the samples, which come in mini-batches. SGD, momentum, Adagrad, RMSProp
and Adam are written out; each has its usual constants (0.9 for momentum), takes as many steps and is judged at the
best of 35 learning rates from 0.001 to 18 (Adagrad would take a larger one for the scaled features). Losses are means
of 16 problems; 1 is the loss of zero weights. The rescaling acts along the axes: after a rotation momentum beats
Adam. This is about training only; nothing is said about generalization.

Needs:  torch
Source: D. Kingma, J. Ba, Adam: A Method for Stochastic Optimization, ICLR 2015; J. Duchi et al., Adaptive
        Subgradient Methods, JMLR 12, 2011 (Adagrad); G. Hinton et al., Neural Networks for Machine Learning,
        Lecture 6e, Coursera 2012 (RMSProp); B. Polyak, Some Methods of Speeding up the Convergence of
        Iteration Methods, 1964 (momentum)
"""

import torch
from torch import Tensor
from torch.nn import functional as F

PROBLEMS, FEATURES, SAMPLES, SPARSE_SAMPLES, BATCH = 16, 40, 400, 4000, 32

# %% the concept


class Rule:
    """One optimizer: turns a gradient into the step to subtract; remembers what it needs between steps."""

    def __init__(self, kind: str, lr: Tensor | float, correct: bool = True) -> None:
        self.kind, self.lr, self.correct, self.t = kind, lr, correct, 0
        self.m = self.v = 0.0  # running sum or average of the gradient and of its square

    def step(self, g: Tensor) -> Tensor:  # any shape, kept
        self.t += 1
        if self.kind == "SGD":
            return self.lr * g
        if self.kind == "momentum":
            self.m = 0.9 * self.m + g  # steps in one direction add up, others cancel
            return self.lr * self.m
        if self.kind == "Adagrad":
            self.v = self.v + g**2  # the sum never forgets: the rate can only fall
            return self.lr * g / (self.v.sqrt() + 1e-10)
        if self.kind == "RMSProp":
            self.v = 0.99 * self.v + 0.01 * g**2  # the average forgets: the rate can recover
            return self.lr * g / (self.v.sqrt() + 1e-8)
        self.m = 0.9 * self.m + 0.1 * g  # Adam: momentum over RMSProp's root
        self.v = 0.999 * self.v + 0.001 * g**2
        m, v = self.m, self.v
        if self.correct:
            m, v = m / (1 - 0.9**self.t), v / (1 - 0.999**self.t)  # both averages started at zero
        return self.lr * m / (v.sqrt() + 1e-8)


# %% the experiment

KINDS = ("SGD", "momentum", "Adagrad", "RMSProp", "Adam")
RATES = 10.0 ** torch.arange(-3, 1.26, 0.125)  # every rule is tried with each of them at once


def problems(generator: torch.Generator) -> dict[str, tuple[Tensor, Tensor]]:
    """Features and the weights to be found, of equal share in the answer until rotated: (P, n, d), (P, 1, d), f64."""
    spread, f64 = torch.linspace(0, 1, FEATURES).double(), {"generator": generator, "dtype": torch.float64}
    size, present = 10 ** (-2 * spread), 10 ** (-2.5 * spread)
    signs = torch.randint(0, 2, (PROBLEMS, 1, FEATURES), generator=generator) * 2 - 1
    x = torch.randn(PROBLEMS, SAMPLES, FEATURES, **f64) * size
    turn = torch.linalg.qr(torch.randn(PROBLEMS, FEATURES, FEATURES, **f64))[0]
    rare = torch.randn(PROBLEMS, SPARSE_SAMPLES, FEATURES, **f64)
    rare = rare * (torch.rand(rare.shape, **f64) < present)
    true = signs / size
    return {"scaled": (x, true), "rotated": (x @ turn, true @ turn), "sparse": (rare, signs / present.sqrt())}


def second_moments(x: Tensor) -> Tensor:  # (P, n, d) -> (P, d, d)
    return x.mT @ x / x.shape[1]


def gradient(w: Tensor, true: Tensor, moments: Tensor) -> Tensor:  # (P, R, d), (P, 1, d), (P, d, d) -> (P, R, d)
    """Of the mean of (x w - x true)^2, whose curvature is twice the features' second moments."""
    return 2 * (w - true) @ moments


def relative_loss(w: Tensor, true: Tensor, moments: Tensor) -> Tensor:  # (P, R, d), (P, 1, d), (P, d, d) -> (P, R)
    """1 is the loss of a zero weight; a rate that diverged counts as 1e9."""
    ours, zero = (((v - true) @ moments * (v - true)).sum(-1) for v in (w, 0 * true))
    return (ours / zero).nan_to_num(1e9).clamp(max=1e9)


def gap_to_torch(kind: str, rate: float, x: Tensor, true: Tensor, correct: bool = True) -> float:
    """Largest distance from torch.optim and autograd over the largest weight, stepping on (T, B, d), (1, d), f64."""
    twins = {
        "SGD": (torch.optim.SGD, {}),
        "momentum": (torch.optim.SGD, {"momentum": 0.9}),
        "Adagrad": (torch.optim.Adagrad, {}),
        "RMSProp": (torch.optim.RMSprop, {}),
        "Adam": (torch.optim.Adam, {}),
    }
    mine, gaps = torch.zeros_like(true), []
    theirs = mine[0].clone().requires_grad_()
    make, options = twins[kind]
    rule, twin = Rule(kind, rate, correct), make([theirs], lr=rate, **options)
    for batch in x:
        mine = mine - rule.step(gradient(mine, true, second_moments(batch[None])[0]))
        theirs.grad = torch.autograd.grad(F.mse_loss(batch @ theirs, batch @ true[0]), theirs)[0]
        twin.step()
        gaps.append((mine[0] - theirs).detach().abs().max() / true.abs().max())
    return torch.stack(gaps).max().item()


def turned_gap(kind: str, rate: float, exact: dict[str, tuple[Tensor, Tensor]]) -> float:
    """How far the losses after 30 steps differ between the scaled and the rotated problems, f64."""
    losses = []
    for name in ("scaled", "rotated"):
        x, true = exact[name]
        w, rule, moments = 0 * true, Rule(kind, rate), second_moments(x)
        for _ in range(30):
            w = w - rule.step(gradient(w, true, moments))
        losses.append(relative_loss(w, true, moments))
    return (losses[0] - losses[1]).abs().max().item()


def ravine() -> dict[str, tuple[list[int], list[float]]]:
    """(x^2 + 100 y^2) / 2 along 60 steps from (10, 1), Adagrad and Adam at the best of 61 rates of 0.001 to 1; f64."""
    curvature, losses, rates = torch.tensor([1.0, 100.0]).double(), {}, torch.logspace(-3, 0, 61, dtype=torch.float64)
    for kind in ("Adagrad", "Adam"):
        rule, path = Rule(kind, rates[:, None]), [torch.tensor([10.0, 1.0]).double().expand(61, 2)]
        for _ in range(60):
            path.append(path[-1] - rule.step(curvature * path[-1]))
        of_it = (curvature * torch.stack(path) ** 2).sum(-1) / 2  # (61, R)
        losses[kind] = (list(range(61)), of_it[:, of_it[-1].argmin()].tolist())
    return losses


def run(device="cpu", seed=0, steps=100):
    made, drawn = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))  # problems and batches: two streams
    exact = problems(made)
    data = {name: (x.float().to(device), true.float().to(device)) for name, (x, true) in exact.items()}
    moments = {name: second_moments(x) for name, (x, _) in data.items()}
    rules = {(name, kind): Rule(kind, RATES[:, None].to(device)) for name in data for kind in KINDS}
    weights = {key: torch.zeros(PROBLEMS, len(RATES), FEATURES, device=device) for key in rules}
    every, heard = torch.arange(PROBLEMS, device=device)[:, None], []
    for step in range(steps):
        rows = torch.randint(SPARSE_SAMPLES, (PROBLEMS, BATCH), generator=drawn).to(device)
        seen = moments | {"sparse": second_moments(data["sparse"][0][every, rows])}
        for (name, kind), w in weights.items():
            g = gradient(w, data[name][1], seen[name])
            weights[name, kind] = w - rules[name, kind].step(g)
        heard.append((g[:, 0] != 0).float().mean(0).cpu())  # share of problems where each sparse feature has one
        final = {key: relative_loss(w, data[key[0]][1], moments[key[0]]).cpu() for key, w in weights.items()}
        yield (step + 1) / steps, {kind: final["scaled", kind].amin(1).mean().item() for kind in KINDS}

    best = {key: losses.amin(1).mean().item() for key, losses in final.items()}
    chosen = {key: losses.mean(0).argmin().item() for key, losses in final.items()}
    rate = {key: RATES[r].item() for key, r in chosen.items()}
    found = {kind: weights["scaled", kind][:, chosen["scaled", kind]].cpu() for kind in KINDS}  # (P, d)
    missing = {kind: (w / exact["scaled"][1][:, 0] - 1).abs().mean(0).tolist() for kind, w in found.items()}
    sizes = exact["scaled"][1][0, 0].abs().reciprocal().tolist()
    batches = {name: (torch.stack(x[0, : 10 * BATCH].split(BATCH)), true[0]) for name, (x, true) in exact.items()}
    suffix = {"scaled": "", "rotated": "_rotated", "sparse": "_sparse"}
    return {
        **{f"{kind.lower()}{suffix[name]}_loss": loss for (name, kind), loss in best.items()},
        "rules_gap": torch.tensor([gap_to_torch(key[1], rate[key], *batches[key[0]]) for key in rules]).max().item(),
        "uncorrected_gap": gap_to_torch("Adam", rate["scaled", "Adam"], *batches["scaled"], correct=False),
        "turned_gap": max(turned_gap(kind, rate["scaled", kind], exact) for kind in ("SGD", "momentum")),
        "rarest_share": (exact["sparse"][0][..., -1] != 0).double().mean().item(),
        "commonest_share": (exact["sparse"][0][..., 0] != 0).double().mean().item(),
        "rarest_heard": torch.stack(heard)[:, -1].mean().item(),
        "commonest_heard": torch.stack(heard)[:, 0].mean().item(),
        "adam_turned_gap": turned_gap("Adam", rate["scaled", "Adam"], exact),
    }, {
        "what is missing of each weight, badly scaled features": {
            "kind": "lines",
            "series": {kind: (sizes, away) for kind, away in missing.items()},
            "x": "size of its feature",
            "y": "share that is missing",
            "log": "x",
        },
        "relative loss at the best rate": {
            "kind": "table",
            "columns": ["features", *KINDS],
            "rows": [[name, *(best[name, kind] for kind in KINDS)] for name in data],
        },
        COMMON: {"kind": "lines", "series": ravine(), "x": "step", "y": "loss", "log": "y"},
    }


# %% what is claimed

TITLE = {
    "en": "Adam, RMSProp and Adagrad where one step size cannot fit",
    "zh": "Adam、RMSProp、Adagrad：一个步长不够用时",
}
CURVES = "relative loss, badly scaled features"
COMMON = "loss on a ravine"
CPU_SECONDS = 1
CLAIMS = {
    "trained adam_loss <= 1.8e-5 < momentum_loss <= 0.07": {
        "en": "relative loss of Adam on badly scaled features; the control is SGD with momentum",
        "zh": "特征尺度悬殊时 Adam 的相对损失；对照为带动量的 SGD",
    },
    "trained rmsprop_loss <= 0.014 < sgd_loss <= 0.35": {
        "en": "relative loss of RMSProp on badly scaled features; the control is plain gradient descent",
        "zh": "特征尺度悬殊时 RMSProp 的相对损失；对照为普通梯度下降",
    },
    "trained momentum_loss <= 0.062 < sgd_loss <= 0.35": {
        "en": "relative loss of momentum on badly scaled features; the control is plain gradient descent",
        "zh": "特征尺度悬殊时动量法的相对损失；对照为普通梯度下降",
    },
    "trained adagrad_sparse_loss <= 0.005 < sgd_sparse_loss <= 0.12": {
        "en": "relative loss of Adagrad on sparse features in mini-batches; the control is plain SGD",
        "zh": "小批量稀疏特征上 Adagrad 的相对损失；对照为普通 SGD",
    },
    "trained momentum_rotated_loss <= 0.062 < adam_rotated_loss <= 0.15": {
        "en": "relative loss of momentum once the badly scaled features are rotated; the control is Adam",
        "zh": "把尺度悬殊的特征旋转之后动量法的相对损失；对照为 Adam",
    },
    "parity rules_gap <= 1e-10 < uncorrected_gap": {
        "en": "largest gap of the five rules to torch.optim with autograd, each on the three problems at its best rate "
        "(f64); the control is Adam without bias correction",
        "zh": "五种更新规则与 torch.optim 加自动求导的最大差距，三个问题各取最佳学习率（f64）；"
        "对照为不做偏差校正的 Adam",
    },
    "parity turned_gap <= 1e-10 < adam_turned_gap": {
        "en": "change of the losses of SGD and momentum by the rotation (f64); the control is Adam's",
        "zh": "旋转前后 SGD 与动量法损失的变化（f64）；对照为 Adam 损失的变化",
    },
    "parity rarest_share <= 0.005 < commonest_share": {
        "en": "share of the sparse samples that have the rarest feature; the control is the most common one",
        "zh": "含有最稀有特征的稀疏样本所占比例；对照为最常见的特征",
    },
    "trained rarest_heard <= 0.13 < commonest_heard": {
        "en": "share of steps in which the rarest sparse feature has a gradient; the control is the most common one",
        "zh": "最稀有的稀疏特征有梯度的步数所占比例；对照为最常见的特征",
    },
}
ZH = {
    "relative loss, badly scaled features": "特征尺度悬殊时的相对损失",
    "momentum": "动量法",
    "what is missing of each weight, badly scaled features": "特征尺度悬殊时，每个权重还差多少",
    "size of its feature": "对应特征的尺度",
    "share that is missing": "尚缺的比例",
    "relative loss at the best rate": "取最佳学习率时的相对损失",
    "features": "特征",
    "scaled": "尺度悬殊",
    "rotated": "旋转之后",
    "sparse": "稀疏",
    "loss on a ravine": "狭长山谷上的损失",
    "step": "步",
    "loss": "损失",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
