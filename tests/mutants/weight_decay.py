"""What the claims of weight decay must not forgive."""

MUTANTS = {
    "AdamW's decay is left out": ("w = w - self.lr * self.decay * w", "w = w * 1.0"),
    "decay without the rate": ("w = w - self.lr * self.decay * w", "w = w - self.decay * w"),
    "the penalty has twice its gradient": ("g = g + self.decay * w", "g = g + 2 * self.decay * w"),
    "the penalty does not reach the gradient": ("g = g + self.decay * w", "g = g + 0 * self.decay * w"),
    "Adam's means start at zero": ("self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)", "self.m, self.v"),
    "Adam divides by the variance": ("(v.sqrt() + 1e-8)", "(v + 1e-8)"),
    "L1 shrinks nothing that is large": ("w.sign() * (w.abs() - strength).clamp(min=0)", "w * (w.abs() > strength)"),
    "L1 does not stop at zero": ("(w.abs() - strength).clamp(min=0)", "(w.abs() - strength)"),
    "the gradient of a sum of squares": ("@ x / x.shape[1]  # of", "@ x  # of"),
    "the test holds the training examples": (
        "zip((TRAIN, 200, 1000), draws[:3], strict=True)",
        "zip((TRAIN, 200, 1000), (draws[0], draws[1], torch.Generator().manual_seed(5 * seed + 1)), strict=True)",
    ),
    "the strength is chosen on the training set": ("choice(weights, *validation)", "choice(weights, x, y)"),
    "the strength is chosen on the test": ("choice(weights, *validation)", "choice(weights, *test)"),
}
FULL = {"the strength is chosen on the training set"}
