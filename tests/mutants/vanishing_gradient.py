"""What the vanishing gradient's claims must not forgive."""

MUTANTS = {
    "the residual path passes no gradient": ("x = x + layer(x).relu() if", "x = x.detach() + layer(x).relu() if"),
    "the chain rule forgets the residual path": ("+ (g if self.residual else 0)", "+ 0"),
    "the sigmoid's slope is wrong": ("else out * (1 - out)", "else (1 - out)"),
    "the weights' gradient takes the wrong factor": (
        "found.append((g * slope).T @ below)",
        "found.append(g.T @ below)",
    ),
    "one factor too few through time": (
        "for _ in range(LENGTH):\n        g = g",
        "for _ in range(LENGTH - 1):\n        g = g",
    ),
    "short gradients grow to the limit": ("(limit / (norm + 1e-6)).clamp(max=1.0)", "limit / (norm + 1e-6)"),
    "the norm is not the common one": ("g.mul_((limit / (norm", "g.mul_((limit / (g.norm()"),
    "nothing is clipped": ("clip(gradients, limits)", "clip([g.clone() for g in gradients], limits)"),
    "the RNN's state passes no gradient": ("h = (x_t + h @ w", "h = (x_t + h.detach() @ w"),
    "half the test is trained on": ("order[:1400], order[1400:]", "order[:1600], order[1400:]"),
    "the unclipped control gets rates that are too large": (
        "UNCLIPPED_RATES = (3e-9, 1e-8, 3e-8)",
        "UNCLIPPED_RATES = (1e-3, 1e-2, 1e-1)",
    ),
}
FULL = {"the unclipped control gets rates that are too large"}
