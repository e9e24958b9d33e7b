"""Perceptron — each misjudged example is added to the weights or taken from them; if a line separates, mistakes end.

Random points of 2, 10 and 50 dimensions lie on two sides of a plane, none nearer to it than 0.15; a last input,
always 1, has the bias as its weight. Novikoff's theorem allows (R / margin)^2 mistakes, R being the length of the
longest example and the margin the least distance of one from the plane, both with that input; on perpendicular
examples (and one between them all) the rule makes just as many. Among the controls: the same points with one of them
added once more under the other label, and XOR (yes where exactly one of two inputs is), which no line separates. Of
all ways to label the corners of a square, a pentagon and a hexagon, the rule learns as many as Cover's formula says
that a line can separate.

Needs:  torch, scikit-learn
Source: F. Rosenblatt, The Perceptron, Psychological Review 65(6), 1958; A. Novikoff, On Convergence Proofs on
        Perceptrons, Symposium on the Mathematical Theory of Automata, 1962; T. Cover, Geometrical and Statistical
        Properties of Systems of Linear Inequalities, IEEE Transactions on Electronic Computers, 1965
"""

import math
from itertools import product

import torch
from sklearn.linear_model import Perceptron
from torch import Tensor

POINTS, MARGIN, DIMENSIONS, LIMIT = 100, 0.15, (2, 10, 50), 150

# %% the concept


def neuron(w: Tensor, x: Tensor) -> Tensor:  # (d,), (n, d) -> (n,)
    return torch.where(x @ w > 0, 1.0, -1.0).to(x)  # sign(w x): +1 if the weighted sum exceeds 0, else -1


def learn(x: Tensor, y: Tensor, most: float) -> list[Tensor]:
    """The weights to begin with and after every mistake, until a pass without one, or `most` mistakes. (n, d), (n,)"""
    history, start = [x.new_zeros(x.shape[1])], 0
    while len(history) <= most:
        wrong = (y[start:] * (x[start:] @ history[-1]) <= 0).nonzero()[:, 0]  # a sum of 0 tells nothing: a mistake
        if len(wrong):
            k = start + int(wrong[0])  # the next example of this pass that is misjudged
            history.append(history[-1] + y[k] * x[k])  # w <- w + y x
            start = k + 1
        elif start:
            start = 0  # the next pass
        else:
            break  # a whole pass without a mistake: it has learned
    return history


# %% its control


def hebb(x: Tensor, y: Tensor, passes: int) -> Tensor:
    """Every example times its label is added, whether it was judged rightly or not."""
    return passes * y @ x


# %% the experiment

GATES = {"AND": (-1, -1, -1, 1), "OR": (-1, 1, 1, 1), "XOR": (-1, 1, 1, -1)}  # of 00, 01, 10, 11


def separable(d: int, generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
    """Points on two sides of a random plane, their sides, and (R / margin)^2: (n, d + 1), (n,)."""
    plane = torch.randn(d, generator=generator, dtype=torch.float64)
    plane = plane / plane.norm()
    x = torch.rand(20 * POINTS, d, generator=generator, dtype=torch.float64) * 2 - 1
    x = x[(x @ plane - MARGIN).abs() > MARGIN][:POINTS]  # the border passes the origin at this distance
    x, y = torch.cat([x, torch.ones(len(x), 1).to(x)], 1), (x @ plane - MARGIN).sign()
    return x, y, bound(x, y, torch.cat([plane, plane.new_tensor([-MARGIN])]))


def bound(x: Tensor, y: Tensor, best: Tensor) -> float:
    """(R / margin)^2 for the plane with the weights `best`."""
    return float((x.norm(dim=1).max() / (y * (x @ best) / best.norm()).min()) ** 2)


def attained(d: int) -> float:
    """Mistakes as a share of the bound, on d perpendicular examples of length 1 and one between, all of one class."""
    x, y = torch.eye(d, dtype=torch.float64), torch.ones(d + 1, dtype=torch.float64)
    x = torch.cat([x, 2 * x.sum(0, keepdim=True) / d])  # twice as far from the plane, and never misjudged
    return (len(learn(x, y, 2 * d)) - 1) / bound(x, y, y[:d])


def labellings(x: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
    """Every labelling of the points, and the weights on the way to it."""
    every = [torch.tensor(signs, dtype=x.dtype) for signs in product((-1, 1), repeat=len(x))]
    return [(y, learn(x, y, LIMIT)) for y in every]


def cover_gap(corners: int, bias: float = 1.0) -> int:
    """How far the labellings of a polygon's corners that are learned are from 2 sum_k<3 C(n - 1, k)."""
    angle = torch.arange(corners, dtype=torch.float64) * 2 * math.pi / corners
    x = torch.stack([angle.cos(), angle.sin(), bias * torch.ones_like(angle)], 1)
    learned = sum(bool((neuron(history[-1], x) == y).all()) for y, history in labellings(x))
    return abs(learned - 2 * sum(math.comb(corners - 1, k) for k in range(3)))


def gates() -> dict[str, float]:
    """The largest share of each gate's answers that any neuron gives after learning from some labelling of inputs."""
    x = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=torch.float64)
    answers = torch.stack([neuron(history[-1], x) for _, history in labellings(x)])
    return {gate: float((answers == torch.tensor(y)).double().mean(1).max()) for gate, y in GATES.items()}


def weights_gap(x: Tensor, y: Tensor, ours: Tensor) -> float:
    """The largest difference from the weights that scikit-learn's Perceptron ends with."""
    theirs = Perceptron(fit_intercept=False, shuffle=False, tol=None, max_iter=100).fit(x.numpy(), y.numpy())
    return float((torch.from_numpy(theirs.coef_[0]) - ours).abs().max())


def border(w: Tensor) -> list[list[float]]:
    """Points x and y of the line on which the sum is 0, as far as the square of the points goes."""
    along, length = torch.linspace(-1.5, 1.5, 121, dtype=w.dtype)[:, None], w[:2].norm()
    line = (along * torch.stack([-w[1], w[0]]) - w[2] / length * w[:2]) / length
    return line[(line.abs() <= 1).all(1)].T.tolist()


def run(device="cpu", seed=0, steps=15):
    data = torch.Generator().manual_seed(3 * seed)
    shares, endless, gaps, hebb_gaps = {}, [], [], []
    dots: dict[str, tuple[list[float], list[float]]] = {f"{d} dimensions": ([], []) for d in DIMENSIONS}
    for step in range(max(steps, len(DIMENSIONS))):
        name, d = f"{DIMENSIONS[step % 3]} dimensions", DIMENSIONS[step % 3]
        x, y, allowed = separable(d, data)
        there, signs = x.float().to(device), y.float().to(device)
        mistakes = len(learn(there, signs, 2 * allowed)) - 1
        doubled = torch.cat([there, there[:1]]), torch.cat([signs, -signs[:1]])
        endless.append((len(learn(*doubled, 1.2 * allowed)) - 1) / allowed)
        dots[name][0].append(allowed)
        dots[name][1].append(mistakes)
        shares[name] = [*shares.get(name, []), mistakes / allowed]
        if step < len(DIMENSIONS):
            gaps.append(weights_gap(x, y, learn(x, y, 2 * allowed)[-1]))
            hebb_gaps.append(min(weights_gap(x, y, hebb(x, y, passes)) for passes in range(1, 6)))
        yield min((step + 1) / steps, 1), {name: held[-1] for name, held in shares.items()}

    every = [share for held in shares.values() for share in held]
    x, y, allowed = separable(2, data)
    history = learn(x, y, 2 * allowed)
    picture = {f"class {sign}": x[y == int(sign), :2].T.tolist() for sign in ("-1", "+1")}
    crossing = [line for line in map(border, history[1:]) if line[0]]
    picture |= zip(("first border in view", "border at the end"), crossing[:1] + crossing[-1:], strict=False)
    allowances = [10 ** (k / 20) for k in range(42, 61)]
    right = gates()
    return {
        "mistakes_of_bound": max(every),
        "unseparable_of_bound": min(endless),
        "perpendicular_off": max(abs(attained(d) - 1) for d in (4, 16, 64)),
        "random_off": 1 - max(every),
        "gates_right": min(right["AND"], right["OR"]),
        "xor_right": right["XOR"],
        "cover_gap": sum(cover_gap(corners) for corners in (4, 5, 6)),
        "biasless_cover_gap": min(cover_gap(corners, bias=0.0) for corners in (4, 5, 6)),
        "weights_gap": max(gaps),
        "hebb_gap": min(hebb_gaps),
    }, {
        "two classes, the first border in view and the last": {
            "kind": "scatter",
            "series": picture,
            "x": "first input",
            "y": "second input",
        },
        "mistakes until there are none, and the most that the theorem allows": {
            "kind": "scatter",
            "series": {**dots, "as many as allowed": (allowances, allowances)},
            "x": "(R / margin)^2",
            "y": "mistakes",
            "log": "xy",
        },
    }


# %% what is claimed

TITLE = {"en": "The perceptron's mistakes end where a line separates", "zh": "线性可分时，感知机的判错会停止"}
CURVES = "mistakes as a share of the bound"
CPU_SECONDS = 1
CLAIMS = {
    "parity mistakes_of_bound <= 1 < unseparable_of_bound": {
        "en": "mistakes as a share of (R / margin)^2, the worst of all sets; the control has one point "
        "twice, with both labels, and was stopped at 1.2",
        "zh": "判错次数与 (R / 间隔)^2 之比，取各数据集中最差的；对照中有一个点以两种标签各出现一次，比值到 1.2 时中止",
    },
    "parity perpendicular_off <= 0 < random_off": {
        "en": "how far that share is from 1 on 4, 16 and 64 perpendicular examples and one "
        "between, the worst; the control is the random set that comes nearest",
        "zh": "在 4、16、64 个两两正交的样本（外加居中的一个）上，同一比值与 1 之差，取最差的；"
        "对照为随机数据集中最接近 1 的",
    },
    "parity gates_right >= 1 > xor_right >= 0.75": {
        "en": "share of AND and of OR that the best neuron gets right, the worse of the two; the control is XOR, best "
        "of all that was learned",
        "zh": "最好的神经元在 AND 与 OR 上的正确率，取两者较差的；对照为 XOR，取学到的所有神经元中最好的",
    },
    "parity cover_gap <= 0 < biasless_cover_gap": {
        "en": "how far the labellings of n = 4, 5 and 6 corners that are learned are from 2 sum C(n - 1, k), k < 3, "
        "in all; the control has no bias: the least of the three",
        "zh": "n = 4、5、6 个顶点的所有标注方式中学会的个数，与 2 sum C(n - 1, k)（k < 3）之差，取总和；"
        "对照没有偏置，取三者最小",
    },
    "parity weights_gap <= 1e-10 < hebb_gap": {
        "en": "largest gap to the final weights of scikit-learn's Perceptron (f64); the control adds every example "
        "times its label, 1 to 5 times over",
        "zh": "最终权重与 scikit-learn 的 Perceptron 的最大差距（f64）；"
        "对照不论对错，把每个样本乘以标签后都加上，重复 1 至 5 遍",
    },
}
ZH = {
    "mistakes as a share of the bound": "判错次数与上界之比",
    "2 dimensions": "2 维",
    "10 dimensions": "10 维",
    "50 dimensions": "50 维",
    "two classes, the first border in view and the last": "两个类别，以及图中可见的最初与最终的分界线",
    "class -1": "类别 -1",
    "class +1": "类别 +1",
    "first border in view": "最先可见的分界线",
    "border at the end": "最终的分界线",
    "first input": "第一个输入",
    "second input": "第二个输入",
    "mistakes until there are none, and the most that the theorem allows": "学会之前的判错次数，与定理允许的上限",
    "as many as allowed": "恰好等于上限",
    "(R / margin)^2": "(R / 间隔)^2",
    "mistakes": "判错次数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
