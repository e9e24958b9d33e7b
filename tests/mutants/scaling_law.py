"""What the claims of the scaling law must not forgive."""

MUTANTS = {
    "one feature more is unseen": ("(DECAY, weights + 1.0)", "(DECAY, weights + 0.0)"),
    "unseen features decay more slowly": ("for v in (DECAY, weights", "for v in (DECAY - 0.1, weights"),
    "weights catch nothing": ("* (rows - 1) / (rows - weights - 1)", "* (rows - 1) / (rows - 1)"),
    "weights catch half as much": ("/ (rows - weights - 1)", "/ (rows - weights // 2 - 1)"),
    "the noise is forgotten": ("return (NOISE + unseen(weights)) * (rows", "return unseen(weights) * (rows"),
    "the worst split": ("return min((w for w in range", "return max((w for w in range"),
    "the laws' logarithms lose the floor": (
        "(errors - floors[:, None]).log().T",
        "(errors + 0 * floors[:, None]).log().T",
    ),
    "the worst floor": ("best = misses.square().sum(0).argmin()", "best = misses.square().sum(0).argmax()"),
    "no noise in the rows": ("(unseen(weights) + NOISE) ** 0.5", "(unseen(weights) + NOISE) ** 9"),
    "the models know the answer": ("((fit - 1) ** 2 * size)", "(0 * (fit - 1) ** 2 * size)"),
    "half the rows": (
        "x, y, size = (t.to(device) for t in (x, y, size))",
        "x, y, size = (t.to(device) for t in (x[:, ::2], y[:, ::2], size))",
    ),
    "the dear model is a cheap one": (
        "reached = measured_error(dear, LARGE // dear, 6, large, device)",
        "reached = measured_error(dear // 4, LARGE // dear, 6, large, device)",
    ),
    "the control is fitted to the cheapest": ("costs[-last:], errors[-last:]", "costs[:last], errors[:last]"),
    "rows are free": (
        "reached = measured_error(dear, LARGE // dear,",
        "reached = measured_error(dear, 3 * LARGE // dear,",
    ),
    "hardly any constant": ("torch.linspace(0, 1, 401)[:-1]", "torch.linspace(0, 0.1, 401)[:-1]"),
    "the best split of another cost": ("middle, cost = weights[-1]", "middle, cost = weights[-3]"),
    "the law falls in other logarithms": ("b * math.log(cost))", "b * math.log10(cost))"),
    "the control has the constant": ("torch.zeros_like(errors[:1])", "errors[-1:] * 0.4"),
}
FULL = {
    "half the rows",
    "hardly any constant",
    "no noise in the rows",
    "rows are free",
    "the best split of another cost",
    "the control has the constant",
    "the control is fitted to the cheapest",
    "the dear model is a cheap one",
    "the law falls in other logarithms",
    "the laws' logarithms lose the floor",
    "the models know the answer",
    "the noise is forgotten",
    "the worst floor",
    "the worst split",
    "weights catch half as much",
    "weights catch nothing",
}
