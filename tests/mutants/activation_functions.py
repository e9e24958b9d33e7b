"""What the claims of the activation functions must not forgive."""

MUTANTS = {
    "the sigmoid takes x for -x": ("return 1 / (1 + (-x).exp())", "return 1 / (1 + x.exp())"),
    "tanh is too flat": ("(2 * x).exp() + 1", "x.exp() + 1"),
    "the leak passes no gradient": ("torch.where(x > 0, x, LEAK * x)", "torch.where(x > 0, x, LEAK * x.detach())"),
    "ReLU is the absolute value": ("return x * (x > 0)", "return x.abs()"),
    "leaky ReLU does not leak": ("torch.where(x > 0, x, LEAK * x)", "torch.where(x > 0, x, 0 * x)"),
    "the slope of the sigmoid is its value": ("sigmoid(x) * (1 - sigmoid(x)),", "sigmoid(x),"),
    "the slope of ReLU is 1 everywhere": ("(x > 0).to(x),", "torch.ones_like(x),"),
    "softmax does not sum to 1": ("e / e.sum(-1, keepdim=True)", "e / e.max(-1, keepdim=True).values"),
    "nets have no activations": ("x = self.act(x @ weight + bias)", "x = x @ weight + bias"),
    "the test is trained on": ("slice(TRAIN), slice(TRAIN, None)", "slice(None), slice(TRAIN, None)"),
    "the test is the training set": ("net.accuracy(x_test, y_test, x,", "net.accuracy(x, y, x,"),
    "softmax overflows": ("(x - x.max(-1, keepdim=True).values).exp()", "x.exp()"),
}
FULL = {"the test is the training set", "the test is trained on"}
