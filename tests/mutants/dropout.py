"""What the claims of dropout must not forgive."""

MUTANTS = {
    "no gradient passes": ("return x * keep / (1 - self.p)", "return x.detach() * keep / (1 - self.p)"),
    "what stays is not scaled": ("return x * keep / (1 - self.p)", "return x * keep"),
    "p is the share that stays": ("bernoulli_(1 - self.p,", "bernoulli_(self.p,"),
    "units are off in use too": ("if not self.training:", "if False:"),
    "nothing is switched off": ("return self.thin(x, keep.to(x))", "return x"),
    "noise instead of switches": (".bernoulli_(1 - self.p,", ".uniform_(0, 2 * (1 - self.p),"),
    "one mask for all examples": ("torch.empty(x.shape)", "torch.empty(x.shape[1:])"),
    "the test holds the training images": (
        "x, x_test, y, noisy_test, y_test = x[:TRAIN], x[TRAIN:]",
        "x, x_test, y, noisy_test, y_test = x[:TRAIN], x[: -TRAIN]",
    ),
    "the labels to train on are right": ("noisy[:TRAIN], noisy[TRAIN:]", "clean[:TRAIN], noisy[TRAIN:]"),
    "dropout alone learns from right labels": (
        "learn(net, optimizers[name], x, y) for",
        'learn(net, optimizers[name], x, y if name == "plain" else clean[:TRAIN]) for',
    ),
}
