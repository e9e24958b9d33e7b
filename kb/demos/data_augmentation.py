"""Data augmentation — to read crooked digits, 100 that are warped anew at each look teach more than 800 still ones.

The test is real 8x8 digits that stand a little crooked: shifted by up to a pixel each way, then turned by up to 20
degrees and made up to 18 % larger or 13 % smaller. Equal networks learn from 50 to 800 upright digits: as they are
(still), mirrored at random, or warped as the test is, with new random numbers whenever a digit is shown. Controls:
still and mirrored digits, as long, and the nearest of the still ones (800 that are each stored once crooked do not
reach 100 warped anew either; not shown). The hundred still digits are known by heart, yet about half of the fresh ones
are misread when they stand crooked. The smaller part is overfitting (upright, about nine in ten are read; not shown);
what lacks is invariance, an answer that stays when the digit is warped, and that is what warped copies teach.
Mirroring, which suits photographs of many things, is no change that these digits undergo.

Needs:  torch, scikit-learn
Source: P. Simard, D. Steinkraus, J. Platt, Best Practices for Convolutional Neural Networks Applied to Visual Document
        Analysis, ICDAR 2003 (distorted digits); warping by the inverse map: M. Jaderberg et al., Spatial Transformer
        Networks, NIPS 2015
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, TURN, SHIFT, SIZE = 8, 0.35, 0.25, 0.15  # pixels; radians; half widths of the picture; share

# %% the concept


def warp(x: Tensor, angle: Tensor, shift: Tensor, size: Tensor) -> Tensor:
    """Pictures (n, 8, 8), turned by (n,), their grids moved by (n, 2) and scaled by (n,): each pixel looks up x."""
    ticks = (2 * torch.arange(SIDE, dtype=x.dtype) + 1) / SIDE - 1  # middles of the pixels of a picture from -1 to 1
    v, u = torch.meshgrid(ticks, ticks, indexing="ij")  # row, column: (8, 8)
    c, s = ((size * f(angle))[:, None, None] for f in (torch.cos, torch.sin))
    to_u, to_v = c * u - s * v + shift[:, 0, None, None], s * u + c * v + shift[:, 1, None, None]  # where it looks
    spots = torch.arange(SIDE, dtype=x.dtype)
    near = [(1 - (((t + 1) * SIDE - 1) / 2 - spots[:, None, None, None]).abs()).clamp_min(0) for t in (to_v, to_u)]
    return torch.einsum("rnij,cnij,nrc->nij", *near, x)  # sum_rc (1 - |v - r|)+ (1 - |u - c|)+ x_rc: bilinear


def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """How n pictures are warped: angles, shifts, sizes."""
    most = torch.tensor([[TURN], [SHIFT], [SHIFT], [SIZE]])
    angle, du, dv, size = most * (2 * torch.rand(4, n, generator=generator) - 1)
    return angle, torch.stack([du, dv], 1), 1 + size


def augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """The same pictures, never twice alike; their labels stay."""
    return warp(x, *draw(len(x), generator))


# %% its control


def mirror(x: Tensor, generator: torch.Generator) -> Tensor:
    """Left for right, in one of two cases."""
    return torch.where(torch.rand(len(x), 1, 1, generator=generator) < 0.5, x.flip(2), x)


# %% the experiment

HIDDEN, BATCH, RATE, FEW = 128, 48, 1.5e-2, 1
COUNTS = [50, 100, 200, 400, 800]
WAYS = {"still": lambda x, _: x, "mirrored": mirror, "warped": augment}


class Nets(nn.Module):
    """As many equal networks as there are ways and counts, trained side by side."""

    def __init__(self, n: int) -> None:
        super().__init__()
        for name, d_in, d_out in (("hidden", SIDE**2, HIDDEN), ("out", HIDDEN, 10)):
            weight = (2 * torch.rand(d_in, d_out) - 1) / d_in**0.5
            self.register_parameter(name, nn.Parameter(weight.repeat(n, 1, 1)))  # all begin alike
            self.register_parameter(f"{name}_bias", nn.Parameter(torch.zeros(n, 1, d_out)))

    def forward(self, x: Tensor) -> Tensor:  # (n, B, 64) -> (n, B, 10)
        h = (x @ self.hidden + self.hidden_bias).relu()
        return h @ self.out + self.out_bias


def difference(mine: Tensor, theirs: Tensor, own: list[Tensor], others: list[Tensor]) -> float:
    """The largest, in two outputs and in the gradients of a weighted sum of each."""
    found = []
    for y, leaves in ((mine, own), (theirs, others)):
        weighted = (y * torch.linspace(-1, 1, y.shape[-1], dtype=y.dtype)).sum()
        gradients = torch.autograd.grad(weighted, leaves, materialize_grads=True)
        found.append([y.detach(), *gradients])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def warp_gap(x: Tensor, drawn: tuple[Tensor, ...], sign: int = 1) -> float:
    """From `warp` to F.affine_grid and F.grid_sample, in pictures and in gradients of all that it is given; f64."""
    x, angle, shift, size = leaves = [t.double().requires_grad_() for t in (x, *drawn)]
    c, s = size * angle.cos(), sign * size * angle.sin()
    matrix = torch.stack([torch.stack([c, -s, shift[:, 0]], 1), torch.stack([s, c, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(matrix, [len(x), 1, SIDE, SIDE], align_corners=False)
    theirs = F.grid_sample(x[:, None], grid, align_corners=False)[:, 0]
    return difference(warp(x, angle, shift, size), theirs, leaves, leaves)


def net_gap(nets: Nets, x: Tensor, k: int, other: int) -> float:
    """From the k-th trained network to nn.Linear and nn.ReLU with the weights of another; f64."""
    own = [p.detach().cpu().double().requires_grad_() for p in nets.parameters()]
    names = [name for name, _ in nets.named_parameters()]
    twin = nn.Sequential(nn.Linear(SIDE**2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10)).double()
    for theirs, mine in zip(twin.parameters(), own, strict=True):
        theirs.data = mine[other].detach().mT.squeeze(1).clone()
    x = x.double().flatten(1)
    answer = torch.func.functional_call(nets, dict(zip(names, own, strict=True)), (x.expand(len(own[0]), -1, -1),))[k]
    weighted = [(y * torch.linspace(-1, 1, 10, dtype=y.dtype)).sum() for y in (answer, twin(x))]
    mine = [g[k].mT.squeeze(1) for g in torch.autograd.grad(weighted[0], own, materialize_grads=True)]
    pairs = [(answer, twin(x)), *zip(mine, torch.autograd.grad(weighted[1], [*twin.parameters()]), strict=True)]
    return max((a - b).detach().abs().max().item() for a, b in pairs)


def run(device="cpu", seed=0, steps=400):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, test = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    source = load_digits()
    digits, labels = torch.from_numpy(source.images).float() / 16, torch.from_numpy(source.target)
    order = torch.randperm(len(digits), generator=data)
    known, fresh = order[: COUNTS[-1]], order[COUNTS[-1] :]
    upright, right = digits[fresh], labels[fresh]
    crooked = augment(upright, test)
    nets = Nets(len(WAYS) * len(COUNTS)).to(device)
    optimizer, used = torch.optim.Adam(nets.parameters(), RATE), [set[int]() for _ in COUNTS]
    for step in range(steps):
        picked = torch.cat([known[torch.randint(n, (BATCH,), generator=data)] for n in COUNTS])
        for seen, some in zip(used, picked.view(-1, BATCH).tolist(), strict=True):
            seen.update(some)
        x = torch.cat([way(digits[picked], data) for way in WAYS.values()]).view(-1, BATCH, SIDE**2)
        y = labels[picked].repeat(len(WAYS)).to(device)
        losses = F.cross_entropy(nets(x.to(device)).flatten(0, 1), y, reduction="none").view(len(WAYS), len(COUNTS), -1)
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        optimizer.zero_grad()
        losses.mean(2).sum().backward()
        optimizer.step()
        yield (step + 1) / steps, dict(zip(WAYS, losses[:, FEW].mean(1).tolist(), strict=True))

    def answers(x: Tensor) -> Tensor:  # (m, 8, 8) -> (ways, counts, m)
        with torch.no_grad():
            given = nets(x.flatten(1).to(device).expand(len(WAYS) * len(COUNTS), -1, -1)).argmax(2)
        return given.cpu().view(len(WAYS), len(COUNTS), -1)

    given, given_upright, given_known = answers(crooked), answers(upright), answers(digits[known])
    read = (given == right).float().mean(2)
    kept = (given == given_upright).float().mean(2)
    apart = torch.cdist(crooked.flatten(1), digits[known].flatten(1))
    nearest = [(labels[known[apart[:, :n].argmin(1)]] == right).float().mean().item() for n in COUNTS]
    still, mirrored, warped = range(len(WAYS))
    by_heart = (given_known == labels[known])[:, FEW, : COUNTS[FEW]].float().mean(1)
    drawn = draw(len(fresh), test)
    shown = [digits[known[0]], *augment(digits[known[:1]].expand(6, -1, -1), test)]
    return {
        "warped_accuracy": read[warped, FEW].item(),
        "eightfold_accuracy": max(read[still, -1].item(), read[mirrored, -1].item(), nearest[-1]),
        "warped_fall": (by_heart - read[:, FEW])[warped].item(),
        "control_fall": min((by_heart - read[:, FEW])[[still, mirrored]].tolist()),
        "warped_kept": kept[warped, FEW].item(),
        "control_kept": max(kept[still, FEW].item(), kept[mirrored, FEW].item()),
        "warp_gap": warp_gap(crooked[:50], [t[:50] for t in drawn]),
        "turned_gap": warp_gap(crooked[:50], [t[:50] for t in drawn], -1),
        "net_gap": net_gap(nets, crooked[:20], 11, 11),
        "other_gap": net_gap(nets, crooked[:20], 11, 1),
        "used_digits": len(used[FEW]),
        "eightfold_digits": len(used[-1]),
        "known_digits": len(set(known.tolist()) & set(fresh.tolist())),
        "known_digits_planted": len(set(known.tolist()) & set(order.tolist())),
    }, {
        "crooked digits read, by the number of upright ones learned from": {
            "kind": "lines",
            "series": {
                **{name: (COUNTS, (100 * read[k]).tolist()) for k, name in enumerate(WAYS)},
                "nearest digit": (COUNTS, [100 * share for share in nearest]),
            },
            "x": "digits learned from",
            "y": "crooked digits read, %",
            "log": "x",
        },
        "one digit, and what is made of it": {"kind": "images", "images": shown, "columns": 7},
    }


# %% what is claimed

TITLE = {"en": "Warped copies teach what more still digits do not", "zh": "形变副本教会更多原样数字教不会的东西"}
CURVES = "cross-entropy in training, 100 digits"
CPU_SECONDS = 3
CLAIMS = {
    "trained warped_accuracy >= 0.77 > eightfold_accuracy >= 0.6": {
        "en": "crooked digits read after 100 upright ones, warped anew at each look; control: 800 upright digits, "
        "still, mirrored at random, or the nearest of them, whichever is best",
        "zh": "学过 100 个正放数字（每次重新形变）后读对歪斜数字的比例；对照：800 个正放数字，不变、随机左右翻转"
        "或取其中最近者，取最好者",
    },
    "trained warped_kept >= 0.8 > control_kept >= 0.35": {
        "en": "answers that stay when a fresh digit is warped, after 100 digits; control: still or mirrored ones, "
        "whichever keeps more",
        "zh": "新数字经形变后回答不变的比例（学过 100 个）；对照：不变或翻转，取保持较多者",
    },
    "trained warped_fall <= 0.23 < control_fall": {
        "en": "share of its 100 digits that a network knows, less that of fresh crooked ones; control: still or "
        "mirrored ones, whichever falls less",
        "zh": "对所学 100 个数字的正确率减去对新的歪斜数字的正确率；对照：不变或翻转，取下降较少者",
    },
    "parity warp_gap <= 1e-10 < turned_gap": {
        "en": "largest gap of the warp to F.affine_grid and F.grid_sample in pictures and gradients (f64); the control "
        "turns the other way",
        "zh": "形变与 F.affine_grid、F.grid_sample 在图像与梯度上的最大差距（f64）；对照朝相反方向旋转",
    },
    "parity net_gap <= 1e-10 < other_gap": {
        "en": "largest gap of a trained network to nn.Linear and nn.ReLU in outputs and gradients (f64); the control "
        "has another network's weights",
        "zh": "训练后的网络与 nn.Linear、nn.ReLU 在输出与梯度上的最大差距（f64）；对照用另一个网络的权重",
    },
    "parity used_digits <= 100 < eightfold_digits": {
        "en": "different digits that the networks of the first claim learned from; the control is their rivals'",
        "zh": "第一条所述网络学过的不同数字个数；对照为其对手所学的个数",
    },
    "parity known_digits <= 0 < known_digits_planted": {
        "en": "test digits that were trained on; the control tests on all digits",
        "zh": "测试数字中出现在训练集里的个数；对照用全部数字测试",
    },
}
ZH = {
    "cross-entropy in training, 100 digits": "训练时的交叉熵（100 个数字）",
    "still": "不变",
    "mirrored": "左右翻转",
    "warped": "形变",
    "nearest digit": "最近的数字",
    "crooked digits read, by the number of upright ones learned from": "读对的歪斜数字，随所学正放数字的个数",
    "digits learned from": "所学数字的个数",
    "crooked digits read, %": "读对的歪斜数字（%）",
    "one digit, and what is made of it": "一个数字，以及由它变出的样子",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
