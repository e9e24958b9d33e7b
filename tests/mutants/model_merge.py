"""What the claims of model merging must not forgive."""

MUTANTS = {
    "the sum is not halved": ("p.mul_(1 - share).add_(share * q)", "p.add_(share * q)"),
    "the first net alone is kept": ("p.mul_(1 - share).add_(share * q)", "p.mul_(1 - share).add_(share * p)"),
    "biases are not merged": ("p.mul_(1 - share).add_(share * q)", "p.mul_(1 - share).add_(share * q * (q.dim() > 1))"),
    "the next layer keeps its columns": (
        "out.weight.copy_(out.weight[:, order])",
        "out.weight.copy_(out.weight)",
    ),
    "biases keep their places": ("into.bias.copy_(into.bias[order])", "into.bias.copy_(into.bias)"),
    "columns go where rows come from": (
        "out.weight.copy_(out.weight[:, order])",
        "out.weight.copy_(out.weight[:, order.argsort()])",
    ),
    "units that agree least are matched": ("maximize=True", "maximize=False"),
    "the order is of the wrong net": (
        "(units[0].T @ units[1])",
        "(units[1].T @ units[0])",
    ),
    "only the first layer is matched": ("for layer in (0, 2):", "for layer in (0,):"),
    "a net is matched with itself": ("for net in (a, b))]  # (n, W)", "for net in (b, b))]  # (n, W)"),
    "the control is matched too": ('"two starts": others', '"two starts": fitted'),
    "the control has one start": ("others = odds[1:] + odds[:1]", "others = odds"),
    "the shares are swapped": ("p.mul_(1 - share).add_(share * q)", "p.mul_(share).add_((1 - share) * q)"),
    "less than half by default": ("share: float = 0.5) -> nn.Sequential", "share: float = 0.3) -> nn.Sequential"),
    "the second layer is matched by the first": ("net[: layer + 2](x) for net", "net[:2](x) for net"),
    "b keeps its first layer's order": ("b = reordered(b, layer,", "b = reordered(copy.deepcopy(a), layer,"),
    "the start learns many images": ("[:FIRST, 0] for", "[:60, 0] for"),
    "the start does not learn": ("half, START_RATE, batches", "half, 0.0, batches"),
    "the parts do not learn": ("half, RATE, batches", "half, 0.0, batches"),
    "the vote is one net's": ("votes = sum(net(x_test).softmax(1) for net in nets)", "votes = nets[0](x_test)"),
    "units are matched on few images": ("matched(a, b, x) for", "matched(a, b, x[:3]) for"),
    "the test is of even digits": (
        "x[TRAIN:], y[TRAIN:]",
        "x[TRAIN:][y[TRAIN:] % 2 == 0], y[TRAIN:][y[TRAIN:] % 2 == 0]",
    ),
    "the parts learn all digits": (
        "for rows in [~odd] * STARTS + [odd] * STARTS]",
        "for rows in [odd | ~odd] * 2 * STARTS]",
    ),
    "the second copy starts elsewhere": (
        "for net in starts * 2]",
        "for net in starts + starts[::-1]]",
    ),
    "the test holds the training images": (
        "x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]",
        "x[:TRAIN], y[:TRAIN], x[:TRAIN], y[:TRAIN]",
    ),
}
FULL = {
    "b keeps its first layer's order",
    "the start learns many images",
    "units are matched on few images",
    "the control is matched too",
    "the start does not learn",
    "the second copy starts elsewhere",
    "the control has one start",
    "the parts learn all digits",
    "the test is of even digits",
    "the vote is one net's",
}
