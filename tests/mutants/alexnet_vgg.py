"""What the claims of AlexNet and VGG must not forgive."""

MUTANTS = {
    "nothing bends between the kernels": ("x = bend(conv(x))", "x = conv(x)"),
    "the dense layer does not bend": ("h = self.bend(self.hidden(", "h = (self.hidden("),
    "pools do not overlap": (
        "x = F.max_pool2d(stack(x, self.bend), 3, 2, 1)",
        "x = F.max_pool2d(stack(x, self.bend), 2)",
    ),
    "pools take the mean": ("x = F.max_pool2d(", "x = F.avg_pool2d("),
    "what is not dropped does not grow": ("(chance >= DROP) / (1 - DROP)", "(chance >= DROP)"),
    "dropout passes no gradient": ("return x * (chance", "return x.detach() * (chance"),
    "the kernels get no gradient": ("self.features(x).flatten(1)", "self.features(x).detach().flatten(1)"),
    "test digits are trained on": (
        "known, fresh = order[:TRAIN], order[TRAIN:]",
        "known, fresh = order[:TRAIN], order",
    ),
    "no picture is shifted": ("torch.randint(PLACES, (BATCH, 2)", "torch.randint(1, (BATCH, 2)"),
    "the control sees blank paper": ("as_it_lay, right = still[picked]", "as_it_lay, right = 0 * still[picked]"),
}
FULL = {"no picture is shifted", "the control sees blank paper"}
