"""What the claims of forward and backward propagation must not forgive."""

MUTANTS = {
    "a layer forgets its bias": ("(layers[-1] @ weight + bias).tanh()", "(layers[-1] @ weight).tanh()"),
    "the slope of tanh is 1 - tanh": ("delta * (1 - below**2) if", "delta * (1 - below) if"),
    "nothing is carried below the last layer": ("delta = delta @ weight.T", "delta = 0 * delta @ weight.T"),
    "the gradient of a bias is a mean": ("delta.sum(0))  # dL/db", "delta.mean(0))  # dL/db"),
    "the labels are not subtracted": (
        "delta = (layers[-1].softmax(1) - F.one_hot",
        "delta = (layers[-1].softmax(1) - 0 * F.one_hot",
    ),
    "the tape keeps one path": ("accumulate * parent.grad + carry", "0 * parent.grad + carry"),
    "a product on the tape passes nothing to its left": ("(self, lambda g: g @ b.T)", "(self, lambda g: 0 * g @ b.T)"),
    "the tape's tanh has the slope 1": ("lambda g: g * (1 - out**2)", "lambda g: g"),
    "the test is trained on": ("slice(TRAIN), slice(TRAIN, None)", "slice(None), slice(TRAIN, None)"),
    "the test is the training set": ("accuracy(net, x_test, y_test, known=x)", "accuracy(net, x, y, known=x)"),
    "the loss ignores what comes down to it": ("lambda g: g * error", "lambda g: error"),
    "a node used twice is walked twice": ("if node not in order:", "if True:"),
}
FULL = {"the test is the training set", "the test is trained on"}
