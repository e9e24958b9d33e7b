"""What the claims of calibration must not forgive."""

MUTANTS = {
    "the label's logit is not taken off": (
        "slope = (expected - z.gather(1, y[:, None])[:, 0]).mean()",
        "slope = (expected - z.amax(1)).mean()",
    ),
    "the expectation is at temperature 1": ("((b * z).softmax(1) * z).sum(1)", "(z.softmax(1) * z).sum(1)"),
    "the search goes the wrong way": ("if slope > 0 else", "if slope < 0 else"),
    "the temperature is its inverse": ("return 1 / b\n", "return b\n"),
    "the search stops early": ("range(80)", "range(8)"),
    "bins do not count their size": (".abs().sum() / len(p)", ".abs().sum() / len(p) ** 0.5"),
    "excesses cancel between bins": (
        ".index_add(0, bin_of, excess).abs().sum()",
        ".index_add(0, bin_of, excess).sum().abs()",
    ),
    "nothing cancels within a bin": ("bin_of, excess).abs()", "bin_of, excess.abs()).abs()"),
    "bins are shifted": (".ceil().long() - 1  #", ".round().long().clamp(max=BINS - 1)  #"),
    "the energy is the largest logit": ("return z.logsumexp(1)", "return z.amax(1)"),
    "ties count for nothing": ("known, right=True)", "known)"),
    "known and unknown change places": (
        "ranked = unknown.sort().values",
        "ranked, known = known.sort().values, unknown",
    ),
    "the temperature is fitted on the training images": (
        "cases = (kept, NOISE),",
        "y_kept, kept = y_train.repeat(COPIES), x_train\n    cases = (kept, 0 * NOISE),",
    ),
    "the test is of training images": (
        "for part in (x, y))\n",
        "for part in (x, y))\n    test, y_test = x_train, y_train\n",
    ),
    "the unknown digits are trained on, too": (
        "seen = noisy(x_train)",
        "seen = noisy(x_train)\n    seen[:100], y_train[:100] = unknown[:100], 0",
    ),
    "there is no drift": ("(unknown, NOISE), (test, DRIFT)", "(unknown, NOISE), (test, NOISE)"),
    "the net hardly learns": ("net.parameters(), 1e-3", "net.parameters(), 1e-5"),
    "the temperature is fitted on the test": (
        "cases = (kept, NOISE)",
        "y_kept = y_test\n    cases = (test, NOISE)",
    ),
    "labels do not belong to the images": ("y_test.repeat(COPIES), y_kept", "y_test.flip(0).repeat(COPIES), y_kept"),
    "the kept labels do not belong": ("y_kept.repeat(COPIES)\n", "y_kept.flip(0).repeat(COPIES)\n"),
    "confidence is that of the least likely": ("return z.softmax(1).amax(1)", "return z.softmax(1).amin(1)"),
    "the unknown are known": ("(test, NOISE), (unknown, NOISE)", "(test, NOISE), (test, NOISE)"),
    "the net has no hidden layer": (
        "layers = nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, KNOWN)",
        "layers = (nn.Linear(64, KNOWN),)",
    ),
    "neighbours are far": ("in held)).amin(1)", "in held)).amax(1)"),
    "the net learns clean images": ("seen = noisy(x_train)", "seen = x_train"),
}
FULL = {
    "confidence is that of the least likely",
    "labels do not belong to the images",
    "neighbours are far",
    "the kept labels do not belong",
    "the net hardly learns",
    "the net has no hidden layer",
    "the net learns clean images",
    "the temperature is fitted on the training images",
    "the unknown are known",
    "the unknown digits are trained on, too",
    "there is no drift",
}
