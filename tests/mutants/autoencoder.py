"""What the autoencoder's claims must not forgive."""

MUTANTS = {
    "the encoder is linear": ("x = layer(x).relu()", "x = layer(x)"),
    "the decoder is linear": ("z = layer(z).relu()", "z = layer(z)"),
    "the code is cut off below zero": ("return self.encoder[-1](x)", "return self.encoder[-1](x).relu()"),
    "the encoder gets no gradient": ("self.decode(self.encode(x)) - x)", "self.decode(self.encode(x).detach()) - x)"),
    "the error is a mean over pixels": (
        "self.encode(x)) - x) ** 2).sum(1).mean()",
        "self.encode(x)) - x) ** 2).mean()",
    ),
    "digits vote for themselves": ("((codes, labels, test_codes), (", "((test_codes, true, test_codes), ("),
    "trained on what is held out": ("return x[:TRAIN] - mean, labels[:TRAIN],", "return x - mean, labels,"),
    "the deep net trains on what is held out": (
        "loss_of(net, x) for",
        'loss_of(net, torch.cat([x, test]) if name == "deep" else x) for',
    ),
}
