"""What the claims of the consistency model must not forgive."""

MUTANTS = {
    "the end of a way is not tied to itself": ("return x + (1 - t)[:, None] * net(x, t)", "return net(x, t)"),
    "the tie does not depend on the time": ("return x + (1 - t)[:, None] * net(x, t)", "return x + net(x, t)"),
    "it is tied at the noise": ("return x + (1 - t)[:, None] * net(x, t)", "return x + t[:, None] * net(x, t)"),
    "the goal passes gradients": (
        "with torch.no_grad():  # what is later",
        "with torch.enable_grad():  # what is later",
    ),
    "the answer passes no gradient": (
        "(answer(student, x, t) - goal).square()",
        "(answer(student, x, t).detach() - goal + 0 * answer(student, x, t)).square()",
    ),
    "the goal has the old time": ("goal = answer(student, later, t + 1 / STEPS)", "goal = answer(student, later, t)"),
    "the goal has the old point": ("goal = answer(student, later, t", "goal = answer(student, x, t"),
    "the teacher steps back": ("later = x + teacher(x, t) / STEPS", "later = x - teacher(x, t) / STEPS"),
    "the teacher's step is twice as long": (
        "later = x + teacher(x, t) / STEPS",
        "later = x + 2 * teacher(x, t) / STEPS",
    ),
    "the teacher gives the goal": ("goal = answer(student, later,", "goal = answer(teacher, later,"),
    "the time is hidden": ("(answer(student, x, t) - goal)", "(answer(student, x, 0 * t) - goal)"),
    "the samples are data": (
        "z, fresh = torch.randn(SAMPLES, 2, generator=unseen), moons(SAMPLES, unseen)",
        "z, fresh = [moons(SAMPLES, unseen)] * 2",
    ),
    "the student is the teacher": ("copy.deepcopy(teacher)\n        optimizer", "teacher\n        optimizer"),
    "only the start of a way is learned": (
        't = drawn if name == "teacher" else (drawn * STEPS).floor() / STEPS',
        't = drawn if name == "teacher" else 0 * drawn',
    ),
    "the ways have late times": ("torch.full_like(z[:, 0], k / steps)", "torch.full_like(z[:, 0], (k + 1) / steps)"),
    "the midpoint rule asks at the start": ("start) / 2, start + 0.5)", "start) / 2, start)"),
    "the midpoint is the start": ("teacher(path[0], start) / 2", "0 * teacher(path[0], start) / 2"),
    "the teacher flows to the noise": ("(x - z).to(device)", "(z - x).to(device)"),
    "the student is shown noise alone": ("(1 - t)[:, None] * z + t[:, None] * x)", "z + 0 * t[:, None] * x)"),
    "the distance counts half": ("return float(2 * torch.cdist", "return float(1 * torch.cdist"),
    "the student starts afresh": (
        'teacher if name == "teacher" else copy.deepcopy(teacher)',
        'teacher if name == "teacher" else Network().to(device)',
    ),
    "the control takes twenty steps": ("k)[-1].cpu() for k in (1, 2)]", "k)[-1].cpu() for k in (1, 20)]"),
}
FULL = {
    "only the start of a way is learned",
    "the control takes twenty steps",
    "the distance counts half",
    "the midpoint is the start",
    "the midpoint rule asks at the start",
    "the samples are data",
    "the student is shown noise alone",
    "the student starts afresh",
    "the teacher flows to the noise",
    "the ways have late times",
}
