"""What the claims of the needle must not forgive."""

MUTANTS = {
    "keys pass no gradient": ("@ k.mT / math", "@ k.detach().mT / math"),
    "values pass no gradient": ("scores.softmax(-1) @ v)", "scores.softmax(-1) @ v.detach())"),
    "scores are scaled by the length": ("math.log(n) / math.log(TRAINED)", "n / TRAINED"),
    "scores shrink with the length": ("math.log(n) / math.log(TRAINED)", "math.log(TRAINED) / math.log(n)"),
    "the penalty is a reward": ("scores - penalty(n)", "scores + penalty(n)"),
    "all heads have one slope": ("torch.arange(1, HEADS + 1) / HEADS", "torch.ones(HEADS) / HEADS"),
    "the distance is from the start": ("torch.arange(n - 1, -1, -1)", "torch.arange(n)"),
    "values are turned too": ("q, k = turned(q), turned(k)", "q, k, v = turned(q), turned(k), turned(v)"),
    "only keys are turned": ("q, k = turned(q), turned(k)", "k = turned(k)"),
    "pairs are stretched": ("a * angle.sin() + b * angle.cos()], -1)", "a * angle.sin() + b], -1)"),
    "all pairs turn alike": ("torch.arange(0, d, 2, dtype=torch.float64) / d)", "torch.zeros(d // 2).double())"),
    "without positions it knows the place": (
        "x, n = self.key(keys) + self.said(said), keys.shape[1]",
        "x, n = self.key(keys) + self.said(said) + 0.01 * torch.arange(keys.shape[1])[:, None].to(keys), keys.shape[1]",
    ),
    "the needle is never there": ("if absent else asked", "if True else asked"),
    "the needle is always there": ("if absent else asked", "if False else asked"),
    "the needle stands last": ("torch.full((n,), depth * (length - 2) // 100)", "torch.full((n,), length - 2)"),
    "scaled scores are not": ('scaled"].scaled = True', 'scaled"].scaled = False'),
    "scores are divided by the width": ("/ math.sqrt(q.shape[-1])", "/ q.shape[-1]"),
    "the answer is another line's": ("answer = said[rows, place]", "answer = said[rows, place - 1]"),
    "other lines speak of the key": ("keys += keys >= asked[:, None]", "keys += keys > asked[:, None]"),
    "long texts are short": ("[texts(TEXTS, length, unseen", "[texts(TEXTS, TRAINED, unseen"),
    "the question says the answer": ("said[:, -1] = asked, SAID", "said[:, -1] = asked, answer"),
    "the penalty is twice as steep": ("scores - penalty(n)", "scores - 2 * penalty(n)"),
}
FULL = {"the needle is never there", "the needle is always there", "the needle stands last"}
FULL |= {
    "the answer is another line's",
    "other lines speak of the key",
    "long texts are short",
    "the question says the answer",
}
