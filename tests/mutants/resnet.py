"""What the claims of ResNet must not forgive."""

MUTANTS = {
    "the shortcut passes no gradient": (
        "return (x + self.branch(x)).relu()",
        "return (x.detach() + self.branch(x)).relu()",
    ),
    "the branch passes no gradient": (
        "return (x + self.branch(x)).relu()",
        "return (x + self.branch(x.detach())).relu()",
    ),
    "there is no shortcut": ("return (x + self.branch(x)).relu()", "return (0 * x + self.branch(x)).relu()"),
    "the branch is weighted": ("return (x + self.branch(x)).relu()", "return (x + 0.5 * self.branch(x)).relu()"),
    "only the branch is rectified": ("return (x + self.branch(x)).relu()", "return x + self.branch(x).relu()"),
    "the shortcut skips a ReLU only": ("return (x + self.branch(x)).relu()", "return x.relu() + self.branch(x)"),
    "the test holds the training images": (
        "x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]",
        "x[:TRAIN], y[:TRAIN], x[:TRAIN], y[:TRAIN]",
    ),
    "it trains on the test images too": (
        "x, y, x_test, y_test = x[:TRAIN], y[:TRAIN], x[TRAIN:]",
        "x, y, x_test, y_test = x, y, x[TRAIN:]",
    ),
    "the training images are scored": ("accuracy(net, x_test, y_test, known=x)", "accuracy(net, x, y, known=x)"),
}
FULL = {"the training images are scored"}
