"""Internal covariate shift — batch norm still helps when noise moves what it gives more per update than a plain net's.

While the layers below it learn, what a unit receives changes in mean and spread: internal covariate shift. Batch norm
was made to reduce it. Is that why it helps? As in Santurkar et al., noise follows every batch norm: each unit is scaled
and moved by numbers drawn anew at every step. Measured is how far mean and spread of what the ReLUs receive move from
one update to the next (Wasserstein-2 of two Gaussians, over the spread; same images); right after batch norm they are
two parameters a unit and hardly move. Nets of twelve hidden layers learn digits from the same weights and mini-batches
by plain SGD, each kind at the best of three rates. The noisy net shifts more at an update than the plain net, the one
without batch norm, yet keeps most of batch norm's lead. Over sixteen updates or more the plain net shifts further
(figure). The lead needs batch norm's larger rates: at the plain net's least there is none, and with Adam the plain net
is quicker; the same noise slows the plain net down, too (none of the three is shown).

Needs:  torch, scikit-learn
Source: S. Santurkar et al., How Does Batch Normalization Help Optimization?, NeurIPS 2018 (by its measure of gradients,
        batch norm does not even reduce the shift); S. Ioffe, C. Szegedy, Batch Normalization, ICML 2015
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

LAYERS, WIDTH, TRAIN, BATCH, MEAN, SCALE, EACH = 12, 64, 1300, 64, 0.5, 1.25, 0.1

# %% the concept


def shift(before: Tensor, after: Tensor) -> Tensor:  # (..., N, D) twice, the same N examples -> (...)
    moved = (after.mean(-2) - before.mean(-2)) ** 2  # (..., D)
    spread = (after.std(-2, correction=0) - before.std(-2, correction=0)) ** 2
    return ((moved + spread).mean(-1) / before.var(-2, correction=0).mean(-1)).sqrt()  # Wasserstein-2 over the spread


class BatchNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain, self.offset = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:  # (B, D) -> (B, D)
        mean, var = x.mean(0), x.var(0, correction=0)
        return (x - mean) / (var + 1e-5).sqrt() * self.gain + self.offset


class NoisyNorm(BatchNorm):
    def forward(self, x: Tensor) -> Tensor:  # (B, D) -> (B, D)
        y = super().forward(x)
        m, s, m_i, s_i = (part.to(y) for part in draw(*y.shape, self.noise))
        return (s + s_i) * y + m + m_i  # s, m: new at every step, one a unit; s_i, m_i: a little for each example


def draw(n: int, width: int, noise: torch.Generator) -> tuple[Tensor, ...]:  # -> (D,), (D,), (n, D), (n, D)
    """How each unit, and each example, is moved and scaled at this step."""
    m, s = MEAN * (2 * torch.rand(width, generator=noise) - 1), 1 + (SCALE - 1) * torch.rand(width, generator=noise)
    m_i = EACH * (2 * torch.rand(n, width, generator=noise) - 1)
    return m, s, m_i, EACH * torch.randn(n, width, generator=noise)


# %% its control

NETS: dict = {"batch norm": BatchNorm, "batch norm + noise": NoisyNorm, "plain": lambda width: nn.Identity()}
RATES = {"batch norm": (0.3, 0.5, 1.0), "batch norm + noise": (0.3, 0.5, 1.0), "plain": (0.04, 0.07, 0.12)}

# %% the experiment


def network(name: str, noise: torch.Generator) -> nn.Sequential:  # (B, 64) -> (B, 10)
    net = nn.Sequential()
    for _ in range(LAYERS):
        linear, norm, norm.noise = nn.Linear(WIDTH, WIDTH), NETS[name](WIDTH), noise
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")  # keeps the scale without batch norm, too
        nn.init.zeros_(linear.bias)
        net.extend([linear, norm, nn.ReLU()])
    return net.append(nn.Linear(WIDTH, 10))


@torch.no_grad()
def received(net: nn.Sequential, x: Tensor) -> Tensor:  # (N, 64) -> what the ReLUs receive: (LAYERS, N, D)
    seen = []
    for part in net:
        if isinstance(part, nn.ReLU):
            seen.append(x)
        x = part(x)
    return torch.stack(seen)


def gap_to_torch(net: nn.Sequential, x: Tensor, late: bool = True) -> float:
    """Largest gap of a noisy net to torch's batch norm with the same noise: outputs, gradients of inputs and
    parameters (f64). Without `late` the noise comes first, and batch norm takes most of it out again."""
    mine, noise, found = copy.deepcopy(net).cpu().double(), torch.Generator(), []
    for part in mine:
        part.noise = noise

    def theirs(x: Tensor) -> Tensor:
        for part in mine:
            if isinstance(part, NoisyNorm):
                m, s, m_i, s_i = (drawn.double() for drawn in draw(*x.shape, noise))
                x = x if late else torch.addcmul(m + m_i, s + s_i, x)
                x = F.batch_norm(x, None, None, part.gain, part.offset, True)
                x = torch.addcmul(m + m_i, s + s_i, x) if late else x
            else:
                x = part(x)
        return x

    for model in (mine, theirs):
        noise.manual_seed(1)
        leaf = x.cpu().double().requires_grad_()
        out = model(leaf)
        weighted = (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)).sum()
        found.append([out, *torch.autograd.grad(weighted, [leaf, *mine.parameters()])])
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def transport_gap(x: Tensor, generator: torch.Generator, spread: bool = True) -> float:
    """Gap of `shift` to the way from sorted values to sorted rescaled ones (f64), or to that of the means alone."""
    x = x.cpu().double()
    y = x * (0.5 + torch.rand(x.shape[1], generator=generator)) + torch.randn(x.shape[1], generator=generator)
    way = (y.sort(0).values - x.sort(0).values) if spread else (y - x).mean(0, keepdim=True)
    return float((shift(x, y) - (way.square().mean() / (x - x.mean(0)).square().mean()).sqrt()).abs())


def mean_shift(seen: dict[int, Tensor], updates: int) -> float:
    """Shift between moments that are some updates apart, mean of pairs and layers; nan where there are none."""
    pairs = [shift(now, seen[step + updates]) for step, now in seen.items() if step + updates in seen]
    return float(torch.cat(pairs).mean()) if pairs else float("nan")


def run(device="cpu", seed=0, steps=150):
    data, batches, checks = (torch.Generator().manual_seed(5 * seed + k) for k in (1, 2, 3))
    pixels, labels = map(torch.tensor, load_digits(return_X_y=True))
    order = torch.randperm(len(labels), generator=data)
    x, y = pixels.float()[order] / 16, labels[order].to(device)
    x = ((x - x[:TRAIN].mean(0)) / (x[:TRAIN].std(0) + 0.1)).to(device)
    x, y, probe = x[:TRAIN], y[:TRAIN], x[TRAIN : TRAIN + 100]  # images on which the shift is measured
    nets = {}
    for key in [(name, rate) for name in NETS for rate in RATES[name]]:
        torch.manual_seed(5 * seed)
        nets[key] = network(key[0], torch.Generator().manual_seed(5 * seed + 4)).to(device)
    losses, seen = {key: [] for key in nets}, {key: {} for key in nets}
    for step in range(steps):
        rows = torch.randint(len(x), (BATCH,), generator=batches).to(device)
        for key, net in nets.items():
            if step % 8 < 2:  # before an update and after it
                seen[key][step] = received(net, probe)
            loss = F.cross_entropy(net(x[rows]), y[rows])
            gradients = torch.autograd.grad(loss, [*net.parameters()])
            with torch.no_grad():
                for p, g in zip(net.parameters(), gradients, strict=True):
                    p -= key[1] * g
            losses[key].append(loss.item())
        recent = {key: sum(held[-10:]) / len(held[-10:]) for key, held in losses.items()}
        yield (step + 1) / steps, {name: min(recent[name, rate] for rate in RATES[name]) for name in NETS}

    loss_of = {key: sum(held) / steps for key, held in losses.items()}
    best = {name: min(RATES[name], key=lambda rate: loss_of[name, rate]) for name in NETS}
    excess = {name: loss_of[name, best[name]] - loss_of["batch norm", best["batch norm"]] for name in NETS}
    shift_of = {key: mean_shift(held, 1) for key, held in seen.items()}
    apart = [lag for lag in (1, 8, 16, 32, 64, 128) if lag < max(steps, 2)]
    noisy = nets["batch norm + noise", best["batch norm + noise"]]
    return {
        "noisy_excess": excess["batch norm + noise"],
        "plain_excess": excess["plain"],
        "noisy_shift": min(shift_of["batch norm + noise", rate] for rate in RATES["batch norm + noise"]),
        "plain_shift": max(shift_of["plain", rate] for rate in RATES["plain"]),
        "norm_shift": max(shift_of["batch norm", rate] for rate in RATES["batch norm"]),
        "least_plain_shift": min(shift_of["plain", rate] for rate in RATES["plain"]),
        "gap": max(gap_to_torch(noisy, x[:BATCH]), transport_gap(probe, checks)),
        "control_gap": min(gap_to_torch(noisy, x[:BATCH], late=False), transport_gap(probe, checks, spread=False)),
    }, {
        "shift between two moments of training": {
            "kind": "lines",
            "series": {name: (apart, [mean_shift(seen[name, best[name]], n) for n in apart]) for name in NETS},
            "x": "updates between",
            "y": "covariate shift, over the spread",
            "log": "xy",
        },
    }


# %% what is claimed

TITLE = {"en": "Batch norm helps though noise shifts it step by step", "zh": "即使噪声让分布逐步偏移，批归一化依然有效"}
CURVES = "training loss, mean of ten steps"
CPU_SECONDS = 5
CLAIMS = {
    "trained noisy_excess <= 0.22 < plain_excess <= 1": {
        "en": "mean training loss with noise, less that without, each net at its best rate; control: the plain net's",
        "zh": "加噪声时的平均训练损失比单用批归一化高多少（各取最佳学习率）；对照：普通网络高多少",
    },
    "trained noisy_shift >= 0.34 > plain_shift >= 0.1": {
        "en": "covariate shift from one update to the next, mean of layers and steps, with noise after batch norm, at "
        "the rate where it is least; control: the plain net, at the rate where it is largest",
        "zh": "批归一化后加噪声时，一次更新前后的协变量偏移（取平均偏移最小的学习率）；对照：普通网络，取最大的",
    },
    "trained norm_shift <= 0.015 < least_plain_shift": {
        "en": "the same with batch norm alone, where it is largest; control: the plain net, where it is least",
        "zh": "单用批归一化时的同一偏移，取偏移最大的学习率；对照：普通网络，取偏移最小的学习率",
    },
    "parity gap <= 1e-10 < control_gap": {
        "en": "largest gap of the noisy net, outputs and gradients, to torch's batch norm and the same noise, and of "
        "the shift to the way between sorted values (f64); control: noise before batch norm, or means alone",
        "zh": "加噪网络的输出与梯度同 PyTorch 批归一化加同样噪声的最大差距，以及偏移与排序后数值间路程之差（f64）；"
        "对照：噪声加在批归一化之前，或只计均值",
    },
}
ZH = {
    "training loss, mean of ten steps": "训练损失（十步平均）",
    "batch norm": "批归一化",
    "batch norm + noise": "批归一化加噪声",
    "plain": "普通网络",
    "shift between two moments of training": "训练中两个时刻之间的偏移",
    "updates between": "相隔的更新次数",
    "covariate shift, over the spread": "协变量偏移（以标准差为单位）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
