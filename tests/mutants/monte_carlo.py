"""What the claims of Monte Carlo must not forgive."""

MUTANTS = {
    "the weight is upside down": ("return f * (log_p - log_q).exp()", "return f * (log_q - log_p).exp()"),
    "the weight is left out": ("return f * (log_p - log_q).exp()", "return f + 0 * (log_p - log_q)"),
    "the weight passes no gradient": (
        "return f * (log_p - log_q).exp()",
        "return f * (log_p - log_q).exp().detach() + 0 * log_p",
    ),
    "the weight stays a logarithm": ("return f * (log_p - log_q).exp()", "return f * (1 + log_p - log_q)"),
    "the weight is clipped": ("return f * (log_p - log_q).exp()", "return f * (log_p - log_q).exp().clamp(0.8, 1.2)"),
    "the density has another spread": ("return -0.5 * (x - mean) ** 2 -", "return -(x - mean) ** 2 -"),
    "the mean has another sign": ("return -0.5 * (x - mean) ** 2 -", "return -0.5 * (x + mean) ** 2 -"),
    "the variance of the weights is too large": ("math.exp(mean**2) * tail", "math.exp(mean**2 + 1) * tail"),
    "the event is farther in the closed form": ("tail(RARE + mean) / p**2", "tail(RARE - mean) / p**2"),
    "draws repeat": ("return f(draws).mean(1)", "return f(draws[:, :64]).mean(1)"),
    "a sum for a mean": ("return f(draws).mean(1)", "return f(draws).sum(1) / 64"),
    "cells are read at their corners": (
        "(torch.arange(side, dtype=torch.float64) + 0.5) / side",
        "torch.arange(side, dtype=torch.float64) / side",
    ),
    "the plain mean knows the answer": (
        "(x > RARE).float().mean(1).cpu() / p - 1)",
        "(x > 0).float().mean(1).cpu() * 2 - 1)",
    ),
    "the event is nearer": ("importance((x > RARE)", "importance((x > RARE - 0.1)"),
    "draws spread more than q says": ("(mean + torch.randn(REPEATS, DRAWS", "(mean + 1.3 * torch.randn(REPEATS, DRAWS"),
    "the six coordinates are one": (
        "torch.rand(REPEATS, n, d, generator=cube)",
        "torch.rand(REPEATS, n, 1, generator=cube).expand(-1, -1, d)",
    ),
    "the plain mean has fewer draws": ("REPEATS, MORE * DRAWS", "REPEATS, DRAWS"),
    "the mean has another gradient": (
        "return f * (log_p - log_q).exp()",
        "return f * (log_p.detach() - log_q).exp() * (1 + 2 * (log_p - log_p.detach()))",
    ),
    "the closed form forgets the mean's square": ("tail(RARE + mean) / p**2 - 1) / n", "tail(RARE + mean) / p**2) / n"),
    "draws stay around 0": ("(mean + torch.randn(REPEATS, DRAWS", "(0 * mean + torch.randn(REPEATS, DRAWS"),
}
FULL = {
    "the plain mean knows the answer",
    "draws repeat",
    "a sum for a mean",
    "draws stay around 0",
    "draws spread more than q says",
    "the event is nearer",
    "the plain mean has fewer draws",
    "the six coordinates are one",
    "cells are read at their corners",
}
