"""What the claims on mini-batches and rates must not forgive."""

MUTANTS = {
    "the gradient of a sum": ("- y) / len(x)", "- y)"),
    "the gradient misses the labels": ("(x @ w).softmax(-1) - y)", "(x @ w).softmax(-1) - y.mean(0))"),
    "examples are drawn again": (
        "torch.randperm(n, generator=generator)",
        "torch.randint(n, (n,), generator=generator)",
    ),
    "the batches are twice as large": ("for rows in order.split(size):", "for rows in order.split(2 * size):"),
    "the last batch counts less": (
        "gradient(w, x[rows], y[rows])  # on",
        "gradient(w, x[rows], y[rows]) * len(rows) / size  # on",
    ),
    "all steps start from the same weights": (
        "    for rows in order.split(size):\n        w = w - rate * gradient(w,",
        "    start = w\n    for rows in order.split(size):\n        w = w - rate * gradient(start,",
    ),
    "twice the gradient of a sample": (
        "- rate * ((w * x).sum(1) - y)[:, None] * x",
        "- 2 * rate * ((w * x).sum(1) - y)[:, None] * x",
    ),
    "the rate never decays": ("return 1 / (t + 20)", "return 1 / 200"),
    "the rate decays too fast": ("return 1 / (t + 20)", "return 1 / (t + 1) ** 2"),
    "the rate decays like a root": ("return 1 / (t + 20)", "return 0.05 / (t + 1) ** 0.5"),
    "the stream has no noise": ("+ torch.randn(RUNS, generator=stream)", "+ 0 * torch.randn(RUNS, generator=stream)"),
    "the smallest curvature sets the rate": (
        "torch.linalg.eigvalsh(curvature)[-1]",
        "torch.linalg.eigvalsh(curvature)[0]",
    ),
    "the labels stand in the input": (
        "torch.cat([torch.tensor(digits.data) / 16, torch.ones(len(digits.data), 1)], 1)",
        "torch.cat([torch.tensor(digits.data) / 16, 9 * F.one_hot(torch.tensor(digits.target))], 1)",
    ),
}
FULL = {
    "the labels stand in the input",
    "the rate decays like a root",
    "the rate decays too fast",
    "the rate never decays",
    "the smallest curvature sets the rate",
    "the stream has no noise",
}
