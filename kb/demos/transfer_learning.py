"""Transfer learning — a network that has learned some digits needs few examples of new ones.

Digits lie anywhere on a 12 x 12 field. The source task has a thousand labelled digits 0 to 5, the target task
ten labelled examples each of the unseen digits 6 to 9. All contenders share one architecture; five draws of
the examples.

Claim:  pre-trained on the source, then fine-tuned (first a new head on frozen features, then everything at a
        small rate), it beats the network trained from scratch on the target until its training loss vanishes;
        its frozen features beat those of an untrained network. What carries over is that a digit stays itself
        when it moves: with FIELD = 8, where nothing moves, training from scratch wins.
Source: J. Yosinski et al., How Transferable Are Features in Deep Neural Networks?, NIPS 2014; A. Kumar et
        al., Fine-Tuning Can Distort Pretrained Features and Underperform Out-of-Distribution, ICLR 2022 (head
        first)
Run:    python kb/demos/transfer_learning.py --device cpu --seed 0 --steps 1000
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Pre-training lets few labels go further", "zh": "预训练让少量标签更有用"}
CPU_SECONDS = 4
CLAIMS = {
    "trained fine_tuned_accuracy >= 0.53 > scratch_accuracy": {
        "en": "accuracy on new digits after fine-tuning on ten of each; the control trains from scratch",
        "zh": "每类十个样本微调后在新数字上的准确率；对照从零训练",
    },
    "trained frozen_accuracy >= 0.48 > untrained_frozen_accuracy": {
        "en": "accuracy of a linear head on frozen features; the control's features are untrained",
        "zh": "冻结特征上线性头的准确率；对照的特征未经训练",
    },
}

FIELD, SHOTS, DRAWS, TUNING = 12, 10, 5, 60


def place(digits: Tensor, generator: torch.Generator) -> Tensor:
    """Digits at random places of an empty field: (n, 8, 8) -> (n, FIELD, FIELD)."""
    field = torch.zeros(len(digits), FIELD, FIELD)
    corners = torch.randint(FIELD - 7, (len(digits), 2), generator=generator).tolist()
    for target, digit, (row, column) in zip(field, digits, corners, strict=True):
        target[row : row + 8, column : column + 8] = digit
    return field


def body() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(FIELD**2, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU())


def train(parameters, net: nn.Module, x: Tensor, y: Tensor, rate: float, steps: int) -> None:
    optimizer = torch.optim.Adam(parameters, lr=rate)
    for _ in range(steps):
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return (net(x).argmax(-1) == y).float().mean().item()


def run(device="cpu", seed=0, steps=1000):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    digits = load_digits()
    x, y = torch.tensor(digits.images).float() / 16, torch.tensor(digits.target)
    source, target = y < 6, y >= 6
    x_target, y_target = place(x[target], data).to(device), y[target].to(device) - 6
    x_source, y_source = x[source], y[source]

    pretrained = nn.Sequential(body(), nn.Linear(64, 6)).to(device)
    optimizer = torch.optim.Adam(pretrained.parameters(), lr=2e-3)
    for step in range(steps):
        some = torch.randint(len(x_source), (64,), generator=data)
        loss = F.cross_entropy(pretrained(place(x_source[some], data).to(device)), y_source[some].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 19 or step == steps - 1:
            yield (step + 1) / steps, {"source loss": loss.item()}

    names = ("fine_tuned", "scratch", "frozen", "untrained_frozen")
    scores = {name: [] for name in names}
    for _ in range(DRAWS):
        order = torch.randperm(len(x_target), generator=data).to(device)
        few = torch.cat([order[y_target[order] == label][:SHOTS] for label in range(4)])
        rest = torch.ones(len(x_target), dtype=torch.bool, device=device)
        rest[few] = False
        head = nn.Linear(64, 4)
        nets = {name: nn.Sequential(body(), copy.deepcopy(head)).to(device) for name in names}
        for name in ("fine_tuned", "frozen"):
            nets[name][0].load_state_dict(pretrained[0].state_dict())
        for name, net in nets.items():
            parts, rate = (net, 2e-3) if name == "scratch" else (net[1], 1e-2)
            train(parts.parameters(), net, x_target[few], y_target[few], rate, TUNING)
        for name, rate in {"fine_tuned": 3e-4, "scratch": 2e-3}.items():
            train(nets[name].parameters(), nets[name], x_target[few], y_target[few], rate, TUNING)
        for name, net in nets.items():
            scores[name].append(accuracy(net, x_target[rest], y_target[rest]))
    means = {name: sum(values) / DRAWS for name, values in scores.items()}
    return {f"{name}_accuracy": mean for name, mean in means.items()}, {
        "accuracy on the new digits": {
            "kind": "bars",
            "zh": "在新数字上的准确率",
            "values": {name.replace("_", " "): mean for name, mean in means.items()},
        },
        "old digits and new": {
            "kind": "images",
            "zh": "旧数字与新数字",
            "images": [*place(x_source[:4], data), *x_target[:4].cpu()],
            "titles": ["source"] * 4 + ["target"] * 4,
            "columns": 4,
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
