"""What the claims of style transfer must not forgive."""

MUTANTS = {
    "the fit begins at a shifted texture": (
        "start = 0.05 * torch",
        "start = style.roll((8, 12), (1, 2)) + 0.05 * torch",
    ),
    "the second layer is left out": (
        "gap([gram(f) for f in features]",
        "gap([gram(f) for f in features[:1] * len(features)]",
    ),
    "the features are centred": (
        "rows = features.flatten(1)\n",
        "rows = features.flatten(1) - features.mean((1, 2))[:, None]\n",
    ),
    "only the diagonal is kept": ("return rows @ rows.T / rows.shape[1]", "return (rows * rows).mean(1).diag()"),
    "places are summed, not averaged": ("return rows @ rows.T / rows.shape[1]", "return rows @ rows.T / 100"),
    "neighbouring features are paired": ("return rows @ rows.T /", "return rows @ rows.roll(1, 0).T /"),
    "half the gradient is lost": ("return rows @ rows.T /", "return rows @ rows.T.detach() /"),
    "neighbouring places are paired": ("return rows @ rows.T /", "return rows @ rows.roll(1, 1).T /"),
    "half the places are left out": ("rows = features.flatten(1)", "rows = features.flatten(1)[:, ::2]"),
    "the distance is relative to the image": ("** 2).sum() / (b**2).sum()", "** 2).sum() / (a**2).sum()"),
    "differences are not squared": ("(((a - b) ** 2).sum()", "((a - b).abs().sum()"),
    "the judge has the filters of the fit": ("filters(data), filters(judge)", "(filters(data),) * 2"),
    "the control fits Gram matrices": ('"means": mean_loss', '"means": style_loss'),
    "the spectrum keeps its phases": (
        "phase = torch.fft.fft2(torch.randn(style.shape, generator=generator))",
        "phase = torch.fft.fft2(style - mean + 1e-3)",
    ),
    "the fit begins at the texture": ("start = 0.05 * torch.randn(1", "start = style + 0.05 * torch.randn(1"),
    "features are fitted place by place": ('"Gram matrices": style_loss', '"Gram matrices": gap'),
}
FULL = {
    "the fit begins at a shifted texture",
    "the control fits Gram matrices",
    "the spectrum keeps its phases",
    "the fit begins at the texture",
}
