"""Semantic segmentation — a small U-Net labels every pixel, and its skip connections keep the outlines sharp.

Synthetic 24x24 scans: an elliptic organ with up to three bright lesions, and spots as bright as lesions outside it
that are background. The U-Net shrinks the image to see the surroundings and hands the finer features across to the
decoder. Its controls: the same network with as many parameters, whose skip connections carry zeros, and a table of
the most frequent label by a pixel's brightness and the mean of the 5x5 around it. Simulated data: nothing here is
about real scans.

Needs:  torch, scikit-learn
Source: O. Ronneberger, P. Fischer, T. Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI
        2015; J. Long, E. Shelhamer, T. Darrell, Fully Convolutional Networks for Semantic Segmentation, CVPR 2015
"""

import math
from copy import deepcopy

import torch
from sklearn.metrics import jaccard_score
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES, SIDE, WIDTH, SCANS, TESTS, BATCH, RATE, BINS = ("background", "organ", "lesion"), 24, 8, 400, 200, 8, 5e-3, 24

# %% the concept


def convolution(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())


class UNet(nn.Module):
    def __init__(self, skips: bool = True) -> None:
        super().__init__()
        w, self.skips = WIDTH, skips
        self.down = nn.ModuleList([convolution(1, w), convolution(w, 2 * w), convolution(2 * w, 4 * w)])
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, 2) for c in (2 * w, w))
        self.up = nn.ModuleList([convolution(4 * w, 2 * w), convolution(2 * w, w)])
        self.label = nn.Conv2d(w, len(CLASSES), 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, S, S) -> (B, classes, S, S)
        fine = self.down[0](x)  # (B, w, S, S)
        middle = self.down[1](F.max_pool2d(fine, 2))  # (B, 2w, S/2, S/2)
        coarse = self.down[2](F.max_pool2d(middle, 2))  # (B, 4w, S/4, S/4)
        for enlarge, up, skip in zip(self.enlarge, self.up, (middle, fine), strict=True):
            coarse = up(torch.cat([enlarge(coarse), skip if self.skips else torch.zeros_like(skip)], 1))
        return self.label(coarse)


def confusion(answers: Tensor, labels: Tensor) -> Tensor:  # (n, S, S) twice -> (classes, classes)
    pairs = len(CLASSES) * labels.flatten() + answers.flatten()
    return torch.bincount(pairs, minlength=len(CLASSES) ** 2).reshape(len(CLASSES), -1).cpu().double()


def class_iou(matrix: Tensor) -> Tensor:  # (classes, classes) -> (classes,)
    """Pixels right over pixels that either side gives the class: TP / (TP + FP + FN)."""
    right = matrix.diagonal()
    return right / (matrix.sum(0) + matrix.sum(1) - right)


# %% its control


def by_table(image: Tensor, labels: Tensor, fresh: Tensor, size: int) -> Tensor:
    """The most frequent label of each brightness and mean brightness around it, read off for fresh images."""

    def cell(x: Tensor) -> Tensor:  # (n, 1, S, S) -> (n, S, S)
        around = F.avg_pool2d(F.pad(x, 4 * [size // 2], "reflect"), size, 1)
        own, near = ((BINS * part[:, 0]).long().clamp(0, BINS - 1) for part in (x, around))
        return BINS * own + near

    cells = cell(image)
    counts = [torch.bincount(cells[labels == kind], minlength=BINS**2) for kind in range(len(CLASSES))]
    return torch.stack(counts).argmax(0)[cell(fresh)]


# %% the experiment


def scans(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images and the class of each pixel: (n, 1, SIDE, SIDE), (n, SIDE, SIDE)."""

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, 1, 1, generator=generator)

    def disc(x: Tensor, y: Tensor) -> Tensor:
        return (columns - x) ** 2 + (rows - y) ** 2 <= draw(1.2, 2.6) ** 2

    rows, columns = torch.meshgrid(*2 * [torch.arange(SIDE) + 0.5], indexing="ij")
    x, y, long, wide, turn = draw(10, 14), draw(10, 14), draw(6, 10), draw(6, 10), draw(0, math.pi)
    cos, sin = turn.cos(), turn.sin()
    along, across = (columns - x) * cos + (rows - y) * sin, (rows - y) * cos - (columns - x) * sin
    organ = (along / long) ** 2 + (across / wide) ** 2 <= 1
    labels, spots = organ.long(), torch.zeros_like(organ)
    for _ in range(3):
        angle, reach = draw(0, 2 * math.pi), 0.6 * draw(0, 1).sqrt()
        a, b = reach * angle.cos() * long, reach * angle.sin() * wide
        labels[disc(x + a * cos - b * sin, y + a * sin + b * cos) & organ] = 2
    for _ in range(2):
        spots |= disc(draw(2, SIDE - 2), draw(2, SIDE - 2)) & ~organ
    brightness = torch.stack([draw(0.1, 0.3), draw(0.4, 0.6), draw(0.7, 0.9)], 1)  # of each class
    image = brightness.expand(n, 3, SIDE, SIDE).gather(1, torch.where(spots, 2, labels)[:, None])
    return image + 0.08 * torch.randn(image.shape, generator=generator), labels


def written_out(net: UNet, x: Tensor) -> Tensor:
    """The U-Net's answer, step by step from its weights."""

    def block(part: nn.Sequential, x: Tensor) -> Tensor:
        norm = part[1]
        scaled = norm.weight / (norm.running_var + norm.eps).sqrt()
        x = F.conv2d(F.pad(x, (1, 1, 1, 1)), part[0].weight * scaled[:, None, None, None])
        return (x + (norm.bias - norm.running_mean * scaled)[:, None, None]).clamp(min=0)

    def half(x: Tensor) -> Tensor:
        return x.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).amax((3, 5))

    def twice(part: nn.ConvTranspose2d, x: Tensor) -> Tensor:
        blocks = torch.einsum("bihw,ioyx->bohywx", x, part.weight).flatten(4, 5).flatten(2, 3)
        return blocks + part.bias[:, None, None]

    first = block(net.down[0], x)
    second = block(net.down[1], half(first))
    third = block(net.down[2], half(second))
    fourth = block(net.up[0], torch.cat([twice(net.enlarge[0], third), second], 1))
    fifth = block(net.up[1], torch.cat([twice(net.enlarge[1], fourth), first], 1))
    return torch.einsum("bchw,kc->bkhw", fifth, net.label.weight[:, :, 0, 0]) + net.label.bias[:, None, None]


def gap_written_out(net: UNet, x: Tensor, skips: bool = True) -> float:
    """Largest difference between the trained network and `written_out`, in answers and gradients, f64."""
    net, x, sides = deepcopy(net).cpu().double().eval(), x.cpu().double(), []
    net.skips = skips
    for answer_of in (net, lambda x: written_out(net, x)):
        shown = x.clone().requires_grad_()
        answer = answer_of(shown)
        weight = torch.linspace(-1, 1, answer.numel(), dtype=torch.float64).view_as(answer)
        grads = torch.autograd.grad((answer * weight).sum(), (shown, *net.parameters()), materialize_grads=True)
        sides.append([answer, *grads])
    return max((a - b).detach().abs().max().item() for a, b in zip(*sides, strict=True))


def shared_rows(some: Tensor, others: Tensor) -> float:
    """How many of the one occur in the other."""
    known = {row.numpy().tobytes() for row in others}
    return float(sum(row.numpy().tobytes() in known for row in some))


def run(device="cpu", seed=0, steps=250):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))  # training data, test data
    (image, labels), (fresh, truth) = scans(SCANS, data), scans(TESTS, unseen)
    x, y = image.to(device), labels.to(device)
    weight = torch.tensor([1.0, 1.0, 4.0]).to(device)  # lesions are rare
    nets = {}
    for name in ("U-Net", "without skips"):
        torch.manual_seed(3 * seed)
        nets[name] = UNet(skips=name == "U-Net").to(device)
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        rows = torch.randint(0, SCANS, (BATCH,), generator=data).to(device)
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            logits = net(x[rows]).movedim(1, -1).flatten(0, 2)  # (B * S * S, classes)
            loss = F.cross_entropy(logits, y[rows].flatten(), weight=weight)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    with torch.no_grad():
        answers = {name: net.eval()(fresh.to(device)).argmax(1).cpu() for name, net in nets.items()}
    answers["by brightness"] = by_table(image, labels, fresh, 1)
    answers["brightness, surroundings"] = by_table(image, labels, fresh, 5)
    matrices = {name: confusion(answer, truth) for name, answer in answers.items()}
    overlap = {name: class_iou(matrix) for name, matrix in matrices.items()}
    theirs = jaccard_score(truth.flatten().numpy(), answers["U-Net"].flatten().numpy(), average=None)
    accuracy = matrices["U-Net"].trace() / matrices["U-Net"].sum()
    means = {name: of_it.mean().item() for name, of_it in overlap.items()}
    spotted = (fresh[:, 0] > 0.6) & (truth == 0)  # as bright as a lesion, and none
    n = int(((truth == 2).sum((1, 2)).clamp(max=20) + spotted.sum((1, 2)).clamp(max=20)).argmax())
    pictures = {"scan": fresh[n, 0].clamp(0, 1), "truth": truth[n] / 2}
    pictures |= {name: answers[name][n] / 2 for name in ("U-Net", "without skips", "brightness, surroundings")}
    pictures["mistakes of the U-Net"] = (answers["U-Net"][n] != truth[n]).float()
    return {
        "miou": means["U-Net"],
        "control_miou": max(means["without skips"], means["brightness, surroundings"]),
        "lesion_iou": overlap["U-Net"][2].item(),
        "table_lesion_iou": max(overlap[name][2].item() for name in ("by brightness", "brightness, surroundings")),
        "miou_gap": float(abs(overlap["U-Net"].numpy() - theirs).max()),
        "accuracy_gap": abs(accuracy.item() - theirs.mean()),
        "unet_gap": gap_written_out(nets["U-Net"], fresh[:4].to(device)),
        "skipless_gap": gap_written_out(nets["U-Net"], fresh[:4].to(device), skips=False),
        "shared_scans": shared_rows(fresh, image),
        "training_scans": shared_rows(image, image),
    }, {
        "one fresh scan": {
            "kind": "images",
            "images": [picture.tolist() for picture in pictures.values()],
            "titles": list(pictures),
            "columns": 3,
        },
        "intersection over union on fresh scans": {
            "kind": "table",
            "columns": ["", *CLASSES, "mean"],
            "rows": [[name, *of_it.tolist(), means[name]] for name, of_it in overlap.items()],
        },
    }


# %% what is claimed

TITLE = {"en": "U-Net labels every pixel", "zh": "U-Net 为每个像素分类"}
CURVES = "cross-entropy"
SCALE = ("WIDTH", "BATCH")
CPU_SECONDS = 4
CLAIMS = {
    "trained miou >= 0.92 > control_miou >= 0.8": {
        "en": "mean IoU of the three classes on fresh scans; control: the same network whose skip connections carry "
        "zeros, or the table by brightness and surroundings, whichever is better",
        "zh": "新扫描上三类的平均 IoU；对照：跳跃连接只传零的同一网络，或按亮度与周围查表，取较好者",
    },
    "trained lesion_iou >= 0.85 > table_lesion_iou >= 0.65": {
        "en": "IoU of the lesions on fresh scans; control: the most frequent label by brightness, alone or with the "
        "surroundings",
        "zh": "新扫描上病灶的 IoU；对照按亮度（或连同周围亮度）取最常见的类别",
    },
    "parity unet_gap <= 1e-10 < skipless_gap": {
        "en": "largest gap of the trained U-Net, answers and gradients, from its steps written out (f64); in the "
        "control the skip connections carry zeros",
        "zh": "训练后的 U-Net（输出与梯度）与逐步写出的计算的最大差距（f64）；对照的跳跃连接只传零",
    },
    "parity miou_gap <= 1e-10 < accuracy_gap": {
        "en": "IoU of each class from the confusion matrix against scikit-learn; the control is the pixel accuracy",
        "zh": "由混淆矩阵得到的各类 IoU 与 scikit-learn 的差距；对照为像素准确率",
    },
    "parity shared_scans <= 0 < training_scans": {
        "en": "test scans that occur in the training set; the control counts the training set in itself",
        "zh": "测试扫描中出现在训练集里的个数；对照在训练集自身中计数",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "without skips": "无跳跃连接",
    "by brightness": "仅凭亮度",
    "brightness, surroundings": "亮度与周围",
    "one fresh scan": "一张新扫描",
    "scan": "扫描",
    "truth": "真值",
    "mistakes of the U-Net": "U-Net 的错误",
    "intersection over union on fresh scans": "新扫描上的交并比",
    "background": "背景",
    "organ": "器官",
    "lesion": "病灶",
    "mean": "平均",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
