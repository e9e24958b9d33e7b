"""What the claims of the robot arm must not forgive."""

MUTANTS = {
    "the lower arm keeps its own direction": ("q[:, 0], q[:, 0] + q[:, 1]", "q[:, 0], q[:, 1]"),
    "the links are equally long": ("elbow + LOWER * torch.stack", "elbow + UPPER * torch.stack"),
    "the hand passes no gradient": ("(joints(net(x))[1] - x)", "(joints(net(x))[1].detach() - x + 0 * net(x))"),
    "the elbow is sent to the point": ("(joints(net(x))[1] - x)", "(joints(net(x))[0] - x)"),
    "the elbow turns the upper arm": ("torch.stack([hand, hand - elbow], 2)", "torch.stack([hand, elbow], 2)"),
    "joints turn backwards": ("torch.stack([-ways[:, 1], ways[:, 0]], 1)", "torch.stack([ways[:, 1], -ways[:, 0]], 1)"),
    "the damping is not squared": ("j @ j.mT + damping**2 *", "j @ j.mT + damping *"),
    "the step is not turned into angles": ("(j.mT @ torch.linalg.solve", "(j @ torch.linalg.solve"),
    "the step leads away": ("(x - joints(q)[1])[..., None]))", "(joints(q)[1] - x)[..., None]))"),
    "the damping is subtracted": ("square = j @ j.mT + damping", "square = j @ j.mT - damping"),
    "distances are squared": (".norm(dim=1)\n\n\ndef gap", ".square().sum(1)\n\n\ndef gap"),
    "the nearest record is the farthest": ("topk(k, largest=False)", "topk(k, largest=True)"),
    "both elbows are of one sign": ("bend = side * (", "bend = side.abs() * ("),
    "the elbow is not allowed for at the shoulder": (
        "torch.atan2(x[:, 1], x[:, 0]) - turn",
        "torch.atan2(x[:, 1], x[:, 0])",
    ),
    "no steps are made": ("said + step(said, x64, DAMPING)", "said + 0 * step(said, x64, DAMPING)"),
    "targets are the recorded points": ("records(500, unseen)", "(x, q)"),
    "the records hold one elbow": ("torch.where(side < 0.5, -1.0, 1.0)", "torch.where(side < 2, -1.0, 1.0)"),
    "one elbow is either": ("torch.ones_like(x[:, 0]))\n", "torch.where(x[:, 0].sin() * 99 % 1 < 0.5, -1.0, 1.0))\n"),
    "the control is not trained": (
        "loss(nets[name], x, angles).backward()",
        "(0 * loss(nets[name], x, angles)).backward()",
    ),
}
FULL = {
    "both elbows are of one sign",
    "distances are squared",
    "no steps are made",
    "one elbow is either",
    "targets are the recorded points",
    "the control is not trained",
    "the elbow is sent to the point",
    "the hand passes no gradient",
    "the nearest record is the farthest",
    "the records hold one elbow",
}
