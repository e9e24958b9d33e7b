"""ResNet — a deeper plain network trains worse; adding the input of each block to its output undoes that.

Three batch-normalized networks read 8x8 digits: 5 plain convolutions, 25 plain ones, and the same 25 with
residual connections, which have no parameters. After the same steps the deep plain network fits its own training
set worse than the shallow one: that is degradation, not overfitting. Nor is it a vanishing gradient: batch
normalization keeps the gradient of the first layer alive, as the authors found too. It is slowness, not inability:
with --steps 600 the 25 plain layers come most of the way. (On the test digits of so small a task 25 residual
layers are about as good as 5 plain ones.)

Needs:  torch, scikit-learn
Source: K. He, X. Zhang, S. Ren, J. Sun, Deep Residual Learning for Image Recognition, CVPR 2016; zero scale:
        P. Goyal et al., Accurate, Large Minibatch SGD, 2017
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, TRAIN, BATCH, RATE = 12, 1200, 64, 0.05

# %% the concept


class Block(nn.Module):
    def __init__(self, residual: bool, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        self.residual = residual
        self.branch = nn.Sequential(
            *(nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), norm(WIDTH), nn.ReLU()),
            *(nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), norm(WIDTH)),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, WIDTH, H, W) -> (B, WIDTH, H, W)
        if self.residual:
            return (x + self.branch(x)).relu()  # y = relu(x + F(x)): the branch learns what to add to its input
        return self.branch(x).relu()  # the control: y = relu(F(x))


def network(blocks: int, residual: bool, norm: type[nn.Module] = nn.BatchNorm2d) -> nn.Sequential:
    """A first convolution and `blocks` blocks of two: 1 + 2 * blocks convolutions."""
    return nn.Sequential(
        *(nn.Conv2d(1, WIDTH, 3, stride=2, padding=1, bias=False), norm(WIDTH), nn.ReLU()),  # 8 -> 4
        *(Block(residual, norm) for _ in range(blocks)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, 10)),
    )


# %% the experiment


def by_functions(net: nn.Sequential, x: Tensor, shortcut: bool) -> Tensor:
    """The residual network again, of torch's functions, with the weights of `net`."""

    def normed(x: Tensor, conv: nn.Module, norm: nn.Module, stride: int = 1) -> Tensor:
        x = F.conv2d(x, conv.weight, stride=stride, padding=1)
        averages = norm.running_mean.clone(), norm.running_var.clone()
        return F.batch_norm(x, *averages, norm.weight, norm.bias, net.training)

    x = F.relu(normed(x, *net[:2], stride=2))
    for block in net[3:-3]:
        branch = normed(F.relu(normed(x, *block.branch[:2])), *block.branch[3:])
        x = F.relu(torch.add(x, branch) if shortcut else branch)
    return F.linear(x.mean((2, 3)), net[-1].weight, net[-1].bias)


def net_gap(net: nn.Sequential, x: Tensor, shortcut: bool) -> float:
    """Largest gap to the network of functions, in training and in use, in outputs and gradients (f64)."""
    net, leaf, gaps = copy.deepcopy(net).cpu().double(), x.cpu().double().requires_grad_(), []
    weighted = torch.linspace(-1, 1, 10, dtype=torch.float64)
    for training in (True, False):
        net.train(training)
        outputs = by_functions(net, leaf, shortcut), net(leaf)
        seen = [(o, *torch.autograd.grad((o * weighted).sum(), [leaf, *net.parameters()])) for o in outputs]
        gaps += [(a - b).abs().max().item() for a, b in zip(*seen, strict=True)]
    return max(gaps)


def gradients(net: nn.Sequential, x: Tensor, y: Tensor) -> list[float]:
    """Norm of the gradient of each convolution, from the first to the last."""
    convolutions = [module.weight for module in net.modules() if isinstance(module, nn.Conv2d)]
    return [g.norm().item() for g in torch.autograd.grad(F.cross_entropy(net(x), y), convolutions)]


def identity_gap(block: Block, x: Tensor) -> float:
    """What a block whose last scale and shift are zero changes in an input that is not negative (f64)."""
    block = block.double()
    with torch.no_grad():
        block.branch[-1].weight.zero_()
        block.branch[-1].bias.zero_()
        return float((block(x) - x).abs().max())


def among(images: Tensor, others: Tensor) -> Tensor:  # (n, 1, 8, 8), (m, 1, 8, 8) -> (n,)
    """Which of some images are among others."""
    return torch.cdist(images.flatten(1), others.flatten(1), p=1).amin(1) == 0


@torch.no_grad()
def accuracy(net: nn.Sequential, images: Tensor, labels: Tensor, known: Tensor) -> float:
    """Share answered rightly; an image that was trained on counts as wrong."""
    return ((net(images).argmax(1) == labels) & ~among(images, known)).float().mean().item()


def run(device="cpu", seed=0, steps=120):
    data, batches, chance = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=data)
    x = (torch.tensor(digits.images).float()[order, None] / 16).to(device)  # (1797, 1, 8, 8)
    y = torch.tensor(digits.target)[order].to(device)
    x, y, x_test, y_test = x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]

    plans = {
        "5 plain": (2, False, nn.BatchNorm2d),
        "25 plain": (12, False, nn.BatchNorm2d),
        "25 residual": (12, True, nn.BatchNorm2d),
        "25 plain, not normalized": (12, False, nn.Identity),
    }
    nets = {}
    for name, plan in plans.items():  # the deep ones start from the same weights
        torch.manual_seed(4 * seed)
        nets[name] = network(*plan).to(device)
    sizes = {name: gradients(copy.deepcopy(net), x[:BATCH], y[:BATCH]) for name, net in nets.items()}
    del nets["25 plain, not normalized"]
    optimizers = {name: torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9) for name, net in nets.items()}
    for step in range(steps):
        rows = torch.randint(0, len(x), (BATCH,), generator=batches).to(device)
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1.0, 2 - 2 * step / steps)
            loss = F.cross_entropy(net(x[rows]), y[rows])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    gaps = [net_gap(nets["25 residual"], x[:16], shortcut) for shortcut in (True, False)]
    features = torch.rand(8, WIDTH, 4, 4, generator=chance, dtype=torch.float64)  # like a ReLU's output
    with torch.no_grad():
        fit = {name: F.cross_entropy(net.eval()(x), y).item() for name, net in nets.items()}
    right = {name: accuracy(net, x_test, y_test, known=x) for name, net in nets.items()}
    return {
        "residual_loss": fit["25 residual"],
        "shallow_loss": fit["5 plain"],
        "plain_loss": fit["25 plain"],
        "plain_gradient": sizes["25 plain"][0],
        "unnormalized_gradient": sizes["25 plain, not normalized"][0],
        "identity_gap": identity_gap(Block(True), features),
        "plain_identity_gap": identity_gap(Block(False), features),
        "residual_accuracy": right["25 residual"],
        "plain_accuracy": right["25 plain"],
        "net_gap": gaps[0],
        "no_shortcut_gap": gaps[1],
        "shared_images": int(among(x_test, x).sum()),
        "own_images": int(among(x_test, x_test).sum()),
    }, {
        "size of each layer's gradient before training": {
            "kind": "lines",
            "series": {name: (range(1, len(size) + 1), size) for name, size in sizes.items()},
            "x": "convolution",
            "y": "gradient",
            "log": "y",
        },
        "three trained networks": {
            "kind": "table",
            "columns": ["convolutions", "parameters", "training loss", "test accuracy"],
            "rows": [
                [name, str(sum(p.numel() for p in net.parameters())), fit[name], right[name]]
                for name, net in nets.items()
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "ResNet trains where a plain deep net degrades", "zh": "ResNet 在普通深层网络退化时仍能训练"}
CURVES = "training loss"
SCALE = ("WIDTH", "BATCH")
CPU_SECONDS = 5
CLAIMS = {
    "trained residual_loss <= 0.08 < plain_loss <= 2.2": {
        "en": "training loss of 25 residual layers; the control is the same network without the connections",
        "zh": "25 层残差网络的训练损失；对照为去掉残差连接的同一网络",
    },
    "trained shallow_loss <= 0.13 < plain_loss": {
        "en": "degradation: training loss of 5 plain layers; the control has 25 plain layers",
        "zh": "退化问题：5 层普通网络的训练损失；对照为 25 层普通网络",
    },
    "trained residual_accuracy >= 0.92 > plain_accuracy": {
        "en": "accuracy on test digits of 25 residual layers; the control is the network without the connections",
        "zh": "25 层残差网络在测试数字上的准确率；对照为去掉残差连接的同一网络",
    },
    "parity plain_gradient >= 1 > unnormalized_gradient": {
        "en": "gradient norm of the first of 25 plain layers, untrained; the control skips the normalization",
        "zh": "25 层普通网络训练开始时首层的梯度范数；对照去掉批归一化",
    },
    "parity identity_gap <= 1e-10 < plain_identity_gap": {
        "en": "a residual block of last scale and shift zero, against the identity; the control is a plain block",
        "zh": "末端缩放与平移为零的残差块与恒等映射的差距；对照没有残差连接",
    },
    "parity net_gap <= 1e-10 < no_shortcut_gap": {
        "en": "trained residual net against torch's functions, outputs and gradients (f64); control: no connections",
        "zh": "训练好的残差网络与用 torch 函数写成的同一网络在输出和梯度上的差距（f64）；对照没有残差连接",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images that are among the training images; the control counts those among the test images",
        "zh": "同时出现在训练集中的测试图像数；对照数的是测试集自身中的图像",
    },
}
ZH = {
    "training loss": "训练损失",
    "5 plain": "5 层普通",
    "25 plain": "25 层普通",
    "25 residual": "25 层残差",
    "25 plain, not normalized": "25 层普通，无归一化",
    "size of each layer's gradient before training": "训练前各层梯度的大小",
    "convolution": "第几个卷积",
    "gradient": "梯度",
    "three trained networks": "三个训练好的网络",
    "convolutions": "卷积层",
    "parameters": "参数量",
    "test accuracy": "测试准确率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
