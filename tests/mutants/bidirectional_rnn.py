"""What the claims of the bidirectional RNN must not forgive."""

MUTANTS = {
    "the states read backwards stay reversed": ("self.back(x.flip(1))[0].flip(1)", "self.back(x.flip(1))[0]"),
    "both nets read forwards": ("self.back(x.flip(1))[0].flip(1)", "self.back(x)[0]"),
    "one net reads both ways": ("self.back(x.flip(1))[0].flip(1)", "self.ahead(x.flip(1))[0].flip(1)"),
    "the sequences are reversed, not their steps": ("self.back(x.flip(1))", "self.back(x.flip(0))"),
    "the backward half gets no gradient": ("torch.cat([before, after], -1)", "torch.cat([before, after.detach()], -1)"),
    "the halves change places": ("torch.cat([before, after], -1)", "torch.cat([after, before], -1)"),
    "the forward half knows the end": (
        "before = self.ahead(x)[0]",
        "before = self.ahead(x)[0] + x[:, -1:, :1]",
    ),
    "the labels need no future": ("x.gather(1, after) - 3", "x.gather(1, before) - 3"),
}

FULL = {"the labels need no future"}
