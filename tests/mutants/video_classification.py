"""What the claims on video classification must not forgive."""

MUTANTS = {
    "kernels run backwards in time": (
        "frames = clips[:, k : k + steps]",
        "frames = clips.flip(1)[:, k : k + steps].flip(1)",
    ),
    "every kernel sees the first frame of its window": (
        "frames = clips[:, k : k + steps]",
        "frames = clips[:, :steps]",
    ),
    "a window starts a frame late": (
        "frames = clips[:, k : k + steps]",
        "frames = clips.roll(-1, 1)[:, k : k + steps]",
    ),
    "later frames get no gradient": (
        "F.conv2d(frames.flatten(0, 1), weight)",
        "F.conv2d(frames.flatten(0, 1), weight if k == 0 else weight.detach())",
    ),
    "only the last kernel is kept": ("seen = seen + F.conv2d", "seen = 0 * seen + F.conv2d"),
    "no bias": ("return seen + self.bias", "return seen + 0 * self.bias"),
    "the largest answer is taken": (".relu().mean((1, 3, 4))", ".relu().amax((1, 3, 4))"),
    "nothing is cut off at zero": (".relu().mean((1, 3, 4))", ".mean((1, 3, 4))"),
    "the frames keep their order": ("return clips[torch.arange(len(clips))[:, None], order]", "return clips"),
    "the test holds training clips": (
        "train, (x_test, y_test) = drifting_dots(TRAIN, data), drifting_dots(TEST, unseen)",
        "train = x_test, y_test = drifting_dots(TRAIN, data)",
    ),
    "a class has a brightness of its own": (
        "return clips.view(n, FRAMES, 1, SIDE, SIDE),",
        "return clips.view(n, FRAMES, 1, SIDE, SIDE) * (1 + classes.view(-1, 1, 1, 1, 1)),",
    ),
    "no dot drifts": ("< STAY, (at + moves) % SIDE, thrown)", "< STAY, at, thrown)"),
    "the rule's control sees the order": ('matching(tests["3-D, shuffled"])', "matching(x_test)"),
    "frames are summed over time before the relu": (
        "self.conv(clips).relu().mean((1, 3, 4))",
        "self.conv(clips).mean(1, True).relu().mean((1, 3, 4))",
    ),
    "the bias has no gradient": ("return seen + self.bias[", "return seen + self.bias.detach()["),
    "every class drifts left": (
        "torch.tensor(list(DRIFTS.values()))[classes]",
        "torch.tensor(list(DRIFTS.values()))[0 * classes]",
    ),
    "dots pile up at the edge": ("(at + moves) % SIDE, thrown", "(at + moves).clamp(0, SIDE - 1), thrown"),
    "the rule stays where it is": ("[clips[:, :-1].roll(move, (3, 4))", "[clips[:, 1:].roll(move, (3, 4))"),
}
FULL = {
    "the rule stays where it is",
    "every class drifts left",
    "no dot drifts",
    "the rule's control sees the order",
    "the frames keep their order",
    "a class has a brightness of its own",
    "dots pile up at the edge",
}
