"""Text to speech — syllables become lengths and pitches, and these a sound, one sample after another.

Text is five syllables, each with one of five vowels and one of four tones (level, rising, low, falling). A first
network plans how long each is and how its pitch goes. As in Mandarin, a low tone before a low tone is said rising:
that a linear fit of the syllable and its neighbours cannot say (of pairs of tones, it could). A second network, a
small WaveNet, is told vowel and pitch at each sample and draws the next, 1600 a second, by the 32 before it; levels
(64, mu-law) are finer where it is soft. The speaker is simulated: at each pulse two formants ring, and sink into
hiss before the next, up to 19 samples later. The control sees 6 samples, trained as long on the same: it cannot
tell how long ago a pulse was, and its pitch goes astray. Pitch is measured by autocorrelation in the second half of
each syllable, and compared with the speaker's; lengths are not judged, vowels only by how likely the speaker's own
sounds are. (The formula that is the speaker makes such a sound at once.)

Needs:  torch
Source: A. van den Oord et al., WaveNet: A Generative Model for Raw Audio, arXiv:1609.03499, 2016
"""

import copy
import math
import random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HERTZ, LEVELS, MU, WIDTH, DILATIONS = 1600, 64, 15, 24, (1, 2, 4, 8, 16)

# %% the concept


def decoded(levels: Tensor) -> Tensor:
    y = levels * (2 / (LEVELS - 1)) - 1
    return y.sign() * ((1 + MU) ** y.abs() - 1) / MU  # x = sign(y) ((1 + mu)^|y| - 1) / mu


class WaveNet(nn.Module):
    """p(x_t | x_t-1, .., x_t-r, c_t): the next sample, by those before it and what is to be said."""

    def __init__(self, dilations: tuple[int, ...], d_told: int = 10) -> None:
        super().__init__()
        self.dilations, self.enter = dilations, nn.Linear(2, WIDTH)
        self.taps = nn.ModuleList(nn.Linear(2 * WIDTH, 2 * WIDTH) for _ in dilations)
        self.told = nn.ModuleList(nn.Linear(d_told, 2 * WIDTH, bias=False) for _ in dilations)
        self.mix = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in dilations)
        self.leave = nn.Sequential(nn.ReLU(), nn.Linear(WIDTH, LEVELS))

    def first(self, levels: Tensor) -> Tensor:
        return self.enter(torch.stack([levels / (LEVELS / 2) - 1, decoded(levels)], -1))

    def layer(self, i: int, h: Tensor, earlier: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        a, b = (self.taps[i](torch.cat([h, earlier], -1)) + self.told[i](c)).chunk(2, -1)
        z = a.tanh() * b.sigmoid()  # z_t = tanh(W h_t + V h_t-d + U c_t) * sigmoid(W' h_t + V' h_t-d + U' c_t)
        return h + self.mix[i](z), z

    def forward(self, levels: Tensor, c: Tensor) -> Tensor:  # (B, T), (B, T, C) -> (B, T, LEVELS)
        h, total = self.first(F.pad(levels[:, :-1], (1, 0), value=LEVELS / 2)), 0  # at t, what came before t
        for i, d in enumerate(self.dilations):
            h, z = self.layer(i, h, F.pad(h, (0, 0, d, 0))[:, :-d], c)
            total = total + z
        return self.leave(total)

    def speak(self, c: Tensor, u: Tensor) -> Tensor:  # (B, T, C), (B, T) -> (B, T)
        """Levels drawn one by one, by numbers u from 0 to 1; each layer keeps what it needs of the past."""
        level, drawn = torch.full_like(u[:, 0], LEVELS / 2), []
        past = [[u.new_zeros(len(u), WIDTH)] * d for d in self.dilations]
        for c_t, u_t in zip(c.unbind(1), u.unbind(1), strict=True):
            h, total = self.first(level), 0
            for i, line in enumerate(past):
                line.append(h)
                h, z = self.layer(i, h, line.pop(0), c_t)
                total = total + z
            below = self.leave(total).softmax(-1).cumsum(-1)
            level = (below < u_t[:, None]).sum(-1).clamp(max=LEVELS - 1).to(u)
            drawn.append(level)
        return torch.stack(drawn, 1)


# %% its control

SHORT = (1, 1, 1, 1, 1)  # as many layers, of the last six samples

# %% the experiment

FORMANTS = torch.tensor([[250.0, 600.0], [450.0, 700.0], [650.0, 350.0], [350.0, 500.0], [550.0, 250.0]])  # Hz
TONES = torch.tensor([[155.0, 155.0], [100.0, 135.0], [85.0, 85.0], [160.0, 115.0]]).log()  # at the start, at the end
SYLLABLES, FRAME, DECAY, HISS = 5, 16, 1000.0, 0.015
MEAN, SPREAD = torch.tensor([[10, 4.8, 4.8], [1.5, 0.2, 0.2]])  # of a plan: frames, log pitch at start and end
TRAIN, TEST, CROP, BATCH, RATE = 100, 32, 256, 4, 1e-2
RISING, LOW = 1, 2
Text = list[tuple[int, int]]  # vowel and tone of each syllable
SHOWN = [(0, LOW), (2, LOW), (4, 3), (1, 0), (3, RISING)]


def speaker(text: Text) -> Tensor:
    """The speaker's plan: (SYLLABLES, 3)."""
    rows = []
    for (vowel, tone), (_, following) in zip(text, [*text[1:], (0, -1)], strict=True):
        said = TONES[RISING if tone == following == LOW else tone]  # low before low is said rising
        rows.append([8.0 + vowel % 3 + 3 * (following < 0), *said.tolist()])  # the last is longer
    return torch.tensor(rows)


def contour(plan: Tensor) -> tuple[Tensor, Tensor]:
    """Of each sample, its syllable and its pitch in Hz."""
    size = plan[:, 0].round().clamp(4, 16).long() * FRAME
    which = torch.arange(len(plan)).repeat_interleave(size)
    along = torch.cat([torch.arange(n) / n for n in size.tolist()])
    return which, (plan[which, 1] + (plan[which, 2] - plan[which, 1]) * along).exp()


def sound(text: Text, noise: torch.Generator) -> Tensor:
    """How the speaker says it: levels."""
    which, pitch = contour(speaker(text))
    since = (torch.rand(1, generator=noise) + (pitch / HERTZ).cumsum(0)) % 1 / pitch  # seconds since the last pulse
    ring = (2 * math.pi * FORMANTS[torch.tensor(text)[which, 0]] * since[:, None]).sin() @ torch.tensor([0.9, 0.45])
    x = (-DECAY * since).exp() * ring + HISS * torch.randn(len(which), generator=noise)
    y = x.sign() * (MU * x.abs().clamp(max=1)).log1p() / math.log1p(MU)  # y = sign(x) ln(1 + mu |x|) / ln(1 + mu)
    return ((y + 1) * (LEVELS - 1) / 2).round()


def told(text: Text, plan: Tensor) -> Tensor:  # (T, 10)
    """What the vocoder is told at each sample: the vowel, and how near the pitch is to five values."""
    which, pitch = contour(plan)
    near = (-(((pitch[:, None] / 120).log() - torch.linspace(-0.4, 0.4, 5)) / 0.2).square()).exp()
    return torch.cat([F.one_hot(torch.tensor(text)[which, 0], 5), near], 1)


def around(texts: list[Text]) -> Tensor:  # (B, N, 27)
    vowel, tone = torch.tensor(texts).unbind(2)
    marks = torch.cat([F.one_hot(vowel, 5), F.one_hot(tone, 4)], 2).float()
    return F.pad(marks, (0, 0, 1, 1)).unfold(1, 3, 1).flatten(2)  # of the syllable and its neighbours


def pitch_of(x: Tensor) -> float:
    """1 / the lag at which a sound is most like itself, on a grid of 1/16 sample."""
    power = torch.fft.rfft(x - x.mean(), 4 * len(x)).abs().square()
    shortest, longest = 16 * HERTZ // 190, 16 * HERTZ // 75
    return 16 * HERTZ / (shortest + torch.fft.irfft(power, 64 * len(x))[shortest:longest].argmax().item())


def pitch_hits(sounds: Tensor, plans: Tensor, texts: list[Text]) -> float:
    """Share of syllables whose pitch in their second half is within 5 % of what the speaker would say."""
    hits = 0
    for x, plan, text in zip(sounds, plans, texts, strict=True):
        (which, _), (own, wanted) = contour(plan), contour(speaker(text))
        for k in range(SYLLABLES):
            heard, meant = (part[len(part) // 2 :] for part in (x[: len(which)][which == k], wanted[own == k]))
            hits += abs(pitch_of(heard) / meant.mean().item() - 1) <= 0.05
    return hits / len(texts) / SYLLABLES


def conv_gap(net: WaveNet, levels: Tensor, c: Tensor, wider: int = 0) -> float:
    """Largest gap of logits and gradients to F.conv1d, f64; `wider` is added to every dilation."""
    y = F.pad(levels[:, :-1], (1, 0), value=LEVELS / 2)
    h = net.enter(torch.stack([y / (LEVELS / 2) - 1, decoded(y)], -1)).mT
    total = torch.zeros_like(h)
    for taps, told, mix, d in zip(net.taps, net.told, net.mix, net.dilations, strict=True):
        kernel = taps.weight.unflatten(1, (2, WIDTH)).flip(1).mT  # the earlier tap first
        found = F.conv1d(F.pad(h, (d + wider, 0)), kernel, taps.bias, dilation=d + wider) + told(c).mT
        z = found[:, :WIDTH].tanh() * found[:, WIDTH:].sigmoid()
        h, total = h + mix(z.mT).mT, total + z
    tilt, both = torch.linspace(-1, 1, LEVELS).double(), []
    for logits in (net(levels, c), net.leave(total.mT)):
        slopes = torch.autograd.grad(
            (logits.sin() * tilt).sum(), [*net.parameters()], allow_unused=True, materialize_grads=True
        )
        both.append([logits.detach(), *slopes])
    return max((a - b).abs().max().item() for a, b in zip(*both, strict=True))


def reach_misses(net: WaveNet, levels: Tensor, c: Tensor) -> int:
    """How many samples sway the last logits though they should not, or do not though they should: 32 before it do."""
    levels = levels.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(net(levels, c)[:, -1].sin().sum(), levels)
    back = levels.shape[1] - 1 - torch.arange(levels.shape[1])
    return int(((slopes != 0).any(0) != ((back >= 1) & (back <= 1 + sum(DILATIONS)))).sum())


def run(device="cpu", seed=0, steps=360):
    data, unseen, batches = (random.Random(6 * seed + k) for k in range(3))
    noise, draws = (torch.Generator().manual_seed(6 * seed + k) for k in (3, 4))
    torch.manual_seed(6 * seed + 5)  # weights; texts, test texts, batches, noise and draws: streams of their own

    def texts(n: int, draw: random.Random) -> list[Text]:
        return [[(draw.randrange(5), draw.randrange(4)) for _ in range(SYLLABLES)] for _ in range(n)]

    known, fresh = texts(TRAIN, data), [SHOWN, *texts(TEST, unseen)]
    sounds = [sound(text, noise) for text in known]
    plans, true = (torch.stack([speaker(text) for text in part]) for part in (known, fresh))
    tolds = [told(text, plan) for text, plan in zip(known, plans, strict=True)]
    nets = {"32 samples": WaveNet(DILATIONS).to(device), "6 samples": WaveNet(SHORT).to(device)}
    prosody = nn.Sequential(nn.Linear(27, 32), nn.Tanh(), nn.Linear(32, 3)).to(device)
    x, goal = around(known).to(device), ((plans - MEAN) / SPREAD).to(device)
    learning = nets | {"plan": prosody}
    optimizers = {name: torch.optim.Adam(net.parameters(), betas=(0.9, 0.98)) for name, net in learning.items()}
    for step in range(steps):
        starts = [(k, batches.randrange(len(sounds[k]) - CROP)) for k in batches.choices(range(TRAIN), k=BATCH)]
        y, c = (torch.stack([part[k][t : t + CROP] for k, t in starts]).to(device) for part in (sounds, tolds))
        losses = {name: F.cross_entropy(net(y, c).flatten(0, 1), y.long().flatten()) for name, net in nets.items()}
        losses["plan"] = (prosody(x) - goal).square().mean()
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps, (step + 1) / 10)
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(optimizers[name].param_groups[0]["params"], 1.0)
            optimizers[name].step()
        yield (step + 1) / steps, {name: losses[name].item() for name in nets}

    with torch.no_grad():
        plan = prosody(around(fresh).to(device)).cpu() * SPREAD + MEAN
        c = nn.utils.rnn.pad_sequence([told(*pair) for pair in zip(fresh, plan, strict=True)], batch_first=True)
        u = torch.rand(c.shape[:2], generator=draws)
        made = {name: decoded(net.speak(c.to(device), u.to(device)).cpu()) for name, net in nets.items()}
        y = torch.stack([sound(text, noise)[:512] for text in fresh]).to(device)  # how the speaker says the fresh texts
        own = torch.stack([told(*pair)[:512] for pair in zip(fresh, true, strict=True)]).to(device)
        other = torch.cat([own[..., :5].roll(1, -1), own[..., 5:]], -1)  # the next vowel
        logits = [nets["32 samples"](y, c).flatten(0, 1) for c in (own, other)]
        nats = [F.cross_entropy(found, y.long().flatten()).item() for found in logits]
    seen, asked = (F.pad(around(t).flatten(0, 1), (0, 1), value=1.0).double() for t in (known, fresh))
    linear = (asked @ torch.linalg.lstsq(seen, plans.flatten(0, 1).double(), driver="gelsd").solution).view_as(true)
    low = F.pad(torch.tensor(fresh)[..., 1] == LOW, (0, 1))
    errors = [(p - true)[low[:, :-1] & low[:, 1:]][:, 1:].abs().mean().item() for p in (plan, linear)]
    hits = {name: pitch_hits(x[1:], plan[1:], fresh[1:]) for name, x in made.items()}
    exact, short = (copy.deepcopy(net).cpu().double() for net in nets.values())
    levels, part = sounds[0][None, :120].double(), tolds[0][None, :120].double()
    which, wanted = contour(plan[0])
    times = range(48, len(which) - 48, 16)
    heard = {name: [pitch_of(x[0, t - 48 : t + 48]) for t in times] for name, x in made.items()}
    curves = {"planned": wanted[times.start : times.stop : times.step].tolist(), **heard}
    return {
        "pitch_hits": hits["32 samples"],
        "short_pitch_hits": hits["6 samples"],
        "low_low_error": errors[0],
        "linear_low_low_error": errors[1],
        "fresh_nats": nats[0],
        "other_vowel_nats": nats[1],
        "conv_gap": conv_gap(exact, levels, part),
        "wider_gap": conv_gap(exact, levels, part, wider=1),
        "reach_misses": reach_misses(exact, levels, part),
        "short_reach_misses": reach_misses(short, levels, part),
    }, {
        "pitch of five syllables, low before low to begin with": {
            "kind": "lines",
            "series": {name: ([t / HERTZ for t in times], curve) for name, curve in curves.items()},
            "x": "seconds",
            "y": "Hz",
        }
    }


# %% what is claimed

TITLE = {"en": "Tones are planned, then spoken sample by sample", "zh": "先规划声调，再逐个采样点说出"}
CURVES = "nats per sample"
CPU_SECONDS = 6
CLAIMS = {
    "trained pitch_hits >= 0.8 > short_pitch_hits >= 0.15": {
        "en": "share of fresh syllables that are made with a pitch within 5 % of the speaker's; control: a network "
        "that sees 6 samples, trained as long",
        "zh": "新文本合成的音节中，基频与说话人相差不超过 5% 的比例；对照：只看 6 个采样点、训练同样久的网络",
    },
    "trained low_low_error <= 0.05 < linear_low_low_error <= 0.3": {
        "en": "mean error of the planned log pitch of a low tone before a low tone; control: a linear fit of the "
        "same syllable and its neighbours",
        "zh": "低调后接低调时，前一低调的规划对数基频的平均误差；对照：用同样的音节及前后音节做线性拟合",
    },
    "trained fresh_nats <= 2.3 < other_vowel_nats": {
        "en": "nats per sample of the speaker's own sounds of fresh texts; control: told the next of the five vowels",
        "zh": "说话人自己念新文本的声音，每采样点的负对数似然（纳特）；对照：告诉网络的是五个元音中的下一个",
    },
    "parity conv_gap <= 1e-10 < wider_gap": {
        "en": "largest gap of logits and gradients to those by F.conv1d (f64); control: each dilation one more",
        "zh": "对数几率与梯度同 F.conv1d 所得的最大差距（f64）；对照：每层膨胀率多 1",
    },
    "parity reach_misses <= 0 < short_reach_misses": {
        "en": "samples that sway the prediction of the next though they should not, or do not though they should: the "
        "32 before it; control: the network that sees 6",
        "zh": "对预测下一个采样点的影响不合要求的采样点数（应当恰好是之前 32 个有影响）；对照：只看 6 个的网络",
    },
}
ZH = {
    "nats per sample": "每采样点纳特数",
    "32 samples": "32 个采样点",
    "6 samples": "6 个采样点",
    "planned": "规划",
    "pitch of five syllables, low before low to begin with": "五个音节的基频，开头是低调接低调",
    "seconds": "秒",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
