"""Interpretability — attributions find what a black box uses, and unmask one that cheats.

Synthetic data with known truth: of eight inputs three decide the label (by a product and a sum), four are
noise, and the last is a shortcut that follows the label. One network may use the shortcut; for its honest
twin it is shuffled in training. Tested with the shortcut intact, the cheating network even looks a little
better.

Claim:  Shapley values, computed from nothing but the outputs, put far more weight on the shortcut in the
        cheating network than in the honest one, and weight the three true causes in the honest one, not in
        untrained ones. By definition (256 coalitions) or by KernelSHAP's weighted regression they are the
        same; integrated gradients sum up to the change of the output.
Source: S. Lundberg, S.-I. Lee, A Unified Approach to Interpreting Model Predictions, NIPS 2017; M.
        Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017; J. Adebayo et al., Sanity
        Checks for Saliency Maps, NeurIPS 2018 (untrained network as control)
Run:    python kb/demos/interpretability.py --device cpu --seed 0 --steps 400
"""

from math import comb, factorial

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Attributions open a black box and unmask a shortcut", "zh": "用归因打开黑箱、揭穿捷径"}
CPU_SECONDS = 1
CLAIMS = {
    "trained cheat_shortcut_share >= 0.27 > honest_shortcut_share": {
        "en": "share of the attribution on the shortcut in the cheating network; the control: the honest one",
        "zh": "作弊网络中归因落在捷径特征上的比例；对照为诚实网络",
    },
    "trained honest_truth_share >= 0.7 > untrained_truth_share": {
        "en": "share of the attribution on the three true causes; the control: ten untrained networks",
        "zh": "归因落在三个真正起作用的特征上的比例；对照为十个未训练网络的均值",
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

INPUTS, TRUE, SHORTCUT, EXPLAINED = 8, 3, 7, 100


def samples(n: int, data: torch.Generator, honest: bool = False) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, INPUTS, generator=data)
    y = (x[:, 0] * x[:, 1] + x[:, 2] > 0).float()
    x[:, SHORTCUT] = 2 * y - 1 + 0.5 * torch.randn(n, generator=data)
    if honest:
        x[:, SHORTCUT] = x[torch.randperm(n, generator=data), SHORTCUT]
    return x, y


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(INPUTS, 64), nn.Tanh(), nn.Linear(64, 1))


def coalitions() -> Tensor:
    """Every subset of the inputs as a row of zeros and ones: (2^INPUTS, INPUTS)."""
    return torch.arange(2**INPUTS)[:, None] >> torch.arange(INPUTS) & 1


def outputs(net: nn.Module, x: Tensor, subsets: Tensor) -> Tensor:
    """The black box asked with the absent inputs set to their mean, 0: (n, INPUTS) -> (n, subsets)."""
    with torch.no_grad():
        return net(x[:, None] * subsets)[..., 0]


def shapley(net: nn.Module, x: Tensor) -> Tensor:
    """The mean gain of adding an input to a coalition, over all orders in which inputs could join."""
    subsets = coalitions()
    value, size = outputs(net, x, subsets.to(x)), subsets.sum(1)
    orders = torch.tensor([factorial(k) * factorial(INPUTS - 1 - k) for k in range(INPUTS)]).to(x) / factorial(INPUTS)
    columns = []
    for i in range(INPUTS):
        without = (subsets[:, i] == 0).nonzero()[:, 0]
        gain = value[:, without + 2**i] - value[:, without]  # (n, 2^(INPUTS - 1))
        columns.append(gain @ orders[size[without]])
    return torch.stack(columns, 1)


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


def integrated_gradients(net: nn.Module, x: Tensor, nodes: int = 200) -> Tensor:
    """x times the mean gradient on the way from 0 to x, by Gauss-Legendre quadrature."""
    places, weights = (torch.tensor(t / 2).to(x) for t in leggauss(nodes))
    way = ((places + 0.5)[:, None, None] * x).requires_grad_()  # (nodes, n, INPUTS)
    (gradient,) = torch.autograd.grad(net(way).sum(), way)
    return x * torch.einsum("k,kni->ni", weights, gradient)


def shares(attribution: Tensor) -> Tensor:
    """How the absolute attribution is spread over the inputs."""
    mass = attribution.abs().sum(0)
    return mass / mass.sum()


def run(device="cpu", seed=0, steps=400):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    nets = {name: network().to(device) for name in ("cheating", "honest")}
    untrained = [network().double() for _ in range(10)]
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=1e-2) for name, net in nets.items()}
    for step in range(steps):
        losses = {}
        for name, net in nets.items():
            x, y = (t.to(device) for t in samples(256, data, honest=name == "honest"))
            loss = F.binary_cross_entropy_with_logits(net(x)[:, 0], y)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, losses

    fresh = torch.Generator().manual_seed(seed + 1000)
    tests = {"intact": samples(2000, fresh), "broken": samples(2000, fresh, honest=True)}
    nets = {name: net.cpu().double() for name, net in nets.items()}
    accuracy = {}
    for name, net in nets.items():
        for test, (x, y) in tests.items():
            accuracy[f"{name}_{test}_accuracy"] = ((net(x.double())[:, 0] > 0) == y).double().mean().item()
    x = tests["intact"][0][:EXPLAINED].double()
    spread = {name: shares(shapley(net, x)) for name, net in nets.items()}
    spread["untrained"] = torch.stack([shares(shapley(net, x)) for net in untrained]).mean(0)
    net = nets["honest"]
    exact = shapley(net, x)
    change = (net(x) - net(torch.zeros_like(x)))[:, 0].detach()
    sums = integrated_gradients(net, x).sum(1)
    point = x.clone().requires_grad_()
    saliency = (torch.autograd.grad(net(point).sum(), point)[0] * x).sum(1)
    return {
        "cheat_shortcut_share": spread["cheating"][SHORTCUT].item(),
        "honest_shortcut_share": spread["honest"][SHORTCUT].item(),
        "honest_truth_share": spread["honest"][:TRUE].sum().item(),
        "untrained_truth_share": spread["untrained"][:TRUE].sum().item(),
        "kernel_gap": float((kernel_shap(net, x) - exact).abs().max()),
        "unweighted_kernel_gap": float((kernel_shap(net, x, weighted=False) - exact).abs().max()),
        "completeness_gap": float((sums - change).abs().max()),
        "gradient_completeness_gap": float((saliency - change).abs().max()),
        **accuracy,
    }, {
        "share of the attribution on each input": {
            "kind": "heatmap",
            "zh": "各输入所占的归因比例",
            "values": torch.stack(list(spread.values())),
            "rows": list(spread),
            "columns": ["cause"] * TRUE + ["noise"] * (INPUTS - TRUE - 1) + ["shortcut"],
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
