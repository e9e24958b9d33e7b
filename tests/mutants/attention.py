"""What the claims of attention must not forgive."""

MUTANTS = {
    "the scores are not scaled": ("scores = scores / math.sqrt(q.shape[-1])", "scores = scores / 1"),
    "the scores are divided by d": ("scores = scores / math.sqrt(q.shape[-1])", "scores = scores / q.shape[-1]"),
    "queries share a key out": ("weights = scores.softmax(-1)", "weights = scores.softmax(-2)"),
    "the future is read": ("scores.masked_fill(~mask, -math.inf)", "scores.masked_fill(~mask, 0.0)"),
    "the question gets no gradient": ("scores = q @ k.mT", "scores = q.detach() @ k.mT"),
    "the weights get no gradient": ("return weights @ v, weights", "return weights.detach() @ v, weights"),
    "heads are stretches of the channels": (
        "unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)",
        "unflatten(-1, (3, -1, self.heads)).permute(2, 0, 4, 1, 3)",
    ),
    "all heads read the first one's values": ("attend(q, k, v)[0].transpose", "attend(q, k, v[:, :1])[0].transpose"),
    "the answer stands in the question": (
        "return keys, labels, query, labels[rows, which], which",
        "return keys, labels, query + 9 * F.one_hot(labels[rows, which], D_KEY), labels[rows, which], which",
    ),
    "the root is of the size of the values": ("math.sqrt(q.shape[-1])", "math.sqrt(v.shape[-1])"),
}
FULL = {"the answer stands in the question"}
