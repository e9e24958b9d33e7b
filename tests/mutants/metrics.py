"""What the claims on metrics must not forgive."""

MUTANTS = {
    "truth and prediction change places": ("torch.bincount(2 * y + predicted", "torch.bincount(2 * predicted + y"),
    "precision is of the healthy": ("tp / max(tp + fp, 1)", "tp / max(tp + fn, 1)"),
    "recall counts the false alarms": ("tp / max(tp + fn, 1)", "tp / max(tp + fp + fn, 1)"),
    "F1 is halved": ("2 * tp / (2 * tp + fp + fn)", "tp / max(2 * tp + fp + fn, 1)"),
    "equal scores enter one by one": ("score[1:] != score[:-1]", "(score[1:] != score[:-1]).roll(1)"),
    "the curve does not begin at zero": ("torch.cat([torch.zeros(2, 1), counts", "torch.cat([torch.ones(2, 1), counts"),
    "the area is a sum of bars": ("(tpr[1:] + tpr[:-1]) / 2", "tpr[1:]"),
    "the rare class is not weighted up": ('"detector": (1 - ILL) / ILL}', '"detector": 1.0}'),
    "the bias learns nothing": ("net(seen)[:, 0], ill", "F.linear(seen, net.weight, net.bias.detach())[:, 0], ill"),
    "the test draws the training patients": ("for k in (1, 2))", "for k in (1, 1))"),
    "the test is the training set": ("patients(TEST, unseen)", "(x.repeat(2, 1), y.repeat(2))"),
    "the answer stands in the measurements": ("+ SHIFT * y[:, None]", "+ 9 * y[:, None]"),
}
FULL = {"the bias learns nothing", "the rare class is not weighted up"}
