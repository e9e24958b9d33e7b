"""What the claims about architecture search must not forgive."""

MUTANTS = {
    "a skip is a layer": ("for kind in (SKIP, LAYER))", "for kind in (LAYER, LAYER))"),
    "a layer has no ReLU": ("(h @ weights[e]).relu() for", "(h @ weights[e]) for"),
    "a layer passes no gradient back": ("(h @ weights[e]).relu() for", "(h.detach() @ weights[e]).relu() for"),
    "the last node sees the first alone": ("if stop == end]", "if stop == end and start == 0]"),
    "all layers are one": ("(h @ weights[e]).relu() for", "(h @ weights[0]).relu() for"),
    "a change changes nothing": ("((kind + by) % 3 - kind) * 3**place", "((kind + by) % 3 - kind) * 3**place * 0"),
    "a change changes all": ("return number + (", "return (number * 331 + 7) % SPACE + 0 * ("),
    "the worst is the parent": ("parent = min(rng", "parent = max(rng"),
    "a child is a stranger": (
        "child = changed(parent, rng.randrange(len(EDGES)), rng.randint(1, 2))",
        "child = rng.randrange(SPACE)",
    ),
    "the first stay": ("alive.append(child)", "alive.append(child) if len(alive) < LAST else None"),
    "the shuffled table is not": ("loss.cpu()[torch.randperm(SPACE, generator=mixing)].tolist()", "loss.tolist()"),
    "the table is of the digits learned": (
        "losses(x[TRAIN : 2 * TRAIN], y[TRAIN : 2 * TRAIN])",
        "losses(x[:TRAIN], y[:TRAIN])",
    ),
    "the gradients are of their mean": ("loss.sum().backward()", "loss[:1].sum().backward()"),
    "the rate does not fall": (
        "= RATE * (1 - step / len(rows))\n        loss",
        "= RATE\n        loss",
    ),
    "the nets begin elsewhere": ("(len(kinds), -3).requires", "(len(kinds), -3).mul(1.01).requires"),
    "those with the fewest edges come first": ("(KINDS[n] == 0).sum().item()", "(KINDS[n] != 0).sum().item()"),
    "the rank counts from the worst": (
        "rank = torch.tensor(losses).argsort().argsort()\n    tried",
        "rank = torch.tensor(losses).neg().argsort().argsort()\n    tried",
    ),
    "the last trial counts alone": (".cummin(1).values.double().mean(0)", ".double().mean(0)"),
    "random trials are fewer": ("(SPACE + 1) / (k + 1) - 1", "(SPACE + 1) / (3 * k + 1) - 1"),
}
FULL = {
    "those with the fewest edges come first",
    "the rank counts from the worst",
    "the last trial counts alone",
    "the worst is the parent",
    "random trials are fewer",
    "a change changes nothing",
    "the shuffled table is not",
    "a child is a stranger",
    "a change changes all",
    "the first stay",
}
