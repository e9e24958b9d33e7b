"""What the claims on automatic differentiation must not forgive."""

MUTANTS = {
    "only the last path counts": (
        "grads[parent] = grads[parent] + grads[node] * slope",
        "grads[parent] = grads[node] * slope",
    ),
    "the tape is walked forwards for its gradients": (
        "for node in reversed(range(len(grads))):",
        "for node in range(len(grads)):",
    ),
    "a parent alone moves its child": (
        "moves[node] = moves[node] + slope * moves[parent]",
        "moves[node] = slope * moves[parent]",
    ),
    "the factors keep their own slopes": ("lambda a, b, y: (b, a)", "lambda a, b, y: (a, b)"),
    "tanh has the slope of a sigmoid": ("(1 - y * y,)", "(y * (1 - y),)"),
    "sin has the slope of minus cos": ("(a.cos(),)", "(-a.cos(),)"),
    "asinh is not rooted": ("((1 + a * a).rsqrt(),)", "((1 + a * a).reciprocal(),)"),
    "the second summand gets no gradient": (
        "(torch.ones_like(y), torch.ones_like(y))",
        "(torch.ones_like(y), torch.zeros_like(y))",
    ),
    "a slope is taken at the parent's value": ("lambda a, y: (y,)", "lambda a, y: (a,)"),
    "a step back costs nine operations": (
        "* slope  # all paths add up\n                self.work += 1",
        "* slope  # all paths add up\n                self.work += 9",
    ),
    "the mistaken tape makes no mistake": (
        "self.parents[node] = [(parent, 1.01 * slope)",
        "self.parents[node] = [(parent, 1.0 * slope)",
    ),
    "differences are divided by half the way": (
        "slopes.append((ends[0] - ends[1]) / (2 * step))",
        "slopes.append((ends[0] - ends[1]) / step)",
    ),
}
