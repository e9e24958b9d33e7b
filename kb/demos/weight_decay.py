"""Weight decay — L1, L2 and decoupled decay: three regularizers that are often taken for one another.

A linear regression has 100 features, of which 8 matter, and only 90 noisy training examples; errors are means of 8
such problems. Gradient descent without a penalty overfits (stopped at its best moment, which the test shows, it does
about as well as L2). L2 (ridge) shrinks the weights as a whole; L1 (lasso, by proximal steps) sets most of the
useless ones to exactly zero; 200 validation examples a problem choose the strengths. Then Adam: an L2 penalty that
enters the gradient is rescaled with it, decay of the weight itself (AdamW) is not: it alone shrinks weights with
small and with large gradients alike. Under SGD the two are the same step.

Needs:  torch
Source: A. Krogh, J. Hertz, A Simple Weight Decay Can Improve Generalization, NIPS 1991; R. Tibshirani,
        Regression Shrinkage and Selection via the Lasso, JRSS B 58(1), 1996; I. Loshchilov, F. Hutter,
        Decoupled Weight Decay Regularization, ICLR 2019
"""

from collections.abc import Iterator
from itertools import islice, product

import torch
from torch import Tensor
from torch.nn import functional as F

PROBLEMS, FEATURES, USEFUL, TRAIN, NOISE = 8, 100, 8, 90, 1.0
STRENGTHS = [0.0] + [10 ** (k / 4) for k in range(-12, 3)]  # of the penalty, all fitted side by side
SCALES = [10 ** (k / 2) for k in range(-4, 5)]  # of gradients, for Adam

# %% the concept


class Optimizer:
    """SGD or Adam; the penalty enters the gradient (L2) or shrinks the weight directly (decoupled)."""

    def __init__(self, kind: str, decay: float | Tensor, decoupled: bool, lr: float | Tensor = 0.01) -> None:
        self.kind, self.decay, self.decoupled, self.lr, self.t = kind, decay, decoupled, lr, 0
        self.m = self.v = 0.0

    def step(self, w: Tensor, g: Tensor) -> Tensor:
        self.t += 1
        if self.decoupled:
            w = w - self.lr * self.decay * w  # the same share of every weight
        else:
            g = g + self.decay * w  # the gradient of decay / 2 * |w|^2; Adam will rescale it
        if self.kind == "SGD":
            return w - self.lr * g
        self.m, self.v = 0.9 * self.m + 0.1 * g, 0.999 * self.v + 0.001 * g**2
        m, v = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
        return w - self.lr * m / (v.sqrt() + 1e-8)


def proximal(w: Tensor, strength: float | Tensor) -> Tensor:
    """L1: argmin over u of strength * |u| + (u - w)^2 / 2: nearer to zero by `strength`, and what is near is zero."""
    return w.sign() * (w.abs() - strength).clamp(min=0)


# %% the experiment


def descend(x: Tensor, y: Tensor, strength: Tensor) -> Iterator[dict[str, Tensor]]:
    """Weights of both regressions after each step from zero: (P, n, d), (P, 1, n), (S, 1) -> (P, S, d)."""
    rate = (x.shape[1] / torch.linalg.matrix_norm(x.cpu(), 2) ** 2).to(x.device)[:, None, None]  # 1 / largest curvature
    zero = x.new_zeros(len(x), len(strength), x.shape[2])
    weights, rules = {"L1": zero, "L2": zero}, {"L1": Optimizer("SGD", 0.0, False, rate)}
    rules["L2"] = Optimizer("SGD", strength, False, rate)
    while True:
        for name, w in weights.items():
            g = (w @ x.mT - y) @ x / x.shape[1]  # of the mean of (x w - y)^2 / 2
            weights[name] = rules[name].step(w, g)
        weights["L1"] = proximal(weights["L1"], rate * strength)
        yield weights


def fit_gaps(x: Tensor, y: Tensor, strength: Tensor, steps: int = 20) -> list[float]:
    """Largest gap of both regressions to torch.optim.SGD, autograd and softshrink; and with L1 and L2 swapped."""
    ours = next(islice(descend(x, y, strength), steps - 1, None))
    rate = x.shape[1] / torch.linalg.svdvals(x[0])[0].item() ** 2
    theirs = {"L1": [], "L2": []}
    for s, name in product(strength.flatten().tolist(), theirs):
        w = torch.zeros_like(x[0, 0]).requires_grad_()
        twin = torch.optim.SGD([w], lr=rate, weight_decay=s if name == "L2" else 0)
        for _ in range(steps):
            w.grad = torch.autograd.grad(F.mse_loss(x[0] @ w, y[0, 0]) / 2, w)[0]
            twin.step()
            if name == "L1":
                w.data = F.softshrink(w.data, rate * s)
        theirs[name].append(w.detach())
    pairs = [("L1", "L1"), ("L2", "L2")], [("L1", "L2"), ("L2", "L1")]
    return [max((ours[a][0] - torch.stack(theirs[b])).abs().max().item() for a, b in pair) for pair in pairs]


def trajectory(rule: Optimizer, twin: type[torch.optim.Optimizer], noise: Tensor) -> tuple[Tensor, Tensor]:
    """Weights after a noisy descent on a quartic, ours and those of torch.optim (f64)."""
    ours = torch.ones_like(noise[0])
    theirs = ours.clone().requires_grad_()
    optimizer = twin([theirs], lr=0.01, weight_decay=0.1)
    for e in noise:
        ours = rule.step(ours, ours**3 + e)
        theirs.grad = theirs.detach() ** 3 + e
        optimizer.step()
    return ours, theirs.detach()


def shrinkage(decoupled: bool, noise: Tensor) -> Tensor:
    """The share that Adam takes from weights in 300 steps, by the scale of their gradients: (T, S, n) -> (S,)."""
    w, rule = torch.full_like(noise[0], 10.0), Optimizer("Adam", 0.5, decoupled)
    for e in noise:
        w = rule.step(w, torch.tensor(SCALES)[:, None] * e)
    return 1 - w.mean(1) / 10


def error(w: Tensor, x: Tensor, y: Tensor) -> Tensor:  # (P, S, d), (P, n, d), (P, 1, n) -> (P, S)
    """1 is the error of a zero weight."""
    return ((w @ x.mT - y) ** 2).mean(2) / (y**2).mean(2)


def choice(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Of every problem the weights that err least here, (P, S, d) -> (P, d); and the examples, no test any more."""
    best = {name: error(w, x, y).argmin(1) for name, w in weights.items()}
    return {name: w[torch.arange(len(w), device=w.device), best[name]] for name, w in weights.items()}, x


def shared(rows: Tensor, others: Tensor) -> int:
    """How many of some examples are among others."""
    rows, others = ({tuple(row) for row in part.flatten(0, 1).tolist()} for part in (rows, others))
    return len(rows & others)


def run(device="cpu", seed=0, steps=1500):
    truths, *draws = (torch.Generator().manual_seed(5 * seed + k) for k in range(5))
    true = torch.zeros(PROBLEMS, 1, FEATURES)
    true[:, :, :USEFUL] = torch.randint(0, 2, (PROBLEMS, 1, USEFUL), generator=truths) * 2.0 - 1

    def sample(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # (P, n, d), (P, 1, n)
        x = torch.randn(PROBLEMS, n, FEATURES, generator=generator)
        y = true @ x.mT + NOISE * torch.randn(PROBLEMS, 1, n, generator=generator)
        return x.to(device), y.to(device)

    (x, y), validation, test = (sample(n, draw) for n, draw in zip((TRAIN, 200, 1000), draws[:3], strict=True))
    strength = torch.tensor(STRENGTHS, device=device)[:, None]
    lowest = float("inf")
    for step, weights in enumerate(islice(descend(x, y, strength), steps)):
        if step < 50 or step % 25 == 24 or step == steps - 1:
            chosen, judges = choice(weights, *validation)
            chosen["no penalty"] = weights["L2"][:, 0]
            errors = {name: error(w[:, None], *test).mean().item() for name, w in chosen.items()}
            lowest = min(lowest, errors["no penalty"])
            yield (step + 1) / steps, errors | {"no penalty, stopped at its best": lowest}

    zeros = {name: (w[:, USEFUL:] == 0).float().mean().item() for name, w in chosen.items()}
    exact = [t.cpu().double() for t in (x[:1], y[:1], strength)]
    fit, swapped = fit_gaps(*exact)
    noise = torch.randn(50, 10, dtype=torch.float64, generator=draws[3])
    kinds = {("SGD", False): "SGD", ("Adam", False): "Adam", ("Adam", True): "AdamW"}
    paths = {
        twin: trajectory(Optimizer(k[0], 0.1, k[1]), getattr(torch.optim, twin), noise) for k, twin in kinds.items()
    }
    sgd_decay, _ = trajectory(Optimizer("SGD", 0.1, decoupled=True), torch.optim.SGD, noise)
    pushes = torch.randn(300, len(SCALES), 50, generator=draws[3])
    shares = {"AdamW": shrinkage(True, pushes), "Adam with L2": shrinkage(False, pushes)}
    sizes = {name: w[0].abs().sort(descending=True).values.tolist() for name, w in chosen.items()}
    return {
        "l1_error": errors["L1"],
        "l2_error": errors["L2"],
        "plain_error": errors["no penalty"],
        "stopped_error": lowest,
        "l1_zeros": zeros["L1"],
        "l2_zeros": zeros["L2"],
        "adamw_evenness": (shares["AdamW"][-1] / shares["AdamW"][0]).item(),
        "adam_l2_evenness": (shares["Adam with L2"][-1] / shares["Adam with L2"][0]).item(),
        "step_gap": max((ours - theirs).abs().max().item() for ours, theirs in paths.values()),
        "sgd_gap": (sgd_decay - paths["SGD"][0]).abs().max().item(),
        "adam_decay_gap": (paths["AdamW"][0] - paths["Adam"][0]).abs().max().item(),
        "fit_gap": fit,
        "swapped_fit_gap": swapped,
        "shared_examples": shared(test[0], torch.cat([x, judges], 1)),
        "own_examples": shared(test[0], test[0]),
    }, {
        "size of the 100 weights of one problem, sorted": {
            "kind": "lines",
            "series": {name: (range(1, FEATURES + 1), size) for name, size in sizes.items()},
            "x": "rank",
            "y": "size",
        },
        "share of a weight that 300 steps of Adam leave": {
            "kind": "lines",
            "series": {name: (SCALES, (1 - share).tolist()) for name, share in shares.items()},
            "x": "scale of its gradients",
            "y": "share",
            "log": "x",
        },
    }


# %% what is claimed

TITLE = {"en": "L1, L2 and decoupled weight decay", "zh": "L1、L2 与解耦权重衰减"}
CURVES = "relative test error"
CPU_SECONDS = 2
CLAIMS = {
    "trained l1_error <= 0.19 < l2_error <= 0.55": {
        "en": "relative test error of L1 regression when 8 of 100 features matter; the control is L2",
        "zh": "100 个特征中 8 个有用时 L1 回归的相对测试误差；对照为 L2",
    },
    "trained l2_error <= 0.5 < plain_error <= 1.7": {
        "en": "relative test error of L2 regression; the control is the same regression without a penalty",
        "zh": "L2 回归的相对测试误差；对照为无惩罚的同一回归",
    },
    "trained l1_zeros >= 0.66 > l2_zeros": {
        "en": "share of the useless features whose weight L1 sets to exactly zero; the control is L2",
        "zh": "无用特征中被 L1 精确置零的比例；对照为 L2",
    },
    "parity adamw_evenness >= 0.985 > adam_l2_evenness": {
        "en": "AdamW's shrinkage under large over that under small gradients; the control is Adam with L2",
        "zh": "AdamW 对大梯度权重与小梯度权重的收缩之比；对照为带 L2 的 Adam",
    },
    "parity step_gap <= 1e-10 < adam_decay_gap": {
        "en": "gap of the steps to torch.optim's SGD, Adam and AdamW (f64); the control: Adam with L2 against AdamW",
        "zh": "手写更新与 torch.optim 的 SGD、Adam、AdamW 的差距（f64）；对照为带 L2 的 Adam 与 AdamW 之差",
    },
    "parity sgd_gap <= 1e-10 < adam_decay_gap": {
        "en": "gap between L2 and weight decay after 50 steps of SGD; the control is the same gap under Adam",
        "zh": "SGD 50 步后 L2 与权重衰减的差距；对照为 Adam 下的同一差距",
    },
    "parity fit_gap <= 1e-10 < swapped_fit_gap": {
        "en": "gap of both regressions after 20 steps to torch's SGD and softshrink (f64); the control swaps them",
        "zh": "两种回归走 20 步后与 torch 的 SGD、softshrink 的差距（f64）；对照交换了二者",
    },
    "parity shared_examples <= 0 < own_examples": {
        "en": "test examples that are also for training or validation; the control counts those among the test's",
        "zh": "同时用于训练或验证的测试样本数；对照数的是测试集自身中的样本",
    },
}
ZH = {
    "relative test error": "相对测试误差",
    "no penalty": "无惩罚",
    "no penalty, stopped at its best": "无惩罚，停在最好的时刻",
    "size of the 100 weights of one problem, sorted": "一个问题的 100 个权重的大小（已排序）",
    "rank": "名次",
    "size": "大小",
    "share of a weight that 300 steps of Adam leave": "Adam 走 300 步后权重剩下的比例",
    "scale of its gradients": "该权重梯度的尺度",
    "share": "比例",
    "Adam with L2": "带 L2 的 Adam",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
