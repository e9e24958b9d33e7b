"""Speech recognition with CTC — sound comes in, phonemes go out, and nobody says when each was spoken.

The speech is simulated: three to seven of six vowels, made of their first two formants, with random tempo, voice
and pauses, in noise. A small convolutional network reads log-mel frames. Connectionist temporal classification (CTC)
adds up the probabilities of all alignments that collapse to the transcript, so no alignment is labelled: of 100
phonemes in fresh utterances at most 3 are wrong. The control is the same network, trained as long, each at the rate
that suits it, but frame by frame, with the transcript spread evenly over the sound.

Needs:  torch
Source: A. Graves et al., Connectionist Temporal Classification, ICML 2006; G. Peterson, H. Barney, Control Methods
        Used in a Study of the Vowels, JASA 24, 1952 (the formants)
"""

import copy
import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN, TEST, BATCH, WIDTH = 480, 150, 16, 48
HERTZ, HOP, FRAME, MELS, NOISE = 6000, 150, 240, 24, 0.3  # hop and frame in samples: 25 and 40 ms
IMPOSSIBLE = -1e30  # a log-probability whose gradient is still defined

# %% the concept


def collapse(path: list[int]) -> list[int]:
    """What an alignment says: equal neighbours merged, then blanks (0) dropped."""
    return [label for label, _ in itertools.groupby(path) if label]


def ctc(log_p: Tensor, labels: Tensor, frames: Tensor, sizes: Tensor, skip_equal: bool = False) -> Tensor:
    """-log of the sum over all paths that collapse to the labels: (B, T, C), (B, L), (B,), (B,) -> (B,)."""
    path = F.pad(torch.stack([0 * labels, labels], -1).flatten(1), (0, 1))  # blank, a, blank, b, blank: (B, S)
    may_skip = (path[:, 2:] != 0) & (skip_equal | (path[:, 2:] != path[:, :-2]))  # over the blank between
    chosen = F.one_hot(path, log_p.shape[2]).to(log_p)  # (B, S, C)
    emit = log_p @ chosen.mT  # (B, T, S); a gather would add up its gradients in no fixed order on CUDA
    alpha = F.pad(emit[:, 0, :2], (0, path.shape[1] - 2), value=IMPOSSIBLE)  # start: the blank or the first label
    alphas = [alpha]
    for emit_t in emit.unbind(1)[1:]:  # alpha_t(s) = p_t(s) (alpha(s) + alpha(s - 1) + alpha(s - 2) where s may skip)
        step = F.pad(alpha[:, :-1], (1, 0), value=IMPOSSIBLE)
        skip = F.pad(alpha[:, :-2].masked_fill(~may_skip, IMPOSSIBLE), (2, 0), value=IMPOSSIBLE)
        alpha = torch.stack([alpha, step, skip]).logsumexp(0) + emit_t
        alphas.append(alpha)
    rows = torch.arange(len(labels), device=labels.device)
    last = torch.stack(alphas, 1)[rows, frames - 1]  # (B, S)
    ends = torch.stack([2 * sizes, 2 * sizes - 1], 1)  # the last blank, the last label
    return -last.gather(1, ends).logsumexp(1)


# %% its control


def even_alignment(t: int, labels: Tensor, frames: Tensor, sizes: Tensor) -> Tensor:
    """Each label on its even share of the frames, a blank where the next begins: (B, T); -1 is no frame."""
    at = torch.arange(t, device=labels.device) * sizes[:, None] / frames[:, None]  # (B, T)
    target = labels.gather(1, at.long().clamp(max=labels.shape[1] - 1))
    target[:, 1:][at.long()[:, 1:] > at.long()[:, :-1]] = 0
    return target.masked_fill(at >= sizes[:, None], -1)


# %% the experiment

PHONEMES = {  # the first two formants in Hz; r is the vowel of "bird"
    "i": (270, 2290),
    "e": (530, 1840),
    "a": (730, 1090),
    "o": (570, 840),
    "u": (300, 870),
    "r": (490, 1350),
}


def utterance(generator: torch.Generator) -> tuple[Tensor, list[int]]:
    """A waveform and its phonemes, numbered from 1: 0 is CTC's blank."""
    n = int(torch.randint(3, 8, (), generator=generator))
    said = torch.randint(len(PHONEMES), (n,), generator=generator)
    voice, tempo = (0.9 + 0.2 * torch.rand(2, generator=generator)).tolist()
    spoken = (360 + 840 * torch.rand(n, generator=generator)) * tempo  # 60 to 200 ms, times tempo
    pauses = 120 + 240 * torch.rand(n, generator=generator)  # 20 to 60 ms, but before the first up to 600 ms
    pauses[0] *= 10 * float(torch.rand((), generator=generator))
    lengths = torch.stack([pauses, spoken], 1).flatten().long()
    formants = torch.tensor(list(PHONEMES.values()), dtype=torch.float32)[said] * voice  # (n, 2)
    tones = torch.stack([formants * 0, formants], 1).flatten(0, 1).repeat_interleave(lengths, 0)  # (samples, 2)
    phase = 2 * math.pi * (tones / HERTZ).cumsum(0)
    pitch = 1 + 0.5 * (2 * math.pi * 120 * voice / HERTZ * torch.arange(len(phase))).sin()
    wave = (phase.sin() * torch.tensor([1.0, 0.6])).sum(1) * pitch * (tones[:, 0] > 0)
    return wave + NOISE * torch.randn(len(wave), generator=generator), (said + 1).tolist()


def log_mel(waves: Tensor) -> Tensor:  # (B, samples) -> (B, MELS, T)
    power = torch.stft(waves, FRAME, HOP, window=torch.hann_window(FRAME), center=False, return_complex=True)
    edges = 700 * (torch.linspace(0, math.log(1 + HERTZ / 1400), MELS + 2).exp() - 1)  # even steps in mel, as Hz
    bins = torch.linspace(0, HERTZ / 2, FRAME // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return (torch.minimum(rising, falling).clamp(min=0) @ power.abs().square() + 1e-3).log()


def utterances(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log-mel frames (n, MELS, T), phonemes padded with 0 (n, L), the numbers of frames and of phonemes (n,), (n,)."""
    waves, said = zip(*(utterance(generator) for _ in range(n)), strict=True)
    frames = torch.tensor([(len(wave) - FRAME) // HOP + 1 for wave in waves])
    pad = nn.utils.rnn.pad_sequence
    labels = pad([torch.tensor(labels) for labels in said], batch_first=True)
    return log_mel(pad(list(waves), batch_first=True)), labels, frames, torch.tensor([len(labels) for labels in said])


def scaled(sounds: Tensor, frames: Tensor, like: tuple[Tensor, Tensor]) -> Tensor:
    """Every band to mean 0 and variance 1 over the frames of `like`, sounds and their frames; 0 beyond the end."""
    heard, known = (torch.arange(x.shape[2]) < n[:, None] for x, n in ((sounds, frames), like))
    bands = like[0].transpose(1, 2)[known]  # (frames, MELS)
    return (sounds - bands.mean(0)[:, None]) / bands.std(0)[:, None] * heard[:, None]


def network() -> nn.Module:
    """From bands to labels, frame by frame, each with six frames on either side: (B, MELS, T) -> (B, C, T)."""
    layers = []
    for d_in, d_out in [(MELS, WIDTH), (WIDTH, WIDTH), (WIDTH, len(PHONEMES) + 1)]:
        layers += [nn.Conv1d(d_in, d_out, 5, padding=2), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def speak(net: nn.Module, sounds: Tensor) -> Tensor:
    """Log-probabilities of the labels: (B, MELS, T) -> (B, T, C)."""
    return net(sounds).log_softmax(1).transpose(1, 2)


def edits(a: list[int], b: list[int]) -> int:
    """Levenshtein distance: insertions, deletions and substitutions."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def ctc_gap(net: nn.Module, sounds: Tensor, *truth: Tensor, skip_equal: bool = False) -> float:
    """Largest difference, in losses and gradients of the network, from F.ctc_loss; f64."""
    net = copy.deepcopy(net).cpu().double()
    log_p = speak(net, sounds.double())
    losses = ctc(log_p, *truth, skip_equal), F.ctc_loss(log_p.transpose(0, 1), *truth, reduction="none")
    ours, theirs = (
        [loss.detach(), *torch.autograd.grad(loss.mean(), net.parameters(), retain_graph=True, materialize_grads=True)]
        for loss in losses
    )
    return torch.stack([(a - b).abs().max() for a, b in zip(ours, theirs, strict=True)]).max().item()


def paths_gap(skip_equal: bool) -> float:
    """Largest difference from the sum over each path of six frames that collapses to the labels; f64."""
    log_p = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).log_softmax(-1)
    gap = 0.0
    for said in ([1], [2, 1], [1, 1], [1, 2, 1], [2, 2, 1], [2, 2, 2]):
        paths = [path for path in itertools.product(range(3), repeat=6) if collapse(list(path)) == said]
        total = math.log(sum((log_p[range(6), path].sum().exp().item() for path in paths), 1e-300))
        loss = ctc(log_p[None], torch.tensor([said]), torch.tensor([6]), torch.tensor([len(said)]), skip_equal)
        gap = max(gap, abs(loss.item() + total))
    return gap


def shared_rows(some: Tensor, others: Tensor) -> float:
    """How many of the one occur in the other."""
    known = {row.numpy().tobytes() for row in others}
    return float(sum(row.numpy().tobytes() in known for row in some))


def run(device="cpu", seed=0, steps=200):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    sounds, *truth = utterances(TRAIN, data)
    fresh, *asked = utterances(TEST, unseen)
    again = sounds[:TEST], truth[1][:TEST]  # prepared in the test's way, they are what they were in training
    each = (sounds, truth[1]), (fresh, asked[1]), again
    shown = [scaled(x, frames, (sounds, truth[1])) for x, frames in each]
    nets, rates = {}, {"CTC": 1e-2, "even alignment": 1e-3}
    for name in rates:
        torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
        nets[name] = network().to(device)
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        rows = torch.randint(TRAIN, (BATCH,), generator=data)
        longest = int(truth[1][rows].max())
        x, labels, frames, sizes = (t[rows].to(device) for t in (shown[0][:, :, :longest], *truth))
        losses = {}
        for name, net in nets.items():
            log_p = speak(net, x)
            if name == "CTC":
                loss = (ctc(log_p, labels, frames, sizes) / sizes).mean()
            else:
                target = even_alignment(longest, labels, frames, sizes)
                loss = F.nll_loss(log_p.flatten(0, 1), target.flatten(), ignore_index=-1)
            optimizers[name].param_groups[0]["lr"] = rates[name] * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    labels, frames, sizes = asked
    transcripts = [label[:n] for label, n in zip(labels.tolist(), sizes.tolist(), strict=True)]
    errors, odds, read = {}, {}, {}
    for name, net in nets.items():
        with torch.no_grad():
            odds[name] = speak(net, shown[1].to(device)).cpu()
        best = zip(odds[name].argmax(-1).tolist(), frames.tolist(), strict=True)
        read[name] = [collapse(path[:t]) for path, t in best]
        wrong = sum(edits(a, b) for a, b in zip(read[name], transcripts, strict=True))
        errors[name] = wrong / int(sizes.sum())
    names = ["-", *PHONEMES]

    def spell(labels: list[int]) -> str:
        return " ".join(names[i] for i in labels)

    rows = sorted(range(TEST), key=lambda i: (collapse(transcripts[i]) == transcripts[i], frames[i]))[:1] + [0, 1, 2, 3]
    heard = odds["CTC"][rows[0], : frames[rows[0]]].exp()  # of a short one with equal neighbours: (T, C)
    times = [round((HOP * t + FRAME / 2) / HERTZ, 3) for t in range(len(heard))]
    heads = [x[:, :, : int(min(truth[1].min(), frames.min()))].contiguous() for x in shown]
    checked = (nets["CTC"], shown[1][:16], *(t[:16] for t in asked))
    return {
        "ctc_error_rate": errors["CTC"],
        "even_error_rate": errors["even alignment"],
        "ctc_gap": ctc_gap(*checked),
        "skipping_gap": ctc_gap(*checked, skip_equal=True),
        "paths_gap": paths_gap(skip_equal=False),
        "skipping_paths_gap": paths_gap(skip_equal=True),
        "shared_utterances": shared_rows(heads[1], heads[0]),
        "training_utterances": shared_rows(heads[2], heads[0]),
    }, {
        "what CTC hears in the first utterance below": {
            "kind": "lines",
            "series": {
                names[i]: (times, heard[:, i].double().round(decimals=3).tolist()) for i in transcripts[rows[0]]
            },
            "x": "seconds",
            "y": "probability",
        },
        "said and read": {
            "kind": "table",
            "columns": ["said", *read],
            "rows": [[spell(said) for said in (transcripts[i], *(r[i] for r in read.values()))] for i in rows],
        },
    }


# %% what is claimed

TITLE = {"en": "CTC recognizes speech without alignments", "zh": "CTC 无需对齐即可识别语音"}
CURVES = "surprise"
SCALE = ("WIDTH", "BATCH")
CPU_SECONDS = 5
CLAIMS = {
    "trained ctc_error_rate <= 0.03 < even_error_rate <= 0.45": {
        "en": "phoneme error rate on fresh utterances; the control is trained as long on an even alignment",
        "zh": "新语句上的音素错误率；对照用同样步数按均匀对齐逐帧训练",
    },
    "parity ctc_gap <= 1e-10 < skipping_gap": {
        "en": "largest gap to F.ctc_loss in losses and gradients of the trained network (f64); the control lets equal "
        "neighbours stand side by side without a blank",
        "zh": "训练后网络的损失与梯度同 F.ctc_loss 的最大差距（f64）；对照允许相同的相邻标签之间没有空白",
    },
    "parity paths_gap <= 1e-10 < skipping_paths_gap": {
        "en": "largest gap to the sum over each single path that collapses to the labels (f64); the same control",
        "zh": "与逐条列举、合并后得到该标签的所有路径之和的最大差距（f64）；对照同上",
    },
    "parity shared_utterances <= 0 < training_utterances": {
        "en": "test utterances that occur in the training set; the control counts training ones scaled like the test's",
        "zh": "测试语句中出现在训练集里的条数；对照数的是按测试方式标准化的训练语句",
    },
}
ZH = {
    "surprise": "负对数似然",
    "even alignment": "均匀对齐",
    "what CTC hears in the first utterance below": "CTC 在下表第一条语句中听到的音素",
    "said and read": "所说与所识别",
    "said": "所说",
    "seconds": "秒",
    "probability": "概率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
