"""Speech recognition with CTC — sound comes in, phonemes go out, and nobody says when each was spoken.

The speech is simulated: three to seven of six vowels, made of their first two formants, with random tempo,
voice and pauses, in noise. A small convolutional network reads log-mel frames; connectionist temporal
classification (CTC) adds up the probability of all alignments that collapse to the transcript, so no
alignment is labelled. The contender is the same network trained frame by frame, with the transcript spread
evenly over the sound.

Claim:  few phonemes of fresh utterances are wrong, many with the even alignment; the hand-written CTC loss is
        F.ctc_loss.
Source: A. Graves et al., Connectionist Temporal Classification, ICML 2006; G. Peterson, H. Barney, Control
        Methods Used in a Study of the Vowels, JASA 24, 1952 (the formants)
Run:    python kb/demos/speech_recognition_ctc.py --device cpu --seed 0 --steps 200
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "CTC recognizes speech without alignments", "zh": "CTC 无需对齐即可识别语音"}
CPU_SECONDS = 5
CLAIMS = {
    "trained ctc_error_rate <= 0.2 < even_error_rate": {
        "en": "phoneme error rate on fresh utterances; the control is trained on an even alignment",
        "zh": "新语句上的音素错误率；对照按均匀对齐逐帧训练",
    },
    "parity ctc_gap <= 1e-10 < skipping_gap": {
        "en": "gap of the loss to F.ctc_loss in f64; the control lets equal neighbours merge without a blank",
        "zh": "损失与 F.ctc_loss 的差距（f64）；对照允许相同的相邻标签之间没有空白",
    },
}

PHONEMES = {
    "i": (270, 2290),
    "e": (530, 1840),
    "a": (730, 1090),
    "o": (570, 840),
    "u": (300, 870),
    "er": (490, 1350),
}
RATE, HOP, FRAME, MELS, BATCH, TRAIN = 6000, 150, 240, 24, 16, 480  # Hz, samples, samples
IMPOSSIBLE = -1e30  # a log-probability whose gradient is still defined


def utterance(generator: torch.Generator) -> tuple[Tensor, list[int]]:
    """A waveform and its phonemes, numbered from 1: 0 is CTC's blank."""
    n = int(torch.randint(3, 8, (), generator=generator))
    said = torch.randint(len(PHONEMES), (n,), generator=generator)
    voice, tempo = (0.9 + 0.2 * torch.rand(2, generator=generator)).tolist()
    spoken = (360 + 840 * torch.rand(n, generator=generator)) * tempo  # 60 to 200 ms
    pauses = 120 + 240 * torch.rand(n, generator=generator)  # 20 to 60 ms, but before the first up to 400 ms
    pauses[0] *= 10 * float(torch.rand((), generator=generator))
    lengths = torch.stack([pauses, spoken], 1).flatten().long()
    formants = torch.tensor(list(PHONEMES.values()), dtype=torch.float32)[said] * voice  # (n, 2)
    tones = torch.stack([formants * 0, formants], 1).flatten(0, 1).repeat_interleave(lengths, 0)  # (samples, 2)
    phase = 2 * math.pi * (tones / RATE).cumsum(0)
    pitch = 1 + 0.5 * (2 * math.pi * 120 * voice / RATE * torch.arange(len(phase))).sin()
    wave = (phase.sin() * torch.tensor([1.0, 0.6])).sum(1) * pitch * (tones[:, 0] > 0)
    return wave + 0.3 * torch.randn(len(wave), generator=generator), (said + 1).tolist()


def log_mel(waves: Tensor) -> Tensor:  # (B, samples) -> (B, MELS, T)
    window = torch.hann_window(FRAME, device=waves.device)
    power = torch.stft(waves, FRAME, HOP, window=window, center=False, return_complex=True).abs().square()
    edges = 700 * (torch.linspace(0, math.log(1 + RATE / 1400), MELS + 2).exp() - 1)  # even steps in mel, as Hz
    bins = torch.linspace(0, RATE / 2, FRAME // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return (torch.minimum(rising, falling).clamp(min=0).to(waves.device) @ power + 1e-3).log()


def dataset(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log-mel frames (n, MELS, T), their number (n,), phonemes padded with 0 (n, L), their number (n,)."""
    generator = torch.Generator().manual_seed(seed)
    waves, said = zip(*(utterance(generator) for _ in range(n)), strict=True)
    frames = torch.tensor([(len(wave) - FRAME) // HOP + 1 for wave in waves])
    sizes = torch.tensor([len(labels) for labels in said])
    pad = nn.utils.rnn.pad_sequence
    labels = pad([torch.tensor(labels) for labels in said], batch_first=True)
    return log_mel(pad(list(waves), batch_first=True)), frames, labels, sizes


def ctc(log_p: Tensor, labels: Tensor, frames: Tensor, sizes: Tensor, skip_equal: bool = False) -> Tensor:
    """-log of the sum over all alignments: (B, T, C), (B, L), (B,), (B,) -> (B,)."""
    b, blanks = len(labels), torch.zeros_like(labels)
    path = F.pad(torch.stack([blanks, labels], -1).flatten(1), (0, 1))  # blank, a, blank, b, blank: (B, S)
    may_skip = (path[:, 2:] != 0) & (skip_equal | (path[:, 2:] != path[:, :-2]))  # over the blank between
    chosen = F.one_hot(path, log_p.shape[2]).to(log_p)  # (B, S, C)
    emit = log_p @ chosen.mT  # (B, T, S); a gather would add up its gradients in no fixed order on CUDA
    alpha = torch.full_like(emit[:, 0], IMPOSSIBLE)
    alpha = torch.cat([emit[:, 0, :2], alpha[:, 2:]], 1)  # start with the blank or the first label
    alphas = [alpha]
    for emit_t in emit.unbind(1)[1:]:
        step = F.pad(alpha[:, :-1], (1, 0), value=IMPOSSIBLE)
        skip = F.pad(alpha[:, :-2].masked_fill(~may_skip, IMPOSSIBLE), (2, 0), value=IMPOSSIBLE)
        alpha = torch.stack([alpha, step, skip]).logsumexp(0) + emit_t
        alphas.append(alpha)
    rows = torch.arange(b, device=labels.device)
    last = torch.stack(alphas, 1)[rows, frames - 1]  # (B, S)
    ends = torch.stack([2 * sizes, 2 * sizes - 1], 1)  # the last blank, the last label
    return -last.gather(1, ends).logsumexp(1)


def even_alignment(t: int, labels: Tensor, frames: Tensor, sizes: Tensor) -> Tensor:
    """Each label on its even share of the frames, a blank where the next begins: (B, T); -1 is no frame."""
    at = torch.arange(t, device=labels.device) * sizes[:, None] / frames[:, None]  # (B, T)
    target = labels.gather(1, at.long().clamp(max=labels.shape[1] - 1))
    target[:, 1:][at.long()[:, 1:] > at.long()[:, :-1]] = 0
    return target.masked_fill(at >= sizes[:, None], -1)


def network() -> nn.Module:
    layers = []
    for d_in, d_out in [(MELS, 48), (48, 48), (48, len(PHONEMES) + 1)]:
        layers += [nn.BatchNorm1d(d_in), nn.Conv1d(d_in, d_out, 5, padding=2), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def decode(log_p: Tensor, frames: int) -> list[int]:
    """The best label of each frame, repeats merged, blanks dropped: (T, C) -> labels."""
    best = log_p[:frames].argmax(-1).unique_consecutive().tolist()
    return [label for label in best if label]


def edits(a: list[int], b: list[int]) -> int:
    """Levenshtein distance: insertions, deletions and substitutions."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def ctc_gap(skip_equal: bool, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    log_p = torch.randn(4, 15, 4, generator=generator, dtype=torch.float64).log_softmax(-1)
    labels = torch.tensor([[1, 1, 2, 3], [3, 2, 2, 2], [1, 2, 1, 0], [2, 0, 0, 0]])  # with and without repeats
    frames, sizes = torch.tensor([15, 12, 9, 15]), torch.tensor([4, 4, 3, 1])
    twin = F.ctc_loss(log_p.transpose(0, 1), labels, frames, sizes, reduction="none")
    return float((ctc(log_p, labels, frames, sizes, skip_equal) - twin).abs().max())


def run(device="cpu", seed=0, steps=200):
    sounds, frames, labels, sizes = (t.to(device) for t in dataset(TRAIN, seed))
    nets = {}
    for name in ("CTC", "even alignment"):
        torch.manual_seed(seed)
        nets[name] = network().to(device)
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=5e-3) for name, net in nets.items()}
    data = torch.Generator().manual_seed(seed)
    for step in range(steps):
        chosen = torch.randint(TRAIN, (BATCH,), generator=data).to(device)
        x, truth = sounds[chosen], (labels[chosen], frames[chosen], sizes[chosen])
        losses = {}
        for name, net in nets.items():
            log_p = net(x).log_softmax(1).transpose(1, 2)  # (B, T, C)
            if name == "CTC":
                loss = (ctc(log_p, *truth) / sizes[chosen]).mean()
            else:
                target = even_alignment(log_p.shape[1], *truth)
                loss = F.nll_loss(log_p.flatten(0, 1), target.flatten(), ignore_index=-1)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, losses

    sounds, frames, labels, sizes = dataset(150, seed + 1000)
    transcripts = [label[:n].tolist() for label, n in zip(labels, sizes, strict=True)]
    rates, odds, read = {}, {}, {}
    for name, net in nets.items():
        with torch.no_grad():
            odds[name] = net.eval()(sounds.to(device)).log_softmax(1).transpose(1, 2).cpu()
        read[name] = [decode(log_p, t) for log_p, t in zip(odds[name], frames.tolist(), strict=True)]
        wrong = sum(edits(a, b) for a, b in zip(read[name], transcripts, strict=True))
        rates[name] = wrong / int(sizes.sum())
    names = ["-", *PHONEMES]

    def spell(labels: list[int]) -> str:
        return " ".join(names[i] for i in labels)

    return {
        "ctc_error_rate": rates["CTC"],
        "even_error_rate": rates["even alignment"],
        "ctc_gap": ctc_gap(False, seed),
        "skipping_gap": ctc_gap(True, seed),
    }, {
        "phonemes over time in the first utterance": {
            "kind": "heatmap",
            "zh": "第一条语句中各音素随时间的概率",
            "values": odds["CTC"][0, : frames[0]].exp().T,
            "rows": names,
        },
        "said and read": {
            "kind": "table",
            "zh": "所说与所识别",
            "columns": ["said", *read],
            "rows": [[spell(transcripts[i]), *(spell(r[i]) for r in read.values())] for i in range(5)],
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
