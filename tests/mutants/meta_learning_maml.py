"""What the claims of meta-learning must not forgive."""

MUTANTS = {
    "the step passes no gradient": ("create_graph=through)", "create_graph=False)"),
    "the step goes uphill": ("own = [w - rate * slope", "own = [w + rate * slope"),
    "the tasks share the step": (
        "slopes = torch.autograd.grad(task_losses(own, x, y).sum(), own, create_graph=through)",
        "slopes = [s.mean(0, keepdim=True).expand_as(s) for s in torch.autograd.grad("
        "task_losses(own, x, y).sum(), own, create_graph=through)]",
    ),
    "a task's step is divided by the tasks": (
        "task_losses(own, x, y).sum(), own",
        "task_losses(own, x, y).mean(), own",
    ),
    "the start gets half of its own gradient": (
        "own = [w - rate * slope",
        "own = [(w + w.detach()) / 2 - rate * slope",
    ),
    "the error is taken on the known points": (
        "return task_losses(adapt(weights, *few, INNER, 1, through), *fresh).mean()",
        "return task_losses(adapt(weights, *few, INNER, 1, through), *few).mean()",
    ),
    "the second layer is linear": ("(hidden @ w2 + b2).relu()", "(hidden @ w2 + b2)"),
    "no step is taken": (
        "adapt(weights, *few, INNER, 1, through), *fresh",
        "adapt(weights, *few, INNER, 0, through), *fresh",
    ),
    "the asked points are the known ones": (
        "few, fresh = waves(TESTS, unseen)",
        "few = fresh = waves(TESTS, unseen)[0]",
    ),
    "the process is out of tune": ("(1.0, 1.25, 1.5, 1.75, 2.0, 3.0)", "(0.01, 0.02)"),
    "the joint net is not trained": (
        "torch.optim.Adam(weights, RATE)",
        'torch.optim.Adam(weights, RATE * (name == "MAML"))',
    ),
}
FULL = {"the asked points are the known ones", "the process is out of tune", "the joint net is not trained"}
