"""Dying ReLU — too large steps push nearly all units below zero on all training images; no gradient brings them back.

Below zero a ReLU gives 0 and has slope 0. Large steps can put a unit there for all training images: it is dead, the
gradient of its weights is exactly 0, and plain SGD on these images never moves it again, however long it goes on and at
whatever rate. With one hidden layer, whose inputs do not change, this holds to the last bit. Controls: a network that
takes a tenth of the rate from the beginning (a few of its units may be silent, some before any step), and leaky
ReLU, put in the place of ReLU for half the steps after the damage: below zero it has slope 0.2, and brings units back.
Then all are ReLU again, so that only units that fire help to read: with the slope left in place, those that never fire
would pass something on too, and could read digits as a linear model does. At 0.01, PyTorch's default, far fewer come
back in the time given (drawn). The simplest remedy works too: begin again at a tenth of the rate.

Needs:  torch, scikit-learn
Source: A. Maas et al., Rectifier Nonlinearities Improve Neural Network Acoustic Models, ICML 2013 (leaky ReLU);
        L. Lu et al., Dying ReLU and Initialization, Communications in Computational Physics 28(5), 2020
"""

import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN, TRAIN, BATCH, LARGE, RATE, DAMAGE, EVERY = 32, 1300, 64, 4.0, 0.4, 50, 5
SMALL = "ReLU, small rate throughout"
LEAKS = {"leaky for a while, slope 0.2": 0.2, "leaky for a while, slope 0.01": 0.01}
Net = list[Tensor]  # W (64, H), b (H,), V (H, 10), c (10,)

# %% the concept


def activation(z: Tensor, leak: float) -> Tensor:
    return torch.where(z > 0, z, leak * z)  # ReLU where the leak is 0


def slope(z: Tensor, leak: float) -> Tensor:
    return torch.where(z > 0, torch.ones_like(z), leak)


def logits(net: Net, x: Tensor, leak: float) -> Tensor:  # (B, 64) -> (B, 10)
    w, b, v, c = net
    return activation(x @ w + b, leak) @ v + c


def gradients(net: Net, x: Tensor, y: Tensor, leak: float) -> Net:
    """Of the mean cross-entropy, with respect to W, b, V and c."""
    w, b, v, _ = net
    z = x @ w + b
    e = (logits(net, x, leak).softmax(1) - F.one_hot(y, 10)) / len(x)  # with respect to the logits: (B, 10)
    d = e @ v.T * slope(z, leak)  # with respect to z: for a dead unit a column of zeros, if leak is 0
    return [x.T @ d, d.sum(0), activation(z, leak).T @ e, e.sum(0)]


def silent(net: Net, x: Tensor) -> Tensor:
    """Which units no image puts above zero: (H,)."""
    return (x @ net[0] + net[1] <= 0).all(0)


def step_down(net: Net, slopes: Net, rate: float) -> Net:
    return [p - rate * g for p, g in zip(net, slopes, strict=True)]  # plain SGD


# %% the experiment


def of_units(net: Net, units: Tensor) -> Tensor:
    """The numbers that belong to these units alone, in one row: weights in, bias, weights out."""
    return torch.cat([net[0][:, units].flatten(), net[1][units], net[2][units].flatten()])


def largest(t: Tensor) -> float:
    return t.abs().max().item() if len(t) else math.nan  # nan: there was no such unit


def accuracy(net: Net, x: Tensor, y: Tensor, known: Tensor) -> float:
    """Share of the images that are read rightly, with ReLU; one that was trained on counts as wrong."""
    fresh = ~(x[:, None] == known).all(-1).any(1)
    return ((logits(net, x, 0.0).argmax(1) == y) & fresh).float().mean().item()


def gap_to_torch(net: Net, x: Tensor, y: Tensor, leak: float, bare: bool = False) -> float:
    """Largest difference of logits and gradients from nn.Sequential's (f64); `bare` leaves the activation out."""
    mine, x, y = [p.cpu().double() for p in net], x.cpu().double(), y.cpu()
    middle = nn.Identity() if bare else nn.LeakyReLU(leak) if leak else nn.ReLU()
    twin = nn.Sequential(nn.Linear(64, HIDDEN), middle, nn.Linear(HIDDEN, 10)).double()
    for p, q in zip(twin.parameters(), mine, strict=True):
        p.data = q.T.clone() if q.dim() == 2 else q.clone()
    theirs = torch.autograd.grad(F.cross_entropy(twin(x), y), [*twin.parameters()])
    pairs = zip(gradients(mine, x, y, leak), theirs, strict=True)
    gaps = [(a - b.T if a.dim() == 2 else a - b).abs().max().item() for a, b in pairs]
    return max(*gaps, (logits(mine, x, leak) - twin(x)).abs().max().item())


def run(device="cpu", seed=0, steps=500):
    weights, data = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=data)
    images, labels = torch.tensor(digits.data, dtype=torch.float32)[order] / 16, torch.tensor(digits.target)[order]
    x, x_test, y, y_test = (t[part].to(device) for t in (images, labels) for part in (slice(TRAIN), slice(TRAIN, None)))
    draws = [(m, n, (2 / m) ** 0.5 * torch.randn(m, n, generator=weights)) for m, n in ((64, HIDDEN), (HIDDEN, 10))]
    start = [t.to(device) for m, n, w in draws for t in (w, torch.zeros(n))]  # He's initialization
    nets = dict.fromkeys(("ReLU", SMALL, *LEAKS), start)
    seen: dict[str, tuple[list[int], list[float]]] = {name: ([], []) for name in nets}
    for step in range(DAMAGE + steps):
        if step == DAMAGE:
            damaged, leak = next((nets[name], leak) for name, leak in LEAKS.items())  # ReLU's weights are the same
        rows = torch.randint(TRAIN, (BATCH,), generator=data).to(device)
        for name, net in nets.items():
            rate = LARGE if name != SMALL and step < DAMAGE else RATE
            below = LEAKS.get(name, 0.0) if DAMAGE <= step < DAMAGE + steps // 2 else 0.0
            nets[name] = step_down(net, gradients(net, x[rows], y[rows], below), rate)
            if step % EVERY == 0 or step + 1 == DAMAGE:
                seen[name][0].append(step + 1)
                seen[name][1].append(silent(nets[name], x).float().mean().item())
        yield (step + 1) / (DAMAGE + steps), {name: held[1][-1] for name, held in seen.items()}

    relu, small, revived, _ = nets.values()
    dead = silent(damaged, x)
    pull = [of_units(gradients(damaged, x, y, one), dead) for one in (0.0, leak)]
    moved = [of_units(net, dead) - of_units(damaged, dead) for net in (relu, revived)]
    back = [(dead & ~silent(net, x)).sum() / dead.sum() for net in (revived, relu)]
    of_relu = accuracy(relu, x_test, y_test, x)
    some = x_test[:100], y_test[:100]
    return {
        "dead_share": dead.float().mean().item(),
        "small_rate_share": silent(small, x).float().mean().item(),
        "dead_gradient": largest(pull[0]),
        "leaky_gradient": largest(pull[1]),
        "dead_change": largest(moved[0]),
        "other_change": min(largest(moved[1]), largest(relu[3] - damaged[3])),
        "leaky_back": back[0].item(),
        "relu_back": back[1].item(),
        "leaky_accuracy": accuracy(revived, x_test, y_test, x),
        "relu_accuracy": of_relu,
        "small_rate_accuracy": accuracy(small, x_test, y_test, x),
        "large_rate_accuracy": of_relu,
        "gap": max(gap_to_torch(net, *some, one) for net in (relu, revived, small) for one in (0.0, leak)),
        "bare_gap": min(gap_to_torch(net, *some, 0.0, bare=True) for net in (relu, revived, small)),
    }, {
        "units that fire on no training image": {
            "kind": "lines",
            "series": seen,
            "x": "step; 50 are large, then leaky or not, then all ReLU",
            "y": "share of the units",
        },
    }


# %% what is claimed

TITLE = {"en": "How ReLU units die, and stay dead", "zh": "ReLU 单元如何死亡，又为何不再复活"}
CURVES = "units that fire on no training image"
CPU_SECONDS = 2
CLAIMS = {
    "trained dead_share >= 0.85 > small_rate_share": {
        "en": "share of the ReLU units that fire on no training image after 50 steps at a large rate; control: a tenth "
        "of the rate throughout, at the end of training",
        "zh": "以大学习率走 50 步之后，对任何训练图像都不激活的 ReLU 单元比例；对照：始终用十分之一的学习率，训练后",
    },
    "parity dead_gradient <= 0 < leaky_gradient": {
        "en": "largest gradient of the weights of dead units, over all training images; control: leaky ReLU at the "
        "same weights",
        "zh": "死亡单元各权重在全部训练图像上的最大梯度；对照：权重相同，改用 leaky ReLU",
    },
    "parity dead_change <= 0 < other_change": {
        "en": "largest change of the weights of dead units in the rest of training at the small rate; control: with "
        "leaky ReLU for a while, or the change of the output biases, whichever is smaller",
        "zh": "此后以小学习率继续训练时，死亡单元权重的最大变化；对照：一度改用 leaky ReLU，或输出偏置的变化，取较小者",
    },
    "trained leaky_back >= 0.2 > relu_back": {
        "en": "share of the dead units that fire on a training image again at the end; control: ReLU all the time",
        "zh": "训练结束时重新对某幅训练图像激活的死亡单元比例；对照：始终用 ReLU",
    },
    "trained leaky_accuracy >= 0.89 > relu_accuracy": {
        "en": "test accuracy as a ReLU network, which was leaky, slope 0.2, for half the steps after the damage; "
        "control: ReLU all the time, as many steps",
        "zh": "受损后前一半步数用 leaky ReLU（斜率 0.2）、再换回 ReLU 的网络的测试准确率；对照：始终用 ReLU，步数相同",
    },
    "trained small_rate_accuracy >= 0.935 > large_rate_accuracy": {
        "en": "test accuracy of ReLU at the small rate throughout; control: 50 steps at the large one first",
        "zh": "自始至终用小学习率的 ReLU 网络的测试准确率；对照：先以大学习率走 50 步",
    },
    "parity gap <= 1e-10 < bare_gap": {
        "en": "largest gap of logits and gradients, written by hand, to PyTorch's, at the trained weights (f64); "
        "control: no activation",
        "zh": "训练后的权重处，手写的 logit 与梯度同 PyTorch 的最大差距（f64）；对照：不加激活函数",
    },
}
ZH = {
    "units that fire on no training image": "对任何训练图像都不激活的单元",
    "ReLU, small rate throughout": "ReLU，始终用小学习率",
    "leaky for a while, slope 0.2": "一段时间用 leaky ReLU，斜率 0.2",
    "leaky for a while, slope 0.01": "一段时间用 leaky ReLU，斜率 0.01",
    "step; 50 are large, then leaky or not, then all ReLU": "步数；先走 50 大步，再用 leaky 或不用，最后全用 ReLU",
    "share of the units": "占全部单元的比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
