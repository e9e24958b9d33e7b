"""Multilayer perceptron — hidden layers bend the boundary that a single neuron can only draw straight.

Rosenblatt's perceptron learns XOR: no straight line gets more than three of the four points right. A net with
one hidden layer of tanh neurons learns all four. On two interleaved spirals a net with two hidden layers is
trained beside a single linear layer and beside its own twin without activations, which is linear too, however
deep.

Claim:  with hidden layers and a nonlinearity XOR and the spirals are learned, without they are not; the
        hand-written layers compute what nn.Sequential computes.
Source: F. Rosenblatt, The Perceptron, Psychological Review 65(6), 1958; M. Minsky, S. Papert, Perceptrons,
        1969; D. Rumelhart et al., Learning Representations by Back-Propagating Errors, Nature 323, 1986
Run:    python kb/demos/mlp.py --device cpu --seed 0 --steps 300
"""

import copy
import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "A multilayer perceptron solves what one layer cannot", "zh": "多层感知机解决单层解决不了的问题"}
CPU_SECONDS = 1
CLAIMS = {
    "trained xor_mlp_right >= 0.875 > xor_perceptron_right": {
        "en": "share of XOR right in a net with a hidden layer; the control is a perceptron at its best",
        "zh": "含一个隐藏层的网络在 XOR 上的正确率；对照为感知机的最好成绩",
    },
    "trained spiral_accuracy >= 0.84 > linear_accuracy": {
        "en": "accuracy on fresh points of two spirals; the control is the better of two linear nets",
        "zh": "在双螺旋新样本上的准确率；对照为两个线性网络中较好的一个",
    },
    "parity forward_gap <= 1e-10 < biasless_gap": {
        "en": "largest gap of the hand-written net to nn.Sequential; the control drops the biases",
        "zh": "手写网络与 nn.Sequential 的最大差距；对照去掉偏置",
    },
}


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
            x = x @ weight + bias  # every neuron: a weighted sum of all inputs, plus a bias
            if self.nonlinear and layer < last:
                x = x.tanh()
        return x


def perceptron_xor(generator: torch.Generator, updates: int = 200) -> float:
    """Rosenblatt's rule on XOR: the largest share right after any update."""
    points = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])  # the third input is the bias
    signs, w, best = torch.tensor([-1.0, 1, 1, -1]), torch.randn(3, generator=generator), 0.0
    for _ in range(updates):
        right = points @ w * signs > 0
        best = max(best, right.float().mean().item())
        if right.all():
            break
        wrong = (~right).nonzero()[:, 0]
        pick = wrong[torch.randint(len(wrong), (), generator=generator)]
        w = w + signs[pick] * points[pick]  # turn towards an example that is wrong
    return best


def spirals(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two arms of one and a half turns, slightly blurred: (n, 2), (n,)."""
    arm = torch.arange(n) % 2
    t = torch.rand(n, generator=generator).sqrt()
    angle = 3 * math.pi * t + math.pi * arm
    points = t[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return 3 * (points + 0.02 * torch.randn(n, 2, generator=generator)), arm


def gap_to_torch(net: MLP, x: Tensor, biases: bool = True) -> float:
    """Largest difference from an nn.Sequential that holds the same weights."""
    twin = nn.Sequential()
    for weight, bias in zip(net.weights, net.biases, strict=True):
        layer = nn.Linear(*weight.shape)
        layer.weight.data, layer.bias.data = weight.T, bias * biases
        twin.extend([layer, nn.Tanh()])
    with torch.no_grad():
        return float((twin[:-1](x) - net(x)).abs().max())


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(seed)
    x, y = (t.to(device) for t in spirals(400, torch.Generator().manual_seed(seed)))
    xor = (
        torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]], device=device),
        torch.tensor([0, 1, 1, 0], device=device),
    )
    nets = {
        "MLP": MLP(2, 32, 32, 2),
        "linear": MLP(2, 2),
        "deep linear": MLP(2, 32, 32, 2, nonlinear=False),
        "XOR": MLP(2, 4, 2),
    }
    optimizers = {name: torch.optim.Adam(net.to(device).parameters(), lr=0.02) for name, net in nets.items()}
    for step in range(steps):
        losses = {}
        for name, net in nets.items():
            inputs, labels = xor if name == "XOR" else (x, y)
            loss = F.cross_entropy(net(inputs), labels)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, losses

    def accuracy(name: str, points: Tensor, labels: Tensor) -> float:
        with torch.no_grad():
            return (nets[name](points).argmax(1) == labels).float().mean().item()

    fresh = [t.to(device) for t in spirals(1000, torch.Generator().manual_seed(seed + 1000))]
    side = torch.linspace(-3.5, 3.5, 40)
    grid = torch.cartesian_prod(-side, side).flip(1).to(device)  # rows from the top, columns from the left
    with torch.no_grad():
        region = nets["MLP"](grid).softmax(1)[:, 1].view(40, 40).cpu()
    exact = copy.deepcopy(nets["MLP"]).cpu().double()
    arms = {f"arm {arm}": [x[y == arm, axis].tolist() for axis in (0, 1)] for arm in (0, 1)}
    return {
        "xor_mlp_right": accuracy("XOR", *xor),
        "xor_perceptron_right": perceptron_xor(torch.Generator().manual_seed(seed)),
        "spiral_accuracy": accuracy("MLP", *fresh),
        "linear_accuracy": max(accuracy("linear", *fresh), accuracy("deep linear", *fresh)),
        "forward_gap": gap_to_torch(exact, x.cpu().double()),
        "biasless_gap": gap_to_torch(exact, x.cpu().double(), biases=False),
    }, {
        "two spirals": {"kind": "scatter", "zh": "双螺旋数据", "series": arms},
        "probability of arm 1": {"kind": "heatmap", "zh": "属于第 1 条螺旋的概率", "values": region},
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
