"""What the claims of KL divergence must not forgive."""

MUTANTS = {
    "KL is turned round": (
        "return (log_a.exp() * (log_a - log_b)).sum(-1) * dx",
        "return (log_b.exp() * (log_b - log_a)).sum(-1) * dx",
    ),
    "KL forgets its own entropy": ("(log_a.exp() * (log_a - log_b)).sum(-1)", "(log_a.exp() * -log_b).sum(-1)"),
    "the density passes no gradient": ("(log_a.exp() * (log_a - log_b))", "(log_a.exp().detach() * (log_a - log_b))"),
    "the second passes no gradient": ("(log_a - log_b)).sum", "(log_a - log_b.detach() + 0 * log_b)).sum"),
    "the difference is taken absolutely": ("(log_a - log_b)).sum", "(log_a - log_b).abs()).sum"),
    "the middle is not halved": ("torch.logaddexp(log_a, log_b) - math.log(2)", "torch.logaddexp(log_a, log_b)"),
    "only one side to the middle": ("(kl(log_a, middle, dx) + kl(log_b, middle, dx)) / 2", "kl(log_a, middle, dx)"),
    "the mean of the two KLs": (
        "(kl(log_a, middle, dx) + kl(log_b, middle, dx)) / 2",
        "(kl(log_a, log_b, dx) + kl(log_b, log_a, dx)) / 2",
    ),
    "forward is reverse": (
        '"forward KL": lambda log_p, log_q, dx: kl(log_p, log_q, dx)',
        '"forward KL": lambda log_p, log_q, dx: kl(log_q, log_p, dx)',
    ),
    "reverse is forward": (
        '"reverse KL": lambda log_p, log_q, dx: kl(log_q, log_p, dx)',
        '"reverse KL": lambda log_p, log_q, dx: kl(log_p, log_q, dx)',
    ),
    "the Gaussian is not normalized": (
        "- log_width[:, None] - math.log(2 * math.pi) / 2",
        "- math.log(2 * math.pi) / 2",
    ),
    "the width is a variance": ("/ log_width.exp()[:, None]", "/ (log_width / 2).exp()[:, None]"),
    "the peaks weigh the same": ("+ weight.log()[:, None]", "+ weight.mean().log()"),
    "the fit does not move": ("            optimizers[name].step()\n", "            optimizers[name].zero_grad()\n"),
    "the second half passes no gradient": (
        "kl(log_b, middle, dx)) / 2",
        "kl(log_b.detach(), middle, dx)) / 2",
    ),
    "all start in the middle": (
        "PEAKS[0] * (0.5 +",
        "0.1 * (0.5 +",
    ),
    "the width is not fitted": (
        "torch.optim.Adam([v.requires_grad_() for v in pair])",
        "torch.optim.Adam([v.requires_grad_() for v in pair][:1])",
    ),
    "all starts count as left": (
        "PEAKS[1] * mean.sign(), log",
        "PEAKS[1] * -mean.abs().sign(), log",
    ),
}
FULL = {
    "forward is reverse",
    "reverse is forward",
    "the fit does not move",
    "all start in the middle",
    "the width is not fitted",
    "all starts count as left",
}
