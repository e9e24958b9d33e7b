"""Adversarial robustness — small worst-case noise breaks a network; random noise of the same size does not.

Digits of 8 x 8 pixels between 0 and 1; an attacker may move every pixel by at most 0.15. FGSM takes one step along
the sign of the gradient of the loss, PGD twenty small ones (five in training), each projected back into the allowed
box; the worst of twenty random signs is what as many looks find without a gradient. One network is trained normally,
the other on PGD examples, which makes it right more often than not even under attack.

Needs:  torch, scikit-learn
Source: I. Goodfellow et al., Explaining and Harnessing Adversarial Examples, ICLR 2015 (FGSM); A. Madry et al.,
        Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018 (PGD, adversarial training)
"""

from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

BOX, ATTACK_STEPS, TRAINING_STEPS, TRAIN, BATCH, HIDDEN, RATE = 0.15, 20, 5, 1200, 128, 128, 3e-3

# %% the concept


def gradient_sign(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:  # (n, d), (n,) -> (n, d)
    x = x.detach().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(net(x), y), x)[0].sign()  # sign of dL/dx


def fgsm(net: nn.Module, x: Tensor, y: Tensor, box: float = BOX) -> Tensor:
    return (x + box * gradient_sign(net, x, y)).clamp(0, 1)  # x' = x + eps sign(dL/dx)


def pgd(net: nn.Module, x: Tensor, y: Tensor, start: Tensor, steps: int, box: float = BOX) -> Tensor:
    """Climb the loss from a random start in the box (entries in -1..1), projected back into it and 0..1."""
    moved = (x + box * start).clamp(0, 1)
    for _ in range(steps):
        moved = moved + 2.5 * box / steps * gradient_sign(net, moved, y)  # x' <- x' + alpha sign(dL/dx')
        moved = torch.minimum(torch.maximum(moved, x - box), x + box).clamp(0, 1)  # |x' - x| <= eps in each pixel
    return moved


# %% its control


def random_noise(net: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator, box: float = BOX) -> Tensor:
    """Of as many random corners of the box as PGD has steps, for each digit the one of largest loss."""
    worst, moved = torch.full_like(y, -1, dtype=x.dtype), x
    for _ in range(ATTACK_STEPS):
        tried = (x + box * (2 * torch.rand(x.shape, generator=generator) - 1).sign().to(x)).clamp(0, 1)
        with torch.no_grad():
            loss = F.cross_entropy(net(tried), y, reduction="none")
        moved = torch.where((loss > worst)[:, None], tried, moved)
        worst = torch.maximum(loss, worst)
    return moved


# %% the experiment


def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return (net(x).argmax(-1) == y).float().mean().item()


def under(net: nn.Module, attack: Callable, x: Tensor, y: Tensor, *how) -> tuple[float, Tensor]:
    """The accuracy of a network under an attack that knows it, and the digits as the attack leaves them."""
    moved = attack(net, x, y, *how)
    return accuracy(net, moved, y), moved


def parity(generator: torch.Generator) -> dict[str, float]:
    """Gaps from worst cases that are known, f64: of a linear model and of a loss with one peak."""
    linear = nn.Linear(64, 2).double()  # its margin is (w_1 - w_0) x + b_1 - b_0 for label 1
    x, label = torch.rand(100, 64, generator=generator).double(), torch.ones(100).long()
    w = (linear.weight[1] - linear.weight[0]).detach()
    worst = (x - BOX * w.sign()).clamp(0, 1)
    unsigned = (x - BOX * w / w.abs().max()).clamp(0, 1)
    start, peak = (2 * torch.rand(100, 64, generator=generator).double() - 1 for _ in range(2))

    def peaked(moved: Tensor) -> Tensor:  # the loss of label 0 is largest where moved is peak
        return torch.stack([((moved - peak) ** 2).mean(-1), torch.zeros(100).double()], -1)

    highest = torch.minimum(torch.maximum(peak, x - BOX), x + BOX).clamp(0, 1)
    climbed = (pgd(peaked, x, 0 * label, start, ATTACK_STEPS), fgsm(peaked, x, 0 * label))
    misses = [float((moved - highest).abs().max()) / BOX for moved in climbed]
    return {
        "linear_gap": float(((fgsm(linear, x, label) - worst) @ w).abs().max()),
        "unsigned_linear_gap": float(((unsigned - worst) @ w).abs().max()),
        "peak_gap": misses[0],
        "one_step_peak_gap": misses[1],
    }


def shared_rows(some: Tensor, others: Tensor) -> float:
    """How many rows of the one occur in the other."""
    known = set(map(tuple, others.tolist()))
    return float(sum(tuple(row) in known for row in some.tolist()))


def run(device="cpu", seed=0, steps=400):
    torch.manual_seed(3 * seed)  # weights, training data and attacks on the test: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    pixels = (torch.tensor(digits.data).float() / 16)[order].to(device)
    names = torch.tensor(digits.target)[order].to(device)
    (x, x_test), (y, y_test) = (pixels[:TRAIN], pixels[TRAIN:]), (names[:TRAIN], names[TRAIN:])

    nets = {
        name: nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10)).to(device)
        for name in ("normal", "hardened")
    }
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=RATE) for name, net in nets.items()}
    for step in range(steps):
        some = torch.randint(len(x), (BATCH,), generator=data).to(device)
        random = (2 * torch.rand(BATCH, 64, generator=data) - 1).to(device)
        losses = {}
        for name, net in nets.items():
            shown = pgd(net, x[some], y[some], random, TRAINING_STEPS) if name == "hardened" else x[some]
            loss = F.cross_entropy(net(shown), y[some])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    normal, hardened = nets.values()
    start = (2 * torch.rand(x_test.shape, generator=unseen) - 1).to(device)
    boxes = [0.0, 0.03, 0.06, 0.09, 0.12, BOX, 0.18, 0.21, 0.25, 0.3]
    attacks = {
        "normal, PGD": (normal, pgd, x_test, y_test, start, ATTACK_STEPS),
        "normal, random": (normal, random_noise, x_test, y_test, unseen),
        "hardened, PGD": (hardened, pgd, x_test, y_test, start, ATTACK_STEPS),
    }
    struck = {name: [under(*attack, box) for box in boxes] for name, attack in attacks.items()}
    lines = {name: [right for right, _ in results] for name, results in struck.items()}
    at = boxes.index(BOX)
    struck_normal = struck["normal, PGD"][at][1]
    right = (normal(x_test).argmax(-1) == y_test).nonzero()[:4, 0]  # the first digits that it reads rightly
    pictures = torch.cat([x_test[right], struck_normal[right]])
    return {
        "attacked_accuracy": lines["normal, PGD"][at],
        "noisy_accuracy": lines["normal, random"][at],
        "hardened_accuracy": lines["hardened, PGD"][at],
        "fgsm_accuracy": under(normal, fgsm, x_test, y_test)[0],
        "clean_accuracy": lines["normal, PGD"][0],
        "hardened_clean_accuracy": lines["hardened, PGD"][0],
        **parity(unseen),
        "shared_rows": shared_rows(x_test, x),
        "training_rows": shared_rows(x, x),
    }, {
        "accuracy as the allowed change grows": {
            "kind": "lines",
            "series": {name: (boxes, line) for name, line in lines.items()},
            "x": "largest change of a pixel",
            "y": "accuracy",
        },
        "what the normal network reads: digits, and the same under PGD": {
            "kind": "images",
            "images": list(pictures.cpu().view(-1, 8, 8)),
            "titles": [str(n) for n in normal(pictures).argmax(-1).tolist()],
            "columns": 4,
        },
    }


# %% what is claimed

TITLE = {"en": "Adversarial examples and training against them", "zh": "对抗样本与对抗训练"}
CURVES = "cross-entropy"
CPU_SECONDS = 4
CLAIMS = {
    "trained attacked_accuracy <= 0.13 < noisy_accuracy <= 0.88": {
        "en": "accuracy of the normal network under PGD; control: the worst of twenty random noises of the same size",
        "zh": "普通网络在 PGD 攻击下的准确率；对照为同样幅度的二十次随机噪声中最坏的一次",
    },
    "trained hardened_accuracy >= 0.57 > attacked_accuracy": {
        "en": "accuracy under PGD after adversarial training; the control is the normal network",
        "zh": "对抗训练后在 PGD 攻击下的准确率；对照为普通网络",
    },
    "parity linear_gap <= 1e-10 < unsigned_linear_gap": {
        "en": "margin that FGSM takes from a linear model against the worst case in the box; the control: no sign",
        "zh": "FGSM 使线性模型间隔减小的量与盒内最坏情形之差；对照不取符号",
    },
    "parity peak_gap <= 0.13 < one_step_peak_gap": {
        "en": "distance of PGD from the known worst case of a loss with one peak, in the worst pixel, as a share of "
        "the box (its step is 0.125); the control is one step, FGSM",
        "zh": "单峰损失上 PGD 与已知最坏情形在最差像素上的距离，以允许改动为 1（步长 0.125）；对照为一步的 FGSM",
    },
    "parity shared_rows <= 0 < training_rows": {
        "en": "test digits that occur in the training set; the control counts the training set in itself",
        "zh": "测试数字中出现在训练集里的个数；对照在训练集自身中计数",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "normal": "普通",
    "hardened": "对抗训练",
    "normal, PGD": "普通网络，PGD",
    "normal, random": "普通网络，随机噪声",
    "hardened, PGD": "对抗训练，PGD",
    "accuracy as the allowed change grows": "允许改动增大时的准确率",
    "largest change of a pixel": "每个像素的最大改动",
    "accuracy": "准确率",
    "what the normal network reads: digits, and the same under PGD": "普通网络的判断：原图，与受 PGD 攻击后",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
