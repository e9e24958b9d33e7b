"""What the claims on attributions must not forgive."""

MUTANTS = {
    "every coalition counts the same": ("columns.append(gain @ orders[size[without]])", "columns.append(gain.mean(1))"),
    "the weights are those of one input more": ("factorial(INPUTS - 1 - k)", "factorial(INPUTS - k)"),
    "the gain is that of leaving": (
        "value[:, without + 2**i] - value[:, without]",
        "value[:, without] - value[:, without + 2**i]",
    ),
    "absent inputs are set to one": ("net(x[:, None] * subsets)", "net(x[:, None] * subsets + 1 - subsets)"),
    "the last input is never absent": (
        "net(x[:, None] * subsets)[",
        "net(x[:, None] * torch.cat([subsets[:, :-1], subsets[:, -1:] ** 0], 1))[",
    ),
    "the gradient is taken at the end alone": (
        "((places + 0.5)[:, None, None] * x)",
        "((0 * places + 1)[:, None, None] * x)",
    ),
    "the way does not begin at zero": ("(places + 0.5)[:, None, None]", "(places + 1)[:, None, None]"),
    "the gradient stops at the way": ("net(way).sum(), way)", "(net(way.detach()).sum() + 0 * way.sum()), way)"),
    "gains and losses cancel in the shares": ("mass = attribution.abs().sum(0)", "mass = attribution.sum(0).abs()"),
    "the honest network sees the answer": ("    if honest:", "    if honest and n != BATCH:"),
    "the broken test is intact": ("samples(4000, unseen, honest=True)", "samples(4000, unseen)"),
    "the hidden layer never learns": ("net(x)[:, 0], y)", "net[2](net[:2](x).detach())[:, 0], y)"),
}
FULL = {
    "the broken test is intact",
    "the hidden layer never learns",
    "the honest network sees the answer",
    "the last input is never absent",
}
