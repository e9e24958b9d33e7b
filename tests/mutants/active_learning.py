"""What the claims of active learning must not forgive."""

MUTANTS = {
    "the second guess is ignored": ("return first - second  #", "return first  #"),
    "the surest are asked for": ("n, largest=False).indices", "n, largest=True).indices"),
    "labelled images are asked for again": ("score.masked_fill(known, math.inf)", "score"),
    "the first annotator decides alone": ("(ballots.sum(0) + ballots[0] / 2)", "ballots[0]"),
    "two annotators are not counted": ("(ballots.sum(0) + ballots[0] / 2)", "ballots[:3].sum(0)"),
    "chance is of one annotator": ("table.sum(1) @ table.sum(0)", "table.sum(1) @ table.sum(1)"),
    "kappa is not scaled": ("- chance) / (1 - chance)).item()", "- chance)).item()"),
    "the slope ignores the other classes": ("((x @ w).softmax(-1) - y)", "((x @ w).sigmoid() - y)"),
    "the decay is halved": ("/ x.shape[-2] + 0.002 * w", "/ x.shape[-2] + 0.001 * w"),
    "the answer stands in the pixels": (
        "all_x, all_y = with_one(torch.tensor(digits.data / 16).float())[mixed]",
        "all_x, all_y = (with_one(torch.tensor(digits.data / 16).float()) + "
        "9 * F.one_hot(torch.tensor(digits.target), 65))[mixed]",
    ),
    "random labels are wrong": (
        "learn(x[rows.to(device)], y[rows].to(device), w, steps)",
        "learn(x[rows.to(device)], torch.cat([y[rows[:DRAWS]], y[rows[DRAWS:].flip(1)]]).to(device), w, steps)",
    ),
    "the control asks for what is known": (
        "[unsure, by_lot(2 * DRAWS, POOL, chance)]",
        "[unsure, -unsure, by_lot(DRAWS, POOL, chance)]",
    ),
}
FULL = {"random labels are wrong", "the answer stands in the pixels", "the control asks for what is known"}
