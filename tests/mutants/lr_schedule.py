"""What the claims on learning-rate schedules must not forgive."""

MUTANTS = {
    "a whole wave": ("math.cos(math.pi * t / steps)", "math.cos(2 * math.pi * t / steps)"),
    "a quarter of a wave": ("0.5 * (1 + math.cos(math.pi * t / steps))", "math.cos(math.pi * t / steps / 2)"),
    "the line ends at one half": ("return 1 - t / steps", "return 1 - t / steps / 2"),
    "a fifth after each third": ("0.1 ** (3 * t // steps)", "0.2 ** (3 * t // steps)"),
    "four stairs": ("(3 * t // steps)", "(4 * t // steps)"),
    "the warm-up does not end": ("(t + 1) / warm if t < warm else", "(t + 1) / warm if warm else"),
    "the warm-up starts at zero": ("return (t + 1) / warm", "return t / warm"),
    "noise that grows with the rate alone": ("(rate / (2 * (2 - rate * curvature)))", "(rate / (4 + 0 * curvature))"),
    "the floor of one curvature": ("(2 - rate * curvature))).sum(-1)", "(2 - rate * curvature)))[..., 0]"),
    "Adam is not corrected": ("first / (1 - 0.9 ** (t + 1))", "first / 1"),
    "the first layers get no gradient": ("h = (h @ w).relu()", "h = (h.detach() @ w).relu() + 0 * h.sum()"),
    "no decay after the warm-up": ("warmed_up(linear, t, steps, warm) for", "warmed_up(constant, t, steps, warm) for"),
}
