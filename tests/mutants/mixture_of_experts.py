"""What the claims of the mixture of experts must not forgive."""

MUTANTS = {
    "answers are not weighted by the gate": ("y = weight[:, None] * parts", "y = parts"),
    "the gate gets no gradient from the answers": (
        "y = weight[:, None] * parts",
        "y = weight[:, None].detach() * parts",
    ),
    "the experts get half their gradient": (
        "y = weight[:, None] * parts[",
        "y = weight[:, None] / 2 * (parts + parts.detach())[",
    ),
    "answers are given to the wrong inputs": ("torch.cat(rows).argsort()]", "torch.cat(rows)]"),
    "the least likely expert is picked": ("weight, who = p.max(-1)", "weight, who = p.min(-1)"),
    "one expert does all the work": ("weight, who = p.max(-1)", "weight, who = p[:, 0], p.argmax(-1) * 0"),
    "the balance loss has no gradient": ("(shares * p.mean(0)).sum()", "(shares * p.mean(0).detach()).sum()"),
    "the balance loss is not of the number of experts": ("return y, EXPERTS * (shares", "return y, (shares"),
    "all experts are computed": (
        "expert(x[r]) for expert, r in",
        "expert(x)[r] for expert, r in",
    ),
    "test inputs are told their answer": (
        "return centres[cluster] + place, (place",
        "return centres[cluster] + 0 * place, (0 * place",
    ),
    "the dense rival has a hundredth of the rate": ('"dense": 1e-1,', '"dense": 1e-3,'),
}

FULL = {"test inputs are told their answer", "the dense rival has a hundredth of the rate"}
