"""Automatic differentiation — a tape of operations, walked backwards, gives a gradient for the price of a few runs.

Every operation writes down its parents and its slope for each: the computational graph. Walked backwards, the tape
turns weights u of the outputs into u^T J (reverse mode); walked forwards, a direction v of the inputs into J v (forward
mode); J is the Jacobian matrix. The programs are random, with loops whose length the numbers decide: each run writes a
tape of its own. torch judges both; finite differences are the rival, and the check of every rule: at the best of five
steps, as a step may cross a place where a loop grows longer and the program jumps. Costs are counted in operations, for
a function of up to 64 inputs: a step along an edge, which multiplies and adds, is one; the slopes are not counted.

Needs:  torch
Source: A. G. Baydin, B. A. Pearlmutter, A. A. Radul, J. M. Siskind, Automatic Differentiation in Machine Learning: a
        Survey, Journal of Machine Learning Research 18(153), 2018
"""

import random
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

INPUTS, POINTS, LENGTH, STEPS = 4, 20, 24, (1e-4, 1e-3, 1e-5, 1e-6, 1e-7)

# %% the concept

Slopes = Callable[..., tuple[Tensor, ...]]
RULES: dict[str, tuple[Callable[..., Tensor], Slopes]] = {  # y = f(a, b), and dy/da, dy/db
    "add": (torch.add, lambda a, b, y: (torch.ones_like(y), torch.ones_like(y))),
    "mul": (torch.mul, lambda a, b, y: (b, a)),
    "sin": (torch.sin, lambda a, y: (a.cos(),)),
    "exp": (torch.exp, lambda a, y: (y,)),
    "tanh": (torch.tanh, lambda a, y: (1 - y * y,)),
    "asinh": (torch.asinh, lambda a, y: ((1 + a * a).rsqrt(),)),
}


class Tape:
    """Nodes in the order of their making, so that parents come first."""

    def __init__(self) -> None:
        self.values: list[Tensor] = []
        self.parents: list[list[tuple[int, Tensor]]] = []
        self.work = 0  # operations so far, and edges walked

    def leaf(self, value: Tensor) -> int:
        self.values.append(value)
        self.parents.append([])
        return len(self.values) - 1

    def apply(self, op: str, *nodes: int) -> int:
        f, slopes = RULES[op]
        given = [self.values[n] for n in nodes]
        node = self.leaf(f(*given))
        self.parents[node] = list(zip(nodes, slopes(*given, self.values[node]), strict=True))
        self.work += 1
        return node

    def vjp(self, seeds: dict[int, Tensor]) -> list[Tensor]:
        """u^T J: what each node's change does to the weighted outputs."""
        grads = [seeds.get(n, torch.zeros_like(value)) for n, value in enumerate(self.values)]
        for node in reversed(range(len(grads))):
            for parent, slope in self.parents[node]:
                grads[parent] = grads[parent] + grads[node] * slope  # all paths add up
                self.work += 1
        return grads

    def jvp(self, seeds: dict[int, Tensor]) -> list[Tensor]:
        """J v: what a change of the inputs does to each node."""
        moves = [seeds.get(n, torch.zeros_like(value)) for n, value in enumerate(self.values)]
        for node in range(len(moves)):
            for parent, slope in self.parents[node]:
                moves[node] = moves[node] + slope * moves[parent]
                self.work += 1
        return moves


# %% its control


class Mistaken(Tape):
    """One rule's slopes are 1 % too large."""

    def __init__(self, wrong: str) -> None:
        super().__init__()
        self.wrong = wrong

    def apply(self, op: str, *nodes: int) -> int:
        node = super().apply(op, *nodes)
        if op == self.wrong:
            self.parents[node] = [(parent, 1.01 * slope) for parent, slope in self.parents[node]]
        return node


def differences(f: Callable[[list[Tensor]], Tensor], x: list[Tensor], step: float) -> Tensor:
    """The gradient by central differences: 2 n evaluations; (n, POINTS)."""
    slopes = []
    for k in range(len(x)):
        ends = [f([v + sign * step if i == k else v for i, v in enumerate(x)]) for sign in (1, -1)]
        slopes.append((ends[0] - ends[1]) / (2 * step))
    return torch.stack(slopes)


# %% the experiment

Program = list[tuple[str, int, int]]


def random_program(dice: random.Random) -> Program:
    """Operations, each with two nodes; what takes one argument reads the first."""
    return [(dice.choice(list(RULES)), dice.randrange(k), dice.randrange(k)) for k in range(INPUTS, INPUTS + LENGTH)]


def play(program: Program, nodes: list, apply: Callable, see: Callable = lambda y: y) -> list:
    """The last nodes, as many as inputs; how often asinh shrinks a large number depends on the number."""
    nodes = list(nodes)
    for op, i, j in program:
        y = apply(op, nodes[i], nodes[j]) if op in ("add", "mul") else apply(op, nodes[i])
        while see(y).abs().max() > 2:
            y = apply("asinh", y)
        nodes.append(y)
    return nodes[-INPUTS:]


def by_torch(op: str, *given: Tensor) -> Tensor:
    return getattr(torch, op)(*given)


def apart(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative to the largest number."""
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-3))


def closest(a: Tensor, near: list[Tensor]) -> float:
    """How far it is from the nearest of these."""
    return min(apart(a, b) for b in near)


def weigh(ends: list[Tensor], u: list[Tensor]) -> Tensor:
    return sum(a * b for a, b in zip(ends, u, strict=True))


def by_tape(tape: Tape, program: Program, x: list[Tensor], u: list[Tensor]) -> tuple[Tensor, Tensor]:
    """u^T J and J u."""
    leaves = [tape.leaf(v) for v in x]
    ends = play(program, leaves, tape.apply, lambda n: tape.values[n])
    grads, moves = tape.vjp(dict(zip(ends, u, strict=True))), tape.jvp(dict(zip(leaves, u, strict=True)))
    return torch.stack([grads[n] for n in leaves]), torch.stack([moves[n] for n in ends])


def examine(program: Program, x: list[Tensor], u: list[Tensor]) -> dict[str, float]:
    """How far the tape's products, and their rivals, are from torch's; f64."""
    ours, moved = by_tape(Tape(), program, x, u)
    free = [v.clone().requires_grad_() for v in x]
    theirs = torch.stack(torch.autograd.grad(play(program, free, by_torch), free, u, materialize_grads=True))
    carried = torch.autograd.functional.jvp(lambda *v: torch.stack(play(program, [*v], by_torch)), tuple(x), tuple(u))[
        1
    ]
    near = [differences(lambda v: weigh(play(program, v, by_torch), u), x, step) for step in STEPS]
    return {
        "vjp_gap": apart(ours, theirs),
        "differences_gap": min(apart(slopes, theirs) for slopes in near),
        "jvp_gap": apart(moved, carried),
        "transposed_gap": apart(ours, carried),
        "check_gap": closest(ours, near),
    } | {op: closest(by_tape(Mistaken(op), program, x, u)[0], near) for op in RULES}


def costs(n: int, device: str) -> dict[str, float]:
    """Operations for all n derivatives of x_1 + sum tanh(x_i) x_(i+1), in evaluations of it."""
    tape = Tape()
    leaves = [tape.leaf(v) for v in torch.linspace(-1, 1, n).to(device)]
    total = leaves[0]
    for a, b in pairwise(leaves):
        total = tape.apply("add", total, tape.apply("mul", tape.apply("tanh", a), b))
    evaluation, one = tape.work, torch.ones((), device=device)
    tape.vjp({total: one})
    backwards = tape.work - evaluation
    for leaf in leaves:
        tape.jvp({leaf: one})
    forwards = tape.work - evaluation - backwards
    return {
        "reverse mode": 1 + backwards / evaluation,
        "forward mode": 1 + forwards / evaluation,
        "finite differences": 2 * n,
    }


def example(device: str) -> list[list[str]]:
    """The tape of (a b + sin a) tanh b at a = 2, b = 0.5: nodes, parents, values, slopes of the last one."""
    tape = Tape()
    a, b = (tape.leaf(torch.tensor(v).to(device)) for v in (2.0, 0.5))
    total = tape.apply("add", tape.apply("mul", a, b), tape.apply("sin", a))
    grads = tape.vjp({tape.apply("mul", total, tape.apply("tanh", b)): torch.ones((), device=device)})
    names = ["a", "b", "mul", "sin", "add", "tanh", "mul"]
    parents = (" ".join(str(p) for p, _ in above) for above in tape.parents)
    numbers = ([f"{t.cpu().item():.3f}" for t in pair] for pair in zip(tape.values, grads, strict=True))
    return [[str(n), *row[:2], *row[2]] for n, row in enumerate(zip(names, parents, numbers, strict=True))]


def run(device="cpu", seed=0, steps=60):
    dice, data = random.Random(3 * seed), torch.Generator().manual_seed(3 * seed + 1)
    worst: dict[str, float] = {}
    for step in range(steps):
        program = random_program(dice)
        x, u = torch.randn(2, INPUTS, POINTS, generator=data, dtype=torch.float64)
        found = examine(program, [*x], [*u])
        worst = {name: max(value, worst.get(name, 0.0)) for name, value in found.items()}
        yield (step + 1) / steps, {"tape": found["vjp_gap"], "finite differences": found["differences_gap"]}

    sizes = [2, 4, 8, 16, 32, 64]
    spent = [costs(n, device) for n in sizes]
    return {
        **{name: value for name, value in worst.items() if name not in RULES},
        "wrong_gap": min(worst[op] for op in RULES),
        "reverse_cost": spent[-1]["reverse mode"],
        "rival_cost": min(spent[-1]["forward mode"], spent[-1]["finite differences"]),
    }, {
        "the tape of (a b + sin a) tanh b": {
            "kind": "table",
            "columns": ["node", "operation", "parents", "value", "slope of the last node"],
            "rows": example(device),
        },
        "what all derivatives cost, in evaluations": {
            "kind": "lines",
            "series": {name: (sizes, [cost[name] for cost in spent]) for name in spent[0]},
            "x": "inputs",
            "y": "evaluations",
            "log": "xy",
        },
    }


# %% what is claimed

TITLE = {"en": "One walk back along the tape gives a whole gradient", "zh": "沿记录带倒走一遍，得到整个梯度"}
CURVES = "relative error"
CPU_SECONDS = 2
CLAIMS = {
    "parity vjp_gap <= 1e-12 < differences_gap": {
        "en": "largest relative gap of u^T J (reverse mode) to torch.autograd, over random programs (f64); the control "
        "is central differences at the best of five steps",
        "zh": "反向模式的 u^T J 与 torch.autograd 的最大相对差距，取遍随机程序（f64）；对照为五种步长中最好的中心差分",
    },
    "parity jvp_gap <= 1e-12 < transposed_gap": {
        "en": "largest relative gap of J v (forward mode) to torch.autograd (f64); the control is the product with the "
        "transposed Jacobian",
        "zh": "前向模式的 J v 与 torch.autograd 的最大相对差距（f64）；对照是与转置雅可比矩阵的乘积",
    },
    "parity check_gap <= 1e-6 < wrong_gap": {
        "en": "gradient checking: largest relative gap of the tape to central differences at the best of five steps; "
        "the control is a tape with one rule 1 % off, the rule that shows it least",
        "zh": "梯度检验：记录带与五种步长中最接近的中心差分的最大相对差距；对照是某条规则的斜率大 1% 的记录带，取最难"
        "察觉的一条",
    },
    "parity reverse_cost <= 3 < rival_cost": {
        "en": "operations for all derivatives by 64 inputs, in evaluations of the function (an edge walked is one, the "
        "slopes are not counted); control: forward mode or central differences, whichever is cheaper",
        "zh": "对 64 个输入求全部导数的运算量，以函数求值次数计（每走一条边计一次，不计求斜率）；"
        "对照：前向模式或中心差分，取较省者",
    },
}
ZH = {
    "relative error": "相对误差",
    "tape": "记录带",
    "finite differences": "有限差分",
    "node": "节点",
    "the tape of (a b + sin a) tanh b": "(a b + sin a) tanh b 的记录带",
    "operation": "运算",
    "parents": "父节点",
    "value": "值",
    "slope of the last node": "末节点对它的导数",
    "what all derivatives cost, in evaluations": "求全部导数的代价，以求值次数计",
    "reverse mode": "反向模式",
    "forward mode": "前向模式",
    "inputs": "输入数",
    "evaluations": "求值次数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
