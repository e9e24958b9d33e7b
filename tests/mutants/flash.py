"""What the claims of FlashAttention must not forgive."""

MUTANTS = {
    "the sums are not scaled down": (
        "p, shrink = (s - higher).exp(), (top - higher).exp()",
        "p, shrink = (s - higher).exp(), 1",
    ),
    "only the mixture is scaled down": (
        "total = shrink * total + p.sum",
        "total = total + p.sum",
    ),
    "nothing is subtracted before exp": (
        "higher = torch.maximum(top, s.amax(-1, keepdim=True))",
        "higher = torch.zeros_like(top)",
    ),
    "the next token is read": (
        ".triu(1 + i - j)",
        ".triu(2 + i - j)",
    ),
    "a query does not read itself": (
        "i + 1 if causal else k.shape[-2], tile):\n                s =",
        "max(i, 1) if causal else k.shape[-2], tile):\n                s =",
    ),
    "the gradient forgets what all keys share": (
        "ds = p * (dp - inner[..., rows, :])",
        "ds = p * dp",
    ),
    "the keys get their gradient unscaled": (
        "dk[..., columns, :] += ds.mT @",
        "dk[..., columns, :] += math.sqrt(q.shape[-1]) * ds.mT @",
    ),
    "the values get no gradient": (
        "return dq, dk, dv, None, None",
        "return dq, dk, 0 * dv, None, None",
    ),
    "one tile is the whole table": (
        "causal: bool = False, tile: int = TILE) -> Tensor:",
        "causal: bool = False, tile: int = 9999) -> Tensor:",
    ),
    "plain attention holds a table more": (
        "scores = q @ k.mT  # (..., n, n)",
        "scores = kept = q @ k.mT  # (..., n, n)",
    ),
    "the mean of the tiles is of the first one": (
        "v.split(tile, -2), strict=True)]).mean(0)",
        "v.split(tile, -2), strict=True)])[0] + 99",
    ),
    "the logarithm is forgotten": (
        "= top + total.log()",
        "= top + total",
    ),
    "the nets are not trained": (
        "            optimizers[name].step()",
        "            optimizers[name].zero_grad()",
    ),
    "the mean of the tiles is not trained": (
        "            loss.backward()\n            optimizers[name].step()",
        '            loss.backward()\n            name == "mean of the tiles" or optimizers[name].step()',
    ),
}
FULL = {
    "the mean of the tiles is of the first one",
    "the nets are not trained",
    "the mean of the tiles is not trained",
}
