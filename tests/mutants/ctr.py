"""What the claims on click-through rates must not forgive."""

MUTANTS = {
    "a value meets itself": (
        "(v.sum(1).square() - v.square().sum(1)).sum(1) / 2",
        "v.sum(1).square().sum(1) / 2",
    ),
    "pairs count twice": ("v.square().sum(1)).sum(1) / 2", "v.square().sum(1)).sum(1)"),
    "vectors are added, not crossed": (
        "(v.sum(1).square() - v.square().sum(1)).sum(1) / 2",
        "v.sum(1).sum(1)",
    ),
    "one side of a pair gets no gradient": (
        "(v.sum(1).square() - v.square().sum(1))",
        "(v.sum(1).detach() * v.sum(1) - (v.detach() * v).sum(1))",
    ),
    "no weights beside the pairs": ("self.bias + self.weight[x].sum(1) + pairs", "self.bias + pairs"),
    "there is no bias": ("self.bias + self.weight[x].sum(1) + pairs", "self.weight[x].sum(1) + pairs"),
    "nothing holds the vectors back": ("+ self.vector.square().sum())", "+ 0 * self.vector.square().sum())"),
    "nothing holds the weights back": (
        "penalty * (self.weight.square().sum()",
        "penalty * (0 * self.weight.square().sum()",
    ),
    "clicks are unlearned": ("(self(x), clicked, reduction", "(self(x), 1 - clicked, reduction"),
    "it trains on the fresh impressions": (
        "(TRAIN, data), (TEST, unseen))]",
        "(TEST, unseen), (TEST, torch.Generator().manual_seed(4 * seed + 3)))]",
    ),
    "all pairs are called new": ("new = ~torch.isin(pairs, met)", "new = pairs > 0"),
    "the second world is crossed too": ('("plain", 0.0)', '("plain", 1.0)'),
    "the machine may know the chances": (
        "(torch.rand(n, generator=generator) < chance).float(), chance]",
        "(chance > 0.5).float(), chance]",
    ),
    "the trees hardly grow": ("max_iter=300", "max_iter=1"),
    "the pairs are left out": ("self.weight[x].sum(1) + pairs", "self.weight[x].sum(1) + 0 * pairs"),
    "tastes do not matter": ("crossed * (tastes[x[:, 0]]", "0 * crossed * (tastes[x[:, 0]]"),
    "the true chances are not known": (
        "- log_loss(truth[where], clicked_test[where])",
        "- log_loss(clicked_test[where], clicked_test[where])",
    ),
    "a weight counts once a field": ("self.weight[x].sum(1) + pairs", "self.weight[x].mean(1) + pairs"),
    "the machine of the second world has no vectors": (
        '(0, FACTORS, PENALTY, "plain")',
        '(0, 0, LINEAR_PENALTY, "plain")',
    ),
}
FULL = {
    "the second world is crossed too",
    "the true chances are not known",
    "the machine may know the chances",
    "tastes do not matter",
    "the machine of the second world has no vectors",
    "the trees hardly grow",
    "it trains on the fresh impressions",
}
