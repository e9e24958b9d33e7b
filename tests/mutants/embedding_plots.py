"""What the claims of embedding plots must not forgive."""

MUTANTS = {
    "the odds are not made symmetric": ("return (p + p.mT) / (2 * len(x))", "return p / len(x)"),
    "the search goes the wrong way": (
        "torch.where(wide, middle, low), torch.where(wide, high, middle)",
        "torch.where(wide, low, middle), torch.where(wide, middle, high)",
    ),
    "the entropy is in bits": ("wide = entropy > math.log(perplexity)", "wide = entropy > math.log2(perplexity)"),
    "a point is its own neighbour": (
        "d = squared(x.double()).fill_diagonal_(math.inf)\n    d = d -",
        "d = squared(x.double())\n    d = d -",
    ),
    "the tails are short": ("(1 + squared(y)).reciprocal() *", "(-squared(y)).exp() *"),
    "the tails are lost in the pull": ("pull = (p - w / w.sum()) * w  #", "pull = p - w / w.sum()  #"),
    "the odds on the page are no odds": ("pull = (p - w / w.sum()) * w  #", "pull = (p - w) * w  #"),
    "points only attract": ("pull = (p - w / w.sum()) * w  #", "pull = p * w  #"),
    "the gradient is halved": ("return 4 * (pull.sum(1", "return 2 * (pull.sum(1"),
    "it climbs": ("- max(len(y) / EARLY / 4, 50) * gain * g", "+ max(len(y) / EARLY / 4, 50) * gain * g"),
    "the rivals are measured against themselves": ("max(kept(x, rival) for", "max(kept(rival, rival) for"),
    "the wide cloud is not wide": ("= WIDER * two[NOISE // 2 :] +", "= two[NOISE // 2 :] +"),
}
FULL = {
    "it climbs",
    "the rivals are measured against themselves",
    "the wide cloud is not wide",
}
