"""Adversarial robustness — small worst-case noise breaks a network that random noise leaves alone.

Digits of 8 x 8 pixels between 0 and 1; an attacker may move every pixel by at most 0.15. FGSM takes one step
along the sign of the gradient of the loss, PGD several small ones, each projected back into the allowed box.

Claim:  PGD breaks a normally trained network, random noise of the same size does not; training on PGD
        examples makes it right more often than not even then. For a linear model the FGSM step is the exact
        worst case.
Source: I. Goodfellow et al., Explaining and Harnessing Adversarial Examples, ICLR 2015 (FGSM); A. Madry et
        al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018 (PGD, adversarial
        training)
Run:    python kb/demos/adversarial_robustness.py --device cpu --seed 0 --steps 400
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Adversarial examples and training against them", "zh": "对抗样本与对抗训练"}
CPU_SECONDS = 4
CLAIMS = {
    "trained attacked_accuracy <= 0.5 < noisy_accuracy": {
        "en": "accuracy of the normal network under PGD; the control is random noise of the same size",
        "zh": "普通网络在 PGD 攻击下的准确率；对照为同样幅度的随机噪声",
    },
    "trained hardened_accuracy >= 0.35 > attacked_accuracy": {
        "en": "accuracy under PGD after adversarial training; the control is the normal network",
        "zh": "对抗训练后在 PGD 攻击下的准确率；对照为普通网络",
    },
    "parity linear_gap <= 1e-10 < unsigned_linear_gap": {
        "en": "margin lost by a linear model to FGSM against the worst case 0.15 |w|_1; the control: no sign",
        "zh": "FGSM 使线性模型的间隔减小的量与最坏情形 0.15‖w‖₁ 之差；对照不取符号",
    },
}

BOX, ATTACK_STEPS = 0.15, 20


def gradient_sign(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(net(x), y), x)[0].sign()


def fgsm(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return (x + BOX * gradient_sign(net, x, y)).clamp(0, 1)


def pgd(net: nn.Module, x: Tensor, y: Tensor, start: Tensor, steps: int) -> Tensor:
    """Climb the loss from a random start in the box (entries in -1..1), projected back into it and 0..1."""
    moved = (x + BOX * start).clamp(0, 1)
    for _ in range(steps):
        moved = moved + 2.5 * BOX / steps * gradient_sign(net, moved, y)
        moved = torch.minimum(torch.maximum(moved, x - BOX), x + BOX).clamp(0, 1)
    return moved


def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return (net(x).argmax(-1) == y).float().mean().item()


def run(device="cpu", seed=0, steps=400):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    x = (torch.tensor(digits.data).float() / 16)[order].to(device)
    y = torch.tensor(digits.target)[order].to(device)
    (x, x_test), (y, y_test) = (x[:1200], x[1200:]), (y[:1200], y[1200:])

    nets = {
        name: nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
        for name in ("normal", "hardened")
    }
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=3e-3) for name, net in nets.items()}
    start = (2 * torch.rand(x_test.shape, generator=data) - 1).to(device)
    for step in range(steps):
        some = torch.randint(len(x), (128,), generator=data).to(device)
        random = (2 * torch.rand(128, 64, generator=data) - 1).to(device)
        for name, net in nets.items():
            shown = pgd(net, x[some], y[some], random, 5) if name == "hardened" else x[some]
            loss = F.cross_entropy(net(shown), y[some])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        if step % 20 == 19 or step == steps - 1:
            attacked = {}
            for name, net in nets.items():
                attacked[name] = accuracy(net, pgd(net, x_test, y_test, start, ATTACK_STEPS), y_test)
            yield (step + 1) / steps, attacked

    linear = nn.Linear(64, 2).double()  # built on the CPU: its margin is (w_1 - w_0) x for label 1
    point, label = 0.2 + 0.6 * torch.rand(1, 64, generator=data).double(), torch.tensor([1])
    w = (linear.weight[1] - linear.weight[0]).detach()
    normal, hardened = nets.values()
    struck = pgd(normal, x_test[:6], y_test[:6], start[:6], ATTACK_STEPS)
    with torch.no_grad():
        seen = [net_input.cpu().view(-1, 8, 8) for net_input in (x_test[:6], struck)]
        named = [normal(net_input).argmax(-1).tolist() for net_input in (x_test[:6], struck)]
    return {
        "attacked_accuracy": attacked["normal"],
        "hardened_accuracy": attacked["hardened"],
        "noisy_accuracy": accuracy(normal, (x_test + BOX * start.sign()).clamp(0, 1), y_test),
        "fgsm_accuracy": accuracy(normal, fgsm(normal, x_test, y_test), y_test),
        "clean_accuracy": accuracy(normal, x_test, y_test),
        "hardened_clean_accuracy": accuracy(hardened, x_test, y_test),
        "linear_gap": float(((fgsm(linear, point, label) - point) @ w + BOX * w.abs().sum()).abs()),
        "unsigned_linear_gap": float((BOX * w.abs().sum() - BOX * w @ w / w.abs().max()).abs()),
    }, {
        "the normal network names digits, then their attacked copies": {
            "kind": "images",
            "zh": "普通网络对原图与被攻击图像的判断",
            "images": [*seen[0], *seen[1]],
            "titles": [str(name) for name in named[0] + named[1]],
            "columns": 6,
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
