"""Audio classification — which vowel? Log-mel energies let a linear classifier tell; raw samples do not.

Six simulated vowels, each loudest near two frequencies (formants), spoken by voices of random pitch, loudness and
phase, in noise. The front end cuts the sound into frames, takes the power at each frequency, adds it up in 24 bands
that are narrow below and wide above (the mel scale), and takes logarithms. From their mean over time, less that over
bands, a linear classifier learns the vowels from 5 sounds of each. Its rivals see the same sounds and train as long,
inputs standardized, with weight decay, a good one for each kind; accuracies are means over 6 draws of training sounds.
From samples a linear classifier finds a quarter, the nearest neighbour a third, guessing a sixth: a new phase changes
the samples, and the vowel not at all. Between lie a linear classifier of the log power of all 129 frequencies, which
shows the pitch as well, and a convolutional network on samples, near with ten times the sounds. Bands help most:
equal widths, or levelled mel bands without logarithm, lose but a few hundredths, nearest neighbours less (none shown).

Needs:  torch
Source: S. Davis, P. Mermelstein, Comparison of Parametric Representations for Monosyllabic Word Recognition ..., IEEE
        TASSP 28(4), 1980; G. Peterson, H. Barney, Control Methods Used in a Study of the Vowels, JASA 24, 1952
"""

import math
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HERTZ, SAMPLES, FRAME, HOP, MELS, NOISE = 8000, 1024, 256, 128, 24, 0.3
TRAIN, DRAWS, TEST, CHANNELS, RATE, DECAY, NET_DECAY = 30, 6, 600, 32, 1e-2, 0.1, 0.01
VOWELS = ("ee", "e", "a", "aw", "oo", "er")
FORMANTS = ((270, 2290), (530, 1840), (730, 1090), (570, 840), (300, 870), (490, 1350))  # Hz, means of men

# %% the concept


def edges() -> Tensor:  # of the bands in Hz, equally far apart in mel: (MELS + 2,), f64
    mel = torch.linspace(0, 2595 * math.log10(1 + HERTZ / 2 / 700), MELS + 2, dtype=torch.float64)
    return 700 * (10 ** (mel / 2595) - 1)  # the inverse of m = 2595 log10(1 + f / 700)


def bank(like: Tensor) -> Tensor:
    """Triangles over the frequencies, each from its neighbour's peak to the next one's: (MELS, FRAME / 2 + 1)."""
    low, peak, high = (part[:, None] for part in edges().unfold(0, 3, 1).unbind(1))
    f = torch.arange(FRAME // 2 + 1) * HERTZ / FRAME
    both = torch.minimum((f - low) / (peak - low), (high - f) / (high - peak))  # the rising side, the falling side
    return both.clamp(min=0).to(like.dtype).to(like.device)


def power(x: Tensor) -> Tensor:  # (B, SAMPLES) -> (B, T, FRAME / 2 + 1)
    frames = x.unfold(1, FRAME, HOP) * torch.hann_window(FRAME, dtype=x.dtype).to(x.device)
    cells = torch.fft.rfft(frames)  # X(t, f) = sum of w(n) x(t HOP + n) e^(-2 pi i f n / FRAME)
    return cells.real.square() + cells.imag.square()


def pooled(energy: Tensor) -> Tensor:
    """Logarithms, their mean over time, less that over bands, which is the volume: (B, T, M) -> (B, M)."""
    loud = energy.log().mean(1)
    return loud - loud.mean(1, keepdim=True)


def log_mel(x: Tensor) -> Tensor:  # (B, SAMPLES) -> (B, MELS)
    return pooled(power(x) @ bank(x).mT)


# %% its control


def level(x: Tensor) -> Tensor:  # every sound as loud as every other: (B, SAMPLES) -> (B, SAMPLES)
    return x / x.square().mean(1, keepdim=True).sqrt()


FEATURES = {
    "log-mel": log_mel,
    "log spectrum": lambda x: pooled(power(x)),
    "samples": level,
    "samples, conv net": level,
}


class ConvNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(1, CHANNELS, 64, 8), nn.Conv1d(CHANNELS, CHANNELS, 5, 2)
        self.answer = nn.Linear(CHANNELS, len(FORMANTS))

    def forward(self, x: Tensor) -> Tensor:  # (B, SAMPLES) -> (B, 6); 64 samples are 8 ms
        return self.answer(self.second(self.first(x[:, None]).relu()).relu().mean(2))


# %% the experiment


def sounds(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Vowels in turn, with random pitch, formants, phases, volume and noise: (n, SAMPLES), (n,)."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    label = torch.arange(n) % len(FORMANTS)
    pitch, phase, number = uniform(90, 250, n, 1), uniform(0, 2 * math.pi, n, 40), torch.arange(1, 41)
    formant = torch.tensor(FORMANTS).float()[label] * uniform(0.88, 1.12, n, 2)
    away = (number * pitch)[..., None] - formant[:, None]  # of each harmonic from each formant: (n, 40, 2)
    loud = ((-(away / 120).square()).exp() @ torch.tensor([1.0, 0.6]) + 0.02) * (number * pitch < HERTZ / 2)
    turns = (pitch * (1 + uniform(-0.05, 0.05, n, 1) * torch.linspace(0, 1, SAMPLES))).cumsum(1) / HERTZ
    voice = torch.zeros(n, SAMPLES)
    for k in range(40):
        voice += loud[:, k, None] * (2 * math.pi * (k + 1) * turns + phase[:, k, None]).sin()
    heard = level(voice) + NOISE * torch.randn(n, SAMPLES, generator=generator)
    return heard * uniform(-1.5, 1.5, n, 1).exp(), label


def front_end_gap(x: Tensor, has_window: bool = True) -> float:
    """Largest gap of log-mel energies, and of the samples' gradients, to sums of cosines and sines and triangles
    written out (f64); the control's frames have no window."""
    mine = x.double().requires_grad_()
    n, m = torch.arange(FRAME).double(), 2595 * math.log10(1 + HERTZ / 2 / 700) / (MELS + 1)
    window = torch.sin(math.pi * n / FRAME) ** 2 if has_window else torch.ones_like(n)
    angle = 2 * math.pi * torch.outer(torch.arange(FRAME // 2 + 1).double(), n) / FRAME
    waves, weights = torch.cat([angle.cos(), -angle.sin()]), torch.zeros(MELS, FRAME // 2 + 1, dtype=torch.float64)
    for j, i in product(range(MELS), range(FRAME // 2 + 1)):
        f, (low, peak, high) = i * HERTZ / FRAME, (700 * (10 ** ((j + k) * m / 2595) - 1) for k in range(3))
        if low < f < high:
            weights[j, i] = (f - low) / (peak - low) if f < peak else (high - f) / (high - peak)
    starts, mean = range(0, SAMPLES - FRAME + 1, HOP), 0.0
    for start in starts:
        real, imag = (mine[:, start : start + FRAME] * window @ waves.mT).chunk(2, 1)
        mean = mean + ((real**2 + imag**2) @ weights.mT).log() / len(starts)
    outputs = log_mel(mine), mean - mean.mean(1, keepdim=True)
    slopes = [torch.autograd.grad(out.sin().sum(), mine)[0] for out in outputs]
    return max((a - b).abs().max().item() for a, b in (outputs, slopes))


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(3 * seed)  # weights, training sounds, test sounds: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    draws, (fresh, answer) = [sounds(TRAIN, data) for _ in range(DRAWS)], sounds(TEST, unseen)
    seen, asked, nets = {}, {}, {}
    for name, k in product(FEATURES, range(DRAWS)):
        known, new = (FEATURES[name](x.to(device)) for x in (draws[k][0], fresh))
        seen[name, k], asked[name, k] = ((x - known.mean(0)) / known.std(0) for x in (known, new))
        nets[name, k] = (ConvNet() if name.endswith("net") else nn.Linear(known.shape[1], len(FORMANTS))).to(device)
    y = draws[0][1].to(device)  # the vowels in turn, in each draw
    decay = {name: NET_DECAY if name.endswith("net") else DECAY for name in FEATURES}
    optimizer = torch.optim.Adam([{"params": nets[key].parameters(), "weight_decay": decay[key[0]]} for key in nets])
    for step in range(steps):
        losses = {key: F.cross_entropy(net(seen[key]), y) for key, net in nets.items()}
        for part in optimizer.param_groups:
            part["lr"] = RATE * min(1, 2 - 2 * step / steps)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        yield (step + 1) / steps, {name: losses[name, 0].item() for name in FEATURES}

    with torch.no_grad():
        found = {key: net(asked[key]).argmax(1).cpu() for key, net in nets.items()}
    for k in range(DRAWS):
        found["neighbours", k] = y.cpu()[torch.cdist(asked["samples", k].cpu(), seen["samples", k].cpu()).argmin(1)]
    hits = {key: (said == answer).float().mean().item() for key, said in found.items()}
    right = {name: sum(hits[name, k] for k in range(DRAWS)) / DRAWS for name in (*FEATURES, "neighbours")}
    bands, shown = log_mel(fresh[:12]).tolist(), ((0, "first"), (6, "second"), (3, "first"), (9, "second"))
    return {
        "mel_accuracy": right["log-mel"],
        "sample_accuracy": max(right["samples"], right["neighbours"]),
        "band_accuracy": right["log-mel"],
        "spectrum_accuracy": right["log spectrum"],
        "linear_accuracy": right["log-mel"],
        "net_accuracy": right["samples, conv net"],
        "front_end_gap": front_end_gap(fresh[:6]),
        "no_window_gap": front_end_gap(fresh[:6], has_window=False),
    }, {
        "log-mel energies of two sounds each of two vowels": {
            "kind": "lines",
            "series": {f"{VOWELS[k % 6]}, {word}": (edges()[1:-1].tolist(), bands[k]) for k, word in shown},
            "x": "Hz",
            "y": "log energy, less the mean",
        },
    }


# %% what is claimed

TITLE = {"en": "Log-mel energies make vowels easy to tell", "zh": "对数梅尔能量使元音易于区分"}
CURVES = "loss"
CPU_SECONDS = 3
CLAIMS = {
    "trained mel_accuracy >= 0.95 > sample_accuracy >= 0.31": {
        "en": "share of fresh vowels that a linear classifier of log-mel energies names; control: linear or nearest "
        "neighbour of the samples, whichever is better",
        "zh": "对数梅尔能量的线性分类器在新元音上的准确率；对照：直接看采样点的线性分类器与最近邻，取较好者",
    },
    "trained band_accuracy >= 0.95 > spectrum_accuracy >= 0.84": {
        "en": "the same; control: linear on the log power of all 129 frequencies",
        "zh": "同一准确率；对照：看全部 129 个频率的对数功率的线性分类器",
    },
    "trained linear_accuracy >= 0.95 > net_accuracy >= 0.75": {
        "en": "the same; control: a convolutional network on the samples",
        "zh": "同一准确率；对照：直接看采样点的卷积网络",
    },
    "parity front_end_gap <= 1e-10 < no_window_gap": {
        "en": "largest gap of log-mel energies and of the samples' gradients to sums of sines and triangles written "
        "out (f64); control: without a window",
        "zh": "对数梅尔能量与对采样点的梯度同逐项写出的正弦和与三角权重之间的最大差距（f64）；对照：不加窗",
    },
}
ZH = {
    "loss": "损失",
    "log-mel": "对数梅尔",
    "log spectrum": "对数谱",
    "samples": "采样点",
    "samples, conv net": "采样点，卷积网络",
    "log-mel energies of two sounds each of two vowels": "两个元音各两段声音的对数梅尔能量",
    "ee, first": "ee，第一段",
    "ee, second": "ee，第二段",
    "aw, first": "aw，第一段",
    "aw, second": "aw，第二段",
    "Hz": "频率（Hz）",
    "log energy, less the mean": "对数能量，减去均值",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
