"""What the claims of time series forecasting must not forgive."""

MUTANTS = {
    "the future is read": ("F.pad(x, (reach, 0))", "F.pad(x, (reach // 2, reach - reach // 2))"),
    "the layers are not dilated": ("CausalConv(*widths[k : k + 2], 2**k)", "CausalConv(*widths[k : k + 2], 1)"),
    "the taps are the wrong way round": ("self.weight[..., k] @ tap", "self.weight[..., KERNEL - 1 - k] @ tap"),
    "the weights get no gradient": ("self.weight[..., k] @ tap", "self.weight[..., k].detach() @ tap"),
    "the shortcut passes no gradient": ("h = h + layer(h.relu())", "h = h.detach() + layer(h.relu())"),
    "there is no shortcut": ("h = h + layer(h.relu())", "h = layer(h.relu())"),
    "too high costs as much as too low": ("torch.maximum(level * error, (level - 1) * error)", "(error.abs() / 2)"),
    "the answer stands in the input": (
        "past[:, k : k + WINDOW] for",
        "past[:, k + AHEAD : k + AHEAD + WINDOW] for",
    ),
    "ridge regression sees an hour": (
        "lags = series[:2, issued[:, None] - torch.arange(LAGS)]",
        "lags = series[:2, issued[:, None] - 0 * torch.arange(LAGS)]",
    ),
}
FULL = {"ridge regression sees an hour", "the answer stands in the input"}
