"""What the claims of the LLM judge must not forgive."""

MUTANTS = {
    "the second place is not turned round": (
        "back = 1 - chance(-edge, -extra, first",
        "back = chance(-edge, -extra, first",
    ),
    "the swapped judgment forgets the swap": (
        "return (chance(edge, extra, first, longer) + back) / 2",
        "return chance(edge, extra, first, longer)",
    ),
    "winner and loser are exchanged": (
        "F.one_hot(games[:, 0], MODELS) - F.one_hot(games[:, 1], MODELS)",
        "F.one_hot(games[:, 1], MODELS) - F.one_hot(games[:, 0], MODELS)",
    ),
    "the gradient is half": ("gradient = x.T @ (wins.double() - p)", "gradient = x.T @ (wins.double() - p) / 2"),
    "the curvature is of another model": ("(p * (1 - p))[:, None]", "(p * 1.9)[:, None]"),
    "one round is enough": ("rounds: int = 8", "rounds: int = 1"),
    "the terms are those of another game": ("*(t[:, None].double()", "*(t.roll(1)[:, None].double()"),
    "the fit sees who is stronger": ("draws[0] < p, draws[1] < p", "draws[0] < p, edge > 0"),
    "the judge has no bias for length": ("+ longer * extra).sigmoid()", "+ 0 * longer * extra).sigmoid()"),
    "people are biased too": ("more, 0.0, 0.0)", "more, FIRST, LONGER)"),
    "people vote as often as the judge": ("2 * BATCH // SHARE", "2 * BATCH"),
    "Elo forgets the loser": ("ratings[b] -= change", "ratings[b] -= 0 * change"),
    "Elo never updates": ("change = K * (", "change = 0 * ("),
}
FULL = {
    "the judge has no bias for length",
    "the fit sees who is stronger",
    "people are biased too",
    "the terms are those of another game",
    "people vote as often as the judge",
}
