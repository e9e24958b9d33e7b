"""What the claims of the normalization layers must not forgive."""

MUTANTS = {
    "the mean passes no gradient": ("y = y - y.mean(-1, keepdim=True)", "y = y - y.detach().mean(-1, keepdim=True)"),
    "the scale passes no gradient": ("y = y / (y.square()", "y = y / (y.detach().square()"),
    "the variance divides by n - 1": ("y.square().mean(-1, keepdim=True) + EPS", "y.var(-1, keepdim=True) + EPS"),
    "it divides by the variance": ("keepdim=True) + EPS).sqrt()", "keepdim=True) + EPS)"),
    "a group takes every fourth unit": (
        "y = x.reshape(len(x), self.groups, -1)",
        "y = x.reshape(len(x), -1, self.groups).mT.contiguous()",
    ),
    "the mean is of the batch": ("y = y - y.mean(-1, keepdim=True)", "y = y - y.mean((0, -1), keepdim=True)"),
    "RMS takes the mean out": ("if self.centred:", "if True:"),
    "the gain is lost": ("y.view(x.shape) * self.gain.view(shape)", "y.view(x.shape) + 0 * self.gain.view(shape)"),
    "the rival sees one image at a time": (
        "mean, var = rows.mean(1), rows.var(1, correction=0)",
        "mean, var = rows[:, :1].mean(1), rows.var(1, correction=0)",
    ),
    "the test holds the training images": (
        "x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]",
        "x[:TRAIN], y[:TRAIN], x[:TRAIN], y[:TRAIN]",
    ),
}
