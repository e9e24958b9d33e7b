"""Interpretability — attributions find what a black box uses, and unmask one that cheats.

Synthetic data with known truth: of eight inputs three decide the label (by a product and a sum), four are noise,
and the last is a shortcut that follows the label. One network may use the shortcut; for an honest one it is
shuffled in training. Tested with the shortcut intact, the cheating network even looks better; only with the
shortcut broken does it fall far below the other. Shapley values, from outputs alone, need no such test.

Needs:  torch, numpy
Source: S. Lundberg, S.-I. Lee, A Unified Approach to Interpreting Model Predictions, NIPS 2017; M.
        Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017; J. Adebayo et al., Sanity
        Checks for Saliency Maps, NeurIPS 2018 (untrained network as control)
"""

from math import comb, factorial

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor, nn
from torch.nn import functional as F

INPUTS, TRUE, SHORTCUT, EXPLAINED, NOISE, BATCH, RATE = 8, 3, 7, 200, 0.4, 256, 1e-2

# %% the concept


def coalitions() -> Tensor:
    """Every subset of the inputs as a row of zeros and ones: (2^INPUTS, INPUTS)."""
    return torch.arange(2**INPUTS)[:, None] >> torch.arange(INPUTS) & 1


def outputs(net: nn.Module, x: Tensor, subsets: Tensor) -> Tensor:
    """The black box v(S), asked with the absent inputs set to their mean, 0: (n, INPUTS) -> (n, subsets)."""
    with torch.no_grad():
        return net(x[:, None] * subsets)[..., 0]


def shapley(net: nn.Module, x: Tensor) -> Tensor:  # (n, INPUTS) -> (n, INPUTS)
    """The mean gain of adding an input to a coalition, over all orders in which inputs could join."""
    subsets = coalitions()
    value, size = outputs(net, x, subsets.to(x)), subsets.sum(1)
    orders = torch.tensor([factorial(k) * factorial(INPUTS - 1 - k) for k in range(INPUTS)]).to(x) / factorial(INPUTS)
    columns = []
    for i in range(INPUTS):  # phi_i = sum over S without i of |S|! (n - 1 - |S|)! / n! (v(S + i) - v(S))
        without = (subsets[:, i] == 0).nonzero()[:, 0]
        gain = value[:, without + 2**i] - value[:, without]  # (n, 2^(INPUTS - 1))
        columns.append(gain @ orders[size[without]])
    return torch.stack(columns, 1)


def integrated_gradients(net: nn.Module, x: Tensor, nodes: int = 200) -> Tensor:  # (n, INPUTS) -> (n, INPUTS)
    """x times the mean gradient on the way from 0 to x, by Gauss-Legendre quadrature."""
    places, weights = (torch.tensor(t / 2).to(x) for t in leggauss(nodes))
    way = ((places + 0.5)[:, None, None] * x).requires_grad_()  # (nodes, n, INPUTS)
    (gradient,) = torch.autograd.grad(net(way).sum(), way)
    return x * torch.einsum("k,kni->ni", weights, gradient)  # x_i * integral of df/dx_i (a x) da


def shares(attribution: Tensor) -> Tensor:  # (n, INPUTS) -> (INPUTS,)
    """How the absolute attribution is spread over the inputs."""
    mass = attribution.abs().sum(0)
    return mass / mass.sum()


# %% the experiment


def samples(n: int, generator: torch.Generator, honest: bool = False) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, INPUTS, generator=generator)
    y = (x[:, 0] * x[:, 1] + x[:, 2] > 0).float()
    x[:, SHORTCUT] = 2 * y - 1 + NOISE * torch.randn(n, generator=generator)
    if honest:
        x[:, SHORTCUT] = x[torch.randperm(n, generator=generator), SHORTCUT]
    return x, y


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(INPUTS, 64), nn.Tanh(), nn.Linear(64, 1))


def kernel_shap(net: nn.Module, x: Tensor, weighted: bool = True) -> Tensor:
    """The linear game closest to the outputs; its last weight is fixed by the sum over all inputs."""
    subsets = coalitions()[1:-1]
    sizes = subsets.sum(1).tolist()
    kernel = [(INPUTS - 1) / (comb(INPUTS, k) * k * (INPUTS - k)) for k in sizes]
    weight = torch.tensor(kernel if weighted else [1.0] * len(sizes), dtype=x.dtype)
    subsets = subsets.to(x)
    empty, full = outputs(net, x, torch.tensor([[0], [1]]).to(x).expand(2, INPUTS)).T
    total = (full - empty)[:, None]
    design = subsets[:, :-1] - subsets[:, -1:]  # (254, INPUTS - 1)
    target = outputs(net, x, subsets) - empty[:, None] - total * subsets[:, -1]  # (n, 254)
    weighted_design = (design * weight[:, None]).T
    first = torch.linalg.solve(weighted_design @ design, weighted_design @ target.T).T  # normal equations
    return torch.cat([first, total - first.sum(1, keepdim=True)], 1)


def parity(net: nn.Module, x: Tensor) -> dict[str, float]:
    """Gaps of the attributions from a second way to compute them, and from the change of output they explain."""
    exact, change = shapley(net, x), (net(x) - net(torch.zeros_like(x)))[:, 0].detach()
    point = x.clone().requires_grad_()
    saliency = x * torch.autograd.grad(net(point).sum(), point)[0]
    return {
        "kernel_gap": float((kernel_shap(net, x) - exact).abs().max()),
        "unweighted_kernel_gap": float((kernel_shap(net, x, weighted=False) - exact).abs().max()),
        "completeness_gap": float((integrated_gradients(net, x).sum(1) - change).abs().max()),
        "gradient_completeness_gap": float((saliency.sum(1) - change).abs().max()),
    }


def known_gaps(x: Tensor) -> dict[str, float]:
    """Gaps of both attributions and their shares for f(x) = x1 x2 + x3: each factor earns half of the product."""

    def function(x: Tensor) -> Tensor:
        return (x[..., 0] * x[..., 1] + x[..., 2])[..., None]

    half, rest = x[:, 0] * x[:, 1] / 2, torch.zeros(len(x), INPUTS - TRUE).to(x)
    truth = torch.cat([torch.stack([half, half, x[:, 2]], 1), rest], 1)
    spread = torch.tensor([column.abs().mean() for column in truth.T]).to(x)
    found = shapley(function, x), integrated_gradients(function, x)
    gaps = [float((attribution - truth).abs().max()) for attribution in found]
    gaps += [float((shares(attribution) - spread / spread.sum()).abs().max()) for attribution in found]
    slope = torch.cat([torch.stack([2 * half, 2 * half, x[:, 2]], 1), rest], 1)  # gradient times input
    return {"known_gap": max(gaps), "gradient_known_gap": float((slope - truth).abs().max())}


def run(device="cpu", seed=0, steps=400):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets = {name: network().to(device) for name in ("cheating", "honest")}
    untrained = [network().double() for _ in range(10)]
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=RATE) for name, net in nets.items()}
    for step in range(steps):
        losses = {}
        for name, net in nets.items():
            x, y = (t.to(device) for t in samples(BATCH, data, honest=name == "honest"))
            loss = F.binary_cross_entropy_with_logits(net(x)[:, 0], y)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    tests = {"intact": samples(4000, unseen), "broken": samples(4000, unseen, honest=True)}
    nets = {name: net.cpu().double() for name, net in nets.items()}
    accuracy = {}
    for name, net in nets.items():
        for test, (x, y) in tests.items():
            accuracy[f"{name}_{test}_accuracy"] = ((net(x.double())[:, 0] > 0) == y).double().mean().item()
    x = tests["intact"][0][:EXPLAINED].double()
    spread = {name: shares(shapley(net, x)) for name, net in nets.items()}
    spread["untrained"] = torch.stack([shares(shapley(net, x)) for net in untrained]).mean(0)
    gaps = [parity(net, x) for net in nets.values()]
    inputs = [f"cause {k + 1}" for k in range(TRUE)] + [f"noise {k + 1}" for k in range(SHORTCUT - TRUE)] + ["shortcut"]
    return {
        "cheat_shortcut_share": spread["cheating"][SHORTCUT].item(),
        "honest_shortcut_share": spread["honest"][SHORTCUT].item(),
        "honest_truth_share": spread["honest"][:TRUE].sum().item(),
        "untrained_truth_share": spread["untrained"][:TRUE].sum().item(),
        **{name: max(gap[name] for gap in gaps) for name in gaps[0]},
        **known_gaps(x),
        **accuracy,
    }, {
        "share of the attribution on each input": {
            "kind": "heatmap",
            "values": torch.stack(list(spread.values()), 1).tolist(),
            "rows": inputs,
            "columns": list(spread),
        },
    }


# %% what is claimed

TITLE = {"en": "Attributions open a black box and unmask a shortcut", "zh": "用归因打开黑箱、揭穿捷径"}
CURVES = "cross-entropy"
CPU_SECONDS = 1
CLAIMS = {
    "trained cheat_shortcut_share >= 0.62 > honest_shortcut_share": {
        "en": "share of the attribution on the shortcut in the cheating network; the control: the honest one",
        "zh": "作弊网络中归因落在捷径特征上的比例；对照为诚实网络",
    },
    "trained honest_truth_share >= 0.9 > untrained_truth_share": {
        "en": "share of the attribution on the three true causes; the control: the mean of ten untrained networks",
        "zh": "归因落在三个真正起作用的特征上的比例；对照为十个未训练网络的均值",
    },
    "trained cheating_intact_accuracy >= 0.993 > honest_intact_accuracy": {
        "en": "accuracy of the cheating network where the shortcut is intact; the control: the honest one there",
        "zh": "捷径完好时作弊网络的准确率；对照为此时的诚实网络",
    },
    "trained honest_broken_accuracy >= 0.96 > cheating_broken_accuracy": {
        "en": "accuracy of the honest network where the shortcut is broken; the control: the cheating one there",
        "zh": "捷径失效时诚实网络的准确率；对照为此时的作弊网络",
    },
    "parity known_gap <= 1e-10 < gradient_known_gap": {
        "en": "Shapley values, integrated gradients and their shares for x1 x2 + x3 against the closed form; the "
        "control is gradient times input",
        "zh": "x1·x2 + x3 的 Shapley 值、积分梯度及其占比与闭式解的差距；对照为梯度乘输入",
    },
    "parity kernel_gap <= 1e-10 < unweighted_kernel_gap": {
        "en": "Shapley values by definition against KernelSHAP's regression; the control has equal weights",
        "zh": "按定义计算的 Shapley 值与 KernelSHAP 加权回归的差距；对照不加权",
    },
    "parity completeness_gap <= 1e-10 < gradient_completeness_gap": {
        "en": "sum of integrated gradients minus the change of output; the control is gradient times input",
        "zh": "积分梯度之和与输出变化量的差距；对照为梯度乘输入",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "cheating": "作弊网络",
    "honest": "诚实网络",
    "untrained": "未训练",
    "share of the attribution on each input": "各输入所占的归因比例",
    "cause 1": "原因 1",
    "cause 2": "原因 2",
    "cause 3": "原因 3",
    "noise 1": "噪声 1",
    "noise 2": "噪声 2",
    "noise 3": "噪声 3",
    "noise 4": "噪声 4",
    "shortcut": "捷径",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
