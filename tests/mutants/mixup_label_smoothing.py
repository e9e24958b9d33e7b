"""What the claims of mixup and label smoothing must not forgive."""

MUTANTS = {
    "what is taken from the label is lost": ("* target + SMOOTHING / CLASSES  #", "* target  #"),
    "the label keeps all": ("return (1 - SMOOTHING) * target +", "return target +"),
    "only the other classes get a share": ("+ SMOOTHING / CLASSES  #", "+ SMOOTHING / (CLASSES - 1) * (1 - target)  #"),
    "nothing is smoothed": ("return (1 - SMOOTHING) * target + SMOOTHING / CLASSES", "return 1.0 * target"),
    "images are not mixed": ("return share * x + (1 - share) * x[other],", "return x,"),
    "targets are not mixed": (", share * target + (1 - share) * target[other]", ", target"),
    "targets are mixed the other way": (
        ", share * target + (1 - share) * target[other]",
        ", (1 - share) * target + share * target[other]",
    ),
    "an image is mixed with itself": (
        "(1 - share) * x[other], share * target + (1 - share) * target[other]",
        "(1 - share) * x, target",
    ),
    "the loss has no log": ("(target * z.log_softmax(1))", "(target * z.softmax(1))"),
    "only the largest part of the target counts": (
        "-(target * z.log_softmax(1))",
        "-(target * (target == target.amax(1, keepdim=True)) * z.log_softmax(1))",
    ),
    "the probabilities pass no gradient": (
        "z.log_softmax(1)).sum(1)",
        "(z - z.detach().logsumexp(1, keepdim=True))).sum(1)",
    ),
    "the test images are trained on": ("x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]", "x, y, x[TRAIN:], y[TRAIN:]"),
    "plain labels are smoothed, too": ('"plain labels": (some, target)', '"plain labels": (some, smoothed(target))'),
    "mixup is left out": ('{"mixup": mixed(some, target, share, other)}', '{"mixup": (some, target)}'),
    "the nets hardly learn": ("net.parameters(), 1e-3)", "net.parameters(), 1e-5)"),
    "shares are uniform": ("return (u * math.pi / 2).sin() ** 2", "return u"),
    "shares are not squared": ("(u * math.pi / 2).sin() ** 2", "(u * math.pi / 2).sin()"),
    "an image's partner is itself": (
        "mixed(some, target, share, other)",
        "mixed(some, target, share, other.sort().values)",
    ),
    "plain labels are mixed, too": (
        '"plain labels": (some, target)',
        '"plain labels": mixed(some, target, share, other)',
    ),
    "nothing is smoothed in training": ("(some, smoothed(target))", "(some, target)"),
    "bins do not count their size": (".abs().sum() / len(p))", ".abs().sum() / len(p) ** 0.5)"),
    "targets run the other way": (
        "line, target = (between * part[a] + (1 - between) * part[b] for part in (x, plain(y)))",
        "line, target = (between * part[c] + (1 - between) * part[d] for part, c, d in ((x, a, b), (plain(y), b, a)))",
    ),
    "the plain net is hot": ("in TEMPERATURES)", "in TEMPERATURES[-3:])"),
}
FULL = {
    "an image's partner is itself",
    "bins do not count their size",
    "mixup is left out",
    "nothing is smoothed in training",
    "plain labels are mixed, too",
    "plain labels are smoothed, too",
    "targets run the other way",
    "the nets hardly learn",
    "the plain net is hot",
}
