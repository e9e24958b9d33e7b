"""What the claims of evolution strategies must not forgive."""

MUTANTS = {
    "the estimate is not divided by sigma": ("/ (len(noise) * SIGMA)", "/ len(noise)"),
    "the estimate is a sum": ("/ (len(noise) * SIGMA)", "/ SIGMA"),
    "only the signs of the noise count": ("return utility @ noise /", "return utility @ noise.sign() /"),
    "the noise is not squared away": ("return utility @ noise /", "return utility.abs() @ noise /"),
    "copies come without mirror images": ("return torch.cat([e, -e])", "return torch.cat([e, e])"),
    "the worst copy leads": ("/ (len(scores) - 1) - 0.5", "/ (1 - len(scores)) + 0.5"),
    "backpropagation goes down": ("known else -backpropagated", "known else backpropagated"),
    "scores are not looked at": (
        'utility = ranks(score(nets["evolution strategy"] + SIGMA * e, x[rows], y[rows]))',
        "utility = ranks(e[:, 0])",
    ),
    "copies are not changed": (
        'ranks(score(nets["evolution strategy"] + SIGMA * e,',
        'ranks(score(nets["evolution strategy"] + 0 * e,',
    ),
    "the ranks are places": ("scores.argsort(stable=True).argsort()", "scores.argsort(stable=True)"),
    "the units are ramps": ("hidden = (h > 0).to(x.dtype) +", "hidden = h.relu() +"),
    "the made-up slope is nothing": ("(h.sigmoid() - h.sigmoid().detach() if", "(h.sigmoid() - h.sigmoid() if"),
    "the step goes down": ("w.grad = -estimate(", "w.grad = estimate("),
    "scores and changes are mixed up": ("-estimate(utility, e) if known", "-estimate(utility, e.roll(1, 0)) if known"),
    "the estimate forgets half of the copies": ("return utility @ noise /", "return utility[::2] @ noise[::2] /"),
    "the answer is in the input": (
        "torch.tensor(digits.data).float()[order] / 16,",
        "torch.tensor(digits.data).float()[order] / 16 + torch.tensor(digits.target)[order][:, None] * 1.0,",
    ),
    "the rival sees no digits": (
        "h, h_test = (F.pad((t.cpu() @ w > middle)",
        "h, h_test = (F.pad((t.cpu() @ w > middle.fill_(99))",
    ),
    "random search sees one copy": ("copies = best + size * e", "copies = best + size * e[:1]"),
    "the gradient's sign is lost": (
        "w.grad = -estimate(utility, e) if known",
        "w.grad = estimate(utility, e).abs() if known",
    ),
    "the pairs are not as many": (
        "e = torch.randn(pairs, n, generator=generator, dtype=dtype)",
        "e = torch.randn(1, n, generator=generator, dtype=dtype).expand(pairs, n)",
    ),
}
FULL = {
    "the gradient's sign is lost",
    "scores and changes are mixed up",
    "the ranks are places",
    "scores are not looked at",
    "the step goes down",
    "the units are ramps",
    "the answer is in the input",
    "the made-up slope is nothing",
    "backpropagation goes down",
    "copies are not changed",
    "the worst copy leads",
    "the rival sees no digits",
    "random search sees one copy",
}
