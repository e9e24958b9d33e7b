"""What the claims of LoRA must not forgive."""

MUTANTS = {
    "the weights are not frozen": ("base.requires_grad_(False), ALPHA", "base, ALPHA"),
    "B does not begin at zero": ("torch.zeros(base.out_features, rank)", "torch.ones(base.out_features, rank)"),
    "A begins at zero as well": (
        "torch.randn(rank, base.in_features) / math.sqrt(base.in_features)",
        "torch.zeros(rank, base.in_features)",
    ),
    "the product is not scaled": ("self.base(x) + self.scale * (x", "self.base(x) + (x"),
    "it is merged without its scale": ("+= self.scale * self.b.detach()", "+= self.b.detach()"),
    "what is merged is lost": ("layer.weight.data += self.scale", "layer.weight.data += 0 * self.scale"),
    "A gets no gradient": ("(x @ self.a.T @ self.b.T)", "(x @ self.a.T.detach() @ self.b.T)"),
    "the input gets no gradient from the adapter": ("(x @ self.a.T @ self.b.T)", "(x.detach() @ self.a.T @ self.b.T)"),
    "an adapter stands in place of the weights": ("return self.base(x) + self", "return 0 * self.base(x) + self"),
    "test rows are training rows": (
        "for n, g in ((EXAMPLES, data), (2000, unseen))",
        "for n, g in ((EXAMPLES, torch.Generator().manual_seed(1)), (EXAMPLES, torch.Generator().manual_seed(1)))",
    ),
    "fine-tuning all weights has a hundredth of its rate": ('"all weights": 1e-3,', '"all weights": 1e-5,'),
}

FULL = {"test rows are training rows", "fine-tuning all weights has a hundredth of its rate"}
