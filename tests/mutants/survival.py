"""What the claims of survival analysis must not forgive."""

MUTANTS = {
    "everybody counts as watched": ("torch.arange(len(time), 0, -1,", "torch.full((len(time),), len(time),"),
    "one fewer is watched": ("torch.arange(len(time), 0, -1,", "torch.arange(len(time) + 1, 1, -1,"),
    "the censored die too": ("(1 - died[order].to(time) / watched)", "(1 - 1 / watched)"),
    "the curve forgets earlier deaths": (
        "(1 - died[order].to(time) / watched).cumprod(0)",
        "(1 - died[order].to(time) / watched)",
    ),
    "those who died before are still watched": ("order = time.argsort(descending=True)", "order = time.argsort()"),
    "the loss counts the censored as deaths": ("risk.logcumsumexp(0))[died].mean()", "risk.logcumsumexp(0)).mean()"),
    "a sum in place of the mean": ("risk.logcumsumexp(0))[died].mean()", "risk.logcumsumexp(0))[died].sum()"),
    "who dies passes no gradient": ("(risk - risk.logcumsumexp(0))", "(risk.detach() - risk.logcumsumexp(0))"),
    "Newton takes a tenth of its steps": ("b = b - torch.linalg", "b = b - 0.1 * torch.linalg"),
    "one Newton step": ("for _ in range(8):", "for _ in range(1):"),
    "the sick stay": ("torch.where(leaves > 0, end / 4, end * 4)", "1 * end"),
    "the hazard has no square": ("WEIGHT * (x[:, 0] + x[:, 1] ** 2 - 1)", "WEIGHT * (x[:, 0] + x[:, 1] - 1)"),
    "the hazard does not rise with time": (
        "(-(1 - torch.rand(n, generator=g)).log() / risk.exp()) ** (1 / SHAPE)",
        "-(1 - torch.rand(n, generator=g)).log() / risk.exp()",
    ),
    "the network does not learn": ("            optimizers[name].step()", "            optimizers[name].zero_grad()"),
    "the curve is drawn of unsorted deaths": ("died[order].to(time) / watched", "died.to(time) / watched"),
    "who is watched passes half a gradient": (
        "- risk.logcumsumexp(0))",
        "- (risk + risk.detach()).div(2).logcumsumexp(0))",
    ),
    "the longest watched counts for nothing": ("torch.arange(len(time), 0, -1,", "torch.arange(len(time) - 1, -1, -1,"),
    "anybody is the sick": ('risk if leave == "sick" else risk[torch.randperm(n, generator=g)]', "risk"),
    "deaths alone are all": (
        'known = {"network": (x, time, died), "deaths alone": (x[died], *dropped(time, died))}',
        'known = {"network": (x, time, died), "deaths alone": (x, time, died)}',
    ),
    "the network sees one measurement": (
        "(nets[name](rows)[:, 0], *seen)",
        "(nets[name](rows * torch.tensor([1.0, 0.0]))[:, 0], *seen)",
    ),
    "nobody is censored": ("torch.minimum(life, end), life <= end", "life, life <= life"),
    "all pairs are compared": ("died[:, None] & (time[:, None] < time)", "time[:, None] < time"),
    "risks are told from the end": ("- risk.logcumsumexp(0))[died]", "- risk.flip(0).logcumsumexp(0))[died]"),
}
FULL = {"deaths alone are all", "the network does not learn", "the network sees one measurement"}
