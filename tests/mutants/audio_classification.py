"""What the claims of audio classification must not forgive."""

MUTANTS = {
    "the scale is not mel": ("return 700 * (10 ** (mel / 2595) - 1)", "return HERTZ / 2 * mel / mel.max()"),
    "a band fewer below": (
        "f = torch.arange(FRAME // 2 + 1) * HERTZ / FRAME",
        "f = torch.arange(1, FRAME // 2 + 2) * HERTZ / FRAME",
    ),
    "triangles rise only": (
        "torch.minimum((f - low) / (peak - low), (high - f) / (high - peak))",
        "(f - low) / (peak - low) * (f < peak)",
    ),
    "bands are rectangles": ("both.clamp(min=0).to(", "both.clamp(min=0).sign().to("),
    "no window": ("x.unfold(1, FRAME, HOP) * torch.hann", "x.unfold(1, FRAME, HOP) + 0 * torch.hann"),
    "the window has another shape": (
        "torch.hann_window(FRAME, dtype=x.dtype)",
        "torch.hamming_window(FRAME, dtype=x.dtype)",
    ),
    "the window is symmetric": ("torch.hann_window(FRAME, dtype", "torch.hann_window(FRAME, periodic=False, dtype"),
    "magnitude and not power": ("return cells.real.square() + cells.imag.square()", "return cells.abs()"),
    "the real part alone": ("return cells.real.square() + cells.imag.square()", "return cells.real.square() + 1e-9"),
    "power passes no gradient": ("+ cells.imag.square()", "+ cells.imag.detach().square()"),
    "the mean before the logarithm": ("loud = energy.log().mean(1)", "loud = energy.mean(1).log()"),
    "the volume stays": ("return loud - loud.mean(1, keepdim=True)", "return loud"),
    "the volume passes no gradient": (
        "loud - loud.mean(1, keepdim=True)",
        "loud - loud.detach().mean(1, keepdim=True)",
    ),
    "only the first frame": ("energy.log().mean(1)", "energy.log()[:, 0]"),
    "bands begin at their peak": ("minimum((f - low) / (peak - low)", "minimum((f - peak) / (peak - low)"),
    "the bank is cut off": ("bank(x).mT)\n\n\n# %% its", "bank(x).detach().flip(0).mT)\n\n\n# %% its"),
    "the loudest stays": ("loud - loud.mean(1, keepdim=True)", "loud - loud.amax(1, keepdim=True)"),
    "test sounds are training sounds": (
        "for x in (known, new))",
        "for x in (known, known.repeat(20, *[1] * (known.ndim - 1))))",
    ),
    "the samples are log-mel": ('"samples": level,', '"samples": log_mel,'),
    "the net sees the pitch alone": ('"samples, conv net": level,', '"samples, conv net": lambda x: level(x) * 0,'),
    "formants are one": ("torch.tensor(FORMANTS).float()[label]", "torch.tensor(FORMANTS).float()[0 * label]"),
    "hops of a frame": ("x.unfold(1, FRAME, HOP)", "x.unfold(1, FRAME, FRAME)"),
    "the answer stands in the samples": (
        "return heard * uniform(-1.5, 1.5, n, 1).exp(), label",
        "return heard * uniform(-1.5, 1.5, n, 1).exp() + label[:, None], label",
    ),
    "nothing is learned": ("        optimizer.step()\n", "        optimizer.zero_grad()\n"),
    "the vowels stand in another order": ("y = draws[0][1].to(device)", "y = draws[0][1].flip(0).to(device)"),
    "the spectrum is of bands": ("lambda x: pooled(power(x)),", "lambda x: pooled(power(x) @ bank(x).mT),"),
}
FULL = {
    "test sounds are training sounds",
    "the samples are log-mel",
    "nothing is learned",
    "the vowels stand in another order",
    "the answer stands in the samples",
    "the net sees the pitch alone",
    "formants are one",
    "the spectrum is of bands",
}
