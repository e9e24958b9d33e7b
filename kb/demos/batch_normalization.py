"""Batch normalization — a deep net learns at a learning rate at which its plain twin does not.

Two ReLU nets of eight layers train on 8x8 digits at several learning rates: same initial weights, same mini-batches,
plain SGD. One standardizes every hidden unit over the mini-batch (train mode) and keeps running averages of mean and
variance. In eval mode these stand in for the batch, so that a prediction does not depend on the neighbours of its
example: batches of one class are read as well as mixed ones in eval mode, but about at chance in train mode. At a small
rate the plain net learns too. The paper explains the effect by a smaller internal covariate shift; that is disputed and
not tested here.

Needs:  torch, scikit-learn
Source: S. Ioffe, C. Szegedy, Batch Normalization: Accelerating Deep Network Training by Reducing Internal
        Covariate Shift, ICML 2015; S. Santurkar et al., How Does Batch Normalization Help Optimization?, 2018
"""

import copy
from itertools import product

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

LAYERS, WIDTH, TRAIN, BATCH, RATES = 8, 64, 1300, 64, (0.1, 0.3, 1.0, 2.0)

# %% the concept


class BatchNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:  # (B, D) -> (B, D)
        mean, var = self.mean, self.var
        if self.training:
            mean = x.mean(0)
            var = ((x - mean) ** 2).mean(0)  # divides by B; the running average keeps the one over B - 1
            with torch.no_grad():
                self.mean.lerp_(mean, 0.1)
                self.var.lerp_(var * len(x) / (len(x) - 1), 0.1)
        return (x - mean) / (var + 1e-5).sqrt() * self.gain + self.shift  # gain, shift: any scale can be had back


def network(normalize: bool) -> nn.Sequential:  # (B, 64) -> (B, 10)
    net = nn.Sequential()
    for _ in range(LAYERS - 1):
        net.append(nn.Linear(WIDTH, WIDTH))  # 64 pixels in, 64 units
        nn.init.kaiming_normal_(net[-1].weight, nonlinearity="relu")  # fair to plain: keeps the scale
        nn.init.zeros_(net[-1].bias)
        if normalize:
            net.append(BatchNorm(WIDTH))
        net.append(nn.ReLU())
    return net.append(nn.Linear(WIDTH, 10))


# %% the experiment


def gap_to_torch(net: nn.Module, x: Tensor, momentum: float) -> float:
    """Largest gap of a trained net to one of nn.BatchNorm1d, in training and in use (f64).

    Outputs, gradients of inputs and parameters, and running averages.
    """
    mine, twin = network(True).double(), nn.Sequential()
    mine.load_state_dict(net.state_dict())
    for layer in mine:
        twin.append(nn.BatchNorm1d(WIDTH, momentum=momentum).double() if isinstance(layer, BatchNorm) else layer)
        if isinstance(layer, BatchNorm):
            held = {"weight": layer.gain, "bias": layer.shift, "running_mean": layer.mean, "running_var": layer.var}
            twin[-1].load_state_dict(held, strict=False)
    leaf, gaps = x.cpu().double().requires_grad_(), []
    weighted = torch.linspace(-1, 1, 10, dtype=torch.float64)
    for training in (True, False):
        seen = []
        for model in (mine, twin):
            model.train(training)
            output = model(leaf)
            gradients = torch.autograd.grad((output * weighted).sum(), [leaf, *model.parameters()])
            averages = [b.clone() for name, b in model.named_buffers() if not name.endswith("tracked")]
            seen.append([output, *gradients, *averages])
        gaps += [(a - b).abs().max().item() for a, b in zip(*seen, strict=True)]
    return max(gaps)


@torch.no_grad()
def by_neighbours(net: nn.Module, x: Tensor, size: int, training: bool, generator: torch.Generator) -> float:
    """Change of an image's logits when the rest of its batch is drawn anew, as a share; over 16 images, f64."""
    net, x = copy.deepcopy(net).cpu().double().train(training), x.cpu().double()
    pairs = []
    for i in range(16):
        both = [torch.cat([x[i : i + 1], x[torch.randperm(len(x), generator=generator)[: size - 1]]]) for _ in (0, 1)]
        pairs.append(torch.stack([net(batch)[0] for batch in both]))
    before, after = torch.stack(pairs, 1)
    return float((after - before).norm() / before.norm())


def shared(rows: Tensor, others: Tensor) -> int:
    """How many of some images are among others."""
    return len(set(map(tuple, rows.tolist())) & set(map(tuple, others.tolist())))


def run(device="cpu", seed=0, steps=150):
    data, batches = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    x = torch.tensor(digits.data).float()[order].to(device) / 16
    y = torch.tensor(digits.target)[order].to(device)
    x, y, x_test, y_test = x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]
    nets = {}
    for name, rate in product(("BN", "plain"), RATES):
        torch.manual_seed(3 * seed)
        nets[name, rate] = network(name == "BN").to(device)

    def accuracy(net: nn.Module, train_mode: bool = False, by_class: bool = False) -> float:
        groups = [y_test == c for c in range(10)] if by_class else [torch.ones_like(y_test, dtype=torch.bool)]
        net = copy.deepcopy(net).train(train_mode)  # its running averages see no test image
        with torch.no_grad():
            right = sum((net(x_test[rows]).argmax(1) == y_test[rows]).sum() for rows in groups)
        return float(right) / len(y_test)

    for step in range(steps):
        rows = torch.randint(len(x), (BATCH,), generator=batches).to(device)
        decay = min(1.0, 2 - 2 * step / steps)  # at the end the running averages are of a net that rests
        for (_, rate), net in nets.items():
            gradients = torch.autograd.grad(F.cross_entropy(net(x[rows]), y[rows]), list(net.parameters()))
            with torch.no_grad():
                for p, g in zip(net.parameters(), gradients, strict=True):
                    p -= decay * rate * g
        if step % 5 == 4 or step == steps - 1:
            large = {f"{name}, rate {RATES[-1]:g}": accuracy(nets[name, RATES[-1]]) for name in ("BN", "plain")}
            yield (step + 1) / steps, large

    deep = nets["BN", RATES[-1]]
    by_rate = {name: [accuracy(nets[name, rate]) for rate in RATES] for name in ("BN", "plain")}
    sizes, modes = [2, 4, 8, 16, 32, 64, 128], {"BN, in training": True, "BN, in use": False}
    changes = {name: [by_neighbours(deep, x_test, n, mode, batches) for n in sizes] for name, mode in modes.items()}
    gaps = [gap_to_torch(deep, x[:BATCH], momentum) for momentum in (0.1, 0.2)]
    return {
        "bn_accuracy": by_rate["BN"][-1],
        "plain_accuracy": by_rate["plain"][-1],
        "plain_small_accuracy": max(by_rate["plain"][:-1]),
        "use_change": max(changes["BN, in use"]),
        "training_change": min(changes["BN, in training"]),
        "eval_accuracy": accuracy(deep, by_class=True),
        "train_mode_accuracy": accuracy(deep, train_mode=True, by_class=True),
        "net_gap": gaps[0],
        "faster_gap": gaps[1],
        "shared_images": shared(x_test, x),
        "own_images": shared(x_test, x_test),
    }, {
        "test accuracy by learning rate": {
            "kind": "lines",
            "series": {name: (RATES, held) for name, held in by_rate.items()},
            "x": "learning rate",
            "y": "test accuracy",
            "log": "x",
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

TITLE = {"en": "Batch normalization permits large learning rates", "zh": "批归一化与它所允许的大学习率"}
CURVES = "test accuracy"
COMMON = "change of a row's output over batch size"
CPU_SECONDS = 4
CLAIMS = {
    "trained bn_accuracy >= 0.93 > plain_accuracy": {
        "en": "test accuracy after training at rate 2; the control is the net without normalization",
        "zh": "以学习率 2 训练后的测试准确率；对照为去掉批归一化的同一网络",
    },
    "trained eval_accuracy >= 0.93 > train_mode_accuracy": {
        "en": "accuracy on batches of one class in eval mode; the control leaves the net in train mode",
        "zh": "评估模式下对单一类别批次的准确率；对照为仍处于训练模式的同一网络",
    },
    "trained plain_small_accuracy >= 0.85 > plain_accuracy": {
        "en": "test accuracy of the plain net at the smaller rate that is best on the test; control: its own at rate 2",
        "zh": "普通网络在较小学习率（取测试集上最好者）下的测试准确率；对照为它在学习率 2 下的准确率",
    },
    "parity net_gap <= 1e-10 < faster_gap": {
        "en": "trained net against one of nn.BatchNorm1d: outputs, gradients, averages (f64); control: momentum 0.2",
        "zh": "训练好的网络与换用 nn.BatchNorm1d 的同一网络在输出、梯度和滑动平均上的差距（f64）；对照的动量为 0.2",
    },
    "parity use_change <= 1e-10 < training_change": {
        "en": "largest change of images' outputs when the rest of the batch is drawn anew, 7 sizes, eval mode, "
        "relative (f64); control: train mode, at the size where it is smallest",
        "zh": "评估模式下重新抽取同批的其余图像后输出的最大相对变化（七种批大小，f64）；"
        "对照：训练模式下变化最小的批大小",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images that are among the training images; the control counts those among the test images",
        "zh": "同时出现在训练集中的测试图像数；对照数的是测试集自身中的图像",
    },
}
ZH = {
    "test accuracy": "测试准确率",
    "BN, rate 2": "BN，学习率 2",
    "plain, rate 2": "普通网络，学习率 2",
    "plain": "普通网络",
    "test accuracy by learning rate": "测试准确率随学习率的变化",
    "learning rate": "学习率",
    "change of a row's output over batch size": "重新抽取同批图像后输出的变化（按批大小）",
    "images in the batch": "批中的图像数",
    "change, relative to the output": "相对于输出的变化",
    "BN, in training": "BN，训练时",
    "BN, in use": "BN，推理时",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
