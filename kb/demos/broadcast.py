"""Broadcasting — (n,) minus (n, 1) is a table of n x n: no error, the loss falls, and only the mean is learned.

Shapes are lined up from the right, and an axis of length 1, or missing, is repeated; the backward pass adds up the
gradients of the copies. So (n,) targets minus (n, 1) outputs compare each target with every output. The mean of those
squares is the variance of the targets plus the mean squared distance of the outputs to the mean of the targets: which
target belongs to which input no longer counts. Two networks begin with the same weights and learn simulated points, a
sine about 3; the control is given targets of shape (n, 1). The loss of the mistaken one falls too, since its outputs
begin far from 3. Written by hand, it is silent; PyTorch's own, F.mse_loss, computes the same number and warns.

Needs:  torch
Source: C. R. Harris et al., Array Programming with NumPy, Nature 585, 2020
"""

import copy
import warnings
from contextlib import suppress
from itertools import product, zip_longest

import torch
from torch import Tensor, nn
from torch.nn import functional as F

N, HIDDEN, RATE, NOISE, MEAN = 200, 64, 0.05, 0.1, 3.0
Shape = tuple[int, ...]

# %% the concept


def together(a: Shape, b: Shape) -> Shape | None:
    """(n,), (n, 1) -> (n, n): from the right, lengths are equal, or one is 1 or missing; None: they do not fit."""
    pairs = list(zip_longest(reversed(a), reversed(b), fillvalue=1))
    if any(m != n and 1 not in (m, n) for m, n in pairs):
        return None
    return tuple(n if m == 1 else m for m, n in reversed(pairs))


def source(place: Shape, shape: Shape) -> Shape:
    """Where in a tensor of this shape a place of the result is read: at 0 on an axis that is repeated."""
    return tuple(0 if n == 1 else i for i, n in zip(place[len(place) - len(shape) :], shape, strict=True))


def minus(a: Tensor, b: Tensor) -> Tensor:
    """a - b, place by place; nothing but loops."""
    shape = together(a.shape, b.shape)
    places = product(*map(range, shape))
    return torch.stack([a[source(p, a.shape)] - b[source(p, b.shape)] for p in places]).view(shape)


def minus_back(g: Tensor, a: Shape, b: Shape) -> tuple[Tensor, Tensor]:
    """The gradients of a and b where that of a - b is g: those of the copies are added up."""
    to_a, to_b = g.new_zeros(a), g.new_zeros(b)
    for p in product(*map(range, g.shape)):
        to_a[source(p, a)] += g[p]
        to_b[source(p, b)] -= g[p]
    return to_a, to_b


def loss(targets: Tensor, outputs: Tensor) -> Tensor:
    return (targets - outputs).square().mean()  # 1/n sum (y_i - f_i)^2, if the shapes are the same


# %% its control


def from_the_left(a: Shape, b: Shape) -> Shape | None:
    """Missing axes are put at the end, as one may think that they are."""
    shape = together(a[::-1], b[::-1])
    return shape and shape[::-1]


# %% the experiment


def points(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A sine about MEAN, with noise: (n, 1), (n, 1)."""
    x = 4 * torch.rand(n, 1, generator=generator) - 2
    return x, MEAN + (2 * x).sin() + NOISE * torch.randn(n, 1, generator=generator)


def explained(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of y's variance that the outputs explain; the mean of y explains 0."""
    return 1 - ((net(x) - y).square().mean() / y.var(correction=0)).item()


def of_torch(a: Shape, b: Shape) -> Shape | None:
    with suppress(RuntimeError):
        return tuple(torch.broadcast_shapes(a, b))


def rule_gaps(generator: torch.Generator) -> tuple[float, float]:
    """Largest gap of differences and gradients, by loops, to PyTorch's; that of an axis put at the end (f64)."""
    found = []
    for a, b in (((4,), (4, 1)), ((3, 1), (1, 4)), ((3,), (2, 3, 3)), ((2, 3), ()), ((2, 2), (2,))):
        x, y = (torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in (a, b))
        theirs, weights = x - y, torch.randn(together(a, b), generator=generator, dtype=torch.float64)
        grads = torch.autograd.grad((theirs * weights).sum(), (x, y))
        pairs = zip((minus(x, y), *minus_back(weights, a, b)), (theirs, *grads), strict=True)
        found += [(mine - their).abs().max().item() for mine, their in pairs]
    return max(found), (x - y[:, None] - theirs).abs().max().item()  # the last pair, (2, 2) and (2,)


def with_gradients(net: nn.Module, x: Tensor, targets: Tensor, criterion) -> Tensor:
    """The loss and its gradients, of inputs and weights, in one row."""
    x = x.clone().requires_grad_()
    value = criterion(targets, net(x))
    return torch.cat([value.view(1), *(g.flatten() for g in torch.autograd.grad(value, [x, *net.parameters()]))])


def heard(criterion, targets: Tensor, outputs: Tensor) -> tuple[int, float]:
    """How many warnings speak of broadcasting, and the value."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        value = criterion(targets, outputs).item()
    return sum("broadcasting" in str(warning.message) for warning in said), value


def run(device="cpu", seed=0, steps=400):
    torch.manual_seed(3 * seed)  # weights, points, checks: three streams
    data, checks = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    x, y = (t.to(device) for t in points(N, data))
    right = nn.Sequential(nn.Linear(1, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1)).to(device)
    nets = {"same shapes": right, "(n,) - (n, 1)": copy.deepcopy(right)}
    targets = dict(zip(nets, (y, y[:, 0]), strict=True))
    adam = torch.optim.Adam([p for net in nets.values() for p in net.parameters()])  # each for itself: one serves both
    first: dict[str, float] = {}
    for step in range(steps):
        adam.param_groups[0]["lr"] = RATE * (1 - step / steps)
        losses = {name: loss(targets[name], net(x)) for name, net in nets.items()}
        adam.zero_grad()
        sum(losses.values()).backward()
        adam.step()
        now = {name: value.item() for name, value in losses.items()}
        first = first or now
        yield (step + 1) / steps, now

    mistaken = nets["(n,) - (n, 1)"]
    exact = copy.deepcopy(mistaken).cpu().double(), x.cpu().double()
    given, flat = exact[0](exact[1]).detach(), targets["(n,) - (n, 1)"].cpu().double()
    table = with_gradients(*exact, flat, loss)
    warned, theirs = heard(F.mse_loss, flat, given)
    silent = max(heard(loss, flat, given)[0], heard(F.mse_loss, flat[:, None], given)[0])
    alone = with_gradients(*exact, flat, lambda y, f: y.var(correction=0) + (f - y.mean()).square().mean())
    rule_gap, left_gap = rule_gaps(checks)
    pairs = [*product([s for axes in range(4) for s in product((1, 2, 3), repeat=axes)], repeat=2)]
    grid = torch.linspace(-2, 2, 81, device=device)[:, None]
    sine = MEAN + (2 * grid).sin()  # without noise: no point of the data
    curves = {name: net(grid)[:, 0].tolist() for name, net in nets.items()}
    return {
        "wrong_shapes": sum(together(*p) != of_torch(*p) for p in pairs),
        "left_wrong_shapes": sum(from_the_left(*p) != of_torch(*p) for p in pairs),
        "rule_gap": rule_gap,
        "left_gap": left_gap,
        "mean_gap": max((table - alone).abs().max().item(), abs(theirs - table[0].item())),
        "right_gap": (table - with_gradients(*exact, flat[:, None], loss)).abs().max().item(),
        "warnings": warned,
        "warnings_by_hand": silent,
        "right_explained": explained(right, grid, sine),
        "table_explained": explained(mistaken, grid, sine),
        "fall": 1 - now["(n,) - (n, 1)"] / first["(n,) - (n, 1)"],
        "share_learned": explained(mistaken, grid, sine),
    }, {
        "what the two networks learn": {
            "kind": "lines",
            "series": {name: (grid[:, 0].tolist(), curve) for name, curve in curves.items()}
            | {"mean of the targets": ([-2.0, 2.0], [y.mean().item()] * 2)},
            "x": "x",
            "y": "output",
        },
    }


# %% what is claimed

TITLE = {"en": "Broadcasting, and the loss that learns only the mean", "zh": "广播机制，与只学到均值的损失"}
CURVES = "loss"
CPU_SECONDS = 1
CLAIMS = {
    "parity wrong_shapes <= 0 < left_wrong_shapes": {
        "en": "pairs of shapes, of 1600, for which the rule gives or refuses what torch.broadcast_shapes does not; "
        "control: missing axes put at the end",
        "zh": "1600 对形状中，规则的结果（或报错）与 torch.broadcast_shapes 不同的对数；对照：缺少的轴补在末尾",
    },
    "parity rule_gap <= 1e-10 < left_gap": {
        "en": "largest gap of differences and gradients, by loops, to PyTorch's (f64); control: an axis put at the end",
        "zh": "用循环实现广播所得的差及其梯度与 PyTorch 的最大差距（f64）；对照：缺少的轴补在末尾",
    },
    "parity mean_gap <= 1e-10 < right_gap": {
        "en": "gap of the n x n loss and its gradients to the variance of the targets plus the mean squared distance "
        "of the outputs to the targets' mean, and of the loss alone to F.mse_loss (f64); control: to the loss of "
        "equal shapes",
        "zh": "n×n 损失及其梯度与“目标方差加上输出到目标均值的均方距离”的差距，"
        "以及损失值与 F.mse_loss 的差距（f64）；对照：与形状一致时损失的差距",
    },
    "parity warnings >= 1 > warnings_by_hand": {
        "en": "warnings of F.mse_loss at these shapes; control: the loss by hand, and F.mse_loss at equal shapes",
        "zh": "在这样的形状下 F.mse_loss 给出的警告数；对照：手写的损失，以及形状一致时的 F.mse_loss",
    },
    "trained right_explained >= 0.975 > table_explained >= -0.06": {
        "en": "share of the sine's variance, free of noise, that the network explains; control: trained with "
        "(n,) - (n, 1), about 0, as a flat line at the mean explains",
        "zh": "网络所解释的无噪声正弦曲线方差的比例；对照：以 (n,) - (n, 1) 训练，约为 0，与均值处的水平线相同",
    },
    "trained fall >= 0.9 > share_learned": {
        "en": "share by which the n x n loss falls; control: share of the sine's variance that its net explains",
        "zh": "训练中 n×n 损失下降的比例；对照：同一网络所解释的正弦曲线方差的比例",
    },
}
ZH = {
    "loss": "损失",
    "same shapes": "形状一致",
    "what the two networks learn": "两个网络学到的结果",
    "mean of the targets": "目标的均值",
    "output": "输出",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
