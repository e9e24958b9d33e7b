"""What the claims of the Kalman filter must not forgive."""

MUTANTS = {
    "it does not foretell": ("mean, cov = move @ mean, move @ cov", "mean, cov = mean, move @ cov"),
    "it foretells only the mean": ("move @ mean, move @ cov @ move.mT +", "move @ mean, cov +"),
    "the covariance moves on one side": ("move @ cov @ move.mT +", "move @ cov +"),
    "pushes are not expected": (" + kick[:, None] * kick  # foretell", "  # foretell"),
    "pushes change the velocity alone": ("push * torch.tensor([0.5, 1.0]", "push * torch.tensor([0.0, 1.0]"),
    "the noise is a variance": ("+ noise[:, t, None, None] ** 2)", "+ noise[:, t, None, None])"),
    "the noise is that of the step before": ("+ noise[:, t, None, None] ** 2)", "+ noise[:, t - 1, None, None] ** 2)"),
    "the gain is fixed": ("/ (cov[:, :1, :1] + noise[:, t, None, None] ** 2)", "/ (cov[:, :1, :1] + 4.5)"),
    "every measurement is believed": (
        "gain = cov[:, :, :1] / (cov[:, :1, :1] + noise[:, t, None, None] ** 2)",
        "gain = cov[:, :, :1] / cov[:, :1, :1]",
    ),
    "the covariance does not shrink": ("cov = cov - gain * cov[:, :1]", "cov = cov - 0 * gain * cov[:, :1]"),
    "the covariance ignores the noise's gradient": (
        "cov = cov - gain * cov[:, :1]",
        "cov = cov - gain.detach() * cov[:, :1]",
    ),
    "past measurements pass no gradient": ("mean, cov = move @ mean, move", "mean, cov = move @ mean.detach(), move"),
    "it sees the next measurement": (
        "(y[:, t] - mean[:, 0])[:, None]",
        "(y[:, min(t + 1, y.shape[1] - 1)] - mean[:, 0])[:, None]",
    ),
    "the measurements are the truth": (
        "measured = truth + noise[..., None] * torch.randn(truth.shape, generator=sensed)",
        "measured = truth + 0 * noise[..., None]",
    ),
    "the line is the filter": (
        "lines.append(rms(line(y, told, keep), truth))",
        "lines.append(rms(kalman(y, told)[0], truth))",
    ),
    "it foretells before the first measurement": (
        "        if t > 0:",
        "        if t >= 0:",
    ),
    "the start is thought less sure": (
        "[START**2, 1.0]",
        "[START**2, 4.0]",
    ),
    "the variance is that of the velocity": (
        "variances.append(cov[:, 0, 0])",
        "variances.append(cov[:, 1, 1])",
    ),
    "the line ignores the noise": (
        " * noise[:, None, since] ** -2",
        " * noise[:, None, since] ** 0",
    ),
    "the line sees the truth": (
        "rms(line(y, told, keep), truth)",
        "rms(line(truth.to(y), told, keep), truth)",
    ),
    "objects do not move on": (
        "position + velocity + push / 2, velocity",
        "position + push / 2, velocity",
    ),
    "both sensors are good": (
        "< 0.5, GOOD, BAD)",
        "< 2, GOOD, BAD)",
    ),
}
FULL = {
    "the measurements are the truth",
    "the line is the filter",
    "the line ignores the noise",
    "the line sees the truth",
    "objects do not move on",
    "both sensors are good",
}
