"""PointNet — what solid is this? A net for clouds of points, which have no order: each point alone, then the largest.

A cloud of points is a set, and any list of it is one of many. One small network reads each point by itself; of every
feature only the largest value over the points is kept, so the order cannot matter, and points that reach no maximum
can be left out. Unlike the paper's, it does not learn to turn the cloud first, and normalizes over the batch only
once. Synthetic: 64 noisy points near the surface of a ball, box, open cylinder or torus, stretched and turned at
random. Controls: the same net with the mean instead of the maximum, and logistic regression on features made by hand
that know neither order nor turn, whichever is better (boosted trees on such features come closer: tried, not shown); a
network that reads the coordinates as one list; as many points kept at random. Of three learning rates tried, the mean
did best at this one; the list stayed near guessing at each.

Needs:  torch, scikit-learn
Source: C. R. Qi et al., PointNet: Deep Learning on Point Sets for 3D Classification and Segmentation, CVPR 2017;
        R. Osada et al., Shape Distributions, ACM Transactions on Graphics 21(4), 2002 (distances of pairs)
"""

import copy
import math

import torch
from sklearn import linear_model, pipeline, preprocessing
from torch import Tensor, nn
from torch.nn import functional as F

SHAPES = "ball", "box", "cylinder", "torus"
POINTS, HIDDEN, FEATURES, BATCH, TEST, RATE = 64, 64, 128, 64, 1000, 1e-2

# %% the concept


class PointNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.point = nn.Sequential(nn.Linear(3, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, FEATURES))
        last = nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, len(SHAPES))
        self.head = nn.Sequential(nn.BatchNorm1d(FEATURES), *last)

    def pool(self, h: Tensor) -> Tensor:  # (B, N, F) -> (B, F)
        return h.amax(1)  # of each feature the largest value: f({x_1 .. x_N}) = g(max_i h(x_i))

    def forward(self, x: Tensor) -> Tensor:  # (B, N, 3) -> (B, 4)
        return self.head(self.pool(self.point(x)))

    def critical(self, x: Tensor) -> Tensor:
        """Which points of a cloud reach the maximum of some feature: (N, 3) -> (N,)."""
        reached = self.point(x).argmax(0)
        return torch.isin(torch.arange(len(x)).to(x.device), reached)


# %% its control


class MeanNet(PointNet):
    def pool(self, h: Tensor) -> Tensor:
        return h.mean(1)


def list_net() -> nn.Sequential:  # (B, N, 3) -> (B, 4)
    hidden = nn.Linear(3 * POINTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(HIDDEN, len(SHAPES)))


def by_hand(x: Tensor) -> Tensor:
    """Sorted distances between points (every 100th) and from the centre (every 7th), principal variances: (B, 34)."""
    one, other = torch.triu_indices(POINTS, POINTS, 1)
    pairs, far = torch.cdist(x, x)[:, one, other].sort(1).values, x.norm(dim=2).sort(1).values
    return torch.cat([pairs[:, ::100], far[:, ::7], torch.linalg.eigvalsh(x.mT @ x / POINTS)], 1)


# %% the experiment


def clouds(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points near the surfaces of solids, stretched, turned, centred, of size one: (n, N, 3), (n,)."""
    kind = torch.randint(len(SHAPES), (n,), generator=generator)
    z = torch.randn(n, POINTS, 3, generator=generator)
    u, faces = 2 * torch.rand(n, POINTS, 3, generator=generator) - 1, torch.arange(POINTS)[:, None] % 3
    a, b = 2 * math.pi * torch.rand(2, n, POINTS, generator=generator)
    ring = 1 + 0.5 * b.cos()
    solids = (
        z / z.norm(dim=2, keepdim=True),
        torch.where(torch.arange(3) == faces, u.sign(), u),
        torch.stack([a.cos(), a.sin(), u[..., 2]], -1),
        torch.stack([ring * a.cos(), ring * a.sin(), 0.5 * b.sin()], -1),
    )
    x = torch.stack(solids, 1)[torch.arange(n), kind] * (0.7 + 0.6 * torch.rand(n, 1, 3, generator=generator))
    x = x @ torch.linalg.qr(torch.randn(n, 3, 3, generator=generator)).Q
    x = x + 0.03 * torch.randn(x.shape, generator=generator)
    order = torch.rand(n, POINTS, generator=generator).argsort(1)  # the faces came in turn
    x = (x - x.mean(1, keepdim=True)).gather(1, order[..., None].expand(-1, -1, 3))
    return x / x.square().sum(2).mean(1).sqrt()[:, None, None], kind


def gap(mine: nn.Module, theirs: nn.Module, x: Tensor, order: Tensor) -> float:
    """Largest gap in outputs and in the gradients of points and parameters, where the second net gets the points in
    another order (f64)."""
    found = []
    for net, taken in ((mine, torch.arange(POINTS)), (theirs, order)):
        leaf = x.clone().requires_grad_()
        out = net(leaf[:, taken])
        found.append([out, *torch.autograd.grad(out.sin().sum(), [leaf, *net.parameters()])])
    return max((a - b.view(a.shape)).abs().max().item() for a, b in zip(*found, strict=True))


def twin(net: PointNet, pool: type[nn.Module]) -> nn.Module:
    """The net by PyTorch's width-1 convolutions and a given pooling: (B, 3, N) inside."""
    net = copy.deepcopy(net)
    convs = nn.Conv1d(3, HIDDEN, 1).double(), nn.Conv1d(HIDDEN, FEATURES, 1).double()
    for conv, linear in zip(convs, (net.point[0], net.point[2]), strict=True):
        conv.load_state_dict({"weight": linear.weight[..., None], "bias": linear.bias})
    theirs = nn.Sequential(convs[0], nn.ReLU(), convs[1], pool(1), nn.Flatten(), *net.head)
    theirs.register_forward_pre_hook(lambda _, inputs: inputs[0].mT)
    return theirs


@torch.no_grad()
def left_out(net: PointNet, x: Tensor, generator: torch.Generator) -> list[float]:
    """Largest change of the logits where clouds keep their critical points alone, or as many at random (f64)."""
    changes = []
    for cloud in x:
        keep = net.critical(cloud)
        drawn = torch.randperm(POINTS, generator=generator)[: int(keep.sum())]
        changes.append([(net(cloud[None]) - net(cloud[part][None])).abs().max() for part in (keep, drawn)])
    return torch.tensor(changes).amax(0).tolist()


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(3 * seed)  # weights, training and test: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets = {"maximum": PointNet().to(device), "mean": MeanNet().to(device), "list": list_net().to(device)}
    optimizers = {name: torch.optim.Adam(net.parameters(), RATE) for name, net in nets.items()}
    met = []
    for step in range(steps):
        x, y = clouds(BATCH, data)
        met.append((by_hand(x), y))
        losses = {name: F.cross_entropy(net(x.to(device)), y.to(device)) for name, net in nets.items()}
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    x, y = clouds(TEST, unseen)
    with torch.no_grad():
        said = {name: net.eval()(x.to(device)).argmax(1).cpu() for name, net in nets.items()}
    right = {name: (answer == y).double().mean().item() for name, answer in said.items()}
    known, kinds = (torch.cat(part) for part in zip(*met, strict=True))
    linear = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression(max_iter=300))
    net, flat = (copy.deepcopy(nets[name]).cpu().double() for name in ("maximum", "list"))
    few, order = x[:20].double(), torch.randperm(POINTS, generator=unseen)
    kept, random = left_out(net, few, unseen)
    drawn: dict = {"reaches a maximum": [], "can be left out": []}
    for k in range(len(SHAPES)):
        cloud = x[y == k][0].double()
        keep = net.critical(cloud)
        for name, part in zip(drawn, (keep, ~keep), strict=True):
            drawn[name].append(cloud[part, :2] + torch.tensor([3.0 * (k % 2), 3.0 * (k // 2)]))
    series = {name: tuple(torch.cat(parts).mT.tolist()) for name, parts in drawn.items()}
    figure = {"kind": "scatter", "series": series, "equal": True, "x": "x", "y": "y"}
    return {
        "max_accuracy": right["maximum"],
        "rival_accuracy": max(right["mean"], linear.fit(known, kinds).score(by_hand(x), y)),
        "mean_accuracy": right["mean"],
        "list_accuracy": right["list"],
        "order_gap": gap(net, net, few, order),
        "list_gap": gap(flat, flat, few, order),
        "kept_gap": kept,
        "random_gap": random,
        "net_gap": gap(net, twin(net, nn.AdaptiveMaxPool1d), few, torch.arange(POINTS)),
        "mean_gap": gap(net, twin(net, nn.AdaptiveAvgPool1d), few, torch.arange(POINTS)),
    }, {"the points that decide: ball, box; above them cylinder, torus": figure}


# %% what is claimed

TITLE = {"en": "PointNet: a cloud has no order", "zh": "PointNet：点云没有顺序"}
CURVES = "cross-entropy"
CPU_SECONDS = 7
CLAIMS = {
    "trained max_accuracy >= 0.955 > rival_accuracy >= 0.88": {
        "en": "accuracy on fresh clouds; control: the same net with the mean, or logistic regression on sorted "
        "distances and variances, whichever is better",
        "zh": "在新点云上的准确率；对照：改用均值的同一网络，或用排序后的距离与方差做的逻辑回归，取较好者",
    },
    "trained mean_accuracy >= 0.68 > list_accuracy": {
        "en": "accuracy with the mean, which ignores the order too; control: a network that reads the coordinates as "
        "one list, trained as long",
        "zh": "改用同样不看顺序的均值时的准确率；对照：把坐标当作一个列表读入、训练同样久的网络",
    },
    "parity order_gap <= 1e-10 < list_gap": {
        "en": "largest change of logits and gradients when the points are listed in another order (f64); control: "
        "a network that reads the coordinates as one list",
        "zh": "打乱点的排列顺序后，logits 与梯度的最大变化（f64）；对照：把坐标当作一个列表读入的网络",
    },
    "parity kept_gap <= 1e-10 < random_gap": {
        "en": "largest change of the logits when only the points are kept that reach a maximum (f64); control: as many "
        "points, drawn at random",
        "zh": "只保留取得某个最大值的点时，logits 的最大变化（f64）；对照：随机保留同样多的点",
    },
    "parity net_gap <= 1e-10 < mean_gap": {
        "en": "largest gap of outputs and gradients to PyTorch's Conv1d of width 1, same weights, and max pooling "
        "(f64); control: average pooling",
        "zh": "输出与梯度同权重相同的 PyTorch 宽度为 1 的一维卷积加最大池化的最大差距（f64）；对照：平均池化",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "maximum": "最大值",
    "mean": "均值",
    "list": "坐标列表",
    "the points that decide: ball, box; above them cylinder, torus": "起决定作用的点：下为球、长方体，上为圆柱、圆环",
    "reaches a maximum": "取得某个最大值",
    "can be left out": "可以去掉",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
