"""What the claims of positional encoding must not forgive."""

MUTANTS = {
    "sine and cosine change places": (
        "torch.stack([angles(n, d).sin(), angles(n, d).cos()], -1)",
        "torch.stack([angles(n, d).cos(), angles(n, d).sin()], -1)",
    ),
    "the angles fall too slowly": (
        "return torch.arange(n)[:, None] * 10000 **",
        "return torch.arange(n)[:, None] * 100 **",
    ),
    "the rotation stretches": ("[a * cos - b * sin, a * sin + b * cos]", "[a * cos + b * sin, a * sin + b * cos]"),
    "halves are paired, not neighbours": ("a, b = x[..., ::2], x[..., 1::2]", "a, b = x.chunk(2, -1)"),
    "only the query is turned": ("q, k = rotate(q), rotate(k)", "q, k = rotate(q), k"),
    "the turned key gets no gradient": ("q, k = rotate(q), rotate(k)", "q, k = rotate(q), rotate(k.detach())"),
    "ALiBi rewards the distance": ("return -slopes[:, None, None]", "return slopes[:, None, None]"),
    "ALiBi's heads have one slope": ("2.0 ** -(8 * torch.arange(heads) / heads)", "2.0 ** -(0 * torch.arange(heads))"),
    "learned vectors get no gradient": ("x = x + self.places[:n]", "x = x + self.places[:n].detach()"),
    "the scores are not scaled": ("k.mT / math.sqrt(q.shape[-1])", "k.mT / 1"),
    "the answer stands in the question": (
        "return keys, said, said.gather(1, last)[:, 0]",
        "return keys.clone().index_fill_(1, torch.tensor(range(length - 1)), 0), said.gather(1, last).expand_as(said), "
        "said.gather(1, last)[:, 0]",
    ),
}

FULL = {"the answer stands in the question"}
