"""What the claims of grokking must not forgive."""

MUTANTS = {
    "absolute values for squares": ("return (x @ w).square() @ v", "return (x @ w).abs() @ v"),
    "half of the square passes no gradient": ("return (x @ w).square() @ v", "return ((x @ w) * (x @ w).detach()) @ v"),
    "there is no decay": ("weight_decay=decay)", "weight_decay=0.0)"),
    "the decay is a twentieth": ("weight_decay=decay)", "weight_decay=decay / 20)"),
    "the control decays too": ('"no decay": (1.0, 0.0)', '"no decay": (1.0, DECAY)'),
    "the test holds the training pairs": ("pairs[test], sums[test]", "pairs[train], sums[train]"),
    "mirror images are known": (
        "torch.combinations(torch.arange(HOURS), with_replacement=True).T",
        "torch.cartesian_prod(torch.arange(HOURS), torch.arange(HOURS)).T",
    ),
    "there is no clock": (
        "sums = (F.one_hot(a, HOURS) + F.one_hot(b, HOURS)).float(), (a + b) % HOURS",
        "sums = (F.one_hot(a, HOURS) + F.one_hot(b, HOURS)).float(), (a + b) // 2",
    ),
    "the waves turn once": ("(angle + 2 * turn).cos()", "(angle + turn).cos()"),
    "the waves begin with none": ("torch.arange(1, HOURS // 2 + 1)", "torch.arange(HOURS // 2)"),
    "the waves are sines": ("return (angle + turn).cos().T", "return (angle + turn).sin().T"),
    "the rate is a twentieth": ("weights, RATE, (0.9", "weights, RATE / 20, (0.9"),
    "the output has no second phase": ("(angle + 2 * turn).cos()", "angle.cos()"),
    "the rivals see the answers": ("rival.fit(x.numpy(), y.numpy())", "rival.fit(x_test.numpy(), y_test.numpy())"),
    "every frequency counts as the strongest": ("power.amax(0).sum() / power.sum()", "power.sum() / power.sum()"),
}
FULL = {
    "every frequency counts as the strongest",
    "mirror images are known",
    "the control decays too",
    "the decay is a twentieth",
    "the rate is a twentieth",
    "the rivals see the answers",
    "the test holds the training pairs",
    "there is no clock",
    "there is no decay",
}
