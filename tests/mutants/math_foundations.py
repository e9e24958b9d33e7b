"""What the claims of the mathematical foundations must not forgive."""

MUTANTS = {
    "columns are turned twice as far": ("torch.atan2(2 * r, p - q) / 2", "torch.atan2(2 * r, p - q)"),
    "columns are turned the other way": (
        "[half.cos(), -half.sin(), half.sin(), half.cos()]",
        "[half.cos(), half.sin(), -half.sin(), half.cos()]",
    ),
    "a rank too low": (
        "u[:, :rank] * s[:rank] @ v[:, :rank].T",
        "u[:, : rank - 1] * s[: rank - 1] @ v[:, : rank - 1].T",
    ),
    "Jacobians in the wrong order": (
        "product = (1 - x**2)[:, None] * w @ product",
        "product = product @ ((1 - x**2)[:, None] * w)",
    ),
    "tanh has another slope": ("(1 - x**2)[:, None]", "(1 - x.abs())[:, None]"),
    "the determinant counts twice": ("+ cov.logdet()", "+ 2 * cov.logdet()"),
    "the mean gets no gradient": ("    away = x - mean\n", "    away = x - mean.detach() + 0 * mean\n"),
    "what is known leaves the spread as it was": ("cov[:k, :k] - gain @ cov[k:, :k]", "cov[:k, :k]"),
    "the estimate divides by n - 1": ("away.T @ away / len(x)", "away.T @ away / (len(x) - 1)"),
    "the divergence is a cross-entropy": ("-(p * q.log()).sum() - entropy(p)", "-(p * q.log()).sum()"),
    "the logarithm of the entropy is binary": ("return -(p * p.log()).sum()", "return -(p * p.log2()).sum()"),
    "information of one variable alone": ("entropy(joint.sum(1)) + entropy(joint.sum(0))", "2 * entropy(joint.sum(1))"),
    "means of the same few draws": ("drawn[:, :n].mean(1)", "drawn[:, :16].mean(1)"),
    "the Cauchy distribution has its tails cut": ("clamp(1e-7, 1 - 1e-7)", "clamp(0.1, 0.9)"),
    "space has two dimensions": ("for d in (DIMENSIONS, 2):", "for d in (2, 2):"),
}
FULL = {
    "means of the same few draws",
    "the Cauchy distribution has its tails cut",
    "space has two dimensions",
}
