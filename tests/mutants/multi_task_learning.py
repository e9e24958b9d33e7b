"""What the claims of multi-task learning must not forgive."""

MUTANTS = {
    "the other tasks do not reach the shared layers": (
        "others = affine(self.trunk(x_others), self.others)",
        "others = affine(self.trunk(x_others).detach(), self.others)",
    ),
    "the main task does not reach the shared layers": (
        "main = affine(self.trunk(x), self.main)",
        "main = affine(self.trunk(x).detach(), self.main)",
    ),
    "the other tasks' loss is not counted": (
        "+ shares * others.square().mean((1, 2))",
        "+ 0 * shares * others.square().mean((1, 2))",
    ),
    "all tasks count whatever their share": ("+ shares * others", "+ 2 * others"),
    "the second layer is linear": (
        "affine(affine(x, self.first).tanh(), self.second).tanh()",
        "affine(affine(x, self.first).tanh(), self.second)",
    ),
    "a bias is left out": ("x @ w[:, :-1] + w[:, -1:]", "x @ w[:, :-1]"),
    "poses of the tasks are mixed up": ("self.trunk(x_others), self.others) - y", "self.trunk(x), self.others) - y"),
    "the answer is among the related tasks": (
        "torch.stack([out[..., -1], out[..., -2], high[..., -2]], -1)",
        "torch.stack([out[..., -1], high[..., -1], high[..., -2]], -1)",
    ),
    "the related tasks' labels are mixed up": (
        "extra[draw, others], asked[nets, others], shares",
        "extra[draw, others], asked[nets, others.flip(1)], shares",
    ),
    "unrelated tasks are of the same arm": ("extra.flip(-1) * torch.tensor([1.0, -1, 1, -1, 1])", "extra"),
}
FULL = {
    "the answer is among the related tasks",
    "the related tasks' labels are mixed up",
    "unrelated tasks are of the same arm",
}
