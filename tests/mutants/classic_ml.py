"""What the claims of the five classic methods must not forgive."""

MUTANTS = {
    "the constant is penalized too": ("pull[-1, -1] = 0", "pull[-1, -1] += 0"),
    "Newton forgets the penalty": ("x.T @ (y * (1 - p)) - pull @ w)", "x.T @ (y * (1 - p)))"),
    "naive Bayes forgets how often a class occurs": ("(y == c).to(x).sum().log() - (", "-1 * ("),
    "one variance for both classes": ("x[y == c].var(0, correction=0)", "x.var(0, correction=0)"),
    "variances by n - 1": ("var(0, correction=0)", "var(0)"),
    "one neighbour fewer": ("nearest[:, :k].mean(1)", "nearest[:, 1 : k + 1].mean(1)"),
    "weights without a bound": (
        "(1 - q @ ahead) / q.abs().sum(2).amax(1)[:, None, None]).clamp(min=0), costs)",
        "(1 - q @ ahead) / q.abs().sum(2).amax(1)[:, None, None]).clamp(min=0), 99 * costs)",
    ),
    "classes left out of the kernel": (
        "q = kernels(x, x) * y[:, None] * y",
        "q = kernels(x, x) * y[:, None] * y.abs()",
    ),
    "rows keep their weights": ("w = w * (-alpha * y * torch.where", "w = w + 0 * (-alpha * y * torch.where"),
    "stumps are not weighed": ("score = score + alpha * torch.where", "score = score + alpha.sign() * torch.where"),
    "the cut stands one row higher": ("x[order[k, j], j]", "x[order[min(k + 1, len(x) - 1), j], j]"),
    "the columns do not move together": ("+ 10 * torch.randn(n, 1", "+ 0 * torch.randn(n, 1"),
    "stripes, no board": ("x.floor().sum(1) % 2", "x.floor()[:, 0] % 2"),
    "one spread for both": ("(1 + 0.35 * y[:, None])", "(1 + 0 * y[:, None])"),
    "one column votes": ("(x[:, :3] > 0).sum(1).gt(1)", "(x[:, :1] > 0).sum(1).gt(0)"),
    "the kernel falls with the distance, not its square": ("(torch.cdist(z, x) ** 2)", "torch.cdist(z, x)"),
    "the kernel's width forgets the columns": ("(widths * x.shape[1])", "widths"),
    "the machine forgets the classes": ("(supports(x, y)[0] * y[:, None])", "supports(x, y)[0]"),
    "Newton takes one step": ("for _ in range(15):", "for _ in range(1):"),
    "the cut may stand at the last row": ("cumsum(0)  # sum", "flip(0).cumsum(0)  # sum"),
    "every method knows 200 of the rows it is judged by": (
        "method(x[:ROWS], y[:ROWS], x[ROWS:])",
        "method(x[:600], y[:600], x[ROWS:])",
    ),
    "naive Bayes hears one class's mean": ("((z - mean) ** 2 / variance", "((z - x.mean(0)) ** 2 / variance"),
    "the setting that errs most": ("judged[chosen.argmin()]", "judged[chosen.argmax()]"),
    "the method that errs most is chosen": ("pick = min(draw", "pick = max(draw"),
}
FULL = {
    "the columns do not move together",
    "stripes, no board",
    "one spread for both",
    "one column votes",
    "the machine forgets the classes",
    "every method knows 200 of the rows it is judged by",
    "the setting that errs most",
    "the method that errs most is chosen",
}
