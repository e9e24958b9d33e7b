"""CNN — small kernels, slid over the image, find a digit wherever it stands.

Real 8x8 digits are laid at random places on a blank 14x14 canvas. A convolutional network (a small relative of
LeNet: convolution and pooling, twice, then a dense layer) and a dense network (MLP) with over five times its
parameters train on the same 1200 canvases until both know nearly all by heart; the test is 597 other digits.

Needs:  torch, scikit-learn
Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to Document Recognition,
        Proceedings of the IEEE, 1998 (LeNet-5)
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

CANVAS, TRAIN, BATCH, RATE, MLP_RATE = 14, 1200, 32, 5e-3, 3e-3

# %% the concept


class Conv(nn.Module):
    """One dense layer, applied to every patch: the weights are shared between all places."""

    def __init__(self, c_in: int, c_out: int, size: int = 3) -> None:
        super().__init__()
        self.size, self.kernel = size, nn.Linear(size * size * c_in, c_out)

    def forward(self, x: Tensor) -> Tensor:  # (B, H, W, c_in) -> (B, H-size+1, W-size+1, c_out)
        height, width = x.shape[1] - self.size + 1, x.shape[2] - self.size + 1
        offsets = [(i, j) for i in range(self.size) for j in range(self.size)]
        patches = torch.cat([x[:, i : i + height, j : j + width] for i, j in offsets], -1)
        return self.kernel(patches)  # y[h, w, o] = b[o] + sum_ijc w[o, i, j, c] x[h + i, w + j, c]


def max_pool(x: Tensor, size: int) -> Tensor:  # (B, H, W, C) -> (B, H/size, W/size, C)
    return x.unflatten(1, (-1, size)).unflatten(3, (-1, size)).amax((2, 4))  # of every size x size block the largest


class CNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = Conv(1, 16), Conv(16, 48), nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:  # (B, 14, 14, 1) -> (B, 10)
        h = max_pool(self.first(x).relu(), 2)  # 14 -> 12 -> 6
        h = max_pool(self.second(h).relu(), 4)  # 6 -> 4 -> 1: seen anywhere is enough
        return self.head(h.flatten(1))


# %% its control


def mlp() -> nn.Sequential:
    """A weight of its own for every place."""
    layers = nn.Linear(CANVAS**2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    return nn.Sequential(nn.Flatten(), *layers)


# %% the experiment


def canvases(digits: Tensor, generator: torch.Generator) -> Tensor:
    """Each digit at a random place: (n, 8, 8) -> (n, CANVAS, CANVAS, 1)."""
    canvas = torch.zeros(len(digits), CANVAS, CANVAS, 1)
    places = torch.randint(0, CANVAS - 7, (len(digits), 2), generator=generator).tolist()
    for n, (row, column) in enumerate(places):
        canvas[n, row : row + 8, column : column + 8, 0] = digits[n]
    return canvas


def torch_layer(conv: Conv) -> nn.Conv2d:
    """nn.Conv2d of the same weights, f64."""
    weight = conv.kernel.weight.detach().unflatten(1, (conv.size, conv.size, -1)).movedim(-1, 1)  # (o, c, i, j)
    layer = nn.Conv2d(weight.shape[1], len(weight), conv.size).double()
    layer.weight.data, layer.bias.data = weight.double().contiguous(), conv.kernel.bias.detach().double()
    return layer


def gap(a: Tensor, b: Tensor) -> float:
    return (a - b).detach().abs().max().item()


def parity(net: CNN, x: Tensor) -> dict[str, float]:
    """Gaps from PyTorch and from commuting with a shift, f64; `x` (B, CANVAS, CANVAS, 1) has a blank border of 3."""
    first, second, head = torch_layer(net.first), torch_layer(net.second), nn.Linear(48, 10).double()
    head.load_state_dict(net.head.state_dict())
    net, pixels = net.double(), x.movedim(-1, 1)  # (B, 1, CANVAS, CANVAS), PyTorch's order
    noisy = x + torch.rand(x.shape, generator=torch.Generator().manual_seed(0))  # no two values tie for a maximum
    y, theirs = net.first(x), first(pixels).movedim(1, -1)
    flipped = F.conv2d(pixels, first.weight.flip(2, 3), first.bias).movedim(1, -1)
    pooled, means = (pool(y.movedim(-1, 1), 2).movedim(1, -1) for pool in (F.max_pool2d, F.avg_pool2d))
    dense = nn.Sequential(nn.Flatten(), nn.Linear(CANVAS**2, 12 * 12), nn.Unflatten(1, (12, 12))).double()
    gaps = {
        "conv_gap": gap(y, theirs),
        "flipped_conv_gap": gap(y, flipped),
        "pool_gap": gap(max_pool(y, 2), pooled),
        "mean_pool_gap": gap(max_pool(y, 2), means),
        "shift_gap": gap(net.first(x.roll(1, 2)), y.roll(1, 2)),
        "dense_shift_gap": gap(dense(x.roll(1, 2)), dense(x).roll(1, 2)),
    }
    for name, pool in {"net_gap": nn.MaxPool2d, "mean_pool_net_gap": nn.AvgPool2d}.items():
        twin = nn.Sequential(first, nn.ReLU(), pool(2), second, nn.ReLU(), pool(4), nn.Flatten(), head)
        sides = []
        for module, shown in ((net, noisy.clone()), (twin, noisy.movedim(-1, 1).clone())):
            answer = module(shown.requires_grad_())
            total = (answer * torch.linspace(-1, 1, 10, dtype=answer.dtype)).sum()
            sources = (shown, *module.parameters())
            grads = torch.autograd.grad(total, sources, materialize_grads=True)  # zeros where nothing flows
            sides.append([answer, *(grad.flatten() for grad in grads)])
        kernels = {2: 1, 4: 16}  # where the gradient of a kernel stands, in another order, and its channels in
        for k, c_in in kernels.items():
            sides[1][k] = sides[1][k].unflatten(0, (-1, c_in, 3, 3)).movedim(1, -1).flatten()
        gaps[name] = max(gap(a, b) for a, b in zip(*sides, strict=True))
    return gaps


Held = tuple[Tensor, Tensor, Tensor]  # canvases, their labels, and the digits that they show


def right(net: nn.Module, held: Held, known: Tensor) -> float:
    """Share of the canvases that are read rightly; one that shows a known digit counts as wrong."""
    x, y, digits = held
    fresh = ~(digits.flatten(1)[:, None] == known.flatten(1)).all(-1).any(1)
    with torch.no_grad():
        return ((net(x).argmax(1) == y).cpu() & fresh).float().mean().item()


def run(device="cpu", seed=0, steps=900):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    loaded = load_digits()
    digits, names = torch.from_numpy(loaded.images).float() / 16, torch.from_numpy(loaded.target)
    order = torch.randperm(len(digits), generator=data)
    known, fresh = order[:TRAIN], order[TRAIN:]

    def held(part: Tensor, generator: torch.Generator) -> Held:
        return canvases(digits[part], generator).to(device), names[part].to(device), digits[part]

    training, test = held(known, data), held(fresh, unseen)
    (x, y, trained_on), (x_test, y_test, _) = training, test
    nets = {"CNN": CNN().to(device), "MLP": mlp().to(device)}
    rates = {"CNN": RATE, "MLP": MLP_RATE}  # what suits each
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        rows = torch.randint(0, TRAIN, (BATCH,), generator=data).to(device)
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = rates[name] * min(1, 2 - 2 * step / steps)
            loss = F.cross_entropy(net(x[rows]), y[rows])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    sizes = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    read = {name: net(x_test[:8]).argmax(1).tolist() for name, net in nets.items()}
    scores = {
        "cnn_accuracy": right(nets["CNN"], test, trained_on),
        "mlp_accuracy": right(nets["MLP"], test, trained_on),
        "training_accuracy": min(right(net, training, known=trained_on[:0]) for net in nets.values()),
    }
    two = torch.zeros(2, CANVAS, CANVAS, 1)
    two[0, 2:10, 2:10, 0] = two[1, 4:12, 4:12, 0] = digits[fresh[0]]
    maps = nets["CNN"].first(two.to(device)).relu().detach().cpu()
    best = maps[..., maps[0].amax((0, 1)).argmax()]  # the feature that answers most: (2, 12, 12)
    centred = F.pad(digits[fresh[:16]], (3, 3, 3, 3))[..., None].double()
    measured = {
        **scores,
        "parameter_ratio": sizes["MLP"] / sizes["CNN"],
        **parity(nets["CNN"].cpu(), centred),
    }
    return measured, {
        "fresh digits: the truth, what the CNN reads, what the MLP reads": {
            "kind": "images",
            "images": [image[:, :, 0].cpu() for image in x_test[:8]],
            "titles": [f"{y}: {cnn}, {mlp}" for y, cnn, mlp in zip(y_test[:8].tolist(), *read.values(), strict=True)],
            "columns": 4,
        },
        "a digit at two places, and one feature map of each": {
            "kind": "images",
            "images": [two[0, :, :, 0], best[0] / best.max(), two[1, :, :, 0], best[1] / best.max()],
            "titles": ["digit", "its map", "moved", "its map"],
            "columns": 4,
        },
    }


# %% what is claimed

TITLE = {"en": "A CNN reads digits wherever they stand", "zh": "CNN 能认出任意位置上的数字"}
CURVES = "cross-entropy"
CPU_SECONDS = 4
CLAIMS = {
    "trained cnn_accuracy >= 0.925 > mlp_accuracy >= 0.6": {
        "en": "accuracy on fresh digits at random places; the control is an MLP just as perfect in training",
        "zh": "随机位置上新数字的准确率；对照为训练集上同样近乎全对的 MLP",
    },
    "trained training_accuracy >= 0.985 > mlp_accuracy": {
        "en": "accuracy on the training digits of the network that is worse there; control: the MLP on fresh ones",
        "zh": "训练数字上的准确率，取两个网络中较差者；对照是 MLP 在新数字上的准确率",
    },
    "constant parameter_ratio >= 5": {
        "en": "parameters of the MLP, as a multiple of the CNN's",
        "zh": "MLP 的参数量是 CNN 的几倍",
    },
    "parity conv_gap <= 1e-10 < flipped_conv_gap": {
        "en": "largest gap between the hand-written layer and F.conv2d; the control flips the kernel",
        "zh": "手写卷积层与 F.conv2d 的最大差距；对照翻转了卷积核",
    },
    "parity pool_gap <= 1e-10 < mean_pool_gap": {
        "en": "largest gap between the hand-written pooling and F.max_pool2d; the control takes means",
        "zh": "手写池化与 F.max_pool2d 的最大差距；对照取平均值",
    },
    "parity shift_gap <= 1e-10 < dense_shift_gap": {
        "en": "convolving a shifted digit against shifting the convolved one; the control is a dense layer",
        "zh": "先平移再卷积与先卷积再平移的最大差距；对照为全连接层",
    },
    "parity net_gap <= 1e-10 < mean_pool_net_gap": {
        "en": "largest gap of the whole trained network, answers and gradients, from one of torch.nn (f64); the "
        "control pools by means",
        "zh": "整个训练后的网络（输出与梯度）与 torch.nn 网络的最大差距（f64）；对照用平均池化",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "fresh digits: the truth, what the CNN reads, what the MLP reads": "新数字：真值，CNN 认作，MLP 认作",
    "a digit at two places, and one feature map of each": "两个位置上的同一数字，及各自的一张特征图",
    "digit": "数字",
    "its map": "特征图",
    "moved": "平移后",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
