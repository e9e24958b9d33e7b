"""SwiGLU — a gate multiplies: two gated units hold x times y exactly; ReLU and GELU units only come near.

A feed-forward block of SwiGLU multiplies one linear map of its input by the SiLU of another. As SiLU(z) - SiLU(-z)
= z, two of its units give the product of two inputs, whatever their size. Four GELU units give it the closer, the
larger their output weights, but never on the whole plane; sums of ReLU and GELU units grow no faster than the
input. So blocks of SwiGLU, ReLU, GELU and squared ReLU learn four products of pairs of inputs, five nets each. In
the range of training GELU comes close; beyond it, neither ReLU nor GELU does, nor at any of six rates from 0.005 to
0.2, nor with four times the steps or three times the units (seed 0). Squared ReLU, which has no gate, does as well
as SwiGLU. Three ReLU units hold the larger of two numbers exactly, and SwiGLU comes nearer only with biases, which
cost it some of the products. The table gives mean and standard deviation of the five. Which of the two a language
model needs is not shown: Shazeer, whose blocks have no biases, reports a small gain and offers no reason.

Needs:  torch
Source: N. Shazeer, GLU Variants Improve Transformer, 2020; Y. Dauphin et al., Language Modeling with Gated
        Convolutional Networks, ICML 2017 (GLU); D. So et al., Primer, NeurIPS 2021 (squared ReLU)
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PAIRS, NETS, BATCH, RATE, NEAR, FAR, GATED, PLAIN = 4, 5, 64, 0.06, 2.0, 4.0, 13, 20

# %% the concept


class SwiGLU(nn.Module):  # R nets side by side, which share nothing
    def __init__(self, nets: int, d_in: int, width: int, d_out: int) -> None:
        super().__init__()
        self.gate, self.value = nn.Parameter(drawn(nets, d_in, width)), nn.Parameter(drawn(nets, d_in, width))
        self.out = nn.Parameter(drawn(nets, width, d_out))

    def forward(self, x: Tensor) -> Tensor:  # (R, B, d_in) -> (R, B, d_out)
        x = F.pad(x, (0, self.gate.shape[1] - x.shape[-1]), value=1.0)  # biases, where d_in has room for a 1
        z = x @ self.gate
        return (z * z.sigmoid() * (x @ self.value)) @ self.out  # (SiLU(x W) * x V) U, SiLU(z) = z sigmoid(z)


def drawn(nets: int, d_in: int, d_out: int) -> Tensor:
    return (2 * torch.rand(nets, d_in, d_out) - 1) / math.sqrt(d_in)


# %% its control


class Plain(nn.Module):
    def __init__(self, act, nets: int, d_in: int, width: int, d_out: int) -> None:
        super().__init__()
        self.act, self.into = act, nn.Parameter(drawn(nets, d_in, width))
        self.out = nn.Parameter(drawn(nets, width, d_out))
        self.shifts = nn.ParameterList([torch.zeros(nets, 1, width), torch.zeros(nets, 1, d_out)])

    def forward(self, x: Tensor) -> Tensor:  # (R, B, d_in) -> (R, B, d_out)
        return self.act(x @ self.into + self.shifts[0]) @ self.out + self.shifts[1]  # act(x W + b) U + c


# %% the experiment


def block(name: str) -> nn.Module:
    if name == "SwiGLU, biases":
        return SwiGLU(NETS, 2 * PAIRS + 1, GATED - 1, PAIRS)
    acts = {"ReLU": F.relu, "GELU": F.gelu, "squared ReLU": lambda z: z.relu() ** 2}
    return Plain(acts[name], NETS, 2 * PAIRS, PLAIN, PAIRS) if name in acts else SwiGLU(NETS, 2 * PAIRS, GATED, PAIRS)


def answer(task: str, x: Tensor) -> Tensor:
    """Product or larger of each pair of inputs: (..., 2 PAIRS) -> (..., PAIRS)."""
    a, b = x.unflatten(-1, (PAIRS, 2)).unbind(-1)
    return a * b if task == "product" else torch.maximum(a, b)


def inputs(rows: int, reach: float, generator: torch.Generator) -> Tensor:
    """Uniform between -reach and reach, other rows for each net: (NETS, rows, 2 PAIRS)."""
    return reach * (2 * torch.rand(NETS, rows, 2 * PAIRS, generator=generator) - 1)


@torch.no_grad()
def errors(net: nn.Module, task: str, x: Tensor) -> Tensor:
    """Squared error over the variance of the answers, of each net: (NETS,)."""
    y = answer(task, x)
    return ((net(x) - y) ** 2).mean((1, 2)) / y.var((1, 2))


@torch.no_grad()
def pair_gaps(x: Tensor) -> tuple[float, float]:
    """Gap to x_1 x_2 of two gated units set by hand, and of four GELU units at the best of 40 scales; f64."""
    gated, plain = SwiGLU(1, 2, 2, 1).double(), Plain(F.gelu, 1, 2, 4, 1).double()
    gated.gate[:], gated.value[:] = torch.tensor([[1.0, -1.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, -1.0]])
    gated.out[:] = 1  # SiLU(x) y + SiLU(-x) (-y) = x y
    product, found = x.prod(-1, keepdim=True), []
    for scale in torch.logspace(-9, 0, 40, dtype=x.dtype):  # ((x + y)^2 - (x - y)^2) / 4, z^2 by GELU(z) + GELU(-z)
        plain.into[:] = scale * torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]]).to(x)
        plain.out[:] = math.sqrt(math.pi / 2) / (4 * scale**2) * torch.tensor([[1.0], [1.0], [-1.0], [-1.0]]).to(x)
        found.append(float((plain(x) - product).abs().max()))
    return float((gated(x) - product).abs().max()), min(found)


def block_gap(net: SwiGLU, x: Tensor, cubed: bool = True) -> float:
    """Largest difference from F.glu, a value times the gate's sigmoid, whose value is multiplied by the gate's input
    (not so without `cubed`): in outputs and gradients; f64."""
    parts = [p.detach().cpu().double().requires_grad_() for p in (net.gate, net.value, net.out)]
    mine, found = SwiGLU(NETS, 2 * PAIRS, GATED, PAIRS).double(), []
    mine.load_state_dict(net.state_dict())
    for leaves in ([mine.gate, mine.value, mine.out], parts):
        leaf = x.double().requires_grad_()
        z, v = leaf @ parts[0], leaf @ parts[1]
        y = mine(leaf) if leaves is not parts else F.glu(torch.cat([v * z if cubed else v, z], -1)) @ parts[2]
        weighted = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)).sum()
        found.append([y, *torch.autograd.grad(weighted, [leaf, *leaves], materialize_grads=True)])
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=800):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    names, tasks = ("SwiGLU", "ReLU", "GELU", "squared ReLU", "SwiGLU, biases"), ("product", "larger")
    nets = {(name, task): block(name).to(device) for name in names for task in tasks}
    optimizers = {key: torch.optim.Adam(net.parameters()) for key, net in nets.items()}
    for step in range(steps):
        x, losses = inputs(BATCH, NEAR, data).to(device), {}
        for (name, task), net in nets.items():
            optimizer = optimizers[name, task]
            optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            loss = ((net(x) - answer(task, x)) ** 2).mean((1, 2))
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
            losses[name, task] = loss.mean().item()
        yield (step + 1) / steps, {name: losses[name, "product"] for name in names}

    tests = {reach: inputs(1000, reach, unseen).to(device) for reach in (NEAR, FAR)}
    held = {(*key, reach): errors(net, key[1], x) for key, net in nets.items() for reach, x in tests.items()}
    spread = {key: (found.mean().item(), found.std().item()) for key, found in held.items()}
    sizes = [sum(p[0].numel() for p in nets[name, "product"].parameters()) for name in names]
    ways = [("product", NEAR), ("product", FAR), ("larger", NEAR)]
    cells = [["{:.3f}±{:.3f}".format(*spread[name, *way]) for way in ways] for name in names]
    along = torch.linspace(0, 2 * FAR, 33)
    line = torch.zeros(NETS, len(along), 2 * PAIRS).index_fill(2, torch.arange(2), 1.0) * along[:, None]
    with torch.no_grad():
        drawn_lines = {name: nets[name, "product"](line.to(device))[0, :, 0].tolist() for name in names[:3]}
    exact, near = pair_gaps(100 * (2 * torch.rand(500, 2, generator=unseen, dtype=torch.float64) - 1))
    x = tests[NEAR][:, :20].cpu()
    return {
        "far_product_error": float(held["SwiGLU", "product", FAR].max()),
        "plain_far_error": min(float(held[name, "product", FAR].min()) for name in ("ReLU", "GELU")),
        "relu_larger_error": float(held["ReLU", "larger", NEAR].max()),
        "swiglu_larger_error": min(float(held[name, "larger", NEAR].min()) for name in ("SwiGLU", "SwiGLU, biases")),
        "pair_gap": exact,
        "gelu_pair_gap": near,
        "block_gap": block_gap(nets["SwiGLU", "product"], x),
        "glu_gap": block_gap(nets["SwiGLU", "product"], x, cubed=False),
    }, {
        "both inputs r: their product, after training up to r = 2": {
            "kind": "lines",
            "series": {"r * r": (along.tolist(), (along**2).tolist())}
            | {name: (along.tolist(), y) for name, y in drawn_lines.items()},
            "x": "r",
            "y": "answer",
        },
        "error over variance: mean ± standard deviation of five nets": {
            "kind": "table",
            "columns": ["block", "parameters", "product", "product, to 4", "larger"],
            "rows": [[name, size, *row] for name, size, row in zip(names, sizes, cells, strict=True)],
        },
    }


# %% what is claimed

TITLE = {"en": "SwiGLU multiplies, ReLU compares", "zh": "SwiGLU 会相乘，ReLU 会比大小"}
CURVES = "squared error on products"
CPU_SECONDS = 3
CLAIMS = {
    "parity pair_gap <= 1e-10 < gelu_pair_gap <= 0.0002": {
        "en": "largest gap of two gated units, set by hand, to the product of two numbers of size up to 100 (f64); "
        "control: four GELU units at the best of 40 scales",
        "zh": "手工设定的两个门控单元同两数（绝对值不超过 100）之积的最大差距（f64）；"
        "对照：四个 GELU 单元，取 40 种缩放中最好的",
    },
    "trained far_product_error <= 0.006 < plain_far_error <= 0.11": {
        "en": "error over variance on products of numbers from -4 to 4, trained from -2 to 2: worst of five SwiGLU "
        "nets; control: the best of five ReLU and five GELU nets",
        "zh": "只在绝对值不超过 2 的数上训练，在不超过 4 的数上求积的误差（除以方差），取五个 SwiGLU 网络中最差的；"
        "对照：五个 ReLU 与五个 GELU 网络中最好的",
    },
    "trained relu_larger_error <= 0.0001 < swiglu_larger_error <= 0.02": {
        "en": "error over variance on the larger of two numbers from -2 to 2, worst of five ReLU nets; control: best "
        "of ten SwiGLU nets, five of them with biases",
        "zh": "在绝对值不超过 2 的数上求两数中较大者的误差（除以方差），取五个 ReLU 网络中最差的；"
        "对照：十个 SwiGLU 网络（其中五个有偏置）中最好的",
    },
    "parity block_gap <= 1e-10 < glu_gap": {
        "en": "largest gap of the trained SwiGLU nets to the same made of torch's GLU, in outputs and gradients "
        "(f64); control: GLU itself, whose gate is a sigmoid alone",
        "zh": "训练后的 SwiGLU 网络同用 PyTorch 的 GLU 拼成的同一模块在输出与梯度上的最大差距（f64）；"
        "对照：GLU 本身，门只是 Sigmoid",
    },
}
ZH = {
    "squared error on products": "求积的平方误差",
    "squared ReLU": "平方 ReLU",
    "SwiGLU, biases": "SwiGLU，有偏置",
    "both inputs r: their product, after training up to r = 2": "两个输入都是 r 时求得的积（只在 r 不超过 2 时训练过）",
    "answer": "回答",
    "error over variance: mean ± standard deviation of five nets": "误差占方差的比例：五个网络的均值与标准差",
    "block": "模块",
    "parameters": "参数量",
    "product": "求积",
    "product, to 4": "求积，不超过 4",
    "larger": "取较大者",
    "r * r": "r 的平方",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
