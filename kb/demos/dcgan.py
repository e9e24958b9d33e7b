"""DCGAN — a generator enlarges noise to images by transposed convolutions, which leave a checkerboard.

A transposed convolution of stride 2 lays its kernel around every input pixel, two pixels apart, and adds up. A kernel
of 3 covers pixels from one, two or four input pixels; one of 4, as is usual, covers all evenly but at the
border. Still its weights may differ from pixel to pixel. Two generators of as many weights, within 1 %, one of kernel
4, one that doubles each pixel and convolves by 3 x 3, are trained as GANs on simulated round blobs, against strided
convolutions (without the paper's batch normalization). Measured is how much of what they draw alternates from one row
or column to the next. Doubled pixels do not, and a convolution adds nothing that does: border and sigmoid are left.

Needs:  torch
Source: A. Radford, L. Metz, S. Chintala, Unsupervised Representation Learning with Deep Convolutional Generative
        Adversarial Networks, ICLR 2016; A. Odena, V. Dumoulin, C. Olah, Deconvolution and Checkerboard Artifacts,
        Distill, 2016
"""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, NOISE, CHANNELS, BATCH, RATE, DRAWN = 16, 16, 16, 32, 1e-2, 1000

# %% the concept


class Enlarge(nn.Module):
    """Transposed convolution of stride 2, which doubles the sides."""

    def __init__(self, c_in: int, c_out: int, k: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.1 * torch.randn(c_in, c_out, k, k))

    def kernel(self) -> Tensor:  # (C, O, k, k)
        return self.weight

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, O, 2 H, 2 W)
        w, size = self.kernel(), (2 * x.shape[2], 2 * x.shape[3])
        laid = torch.einsum("bchw,couv->bouvhw", x, w)  # a kernel around every pixel, as strong as the pixel
        k = w.shape[-1]  # y[o, 2 h + u - p, 2 w + v - p] += x[c, h, w] w[c, o, u, v], p = (k - 1) // 2
        return F.fold(laid.flatten(4).flatten(1, 3), size, k, padding=(k - 1) // 2, stride=2)


def generator(enlarge: type[Enlarge], k: int, m: int) -> nn.Sequential:  # (B, NOISE) -> (B, 1, SIDE, SIDE)
    c, s = CHANNELS, SIDE // 4
    top = nn.Linear(NOISE, c * s * s, bias=False), nn.Unflatten(1, (c, s, s)), nn.BatchNorm2d(c), nn.ReLU()
    return nn.Sequential(*top, enlarge(c, m, k), nn.BatchNorm2d(m), nn.ReLU(), enlarge(m, 1, k), nn.Sigmoid())


def discriminator() -> nn.Sequential:  # (B, 1, SIDE, SIDE) -> (B, 1), a logit: strides instead of pooling
    layers = nn.Conv2d(1, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, CHANNELS, 4, 2, 1), nn.LeakyReLU(0.2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(CHANNELS * (SIDE // 4) ** 2, 1))


# %% its control


class Resize(Enlarge):
    """Each pixel doubled, then a 3 x 3 convolution: a transposed one whose kernel of 4 is tied."""

    def kernel(self) -> Tensor:
        w = self.weight.flip(2, 3)  # (C, O, 3, 3)
        return sum(F.pad(w, (v, 1 - v, u, 1 - u)) for u in (0, 1) for v in (0, 1))  # (C, O, 4, 4)


def gaussian(x: Tensor, generator: torch.Generator) -> Tensor:
    """Images from a Gaussian with the mean and covariance of those given."""
    mixed = torch.randn(len(x), len(x), generator=generator) @ (x - x.mean(0)).flatten(1) / len(x) ** 0.5
    return x.mean(0) + mixed.view_as(x)


# %% the experiment

KINDS = {"kernel 4": (Enlarge, 4, 8), "resize": (Resize, 3, 14)}  # layer, size of its weights, inner channels


def blob(x: Tensor, y: Tensor, width: Tensor) -> Tensor:  # (n,) thrice -> (n, 1, SIDE, SIDE)
    at, (x, y, width) = torch.arange(SIDE) + 0.5, (part[:, None, None] for part in (x, y, width))
    return (-((at - x) ** 2 + (at[:, None] - y) ** 2) / (2 * width**2)).exp()[:, None]


def blobs(n: int, generator: torch.Generator) -> Tensor:
    x, y, width, light = torch.rand(4, n, generator=generator)
    return (0.6 + 0.4 * light).view(-1, 1, 1, 1) * blob(4 + 8 * x, 4 + 8 * y, 1.3 + 1.2 * width)


def energy(x: Tensor) -> Tensor:
    """Share of energy at 0, 1, ... waves across (mean of both directions); the last changes sign at every pixel."""
    shares = [torch.fft.rfft(x[:, 0], dim=d, norm="ortho").abs().square().sum((0, 3 - d)) for d in (1, 2)]
    twice = x.new_tensor([1.0, *7 * [2.0], 1.0])  # for the mirrored half, which rfft leaves out
    return twice * sum(shares) / (2 * x.square().sum())


def unlike(x: Tensor) -> float:
    """Mean share of an image's energy that the most similar of many blobs leaves unexplained."""
    grid = torch.cartesian_prod(*2 * [torch.arange(3.5, 13, 0.5)], torch.arange(1.3, 2.6, 0.3))
    known, x = F.normalize(blob(*grid.T).flatten(1)), F.normalize(x.flatten(1))
    return float((1 - (x @ known.T).amax(1) ** 2).mean())


def cover(k: int) -> Tensor:  # how many input pixels reach each of 16 x 16, by our layer with all weights 1
    one = Enlarge(1, 1, k).requires_grad_(False)
    one.weight.fill_(1)
    return one(torch.ones(1, 1, 8, 8))[0, 0]


def torch_gap(net: nn.Sequential, z: Tensor, flip: bool = False) -> float:
    """Largest gap of images, and gradients of noise and weights, in training, to torch's layers; f64."""
    net, found = deepcopy(net).cpu().double().train(), []

    def theirs(layer: nn.Module, x: Tensor) -> Tensor:
        if not isinstance(layer, Enlarge):
            return layer(x)
        w = layer.weight.flip(2, 3) if flip else layer.weight
        if isinstance(layer, Resize):
            return F.conv2d(F.interpolate(x, scale_factor=2), w.transpose(0, 1), padding=1)
        return F.conv_transpose2d(x, w, stride=2, padding=1)

    for layer_of in (lambda layer, x: layer(x), theirs):
        image = leaf = z.cpu().double().requires_grad_()
        for layer in net:
            image = layer_of(layer, image)
        loss = (image * torch.linspace(-1, 1, image.numel()).view_as(image)).sum()
        found.append([image, *torch.autograd.grad(loss, [leaf, *net.parameters()], materialize_grads=True)])
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=500):
    data, noise, unseen = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    pairs, optimizers = {}, {}
    for name, kind in KINDS.items():
        torch.manual_seed(4 * seed)
        pairs[name] = nn.ModuleList([generator(*kind), discriminator()]).to(device)
        optimizers[name] = torch.optim.Adam(pairs[name].parameters(), betas=(0.5, 0.99))
    for step in range(steps):
        x, z, shares = blobs(BATCH, data).to(device), torch.randn(BATCH, NOISE, generator=noise).to(device), {}
        for name, (maker, judge) in pairs.items():
            fake = maker(z)
            F.softplus(-judge(fake)).mean().backward(inputs=[*maker.parameters()])
            (F.softplus(-judge(x)) + F.softplus(judge(fake.detach()))).mean().backward(inputs=[*judge.parameters()])
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            optimizers[name].step()
            optimizers[name].zero_grad()
            shares[name] = float(energy(fake.detach().cpu())[-1])
        yield (step + 1) / steps, shares

    z, real = torch.randn(DRAWN, NOISE, generator=unseen), blobs(DRAWN, data)
    images = {name: maker.eval()(z.to(device)).detach().cpu() for name, (maker, _) in pairs.items()}
    spectra = {name: energy(some) for name, some in (images | {"true blobs": real}).items()}
    sizes = [sum(p.numel() for p in maker.parameters()) for maker, _ in pairs.values()]
    uneven, even = cover(3), cover(4)
    return {
        "resize_alternating": float(spectra["resize"][-1]),
        "transposed_alternating": float(spectra["kernel 4"][-1]),
        "gan_unlike": max(unlike(some) for some in images.values()),
        "gaussian_unlike": unlike(gaussian(real, noise)),
        "even_cover": float(even[2:-2, 2:-2].max() - even[2:-2, 2:-2].min()),
        "uneven_cover": float(uneven[2:-2, 2:-2].max() - uneven[2:-2, 2:-2].min()),
        "generator_gap": max(torch_gap(maker, z[:8]) for maker, _ in pairs.values()),
        "flipped_gap": min(torch_gap(maker, z[:8], flip=True) for maker, _ in pairs.values()),
        "weights_apart": 1 - min(sizes) / max(sizes),
    }, {
        "left: cover by input pixels (white: 4); right: images drawn": {
            "kind": "images",
            "images": [uneven / 4, *images["kernel 4"][:2, 0], even / 4, *images["resize"][:2, 0]],
            "titles": ["kernel 3", "kernel 4", "kernel 4", "kernel 4", "resize", "resize"],
            "columns": 3,
        },
        "energy by fineness; 8 waves: every other pixel": {
            "kind": "lines",
            "series": {name: (list(range(1, 9)), shares[1:].tolist()) for name, shares in spectra.items()},
            "x": "waves across the image",
            "y": "share of energy",
            "log": "y",
        },
    }


# %% what is claimed

TITLE = {"en": "Transposed convolutions leave a checkerboard", "zh": "转置卷积会留下棋盘格"}
CURVES = "share of alternating energy"
CPU_SECONDS = 6
CLAIMS = {
    "trained resize_alternating <= 0.00035 < transposed_alternating <= 0.006": {
        "en": "share of drawn energy that alternates by row or column, resizing; control: transposed, kernel 4",
        "zh": "先放大再卷积时，生成图像中逐行或逐列正负交替的能量占比；对照：核大小 4 的转置卷积",
    },
    "trained gan_unlike <= 0.13 < gaussian_unlike <= 0.31": {
        "en": "mean share of a drawn image that no blob explains, the worse GAN; control: a Gaussian fitted to blobs",
        "zh": "生成图像中最相似的光斑无法解释部分的平均占比（两个 GAN 中较差者）；对照：均值与协方差相同的高斯",
    },
    "parity even_cover <= 0 < uneven_cover": {
        "en": "most less fewest input pixels that reach a pixel, away from the border, kernel 4; control: kernel 3",
        "zh": "步幅 2、核大小 4 的转置卷积中，边缘以外一个像素被多少个输入像素覆盖：最多减最少；对照：核大小 3",
    },
    "parity generator_gap <= 1e-10 < flipped_gap": {
        "en": "largest gap of both generators to torch's layers, images and gradients (f64); control: kernels turned",
        "zh": "训练后两个生成器的图像与梯度同 PyTorch 对应层的最大差距（f64）；对照：卷积核旋转 180 度",
    },
    "constant weights_apart <= 0.01": {
        "en": "share by which the two generators differ in the number of their weights",
        "zh": "两个生成器权重数量的相对差",
    },
}
ZH = {
    "share of alternating energy": "正负交替的能量占比",
    "kernel 4": "核大小 4",
    "resize": "先放大再卷积",
    "true blobs": "真实光斑",
    "kernel 3": "核大小 3",
    "left: cover by input pixels (white: 4); right: images drawn": "左：输入像素的覆盖次数（白：4）；右：生成的图像",
    "energy by fineness; 8 waves: every other pixel": "能量随细密程度的分布；8 个波：逐像素交替",
    "waves across the image": "横跨图像的波数",
    "share of energy": "能量占比",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
