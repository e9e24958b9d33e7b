"""NeRF — a small network that holds a scene, learned from a few views, draws the views between them.

A flat world: four opaque discs, simulated, each of one brightness, and 24 cameras around them whose pictures are one
row of pixels, without perspective. A field gives density and brightness at every point (in the paper the colour may
depend on the direction too); volume rendering adds them up along a pixel's ray, and the error of the pixel trains the
field. Coordinates enter with sines and cosines of doubling frequency (Fourier features); control: the same network
on bare coordinates, the better of two rates. Rendering needs no network: a grid of voxels, rendered and trained in the
same way, comes close in this flat world, and its control is the mean of the two nearest pictures, weighted by angle.
Judged are 72 views between the cameras, by PSNR (-10 times the base-ten logarithm of the mean squared error).

Needs:  torch
Source: B. Mildenhall et al., NeRF: Representing Scenes as Neural Radiance Fields for View Synthesis, ECCV 2020;
        M. Tancik et al., Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains,
        NeurIPS 2020
"""

import math
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PIXELS, VIEWS, BETWEEN, SAMPLES, DISCS, REACH = 40, 24, 3, 32, 4, 2.0
OCTAVES, HIDDEN, BATCH, RATE, PLAIN_RATES, GRID, GRID_RATE = 4, 64, 96, 0.01, (0.02, 0.04), 16, 0.8

# %% the concept


def features(x: Tensor, octaves: int) -> Tensor:  # (..., 2) -> (..., 2 + 4 octaves)
    angle = [math.pi * 2**k * x for k in range(octaves)]  # sin(2^k pi x), cos(2^k pi x)
    return torch.cat([x, *(wave for a in angle for wave in (a.sin(), a.cos()))], -1)


class Field(nn.Module):
    def __init__(self, octaves: int) -> None:
        super().__init__()
        self.octaves, h = octaves, HIDDEN
        self.net = nn.Sequential(nn.Linear(2 + 4 * octaves, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # (..., 2) -> density (...), brightness (...)
        density, light = self.net(features(x, self.octaves)).unbind(-1)
        return F.softplus(density), light.sigmoid()


def render(field, rays: Tensor, shift: Tensor) -> Tensor:
    """Brightness of pixels: rays (n, 4), origin and direction; shift (n, S) or (1, 1) within a step -> (n,)."""
    step = REACH / SAMPLES
    t = (torch.arange(SAMPLES).to(rays) + shift) * step
    density, light = field(rays[:, None, :2] + t[..., None] * rays[:, None, 2:])  # (n, S) each
    depth = density * step
    seen = (depth - depth.cumsum(1)).exp()  # T_i = exp(-sum_j<i s_j d): what is in front lets through
    return (seen * (1 - (-depth).exp()) * light).sum(1)  # C = sum_i T_i (1 - exp(-s_i d)) c_i


# %% its control


class Voxels(nn.Module):
    """A grid of numbers, interpolated: no network."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = nn.Parameter(torch.zeros(2, GRID, GRID))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        place = ((x[..., None] + 1) * (GRID - 1) / 2).clamp(0, GRID - 1)  # in voxels; outside, the border goes on
        column, row = (1 - (place - torch.arange(GRID).to(x)).abs()).clamp(min=0).unbind(-2)  # bilinear weights
        density, light = (torch.einsum("...i,cij->c...j", row, self.grid) * column).sum(-1)
        return F.softplus(density), light.sigmoid()


def interpolated(pictures: Tensor, place: Tensor) -> Tensor:
    """Means of the two nearest pictures, by angle: (VIEWS, PIXELS), (n,) in views -> (n, PIXELS)."""
    first = place.floor().long()
    share = (place - first)[:, None]
    return pictures[first % VIEWS] * (1 - share) + pictures[(first + 1) % VIEWS] * share


# %% the experiment


def scene(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Centres, radii and brightness of the discs: (DISCS, 2), (DISCS,), (DISCS,)."""
    turn, far, radius = torch.rand(3, DISCS, generator=generator)
    angle = (torch.arange(DISCS) + 0.6 * turn) * 2 * math.pi / DISCS
    centre = (0.4 + 0.2 * far)[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return centre, 0.15 + 0.1 * radius, torch.linspace(0.4, 1, DISCS)


def rays_of(place: Tensor) -> Tensor:
    """Parallel rays of the cameras, which look inwards: (n,) in views -> (n PIXELS, 4)."""
    angle = (2 * math.pi / VIEWS * place)[:, None].expand(-1, PIXELS)
    across = (torch.arange(PIXELS) + 0.5) / PIXELS * 2 - 1
    x, y = -angle.cos(), -angle.sin()
    return torch.stack([y * across - x, -x * across - y, x, y], -1).flatten(0, 1)


def photograph(rays: Tensor, discs: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Brightness of the first disc that a ray meets, 0 where it meets none: (n, 4) -> (n,)."""
    centre, radius, light = discs
    away = rays[:, None, :2] - centre
    along = (away * rays[:, None, 2:]).sum(-1)
    inside = along**2 - away.square().sum(-1) + radius**2
    at, disc = torch.where(inside > 0, -along - inside.clamp(min=0).sqrt(), math.inf).min(1)
    return torch.where(at.isinf(), 0.0, light[disc])


def field_gap(field: Field, rays: Tensor, shift: Tensor, from_front: bool = False) -> float:
    """Largest gap of a field's pixels, and gradients of rays and weights, to samples laid from the back; f64."""
    field, shift, found = deepcopy(field).cpu().double(), shift.double(), []

    def over(rays: Tensor) -> Tensor:
        colour = torch.zeros(len(rays)).double()
        for i in range(SAMPLES) if from_front else reversed(range(SAMPLES)):
            x = rays[:, :2] + (i + shift[:, i : i + 1]) * REACH / SAMPLES * rays[:, 2:]
            waves = [x[:, :1], x[:, 1:]]
            for k in range(field.octaves):
                for turn in (0.0, math.pi / 2):  # cos a = sin(a + pi / 2)
                    waves += [(2**k * math.pi * x[:, d : d + 1] + turn).sin() for d in (0, 1)]
            density, light = field.net(torch.cat(waves, 1)).T
            let = (-F.softplus(density) * REACH / SAMPLES).exp()
            colour = (1 - let) / (1 + (-light).exp()) + let * colour
        return colour

    for way in (lambda rays: render(field, rays, shift), over):
        leaf = rays.cpu().double().requires_grad_()
        pixels = way(leaf)
        loss = (pixels * torch.linspace(-1, 1, len(pixels)).double()).sum()
        found.append([pixels, *torch.autograd.grad(loss, [leaf, *field.parameters()], materialize_grads=True)])
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=400):
    world, batches, checks = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    discs, cameras = scene(world), torch.arange(VIEWS).float()
    places = (cameras[:, None] + torch.arange(1, BETWEEN + 1) / (BETWEEN + 1)).flatten()
    rays, fresh = rays_of(cameras), rays_of(places)
    pixels, truth = photograph(rays, discs), photograph(fresh, discs)
    torch.manual_seed(4 * seed)
    fields = {"NeRF": (Field(OCTAVES), RATE), "voxels": (Voxels(), GRID_RATE)}
    fields |= {f"no features, rate {rate:g}": (Field(0), rate) for rate in PLAIN_RATES}
    known, shot = rays.to(device), pixels.to(device)
    optimizers = {name: torch.optim.Adam(field.to(device).parameters()) for name, (field, _) in fields.items()}
    for step in range(steps):
        rows = torch.randint(len(rays), (BATCH,), generator=batches).to(device)
        shift, losses = torch.rand(BATCH, SAMPLES, generator=batches).to(device), {}
        for name, (field, rate) in fields.items():
            optimizers[name].param_groups[0]["lr"] = rate * min(1, 2 - 2 * step / steps)
            loss = F.mse_loss(render(field, known[rows], shift), shot[rows])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    asked = fresh.to(device), torch.full((1, 1), 0.5, device=device)
    drawn = {name: render(field, *asked).detach().cpu() for name, (field, _) in fields.items()}
    drawn["interpolated"] = interpolated(pixels.view(VIEWS, PIXELS), places).flatten()
    quality = {name: float(-10 * F.mse_loss(of_it, truth).log10()) for name, of_it in drawn.items()}
    plain = max((name for name in fields if name.startswith("no")), key=quality.__getitem__)
    shown = {"true": truth} | {name: drawn[name] for name in ("NeRF", plain, "voxels", "interpolated")}
    checked = fields["NeRF"][0], fresh[::97], torch.rand(len(fresh[::97]), SAMPLES, generator=checks)
    met = {tuple(ray) for ray in known.tolist()}  # what it was trained on
    return {
        "nerf_psnr": quality["NeRF"],
        "plain_psnr": quality[plain],
        "voxels_psnr": quality["voxels"],
        "interpolated_psnr": quality["interpolated"],
        "field_gap": field_gap(*checked),
        "front_gap": field_gap(*checked, from_front=True),
        "shared_rays": sum(tuple(ray) in met for ray in fresh.tolist()),
        "own_rays": sum(tuple(ray) in met for ray in rays.tolist()),
    }, {
        "views midway between the cameras, one a row": {
            "kind": "images",
            "images": [row.view(-1, PIXELS)[BETWEEN // 2 :: BETWEEN].clamp(0, 1).tolist() for row in shown.values()],
            "titles": list(shown),
            "columns": 5,
        },
    }


# %% what is claimed

TITLE = {"en": "A network that holds a scene", "zh": "把场景装进网络"}
CURVES = "squared error of pixels"
CPU_SECONDS = 5
CLAIMS = {
    "trained nerf_psnr >= 19.2 > plain_psnr >= 13": {
        "en": "PSNR of views between the cameras, in dB; control: no Fourier features, the better of two rates",
        "zh": "相机之间的新视角的 PSNR（dB）；对照：不用傅里叶特征的同一网络（两种学习率中较好者）",
    },
    "trained voxels_psnr >= 18.7 > interpolated_psnr >= 15.5": {
        "en": "PSNR of a grid of voxels, rendered and trained as long; control: the mean of the two nearest pictures",
        "zh": "同样渲染、训练步数相同的体素网格的 PSNR（dB）；对照：最近两张照片按角度加权平均",
    },
    "parity field_gap <= 1e-10 < front_gap": {
        "en": "largest gap of pixels and gradients to samples laid over from the back (f64); control: from the front",
        "zh": "训练后的场的像素与梯度同由远及近逐点叠加结果的最大差距（f64）；对照：由近及远叠加",
    },
    "parity shared_rays <= 0 < own_rays": {
        "en": "rays of the judged views that are among the cameras' rays; control: the cameras' own, so counted",
        "zh": "评测视角的光线中出现在训练光线里的条数；对照数的是训练光线自身",
    },
}
ZH = {
    "squared error of pixels": "像素的平方误差",
    "no features, rate 0.02": "无傅里叶特征，学习率 0.02",
    "no features, rate 0.04": "无傅里叶特征，学习率 0.04",
    "views midway between the cameras, one a row": "两台相机正中间的新视角，每行一个",
    "true": "真实",
    "voxels": "体素网格",
    "interpolated": "照片插值",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
