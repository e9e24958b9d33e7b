"""What the claims of the multilayer perceptron must not forgive."""

MUTANTS = {
    "a layer forgets its bias": ("x = x @ weight + bias", "x = x @ weight + 0 * bias"),
    "the last layer is bent, too": ("if self.nonlinear and layer < last:", "if self.nonlinear:"),
    "no layer is bent": ("if self.nonlinear and layer < last:", "if False and layer < last:"),
    "tanh passes the gradient of the identity": ("x = x.tanh()", "x = x + (x.tanh() - x).detach()"),
    "the first layer gets no gradient": ("x = x.tanh()", "x = x.detach().tanh() + 0 * x"),
    "the perceptron turns away": ("w = w + signs[pick] * x[pick]", "w = w - signs[pick] * x[pick]"),
    "the perceptron never updates": ("w = w + signs[pick] * x[pick]", "w = w + 0 * x[pick]"),
    "the perceptron has no bias": ("torch.ones(len(x), 1)], 1), 0.0", "torch.zeros(len(x), 1)], 1), 0.0"),
    "it is tested on its training points": (
        "spirals(POINTS, data), spirals(TEST, unseen)",
        "(known := spirals(POINTS, data)), known",
    ),
    "the training points are scored": ('accuracy("MLP", x_test, y_test)', 'accuracy("MLP", x, y)'),
    "the perceptron is judged by its last pass, not its best": (
        "best = max(best, right.float().mean().item())",
        "best = right.float().mean().item()",
    ),
}
FULL = {"the perceptron is judged by its last pass, not its best", "the training points are scored"}
