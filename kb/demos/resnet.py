"""ResNet — a deeper plain network trains worse; adding the input of each block to its output undoes that.

Three batch-normalized networks read 8x8 digits: 5 plain convolutions, 25 plain ones, and the same 25 with
residual connections, which have no parameters. The deep plain network fits its own training set worse than
the shallow one: that is degradation, not overfitting. Nor is it a vanishing gradient: batch normalization
keeps the gradient of the first layer alive, as the authors found too. (On so small a task 25 residual layers
do not beat 5 plain ones.)

Claim:  after the same steps the training loss is small with residual connections and with 5 plain layers, and
        large with 25 plain layers, though the gradient of their first layer does not vanish; a block whose
        last scale is zero is the identity.
Source: K. He, X. Zhang, S. Ren, J. Sun, Deep Residual Learning for Image Recognition, CVPR 2016; zero scale:
        P. Goyal et al., Accurate, Large Minibatch SGD, 2017
Run:    python kb/demos/resnet.py --device cpu --seed 0 --steps 120
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "ResNet trains where a plain deep net degrades", "zh": "ResNet 在普通深层网络退化时仍能训练"}
CPU_SECONDS = 5
CLAIMS = {
    "trained residual_loss <= 0.55 < plain_loss": {
        "en": "training loss of 25 residual layers; the control is the same network without the connections",
        "zh": "25 层残差网络的训练损失；对照为去掉残差连接的同一网络",
    },
    "trained shallow_loss <= 0.5 < plain_loss": {
        "en": "degradation: training loss of 5 plain layers; the control has 25 plain layers",
        "zh": "退化问题：5 层普通网络的训练损失；对照为 25 层普通网络",
    },
    "trained plain_gradient >= 0.8 > unnormalized_gradient": {
        "en": "gradient norm of the first of 25 plain layers, untrained; the control skips the normalization",
        "zh": "25 层普通网络训练开始时首层的梯度范数；对照去掉批归一化",
    },
    "parity identity_gap <= 1e-5 < plain_identity_gap": {
        "en": "a residual block whose last scale is zero, against the identity; the control is a plain block",
        "zh": "末端缩放为零的残差块与恒等映射的差距；对照没有残差连接",
    },
}

WIDTH, TRAIN, BATCH = 12, 1200, 64


class Block(nn.Module):
    def __init__(self, residual: bool, norm: type[nn.Module]) -> None:
        super().__init__()
        self.residual = residual
        self.branch = nn.Sequential(
            *(nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), norm(WIDTH), nn.ReLU()),
            *(nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), norm(WIDTH)),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, WIDTH, H, W) -> (B, WIDTH, H, W)
        if self.residual:
            return (x + self.branch(x)).relu()  # the branch learns what to add to its input
        return self.branch(x).relu()


def network(blocks: int, residual: bool, norm: type[nn.Module] = nn.BatchNorm2d) -> nn.Sequential:
    """A first convolution and `blocks` blocks of two: 1 + 2 * blocks convolutions."""
    return nn.Sequential(
        *(nn.Conv2d(1, WIDTH, 3, stride=2, padding=1, bias=False), norm(WIDTH), nn.ReLU()),  # 8 -> 4
        *(Block(residual, norm) for _ in range(blocks)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, 10)),
    )


def first_gradient(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """Norm of the gradient of the first layer, before any training."""
    F.cross_entropy(net(x), y).backward()
    return float(net[0].weight.grad.norm())


def identity_gap(block: Block, x: Tensor) -> float:
    with torch.no_grad():
        block.branch[-1].weight.zero_()
        block.branch[-1].bias.zero_()
        return float((block(x) - x).abs().max())


def run(device="cpu", seed=0, steps=120):
    data = torch.Generator().manual_seed(seed)
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=data)
    x = (torch.from_numpy(digits.images).float()[order, None] / 16).to(device)  # (1797, 1, 8, 8)
    y = torch.from_numpy(digits.target)[order].to(device)

    plans = {"5 plain": (2, False), "25 plain": (12, False), "25 residual": (12, True)}
    nets = {}
    for name, plan in plans.items():  # the two deep ones start from the same weights
        torch.manual_seed(seed)
        nets[name] = network(*plan).to(device)
    optimizers = {name: torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9) for name, net in nets.items()}
    for step in range(steps):
        rows = torch.randint(0, TRAIN, (BATCH,), generator=data).to(device)
        losses = {}
        for name, net in nets.items():
            loss = F.cross_entropy(net(x[rows]), y[rows])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 4 == 3 or step == steps - 1:
            yield (step + 1) / steps, losses

    with torch.no_grad():  # with the statistics of the batch, as in training: the loss that was minimized
        losses = {name: F.cross_entropy(net(x[:TRAIN]), y[:TRAIN]).item() for name, net in nets.items()}
        right = {name: net.eval()(x[TRAIN:]).argmax(1) == y[TRAIN:] for name, net in nets.items()}
    fresh = {norm: network(12, False, norm).to(device) for norm in (nn.BatchNorm2d, nn.Identity)}
    gradients = {norm: first_gradient(net, x[:BATCH], y[:BATCH]) for norm, net in fresh.items()}
    features = torch.rand(8, WIDTH, 4, 4, generator=data).to(device)  # like a ReLU's output, never negative
    measured = {
        "residual_loss": losses["25 residual"],
        "shallow_loss": losses["5 plain"],
        "plain_loss": losses["25 plain"],
        "plain_gradient": gradients[nn.BatchNorm2d],
        "unnormalized_gradient": gradients[nn.Identity],
        "identity_gap": identity_gap(Block(True, nn.BatchNorm2d).to(device), features),
        "plain_identity_gap": identity_gap(Block(False, nn.BatchNorm2d).to(device), features),
        "residual_test_accuracy": right["25 residual"].float().mean().item(),
        "shallow_test_accuracy": right["5 plain"].float().mean().item(),
        "plain_test_accuracy": right["25 plain"].float().mean().item(),
    }
    return measured, {
        "training loss by network": {
            "kind": "bars",
            "zh": "各网络的训练损失",
            "y": "cross-entropy",
            "values": losses,
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
