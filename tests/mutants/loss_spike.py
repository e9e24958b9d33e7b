"""What the claims of the loss spike must not forgive."""

MUTANTS = {
    "the length passes no gradient": ("part / part.norm(dim=-1", "part / part.detach().norm(dim=-1"),
    "the keys are the queries": ("for part in (q, k))  # cosines", "for part in (q, q + 0 * k))  # cosines"),
    "divided by the squared length": (
        "part / part.norm(dim=-1, keepdim=True) for",
        "part / part.norm(dim=-1, keepdim=True) ** 2 for",
    ),
    "normalized over all positions": (
        "part / part.norm(dim=-1, keepdim=True) for",
        "part / part.norm(dim=-2, keepdim=True) for",
    ),
    "the scale is lost": ("logits = self.scale * q @ k.mT", "logits = (1 + 0 * self.scale) * q @ k.mT"),
    "the scale passes no gradient": ("logits = self.scale * q", "logits = (self.scale.detach() + 0 * self.scale) * q"),
    "each query attends by columns": ("logits.softmax(-1)", "logits.softmax(-2)"),
    "keys and values change places": (
        "part in (self.q, self.k, self.v))\n        if",
        "part in (self.q, self.v, self.k))\n        if",
    ),
    "the control is normalized, too": ('Reverser(name == "QK-norm")', "Reverser(True)"),
    "the rate does not rise": ("= PEAK * (step + 1) / steps\n", "= 0.01\n"),
    "the rate is too small to learn": ("= PEAK * (step + 1) / steps\n", "= 1e-5\n"),
    "the answer stands in the input": ("tokens.flip(1).flatten())", "tokens.flatten())"),
    "without QK-norm, logits are not scaled": (
        "logits = q @ k.mT / math.sqrt(q.shape[-1])",
        "logits = q @ k.mT",
    ),
    "without QK-norm, no value passes a gradient": (
        "else:\n            logits = q @ k.mT",
        "else:\n            v = v.detach() + 0 * v\n            logits = q @ k.mT",
    ),
    "without QK-norm, no key passes a gradient": ("q @ k.mT / math", "q @ (k.detach() + 0 * k).mT / math"),
    "all heads are one": (
        "        q, k, v = (part(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for part in (self.q",
        "        q, k, v = (part(x).unflatten(2, (1, -1)).transpose(1, 2) for part in (self.q",
    ),
    "the spike is the fall": ("(smooth - smooth.cummin(0).values).max()", "(smooth.cummax(0).values - smooth).max()"),
    "the largest logit has a sign": ("logits.detach().abs().max()", "logits.detach().min()"),
    "the norm of keys alone": ("for part in (q, k))  # cosines", "for part in (k + 0 * q, k))  # cosines"),
    "nothing but guessing is learned": ("self.symbols(tokens) + self.places", "0 * self.symbols(tokens) + self.places"),
}
FULL = {
    "nothing but guessing is learned",
    "the answer stands in the input",
    "the control is normalized, too",
    "the largest logit has a sign",
    "the rate does not rise",
    "the rate is too small to learn",
    "the spike is the fall",
}
