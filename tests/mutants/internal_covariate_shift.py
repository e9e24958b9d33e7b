"""What the claims of internal covariate shift must not forgive."""

MUTANTS = {
    "the spread counts for nothing": ("((moved + spread).mean(-1) /", "((moved + 0 * spread).mean(-1) /"),
    "the mean counts for nothing": ("((moved + spread).mean(-1) /", "((0 * moved + spread).mean(-1) /"),
    "the shift is over the spread after": (
        "/ before.var(-2, correction=0).mean(-1)",
        "/ after.var(-2, correction=0).mean(-1)",
    ),
    "the shift is squared": (".mean(-1)).sqrt()  # Wass", ".mean(-1))  # Wass"),
    "the variance divides by n - 1": ("x.mean(0), x.var(0, correction=0)", "x.mean(0), x.var(0)"),
    "batch mean without gradient": ("mean, var = x.mean(0), x.var", "mean, var = x.detach().mean(0), x.var"),
    "batch variance without gradient": ("x.mean(0), x.var(0", "x.mean(0), x.detach().var(0"),
    "the noise stands before batch norm": (
        "y = super().forward(x)\n        m, s, m_i, s_i = (part.to(y) for part in draw(*y.shape, self.noise))\n"
        "        return (s + s_i) * y + m + m_i",
        "m, s, m_i, s_i = (part.to(x) for part in draw(*x.shape, self.noise))\n"
        "        return super().forward((s + s_i) * x + m + m_i)",
    ),
    "the noise is no larger than what each example gets": (
        "return (s + s_i) * y + m + m_i",
        "return (1 + s_i) * y + m_i",
    ),
    "the scaled unit passes no gradient": ("return (s + s_i) * y + m", "return s * y + s_i * y.detach() + m"),
    "the noise stays the same": (
        "m, s = MEAN * (2 * torch.rand(width, generator=noise)",
        "noise.manual_seed(1)\n    m, s = MEAN * (2 * torch.rand(width, generator=noise)",
    ),
    "each image's noise is its own": (
        "m, s = MEAN * (2 * torch.rand(width, generator=noise)",
        "m, s = MEAN * (2 * torch.rand(n, width, generator=noise)",
    ),
    "the plain net has batch norm, too": ('"plain": lambda width: nn.Identity()', '"plain": BatchNorm'),
    "the plain net is rushed": ('"plain": (0.04, 0.07, 0.12)', '"plain": (1.0, 2.0)'),
    "the noisy net has no noise": (
        '"batch norm + noise": NoisyNorm',
        '"batch norm + noise": type("Mute", (NoisyNorm,), {"forward": BatchNorm.forward})',
    ),
    "the noise is drawn but the mean stays": ("y + m + m_i  # s, m", "y + m_i  # s, m"),
    "the gain is not learned": ("* self.gain + self.offset", "* self.gain.detach() + self.offset + 0 * self.gain"),
    "batch norm is not scaled": ("/ (var + 1e-5).sqrt() *", "/ (var + 1e-5) *"),
    "the plain net learns nothing": ('"plain": (0.04, 0.07, 0.12)}', '"plain": (0.0, 1e-4, 1e-3)}'),
    "the weights of the plain net are small": ('nonlinearity="relu")', 'nonlinearity="sigmoid")'),
    "before and after are the same moment": (
        "seen[key][step] = received(net, probe)",
        "seen[key][step] = seen[key].get(step - 1, received(net, probe))",
    ),
    "the noise is ten times as strong": ("1300, 64, 0.5, 1.25, 0.1", "1300, 64, 5.0, 3.5, 0.1"),
}
FULL = {
    "before and after are the same moment",
    "each image's noise is its own",
    "the noise is ten times as strong",
    "the noise stays the same",
    "the plain net has batch norm, too",
    "the plain net is rushed",
    "the plain net learns nothing",
    "the weights of the plain net are small",
}
