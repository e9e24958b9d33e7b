"""Multilayer perceptron — hidden layers bend the boundary that a single neuron can only draw straight.

Rosenblatt's perceptron learns every function of two bits that a straight line can draw, which are 14 of the 16;
of XOR it never gets more than three of the four points right. A net with one hidden layer of tanh neurons gets
all four. On two interleaved spirals a net with two hidden layers is trained beside a single linear layer and
beside as many layers without activations, which are linear too, however many.

Needs:  torch
Source: F. Rosenblatt, The Perceptron, Psychological Review 65(6), 1958; M. Minsky, S. Papert, Perceptrons,
        1969; D. Rumelhart et al., Learning Representations by Back-Propagating Errors, Nature 323, 1986
"""

import copy
import math
from itertools import pairwise, product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

POINTS, TEST, HIDDEN, RATE, UPDATES = 400, 1000, 32, 0.02, 1000
SIDE = 24  # pixels of the figure

# %% the concept


class MLP(nn.Module):
    """Fully connected layers; every one but the last is followed by a nonlinearity."""

    def __init__(self, *sizes: int, nonlinear: bool = True) -> None:
        super().__init__()
        self.nonlinear = nonlinear
        pairs = list(pairwise(sizes))
        self.weights = nn.ParameterList(torch.randn(m, n) / m**0.5 for m, n in pairs)
        self.biases = nn.ParameterList(torch.randn(n) for _, n in pairs)

    def forward(self, x: Tensor) -> Tensor:  # (B, sizes[0]) -> (B, sizes[-1])
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight + bias  # x W + b: every neuron a weighted sum of all inputs, plus a bias
            if self.nonlinear and layer < last:
                x = x.tanh()
        return x


# %% its control


def perceptron(x: Tensor, signs: Tensor, generator: torch.Generator) -> float:
    """Rosenblatt's rule for one neuron, sign(w x + b): the largest share right on the way. (n, 2), (n,)"""
    x, best = torch.cat([x, torch.ones(len(x), 1)], 1), 0.0  # the last input is always 1, its weight the bias
    w = torch.randn(3, generator=generator)
    for _ in range(UPDATES):
        right = x @ w * signs > 0
        best = max(best, right.float().mean().item())
        if right.all():
            break
        wrong = (~right).nonzero()[:, 0]
        pick = wrong[torch.randint(len(wrong), (), generator=generator)]
        w = w + signs[pick] * x[pick]  # w <- w + y x: towards a wrong example of class +1, away from one of -1
    return best


# %% the experiment

BITS = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
XOR = (-1, 1, 1, -1)


def spirals(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two arms of one and a half turns, slightly blurred: (n, 2), (n,)."""
    arm = torch.arange(n) % 2
    t = torch.rand(n, generator=generator).sqrt()
    angle = 3 * math.pi * t + math.pi * arm
    points = t[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return 3 * (points + 0.02 * torch.randn(n, 2, generator=generator)), arm


def gap_to_torch(net: MLP, x: Tensor, y: Tensor, biases: bool = True) -> float:
    """Largest difference of outputs and gradients from an nn.Sequential with the same weights, f64."""
    net, x, y, twin = copy.deepcopy(net).cpu().double(), x.cpu().double().requires_grad_(), y.cpu(), nn.Sequential()
    for weight, bias in zip(net.weights, net.biases, strict=True):
        layer = nn.Linear(*weight.shape)
        layer.weight.data, layer.bias.data = weight.detach().T, bias.detach() * biases
        twin.extend([layer, nn.Tanh()])
    results = []
    for outputs, weights in ((net(x), net.weights), (twin[:-1](x), [layer.weight for layer in twin[::2]])):
        first, *rest = torch.autograd.grad(F.cross_entropy(outputs, y), [x, *weights])
        results.append([outputs, first, *rest])
    mine, theirs = results
    theirs[2:] = [g.T for g in theirs[2:]]
    return max((a - b).detach().abs().max().item() for a, b in zip(mine, theirs, strict=True))


def among(a: Tensor, b: Tensor) -> Tensor:  # (n, 2), (m, 2) -> (n,)
    """Which rows of one matrix stand in another."""
    return (a[:, None] == b).all(-1).any(1)


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(4 * seed)  # weights, training data, test data and perceptrons: four streams
    data, unseen, turns = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    known, fresh = spirals(POINTS, data), spirals(TEST, unseen)
    (x, y), (x_test, y_test) = ([t.to(device) for t in part] for part in (known, fresh))
    xor = BITS.to(device), (torch.tensor(XOR) > 0).long().to(device)
    nets = {
        "MLP": MLP(2, HIDDEN, HIDDEN, 2),
        "linear": MLP(2, 2),
        "deep linear": MLP(2, HIDDEN, HIDDEN, 2, nonlinear=False),
        "XOR": MLP(2, 4, 2),
    }
    optimizers = {name: torch.optim.Adam(net.to(device).parameters(), lr=RATE) for name, net in nets.items()}
    for step in range(steps):
        losses = {}
        for name, net in nets.items():
            inputs, labels = xor if name == "XOR" else (x, y)
            loss = F.cross_entropy(net(inputs), labels)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    def accuracy(name: str, points: Tensor, labels: Tensor) -> float:
        """Share answered rightly; a point of the spirals that was trained on counts as wrong."""
        with torch.no_grad():
            right = nets[name](points).argmax(1) == labels
        return (right & ~among(points, x)).float().mean().item()

    shares = {signs: perceptron(BITS, torch.tensor(signs), turns) for signs in product((-1, 1), repeat=4)}
    parity = XOR, tuple(-sign for sign in XOR)
    checked = ("MLP", (x_test[:64], y_test[:64])), ("XOR", xor)
    gaps, biasless = ([gap_to_torch(nets[name], *with_, biases) for name, with_ in checked] for biases in (True, False))
    edge = torch.linspace(-3.2, 3.2, SIDE)
    grid = torch.cartesian_prod(-edge, edge).flip(1).to(device)  # rows from the top, columns from the left
    with torch.no_grad():
        regions = [nets[name](grid).softmax(1)[:, 1].view(SIDE, SIDE).cpu() for name in ("MLP", "linear")]
    nearest = torch.cdist(grid.cpu(), known[0])
    seen = torch.where(nearest.amin(1) < 0.3, known[1][nearest.argmin(1)].float(), 0.5).view(SIDE, SIDE)
    return {
        "xor_mlp_right": accuracy("XOR", *xor),
        "xor_perceptron_right": max(shares[signs] for signs in parity),
        "spiral_accuracy": accuracy("MLP", x_test, y_test),
        "linear_accuracy": max(accuracy("linear", x_test, y_test), accuracy("deep linear", x_test, y_test)),
        "perceptron_learns": sum(share == 1 for signs, share in shares.items() if signs not in parity),
        "perceptron_learns_parity": sum(shares[signs] == 1 for signs in parity),
        "forward_gap": max(gaps),
        "biasless_gap": min(biasless),
        "shared_rows": int(among(fresh[0], known[0]).sum()),
        "shared_rows_planted": int(among(known[0][:9], known[0]).sum()),
    }, {
        "two spirals, and the probability of the second in the plane": {
            "kind": "images",
            "images": [seen, *regions],
            "titles": ["training points", "MLP", "linear"],
        },
    }


# %% what is claimed

TITLE = {"en": "A multilayer perceptron solves what one layer cannot", "zh": "多层感知机解决单层解决不了的问题"}
CURVES = "cross-entropy"
CPU_SECONDS = 1
CLAIMS = {
    "trained xor_mlp_right >= 1 > xor_perceptron_right >= 0.75": {
        "en": "share of XOR right in a net with a hidden layer; the control is a perceptron at its best",
        "zh": "含一个隐藏层的网络在 XOR 上的正确率；对照为感知机的最好成绩",
    },
    "trained spiral_accuracy >= 0.97 > linear_accuracy >= 0.55": {
        "en": "accuracy on fresh points of two spirals; the control is the better of two linear nets",
        "zh": "在双螺旋新样本上的准确率；对照为两个线性网络中较好的一个",
    },
    "parity perceptron_learns >= 14 > perceptron_learns_parity": {
        "en": "functions of two bits that the perceptron learns, of the 14 that a line can draw; the control: of the "
        "other two, XOR and its opposite",
        "zh": "两比特函数中直线可分的有 14 个，感知机学会的个数；对照为其余两个（XOR 及其反面）中学会的个数",
    },
    "parity forward_gap <= 1e-10 < biasless_gap": {
        "en": "largest gap of outputs and gradients to nn.Sequential (f64); the control drops the biases",
        "zh": "输出与梯度同 nn.Sequential 的最大差距（f64）；对照去掉偏置",
    },
    "parity shared_rows <= 0 < shared_rows_planted": {
        "en": "test points that stand among the training points; the control counts nine training points",
        "zh": "测试点中同时出现在训练点里的个数；对照数九个训练点",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "linear": "线性网络",
    "deep linear": "多层线性网络",
    "two spirals, and the probability of the second in the plane": "双螺旋，以及平面各处属于第二条的概率",
    "training points": "训练点",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
