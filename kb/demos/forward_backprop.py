"""Forward and backward propagation — the chain rule, run from the loss back to every weight.

A net with two hidden layers is written twice without torch.autograd: once as a forward pass and a backward
pass layer by layer, and once as a tape, a small autograd: every operation records its parents and its local
derivative, and walking the record backwards multiplies and adds them. The layered one learns to read digits;
then both meet torch.autograd, and the layered one finite differences too, at the weights that it learned. What
the gradients of the hidden layers are worth is shown by the same narrow net with its last layer alone trained: as
long, or by scikit-learn to the end, whichever reads better.

Needs:  torch, scikit-learn
Source: D. Rumelhart, G. Hinton, R. Williams, Learning Representations by Back-Propagating Errors, Nature 323,
        1986; S. Linnainmaa, Taylor Expansion of the Accumulated Rounding Error, BIT 16, 1976 (reverse mode)
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

SIZES, TRAIN, BATCH = (64, 8, 8, 10), 1300, 64
RATES = {"all layers": 0.5, "last layer": 1.5}

# %% the concept


def forward(weights: list[Tensor], biases: list[Tensor], x: Tensor) -> list[Tensor]:
    """The activations of every layer, the input first and the logits last: (B, D0), ..., (B, C)."""
    layers = [x]
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        layers.append((layers[-1] @ weight + bias).tanh())  # h_l = tanh(h_(l-1) W_l + b_l)
    return [*layers, layers[-1] @ weights[-1] + biases[-1]]


def backward(weights: list[Tensor], layers: list[Tensor], y: Tensor, slope: bool = True) -> list[Tensor]:
    """Gradients of the mean cross-entropy, for all weights and then all biases."""
    by_weight, by_bias = [], []
    delta = (layers[-1].softmax(1) - F.one_hot(y, layers[-1].shape[1])) / len(y)  # dL/dlogits: (B, C)
    for weight, below in zip(reversed(weights), reversed(layers[:-1]), strict=True):
        by_weight.insert(0, below.T @ delta)  # dL/dW = h^T delta: (D, B) (B, D') -> (D, D')
        by_bias.insert(0, delta.sum(0))  # dL/db
        delta = delta @ weight.T  # dL/dh: the chain rule through the product ...
        delta = delta * (1 - below**2) if slope else delta  # ... and through tanh, whose slope is 1 - tanh^2
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


# %% the experiment


def gap(mine: list[Tensor], reference: list[Tensor]) -> float:
    return max((a - b).detach().abs().max().item() for a, b in zip(mine, reference, strict=True))


def exact(weights: list[Tensor], biases: list[Tensor], x: Tensor, y: Tensor, twice: bool) -> list[Tensor]:
    """Logits, loss and gradients of the same net made of torch.nn; `twice` has its second layer and its loss twice."""
    linears = [nn.Linear(*weight.shape).double() for weight in weights]
    for linear, weight, bias in zip(linears, weights, biases, strict=True):
        linear.weight.data, linear.bias.data = weight.T, bias
    first, second, last = linears
    logits = nn.Sequential(first, nn.Tanh(), *[second, nn.Tanh()] * (1 + twice), last)(x)
    loss = (1 + twice) * F.cross_entropy(logits, y)
    loss.backward()
    return [logits, loss, *(linear.weight.grad.T for linear in linears), *(linear.bias.grad for linear in linears)]


def taped(weights: list[Tensor], biases: list[Tensor], x: Tensor, y: Tensor, twice: bool) -> list[Node]:
    """The net on a tape, not yet walked back: its values on the way from input to loss, then its parameters."""
    w, b = ([Node(t) for t in part] for part in (weights, biases))
    way = [Node(x)]
    for k in (0, 1, 1) if twice else (0, 1):
        way.append(way[-1] @ w[k] + b[k])
        way.append(way[-1].tanh())
    way.append(way[-1] @ w[2] + b[2])
    loss = way[-1].cross_entropy(y)
    return [*way, loss + loss if twice else loss, *w, *b]


def differences(weights: list[Tensor], biases: list[Tensor], x: Tensor, y: Tensor, nudge: float = 1e-5) -> list[Tensor]:
    """Central differences of the loss by every single parameter."""
    slopes = [torch.zeros_like(t) for t in weights + biases]
    for parameter, slope in zip(weights + biases, slopes, strict=True):
        for i in range(parameter.numel()):
            kept = parameter.view(-1)[i].item()
            for sign in (1, -1):
                parameter.view(-1)[i] = kept + sign * nudge
                slope.view(-1)[i] += sign * F.cross_entropy(forward(weights, biases, x)[-1], y) / (2 * nudge)
            parameter.view(-1)[i] = kept
    return slopes


def rms(t: Tensor) -> float:
    return t.square().mean().sqrt().item()


def accuracy(net: tuple[list[Tensor], list[Tensor]], x: Tensor, y: Tensor, known: Tensor) -> float:
    """Share of the images that are read rightly; one that was trained on counts as wrong."""
    fresh = ~(x[:, None] == known).all(-1).any(1)
    return ((forward(*net, x)[-1].argmax(1) == y) & fresh).float().mean().item()


def run(device="cpu", seed=0, steps=400):
    start, data = (torch.Generator().manual_seed(2 * seed + k) for k in (0, 1))  # weights and data: two streams
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    images, labels = torch.tensor(digits.data, dtype=torch.float32)[order] / 16, torch.tensor(digits.target)[order]
    parts = slice(TRAIN), slice(TRAIN, None)
    x, y, x_test, y_test = (t[part].to(device) for part in parts for t in (images, labels))
    initial = [torch.randn(m, n, generator=start) / m**0.5 for m, n in pairwise(SIZES)]
    nets = {
        name: ([w.to(device, copy=True) for w in initial], [torch.zeros(n, device=device) for n in SIZES[1:]])
        for name in RATES
    }
    for step in range(steps):
        rows = torch.randint(TRAIN, (BATCH,), generator=data).to(device)
        losses = {}
        for name, (weights, biases) in nets.items():
            layers = forward(weights, biases, x[rows])
            gradients = backward(weights, layers, y[rows])
            for number, (parameter, gradient) in enumerate(zip(weights + biases, gradients, strict=True)):
                if name == "all layers" or number % 3 == 2:
                    parameter -= RATES[name] * min(1, 2 - 2 * step / steps) * gradient
            losses[name] = F.cross_entropy(layers[-1], y[rows]).item()
        yield (step + 1) / steps, losses

    right = {name: accuracy(net, x_test, y_test, known=x) for name, net in nets.items()}
    hidden, unseen = (forward(*nets["last layer"], t)[-2].cpu().numpy() for t in (x, x_test))  # as it was drawn
    fitted = LogisticRegression(C=100, max_iter=3000).fit(hidden, y.cpu().numpy()).score(unseen, y_test.cpu().numpy())

    weights, biases = ([t.cpu().double() for t in part] for part in nets["all layers"])  # as trained
    some, asked = x_test[:16].cpu().double(), y_test[:16].cpu()
    net = weights, biases, some, asked
    layers = forward(weights, biases, some)
    logits, _, *true = exact(*net, twice=False)
    mine, broken = backward(weights, layers, asked), backward(weights, layers, asked, slope=False)
    numeric = differences(*net)
    tapes = []
    for accumulate in (True, False):
        nodes = taped(*net, twice=True)
        nodes[-7].backward(accumulate)
        tapes.append([nodes[-8].value, nodes[-7].value, *(node.grad for node in nodes[-6:])])
    way = taped(*net, twice=False)[:-6]
    way[-1].backward()
    names = ["x", "x W1 + b1", "h1=tanh", "h1 W2 + b2", "h2=tanh", "h2 W3 + b3", "cross-entropy"]
    return {
        "trained_accuracy": right["all layers"],
        "last_layer_accuracy": max(right["last layer"], fitted),
        "gradient_gap": gap([layers[-1], *mine], [logits, *true]),
        "no_slope_gap": gap(broken, true),
        "tape_gap": gap(tapes[0], exact(*net, twice=True)),
        "overwritten_gap": gap(tapes[1], exact(*net, twice=True)),
        "difference_gap": gap(mine, numeric),
        "no_slope_difference_gap": gap(broken, numeric),
    }, {
        "one step on the tape: values go down, gradients come up": {
            "kind": "table",
            "columns": ["node", "shape", "value (rms)", "gradient (rms)"],
            "rows": [
                [name, "x".join(map(str, node.value.shape)), rms(node.value), rms(node.grad)]
                for name, node in zip(names, way, strict=True)
            ],
        }
    }


# %% what is claimed

TITLE = {"en": "Forward propagation and backpropagation by hand", "zh": "手写前向传播与反向传播"}
CURVES = "cross-entropy"
CPU_SECONDS = 1
CLAIMS = {
    "trained trained_accuracy >= 0.9 > last_layer_accuracy >= 0.5": {
        "en": "test accuracy after hand-written backpropagation; the control trains the last layer only, as long or "
        "to the end",
        "zh": "手写反向传播训练后的测试准确率；对照只训练最后一层（同样久，或直到收敛，取较好者）",
    },
    "parity gradient_gap <= 1e-10 < no_slope_gap": {
        "en": "gap of the layered pass, logits and gradients, to torch.nn; the control forgets the slope of tanh",
        "zh": "逐层写法的 logit 与梯度同 torch.nn 的差距；对照漏掉 tanh 的导数",
    },
    "parity tape_gap <= 1e-10 < overwritten_gap": {
        "en": "gap of the tape to torch.autograd, a layer and the loss used twice; the control keeps one of the paths",
        "zh": "计算图（同一层与损失各用两次）与 torch.autograd 的差距；对照在路径汇合处只留一条",
    },
    "parity difference_gap <= 1e-8 < no_slope_difference_gap": {
        "en": "gap of the layered gradient to central differences; the control forgets the slope of tanh",
        "zh": "逐层梯度与中心差分的差距；对照漏掉 tanh 的导数",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "all layers": "全部层",
    "last layer": "仅最后一层",
    "one step on the tape: values go down, gradients come up": "计算图上的一步：值自上而下，梯度自下而上",
    "node": "节点",
    "shape": "形状",
    "value (rms)": "值（均方根）",
    "gradient (rms)": "梯度（均方根）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
