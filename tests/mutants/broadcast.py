"""What the claims of broadcasting must not forgive."""

MUTANTS = {
    "a repeated axis is read at its end": ("tuple(0 if n == 1 else i for", "tuple(-1 if n == 1 else max(i - 1, 0) for"),
    "places are read from the end": ("tuple(0 if n == 1 else i for", "tuple(0 if n == 1 else n - 1 - i for"),
    "only the table's first column gets a gradient": (
        "return (targets - outputs).square().mean()",
        "return (targets - torch.cat([outputs[:1], outputs[1:].detach()])).square().mean()",
    ),
    "the gradients of the copies are not added up": ("to_a[source(p, a)] += g[p]", "to_a[source(p, a)] = g[p]"),
    "what is taken away gets the same sign": ("to_b[source(p, b)] -= g[p]", "to_b[source(p, b)] += g[p]"),
    "the outputs get half a gradient": (
        "return (targets - outputs).square().mean()",
        "return ((targets - outputs) * (targets - outputs).detach()).mean()",
    ),
    "the loss is a sum": ("return (targets - outputs).square().mean()", "return (targets - outputs).square().sum()"),
    "the loss is flattened, and right": (
        "return (targets - outputs).square().mean()",
        "return (targets.flatten() - outputs.flatten()).square().mean()",
    ),
    "the control is mistaken too": ("strict=True))\n    adam", 'strict=True)) | {"same shapes": y[:, 0]}\n    adam'),
    "the mistaken network sees the right shapes": ("zip(nets, (y, y[:, 0]), strict", "zip(nets, (y, y), strict"),
    "the spread of the targets is left out": ("y.var(correction=0) + (f", "0 * y.var() + (f"),
    "all shapes fit": ("if any(m != n and 1 not in (m, n) for", "if any(m != n and 1 not in (m, n) and False for"),
    "a longer axis fits a shorter": ("if any(m != n and 1 not in (m, n) for", "if any(m < n and 1 not in (m, n) for"),
    "the first length counts": ("tuple(n if m == 1 else m for", "tuple(m for"),
    "the control lines up from the right": ("    return shape and shape[::-1]", "    return together(a, b)"),
    "F.mse_loss is given equal shapes": ("heard(F.mse_loss, flat, given)", "heard(F.mse_loss, flat[:, None], given)"),
    "axes are lined up from the left": ("place[len(place) - len(shape) :]", "place[: len(shape)]"),
    "the loss always learns the mean": (
        "return (targets - outputs).square().mean()",
        "return (targets.mean() - outputs).square().mean() + targets.var(correction=0)",
    ),
    "the mistaken targets are their mean": ("(y, y[:, 0]), strict", "(y, y.mean().expand(N)), strict"),
    "what is taken away gets no gradient": ("to_b[source(p, b)] -= g[p]", "to_b[source(p, b)] -= 0 * g[p]"),
    "there are few points to learn": ("points(N, data))", "points(20, data))"),
    "the sine is another": ("sine = MEAN + (2 * grid).sin()", "sine = MEAN + (3 * grid).sin()"),
    "the targets have mean 0": ("return x, MEAN + (2", "return x, 0 * MEAN + (2"),
    "the mistaken network never trains": ("sum(losses.values()).backward()", 'losses["same shapes"].backward()'),
    "the loss falls for lack of a rate": ("RATE * (1 - step / steps)", "RATE / 100"),
}
FULL = {
    "the control is mistaken too",
    "the loss falls for lack of a rate",
    "the mistaken network never trains",
    "the sine is another",
    "the targets have mean 0",
    "there are few points to learn",
}
