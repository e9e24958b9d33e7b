"""Second-order optimization — dividing the gradient by the curvature: ten steps of Newton for dozens of L-BFGS.

A logistic regression of 400 tumours: Newton's method needs at most 10 steps to a gradient of 1e-8, L-BFGS, gradient
descent and Nesterov's momentum with restarts (31 rates for these two) more. Work is not counted: each step of Newton
takes 31 products H v more, one for each weight; and from starts ten times as far off it does not arrive. Curvature,
the Hessian, comes from differentiating twice; for this model it is, but for the penalty, the Fisher matrix, so Newton's
step is the natural gradient, which does not depend on the units of the features. The Fisher matrix of an autoencoder
(64-32-32-32-64, tanh) is 6144 x 6144; K-FAC takes two small matrices a layer instead, and learns 300 digits in 50 steps
better than Adam and SGD with momentum, each at the best of 9 rates and two settings; all rates fall to zero in a line.
On the ravine, (x^2 + 100 y^2) / 2, 61 rates from 0.001 to 1 are tried for each method; losses below 1e-12 are drawn so.

Needs:  torch, scikit-learn
Source: J. Nocedal, S. Wright, Numerical Optimization, Springer 2006; S. Amari, Natural Gradient Works Efficiently in
        Learning, Neural Computation 10(2), 1998; J. Martens, R. Grosse, Optimizing Neural Networks with
        Kronecker-factored Approximate Curvature, ICML 2015
"""

from typing import Any

import torch
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer, load_digits
from torch import Tensor, nn
from torch.nn import functional as F

L2, TUMOURS, SIZES, DIGITS = 1e-3, 400, (64, 32, 32, 32, 64), 300

# %% the concept


def loss(w: Tensor, x: Tensor, y: Tensor) -> Tensor:  # (D,), (N, D), (N,) -> ()
    return F.softplus((x @ w) * (1 - 2 * y)).mean() + L2 * w @ w / 2


def curvature_times(v: Tensor, w: Tensor, x: Tensor, y: Tensor) -> Tensor:  # (D,) -> (D,)
    """H v without H: the gradient of (gradient . v)."""
    w = w.detach().requires_grad_()
    first = torch.autograd.grad(loss(w, x, y), w, create_graph=True)[0]
    return torch.autograd.grad(first @ v, w)[0]


def newton_step(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    w = w.detach().requires_grad_()
    g = torch.autograd.grad(loss(w, x, y), w)[0]
    hessian = torch.stack([curvature_times(v, w, x, y) for v in torch.eye(len(w)).to(w)])
    return w.detach() - torch.linalg.solve(hessian, g)  # w <- w - H^-1 g: to the lowest point of the local parabola


def fisher(w: Tensor, x: Tensor) -> Tensor:  # (D, D)
    """E[grad log p grad log p^T] over the labels that the model itself would draw."""
    p = (x @ w).sigmoid()
    ones, zeros = x * (1 - p)[:, None], x * -p[:, None]  # grad log p for label 1 and for label 0
    return (ones.T * p @ ones + zeros.T * (1 - p) @ zeros) / len(x)


def natural_direction(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.linalg.solve(fisher(w, x), x.T @ ((x @ w).sigmoid() - y) / len(x))  # F^-1 grad


def kfac(g: Tensor, a: Tensor, e: Tensor, damping: float) -> Tensor:  # (..., out, in), (..., N, in), (..., N, out)
    """F^-1 g of a layer, where F = E[e e^T kron a a^T] is taken for E[e e^T] kron E[a a^T]: two small inverses."""
    outer, inner = e.mT @ e / e.shape[-2], a.mT @ a / a.shape[-2]
    each = [m.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None] for m in (outer, inner)]
    share = (each[1] / each[0]).sqrt()  # of the damping, by size
    outer = outer + damping**0.5 / share * torch.eye(outer.shape[-1]).to(g)
    inner = inner + damping**0.5 * share * torch.eye(inner.shape[-1]).to(g)
    return torch.linalg.solve(inner, torch.linalg.solve(outer, g).mT).mT  # outer^-1 g inner^-1


# %% its control

State = dict[str, Tensor]


def sgd(g: Tensor, state: State, beta: float) -> Tensor:
    state["m"] = beta * state.get("m", 0 * g) + g
    return state["m"]


def adam(g: Tensor, state: State, beta: float, kept: float) -> Tensor:
    state["t"] = state.get("t", torch.zeros(())) + 1
    state["m"] = beta * state.get("m", 0 * g) + (1 - beta) * g
    state["v"] = kept * state.get("v", 0 * g) + (1 - kept) * g**2
    t = state["t"].item()
    return state["m"] / (1 - beta**t) / ((state["v"] / (1 - kept**t)).sqrt() + 1e-8)


def lbfgs(w: Tensor, x: Tensor, y: Tensor) -> list[float]:
    """Sizes of the gradient, one for each look at it, its line searches included."""
    sizes = []

    def look(place: Any) -> tuple[float, Any]:
        g = gradient(torch.tensor(place), x, y)
        sizes.append(g.norm().item())
        return loss(torch.tensor(place), x, y).item(), g.numpy()

    minimize(look, w.numpy(), jac=True, method="L-BFGS-B", options={"maxcor": 30, "ftol": 0, "gtol": 1e-10})
    return sizes


def looks(sizes: Tensor) -> Tensor:  # (..., T) -> (...)
    """Steps before the size of the gradient is below 1e-8."""
    return (sizes.cummin(-1)[0] > 1e-8).sum(-1)


def descents(x: Tensor, y: Tensor, w: Tensor, ahead: bool, steps: int = 1000) -> list[float]:
    """Sizes of the gradient of descent, or of Nesterov's momentum, at the rate of 31 that is there first. The momentum
    starts anew where it leads uphill, as B. O'Donoghue and E. Candes (2015) have it; without, it is slower."""
    rates = torch.logspace(-0.5, 1.5, 31).to(w)[:, None]
    w = v = w.expand(31, -1)
    sizes, since = [], 0 * rates
    for _ in range(steps):
        g = ((v @ x.T).sigmoid() - y) @ x / len(x) + L2 * v
        sizes.append(g.norm(dim=1).nan_to_num(1e9))
        last, w = w, v - rates * g
        since = torch.where((g * (w - last)).sum(1, keepdim=True) > 0, 0, since + 1)
        v = w + since / (since + 3) * (w - last) if ahead else w
    return torch.stack(sizes).T[looks(torch.stack(sizes).T).argmin()].tolist()


# %% the experiment

TRIED = {  # the middle one of 9 rates, and settings
    "K-FAC": (0.4, [{"damping": 1e-3}, {"damping": 3e-3}]),
    "Adam": (0.03, [{"beta": 0.6, "kept": 0.6}, {"beta": 0.7, "kept": 0.7}]),
    "SGD": (1.0, [{"beta": 0.8}, {"beta": 0.9}]),
}


def layers(weights: list[Tensor], x: Tensor, noise: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor], list[Tensor]]:
    """Of R autoencoders the errors as shares of the mean digit's; by layer gradient, input, and what `noise` sends."""
    inputs = [x.expand(len(weights[0]), -1, -1)]  # (R, N, 64)
    for w in weights[:-1]:
        inputs.append((inputs[-1] @ w.mT).tanh())
    apart = inputs[-1] @ weights[-1].mT - x
    back, drawn, found, sent = 2 * apart / x.square().mean() / x.numel(), noise.expand_as(apart), [], []
    for i in reversed(range(len(weights))):
        found.insert(0, back.mT @ inputs[i])
        sent.insert(0, drawn)
        slope = 1 - inputs[i] ** 2  # of tanh
        back, drawn = back @ weights[i] * slope, drawn @ weights[i] * slope
    return apart.square().mean((1, 2)) / x.square().mean(), found, inputs, sent


def kfac_gap(weights: list[Tensor], x: Tensor, noise: Tensor, own: Tensor, damping: float = 1e-3) -> float:
    """Of K-FAC's steps to gradients by autograd through nn.Sequential and inverted Kronecker products; f64."""
    made = [nn.Linear(*w.shape[:0:-1], bias=False).double() for w in weights]
    for layer, w in zip(made, weights, strict=True):
        layer.weight.data = w[0].clone()
    net = nn.Sequential(*[part for layer in made for part in (layer, nn.Tanh())][:-1])
    theirs = torch.autograd.grad(F.mse_loss(net(x), x) / x.square().mean(), list(net.parameters()))
    outputs = [x]
    for part in net:
        outputs.append(part(outputs[-1]))
    signals = torch.autograd.grad((outputs[-1] * noise).sum(), outputs[1::2])
    gaps = []
    _, found, inputs, sent = layers(weights, x, own)
    for i, (g, a, e) in enumerate(zip(theirs, outputs[::2], signals, strict=True)):
        outer, inner = e.T @ e / len(e), a.T @ a / len(a)
        share = ((inner.trace() / len(inner)) / (outer.trace() / len(outer))).sqrt()
        outer = outer + damping**0.5 / share * torch.eye(len(outer)).double()
        inner = inner + damping**0.5 * share * torch.eye(len(inner)).double()
        exact = torch.linalg.solve(torch.kron(outer, inner), g.flatten()).view_as(g)  # (out * in, out * in)
        mine = kfac(found[i], inputs[i], sent[i], damping)[0]
        gaps.append((mine - exact).abs().max() / exact.abs().max())
    return torch.stack(gaps).max().item()


def gradient(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return x.T @ ((x @ w).sigmoid() - y) / len(x) + L2 * w


def second_derivatives(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.autograd.functional.hessian(lambda w: loss(w, x, y), w)


def hessian_gap(w: Tensor, x: Tensor, y: Tensor, by: float | None = None) -> float:
    """To the Hessian of torch.autograd.functional; `by` takes differences of gradients that far apart instead."""
    exact, one = second_derivatives(w, x, y), torch.eye(len(w)).double()
    rows = [(gradient(w + by * v, x, y) - gradient(w, x, y)) / by if by else curvature_times(v, w, x, y) for v in one]
    return (torch.stack(rows) - exact).abs().max().item()


def ravine() -> dict[str, tuple[list[int], list[float]]]:
    """The loss (x^2 + 100 y^2) / 2 along 60 steps from (10, 1), at the rate of 0.001 to 1 that ends lowest."""
    curvature, rates = torch.tensor([1.0, 100.0]).double(), torch.logspace(-3, 0, 61, dtype=torch.float64)[:, None]
    series = {}
    for name, divide in {"gradient descent": 1.0, "Newton": curvature}.items():
        path = [torch.tensor([10.0, 1.0]).double().expand(61, 2)]
        for _ in range(60):
            path.append(path[-1] - rates * (curvature * path[-1] / divide))
        losses = (curvature * torch.stack(path) ** 2).sum(-1) / 2
        series[name] = (list(range(61)), losses[:, losses[-1].argmin()].clamp(min=1e-12).tolist())
    return series


def run(device="cpu", seed=0, steps=50):
    made, drawn, noisy = (torch.Generator().manual_seed(3 * seed + k) for k in (0, 1, 2))
    x, y = load_breast_cancer(return_X_y=True)
    some = torch.randperm(len(x), generator=drawn)[:TUMOURS]
    x = torch.cat([torch.tensor((x - x.mean(0)) / x.std(0)), torch.ones(len(x), 1)], 1)[some]
    y = torch.tensor(y)[some].double()
    w = 0.1 * torch.randn(x.shape[1], generator=made, dtype=torch.float64)
    place, newton = w, []
    for _ in range(12):
        newton.append(gradient(place, x, y).norm().item())
        place = newton_step(place, x, y)
    paths = {"Newton": newton, "L-BFGS": lbfgs(w, x, y)}
    paths |= {"gradient descent": descents(x, y, w, ahead=False), "Nesterov": descents(x, y, w, ahead=True)}
    needed = {name: int(looks(torch.tensor(sizes))) for name, sizes in paths.items()}
    exact, p = second_derivatives(w, x, y) - L2 * torch.eye(len(w)).double(), (x @ w).sigmoid()
    own = x * (y - p)[:, None]  # grad log p of the labels that are there
    units = torch.logspace(-0.5, 0.5, len(w)).double()
    scaled = natural_direction(w / units, x * units, y) * units, natural_direction(w, x, y)
    plain = (x * units).T @ (p - y) / len(x) * units, x.T @ (p - y) / len(x)

    digits = torch.tensor(load_digits().data).float() / 16
    digits = digits[torch.randperm(len(digits), generator=drawn)[:DIGITS]]
    digits = digits - digits.mean(0)
    image = digits.to(device)
    sizes = list(zip(SIZES[1:], SIZES[:-1], strict=True))
    start = [torch.randn(rows, columns, generator=made) / columns**0.5 for rows, columns in sizes]
    around = torch.logspace(-1, 1, 9)[:, None, None].to(device)
    runs = [(name, middle, setting) for name, (middle, settings) in TRIED.items() for setting in settings]
    nets = [[w.repeat(9, 1, 1).to(device) for w in start] for _ in runs]
    states = [[State() for _ in start] for _ in runs]
    for step in range(steps):
        noise = torch.randn(digits.shape, generator=noisy)
        best = dict.fromkeys(TRIED, 1e9)
        for (name, middle, setting), weights, kept in zip(runs, nets, states, strict=True):
            before, found, inputs, sent = layers(weights, image, noise.to(device))
            best[name] = min(best[name], before.nan_to_num(1e9).min().item())
            for i, g in enumerate(found):
                if name == "K-FAC":
                    u = kfac(g, inputs[i], sent[i], **setting)
                else:
                    u = (adam if name == "Adam" else sgd)(g, kept[i], **setting)
                weights[i] = weights[i] - middle * around * (1 - step / steps) * u
        yield (step + 1) / steps, {name: min(error, 10) for name, error in best.items()}

    ends = dict.fromkeys(TRIED, 1e9)
    for (name, *_), weights in zip(runs, nets, strict=True):
        ends[name] = min(ends[name], layers(weights, image, image)[0].nan_to_num(1e9).min().item())
    checked = [w[None].double() for w in start], digits[:20].double(), noise[:20].double()
    return {
        "newton_steps": needed["Newton"],
        "rival_steps": min(steps for name, steps in needed.items() if name != "Newton"),
        "kfac_error": ends["K-FAC"],
        "rival_error": min(ends["Adam"], ends["SGD"]),
        "hessian_gap": hessian_gap(w, x, y),
        "difference_gap": hessian_gap(w, x, y, by=1e-5),
        "fisher_gap": (fisher(w, x) - exact).abs().max().item(),
        "empirical_gap": (own.T @ own / len(x) - exact).abs().max().item(),
        "units_gap": ((scaled[0] - scaled[1]).norm() / scaled[1].norm()).item(),
        "gradient_units_gap": ((plain[0] - plain[1]).norm() / plain[1].norm()).item(),
        "kfac_gap": kfac_gap(*checked, own=checked[2]),
        "other_gap": kfac_gap(*checked, own=checked[2].flip(1)),
    }, {
        "size of the gradient of a logistic regression": {
            "kind": "lines",
            "series": {
                name: (list(range(1, needed[name] + 2)), sizes[: needed[name] + 1]) for name, sizes in paths.items()
            },
            "x": "looks at the gradient",
            "y": "size of the gradient",
            "log": "xy",
        },
        COMMON: {"kind": "lines", "series": ravine(), "x": "step", "y": "loss", "log": "y"},
    }


# %% what is claimed

TITLE = {"en": "Newton, natural gradient and K-FAC", "zh": "牛顿法、自然梯度与 K-FAC"}
CURVES = "error as a share of the mean digit's"
COMMON = "loss on a ravine"
CPU_SECONDS = 3
CLAIMS = {
    "parity newton_steps <= 10 < rival_steps <= 65": {
        "en": "Newton's steps before the gradient of a logistic regression is below 1e-8; the control is the best of "
        "L-BFGS (looks at the gradient), gradient descent and Nesterov's momentum with restarts (31 rates)",
        "zh": "逻辑回归的梯度降到 1e-8 以下之前牛顿法的步数；对照为 L-BFGS（按求梯度的次数计）、梯度下降、"
        "带重启的 Nesterov 动量（后两者各试 31 种学习率）中最快者",
    },
    "trained kfac_error <= 0.05 < rival_error <= 0.09": {
        "en": "error of an autoencoder on its training digits after 50 steps of K-FAC; the control is the better of "
        "Adam and SGD; each at the best of 9 rates and two settings",
        "zh": "K-FAC 训练自编码器 50 步后在训练数字上的误差；"
        "对照为 Adam 与 SGD 中较好者；各取 9 种学习率和两组设置中的最优",
    },
    "parity hessian_gap <= 1e-10 < difference_gap": {
        "en": "gap of the Hessian, by differentiating twice, to that of torch.autograd.functional (f64); the "
        "control takes differences of gradients 1e-5 apart",
        "zh": "两次求导得到的黑塞矩阵与 torch.autograd.functional 的差距（f64）；对照用相距 1e-5 的梯度做差分",
    },
    "parity fisher_gap <= 1e-10 < empirical_gap": {
        "en": "gap of the Fisher matrix to the Hessian of the cross-entropy (f64); the control takes the true labels "
        "instead of the model's own",
        "zh": "费希尔信息矩阵与交叉熵黑塞矩阵的差距（f64）；对照用真实标签代替模型自身的标签",
    },
    "parity units_gap <= 1e-8 < gradient_units_gap": {
        "en": "relative change of the natural gradient where the features are measured in other units (f64); the "
        "control is the gradient",
        "zh": "特征换用其他单位后自然梯度的相对变化（f64）；对照为普通梯度",
    },
    "parity kfac_gap <= 1e-10 < other_gap": {
        "en": "relative gap of K-FAC's steps to gradients by autograd and inverted Kronecker products (f64); the "
        "control sends other noise back",
        "zh": "K-FAC 的更新与“自动求导的梯度乘以克罗内克积之逆”的相对差距（f64）；对照反向传播的是另一份噪声",
    },
}
ZH = {
    "error as a share of the mean digit's": "误差（以平均数字的误差为 1）",
    "size of the gradient of a logistic regression": "逻辑回归梯度的大小",
    "looks at the gradient": "求梯度的次数",
    "size of the gradient": "梯度的大小",
    "gradient descent": "梯度下降",
    "Newton": "牛顿法",
    "loss on a ravine": "狭长山谷上的损失",
    "step": "步",
    "loss": "损失",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
