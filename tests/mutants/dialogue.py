"""What the claims of the dialogue must not forgive."""

MUTANTS = {
    "the gates pass no gradient": ("gate[..., None].unbind(2)", "gate.detach()[..., None].unbind(2)"),
    "nothing is kept to be taken back": ("back * p, keep * p + (write + back) * b", "back * p, p"),
    "taking back forgets": ("keep * p + (write + back) * b", "keep * p + write * b"),
    "beliefs add up": ("b, p = keep * b + write * c", "b, p = b + write * c"),
    "what is said is not written": ("write * c + back * p, keep", "write * b + back * p, keep"),
    "the belief passes no gradient on": ("b, p = keep * b + write", "b, p = keep * b.detach() + write"),
    "beliefs come a turn late": ("beliefs.append(b)", "beliefs.insert(0, b)"),
    "test dialogues are training dialogues": (
        "((data, TRAIN), (unseen, TEST))",
        "((data, TRAIN), (random.Random(4 * seed + 1), TEST))",
    ),
    "values count for another slot": ("F.one_hot(MEANING, KINDS)", "F.one_hot(MEANING.roll(1, 1), KINDS)"),
    "words are weighed across dialogues": ("-1e9).softmax(1)", "-1e9).softmax(0)"),
    "it learns what was wanted a turn before": ("F.one_hot(y[rows], KINDS)", "F.one_hot(y[rows].roll(1, 1), KINDS)"),
    "the rival is the tracker": ('"plain memory": PlainMemory()', '"plain memory": Tracker()'),
    "the rival is not trained": ("optimizers[name].step()", 'optimizers["tracker"].step()'),
    "the rule knows the answer": (
        "[last_mention(turns, *how) for turns, _ in fresh]) for",
        "[wanted for _, wanted in fresh]) for",
    ),
    "the rule hears nothing": (
        "for turn in turns:\n        words = (turn if",
        'for turn in ["|"] * 6:\n        words = (turn if',
    ),
    "the rival is not given the values": (
        "torch.cat([said.flatten(2), turn], 2)",
        "torch.cat([0 * said.flatten(2), turn], 2)",
    ),
    "where the value is passes no gradient": ('"nls,nlsk->nsk", weights,', '"nls,nlsk->nsk", weights.detach(),'),
    "acts do not depend on the turn": ("self.gate(turn)", "self.gate(0 * turn)"),
    "another turn's values are copied": ("weights, self.means[turns]", "weights, self.means[turns.roll(1, 0)]"),
    "the customer names the value": ("& ~named[..., None]", "& named[..., None]"),
    "regression knows the answer": ("regression(x, y[:, -1], x_test)", "y_test[:, -1]"),
}
FULL = {
    "the rule knows the answer",
    "the rival is the tracker",
    "regression knows the answer",
    "it learns what was wanted a turn before",
    "acts do not depend on the turn",
    "another turn's values are copied",
    "the rule hears nothing",
    "the rival is not given the values",
    "values count for another slot",
    "the rival is not trained",
    "words are weighed across dialogues",
    "the customer names the value",
    "where the value is passes no gradient",
}
