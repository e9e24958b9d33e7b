"""What the claims on loss functions must not forgive."""

MUTANTS = {
    "the normalizer passes no gradient": (
        "logits.logsumexp(-1, keepdim=True)",
        "logits.logsumexp(-1, keepdim=True).detach()",
    ),
    "the exponentials overflow": ("logits.logsumexp(-1, keepdim=True)", "logits.exp().sum(-1, keepdim=True).log()"),
    "the loss adds over the batch": (".sum(-1).mean(-1)", ".sum(-1).sum(-1)"),
    "squared error of logits": ("((logits.softmax(-1) - F", "((logits - F"),
    "the probabilities are to the third": (") ** 2).mean((-1, -2))", ").abs() ** 3).mean((-1, -2))"),
    "far points pull no more than 1": (
        "return (centre - points).abs().mean()",
        "return F.huber_loss(centre.expand_as(points), points)",
    ),
    "the square is missing": ("return ((centre - points) ** 2).mean()", "return (centre - points).mean()"),
    "it tests on training images": (
        "y_test) = (t.to(device).split(sizes)",
        "y_test) = (torch.cat([t[:TRAIN + VALID], t[: sizes[2]]]).to(device).split(sizes)",
    ),
    "classes are rotated": (
        "return -(log_p * F.one_hot(y, CLASSES)).sum",
        "return -(log_p * F.one_hot(y, CLASSES).roll(1, -1)).sum",
    ),
    "the rate is chosen on the test images": (
        "accuracies(weight, x_valid, y_valid)",
        "accuracies(weight, x_test, y_test)",
    ),
    "the training images are scored": ("score(weight, x_test, y_test, used)", "score(weight, x, y, used)"),
}
FULL = {"the rate is chosen on the test images", "the training images are scored"}
