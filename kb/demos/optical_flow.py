"""Optical flow — how far did each pixel move? Slopes and changes in a small window say it, to a tenth of a pixel.

Lucas and Kanade assume that a point keeps its brightness and that its neighbours move as it does: every pixel of a
window gives one equation, slope times motion = change, and least squares solves them. It is repeated on the second
frame as moved so far, and, for long motions, begun on frames with sides of an eighth, where they are short. Synthetic
frames with noise, under a random shift and a slight rotation, stretch and shear. Controls: one shift for the whole
frame, the mean of the true motion; as many steps, all on the full size. Block matching, which tries every whole shift
in reach, is nearly as exact with a paraboloid around the best (a little more so in windows of 13 pixels: tried, not
shown). Where the window holds one straight edge, only the motion across it is found, by this or any method that sees
nothing else: the aperture problem.

Needs:  torch
Source: B. D. Lucas, T. Kanade, An Iterative Image Registration Technique with an Application to Stereo Vision,
        IJCAI 1981; J. R. Bergen et al., Hierarchical Model-Based Motion Estimation, ECCV 1992 (smaller frames first)
"""

import itertools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

SIZE, RADIUS, TURNS, LEVELS, RIDGE, NOISE, MARGIN = 64, 4, 2, 4, 1e-4, 0.05, 13

# %% the concept


def window_mean(x: Tensor) -> Tensor:  # (n, H, W) -> (n, H, W)
    return F.avg_pool2d(x[:, None], 2 * RADIUS + 1, 1, RADIUS)[:, 0]


def moved_back(b: Tensor, flow: Tensor) -> Tensor:
    """b(x + flow), between pixels by bicubic interpolation: (n, H, W), (n, H, W, 2) -> (n, H, W)."""
    high, wide = b.shape[1:]
    y, x = torch.meshgrid(torch.arange(high).to(flow), torch.arange(wide).to(flow), indexing="ij")
    at = 2 * (torch.stack([x, y], -1) + flow) / torch.tensor([wide - 1, high - 1]).to(flow) - 1
    return F.grid_sample(b[:, None], at, mode="bicubic", padding_mode="border", align_corners=True)[:, 0]


def lucas_kanade(a: Tensor, b: Tensor, guess: Tensor) -> Tensor:
    """The flow for which b(x + flow) = a(x) best, to first order around a guess: -> (n, H, W, 2)."""
    b = moved_back(b, guess)
    y, x = ((p + q) / 2 for p, q in zip(torch.gradient(a, dim=(1, 2)), torch.gradient(b, dim=(1, 2)), strict=True))
    change = a - b + x * guess[..., 0] + y * guess[..., 1]  # x u + y v = change: one equation a pixel, two unknowns
    xx, xy, yy, xc, yc = (window_mean(p) for p in (x * x, x * y, y * y, x * change, y * change))
    xx, yy = xx + RIDGE, yy + RIDGE  # where the window leaves a part open, it is 0
    return torch.stack([yy * xc - xy * yc, xx * yc - xy * xc], -1) / (xx * yy - xy * xy)[..., None]  # A^-1 c


def optical_flow(a: Tensor, b: Tensor, levels: int, turns: int = TURNS) -> Tensor:  # (n, H, W) twice -> (n, H, W, 2)
    if levels > 1:  # half as large, where motions are half as long
        coarse = optical_flow(F.avg_pool2d(a, 2), F.avg_pool2d(b, 2), levels - 1)
        flow = 2 * F.interpolate(coarse.movedim(3, 1), scale_factor=2, mode="bilinear").movedim(1, 3)
    else:
        flow = a.new_zeros(*a.shape, 2)
    for _ in range(turns):
        flow = lucas_kanade(a, b, flow)
    return flow


# %% its rival


def block_matching(a: Tensor, b: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """The whole shift of the window, up to `reach` pixels each way, with the least squared difference; and the lowest
    point, clamped to a pixel each way, of a paraboloid by its cost and its eight neighbours': (n, H, W, 2) twice."""
    high, wide, across = *a.shape[1:], 2 * reach + 3  # one shift more each way, for neighbours
    padded = F.pad(b[:, None], (reach + 1,) * 4, mode="replicate")[:, 0]
    shifts = [(dy, dx) for dy in range(across) for dx in range(across)]
    cost = torch.stack([window_mean((padded[:, dy : dy + high, dx : dx + wide] - a) ** 2) for dy, dx in shifts], -1)
    best = cost.unflatten(3, (across, across))[..., 1:-1, 1:-1].flatten(3).argmin(-1)
    x, y = best % (across - 2) + 1, best // (across - 2) + 1
    nine = torch.tensor([dy * across + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]).to(x)
    nw, n, ne, w, at, e, sw, s, se = cost.gather(3, (y * across + x)[..., None] + nine).unbind(3)
    gx, gy, xx, xy, yy = e - w, s - n, 4 * (e + w - 2 * at), nw + se - ne - sw, 4 * (s + n - 2 * at)
    step = 2 * torch.stack([xy * gy - yy * gx, xy * gx - xx * gy], -1)
    whole = torch.stack([x, y], -1) - reach - 1
    return whole, whole + (step / (xx * yy - xy * xy).clamp(min=1e-9)[..., None]).clamp(-1, 1)


# %% the experiment

MIDDLE = (SIZE - 1) / 2
AT = torch.stack(torch.meshgrid(*[torch.arange(SIZE) - MIDDLE] * 2, indexing="xy"), -1)  # (H, W, 2): from the middle
BOX = torch.tensor([16.0, 12.0])  # half its sides


def textures(reach: float, data: torch.Generator, noise: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Two frames of 40 waves, 8 to 40 pixels long, and flow: a shift, a linear map: (1, H, W) twice, (1, H, W, 2)."""
    length, angle, phase = torch.rand(3, 40, generator=data).unbind()
    wave = 2 * math.pi / (8 * 5**length) * torch.stack([(2 * math.pi * angle).cos(), (2 * math.pi * angle).sin()])
    turn = torch.eye(2) + 0.01 * torch.randn(2, 2, generator=data)
    shift = reach * (2 * torch.rand(2, generator=data) - 1)
    before = (AT - shift) @ turn.inverse().mT  # where the second frame's points come from
    frames = (torch.stack([AT, before]) @ wave + 2 * math.pi * phase).cos().sum(-1) / 20**0.5  # of variance 1
    a, b = (frames + NOISE * torch.randn(2, SIZE, SIZE, generator=noise)).split(1)
    return a, b, (AT @ turn.mT + shift - AT)[None]


def box(data: torch.Generator, noise: torch.Generator) -> tuple[Tensor, ...]:
    """Two frames of a slanted box that moves by one pixel, its axes, its motion: (1, H, W) twice, (2, 2), (2,)."""
    slant, course = 2 * math.pi * torch.rand(2, generator=data)
    axes = torch.stack([slant.cos(), slant.sin(), -slant.sin(), slant.cos()]).view(2, 2)  # in rows
    motion = torch.stack([course.cos(), course.sin()])
    frames = torch.sigmoid(BOX - (torch.stack([AT, AT - motion]) @ axes.mT).abs()).prod(-1)
    a, b = (frames + NOISE / 5 * torch.randn(2, SIZE, SIZE, generator=noise)).split(1)
    return a, b, axes, motion


def rows_gap(a: Tensor, b: Tensor, late: int = 0) -> float:
    """Largest gap of a step from a guess of whole pixels, and of its gradients at both frames, to a least squares
    problem of three windows' rows and the ridge's (f64); `late` takes the slopes that many pixels to the right."""
    a, b = (t[:1].cpu().double().requires_grad_() for t in (a, b))
    guess, spots = torch.tensor([2.0, -1.0], dtype=a.dtype), ((17, 15), (20, 38), (46, 44))
    flow, theirs = lucas_kanade(a, b, guess.expand(*a.shape, 2))[0], []
    frames = a[0], b[0].roll((1, -2), (0, 1))
    for y, x in spots:
        rows, known = [], []
        for j, i in itertools.product(range(y - RADIUS, y + RADIUS + 1), range(x - RADIUS, x + RADIUS + 1)):
            ahead = sum(f[j, i + late + 1] - f[j, i + late - 1] for f in frames) / 4
            below = sum(f[j + 1, i + late] - f[j - 1, i + late] for f in frames) / 4
            rows.append(torch.stack([ahead, below]))
            known.append(frames[0][j, i] - frames[1][j, i] + rows[-1] @ guess)
        table = torch.cat([torch.stack(rows), math.sqrt(RIDGE * len(rows)) * torch.eye(2, dtype=a.dtype)])
        theirs.append(torch.linalg.lstsq(table, torch.stack([*known, *guess * 0])[:, None]).solution[:, 0])
    found = []
    for three in (torch.stack([flow[spot] for spot in spots]), torch.stack(theirs)):
        found.append([three, *torch.autograd.grad(three.sin().sum(), (a, b))])
    return max((p - q).abs().max().item() for p, q in zip(*found, strict=True))


def error(flow: Tensor, truth: Tensor) -> float:
    """Mean distance between the ends of the found and the true motion, away from the border."""
    inner = slice(MARGIN, SIZE - MARGIN)
    return (flow.cpu() - truth)[:, inner, inner].norm(dim=-1).mean().item()


def on_box(flow: Tensor, axes: Tensor, motion: Tensor) -> list[float]:
    """How far off the flow is at the middles of the four sides: across the side, and along it."""
    x, y = (BOX * torch.tensor([[1, 0], [-1, 0], [0, 1], [0, -1]]) @ axes + MIDDLE).round().long().unbind(1)
    off = (flow[y, x] - motion) @ axes.mT  # along the box's axes
    return torch.cat([off[:2], off[2:].flip(1)]).abs().mean(0).tolist()


def run(device="cpu", seed=0, steps=100):
    data, noise = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))  # scenes and noise: two streams
    errors: dict = {}
    for step in range(steps):
        (a, b, truth), (c, d, far) = (textures(reach, data, noise) for reach in (1.0, 6.0))
        e, f, axes, motion = box(data, noise)
        near, large, boxed = ((x.to(device), y.to(device)) for x, y in ((a, b), (c, d), (e, f)))
        flow = optical_flow(*boxed, 1)[0].cpu()
        new = dict(zip(("across_error", "along_error"), on_box(flow, axes, motion), strict=True))
        new["flow_error"] = error(optical_flow(*near, 1), truth)
        new["one_error"] = error(truth.mean((1, 2), keepdim=True), truth)
        new["whole_error"], new["matched_error"] = (error(found, truth) for found in block_matching(*near, 2))
        new["pyramid_error"] = error(optical_flow(*large, LEVELS), far)
        new["flat_error"] = error(optical_flow(*large, 1, LEVELS * TURNS), far)
        errors = {name: errors.get(name, 0) + value / steps for name, value in new.items()}
        yield (step + 1) / steps, {"Lucas-Kanade": new["flow_error"], "block matching": new["matched_error"]}
    rim = torch.cartesian_prod(torch.linspace(-1, 1, 9), torch.linspace(-1, 1, 7))
    rim = BOX * rim[rim.abs().amax(1) == 1] @ axes + MIDDLE
    x, y = rim.round().long().unbind(1)
    ends, corner = rim + 6 * flow[y, x], torch.full((1, 2), SIZE - 10.0)
    drawn = {"rim of the box": rim, "motion found, six times": ends, "true motion, six times": corner + 6 * motion}
    arrows = zip(torch.cat([rim, corner]).tolist(), torch.cat([ends, corner + 6 * motion]).tolist(), strict=True)
    series = {name: tuple(points.mT.tolist()) for name, points in drawn.items()}
    figure = {"kind": "scatter", "series": series, "edges": [*arrows], "equal": True, "x": "x", "y": "y"}
    gaps = {"rows_gap": rows_gap(*near), "late_gap": rows_gap(*near, late=1)}
    return errors | gaps, {"a box moves: what windows on its rim find": figure}


# %% what is claimed

TITLE = {"en": "Optical flow from slopes and changes", "zh": "由图像的斜率与变化求光流"}
CURVES = "end-point error, in pixels"
CPU_SECONDS = 3
CLAIMS = {
    "trained flow_error <= 0.07 < one_error <= 0.2": {
        "en": "mean end-point error in pixels, shifts of up to one pixel along x and y; control: the mean of the true "
        "motion, as one shift for the whole frame",
        "zh": "x、y 方向各平移至多一个像素时的平均端点误差（像素）；对照：整帧只用一个平移，即真实运动的均值",
    },
    "trained matched_error <= 0.085 < whole_error <= 0.45": {
        "en": "the same, of block matching with this window, refined by a paraboloid; control: whole pixels alone",
        "zh": "窗口相同的块匹配、以抛物面细化后的同一误差；对照：只取整数像素",
    },
    "trained pyramid_error <= 0.07 < flat_error <= 1.3": {
        "en": "mean end-point error in pixels, shifts of up to six pixels along x and y, begun on frames with sides of "
        "an eighth; control: as many steps, all on the full size",
        "zh": "x、y 方向各平移至多六个像素、从边长为八分之一的图像开始时的平均端点误差（像素）；"
        "对照：步数相同，但全在原尺寸上",
    },
    "trained across_error <= 0.035 < along_error <= 0.7": {
        "en": "at the middles of a moving box's sides, error of the motion across the side, in pixels; control: of "
        "the motion along the side, which answering 0 would match",
        "zh": "移动方块各边中点处，运动垂直于边的分量的误差（像素）；对照：平行于边的分量的误差，与一律回答 0 相当",
    },
    "parity rows_gap <= 1e-10 < late_gap": {
        "en": "largest gap of a step, and of its gradients at both frames, to torch.linalg.lstsq on the rows of a "
        "pixel's window and of the ridge (f64); control: slopes taken one pixel to the right",
        "zh": "一步的结果及其对两帧的梯度，同用 torch.linalg.lstsq 求解窗口内各行方程（含岭项）的最大差距（f64）；"
        "对照：斜率取自右侧一个像素处",
    },
}
ZH = {
    "end-point error, in pixels": "端点误差（像素）",
    "block matching": "块匹配",
    "a box moves: what windows on its rim find": "方块移动：边缘上各窗口求得的运动",
    "rim of the box": "方块的边缘",
    "motion found, six times": "求得的运动，放大六倍",
    "true motion, six times": "真实运动，放大六倍",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
