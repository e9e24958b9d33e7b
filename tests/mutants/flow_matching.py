"""What the claims of flow matching must not forgive."""

MUTANTS = {
    "noise and data change places on the line": (
        "(1 - t)[:, None] * z + t[:, None] * x ",
        "(1 - t)[:, None] * x + t[:, None] * z ",
    ),
    "the noise does not fade": ("(1 - t)[:, None] * z + t[:, None] * x ", "z + t[:, None] * x "),
    "the velocity points back": ("(net(x_t, t) - (x - z))", "(net(x_t, t) - (z - x))"),
    "the target is the data": ("(net(x_t, t) - (x - z))", "(net(x_t, t) - x)"),
    "the network gets no gradient": ("(net(x_t, t) - (x - z))", "(net(x_t, t).detach() - (x - z) + 0 * net(x_t, t))"),
    "the time is hidden": ("(net(x_t, t) - (x - z))", "(net(x_t, 0 * t) - (x - z))"),
    "the answer stands in the input": ("(net(x_t, t) - (x - z))", "(net(x - z, t) - (x - z))"),
    "a step comes late": ("k / steps, dtype", "(k + 1) / steps, dtype"),
    "steps are too short": ("net(path[-1], t) / steps)", "net(path[-1], t) / (steps + 1))"),
    "steps start from the noise": ("path.append(path[-1] + net", "path.append(path[0] + net"),
    "pairs are mixed up again": ("return z, follow(net, z, STEPS)[-1]", "return z, follow(net, z, STEPS)[-1].flip(0)"),
    "pairs are joined in one step": ("return z, follow(net, z, STEPS)[-1]", "return z, follow(net, z, 1)[-1]"),
    "the samples are data": (
        "z = moons(SAMPLES, unseen), torch.randn(SAMPLES, 2, generator=unseen)",
        "z = [moons(SAMPLES, unseen)] * 2",
    ),
}
FULL = {"pairs are mixed up again", "pairs are joined in one step", "the samples are data"}
