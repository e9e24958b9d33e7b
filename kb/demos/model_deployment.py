"""Model deployment — the weights can be right and the answers wrong, and no request fails; stored examples notice.

A small convolutional network learns digits, is exported (torch.export) for any batch size, saved, and loaded as a
program that needs no class; its scores for 497 test images are those of the network. Then ten faults that happen from
training to serving are planted, one at a time. Seven are in the input: pixels not scaled, or scaled twice, images with
black for white, transposed, mirrored, upside down or shifted; three behind it: batch normalization in training mode,
labels that begin with 1, weights as they were after a tenth of the training. Each request still gets ten finite scores;
the table says how many are right. The check before release sends ten stored raw images through the whole path and
compares their scores with those stored at training: it stops every fault and no sound path (one image at a time, the
network itself, 64-bit numbers). Controls: a schema of what enters and leaves, with the mean of each pixel over all
497 images, as data monitoring has it, stops the seven and misses the three; equality to the last bit stops sound
paths too; a program exported for one batch size refuses others. All stays in memory; no server is run.

Needs:  torch, scikit-learn
Source: D. Sculley et al., Hidden Technical Debt in Machine Learning Systems, NeurIPS 2015; E. Breck et al., The ML
        Test Score: A Rubric for ML Production Readiness and Technical Debt Reduction, IEEE Big Data 2017
"""

import copy
import io
from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN, BATCH, RATE, CHANNELS, GOLDEN, TOLERANCE, SIZES = 1300, 64, 0.1, 8, 10, 1e-3, (1, 2, 7, 497)

# %% the concept

Path = Callable[[Tensor], Tensor]


def prepare(pixels: Tensor) -> Tensor:  # 0 ... 16 to 0 ... 1: (n, 8, 8) -> (n, 1, 8, 8)
    return pixels.float()[:, None] / 16


def shipped(net: nn.Module, any_size: bool = True) -> Path:
    """Exported, saved and loaded again: a program that needs no class."""
    shapes = ({0: torch.export.Dim.DYNAMIC},) if any_size else None
    program = torch.export.export(net.eval(), (torch.zeros(4, 1, 8, 8),), dynamic_shapes=shapes)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    return torch.export.load(file).module()


def golden(way: Path, path: Path, pixels: Tensor, scores: Tensor, tolerance: float = TOLERANCE) -> bool:
    """Stored raw images through the whole path: are the scores those that were stored at training?"""
    return bool((path(way(pixels)) - scores).abs().max() <= tolerance)


# %% its control


def schema(prepared: Tensor, scores: Tensor, mean: Tensor) -> bool:
    """Shapes, types and ranges as agreed, and the mean of each pixel within 0.1 of that in training."""
    sound = prepared.shape[1:] == (1, 8, 8) and prepared.dtype == torch.float32 and scores.shape[1:] == (10,)
    inside = prepared.min() >= 0 and prepared.max() <= 1 and (prepared.mean(0) - mean).abs().max() <= 0.1
    return bool(sound and inside and scores.isfinite().all())


# %% the experiment

COLUMNS = ["fault", "answered", "right", "schema", "stored examples"]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, CHANNELS, 3), nn.BatchNorm2d(CHANNELS)
        self.head = nn.Linear(CHANNELS * 36, 10)

    def forward(self, x: Tensor) -> Tensor:  # (n, 1, 8, 8) -> (n, 10)
        return self.head(self.norm(self.conv(x)).relu().flatten(1))


def faults(served: Path, net: nn.Module, old: nn.Module) -> dict[str, tuple[Path, Path]]:
    """How each prepares its input, and the scores that come out."""
    training = copy.deepcopy(net).train()
    inputs = {
        "not scaled": lambda p: 16 * prepare(p),
        "scaled twice": lambda p: prepare(p) / 16,
        "black for white": lambda p: prepare(16 - p),
        "rows for columns": lambda p: prepare(p.mT),
        "mirrored": lambda p: prepare(p.flip(-1)),
        "upside down": lambda p: prepare(p.flip(-2)),
        "shifted by a pixel": lambda p: prepare(p.roll(1, -1)),
    }
    return {name: (way, served) for name, way in inputs.items()} | {
        "training mode": (prepare, lambda x: torch.cat([training(row[None]) for row in x])),
        "labels from 1": (prepare, lambda x: served(x).roll(1, 1)),
        "earlier weights": (prepare, old),
    }


def refused(path: Path, prepared: Tensor) -> int:
    """Requests that raise, or get less than ten finite scores."""
    try:
        return int((path(prepared).isfinite().sum(1) != 10).sum())
    except (AssertionError, RuntimeError):
        return len(prepared)


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(3 * seed)
    split, batches = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    digits = load_digits()
    order = torch.randperm(len(digits.images), generator=split)
    pixels, labels = torch.tensor(digits.images)[order], torch.tensor(digits.target)[order]
    (train, test), (y, y_test) = (t.tensor_split([TRAIN]) for t in (pixels, labels))
    x, y, net = prepare(train).to(device), y.to(device), Net().to(device)
    optimizer = torch.optim.SGD(net.parameters(), RATE, momentum=0.9)
    for step in range(steps):
        if step == steps // 10:
            old = copy.deepcopy(net).cpu().eval()
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        rows = torch.randint(TRAIN, (BATCH,), generator=batches).to(device)
        loss = F.cross_entropy(net(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"loss": loss.item()}

    net, found, rows = net.cpu().eval().requires_grad_(False), [], []
    served, fixed = shipped(net), shipped(net, any_size=False)
    stored, mean = net(prepare(test[:GOLDEN])), prepare(train).mean(0)
    planted = faults(served, net, old)
    for name, (way, path) in {"none": (prepare, served), **planted}.items():
        scores, lost = path(way(test)), refused(path, way(test))
        right = float((scores.argmax(1) == y_test).float().mean())
        checks = schema(way(test), scores, mean), golden(way, path, test[:GOLDEN], stored)
        found.append((lost, right, *checks))
        answered = f"{len(test) - lost} / {len(test)}"
        rows.append([name, answered, f"{right:.3f}", *("pass" if passed else "stop" for passed in checks)])
    lost, right, by_schema, by_golden = map(list, zip(*found, strict=True))
    scores, exact = net(prepare(test)), copy.deepcopy(net).double()
    sound = [served, net, lambda x: torch.cat([served(row[None]) for row in x]), lambda x: exact(x.double()).float()]
    alarms = [sum(not golden(prepare, path, test, scores, t) for path in sound) for t in (TOLERANCE, 0)]
    learned, asked = (set(map(tuple, t.flatten(1).tolist())) for t in (train, test))
    sizes, training = [prepare(test[:size]) for size in SIZES], planted["training mode"][1]
    gaps = [max(float((path(x) - net(x)).abs().max()) for x in sizes) for path in (served, training)]
    return {
        "export_gap": gaps[0],
        "training_mode_gap": gaps[1],
        "refused_requests": sum(refused(served, x) for x in sizes) + sum(lost),
        "fixed_size_refused": sum(refused(fixed, x) for x in sizes),
        "fault_accuracy": sum(right[1:]) / len(planted),
        "sound_accuracy": right[0],
        "faults_missed": sum(by_golden[1:]),
        "schema_missed": sum(by_schema[1:]),
        "false_alarms": alarms[0] + (not by_golden[0]),
        "bitwise_alarms": alarms[1],
        "shared_images": len(learned & asked),
        "own_images": len(asked),
    }, {
        "faults between training and serving, one at a time": {"kind": "table", "columns": COLUMNS, "rows": rows},
    }


# %% what is claimed

TITLE = {"en": "Deployed wrongly, a model answers all the same", "zh": "部署出错，模型照样作答"}
CURVES = "loss"
CPU_SECONDS = 3
CLAIMS = {
    "parity export_gap <= 1e-6 < training_mode_gap": {
        "en": "largest gap of the loaded program's scores to the network's, in batches of 1, 2, 7 and 497; control: "
        "in training mode",
        "zh": "批大小为 1、2、7、497 时，载入的程序与网络的得分的最大差距；对照：训练模式",
    },
    "parity refused_requests <= 0 < fixed_size_refused": {
        "en": "requests refused in such batches or under any fault; control: in such batches, exported for 4 images",
        "zh": "以上批大小下与各种错误下被拒绝的请求数；对照：固定按四张图像导出的程序所拒绝的",
    },
    "trained fault_accuracy <= 0.5 < sound_accuracy": {
        "en": "mean test accuracy under the ten faults; control: without fault",
        "zh": "十种错误下的平均测试准确率；对照：没有错误时",
    },
    "parity faults_missed <= 0 < schema_missed <= 3": {
        "en": "faults of ten that ten stored examples do not stop; control: that a schema with pixel means does not",
        "zh": "十种错误中十个存档样例未能拦下的个数；对照：连同各像素均值的格式校验未能拦下的",
    },
    "parity false_alarms <= 0 < bitwise_alarms": {
        "en": "sound paths that are stopped, on all test images; control: when scores must be equal to the last bit",
        "zh": "在全部测试图像上被误拦的正确路径数；对照：要求得分逐位相等时",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images among the training images; control: among the test images",
        "zh": "同时出现在训练集中的测试图像数；对照：在测试集自身中的",
    },
}
ZH = {
    "loss": "损失",
    "faults between training and serving, one at a time": "训练与线上之间的错误，每次一种",
    "fault": "错误",
    "answered": "已答复",
    "right": "准确率",
    "schema": "格式校验",
    "stored examples": "存档样例",
    "pass": "放行",
    "stop": "拦下",
    "none": "无",
    "not scaled": "未缩放",
    "scaled twice": "缩放两次",
    "black for white": "黑白颠倒",
    "rows for columns": "行列互换",
    "mirrored": "左右翻转",
    "upside down": "上下翻转",
    "shifted by a pixel": "平移一个像素",
    "training mode": "训练模式",
    "labels from 1": "标签从 1 起",
    "earlier weights": "旧版权重",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
