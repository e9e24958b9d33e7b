"""What the claims of word segmentation must not forgive."""

MUTANTS = {
    "the best in place of the sum": ("else torch.stack(last).logsumexp(0))", "else torch.stack(last).max(0).values)"),
    "the worst cut": ("torch.stack(last).max(0).values if best", "torch.stack(last).min(0).values if best"),
    "a word is counted where it ends": ("scores[:, t - n, n - 1]", "scores[:, t - 1, n - 1]"),
    "no long words": ("range(1, min(t, scores.shape[2]) + 1)", "range(1, min(t, scores.shape[2] - 1) + 1)"),
    "scores do not add up": ("sums[t - n] + scores", "sums[0] + scores"),
    "the end is one character early": ("device=ends.device), ends]", "device=ends.device), ends - 1]"),
    "expected counts are not normalized": ("return frequent(counts)", "return frequent(counts.sqrt())"),
    "every word counts alike": (
        "share(looked_up(logs, lattice), ends)\n",
        "share(0 * looked_up(logs, lattice), ends)\n",
    ),
    "what is learned is dropped": (
        "logs = learn(lattice, ends, logs)",
        "logs = learn(lattice, ends, alike) * 0 + alike",
    ),
    "the longest word is the shortest": (
        "range(min(LONGEST, len(text)), 0, -1)",
        "range(1, min(LONGEST, len(text)) + 1)",
    ),
    "words without overlap": (
        "torch.multinomial(often, size,",
        "torch.multinomial(often * (torch.arange(64) < 15), size,",
    ),
    "the rules are told the truth": (
        "for way in (False, True)]\n\n    def counted",
        "for way in (False, True)] + [0.99]\n\n    def counted",
    ),
    "one true word is unmarked": ("marks[b, t, len(word) - 1] = 1", "marks[b, t, len(word) - 1] = 1 - (t == 0)"),
    "a word's place is shifted": ("lattice[b, t, n - 1] = NUMBER.get", "lattice[b, max(t - 1, 0), n - 1] = NUMBER.get"),
    "no words of three characters": (
        "range(1, min(LONGEST, len(text) - t) + 1)",
        "range(1, min(2, len(text) - t) + 1)",
    ),
    "expected counts are the square": ("counts = expected.flatten()", "counts = expected.flatten() ** 2"),
    "only new sentences' first words": (
        "counts = expected.flatten()",
        "counts = (expected * (torch.arange(expected.shape[1]) < 3)[:, None]).flatten()",
    ),
    "an absent word costs nothing": ("logs.new_full((1,), -1e9)", "logs.new_full((1,), 0.0)"),
    "the rule's words are the true ones": ('for w in longest("".join(s), rules[1] > rules[0])]', "for w in s]"),
    "control is learned too": ("curve = [judged(alike)]", "curve = [judged((often / often.sum()).log().to(device))]"),
}
FULL = {
    "control is learned too",
    "no long words",
    "no words of three characters",
    "the longest word is the shortest",
    "the rule's words are the true ones",
    "the rules are told the truth",
    "what is learned is dropped",
    "words without overlap",
}
