"""What the claims of state-space models must not forgive."""

MUTANTS = {
    "a round of the scan forgets the product": (
        "a = a * F.pad(a, before, value=1.0)[:, :-back]",
        "a = a * a",
    ),
    "the past passes no gradient": ("b = b + a * F.pad(b, before)", "b = b + a * F.pad(b.detach(), before)"),
    "the decay gets no gradient": (
        "a = (-step[..., None] * self.rates.exp()).exp()",
        "a = (-step[..., None] * self.rates.exp()).exp().detach()",
    ),
    "the input is not scaled by the step": ("(step * x)[..., None] * b, c", "x[..., None] * b, c"),
    "the step may be negative": (
        "return F.softplus(self.delta(x) + self.bias),",
        "return self.delta(x) + self.bias,",
    ),
    "the step does not depend on the token": ("F.softplus(self.delta(x) + self.bias)", "F.softplus(self.bias + 0 * x)"),
    "the output weights do not depend on the token": (
        "self.b(x)[..., None, :], self.c(x)[..., None, :]",
        "self.b(x)[..., None, :], self.c(0 * x + 1)[..., None, :]",
    ),
    "nothing skips the state": ("(scan(a, b) * c).sum(-1) + self.skip * x", "(scan(a, b) * c).sum(-1)"),
    "the matrix is read by the key": ("(q[..., None, :] @ scan(", "(k[..., None, :] @ scan("),
    "the matrix decays by value": ("scan(decay[..., None].expand_as", "scan(decay[..., None, :1].expand_as"),
    "the loop keeps all that came": (
        "held = max(held, sum(t[0].numel() for t in (h, a_t, b_t)))",
        "held += sum(t[0].numel() for t in (h, a_t, b_t))",
    ),
    "the answer stands in the input": (
        "return torch.stack([values, marks.float()], -1), (since @ values[..., None])[..., 0]",
        "y = (since @ values[..., None])[..., 0]\n    return torch.stack([y, marks.float()], -1), y",
    ),
    "the rival is not trained": (
        "FIXED_RATE, MARKED = 32, 16, 4, 32, 8e-2, 5e-2, 0.08",
        "FIXED_RATE, MARKED = 32, 16, 4, 32, 8e-2, 0.0, 0.08",
    ),
}
FULL = {"the step does not depend on the token", "the answer stands in the input", "the rival is not trained"}
