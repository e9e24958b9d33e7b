"""What the claims of mixed precision must not forgive."""

MUTANTS = {
    "the loss is not scaled": ("torch.autograd.grad(loss * self.scale, low", "torch.autograd.grad(loss, low"),
    "gradients are not scaled back": ("[g.float() / self.scale for g in found]", "[g.float() for g in found]"),
    "weights stay in single precision": (
        "low = [w.to(self.dtype).requires_grad_()",
        "low = [w.clone().requires_grad_()",
    ),
    "a hidden layer passes no gradient": ("weights[i + 1]).tanh()", "weights[i + 1]).tanh().detach()"),
    "an overflow makes a step too": ("if all(g.isfinite().all() for g in gradients):", "if True:"),
    "the scale is not halved": ("self.scale / 2, 0, self.skipped", "self.scale, 0, self.skipped"),
    "the scale never grows": ("self.scale *= 2", "self.scale *= 1"),
    "the scale grows with every step": ("self.good % PATIENCE == 0", "self.good > 0"),
    "metres in half precision": (
        "return METRE * F.linear(h, weights[4], weights[5])[:, 0].float()",
        "return (METRE * F.linear(h, weights[4], weights[5]))[:, 0].float()",
    ),
    "the test rows are training rows": ("x_test, y_test = displacements(1000, mix, unseen)", "x_test, y_test = x, y"),
}
