"""What the claims of fairness must not forgive."""

MUTANTS = {
    "both rates are of the good": ("a[t == 0].mean()", "a[t == 1].mean()"),
    "precision is of all the good": ("(a * t).sum() / a.sum()", "(a * t).sum() / t.sum()"),
    "one threshold for both": ("[score[group == g].quantile(1 - share)", "[score.quantile(1 - share)"),
    "the wrong end is accepted": (".quantile(1 - share)", ".quantile(share)"),
    "the good set the threshold of the bad": (
        "equal_acceptance(score[y == 0], group[y == 0], share)",
        "equal_acceptance(score[y == 1], group[y == 1], share)",
    ),
    "the coin falls too seldom": ("[(hit - min(hits)) / (hit - share) for", "[hit - min(hits) for"),
    "the coin refuses all": ("return (1 - mix) * above + mix * share", "return (1 - mix) * above"),
    "large cells are not weighed down": (".mean() / cell.mean()", ".mean()"),
    "the weights get no gradient": ("(weights * ((x @ w)", "(((x @ w)"),
    "the slope is that of squares": ("((x @ w).sigmoid() - y)", "((x @ w) - y)"),
    "the group stands in the score": ("torch.stack([score, proxy,", "torch.stack([score + 6 * group, proxy,"),
    "the control accepts all": ('"one threshold": ([0.0, 0.0]', '"one threshold": ([-99.0, -99.0]'),
}
FULL = {"the group stands in the score"}
