"""What the claims of gradient accumulation must not forgive."""

MUTANTS = {
    "each part is divided by its own tokens": (
        "total, loss = (y >= 0).sum(), 0.0\n    for part in range(0, len(x), micro):",
        "loss = 0.0\n    for part in range(0, len(x), micro):\n        total = (y[part : "
        "part + micro] >= 0).sum() * len(x) / micro",
    ),
    "the sum is not divided": (
        'ignore_index=-1, reduction="sum") / total',
        'ignore_index=-1, reduction="sum")',
    ),
    "padding counts as tokens": (
        "total, loss = (y >= 0).sum(), 0.0",
        "total, loss = y.numel(), 0.0",
    ),
    "padding has a class": (
        'F.cross_entropy(net(x).flatten(0, 1), y.flatten(), ignore_index=-1, reduction="sum") / total',
        'F.cross_entropy(net(x).flatten(0, 1), y.flatten().clamp(min=0), reduction="sum") / total',
    ),
    "only the last part counts": (
        "        share.backward()",
        "        net.zero_grad()\n        share.backward()",
    ),
    "the last, smaller part is left out": (
        "for part in range(0, len(x), micro):\n        share",
        "for part in range(0, len(x) - micro + 1, micro):\n        share",
    ),
    "half of the batch gets no gradient": (
        "share.backward()",
        "(share if part < len(x) // 2 else share.detach() + 0 * share).backward()",
    ),
    "all parts wait for one backward pass": (
        "        share.backward()  # adds to .grad, and frees what this part kept\n       "
        " loss += share.item()\n    return loss",
        "        loss += share\n    loss.backward()\n    return loss.item()",
    ),
    "the gradient is not forgotten": (
        "v.mul_(MOMENTUM).add_(w.grad)\n            w -= RATE * v\n            w.grad = None",
        "v.mul_(MOMENTUM).add_(w.grad)\n            w -= RATE * v",
    ),
    "the mean of means is scaled as well": (
        "(mean / (len(x) // micro)).backward()",
        "(50 * mean / (len(x) // micro)).backward()",
    ),
    "the whole batch keeps its logits twice": (
        "    loss = F.cross_entropy(net(x).flatten(0, 1), y.flatten(), ignore_index=-1)\n    loss.backward()",
        "    loss = F.cross_entropy(net(x).sin().asin().flatten(0, 1), y.flatten(), "
        "ignore_index=-1)\n    loss.backward()",
    ),
}
FULL = {
    "the gradient is not forgotten",
    "the mean of means is scaled as well",
    "the whole batch keeps its logits twice",
}
