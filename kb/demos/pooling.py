"""Pooling — of each small window only the maximum or mean is kept; the map shrinks and small shifts matter less.

Digits are learned in the middle of a canvas and then moved by a pixel: up, down, left and right. All nets are one
convolution and one dense layer, trained alike; between the two, one takes the maximum of every
4 x 4 window, one its mean, one (strided) the value at one place of it, and one hands on the whole map. The better of
the last two is the control. Pooling a whole map to one number forgets the place entirely.

Needs:  torch, scikit-learn
Source: Y. LeCun et al., Handwritten Digit Recognition with a Back-Propagation Network, NIPS 1989 (averaging);
        D. Scherer, A. Müller, S. Behnke, Evaluation of Pooling Operations in Convolutional Architectures for Object
        Recognition, ICANN 2010 (maximum); M. Lin, Q. Chen, S. Yan, Network in Network, ICLR 2014 (global average)
"""

import copy
import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN, BATCH, CHANNELS, WINDOW, MAP, RATE = 1000, 64, 24, 4, 12, 3e-2

# %% the concept


def windows(x: Tensor, size: int, stride: int, padding: int = 0, fill: float = 0.0) -> Tensor:
    """(B, C, H, W) -> (B, C, H', W', size * size), H' = floor((H + 2 padding - size) / stride) + 1."""
    x = F.pad(x, (padding,) * 4, value=fill)
    return x.unfold(2, size, stride).unfold(3, size, stride).flatten(-2)


def max_pool(x: Tensor, size: int, stride: int | None = None, padding: int = 0) -> Tensor:
    return windows(x, size, stride or size, padding, -math.inf).amax(-1)  # y = max of a window: the place is lost


def mean_pool(x: Tensor, size: int, stride: int | None = None, padding: int = 0) -> Tensor:
    return windows(x, size, stride or size, padding).mean(-1)  # y = sum / size^2: a blurred map, sampled


def global_mean(x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C)
    return x.mean((2, 3))  # one number a channel, whatever the size of the map


# %% its control


def strided(x: Tensor, size: int) -> Tensor:
    """Of each window the value at one place: as small a map, at no cost."""
    return x[:, :, size // 2 :: size, size // 2 :: size]


# %% the experiment

POOLS = {
    "maximum": lambda x: max_pool(x, WINDOW),
    "mean": lambda x: mean_pool(x, WINDOW),
    "strided": lambda x: strided(x, WINDOW),
    "no pooling": lambda x: x,
}
LAYERS = {
    "maximum": nn.MaxPool2d(WINDOW),
    "mean": nn.AvgPool2d(WINDOW),
    "strided": nn.Sequential(nn.ZeroPad2d((-(WINDOW // 2), 0, -(WINDOW // 2), 0)), nn.MaxPool2d(1, WINDOW)),
    "no pooling": nn.Identity(),
}
SHIFTS = ((1, 2), (-1, 2), (1, 3), (-1, 3))


class Net(nn.Module):
    def __init__(self, pool: str) -> None:
        super().__init__()
        self.pool, side = pool, MAP if pool == "no pooling" else MAP // WINDOW
        self.conv, self.head = nn.Conv2d(1, CHANNELS, 3), nn.Linear(CHANNELS * side**2, 10)

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, 14, 14) -> (B, 10)
        return self.head(POOLS[self.pool](self.conv(x).relu()).flatten(1))


def difference(pairs: list[tuple[Tensor, list[Tensor]]]) -> float:
    """The largest between two outputs, and between the gradients of a weighted sum of each."""
    found = []
    for y, leaves in pairs:
        weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
        found.append([y.detach(), *torch.autograd.grad((y * weights).sum(), leaves, materialize_grads=True)])
    if any(a.shape != b.shape for a, b in zip(*found, strict=True)):
        return math.inf
    return max(float((a - b).abs().max()) for a, b in zip(*found, strict=True))


def pool_gap(pool, theirs, x: Tensor) -> float:
    """Of ours from PyTorch's: apart, overlapping, with a border; f64."""
    gaps = []
    for size, stride, padding in ((2, 2, 0), (4, 4, 0), (3, 2, 1), (3, 1, 1), (5, 3, 2)):
        mine, yours = x.clone().requires_grad_(), x.clone().requires_grad_()
        both = (pool(mine, size, stride, padding), [mine]), (theirs(yours, size, stride, padding), [yours])
        gaps.append(difference(list(both)))
    return max(gaps)


def net_gap(net: Net, x: Tensor, layer: nn.Module) -> float:
    """Of the trained net from one of torch.nn with the same weights, in outputs and all gradients; f64."""
    net = copy.deepcopy(net).cpu().double()
    twin = nn.Sequential(copy.deepcopy(net.conv), nn.ReLU(), layer, nn.Flatten(), copy.deepcopy(net.head))
    mine, yours = x.clone().requires_grad_(), x.clone().requires_grad_()
    return difference([(net(mine), [mine, *net.parameters()]), (twin(yours), [yours, *twin.parameters()])])


def global_gap(x: Tensor, pool) -> float:
    """How much moving a map around changes what it is pooled to."""
    return max(float((pool(x) - pool(x.roll(s, (2, 3)))).abs().max()) for s in ((1, 0), (0, 1), (5, 3)))


def run(device="cpu", seed=0, steps=250):
    torch.manual_seed(3 * seed)  # weights, training data and checks: three streams
    data, checks = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    loaded = load_digits()
    digits, names = torch.from_numpy(loaded.images).float()[:, None] / 16, torch.from_numpy(loaded.target)
    digits, order = F.pad(digits, (3, 3, 3, 3)), torch.randperm(len(digits), generator=data)  # (n, 1, 14, 14)
    known, fresh = order[:TRAIN], order[TRAIN:]
    x, y, x_test, y_test = (t.to(device) for t in (digits[known], names[known], digits[fresh], names[fresh]))
    nets = {name: Net(name).to(device) for name in POOLS}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        rows, losses = torch.randint(TRAIN, (BATCH,), generator=data).to(device), {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            loss = F.cross_entropy(net(x[rows]), y[rows])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    seen = {image.numpy().tobytes() for image in digits[known]}
    shared = [sum(image.numpy().tobytes() in seen for image in part.cpu()) for part in (x_test, x[:9])]

    def right(net: Net, images: Tensor) -> float:
        with torch.no_grad():
            return (net(images).argmax(1) == y_test).float().mean().item()

    centred = {name: right(net, x_test) for name, net in nets.items()}
    moved = {name: sum(right(net, x_test.roll(s, d)) for s, d in SHIFTS) / len(SHIFTS) for name, net in nets.items()}
    noise = torch.randn(2, 3, 12, 12, generator=checks, dtype=torch.float64)
    some = torch.rand(6, 1, 14, 14, generator=checks, dtype=torch.float64)
    heads = {name: net.head.in_features for name, net in nets.items()}
    with torch.no_grad():
        two = torch.stack([x_test[0], x_test[0].roll(1, 2)])
        maps = nets["maximum"].conv(two).relu()
        best = maps[0].amax((1, 2)).argmax()  # the feature that answers most
        rows_of_maps = [m[:, best].cpu() for m in (maps, max_pool(maps, WINDOW), mean_pool(maps, WINDOW))]
    shown = [(two[k, 0].cpu(), *(m[k] for m in rows_of_maps)) for k in (0, 1)]
    return {
        "moved_accuracy": moved["maximum"],
        "unpooled_moved_accuracy": max(moved["strided"], moved["no pooling"]),
        "mean_moved_accuracy": moved["mean"],
        "strided_moved_accuracy": moved["strided"],
        "least_centred_accuracy": min(centred["maximum"], centred["no pooling"]),
        "known_digits": shared[0],
        "known_digits_planted": shared[1],
        "values_kept": heads["maximum"] / heads["no pooling"],
        "all_values": 1.0,
        "max_gap": pool_gap(max_pool, F.max_pool2d, noise),
        "mean_gap": pool_gap(mean_pool, F.avg_pool2d, noise),
        "swapped_gap": pool_gap(max_pool, F.avg_pool2d, noise),
        "net_gap": max(net_gap(nets[name], some, layer) for name, layer in LAYERS.items()),
        "other_net_gap": net_gap(nets["maximum"], some, nn.AvgPool2d(WINDOW)),
        "global_gap": global_gap(noise, global_mean),
        "window_gap": global_gap(noise, lambda maps: max_pool(maps, WINDOW)),
    }, {
        "a digit, and moved right by a pixel: one map of it, pooled": {
            "kind": "images",
            "images": [image / image.max() for row in shown for image in row],
            "titles": ["digit", "map", "max", "avg", "moved", "map", "max", "avg"],
            "columns": 4,
        },
        "accuracy on fresh digits": {
            "kind": "table",
            "columns": ["between the layers", "in the middle", "moved by a pixel", "values handed on"],
            "rows": [[name, centred[name], moved[name], heads[name]] for name in POOLS],
        },
    }


# %% what is claimed

TITLE = {"en": "Pooling shrinks the map and tolerates small shifts", "zh": "池化缩小特征图，并容忍小幅平移"}
CURVES = "cross-entropy"
CPU_SECONDS = 3
CLAIMS = {
    "trained moved_accuracy >= 0.62 > unpooled_moved_accuracy >= 0.4": {
        "en": "accuracy with maximum pooling on fresh digits moved by a pixel, mean of four directions; the control: "
        "without pooling or strided, whichever is better",
        "zh": "最大池化的网络在平移一个像素的新数字上的准确率，取四个方向的平均；对照为不池化或只按步幅取值，取较好者",
    },
    "trained least_centred_accuracy >= 0.94 > unpooled_moved_accuracy": {
        "en": "accuracy in the middle, with maximum pooling or without, whichever is worse; the control: once more "
        "the best without pooling when moved",
        "zh": "数字在正中时的准确率，取最大池化与不池化中较差者；对照仍为平移后不池化的最好成绩",
    },
    "parity known_digits <= 0 < known_digits_planted": {
        "en": "test digits that stand among the training digits; the control counts nine training digits",
        "zh": "测试数字中同时出现在训练集里的个数；对照数九个训练数字",
    },
    "parity values_kept <= 0.0625 < all_values": {
        "en": "share of the map's values that a 4 x 4 pooling hands on; the control hands on all",
        "zh": "4 x 4 池化后保留的数值占特征图的比例；对照全部保留",
    },
    "parity max_gap <= 1e-10 < swapped_gap": {
        "en": "largest gap of outputs and gradients to F.max_pool2d at five sizes, strides and paddings (f64); the "
        "control is F.avg_pool2d",
        "zh": "在五组窗口、步幅和填充下，输出与梯度同 F.max_pool2d 的最大差距（f64）；对照为 F.avg_pool2d",
    },
    "parity mean_gap <= 1e-10 < swapped_gap": {
        "en": "the same for the mean and F.avg_pool2d; the control compares it with the maximum",
        "zh": "平均池化与 F.avg_pool2d 的同一差距；对照与最大池化相比",
    },
    "parity net_gap <= 1e-10 < other_net_gap": {
        "en": "largest gap of the four trained nets to torch.nn in outputs and all gradients (f64); the control "
        "confuses maximum and mean",
        "zh": "训练后的四个网络同 torch.nn 在输出与全部梯度上的最大差距（f64）；对照混用了最大与平均池化",
    },
    "parity global_gap <= 1e-10 < window_gap": {
        "en": "change of the global mean when a map is moved around (what leaves at one side enters at the other); the "
        "control takes the maximum of 4 x 4 windows",
        "zh": "循环平移特征图（一侧移出、另一侧移入）时全局平均的变化；对照为 4 x 4 窗口的最大池化",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "maximum": "最大池化",
    "mean": "平均池化",
    "strided": "按步幅取值",
    "no pooling": "不池化",
    "a digit, and moved right by a pixel: one map of it, pooled": "一个数字与它右移一个像素后：一张特征图及其池化结果",
    "digit": "数字",
    "map": "特征图",
    "moved": "平移后",
    "accuracy on fresh digits": "新数字上的准确率",
    "between the layers": "两层之间",
    "in the middle": "在正中",
    "moved by a pixel": "平移一个像素",
    "values handed on": "传下去的数值个数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
