"""What the claims of the convolutional layer must not forgive."""

MUTANTS = {
    "the size forgets a step": ("// s + 1  # n_out", "// s  # n_out"),
    "the rows are taken without dilation": ("x[:, :, d * u :: s, d * v :: s]", "x[:, :, u :: s, d * v :: s]"),
    "the loops flip the kernel": ("under, w[:, :, u, v])", "under, w[:, :, k - 1 - u, k - 1 - v])"),
    "the bias is added for every weight": ("y = y + torch.einsum", "y = y + b[:, None, None] + torch.einsum"),
    "the loops pass the kernel no gradient": ("under, w[:, :, u, v])", "under, w[:, :, u, v].detach())"),
    "patches pass no gradient": ("rows = patches.permute", "rows = patches.detach().permute"),
    "rows and columns of a patch are confused": ("(0, 2, 3, 1, 4, 5)", "(0, 2, 3, 1, 5, 4)"),
    "the transform is not conjugate": ("torch.fft.rfft2(spread, size).conj()", "torch.fft.rfft2(spread, size)"),
    "the border wraps around": ("[n + reach for n in x.shape[2:]]", "[n - 1 for n in x.shape[2:]]"),
    "the field grows without the steps before": ("seen + d * (k - 1) * step", "seen + d * (k - 1)"),
    "tested on digits it was trained on": ("digits[order[TRAIN:]]", "digits[order[: len(order) - TRAIN]]"),
    "the control learns other maps": ("ridge(whole, y.cpu()", "ridge(whole, 9 * y.cpu()"),
}

FULL = {"the control learns other maps"}
