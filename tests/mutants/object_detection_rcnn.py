"""What the claims on two-stage detection must not forgive."""

MUTANTS = {
    "IoU counts the intersection twice": (
        "(b[..., 2:] - b[..., :2]).prod(-1) - both)",
        "(b[..., 2:] - b[..., :2]).prod(-1))",
    ),
    "rows and columns of the anchors are swapped": (
        "cartesian_prod(places, places).flip(1)",
        "cartesian_prod(places, places)",
    ),
    "all anchors are squares": ("[s * r**0.5, s / r**0.5]", "[s * r**0, s / r**0]"),
    "a box is moved by pixels, not by sizes": ("t[..., :2] * base", "t[..., :2]"),
    "sizes are learned without a logarithm": ("(size / base).log()", "(size / base - 1)"),
    "RoIAlign reads the corners of the cells": ("/ CELL - 0.5  # cell 0", "/ CELL  # cell 0"),
    "RoIAlign swaps rows and columns": ('"bkih,bchw,bkjw->bkcij"', '"bkih,bchw,bkjw->bkcji"'),
    "RoIAlign passes no gradient": ("down, features, across)", "down, features.detach(), across)"),
    "suppression keeps what overlaps": ("> overlap, -torch.inf)", "<= overlap, -torch.inf)"),
    "the worst boxes are proposed": (
        "best_apart(boxes, scores.detach(), KEPT",
        "best_apart(boxes, -scores.detach(), KEPT",
    ),
    "an anchor is no object for being the best": (
        "positive, negative = best | (most >= 0.5)",
        "positive, negative = (most >= 0.5)",
    ),
    "anchors in between count as background": ("most < 0.3", "most < 0.5"),
    "the first look learns no boxes": ("F.smooth_l1_loss(t[positive],", "F.smooth_l1_loss(t[positive].detach(),"),
    "classes are shifted by one": ("kinds.gather(1, which) + 1, 0)", "kinds.gather(1, which), 0)"),
    "the second look trains no features": (
        "net.look(features, proposals), proposals",
        "net.look(features.detach(), proposals), proposals",
    ),
    "the test draws the training scenes": ("for k in (1, 2))\n    training", "for k in (1, 1))\n    training"),
    "the control's anchors are all the same": ("meets = meets & ~meets[chosen[-1]]", "meets = meets | False"),
}
FULL = {"the control's anchors are all the same"}
