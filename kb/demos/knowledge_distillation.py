"""Knowledge distillation — of a few images, a teacher's soft answers teach a small student more than the labels do.

A teacher of 85,000 weights reads 8x8 digits; students of 1,200, 70 times fewer, learn from its answers, softened by a
temperature. Students come in pairs with the same first weights that see the same images, one with soft targets, one
with the true labels: 30 images (mean over six sets), all 1,300, or all but those of one digit (mean over the ten
digits). On average a student reads most images of a digit that it never saw, because soft answers to the others say
how much they look like it. Given all the labels, a student comes as far without a teacher: the table shows that too.

Needs:  torch, scikit-learn
Source: G. Hinton, O. Vinyals, J. Dean, Distilling the Knowledge in a Neural Network, arXiv:1503.02531, 2015
"""

import copy
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TEMPERATURE, PER_DIGIT, SETS, TRAIN, BATCH = 8.0, 3, 6, 1300, 64

# %% the concept


def distillation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """T^2 KL(p || q) of the softened answers, mean over the images: (..., C), (..., C) -> ()."""
    log_p = (teacher / TEMPERATURE).log_softmax(-1)  # p = softmax(v / T): a high T shows what else it might be
    log_q = (student / TEMPERATURE).log_softmax(-1)  # q = softmax(z / T)
    kl = (log_p.exp() * (log_p - log_q)).sum(-1).mean()  # sum over the classes of p log(p / q)
    return TEMPERATURE**2 * kl  # its gradient is T (q - p): without T^2 it would shrink as T grows


class Nets(nn.Module):
    """Perceptrons side by side, with the same weights to begin with."""

    def __init__(self, copies: int, *sizes: int) -> None:
        super().__init__()
        layers = [nn.Linear(m, n) for m, n in pairwise(sizes)]
        self.weights = nn.ParameterList(layer.weight.detach().T.repeat(copies, 1, 1) for layer in layers)
        self.biases = nn.ParameterList(layer.bias.detach().repeat(copies, 1, 1) for layer in layers)

    def forward(self, x: Tensor) -> Tensor:  # (copies, B, 64) or (B, 64) -> (copies, B, 10), before the softmax
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = (x.relu() if i else x) @ weight + bias
        return x


# %% the experiment


def digits(split: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images to learn from and their labels, 497 others to be read and theirs."""
    held = load_digits()
    rows = torch.randperm(len(held.data), generator=split)
    x, y = torch.tensor(held.data, dtype=torch.float32)[rows] / 16, torch.tensor(held.target)[rows]
    return x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]


def shared(rows: Tensor, others: Tensor) -> int:
    """How many of the rows stand among the others."""
    return int((rows[:, None] == others).all(-1).any(1).sum())


def row_set(images: Tensor) -> set[bytes]:
    return {row.tobytes() for row in images.numpy()}


def update(optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    optimizer.param_groups[0]["lr"] = rate
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def gap_to_torch(students: Nets, x: Tensor, answers: Tensor, factor: float) -> float:
    """Largest difference from factor * F.kl_div of the same students, in loss and gradients, f64."""
    net, x, answers = copy.deepcopy(students).cpu().double(), x.cpu().double(), answers.cpu().double()
    soft = (answers / TEMPERATURE).softmax(-1)
    theirs = torch.zeros(()).to(x)
    for w, v, b, c in zip(*net.weights, *net.biases, strict=True):  # student by student
        out = F.linear(F.relu(F.linear(x, w.T, b[0])), v.T, c[0])
        loss = F.kl_div((out / TEMPERATURE).log_softmax(-1), soft, reduction="batchmean")
        theirs = theirs + factor * loss / len(net.biases[0])
    ours = distillation_loss(net(x), answers)
    pairs = [
        [loss, *torch.autograd.grad(loss, list(net.parameters()), materialize_grads=True)] for loss in (theirs, ours)
    ]
    return max((a - b).detach().abs().max().item() for a, b in zip(*pairs, strict=True))


def run(device="cpu", seed=0, steps=350):
    torch.manual_seed(3 * seed)  # weights, the split, and batches with their noise: three streams
    split, batches = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    x, y, x_test, y_test = (t.to(device) for t in digits(split))
    teacher = Nets(1, 64, 256, 256, 10).to(device)
    optimizer = torch.optim.Adam(teacher.parameters())
    for step in range(150):
        rows = torch.randint(TRAIN, (BATCH,), generator=batches).to(device)
        blurred = x[rows] + 0.1 * torch.randn(BATCH, 64, generator=batches).to(device)
        update(optimizer, F.cross_entropy(teacher(blurred)[0], y[rows]), 2e-3 * min(1, 2 - step / 75))
    with torch.no_grad():
        answers, spoken = teacher(x)[0], teacher(x_test)[0]  # (TRAIN, 10), all a student hears, and (497, 10)

    by_digit = [(y.cpu() == digit).nonzero()[:, 0] for digit in range(10)]
    few = torch.stack([rows[: SETS * PER_DIGIT] for rows in by_digit]).view(10, SETS, PER_DIGIT)
    lessons = [few[:, n].flatten() for n in range(SETS)]
    lessons += [torch.cat([rows for other, rows in enumerate(by_digit) if other != digit]) for digit in range(10)]
    lessons += [torch.arange(TRAIN)]
    soft = Nets(len(lessons), 64, 16, 10).to(device)
    hard = copy.deepcopy(soft)
    optimizers = [torch.optim.Adam(nets.parameters()) for nets in (soft, hard)]

    shown: list[set[bytes]] = [set() for _ in lessons[SETS:]]

    def taught(images: Tensor) -> Tensor:  # (lessons, BATCH, 64) -> (lessons, BATCH, 10)
        """The students' answers to images that they learn from; all but those of the sets of 30 are noted."""
        for seen, given in zip(shown, images[SETS:].cpu(), strict=True):
            seen |= row_set(given)
        return soft(images)

    def scores(nets: Nets) -> tuple[float, float, float]:
        """Accuracy from 30 images, recall of the digit left out, accuracy from all images."""
        with torch.no_grad():
            right = (nets(x_test).argmax(-1) == y_test).float()  # (lessons, 497)
        left_out = [right[SETS + digit, y_test == digit].mean().item() for digit in range(10)]
        return right[:SETS].mean().item(), sum(left_out) / 10, right[-1].mean().item()

    for step in range(steps):
        rate = 1e-2 * min(1, 2 - 2 * step / steps)
        drawn = [rows[torch.randint(len(rows), (BATCH,), generator=batches)] for rows in lessons]
        rows = torch.stack(drawn).to(device)  # (lessons, BATCH)
        update(optimizers[0], distillation_loss(taught(x[rows]), answers[rows]), rate)
        update(optimizers[1], F.cross_entropy(hard(x[rows]).flatten(0, 1), y[rows].flatten()), rate)
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, {"soft targets": scores(soft)[0], "labels": scores(hard)[0]}

    near = torch.stack([y[rows][torch.cdist(x_test, x[rows]).argmin(1)] == y_test for rows in lessons[:SETS]])
    by_soft, by_hard, nearest = scores(soft), scores(hard), near.float().mean().item()
    sizes = [sum(p[0].numel() for p in nets.parameters()) for nets in (teacher, soft)]
    softened = (answers / TEMPERATURE).softmax(1)
    resemblance = torch.stack([softened[y == digit].mean(0) for digit in range(10)])
    gaps = [gap_to_torch(soft, x_test[:100], spoken[:100], factor) for factor in (TEMPERATURE**2, 1.0)]
    of_digit = [row_set(x.cpu()[rows]) for rows in by_digit]
    return {
        "soft_accuracy": by_soft[0],
        "label_accuracy": max(by_hard[0], nearest),
        "unseen_recall": by_soft[1],
        "unseen_hard_recall": by_hard[1],
        "loss_gap": gaps[0],
        "unscaled_gap": gaps[1],
        "shared_images": shared(x_test, x),
        "own_images": shared(x[:100], x),
        "left_out_seen": sum(len(digit & seen) for digit, seen in zip(of_digit, shown[:-1], strict=True)),
        "all_seen": sum(len(digit & shown[-1]) for digit in of_digit),
        "size_ratio": sizes[0] / sizes[1],
    }, {
        "percent of the teacher's softened answer, by digit": {
            "kind": "heatmap",
            "values": (100 * resemblance).round().tolist(),
            "rows": list("0123456789"),
            "columns": list("0123456789"),
            "x": "its answer",
            "y": "the digit",
        },
        "share of unseen images that are read": {
            "kind": "table",
            "columns": ["learned from", "soft targets", "labels", "nearest image"],
            "rows": [
                ["30 images", by_soft[0], by_hard[0], nearest],
                ["all but one digit: that digit", by_soft[1], by_hard[1], "-"],
                ["all 1300 images", by_soft[2], by_hard[2], "-"],
                ["the teacher", "-", (spoken.argmax(1) == y_test).float().mean().item(), "-"],
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "Knowledge distillation into a 70 times smaller student", "zh": "知识蒸馏：学生模型只有教师的 1/70"}
CURVES = "test accuracy from 30 images"
CPU_SECONDS = 2
CLAIMS = {
    "trained soft_accuracy >= 0.89 > label_accuracy >= 0.72": {
        "en": "test accuracy from 30 images with soft targets; control: from their labels, by a student or the nearest "
        "image, whichever is better",
        "zh": "用 30 张图和软目标学习后的测试准确率；对照：用同样图像的标签学习的学生与最近邻，取较好者",
    },
    "trained unseen_recall >= 0.5 > unseen_hard_recall": {
        "en": "share of a digit's images read by a student that never saw this digit; the control learned from labels",
        "zh": "学生对训练中从未出现的数字认对的比例；对照学的是真实标签",
    },
    "parity loss_gap <= 1e-10 < unscaled_gap": {
        "en": "gap of loss and gradients to F.kl_div for the trained students (f64); the control forgets T squared",
        "zh": "训练后学生的损失与梯度同 F.kl_div 的最大差距（f64）；对照漏掉因子 T²",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images among the training images; the control counts a hundred training images",
        "zh": "训练集中出现的测试图像数；对照对一百张训练图像计数",
    },
    "parity left_out_seen <= 0 < all_seen": {
        "en": "images of the digit left out that its student sees; control: of the student of all images",
        "zh": "学生见到的、本应略去的数字的图像数；对照为用全部图像的学生",
    },
    "constant size_ratio >= 70": {
        "en": "weights of the teacher over those of a student",
        "zh": "教师与学生的权重数之比",
    },
}
ZH = {
    "test accuracy from 30 images": "用 30 张图学习后的测试准确率",
    "soft targets": "软目标",
    "labels": "真实标签",
    "percent of the teacher's softened answer, by digit": "教师对每个数字的软化回答（百分比）",
    "its answer": "教师的回答",
    "the digit": "数字",
    "share of unseen images that are read": "未见图像中认对的比例",
    "learned from": "学习所用图像",
    "nearest image": "最近邻",
    "30 images": "30 张图",
    "all but one digit: that digit": "略去一个数字：认这个数字",
    "all 1300 images": "全部 1300 张",
    "the teacher": "教师",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
