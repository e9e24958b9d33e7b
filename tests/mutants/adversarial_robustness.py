"""What the claims on attacks and the training against them must not forgive."""

MUTANTS = {
    "PGD takes one step": ("for _ in range(steps):\n        moved", "for _ in range(1):\n        moved"),
    "PGD takes one large step": (
        "    moved = (x + box * start).clamp(0, 1)",
        "    moved, steps = (x + box * start).clamp(0, 1), 1",
    ),
    "the gradient is that of the clean image": ("gradient_sign(net, moved, y)", "gradient_sign(net, x, y)"),
    "the box is not kept": ("torch.minimum(torch.maximum(moved, x - box), x + box).clamp(0, 1)", "moved.clamp(0, 1)"),
    "pixels leave 0 to 1": ("x - box), x + box).clamp(0, 1)", "x - box), x + box)"),
    "the attack goes down the loss": ("moved + 2.5 * box / steps", "moved - 2.5 * box / steps"),
    "FGSM takes the gradient without its sign": ("x)[0].sign()", "x)[0]"),
    "FGSM takes half of the box": ("(x + box * gradient_sign", "(x + box / 2 * gradient_sign"),
    "the network hides its gradient": (
        "F.cross_entropy(net(x), y), x)[0]",
        "F.cross_entropy(net(x.detach()) + 0 * x.sum(), y), x)[0]",
    ),
    "adversarial training sees clean images": ('if name == "hardened" else', 'if name == "softened" else'),
    "adversarial training sees random noise": (
        "pgd(net, x[some], y[some], random, TRAINING_STEPS)",
        "(x[some] + BOX * random).clamp(0, 1)",
    ),
    "tested on the training digits": (
        "pixels[:TRAIN], pixels[TRAIN:]), (names[:TRAIN], names[TRAIN:])",
        "pixels[:TRAIN], pixels[:TRAIN]), (names[:TRAIN], names[:TRAIN])",
    ),
    "the hardened network meets what was made for the other": ("(hardened, pgd, x_test", "(normal, pgd, x_test"),
    "the noise of the control is the mildest": (
        "moved = torch.where((loss > worst)[:, None]",
        "moved = torch.where((loss < worst)[:, None]",
    ),
}
FULL = {
    "adversarial training sees clean images",
    "adversarial training sees random noise",
    "the hardened network meets what was made for the other",
    "the noise of the control is the mildest",
}
