"""Vanishing gradient — a gradient is a product of many factors: it dies, or explodes, geometrically.

Through depth: two stacks of 20 layers learn to read digits. Sigmoids shrink the gradient at every layer, a
residual path carries it to the first. Through time: in a linear RNN whose matrix is r times an orthogonal
one, the gradient over T steps is r**T exactly. Against explosion there is clipping: by plain gradient
descent, a ReLU RNN learns to add up the marked ones among 30 numbers; unclipped it is left with tiny rates,
and learns less.

Claim:  the residual stack's first layer gets a gradient like its last one's and the stack learns, the sigmoid
        stack does neither; the law r**T holds; clipping is torch's, and beats three rates without it.
Source: S. Hochreiter, Untersuchungen zu dynamischen neuronalen Netzen, diploma thesis, 1991 (vanishing);
        R. Pascanu, T. Mikolov, Y. Bengio, On the difficulty of training recurrent neural networks, 2013;
        Q. Le, N. Jaitly, G. Hinton, A Simple Way to Initialize Recurrent Networks of Rectified Linear Units,
        2015 (the ReLU RNN)
Run:    python kb/demos/vanishing_gradient.py --device cpu --seed 0 --steps 250
"""

import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Gradients vanish or explode geometrically", "zh": "梯度呈几何级数消失或爆炸"}
CPU_SECONDS = 4
CLAIMS = {
    "trained residual_gradient_ratio >= 0.1 > sigmoid_gradient_ratio": {
        "en": "gradient norm of layer 1 over layer 20 before training; the control is the sigmoid stack",
        "zh": "训练前第 1 层与第 20 层的梯度范数之比；对照为 sigmoid 堆叠",
    },
    "trained residual_accuracy >= 0.6 > sigmoid_accuracy": {
        "en": "accuracy on held-out digits after the same training; the control is the sigmoid stack",
        "zh": "相同训练后在留出集数字上的准确率；对照为 sigmoid 堆叠",
    },
    "trained clipped_mse <= 0.55 < unclipped_mse": {
        "en": "median squared error of 8 RNNs with clipping; the control is the best of 3 rates without",
        "zh": "8 个 RNN 裁剪梯度后的均方误差中位数；对照为不裁剪时三种学习率的最好值",
    },
    "parity law_gap <= 1e-10 < gaussian_law_gap": {
        "en": "relative gap to r**T (f64); the control is a Gaussian matrix of spectral radius r",
        "zh": "梯度与 r**T 的相对差距（f64）；对照为谱半径同为 r 的高斯矩阵",
    },
    "parity clip_gap <= 1e-10 < local_clip_gap": {
        "en": "gap to torch's clip_grad_norm_ in f64; the control clips each tensor by its own norm",
        "zh": "与 torch 的 clip_grad_norm_ 的差距（f64）；对照对每个张量按各自范数裁剪",
    },
}

DEPTH, WIDTH, BATCH, LENGTH = 20, 64, 64, 30
COPIES, CLIPPED_RATE, UNCLIPPED_RATES = 8, 3e-2, (3e-6, 1e-5, 3e-5)


class Stack(nn.Module):
    def __init__(self, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.layers = nn.ModuleList(nn.Linear(64, WIDTH) for _ in range(DEPTH))
        self.head = nn.Linear(WIDTH, 10)
        for layer in self.layers:  # the sigmoid's slope is at most 1/4, so it gets four times Glorot's weights
            nn.init.xavier_normal_(layer.weight, gain=(2 / DEPTH) ** 0.5 if residual else 4.0)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:  # (B, 64) -> (B, 10)
        for layer in self.layers:
            x = x + layer(x).relu() if self.residual else layer(x).sigmoid()
        return self.head(x)


class ReluRNNs(nn.Module):
    """Small networks side by side, one to a slice: every recipe gets the same COPIES starts."""

    def __init__(self, d_hid: int = 16) -> None:
        super().__init__()
        starts = {
            "input": torch.randn(COPIES, 2, d_hid),
            "bias": torch.zeros(COPIES, 1, d_hid),
            "recurrent": torch.eye(d_hid).repeat(COPIES, 1, 1),  # the edge: any larger, and it explodes
            "head": torch.randn(COPIES, d_hid, 1) / d_hid**0.5,
        }
        recipes = 1 + len(UNCLIPPED_RATES)
        self.weights = nn.ParameterDict({k: nn.Parameter(v.repeat(recipes, 1, 1)) for k, v in starts.items()})

    def forward(self, x: Tensor) -> Tensor:  # (B, T, 2) -> (K, B)
        w = self.weights
        inputs = torch.einsum("btd,kdh->tkbh", x, w["input"]) + w["bias"]
        h = torch.zeros_like(inputs[0])
        for x_t in inputs:
            h = (x_t + h @ w["recurrent"]).relu()
        return (h @ w["head"])[..., 0]


def clip(gradients: list[Tensor], limit: float | Tensor) -> None:
    """Shorten all gradients of a network by one factor, so that their common norm is at most `limit`."""
    norm = sum(g.square().sum((1, 2), keepdim=True) for g in gradients).sqrt()  # (K, 1, 1)
    for g in gradients:
        g.mul_((limit / (norm + 1e-6)).clamp(max=1.0))


def sums(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers, each marked with probability 0.2, and the sum of the marked: (n, T, 2), (n,)."""
    values = torch.rand(n, LENGTH, generator=generator)
    marks = (torch.rand(n, LENGTH, generator=generator) < 0.2).float()
    return torch.stack([values, marks], -1), (values * marks).sum(1)


def law_gap(orthogonal: bool, generator: torch.Generator) -> float:
    """Largest relative gap between |d h_T / d h_0| and r**T over shrinking, constant and growing matrices."""
    matrix, start = (torch.randn(*s, generator=generator, dtype=torch.float64) for s in [(16, 16), (16,)])
    matrix = torch.linalg.qr(matrix)[0] if orthogonal else matrix / torch.linalg.eigvals(matrix).abs().max()
    gaps = []
    for radius in (0.8, 1.0, 1.2):
        first = h = start.clone().requires_grad_()
        for _ in range(LENGTH):
            h = radius * matrix @ h
        (gradient,) = torch.autograd.grad(h @ (start / start.norm()), first)
        gaps.append(abs(float(gradient.norm()) / radius**LENGTH - 1))
    return max(gaps)


def clip_gap(local: bool, generator: torch.Generator) -> float:
    """Largest difference from torch.nn.utils.clip_grad_norm_ on two tensors of different size."""
    ours = [torch.randn(1, 1, n, generator=generator, dtype=torch.float64) for n in (10, 1000)]
    twins = [torch.zeros_like(g, requires_grad=True) for g in ours]
    for twin, g in zip(twins, ours, strict=True):
        twin.grad = g.clone()
    nn.utils.clip_grad_norm_(twins, 1.0)
    for group in [[g] for g in ours] if local else [ours]:
        clip(group, 1.0)
    return max(float((twin.grad - g).abs().max()) for twin, g in zip(twins, ours, strict=True))


def run(device="cpu", seed=0, steps=250):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32, device=device) / 16  # (1797, 64)
    labels = torch.tensor(digits.target, device=device)
    order = torch.randperm(len(images), generator=data)
    train, test = order[:1400].to(device), order[1400:].to(device)

    stacks = {"residual": Stack(True).to(device), "sigmoid": Stack(False).to(device)}
    norms = {}
    for name, stack in stacks.items():
        F.cross_entropy(stack(images[train]), labels[train]).backward()
        norms[name] = [layer.weight.grad.norm().item() for layer in stack.layers]
    rnns = ReluRNNs().to(device)
    rates = torch.tensor([CLIPPED_RATE, *UNCLIPPED_RATES], device=device)
    limits = torch.tensor([1.0] + [math.inf] * len(UNCLIPPED_RATES), device=device)
    rates, limits = (t.repeat_interleave(COPIES)[:, None, None] for t in (rates, limits))  # (K, 1, 1)
    adams = {name: torch.optim.Adam(stack.parameters(), lr=1e-3) for name, stack in stacks.items()}

    for step in range(steps):
        chosen = train[torch.randint(len(train), (BATCH,), generator=data).to(device)]
        x, y = (t.to(device) for t in sums(BATCH // 2, data))
        point = {}
        for name, stack in stacks.items():
            loss = F.cross_entropy(stack(images[chosen]), labels[chosen])
            adams[name].zero_grad()
            loss.backward()
            adams[name].step()
            point[f"{name} stack"] = loss.item()
        errors = (rnns(x) - y).square().mean(1)  # (K,)
        gradients = list(torch.autograd.grad(errors.sum(), list(rnns.parameters())))
        clip(gradients, limits)
        with torch.no_grad():  # plain gradient descent, so that the size of the gradient counts
            for p, g in zip(rnns.parameters(), gradients, strict=True):
                p -= rates * (1 - step / steps) * g
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, point

    x, y = (t.to(device) for t in sums(1000, torch.Generator().manual_seed(seed + 1000)))
    with torch.no_grad():
        hits = {n: (s(images[test]).argmax(1) == labels[test]).float().mean().item() for n, s in stacks.items()}
        errors = (rnns(x) - y).square().mean(1).nan_to_num(1e30).view(-1, COPIES)  # NaN: it exploded
        clipped, *unclipped = errors.median(1).values.tolist()
    measured = {
        **{f"{name}_gradient_ratio": norm[0] / norm[-1] for name, norm in norms.items()},
        **{f"{name}_accuracy": hit for name, hit in hits.items()},
        "clipped_mse": clipped,
        "unclipped_mse": min(unclipped),
        "law_gap": law_gap(True, data),
        "gaussian_law_gap": law_gap(False, data),
        "clip_gap": clip_gap(False, data),
        "local_clip_gap": clip_gap(True, data),
    }
    depth = list(range(1, DEPTH + 1))
    return measured, {
        "gradient norm by layer, before training": {
            "kind": "lines",
            "zh": "训练前各层的梯度范数",
            "series": {name: (depth, norm) for name, norm in norms.items()},
            "x": "layer",
            "y": "norm of the weight gradient",
            "log": "y",
        }
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
