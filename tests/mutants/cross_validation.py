"""What the claims of cross-validation must not forgive."""

MUTANTS = {
    "the tested rows are trained on": ("rest = torch.cat(parts[:i] + parts[i + 1 :])", "rest = torch.cat(parts)"),
    "one fold is left out of training": ("parts[:i] + parts[i + 1 :]", "parts[:i] + parts[i + 2 :] or parts[1:]"),
    "folds are drawn with replacement": (
        "list(torch.randperm(n, generator=generator).tensor_split(k))",
        "list(torch.randint(n, (n,), generator=generator).tensor_split(k))",
    ),
    "test rows are scaled by themselves": ("(t - mean) / scale @ w", "(t - t.mean(0)) / t.std(0) @ w"),
    "there is no penalty": ("PENALTY * torch.eye(", "0 * torch.eye("),
    "classes are not told apart": ("ordered = mixed[classes[mixed].argsort(stable=True)]", "ordered = mixed"),
    "classes are cut, not dealt": ("ordered[i::k]", "ordered.tensor_split(k)[i]"),
    "features are chosen by all labels": (
        "cross_validate(z, coin, parts, choose_and_fit)",
        "cross_validate(z[:, best_features(z, coin)], coin, parts, ridge)",
    ),
    "the neighbours know the rows never used": ("nearest(x[seen], y[seen])", "nearest(x, y)"),
    "it is one split again and again": (
        "for part in folds(n, K, splits)]",
        "for part in folds(n, K, torch.Generator().manual_seed(1))]",
    ),
    "the hold-outs of the control know all rows": ("fit(x[train], y[train])(x[test])", "fit(x, y)(x[test])"),
    "the hold-outs of the control are smaller": (
        "[len(x) // HELD, len(x) - len(x) // HELD]",
        "[len(x) // (3 * HELD), len(x) - len(x) // (3 * HELD)]",
    ),
}
FULL = {
    "features are chosen by all labels",
    "the neighbours know the rows never used",
    "it is one split again and again",
    "the hold-outs of the control know all rows",
    "the hold-outs of the control are smaller",
}
