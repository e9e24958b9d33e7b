"""What the claims of differentiable programming must not forgive."""

MUTANTS = {
    "drag passes no gradient": (
        "DRAG * v.norm(dim=1, keepdim=True) * v",
        "DRAG * v.norm(dim=1, keepdim=True).detach() * v",
    ),
    "drag grows with the speed alone": ("DRAG * v.norm(dim=1, keepdim=True) * v", "DRAG * v"),
    "the place runs a step behind": ("x_new, v_new = x + dt * (v + dv), v + dv", "x_new, v_new = x + dt * v, v + dv"),
    "a kick comes a step late": ("kicked = {j * STEPS // m: j", "kicked = {j * STEPS // m + 1: j"),
    "the moment passes no gradient": ("share = above / fall if", "share = (above / fall).detach() if"),
    "the rest of the step is lost": ("after = up + (1 - share) * dt * pull(up)", "after = up + 0 * share * pull(up)"),
    "nothing is lost in the bounce": ("torch.tensor([1, -RETURN], **like)", "torch.tensor([1, -1], **like)"),
    "it bounces while it rises": ("hit = (x_new[:, 1:] < 0) & (v_new[:, 1:] < 0)", "hit = x_new[:, 1:] < 1"),
    "both walks start at the distance": ("path[-1, :, i].sum()", "path[-1, :, 0].sum()"),
    "the gradient is of a step before the end": ("path[-1, :, i].sum()", "path[-2, :, i].sum()"),
    "the differences are cheap": ("2 * WALK if find is slopes else n)", "2 * WALK if find is slopes else 1)"),
    "a walk backwards costs nothing": ("(2 * WALK if find is slopes", "(0 * WALK if find is slopes"),
    "the start is the answer": ("tasks[name] = [starts,", "tasks[name] = [throws,"),
    "effort counts for nothing": ("* at)\n    return (at - way)", "* 0 * at)\n    return (at - way)"),
    "the differences point the wrong way": ("/ by).mT", "/ -by).mT"),
    "the differences are as narrow as a tooth": ("by: float = SPAN)", "by: float = SPAN / 10)"),
    "the bounce comes with the speed of the step's end": ("up = flip * (v + share * dv)", "up = flip * (v + dv)"),
    "it bounces again where it rises below the floor": (" & (v_new[:, 1:] < 0)", ""),
    "the step is half": ("(J.mT @ miss[..., None])", "(0.5 * J.mT @ miss[..., None])"),
    "the bounce passes no gradient": ("after = up + (1 - share)", "after = up.detach() + (1 - share)"),
    "both floors know the moment": ('(slopes, "branch"),', '(slopes, "moment"),'),
}
FULL = {
    "the start is the answer",
    "effort counts for nothing",
    "both floors know the moment",
    "the differences are cheap",
    "the step is half",
    "a walk backwards costs nothing",
}
