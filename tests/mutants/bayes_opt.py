"""What the claims of Bayesian optimization must not forgive."""

MUTANTS = {
    "the kernel lacks its last term": ("return (1 + s + s.square() / 3) * (-s).exp()", "return (1 + s) * (-s).exp()"),
    "the noise is not added": (
        "+ NOISE * torch.eye(",
        "+ 0.1 * NOISE * torch.eye(",
    ),
    "the spread is the prior's": ("(1 - w.square().sum(-2)).clamp", "(1 - 0 * w.square().sum(-2)).clamp"),
    "the spread is a variance": (".clamp(min=1e-12).sqrt()", ".clamp(min=1e-12)"),
    "the mean forgets the covariance": ("mean = (w.mT @ z)[..., 0]", "mean = (kernel(x, new, length).mT @ z)[..., 0]"),
    "the evidence counts no volume": ("/ 2 - root.diagonal(dim1=-2, dim2=-1).log().sum(-1)", "/ 2"),
    "the improvement has no density": ("torch.special.ndtr(u) + spread * density", "torch.special.ndtr(u)"),
    "worse is better": ("u = (best - mean) / spread", "u = (mean - best) / spread"),
    "the lowest evidence is chosen": ("for _, _, fit in fits]).argmax(0)", "for _, _, fit in fits]).argmin(0)"),
    "places are tried twice": ("return gain.scatter(1, tried, -1.0).argmax(1)", "return gain.argmax(1)"),
    "the least gain is tried": ("return gain.scatter(1, tried, -1.0).argmax(1)", "return gain.argmin(1)"),
    "the best is the worst": (
        "expected_improvement(mean, spread, y.amin(1,",
        "expected_improvement(mean, spread, y.amax(1,",
    ),
    "what is tried is not told": ("propose(t, told, places,", "propose(t, told.flip(0), places,"),
    "y is not standardized": ("/ values.std(1, keepdim=True)", "/ 1"),
    "the mean is not taken away": ("y = (values - values.mean(1, keepdim=True))", "y = values"),
    "the local search starts anywhere": (
        "best, at = tried.gather(1, values.argmin(1",
        "best, at = tried.gather(1, values.argmax(1",
    ),
    "the first best is remembered": ("y.amin(1, keepdim=True))", "y[:, :1])"),
    "the model sees the table": ("told = losses.gather(1, t)", "told = losses.gather(1, t).fill_(0.5)"),
    "the control looks everything up": (
        "return torch.tensor([0.0, *missed])",
        "return torch.tensor([0.0, *missed]).mul(0)",
    ),
    "the ranks are places": ("rank = losses.argsort(1).argsort(1).double()", "rank = losses.argsort(1).double()"),
    "the local search has no best": ("2 * spread**2)).exp().scatter", "2 * spread**2)).mul(0).exp().scatter"),
    "the lowest mean is as good": ("places, name != EI)", "places)"),
    "the evidence has no fit": ("fit = -z.square().sum((-2, -1)) / 2 -", "fit = -"),
    "distances are not scaled": (".norm(dim=-1) / length", ".norm(dim=-1) / 0.2"),
    "momentum does nothing": ("v = [momentum * a + g for", "v = [0 * momentum * a + g for"),
}
FULL = {
    "places are tried twice",
    "the model sees the table",
    "the control looks everything up",
    "the ranks are places",
    "the lowest mean is as good",
    "what is tried is not told",
    "momentum does nothing",
    "the local search has no best",
    "the local search starts anywhere",
}
