"""What the claims of continual learning must not forgive."""

MUTANTS = {
    "the gradient is not squared": ("total[2 * k] += (share * d**2).T", "total[2 * k] += (share * d).T"),
    "the input is not squared": ("(share * d**2).T @ below**2", "(share * d**2).T @ below"),
    "the gradient passes where the unit is off": ("at_last @ last.weight * (h > 0)", "at_last @ last.weight"),
    "all answers are as likely": ("share = p[:, y : y + 1] / len(x)", "share = 0 * p[:, y : y + 1] + 0.1 / len(x)"),
    "a sum, not a mean": ("share = p[:, y : y + 1] / len(x)", "share = p[:, y : y + 1]"),
    "what it believes is not subtracted": (".to(p) - p  #", ".to(p)  #"),
    "weights are held near zero": ("(f * (w - old) ** 2).sum() / 2", "(f * w**2 + 0 * old).sum() / 2"),
    "the pull has no gradient": (
        "(f * (w - old) ** 2).sum() / 2",
        "(f * (w.detach() - old) ** 2).sum() / 2 + 0 * w.sum()",
    ),
    "the pull is not halved": ("(f * (w - old) ** 2).sum() / 2", "(f * (w - old) ** 2).sum()"),
    "EWC holds all alike": ('fisher(net, seen) if name in ("EWC", "shuffled")', 'fisher(net, seen) if name == "none"'),
    "fine-tuning replays": ('if name == "replay" and task', 'if name in ("replay", "fine-tuning") and task'),
    "replay has nothing kept": ('if name == "replay" and task', 'if name == "none" and task'),
    "asked about training images": (
        "train, test = order[:TRAIN], order[TRAIN:]",
        "train, test = order[:TRAIN], order[:597]",
    ),
    "the tasks are one": ("torch.randperm(64, generator=world) for _ in", "torch.arange(64) for _ in"),
    "the shuffled values stay in place": ("torch.randperm(f.numel(), generator=world)", "torch.arange(f.numel())"),
    "EWC is shuffled": ('if name == "shuffled":', 'if name in ("EWC", "shuffled"):'),
    "replay sees the first task as the newest": (
        "every[olds[:, 0]]), y[again]",
        "every[0 * olds[:, 0] + task]), y[again]",
    ),
    "old tasks but the first are not held": ("for olds, fs in anchors\n", "for olds, fs in anchors[:1]\n"),
}
FULL = {
    "fine-tuning replays",
    "the tasks are one",
    "the shuffled values stay in place",
    "replay has nothing kept",
    "EWC is shuffled",
    "old tasks but the first are not held",
    "replay sees the first task as the newest",
    "EWC holds all alike",
}
