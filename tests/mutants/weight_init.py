"""What the claims of weight initialization must not forgive."""

MUTANTS = {
    "He's variance is 1 / n": ("math.sqrt(2 / fan_in)  # var", "math.sqrt(1 / fan_in)  # var"),
    "He's rule counts the outputs": ("math.sqrt(2 / fan_in)  # var", "math.sqrt(2 / fan_out)  # var"),
    "the root is forgotten": ("math.sqrt(2 / fan_in)  # var", "2 / fan_in  # var"),
    "Xavier's rule counts the inputs only": ("math.sqrt(2 / (fan_in + fan_out))", "math.sqrt(1 / fan_in)"),
    "an even spread is as wide as its deviation": ("math.sqrt(3) * std", "std"),
    "even weights are positive": ("generator=generator).T - 1)", "generator=generator).T)"),
    "a layer forgets its bias": ("x = x @ weight + bias", "x = x @ weight + 0 * bias"),
    "no layer is bent": ("x if depth == len(weights) else x.relu()", "x"),
    "the last layer is bent, too": ("x if depth == len(weights) else x.relu()", "x.relu()"),
    "a layer's weights get no gradient": (
        "x = x @ weight + bias",
        "x = x @ (weight.detach() if depth == 9 else weight) + bias",
    ),
    "biases get no gradient": ("x = x @ weight + bias", "x = x @ weight + bias.detach()"),
    "tested on digits it was trained on": ("pixels[order[TRAIN:]]", "pixels[order[: len(order) - TRAIN]]"),
    "the control's weights are He's": ('"Xavier": xavier,', '"Xavier": he,'),
}
