"""What the claims of instance segmentation must not forgive."""

MUTANTS = {
    "pixels of no rod learn offsets too": ("(miss * is_rod).sum() / is_rod.sum()", "miss.mean()"),
    "offsets get no gradient": ("UNIT * answer[:, 1:] - centre", "UNIT * answer[:, 1:].detach() - centre"),
    "the arrow begins at the corner": (
        "(places(answer) + UNIT * answer[:, 1:] - centre)",
        "(UNIT * answer[:, 1:] - centre)",
    ),
    "the arrow points back": ("+ UNIT * answer[:, 1:] - centre", "- UNIT * answer[:, 1:] - centre"),
    "offsets are not to scale": ("miss * is_rod).sum() / is_rod.sum() / UNIT", "miss * is_rod).sum() / is_rod.sum()"),
    "squared, not absolute": ("- centre).abs().sum(1)", "- centre).square().sum(1)"),
    "the mask is not learned": (
        "seen = F.binary_cross_entropy_with_logits(answer[:, 0],",
        "seen = 0 * F.binary_cross_entropy_with_logits(answer[:, 0],",
    ),
    "pixels vote for themselves": (
        "x, y = (places(answer) + UNIT * answer[:, 1:]).long()",
        "x, y = (places(answer) + 0 * answer[:, 1:]).long()",
    ),
    "the way goes down": ("value=-1.0), wide).argmax(1)", "value=99.0), wide).argmin(1)"),
    "the way is one step": ("for _ in range(10):", "for _ in range(0):"),
    "the way is askew": ("best // wide - reach) * SIDE", "best // wide) * SIDE % SIDE**2"),
    "a pixel is of where it is": (", 1).gather(1, marked), 0)", ", 1), 0)"),
    "trained on the judged scenes": (
        "(image, rods, centre), (fresh, truth, middle) = scenes(SCENES, data), scenes(TESTS, unseen)",
        "(fresh, truth, middle) = scenes(TESTS, unseen)\n    "
        "image, rods, centre = [t.repeat(25, *[1] * (t.dim() - 1)) for t in (fresh, truth, middle)]",
    ),
    "the watershed climbs nowhere": ("width), 2), 0)", "width), 0), 0)"),
    "the watershed sees the centres": (
        '"watershed": parted',
        '"watershed": by_votes(exact)',
    ),
    "the skips are cut": ("held.pop()], 1))", "0 * held.pop()], 1))"),
    "the loss counts no rods": ("/ is_rod.sum() / UNIT", "/ is_rod.numel() / UNIT"),
    "a touch is a hit": ("hits += int((2 * both >", "hits += int((99 * both >"),
    "the ground is a group": (" & ~(mine & (found == 0)).any(1)]", "]"),
    "rods do not touch": (
        "4 + (SIDE - 8) * at for at",
        "SIDE * (at + torch.arange(RODS)[:, None, None]) / RODS for at",
    ),
    "components spread everywhere": ("3, 1, 1)[:, 0] * is_rod", "3, 1, 1)[:, 0]"),
    "votes spread wide": ("(2 * width**2)", "(200 * width**2)"),
    "votes fall beside the place": ("+ UNIT * answer[:, 1:]).long()", "+ UNIT * answer[:, 1:] + 0.5 * SIDE).long()"),
}
FULL = {
    "the way is one step",
    "the watershed sees the centres",
    "the way is askew",
    "the skips are cut",
    "rods do not touch",
    "the watershed climbs nowhere",
}
