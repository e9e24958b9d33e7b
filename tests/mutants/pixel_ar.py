"""What the claims of PixelCNN must not forgive."""

MUTANTS = {
    "a pixel sees itself": ("self.first = Masked(1, WIDTH, 7, own)", "self.first = Masked(1, WIDTH, 7, 1)"),
    "features see the next pixel": ("Masked(WIDTH, WIDTH, 3, 1)", "Masked(WIDTH, WIDTH, 3, 2)"),
    "features do not see their own": ("Masked(WIDTH, WIDTH, 3, 1)", "Masked(WIDTH, WIDTH, 3, 0)"),
    "the mask hides the left": ("size**2 // 2 + own  #", "size**2 // 2 - size // 2 + own  #"),
    "no mask": ("self.weight * self.mask, self", "self.weight, self"),
    "layers pass no gradient to the first": ("h = h + layer(h.relu())", "h = h.detach() + layer(h.relu())"),
    "position is not told": ("- 0.5) + self.place", "- 0.5) + 0 * self.place"),
    "the wrong pixels are likely": ("with_logits(model(x), x, red", "with_logits(model(x), 1 - x, red"),
    "columns are drawn as rows": ("x[:, row, column] = (u <", "x[:, column, row] = (u <"),
    "nobody learns the place": ("- 0.5) + self.place", "- 0.5) + self.place.detach() + 0 * self.place"),
    "layers are added straight": ("h = h + layer(h.relu())", "h = h + layer(h)"),
    "black says nothing": ("self.first(x[:, None] - 0.5)", "self.first(x[:, None])"),
    "the cheat does not cheat": ("PixelCNN(own=1)", "PixelCNN()"),
    "black is drawn for white": ("= (u < model(x)", "= (u > model(x)"),
    "rows are drawn from the last": ("for row in range(SIDE):", "for row in reversed(range(SIDE)):"),
    "fresh digits were trained on": (
        ".float().split([TRAIN, 1797 - TRAIN])",
        ".float().split([TRAIN, 397]); fresh = known",
    ),
    "the control sees little": ("SIDE**2).tril(-1)", "SIDE**2).tril(-1).triu(-2)"),
    "the control reads the answer": ("SIDE**2).tril(-1)", "SIDE**2).tril()"),
    "the penalty rules": ("regressions(known, 1e-3)", "regressions(known, 1e3)"),
}
FULL = {
    "fresh digits were trained on",
    "the control reads the answer",
    "the control sees little",
    "the penalty rules",
    "the wrong pixels are likely",
}
