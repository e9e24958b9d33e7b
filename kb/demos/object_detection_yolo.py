"""YOLO — one pass over the image; the grid cell that holds the centre of an object answers for it.

Synthetic 32x32 scenes hold one to three coloured rectangles, ellipses or triangles of 6 to 20 pixels on noise. A small
convolutional network turns a scene into an 8x8 grid; every cell predicts whether an object is centred in it, its
class and one box. (The first YOLO predicts two boxes a cell through dense layers, with squared errors; here the layers
are convolutions, and the losses are cross-entropy and, of a box, IoU.) Non-maximum suppression (NMS) drops repeated
boxes; the mean average precision (mAP) of the rest is taken at IoU 0.5, without interpolation. Flat shapes on noise are
easy for older methods too, and a toy of a driving car's perception is no measure of it: nothing here compares with
either.

Needs:  torch, scikit-learn
Source: J. Redmon, S. Divvala, R. Girshick, A. Farhadi, You Only Look Once: Unified, Real-Time Object Detection, CVPR
        2016; IoU as the loss: J. Yu et al., UnitBox, ACM Multimedia 2016
"""

import copy

import torch
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, GRID, CELL, CLASSES = 32, 8, 4, ("rectangle", "ellipse", "triangle")
SCENES, TESTS, WIDTH, BATCH, RATE, OVERLAP, LEAST_SCORE = 800, 200, 12, 24, 1e-2, 0.5, 0.05

# %% the concept


def iou(a: Tensor, b: Tensor) -> Tensor:  # (..., 4), (..., 4) -> (...)
    """Intersection over union of boxes x0, y0, x1, y1."""
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    intersection = sides.clamp(min=0).prod(-1)
    areas = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return intersection / (areas - intersection)


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        plan = ((3, WIDTH, 2), (WIDTH, 2 * WIDTH, 2), (2 * WIDTH, 2 * WIDTH, 1), (2 * WIDTH, 2 * WIDTH, 1))
        layers = [(nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()) for i, o, s in plan]
        self.cells = nn.Sequential(*sum(layers, ()), nn.Conv2d(2 * WIDTH, 1 + len(CLASSES) + 4, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return decode(self.cells(images))  # (B, 3, SIDE, SIDE) -> (B, 8, GRID, GRID) -> a box in every cell


def decode(raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Per cell: (B, 8, GRID, GRID) -> objectness (B, GRID, GRID), class logits (.., 3), box (.., 4)."""
    parts = raw.movedim(1, -1).split([1, len(CLASSES), 2, 2], -1)
    index = torch.arange(GRID, device=raw.device)
    corner = torch.stack(torch.meshgrid(index, index, indexing="xy"), -1)  # x, y of each cell: (GRID, GRID, 2)
    centre, half = CELL * (corner + parts[2].sigmoid()), SIDE / 2 * parts[3].sigmoid()  # the centre stays in its cell
    return parts[0][..., 0], parts[1], torch.cat([centre - half, centre + half], -1)


def grid_target(boxes: Tensor, kinds: Tensor) -> Tensor:  # (n, 4), (n,) -> (GRID, GRID, 6)
    """Objectness, class and box in the cell that holds the centre."""
    target = torch.zeros(GRID, GRID, 6).to(boxes)
    column, row = ((boxes[:, :2] + boxes[:, 2:]) / 2 / CELL).long().unbind(1)
    target[row, column] = torch.cat([torch.ones(len(boxes), 1), kinds[:, None], boxes], 1).to(boxes)
    return target


def loss_of(answer: tuple[Tensor, Tensor, Tensor], target: Tensor) -> Tensor:
    """Every cell learns its objectness; only a cell with an object learns a class and a box."""
    (objectness, kinds, boxes), here = answer, target[..., 0] > 0
    seen = F.binary_cross_entropy_with_logits(objectness, target[..., 0], reduction="sum") / len(target)
    named = F.cross_entropy(kinds[here], target[here][:, 1].long())
    return seen + named + 2 * (1 - iou(boxes[here], target[here][:, 2:])).mean()


def nms(boxes: Tensor, scores: Tensor) -> list[int]:  # (n, 4), (n,) -> indices
    """Keep the best box, drop those that overlap it, repeat."""
    kept, order = [], scores.argsort(descending=True)
    while len(order):
        kept.append(int(order[0]))
        order = order[1:][iou(boxes[order[0]], boxes[order[1:]]) <= OVERLAP]
    return kept


# %% the experiment


def average_precision(hits: Tensor, total: int) -> Tensor:  # (n,) -> ()
    """Mean over all `total` objects of the precision at which each is found; hits are ranked."""
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return (precision * hits).sum() / total


def mean_average_precision(
    answer: tuple[Tensor, Tensor, Tensor], truth: list[tuple[Tensor, Tensor]], suppress: bool = True
) -> float:
    """A detection hits if its box and an object's have IoU >= 0.5 and no better one has hit that object."""
    objectness, kinds, boxes = (part.flatten(1, 2) for part in answer)  # (B, GRID * GRID, ..)
    scores, classes = (objectness.sigmoid()[..., None] * kinds.softmax(-1)).max(-1)
    precisions = []
    for kind in range(len(CLASSES)):
        found = []  # (score, image, box) of this class
        for n in range(len(truth)):
            mine = (classes[n] == kind) & (scores[n] > LEAST_SCORE)
            box, score = boxes[n][mine], scores[n][mine]
            kept = nms(box, score) if suppress else range(len(box))
            found += [(float(score[k]), n, box[k]) for k in kept]
        objects = [boxes[kinds == kind] for boxes, kinds in truth]
        hits, taken = [], set()
        for _, n, box in sorted(found, key=lambda detection: -detection[0]):
            overlap, best = max(((float(o), k) for k, o in enumerate(iou(box, objects[n]))), default=(0.0, 0))
            hits.append(float(overlap >= 0.5 and (n, best) not in taken))
            taken |= {(n, best)} if hits[-1] else set()
        precisions.append(average_precision(torch.tensor(hits), sum(len(o) for o in objects)))
    return float(sum(precisions) / len(precisions))


def scene(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """An image, its boxes and their classes: (3, SIDE, SIDE), (n, 4), (n,)."""

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
    return image, boxes, torch.tensor(kinds)


def measures(generator: torch.Generator) -> dict[str, float]:
    """Each measure against a slow twin, on 50 random cases; and what a wrong version would give."""
    gaps = {name: [] for name in ("iou", "double_counted_iou", "nms", "unsorted_nms", "ap", "unsorted_ap")}
    subsets = torch.cartesian_prod(*6 * [torch.arange(2.0)])  # (64, 6)
    for _ in range(50):
        size = torch.randint(8, 16, (6, 2), generator=generator)
        corner = torch.randint(0, 10, (6, 2), generator=generator)
        boxes, scores = torch.cat([corner, corner + size], 1).double(), torch.rand(6, generator=generator)

        moved = boxes[1] + torch.randint(0, 12, (2,), generator=generator).repeat(2)
        x, y = torch.arange(2 * SIDE), torch.arange(2 * SIDE)[:, None]
        a, b = (((x >= x0) & (x < x1) & (y >= y0) & (y < y1)) for x0, y0, x1, y1 in (boxes[0], moved))
        counted = int((a & b).sum()) / int((a | b).sum())
        gaps["iou"].append(float(abs(iou(boxes[0], moved) - counted)))
        gaps["double_counted_iou"].append(abs(int((a & b).sum()) / int(a.sum() + b.sum()) - counted))

        clash = (iou(boxes[:, None], boxes) > OVERLAP).float().fill_diagonal_(0)
        free = subsets[torch.einsum("si,ij,sj->s", subsets, clash, subsets) == 0]
        weight = 0.5 ** scores.argsort(descending=True).argsort()  # a box outweighs all worse ones together
        best = free[(free @ weight).argmax()].nonzero()[:, 0].tolist()
        gaps["nms"].append(float(sorted(nms(boxes, scores)) != best))
        gaps["unsorted_nms"].append(float(sorted(nms(boxes, torch.arange(6))) != best))

        hits, scores = (torch.rand(2, 30, generator=generator, dtype=torch.float64) * 2).unbind()
        hits = hits.floor()
        theirs = average_precision_score(hits.numpy(), scores.numpy())
        ranked = hits[scores.argsort(descending=True)]
        gaps["ap"].append(float(abs(average_precision(ranked, int(hits.sum())) - theirs)))
        gaps["unsorted_ap"].append(float(abs(average_precision(hits, int(hits.sum())) - theirs)))
    return {f"{name}_gap": max(values) for name, values in gaps.items() if "nms" not in name} | {
        f"{name}_mistakes": sum(gaps[name]) / 50 for name in ("nms", "unsorted_nms")
    }


def loss_by_object(raw: Tensor, truth: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The loss again, object by object: (B, 8, GRID, GRID) -> ()."""
    seen, named, missed = [], [], []
    for grid, (boxes, kinds) in zip(raw, truth, strict=True):
        is_here = torch.zeros(GRID, GRID).to(raw)
        for (x0, y0, x1, y1), kind in zip(boxes.tolist(), kinds.tolist(), strict=True):
            row, column = int((y0 + y1) / 2 / CELL), int((x0 + x1) / 2 / CELL)
            is_here[row, column] = 1
            logits, (x, y, wide, high) = grid[1:4, row, column], grid[4:, row, column].sigmoid()
            x, y, wide, high = CELL * (column + x), CELL * (row + y), SIDE * wide, SIDE * high
            across = (x + wide / 2).clamp(max=x1) - (x - wide / 2).clamp(min=x0)
            down = (y + high / 2).clamp(max=y1) - (y - high / 2).clamp(min=y0)
            both = across.relu() * down.relu()
            named.append(logits.logsumexp(0) - logits[kind])
            missed.append(1 - both / (wide * high + (x1 - x0) * (y1 - y0) - both))
        seen.append((F.softplus(grid[0]) - is_here * grid[0]).sum())
    return sum(seen) / len(seen) + sum(named) / len(named) + 2 * sum(missed) / len(missed)


def identities(truth: list[tuple[Tensor, Tensor]], generator: torch.Generator) -> dict[str, float]:
    """The loss and its gradient against the loop over objects; the mAP of true boxes, sent through the grid; f64."""
    raw = torch.randn(len(truth), 8, GRID, GRID, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.stack([grid_target(boxes.double(), kinds) for boxes, kinds in truth])

    def with_slope(value: Tensor) -> tuple[Tensor, Tensor]:
        return value, torch.autograd.grad(value, raw)[0]

    mine, theirs = with_slope(loss_of(decode(raw), target)), with_slope(loss_by_object(raw, truth))
    turned = with_slope(loss_of(decode(raw), target.transpose(1, 2)))

    def gap(ours: tuple[Tensor, Tensor]) -> float:
        return max((a - b).detach().abs().max().item() for a, b in zip(ours, theirs, strict=True))

    here, box = target[..., :1], target[..., 2:]
    within = ((box[..., :2] + box[..., 2:]) / 2 / CELL) % 1  # where the centre is in its cell
    size = (box[..., 2:] - box[..., :2]) / SIDE
    kind = F.one_hot(target[..., 1].long(), len(CLASSES))
    raw = torch.cat([20 * here - 10, 20 * kind, within.logit(1e-12), size.logit(1e-12)], -1)
    perfect = decode(raw.movedim(-1, 1))
    twice = tuple(torch.cat([part, part], 1) for part in perfect)
    return {
        "loss_gap": gap(mine),
        "turned_loss_gap": gap(turned),
        "perfect_map50": mean_average_precision(perfect, truth),
        "repeated_map50": mean_average_precision(twice, truth, suppress=False),
    }


@torch.no_grad()
def company_gap(detector: Detector, images: Tensor, training: bool) -> float:
    """Largest difference in what a scene is answered alone and among others (f64)."""
    twin = copy.deepcopy(detector).cpu().double()
    cells = twin.train(twin.training or training).cells
    return (cells(images.double()) - torch.cat([cells(image[None].double()) for image in images])).abs().max().item()


def shared_rows(some: Tensor, others: Tensor) -> float:
    """How many of the one occur in the other."""
    known = {row.numpy().tobytes() for row in others}
    return float(sum(row.numpy().tobytes() in known for row in some))


def run(device="cpu", seed=0, steps=400):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    images, boxes, kinds = zip(*(scene(data) for _ in range(SCENES)), strict=True)
    x = torch.stack(images).to(device)
    targets = torch.stack([grid_target(*of_one) for of_one in zip(boxes, kinds, strict=True)]).to(device)
    fresh, *truth = zip(*(scene(unseen) for _ in range(TESTS)), strict=True)
    fresh, truth = torch.stack(fresh), list(zip(*truth, strict=True))

    detector = Detector().to(device)
    optimizer = torch.optim.Adam(detector.parameters())
    for step in range(steps):
        rows = torch.randint(0, SCENES, (BATCH,), generator=data).to(device)
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        loss = loss_of(detector(x[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"YOLO": loss.item()}

    with torch.no_grad():
        answer = tuple(part.cpu() for part in detector.eval()(fresh.to(device)))
    centre, named = (answer[2][..., :2] + answer[2][..., 2:]) / 2, answer[1].argmax(-1)
    sizes, kind = torch.cat(boxes)[:, 2:] - torch.cat(boxes)[:, :2], torch.cat(kinds)
    half = torch.stack([sizes[kind == k].mean(0) for k in range(len(CLASSES))])[named] / 2
    mean_boxes = torch.cat([centre - half, centre + half], -1)
    several = [n for n in range(TESTS) if len(truth[n][0]) > 1][:4]
    found = [
        [(*answer[2][n, i, j].tolist(), CLASSES[named[n, i, j]]) for i, j in (answer[0][n] > 0).nonzero()]
        for n in several
    ]
    return {
        "map50": mean_average_precision(answer, truth),
        "mean_box_map50": mean_average_precision((*answer[:2], mean_boxes), truth),
        "map50_without_nms": mean_average_precision(answer, truth, suppress=False),
        **measures(unseen),
        **identities(truth[:50], unseen),
        "shared_scenes": shared_rows(fresh, torch.stack(images)),
        "training_scenes": shared_rows(torch.stack(images), torch.stack(images)),
        "company_gap": company_gap(detector, fresh[:8], training=False),
        "training_company_gap": company_gap(detector, fresh[:8], training=True),
    }, {
        "cells above 0.5 on fresh scenes, before NMS, and how many objects there are": {
            "kind": "images",
            "images": [fresh[n].movedim(0, -1).tolist() for n in several],
            "titles": [f"{len(said)} / {len(truth[n][0])}" for n, said in zip(several, found, strict=True)],
            "boxes": found,
            "columns": 2,
        },
    }


# %% what is claimed

TITLE = {"en": "YOLO-style detection in one pass", "zh": "YOLO 式单阶段目标检测"}
CURVES = "loss"
SCALE = ("WIDTH", "BATCH")
CPU_SECONDS = 5
CLAIMS = {
    "trained map50 >= 0.86 > mean_box_map50 >= 0.3": {
        "en": "mean average precision at IoU 0.5 on fresh scenes; control: every box has the mean size of its class",
        "zh": "新场景上 IoU 阈值 0.5 的 mAP；对照把所有框都换成其类别的平均大小",
    },
    "parity loss_gap <= 1e-10 < turned_loss_gap": {
        "en": "largest gap of the loss and its gradient from a loop over objects (f64); the control turns the grid",
        "zh": "损失及其梯度与逐个物体计算的最大差距（f64）；对照互换了网格的行与列",
    },
    "parity perfect_map50 >= 1 > repeated_map50": {
        "en": "mAP of the true boxes, sent through the grid; the control reports every object twice, without NMS",
        "zh": "真实框经网格编码、解码后的 mAP；对照把每个物体报告两次且不做 NMS",
    },
    "parity iou_gap <= 1e-10 < double_counted_iou_gap": {
        "en": "largest gap between IoU and a count of pixels; the control counts the intersection twice",
        "zh": "IoU 与逐像素计数的最大差距；对照把交集算了两次",
    },
    "parity nms_mistakes <= 0 < unsorted_nms_mistakes": {
        "en": "share of NMS answers that a search through all subsets disputes; the control ignores scores",
        "zh": "NMS 结果与枚举所有子集不同的比例；对照忽略得分",
    },
    "parity ap_gap <= 1e-10 < unsorted_ap_gap": {
        "en": "largest gap of average precision from scikit-learn; the control ignores the scores",
        "zh": "平均精度与 scikit-learn 的最大差距；对照忽略得分",
    },
    "parity shared_scenes <= 0 < training_scenes": {
        "en": "test scenes that occur in the training set; the control counts the training set in itself",
        "zh": "测试场景中出现在训练集里的个数；对照在训练集自身中计数",
    },
    "parity company_gap <= 1e-10 < training_company_gap": {
        "en": "answers to a scene alone minus those among others (f64); the control normalizes by the batch, as in "
        "training",
        "zh": "单独输入与成批输入时对同一场景的回答之差（f64）；对照像训练时那样按批归一化",
    },
}
ZH = {
    "loss": "损失",
    "cells above 0.5 on fresh scenes, before NMS, and how many objects there are": "新场景上"
    "高于 0.5 的格子（NMS 之前；格子数 / 实有物体数）",
    "rectangle": "矩形",
    "ellipse": "椭圆",
    "triangle": "三角形",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
