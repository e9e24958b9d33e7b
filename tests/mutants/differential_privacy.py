"""What the claims of differential privacy must not forgive."""

MUTANTS = {
    "gradients pass through dead units": ("(wrong @ w[2].mT) * (hidden > 0)", "(wrong @ w[2].mT)"),
    "the answer gets no gradient": ("softmax(-1) - F.one_hot(y, 10)", "softmax(-1)"),
    "the norm forgets the bias": ("(x.square().sum(1) + 1) * back", "x.square().sum(1) * back"),
    "short gradients are stretched": ("(clip / norms).clamp(max=1)[:, None]", "(clip / norms)[:, None]"),
    "biases are not clipped": ("(share * b).sum(0))", "b.sum(0))"),
    "the noise ignores the clip": ("sigma * clip * torch.randn", "sigma * torch.randn"),
    "the exponent counts k squared": ("+ k * (k - 1) / (2", "+ k * k / (2"),
    "the order is not one less": (
        "logsumexp(0).item() / (order - 1)\n\n\ndef epsilon",
        "logsumexp(0).item() / order\n\n\ndef epsilon",
    ),
    "delta is too cheap": ("+ math.log(1 / delta) / (a - 1) for a", "+ math.log(1 / delta) / (2 * a) for a"),
    "the canaries keep their labels": ("all_y = all_y.index_copy(", "_ = all_y.index_copy("),
    "the attacker's others were trained on": (
        "= fit(x, y, sigma,",
        "= fit(marked, marks, sigma,",
    ),
    "the control is clipped": ("return clipped_sum(w, x, y, math.inf)", "return clipped_sum(w, x, y, CLIP / 4)"),
    "no noise is added": (
        "total = private(clipped_sum(w, x[batch], y[batch], CLIP), sigma, CLIP, noise)",
        "total = clipped_sum(w, x[batch], y[batch], CLIP)",
    ),
}
FULL = {
    "the canaries keep their labels",
    "the attacker's others were trained on",
    "the control is clipped",
    "no noise is added",
}
