"""What the claims of the Bayesian neural network must not forgive."""

MUTANTS = {
    "the prior is left out": ("return fit - w.square().sum(1) / 2 - w.shape[1]", "return fit - w.shape[1]"),
    "the noise counts once": ("((y - network(w, x)) / NOISE)", "(y - network(w, x))"),
    "the likelihood is not normalized": ("- y.shape[1] * math.log(", "- math.log("),
    "half the squares are missing": ("NOISE).square().sum(1) / 2 -", "NOISE).square().sum(1) -"),
    "the hidden layer passes no gradient": (
        "(SLOPE * (a * x[:, :, None] + b)).erf()",
        "(SLOPE * (a * x[:, :, None] + b)).detach().erf()",
    ),
    "the network is wider than its scale": ("* v).sum(2) / HIDDEN**0.5", "* v).sum(2) / HIDDEN"),
    "every proposal is taken": ("taken = u.log() < value", "taken = u < 2 + 0 * value"),
    "no proposal is taken": (
        "return torch.where(taken[:, None], q, w), taken",
        "return torch.where(taken[:, None], w, w), taken",
    ),
    "the kick has the wrong sign": ("        value, g = slope(q, x, y)\n", "        value, g = slope(q, x, -y)\n"),
    "the chain climbs to the best network": (
        "w, taken = hmc(w, x, y, p, u, h)",
        "w, taken = hmc(w, x, y, 0.1 * p, u, h)",
    ),
    "it is told the points beyond": ("(x, y), kept = observe(-1, 1, POINTS)", "(x, y), kept = observe(-2, 2, POINTS)"),
    "the ensemble is the posterior": ("stretched(members, kept, new)", "predicted(drawn, new)"),
    "the spread leaves out the noise": (
        "(f.var(0, correction=0) + NOISE**2).sqrt()",
        "(f.var(0, correction=0) + 1e-6).sqrt()",
    ),
    "the chain keeps its last alone": ("drawn.append(w)", "drawn = [w] * 2"),
    "half of the momentum is lost": ("value - p.square().sum(1) / 2 - before", "value - p.square().sum(1) - before"),
    "the ensemble is stretched by points beyond": (
        "observe(-1, 1, POINTS), observe(-1, 1, POINTS)",
        "observe(-1, 1, POINTS), observe(1.2, 2, POINTS)",
    ),
    "the process has another covariance": ("(0.5 + SLOPE**2 * (1 + t.square())", "(5 + SLOPE**2 * (1 + t.square())"),
    "the posterior process forgets the points": ("- k.square().sum(1)", "- 0 * k.square().sum(1)"),
    "the prior has seen the data": (
        "before = torch.randn(200, TASKS, 3 * HIDDEN, generator=chain).to(device)",
        "before = drawn",
    ),
}
FULL = {
    "it is told the points beyond",
    "the chain climbs to the best network",
    "the chain keeps its last alone",
    "the ensemble is stretched by points beyond",
    "the ensemble is the posterior",
    "the posterior process forgets the points",
    "the prior has seen the data",
    "the process has another covariance",
    "the spread leaves out the noise",
}
