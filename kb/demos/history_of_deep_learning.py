"""History of deep learning — a support vector machine reads digits as well as a deep net, until they are moved.

Four ideas learn the same 1000 real 8x8 digits in the middle of a canvas of 16x16: a line between classes (the
perceptron's), a multilayer perceptron, a convolutional network and a support vector machine. The years are those of
their sources; how the nets are built and trained is of today. In the middle the machine reads about as many fresh
digits as the convolutional network, or more. Of those moved anywhere on the canvas the first two and the machine read
few. Taught four moved copies of each, the machine still falls behind the network, which saw none; more copies bring it
closer. That lies in the form of the network: the same weights at all places, then the largest of all. Pooled by two
after its first layer, it misreads many that are moved by an odd number of pixels. And who knows what changes can take
it out by hand: pushed into a corner of the canvas first, moved digits are to the machine just what still ones are.

Needs:  torch, scikit-learn
Source: F. Rosenblatt, The Perceptron, Psychological Review 65(6), 1958; D. Rumelhart, G. Hinton, R. Williams, Learning
        Representations by Back-Propagating Errors, Nature 323, 1986; Y. LeCun et al., Backpropagation Applied to
        Handwritten Zip Code Recognition, Neural Computation 1(4), 1989; C. Cortes, V. Vapnik, Support-Vector Networks,
        Machine Learning 20, 1995
"""

import copy

import torch
from sklearn.datasets import load_digits
from sklearn.svm import SVC
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, DIGIT, TRAIN, BATCH, WARM, COPIES, GAMMA, COST = 16, 8, 1000, 64, 30, 4, 0.2, 10.0
# %% the concept


def line() -> nn.Module:  # 1958: a weighted sum of the pixels for each class
    return nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 10))


def layers() -> nn.Module:  # 1986: weighted sums, each over all of the layer below
    hidden = nn.Linear(SIDE**2, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU()
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(64, 10))


class Convolutional(nn.Module):  # 1989: a weighted sum over 3x3 places, the same everywhere on the canvas
    def __init__(self, pool: int = 1) -> None:
        super().__init__()
        self.pool = pool
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in ((1, 8), (8, 16), (16, 32)))
        self.out = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:  # (B, 16, 16) -> (B, 10)
        h = F.max_pool2d(self.layers[0](x[:, None]).relu(), self.pool)  # with 1, nothing is pooled
        for layer in self.layers[1:]:
            h = layer(h).relu()
        return self.out(h.amax((2, 3)))  # is it anywhere?


DEEP, POOLED = "convolution, 1989", "the same, pooled by two"
OLD, TAUGHT = "support vectors, 1995", "the same, taught moved copies"
NETS = {
    "line, 1958": (line, 1e-2),
    "multilayer perceptron, 1986": (layers, 3e-3),
    DEEP: (Convolutional, 2e-2),
    POOLED: (lambda: Convolutional(2), 2e-2),
}

# %% its control


def machine(x: Tensor, y: Tensor) -> SVC:  # 1995: sum_i a_i exp(-gamma |x - x_i|^2), over the training canvases
    return SVC(C=COST, gamma=GAMMA).fit(x.flatten(1).numpy(), y.numpy())


# %% the experiment


def place(digits: Tensor, where: Tensor) -> Tensor:
    """On canvases, with the upper left corner at (n, 2): (n, 8, 8) -> (n, 16, 16)."""
    canvas, steps = torch.zeros(len(digits), SIDE, SIDE), torch.arange(DIGIT)
    rows, columns = where[:, :1] + steps, where[:, 1:] + steps
    canvas[torch.arange(len(digits))[:, None, None], rows[:, :, None], columns[:, None]] = digits
    return canvas


def corner(x: Tensor) -> Tensor:
    """The ink pushed to the upper left, by hand: (n, 16, 16)."""
    moved = []
    for axis in (1, 2):
        first = (x.amax(3 - axis) > 0).int().argmax(1)  # row or column where the ink begins
        moved.append((first[:, None] + torch.arange(SIDE)) % SIDE)
    return x[torch.arange(len(x))[:, None, None], moved[0][:, :, None], moved[1][:, None]]


def by_patches(net: Convolutional, x: Tensor, off: int = 0) -> Tensor:
    """The scores by sums over the nine neighbours of each place; `off` moves the neighbours."""
    h = x[:, None]
    for layer in net.layers:
        wide, total = F.pad(h, (1, 1, 1, 1)).roll(off, 3), layer.bias[:, None, None]
        for i in range(3):
            for j in range(3):
                near = wide[:, None, :, i : i + SIDE, j : j + SIDE]
                total = total + (layer.weight[:, :, i, j, None, None] * near).sum(2)
        h = total * (total > 0)
    return h.flatten(2).max(2).values @ net.out.weight.T + net.out.bias


def gap_by_patches(net: Convolutional, x: Tensor, off: int = 0) -> float:
    """Largest gap of scores and gradients of input and parameters, f64."""
    net, found = copy.deepcopy(net).cpu().double(), []
    for scores in (net, lambda x: by_patches(net, x, off)):
        given = x.double().requires_grad_()
        out = scores(given)
        loss = (out * torch.linspace(-1, 1, 10, dtype=out.dtype)).tanh().sum()
        found.append([out.detach(), *torch.autograd.grad(loss, [given, *net.parameters()], materialize_grads=True)])
    return max(float((a - b).abs().max()) for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=400):
    torch.manual_seed(4 * seed)  # weights; which digits are learned, batches and copies, places of the test
    split, draws, fresh = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    raw, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(raw), generator=split)
    digits, y = (torch.tensor(raw / 16).float().view(-1, DIGIT, DIGIT)[order], torch.tensor(labels)[order])
    (learn, test), (known, truth) = (t.tensor_split([TRAIN]) for t in (digits, y))
    middle, room = torch.full((1, 2), (SIDE - DIGIT) // 2), SIDE - DIGIT + 1
    ways = {reach: place(test, (middle + reach * torch.tensor([1, -1])).expand(len(test), 2)) for reach in range(5)}
    still = place(learn, middle.expand(TRAIN, 2))
    moved = place(test, torch.randint(room, (len(test), 2), generator=fresh))
    nets = {name: make().to(device) for name, (make, _) in NETS.items()}
    optimizers = {name: torch.optim.Adam(net.parameters(), NETS[name][1]) for name, net in nets.items()}
    for step in range(steps):
        some, losses = torch.randint(TRAIN, (BATCH,), generator=draws), {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = NETS[name][1] * min(1, (step + 1) / WARM, 2 - 2 * step / steps)
            loss = F.cross_entropy(net(still[some].to(device)), known[some].to(device))
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    def right(reader: nn.Module | SVC, x: Tensor) -> float:
        if isinstance(reader, SVC):
            return float(reader.score(x.flatten(1).numpy(), truth.numpy()))
        with torch.no_grad():
            return (reader(x.to(device)).argmax(1).cpu() == truth).float().mean().item()

    readers: dict = {**nets, OLD: machine(still, known)}
    copies = [place(learn, torch.randint(room, (TRAIN, 2), generator=draws)) for _ in range(COPIES)]
    readers[TAUGHT] = machine(torch.cat(copies), known.repeat(COPIES))
    scores = {name: (right(reader, ways[0]), right(reader, moved)) for name, reader in readers.items()}
    kept = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    kept |= {name: reader.support_vectors_.size for name, reader in readers.items() if name not in nets}
    noise = torch.rand(5, SIDE, SIDE, generator=draws)  # no two places are alike
    return {
        "deep_moved": scores[DEEP][1],
        "machine_moved": scores[TAUGHT][1],
        "still_lead": scores[OLD][0] - scores[DEEP][0],
        "moved_lead": scores[TAUGHT][1] - scores[DEEP][1],
        "whole_moved": scores[DEEP][1],
        "pooled_moved": scores[POOLED][1],
        "pushed_moved": right(machine(corner(still), known), corner(moved)),
        "unpushed_moved": scores[TAUGHT][1],
        "net_gap": gap_by_patches(nets[DEEP], noise),
        "off_gap": gap_by_patches(nets[DEEP], noise, off=1),
    }, {
        "share of fresh digits read": {
            "kind": "table",
            "columns": ["idea", "numbers kept", "still", "moved"],
            "rows": [[name, f"{kept[name]:,}", *(round(share, 3) for share in scores[name])] for name in scores],
        },
        "digits moved towards a corner, all taught in the middle": {
            "kind": "lines",
            "series": {
                name: (list(ways), [right(readers[name], x) for x in ways.values()]) for name in (DEEP, POOLED, OLD)
            },
            "x": "pixels moved, each way",
            "y": "share read",
        },
    }


# %% what is claimed

TITLE = {"en": "Four ideas on one task", "zh": "一个任务上的四种思路"}
CURVES = "training loss, digits in the middle"
CPU_SECONDS = 11
CLAIMS = {
    "trained deep_moved >= 0.94 > machine_moved >= 0.83": {
        "en": "share of fresh moved digits that the convolutional network reads, taught only in the middle; control: a "
        "support vector machine, taught four moved copies of each",
        "zh": "只学过居中数字的卷积网络读对新的移动数字的比例；对照：支持向量机，每个数字学四个移动的副本",
    },
    "trained still_lead >= -0.01 > moved_lead": {
        "en": "by how much the machine reads more digits in the middle than the network, both taught there; control: "
        "more moved digits, the machine taught moved copies",
        "zh": "都只学居中数字时，支持向量机比卷积网络多读对居中数字的比例；对照：移动数字上，支持向量机学过移动副本",
    },
    "trained whole_moved >= 0.94 > pooled_moved >= 0.5": {
        "en": "share of moved digits that the network reads; control: the same, pooled by two after its first layer",
        "zh": "卷积网络读对移动数字的比例；对照：第一层之后做 2×2 池化的同一网络",
    },
    "trained pushed_moved >= 0.955 > unpushed_moved": {
        "en": "share of moved digits that the machine reads once they are pushed into a corner by hand; control: not "
        "pushed, the machine taught moved copies",
        "zh": "先人为把数字推到角落时，支持向量机读对移动数字的比例；对照：不推，支持向量机学过移动副本",
    },
    "parity net_gap <= 1e-10 < off_gap": {
        "en": "largest gap of the trained convolutional network to sums over neighbours, in scores and gradients "
        "(f64); control: neighbours one place off",
        "zh": "训练后的卷积网络同逐邻居求和在打分与梯度上的最大差距（f64）；对照：邻居错开一格",
    },
}
ZH = {
    "training loss, digits in the middle": "训练损失（居中的数字）",
    "line, 1958": "线性，1958",
    "multilayer perceptron, 1986": "多层感知机，1986",
    "convolution, 1989": "卷积网络，1989",
    "the same, pooled by two": "卷积网络，2×2 池化",
    "support vectors, 1995": "支持向量机，1995",
    "the same, taught moved copies": "支持向量机，学过移动副本",
    "share of fresh digits read": "读对的新数字的比例",
    "idea": "思路",
    "numbers kept": "保存的数",
    "still": "居中",
    "moved": "移动",
    "digits moved towards a corner, all taught in the middle": "数字向一角移动时（都只学居中数字）",
    "pixels moved, each way": "横竖各移动的像素数",
    "share read": "读对的比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
