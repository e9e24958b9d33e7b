"""Knowledge distillation — a teacher's soft answers teach a 70 times smaller student more than labels do.

A teacher of 85,000 weights reads 8x8 digits; students of 1,200 weights learn from its probabilities, softened
by a temperature. Students come in pairs that see the same images, one with soft targets, one with the true
labels: either 30 images (mean over three sets) or all images but the threes.

Claim:  on 30 images soft targets teach more than labels; a student that never saw a three reads most threes,
        because the soft answers to other digits say how much these look like one. Not claimed: that a teacher
        always helps. Given all 1,300 labels the student alone comes as far as with it.
Source: G. Hinton, O. Vinyals, J. Dean, Distilling the Knowledge in a Neural Network, arXiv:1503.02531, 2015
Run:    python kb/demos/knowledge_distillation.py --device cpu --seed 0 --steps 350
"""

import copy
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Knowledge distillation into a 70 times smaller student", "zh": "知识蒸馏：学生模型只有教师的 1/70"}
CPU_SECONDS = 3
CLAIMS = {
    "trained soft_accuracy >= 0.84 > hard_accuracy": {
        "en": "test accuracy of a student given 30 images with soft targets; the control gets true labels",
        "zh": "学生用 30 张图和软目标学习后的测试准确率；对照用同样图像的真实标签",
    },
    "trained unseen_recall >= 0.39 > unseen_hard_recall": {
        "en": "share of threes read by a student that never saw one; the control learned from true labels",
        "zh": "从未见过 3 的学生认出的 3 的比例；对照学的是真实标签",
    },
    "parity loss_gap <= 1e-10 < unscaled_gap": {
        "en": "gap of the closed-form gradient to that of F.kl_div; the control forgets the factor T",
        "zh": "梯度闭式解与 F.kl_div 自动求导之差；对照漏掉因子 T",
    },
}

PER_DIGIT, SETS, UNSEEN, TEMPERATURE = 3, 3, 3, 8.0


def network(*sizes: int) -> nn.Sequential:
    net = nn.Sequential()
    for m, n in pairwise(sizes):
        net.extend([nn.Linear(m, n), nn.ReLU()])
    return net[:-1]


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """T^2 KL(teacher || student) of the softened answers, mean over the batch: (B, C), (B, C) -> ()."""
    p, q = (teacher / temperature).log_softmax(1), (student / temperature).log_softmax(1)
    kl = (p.exp() * (p - q)).sum(1).mean()
    return temperature**2 * kl  # T^2: gradients stay as large as those of labels


def gradient_gap(factor: float) -> float:
    """factor (softmax(z/T) - softmax(v/T)) / B against the gradient by autograd, in float64."""
    generator = torch.Generator().manual_seed(0)
    z, v = 3 * torch.randn(2, 8, 10, generator=generator, dtype=torch.float64)
    z.requires_grad_()
    soft = (v / TEMPERATURE).softmax(1)
    loss = F.kl_div((z / TEMPERATURE).log_softmax(1), soft, reduction="batchmean") * TEMPERATURE**2
    by_torch, by_us = (torch.autograd.grad(t, z)[0] for t in (loss, distillation_loss(z, v)))
    closed = factor * ((z / TEMPERATURE).softmax(1) - soft).detach() / len(z)
    return float(torch.maximum((closed - by_torch).abs(), (closed - by_us).abs()).max())


def run(device="cpu", seed=0, steps=350):
    digits, data = load_digits(), torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    order = torch.randperm(len(digits.data), generator=data)
    x = torch.tensor(digits.data, dtype=torch.float32)[order].to(device) / 16
    y = torch.tensor(digits.target)[order].to(device)
    x, y, x_test, y_test = x[:1300], y[:1300], x[1300:], y[1300:]

    teacher = network(64, 256, 256, 10).to(device)
    optimizer = torch.optim.Adam(teacher.parameters(), lr=2e-3)
    for _ in range(150):
        rows = torch.randint(len(x), (64,), generator=data).to(device)
        blurred = x[rows] + 0.1 * torch.randn(64, 64, generator=data).to(device)
        optimizer.zero_grad()
        F.cross_entropy(teacher(blurred), y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        answers = teacher(x)

    by_digit = [(y.cpu() == digit).nonzero()[:, 0] for digit in range(10)]
    few = torch.stack([rows[: SETS * PER_DIGIT] for rows in by_digit]).view(10, SETS, PER_DIGIT)
    others = torch.cat([rows for digit, rows in enumerate(by_digit) if digit != UNSEEN])
    images = {f"{n}": few[:, n].flatten() for n in range(SETS)}
    images |= {"no 3": others, "all": torch.arange(len(x))}
    lessons = [(kind, name) for name in images for kind in ("soft", "hard")]
    student = network(64, 16, 10)
    students = {lesson: copy.deepcopy(student).to(device) for lesson in lessons}
    optimizers = {lesson: torch.optim.Adam(net.parameters(), lr=1e-2) for lesson, net in students.items()}

    def accuracy(net: nn.Module, digit: int | None = None) -> float:
        rows = slice(None) if digit is None else y_test == digit
        with torch.no_grad():
            return (net(x_test[rows]).argmax(1) == y_test[rows]).float().mean().item()

    def few_accuracy(kind: str) -> float:  # mean over the sets: 30 images leave much to luck
        return sum(accuracy(students[kind, f"{n}"]) for n in range(SETS)) / SETS

    for step in range(steps):
        for (kind, name), net in students.items():
            rows = images[name][torch.randint(len(images[name]), (64,), generator=data)].to(device)
            out = net(x[rows])
            loss = distillation_loss(out, answers[rows]) if kind == "soft" else F.cross_entropy(out, y[rows])
            optimizers[kind, name].zero_grad()
            loss.backward()
            optimizers[kind, name].step()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, {f"{kind} targets": few_accuracy(kind) for kind in ("soft", "hard")}

    sizes = [sum(p.numel() for p in net.parameters()) for net in (teacher, student)]
    soft = (answers / TEMPERATURE).softmax(1)
    resemblance = torch.stack([soft[y == digit].mean(0) for digit in range(10)])
    return {
        "soft_accuracy": few_accuracy("soft"),
        "hard_accuracy": few_accuracy("hard"),
        "unseen_recall": accuracy(students["soft", "no 3"], UNSEEN),
        "unseen_hard_recall": accuracy(students["hard", "no 3"], UNSEEN),
        "all_soft_accuracy": accuracy(students["soft", "all"]),
        "all_hard_accuracy": accuracy(students["hard", "all"]),
        "teacher_accuracy": accuracy(teacher),
        "size_ratio": sizes[0] / sizes[1],
        "loss_gap": gradient_gap(factor=TEMPERATURE),
        "unscaled_gap": gradient_gap(factor=1.0),
    }, {
        "what the teacher answers to each digit, softened": {
            "kind": "heatmap",
            "zh": "教师对每个数字的软化回答",
            "values": resemblance.cpu(),
            "rows": [str(digit) for digit in range(10)],
            "columns": [str(digit) for digit in range(10)],
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
