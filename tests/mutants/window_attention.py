"""What the claims of window and sparse attention must not forgive."""

MUTANTS = {
    "the window is one token wider": (
        "(back >= width)",
        "(back > width)",
    ),
    "the future is read": (
        "((back < 0) | (back >= width))",
        "(back >= width)",
    ),
    "the window begins at its block": (
        "slice(i, i + width), max(0, i - width + 1)",
        "slice(i, i + width), i",
    ),
    "the window's scores are not scaled": (
        "k[..., first : i + width, :].mT / math.sqrt(q.shape[-1])",
        "k[..., first : i + width, :].mT",
    ),
    "the window's values get no gradient": (
        "scores.softmax(-1) @ v[..., first : i + width, :]",
        "scores.softmax(-1) @ v[..., first : i + width, :].detach()",
    ),
    "the window makes the whole table": (
        "scores = q[..., rows, :] @ k[..., first : i + width, :].mT",
        "scores = (q @ k.mT)[..., rows, first : i + width]",
    ),
    "top-k takes the lowest scores": (
        "topk(min(keep, scores.shape[-1]))",
        "topk(min(keep, scores.shape[-1]), largest=False)",
    ),
    "the weights of all keys are kept": (
        "best.softmax(-1))  # zero elsewhere",
        "scores.softmax(-1).gather(-1, at))",
    ),
    "top-k reads the future": (
        ".triu(1 + i)\n        best",
        ".triu(2 + i)\n        best",
    ),
    "the chosen scores get no gradient": (
        "scatter(-1, at, best.softmax(-1))",
        "scatter(-1, at, best.detach().softmax(-1))",
    ),
    "the answer stands in the question": (
        "x = torch.cat([keys, 2 * F.one_hot(labels, LABELS), keys[rows, at]], -1)",
        "x = torch.cat([keys, 2 * F.one_hot(labels[rows, at], LABELS), keys[rows, at]], -1)",
    ),
    "the window's net guesses at random": (
        "limit = LAYERS * (WINDOW - 1)",
        'limit = LAYERS * (WINDOW - 1)\n    hits["sliding window"] = hits["sliding window"] * 0',
    ),
    "the net of top-k reads all keys": (
        '"top-k": sparse}',
        '"top-k": full}',
    ),
}
FULL = {"the answer stands in the question", "the window's net guesses at random"}
