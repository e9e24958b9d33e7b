"""What the claims of GPTQ must not forgive."""

MUTANTS = {
    "the factor is that of the Hessian": (
        "torch.linalg.cholesky(torch.linalg.inv(h), upper=True)",
        "torch.linalg.cholesky(h, upper=True)",
    ),
    "the factor is the lower one": (
        "torch.linalg.cholesky(torch.linalg.inv(h), upper=True)",
        "torch.linalg.cholesky(torch.linalg.inv(h)).mT.flip(0, 1)",
    ),
    "the inverse is never reduced to the later columns": (
        "torch.linalg.cholesky(torch.linalg.inv(h), upper=True)  # H^-1 = U^T U",
        "torch.linalg.inv(h)",
    ),
    "the error is not divided": (
        "- rounded) / factor[i, i]",
        "- rounded) / 1",
    ),
    "the shift has the wrong sign": (
        "w[:, i + 1 :] -= error",
        "w[:, i + 1 :] += error",
    ),
    "the next column is not shifted": (
        "w[:, i + 1 :] -= error * factor[i, i + 1 :]",
        "w[:, i + 2 :] -= error * factor[i, i + 2 :]",
    ),
    "all columns are rounded as they were at first": (
        "rounded = nearest(w[:, i : i + 1], scale, bits)\n        error = (w",
        "first = first if i else w.clone()\n        rounded = nearest(first[:, i : i + 1], scale, bits)\n"
        "        error = (w",
    ),
    "the last level is missing": (
        "top = 2 ** (bits - 1) - 1",
        "top = 2 ** (bits - 1) - 2 + (bits < 3)",
    ),
    "levels are cut off, not rounded": (
        "return (w / scale).round().clamp",
        "return (w / scale).trunc().clamp",
    ),
    "the test images calibrate": (
        "pixels.cpu().double().split(TRAIN)[:2]",
        "(pixels.cpu().double()[400:], pixels.cpu().double()[TRAIN:])",
    ),
    "the control gets the smallest scale": (
        "[best, torch.arange(len(w))]",
        "[best * (method is gptq), torch.arange(len(w))]",
    ),
    "the control rounds half of the way": (
        "torch.cat([nearest(w[:, :columns], scale, bits),",
        "torch.cat([(w[:, :columns] + nearest(w[:, :columns], scale, bits)) / 2,",
    ),
    "only the first half of the columns is made up for": (
        "w[:, i + 1 :] -= error",
        "w[:, i + 1 :] -= (2 * i < w.shape[1]) * error",
    ),
    "only half of the error is made up for": (
        "w[:, i + 1 :] -= error",
        "w[:, i + 1 :] -= 0.5 * error",
    ),
    "the damping is twice as large in the shifts": (
        "torch.linalg.inv(h), upper",
        "torch.linalg.inv(h + DAMP * h.diagonal().mean() * torch.eye(len(h), dtype=h.dtype)), upper",
    ),
    "calibrated on noise": (
        "    h = x.mT @ x / len(x)",
        "    h = torch.eye(x.shape[1], dtype=x.dtype)",
    ),
    "descent never leaves the nearest levels": (
        "for i in [*range(w.shape[1])] * sweeps:",
        "for i in range(0):",
    ),
    "descent climbs": (
        "q[:, [i]] - (q - w)",
        "q[:, [i]] + (q - w)",
    ),
    "the best of all roundings may not be 0": (
        "torch.tensor([-1.0, 0.0, 1.0], dtype=w.dtype)",
        "torch.tensor([-1.0, 1.0, 1.0], dtype=w.dtype)",
    ),
}
FULL = {
    "descent climbs",
    "descent never leaves the nearest levels",
    "levels are cut off, not rounded",
    "the best of all roundings may not be 0",
    "the control gets the smallest scale",
    "the last level is missing",
}
