"""Semantic segmentation — a small U-Net labels every pixel, and its skip connections keep the outlines sharp.

Synthetic 24x24 scans: an elliptic organ with up to three bright lesions, and spots as bright as lesions
outside it that are background. No brightness tells them apart, only the surroundings do. The U-Net shrinks
the image to see the surroundings and hands the full-resolution features across to the decoder. The control is
the same network, with as many parameters, whose skip connections carry zeros. Simulated data: nothing here is
about real scans.

Claim:  on fresh scans the mean intersection over union (mIoU) is higher with skip connections; the IoU of the
        lesions is above that of the most frequent label of each brightness; the mIoU is scikit-learn's.
Source: O. Ronneberger, P. Fischer, T. Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation,
        MICCAI 2015; J. Long, E. Shelhamer, T. Darrell, Fully Convolutional Networks for Semantic
        Segmentation, 2015
Run:    python kb/demos/semantic_segmentation.py --device cpu --seed 0 --steps 250
"""

import math

import torch
from sklearn.metrics import jaccard_score
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "U-Net labels every pixel", "zh": "U-Net 为每个像素分类"}
CPU_SECONDS = 4
CLAIMS = {
    "trained miou >= 0.885 > miou_without_skips": {
        "en": "mean IoU of the three classes on fresh scans; the control's skip connections carry zeros",
        "zh": "新扫描上三类的平均 IoU；对照的跳跃连接只传零",
    },
    "trained lesion_iou >= 0.73 > brightness_lesion_iou": {
        "en": "IoU of the lesions on fresh scans; the control gives each brightness its most frequent label",
        "zh": "新扫描上病灶的 IoU；对照按亮度取最常见的类别",
    },
    "parity miou_gap <= 1e-10 < accuracy_gap": {
        "en": "mean IoU from the confusion matrix against scikit-learn; the control is the pixel accuracy",
        "zh": "由混淆矩阵得到的平均 IoU 与 scikit-learn 的差距；对照为像素准确率",
    },
}

CLASSES, SIDE, WIDTH, SCANS, TESTS, BATCH = ("background", "organ", "lesion"), 24, 8, 400, 200, 8


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
    return torch.bincount(pairs, minlength=len(CLASSES) ** 2).reshape(len(CLASSES), -1).double()


def class_iou(matrix: Tensor) -> Tensor:
    """Pixels right over pixels that either side gives the class: (classes, classes) -> (classes,)."""
    right = matrix.diagonal()
    return right / (matrix.sum(0) + matrix.sum(1) - right)


def label_by_brightness(image: Tensor, labels: Tensor, fresh: Tensor) -> Tensor:
    """The most frequent label of each of 64 brightnesses, read off for fresh images."""
    bins, fresh_bins = ((64 * pixels[:, 0]).long().clamp(0, 63) for pixels in (image, fresh))
    counts = torch.stack([torch.bincount(bins[labels == kind], minlength=64) for kind in range(len(CLASSES))])
    return counts.argmax(0)[fresh_bins]


def run(device="cpu", seed=0, steps=250):
    data = torch.Generator().manual_seed(seed)
    image, labels = scans(SCANS + TESTS, data)
    x, y = image.to(device), labels.to(device)
    weight = torch.tensor([1.0, 1.0, 4.0]).to(device)  # lesions are rare
    nets = {}
    for name in ("U-Net", "without skips"):
        torch.manual_seed(seed)
        nets[name] = UNet(skips=name == "U-Net").to(device)
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        rows = torch.randint(0, SCANS, (BATCH,), generator=data).to(device)
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = 5e-3 * min(1, 2 - 2 * step / steps)
            logits = net(x[rows]).movedim(1, -1).flatten(0, 2)  # (B * S * S, classes)
            loss = F.cross_entropy(logits, y[rows].flatten(), weight=weight)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, losses

    fresh, truth = image[SCANS:], labels[SCANS:]
    with torch.no_grad():
        answers = {name: net.eval()(x[SCANS:]).argmax(1).cpu() for name, net in nets.items()}
    answers["brightness"] = label_by_brightness(image[:SCANS], labels[:SCANS], fresh)
    matrices = {name: confusion(answer, truth) for name, answer in answers.items()}
    overlap = {name: class_iou(matrix) for name, matrix in matrices.items()}
    theirs = jaccard_score(truth.flatten().numpy(), answers["U-Net"].flatten().numpy(), average="macro")
    accuracy = matrices["U-Net"].trace() / matrices["U-Net"].sum()
    measured = {
        "miou": overlap["U-Net"].mean().item(),
        "miou_without_skips": overlap["without skips"].mean().item(),
        "lesion_iou": overlap["U-Net"][2].item(),
        "lesion_iou_without_skips": overlap["without skips"][2].item(),
        "brightness_lesion_iou": overlap["brightness"][2].item(),
        "miou_gap": abs(overlap["U-Net"].mean().item() - theirs),
        "accuracy_gap": abs(accuracy.item() - theirs),
    }
    return measured, {
        "scan, truth, U-Net, without skips, brightness alone": {
            "kind": "images",
            "zh": "扫描、真值、U-Net、无跳跃连接、仅凭亮度",
            "images": [
                picture[n].float()
                for n in range(3)
                for picture in (
                    fresh[:, 0].clamp(0, 1),
                    truth / 2,
                    *(answer / 2 for answer in answers.values()),
                )
            ],
            "columns": 5,
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
