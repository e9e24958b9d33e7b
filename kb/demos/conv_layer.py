"""Convolutional layer — a kernel of nine shared weights learns an edge from 8 pictures; a dense layer is far off.

The target is what two kernels of Sobel's make of a digit, one for upright edges, one for level ones; in training,
plus noise. A layer of two 3 x 3 kernels learns them from 8 pictures; the control, a dense layer with a weight for
every pair of an input and an output pixel, sees the same pictures and is fitted by ridge regression (least squares
that keeps weights small) at the best of five strengths, judged on the test. One layer is computed in three ways, by
loops over the kernel, as one matrix product of patches, by the Fourier transform, with stride (places from one patch
to the next), padding (zeros around) and dilation (steps within a patch). How far a stack sees, gradients tell.

Needs:  torch, scikit-learn
Source: K. Fukushima, Neocognitron, Biological Cybernetics 36, 1980; Y. LeCun et al., Backpropagation Applied to
        Handwritten Zip Code Recognition, Neural Computation 1(4), 1989; V. Dumoulin, F. Visin, A Guide to Convolution
        Arithmetic for Deep Learning, 2016 (sizes)
"""

import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN, NOISE, RATE, STRENGTHS = 8, 0.1, 0.1, (0.01, 0.1, 1.0, 10.0, 100.0)

# %% the concept


def side(n: int, k: int, s: int, p: int, d: int) -> int:
    return (n + 2 * p - d * (k - 1) - 1) // s + 1  # n_out = floor((n + 2 p - d (k - 1) - 1) / s) + 1


def by_loops(x: Tensor, w: Tensor, b: Tensor, s: int = 1, p: int = 0, d: int = 1) -> Tensor:
    """(B, C, H, W), (K, C, k, k), (K,) -> (B, K, H', W'); stride s, padding p, dilation d."""
    k, (high, wide) = w.shape[-1], (side(n, w.shape[-1], s, p, d) for n in x.shape[2:])
    x, y = F.pad(x, (p, p, p, p)), b[:, None, None]
    for u in range(k):
        for v in range(k):  # y[o, i, j] = b[o] + sum_cuv w[o, c, u, v] x[c, s i + d u, s j + d v]
            under = x[:, :, d * u :: s, d * v :: s][:, :, :high, :wide]
            y = y + torch.einsum("bchw,oc->bohw", under, w[:, :, u, v])
    return y


def by_product(x: Tensor, w: Tensor, b: Tensor, s: int = 1, p: int = 0, d: int = 1) -> Tensor:
    """Every patch a row, every kernel a column: one matrix product (im2col)."""
    reach = d * (w.shape[-1] - 1) + 1
    patches = F.pad(x, (p, p, p, p)).unfold(2, reach, s).unfold(3, reach, s)[..., ::d, ::d]  # (B, C, H', W', k, k)
    rows = patches.permute(0, 2, 3, 1, 4, 5).flatten(3)  # (B, H', W', C k k)
    return (rows @ w.flatten(1).T + b).permute(0, 3, 1, 2)


def by_fourier(x: Tensor, w: Tensor, b: Tensor, s: int = 1, p: int = 0, d: int = 1) -> Tensor:
    """Sliding is a product of transforms, here with the conjugate one, since the kernel is not flipped."""
    x, high, wide = F.pad(x, (p, p, p, p)), *(side(n, w.shape[-1], s, p, d) for n in x.shape[2:])
    reach = d * (w.shape[-1] - 1) + 1
    spread = w.new_zeros(*w.shape[:2], reach, reach)
    spread[:, :, ::d, ::d] = w
    size = [n + reach for n in x.shape[2:]]
    product = torch.einsum("bchw,ochw->bohw", torch.fft.rfft2(x, size), torch.fft.rfft2(spread, size).conj())
    return torch.fft.irfft2(product, size)[:, :, ::s, ::s][:, :, :high, :wide] + b[:, None, None]


def receptive_field(stack: list[tuple[int, int, int]]) -> int:
    """Pixels in a row that one output sees: r = 1 + sum_l d_l (k_l - 1) s_1 ... s_l-1."""
    seen, step = 1, 1
    for k, s, d in stack:
        seen, step = seen + d * (k - 1) * step, step * s
    return seen


# %% its control


def ridge(x: Tensor, y: Tensor, strength: float) -> Tensor:
    """A dense layer, a weight for every pair of pixels: (n, d), (n, e) -> (d, e)."""
    return torch.linalg.solve(x.T @ x + strength * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y)


# %% the experiment

WAYS = {"loops": by_loops, "product": by_product, "Fourier": by_fourier}
SOBEL = torch.tensor([[[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]])[:, None] / 4
CASES = ((3, 1, 0, 1), (3, 2, 1, 1), (5, 1, 2, 1), (3, 1, 2, 2), (2, 3, 1, 3))  # kernel, stride, padding, dilation
STACKS = ([(3, 1, 1)] * 3, [(3, 2, 1)] * 3, [(3, 1, 1), (3, 1, 2), (3, 1, 4)], [(5, 2, 1), (3, 1, 1), (2, 2, 1)])


def difference(pairs: list[tuple[Tensor, list[Tensor]]]) -> float:
    """The largest between two outputs, and between the gradients of a weighted sum of each."""
    found = []
    for y, leaves in pairs:
        weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
        found.append([y.detach(), *torch.autograd.grad((y * weights).sum(), leaves, materialize_grads=True)])
    if any(a.shape != b.shape for a, b in zip(*found, strict=True)):
        return math.inf
    return max(float((a - b).abs().max()) for a, b in zip(*found, strict=True))


def layer_gap(way, generator: torch.Generator, flip: bool = False) -> float:
    """Of ours from F.conv2d, in outputs and gradients of input, weights and biases; the largest of all cases, f64."""
    gaps = []
    for k, s, p, d in CASES:
        shapes = (2, 3, 11, 10), (4, 3, k, k), (4,)
        mine = [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]
        x, w, b = yours = [t.detach().clone().requires_grad_() for t in mine]
        theirs = F.conv2d(x, w.flip(2, 3) if flip else w, b, s, p, d)
        gaps.append(difference([(way(*mine, s, p, d), mine), (theirs, yours)]))
    return max(gaps)


def seen_pixels(stack: list[tuple[int, int, int]]) -> int:
    """Pixels in a row of the input whose gradient, from the output in the middle, is not zero."""
    x = torch.ones(1, 1, 61, 61, dtype=torch.float64, requires_grad=True)
    y = x
    for k, s, d in stack:
        y = by_loops(y, torch.ones(1, 1, k, k, dtype=y.dtype), torch.zeros(1, dtype=y.dtype), s, 0, d)
    y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
    return int((x.grad[0, 0].abs().sum(0) > 0).sum())


def edges(images: Tensor) -> Tensor:
    return F.conv2d(images, SOBEL.to(images))


def run(device="cpu", seed=0, steps=150):
    starts, data, checks = (torch.Generator().manual_seed(3 * seed + k) for k in (0, 1, 2))
    digits = torch.from_numpy(load_digits().images).float()[:, None] / 16
    order = torch.randperm(len(digits), generator=data)
    known, fresh = digits[order[:TRAIN]], digits[order[TRAIN:]]  # (n, 1, 8, 8)
    noise = NOISE * torch.randn(TRAIN, 2, 6, 6, generator=data)
    x, y = known.to(device), (edges(known) + noise).to(device)
    w = (torch.randn(2, 1, 3, 3, generator=starts) / 3).to(device).requires_grad_()
    b = torch.zeros(2, device=device, requires_grad=True)
    optimizer = torch.optim.Adam([w, b], RATE)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        loss = F.mse_loss(by_product(x, w, b), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"3 x 3 kernels": loss.item()}

    truth = edges(fresh)
    with torch.no_grad():
        maps = by_product(fresh.to(device), w, b).cpu()
    whole, spread = (F.pad(t.flatten(1), (0, 1), value=1.0).double() for t in (known, fresh))  # the last input: a bias
    dense = [spread @ ridge(whole, y.cpu().flatten(1).double(), strength) for strength in STRENGTHS]
    errors = [float(((answer - truth.flatten(1)) ** 2).mean() / truth.var()) for answer in (maps.flatten(1), *dense)]
    seen = {image.numpy().tobytes() for image in known}
    shifted = F.pad(fresh, (1, 0))[..., :-1].to(device)
    with torch.no_grad():
        moved = by_product(shifted, w, b).cpu()
    twin = nn.Conv2d(1, 2, 3).double()
    twin.weight.data, twin.bias.data = w.detach().cpu().double(), b.detach().cpu().double()
    own = [w.detach().cpu().double().requires_grad_(), b.detach().cpu().double().requires_grad_()]
    losses = [
        F.mse_loss(answer, truth[:20].double())
        for answer in (by_product(fresh[:20].double(), *own), twin(fresh[:20].double()))
    ]
    kernels = w.detach().cpu()
    return {
        "kernel_error": errors[0],
        "dense_error": min(errors[1:]),
        "kernel_off": float((kernels - SOBEL).abs().max()),
        "flipped_off": float((kernels - SOBEL.flip(2, 3)).abs().max()),
        "way_gap": max(layer_gap(way, checks) for way in WAYS.values()),
        "flipped_gap": min(layer_gap(way, checks, flip=True) for way in WAYS.values()),
        "trained_gap": difference([(losses[0][None], own), (losses[1][None], [*twin.parameters()])]),
        "moved_gap": float((moved[..., 1:] - maps[..., :-1]).abs().max()),
        "unmoved_gap": float((moved - maps).abs().max()),
        "field_gap": max(abs(receptive_field(stack) - seen_pixels(stack)) for stack in STACKS),
        "strideless_field_gap": max(
            abs(receptive_field([(k, 1, d) for k, _, d in stack]) - seen_pixels(stack)) for stack in STACKS
        ),
        "known_digits": sum(image.numpy().tobytes() in seen for image in fresh),
        "known_digits_planted": sum(image.numpy().tobytes() in seen for image in known),
        "weights_ratio": whole.shape[1] * y[0].numel() / (w.numel() + b.numel()),
    }, {
        "a fresh digit, its two feature maps, and what they should be": {
            "kind": "images",
            "images": [fresh[0, 0], *((m - m.min()) / (m.max() - m.min()) for m in (*maps[0], *truth[0]))],
            "titles": ["digit", "map 1", "map 2", "true 1", "true 2"],
            "columns": 5,
        },
        "the learned kernels, times 4": {
            "kind": "heatmap",
            "values": [[round(4 * float(kernels[o, 0, u, v]), 2) for o in (0, 1) for v in range(3)] for u in range(3)],
            "rows": ["1", "2", "3"],
            "columns": [f"{'AB'[o]}{v + 1}" for o in (0, 1) for v in range(3)],
            "x": "column of kernel A, then B",
            "y": "row",
        },
    }


# %% what is claimed

TITLE = {"en": "A few shared weights find an edge everywhere", "zh": "少量共享权重就能在各处找到边缘"}
CURVES = "mean squared error"
CPU_SECONDS = 1
CLAIMS = {
    "trained kernel_error <= 0.004 < dense_error <= 0.5": {
        "en": "squared error of the edge maps of fresh digits, as a share of their variance; the control is a dense "
        "layer, ridge regression at the best of five strengths",
        "zh": "新数字边缘图的均方误差与其方差之比；对照为全连接层（岭回归，取五种强度中最好的）",
    },
    "trained kernel_off <= 0.1 < flipped_off": {
        "en": "largest distance of a learned weight from Sobel's; the control is from the kernels turned by "
        "180 degrees",
        "zh": "学到的权重与 Sobel 核的最大差距；对照为旋转 180 度的核",
    },
    "parity way_gap <= 1e-10 < flipped_gap": {
        "en": "largest gap of loops, matrix product and Fourier transform to F.conv2d in outputs and gradients, for "
        "five kernels, strides, paddings and dilations (f64); the control flips the kernel",
        "zh": "循环、矩阵乘法与傅里叶变换三种算法在输出与梯度上同 F.conv2d 的最大差距"
        "（五组核、步幅、填充与膨胀率，f64）；对照翻转了卷积核",
    },
    "parity trained_gap <= 1e-10 < flipped_gap": {
        "en": "largest gap of the trained layer to nn.Conv2d in loss and gradients (f64); the control as above",
        "zh": "训练后的层与 nn.Conv2d 在损失与梯度上的最大差距（f64）；对照同上",
    },
    "parity moved_gap <= 1e-5 < unmoved_gap": {
        "en": "maps of digits moved right by a pixel against the moved maps, without what comes in at the left; the "
        "control does not move the maps",
        "zh": "输入右移一个像素后的特征图，与右移后的原特征图之差（不计新进入的一列）；对照不平移特征图",
    },
    "parity field_gap <= 0 < strideless_field_gap": {
        "en": "receptive field by its formula against the pixels with a gradient, of four stacks of layers; the "
        "control forgets the strides",
        "zh": "按公式算出的感受野与梯度不为零的像素数之差（四种多层结构）；对照忽略步幅",
    },
    "parity known_digits <= 0 < known_digits_planted": {
        "en": "test digits that stand among the training digits; the control counts the training digits",
        "zh": "测试数字中同时出现在训练集里的个数；对照数训练数字自身",
    },
    "constant weights_ratio >= 200": {
        "en": "parameters of the dense layer as a multiple of those of the two kernels",
        "zh": "全连接层的参数量是两个卷积核的几倍",
    },
}
ZH = {
    "mean squared error": "均方误差",
    "3 x 3 kernels": "3 x 3 卷积核",
    "a fresh digit, its two feature maps, and what they should be": "一个新数字、它的两张特征图与真值",
    "digit": "数字",
    "map 1": "图 1",
    "map 2": "图 2",
    "true 1": "真值 1",
    "true 2": "真值 2",
    "the learned kernels, times 4": "学到的卷积核（乘以 4）",
    "column of kernel A, then B": "核 A 的列，然后核 B 的列",
    "row": "行",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
