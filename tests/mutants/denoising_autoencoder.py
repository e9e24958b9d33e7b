"""What the claims of the denoising autoencoder must not forgive."""

MUTANTS = {
    "nothing is corrupted": ("return x + NOISE * noise", "return x + 0 * noise"),
    "the noise has half the size": ("return x + NOISE * noise", "return x + NOISE * noise / 2"),
    "the noisy point is the target": ("(net(noisy) - x).square()", "(net(noisy) - noisy).square()"),
    "the clean point stands in the input": ("(net(noisy) - x).square()", "(net(x) - x).square()"),
    "the error is not squared": ("(net(noisy) - x).square()", "(net(noisy) - x).abs()"),
    "the network gets no gradient": (
        "(net(noisy) - x).square()",
        "(net(noisy).detach() - x + 0 * net(noisy)).square()",
    ),
    "the score is divided by s": ("(net(noisy) - noisy) / NOISE**2", "(net(noisy) - noisy) / NOISE"),
    "the score points down": ("(net(noisy) - noisy) / NOISE**2", "(noisy - net(noisy)) / NOISE**2"),
    "the true score is of the clean density": ("sum(2) / (2 * (WIDTH**2 + NOISE**2))", "sum(2) / (2 * WIDTH**2)"),
    "the answer is tested on clean points": (
        "y = corrupt(fresh, torch.randn(POINTS, 2, generator=unseen))",
        "y = corrupt(fresh, 0 * torch.randn(POINTS, 2, generator=unseen))",
    ),
    "the rival hears the noise too": ("seen = noisy if name ==", "seen = noisy if name !="),
    "no unit bends": ("nn.Linear(*size), nn.SiLU()", "nn.Linear(*size), nn.Identity()"),
    "the true score ignores which place is likely": (
        ".softmax(1)\n    return (share",
        ".mul(0).softmax(1)\n    return (share",
    ),
    "far centres count most": ("return (-torch.cdist(y, self", "return (torch.cdist(y, self"),
    "all centres count alike": ("square() / (2 * NOISE**2)).softmax(1) @", "square() * 0).softmax(1) @"),
    "the plain error is of clean points": (
        "left[name] = reconstruction(net, y, fresh)",
        "left[name] = reconstruction(net, fresh, fresh)",
    ),
    "the noise is twice as large everywhere": ("POINTS = 5, 2.0, 0.2, 0.5,", "POINTS = 5, 2.0, 0.2, 1.0,"),
    "the rate does not decay": ('["lr"] = RATE * min(1, 2 - 2 * step / steps)', '["lr"] = RATE'),
    "the noise of every step is the same": ("torch.randn(BATCH, 2, generator=errors))", "torch.ones(BATCH, 2))"),
    "the noise points right only": (
        "torch.randn(BATCH, 2, generator=errors))",
        "torch.randn(BATCH, 2, generator=errors).abs())",
    ),
    "a control is trained with noise": ('if name == "denoising" else x', 'if name != "narrow" else x'),
}
FULL = {
    "a control is trained with noise",
    "all centres count alike",
    "far centres count most",
    "no unit bends",
    "the answer is tested on clean points",
    "the noise of every step is the same",
    "the noise points right only",
    "the plain error is of clean points",
    "the rate does not decay",
    "the rival hears the noise too",
}
