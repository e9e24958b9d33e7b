"""Adam — a step size of its own for every weight, where one step size cannot suit them all.

Noise-free linear regression on 40 features that matter equally. "scaled": their sizes run from 1 to 1/100, so
curvature differs 10,000 times between weights; "rotated": the same, turned by a random rotation; "sparse": of
one size, but the rarest is absent from 99.7 % of the samples. SGD, momentum, Adagrad, RMSProp and Adam are
written out; each takes as many steps and is judged at its own best learning rate. Loss 1: nothing learned.

Claim:  the rules are those of torch.optim; Adam, RMSProp (scaled) and Adagrad (sparse) end far below SGD; the
        rescaling acts along the axes: after a rotation momentum beats Adam. No claim about generalization.
Source: D. Kingma, J. Ba, Adam: A Method for Stochastic Optimization, ICLR 2015; J. Duchi et al., Adaptive
        Subgradient Methods, JMLR 12, 2011 (Adagrad); G. Hinton et al., Neural Networks for Machine Learning,
        Lecture 6e, Coursera 2012 (RMSProp); B. Polyak, Some Methods of Speeding up the Convergence of
        Iteration Methods, 1964 (momentum)
Run:    python kb/demos/adam.py --device cpu --seed 0 --steps 100
"""

import torch
from torch import Tensor

TITLE = {
    "en": "Adam, RMSProp and Adagrad where one step size cannot fit",
    "zh": "Adam、RMSProp、Adagrad：一个步长不够用时",
}
CPU_SECONDS = 2
CLAIMS = {
    "trained adam_loss <= 0.024 < momentum_loss": {
        "en": "relative loss of Adam on badly scaled features; the control is SGD with momentum",
        "zh": "特征尺度悬殊时 Adam 的相对损失；对照为带动量的 SGD",
    },
    "trained rmsprop_loss <= 0.16 < sgd_loss": {
        "en": "relative loss of RMSProp on badly scaled features; the control is plain gradient descent",
        "zh": "特征尺度悬殊时 RMSProp 的相对损失；对照为普通梯度下降",
    },
    "trained momentum_loss <= 0.18 < sgd_loss": {
        "en": "relative loss of momentum on badly scaled features; the control is plain gradient descent",
        "zh": "特征尺度悬殊时动量法的相对损失；对照为普通梯度下降",
    },
    "trained adagrad_sparse_loss <= 0.021 < sgd_sparse_loss": {
        "en": "relative loss of Adagrad on sparse features in mini-batches; the control is plain SGD",
        "zh": "小批量稀疏特征上 Adagrad 的相对损失；对照为普通 SGD",
    },
    "trained momentum_rotated_loss <= 0.084 < adam_rotated_loss": {
        "en": "relative loss of momentum once the badly scaled features are rotated; the control is Adam",
        "zh": "把尺度悬殊的特征旋转之后动量法的相对损失；对照为 Adam",
    },
    "parity rules_gap <= 1e-10 < uncorrected_gap": {
        "en": "largest gap of the five rules to torch.optim; the control is Adam without bias correction",
        "zh": "五种更新规则与 torch.optim 的最大差距；对照为不做偏差校正的 Adam",
    },
}

KINDS, PROBLEMS = ("SGD", "momentum", "Adagrad", "RMSProp", "Adam"), ("scaled", "rotated", "sparse")
FEATURES, SAMPLES, SPARSE_SAMPLES, BATCH = 40, 400, 8000, 32
RATES = 10.0 ** torch.arange(-3, 1.26, 0.125)  # every rule is tried with each of them at once


class Rule:
    """One optimizer: turns a gradient into the step to subtract; remembers what it needs between steps."""

    def __init__(self, kind: str, lr: Tensor | float, correct: bool = True) -> None:
        self.kind, self.lr, self.correct, self.t = kind, lr, correct, 0
        self.m = self.v = 0.0  # running first and second moment of the gradient

    def step(self, g: Tensor) -> Tensor:  # any shape, kept
        self.t += 1
        if self.kind == "SGD":
            return self.lr * g
        if self.kind == "momentum":
            self.m = 0.9 * self.m + g
            return self.lr * self.m
        if self.kind == "Adagrad":
            self.v = self.v + g**2  # the sum never forgets: the rate can only fall
            return self.lr * g / (self.v.sqrt() + 1e-10)
        if self.kind == "RMSProp":
            self.v = 0.99 * self.v + 0.01 * g**2  # the average forgets: the rate can recover
            return self.lr * g / (self.v.sqrt() + 1e-8)
        self.m = 0.9 * self.m + 0.1 * g
        self.v = 0.999 * self.v + 0.001 * g**2
        if not self.correct:
            return self.lr * self.m / (self.v.sqrt() + 1e-8)
        m, v = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)  # both averages started at zero
        return self.lr * m / (v.sqrt() + 1e-8)


def problem(name: str, seed: int) -> tuple[Tensor, Tensor]:
    """Features and the exact answer, every feature carrying the same share of it: (n, d), (n,)."""
    generator = torch.Generator().manual_seed(seed)
    spread, sparse = torch.linspace(0, 1, FEATURES), name == "sparse"
    x = torch.randn(SPARSE_SAMPLES if sparse else SAMPLES, FEATURES, generator=generator)
    if sparse:
        present = 10 ** (-2.5 * spread)
        x, size = x * (torch.rand(x.shape, generator=generator) < present), present.sqrt()
    else:
        size = 10 ** (-2 * spread)
        x = x * size
    signs = torch.randint(0, 2, (FEATURES,), generator=generator) * 2 - 1
    y = x @ (signs / size)
    if name == "rotated":
        x = x @ torch.linalg.qr(torch.randn(FEATURES, FEATURES, generator=generator))[0]
    return x, y


def gap_to_torch(kind: str, correct: bool = True) -> float:
    """Largest distance from torch.optim along 50 steps on a quartic with noise, in float64."""
    twins = {
        "SGD": (torch.optim.SGD, {}),
        "momentum": (torch.optim.SGD, {"momentum": 0.9}),
        "Adagrad": (torch.optim.Adagrad, {}),
        "RMSProp": (torch.optim.RMSprop, {}),
        "Adam": (torch.optim.Adam, {}),
    }
    noise = torch.randn(50, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mine, gap = torch.ones(10, dtype=torch.float64), 0.0
    theirs = mine.clone().requires_grad_()
    make, options = twins[kind]
    rule, twin = Rule(kind, 0.01, correct), make([theirs], lr=0.01, **options)
    for e in noise:
        mine = mine - rule.step(mine**3 + e)
        theirs.grad = theirs.detach() ** 3 + e
        twin.step()
        gap = max(gap, float((mine - theirs.detach()).abs().max()))
    return gap


def relative_loss(w: Tensor, x: Tensor, y: Tensor) -> Tensor:  # (R, d), (n, d), (n,) -> (R,)
    """1 is the loss of a zero weight; a rate that diverged counts as 1e9."""
    return (((w @ x.T - y) ** 2).mean(1) / (y**2).mean()).nan_to_num(1e9).clamp(max=1e9)


def run(device="cpu", seed=0, steps=100):
    rows = torch.Generator().manual_seed(seed)
    data = {name: [t.to(device) for t in problem(name, seed)] for name in PROBLEMS}
    rules = {(name, kind): Rule(kind, RATES[:, None].to(device)) for name in PROBLEMS for kind in KINDS}
    weights = {key: torch.zeros(len(RATES), FEATURES, device=device) for key in rules}
    for step in range(steps):
        batch = torch.randint(len(data["sparse"][0]), (BATCH,), generator=rows).to(device)
        for (name, kind), w in weights.items():
            x, y = data[name] if name != "sparse" else (t[batch] for t in data[name])
            gradient = 2 * (w @ x.T - y) @ x / len(x)  # of the mean squared error: (R, n) (n, d) -> (R, d)
            weights[name, kind] = w - rules[name, kind].step(gradient)
        if step % 4 == 3 or step == steps - 1:
            final = {key: relative_loss(w, *data[key[0]]).cpu() for key, w in weights.items()}
            yield (step + 1) / steps, {kind: final["scaled", kind].min().item() for kind in KINDS}

    suffix = {"scaled": "", "rotated": "_rotated", "sparse": "_sparse"}
    best = {f"{kind.lower()}{suffix[name]}_loss": loss.min().item() for (name, kind), loss in final.items()}
    return {
        **best,
        "rules_gap": max(gap_to_torch(kind) for kind in KINDS),
        "uncorrected_gap": gap_to_torch("Adam", correct=False),
    }, {
        "loss by learning rate, badly scaled features": {
            "kind": "lines",
            "zh": "特征尺度悬殊时，各学习率下的损失",
            "series": {k: (RATES.tolist(), final["scaled", k].clamp(max=10).tolist()) for k in KINDS},
            "x": "learning rate",
            "y": "relative loss",
            "log": "xy",
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
