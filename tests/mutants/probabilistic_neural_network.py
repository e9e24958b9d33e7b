"""What the claims of the probabilistic neural network must not forgive."""

MUTANTS = {
    "the exponent lacks its half": ("near = -far / (2 * width**2)", "near = -far / width**2"),
    "the width is not squared": ("near = -far / (2 * width**2)", "near = -far / (2 * width)"),
    "distances are not squared": (".square().sum(-1)  # (m, n)", ".abs().sum(-1)  # (m, n)"),
    "the nearest unit speaks alone": ("own.log()).logsumexp(1)", "own.log()).amax(1)"),
    "the density is a sum": ("density = sums - count.log() - scale", "density = sums - scale"),
    "the volume is not counted": ("density = sums - count.log() - scale", "density = sums - count.log()"),
    "the volume is that of one dimension": ("scale = x.shape[1] * (width", "scale = (width"),
    "the share is forgotten": ("return density + (count / count.sum()).log()", "return density"),
    "the distance passes no gradient": ("near = -far / (2 * width**2)", "near = -far / (2 * width.detach() ** 2)"),
    "none is left out": ("if leave_out:  # x are", "if False:  # x are"),
    "the width goes uphill": ("width * (-moved).exp()", "width * moved.exp()"),
    "the test is the training data": ("), islands(TEST, unseen)", "), islands(TRAIN, data.manual_seed(2 * seed))"),
    "every unit speaks for every class": ("own.log()).logsumexp(1)", "own).logsumexp(1)"),
    "the shares are equal": ("(count / count.sum()).log()", "(count * 0 + 1 / CLASSES).log()"),
    "the width learns slowly": (".clamp(-0.3, 0.3)", ".clamp(-0.005, 0.005)"),
    "the islands are hills of one class": ("return ISLANDS[label, island] +", "return ISLANDS[label, 0 * island] +"),
    "no width is small": ("near = -far / (2 * width**2)", "near = -far / (2 * width**2).clamp(min=1)"),
    "the rule knows the islands": ("(len(units) / CLASSES) ** (-1 / 6)", "(len(units) / CLASSES) ** (-1 / 3)"),
    "the answer is in the input": (
        "SPREAD * torch.randn(n, 2, generator=generator), label",
        "SPREAD * torch.randn(n, 2, generator=generator) + 9 * label[:, None], label",
    ),
}
FULL = {
    "the width goes uphill",
    "the width learns slowly",
    "the rule knows the islands",
    "the test is the training data",
    "the islands are hills of one class",
}
