"""SimCLR — views of one image are told from views of others, without labels; one label a class then goes further.

A network sees 1,297 digits without labels: each image of a batch is shifted, turned, sheared, scaled and made noisy,
twice, and each of these views has to find its partner among the other 255. Its features are then frozen, and logistic
regression on them learns from one labelled image per class. The rival is the same network, trained for as many steps on
altered views of those ten images; pixels and the features of an untrained network are controls. Given eight labelled
images per class, the rival is ahead (--set LABELS=8). Accuracies are means over eight draws of the labels, on 500 other
digits. Trained without negatives (the views of other images), the network gives all images nearly the same vector.

Needs:  torch, scikit-learn
Source: T. Chen, S. Kornblith, M. Norouzi, G. Hinton, A Simple Framework for Contrastive Learning of Visual
        Representations, ICML 2020
"""

import copy

import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

POOL, BATCH, HIDDEN, FEATURES, TEMPERATURE = 1297, 128, 256, 128, 0.2
RATE, RIVAL_RATE, DRAWS, LABELS = 3e-3, 1e-2, 8, 1

# %% the concept


class SimCLR(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, FEATURES), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, 32))  # for the loss alone

    def forward(self, x: Tensor) -> Tensor:  # (n, 64) -> (n, 32), on the unit sphere
        z = self.head(self.encoder(x))
        return z / z.norm(dim=1, keepdim=True)


def nt_xent(z: Tensor, negatives: bool = True) -> Tensor:  # (2B, d) -> (): row i and row i + B are views of one image
    similarity = z @ z.T / TEMPERATURE
    partner = similarity.roll(len(z) // 2, 0).diagonal()
    if not negatives:
        return -partner.mean()
    itself = torch.eye(len(z), dtype=z.dtype).to(z.device)
    others = (similarity - 1e9 * itself).logsumexp(1)  # all 2B - 1 other views, of both sides
    return (others - partner).mean()  # -log exp(s_ij / t) / sum_{k != i} exp(s_ik / t)


# %% its control


class Networks(nn.Module):
    """The encoder and a layer for ten classes, once for each draw of the labels, side by side."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [(64, HIDDEN), (HIDDEN, FEATURES), (FEATURES, 10)]
        drawn = [torch.randn(DRAWS, *size, generator=generator) * (2 / size[0]) ** 0.5 for size in sizes]
        self.weights = nn.ParameterList(drawn)
        self.biases = nn.ParameterList([torch.zeros(DRAWS, 1, size[1]) for size in sizes])

    def forward(self, x: Tensor) -> Tensor:  # (DRAWS, n, 64) -> (DRAWS, n, 10)
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = (x.relu() if k else x) @ weight + bias
        return x


# %% the experiment


def view(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each image shifted by up to a pixel, turned, sheared, scaled, and with noise: (n, 64) -> (n, 64)."""
    turn, shear, size, right, down = 2 * torch.rand(5, len(x), generator=generator) - 1
    cos, sin = (1 + 0.2 * size) * (0.3 * turn).cos(), (1 + 0.2 * size) * (0.3 * turn).sin()
    rows = torch.stack([cos, 0.3 * shear - sin, right / 4, sin, cos, down / 4], 1).view(-1, 2, 3)
    grid = F.affine_grid(rows, [len(x), 1, 8, 8], align_corners=False)
    moved = F.grid_sample(x.view(-1, 1, 8, 8), grid, align_corners=False).flatten(1)
    return moved + 0.1 * torch.randn(x.shape, generator=generator)


def gap_to_torch(net: SimCLR, views: Tensor, two_sides: bool = True) -> float:
    """Largest difference of loss and all gradients from F.cross_entropy of cosine similarities, f64; without
    `two_sides` the other views of a view's own side are left out."""
    net, views = copy.deepcopy(net).cpu().double(), views.double().requires_grad_()
    n, leaves = len(views) // 2, [views, *net.parameters()]
    z = net.head(net.encoder(views))
    logits = F.cosine_similarity(z[:, None], z[None], dim=2) / TEMPERATURE
    hidden = torch.eye(2 * n).bool() if two_sides else torch.eye(2).repeat_interleave(n, 0).repeat_interleave(n, 1) > 0
    theirs = F.cross_entropy(logits.masked_fill(hidden, -torch.inf), torch.arange(2 * n).roll(n))
    losses = nt_xent(net(views)), theirs
    found = [[loss, *torch.autograd.grad(loss, leaves, materialize_grads=True)] for loss in losses]
    return max((a - b).detach().abs().max().item() for a, b in zip(*found, strict=True))


def chosen(y: Tensor, each: int, generator: torch.Generator) -> Tensor:
    """Rows with a label, so many of each class."""
    rows = [(y == c).nonzero()[:, 0] for c in range(10)]
    return torch.cat([r[torch.randperm(len(r), generator=generator)[:each]] for r in rows])


def probe(train: Tensor, y: Tensor, test: Tensor, y_test: Tensor) -> float:
    """Accuracy of logistic regression on features of unit length."""
    fitted = LogisticRegression(C=10, max_iter=1000).fit(F.normalize(train).numpy(), y.numpy())
    return float(fitted.score(F.normalize(test).numpy(), y_test.numpy()))


def partners_found(first: Tensor, second: Tensor) -> float:
    """Share of the views whose most similar among all second views is that of the same image."""
    nearest = (F.normalize(first) @ F.normalize(second).T).argmax(1)
    return (nearest == torch.arange(len(first))).float().mean().item()


def run(device="cpu", seed=0, steps=500):
    torch.manual_seed(5 * seed)
    split, noise, labels, fresh = (torch.Generator().manual_seed(5 * seed + k) for k in range(1, 5))
    digits = load_digits()
    every, answers = torch.tensor(digits.data).float() / 16, torch.tensor(digits.target)
    order = torch.randperm(len(every), generator=split)
    pool, test = order[:POOL], order[POOL:]
    x, y, x_test, y_test = every[pool], answers[pool], every[test], answers[test]
    net = SimCLR().to(device)
    untrained, blind = copy.deepcopy(net), copy.deepcopy(net)
    rival = Networks(labels).to(device)
    few = torch.stack([chosen(y, LABELS, labels) for _ in range(DRAWS)])
    targets = y[few].repeat(1, 2).to(device)
    rates = {net: RATE, rival: RIVAL_RATE, blind: RATE}
    optimizers = [torch.optim.Adam(n.parameters(), rate) for n, rate in rates.items()]
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, steps) for o in optimizers]
    seen = set()
    for step in range(steps):
        batch = pool[torch.randperm(POOL, generator=noise)[:BATCH]]
        seen |= set(batch.tolist())
        views = torch.cat([view(every[batch], noise), view(every[batch], noise)])
        taught = view(x[few].repeat(1, 2, 1).flatten(0, 1), noise).view(DRAWS, -1, 64)
        losses = [nt_xent(net(views.to(device)))]
        losses += [F.cross_entropy(rival(taught.to(device)).flatten(0, 1), targets.flatten())]
        if step % 4 == 0:
            losses += [nt_xent(blind(views.to(device)), negatives=False)]
        for loss, optimizer, schedule in zip(losses, optimizers, schedules, strict=False):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        yield (step + 1) / steps, {"find the partner": losses[0].item(), "ten labelled images": losses[1].item()}

    first, second = view(x_test, fresh), view(x_test, fresh)
    with torch.no_grad():
        supervised = (rival(x_test.to(device).expand(DRAWS, -1, -1)).argmax(-1).cpu() == y_test).float().mean().item()
        known = {"SimCLR": net, "untrained network": untrained}
        features = {name: [n.encoder(t.to(device)).cpu() for t in (x, x_test)] for name, n in known.items()}
        pairs = [[n(t.to(device)).cpu() for t in (first, second)] for n in (net, untrained)]
        spreads = [1 - n(x_test.to(device)).mean(0).square().sum().item() for n in (net, blind)]
    features["pixels"] = [x, x_test]
    counts = sorted({1, 2, 4, 8, LABELS})
    drawn = {each: few if each == LABELS else [chosen(y, each, labels) for _ in range(DRAWS)] for each in counts}
    curves = {
        name: [sum(probe(a[r], y[r], b, y_test) for r in rows) / DRAWS for rows in drawn.values()]
        for name, (a, b) in features.items()
    }
    reached = {name: values[counts.index(LABELS)] for name, values in curves.items()}
    found = [partners_found(*pair) for pair in (*pairs, (first, second))]
    return {
        "gain": reached["SimCLR"] - supervised,
        "control_gain": max(reached["pixels"], reached["untrained network"]) - supervised,
        "partners_found": found[0],
        "control_found": max(found[1:]),
        "spread": spreads[0],
        "blind_spread": spreads[1],
        "tested_seen": len(seen & set(test.tolist())),
        "trained_seen": len(seen),
        "loss_gap": gap_to_torch(net, views[::8]),
        "one_side_gap": gap_to_torch(net, views[::8], two_sides=False),
    }, {
        "two views each of four images": {
            "kind": "images",
            "images": [t[k].clamp(0, 1).view(8, 8).tolist() for t in (first, second) for k in range(4)],
            "columns": 4,
        },
        "accuracy with few labels, on frozen features": {
            "kind": "lines",
            "series": {name: (counts, values) for name, values in curves.items()},
            "x": "labels per class",
            "y": "accuracy",
            "log": "x",
        },
    }


# %% what is claimed

TITLE = {"en": "SimCLR: telling images apart teaches features", "zh": "SimCLR：分辨图像即可学到特征"}
CURVES = "loss"
CPU_SECONDS = 5
CLAIMS = {
    "trained gain >= 0.005 > control_gain >= -0.1": {
        "en": "accuracy that frozen SimCLR features add, at one label per class, to that of the same network trained "
        "on altered views of the labelled images; the control is what pixels or untrained features add, the better",
        "zh": "每类一个标签时，冻结的 SimCLR 特征比同一网络只用有标签图像的变换视图训练多得的准确率；"
        "对照为像素与未训练特征中较好者多得的",
    },
    "trained partners_found >= 0.15 > control_found >= 0.04": {
        "en": "share of the views of 500 unseen images whose nearest among 500 others shows the same image; the "
        "control goes by pixels or by the untrained network, the better",
        "zh": "500 张未见图像的视图在另 500 个视图中最近者恰为同一图像的比例；对照按像素或未训练的网络比较，取较好者",
    },
    "trained spread >= 0.94 > blind_spread": {
        "en": "1 minus the squared length of the mean vector of unseen images, 0 where all get one vector; the control "
        "trains without negatives, a quarter of the steps",
        "zh": "1 减去未见图像平均向量长度的平方（全部相同时为 0）；对照训练时没有负样本，步数为四分之一",
    },
    "parity tested_seen <= 0 < trained_seen": {
        "en": "test images that training has seen; the control counts all that it has seen",
        "zh": "训练中见过的测试图像数；对照为训练中见过的全部图像数",
    },
    "parity loss_gap <= 1e-10 < one_side_gap": {
        "en": "loss and all gradients against F.cross_entropy of cosine similarities (f64); the control leaves out "
        "the views of a view's own side",
        "zh": "损失与全部梯度，与对余弦相似度取 F.cross_entropy 之差（f64）；对照略去同侧的其他视图",
    },
}
ZH = {
    "loss": "损失",
    "find the partner": "寻找配对视图",
    "ten labelled images": "十张有标签图像",
    "untrained network": "未训练的网络",
    "pixels": "像素",
    "two views each of four images": "四张图像各两个视图",
    "accuracy with few labels, on frozen features": "少量标签、冻结特征下的准确率",
    "labels per class": "每类标签数",
    "accuracy": "准确率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
