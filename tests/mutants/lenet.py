"""What the claims of LeNet must not forgive."""

MUTANTS = {
    "the squash is a plain tanh": ("return 1.7159 * (2 / 3 * x).tanh()", "return x.tanh()"),
    "means are sums": (".mean((3, 5)) + self.bias", ".sum((3, 5)) + self.bias"),
    "the bias of a mean gets no gradient": (".mean((3, 5)) + self.bias", ".mean((3, 5)) + self.bias.detach()"),
    "six maps see two in a row": ("for k in range(3)} for m in range(6)]", "for k in range(2)} for m in range(6)]"),
    "a gap in the wrong place": ("for k in (0, 1, 3, 4)", "for k in (0, 1, 2, 4)"),
    "the last map sees five": ("[set(range(6))]  # two", "[set(range(5))]  # two"),
    "the kernels of C3 get no gradient": (
        "self.where.to(x.device)), self.kernels)",
        "self.where.to(x.device)), self.kernels.detach())",
    ),
    "the answer is an inner product": ("- self.codes).square().sum(-1)", "* self.codes).sum(-1)"),
    "C5 passes no gradient": ("self.c5(h)", "self.c5(h.detach())"),
    "the strip is centred as a whole": ("squash(self.c1(x))", "squash(self.c1(x - x.mean((2, 3), keepdim=True)))"),
    "no step is taken": ("        optimizer.step()", "        optimizer.zero_grad()"),
    "C5 is not squashed": ("squash(self.f6(squash(self.c5(h))))", "squash(self.f6(self.c5(h)))"),
}
FULL = {"no step is taken"}
