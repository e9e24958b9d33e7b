"""Depthwise separable convolution — look in every channel alone, then mix: about a seventh of the cost at 32 channels.

A full 3 x 3 convolution has a kernel for every pair of an input and an output channel. Here every input channel has
one kernel (depthwise), and a 1 x 1 convolution mixes the channels at each pixel (pointwise). Networks with three such
layers, after a 1 x 1 convolution of the pixels, read real 8x8 digits after 100 steps of training, nearly as well as
full convolutions of as many channels. The control has 1 x 1 convolutions alone: it sees pixels, no shapes. The task is
small: narrower full ones, of about as many parameters, come close, and logistic regression does as well (table).

Needs:  torch, scikit-learn
Source: F. Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, CVPR 2017; A. G. Howard et al.,
        MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications, 2017 (the cost)
"""

import copy
import math

import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

# %% the concept


class Separable(nn.Module):
    def __init__(self, c_in: int, c_out: int, k: int = 3) -> None:
        super().__init__()
        self.depth = nn.Parameter(torch.empty(c_in, 1, k, k).uniform_(-1, 1) / k)
        self.point = nn.Parameter(torch.empty(c_out, c_in).uniform_(-1, 1) / math.sqrt(c_in))

    def forward(self, x: Tensor) -> Tensor:  # (B, c_in, H, W) -> (B, c_out, H, W)
        k = self.depth.shape[-1]
        z = F.conv2d(x, self.depth, padding=k // 2, groups=len(self.depth))  # z[c] = depth[c] * x[c]: no mixing
        return torch.einsum("oc,bchw->bohw", self.point, z)  # y[o, h, w] = sum_c point[o, c] z[c, h, w]


def cost(c_in: int, c_out: int, k: int) -> int:  # parameters; times H W: multiply-adds
    return k * k * c_in + c_in * c_out  # a full one: k k c_in c_out; the ratio is 1 / c_out + 1 / k^2


# %% its control


def full(c_in: int, c_out: int, k: int = 3) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, k, padding=k // 2, bias=False)


# %% the experiment

TRAIN, BATCH, LAYERS, SIDE, RATE = 1200, 32, 3, 8, 2e-2
NETS = {"separable": (Separable, 32, 3), "full": (full, 32, 3)}  # layer, channels, size of the kernel
NETS |= {"full, narrow": (full, 13, 3), "1 x 1 alone": (full, 37, 1)}


class Net(nn.Module):
    def __init__(self, layer, c: int, k: int) -> None:
        super().__init__()
        self.stem = full(1, c, 1)  # 1 x 1 for all: what sees shapes are the layers
        self.layers = nn.ModuleList(layer(c, c, k) for _ in range(LAYERS))
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for _ in range(LAYERS + 1))
        self.out = nn.Linear(c, 10)

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, 10)
        for layer, norm in zip([self.stem, *self.layers], self.norms, strict=True):
            x = norm(layer(x)).relu()
        return self.out(x.mean((2, 3)))


class Composed(nn.Module):  # the layer as a full convolution: all kernels of an input are multiples of one
    def __init__(self, layer: Separable, flip: bool) -> None:
        super().__init__()
        self.depth, self.point, self.flip = layer.depth, layer.point, flip

    def kernel(self) -> Tensor:  # (c_out, c_in, k, k)
        return self.point[:, :, None, None] * (self.depth.flip(2, 3) if self.flip else self.depth)[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel(), padding=self.depth.shape[-1] // 2)


def net_gap(net: Net, x: Tensor, flip: bool = False) -> float:
    """Of the trained network and one of full convolutions, in outputs and all gradients (f64)."""
    net, x, found = copy.deepcopy(net).cpu().double().train(), x.cpu().double().requires_grad_(), []
    twin = copy.deepcopy(net)
    twin.layers = nn.ModuleList(Composed(layer, flip) for layer in twin.layers)
    for each in (net, twin):
        answer = each(x)
        weighted = (answer * torch.linspace(-1, 1, 10, dtype=x.dtype)).sum()
        found.append([answer.detach(), *torch.autograd.grad(weighted, [x, *each.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def counted(layer: nn.Module, c: int) -> tuple[int, int]:
    """Parameters, and multiply-adds for one image, as PyTorch counts them."""
    with FlopCounterMode(display=False) as counter:
        layer(torch.zeros(1, c, SIDE, SIDE))
    return sum(p.numel() for p in layer.parameters()), counter.get_total_flops() // 2


def cost_gap(formula) -> int:  # from what is counted, the largest over three sizes
    gaps = []
    for c_in, c_out, k in ((32, 32, 3), (8, 24, 5), (5, 3, 1)):
        numbers, products = counted(Separable(c_in, c_out, k), c_in)
        gaps += [abs(formula(c_in, c_out, k) - numbers), abs(formula(c_in, c_out, k) * SIDE**2 - products)]
    return max(gaps)


def accuracy(net: Net, x: Tensor, x_test: Tensor, y_test: Tensor) -> float:
    for norm in net.norms:
        norm.reset_running_stats()
        norm.momentum = None  # statistics of all training digits
    with torch.no_grad():
        net.train()(x)
        return (net.eval()(x_test).argmax(1) == y_test).float().mean().item()


def run(device="cpu", seed=0, steps=100):
    torch.manual_seed(3 * seed)  # weights and data: two streams
    data = torch.Generator().manual_seed(3 * seed + 1)
    source = load_digits()
    images, labels = torch.from_numpy(source.images).float()[:, None] / 16 - 0.3, torch.from_numpy(source.target)
    order = torch.randperm(len(images), generator=data)
    known, fresh = order[:TRAIN], order[TRAIN:]
    x, y, x_test, y_test = (t.to(device) for t in (images[known], labels[known], images[fresh], labels[fresh]))
    nets = {name: Net(*kind).to(device) for name, kind in NETS.items()}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        picked, losses = torch.randint(TRAIN, (BATCH,), generator=data).to(device), {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            loss = F.cross_entropy(net(x[picked]), y[picked])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    right = {name: accuracy(net, x, x_test, y_test) for name, net in nets.items()}
    nets = {name: net.cpu() for name, net in nets.items()}
    linear = LogisticRegression(max_iter=2000).fit(images[known].flatten(1), labels[known])
    linear_right = linear.score(images[fresh].flatten(1), labels[fresh])
    costs = {name: counted(net.layers[0], NETS[name][1]) for name, net in nets.items()}
    kernel = Composed(nets["separable"].layers[0], flip=False).kernel().detach()[:4, :8]
    kernel = F.pad(kernel / kernel.abs().amax((0, 2, 3), keepdim=True), (0, 1, 0, 1))  # each column by its largest
    seen = {image.numpy().tobytes() for image in images[known]}
    return {
        "separable_accuracy": right["separable"],
        "pointwise_accuracy": right["1 x 1 alone"],
        "full_lead": right["full"] - right["separable"],
        "pointwise_lead": right["full"] - right["1 x 1 alone"],
        "net_gap": net_gap(nets["separable"], x_test[:16]),
        "flipped_gap": net_gap(nets["separable"], x_test[:16], flip=True),
        "cost_gap": cost_gap(cost),
        "full_cost_gap": cost_gap(lambda c_in, c_out, k: k * k * c_in * c_out),
        "known_digits": sum(image.numpy().tobytes() in seen for image in x_test.cpu()),
        "known_digits_planted": sum(image.numpy().tobytes() in seen for image in x.cpu()),
    }, {
        "a layer as a full one; in a column: multiples of one kernel": {
            "kind": "images",
            "images": [kernel.transpose(1, 2).flatten(2).flatten(0, 1) / 2 + 0.5],
            "titles": ["kernels"],
            "columns": 1,
        },
        "a layer's cost, and what three read": {
            "kind": "table",
            "columns": ["layers", "channels", "parameters", "multiply-adds", "fresh digits, %"],
            "rows": [(n, str(NETS[n][1]), *map(str, costs[n]), f"{100 * right[n]:.1f}") for n in nets]
            + [("logistic regression", "-", "650", "640", f"{100 * linear_right:.1f}")],
        },
    }


# %% what is claimed

TITLE = {"en": "Depthwise separable convolution", "zh": "深度可分离卷积"}
CURVES = "cross-entropy in training"
CPU_SECONDS = 3
CLAIMS = {
    "trained separable_accuracy >= 0.95 > pointwise_accuracy >= 0.12": {
        "en": "fresh digits read by three separable layers after a 1 x 1 one; control: 1 x 1 convolutions alone",
        "zh": "一层 1×1 卷积后接三层可分离卷积，读对新数字的比例；对照：只有 1×1 卷积",
    },
    "trained full_lead <= 0.03 < pointwise_lead": {
        "en": "how much better full convolutions of as many channels read; control: their lead over 1 x 1 alone",
        "zh": "通道数相同的普通卷积的准确率高出多少；对照：其相对只有 1×1 卷积时高出多少",
    },
    "parity net_gap <= 1e-10 < flipped_gap": {
        "en": "gap of outputs and gradients to full convolutions of composed kernels (f64); control: flipped",
        "zh": "输出与梯度同用合成卷积核的普通卷积的差距（f64）；对照：卷积核翻转",
    },
    "parity cost_gap <= 0 < full_cost_gap": {
        "en": "largest gap of k k c_in + c_in c_out to the parameters and multiply-adds that PyTorch counts; control: "
        "the formula of a full convolution",
        "zh": "公式 k k c_in + c_in c_out 与 PyTorch 所计参数量、乘加次数的最大差距；对照：普通卷积的公式",
    },
    "parity known_digits <= 0 < known_digits_planted": {
        "en": "test images that are among the training images; control: the training images themselves",
        "zh": "出现在训练集中的测试图像数；对照：训练图像自身",
    },
}
ZH = {
    "cross-entropy in training": "训练时的交叉熵",
    "separable": "可分离",
    "full": "普通",
    "full, narrow": "普通，窄",
    "1 x 1 alone": "只有 1×1",
    "logistic regression": "逻辑回归",
    "a layer as a full one; in a column: multiples of one kernel": "一层写成普通卷积；同一列的卷积核成比例",
    "kernels": "卷积核",
    "a layer's cost, and what three read": "一层的开销，与三层的准确率",
    "layers": "层",
    "channels": "通道数",
    "parameters": "参数量",
    "multiply-adds": "乘加次数",
    "fresh digits, %": "新数字（%）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
