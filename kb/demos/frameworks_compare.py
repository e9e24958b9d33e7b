"""Frameworks compared — four styles of programming train one network along the same losses; the graph differs.

A net of 64-32-10 learns handwritten digits from the same weights and batches in four styles: eager (nn.Module), static
graph (the small engine below: define, differentiate, compile, run), functional (torch.func), and NumPy with gradients
by hand. The engine has both modes: of leaves with a value it computes at once, and each call makes its graph anew; of
leaves without, it makes a program. Only PyTorch and NumPy are run; the table says which framework is like which style.
Each kernel is a line of the program, as a compiler would fuse it; torch still runs the operations one by one.
Controls: PyTorch at a rate one per cent lower, central differences, a trace (the branches that one example took), a
compiler that merges and fuses nothing, and layers kept in a plain Python list.

Needs:  torch, scikit-learn, numpy
Source: R. Al-Rfou et al., Theano: A Python Framework for Fast Computation of Mathematical Expressions, 2016;
        A. Paszke et al., PyTorch: An Imperative Style, High-Performance Deep Learning Library, NeurIPS 2019;
        J. Ansel et al., PyTorch 2, ASPLOS 2024 (torch.compile)
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN, BATCH, RATE = 32, 64, 0.5

# %% the concept

OPS = {  # what an operation computes, and the gradients of its inputs: nodes again, so they have gradients too
    "add": ("({0} + {1})", lambda g, y, a, b: (node("sum_to", g, a), node("sum_to", g, b))),
    "mul": ("({0} * {1})", lambda g, y, a, b: (node("sum_to", g * b, a), node("sum_to", g * a, b))),
    "neg": ("(-{0})", lambda g, y, a: (node("neg", g),)),
    "matmul": ("({0} @ {1})", lambda g, y, a, b: (g @ node("t", b), node("t", a) @ g)),
    "t": ("{0}.mT", lambda g, y, a: (node("t", g),)),
    "relu": ("{0}.relu()", lambda g, y, a: (g * node("step", a),)),
    "step": ("({0} > 0).to({0}.dtype)", lambda g, y, a: ()),
    "exp": ("{0}.exp()", lambda g, y, a: (g * node("exp", a),)),
    "log": ("{0}.log()", lambda g, y, a: (g * node("inv", a),)),
    "inv": ("(1 / {0})", lambda g, y, a: (node("neg", g * node("inv", a) * node("inv", a)),)),
    "rowsum": ("{0}.sum(1, keepdim=True)", lambda g, y, a: (node("expand", g, a),)),
    "expand": ("{0}.expand_as({1})", lambda g, y, a, b: (node("sum_to", g, a),)),
    "sum_to": ("{0}.sum_to_size({1}.shape)", lambda g, y, a, b: (node("expand", g, a),)),
    "mean": ("{0}.mean(0, keepdim=True)", lambda g, y, a: (node("spread", g, a),)),
    "spread": ("({0}.expand_as({1}) / len({1}))", lambda g, y, a, b: (node("mean", g),)),
    "ones": ("torch.ones_like({0})", lambda g, y, a: ()),
}
KERNELS = {op: eval(f"lambda a, b=None: {text.format('a', 'b')}") for op, (text, _) in OPS.items()}
INLINE = {
    "add",
    "mul",
    "neg",
    "relu",
    "step",
    "exp",
    "log",
    "inv",
    "expand",
    "spread",
    "t",
}  # neither sums over rows nor matrix products


@dataclass(eq=False)
class Node:
    op: str = "leaf"
    inputs: tuple["Node", ...] = ()
    value: Tensor | None = None

    def __post_init__(self) -> None:
        known = [i.value for i in self.inputs]
        if known and all(v is not None for v in known):
            self.value = KERNELS[self.op](*known)  # define by run; without values: define, then run


def node(op: str, *inputs: Node) -> Node:
    return Node(op, inputs)


Node.__add__ = lambda a, b: node("add", a, b)
Node.__mul__ = lambda a, b: node("mul", a, b)
Node.__matmul__ = lambda a, b: node("matmul", a, b)


def order(outputs: list[Node], seen: dict[Node, None] | None = None) -> list[Node]:
    """All that the outputs depend on, inputs first."""
    seen = {} if seen is None else seen
    for y in outputs:
        if y not in seen:
            order(list(y.inputs), seen)
            seen[y] = None
    return list(seen)


def gradients(loss: Node, leaves: list[Node]) -> list[Node]:
    """Reverse mode: dL/da = sum over users y of a: dL/dy dy/da; in a static graph, a larger graph."""
    flow = {loss: node("ones", loss)}
    for y in reversed(order([loss])):
        for a, g in zip(y.inputs, OPS[y.op][1](flow[y], y, *y.inputs) if y.inputs and y in flow else (), strict=False):
            flow[a] = flow[a] + g if a in flow else g
    return [flow[leaf] for leaf in leaves]


def compiled(outputs: list[Node], leaves: list[Node], optimize: bool = True):
    """A graph as a Python function, and its number of kernels: equal nodes once, pointwise chains in one line."""
    same, unique, text, lines = {leaf: leaf for leaf in leaves}, {}, {x: f"x{i}" for i, x in enumerate(leaves)}, []
    for y in order(outputs):
        if y.inputs:
            inputs = tuple(same[a] for a in y.inputs)
            same[y] = unique.setdefault((y.op, *inputs, *([] if optimize else [y])), Node(y.op, inputs))
    ends = [same[y] for y in outputs]
    uses = Counter(a for y in unique.values() for a in y.inputs) + Counter(ends * 2)
    user = {a: y for y in unique.values() for a in y.inputs}
    for y in unique.values():
        said = OPS[y.op][0].format(*(text[a] for a in y.inputs))
        alone = optimize and uses[y] == 1 and y.op in INLINE
        fused = alone and user[y].op not in ({"step"} if y.op == "t" else {"step", "matmul"})
        text[y] = said if fused else f"v{len(lines)}"
        lines += [] if fused else [f"v{len(lines)} = {said}"]
    names = ", ".join(text[x] for x in leaves)
    source = [f"def program({names}):", *lines, f"return [{', '.join(text[y] for y in ends)}]"]
    exec("\n    ".join(source), scope := {"torch": torch})
    return scope["program"], len(lines)


def loss_of(x, y, w1, b1, w2, b2):  # one text, for nodes with values and without: (B, 64), (B, 10) one-hot -> (1, 1)
    z = node("relu", x @ w1 + b1) @ w2 + b2  # (B, 10)
    return node("mean", node("log", node("rowsum", node("exp", z))) + node("neg", node("rowsum", z * y)))


def shrunk(x: Node) -> Node:  # (1, n): halved until no longer than 1; how often depends on the numbers
    while node("rowsum", x * x).value.item() > 1:
        x = x * node("inv", node("ones", x) + node("ones", x))
    return x


# %% its control


def traced(example: Tensor):
    """The graph of one call with an example, to be run on other numbers: output and gradient."""
    x = Node(value=example)
    y = shrunk(x)
    return compiled([y, *gradients(node("rowsum", y), [x])], [x])[0]


# %% the experiment


class Eager(nn.Module):
    def __init__(self, weights: list[Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, HIDDEN), nn.Linear(HIDDEN, 10)
        for own, w in zip(self.parameters(), weights, strict=True):
            own.data = w.T.clone() if len(w) > 1 else w[0].clone()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())


def pure(w, x, y):  # a function of its weights, without state
    return F.cross_entropy((x @ w[0] + w[1]).relu() @ w[2] + w[3], y)


def by_hand(x, y, w1, b1, w2, b2):  # NumPy: forward and backward written out
    h = np.maximum(x @ w1 + b1, 0)
    e = np.exp(h @ w2 + b2)
    p = e / e.sum(1, keepdims=True)
    dz = (p - y) / len(x)  # softmax and cross-entropy: dL/dz = (p - y) / n
    dh = dz @ w2.T * (h > 0)
    return -np.log((p * y).sum(1)).mean(), [x.T @ dh, dh.sum(0, keepdims=True), h.T @ dz, dz.sum(0, keepdims=True)]


def graph(optimize: bool = True):
    """Loss and gradients as a program of x, y and weights, and its kernels."""
    leaves = [Node() for _ in range(6)]
    loss = loss_of(*leaves)
    return compiled([loss, *gradients(loss, leaves[2:])], leaves, optimize)


def gap(ours, theirs) -> float:
    return max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True))


def gradient_gaps(x: Tensor, y: Tensor, weights: list[Tensor]) -> tuple[float, float]:
    """Of the engine, compiled and eager, to torch.autograd; of the slope by central differences; f64."""
    leaves, nodes = [w.clone().requires_grad_() for w in weights], [Node(value=t) for t in (x, y, *weights)]
    exact = torch.autograd.grad(pure(leaves, x, y), leaves)
    eager = [n.value for n in gradients(loss_of(*nodes), nodes[2:])]
    slope, off = sum((g * g).sum() for g in exact), []
    for tiny in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
        up, down = (pure([w + t * g for w, g in zip(weights, exact, strict=True)], x, y) for t in (tiny, -tiny))
        off.append(abs((up - down) / (2 * tiny) - slope).item())
    return gap([*graph()[0](x, y, *weights)[1:], *eager], [*exact, *exact]), min(off)


def branch_gaps(xs: Tensor) -> tuple[float, float]:
    """Of the eager engine, and of a trace of the first: outputs and gradients on all (n, 1, d), to the closed form."""
    trace, found = traced(xs[0]), [0.0, 0.0]
    for x in xs:
        scale = 2.0 ** -max(0, x.norm().log2().ceil().item())
        y = shrunk(leaf := Node(value=x))
        live = [y.value, gradients(node("rowsum", y), [leaf])[0].value]
        for i, made in enumerate((live, trace(x))):
            found[i] = max(found[i], gap(made, [x * scale, torch.full_like(x, scale)]))
    return found[0], found[1]


def run(device="cpu", seed=0, steps=60):
    start, data, other = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    digits = load_digits()
    images, labels = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    shapes = (64, HIDDEN), (1, HIDDEN), (HIDDEN, 10), (1, 10)
    weights = [torch.randn(n, m, generator=start) * (0.1 if n == 1 else n**-0.5) for n, m in shapes]
    nets = {"eager": (Eager(weights).to(device), RATE), "slower": (Eager(weights).to(device), 0.99 * RATE)}
    listed = nn.Module()
    listed.layers = [nn.Linear(64, HIDDEN), nn.Linear(HIDDEN, 10)]  # nn.Module does not look inside a list
    static = functional = [w.to(device) for w in weights]
    numpy = [w.numpy() for w in weights]
    (program, kernels), (_, all_kernels) = graph(), graph(optimize=False)
    history, functionally = [], torch.func.grad_and_value(pure)
    for step in range(steps):
        rows = torch.randint(len(images), (BATCH,), generator=data)
        x, y, hot = images[rows], labels[rows], F.one_hot(labels[rows], 10).float()
        by_numpy, slopes = by_hand(x.numpy(), hot.numpy(), *numpy)
        numpy = [w - RATE * g for w, g in zip(numpy, slopes, strict=True)]
        x, y, hot = (t.to(device) for t in (x, y, hot))
        by_graph, *slopes = program(x, hot, *static)
        static = [w - RATE * g for w, g in zip(static, slopes, strict=True)]
        slopes, by_function = functionally(functional, x, y)
        functional = [w - RATE * g for w, g in zip(functional, slopes, strict=True)]
        losses = {"static graph": by_graph, "functional": by_function, "NumPy": torch.tensor(by_numpy)}
        for name, (net, rate) in nets.items():
            losses[name] = F.cross_entropy(net(x), y)
            net.zero_grad()
            losses[name].backward()
            for p in net.parameters():
                p.data -= rate * p.grad
        history.append({name: loss.item() for name, loss in losses.items()})
        yield (step + 1) / steps, {name: loss for name, loss in history[-1].items() if name != "slower"}

    off = {name: max(abs(point[name] - point["eager"]) for point in history) for name in history[0]}
    now = [w.cpu().double() for w in static]
    gaps = gradient_gaps(images[rows].double(), F.one_hot(labels[rows], 10).double(), now)
    sizes = 2.0 ** (torch.arange(12) - 5)[:, None, None]
    branches = branch_gaps(torch.randn(12, 1, 8, generator=other, dtype=torch.float64) * sizes)
    last = {name: f"{loss:.4f}" for name, loss in history[-1].items()}
    rows = [
        ["PyTorch", "eager", "through what ran", "at each step", last["eager"]],
        ["the engine above", "static graph", "a larger graph", "once", last["static graph"]],
        ["torch.func", "functional", "grad(f)", "by each call", last["functional"]],
        ["NumPy", "by hand", "by hand", "none", last["NumPy"]],
    ]
    others = {"PaddlePaddle": 0, "Theano": 1, "MXNet symbols": 1, "early TensorFlow": 1, "JAX": 2, "MindSpore": 2}
    rows += [[name, *rows[like][1:4], "not run"] for name, like in others.items()]
    rows.append(["Caffe", "static graph", "by hand", "once", "not run"])
    return {
        "curve_gap": max(value for name, value in off.items() if name != "slower"),
        "slower_gap": off["slower"],
        "gradient_gap": gaps[0],
        "difference_gap": gaps[1],
        "eager_branch_gap": branches[0],
        "traced_branch_gap": branches[1],
        "kernels": kernels,
        "plain_kernels": all_kernels,
        "missed_weights": len(weights) - len([*nets["eager"][0].parameters()]),
        "missed_in_a_list": len(weights) - len([*listed.parameters()]),
    }, {
        "one net in four styles": {
            "kind": "table",
            "columns": ["framework", "style", "gradient", "graph made", "last loss"],
            "rows": rows,
        },
    }


# %% what is claimed

TITLE = {"en": "Four styles of framework, one training run", "zh": "四种框架风格，同一次训练"}
CURVES = "cross-entropy"
CPU_SECONDS = 2
CLAIMS = {
    "parity curve_gap <= 1e-5 < slower_gap": {
        "en": "largest difference of any style's loss from eager PyTorch over the whole run (f32); the control is "
        "PyTorch at a rate one per cent lower",
        "zh": "整个训练中各风格的损失与 PyTorch 即时执行的最大差距（f32）；对照为学习率低 1% 的 PyTorch",
    },
    "parity gradient_gap <= 1e-15 < difference_gap": {
        "en": "largest gap of the engine's gradients, compiled and eager, to torch.autograd (f64); control: the slope "
        "along the gradient by central differences, the best of six step sizes",
        "zh": "引擎的梯度（编译后与即时执行）与 torch.autograd 的最大差距（f64）；对照：中心差分求得的"
        "沿梯度方向的斜率，取六种步长中最好者",
    },
    "parity eager_branch_gap <= 1e-10 < traced_branch_gap": {
        "en": "largest gap to the closed form of a loop whose length depends on its numbers, and of its gradient "
        "(f64); the control is the graph traced with the first example",
        "zh": "循环次数取决于数据的程序及其梯度与闭式解的最大差距（f64）；对照为用第一个样例追踪得到的静态图",
    },
    "parity kernels <= 27 < plain_kernels": {
        "en": "kernels (lines of the program) of loss and gradients after equal nodes are merged and pointwise chains "
        "fused into a line; the control does neither",
        "zh": "合并相同节点、把逐元素运算并入一行后，计算损失与梯度的算子数（程序行数）；对照两者都不做",
    },
    "parity missed_weights <= 0 < missed_in_a_list": {
        "en": "weights that nn.Module does not list when layers are attributes; the control has them in a plain list",
        "zh": "层作为属性时 nn.Module 漏登记的权重数；对照把层放在普通列表里",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "eager": "即时执行",
    "static graph": "静态图",
    "functional": "函数式",
    "one net in four styles": "同一网络的四种写法",
    "framework": "框架",
    "style": "风格",
    "gradient": "梯度",
    "graph made": "建图",
    "last loss": "最后的损失",
    "the engine above": "上面的小引擎",
    "through what ran": "沿执行过的运算",
    "a larger graph": "更大的图",
    "by hand": "手工推导",
    "at each step": "每步",
    "once": "一次",
    "by each call": "每次调用",
    "none": "无",
    "not run": "未运行",
    "PaddlePaddle": "飞桨",
    "MindSpore": "昇思 MindSpore",
    "MXNet symbols": "MXNet 符号式",
    "early TensorFlow": "早期 TensorFlow",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
