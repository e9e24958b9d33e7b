"""Photometric stereo — one camera, several lamps: how bright a spot is under each tells which way the surface faces.

A matt surface of bumps and dents, simulated and painted in patches of random brightness, is photographed from above
eight times with a little noise, each time under another lamp, whose direction is known. A spot's brightness is its
paint times the cosine between its normal and the light, and zero where it faces away. Normal times paint, three
unknowns a spot, are fitted by gradient descent through that formula, shadow included, from the least squares on.
Controls: least squares as if no spot faced away; and two lamps, which leave one unknown free (the shortest answer is
taken), where three without noise and shadow give all, as in the paper. Least squares on readings above 0.05 only, so
without shadows, does nearly as well as the descent, says the table. One picture is not enough: a bump lit from the
left and a dent lit from the right look the same. Shadows cast on other spots and highlights are left out.

Needs:  torch
Source: R. J. Woodham, Photometric Method for Determining Surface Orientation from Multiple Images, Optical
        Engineering 19, 1980
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE, LAMPS, BUMPS, NOISE, RATE, SLANT, DARK = 24, 8, 8, 0.01, 0.05, 0.95, 0.05

# %% the concept


def render(g: Tensor, lamps: Tensor) -> Tensor:
    """Brightness = max(0, g . l), g: paint times unit normal; l: towards the lamp: (P, 3), (K, 3) -> (K, P)."""
    return (lamps @ g.mT).clamp(min=0)


def misfit(g: Tensor, lamps: Tensor, pictures: Tensor) -> Tensor:
    return (render(g, lamps) - pictures).square().sum()


def normals(g: Tensor) -> Tensor:  # (P, 3) -> (P, 3)
    return F.normalize(g, dim=1)


# %% its control


def solved(lamps: Tensor, pictures: Tensor, least: float = -math.inf) -> Tensor:
    """Least squares from readings above `least`, the shortest where that is not unique: (K, 3), (K, P) -> (P, 3)."""
    used = (pictures > least).to(pictures).mT  # (P, K)
    return (torch.linalg.pinv(used[..., None] * lamps) @ (used * pictures.mT)[..., None])[..., 0]


# %% the experiment


def surface(generator: torch.Generator, up: float = 1.0) -> tuple[Tensor, Tensor]:
    """Normals and paint of a sum of smooth bumps and dents, f64; at `up` = -1 these change places: (P, 3), (P, 1)."""
    at = torch.linspace(-1, 1, SIDE).double()
    x, y = (t.flatten()[:, None] for t in torch.meshgrid(at, at, indexing="xy"))
    middle = 1.6 * torch.rand(2, BUMPS, generator=generator).double() - 0.8
    high = up * (0.35 + 0.15 * torch.rand(BUMPS, generator=generator).double()) * (1 - 2 * (torch.arange(BUMPS) % 2))
    dx, dy = x - middle[0], y - middle[1]
    bump = high * (-(dx.square() + dy.square()) / 0.08).exp()  # of the height z: (P, BUMPS)
    slopes = [(-bump * d / 0.04).sum(1) for d in (dx, dy)]
    patches = torch.rand(8, 8, generator=generator).double().repeat_interleave(SIDE // 8, 0)
    paint = 0.4 + 0.6 * patches.repeat_interleave(SIDE // 8, 1).flatten()
    return normals(torch.stack([-slopes[0], -slopes[1], torch.ones(SIDE**2).double()], 1)), paint[:, None]


def around(n: int, slant: float = SLANT) -> Tensor:  # unit vectors to lamps in a circle: (n, 3)
    turn = torch.arange(n).double() * 2 * math.pi / n
    return torch.stack([math.sin(slant) * turn.cos(), math.sin(slant) * turn.sin(), 0 * turn + math.cos(slant)], 1)


def angle(g: Tensor, truth: Tensor) -> float:
    """Mean angle between normals, in degrees."""
    n = normals(g.cpu())
    return torch.atan2(torch.linalg.cross(n, truth).norm(dim=1), (n * truth).sum(1)).rad2deg().mean().item()


def slope_gap(g: Tensor, lamps: Tensor, pictures: Tensor, shadow: bool = True) -> float:
    """Largest gap of the misfit's gradient to a sum over lit readings, one by one, or over all; f64."""
    g = g.clone().requires_grad_()
    (mine,) = torch.autograd.grad(misfit(g, lamps, pictures), g)
    theirs = torch.zeros_like(g)
    for spot, n in enumerate(g.detach()):
        for lamp, bright in zip(lamps, pictures[:, spot], strict=True):
            if n @ lamp > 0 or not shadow:
                theirs[spot] += 2 * (n @ lamp - bright) * lamp
    return (mine - theirs).abs().max().item()


def run(device="cpu", seed=0, steps=200):
    shape, light = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))
    normal, paint = surface(shape)
    lamps = around(LAMPS)
    pictures = render(paint * normal, lamps)
    noisy = (pictures + NOISE * torch.randn(pictures.shape, generator=light).double()).clamp(min=0)
    light_at, seen, g = (t.float().to(device) for t in (lamps, noisy, solved(lamps, noisy)))
    g.requires_grad_()
    optimizer = torch.optim.Adam([g])
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        loss = misfit(g, light_at, seen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"descent": loss.item() / seen.numel()}

    found = g.detach().cpu().double()
    fits = {
        "descent": found,
        "least squares": solved(lamps, noisy),
        "without the dark": solved(lamps, noisy, DARK),
        "two lamps": solved(lamps[::2][:2], noisy[::2][:2]),
    }
    errors = {name: angle(fit, normal) for name, fit in fits.items()}
    high = {n: around(n, 0.1) for n in (2, 3)}  # lamps so high that no spot faces away
    exact = {n: angle(solved(lamp, render(paint * normal, lamp)), normal) for n, lamp in high.items()}
    bump, dent = paint * normal, paint * surface(torch.Generator().manual_seed(2 * seed), up=-1)[0]
    right, left = lamps[:1], lamps[:1] * torch.tensor([-1.0, -1.0, 1.0]).double()
    spots = pictures.amin(0).argsort()[::SIDE]  # from the darkest on
    check = found[spots], lamps, noisy[:, spots]
    shown = {"truth": normal} | {name: normals(fit) for name, fit in fits.items()}
    slopes = [((0.5 + 0.5 * n[:, 0]).view(SIDE, SIDE)).tolist() for n in shown.values()]
    return {
        "descent_angle": errors["descent"],
        "least_squares_angle": errors["least squares"],
        "three_lamps_angle": exact[3],
        "two_lamps_angle": exact[2],
        "bump_dent_gap": (render(bump, left) - render(dent, right)).abs().max().item(),
        "same_lamp_gap": (render(bump, left) - render(dent, left)).abs().max().item(),
        "slope_gap": slope_gap(*check),
        "shadowless_gap": slope_gap(*check, shadow=False),
    }, {
        "lit from the right, and how far each spot faces right": {
            "kind": "images",
            "images": [pictures[0].view(SIDE, SIDE).tolist(), *slopes],
            "titles": ["picture", *shown],
            "columns": 3,
        },
        "mean error of the normals": {
            "kind": "table",
            "columns": ["fit", "degrees"],
            "rows": [[name, f"{error:.2f}"] for name, error in errors.items()],
        },
    }


# %% what is claimed

TITLE = {"en": "Shape from lamps", "zh": "由灯光求形状"}
CURVES = "squared error of brightness"
CPU_SECONDS = 1
CLAIMS = {
    "trained descent_angle <= 1.3 < least_squares_angle <= 8": {
        "en": "mean angle in degrees between fitted and true normals, eight noisy pictures; control: least squares "
        "as if no spot faced away",
        "zh": "由八幅带噪图像拟合的法向与真实法向的平均夹角（度）；对照：当作没有背光点的最小二乘",
    },
    "parity three_lamps_angle <= 1e-10 < two_lamps_angle": {
        "en": "mean angle in degrees from three lamps without noise and shadow (f64); control: two lamps",
        "zh": "三盏灯、无噪声、无阴影时的平均夹角（度，f64）；对照：两盏灯",
    },
    "parity bump_dent_gap <= 1e-12 < same_lamp_gap": {
        "en": "largest difference of brightness when every bump becomes a dent and the lamp moves to the other side "
        "(f64); control: the lamp stays",
        "zh": "凸起都变成凹坑、灯移到另一侧时亮度的最大变化（f64）；对照：灯不动",
    },
    "parity slope_gap <= 1e-10 < shadowless_gap": {
        "en": "largest gap of the misfit's gradient to a sum over lit readings (f64); control: a sum over all",
        "zh": "误差的梯度同对受光读数逐个求和的最大差距（f64）；对照：对全部读数求和",
    },
}
ZH = {
    "squared error of brightness": "亮度的平方误差",
    "descent": "梯度下降",
    "least squares": "最小二乘",
    "without the dark": "去掉暗处",
    "two lamps": "两盏灯",
    "truth": "真实值",
    "picture": "图像",
    "fit": "拟合",
    "degrees": "度",
    "lit from the right, and how far each spot faces right": "右侧打光的图像，与每一处朝右的程度",
    "mean error of the normals": "法向的平均误差",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
