"""Forward and backward propagation — the chain rule, run from the loss back to every weight.

A net with two hidden layers is written twice without torch.autograd: once as a forward pass and a backward
pass layer by layer, and once as a tape, a small autograd: every operation records its parents and its local
derivative, and walking the record backwards multiplies and adds them. The layered one then learns to read
digits.

Claim:  both give torch.autograd's gradient, the first also that of finite differences; gradients carried to
        the hidden layers are worth it: with the last layer alone trained, the same narrow net reads far fewer
        digits.
Source: D. Rumelhart, G. Hinton, R. Williams, Learning Representations by Back-Propagating Errors, Nature 323,
        1986; S. Linnainmaa, Taylor Expansion of the Accumulated Rounding Error, BIT 16, 1976 (reverse mode)
Run:    python kb/demos/forward_backprop.py --device cpu --seed 0 --steps 400
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

TITLE = {"en": "Forward propagation and backpropagation by hand", "zh": "手写前向传播与反向传播"}
CPU_SECONDS = 1
CLAIMS = {
    "trained trained_accuracy >= 0.8 > last_layer_accuracy": {
        "en": "test accuracy after hand-written backpropagation; the control trains the last layer only",
        "zh": "手写反向传播训练后的测试准确率；对照只训练最后一层",
    },
    "parity gradient_gap <= 1e-10 < no_slope_gap": {
        "en": "gap of the layered gradient to torch.autograd; the control forgets the slope of tanh",
        "zh": "逐层梯度与 torch.autograd 的差距；对照漏掉 tanh 的导数",
    },
    "parity tape_gap <= 1e-10 < overwritten_gap": {
        "en": "gap of the tape to torch.autograd, a weight used twice; the control keeps one of its paths",
        "zh": "计算图（同一权重用两次）与 torch.autograd 的差距；对照在路径汇合处只留一条",
    },
    "parity difference_gap <= 1e-8 < no_slope_difference_gap": {
        "en": "gap of the layered gradient to central differences; the control forgets the slope of tanh",
        "zh": "逐层梯度与中心差分的差距；对照漏掉 tanh 的导数",
    },
}

SIZES = (64, 12, 12, 10)


def forward(weights: list[Tensor], biases: list[Tensor], x: Tensor) -> list[Tensor]:
    """The activations of every layer, the input first and the logits last: (B, D0), ..., (B, C)."""
    layers = [x]
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        layers.append((layers[-1] @ weight + bias).tanh())
    return [*layers, layers[-1] @ weights[-1] + biases[-1]]


def backward(weights: list[Tensor], layers: list[Tensor], y: Tensor, slope: bool = True) -> list[Tensor]:
    """Gradients of the mean cross-entropy, for all weights and then all biases."""
    by_weight, by_bias = [], []
    delta = (layers[-1].softmax(1) - F.one_hot(y, layers[-1].shape[1])) / len(y)  # loss by logits: (B, C)
    for weight, below in zip(reversed(weights), reversed(layers[:-1]), strict=True):
        by_weight.insert(0, below.T @ delta)  # (D, B) (B, D') -> (D, D')
        by_bias.insert(0, delta.sum(0))
        delta = delta @ weight.T  # chain rule through the product ...
        delta = delta * (1 - below**2) if slope else delta  # ... and through tanh
    return by_weight + by_bias


class Node:
    """A value on the tape, with its parents and the derivative that carries a gradient to each."""

    def __init__(self, value: Tensor, *parents: tuple["Node", Callable[[Tensor], Tensor]]) -> None:
        self.value, self.parents, self.grad = value, parents, torch.zeros_like(value)

    def __matmul__(self, other: "Node") -> "Node":
        a, b = self.value, other.value
        return Node(a @ b, (self, lambda g: g @ b.T), (other, lambda g: a.T @ g))

    def __add__(self, bias: "Node") -> "Node":
        return Node(self.value + bias.value, (self, lambda g: g), (bias, lambda g: g.sum(0)))

    def tanh(self) -> "Node":
        out = self.value.tanh()
        return Node(out, (self, lambda g: g * (1 - out**2)))

    def cross_entropy(self, y: Tensor) -> "Node":
        error = (self.value.softmax(1) - F.one_hot(y, self.value.shape[1])) / len(y)
        return Node(-self.value.log_softmax(1)[range(len(y)), y].mean(), (self, lambda g: g * error))

    def backward(self, accumulate: bool = True) -> None:
        order: list[Node] = []

        def visit(node: Node) -> None:  # parents first
            if node not in order:
                for parent, _ in node.parents:
                    visit(parent)
                order.append(node)

        visit(self)
        self.grad = torch.ones_like(self.value)
        for node in reversed(order):
            for parent, carry in node.parents:
                parent.grad = accumulate * parent.grad + carry(node.grad)  # a node used twice gets both


def initial(sizes: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> tuple[list, list]:
    pairs = list(pairwise(sizes))
    weights = [torch.randn(m, n, generator=generator, dtype=dtype) / m**0.5 for m, n in pairs]
    return weights, [torch.zeros(n, dtype=dtype) for _, n in pairs]


def gap(mine: list[Tensor], reference: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(mine, reference, strict=True))


def check(seed: int) -> dict[str, float]:
    """The gradients against torch.autograd and finite differences, in float64."""
    data = torch.Generator().manual_seed(seed)
    weights, biases = initial((5, 7, 7, 3), data, torch.float64)
    x, y = torch.randn(16, 5, generator=data, dtype=torch.float64), torch.randint(3, (16,), generator=data)
    leaves = [t.clone().requires_grad_() for t in weights + biases]
    exact = torch.autograd.grad(F.cross_entropy(forward(leaves[:3], leaves[3:], x)[-1], y), leaves)
    layers = forward(weights, biases, x)
    mine, broken = backward(weights, layers, y), backward(weights, layers, y, slope=False)

    numeric = [torch.zeros_like(t) for t in weights + biases]
    for parameter, slopes in zip(weights + biases, numeric, strict=True):
        for i in range(parameter.numel()):
            for sign in (1, -1):
                parameter.view(-1)[i] += sign * 1e-5
                slopes.view(-1)[i] += sign * F.cross_entropy(forward(weights, biases, x)[-1], y) / 2e-5
                parameter.view(-1)[i] -= sign * 1e-5

    tapes = []
    for accumulate in (True, False):  # x -> W0 -> W1 -> W1 again -> W2
        nodes = [Node(t) for t in weights]
        hidden = (Node(x) @ nodes[0]).tanh()
        for weight in (nodes[1], nodes[1]):
            hidden = (hidden @ weight).tanh()
        (hidden @ nodes[2]).cross_entropy(y).backward(accumulate)
        tapes.append([node.grad for node in nodes])
    hidden = (((x @ leaves[0]).tanh() @ leaves[1]).tanh() @ leaves[1]).tanh()
    tied = torch.autograd.grad(F.cross_entropy(hidden @ leaves[2], y), leaves[:3])
    return {
        "gradient_gap": gap(mine, exact),
        "no_slope_gap": gap(broken, exact),
        "tape_gap": gap(tapes[0], tied),
        "overwritten_gap": gap(tapes[1], tied),
        "difference_gap": gap(mine, numeric),
        "no_slope_difference_gap": gap(broken, numeric),
    }


def run(device="cpu", seed=0, steps=400):
    digits, data = load_digits(), torch.Generator().manual_seed(seed)
    order = torch.randperm(len(digits.data), generator=data)
    x = torch.tensor(digits.data, dtype=torch.float32)[order].to(device) / 16
    y = torch.tensor(digits.target)[order].to(device)
    x_test, y_test = x[1300:], y[1300:]
    start = initial(SIZES, data, torch.float32)
    names = "all layers", "last layer"
    nets = {name: [[t.to(device, copy=True) for t in part] for part in start] for name in names}
    for step in range(steps):
        rows = torch.randint(1300, (64,), generator=data).to(device)
        losses = {}
        for name, (weights, biases) in nets.items():
            layers = forward(weights, biases, x[rows])
            gradients = backward(weights, layers, y[rows])
            for number, (parameter, gradient) in enumerate(zip(weights + biases, gradients, strict=True)):
                if name == "all layers" or number % 3 == 2:
                    parameter -= 0.5 * gradient
            losses[name] = F.cross_entropy(layers[-1], y[rows]).item()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, losses

    right = {name: forward(*net, x_test)[-1].argmax(1) == y_test for name, net in nets.items()}
    accuracy = {name: answers.float().mean().item() for name, answers in right.items()}
    return {
        "trained_accuracy": accuracy["all layers"],
        "last_layer_accuracy": accuracy["last layer"],
        **check(seed),
    }, {"test accuracy": {"kind": "bars", "zh": "测试准确率", "values": accuracy}}


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
