"""Flat and sharp minima — one function can lie in a flat or a sharp place; a mean of weights is a good place.

A net with a hidden ReLU layer reads digits; about a fifth of the training labels are drawn at random. When weights
and bias into each hidden unit are multiplied by a factor of its own, from 1 to 8, and the weights out of it divided
by it, the function stays what it was, but not its curvature (the trace of the Hessian): how sharp a place is says
little until weights have a scale of their own. A random direction made as long as the weights layer by layer draws
two landscapes for two nets that are one function; unit by unit, it draws one. (H. Li et al. scale what leads into a
unit; factors that differ by unit ask for what leads out too.) At a constant rate SGD wanders about, and the mean of
the weights of its second half (stochastic weight averaging, SWA) reads test digits better than nets at a fifth of the
rate do on average; those that it is the mean of read them worse (control); of both, every 50th is tested. A rate that
falls to zero does nearly as well over seeds (table: one). That flat minima generalize better is not shown here.

Needs:  torch, scikit-learn
Source: L. Dinh et al., Sharp Minima Can Generalize for Deep Nets, ICML 2017; H. Li et al., Visualizing the Loss
        Landscape of Neural Nets, NeurIPS 2018; P. Izmailov et al., Averaging Weights Leads to Wider Optima and Better
        Generalization, UAI 2018
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

HIDDEN, TRAIN, BATCH, RATE, FLIPPED, FACTOR, EVERY, REACH = 32, 1000, 16, 0.5, 0.2, 8.0, 50, 0.5
RATES = {"constant rate": RATE, "a fifth of it": RATE / 5, "falling rate": RATE}
Weights = list[Tensor]

# %% the concept


def net(w: Weights, x: Tensor, bend=torch.relu) -> Tensor:  # (B, 64) -> (B, 10)
    return bend(x @ w[0] + w[1]) @ w[2] + w[3]


def rescaled(w: Weights, a: Tensor) -> Weights:  # a factor for each hidden unit: (H,)
    return [a * w[0], a * w[1], w[2] / a[:, None], w[3]]  # the same function: relu(a h) / a = relu(h) for a > 0


def traces(w: Weights, x: Tensor) -> Tensor:
    """Of the Hessian, for what leads into each hidden unit, its bias, what leads out, the last biases: (3 H + 1,)."""
    h = (x @ w[0] + w[1]).relu()
    p = (h @ w[2] + w[3]).softmax(1)
    bent = torch.diag_embed(p) - p[:, :, None] * p[:, None]  # second derivatives by the logits: (B, 10, 10)
    top = bent.diagonal(dim1=1, dim2=2).sum(1, keepdim=True)
    low = ((w[2] @ bent) * w[2]).sum(2).mul(h > 0)  # what reaches the units that are on: (B, H); labels play no part
    return torch.cat([low * x.square().sum(1, keepdim=True), low, top * h.square(), top], 1).mean(0)


def lengths(w: Weights) -> Weights:  # of all that leads into each hidden unit, of what leads out, of the last biases
    into = torch.cat([w[0], w[1][None]]).norm(dim=0)
    return [into, into, w[2].norm(dim=1, keepdim=True), w[3].norm()]


def by_unit(w: Weights, way: Weights) -> Weights:  # each part as long as the unit's weights: d |w_i| / |d_i|
    return [d * long / drawn for d, long, drawn in zip(way, lengths(w), lengths(way), strict=True)]


def along(w: Weights, way: Weights, x: Tensor, y: Tensor, at: Tensor) -> Tensor:
    """The loss at w + t d: (T,) -> (T,)."""
    return torch.stack([F.cross_entropy(net([a + t * d for a, d in zip(w, way, strict=True)], x), y) for t in at])


def averaged(mean: Weights, new: Weights, n: int) -> Weights:
    return [m + (w - m) / (n + 1) for m, w in zip(mean, new, strict=True)]  # the mean of n + 1, from that of n


# %% its control


def by_layer(w: Weights, way: Weights) -> Weights:
    return [d * t.norm() / d.norm() for t, d in zip(w, way, strict=True)]


# %% the experiment


def digits(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images with some wrong labels, and test images with true ones."""
    held = load_digits()
    order = torch.randperm(len(held.data), generator=generator)
    x, y = torch.tensor(held.data).float()[order] / 16, torch.tensor(held.target)[order]
    known, chance = y[:TRAIN], torch.rand(TRAIN, generator=generator)
    known = torch.where(chance < FLIPPED, torch.randint(10, (TRAIN,), generator=generator), known)
    return x[:TRAIN], known, x[TRAIN:], y[TRAIN:]


def trace_gap(w: Weights, x: Tensor, y: Tensor, factors: Tensor, a: Tensor) -> float:
    """Largest gap of the traces, times 1/a^2, 1/a^2, a^2 and 1, to the rescaled net's, as a share of the largest."""
    moved = rescaled(w, factors)
    curved = torch.autograd.functional.hessian(lambda *v: F.cross_entropy(net([*v], x), y), tuple(moved))
    bent = [curved[k][k].reshape(t.numel(), -1).diagonal().view_as(t) for k, t in enumerate(moved)]
    found = torch.cat([bent[0].sum(0), bent[1], bent[2].sum(1), bent[3].sum()[None]])
    told = traces(w, x) * torch.cat([a**-2, a**-2, a**2, torch.ones(1)])
    return ((told - found).abs().max() / found.max()).item()


def mean_gap(mean: Weights, path: list[Weights]) -> float:
    """Largest gap to the sum of all nets over their number."""
    plain = [torch.stack(held).mean(0) for held in zip(*path, strict=True)]
    return max((a - b).abs().max().item() for a, b in zip(mean, plain, strict=True))


def run(device="cpu", seed=0, steps=1000):
    weights, data, batches, ways = (torch.Generator().manual_seed(4 * seed + k) for k in range(4))
    images, labels, unseen, true = (t.to(device) for t in digits(data))
    shapes = (64, HIDDEN), (HIDDEN,), (HIDDEN, 10), (10,)
    first = [torch.randn(s, generator=weights) * (2 / s[0]) ** 0.5 * (len(s) > 1) for s in shapes]
    nets = {name: [t.to(device) for t in first] for name in RATES}

    @torch.no_grad()
    def accuracy(*several: Weights) -> float:  # on average
        return torch.stack([(net(w, unseen).argmax(1) == true).float().mean() for w in several]).mean().item()

    path: dict[str, list[Weights]] = {name: [] for name in RATES}
    late = nets["constant rate"]
    for step in range(steps):
        rows = torch.randint(TRAIN, (BATCH,), generator=batches).to(device)
        for name, w in nets.items():
            rate = RATES[name] * (min(1, 2 - 2 * step / steps) if name == "falling rate" else 1)
            leaves = [t.detach().requires_grad_() for t in w]
            grads = torch.autograd.grad(F.cross_entropy(net(leaves, images[rows]), labels[rows]), leaves)
            nets[name] = [t.detach() - rate * g for t, g in zip(leaves, grads, strict=True)]
            path[name] += [nets[name]] if step >= steps // 2 else []
        late = averaged(late, nets["constant rate"], max(0, step - steps // 2))  # until half-way the newest alone
        if step % 20 == 19 or step == steps - 1:
            yield (step + 1) / steps, {name: accuracy(w) for name, w in (nets | {"mean of weights": late}).items()}

    nets["mean of weights"] = late
    w, x = [t.cpu().double() for t in late], images.cpu().double()
    factors, y = torch.linspace(1, FACTOR, HIDDEN, dtype=torch.float64), labels.cpu()
    moved = rescaled(w, factors)
    nets["the mean, rescaled"] = [t.float().to(device) for t in moved]
    random = [torch.randn(s, generator=ways, dtype=torch.float64) for s in shapes]
    at = torch.linspace(-REACH, REACH, 21, dtype=torch.float64)
    layer, unit = ([along(v, made(v, random), x, y, at) for v in (w, moved)] for made in (by_layer, by_unit))
    names = "by layer", "by layer, net rescaled", "by unit", "by unit, net rescaled"
    own, gentle = (1 - accuracy(*path[name][::-EVERY]) for name in ("constant rate", "a fifth of it"))
    table = [[name, f"{accuracy(v):.3f}", f"{traces(v, images).sum().item():.1f}"] for name, v in nets.items()]
    fresh, seen = (set(map(tuple, held.tolist())) for held in (unseen, images))
    return {
        "output_change": (net(moved, x) - net(w, x)).abs().max().item(),
        "tanh_change": (net(moved, x, torch.tanh) - net(w, x, torch.tanh)).abs().max().item(),
        "trace_gap": trace_gap(w, x[:30], y[:30], factors, factors),
        "linear_gap": trace_gap(w, x[:30], y[:30], factors, factors**0.5),
        "landscape_gap": (unit[1] - unit[0]).abs().max().item(),
        "layer_gap": (layer[1] - layer[0]).abs().max().item(),
        "mean_share": (1 - accuracy(late)) / gentle,
        "own_share": own / gentle,
        "mean_gap": mean_gap(late, path["constant rate"]),
        "one_off_gap": mean_gap(late, [*path["constant rate"][1:], nets["a fifth of it"]]),
        "shared_images": len(fresh & seen),
        "own_images": len(fresh),
    }, {
        "training loss along one random direction": {
            "kind": "lines",
            "series": {name: (at.tolist(), held.tolist()) for name, held in zip(names, layer + unit, strict=True)},
            "x": "distance, as a share of the weights' length",
            "y": "loss",
        },
        "training's end": {"kind": "table", "columns": ["net", "test accuracy", "Hessian's trace"], "rows": table},
    }


# %% what is claimed

TITLE = {"en": "Flat or sharp, and the mean of weights", "zh": "平坦与尖锐，以及权重的平均"}
CURVES = "test accuracy"
CPU_SECONDS = 2
CLAIMS = {
    "parity output_change <= 1e-10 < tanh_change": {
        "en": "largest change of logits: weights, bias into each unit times a (1 to 8), out times 1/a; control: tanh",
        "zh": "每个隐藏单元的输入权重与偏置乘 a（1 到 8）、输出权重乘 1/a 后 logits 的最大变化；对照：换用 tanh",
    },
    "parity trace_gap <= 1e-9 < linear_gap": {
        "en": "largest gap of the Hessian's traces by unit of that net (PyTorch, 30 images) to the first net's times "
        "1/a^2 (in) and a^2 (out), as a share of the largest (f64); control: times 1/a and a",
        "zh": "缩放后网络的 Hessian 各单元的迹（PyTorch，30 张图像）与原网络的迹乘 1/a²（输入）、a²（输出）的最大差距"
        "占其中最大者之比（f64）；对照：乘 1/a、a",
    },
    "parity landscape_gap <= 1e-10 < layer_gap": {
        "en": "largest difference of the two nets' losses along a random direction scaled by unit; control: by layer",
        "zh": "沿一个按单元缩放的随机方向，两个网络损失的最大差；对照：方向按层缩放",
    },
    "parity mean_gap <= 1e-5 < one_off_gap": {
        "en": "largest gap of the running mean of weights to their sum over their number; control: one of them another",
        "zh": "权重的逐步平均与总和除以个数的最大差距；对照：换掉其中一个",
    },
    "trained mean_share <= 1.0 < own_share <= 1.8": {
        "en": "test error of the mean of the second half's weights, as a share of that of nets at a fifth of the rate, "
        "on average; control: every 50th of the nets that it is the mean of, on average",
        "zh": "后半程权重平均的测试错误率与五分之一学习率的网络平均错误率之比；对照：参与平均的网络每 50 个取一个",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images that are among the training images; the control counts those among the test images",
        "zh": "同时出现在训练集中的测试图像数；对照数的是测试集自身中的图像",
    },
}
ZH = {
    "test accuracy": "测试准确率",
    "constant rate": "恒定学习率",
    "a fifth of it": "其五分之一",
    "falling rate": "递减学习率",
    "mean of weights": "权重的平均",
    "the mean, rescaled": "平均，缩放后",
    "training loss along one random direction": "沿一个随机方向的训练损失",
    "by layer": "方向按层缩放",
    "by layer, net rescaled": "方向按层缩放，网络缩放后",
    "by unit": "方向按单元缩放",
    "by unit, net rescaled": "方向按单元缩放，网络缩放后",
    "distance, as a share of the weights' length": "沿方向走的距离与权重长度之比",
    "loss": "损失",
    "training's end": "训练的终点",
    "net": "网络",
    "Hessian's trace": "Hessian 的迹",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
