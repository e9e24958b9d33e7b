"""Mixup and label smoothing — softer targets keep a net that knows its training images by heart from being too sure.

Label smoothing takes a small share of the target from the label and spreads it over all classes; mixup trains on
mixtures of two images, whose target is the same mixture of their labels. On noisy 8x8 digits three nets of the same
weights and mini-batches come to read every training image. The one with plain labels is much too sure of fresh ones;
the other two are better calibrated, and their loss is smaller. Each does what it was trained for: the smoothed net
stops near the logits its target asks for, and on mixtures of two training images the mixed net's answers are nearer
to the mixed labels than those of the plain net at any temperature; label smoothing comes close. Accuracy hardly
changes; strong weight decay, or a temperature fitted afterwards, lowers the loss on fresh images as much, and four
times the smoothing makes the net less sure than it is right (none of the last four is shown).

Needs:  torch, scikit-learn
Source: C. Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016; H. Zhang et al.,
        mixup: Beyond Empirical Risk Minimization, ICLR 2018; S. Thulasidasan et al., On Mixup Training: Improved
        Calibration and Predictive Uncertainty for Deep Neural Networks, NeurIPS 2019
"""

import copy
import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES, TRAIN, BATCH, NOISE, SMOOTHING, BINS = 10, 500, 64, 0.3, 0.05, 10
SHARES, TEMPERATURES = [k / 20 for k in range(21)], [k / 4 for k in range(2, 33)]

# %% the concept


def smoothed(target: Tensor) -> Tensor:  # (B, C) -> (B, C)
    return (1 - SMOOTHING) * target + SMOOTHING / CLASSES  # the label keeps 1 - e + e / C, each other class gets e / C


def beta(u: Tensor) -> Tensor:  # uniform numbers -> shares from Beta(1/2, 1/2): densest at 0 and 1
    return (u * math.pi / 2).sin() ** 2


def mixed(x: Tensor, target: Tensor, share: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:  # -> (B, D), (B, C)
    return share * x + (1 - share) * x[other], share * target + (1 - share) * target[other]


def loss_of(z: Tensor, target: Tensor) -> Tensor:  # logits (B, C), targets (B, C) -> ()
    return -(target * z.log_softmax(1)).sum(1).mean()  # cross-entropy with a distribution


# %% its control


def plain(y: Tensor) -> Tensor:  # labels (B,) -> targets (B, C)
    return F.one_hot(y, CLASSES).float()


# %% the experiment


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, CLASSES))


def gap_to_torch(net: nn.Module, x: Tensor, y: Tensor, share: Tensor, right: bool = True) -> float:
    """Largest gap, in loss and in gradients of images and parameters, of label smoothing to torch's and of mixup to the
    mixture of two losses with plain labels, and of the density of the shares (f64). If not `right`, twice the
    smoothing, the shares exchanged, equal density."""
    net, x, y, found = copy.deepcopy(net).cpu().double(), x.cpu().double().requires_grad_(), y.cpu(), []
    back = torch.arange(len(x)).flip(0)
    image, target = mixed(x, plain(y).double(), share, back)
    z, s = net(share * x + (1 - share) * x[back]), share if right else 1 - share
    soft = F.cross_entropy(net(x), y, label_smoothing=SMOOTHING * (1 if right else 2))
    for mine, theirs in (
        (loss_of(net(x), smoothed(plain(y).double())), soft),
        (loss_of(net(image), target), s * F.cross_entropy(z, y) + (1 - s) * F.cross_entropy(z, y[back])),
    ):
        sides = [[loss, *torch.autograd.grad(loss, [x, *net.parameters()])] for loss in (mine, theirs)]
        found.append(max(float((a - b).detach().abs().max()) for a, b in zip(*sides, strict=True)))
    u = torch.linspace(0.1, 0.9, 9, dtype=torch.float64).requires_grad_()
    density = torch.distributions.Beta(*u.new_full((2,), 0.5 if right else 1.0)).log_prob(beta(u)).exp()
    found.append(float((density * torch.autograd.grad(beta(u).sum(), u)[0] - 1).detach().abs().max()))
    return max(found) if right else min(found)


def calibration_error(p: Tensor, y: Tensor) -> float:
    sure, answer = p.max(1)
    excess = sure - (answer == y).to(p.dtype)
    return float(p.new_zeros(BINS).index_add(0, (sure * BINS).ceil().long() - 1, excess).abs().sum() / len(p))


def run(device="cpu", seed=0, steps=1500):
    order, batches, noise, mixing = (torch.Generator().manual_seed(5 * seed + k) for k in (1, 2, 3, 4))
    pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
    rows = torch.randperm(len(labels), generator=order)
    clean = pixels[rows].float() / 16
    x = (clean + NOISE * torch.randn(clean.shape, generator=noise)).to(device)
    y = labels[rows].to(device)
    x, y, x_test, y_test = x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]
    nets = {}
    for name in ("plain labels", "label smoothing", "mixup"):
        torch.manual_seed(5 * seed)
        nets[name] = network().to(device)
    optimizers = {name: torch.optim.Adam(net.parameters(), 1e-3) for name, net in nets.items()}
    for step in range(steps):
        rows = torch.randint(TRAIN, (BATCH,), generator=batches)
        share, other = (
            beta(torch.rand(1, generator=mixing)).to(device),
            torch.randperm(BATCH, generator=mixing).to(device),
        )
        some, target = x[rows], plain(y[rows])
        given = {"plain labels": (some, target), "label smoothing": (some, smoothed(target))}
        for name, (image, asked) in (given | {"mixup": mixed(some, target, share, other)}).items():
            optimizers[name].zero_grad()
            loss_of(nets[name](image), asked).backward()
            optimizers[name].step()
        if step % 20 == 19 or step == steps - 1:
            with torch.no_grad():
                fresh = {name: F.cross_entropy(net(x_test), y_test).item() for name, net in nets.items()}
            yield (step + 1) / steps, fresh

    with torch.no_grad():
        z, learnt = ({name: net(part).cpu().double() for name, net in nets.items()} for part in (x_test, x))
        pairs = torch.randperm(TRAIN, generator=order)[:400].view(2, -1)
        a, b = pairs[:, (y[pairs[0]] != y[pairs[1]]).cpu()]  # two training images of different digits
        between = torch.tensor(SHARES, device=device)[:, None, None]
        line, target = (between * part[a] + (1 - between) * part[b] for part in (x, plain(y)))  # (S, N, D or C)
        ways = {name: net(line) for name, net in nets.items()}
        plain_way, mixed_way, target = (part.flatten(0, 1) for part in (ways["plain labels"], ways["mixup"], target))
        tempered = min(loss_of(plain_way / t, target).item() for t in TEMPERATURES)
        y, y_test = y.cpu(), y_test.cpu()
    loss = {name: F.cross_entropy(part, y_test).item() for name, part in z.items()}
    error = {name: calibration_error(part.softmax(1), y_test) for name, part in z.items()}
    known, fresh = (
        {n: float((part[n].argmax(1) == of).double().mean()) for n in nets} for part, of in ((learnt, y), (z, y_test))
    )
    over = (plain(y) * CLASSES - 1) / (CLASSES - 1)  # the label's logit less the mean of the others
    leads = {name: float((part * over).sum(1).mean()) for name, part in learnt.items()}
    asked = math.log((1 - SMOOTHING + SMOOTHING / CLASSES) / (SMOOTHING / CLASSES))
    some = nets["mixup"], x_test[:32], y_test[:32], torch.tensor(0.3).double()
    own = range(len(a)), y[a].tolist()
    first = {name: (SHARES, way.softmax(2)[:, *own].mean(1).tolist()) for name, way in ways.items()}
    test_rows, train_rows = ({*map(tuple, part.tolist())} for part in (x_test, x))
    return {
        "soft_loss": max(loss["label smoothing"], loss["mixup"]),
        "plain_loss": loss["plain labels"],
        "soft_error": max(error["label smoothing"], error["mixup"]),
        "plain_error": error["plain labels"],
        "lead_gap": abs(leads["label smoothing"] - asked),
        "plain_lead_gap": abs(leads["plain labels"] - asked),
        "mixture_loss": loss_of(mixed_way, target).item(),
        "tempered_loss": tempered,
        "known": min(known.values()),
        "fresh": max(fresh.values()),
        "gap": gap_to_torch(*some),
        "wrong_gap": gap_to_torch(*some, right=False),
        "shared_images": len(test_rows & train_rows),
        "own_images": len(test_rows),
    }, {
        "from a training image of one digit to one of another": {
            "kind": "lines",
            "series": first,
            "x": "share of the first image",
            "y": "probability of its digit",
        },
    }


# %% what is claimed

TITLE = {"en": "Softer targets: label smoothing and mixup", "zh": "更软的目标：标签平滑与 Mixup"}
CURVES = "loss on fresh images"
CPU_SECONDS = 4
CLAIMS = {
    "trained soft_loss <= 0.8 < plain_loss": {
        "en": "cross-entropy on fresh images, label smoothing or mixup, the larger; control: plain labels",
        "zh": "新图像上的交叉熵，取标签平滑与 Mixup 中较大者；对照：普通标签",
    },
    "trained soft_error <= 0.1 < plain_error": {
        "en": "expected calibration error on fresh images, label smoothing or mixup, the larger; control: plain labels",
        "zh": "新图像上的期望校准误差，取标签平滑与 Mixup 中较大者；对照：普通标签",
    },
    "trained lead_gap <= 0.3 < plain_lead_gap": {
        "en": "label smoothing: how far the label's mean lead over the others' logits, on training images, is from the "
        "log((1 - e + e / C) / (e / C)) that the target asks for; control: plain labels, which ask for ever more",
        "zh": "标签平滑：标签的 logit 减其余均值在训练图像上的平均，与目标要求的 log((1 - e + e / C) / (e / C)) 之差；"
        "对照：普通标签，其要求没有上限",
    },
    "trained mixture_loss <= 0.96 < tempered_loss <= 1.2": {
        "en": "mixup: cross-entropy with the mixed labels, on mixtures of two training images; control: plain labels, "
        "at the temperature that makes it least",
        "zh": "Mixup：两张训练图像的混合与混合标签之间的交叉熵；对照：普通标签，取使其最小的温度",
    },
    "trained known >= 0.99 > fresh": {
        "en": "share of the training images read, the least of the three nets; control: of fresh ones, the largest",
        "zh": "训练图像的准确率，取三个网络中最低者；对照：新图像的准确率，取最高者",
    },
    "parity gap <= 1e-10 < wrong_gap": {
        "en": "largest gap of label smoothing to torch's and of mixup to two losses mixed, with gradients, and of the "
        "density of shares to torch's (f64); control: twice the smoothing, shares exchanged, equal density",
        "zh": "标签平滑与 PyTorch、Mixup 与两个损失之混合（含梯度）、份额的密度与 PyTorch 的最大差距（f64）；"
        "对照：平滑加倍、两份额互换、均匀密度",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images that are among the training images; control: among the test images",
        "zh": "同时出现在训练集中的测试图像数；对照：出现在测试集自身中的图像数",
    },
}
ZH = {
    "loss on fresh images": "新图像上的损失",
    "plain labels": "普通标签",
    "label smoothing": "标签平滑",
    "mixup": "Mixup（混合）",
    "from a training image of one digit to one of another": "从一张训练图像走到另一个数字的训练图像",
    "share of the first image": "第一张图像的份额",
    "probability of its digit": "其数字的概率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
