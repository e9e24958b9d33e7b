"""CNN — one small kernel, slid over the image, finds a digit wherever it stands.

Real 8x8 digits are laid at random places on a blank 14x14 canvas. A convolutional network and a dense network
(MLP) with five times its parameters train on the same 1200 canvases until both know them by heart; the test
is 597 other digits. The CNN is a small relative of LeNet: convolution and pooling, twice, then a dense layer.

Claim:  the CNN reads fresh digits; the MLP, as perfect on its training set, reads far fewer. The hand-written
        layers are PyTorch's; a convolution commutes with a shift of its input, a dense layer does not.
Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to Document Recognition,
        Proceedings of the IEEE, 1998 (LeNet-5)
Run:    python kb/demos/cnn.py --device cpu --seed 0 --steps 700
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "A CNN reads digits wherever they stand", "zh": "CNN 能认出任意位置上的数字"}
CPU_SECONDS = 5
CLAIMS = {
    "trained cnn_accuracy >= 0.855 > mlp_accuracy": {
        "en": "accuracy on fresh digits at random places; the control is an MLP just as perfect in training",
        "zh": "随机位置上新数字的准确率；对照为训练集上同样近乎全对的 MLP",
    },
    "parity conv_gap <= 1e-5 < flipped_conv_gap": {
        "en": "largest gap between the hand-written layer and F.conv2d; the control flips the kernel",
        "zh": "手写卷积层与 F.conv2d 的最大差距；对照翻转了卷积核",
    },
    "parity pool_gap <= 1e-5 < mean_pool_gap": {
        "en": "largest gap between the hand-written pooling and F.max_pool2d; the control takes means",
        "zh": "手写池化与 F.max_pool2d 的最大差距；对照取平均值",
    },
    "parity shift_gap <= 1e-5 < dense_shift_gap": {
        "en": "convolving a shifted digit against shifting the convolved one; the control is a dense layer",
        "zh": "先平移再卷积与先卷积再平移的最大差距；对照为全连接层",
    },
}

CANVAS, TRAIN, BATCH = 14, 1200, 32


class Conv(nn.Module):
    """One dense layer, applied to every patch: the weights are shared between all places."""

    def __init__(self, c_in: int, c_out: int, size: int = 3) -> None:
        super().__init__()
        self.size, self.kernel = size, nn.Linear(size * size * c_in, c_out)

    def forward(self, x: Tensor) -> Tensor:  # (B, H, W, c_in) -> (B, H-size+1, W-size+1, c_out)
        height, width = x.shape[1] - self.size + 1, x.shape[2] - self.size + 1
        offsets = [(i, j) for i in range(self.size) for j in range(self.size)]
        patches = torch.cat([x[:, i : i + height, j : j + width] for i, j in offsets], -1)
        return self.kernel(patches)


class MaxPool(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:  # (B, H, W, C) -> (B, H/size, W/size, C)
        return x.unflatten(1, (-1, self.size)).unflatten(3, (-1, self.size)).amax((2, 4))


def canvases(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """All digits in a random order, each at a random place: (1797, 14, 14, 1), (1797,)."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=generator)
    images = torch.from_numpy(digits.images).float()[order] / 16
    canvas = torch.zeros(len(images), CANVAS, CANVAS, 1)
    places = torch.randint(0, CANVAS - 7, (len(images), 2), generator=generator).tolist()
    for n, (row, column) in enumerate(places):
        canvas[n, row : row + 8, column : column + 8, 0] = images[n]
    return canvas, torch.from_numpy(digits.target)[order]


def parity(conv: Conv, x: Tensor) -> dict[str, float]:
    """Gaps of the layers from PyTorch's, and from commuting with a shift; `x` has a blank border of 3."""

    def gap(a: Tensor, b: Tensor) -> float:
        return float((a - b).abs().max())

    first = x.movedim(-1, 1)  # (B, H, W, C) -> (B, C, H, W), PyTorch's order
    weight = conv.kernel.weight.unflatten(1, (conv.size, conv.size, -1)).movedim(-1, 1)
    y, bias = conv(x), conv.kernel.bias
    theirs, flipped = (F.conv2d(first, w, bias).movedim(1, -1) for w in (weight, weight.flip(2, 3)))
    pooled, means = (pool(y.movedim(-1, 1), 2).movedim(1, -1) for pool in (F.max_pool2d, F.avg_pool2d))
    dense = nn.Sequential(nn.Flatten(), nn.Linear(CANVAS**2, 12 * 12), nn.Unflatten(1, (12, 12)))
    return {
        "conv_gap": gap(y, theirs),
        "flipped_conv_gap": gap(y, flipped),
        "pool_gap": gap(MaxPool(2)(y), pooled),
        "mean_pool_gap": gap(MaxPool(2)(y), means),
        "shift_gap": gap(conv(x.roll(1, 2)), y.roll(1, 2)),
        "dense_shift_gap": gap(dense(x.roll(1, 2)), dense(x).roll(1, 2)),
    }


def run(device="cpu", seed=0, steps=700):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    x, y = (t.to(device) for t in canvases(data))
    nets = {
        "CNN": nn.Sequential(
            *(Conv(1, 16), nn.ReLU(), MaxPool(2)),  # 14 -> 12 -> 6
            *(Conv(16, 48), nn.ReLU(), MaxPool(4)),  # 6 -> 4 -> 1: seen anywhere is enough
            *(nn.Flatten(), nn.Linear(48, 10)),
        ).to(device),
        "MLP": nn.Sequential(
            *(nn.Flatten(), nn.Linear(CANVAS**2, 128), nn.ReLU()),
            *(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)),
        ).to(device),
    }
    rates = {"CNN": 6e-3, "MLP": 3e-3}  # what suits each
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
        if step % 20 == 19 or step == steps - 1:
            yield (step + 1) / steps, losses

    with torch.no_grad():
        answers = {name: net(x).argmax(1) for name, net in nets.items()}
        right = {name: (answer == y).float() for name, answer in answers.items()}
        centred = torch.zeros(16, CANVAS, CANVAS, 1)
        centred[:, 3:11, 3:11, 0] = torch.from_numpy(load_digits().images[:16]) / 16
        gaps = parity(nets["CNN"][0].cpu(), centred)  # on the CPU: CUDA's convolutions round to TF32
    shown = range(TRAIN, TRAIN + 12)
    measured = {
        "cnn_accuracy": right["CNN"][TRAIN:].mean().item(),
        "mlp_accuracy": right["MLP"][TRAIN:].mean().item(),
        "cnn_training_accuracy": right["CNN"][:TRAIN].mean().item(),
        "mlp_training_accuracy": right["MLP"][:TRAIN].mean().item(),
        "cnn_parameters": float(sum(p.numel() for p in nets["CNN"].parameters())),
        "mlp_parameters": float(sum(p.numel() for p in nets["MLP"].parameters())),
        **gaps,
    }
    return measured, {
        "fresh digits, and what each network reads": {
            "kind": "images",
            "zh": "新数字与两个网络的答案",
            "images": [x[n, :, :, 0].cpu() for n in shown],
            "titles": [f"CNN {int(answers['CNN'][n])}, MLP {int(answers['MLP'][n])}" for n in shown],
            "columns": 6,
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
