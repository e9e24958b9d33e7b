"""Universal approximation — one hidden layer can bend once a neuron: the wider, the nearer to a continuous curve.

A net of ReLU neurons (what they sum up passes where it is positive, else 0) is written down, not trained: it meets a
smooth curve at evenly spaced points and is straight in between, so its error is at most h^2 / 8 max|f''| for points h
apart. The control's neurons square their input; however many they are, their sum is a parabola. Then nets learn a wave
along a hidden direction in ten dimensions: a wide one, a narrow one, and one of 32 times as many neurons as the wide
one whose hidden layer stays random (its output weights are solved for, by ridge regression at the best of four
strengths, judged on the test). The last two come less close: it takes enough bends, and that their places are learned.

Needs:  torch
Source: G. Cybenko, Approximation by Superpositions of a Sigmoidal Function, Mathematics of Control, Signals and
        Systems 2, 1989; M. Leshno et al., Multilayer Feedforward Networks with a Nonpolynomial Activation Function Can
        Approximate Any Function, Neural Networks 6, 1993; A. Barron, Universal Approximation Bounds for Superpositions
        of a Sigmoidal Function, IEEE Transactions on Information Theory 39, 1993 (learned against fixed features)
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS, WIDE, NARROW, FIXED = (4, 8, 16, 32, 64), 32, 2, 1024
INPUTS, TRAIN, TEST, BATCH, RATE, NARROW_RATE, STRENGTHS = 10, 2000, 1000, 100, 0.03, 0.05, (1e-2, 1.0, 10.0, 100.0)

# %% the concept


class Net(nn.Module):
    def __init__(self, inputs: int, width: int, square: bool = False) -> None:
        super().__init__()
        self.square = square
        self.w, self.b = nn.Parameter(torch.randn(inputs, width) / inputs**0.5), nn.Parameter(torch.randn(width))
        self.v, self.c = nn.Parameter(torch.randn(width) / width**0.5), nn.Parameter(torch.zeros(()))

    def hidden(self, x: Tensor) -> Tensor:  # (B, d) -> (B, N)
        h = x @ self.w + self.b
        return h**2 if self.square else h.relu()

    def forward(self, x: Tensor) -> Tensor:  # (B, d) -> (B,)
        return self.hidden(x) @ self.v + self.c  # f(x) = c + sum_k v_k relu(w_k x + b_k)


def built(f, width: int) -> Net:
    """The net on [0, 1] that equals f at width + 1 points and is straight in between."""
    net, knots = Net(1, width).double(), torch.linspace(0, 1, width + 1, dtype=torch.float64)
    slopes = f(knots).diff() * width
    bends = torch.cat([slopes[:1], slopes.diff()])  # v_k: by how much the slope changes at knot k
    values = torch.ones_like(net.w), -knots[:-1], bends, f(knots)[0]  # each neuron begins at its knot
    for parameter, value in zip((net.w, net.b, net.v, net.c), values, strict=True):
        parameter.data = value
    return net


# %% its control


def squared(f, width: int, x: Tensor) -> Tensor:
    """The answers at x of a net whose neurons square their input, its readout fitted to f there."""
    torch.manual_seed(width)
    known = torch.cat([Net(1, width, square=True).double().hidden(x[:, None]).detach(), torch.ones_like(x)[:, None]], 1)
    return known @ torch.linalg.lstsq(known, f(x)[:, None], driver="gelsd").solution[:, 0]


# %% the experiment


def curve(x: Tensor) -> Tensor:
    return (2 * math.pi * x).sin() + 0.5 * (6 * math.pi * x).cos()


def bend(x: Tensor) -> Tensor:
    """Its second derivative."""
    return -((2 * math.pi) ** 2) * (2 * math.pi * x).sin() - 0.5 * (6 * math.pi) ** 2 * (6 * math.pi * x).cos()


def gap_to_torch(net: Net, x: Tensor, biased: float = 1.0) -> float:
    """Largest difference of outputs and gradients from nn.Sequential with the same weights, f64."""
    net, x = copy.deepcopy(net).cpu().double(), x.cpu().double()
    first, last = nn.Linear(*net.w.shape).double(), nn.Linear(len(net.v), 1).double()
    first.weight.data, first.bias.data = net.w.detach().T.contiguous(), biased * net.b.detach()
    last.weight.data, last.bias.data = net.v.detach()[None], net.c.detach()[None]
    sides = []
    for module, leaves in (
        (net, [net.w, net.b, net.v, net.c]),
        (nn.Sequential(first, nn.ReLU(), last, nn.Flatten(0)), [first.weight, first.bias, last.weight, last.bias]),
    ):
        given = x.clone().requires_grad_()
        answer = module(given)
        weights = torch.linspace(-1, 1, len(answer), dtype=answer.dtype)
        sides.append([answer, *torch.autograd.grad((answer * weights).sum(), [given, *leaves], materialize_grads=True)])
    sides[1][2] = sides[1][2].T
    return max((a - b.view_as(a) if a.dim() < 2 else a - b).abs().max().item() for a, b in zip(*sides, strict=True))


def fixed_error(known: tuple[Tensor, Tensor], fresh: tuple[Tensor, Tensor], width: int) -> float:
    """Test error of random hidden neurons with the best readout that ridge regression finds; f64."""
    net = Net(INPUTS, width).double()
    with torch.no_grad():
        h, h_test = (F.pad(net.hidden(x.double()), (0, 1), value=1.0) for x, _ in (known, fresh))
    products, answers = h.T @ h, h.T @ known[1].double()
    eye = torch.eye(len(products), dtype=products.dtype)
    guesses = [h_test @ torch.linalg.solve(products + strength * eye, answers) for strength in STRENGTHS]
    return min(F.mse_loss(guess, fresh[1].double()).item() for guess in guesses) / fresh[1].var().item()


def run(device="cpu", seed=0, steps=600):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    direction = F.normalize(torch.randn(INPUTS, generator=data), dim=0)
    torch.manual_seed(3 * seed)

    def wave(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randn(n, INPUTS, generator=generator)
        return x, (2 * x @ direction).sin()

    known, fresh = wave(TRAIN, data), wave(TEST, unseen)
    (x, y), (x_test, y_test) = ([t.to(device) for t in part] for part in (known, fresh))
    nets = {f"{width} neurons": Net(INPUTS, width).to(device) for width in (WIDE, NARROW)}
    rates = dict(zip(nets, (RATE, NARROW_RATE), strict=True))
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        rows, losses = torch.randint(TRAIN, (BATCH,), generator=data).to(device), {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = rates[name] * min(1, 2 - 2 * step / steps)
            loss = F.mse_loss(net(x[rows]), y[rows])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    with torch.no_grad():
        errors = [F.mse_loss(net(x_test), y_test).item() / y_test.var().item() for net in nets.values()]
    fine = torch.linspace(0, 1, 2001, dtype=torch.float64)
    with torch.no_grad():
        bent = [float((built(curve, n)(fine[:, None]) - curve(fine)).abs().max()) for n in WIDTHS]
    parabola = [float((squared(curve, n, fine) - curve(fine)).abs().max()) for n in WIDTHS]
    bounds = [float(bend(fine).abs().max()) / 8 / n**2 for n in WIDTHS]
    wide = nets[f"{WIDE} neurons"]
    marks = fine[::50]
    seen = {row.numpy().tobytes() for row in known[0]}
    with torch.no_grad():
        drawn = {f"{n} neurons": (marks.tolist(), built(curve, n)(marks[:, None]).tolist()) for n in (4, 16)}
    return {
        "error_of_bound": max(a / b for a, b in zip(bent, bounds, strict=True)),
        "parabola_of_bound": parabola[-1] / bounds[-1],
        "doubling_gain": bent[-2] / bent[-1],
        "parabola_gain": parabola[-2] / parabola[-1],
        "wide_error": errors[0],
        "learned_error": errors[0],
        "narrow_error": errors[1],
        "fixed_error": fixed_error(known, fresh, FIXED),
        "net_gap": gap_to_torch(wide, x_test[:50]),
        "biasless_gap": gap_to_torch(wide, x_test[:50], biased=0.0),
        "known_points": sum(row.numpy().tobytes() in seen for row in fresh[0]),
        "known_points_planted": sum(row.numpy().tobytes() in seen for row in known[0][:9]),
    }, {
        "a curve, and nets of 4 and 16 neurons that are written down": {
            "kind": "lines",
            "series": {
                "the curve": (marks.tolist(), curve(marks).tolist()),
                **drawn,
                "64 that square": (marks.tolist(), squared(curve, 64, fine)[::50].tolist()),
            },
            "x": "x",
            "y": "f(x)",
        },
        "largest error by width": {
            "kind": "table",
            "columns": ["neurons", "ReLU", "bound", "squares"],
            "rows": [[float(n), *row] for n, *row in zip(WIDTHS, bent, bounds, parabola, strict=True)],
        },
    }


# %% what is claimed

TITLE = {"en": "One hidden layer approximates any continuous curve", "zh": "一个隐藏层即可逼近任意连续曲线"}
CURVES = "mean squared error"
CPU_SECONDS = 2
CLAIMS = {
    "parity error_of_bound <= 1 < parabola_of_bound": {
        "en": "largest error of the net as a share of h^2 / 8 max|f''|, the worst of five widths; the control's 64 "
        "neurons square their input",
        "zh": "网络的最大误差与 h^2 / 8 max|f''| 之比，取五种宽度中最差的；对照的 64 个神经元对输入取平方",
    },
    "parity doubling_gain >= 3.9 > parabola_gain": {
        "en": "by what 64 neurons in place of 32 divide the largest error; the control's neurons square their input",
        "zh": "神经元从 32 个增至 64 个，最大误差缩小的倍数；对照的神经元对输入取平方",
    },
    "trained wide_error <= 0.13 < narrow_error <= 1.1": {
        "en": "squared error of a trained net of 32 neurons on fresh points in ten dimensions, as a share of the "
        "variance; the control has 2 neurons",
        "zh": "32 个神经元的网络训练后在十维新样本上的均方误差与方差之比；对照只有 2 个神经元",
    },
    "trained learned_error <= 0.13 < fixed_error <= 0.7": {
        "en": "the same; the control has 1024 random neurons that are not trained, its output weights are found by "
        "ridge regression at the best of four strengths",
        "zh": "同上；对照为 1024 个不训练的随机神经元，输出权重由岭回归求得（取四种强度中最好的）",
    },
    "parity net_gap <= 1e-10 < biasless_gap": {
        "en": "largest gap of the trained net to nn.Sequential in outputs and gradients (f64); the control has no "
        "biases in its hidden layer",
        "zh": "训练后的网络与 nn.Sequential 在输出与梯度上的最大差距（f64）；对照的隐藏层没有偏置",
    },
    "parity known_points <= 0 < known_points_planted": {
        "en": "test points that stand among the training points; the control counts nine training points",
        "zh": "测试点中同时出现在训练点里的个数；对照数九个训练点",
    },
}
ZH = {
    "mean squared error": "均方误差",
    "2 neurons": "2 个神经元",
    "4 neurons": "4 个神经元",
    "16 neurons": "16 个神经元",
    "32 neurons": "32 个神经元",
    "64 that square": "64 个取平方的神经元",
    "a curve, and nets of 4 and 16 neurons that are written down": "一条曲线，与直接写出的 4 个和 16 个神经元的网络",
    "the curve": "曲线",
    "largest error by width": "各宽度的最大误差",
    "neurons": "神经元个数",
    "bound": "上界",
    "squares": "取平方",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
