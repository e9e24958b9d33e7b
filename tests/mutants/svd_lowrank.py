"""What the claims of low rank by singular values must not forgive."""

MUTANTS = {
    "the smallest come first": ("squares.flip(0).clamp(min=0).sqrt(), v.flip(1)", "squares.clamp(min=0).sqrt(), v"),
    "vectors and values go apart": ("squares.flip(0).clamp(min=0).sqrt(), v.flip(1)", "squares.flip(0).sqrt(), v"),
    "the root is not taken": ("squares.flip(0).clamp(min=0).sqrt()", "squares.flip(0).clamp(min=0)"),
    "the columns of U are not of length 1": ("return a @ v / s.clamp(min=1e-12), s, v", "return a @ v, s, v"),
    "a term too few": ("u[:, :k] * s[:k] @ v[:, :k].T", "u[:, : k - 1] * s[: k - 1] @ v[:, : k - 1].T"),
    "a term too many": ("u[:, :k] * s[:k] @ v[:, :k].T", "u[:, : k + 1] * s[: k + 1] @ v[:, : k + 1].T"),
    "the first term is skipped": ("u[:, :k] * s[:k] @ v[:, :k].T", "u[:, 1:k] * s[1:k] @ v[:, 1:k].T"),
    "the error is not squared": ("((a - b).square().sum() / a.square().sum())", "((a - b).norm() / a.norm())"),
    "the error is half": (
        "((a - b).square().sum() / a.square().sum())",
        "((a - b).square().sum() / a.square().sum() / 2)",
    ),
    "columns are singular vectors": (
        "    rest, basis = a.clone(), []\n",
        "    return low_rank(a, k)\n    rest, basis = a.clone(), []\n",
    ),
    "columns are the second best": ("rest.square().sum(0).argmax()", "rest.square().sum(0).argsort()[-2]"),
    "columns take half of what they could": ("rest = rest - basis", "rest = rest - 0.5 * basis"),
    "columns are any": ("rest.square().sum(0).argmax()", "len(basis)"),
    "the rival projects onto all directions": ("q = svd(x)[2][:, :k]", "q = svd(x)[2]"),
    "the rival takes the update's own directions": ("q = svd(x)[2][:, :k]", "q = svd(a)[2][:, :k]"),
    "the rival takes the least directions": ("q = svd(x)[2][:, :k]", "q = svd(x)[2][:, -k:]"),
    "random numbers are of rank one": (
        "torch.randn(update.shape, generator",
        "torch.ones(64, 1) * torch.randn(64, generator",
    ),
    "the update is the weights": ("update = first.weight.detach() - before", "update = first.weight.detach()"),
    "the test holds training images": (
        "for part in (slice(TRAIN), slice(TRAIN, None))",
        "for part in (slice(TRAIN), slice(TRAIN - 9, None))",
    ),
}
FULL = {
    "the update is the weights",
    "the rival projects onto all directions",
    "the rival takes the update's own directions",
    "the rival takes the least directions",
}
