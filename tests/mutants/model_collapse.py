"""What the claims of model collapse must not forgive."""

MUTANTS = {
    "the variance is unbiased": (
        "(x - mean).pow(2).mean(1, keepdim=True)",
        "(x - mean).pow(2).sum(1, keepdim=True) / (x.shape[1] - 1)",
    ),
    "the spread is the variance": ("mean + variance.sqrt() * noise", "mean + variance * noise"),
    "samples ignore the fitted mean": ("return mean + variance.sqrt()", "return 0 * mean + variance.sqrt()"),
    "lost words are smoothed back": (
        "return said / said.sum(1, keepdim=True)",
        "return (said + 1) / (said + 1).sum(1, keepdim=True)",
    ),
    "words are drawn from the source again": (
        "draw(p, TOKENS, said), p, source, said)",
        "draw(source, TOKENS, said), p, source, said)",
    ),
    "replacing keeps some real data": ("else 0\n    return torch.cat", "else 1\n    return torch.cat"),
    "a fifth real is replaced too": ("share = REAL if", "share = 0 if"),
    "a fifth of real words is all real": (
        "draw(p, TOKENS - real, generator) + draw",
        "draw(source, TOKENS - real, generator) + draw",
    ),
    "what accumulates is real": (
        "next_data(way, data[way], new, fresh)",
        'next_data(way, data[way], fresh if way == "accumulate" else new, fresh)',
    ),
    "the real data are forgotten": ("return torch.cat([old, new], 1)", "return torch.cat([new, new], 1)"),
    "the counts are not kept": ("return old + said", "return said + said"),
    "half as many tokens are counted": (
        '    if way == "replace":\n        return said\n',
        '    if way == "replace":\n        return draw(p, TOKENS // 2, generator)\n',
    ),
}
FULL = {
    "what accumulates is real",
    "a fifth real is replaced too",
    "samples ignore the fitted mean",
    "replacing keeps some real data",
}
