"""Normalization layers — layer, group and RMS norms need no mini-batch; on two images batch norm learns far less.

Nets of three ReLU layers learn 8x8 digits from mini-batches of two, plain SGD, same weights to begin with. Mean and
variance of an image's own units (layer), of each of four groups of them (group), or their root mean square alone (RMS)
serve in training and in use. The control, batch normalization, takes mean and variance of each unit over the two
images, which leaves hardly more than which of them had the larger value, and running averages in use; its accuracy is
the best of three rates, and of running averages or statistics of all training images. A map shows what each layer,
in use, takes out of an image: RMSNorm the scale, layer normalization the mean too, group and instance normalization
both for each group or channel, batch normalization nothing.

Needs:  torch, scikit-learn
Source: J. L. Ba, J. R. Kiros, G. E. Hinton, Layer Normalization, 2016; B. Zhang, R. Sennrich, Root Mean Square Layer
        Normalization, NeurIPS 2019; Y. Wu, K. He, Group Normalization, ECCV 2018; D. Ulyanov et al., Instance
        Normalization: The Missing Ingredient for Fast Stylization, 2016
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, LAYERS, GROUPS, TRAIN, BATCH, RATE, BATCH_RATES, EPS = 64, 3, 4, 1300, 2, 0.02, (0.02, 0.01, 0.2), 1e-5

# %% the concept


class Norm(nn.Module):
    def __init__(self, channels: int, groups: int = 1, centred: bool = True) -> None:
        super().__init__()
        self.groups, self.centred = groups, centred
        self.gain = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels)) if centred else None  # RMSNorm has none

    def forward(self, x: Tensor) -> Tensor:  # (B, C, ...) -> (B, C, ...)
        y = x.reshape(len(x), self.groups, -1)  # (B, G, C / G x places): what shares a mean; never the B
        if self.centred:
            y = y - y.mean(-1, keepdim=True)
        y = y / (y.square().mean(-1, keepdim=True) + EPS).sqrt()  # (x - mean) / sqrt(var + eps), or x / rms
        shape = -1, *[1] * (x.dim() - 2)
        y = y.view(x.shape) * self.gain.view(shape)
        return y if self.shift is None else y + self.shift.view(shape)


KINDS: dict = {"layer": {}, "RMS": {"centred": False}, "group": {"groups": GROUPS}}


# %% its control


class BatchNorm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.share = 0.1  # of the batch in the running averages
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, ...) -> (B, C, ...)
        shape, mean, var = (-1, *[1] * (x.dim() - 2)), self.mean, self.var
        if self.training:
            rows = x.transpose(0, 1).flatten(1)  # (C, B x places)
            mean, var = rows.mean(1), rows.var(1, correction=0)
            with torch.no_grad():
                self.mean.lerp_(mean, self.share)
                self.var.lerp_(rows.var(1), self.share)
        y = (x - mean.view(shape)) / (var.view(shape) + EPS).sqrt()
        return y * self.gain.view(shape) + self.shift.view(shape)


# %% the experiment


def network(name: str) -> nn.Sequential:  # (B, 64) -> (B, 10)
    net = nn.Sequential()
    for _ in range(LAYERS):
        norm = Norm(WIDTH, **KINDS[name]) if name in KINDS else BatchNorm(WIDTH)
        net.extend([nn.Linear(WIDTH, WIDTH), norm, nn.ReLU()])
    return net.append(nn.Linear(WIDTH, 10))


def twin(norm: nn.Module, groups: int | None = None) -> nn.Module:
    """PyTorch's layer of the same weights."""
    channels = len(norm.gain)
    if isinstance(norm, BatchNorm):
        theirs = nn.BatchNorm1d(channels, EPS)
    elif norm.shift is None:
        theirs = nn.RMSNorm(channels, EPS)
    elif norm.groups == channels:
        theirs = nn.InstanceNorm2d(channels, EPS, affine=True)
    else:
        theirs = nn.LayerNorm(channels, EPS) if norm.groups == 1 else nn.GroupNorm(groups or GROUPS, channels, EPS)
    names = {"gain": "weight", "shift": "bias", "mean": "running_mean", "var": "running_var"}
    theirs.load_state_dict({names[name]: held for name, held in norm.state_dict().items()}, strict=False)
    return theirs.double()


def gap_to_torch(mine: nn.Module, theirs: nn.Module, x: Tensor) -> float:
    """Largest difference in outputs and in the gradients of input and parameters; in training, f64."""
    found = []
    for model in (mine, theirs):
        leaf = x.cpu().double().requires_grad_()
        out = model.train()(leaf)
        weighted = (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)).sum()
        found.append([out, *torch.autograd.grad(weighted, [leaf, *model.parameters()])])
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def trained_gap(net: nn.Sequential, x: Tensor, groups: int | None = None) -> float:
    mine = copy.deepcopy(net).cpu().double()
    theirs = [twin(part, groups) if isinstance(part, Norm | BatchNorm) else part for part in mine]
    return gap_to_torch(mine, nn.Sequential(*theirs), x)


@torch.no_grad()
def change(before: Tensor, after: Tensor) -> float:
    """The root mean square of the difference, as a share of that of what was there."""
    return float((after - before).norm() / before.norm())


@torch.no_grad()
def taken_out(norm: nn.Module, generator: torch.Generator) -> list[float]:
    """How outputs in use change with the input: times 3, plus 1, every channel times a factor of its own."""
    x = torch.randn(4, 8, 5, 5, generator=generator, dtype=torch.float64) + 0.5
    factors = torch.rand(8, 1, 1, generator=generator, dtype=torch.float64) + 0.5
    norm = norm.double().train()
    norm(x)  # fills the running averages, where there are such
    norm.eval()
    return [change(norm(x), norm(moved)) for moved in (3 * x, x + 1, factors * x)]


@torch.no_grad()
def by_neighbours(net: nn.Module, x: Tensor, size: int, generator: torch.Generator) -> float:
    """Change of an image's logits, in training, when the rest of its batch is drawn anew; over 16 images, f64."""
    net, x = copy.deepcopy(net).cpu().double().train(), x.cpu().double()
    pairs = []
    for i in range(16):
        both = [torch.cat([x[i : i + 1], x[torch.randperm(len(x), generator=generator)[: size - 1]]]) for _ in (0, 1)]
        pairs.append(torch.stack([net(batch)[0] for batch in both]))
    return change(*torch.stack(pairs, 1))


def shared(rows: Tensor, others: Tensor) -> int:
    return len(set(map(tuple, rows.tolist())) & set(map(tuple, others.tolist())))


def run(device="cpu", seed=0, steps=300):
    data, batches, checks = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2, 3))
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    x = torch.tensor(digits.data).float()[order].to(device) / 16
    y = torch.tensor(digits.target)[order].to(device)
    x, y, x_test, y_test = x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]
    nets, rates = {}, dict.fromkeys(KINDS, RATE) | {f"batch, rate {rate:g}": rate for rate in BATCH_RATES}
    for name in rates:
        torch.manual_seed(3 * seed)
        nets[name] = network(name).to(device)

    @torch.no_grad()
    def accuracy(net: nn.Module) -> float:
        right = (net.eval()(x_test).argmax(1) == y_test).float().mean().item()
        net.train()
        return right

    for step in range(steps):
        rows = torch.randint(len(x), (BATCH,), generator=batches).to(device)
        decay = min(1.0, 2 - 2 * step / steps)
        for name, net in nets.items():
            loss = F.cross_entropy(net(x[rows]), y[rows])
            parameters = list(net.parameters())
            with torch.no_grad():
                for p, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                    p -= decay * rates[name] * g
        if step % 20 == 19 or step == steps - 1:
            yield (step + 1) / steps, {name: accuracy(net) for name, net in list(nets.items())[: len(KINDS) + 1]}

    right = {name: accuracy(net) for name, net in nets.items()}
    best = max((name for name in nets if name not in KINDS), key=right.__getitem__)
    for name in nets.keys() - KINDS.keys():  # once more, with the statistics of all training images
        whole = copy.deepcopy(nets[name]).train()
        for part in whole:
            part.share = 1.0
        with torch.no_grad():
            whole(x)
        right[f"{name}, all"] = accuracy(whole)
    gaps = {name: trained_gap(net, x[:16]) for name, net in nets.items()}
    image = torch.randn(3, 8, 4, 5, generator=checks)
    one = Norm(8, groups=8).double()
    gaps["instance"] = gap_to_torch(one, twin(one), image)
    layers = {name: Norm(8, **how) for name, how in KINDS.items()} | {"instance": one, "batch": BatchNorm(8)}
    table = {name: taken_out(norm, checks) for name, norm in layers.items()}
    sizes = [2, 4, 8, 16, 32, 64, 128]
    shown = {**{name: nets[name] for name in KINDS}, "batch": nets[best]}
    changes = {name: [by_neighbours(net, x_test, n, checks) for n in sizes] for name, net in shown.items()}
    return {
        "least_accuracy": min(right[name] for name in KINDS),
        "batch_accuracy": max(held for name, held in right.items() if name not in KINDS),
        "norm_gap": max(gaps.values()),
        "groups_gap": trained_gap(nets["group"], x[:16], 2 * GROUPS),
        "neighbour_change": max(max(held) for name, held in changes.items() if name in KINDS),
        "batch_change": min(changes["batch"]),
        "layer_plus_change": table["layer"][1],
        "rms_plus_change": table["RMS"][1],
        "instance_channel_change": table["instance"][2],
        "group_channel_change": table["group"][2],
        "shared_images": shared(x_test, x),
        "own_images": shared(x_test, x_test),
    }, {
        "change of the output in use, as a share of it": {
            "kind": "heatmap",
            "values": [[round(v, 2) for v in held] for held in table.values()],
            "rows": list(table),
            "columns": ["times 3", "plus 1", "by channel"],
        },
        COMMON: {
            "kind": "lines",
            "series": {name: (sizes, held) for name, held in changes.items()},
            "x": "images in the batch",
            "y": "change, relative to the output",
            "log": "x",
        },
    }


# %% what is claimed

COMMON = "change of a row's output over batch size"
TITLE = {"en": "Layer, group and RMS norms need no mini-batch", "zh": "层、组与 RMS 归一化不依赖小批量"}
CURVES = "test accuracy"
CPU_SECONDS = 2
CLAIMS = {
    "trained least_accuracy >= 0.75 > batch_accuracy >= 0.3": {
        "en": "lowest test accuracy of layer, group and RMS norm after mini-batches of two images; control: batch "
        "normalization, the best of three rates and two kinds of statistics",
        "zh": "以两张图像的小批量训练后，层、组、RMS 三种归一化中最低的测试准确率；"
        "对照：批归一化在三种学习率、两种统计量下的最好结果",
    },
    "parity neighbour_change <= 1e-12 < batch_change": {
        "en": "largest change of images' outputs when the rest of the batch is drawn anew, of the three nets and all "
        "sizes, in training, relative (f64); control: batch normalization at the size where it changes least",
        "zh": "训练模式下重新抽取同批的其余图像后，三个网络输出的最大相对变化（各种批大小，f64）；"
        "对照：批归一化变化最小时的值",
    },
    "parity norm_gap <= 1e-10 < groups_gap": {
        "en": "largest gap of the trained nets, and of instance norm, to torch's layers in outputs and gradients "
        "(f64); the control's group norm has eight groups, not four",
        "zh": "训练后的各网络与实例归一化同 PyTorch 对应层在输出与梯度上的最大差距（f64）；"
        "对照的组归一化分八组而非四组",
    },
    "parity layer_plus_change <= 1e-12 < rms_plus_change": {
        "en": "relative change of layer norm's output when 1 is added to all of an image (f64); control: RMSNorm",
        "zh": "给图像的所有值加 1 后层归一化输出的相对变化（f64）；对照：RMSNorm",
    },
    "parity instance_channel_change <= 3e-5 < group_channel_change": {
        "en": "relative change of instance norm's output when every channel is multiplied by a factor of its own "
        "(f64); control: group norm, two channels a group",
        "zh": "每个通道各乘一个系数后实例归一化输出的相对变化（f64）；对照：每组两个通道的组归一化",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images that are among the training images; the control counts those among the test images",
        "zh": "同时出现在训练集中的测试图像数；对照数的是测试集自身中的图像",
    },
}
ZH = {
    "test accuracy": "测试准确率",
    "layer": "层归一化",
    "group": "组归一化",
    "instance": "实例归一化",
    "batch": "批归一化",
    "batch, rate 0.02": "批归一化，学习率 0.02",
    "change of the output in use, as a share of it": "推理时输出的相对变化",
    "times 3": "乘以 3",
    "plus 1": "加 1",
    "by channel": "逐通道缩放",
    "change of a row's output over batch size": "重新抽取同批图像后输出的变化（按批大小）",
    "images in the batch": "批中的图像数",
    "change, relative to the output": "相对于输出的变化",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
