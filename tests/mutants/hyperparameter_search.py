"""What the claims of hyperparameter search must not forgive."""

MUTANTS = {
    "the gaps are one too few": ("return (settings - trials) / (trials + 1)", "return (settings - trials) / trials"),
    "halving keeps the worst": ("order[:, : drawn.shape[1] // KEPT]", "order[:, -(drawn.shape[1] // KEPT) :]"),
    "halving sees the end": ("order = early[drawn]", "order = losses[-1][drawn]"),
    "the grid is judged by its worst": (
        "square[i + lines][:, j + lines].min()",
        "square[i + lines][:, j + lines].max()",
    ),
    "the hypercube is plain random": ("generator=generator).argsort(2)", "generator=generator).mul(n).floor()"),
    "momentum does nothing": ("momentum * a + g + decay * p", "0 * a + g + decay * p"),
    "decay does nothing": ("momentum * a + g + decay * p", "momentum * a + g"),
    "the ReLU passes every gradient": ("x.mT @ (wrong @ w[1].mT * (h > 0))", "x.mT @ (wrong @ w[1].mT)"),
    "the losses are of the training digits": ("x[200:600], y[200:600]]", "x[:200], y[:200]]"),
    "decay matters": ("10 ** (3 * b - 8)", "10 ** (4 * b - 3)"),
    "the rank is a place": ("losses[-1].argsort().argsort()", "losses[-1].argsort()"),
    "the grid crowds a corner": ("torch.arange(n) * SIDE // n,", "torch.arange(n),"),
    "halving starts with half": ("halving(losses, drawn[:, :MANY])", "halving(losses, drawn[:, : MANY // 2])"),
    "both vary momentum": ("10 ** (3 * b - 8), 0 * b + 0.5", "0 * b, 1 - 10 ** (-2 * b)"),
    "halving skips a stage": ("for early in losses[:-1]:\n        order", "for early in losses[:1]:\n        order"),
    "the rival gets all the work": (
        "kept, cost = (2, 3, 4, 5, 6, 8), {}, {}, {}, work(MANY)",
        "kept, cost = (2, 3, 4, 5, 6, 8), {}, {}, {}, 4860",
    ),
}
FULL = {
    "both vary momentum",
    "decay matters",
    "the grid crowds a corner",
    "the grid is judged by its worst",
    "the hypercube is plain random",
    "the rank is a place",
    "the rival gets all the work",
}
