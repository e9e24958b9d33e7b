"""Faster R-CNN — a first look proposes boxes where something may be; a second look names and corrects each of them.

Scenes of 32x32 pixels hold one to three rectangles, ellipses or triangles of 6 to 20 pixels on noise. One network
describes each scene by an 8x8 map of features. At each of its places the region proposal network scores nine anchors,
boxes of fixed sizes and shapes, and moves them; of those that are left after non-maximum suppression (NMS) the ten
best are looked at again: RoIAlign reads a 4x4 grid of features in each, and a head gives its class (or background) and
a correction. IoU is the area that box and object both cover, as a share of what either covers. Controls: ten anchors,
chosen one by one to meet most training objects whatever the scene, as proposals; the proposals as they were before the
second look; and RoIAlign rounded to whole cells. This says how the parts work, not how good they are on photos.

Needs:  torch
Source: S. Ren, K. He, R. Girshick, J. Sun, Faster R-CNN: Towards Real-Time Object Detection with Region Proposal
        Networks, NeurIPS 2015; RoIAlign: K. He, G. Gkioxari, P. Dollar, R. Girshick, Mask R-CNN, ICCV 2017
"""

import copy
import functools
import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, CELL, CLASSES, GRID = 32, 4, ("rectangle", "ellipse", "triangle"), 8
SCENES, TESTS, WIDTH, BATCH, RATE, KEPT, POOL = 700, 150, 12, 16, 7e-3, 10, 4
APART, OVERLAP, LEAST_SCORE, HIT = 0.7, 0.5, 0.05, 0.5
SIZES, SHAPES = (7.0, 11.0, 16.0), (0.5, 1.0, 2.0)  # of anchors: root of the area in pixels, width over height

# %% the concept


def anchors(dtype: torch.dtype = torch.float32) -> Tensor:
    """Boxes x0, y0, x1, y1 of three sizes and three shapes at every place: (GRID * GRID * 9, 4)."""
    sides = torch.tensor([[s * r**0.5, s / r**0.5] for s in SIZES for r in SHAPES], dtype=dtype)  # (9, 2)
    places = CELL * (torch.arange(GRID, dtype=dtype) + 0.5)
    centres = torch.cartesian_prod(places, places).flip(1)[:, None]  # x, y of each, row by row: (64, 1, 2)
    return torch.cat([centres - sides / 2, centres + sides / 2], -1).flatten(0, 1)


def iou(a: Tensor, b: Tensor) -> Tensor:  # (..., 4), (..., 4) -> (...)
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    both = sides.clamp(min=0).prod(-1)
    return both / ((a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - both)


def encode(boxes: Tensor, bases: Tensor) -> Tensor:  # (..., 4) twice -> (..., 4)
    """t = ((x - x_a) / w_a, (y - y_a) / h_a, log(w / w_a), log(h / h_a)): what to do to a base to get a box."""
    size, base = boxes[..., 2:] - boxes[..., :2], bases[..., 2:] - bases[..., :2]
    moved = (boxes[..., :2] + boxes[..., 2:] - bases[..., :2] - bases[..., 2:]) / 2
    return torch.cat([moved / base, (size / base).log()], -1)


def decode(t: Tensor, bases: Tensor) -> Tensor:  # (..., 4) twice -> (..., 4)
    base = bases[..., 2:] - bases[..., :2]
    centre = (bases[..., :2] + bases[..., 2:]) / 2 + t[..., :2] * base
    half = base * t[..., 2:].clamp(max=2).exp() / 2
    return torch.cat([centre - half, centre + half], -1)


def roi_align(features: Tensor, boxes: Tensor) -> Tensor:  # (B, C, GRID, GRID), (B, K, 4) -> (B, K, C, POOL, POOL)
    """Features at the middles of POOL x POOL bins of each box, between cells by bilinear interpolation."""
    share = (torch.arange(POOL, device=boxes.device) + 0.5) / POOL
    x = (boxes[..., :1] + share * (boxes[..., 2:3] - boxes[..., :1])) / CELL - 0.5  # cell 0 has its middle at 0
    y = (boxes[..., 1:2] + share * (boxes[..., 3:] - boxes[..., 1:2])) / CELL - 0.5  # (B, K, POOL)
    cells = torch.arange(GRID, device=boxes.device)
    across, down = ((1 - (p.clamp(0, GRID - 1)[..., None] - cells).abs()).relu() for p in (x, y))  # (B, K, POOL, GRID)
    return torch.einsum("bkih,bchw,bkjw->bkcij", down, features, across)


class FasterRCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        w = 2 * WIDTH
        plan = ((3, WIDTH, 2), (WIDTH, w, 2), (w, w, 1))
        layers = [(nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()) for i, o, s in plan]
        self.backbone = nn.Sequential(*sum(layers, ()))
        self.rpn = nn.Sequential(nn.Conv2d(w, w, 3, padding=1), nn.ReLU(), nn.Conv2d(w, 9 * 5, 1))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(w * POOL * POOL, 48), nn.ReLU(), nn.Linear(48, 4 + 4))
        self.register_buffer("anchors", anchors())

    def propose(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # -> map, scores (B, A), t (B, A, 4)
        features = self.backbone(images)  # (B, w, GRID, GRID)
        raw = self.rpn(features).movedim(1, -1).reshape(len(images), -1, 5)
        return features, raw[..., 0], raw[..., 1:]

    def look(self, features: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:  # -> classes (B, K, 4), t (B, K, 4)
        answer = self.head(roi_align(features, boxes).flatten(0, 1)).unflatten(0, boxes.shape[:2])
        return answer[..., :4], answer[..., 4:]  # background is class 0; one box for all classes, not one for each


def best_apart(boxes: Tensor, scores: Tensor, count: int, overlap: float) -> Tensor:  # (B, N, 4), (B, N) -> (B, count)
    """Non-maximum suppression: keep the best box, drop those that overlap it much, repeat; -1 where none is left."""
    rows, kept = torch.arange(len(boxes), device=boxes.device), []
    for _ in range(count):
        score, best = scores.max(1)
        kept.append(best.where(score > -torch.inf, -1))
        scores = scores.masked_fill(iou(boxes[rows, best][:, None], boxes) > overlap, -torch.inf)
    return torch.stack(kept, 1)


def pick(boxes: Tensor, which: Tensor) -> Tensor:  # (B, N, 4), (B, K) -> (B, K, 4)
    return boxes.gather(1, which[..., None].expand(-1, -1, 4))


def best_proposals(net: FasterRCNN, scores: Tensor, t: Tensor) -> Tensor:  # (B, A), (B, A, 4) -> (B, KEPT, 4)
    boxes = decode(t, net.anchors)
    return pick(boxes, best_apart(boxes, scores.detach(), KEPT, APART).clamp(min=0))


def rpn_loss(scores: Tensor, t: Tensor, bases: Tensor, truth: Tensor) -> Tensor:  # (B, A), (B, A, 4), (A, 4), (B, M, 4)
    """An anchor is an object where its IoU with one is >= 0.5 (paper: > 0.7) or largest for it; background < 0.3."""
    overlap = iou(bases[:, None], truth[:, None])  # (B, A, M); an object that is not there has no area
    best = ((overlap == overlap.amax(1, keepdim=True)) & (overlap > 0)).any(2)
    most, which = overlap.max(2)  # (B, A)
    positive, negative = best | (most >= 0.5), ~best & (most < 0.3)
    wrong = (-F.logsigmoid(scores[positive])).mean() + (-F.logsigmoid(-scores[negative])).mean()
    target = encode(pick(truth, which), bases)
    return wrong + F.smooth_l1_loss(t[positive], target[positive], beta=0.1)


def head_loss(classes: Tensor, t: Tensor, proposals: Tensor, truth: Tensor, kinds: Tensor) -> Tensor:
    """A proposal has the class of the object whose IoU with it is 0.5 or more, or none; only then a box to learn."""
    most, which = iou(proposals[:, :, None], truth[:, None]).max(2)  # (B, K)
    found = most >= 0.5
    named = torch.where(found, kinds.gather(1, which) + 1, 0)
    target = encode(pick(truth, which), proposals)[found]
    moved = F.smooth_l1_loss(t[found], target, beta=0.1, reduction="sum") / max(1, 4 * len(target))
    return F.cross_entropy(classes.flatten(0, 1), named.flatten()) + moved


def joint_loss(net: FasterRCNN, images: Tensor, truth: Tensor, kinds: Tensor) -> Tensor:
    """Both looks at once; where the second looks, it takes as given."""
    features, scores, t = net.propose(images)
    proposals = best_proposals(net, scores, t.detach())
    return rpn_loss(scores, t, net.anchors, truth) + head_loss(*net.look(features, proposals), proposals, truth, kinds)


# %% the experiment


def scene(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """An image, the boxes of three objects and their classes, zeros and -1 where there are fewer."""

    def integer(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    image, boxes, kinds = 0.3 * torch.rand(3, SIDE, SIDE, generator=generator), torch.empty(0, 4), []
    for _ in range(integer(1, 4)):
        width, height = integer(6, 21), integer(6, 21)
        left, top = integer(0, SIDE - width + 1), integer(0, SIDE - height + 1)
        box = torch.tensor([[left, top, left + width, top + height]]).float()
        if (iou(box, boxes) > 0).any():
            continue  # objects do not hide each other
        u = ((torch.arange(SIDE) + 0.5 - left) / width * 2 - 1)[None, :]  # -1..1 across the box
        v = ((torch.arange(SIDE) + 0.5 - top) / height * 2 - 1)[:, None]
        shapes = (u.abs().maximum(v.abs()) <= 1, u**2 + v**2 <= 1, (2 * u.abs() - 1 <= v) & (v <= 1))
        kinds.append(integer(0, 3))
        image[:, shapes[kinds[-1]]] = 0.4 + 0.6 * torch.rand(3, 1, generator=generator)
        boxes = torch.cat([boxes, box])
    absent = 3 - len(boxes)
    return image, F.pad(boxes, (0, 0, 0, absent)), torch.tensor(kinds + absent * [-1])


def scenes(n: int, generator: torch.Generator) -> list[Tensor]:
    """(n, 3, SIDE, SIDE), (n, 3, 4), (n, 3)."""
    return [torch.stack(part) for part in zip(*(scene(generator) for _ in range(n)), strict=True)]


def recall(boxes: Tensor, truth: Tensor, kinds: Tensor) -> float:
    """Share of the objects that some box meets with IoU >= 0.5: (n, K, 4) or (1, K, 4), (n, 3, 4), (n, 3)."""
    most = iou(truth[:, :, None], boxes[:, None]).amax(2)
    return (most[kinds >= 0] >= 0.5).float().mean().item()


def mean_average_precision(chances: Tensor, boxes: Tensor, truth: Tensor, kinds: Tensor) -> float:
    """Mean over classes, and over its objects, of the precision at which each is found; without interpolation.

    A box hits if it and an object of its class have IoU >= HIT and no surer box has hit that object.
    """
    precisions = []
    for kind in range(len(CLASSES)):
        score = chances[..., kind + 1]
        score = score.masked_fill(score < LEAST_SCORE, -torch.inf)
        kept = best_apart(boxes, score, boxes.shape[1], OVERLAP)
        found = [(float(score[n, k]), n, int(k)) for n, row in enumerate(kept) for k in row[row >= 0]]
        hits, taken = [], set()
        for _, n, k in sorted(found, key=lambda detection: -detection[0]):
            overlap, best = torch.where(kinds[n] == kind, iou(boxes[n, k], truth[n]), 0.0).max(0)
            hits.append(float(overlap >= HIT and (n, int(best)) not in taken))
            taken |= {(n, int(best))} if hits[-1] else set()
        ranked = torch.tensor(hits)
        precision = ranked.cumsum(0) / torch.arange(1, len(hits) + 1)
        precisions.append(float((precision * ranked).sum() / (kinds == kind).sum()))
    return sum(precisions) / len(precisions)


def overlap(a: list[float], b: list[float]) -> float:
    both = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def move_loss(t: Tensor, base: list[float], box: list[float]) -> Tensor:
    """Sum of the smooth absolute differences d: d^2 / 0.2 up to 0.1, from there d - 0.05."""
    wide, high = base[2] - base[0], base[3] - base[1]
    right = [(box[0] + box[2] - base[0] - base[2]) / 2 / wide, (box[1] + box[3] - base[1] - base[3]) / 2 / high]
    right += [math.log((box[2] - box[0]) / wide), math.log((box[3] - box[1]) / high)]
    off = [(said - wanted).abs() for said, wanted in zip(t, right, strict=True)]
    return sum(d - 0.05 if d > 0.1 else d**2 / 0.2 for d in off)


def loss_by_object(net: FasterRCNN, images: Tensor, truth: Tensor, kinds: Tensor, mode: str) -> Tensor:
    """The joint loss again, anchor by anchor and object by object, with F.grid_sample for RoIAlign."""
    features = net.backbone(images)
    raw, share = net.rpn(features), (torch.arange(POOL) + 0.5).double() / POOL
    object_there, nothing, moved, named, corrected = [], [], [], [], []
    for n in range(len(images)):
        known = [(box, kind) for box, kind in zip(truth[n].tolist(), kinds[n].tolist(), strict=True) if kind >= 0]
        looked = []  # anchor, its score, its t
        for row, column, k in itertools.product(range(GRID), range(GRID), range(9)):
            side, shape = SIZES[k // 3], math.sqrt(SHAPES[k % 3])
            x, y, half_x, half_y = CELL * (column + 0.5), CELL * (row + 0.5), side * shape / 2, side / shape / 2
            values = raw[n, 5 * k : 5 * k + 5, row, column]
            looked.append(([x - half_x, y - half_y, x + half_x, y + half_y], values[0], values[1:]))
        table = [[overlap(anchor, box) for box, _ in known] for anchor, _, _ in looked]
        highest = [max(column) for column in zip(*table, strict=True)]
        for (anchor, score, t), met in zip(looked, table, strict=True):
            if max(met) >= 0.5 or any(m == h for m, h in zip(met, highest, strict=True)):
                object_there.append(F.softplus(-score))
                moved.append(move_loss(t, anchor, known[met.index(max(met))][0]))
            elif max(met) < 0.3:
                nothing.append(F.softplus(score))
        boxes = []
        for (x0, y0, x1, y1), _, t in sorted(looked, key=lambda one: -one[1].item()):
            (x, y, wide, high), w, h = t.tolist(), x1 - x0, y1 - y0
            x, y = (x0 + x1) / 2 + x * w, (y0 + y1) / 2 + y * h
            wide, high = w * math.exp(min(wide, 2)) / 2, h * math.exp(min(high, 2)) / 2
            box = [x - wide, y - high, x + wide, y + high]
            if len(boxes) < KEPT and all(overlap(box, other) <= APART for other in boxes):
                boxes.append(box)
        for box in boxes:
            x, y = (box[k] + share * (box[k + 2] - box[k]) for k in (0, 1))
            grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None] * 2 / SIDE - 1
            seen = F.grid_sample(features[n : n + 1], grid, mode, padding_mode="border", align_corners=False)
            answer = net.head(seen)[0]
            met = [overlap(box, other) for other, _ in known]
            best, kind = known[met.index(max(met))]
            is_there = max(met) >= 0.5
            named.append(answer[:4].logsumexp(0) - answer[kind + 1 if is_there else 0])
            corrected += [move_loss(answer[4:], box, best)] if is_there else []
    means = [sum(some) / len(some) for some in (object_there, nothing, named)]
    return sum(means) + sum(sum(some) / (4 * len(some)) for some in (moved, corrected) if some)


def joint_gaps(net: FasterRCNN, *scenes: Tensor) -> list[float]:
    """Largest gap of the joint loss and its gradients from the loop, which reads features between cells, or rounds."""
    net = copy.deepcopy(net).cpu().double().train()
    net.anchors = anchors(torch.float64)
    images, truth, kinds = scenes
    leaf = images.double().requires_grad_()
    sides = []
    for loss in (joint_loss, *(functools.partial(loss_by_object, mode=mode) for mode in ("bilinear", "nearest"))):
        value = loss(net, leaf, truth.double(), kinds)
        grads = torch.autograd.grad(value, [leaf, *net.parameters()], materialize_grads=True)
        sides.append([value.detach(), *grads])
    return [max(float((a - b).abs().max()) for a, b in zip(sides[0], side, strict=True)) for side in sides[1:]]


def ramp_gaps(boxes: Tensor) -> list[float]:
    """What RoIAlign reads of a ramp 3x + 5y, minus the ramp at the middles of the bins; and rounded to whole cells."""
    middle = CELL * (torch.arange(GRID).double() + 0.5)
    ramp = (3 * middle + 5 * middle[:, None])[None, None]
    inside = boxes.double().clamp(CELL / 2, SIDE - CELL / 2)[None]
    share = (torch.arange(POOL) + 0.5) / POOL
    x, y = (inside[0, :, k, None] + share * (inside[0, :, k + 2, None] - inside[0, :, k, None]) for k in (0, 1))
    right = 3 * x[:, None] + 5 * y[:, :, None]  # (K, POOL, POOL)
    rounded = roi_align(ramp, (inside / CELL).round() * CELL)
    return [float((read[0, :, 0] - right).abs().max()) for read in (roi_align(ramp, inside), rounded)]


def shared_rows(some: Tensor, others: Tensor) -> float:
    """How many of the one occur in the other."""
    known = {row.numpy().tobytes() for row in others}
    return float(sum(row.numpy().tobytes() in known for row in some))


def fixed_boxes(bases: Tensor, objects: Tensor) -> Tensor:  # (A, 4), (n, 4) -> (1, KEPT, 4)
    """One after the other the anchor that meets most objects which none before it has met."""
    meets, chosen = iou(bases[:, None], objects) >= 0.5, []
    for _ in range(KEPT):
        chosen.append(int(meets.sum(1).argmax()))
        meets = meets & ~meets[chosen[-1]]
    return bases[chosen][None]


def detect(net: FasterRCNN, features: Tensor, boxes: Tensor) -> list[Tensor]:
    """What the second look says of boxes: chances of background and classes (B, K, 4), boxes (B, K, 4)."""
    classes, t = net.look(features, boxes)
    return [classes.softmax(-1).cpu(), decode(t, boxes).cpu()]


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    training, test = scenes(SCENES, data), scenes(TESTS, unseen)
    images, truth, kinds = (part.to(device) for part in training)
    net = FasterRCNN().to(device)
    optimizer = torch.optim.Adam(net.parameters())
    for step in range(steps):
        rows = torch.randint(0, SCENES, (BATCH,), generator=data).to(device)
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        loss = joint_loss(net, images[rows], truth[rows], kinds[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"both looks": loss.item()}

    bases, objects = anchors(), training[1][training[2] >= 0]
    with torch.no_grad():
        features, scores, t = net.eval().propose(test[0].to(device))
        proposals = best_proposals(net, scores, t)
        chances, corrected = detect(net, features, proposals)
        fixed = fixed_boxes(bases, objects)
        fixed_answers = detect(net, features, fixed.expand(TESTS, -1, -1).to(device))
    proposals = proposals.cpu()
    most, which = iou(proposals[:, :, None], test[1][:, None]).max(2)
    met = most >= 0.5
    before, after = most[met].mean().item(), iou(corrected, pick(test[1], which))[met].mean().item()
    covered = (iou(bases[:, None], objects) >= 0.5).unflatten(0, (-1, 9)).any(0)  # (9, n)
    worst = (iou(bases, test[1][:, :, None]).amax(2) + (test[2] < 0)).amin(1).argsort()[:3]  # what anchors fit worst
    gaps, ramp = joint_gaps(net, *(part[worst] for part in test)), ramp_gaps(proposals[0])
    several = [n for n in range(TESTS) if (test[2][n] >= 0).sum() > 1][:2]
    second = []
    for n in several:
        score, kind = chances[n].max(-1)
        kept = best_apart(corrected[n : n + 1], score.where(kind > 0, -torch.inf)[None], KEPT, OVERLAP)[0]
        second.append([(*corrected[n, k].tolist(), CLASSES[kind[k] - 1]) for k in kept[kept >= 0]])
    first = [[(*box, "") for box in proposals[n].tolist()] for n in several]
    return {
        "proposal_recall": recall(proposals, *test[1:]),
        "fixed_recall": recall(fixed, *test[1:]),
        "map50": mean_average_precision(chances, corrected, *test[1:]),
        "fixed_map50": mean_average_precision(*fixed_answers, *test[1:]),
        "corrected_iou": after,
        "proposed_iou": before,
        "anchor_cover": covered.any(0).float().mean().item(),
        "one_shape_cover": covered.float().mean(1).max().item(),
        "joint_gap": gaps[0],
        "rounded_gap": gaps[1],
        "ramp_gap": ramp[0],
        "rounded_ramp_gap": ramp[1],
        "shared_scenes": shared_rows(test[0], training[0]),
        "training_scenes": shared_rows(training[0], training[0]),
    }, {
        "above: proposed boxes; below: what the second look makes of them": {
            "kind": "images",
            "images": 2 * [test[0][n].movedim(0, -1).tolist() for n in several],
            "titles": len(several) * ["first look"] + len(several) * ["second look"],
            "boxes": first + second,
            "columns": len(several),
        },
    }


# %% what is claimed

TITLE = {"en": "Faster R-CNN looks twice", "zh": "Faster R-CNN 看两遍"}
CURVES = "loss"
CPU_SECONDS = 5
CLAIMS = {
    "trained proposal_recall >= 0.95 > fixed_recall >= 0.35": {
        "en": "share of fresh objects that one of ten proposals meets with IoU 0.5 or more; the control is ten "
        "anchors, chosen one by one to meet most training objects",
        "zh": "新场景中被十个候选框之一以不低于 0.5 的 IoU 覆盖的物体比例；"
        "对照为逐个挑选、尽量多覆盖训练物体的十个固定锚框",
    },
    "trained map50 >= 0.88 > fixed_map50 >= 0.45": {
        "en": "mean average precision (mAP) at IoU 0.5 on fresh scenes; the control gives the same second look the ten "
        "fixed anchors in place of the proposals",
        "zh": "新场景上 IoU 阈值 0.5 的 mAP；对照用十个固定锚框代替候选框，交给同一个第二阶段",
    },
    "trained corrected_iou >= 0.77 > proposed_iou >= 0.64": {
        "en": "mean IoU with its object, after the second look, of the proposals that met one with 0.5 or more; the "
        "control is the same before it",
        "zh": "与物体的 IoU 不低于 0.5 的候选框经第二阶段修正后的平均 IoU；对照为修正之前",
    },
    "parity anchor_cover >= 0.92 > one_shape_cover >= 0.45": {
        "en": "share of training objects that some anchor meets with IoU 0.5 or more; the control keeps the best "
        "one of the nine at each place",
        "zh": "与某个锚框的 IoU 不低于 0.5 的训练物体比例；对照只保留每处九个锚框中最好的一种",
    },
    "parity joint_gap <= 1e-10 < rounded_gap": {
        "en": "largest gap of the loss of both looks, and of its gradients, from a loop over anchors, proposals and "
        "objects with F.grid_sample (f64); the control rounds to whole cells",
        "zh": "两个阶段的总损失及其梯度，与逐锚框、逐候选框计算（用 F.grid_sample）的最大差距（f64）；"
        "对照把采样点取整到格",
    },
    "parity ramp_gap <= 1e-10 < rounded_ramp_gap": {
        "en": "largest gap of what RoIAlign reads of a linear ramp from the ramp itself (f64); the control rounds "
        "boxes to whole cells, as RoI pooling does",
        "zh": "RoIAlign 在线性斜坡上读到的值与斜坡本身的最大差距（f64）；对照像 RoI 池化那样把框取整到格",
    },
    "parity shared_scenes <= 0 < training_scenes": {
        "en": "test scenes that occur in the training set; the control counts the training set in itself",
        "zh": "测试场景中出现在训练集里的个数；对照在训练集自身中计数",
    },
}
ZH = {
    "loss": "损失",
    "both looks": "两个阶段之和",
    "above: proposed boxes; below: what the second look makes of them": "上：第一阶段的候选框；下：第二阶段的结果",
    "first look": "第一阶段",
    "second look": "第二阶段",
    "rectangle": "矩形",
    "ellipse": "椭圆",
    "triangle": "三角形",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
