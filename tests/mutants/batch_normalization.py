"""What the claims of batch normalization must not forgive."""

MUTANTS = {
    "the mean passes no gradient": ("mean = x.mean(0)", "mean = x.detach().mean(0)"),
    "the variance passes no gradient": ("var = ((x - mean) ** 2).mean(0)", "var = ((x - mean) ** 2).mean(0).detach()"),
    "the running variance is biased": ("var * len(x) / (len(x) - 1)", "var"),
    "the batch speaks in use too": ("if self.training:", "if True:"),
    "the averages are of the last batch": ("self.mean.lerp_(mean, 0.1)", "self.mean.copy_(mean)"),
    "it divides by the variance": ("(var + 1e-5).sqrt()", "(var + 1e-5)"),
    "the shift is taken away": ("* self.gain + self.shift", "* self.gain - self.shift"),
    "one mean for all units": ("mean = x.mean(0)", "mean = x.mean().expand(x.shape[1])"),
    "the test holds the training images": (
        "x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]",
        "x[:TRAIN], y[:TRAIN], x[:TRAIN], y[:TRAIN]",
    ),
}
