"""What the claims of pruning must not forgive."""

MUTANTS = {
    "the smallest weights are kept": ("return [(score >= threshold)", "return [(score < threshold)"),
    "every layer is pruned alike": (
        "return [(score >= threshold).to(score) for score in scores]",
        "return [(s >= s.flatten(1).quantile(1 - share, 1)[:, None, None]).to(s) for s in scores]",
    ),
    "what is cut grows back": ("kept = mask * weight  #", "kept = weight + 0 * mask  #"),
    "no gradient passes the mask": ("kept = mask * weight  #", "kept = mask * weight.detach()  #"),
    "the gradient passes the mask everywhere": (
        "kept = mask * weight  #",
        "kept = weight - ((1 - mask) * weight).detach()  #",
    ),
    "there is no hidden unit": ("x.relu() if i else x", "x"),
    "by the sign of a weight, not its size": ("weight.detach().abs() for", "weight.detach() for"),
    "the ticket starts from trained weights": ('"ticket": initial.pruned', '"ticket": trained.pruned'),
    "test images are among those to learn from": ("x[TRAIN:], y[TRAIN:]", "x[:497], y[:497]"),
    "random connections of an untrained net": ("trained.pruned(shuffled)", "fresh.pruned(shuffled)"),
    "new weights with random connections": ("fresh.pruned(largest)", "fresh.pruned(shuffled)"),
}
