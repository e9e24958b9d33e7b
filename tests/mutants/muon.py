"""What the claims on Muon and Lion must not forgive."""

MUTANTS = {
    "one Newton-Schulz step too few": ("steps: int = 5) -> Tensor:  # (...", "steps: int = 4) -> Tensor:  # (..."),
    "no term of fifth order": ("(B * gram + C * gram @ gram) @ x", "(B * gram) @ x"),
    "the Gram matrix of the columns": (
        "gram = x @ x.mT",
        "gram = x.mT @ x if x.shape[-1] == x.shape[-2] else x @ x.mT",
    ),
    "half the scale": (".clamp(min=1e-7)", ".clamp(min=1e-7) / 0.5"),
    "Muon does not look ahead": ('ahead = beta * state["m"] + (1 - beta) * g', 'ahead = state["m"]'),
    "Muon has no memory": (
        'state["m"] = beta * state.get("m", 0 * g) + (1 - beta) * g\n    ahead',
        'state["m"] = (1 - beta) * g\n    ahead',
    ),
    "all matrices step alike": ("* max(1, g.shape[-2] / g.shape[-1]) ** 0.5  # tall", "* 1  # tall"),
    "Lion mixes before it steps": ("return (beta * m + (1 - beta) * g).sign()", 'return state["m"].sign()'),
    "Lion takes no sign": ("(beta * m + (1 - beta) * g).sign()", "(beta * m + (1 - beta) * g)"),
    "Lion forgets too fast": ('state["m"] = kept * m + (1 - kept) * g', 'state["m"] = beta * m + (1 - beta) * g'),
    "the first layers get no gradient": ("h = (h @ w.mT).tanh()", "h = (h.detach() @ w.mT).tanh() + 0 * h.sum()"),
    "Adam is not corrected": ('state["m"] / (1 - beta**t)', 'state["m"] / 1'),
    "SGD forgets the past": ('state["m"] = beta * state.get("m", 0 * g) + g\n', 'state["m"] = g\n'),
    "what is unseen was seen": (
        "x, unseen = (t.to(device) for t in digits.split([TRAIN, TEST]))",
        "x, unseen = digits.to(device), digits[:TEST].to(device)",
    ),
}
