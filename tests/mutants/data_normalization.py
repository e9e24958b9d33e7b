"""What the claims of data normalization must not forgive."""

MUTANTS = {
    "the mean stays": ("return (x - mean) / variance.sqrt()", "return x / variance.sqrt()"),
    "it divides by the variance": ("variance.sqrt()", "variance"),
    "the mean is of what is scaled": ("mean = train.mean(-2, keepdim=True)", "mean = x.mean(-2, keepdim=True)"),
    "one scale for all features": (
        "variance = ((train - mean) ** 2).mean(-2, keepdim=True)",
        "variance = ((train - mean) ** 2).mean((-2, -1), keepdim=True)",
    ),
    "the range starts at the lowest of what is scaled": ("low, high = train.amin", "low, high = x.amin"),
    "it divides by the highest": ("return (x - low) / (high - low)", "return (x - low) / high"),
    "the test is in the statistics": (
        "[scale(train, part) for part in (train, test)]",
        "[scale(x, part) for part in (train, test)]",
    ),
    "the gradient omits the softmax": ("((x @ w).softmax(-1) - y)", "((x @ w) - y)"),
    "the test holds the training wines": (
        "train, test = x[:, :TRAIN], x[:, TRAIN:]",
        "train, test = x[:, :TRAIN], x[:, : len(wine.data) - TRAIN]",
    ),
    "the control gets only rates that diverge": (
        "for k in range(-16, 3)]",
        "for k in range(-6, 3)]",
    ),
}
FULL = {"the control gets only rates that diverge"}
