"""Gaussian splatting — translucent ovals, moved, stretched and turned by gradient until they paint the picture.

A Gaussian splat is a blurred oval: place, two widths, an angle, an opacity, a brightness. Splats lie one over another,
and each hides what is behind it by its opacity. Pixels are a smooth function of it all, so gradient descent paints
three grey pictures of twelve slanted strokes (synthetic). In 3-D splatting the ovals float in space and are first
projected into a camera's view; here they lie in the picture from the start. The order is not what helps here: ovals
whose light is only summed do about as well. Rivals of about as many numbers (222 to 225 a picture): round splats, in
layers or summed, whichever is better; a grid of brightnesses between which one interpolates; and the largest cosines of
the picture's transform, each counted as two numbers, its place and its value. Were the places free, 224 cosines would
do nearly as well, by up to two dB less than ovals in layers (not shown). Without edges they may well win.

Needs:  torch
Source: B. Kerbl et al., 3D Gaussian Splatting for Real-Time Radiance Field Rendering, ACM Transactions on Graphics 42,
        2023; X. Zhang et al., GaussianImage: 1000 FPS Image Representation and Compression by 2D Gaussian Splatting,
        ECCV 2024, whose splats are summed
"""

import math
from copy import deepcopy

import torch
from torch import Tensor, nn

SIDE, IMAGES, STROKES, HALF, WIDE = 32, 3, 12, 0.3, 0.03
GRID, COSINES, CANVAS = 15, 112, 0.5

# %% the concept


class Splats(nn.Module):
    def __init__(self, n: int, oval: bool, layered: bool, generator: torch.Generator) -> None:
        super().__init__()
        place, turn, light = torch.rand(4, IMAGES, n, generator=generator).split([2, 1, 1])
        self.layered = layered
        self.place = nn.Parameter(place.movedim(0, -1))  # (I, n, 2)
        self.width = nn.Parameter(torch.full((IMAGES, n, 1 + oval), -math.log(n) / 2))  # logarithms
        self.turn = nn.Parameter(math.pi * turn[0]) if oval else None  # (I, n)
        self.light = nn.Parameter(light[0] if layered else 0 * light[0])
        self.opacity = nn.Parameter(torch.zeros(IMAGES, n)) if layered else None

    def heights(self, at: Tensor) -> Tensor:
        """exp(-d^T S^-1 d / 2), S = R diag(w^2) R^T: (P, 2) -> (I, P, n)."""
        x, y = (at[:, None] - self.place[:, None]).unbind(-1)  # d: (I, P, n) twice
        if self.turn is not None:
            cos, sin = self.turn.cos()[:, None], self.turn.sin()[:, None]
            x, y = cos * x + sin * y, cos * y - sin * x  # R^T d
        width = self.width.exp()[:, None]
        return (-((x / width[..., 0]).square() + (y / width[..., -1]).square()) / 2).exp()

    def forward(self, at: Tensor) -> Tensor:  # (P, 2) -> (I, P)
        alpha, light = self.heights(at), self.light[:, None]
        if not self.layered:
            return CANVAS + (alpha * light).sum(-1)
        alpha = alpha * self.opacity.sigmoid()[:, None]
        behind = (1 - alpha).cumprod(-1)  # light that the first i splats let through
        seen = torch.cat([torch.ones_like(alpha[..., :1]), behind[..., :-1]], -1)  # T_i = prod_j<i (1 - a_j)
        return (seen * alpha * light).sum(-1) + behind[..., -1] * CANVAS  # C = sum_i T_i a_i c_i, and the canvas


# %% its control


def on_a_grid(images: Tensor, n: int) -> Tensor:  # n x n brightnesses between which one interpolates: (I, S, S)
    at = (torch.arange(SIDE) + 0.5) / SIDE * (n - 1)
    hat = (1 - (at[:, None] - torch.arange(n)).abs()).clamp(min=0).double()
    onto = hat @ torch.linalg.pinv(hat)
    return (onto @ images.double() @ onto.T).float()


def of_cosines(images: Tensor, n: int) -> Tensor:  # the n largest of the cosine transform: (I, S, S)
    k = torch.arange(SIDE).double()
    waves = (math.pi / SIDE * (k + 0.5) * k[:, None]).cos() * (2 / SIDE) ** 0.5
    waves[0] /= 2**0.5
    held = waves @ images.double() @ waves.T
    least = held.abs().flatten(1).topk(n).values[:, -1]
    return (waves.T @ (held * (held.abs() >= least[:, None, None])) @ waves).float()


# %% the experiment

KINDS = {  # how many, round or oval, in layers or summed, and the rate: 224, 225, 222 and 224 numbers a picture
    "ovals": (32, True, True, 0.05),
    "round": (45, False, True, 0.03),
    "ovals, summed": (37, True, False, 0.03),
    "round, summed": (56, False, False, 0.02),
}
PACE = {"place": 0.3, "light": 1.0, "width": 3.0, "turn": 3.0, "opacity": 3.0}


def pixels() -> Tensor:  # x, y in 0..1: (SIDE * SIDE, 2)
    middle = (torch.arange(SIDE) + 0.5) / SIDE
    return torch.cartesian_prod(middle, middle).flip(-1)


def strokes(generator: torch.Generator) -> Tensor:
    """Strokes of different brightness, one over another: (SIDE, SIDE)."""
    at, image = pixels(), torch.full((SIDE**2,), CANVAS)
    for light in torch.linspace(0, 1, STROKES)[torch.randperm(STROKES, generator=generator)]:
        x, y, turn = torch.rand(3, generator=generator) * torch.tensor([1, 1, math.pi])
        away = at - torch.stack([x, y])
        along, across = away @ torch.stack([turn.cos(), turn.sin()]), away @ torch.stack([-turn.sin(), turn.cos()])
        far = ((along.abs() - HALF).clamp(min=0).square() + across.square()).sqrt()
        image = image.lerp(light.expand(SIDE**2), ((WIDE - far) * SIDE + 0.5).clamp(0, 1))
    return image.view(SIDE, SIDE)


def painted_gap(splats: Splats, at: Tensor, from_behind: bool = True) -> float:
    """Largest gap of pixels, and of gradients of places and parameters, to splats laid one by one; f64."""
    splats, found = deepcopy(splats).cpu().double(), []

    def by_hand(at: Tensor) -> Tensor:
        whole = []
        for i in range(IMAGES):
            colour = torch.full((len(at),), CANVAS).double()
            for k in reversed(range(len(splats.turn[i]))) if from_behind else range(len(splats.turn[i])):
                c, s = splats.turn[i, k].cos(), splats.turn[i, k].sin()
                turned = torch.stack([torch.stack([c, -s]), torch.stack([s, c])])  # R
                cover = turned @ (2 * splats.width[i, k]).exp().diag() @ turned.T
                bump = torch.distributions.MultivariateNormal(splats.place[i, k], cover)
                height = (bump.log_prob(at) - bump.log_prob(bump.mean)).exp()
                alpha = height / (1 + (-splats.opacity[i, k]).exp())
                colour = alpha * splats.light[i, k] + (1 - alpha) * colour
            whole.append(colour)
        return torch.stack(whole)

    for way in (splats, by_hand):
        leaf = at.double().requires_grad_()
        image = way(leaf)
        loss = (image * torch.linspace(-1, 1, image.numel()).double().view_as(image)).mean()
        found.append([image, *torch.autograd.grad(loss, [leaf, *splats.parameters()])])
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def psnr(images: Tensor, truth: Tensor) -> float:  # in dB, the mean of the pictures'
    return float(-10 * (images - truth).square().mean((1, 2)).log10().mean())


def run(device="cpu", seed=0, steps=250):
    world, weights = (torch.Generator().manual_seed(2 * seed + k) for k in (1, 2))
    truth = torch.stack([strokes(world) for _ in range(IMAGES)])
    at, wanted = pixels().to(device), truth.flatten(1).to(device)
    kinds = {name: Splats(*how, weights).to(device) for name, (*how, _) in KINDS.items()}
    optimizers = {
        name: torch.optim.Adam([{"params": [p], "name": part} for part, p in splats.named_parameters()])
        for name, splats in kinds.items()
    }
    for step in range(steps):
        losses = {}
        for name, splats in kinds.items():
            for group in optimizers[name].param_groups:
                group["lr"] = KINDS[name][-1] * PACE[group["name"]] * min(1, 2 - 2 * step / steps)
            loss = (splats(at) - wanted).square().mean()
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    drawn = {name: splats(at).detach().cpu().view_as(truth) for name, splats in kinds.items()}
    drawn |= {"grid": on_a_grid(truth, GRID), "cosines": of_cosines(truth, COSINES)}
    quality = {name: psnr(images, truth) for name, images in drawn.items()}
    some, best = pixels()[::23], max("round", "round, summed", key=quality.__getitem__)
    shown = {"true": truth} | {name: drawn[name] for name in ("ovals", "ovals, summed", best, "grid", "cosines")}
    drawings = [images[0].clamp(0, 1).tolist() for images in shown.values()]
    figure = {"kind": "images", "images": drawings, "titles": list(shown), "columns": 3}
    return {
        "ovals_psnr": quality["ovals"],
        "round_psnr": quality[best],
        "summed_psnr": quality["ovals, summed"],
        "unpainted_psnr": max(quality["grid"], quality["cosines"]),
        "pixel_gap": painted_gap(kinds["ovals"], some),
        "front_gap": painted_gap(kinds["ovals"], some, from_behind=False),
    }, {"a picture, and what has about as many numbers": figure}


# %% what is claimed

TITLE = {"en": "Ovals that paint a picture", "zh": "用椭圆高斯画出一幅图"}
CURVES = "squared error of pixels"
CPU_SECONDS = 4
CLAIMS = {
    "trained ovals_psnr >= 27.3 > round_psnr >= 24": {
        "en": "PSNR in dB, mean of three pictures, of translucent ovals in layers; control: round splats of about as "
        "many numbers, in layers or summed, whichever is better",
        "zh": "分层半透明椭圆高斯的 PSNR（dB，三幅图的平均）；对照：参数量相当的圆形高斯，分层或求和，取较好者",
    },
    "trained summed_psnr >= 27 > unpainted_psnr >= 22.5": {
        "en": "PSNR in dB, mean of three pictures, of ovals whose light is summed, in no order; control: a bilinear "
        "grid or the largest cosines, of about as many numbers, whichever is better",
        "zh": "不分先后、只把亮度相加的椭圆高斯的 PSNR（dB，三幅图的平均）；对照：参数量相当的双线性网格或"
        "最大的若干余弦系数，取较好者",
    },
    "parity pixel_gap <= 1e-10 < front_gap": {
        "en": "largest gap of the trained layers, 45 pixels and gradients, to Gaussians of that covariance laid "
        "one by one from the back (f64); control: from the front",
        "zh": "训练后的分层高斯（45 个像素与梯度）与按协方差由后往前逐个叠加的最大差距（f64）；对照：由前往后叠加",
    },
}
ZH = {
    "squared error of pixels": "像素的平方误差",
    "ovals": "椭圆",
    "round": "圆形",
    "ovals, summed": "椭圆，求和",
    "round, summed": "圆形，求和",
    "grid": "双线性网格",
    "cosines": "余弦系数",
    "true": "真实",
    "a picture, and what has about as many numbers": "一幅图，与参数量相近的各种近似",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
