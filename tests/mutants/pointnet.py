"""What PointNet's claims must not forgive."""

MUTANTS = {
    "it keeps the smallest values": ("return h.amax(1)", "return h.amin(1)"),
    "it takes the mean": ("return h.amax(1)", "return h.mean(1)"),
    "it takes the sum": ("return h.amax(1)", "return h.sum(1)"),
    "the points pass no gradient": ("return h.amax(1)", "return h.amax(1).detach() + 0 * h.sum(1)"),
    "only the first half is seen": ("return h.amax(1)", "return h[:, : POINTS // 2].amax(1)"),
    "one feature in two is lost": ("return h.amax(1)", "return h.amax(1) * (torch.arange(FEATURES).to(h.device) % 2)"),
    "the first point counts more": ("return h.amax(1)", "return h.amax(1) + h[:, 0]"),
    "the points read each other": ("self.pool(self.point(x))", "self.pool(self.point(x - x[:, :1]))"),
    "points are critical in one feature": ("argmax(0)\n", "argmax(0)[:1]\n"),
    "points are critical that are least": ("self.point(x).argmax(0)", "self.point(x).argmin(0)"),
    "every point is kept": ("keep = net.critical(cloud)\n        drawn", "keep = cloud[:, 0] < 99\n        drawn"),
    "the rival takes the maximum": ("return h.mean(1)", "return h.amax(1)"),
    "rivals know no distances of pairs": ("pairs[:, ::100]", "0 * pairs[:, ::100]"),
    "the clouds are not turned": ("    x = x @ torch.linalg.qr(torch", "    _ = x @ torch.linalg.qr(torch"),
    "as many at random are the same": ("(keep, drawn)", "(keep, keep)"),
    "the other order is this one": (
        "((mine, torch.arange(POINTS)), (theirs, order))",
        "((mine, order), (theirs, order))",
    ),
    "the net meets one batch": ("x, y = clouds(BATCH, data)", "x, y = clouds(BATCH, data.manual_seed(seed))"),
    "test labels are shifted": ("x, y = clouds(TEST, unseen)", "x, y = clouds(TEST, unseen)\n    y = y.roll(1)"),
    "the answer is the size of the cloud": (
        "return x / x.square()",
        "return (1 + kind[:, None, None]) * x / x.square()",
    ),
    "rivals are asked other clouds": (".score(by_hand(x), y)", ".score(by_hand(x.flip(0)), y)"),
}
FULL = {
    "the answer is the size of the cloud",
    "the rival takes the maximum",
    "rivals are asked other clouds",
    "rivals know no distances of pairs",
    "the clouds are not turned",
    "the net meets one batch",
    "test labels are shifted",
}
