"""What the claims on speech enhancement must not forgive."""

MUTANTS = {
    "frames are not windowed": ("torch.fft.rfft(frames * window(x)).mT", "torch.fft.rfft(frames).mT"),
    "frames start late": ("(FRAME // 2, FRAME // 2), mode=", "(FRAME // 2 - 1, FRAME // 2 + 1), mode="),
    "edges are padded with silence": ('(FRAME // 2, FRAME // 2), mode="reflect")[', "(FRAME // 2, FRAME // 2))["),
    "overlaps are not weighted": (" / weight[:, 0, 0, half:-half]", " / 1.5"),
    "the weight is not squared": ("(w**2).expand", "w.expand"),
    "frames are not windowed on the way back": ("torch.fft.irfft(cells.mT).mT * w,", "torch.fft.irfft(cells.mT).mT,"),
    "the noisy cells get no gradient": (
        "return istft(net(cells) * cells)",
        "return istft(net(cells) * cells.detach())",
    ),
    "the mask gets no gradient": ("return istft(net(cells) * cells)", "return istft(net(cells).detach() * cells)"),
    "the phase is thrown away": ("return istft(net(cells) * cells)", "return istft(net(cells) * cells.abs())"),
    "power is learned, not magnitude": ("net(x) * x.abs() - y).", "net(x) * x.abs() - y.square())."),
    "the network hears the voice": (
        "{name: net(heard.to(device)).cpu()",
        "{name: net((stft(voice) if name == 'network' else heard).to(device)).cpu()",
    ),
    "the network learns on test sounds": (
        "(voices, noisy), (voice, fresh) = sounds(TRAIN, data), sounds(TEST, unseen)",
        "voices, noisy = voice, fresh = sounds(TRAIN, data)",
    ),
    "median filters hear the voice": ("medians(heard, *best)", "medians(stft(voice), *best)"),
    "the linear filter hears the voice": (
        "{name: net(heard.to(device)).cpu()",
        "{name: net((heard if name == 'network' else stft(voice)).to(device)).cpu()",
    ),
    "the linear filter does not learn": ("sum(losses.values()).backward()", 'losses["network"].backward()'),
    "loudness has no logarithm": ("loud = (cells.abs() + 0.05).log()", "loud = (cells.abs() + 0.05)"),
    "no mean is taken off": ("self.layers((loud - loud.mean((1, 2), keepdim=True))", "self.layers((loud)"),
    "SI-SDR knows no scale": (
        "/ voice.square().sum(1, keepdim=True) * voice",
        "/ voice.square().sum(1, keepdim=True) * voice * 2",
    ),
    "noise is half as loud": (
        "torch.stack(voices) + torch.stack(noises)",
        "torch.stack(voices) + 0.5 * torch.stack(noises)",
    ),
    "the linear filter sees one cell": ("nn.Conv2d(1, 1, (33, 21), padding", "nn.Conv2d(1, 1, 1, padding"),
    "medians keep what is sudden": ("return smooth / (smooth", "return sudden / (smooth"),
    "the ideal mask does not know the noise": (
        "clean.abs().square() + rest.abs().square()",
        "clean.abs().square() + 1",
    ),
}
FULL = {
    "power is learned, not magnitude",
    "noise is half as loud",
    "SI-SDR knows no scale",
    "the linear filter does not learn",
    "the network hears the voice",
    "loudness has no logarithm",
    "medians keep what is sudden",
    "median filters hear the voice",
    "the linear filter hears the voice",
    "no mean is taken off",
    "the linear filter sees one cell",
    "the ideal mask does not know the noise",
}
