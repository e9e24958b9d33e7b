"""Style transfer — Gram matrices keep which features occur together, not where: noise fitted to them takes a style.

The style is a synthetic texture of white dots in black rings on grey. Its features come from two convolutions with
random filters, not trained. The pixels of an image that begins as noise are fitted until its Gram matrices are nearly
those of the texture: dots in black and patches of grey appear, at other places, not as clean. Filters that no fit used
then judge, by their Gram matrices, how far the image is from the style, as a share of how far the texture's shuffled
pixels are. The control is the nearer of two: an image fitted as long to the means of the same features, and one with
the texture's spectrum and random phases. Means say how strong each feature is, not which occur together; but they are
also far fewer numbers: the means of 4160 other random features, much more work and not run here, came nearly as near.
Fitting the features themselves, place by place, copies the texture. The judge asks for the amounts of this one
picture: a new texture by the same recipe, with more or less grey, is no nearer than the control. What keeps a content
is left out; this is the half of the method that concerns style. For painters' styles, Gatys et al. take larger pictures
and a trained network.

Needs:  torch
Source: L. Gatys, A. Ecker, M. Bethge, Image Style Transfer Using Convolutional Neural Networks, CVPR 2016; random
        filters: I. Ustyuzhaninov et al., What does it take to generate natural textures?, ICLR 2017
"""

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE, FILTERS, DOTS = 32, 96, 60

# %% the concept


def gram(features: Tensor) -> Tensor:  # (C, H, W) -> (C, C)
    rows = features.flatten(1)
    return rows @ rows.T / rows.shape[1]  # G_ij = mean over places of f_i f_j: where is summed away


def gap(ours: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Squared distance, relative to what is wanted, summed over the layers."""
    return sum(((a - b) ** 2).sum() / (b**2).sum() for a, b in zip(ours, wanted, strict=True))


def style_loss(features: list[Tensor], style: list[Tensor]) -> Tensor:
    return gap([gram(f) for f in features], [gram(f) for f in style])


# %% its control


def mean_loss(features: list[Tensor], style: list[Tensor]) -> Tensor:
    return gap([f.mean((1, 2)) for f in features], [f.mean((1, 2)) for f in style])


# %% the experiment


def around(x: Tensor, size: int) -> Tensor:  # (C, H, W) -> (C, H + size - 1, W + size - 1): the image is a torus
    return F.pad(x[None], [size // 2] * 4, mode="circular")[0]


def filters(generator: torch.Generator) -> tuple[Tensor, ...]:
    sizes = (FILTERS, 1, 5, 5), (FILTERS,), (FILTERS, FILTERS, 3, 3)
    first, bias, second = (torch.randn(size, generator=generator) for size in sizes)
    return first / 5, bias / 2, second / (3 * FILTERS**0.5)


def features_of(x: Tensor, nets: tuple[Tensor, ...]) -> list[Tensor]:  # (1, H, W) -> (C, H, W), (C, H / 2, W / 2)
    first, bias, second = nets
    low = F.conv2d(around(x, 5), first, bias).relu()
    return [low, F.conv2d(around(F.avg_pool2d(low, 2), 3), second).relu()]


def texture(generator: torch.Generator) -> Tensor:
    """Dots of radius 1.3 in rings of radius 2.6, at random places, the later over the earlier: (1, SIDE, SIDE)."""
    image, at = torch.zeros(SIDE, SIDE), torch.arange(SIDE)
    for centre in SIDE * torch.rand(DOTS, 2, generator=generator):
        y, x = ((at - c + SIDE / 2) % SIDE - SIDE / 2 for c in centre)
        r = (y[:, None] ** 2 + x**2).sqrt()
        image = torch.where(r < 2.6, torch.where(r < 1.3, 1.0, -1.0), image)
    return image[None]


def gram_gap(x: Tensor, style: Tensor, nets: tuple[Tensor, ...], factor: float = 4.0) -> float:
    """Largest gap of Gram matrices to means over places one by one, and of the loss's gradient at the features to
    factor * (G - A) F over the number of places and |A|^2, each for both layers (f64)."""
    both = [[f.detach() for f in features_of(y.double(), [n.double() for n in nets])] for y in (x, style)]
    worst = []
    for ours, theirs in zip(*both, strict=True):
        leaf, places = ours.clone().requires_grad_(), ours.shape[1] * ours.shape[2]
        slope = torch.autograd.grad(style_loss([leaf], [theirs]), leaf)[0]
        g, a = (sum(torch.outer(v, v) for v in f.flatten(1).T) / places for f in (ours, theirs))
        known = factor * ((g - a) @ ours.flatten(1)) / places / (a**2).sum()
        worst += [(gram(ours) - g).abs().max(), (slope.flatten(1) - known).abs().max()]
    return float(max(worst))


def likeness(x: Tensor, style: Tensor) -> float:
    """Correlation of the pixels, without sign, at the shift where it is largest."""
    a, b = ((y - y.mean()) / (y - y.mean()).norm() for y in (x, style))
    return torch.fft.ifft2(torch.fft.fft2(a) * torch.fft.fft2(b).conj()).real.abs().max().item()


def spectrum_alone(style: Tensor, generator: torch.Generator) -> Tensor:
    """An image with the same mean and the same strength of each frequency, at random phases."""
    mean = style.mean()
    phase = torch.fft.fft2(torch.randn(style.shape, generator=generator))
    return mean + torch.fft.ifft2(torch.fft.fft2(style - mean).abs() * phase / phase.abs()).real


def run(device="cpu", seed=0, steps=12):
    data, noise, judge = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    style = texture(data)
    nets, others = filters(data), filters(judge)
    used = tuple(net.to(device) for net in nets)
    wanted = features_of(style.to(device), used)
    fits = {"Gram matrices": style_loss, "means": mean_loss, "every feature": gap}
    start = 0.05 * torch.randn(1, SIDE, SIDE, generator=noise)
    images = {name: start.to(device, copy=True).requires_grad_() for name in fits}
    options: dict = {"max_iter": 20, "history_size": 20, "line_search_fn": "strong_wolfe"}
    options |= {"tolerance_grad": 0, "tolerance_change": 0}
    optimizers = {name: torch.optim.LBFGS([x], **options) for name, x in images.items()}

    def distance(name: str) -> Tensor:
        optimizers[name].zero_grad()
        loss = 1000 * fits[name](features_of(images[name], used), wanted)
        loss.backward()
        return loss

    for step in range(steps):
        losses = {name: optimizers[name].step(lambda: distance(name)).item() for name in fits}
        yield (step + 1) / steps, losses

    drawn = {name: x.detach().cpu() for name, x in images.items()}
    drawn["spectrum, random phases"] = spectrum_alone(style, noise)
    shuffled = torch.randperm(SIDE * SIDE, generator=noise)
    drawn["pixels shuffled"] = style.flatten()[shuffled].view_as(style)
    judged = drawn | {"a new texture": texture(noise)}
    far = {name: style_loss(features_of(x, others), features_of(style, others)).item() for name, x in judged.items()}
    alike = {name: likeness(x, style) for name, x in drawn.items()}
    low = features_of(style.double(), [net.double() for net in nets])
    moved = [f.flatten(1)[:, torch.randperm(f[0].numel(), generator=noise)].view_as(f) for f in low]
    return {
        "style_distance": far["Gram matrices"] / far["pixels shuffled"],
        "rival_distance": min(far["means"], far["spectrum, random phases"]) / far["pixels shuffled"],
        "likeness": alike["Gram matrices"],
        "copy_likeness": alike["every feature"],
        "shared_filters": sum(bool((mine == theirs).any()) for mine, theirs in zip(nets, others, strict=True)),
        "own_filters": len(nets),
        "moved_gap": style_loss(moved, low).item(),
        "moved_features_gap": gap(moved, low).item(),
        "gram_gap": gram_gap(drawn["Gram matrices"], style, nets),
        "other_slope_gap": gram_gap(drawn["Gram matrices"], style, nets, 2.0),
    }, {
        "the style, and images fitted from noise": {
            "kind": "images",
            "images": [x[0, ..., None].clamp(-1, 1).expand(-1, -1, 3) / 2 + 0.5 for x in (style, *drawn.values())],
            "titles": ["the style", *drawn],
            "columns": 3,
        },
        "distance from the style, as a share of the shuffled pixels'": {
            "kind": "table",
            "columns": ["", "distance"],
            "rows": [[name, distance / far["pixels shuffled"]] for name, distance in far.items()],
        },
    }


# %% what is claimed

TITLE = {"en": "Style is what occurs together, not where", "zh": "风格：看什么一起出现，不看出现在哪里"}
CURVES = "a thousand times the loss"
CPU_SECONDS = 3
CLAIMS = {
    "trained style_distance <= 0.07 < rival_distance <= 0.3": {
        "en": "distance from the style by filters that no fit used, as a share of the shuffled pixels'; control: "
        "fit to the means of the features, or the spectrum at random phases, the nearer",
        "zh": "用拟合时没用过的滤波器衡量与风格图的距离，占打乱像素时的比例；对照：拟合特征均值、"
        "同一频谱加随机相位，取较近者",
    },
    "trained likeness <= 0.25 < copy_likeness": {
        "en": "correlation of its pixels with the style's, without sign, the largest at any shift; control: fitted to "
        "every feature, a copy",
        "zh": "其像素与任意平移后的风格图像素的相关系数，取绝对值最大者；对照：逐位置拟合特征，得到的是复制品",
    },
    "parity shared_filters <= 0 < own_filters": {
        "en": "tensors of the judging filters with a number that the fit's have at that place; control: the fit's",
        "zh": "评判所用滤波器的张量中，有数值与拟合所用者同一位置相同的个数；对照：拟合所用的张量个数",
    },
    "parity moved_gap <= 1e-10 < moved_features_gap": {
        "en": "style loss when the places of each layer's features are shuffled (f64); control: relative "
        "squared distance of the features themselves",
        "zh": "打乱各层特征的位置后的风格损失（f64）；对照：特征本身的相对平方距离",
    },
    "parity gram_gap <= 1e-10 < other_slope_gap": {
        "en": "largest gap of Gram matrices to means over places, and of the loss's gradient to its formula (f64); "
        "control: half the formula",
        "zh": "Gram 矩阵同逐位置求平均、损失的梯度同其公式的最大差距（f64）；对照：公式的一半",
    },
}
ZH = {
    "a thousand times the loss": "损失的一千倍",
    "Gram matrices": "拟合 Gram 矩阵",
    "means": "拟合特征均值",
    "every feature": "逐位置拟合特征",
    "spectrum, random phases": "同一频谱，随机相位",
    "pixels shuffled": "像素打乱",
    "the style": "风格图",
    "a new texture": "另画一幅纹理",
    "distance from the style, as a share of the shuffled pixels'": "与风格图的距离，占打乱像素时的比例",
    "distance": "距离",
    "the style, and images fitted from noise": "风格图，以及从噪声拟合出的图像",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
