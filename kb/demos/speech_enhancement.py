"""Speech enhancement — a network learns which cells of a spectrogram are voice; a linear filter or medians gain less.

A short-time Fourier transform cuts sound into cells of time and frequency. The network gives every cell of a noisy
voice a number between 0 and 1, the mask; mask times cell, transformed back, is the enhanced voice. Voices (harmonics of
a gliding pitch, loudest near two formants; silent for the first 0.3 s) and noise (hiss, bursts, chirps) are synthetic,
of equal power over each sound. Measured is the gain in SI-SDR: the voice over what else is heard, in dB, whatever the
volume. The control is one linear filter of the logarithms of the 33 by 21 cells that the network sees around each cell,
squashed to a mask and trained as long on the same sounds. It in turn gains more than median filters, a fixed rule that
keeps what is smooth in time rather than in frequency; their lengths are the best of nine on training sounds. A mask
computed from the true voice and noise shows that there is more to gain.

Needs:  torch
Source: Y. Wang, A. Narayanan, D. Wang, On Training Targets for Supervised Speech Separation, IEEE/ACM TASLP 22(12),
        2014; J. Le Roux et al., SDR - Half-Baked or Well Done?, ICASSP 2019;
        D. Fitzgerald, Harmonic/Percussive Separation Using Median Filtering, DAFx 2010
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HERTZ, SAMPLES, FRAME, HOP, SILENT, HISS = 4000, 6144, 192, 64, 1200, 0.3
TRAIN, TEST, BATCH, CROP, WIDTH, RATE = 100, 60, 4, 48, 8, 1e-2

# %% the concept


def window(like: Tensor) -> Tensor:
    return torch.hann_window(FRAME, dtype=like.real.dtype, device=like.device)


def stft(x: Tensor) -> Tensor:  # (B, samples) -> (B, F, T), complex
    frames = F.pad(x[:, None], (FRAME // 2, FRAME // 2), mode="reflect")[:, 0].unfold(1, FRAME, HOP)
    return torch.fft.rfft(frames * window(x)).mT  # X(f, t) = sum of w(n) padded(t HOP + n) e^(-2 pi i f n / FRAME)


def istft(cells: Tensor) -> Tensor:  # (B, F, T) -> (B, samples)
    w, steps, half = window(cells)[:, None], cells.shape[2], FRAME // 2
    frames = torch.cat([torch.fft.irfft(cells.mT).mT * w, (w**2).expand(len(cells), -1, steps)])
    added, weight = F.fold(frames, (1, (steps - 1) * HOP + FRAME), (1, FRAME), stride=(1, HOP)).chunk(2)
    return added[:, 0, 0, half:-half] / weight[:, 0, 0, half:-half]  # sum over t of w y_t / sum over t of w^2


class MaskNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers = []
        for d_in, kernel, dilation in [(1, (9, 5), (1, 1)), (WIDTH, (5, 5), (2, 2)), (WIDTH, (5, 5), (4, 2))]:
            layers += [nn.Conv2d(d_in, WIDTH, kernel, padding="same", dilation=dilation), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(WIDTH, 1, 1))

    def forward(self, cells: Tensor) -> Tensor:  # (B, F, T) -> (B, F, T), between 0 and 1
        loud = (cells.abs() + 0.05).log()
        return self.layers((loud - loud.mean((1, 2), keepdim=True))[:, None])[:, 0].sigmoid()


def enhance(net: nn.Module, noisy: Tensor) -> Tensor:  # (B, samples) -> (B, samples)
    cells = stft(noisy)
    return istft(net(cells) * cells)  # the mask scales each cell and keeps its phase


# %% its control


def medians(cells: Tensor, along: int, across: int) -> Tensor:
    """The share of what is smooth in time, beside what is smooth in frequency: (B, F, T)."""

    def median(x: Tensor, size: int) -> Tensor:  # over the last axis
        return F.pad(x, (size // 2, size // 2), mode="reflect").unfold(2, size, 1).median(-1).values.square()

    smooth, sudden = median(cells.abs(), along), median(cells.abs().mT, across).mT
    return smooth / (smooth + sudden + 1e-9)


# %% the experiment


def si_sdr(found: Tensor, voice: Tensor) -> Tensor:
    """10 log10(|a s|^2 / |found - a s|^2), where a s is the found sound's projection on the voice: (B,)."""
    part = (found * voice).sum(1, keepdim=True) / voice.square().sum(1, keepdim=True) * voice
    return 10 * (part.square().sum(1) / (found - part).square().sum(1)).log10()


def sounds(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Voices, silent to begin with, and the same with as much noise: (n, samples) twice."""

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand((), generator=generator)

    t, voices, noises = torch.arange(SAMPLES) / HERTZ, [], []
    for _ in range(n):
        base, swing = between(100, 240), 0.03 * (2 * math.pi * between(2, 5) * t).sin()
        phase = 2 * math.pi * (base * (1 + between(-0.15, 0.15) * t + swing)).cumsum(0) / HERTZ
        formants, voice = (between(300, 800), between(900, 1800)), torch.zeros(SAMPLES)
        for k in range(1, int(1900 / base) + 1):
            level = sum(torch.exp(-(((k * base - f) / 220) ** 2)) for f in formants) + 0.03
            voice += level * (k * phase + between(0, 6.28)).sin()
        syllables = 0.5 - 0.5 * (2 * math.pi * between(1.5, 3) * t).cos()
        voice = voice * syllables.sqrt() * (torch.arange(SAMPLES) >= SILENT)
        voices.append(voice / voice.square().mean().sqrt())
        noise = HISS * torch.randn(SAMPLES, generator=generator)
        for burst in [True] * 4 + [False] * 6:
            size = int(between(100, 600) if burst else between(800, 1500))
            start = int(between(0, SAMPLES - size))
            hertz = between(200, 1900) + between(-900, 900) * torch.arange(size) / size  # of a chirp
            tone = (2 * math.pi * hertz.cumsum(0) / HERTZ).sin()
            sound = torch.randn(size, generator=generator) if burst else tone
            noise[start : start + size] += between(1, 3) * sound * torch.hann_window(size)
        noises.append(noise / noise.square().mean().sqrt())
    return torch.stack(voices), torch.stack(voices) + torch.stack(noises)


def gap_to_torch(net: nn.Module, noisy: Tensor, shift: int = 0) -> float:
    """Largest difference from torch.stft and torch.istft, gradients included, f64; `shift` is the mask's, in frames."""
    net, noisy = copy.deepcopy(net).cpu().double(), noisy.double().requires_grad_()
    how = {"n_fft": FRAME, "hop_length": HOP, "window": window(noisy)}
    cells = torch.stft(noisy, **how, return_complex=True)
    theirs = torch.istft(net(cells).roll(shift, 2) * cells, **how, length=SAMPLES)
    weights, leaves, found = torch.linspace(-1, 1, SAMPLES, dtype=torch.float64), [noisy, *net.parameters()], []
    for out in (enhance(net, noisy), theirs):
        found.append([out, *torch.autograd.grad((out * weights).sum(), leaves, materialize_grads=True)])
    return max((a - b).detach().abs().max().item() for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(4 * seed)  # weights, training sounds, test sounds and batches: four streams
    data, unseen, batches = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    (voices, noisy), (voice, fresh) = sounds(TRAIN, data), sounds(TEST, unseen)
    nets = {name: MaskNet() for name in ("network", "linear filter")}
    nets["linear filter"].layers = nn.Conv2d(1, 1, (33, 21), padding="same")  # the cells that the network sees
    target, cells, heard = stft(voices).abs(), stft(noisy), stft(fresh)
    optimizer = torch.optim.Adam([part for net in nets.values() for part in net.to(device).parameters()])
    for step in range(steps):
        rows = torch.randint(TRAIN, (BATCH,), generator=batches)
        start = int(torch.randint(cells.shape[2] - CROP, (), generator=batches))
        y, x = (part[rows, :, start : start + CROP].to(device) for part in (target, cells))
        losses = {name: (net(x) * x.abs() - y).square().mean() for name, net in nets.items()}
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    def gain(mask: Tensor, cells: Tensor, noisy: Tensor, voice: Tensor) -> float:
        return (si_sdr(istft(mask * cells), voice) - si_sdr(noisy, voice)).mean().item()

    lengths = [(along, across) for along in (9, 13, 17) for across in (5, 7, 9)]
    best = max(lengths, key=lambda tried: gain(medians(cells[:30], *tried), cells[:30], noisy[:30], voices[:30]))
    masks = {"median filters": medians(heard, *best)}
    with torch.no_grad():
        masks |= {name: net(heard.to(device)).cpu() for name, net in nets.items()}
    clean, rest = stft(voice), stft(fresh - voice)
    masks["ideal"] = clean.abs() / (clean.abs().square() + rest.abs().square()).sqrt()
    gains = {name: gain(mask, heard, fresh, voice) for name, mask in masks.items()}
    shown = {"noisy": heard, **{name: masks[name] * heard for name in ("median filters", "network")}, "voice": clean}
    levels = [F.avg_pool2d((part[:1].abs() + 0.3).log(), (2, 3))[0].flip(0).tolist() for part in shown.values()]
    tested, known = ({sound.numpy().tobytes() for sound in part} for part in (fresh, noisy))
    figure = {"kind": "images", "images": levels, "titles": list(shown), "columns": 2}
    return {
        "net_gain": gains["network"],
        "linear_gain": gains["linear filter"],
        "median_gain": gains["median filters"],
        "ideal_gain": gains["ideal"],
        "enhance_gap": gap_to_torch(nets["network"], fresh[:2]),
        "late_gap": gap_to_torch(nets["network"], fresh[:2], shift=1),
        "shared_sounds": len(tested & known),
        "own_sounds": len(tested & tested),
    }, {"time to the right, frequency upwards, brighter is louder": figure}


# %% what is claimed

TITLE = {"en": "A learned mask takes noise off a voice", "zh": "学到的掩码为语音去噪"}
CURVES = "loss"
CPU_SECONDS = 6
CLAIMS = {
    "trained net_gain >= 7.8 > linear_gain >= 6.2": {
        "en": "mean SI-SDR gain on fresh sounds in dB; control: one linear filter of the same cells, trained as long",
        "zh": "新声音上 SI-SDR 的平均提升（dB）；对照：看同样的单元、训练同样久的一个线性滤波器",
    },
    "trained linear_gain >= 6.2 > median_gain >= 4.4": {
        "en": "the same of that linear filter; control: median filters, their lengths chosen on training sounds",
        "zh": "该线性滤波器的同一提升；对照：中值滤波，窗长在训练声音上选定",
    },
    "trained ideal_gain >= 12.2 > net_gain": {
        "en": "the same of a mask computed from the true voice and noise, unknown in use; control: the network",
        "zh": "由真实语音与噪声算出的掩码（实际中得不到）的同一提升；对照：网络",
    },
    "parity enhance_gap <= 1e-10 < late_gap": {
        "en": "largest gap of the trained network's sounds and gradients to those by torch.stft and torch.istft (f64); "
        "the control's mask comes a frame late",
        "zh": "训练后网络输出的声音与梯度同 torch.stft、torch.istft 的最大差距（f64）；对照的掩码晚一帧",
    },
    "parity shared_sounds <= 0 < own_sounds": {
        "en": "test sounds that are among the training sounds; the control counts those among the test sounds",
        "zh": "同时出现在训练集中的测试声音数；对照数的是测试集自身中的声音",
    },
}
ZH = {
    "loss": "损失",
    "time to the right, frequency upwards, brighter is louder": "声谱图：横轴为时间，纵轴为频率，越亮越响",
    "noisy": "带噪语音",
    "median filters": "中值滤波",
    "linear filter": "线性滤波器",
    "network": "网络",
    "voice": "纯净语音",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
