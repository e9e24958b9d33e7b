"""What the claims of clustering must not forgive."""

MUTANTS = {
    "points go to the farthest centre": ("share = F.one_hot(gaps.argmin(1)", "share = F.one_hot(gaps.argmax(1)"),
    "the mean is over all points": ("share.mT @ x / count.clamp(min=1), centres)", "share.mT @ x / len(x), centres)"),
    "shares are of a group and not of a point": ("share = joint.softmax(1)  #", "share = joint.softmax(0)  #"),
    "the volume is not counted": ("(weight.log()[:, None] - scale[:, None] -", "(weight.log()[:, None] -"),
    "the weights are not counted": ("(weight.log()[:, None] - scale[:, None] -", "(-scale[:, None] -"),
    "the spread is about the common mean": (
        "apart = x - mean[:, None]",
        "apart = (x - x.mean(0)).expand(len(mean), -1, -1)",
    ),
    "the map takes the farthest": ("(squared(x, centres).argmin(1), len", "(squared(x, centres).argmax(1), len"),
    "the map has no neighbours": ("share = nearest @ near", "share = nearest"),
    "the answer stands in the pixels": (
        "pixels, labels = torch.tensor(digits.data / 16),",
        "pixels, labels = torch.tensor(digits.data / 16) + 9 * F.one_hot(torch.tensor(digits.target), 64),",
    ),
    "the control begins with two centres": ("squared(x, c).argmin(1).cpu()", "squared(x, c[:2]).argmin(1).cpu()"),
}
FULL = {"the control begins with two centres"}
