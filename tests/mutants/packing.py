"""What the claims of sequence packing must not forgive."""

MUTANTS = {
    "the mask has no blocks": (
        "own = text[:, :, None] == text[:, None]",
        "own = (text[:, :, None] > 0) == (text[:, None] > 0)",
    ),
    "the mask looks ahead": (
        "return own & torch.ones_like(own).tril()",
        "return own & torch.ones_like(own).tril(1)",
    ),
    "a token does not see itself": (
        "return own & torch.ones_like(own).tril()",
        "return own & (torch.ones_like(own).tril(-1) | (torch.arange(own.shape[1]) == 0)[:, None])",
    ),
    "neighbours are one text": (
        "for i, t in enumerate(row, 1)])",
        "for i, t in enumerate(row, 1) for i in [max(1, i - 1)]])",
    ),
    "positions run on": (
        "torch.cat([torch.arange(len(t)) for t in row])",
        "torch.arange(sum(map(len, row)))",
    ),
    "positions begin at 1 where three share a row": (
        "torch.arange(len(t)) for t in row]",
        "torch.arange(len(t)) + (len(row) > 2) for t in row]",
    ),
    "padding counts in the loss": (
        "& (text[:, 1:] > 0)",
        "",
    ),
    "a text's first token is asked for too": (
        "(text[:, 1:] == text[:, :-1]) & (text[:, 1:] > 0)",
        "text[:, 1:] > 0",
    ),
    "the mean is over rows first": (
        "return F.cross_entropy(said[counts], tokens[:, 1:][counts])",
        "return torch.stack([F.cross_entropy(s[c], t[c]) for s, t, c in zip(said, tokens[:, 1:], counts)]).mean()",
    ),
    "a row's last text is lost": (
        "rows.append([text])\n    return rows",
        "rows.append([text])\n    return [row[:-1] or row for row in rows]",
    ),
    "rows are never filled up": (
        "+ len(text) <= ROW:",
        "+ len(text) <= ROW // 2:",
    ),
    "shortest first": (
        "for text in sorted(texts, key=len, reverse=True):",
        "for text in sorted(texts, key=len):",
    ),
    "a text attends to the one before": (
        "own = text[:, :, None] == text[:, None]",
        "own = (text[:, :, None] - text[:, None]).clamp(min=0) < 2",
    ),
    "the second layer has no mask": (
        "for qkv, mlp in zip(self.qkv, self.mlp, strict=True):\n            x = x +",
        "for k, (qkv, mlp) in enumerate(zip(self.qkv, self.mlp, strict=True)):\n"
        "            sees = sees | torch.ones_like(sees).tril() if k else sees\n            x = x +",
    ),
    "the embeddings get no gradient": (
        "net(net.token(tokens), position, sees)",
        "net(net.token(tokens).detach() + 0 * net.token(tokens), position, sees)",
    ),
    "a text's last token is not asked for": (
        "counts = (text[:, 1:] == text[:, :-1]) & (text[:, 1:] > 0)",
        "counts = (text[:, 1:] == text[:, :-1]) & (text[:, 1:] > 0) & (text[:, 1:] == text.roll(-2, 1)[:, :-1])",
    ),
    "only the row before is looked at": (
        "for row in rows:\n            if",
        "for row in rows[-1:]:\n            if",
    ),
    "the control has the mask": (
        "mask(text if masked else (text > 0).long())",
        "mask(text)",
    ),
    "buckets are drawn at random": (
        "ordered = sorted(texts, key=len)",
        "ordered = texts",
    ),
}
FULL = set()
