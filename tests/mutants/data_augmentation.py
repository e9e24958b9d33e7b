"""What the claims of data augmentation must not forgive."""

MUTANTS = {
    "it shears and does not turn": ("c * u - s * v +", "c * u + s * v +"),
    "pictures keep their size": ("(size * f(angle))", "(f(angle) + 0 * size[0])"),
    "shifts only go along the diagonal": ("c * u - s * v + shift[:, 0,", "c * u - s * v + shift[:, 1,"),
    "far pixels count against": (".abs()).clamp_min(0)", ".abs())"),
    "pixels are taken at their corners": ("((t + 1) * SIDE - 1) / 2", "((t + 1) * SIDE) / 2"),
    "the angle gets no gradient": ("(size * f(angle))", "(size * f(angle.detach()))"),
    "nothing bends": ("self.hidden_bias).relu()", "self.hidden_bias)"),
    "the hidden layer gets no gradient": ("return h @ self.out +", "return h.detach() @ self.out +"),
    "test digits are trained on": ("order[COUNTS[-1] :]", "order"),
    "all learn from as many": ("for n in COUNTS])\n        for", "for n in COUNTS[-1:] * 5])\n        for"),
    "nothing is warped": ("return warp(x, *draw(len(x), generator))", "return x"),
    "the control learns from blank paper": ('"still": lambda x, _: x,', '"still": lambda x, _: 0 * x,'),
}
FULL = {"the control learns from blank paper"}
