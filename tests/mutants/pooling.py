"""What the claims of pooling must not forgive."""

MUTANTS = {
    "the border wins": ("stride or size, padding, -math.inf)", "stride or size, padding, 9.0)"),
    "the border counts as zeros for the maximum": ("stride or size, padding, -math.inf)", "stride or size, padding)"),
    "the minimum is kept": (".amax(-1)  # y = max", ".amin(-1)  # y = max"),
    "the sum is kept": (".mean(-1)  # y = sum", ".sum(-1)  # y = sum"),
    "the stride is forgotten": ("unfold(3, size, stride)", "unfold(3, size, size)"),
    "the padding is forgotten": ("F.pad(x, (padding,) * 4, value=fill)", "F.pad(x, (0,) * 4, value=fill)"),
    "the first value of a window gets no gradient": (
        "    return x.unfold(2",
        "    x = torch.cat([x[..., :1].detach(), x[..., 1:]], -1)\n    return x.unfold(2",
    ),
    "the gradient is shared by all of the window": (
        "return windows(x, size, stride or size, padding, -math.inf).amax(-1)",
        "w = windows(x, size, stride or size, padding, -9.0); return w.mean(-1) + (w.amax(-1) - w.mean(-1)).detach()",
    ),
    "the global mean leaves rows apart": ("x.mean((2, 3))", "x.mean(3)"),
    "tested on digits it was trained on": ("order[:TRAIN], order[TRAIN:]", "order[:TRAIN], order[:TRAIN]"),
    "the controls' kernels are not trained": (
        "self.conv(x).relu()",
        "(self.conv(x).relu() if self.pool in ('maximum', 'mean') else self.conv(x).relu().detach())",
    ),
    "the controls are hardly trained": (
        "optimizers[name].step()",
        "optimizers[name].step() if name in ('maximum', 'mean') else None",
    ),
}

FULL = {"the controls are hardly trained"}
