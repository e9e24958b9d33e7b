"""What the claims on second-order optimization must not forgive."""

MUTANTS = {
    "the Hessian is the identity": ("return torch.autograd.grad(first @ v, w)[0]", "return v"),
    "a share of the curvature has no gradient": ("L2 * w @ w / 2", "L2 * (w @ w + w @ w.detach()) / 4"),
    "half a Newton step": (
        "w.detach() - torch.linalg.solve(hessian, g)",
        "w.detach() - torch.linalg.solve(hessian, g) / 2",
    ),
    "only the diagonal of the Hessian": (
        "torch.linalg.solve(hessian, g)  # w",
        "torch.linalg.solve(hessian.diag().diag(), g)  # w",
    ),
    "the labels of the Fisher matrix are even": ("(ones.T * p @ ones +", "(ones.T * 0.5 @ ones +"),
    "label 0 counts for nothing": (" + zeros.T * (1 - p) @ zeros) / len(x)", ") / len(x)"),
    "the natural gradient is the gradient": ("torch.linalg.solve(fisher(w, x), x.T @", "(x.T @"),
    "K-FAC forgets the inputs": (
        "torch.linalg.solve(inner, torch.linalg.solve(outer, g).mT).mT",
        "torch.linalg.solve(outer, g)",
    ),
    "K-FAC splits the damping evenly": ("share = (each[1] / each[0]).sqrt()", "share = (each[1] / each[1]).sqrt()"),
    "no slope on the way back": ("back @ weights[i] * slope, drawn", "back @ weights[i], drawn"),
    "no slope for the noise": ("drawn @ weights[i] * slope", "drawn @ weights[i]"),
    "the noise is the error": (
        "drawn, found, sent = 2 * apart / x.square().mean() / x.numel(), noise.expand_as(apart)",
        "drawn, found, sent = 2 * apart / x.square().mean() / x.numel(), apart",
    ),
    "L-BFGS remembers two steps": ('"maxcor": 30', '"maxcor": 2'),
    "the rivals hardly move": ("around = torch.logspace(-1, 1, 9)", "around = torch.logspace(-9, -8, 9)"),
}
FULL = {"the rivals hardly move"}
