"""AlexNet and VGG — ideas taken away one at a time: shifts teach most here; two 3x3 kernels see what a 5x5 does.

A small network in the form of VGG (pairs of 3x3 convolutions, then pooling) is trained with three ideas of AlexNet:
ReLU, dropout, and pictures that are shifted anew whenever they are shown. It has 100 real 8x8 digits to learn from,
each at one place of a 12x12 canvas, and reads 1697 others at places of their own. The ablation takes one idea away and
trains again, as long, on the same digits; control: the network without shifts, or the nearest training canvas. Only
the shifts matter much on a task as small as this: with tanh in place of ReLU, no dropout, or a 5x5 kernel in place of
the second pair, the table is within a few points or better (AlexNet's authors found ReLU several times as fast as
tanh), and the nearest of all shifted copies, which needs no network, is better. How far a stack sees is read off the
gradient. AlexNet's overlapping pools (3x3, two pixels apart) are kept.

Needs:  torch, scikit-learn
Source: A. Krizhevsky, I. Sutskever, G. Hinton, ImageNet Classification with Deep Convolutional Neural Networks,
        NIPS 2012; K. Simonyan, A. Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition,
        ICLR 2015 (stacks of 3x3 kernels)
"""

import copy
import itertools
from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

# %% the concept

DROP, WIDTHS, HIDDEN = 0.2, (12, 12), 64


class Stack(nn.Module):
    """VGG: small kernels, one after the other, a nonlinearity after each."""

    def __init__(self, c_in: int, c_out: int, kernels: tuple[int, ...] = (3, 3)) -> None:
        super().__init__()
        inputs = [c_in] + [c_out] * (len(kernels) - 1)
        self.convs = nn.ModuleList(nn.Conv2d(c, c_out, k, padding=k // 2) for c, k in zip(inputs, kernels, strict=True))

    def forward(self, x: Tensor, bend: Callable[[Tensor], Tensor] = torch.relu) -> Tensor:  # (B, C, H, W)
        for conv in self.convs:  # n kernels of k x k see 1 + n (k - 1) pixels in a row, and cost n k^2 C^2 weights
            x = bend(conv(x))
        return x


def drop(x: Tensor, chance: Tensor) -> Tensor:
    """Dropout: numbers whose chance, uniform in 0 to 1, is below DROP become 0; the rest grows, so the mean stays."""
    return x * (chance >= DROP) / (1 - DROP)


class Net(nn.Module):
    def __init__(self, kernels: tuple[int, ...] = (3, 3), bend: Callable[[Tensor], Tensor] = torch.relu) -> None:
        super().__init__()
        self.bend, (a, b) = bend, WIDTHS
        self.stacks = nn.ModuleList([Stack(1, a), Stack(a, b, kernels)])
        self.hidden, self.out = nn.Linear(9 * b, HIDDEN), nn.Linear(HIDDEN, 10)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):  # variance 2 / inputs with ReLU, 1 / inputs with tanh
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu" if bend is torch.relu else "linear")
                nn.init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:  # (B, 1, 12, 12) -> (B, 12, 6, 6) -> (B, 12, 3, 3)
        for stack in self.stacks:
            x = F.max_pool2d(stack(x, self.bend), 3, 2, 1)  # AlexNet's pools overlap
        return x

    def forward(self, x: Tensor, chance: Tensor | None = None) -> Tensor:  # -> (B, 10)
        h = self.bend(self.hidden(self.features(x).flatten(1)))
        return self.out(h if chance is None else drop(h, chance))


# %% the experiment

TRAIN, BATCH, RATE, PLACES = 100, 24, 5e-3, 5
VARIANTS = {  # kernels of the second stack, nonlinearity, whether it drops, whether pictures are shifted
    "all ideas": ((3, 3), torch.relu, True, True),
    "without shifts": ((3, 3), torch.relu, True, False),
    "without dropout": ((3, 3), torch.relu, False, True),
    "tanh, not ReLU": ((3, 3), torch.tanh, True, True),
    "5x5, not two 3x3": ((5,), torch.relu, True, True),
}


def placed(digits: Tensor, where: Tensor) -> Tensor:
    """Each digit at its row and column of a 12x12 canvas: (n, 8, 8), (n, 2) -> (n, 1, 12, 12)."""
    canvas = torch.zeros(len(digits), 1, 12, 12)
    for picture, digit, (row, column) in zip(canvas, digits, where.tolist(), strict=True):
        picture[0, row : row + 8, column : column + 8] = digit
    return canvas


def difference(mine: Tensor, theirs: Tensor, own: list[Tensor], others: list[Tensor]) -> float:
    """The largest, in two outputs and in the gradients of a weighted sum of each."""
    found = []
    for y, leaves in ((mine, own), (theirs, others)):
        weighted = (y * torch.linspace(-1, 1, y.shape[-1], dtype=y.dtype)).sum()
        found.append([y.detach(), *torch.autograd.grad(weighted, leaves, materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def net_gap(net: Net, x: Tensor, bend: type[nn.Module] = nn.ReLU) -> float:
    """From the network as it was trained to one of PyTorch's layers with its weights, in outputs and gradients; f64."""
    net, x = copy.deepcopy(net).cpu().double(), x.double()
    layers: list[nn.Module] = []
    for c, d in ((1, WIDTHS[0]), WIDTHS):
        layers += [nn.Conv2d(c, d, 3, 1, 1), bend(), nn.Conv2d(d, d, 3, 1, 1), bend(), nn.MaxPool2d(3, 2, 1)]
    twin = nn.Sequential(*layers, nn.Flatten(), nn.Linear(9 * WIDTHS[1], HIDDEN), bend(), nn.Linear(HIDDEN, 10))
    twin.double().load_state_dict(dict(zip(twin.state_dict(), net.state_dict().values(), strict=True)))
    return difference(net(x), twin(x), [*net.parameters()], [*twin.parameters()])


def drop_gap(x: Tensor, kept: float) -> float:
    """The mean over all ways to drop, by their chances, against x times `kept`; in gradients too; f64."""
    x = x.double().requires_grad_()
    total = 0 * x
    for gone in itertools.product((0.0, 1.0), repeat=len(x)):
        share = DROP ** sum(gone) * (1 - DROP) ** (len(x) - sum(gone))
        total = total + share * drop(x, 1 - torch.tensor(gone, dtype=torch.float64))
    return difference(total, x * kept, [x], [x])


def paths(kernels: tuple[int, ...]) -> Tensor:
    """The gradient of the middle output of a stack whose weights are all 1, at each pixel of the input; f64."""
    stack = Stack(1, 1, kernels).double()
    for conv in stack.convs:
        conv.weight.data, conv.bias.data = torch.ones_like(conv.weight), torch.zeros_like(conv.bias)
    x = torch.ones(1, 1, 15, 15, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(stack(x)[0, 0, 7, 7], x)
    return gradient[0, 0]


def seen(kernels: tuple[int, ...]) -> int:
    """Pixels in a row that the middle output depends on."""
    return int((paths(kernels).abs().sum(0) > 0).sum())


def weights(kernels: tuple[int, ...]) -> int:
    return sum(conv.weight.numel() for conv in Stack(8, 8, kernels).convs)


def run(device="cpu", seed=0, steps=300):
    data, test, masks = (torch.Generator().manual_seed(3 * seed + k + 1) for k in (0, 1, 2))
    source = load_digits()
    digits, labels = torch.from_numpy(source.images).float() / 16, torch.from_numpy(source.target)
    order = torch.randperm(len(digits), generator=data)
    known, fresh = order[:TRAIN], order[TRAIN:]
    still = placed(digits[known], torch.randint(PLACES, (TRAIN, 2), generator=data))
    x_test = placed(digits[fresh], torch.randint(PLACES, (len(fresh), 2), generator=test))
    y, y_test = labels[known], labels[fresh]
    nets, optimizers = {}, {}
    for name, (kernels, bend, _, _) in VARIANTS.items():
        torch.manual_seed(3 * seed)  # all begin with the same draws
        nets[name] = Net(kernels, bend).to(device)
        optimizers[name] = torch.optim.Adam(nets[name].parameters(), RATE)
    for step in range(steps):
        picked = torch.randint(TRAIN, (BATCH,), generator=data)
        shifted = placed(digits[known[picked]], torch.randint(PLACES, (BATCH, 2), generator=data)).to(device)
        as_it_lay, right = still[picked].to(device), y[picked].to(device)
        chance, losses = torch.rand(BATCH, HIDDEN, generator=masks).to(device), {}
        for name, (_, _, drops, shifts) in VARIANTS.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            answer = nets[name](shifted if shifts else as_it_lay, chance if drops else None)
            loss = F.cross_entropy(answer, right)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    def share(name: str, x: Tensor, right: Tensor) -> float:
        with torch.no_grad():
            return (nets[name](x.to(device)).argmax(1).cpu() == right).float().mean().item()

    def nearest(x: Tensor, right: Tensor) -> float:
        return (right[torch.cdist(x_test.flatten(1), x.flatten(1)).argmin(1)] == y_test).float().mean().item()

    accuracy = {name: share(name, x_test, y_test) for name in nets}
    everywhere = [
        placed(digits[known], torch.tensor([at] * TRAIN)) for at in itertools.product(range(PLACES), repeat=2)
    ]
    rows = [
        (name, 100 * share(name, still, y), 100 * accuracy[name], str(sum(p.numel() for p in net.parameters())))
        for name, net in nets.items()
    ]
    alike = nearest(still, y)
    rows += [("nearest canvas", 100.0, 100 * alike, "-")]
    rows += [("nearest shifted copy", 100.0, 100 * nearest(torch.cat(everywhere), y.repeat(len(everywhere))), "-")]
    sample = torch.linspace(-2, 3, 6)
    return {
        "full_accuracy": accuracy["all ideas"],
        "control_accuracy": max(accuracy["without shifts"], alike),
        "net_gap": net_gap(nets["all ideas"], x_test[:20]),
        "tanh_gap": net_gap(nets["all ideas"], x_test[:20], nn.Tanh),
        "drop_gap": drop_gap(sample, 1.0),
        "unscaled_gap": drop_gap(sample, 1 - DROP),
        "field_gap": max(abs(seen((3,) * n) - seen((2 * n + 1,))) for n in (1, 2, 3)),
        "sum_gap": max(abs(seen((3,) * n) - 3 * n) for n in (1, 2, 3)),
        "pair_share": weights((3, 3)) / weights((5,)),
        "triple_share": weights((3, 3, 3)) / weights((5,)),
        "known_digits": len(set(known.tolist()) & set(fresh.tolist())),
        "known_digits_planted": len(set(known.tolist()) & set(order.tolist())),
    }, {
        "one idea taken away at a time": {
            "kind": "table",
            "columns": ["network", "training digits, %", "fresh digits, %", "parameters"],
            "rows": [(name, round(a, 1), round(b, 1), n) for name, a, b, n in rows],
        },
        "paths from each pixel to the middle of three 3x3 layers (a 7x7 kernel: one each)": {
            "kind": "heatmap",
            "values": paths((3, 3, 3))[3:12, 3:12].tolist(),
            "rows": [str(k) for k in range(-4, 5)],
            "columns": [str(k) for k in range(-4, 5)],
            "x": "columns from the middle",
            "y": "rows from the middle",
        },
    }


# %% what is claimed

TITLE = {
    "en": "AlexNet's ideas one by one, and VGG's small kernels",
    "zh": "AlexNet 的各项做法逐一消融，与 VGG 的小卷积核",
}
CURVES = "cross-entropy in training"
CPU_SECONDS = 5
CLAIMS = {
    "trained full_accuracy >= 0.76 > control_accuracy >= 0.5": {
        "en": "fresh digits read, with all ideas; control: the same network without shifted pictures, or the nearest "
        "training canvas, whichever is better",
        "zh": "采用全部做法时读对新数字的比例；对照：同一网络但不平移图片，或最近的训练画布，取较好者",
    },
    "parity net_gap <= 1e-10 < tanh_gap": {
        "en": "largest gap of the trained network to PyTorch's layers in outputs and gradients (f64); the control has "
        "tanh for ReLU",
        "zh": "训练后的网络与 PyTorch 各层在输出与梯度上的最大差距（f64）；对照以 tanh 代替 ReLU",
    },
    "parity drop_gap <= 1e-12 < unscaled_gap": {
        "en": "mean over all 64 ways to drop six numbers against the numbers, in gradients too (f64); the control "
        "expects the mean that they had if none grew",
        "zh": "六个数在全部 64 种丢弃方式下的均值与原数之差，含梯度（f64）；对照改与不放大时的均值相比",
    },
    "parity field_gap <= 0 < sum_gap": {
        "en": "pixels in a row that one, two and three 3x3 layers see, by gradient, against one kernel of 3, 5 and 7; "
        "the control adds up the widths of the kernels",
        "zh": "一、二、三层 3×3 卷积按梯度看到的像素宽度，与单个 3、5、7 宽卷积核之差；对照把各层核宽直接相加",
    },
    "parity pair_share <= 0.72 < triple_share": {
        "en": "weights of two 3x3 layers, 18 C^2, over those of one 5x5 layer, 25 C^2; the control is three 3x3 layers",
        "zh": "两层 3×3 的权重数（18 C^2）与一层 5×5（25 C^2）之比；对照为三层 3×3",
    },
    "parity known_digits <= 0 < known_digits_planted": {
        "en": "test digits that were trained on; the control tests on all digits",
        "zh": "测试数字中出现在训练集里的个数；对照用全部数字测试",
    },
}
ZH = {
    "cross-entropy in training": "训练时的交叉熵",
    "all ideas": "全部做法",
    "without shifts": "不平移图片",
    "without dropout": "不用 dropout",
    "tanh, not ReLU": "tanh 代替 ReLU",
    "5x5, not two 3x3": "一层 5×5 代替两层 3×3",
    "nearest canvas": "最近的训练画布",
    "nearest shifted copy": "最近的平移副本",
    "one idea taken away at a time": "每次去掉一项做法",
    "network": "网络",
    "training digits, %": "训练数字（%）",
    "fresh digits, %": "新数字（%）",
    "parameters": "参数量",
    "paths from each pixel to the middle of three 3x3 layers (a 7x7 kernel: one each)": "各像素通往三层 3×3 "
    "中心输出的路径数（7×7 卷积核各为一条）",
    "columns from the middle": "距中心的列数",
    "rows from the middle": "距中心的行数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
