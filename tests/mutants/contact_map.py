"""What the claims of the contact map must not forgive."""

MUTANTS = {
    "a letter tells itself": ("(both - both.diag().diag())", "both"),
    "half the field": ("F.logsigmoid(2 * letters * others)", "F.logsigmoid(letters * others)"),
    "the letters themselves are forgotten": ("F.logsigmoid(2 * letters * others)", "F.logsigmoid(2 * others)"),
    "couplings one way": ("both = (coupling + coupling.T) / 2", "both = coupling.triu()"),
    "a mean over places": (".sum(1).mean()", ".mean(1).mean()"),
    "covariances are not inverted": ("-torch.linalg.inv(covariance + RIDGE", "-(covariance + RIDGE"),
    "a ridge that drowns": ("RIDGE * torch.eye(letters.shape[1]", "99 * RIDGE * torch.eye(letters.shape[1]"),
    "letters are drawn without a doubled field": (
        "(2 * letters @ coupling[:, i]).sigmoid()",
        "(letters @ coupling[:, i]).sigmoid()",
    ),
    "letters see the next place's couplings": ("coupling[:, i]).sigmoid()", "coupling[:, i - 1]).sigmoid()"),
    "letters are drawn the wrong way round": ("< plus, 1.0, -1.0)", "< plus, -1.0, 1.0)"),
    "one sweep": ("for _ in range(sweeps):", "for _ in range(min(sweeps, 1)):"),
    "columns are shuffled alike": (
        "column[torch.randperm(SEQUENCES, generator=shuffles)]",
        "column[torch.arange(SEQUENCES)]",
    ),
    "all sequences stand for few": ("letters[:FEW].to(device)", "letters.to(device)"),
    "the fit does not learn": ("            optimizers[name].step()", "            optimizers[name].zero_grad()"),
    "the field is forgotten": ("- both.diag().diag()) + field", "- both.diag().diag()) + 0 * field"),
    "the field passes half a gradient": (
        "- both.diag().diag()) + field",
        "- both.diag().diag()) + (field + field.detach()) / 2",
    ),
    "couplings pass no gradient": ("both = (coupling + coupling.T) / 2", "both = (coupling.detach() + coupling.T) / 2"),
    "couplings are not minus the inverse": ("return -torch.linalg.inv", "return torch.linalg.inv"),
    "no ridge": ("RIDGE * torch.eye", "0 * RIDGE * torch.eye"),
    "the chain is not folded to and fro": ("c if r % 2 == 0 else side - 1 - c", "c"),
    "neighbours in the chain count": ("triu(2) > 0", "triu(1) > 0"),
    "the true couplings are looked up": (
        "fitted = {name: ((model[0] + model[0].T) / 2).detach().cpu() for",
        "fitted = {name: true for",
    ),
    "correlations are those of couplings": ("return torch.corrcoef(letters.T)", "return inverted(letters)"),
}
FULL = {
    "correlations are those of couplings",
    "the true couplings are looked up",
    "the fit does not learn",
    "all sequences stand for few",
}
