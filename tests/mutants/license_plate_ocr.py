"""What the claims on reading touching digits must not forgive."""

MUTANTS = {
    "equal digits need no blank between": ("(labels[:, 1:] != labels[:, :-1]) | merge", "(labels[:, 1:] > 0) | merge"),
    "a digit may not follow a digit": ("read[:, :-1].masked_fill(~fresh, NEVER)", "read[:, :-1] + NEVER"),
    "only the best alignment counts": (
        "on_label = torch.logaddexp(on_label, enter)",
        "on_label = torch.maximum(on_label, enter)",
    ),
    "blanks may not repeat": ("on_blank = torch.logaddexp(on_blank, read) + blank_t", "on_blank = read + blank_t"),
    "the past gets no gradient": (
        "torch.logaddexp(on_label, enter) + label_t",
        "torch.logaddexp(on_label, enter).detach() + label_t",
    ),
    "it must end with a digit": ("return -torch.logaddexp(*ends)[:, 0]", "return -ends[1][:, 0]"),
    "the end is counted for the longest": ("on_label.gather(1, sizes[:, None] - 1)", "on_label[:, -1:]"),
    "it may begin anywhere": (
        "(0, labels.shape[1]), value=NEVER)  # (B, L + 1)",
        "(0, labels.shape[1]), value=0.0)  #",
    ),
    "repeats are not merged": ("for name, _ in itertools.groupby(names) if name", "for name in names if name"),
    "the test's scans are trained on": ("(order[:TRAIN], order[TRAIN:])", "(order, order[TRAIN:])"),
    "nothing is learned": ("300, 32, 5e-3, 0.1, 2", "300, 32, 0.0, 0.1, 2"),
    "the rival learns blanks alone": ("(at % 1 - 0.5).abs()", "(at % 1 - 2.5).abs()"),
    "the labels are one place off": ("(digits[rows] + 1) * (", "(digits[rows].roll(1, 1) + 1) * ("),
    "the rival cuts where there is most ink": ("sorted(ways, reverse=True)", "sorted(ways)"),
}
FULL = {
    "repeats are not merged",
    "nothing is learned",
    "the labels are one place off",
    "the rival cuts where there is most ink",
    "the rival learns blanks alone",
}
