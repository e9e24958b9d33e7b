"""Machine unlearning — make a model what it would be, had it never seen some rows, without training it anew.

A softmax regression learned five digits from 701 images; 40 of them must be forgotten. The measure is the distance of
its weights to those of a model trained on the other 661: 1 where nothing is done, 0 where forgetting is exact. One
Newton step takes the gradient of the removed rows through the inverse curvature of the others: that of all rows, kept
since training, less that of the removed. It needs none of the rows that stay and leaves a few per cent; for least
squares nothing. Controls that need as little: the curvature of all rows (an influence function), and gradient ascent.
Descent on the rows that stay, with momentum, ends nearer than the one step, but reads them all 100 times. Both walks
take the best of five rates. All this is convex; for a network the step promises nothing. With the rows in five shards,
a network each, only those whose shard lost a row begin again: the result is as if none had seen it.

Needs:  torch, scikit-learn
Source: L. Bourtoule et al., Machine Unlearning, IEEE Symposium on Security and Privacy 2021 (shards); C. Guo et al.,
        Certified Data Removal from Machine Learning Models, ICML 2020 (Newton step); P. W. Koh, P. Liang,
        Understanding Black-box Predictions via Influence Functions, ICML 2017
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES, TRAIN, REMOVED, PENALTY, SHARDS, MOMENTUM, RATES = 5, 701, 40, 1.0, 5, 0.9, (3e-3, 5e-3, 1e-2, 3e-2, 1e-1)

# %% the concept


def newton_removal(w: Tensor, removed: Tensor, curvature: Tensor) -> Tensor:
    """w + H^-1 g: g the gradient of the removed rows, (d, c), H the curvature of the others, (d c, d c)."""
    return w + torch.linalg.solve(curvature, removed.flatten()).view_as(w)


class Shards:
    """Networks that learn apart and answer together; each can be trained again alone (SISA without slices)."""

    def __init__(self, x: Tensor, y: Tensor, keep: Tensor, seed: int, steps: int) -> None:
        self.x, self.y, self.keep, self.seed, self.steps = x, y, keep, seed, steps
        self.nets = [self.train(k) for k in range(SHARDS)]

    def rows(self, k: int) -> Tensor:
        return (torch.arange(len(self.x)) % SHARDS == k) & self.keep

    def train(self, k: int) -> nn.Module:
        torch.manual_seed((SHARDS + 1) * self.seed + k)  # it begins where it began
        net = nn.Sequential(nn.Linear(self.x.shape[1], 16), nn.ReLU(), nn.Linear(16, CLASSES)).to(self.x)
        optimizer, held = torch.optim.Adam(net.parameters(), 1e-2), self.rows(k).to(self.x.device)
        for _ in range(self.steps):
            optimizer.zero_grad()
            F.cross_entropy(net(self.x[held]), self.y[held]).backward()
            optimizer.step()
        return net

    def forget(self, gone: Tensor) -> int:
        """Train again the networks whose shard holds a removed row; how many."""
        touched = [k for k in range(SHARDS) if (self.rows(k) & gone).any()]
        self.keep = self.keep & ~gone
        for k in touched:
            self.nets[k] = self.train(k)
        return len(touched)

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:  # (n, d) -> (n, c)
        return torch.stack([net(x).softmax(1) for net in self.nets]).mean(0)


# %% its control


def walk(w: Tensor, x: Tensor, y: Tensor, rate: float, penalty: float, steps: int) -> list[Tensor]:
    """Gradient descent on these rows; ascent where the rate is negative: the weights before and after each step."""
    path, speed = [w], torch.zeros_like(w)
    for _ in range(steps):
        speed = MOMENTUM * speed - rate * slope(x, y, path[-1], penalty)
        path.append(path[-1] + speed)
    return path


# %% the experiment


def slope(x: Tensor, y: Tensor, w: Tensor, penalty: float = 0.0) -> Tensor:
    """x^T (softmax(x w) - y) + penalty w: the gradient of summed cross-entropy and penalty |w|^2 / 2: (d, c)."""
    return x.mT @ ((x @ w).softmax(1) - y) + penalty * w


def curvature(x: Tensor, w: Tensor, penalty: float = 0.0) -> Tensor:
    """sum_n (x x^T) kron (diag p - p p^T) + penalty I, the derivative of slope: (d c, d c)."""
    p = (x @ w).softmax(1)
    spread = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    h = torch.einsum("nij,nab->iajb", x[:, :, None] * x[:, None], spread).reshape(2 * [w.numel()])
    return h + penalty * torch.eye(len(h)).to(h)


def fitted(x: Tensor, y: Tensor) -> Tensor:
    """Softmax regression, by Newton's method: (d, c)."""
    w = x.new_zeros(x.shape[1], y.shape[1])
    for _ in range(12):
        w = w - torch.linalg.solve(curvature(x, w, PENALTY), slope(x, y, w, PENALTY).flatten()).view_as(w)
    return w


def least_squares(x: Tensor, y: Tensor) -> Tensor:
    return torch.linalg.solve(x.mT @ x + PENALTY * torch.eye(x.shape[1]).to(x), x.mT @ y)


def calculus_gap(x: Tensor, y: Tensor, w: Tensor) -> tuple[float, float]:
    """Largest gap of gradient and curvature to autograd's; that of the curvature with independent classes."""
    jacobian = torch.autograd.functional.jacobian
    theirs = jacobian(lambda w: F.cross_entropy(x @ w, y, reduction="sum") + PENALTY / 2 * w.square().sum(), w)
    bend = jacobian(lambda w: slope(x, y, w, PENALTY), w).reshape(2 * [w.numel()])
    g, h, same = slope(x, y, w, PENALTY), curvature(x, w, PENALTY), torch.eye(y.shape[1]).to(x).repeat(2 * [len(w)])
    gaps = [(a - b).abs().max().item() for a, b in ((theirs, g), (bend, h), (bend, h * same))]
    return max(gaps[:2]), gaps[2]


def run(device="cpu", seed=0, steps=100):
    pixels, digit = (torch.tensor(t) for t in load_digits(return_X_y=True))
    known = (digit >= 10 - CLASSES).nonzero()[:, 0]
    mixed = known[torch.randperm(len(known), generator=torch.Generator().manual_seed((SHARDS + 1) * seed + SHARDS))]
    x, label = pixels[mixed] / 16, digit[mixed] - 10 + CLASSES  # f64, on the CPU; the networks learn on the device
    y, gone, rest = F.one_hot(label, CLASSES).to(x), slice(0, REMOVED), slice(REMOVED, TRAIN)
    before, retrained = fitted(x[:TRAIN], y[:TRAIN]), fitted(x[rest], y[rest])

    def left(w: Tensor) -> float:
        return ((w - retrained).norm() / (before - retrained).norm()).item()

    whole, removed = curvature(x[:TRAIN], before, PENALTY), slope(x[gone], y[gone], before)
    ways = (newton_removal(before, removed, h) for h in (whole - curvature(x[gone], before), whole))
    (newton, influence), ups, downs = map(left, ways), [], []
    for i, rate in enumerate(RATES):
        ups.append([left(w) for w in walk(before, x[gone], y[gone], -rate, 0.0, steps)])
        downs.append([left(w) for w in walk(before, x[rest], y[rest], rate, PENALTY, steps)])
        best = {"ascent on the removed rows": min(ups, key=min), "descent on the rows that stay": min(downs, key=min)}
        yield (i + 1) / len(RATES), {name: min(path) for name, path in best.items()}
    squares = least_squares(x[:TRAIN], y[:TRAIN])
    block = x[rest].mT @ x[rest] + PENALTY * torch.eye(x.shape[1]).to(x)
    exact = newton_removal(squares, x[gone].mT @ (x[gone] @ squares - y[gone]), block.kron(torch.eye(CLASSES).to(x)))
    row, seen, fresh = torch.arange(TRAIN), *x.float().to(device).split([TRAIN, len(x) - TRAIN])
    lost = (row % SHARDS == 1) & (row < 3 * SHARDS)  # three rows of one shard
    nets, anew = (Shards(seen, label[:TRAIN].to(device), rows, seed, steps) for rows in (row >= 0, ~lost))
    votes = torch.stack([net(fresh).softmax(1) for net in anew.nets]).mean(0).detach()
    stale, again = nets(fresh), nets.forget(lost) / SHARDS
    calculus = calculus_gap(x[:60], y[:60], before)
    drawn = {name: [v for v in path if v < 2] for name, path in best.items()}  # ascent goes astray
    return {
        "newton_left": newton,
        "whole_left": influence,
        "influence_left": influence,
        "ascent_left": min(map(min, ups)),
        "descent_left": min(map(min, downs)),
        "tenth_left": min(min(path[: steps // 10 + 1]) for path in downs),
        "squares_gap": (exact - least_squares(x[rest], y[rest])).abs().max().item(),
        "kept_gap": (squares - least_squares(x[rest], y[rest])).abs().max().item(),
        "shard_gap": (nets(fresh) - votes).abs().max().item(),
        "stale_gap": (stale - votes).abs().max().item(),
        "trained_again": again,
        "spread_again": nets.forget(row >= TRAIN - SHARDS) / SHARDS,
        "calculus_gap": calculus[0],
        "diagonal_gap": calculus[1],
    }, {
        "what is left to forget": {
            "kind": "lines",
            "series": {name: (list(range(len(path))), path) for name, path in drawn.items()}
            | {"curvature of all rows": ([0, 1], [1.0, influence]), "Newton step": ([0, 1], [1.0, newton])},
            "x": "step",
            "y": "distance to the retrained model",
            "log": "y",
        },
    }


# %% what is claimed

TITLE = {"en": "Forgetting rows without training anew", "zh": "不从头训练而遗忘样本"}
CURVES = "distance to the retrained model"
CPU_SECONDS = 3
CLAIMS = {
    "trained newton_left <= 0.09 < whole_left <= 0.5": {
        "en": "distance to the retrained weights after one Newton step (before: 1); control: curvature of all rows",
        "zh": "一步牛顿更新之后与重新训练的权重的距离，更新之前为 1；对照：曲率取自全部样本",
    },
    "trained influence_left <= 0.5 < ascent_left <= 0.99": {
        "en": "that distance with the curvature of all rows; control: gradient ascent on the removed rows, at its best",
        "zh": "曲率取自全部样本（影响函数）时的同一距离；对照：在被删样本上梯度上升，取最好的一步",
    },
    "trained descent_left <= 0.01 < tenth_left <= 0.7": {
        "en": "that distance for descent that reads all rows that stay at each of 100 steps; control: in ten steps",
        "zh": "梯度下降 100 步、每步读遍保留的样本时的同一距离；对照：只走 10 步",
    },
    "parity squares_gap <= 1e-10 < kept_gap": {
        "en": "largest gap of ridge weights after one such step to training without the rows (f64); control: no step",
        "zh": "岭回归做一步同样的更新后，权重与不用这些样本训练的最大差距（f64）；对照：不做这一步",
    },
    "parity shard_gap <= 1e-10 < stale_gap": {
        "en": "largest gap of five networks, one trained again, to five that never saw the rows; control: before that",
        "zh": "五个网络只重训一个，其平均回答与五个从未见过被删样本的网络的最大差距；对照：重训之前",
    },
    "parity trained_again <= 0.2 < spread_again": {
        "en": "share of networks trained again for three rows of one shard; control: for five rows, one in each shard",
        "zh": "删除同一分片的三个样本时要重训的网络比例；对照：删除五个样本，每个分片一个",
    },
    "parity calculus_gap <= 1e-10 < diagonal_gap": {
        "en": "largest gap of gradient and curvature to autograd (f64); control: the curvature of independent classes",
        "zh": "梯度与曲率同自动求导的最大差距（f64）；对照：把各类别当作独立的曲率",
    },
}
ZH = {
    "distance to the retrained model": "与重新训练的模型的距离",
    "ascent on the removed rows": "在被删样本上梯度上升",
    "descent on the rows that stay": "在保留的样本上梯度下降",
    "Newton step": "一步牛顿更新",
    "curvature of all rows": "曲率取自全部样本",
    "what is left to forget": "还剩多少没有忘掉",
    "step": "步数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
