"""What the claims of the diffusion language model must not forgive."""

MUTANTS = {
    "the loss is not weighted by 1/t": ("hidden) * hidden / t).sum(1)", "hidden) * hidden / 1).sum(1)"),
    "the weight is 1/t squared": ("hidden) * hidden / t).sum(1)", "hidden) * hidden / t**2).sum(1)"),
    "letters seen count in the loss": ("hidden) * hidden / t).sum(1)", "hidden) / t).sum(1)"),
    "the guesses pass no gradient": (
        ".log_softmax(-1)",
        ".detach().log_softmax(-1) + 0 * sum(p.sum() for p in self.net.parameters())",
    ),
    "the answer stands in the input": ("x.masked_fill(hidden, LETTERS)", "x.masked_fill(hidden & (x > 0), LETTERS)"),
    "nothing is hidden": ("x.masked_fill(hidden, LETTERS)", "x.masked_fill(hidden & ~hidden, LETTERS)"),
    "the mask looks like an a": ("x.masked_fill(hidden, LETTERS)", "x.masked_fill(hidden, 0)"),
    "a letter is told of its neighbour": ("guesses.gather(-1, x[", "guesses.gather(-1, x.roll(1, 1)["),
    "written letters stay hidden": ("gap and i not in block for", "gap for"),
    "a block's last letter stays hidden": ("gap and i not in block for", "gap and i not in block[:-1] for"),
    "chances of a block are averaged": ("[:, block].sum(1)", "[:, block].mean(1)"),
    "a perfect network sees what it should write": ("cube.sum(gaps, keepdim=True)", "cube.sum(gaps[1:], keepdim=True)"),
    "slips are as common as not": ("RATE, SLIP = 3, 6, 64, 128, 1e-2, 0.1", "RATE, SLIP = 3, 6, 64, 128, 1e-2, 0.66"),
    "it trains on no letter by itself": ("generator=noise) < t)", "generator=noise) < 2)"),
    "the language does not mirror": ("SENTENCES[:, 3:].flip(1)).double()", "SENTENCES[:, 3:]).double()"),
    "the distance is turned round": ("(p * (p / q).log()).sum()", "(q * (q / p).log()).sum()"),
    "orders are added, not averaged": ("for order in orders) / len(orders)", "for order in orders) / 1"),
    "the rival is shown its letter": ("net(x, places >= place)", "net(x, places > place)"),
    "what is seen is hidden": ("generator=noise) < t)", "generator=noise) > t)"),
    "random halves are the planned ones": (
        "distance(p, told[name], orders, n)",
        "distance(p, told[name], orders[:1], n)",
    ),
}
FULL = {"it trains on no letter by itself", "a block's last letter stays hidden", "slips are as common as not"}
FULL |= {"the language does not mirror", "the rival is shown its letter", "what is seen is hidden"}
FULL |= {"random halves are the planned ones"}
