"""Loss functions — which answer a loss asks for, and how hard it pulls on a confident error.

A digit classifier starts confidently wrong on all digits but 0, whose logit leads by 15 for every image. Cross-entropy
pulls on the logits by p - y, however wrong the net is, and puts it right; squared error on the same probabilities
multiplies p - y by the slope of the softmax, which vanishes where the net is sure, right or wrong: it stays stuck, or
is flung to other errors by a giant rate. That is of plain gradient descent in as many steps, at the best of nine rates
by validation images: from a neutral start squared error learns, and Adam, which rescales small gradients, frees it too;
many more steps help as well. Then one number is fitted to points, a fifth of them outliers: squared error finds the
mean, absolute error the median, which stays near the true centre.

Needs:  torch, scikit-learn
Source: S. Solla, E. Levin, M. Fleisher, Accelerated Learning in Layered Neural Networks, Complex Systems 2, 1988
        (cross-entropy against squared error); P. Huber, Robust Estimation of a Location Parameter, Annals of
        Mathematical Statistics 35(1), 1964 (outliers)
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

LEAD, BATCH, CLASSES = 15.0, 64, 10
POINTS, OUTLIERS, CENTRE, FAR = 400, 80, 2.0, 30.0
TRAIN, VALID = 1000, 300
RATES = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7)

# %% the concept


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:  # (..., B, C), (B,) -> (...)
    # -log p_y with p = softmax(z): log p = z - log sum exp z, without overflow; its gradient by z is p - y
    log_p = logits - logits.logsumexp(-1, keepdim=True)
    return -(log_p * F.one_hot(y, CLASSES)).sum(-1).mean(-1)


def mse(logits: Tensor, y: Tensor) -> Tensor:  # (..., B, C), (B,) -> (...)
    # (p - y)^2; its gradient by z is 2 J (p - y), where the slope J = diag(p) - p p^T is 0 if p is 0 or 1
    return ((logits.softmax(-1) - F.one_hot(y, CLASSES)) ** 2).mean((-1, -2))


def squared_error(centre: Tensor, points: Tensor) -> Tensor:  # (), (n,) -> ()
    return ((centre - points) ** 2).mean()  # gradient 2 (c - mean): far points pull more, least at the mean


def absolute_error(centre: Tensor, points: Tensor) -> Tensor:  # (), (n,) -> ()
    return (centre - points).abs().mean()  # gradient mean sign(c - x): all pull alike, least at the median


# %% the experiment

LOSSES = {"cross-entropy": cross_entropy, "squared error": mse}
LOSSES |= {"squared error, neutral start": mse, "squared error, Adam": mse}
FITS = {"squared error": squared_error, "absolute error": absolute_error}


def slope(loss, at: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
    """A loss and its gradient by its first argument."""
    leaf = at.detach().requires_grad_()
    value = loss(leaf, *given)
    return value.detach(), torch.autograd.grad(value.sum(), leaf)[0]


def gap(some: tuple[Tensor, Tensor], others: tuple[Tensor, Tensor]) -> float:
    gaps = [(a - b).abs().max() for a, b in zip(some, others, strict=True)]
    return torch.stack(gaps).max().item()  # nan if one is


def identities(logits: list[Tensor], y: Tensor, points: Tensor) -> dict[str, float]:
    """The losses and their gradients, by autograd and in closed form, against torch: largest gaps (f64)."""
    target, pairs = F.one_hot(y, CLASSES).double(), []
    for z in logits:  # (n, C)
        p = z.softmax(1)
        entropy, square = slope(F.cross_entropy, z, y), slope(lambda z: F.mse_loss(z.softmax(1), target), z)
        by_p = 2 * (p - target) / p.numel()
        pairs += [
            ("loss_gap", slope(cross_entropy, z, y), entropy),
            ("loss_gap", (entropy[0], (p - target) / len(z)), entropy),
            ("no_softmax_gap", (entropy[0], (z - target) / len(z)), entropy),
            ("mse_gap", slope(mse, z, y), square),
            ("mse_gap", (square[0], p * (by_p - (p * by_p).sum(1, keepdim=True))), square),
            ("no_slope_gap", (square[0], by_p), square),
        ]
    for centre in torch.linspace(0, 10, 11).double():  # from the start of the fit to beyond the mean
        for name, loss in {"squared error": F.mse_loss, "absolute error": F.l1_loss}.items():
            theirs, huber = (slope(lambda c: f(c.expand_as(points), points), centre) for f in (loss, F.huber_loss))
            pairs += [("fit_loss_gap", slope(FITS[name], centre, points), theirs), ("huber_gap", huber, theirs)]
    gaps = [(name, gap(mine, theirs)) for name, mine, theirs in pairs]
    return {
        name: torch.tensor([value for of, value in gaps if of == name], dtype=torch.float64).max().item()
        for name, _ in gaps
    }


def among(some: Tensor, others: Tensor) -> Tensor:  # (n, 64), (m, 64) -> (n,)
    """Which rows of the one occur in the other."""
    return torch.cdist(some, others, p=1).amin(1) == 0


def run(device="cpu", seed=0, steps=200):
    split, order, cloud = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))  # weights begin alike
    digits = load_digits()
    shuffled = torch.randperm(len(digits.data), generator=split)
    images, labels = torch.tensor(digits.data)[shuffled].float() / 16, torch.tensor(digits.target)[shuffled]
    sizes = [TRAIN, VALID, len(images) - TRAIN - VALID]
    (x, x_valid, x_test), (y, y_valid, y_test) = (t.to(device).split(sizes) for t in (images, labels))
    rates = torch.tensor(RATES, device=device)[:, None, None]
    start = torch.zeros(len(RATES), images.shape[1] + 1, CLASSES)  # the last row holds the biases
    start[:, -1, 0] = LEAD
    weights = {name: start.to(device) * ("neutral" not in name) for name in LOSSES}
    adam = torch.optim.Adam([weights["squared error, Adam"]], 0.03)

    points = CENTRE + torch.randn(POINTS, generator=cloud)
    points[:OUTLIERS] += FAR
    seen, fits = points.to(device), {name: torch.zeros((), device=device) for name in FITS}

    def logits(weight: Tensor, x: Tensor) -> Tensor:  # (rates, 65, C), (n, 64) -> (rates, n, C)
        return x @ weight[:, :-1] + weight[:, -1:]

    def accuracies(weight: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Of each rate, and the images that tell."""
        return (logits(weight, x).argmax(-1) == y).float().mean(1), x

    def score(weight: Tensor, images: Tensor, labels: Tensor, known: Tensor) -> float:
        """Share answered rightly; an image that was learned or chosen from counts as wrong."""
        return ((logits(weight, images).argmax(-1) == labels) & ~among(images, known)).float().mean().item()

    for step in range(steps):
        decay = min(1.0, 2 - 2 * step / steps)  # constant rates end in noise
        rows = torch.randint(TRAIN, (BATCH,), generator=order).to(device)
        for name, loss in LOSSES.items():
            _, pull = slope(lambda w: loss(logits(w, x[rows]), y[rows]), weights[name])
            if name.endswith("Adam"):
                weights[name].grad, adam.param_groups[0]["lr"] = pull, 0.03 * decay
                adam.step()
            else:
                weights[name] = weights[name] - decay * rates * pull
        for name, loss in FITS.items():
            fits[name] = fits[name] - 0.3 * slope(loss, fits[name], seen)[1]
        known = {name: accuracies(weight, x_valid, y_valid) for name, weight in weights.items()}
        yield (step + 1) / steps, {name: every.max().item() for name, (every, _) in known.items()}

    best = {name: weights[name][int(every.argmax())][None] for name, (every, _) in known.items()}
    used = torch.cat([x, *(images for _, images in known.values())])
    accuracy = {name: score(weight, x_test, y_test, used) for name, weight in best.items()}
    kept = [start[:1].double(), *(best[name].cpu().double() for name in LOSSES if name != "squared error")]
    answers = [logits(weight, x_test.cpu().double())[0] for weight in kept]  # at the start, and as trained
    fit = {name: centre.item() for name, centre in fits.items()}
    mean, middle = points.mean().item(), points.sort().values[POINTS // 2 - 1 : POINTS // 2 + 1].tolist()
    from_median = {
        name: max(middle[0] - at, at - middle[1], 0.0) for name, at in fit.items()
    }  # anywhere between is one

    leads = torch.linspace(-8, 8, 81)  # of the true class over nine others that are alike
    one, zero = F.one_hot(torch.tensor(0), CLASSES), torch.zeros(len(leads), dtype=torch.long)
    pulls = {}
    for name in ("cross-entropy", "squared error"):  # each lead a batch of one
        pulls[name] = -slope(LOSSES[name], (leads[:, None] * one)[:, None], zero[:, None])[1][:, 0, 0]
    tried = torch.linspace(-2, 14, 81)
    curves = {name: torch.stack([loss(c, points) for c in tried]) for name, loss in FITS.items()}
    return {
        "cross_entropy_accuracy": accuracy["cross-entropy"],
        "mse_accuracy": accuracy["squared error"],
        "freed_mse_accuracy": min(accuracy[f"squared error, {how}"] for how in ("neutral start", "Adam")),
        "absolute_error_distance": abs(fit["absolute error"] - CENTRE),
        "squared_error_distance": abs(fit["squared error"] - CENTRE),
        "minimum_gap": max(abs(fit["squared error"] - mean), from_median["absolute error"]),
        "swapped_minimum_gap": min(abs(fit["absolute error"] - mean), from_median["squared error"]),
        **identities(answers + [2000 * z / z.abs().max() for z in answers], labels.split(sizes)[2], points.double()),
        "shared_rows": float(among(x_test, x).sum()),
        "training_rows": float(among(x, x).sum()),
    }, {
        "loss of every centre, over its least": {
            "kind": "lines",
            "series": {name: (tried.tolist(), (curve / curve.min()).tolist()) for name, curve in curves.items()}
            | {"true centre": ([CENTRE, CENTRE], [1.0, 1.5])},
            "x": "fitted centre",
            "y": "loss / least loss",
        },
        "how hard a loss pulls on the logit of the true class": {
            "kind": "lines",
            "series": {name: (leads.tolist(), pull.tolist()) for name, pull in pulls.items()},
            "x": "lead of the true class over the others",
            "y": "size of the gradient",
            "log": "y",
        },
    }


# %% what is claimed

TITLE = {"en": "Cross-entropy, squared and absolute error", "zh": "交叉熵、均方误差与绝对误差"}
CURVES = "validation accuracy at the best rate"
CPU_SECONDS = 1
CLAIMS = {
    "trained cross_entropy_accuracy >= 0.9 > mse_accuracy": {
        "en": "test accuracy after a confidently wrong start with cross-entropy; the control: squared error (MSE)",
        "zh": "从自信而错误的起点用交叉熵训练后的测试准确率；对照用均方误差（MSE）训练",
    },
    "trained absolute_error_distance <= 0.6 < squared_error_distance": {
        "en": "distance of the least absolute error fit to the true centre; the control is least squares",
        "zh": "数据含离群点时，最小绝对误差的解与真实中心的距离；对照为最小二乘",
    },
    "trained freed_mse_accuracy >= 0.82 > mse_accuracy": {
        "en": "test accuracy of squared error from a neutral start or with Adam, the lower; the control has neither",
        "zh": "均方误差从中性起点出发或改用 Adam 后的测试准确率，取较低者；对照两者皆无",
    },
    "trained minimum_gap <= 0.0003 < swapped_minimum_gap": {
        "en": "distance of the two fits to mean (squared error) and median (absolute error); the control swaps them",
        "zh": "两个解与均值（平方误差）、中位数（绝对误差）的距离；对照互换两者",
    },
    "parity loss_gap <= 1e-10 < no_softmax_gap": {
        "en": "gap of cross-entropy and its gradient p - y to torch, logits up to 2000 (f64); the control: no softmax",
        "zh": "绝对值至 2000 的 logit 上，交叉熵及其梯度 p - y 与 torch 之差（f64）；对照的梯度漏掉 softmax",
    },
    "parity mse_gap <= 1e-10 < no_slope_gap": {
        "en": "gap of MSE on probabilities and its gradient to torch (f64); the control omits the slope of the softmax",
        "zh": "概率的均方误差及其梯度与 torch 之差（f64）；对照漏掉 softmax 的导数",
    },
    "parity fit_loss_gap <= 1e-10 < huber_gap": {
        "en": "gap of the two losses of the fit and their gradients to torch (f64); the control is Huber's loss",
        "zh": "拟合所用两种损失及其梯度与 torch 之差（f64）；对照为 Huber 损失",
    },
    "parity shared_rows <= 0 < training_rows": {
        "en": "test images that occur in the training set; the control counts the training set in itself",
        "zh": "测试图像中出现在训练集里的张数；对照在训练集自身中计数",
    },
}
ZH = {
    "validation accuracy at the best rate": "最佳学习率下的验证准确率",
    "cross-entropy": "交叉熵",
    "squared error": "平方误差",
    "squared error, neutral start": "平方误差，中性起点",
    "squared error, Adam": "平方误差，Adam",
    "absolute error": "绝对误差",
    "true centre": "真实中心",
    "how hard a loss pulls on the logit of the true class": "损失对真实类别 logit 的拉力",
    "lead of the true class over the others": "真实类别领先其他类别的幅度",
    "size of the gradient": "梯度大小",
    "loss of every centre, over its least": "每个中心的损失与其最小值之比",
    "fitted centre": "拟合的中心",
    "loss / least loss": "损失 / 最小损失",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
