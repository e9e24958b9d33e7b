"""Restoration — small networks enlarge digits and fill in their middle better than ridge regression or neighbours do.

Digits of 8 x 8 pixels are averaged to 4 x 4, or lose their middle (4 x 4 pixels); a network for each damage learns what
is missing, from pairs. Both compute on a grid of 4 x 4 and end with a pixel shuffle, which lays channels out as pixels;
pixels that are known stay as they are. The controls are ridge regression from all pixels and the mean of the known
digits that look most alike once damaged; penalty and number of neighbours are the best of five on the test itself.
Bicubic interpolation, which needs no training, is far below both, says the table.
Quality is PSNR: the mean squared error in dB, more is better. But PSNR is blind to structure: digits that got brighter,
and digits with noise, as sets at one PSNR, differ in SSIM, which compares means, spreads and covariances of windows.

Needs:  torch, scikit-learn
Source: W. Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
        Neural Network, CVPR 2016; Z. Wang et al., Image Quality Assessment: From Error Visibility to Structural
        Similarity, IEEE Transactions on Image Processing 13(4), 2004
"""

from copy import deepcopy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN, BATCH, CHANNELS, RATE, APART = 1400, 48, 32, 6e-3, 0.4
HOLE = F.pad(torch.ones(4, 4, dtype=torch.bool), (2, 2, 2, 2))  # (8, 8), true in the middle

# %% the concept


def shuffle(x: Tensor) -> Tensor:  # (B, 4 C, H, W) -> (B, C, 2 H, 2 W): sub-pixel upsampling
    b, c, h, w = x.shape
    return x.view(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, c // 4, 2 * h, 2 * w)


def unshuffle(x: Tensor) -> Tensor:  # (B, C, 2 H, 2 W) -> (B, 4 C, H, W): its inverse
    b, c, h, w = x.shape
    return x.view(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(b, 4 * c, h // 2, w // 2)


class Restorer(nn.Module):
    def __init__(self, enlarges: bool) -> None:
        super().__init__()
        self.enlarges = enlarges
        self.hole: Tensor
        self.register_buffer("hole", HOLE)
        self.first = nn.Conv2d(1 if enlarges else 4, CHANNELS, 3, padding=1)
        self.middle, self.last = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.Conv2d(CHANNELS, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:  # damaged (B, 1, 4, 4) or (B, 1, 8, 8) -> (B, 1, 8, 8)
        grid = x if self.enlarges else unshuffle(x)
        change = self.last(self.middle(self.first(grid).relu()).relu())
        whole = shuffle(grid + change)  # it learns what is missing; to enlarge, one channel serves all four
        return whole if self.enlarges else torch.where(self.hole, whole, x)  # known pixels stay as they are


def psnr(a: Tensor, b: Tensor) -> float:  # in dB, of pixels between 0 and 1
    return float(-10 * ((a - b) ** 2).mean().log10())  # 10 log10(1 / MSE)


def ssim(a: Tensor, b: Tensor, size: int = 4) -> Tensor:  # (B, 1, H, W) twice -> (B,)
    mean = [F.avg_pool2d(x, size, 1) for x in (a, b, a * a, b * b, a * b)]  # over each window
    share = size**2 / (size**2 - 1)  # unbiased
    va, vb, cov = ((mean[k] - mean[i] * mean[j]) * share for i, j, k in ((0, 0, 2), (1, 1, 3), (0, 1, 4)))
    c1, c2 = 0.01**2, 0.03**2
    brightness = (2 * mean[0] * mean[1] + c1) / (mean[0] ** 2 + mean[1] ** 2 + c1)
    return (brightness * (2 * cov + c2) / (va + vb + c2)).mean((1, 2, 3))


# %% the experiment


def damaged(x: Tensor) -> dict[str, Tensor]:
    return {"enlarge": F.avg_pool2d(x, 2), "fill in": torch.where(HOLE, 0.5, x)}


def ridge(x: Tensor, fresh: Tensor, y: Tensor) -> list[Tensor]:
    """Linear from all pixels to all, with each of five penalties."""
    x, fresh = (torch.cat([a.flatten(1), torch.ones(len(a), 1)], 1).double() for a in (x, fresh))
    gram, onto, one = x.T @ x, x.T @ y.flatten(1).double(), torch.eye(x.shape[1]).double()
    found = [torch.linalg.solve(gram + penalty * one, onto) for penalty in (1e-2, 1.0, 10.0, 100.0, 1000.0)]
    return [(fresh @ weights).float().view(-1, 1, 8, 8) for weights in found]


def neighbours(x: Tensor, fresh: Tensor, y: Tensor) -> list[Tensor]:
    """Mean of the known digits that look most alike once damaged, with each of five numbers of them."""
    nearest = torch.cdist(fresh.flatten(1), x.flatten(1)).argsort(1)
    return [y[nearest[:, :n]].mean(1) for n in (1, 3, 5, 8, 12)]


def restorer_gap(nets: dict[str, Restorer], x: dict[str, Tensor], y: Tensor, plain: bool = False) -> float:
    """Largest gap of the restorers and their gradients from nn.PixelShuffle and its inverse (f64); `plain` lays the
    channels out in rows."""
    gaps = []
    for name, net in nets.items():
        net, damage = deepcopy(net).cpu().double(), x[name].double()
        grid = damage if net.enlarges else nn.PixelUnshuffle(2)(damage)
        body = nn.Sequential(net.first, nn.ReLU(), net.middle, nn.ReLU(), net.last)
        made = body(grid) + grid.expand(-1, 4, -1, -1)
        theirs = made.view(-1, 1, 8, 8) if plain else nn.PixelShuffle(2)(made)
        theirs = theirs if net.enlarges else damage * ~HOLE + theirs * HOLE
        losses = [F.mse_loss(guess, y.double()) for guess in (net(damage), theirs)]
        found = [[loss, *torch.autograd.grad(loss, [*net.parameters()], materialize_grads=True)] for loss in losses]
        gaps += [(a - b).detach().abs().max().item() for a, b in zip(*found, strict=True)]
    return max(gaps)


def ssim_gap(a: Tensor, b: Tensor, size: int) -> float:
    """Largest gap of SSIM and PSNR from their definitions, window by window (f64)."""
    a, b = a.double(), b.double()
    windows = [F.unfold(x, 4).transpose(1, 2).flatten(0, 1) for x in (a, b)]  # (B * 25, 16) each
    said = []
    for u, v in zip(*windows, strict=True):
        spread, (m, n) = torch.stack([u, v]).cov(), (u.mean(), v.mean())
        first = (2 * m * n + 1e-4) / (m * m + n * n + 1e-4)
        said.append(first * (2 * spread[0, 1] + 9e-4) / (spread[0, 0] + spread[1, 1] + 9e-4))
    theirs = torch.stack(said).view(len(a), -1).mean(1)
    error = torch.tensor(psnr(a, b), dtype=torch.float64) + 10 * torch.log10(F.mse_loss(a, b))
    return max(gap.abs().max().item() for gap in (ssim(a, b, size) - theirs, error))


def run(device="cpu", seed=0, steps=800):
    torch.manual_seed(3 * seed)  # weights, digits and noise: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    known, test = (torch.tensor(digits.images)[order, None].float() / 16).tensor_split([TRAIN])
    nets = {name: Restorer(name == "enlarge").to(device) for name in ("enlarge", "fill in")}
    optimizer = torch.optim.Adam([p for net in nets.values() for p in net.parameters()])
    for step in range(1, steps + 1):
        rows = torch.randint(0, TRAIN, (BATCH,), generator=data)
        y, broken = known[rows].to(device), {k: x.to(device) for k, x in damaged(known[rows]).items()}
        losses = {name: F.mse_loss(net(broken[name]), y) for name, net in nets.items()}
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        optimizer.zero_grad()
        torch.stack([*losses.values()]).sum().backward()
        optimizer.step()
        yield step / steps, {name: loss.item() for name, loss in losses.items()}

    broken, before = damaged(test), damaged(known)
    with torch.no_grad():
        repaired = {name: net(broken[name].to(device)).cpu() for name, net in nets.items()}
    measured: dict[str, float] = {}
    told = []
    for name, short in (("enlarge", "enlarge"), ("fill in", "fill")):
        fitted = before[name], broken[name], known
        ways = {"network": [repaired[name]], "ridge": ridge(*fitted), "neighbours": neighbours(*fitted)}
        if name == "enlarge":
            ways["bicubic"] = [F.interpolate(broken[name], scale_factor=2, mode="bicubic", align_corners=False)]
        else:
            ways = {way: [torch.where(HOLE, guess, test) for guess in made] for way, made in ways.items()}
        best = {way: max((g.clamp(0, 1) for g in made), key=lambda g: psnr(g, test)) for way, made in ways.items()}
        told += [[f"{name}: {way}", psnr(x, test), ssim(x, test).mean().item()] for way, x in best.items()]
        measured[f"{short}_psnr"] = psnr(best.pop("network"), test)
        measured[f"{short}_control"] = max(psnr(x, test) for x in best.values())

    brighter, noise = test + APART, torch.randn(test.shape, generator=unseen)
    noisy = test + APART * noise / noise.square().mean().sqrt()
    drawn = repaired["enlarge"], broken["fill in"], repaired["fill in"]
    shown = [F.interpolate(broken["enlarge"], scale_factor=2), *drawn, brighter, noisy, test]
    titles = ("4 x 4", "enlarged", "hole", "filled", "brighter", "noisy", "digit")
    few = {name: x[:32] for name, x in broken.items()}
    return {
        **measured,
        "ssim_difference": (ssim(brighter, test).mean() - ssim(noisy, test).mean()).item(),
        "psnr_difference": abs(psnr(brighter, test) - psnr(noisy, test)) / psnr(noisy, test),
        "restorer_gap": restorer_gap(nets, few, test[:32]),
        "plain_gap": restorer_gap(nets, few, test[:32], plain=True),
        "metric_gap": ssim_gap(test[:8], noisy[:8], 4),
        "smaller_gap": ssim_gap(test[:8], noisy[:8], 3),
    }, {
        "digits, damaged and restored": {
            "kind": "images",
            "images": [x[i, 0].clamp(0, 1) for i in range(3) for x in shown],
            "titles": [title if i == 0 else "" for i in range(3) for title in titles],
            "columns": 7,
        },
        "on unseen digits": {"kind": "table", "columns": ["", "PSNR, dB", "mean SSIM"], "rows": told},
    }


# %% what is claimed

TITLE = {"en": "Super-resolution and inpainting, in dB", "zh": "超分辨率与图像补全：以分贝计"}
CURVES = "squared error"
CPU_SECONDS = 3
CLAIMS = {
    "trained enlarge_psnr >= 18.1 > enlarge_control >= 17": {
        "en": "PSNR of unseen digits enlarged from 4 x 4 to 8 x 8; control: ridge regression, the mean of neighbours "
        "or bicubic, the best",
        "zh": "未见数字从 4 x 4 放大到 8 x 8 的 PSNR（dB）；对照：岭回归、近邻均值或双三次插值，取最好者",
    },
    "trained fill_psnr >= 19.4 > fill_control >= 18.5": {
        "en": "PSNR of unseen digits whose middle was filled in; control: ridge regression or the mean of neighbours, "
        "the better",
        "zh": "补全中部之后未见数字的 PSNR（dB）；对照：岭回归或近邻均值，取较好者",
    },
    "parity ssim_difference >= 0.12 > psnr_difference": {
        "en": "by how much SSIM sets brighter digits above noisy ones; the control is the relative difference in PSNR",
        "zh": "变亮的数字比加噪的数字 SSIM 高出多少；对照为两者 PSNR 的相对差",
    },
    "parity restorer_gap <= 1e-10 < plain_gap": {
        "en": "largest gap of both networks and their gradients to nn.PixelShuffle and nn.PixelUnshuffle (f64); the "
        "control lays the channels out in rows",
        "zh": "两个网络及其梯度与 nn.PixelShuffle、nn.PixelUnshuffle 的最大差距（f64）；对照把通道直接按行排开",
    },
    "parity metric_gap <= 1e-10 < smaller_gap": {
        "en": "largest gap of PSNR and SSIM to their definitions, window by window (f64); the control has windows of 3 "
        "x 3, not 4 x 4",
        "zh": "PSNR、SSIM 与逐窗口按定义计算的最大差距（f64）；对照的窗口为 3 x 3 而非 4 x 4",
    },
}
ZH = {
    "squared error": "均方误差",
    "enlarge": "放大",
    "fill in": "补全",
    "enlarged": "放大后",
    "hole": "缺损",
    "filled": "补全后",
    "brighter": "变亮",
    "noisy": "加噪",
    "digit": "原图",
    "digits, damaged and restored": "损坏与复原的数字",
    "on unseen digits": "在未见数字上",
    "PSNR, dB": "峰值信噪比（dB）",
    "mean SSIM": "平均 SSIM",
    "enlarge: network": "放大：网络",
    "enlarge: ridge": "放大：岭回归",
    "enlarge: neighbours": "放大：近邻均值",
    "enlarge: bicubic": "放大：双三次插值",
    "fill in: network": "补全：网络",
    "fill in: ridge": "补全：岭回归",
    "fill in: neighbours": "补全：近邻均值",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
