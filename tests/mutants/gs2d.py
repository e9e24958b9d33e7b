"""What the claims of Gaussian splatting must not forgive."""

MUTANTS = {
    "a splat hides itself": (
        "torch.cat([torch.ones_like(alpha[..., :1]), behind[..., :-1]], -1)",
        "behind",
    ),
    "nothing hides what is behind": ("return (seen * alpha * light).sum(-1)", "return (alpha * light).sum(-1)"),
    "what hides passes no gradient": ("return (seen * alpha", "return (seen.detach() * alpha"),
    "the canvas shows through nowhere": (" + behind[..., -1] * CANVAS  #", "  #"),
    "the turn is the other way": (
        "x, y = cos * x + sin * y, cos * y - sin * x",
        "x, y = cos * x - sin * y, cos * y + sin * x",
    ),
    "the turn passes no gradient": (
        "self.turn.cos()[:, None], self.turn.sin()",
        "self.turn.cos()[:, None], self.turn.detach().sin()",
    ),
    "the exponent is not halved": (".square()) / 2).exp()", ".square())).exp()"),
    "the fall is linear": ("(x / width[..., 0]).square() +", "(x / width[..., 0]).abs() +"),
    "both widths are one": ("(y / width[..., -1])", "(y / width[..., 0])"),
    "opacity is not bounded": ("self.opacity.sigmoid()", "self.opacity.exp()"),
    "where summed, height passes no gradient": ("CANVAS + (alpha * light)", "CANVAS + (alpha.detach() * light)"),
    "places get no gradient": (
        "at[:, None] - self.place[:, None]",
        "at[:, None] - self.place.detach()[:, None] + 0 * self.place[:, None]",
    ),
    "the rival is oval": ('"round, summed": (56, False,', '"round, summed": (56, True,'),
    "the rivals are few": ('"round, summed": (56,', '"round, summed": (20,'),
    "few cosines": ("15, 112, 0.5", "7, 20, 0.5"),
    "the cosines are all there": ("15, 112, 0.5", "15, 1024, 0.5"),
    "the rate does not decay": ("* min(1, 2 - 2 * step / steps)", "* 4"),
    "the grid is coarse and the cosines are few": (
        "GRID, COSINES, CANVAS = 15, 112,",
        "GRID, COSINES, CANVAS = 5, 40,",
    ),
    "the layered ovals do not move": ('"ovals": (32, True, True, 0.05)', '"ovals": (32, True, True, 0.0)'),
    "the error is of one picture": (
        "loss = (splats(at) - wanted).square().mean()",
        "loss = (splats(at) - wanted)[0].square().mean()",
    ),
    "strokes do not slant": ("torch.tensor([1, 1, math.pi])", "torch.tensor([1, 1, 0])"),
    "the ovals lie from the front": (
        "behind = (1 - alpha).cumprod(-1)",
        "behind = (1 - alpha).flip(-1).cumprod(-1).flip(-1)",
    ),
    "light is averaged": ("+ behind[..., -1] * CANVAS  #", "* 0.5 + behind[..., -1] * CANVAS  #"),
    "the truth is drawn": ('drawn |= {"grid": on', 'drawn["round"] = truth\n    drawn |= {"grid": on'),
}
FULL = {
    "the error is of one picture",
    "the grid is coarse and the cosines are few",
    "the layered ovals do not move",
    "strokes do not slant",
    "where summed, height passes no gradient",
    "the rate does not decay",
    "the rivals are few",
    "the rival is oval",
    "few cosines",
    "the cosines are all there",
    "the truth is drawn",
}
