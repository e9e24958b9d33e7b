"""Transfer learning — a network that has learned some digits needs fewer examples of new ones.

Digits lie anywhere on a 14 x 14 field, whose pixels come in an unknown order, the same everywhere: nobody can shift
the examples by hand. The source task has 1083 labelled digits 0 to 5, each laid anew whenever it is shown, the
target task few labelled examples each of the unseen digits 6 to 9, which stay where they are. Pre-trained on the
source, a network gets a new head, trained on its frozen features, and is then fine-tuned as a whole at a small rate.
What can carry over is that a digit stays itself when it moves; with more examples the nearest of them comes closer
(the figure).

Needs:  torch, scikit-learn
Source: J. Yosinski et al., How Transferable Are Features in Deep Neural Networks?, NIPS 2014; A. Kumar et al.,
        Fine-Tuning Can Distort Pretrained Features and Underperform Out-of-Distribution, ICLR 2022 (head first)
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

FIELD, HIDDEN, WIDTH, SHOTS, DRAWS, BATCH, TUNING = 14, 512, 128, 10, 4, 128, 60
SOURCE_RATE, HEAD_RATE, TUNING_RATE, SCRATCH_RATE = 2e-3, 1e-2, 1e-4, 2e-3

# %% the concept


def body() -> nn.Sequential:  # (B, FIELD * FIELD) -> (B, WIDTH)
    return nn.Sequential(nn.Linear(FIELD**2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, WIDTH), nn.ReLU())


def train(parameters, net: nn.Module, x: Tensor, y: Tensor, rate: float, steps: int) -> None:
    optimizer = torch.optim.Adam(parameters, lr=rate)
    for _ in range(steps):
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def transfer(pretrained: nn.Module, x: Tensor, y: Tensor) -> tuple[nn.Module, nn.Module]:
    """The pre-trained body under a new head: with frozen features, and fine-tuned from there."""
    net = nn.Sequential(copy.deepcopy(pretrained), nn.Linear(WIDTH, 4)).to(x.device)
    train(net[1].parameters(), net[1], net[0](x).detach(), y, HEAD_RATE, TUNING)  # min over W of L(W f(x), y)
    frozen = copy.deepcopy(net)
    train(net.parameters(), net, x, y, TUNING_RATE, TUNING)  # min over W and f, at a small rate
    return frozen, net


# %% its control


def from_scratch(x: Tensor, y: Tensor) -> nn.Module:
    """The same network, trained as long on the same examples alone."""
    net = nn.Sequential(body(), nn.Linear(WIDTH, 4)).to(x.device)
    train(net.parameters(), net, x, y, SCRATCH_RATE, 2 * TUNING)
    return net


def nearest(x: Tensor, y: Tensor, asked: Tensor) -> Tensor:
    """The label of the example with the closest pixels."""
    return y[torch.cdist(asked, x).argmin(1)]


# %% the experiment


def place(digits: Tensor, generator: torch.Generator) -> Tensor:
    """Digits at random places of an empty field: (n, 8, 8) -> (n, FIELD * FIELD)."""
    field = torch.zeros(len(digits), FIELD, FIELD)
    corner = torch.randint(FIELD - 7, (len(digits), 2, 1), generator=generator)
    rows, columns = (corner + torch.arange(8)).unbind(1)  # (n, 8)
    field[torch.arange(len(digits))[:, None, None], rows[:, :, None], columns[:, None]] = digits
    return field.flatten(1)


def shared_rows(some: Tensor, others: Tensor) -> float:
    """How many of the one occur in the other."""
    known = {row.numpy().tobytes() for row in others}
    return float(sum(row.numpy().tobytes() in known for row in some))


def largest_move(net: nn.Module, pretrained: nn.Module) -> float:
    """Of the weights of a network's body, since it was pre-trained."""
    return max((a - b).abs().max().item() for a, b in zip(net[0].parameters(), pretrained.parameters(), strict=True))


def run(device="cpu", seed=0, steps=900):
    torch.manual_seed(3 * seed)  # weights, training data and the target task: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    loaded = load_digits()
    digits, names = torch.tensor(loaded.images).float() / 16, torch.tensor(loaded.target)
    source, target = digits[names < 6], digits[names >= 6]
    y_source, y = names[names < 6], names[names >= 6] - 6
    wires = torch.randperm(FIELD**2, generator=data)  # in which order the pixels come
    laid = place(target, unseen)
    x = laid[:, wires]

    pretrained = nn.Sequential(body(), nn.Linear(WIDTH, 10)).to(device)
    optimizer = torch.optim.Adam(pretrained.parameters())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = SOURCE_RATE * min(1, 2 - 2 * step / steps)
        some = torch.randint(len(source), (BATCH,), generator=data)
        shown = place(source[some], data)[:, wires].to(device)
        loss = F.cross_entropy(pretrained(shown), y_source[some].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"source task": loss.item()}

    lines, shared, moves, known = {}, 0.0, [], []
    for shots in sorted({2, SHOTS, 30}):
        scores = {}
        for _ in range(DRAWS if shots == SHOTS else 2):
            order = torch.randperm(len(x), generator=unseen)
            few = torch.cat([order[y[order] == label][:shots] for label in range(4)])
            rest = order[~torch.isin(order, few)]
            shown, told, asked = x[few].to(device), y[few].to(device), x[rest].to(device)
            frozen, tuned = transfer(pretrained[0], shown, told)
            untrained = nn.Sequential(body(), nn.Linear(WIDTH, 4)).to(device)
            train(untrained[1].parameters(), untrained[1], untrained[0](shown).detach(), told, HEAD_RATE, TUNING)
            nets = {
                "fine-tuned": tuned,
                "frozen features": frozen,
                "from scratch": from_scratch(shown, told),
                "untrained features": untrained,
            }
            with torch.no_grad():
                answers = {name: net(asked).argmax(1) for name, net in nets.items()}
                answers["nearest example"] = nearest(shown, told, asked)
                known.append((nets["from scratch"](shown).argmax(1) == told).float().mean().item())
            for name, answer in answers.items():
                scores.setdefault(name, []).append((answer == y[rest].to(device)).float().mean().item())
            shared += shared_rows(target[rest], torch.cat([source, target[few]]))
            moves.append([largest_move(net, pretrained[0]) for net in (frozen, tuned)])
        for name, values in scores.items():
            lines.setdefault(name, {})[shots] = sum(values) / len(values)
    at = {name: line[SHOTS] for name, line in lines.items()}
    fields = torch.cat([place(source[:2], data), laid[:2]])
    return {
        "fine_tuned_accuracy": at["fine-tuned"],
        "control_accuracy": max(at["from scratch"], at["nearest example"]),
        "frozen_accuracy": at["frozen features"],
        "untrained_frozen_accuracy": at["untrained features"],
        "scratch_training_accuracy": min(known),
        "scratch_accuracy": at["from scratch"],
        "frozen_move": max(frozen for frozen, _ in moves),
        "tuned_move": min(tuned for _, tuned in moves),
        "shared_digits": shared,
        "source_digits": shared_rows(source, source),
    }, {
        "accuracy on the new digits": {
            "kind": "lines",
            "series": {name: (list(line), list(line.values())) for name, line in lines.items()},
            "x": "labelled examples of each new digit",
            "y": "accuracy",
            "log": "x",
        },
        "digits of the source and the target, and how the network gets them": {
            "kind": "images",
            "images": list(torch.cat([fields, fields[:, wires]]).view(-1, FIELD, FIELD)),
            "titles": ["source", "source", "target", "target"] + 4 * ["as it comes"],
            "columns": 4,
        },
    }


# %% what is claimed

TITLE = {"en": "Pre-training lets few labels go further", "zh": "预训练让少量标签更有用"}
CURVES = "cross-entropy"
CPU_SECONDS = 5
CLAIMS = {
    "trained fine_tuned_accuracy >= 0.55 > control_accuracy >= 0.38": {
        "en": "accuracy on new digits after fine-tuning on ten of each; control: the same network from scratch or the "
        "nearest example, whichever is better",
        "zh": "每类十个样本微调后在新数字上的准确率；对照：从零训练的同一网络或最近邻，取较好者",
    },
    "trained frozen_accuracy >= 0.55 > untrained_frozen_accuracy": {
        "en": "accuracy of a linear head on frozen features; the control's features are untrained",
        "zh": "冻结特征上线性头的准确率；对照的特征未经训练",
    },
    "trained scratch_training_accuracy >= 0.99 > scratch_accuracy": {
        "en": "accuracy of the network from scratch on its few examples; the control: on the other digits",
        "zh": "从零训练的网络在那几个样本上的准确率；对照为其余数字上的准确率",
    },
    "parity frozen_move <= 0 < tuned_move": {
        "en": "largest change of the body's weights while the head learns; the control: after fine-tuning",
        "zh": "只训练头时，主干权重相对预训练的最大变化；对照为微调之后",
    },
    "parity shared_digits <= 0 < source_digits": {
        "en": "test digits that occur in the source or among the examples; the control counts the source in itself",
        "zh": "测试数字中出现在源任务或样本里的个数；对照在源任务自身中计数",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "source task": "源任务",
    "fine-tuned": "微调",
    "frozen features": "冻结特征",
    "from scratch": "从零训练",
    "untrained features": "未训练特征",
    "nearest example": "最近邻",
    "accuracy on the new digits": "在新数字上的准确率",
    "labelled examples of each new digit": "每个新数字的标注样本数",
    "accuracy": "准确率",
    "digits of the source and the target, and how the network gets them": "源与目标的数字，及网络实际收到的样子",
    "as it comes": "收到的样子",
    "source": "源",
    "target": "目标",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
