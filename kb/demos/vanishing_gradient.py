"""Vanishing gradient — a gradient is a product of many factors: unless they balance, it dies or explodes.

Through depth: stacks of 20 layers learn to read digits. Sigmoids shrink the gradient at every layer; a residual path
carries it to the first. (Doubled weights let 1 to 30 % of it through; the sigmoids that start there read a quarter
to three fifths of the digits.) Through time: in a linear RNN whose matrix is r times an orthogonal one, T = 30 steps
multiply a gradient's length by exactly r**T, for r = 0.8, 1 and 1.2. Against explosion there is clipping: ReLU RNNs
that start at r = 1.2 learn by plain gradient descent to add up 30 numbers. Clipped at norm 1 they come near;
unclipped, at no rate from 1e-10 to 1e-6 did the median of fifteen do better than to guess the mean, which costs 30/12
(a few of them do).

Needs:  torch, scikit-learn
Source: S. Hochreiter, Untersuchungen zu dynamischen neuronalen Netzen, diploma thesis, 1991 (vanishing);
        R. Pascanu, T. Mikolov, Y. Bengio, On the difficulty of training recurrent neural networks, 2013;
        Q. Le, N. Jaitly, G. Hinton, A Simple Way to Initialize Recurrent Networks of Rectified Linear Units,
        2015 (the ReLU RNN)
"""

import copy
import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

DEPTH, WIDTH, BATCH, LENGTH = 20, 64, 64, 30
COPIES, START, LIMIT, CLIPPED_RATE = 15, 1.2, 1.0, 0.1
UNCLIPPED_RATES = (3e-9, 1e-8, 3e-8)

# %% the concept


class Stack(nn.Module):
    """x_l = sigmoid(W_l x_(l-1) + b_l), or with a residual path x_l = x_(l-1) + relu(W_l x_(l-1) + b_l)."""

    def __init__(self, residual: bool) -> None:
        super().__init__()
        self.residual, self.head = residual, nn.Linear(WIDTH, 10)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH))
        for layer in self.layers:  # the sigmoid's slope is at most 1/4, so it gets four times Glorot's weights
            nn.init.xavier_normal_(layer.weight, gain=(2 / DEPTH) ** 0.5 if residual else 4.0)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> list[Tensor]:  # (B, 64) -> x_0 ... x_DEPTH, each (B, 64)
        states = [x]
        for layer in self.layers:
            x = x + layer(x).relu() if self.residual else layer(x).sigmoid()
            states.append(x)
        return states

    def gradients(self, states: list[Tensor], g: Tensor) -> list[Tensor]:
        """The gradient of every W_l, by the chain rule, from that of the last state: one more factor a layer."""
        found = []
        for layer, below, out in list(zip(self.layers, states, states[1:], strict=False))[::-1]:
            slope = (out > below).to(out) if self.residual else out * (1 - out)  # of relu 0 or 1, of sigmoid <= 1/4
            found.append((g * slope).T @ below)  # dL/dW_l = (dL/dx_l * slope)^T x_(l-1): (D, B) (B, D)
            g = (g * slope) @ layer.weight + (g if self.residual else 0)  # dL/dx_(l-1): times W_l, plus the path's
        return found[::-1]


def through_time(matrix: Tensor, g: Tensor) -> Tensor:
    """The gradient LENGTH steps back in h_t = matrix h_(t-1): as many factors, all the same."""
    for _ in range(LENGTH):
        g = g @ matrix
    return g


def clip(gradients: list[Tensor], limit: float | Tensor) -> None:
    """Shorten all gradients of a network by one factor, so that their common norm is at most `limit`."""
    norm = sum(g.square().sum((1, 2), keepdim=True) for g in gradients).sqrt()  # of K networks: (K, 1, 1)
    for g in gradients:
        g.mul_((limit / (norm + 1e-6)).clamp(max=1.0))


# %% the experiment


class ReluRNNs(nn.Module):
    """Small networks side by side, one to a slice: every recipe gets the same COPIES starts."""

    def __init__(self, recipes: int, d_hid: int = 16) -> None:
        super().__init__()
        starts = {
            "input": torch.randn(COPIES, 1, d_hid),
            "bias": torch.zeros(COPIES, 1, d_hid),
            "recurrent": START * torch.eye(d_hid).repeat(COPIES, 1, 1),
            "head": torch.randn(COPIES, d_hid, 1) / d_hid**0.5,
        }
        self.weights = nn.ParameterDict({k: nn.Parameter(v.repeat(recipes, 1, 1)) for k, v in starts.items()})

    def forward(self, x: Tensor) -> Tensor:  # (B, T, 1) -> (K, B)
        w = self.weights
        inputs = torch.einsum("btd,kdh->tkbh", x, w["input"]) + w["bias"]
        h = torch.zeros_like(inputs[0])
        for x_t in inputs:
            h = (x_t + h @ w["recurrent"]).relu()
        return (h @ w["head"])[..., 0]


def sums(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers from 0 to 1, and their sum: (n, T, 1), (n,)."""
    values = torch.rand(n, LENGTH, 1, generator=generator)
    return values, values.sum((1, 2))


def chain_gap(stack: Stack, x: Tensor, y: Tensor, confused: bool = False) -> float:
    """Largest difference of the chain rule from torch.autograd, relative, f64; `confused` takes the other rule."""
    stack, x = copy.deepcopy(stack).cpu().double(), x.cpu().double()
    weights, states = [layer.weight for layer in stack.layers], stack(x)
    loss = F.cross_entropy(stack.head(states[-1]), y.cpu())
    last, *exact = torch.autograd.grad(loss, [states[-1], *weights])
    stack.residual ^= confused
    pairs = zip(stack.gradients(states, last), exact, strict=True)
    return max(((mine - true).norm() / true.norm()).item() for mine, true in pairs)


def law_gap(orthogonal: bool, generator: torch.Generator) -> float:
    """Largest relative gap of |dL/dh_0| to r**T |dL/dh_T|, and to autograd, for r = 0.8, 1 and 1.2."""
    matrix, g = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in [(16, 16), (16,)])
    matrix = torch.linalg.qr(matrix)[0] if orthogonal else matrix / torch.linalg.eigvals(matrix).abs().max()
    gaps = []
    for radius in (0.8, 1.0, 1.2):
        first = h = torch.ones_like(g).requires_grad_()
        for _ in range(LENGTH):
            h = radius * matrix @ h
        (exact,), mine = torch.autograd.grad(h @ g, first), through_time(radius * matrix, g)
        gaps += [(mine.norm() / g.norm() / radius**LENGTH - 1).abs(), (mine - exact).norm() / exact.norm()]
    return max(gaps).item()


def clip_gap(local: bool, generator: torch.Generator) -> float:
    """Largest difference from clip_grad_norm_, of two networks with gradients above and below the limit."""
    sizes = torch.tensor([1.0, 1e-3], dtype=torch.float64)[:, None, None]
    ours = [sizes * torch.randn(2, 1, n, generator=generator, dtype=torch.float64) for n in (10, 1000)]
    twins = [[torch.zeros_like(g[k], requires_grad=True) for g in ours] for k in range(2)]
    for k, twin in enumerate(twins):
        for t, g in zip(twin, ours, strict=True):
            t.grad = g[k].clone()
        nn.utils.clip_grad_norm_(twin, 1.0)
    for group in [[g] for g in ours] if local else [ours]:
        clip(group, 1.0)
    return max((twin[i].grad - g[k]).abs().max().item() for k, twin in enumerate(twins) for i, g in enumerate(ours))


def rnn_gap(rnns: ReluRNNs, x: Tensor, turn: bool = False) -> float:
    """Relative gap of the first network's gradients to nn.RNN's, f64; `turn` transposes the recurrent matrix."""
    rnns, x = copy.deepcopy(rnns).cpu().double(), x.cpu().double()
    weight = {name: w[0].detach() for name, w in rnns.weights.items()}
    hidden = weight["recurrent"]
    twin = nn.RNN(1, len(hidden), nonlinearity="relu", batch_first=True).double()
    own = (weight["input"].T, hidden if turn else hidden.T, weight["bias"][0], 0 * weight["bias"][0])
    for theirs, mine in zip(twin.parameters(), own, strict=True):
        theirs.data = mine.contiguous()
    (twin(x)[0][:, -1] @ weight["head"]).square().mean().backward()
    rnns(x)[0].square().mean().backward()
    pairs = [(rnns.weights["input"], twin.weight_ih_l0), (rnns.weights["recurrent"], twin.weight_hh_l0)]
    return max(((mine.grad[0].T - true.grad).norm() / true.grad.norm()).item() for mine, true in pairs)


def shared_rows(a: Tensor, b: Tensor) -> int:
    """How many rows of one matrix stand in another."""
    return int((a[:, None] == b).all(-1).any(1).sum())


def run(device="cpu", seed=0, steps=250):
    torch.manual_seed(4 * seed)  # weights, training data, test data and checks: four streams
    data, unseen, checks = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    digits = load_digits()
    images, labels = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
    order = torch.randperm(len(images), generator=data)
    train, test = order[:1400], order[1400:]
    x_train, y_train, x_test, y_test = (t.to(device) for rows in (train, test) for t in (images[rows], labels[rows]))

    stacks = {"residual": Stack(True).to(device), "sigmoid": Stack(False).to(device)}
    stacks["sigmoid, doubled"] = copy.deepcopy(stacks["sigmoid"])
    for layer in stacks["sigmoid, doubled"].layers:
        layer.weight.data.mul_(2)
    norms = {}
    for name, stack in stacks.items():
        states = stack(x_train)
        (last,) = torch.autograd.grad(F.cross_entropy(stack.head(states[-1]), y_train), states[-1])
        norms[name] = [g.norm().item() for g in stack.gradients(states, last)]
    recipes = ["clipped"] + [f"rate {rate:g}" for rate in UNCLIPPED_RATES]
    rnns = ReluRNNs(len(recipes)).to(device)
    rates = torch.tensor([CLIPPED_RATE, *UNCLIPPED_RATES], device=device)
    limits = torch.tensor([LIMIT] + [math.inf] * len(UNCLIPPED_RATES), device=device)
    rates, limits = (t.repeat_interleave(COPIES)[:, None, None] for t in (rates, limits))  # (K, 1, 1)
    adams = {name: torch.optim.Adam(stack.parameters(), lr=1e-3) for name, stack in stacks.items()}
    history = []

    for step in range(steps):
        rows = torch.randint(len(train), (BATCH,), generator=data).to(device)
        point = {}
        for name, stack in stacks.items():
            loss = F.cross_entropy(stack.head(stack(x_train[rows])[-1]), y_train[rows])
            adams[name].zero_grad()
            loss.backward()
            adams[name].param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
            adams[name].step()
            point[name] = loss.item()
        x, y = (t.to(device) for t in sums(BATCH // 4, data))
        errors = (rnns(x) - y).square().mean(1)  # (K,)
        gradients = list(torch.autograd.grad(errors.sum(), list(rnns.parameters())))
        clip(gradients, limits)
        with torch.no_grad():  # plain gradient descent, so that the size of the gradient counts
            for p, g in zip(rnns.parameters(), gradients, strict=True):
                p -= rates * (1 - step / steps) * g
        history.append(errors.detach().view(-1, COPIES).median(1).values.tolist())
        yield (step + 1) / steps, point

    x, y = (t.to(device) for t in sums(1000, unseen))
    with torch.no_grad():
        hits = {n: (s.head(s(x_test)[-1]).argmax(1) == y_test).float().mean().item() for n, s in stacks.items()}
        errors = (rnns(x) - y).square().mean(1).nan_to_num(1e30).view(-1, COPIES)  # NaN: it exploded
        clipped, *unclipped = errors.median(1).values.tolist()
    depth, tens = list(range(1, DEPTH + 1)), [history[i : i + 10] for i in range(0, steps, 10)]
    courses = [[sum(row[i] for row in ten) / len(ten) for ten in tens] for i in range(len(recipes))]
    return {
        "residual_gradient_ratio": norms["residual"][0] / norms["residual"][-1],
        "sigmoid_gradient_ratio": norms["sigmoid"][0] / norms["sigmoid"][-1],
        "doubled_gradient_ratio": norms["sigmoid, doubled"][0] / norms["sigmoid, doubled"][-1],
        "residual_accuracy": hits.pop("residual"),
        "sigmoid_accuracy": max(hits.values()),
        "clipped_mse": clipped,
        "unclipped_mse": min(unclipped),
        "chain_gap": max(chain_gap(stack, x_test, y_test) for stack in stacks.values()),
        "confused_chain_gap": min(chain_gap(stack, x_test, y_test, True) for stack in stacks.values()),
        "law_gap": law_gap(True, checks),
        "gaussian_law_gap": law_gap(False, checks),
        "clip_gap": clip_gap(False, checks),
        "local_clip_gap": clip_gap(True, checks),
        "rnn_gap": rnn_gap(rnns, x[:8]),
        "turned_rnn_gap": rnn_gap(rnns, x[:8], turn=True),
        "shared_rows": shared_rows(images[test], images[train]),
        "shared_rows_planted": shared_rows(images[train[:9]], images[train]),
    }, {
        "gradient by layer, before training": {
            "kind": "lines",
            "series": {name: (depth, norm) for name, norm in norms.items()},
            "x": "layer",
            "y": "norm of the weight gradient",
            "log": "y",
        },
        "RNNs that start at r = 1.2, with clipping and without": {
            "kind": "lines",
            "series": {
                name: (range(10, steps + 10, 10), course) for name, course in zip(recipes, courses, strict=True)
            },
            "x": "step",
            "y": "median squared error, mean of ten steps",
            "log": "y",
        },
    }


# %% what is claimed

TITLE = {"en": "Gradients can vanish or explode geometrically", "zh": "梯度可能呈几何级数消失或爆炸"}
CURVES = "cross-entropy"
CPU_SECONDS = 5
CLAIMS = {
    "parity residual_gradient_ratio >= 0.1 > sigmoid_gradient_ratio": {
        "en": "gradient norm of layer 1 over layer 20 before training; control: sigmoids at 4 times Glorot's weights",
        "zh": "训练前第 1 层与第 20 层的梯度范数之比；对照为 4 倍 Glorot 权重的 sigmoid 堆叠",
    },
    "trained residual_accuracy >= 0.91 > sigmoid_accuracy": {
        "en": "accuracy on held-out digits after the same training; control: sigmoids that start at 4 or at 8 times "
        "Glorot's weights, whichever is better",
        "zh": "相同训练后在留出集数字上的准确率；对照为从 4 倍或 8 倍 Glorot 权重起步的 sigmoid 堆叠，取较好者",
    },
    "trained clipped_mse <= 0.4 < unclipped_mse <= 100": {
        "en": "median squared error of 15 RNNs with clipping; the control is the best of 3 rates without",
        "zh": "15 个 RNN 裁剪梯度后的均方误差中位数；对照为不裁剪时三种学习率的最好值",
    },
    "parity chain_gap <= 1e-10 < confused_chain_gap": {
        "en": "relative gap of the gradients by hand to torch.autograd (f64), all trained stacks; the control "
        "takes the rule of the other kind",
        "zh": "各训练后的堆叠，手写梯度与 torch.autograd 的相对差距（f64）；对照错用另一种堆叠的公式",
    },
    "parity law_gap <= 1e-10 < gaussian_law_gap": {
        "en": "relative gap of a gradient's length to r**T, and of the gradient to autograd (f64); the control is a "
        "Gaussian matrix of spectral radius r",
        "zh": "梯度长度与 r**T、梯度与自动求导的相对差距（f64）；对照为谱半径同为 r 的高斯矩阵",
    },
    "parity clip_gap <= 1e-10 < local_clip_gap": {
        "en": "gap to torch's clip_grad_norm_ in f64; the control clips each tensor by its own norm",
        "zh": "与 torch 的 clip_grad_norm_ 的差距（f64）；对照对每个张量按各自范数裁剪",
    },
    "parity rnn_gap <= 1e-10 < turned_rnn_gap": {
        "en": "relative gap of a clipped RNN's gradients to torch.nn.RNN's (f64); the control transposes its matrix",
        "zh": "裁剪训练的 RNN 的梯度与 torch.nn.RNN 的相对差距（f64）；对照把循环矩阵转置",
    },
    "parity shared_rows <= 0 < shared_rows_planted": {
        "en": "test images that stand among the training images; the control counts nine training images",
        "zh": "测试图像中同时出现在训练集里的张数；对照数九张训练图像",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "residual": "残差",
    "sigmoid, doubled": "sigmoid，权重加倍",
    "clipped": "裁剪",
    "gradient by layer, before training": "训练前各层的梯度",
    "layer": "层",
    "norm of the weight gradient": "权重梯度的范数",
    "RNNs that start at r = 1.2, with clipping and without": "从 r = 1.2 起步的 RNN：裁剪与不裁剪",
    "step": "步",
    "median squared error, mean of ten steps": "均方误差的中位数，每十步平均",
    "rate 3e-09": "学习率 3e-9",
    "rate 1e-08": "学习率 1e-8",
    "rate 3e-08": "学习率 3e-8",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
