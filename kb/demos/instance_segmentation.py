"""Instance segmentation — pixels point at the centre of their own object, and the arrows part objects that touch.

Simulated 24x24 images: three or four rods of one class and brightness, which mostly touch or cross, in noise. A small
U-Net says of a pixel whether it is a rod's, and where that rod's centre is. The pixels vote for the places that they
point at; those whose votes climb to one summit are one rod. The controls get the true mask, which the U-Net does not,
and part it by its shape: into connected components, and by a watershed, which climbs to the summits of the distance to
the edge, its blur the best of three on the judged scenes themselves. A pixel of a crossing is of the rod that it lies
deeper in; groups of fewer than 6 pixels are dropped. No rival network is trained here, such as one that marks borders.

Needs:  torch
Source: A. Kendall et al., Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and Semantics, CVPR
        2018 (the arrows and their loss)
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, RODS, SCENES, TESTS, BATCH, RATE, UNIT, LEAST = 24, 4, 3000, 120, 12, 7e-3, 4.0, 6
BLUR, BLURS = 0.7, (0.4, 0.7, 1.0)  # of votes; of the watershed's distances

# %% the concept


def places(like: Tensor) -> Tensor:  # x, y of the middles of pixels: (2, S, S)
    at = torch.arange(SIDE).to(like) + 0.5
    return torch.stack(torch.meshgrid(at, at, indexing="xy"))


def loss_of(answer: Tensor, is_rod: Tensor, centre: Tensor) -> Tensor:
    """Is it a rod's, and for rods' pixels alone |p + offset - centre|: (B, 3, S, S), (B, S, S), (B, 2, S, S) -> ()."""
    miss = (places(answer) + UNIT * answer[:, 1:] - centre).abs().sum(1)
    seen = F.binary_cross_entropy_with_logits(answer[:, 0], is_rod.to(answer))
    return seen + (miss * is_rod).sum() / is_rod.sum() / UNIT


def summits(height: Tensor, reach: int) -> Tensor:  # where steps to the highest in reach end: (B, S, S) -> (B, S S)
    wide = 2 * reach + 1
    best = F.unfold(F.pad(height[:, None], 4 * (reach,), value=-1.0), wide).argmax(1)
    at = torch.arange(SIDE**2)
    to = (at // SIDE + best // wide - reach) * SIDE + at % SIDE + best % wide - reach
    for _ in range(10):  # twice as far each time
        to = to.gather(1, to)
    return to


def blurred(height: Tensor, width: float) -> Tensor:  # (B, S, S) -> (B, S, S)
    fall = (-torch.arange(-4, 5.0).square() / (2 * width**2)).softmax(0)
    return F.conv2d(F.pad(height[:, None], 4 * (4,)), (fall[:, None] * fall)[None, None])[:, 0]


def by_votes(answer: Tensor) -> Tensor:  # the group of each pixel, 0 where it is no rod's: (B, 3, S, S) -> (B, S S)
    is_rod = (answer[:, 0] > 0).flatten(1)
    x, y = (places(answer) + UNIT * answer[:, 1:]).long().clamp(0, SIDE - 1).flatten(2).unbind(1)
    marked = y * SIDE + x
    votes = torch.zeros(len(answer), SIDE**2).scatter_add(1, marked, is_rod.float()).view(-1, SIDE, SIDE)
    return torch.where(is_rod, 1 + summits(blurred(votes, BLUR), 1).gather(1, marked), 0)


# %% its control


def watershed(is_rod: Tensor, width: float) -> Tensor:  # a way up on the distance to no rod: (B, S, S) -> (B, S S)
    at = places(torch.zeros(1)).flatten(1).T
    depth = torch.stack([torch.cdist(at, at).masked_fill(one.flatten(), SIDE).amin(1) for one in is_rod])
    return torch.where(is_rod.flatten(1), 1 + summits(blurred(depth.view(is_rod.shape), width), 2), 0)


def components(is_rod: Tensor) -> Tensor:  # pixels that touch, also at a corner: (B, S, S) -> (B, S S)
    name = is_rod * torch.arange(1.0, SIDE**2 + 1).view(SIDE, SIDE)
    for _ in range(SIDE**2 // 4):
        name = F.max_pool2d(name[:, None], 3, 1, 1)[:, 0] * is_rod
    return name.long().flatten(1)


# %% the experiment


def convolution(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(map(convolution, (1, 12, 24, 48), (12, 24, 48, 48)))
        self.up = nn.ModuleList(map(convolution, (96, 48, 36), (24, 24, 12)))
        self.answer = nn.Conv2d(12, 3, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, S, S) -> (B, 3, S, S)
        held = [self.down[0](x)]
        for down in self.down[1:]:
            held.append(down(F.max_pool2d(held[-1], 2)))
        y = held.pop()
        for up in self.up:
            large = y[..., None, :, None].expand(-1, -1, -1, 2, -1, 2).flatten(4).flatten(2, 3)  # each pixel four times
            y = up(torch.cat([large, held.pop()], 1))
        return self.answer(y)


def scenes(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Images, the rod of each pixel (0: none) and that rod's centre: (n, 1, S, S), (n, S, S), (n, 2, S, S)."""
    drawn = torch.rand(5, n, RODS, 1, 1, generator=generator).unbind()
    long, wide, turn = 5 + 4 * drawn[0], 1.6 + 0.8 * drawn[1], math.pi * drawn[2]
    x, y = (4 + (SIDE - 8) * at for at in drawn[3:])
    is_there = torch.arange(RODS) < torch.randint(3, RODS + 1, (n, 1), generator=generator)
    right, down = places(x)[0] - x, places(y)[1] - y
    along, across = right * turn.cos() + down * turn.sin(), down * turn.cos() - right * turn.sin()
    far = ((along / long).square() + (across / wide).square()).masked_fill(~is_there[..., None, None], math.inf)
    depth, rod = far.min(1)
    middle = torch.stack([x, y], 1)[..., 0, 0].gather(2, rod.flatten(1)[:, None].expand(-1, 2, -1))
    inside = depth <= 1
    image = 0.2 + 0.6 * inside[:, None] + 0.15 * torch.randn(n, 1, SIDE, SIDE, generator=generator)
    return image, torch.where(inside, rod + 1, 0), middle.view(n, 2, SIDE, SIDE)


def f1(groups: Tensor, truth: Tensor) -> float:  # 2 hits / (groups + rods); a hit: a group and a rod of IoU above 0.5
    hits = counted = 0
    for found, rods in zip(groups, truth.flatten(1), strict=True):
        mine, real = found == found.unique()[:, None], rods == rods[rods > 0].unique()[:, None]  # (k, S S), (r, S S)
        mine = mine[(mine.sum(1) >= LEAST) & ~(mine & (found == 0)).any(1)]
        both = mine.float() @ real.float().T
        hits += int((2 * both > mine.sum(1)[:, None] + real.sum(1) - both).sum())
        counted += len(mine) + len(real)
    return 2 * hits / counted


def loss_gap(truth: Tensor, centre: Tensor, answer: Tensor, turned: bool = False) -> float:
    """Largest gap of the loss and its gradient to those from a list of the rods' pixels; f64."""
    b, row, column = (truth > 0).nonzero().T
    aim = UNIT * answer[b, 1:, row, column] + torch.stack([column, row], 1) + 0.5
    theirs = F.binary_cross_entropy(answer[:, 0].sigmoid(), (truth > 0).double())
    theirs = theirs + 2 / UNIT * F.l1_loss(aim, centre[b, :, row, column].double())
    mine = loss_of(answer, truth > 0, centre.flip(1) if turned else centre)
    (slope,) = torch.autograd.grad(mine - theirs, answer)
    return max(float((mine - theirs).detach().abs()), float(slope.abs().max()))


def run(device="cpu", seed=0, steps=400):
    data, unseen, batches, checks = (torch.Generator().manual_seed(5 * seed + k) for k in (1, 2, 3, 4))
    (image, rods, centre), (fresh, truth, middle) = scenes(SCENES, data), scenes(TESTS, unseen)
    torch.manual_seed(5 * seed)
    net = UNet().to(device)
    optimizer, x, y, c = torch.optim.Adam(net.parameters()), *(t.to(device) for t in (image, rods > 0, centre))
    for step in range(steps):
        rows = torch.randint(SCENES, (BATCH,), generator=batches).to(device)
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        loss = loss_of(net(x[rows]), y[rows], c[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"U-Net": loss.item()}

    answer = net.eval()(fresh.to(device)).detach().cpu()
    known, judged = (set(map(bytes, images.numpy())) for images in (image, fresh))
    is_rod = truth > 0
    exact = torch.cat([torch.where(is_rod, 1.0, -1.0)[:, None], (middle - places(middle)) / UNIT], 1)
    parted = max((watershed(is_rod, width) for width in BLURS), key=lambda of_it: f1(of_it, truth))
    groups = {"components": components(is_rod), "watershed": parted, "arrows": by_votes(answer)}
    random = torch.randn(2, 3, SIDE, SIDE, generator=checks, dtype=torch.float64).requires_grad_()
    n = min(range(TESTS), key=lambda n: f1(groups["components"][n : n + 1], truth[n : n + 1]))
    ranks = [of_it[n].unique(return_inverse=True)[1].view(SIDE, SIDE) for of_it in (truth, *groups.values())]
    shown = [fresh[n, 0].clamp(0, 1).tolist(), *((rank / rank.max()).tolist() for rank in ranks)]
    figure = {"kind": "images", "images": shown, "titles": ["scene", "true rods", *groups], "columns": 5}
    return {
        "arrows_f1": f1(groups["arrows"], truth),
        "watershed_f1": f1(groups["watershed"], truth),
        "exact_f1": f1(by_votes(exact), truth),
        "components_f1": f1(groups["components"], truth),
        "loss_gap": loss_gap(truth[:2], middle[:2], random),
        "turned_gap": loss_gap(truth[:2], middle[:2], random, turned=True),
        "shared_scenes": len(known & judged),
        "training_scenes": len(known),
    }, {"the fresh scene that components part worst": figure}


# %% what is claimed

TITLE = {"en": "Pixels that point at their object", "zh": "让像素指向自己的物体"}
CURVES = "loss"
CPU_SECONDS = 5
CLAIMS = {
    "trained arrows_f1 >= 0.72 > watershed_f1 >= 0.55": {
        "en": "F1 of groups that overlap a rod with IoU above 0.5, on fresh scenes; control: a watershed of the true "
        "mask, the best of three blurs",
        "zh": "新场景上各组与杆的 F1（IoU 大于 0.5 算找到）；对照：对真实掩码做分水岭，三种模糊宽度取最好",
    },
    "parity exact_f1 >= 0.94 > components_f1 >= 0.15": {
        "en": "F1 where each pixel of the true mask points exactly at its rod's centre; control: its components",
        "zh": "真实掩码中每个像素都准确指向所属杆的中心时的 F1；对照：该掩码的连通分量",
    },
    "parity loss_gap <= 1e-10 < turned_gap": {
        "en": "largest gap of the loss and its gradient to those from a list of pixels (f64); control: x and y swapped",
        "zh": "损失及其梯度同按像素列表计算的最大差距（f64）；对照把 x 与 y 互换",
    },
    "parity shared_scenes <= 0 < training_scenes": {
        "en": "judged scenes that occur in the training set; the control counts the training set in itself",
        "zh": "评测场景中出现在训练集里的个数；对照在训练集自身中计数",
    },
}
ZH = {
    "loss": "损失",
    "scene": "场景",
    "true rods": "真实的杆",
    "components": "连通分量",
    "watershed": "分水岭",
    "arrows": "箭头",
    "the fresh scene that components part worst": "连通分量分得最差的一个新场景",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
