"""What the claims of DenseNet must not forgive."""

MUTANTS = {
    "nothing bends": ("self.conv(self.norm(x).relu())", "self.conv(self.norm(x))"),
    "it normalizes after it bends": ("self.conv(self.norm(x).relu())", "self.conv(self.norm(x.relu()))"),
    "new maps pass no gradient": ("torch.cat([x, layer(x)], 1)", "torch.cat([x, layer(x).detach()], 1)"),
    "old maps pass no gradient": ("torch.cat([x, layer(x)], 1)", "torch.cat([x.detach(), layer(x)], 1)"),
    "new maps stand in front": ("torch.cat([x, layer(x)], 1)", "torch.cat([layer(x), x], 1)"),
    "maps are squashed on the way": ("torch.cat([x, layer(x)], 1)", "torch.cat([x.tanh(), layer(x)], 1)"),
    "the classifier reads the largest": (
        "return self.out(self.norm(x).relu().mean((2, 3)))\n\n\n# %% its control",
        "return self.out(self.norm(x).relu().amax((2, 3)))\n\n\n# %% its control",
    ),
    "test digits are trained on": (
        "known, fresh = order[:TRAIN], order[TRAIN:]",
        "known, fresh = order[:TRAIN], order",
    ),
    "the chain is narrower": ("Chain(LAYERS, 14)", "Chain(LAYERS, 13)"),
    "the chain hardly learns": ('"chain": 5e-3,', '"chain": 1e-5,'),
}
FULL = {"the chain hardly learns"}
