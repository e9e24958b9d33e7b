"""Weight decay — L1, L2 and decoupled decay: three regularizers that are often taken for one another.

A linear regression has 100 features, of which 8 matter, and only 90 noisy training examples. Gradient descent
without a penalty overfits. L2 (ridge) shrinks all weights; L1 (lasso, by proximal steps) sets most of the
useless ones to exactly zero; validation data choose the strengths. Then Adam: an L2 penalty that enters the
gradient is rescaled with it, decay of the weight itself (AdamW) is not.

Claim:  on fresh data L2 beats no penalty, and L1 beats L2 because few features matter. Under SGD an L2
        penalty and weight decay are the same step, under Adam they are not: only AdamW shrinks weights with
        large and with small gradients alike. The step is that of torch.optim.AdamW.
Source: A. Krogh, J. Hertz, A Simple Weight Decay Can Improve Generalization, NIPS 1991; R. Tibshirani,
        Regression Shrinkage and Selection via the Lasso, JRSS B 58(1), 1996; I. Loshchilov, F. Hutter,
        Decoupled Weight Decay Regularization, ICLR 2019
Run:    python kb/demos/weight_decay.py --device cpu --seed 0 --steps 1500
"""

import torch
from torch import Tensor

TITLE = {"en": "L1, L2 and decoupled weight decay", "zh": "L1、L2 与解耦权重衰减"}
CPU_SECONDS = 1
CLAIMS = {
    "trained l1_error <= 0.28 < l2_error": {
        "en": "relative test error of L1 regression when 8 of 100 features matter; the control is L2",
        "zh": "100 个特征中 8 个有用时 L1 回归的相对测试误差；对照为 L2",
    },
    "trained l2_error <= 0.58 < plain_error": {
        "en": "relative test error of L2 regression; the control is the same regression without a penalty",
        "zh": "L2 回归的相对测试误差；对照为无惩罚的同一回归",
    },
    "trained l1_zeros >= 0.29 > l2_zeros": {
        "en": "share of the useless features whose weight L1 sets to exactly zero; the control is L2",
        "zh": "无用特征中被 L1 精确置零的比例；对照为 L2",
    },
    "trained adamw_evenness >= 0.53 > adam_l2_evenness": {
        "en": "AdamW's shrinkage under large over that under small gradients; the control is Adam with L2",
        "zh": "AdamW 对大梯度权重与小梯度权重的收缩之比；对照为带 L2 的 Adam",
    },
    "parity adamw_gap <= 1e-10 < adam_l2_gap": {
        "en": "gap of the hand-written step to torch.optim.AdamW; the control is Adam with an L2 penalty",
        "zh": "手写更新与 torch.optim.AdamW 的差距；对照为带 L2 惩罚的 Adam",
    },
    "parity sgd_gap <= 1e-10 < adam_decay_gap": {
        "en": "gap between L2 and weight decay after 50 steps of SGD; the control is the same gap under Adam",
        "zh": "SGD 50 步后 L2 与权重衰减的差距；对照为 Adam 下的同一差距",
    },
}

FEATURES, USEFUL, TRAIN, NOISE = 100, 8, 90, 1.0
STRENGTHS = [0.0] + [10 ** (k / 4) for k in range(-12, 5)]  # of the penalty, all fitted side by side


class Optimizer:
    """SGD or Adam; the penalty enters the gradient (L2) or shrinks the weight directly (decoupled)."""

    def __init__(self, kind: str, decay: float, decoupled: bool, lr: float = 0.01) -> None:
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


def trajectory(kind: str, decoupled: bool) -> tuple[Tensor, Tensor]:
    """Weights after 50 steps on a noisy quartic, ours and those of torch.optim; in float64."""
    noise = torch.randn(50, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours = torch.ones(10, dtype=torch.float64)
    theirs = ours.clone().requires_grad_()
    rule = Optimizer(kind, 0.1, decoupled)
    twin = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for e in noise:
        ours = rule.step(ours, ours**3 + e)
        theirs.grad = theirs.detach() ** 3 + e
        twin.step()
    return ours, theirs.detach()


def evenness(decoupled: bool, generator: torch.Generator) -> float:
    """How much weights under large gradient noise shrink, as a share of those under small noise."""
    scale = torch.tensor([0.01, 100.0])[:, None].expand(2, 50)
    w, rule = torch.full((2, 50), 10.0), Optimizer("Adam", 0.5, decoupled)
    for _ in range(300):
        w = rule.step(w, scale * torch.randn(2, 50, generator=generator))
    small, large = (10 - w).mean(1)
    return (large / small).item()


def run(device="cpu", seed=0, steps=1500):
    data = torch.Generator().manual_seed(seed)
    true = torch.zeros(FEATURES)
    true[:USEFUL] = torch.randint(0, 2, (USEFUL,), generator=data) * 2.0 - 1

    def sample(n: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(n, FEATURES, generator=data)
        return x.to(device), (x @ true + NOISE * torch.randn(n, generator=data)).to(device)

    (x, y), validation, test = sample(TRAIN), sample(200), sample(2000)
    strength = torch.tensor(STRENGTHS, device=device)[:, None]
    rate = TRAIN / torch.linalg.matrix_norm(x.cpu(), 2).item() ** 2  # 1 / largest curvature
    weights = {name: torch.zeros(len(STRENGTHS), FEATURES, device=device) for name in ("L1", "L2")}

    def error(w: Tensor, x: Tensor, y: Tensor) -> Tensor:  # 1 is the error of a zero weight: (S, d) -> (S,)
        return ((w @ x.T - y) ** 2).mean(1) / (y**2).mean()

    for step in range(steps):
        for name, w in weights.items():
            gradient = (w @ x.T - y) @ x / TRAIN
            if name == "L2":
                weights[name] = (w - rate * gradient) / (1 + rate * strength)  # stable at any strength
            else:
                w = w - rate * gradient
                weights[name] = w.sign() * (w.abs() - rate * strength).clamp(min=0)
        if step % 50 == 49 or step == steps - 1:
            errors = {name: error(w, *test) for name, w in weights.items()}
            best = {name: error(w, *validation).argmin() for name, w in weights.items()}
            chosen = {name: errors[name][best[name]].item() for name in weights}
            yield (step + 1) / steps, {**chosen, "no penalty": errors["L2"][0].item()}

    zeros = {name: (w[best[name], USEFUL:] == 0).float().mean().item() for name, w in weights.items()}
    kept = (weights["L1"][best["L1"], :USEFUL] != 0).float().mean().item()
    adamw, twin = trajectory("Adam", decoupled=True)
    adam_l2 = trajectory("Adam", decoupled=False)[0]
    sgd_decay, sgd_l2 = (trajectory("SGD", decoupled)[0] for decoupled in (True, False))
    return {
        "l1_error": chosen["L1"],
        "l2_error": chosen["L2"],
        "plain_error": errors["L2"][0].item(),
        "l1_zeros": zeros["L1"],
        "l2_zeros": zeros["L2"],
        "l1_kept": kept,
        "adamw_evenness": evenness(True, data),
        "adam_l2_evenness": evenness(False, data),
        "adamw_gap": (adamw - twin).abs().max().item(),
        "adam_l2_gap": (adam_l2 - twin).abs().max().item(),
        "sgd_gap": (sgd_decay - sgd_l2).abs().max().item(),
        "adam_decay_gap": (adamw - adam_l2).abs().max().item(),
    }, {
        "test error by strength of the penalty": {
            "kind": "lines",
            "zh": "测试误差随惩罚强度的变化",
            "series": {name: (STRENGTHS[1:], e[1:].tolist()) for name, e in errors.items()},
            "x": "strength",
            "y": "relative test error",
            "log": "x",
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
