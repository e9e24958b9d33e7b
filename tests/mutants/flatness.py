"""What the claims of flatness must not forgive."""

MUTANTS = {
    "biases are not rescaled": ("[a * w[0], a * w[1],", "[a * w[0], w[1],"),
    "weights out are multiplied": ("w[2] / a[:, None], w[3]]", "w[2] * a[:, None], w[3]]"),
    "nothing is rescaled": ("return [a * w[0], a * w[1], w[2] / a[:, None], w[3]]", "return w"),
    "the last bias is rescaled": ("w[2] / a[:, None], w[3]]", "w[2] / a[:, None], w[3] / a.mean()]"),
    "the softmax is taken for independent": ("- p[:, :, None] * p[:, None]", "- 0 * p[:, :, None]"),
    "units that are off bend too": (".sum(2).mul(h > 0)", ".sum(2)"),
    "hidden values are not squared": ("top * h.square()", "top * h"),
    "lengths are squared": ("[d * long / drawn", "[d * long**2 / drawn"),
    "the direction is as drawn": ("[d * long / drawn", "[d"),
    "what leads out is scaled by output": ("w[2].norm(dim=1, keepdim=True)", "w[2].norm(dim=0)"),
    "biases are scaled together": ("return [into, into, w[2]", "return [into, w[1].norm() + 1, w[2]"),
    "the last layer is scaled as one": ("w[2].norm(dim=1, keepdim=True)", "w[2].norm()"),
    "the landscape is a point": ("[a + t * d for a, d", "[a + 0 * t * d for a, d"),
    "the mean is one off": ("(w - m) / (n + 1)", "(w - m) / (n + 2)"),
    "the mean is the last": ("[m + (w - m) / (n + 1)", "[w + 0 * (w - m) / (n + 1)"),
    "the mean counts from the first step": ("max(0, step - steps // 2))", "step)"),
    "the mean is of the falling rate": (
        'averaged(late, nets["constant rate"]',
        'averaged(late, nets["falling rate"]',
    ),
    "the hidden layer gets no gradient": (
        "bend(x @ w[0] + w[1]) @ w[2]",
        "bend(x @ w[0].detach() + 0 * w[0].sum() + w[1]) @ w[2]",
    ),
    "test images are trained on": (
        "held.target)[order]\n",
        "held.target)[order]\n    x = x[:900].repeat(2, 1)[:1797]\n",
    ),
    "the rate stands still at nought": ("t.detach() - rate * g", "t.detach() - 0 * rate * g"),
    "the rival learns at the same rate": ("RATE / 5", "RATE"),
    "true labels are tested with wrong ones": ("x[TRAIN:], y[TRAIN:]", "x[TRAIN:], y[TRAIN:].flip(0)"),
    "labels are all right": ("chance < FLIPPED", "chance < 0 * FLIPPED"),
}
FULL = {
    "labels are all right",
    "the rival learns at the same rate",
    "true labels are tested with wrong ones",
}
