"""Gradient accumulation — several small batches, one step: the gradient of a large batch in the memory of a small one.

Gradients of micro-batches, the small parts of a batch, add up before the optimizer steps. Each loss is a sum over its
tokens, divided by the number of tokens in the whole batch; then the sum is, but for rounding, the gradient of one large
batch. The data are sequences of unequal length, whose long ones follow another rule than the short ones; a micro-batch
of 8 holds one kind. The controls: a mean in each micro-batch and the mean of the means, which gives the tokens of short
sequences too much weight; a net with BatchNorm, whose statistics are of the micro-batch; and the large batch itself,
which keeps more numbers for the gradient (weights, their gradients and the data are not counted).

Needs:  torch
Source: P. Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017 (losses are to be divided by
        the size of the whole batch; BatchNorm depends on the small one); M. Ott et al., Scaling Neural Machine
        Translation, WMT 2018 (gradients of several batches added up for one step)
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUTS, CLASSES, WIDTH, LONGEST, BATCH, MICRO, RATE, MOMENTUM = 8, 4, 32, 16, 64, 8, 0.3, 0.9

# %% the concept


def tokens_loss(net: nn.Module, x: Tensor, y: Tensor, total: Tensor) -> Tensor:
    """The share of these sequences in the mean over all `total` tokens; where y is -1 there is none."""
    return F.cross_entropy(net(x).flatten(0, 1), y.flatten(), ignore_index=-1, reduction="sum") / total


def accumulate(net: nn.Module, x: Tensor, y: Tensor, micro: int) -> float:
    """Add up, in .grad, the gradient of the batch (B, T, d), (B, T), `micro` sequences at a time; the loss."""
    total, loss = (y >= 0).sum(), 0.0
    for part in range(0, len(x), micro):
        share = tokens_loss(net, x[part : part + micro], y[part : part + micro], total)
        share.backward()  # adds to .grad, and frees what this part kept
        loss += share.item()
    return loss


class Momentum:
    """SGD that steps once for all that was added up, and then forgets it."""

    def __init__(self, net: nn.Module) -> None:
        self.weights = [*net.parameters()]
        self.speed = [torch.zeros_like(w) for w in self.weights]

    @torch.no_grad()
    def step(self) -> None:
        for w, v in zip(self.weights, self.speed, strict=True):
            v.mul_(MOMENTUM).add_(w.grad)
            w -= RATE * v
            w.grad = None


# %% its control


def whole_batch(net: nn.Module, x: Tensor, y: Tensor, micro: int) -> float:
    loss = F.cross_entropy(net(x).flatten(0, 1), y.flatten(), ignore_index=-1)
    loss.backward()
    return loss.item()


def mean_of_means(net: nn.Module, x: Tensor, y: Tensor, micro: int) -> float:
    losses = 0.0
    for part in range(0, len(x), micro):
        here, right = net(x[part : part + micro]).flatten(0, 1), y[part : part + micro].flatten()
        mean = F.cross_entropy(here, right, ignore_index=-1)
        (mean / (len(x) // micro)).backward()
        losses += mean.item() * micro / len(x)
    return losses


class Normed(nn.Module):
    """The same net with BatchNorm over all places of what it is given, those behind the end too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(INPUTS, WIDTH), nn.BatchNorm1d(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(self.first(x).flatten(0, 1)).relu()).unflatten(0, x.shape[:2])


# %% the experiment


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, WIDTH), nn.LayerNorm(WIDTH), nn.ReLU(), nn.Linear(WIDTH, CLASSES))


def sequences(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs (n, T, d) and classes (n, T), -1 behind the end. Each micro-batch is all short (2) or all long (16)."""
    x = torch.randn(n, LONGEST, INPUTS, generator=generator)
    is_long = (torch.rand(n // MICRO, generator=generator) < 0.5).repeat_interleave(MICRO)
    right = torch.where(is_long[:, None], x[..., :CLASSES].argmax(-1), x[..., CLASSES:].argmax(-1))
    lengths = torch.where(is_long, LONGEST, 2)
    return x, torch.where(torch.arange(LONGEST) < lengths[:, None], right, -1)


Method = Callable[[nn.Module, Tensor, Tensor, int], float]


def gradients(net: nn.Module, method: Method, x: Tensor, y: Tensor, micro: int) -> Tensor:
    """Of all weights in one vector, f64, after the call."""
    net = copy.deepcopy(net).cpu().double()
    method(net, x.cpu().double(), y.cpu(), micro)
    return torch.cat([w.grad.flatten() for w in net.parameters()])


def kept(net: nn.Module, method: Method, x: Tensor, y: Tensor, micro: int) -> int:
    """The most numbers that wait at once for a gradient; weights and inputs are not counted."""
    net, counts, now = copy.deepcopy(net).cpu(), [0], [0]
    outside = {t.untyped_storage()._cdata for t in (x, y, *net.parameters())}

    class Held:
        def __init__(self, t: Tensor) -> None:
            self.t, self.n = t, 0 if t.untyped_storage()._cdata in outside else t.numel()
            now[0] += self.n
            counts.append(now[0])

        def __del__(self) -> None:
            now[0] -= self.n

    with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.t):
        method(net, x, y, micro)
    return max(counts)


def run(device="cpu", seed=0, steps=100):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    first, normed = plain(), Normed()
    methods: dict[str, Method] = {"one batch": whole_batch, "accumulated": accumulate, "mean of means": mean_of_means}
    nets = {name: copy.deepcopy(first).to(device) for name in methods}
    optimizers = {name: Momentum(net) for name, net in nets.items()}
    for step in range(steps):
        x, y = (t.to(device) for t in sequences(BATCH, data))
        losses = {name: method(nets[name], x, y, MICRO) for name, method in methods.items()}
        for optimizer in optimizers.values():
            optimizer.step()
        yield (step + 1) / steps, losses

    x, y = sequences(BATCH, unseen)
    while len((y >= 0).sum(1).unique()) < 2:
        x, y = sequences(BATCH, unseen)
    whole = gradients(first, whole_batch, x, y, MICRO)
    asked = {"sum": (accumulate, (1, 24)), "layers": (accumulate, (MICRO,)), "means": (mean_of_means, (MICRO,))}
    gaps = {
        name: max(float((gradients(first, method, x, y, micro) - whole).abs().max()) for micro in sizes)
        for name, (method, sizes) in asked.items()
    }
    pair = [gradients(normed, method, x, y, MICRO) for method in (accumulate, whole_batch)]
    fresh, _ = sequences(1024, unseen)
    with torch.no_grad():
        answers = {name: net(fresh.to(device)).cpu() for name, net in nets.items()}
    astray = {name: float((a - answers["one batch"]).abs().max()) for name, a in answers.items()}
    sizes = (8, 16, 32, 64, 128)
    batches = [sequences(n, unseen) for n in sizes]
    memory = {name: [kept(first, methods[name], *b, MICRO) for b in batches] for name in ("one batch", "accumulated")}
    return {
        "accumulated_gap": gaps["sum"],
        "means_gap": gaps["means"],
        "layernorm_gap": gaps["layers"],
        "batchnorm_gap": float((pair[0] - pair[1]).abs().max()),
        "accumulated_growth": memory["accumulated"][-1] / memory["accumulated"][0],
        "batch_growth": memory["one batch"][-1] / memory["one batch"][0],
        "accumulated_astray": astray["accumulated"],
        "means_astray": astray["mean of means"],
    }, {
        "numbers that wait for the gradient": {
            "kind": "lines",
            "series": {name: (list(sizes), values) for name, values in memory.items()},
            "x": "sequences in the batch",
            "y": "numbers",
            "log": "xy",
        }
    }


# %% what is claimed

TITLE = {"en": "Gradient accumulation: a large batch in small memory", "zh": "梯度累积：用小内存跑大批次"}
CURVES = "cross-entropy"
CPU_SECONDS = 1
CLAIMS = {
    "parity accumulated_gap <= 1e-10 < means_gap": {
        "en": "largest gap of the accumulated gradient to that of the whole batch, in micro-batches of 1 and up to 24 "
        "(f64); the control averages the means of micro-batches of 8",
        "zh": "累积梯度与整批梯度的最大差距（微批为 1 个与至多 24 个序列，f64）；对照先对每 8 个序列取均值，再取平均",
    },
    "parity layernorm_gap <= 1e-10 < batchnorm_gap": {
        "en": "largest gap of the accumulated gradient to that of the whole batch, in micro-batches of 8, of a net "
        "with LayerNorm (f64); the control has BatchNorm",
        "zh": "带 LayerNorm 的网络的累积梯度与整批梯度的最大差距（微批为 8 个序列，f64）；对照用 BatchNorm",
    },
    "parity accumulated_growth <= 1.01 < batch_growth <= 16.1": {
        "en": "factor by which the numbers kept at once for the gradient grow from 8 to 128 sequences in the batch, in "
        "micro-batches of 8; control: the whole batch at once",
        "zh": "批次从 8 个序列增到 128 个时，为求梯度同时保留的数值个数增大的倍数（微批为 8）；对照：整批一次计算",
    },
    "trained accumulated_astray <= 5e-4 < means_astray <= 10": {
        "en": "largest difference in the logits for fresh sequences from a net trained on whole batches, same data, "
        "same first weights (f32); control: trained with the mean of the means",
        "zh": "与用整批、以相同数据和初值训练的网络相比，对新序列的 logits 的最大差异（f32）；"
        "对照：用各微批均值的平均来训练的网络",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "one batch": "整批",
    "accumulated": "累积",
    "mean of means": "各微批均值的平均",
    "numbers that wait for the gradient": "为求梯度同时保留的数值",
    "sequences in the batch": "批中的序列数",
    "numbers": "数值个数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
