"""What the claims on the diffusion policy must not forgive."""

MUTANTS = {
    "the velocity points back": (
        "ask(net, seen, x, t) - (actions - noise)",
        "ask(net, seen, x, t) - (noise - actions)",
    ),
    "the net is asked for the actions": ("ask(net, seen, x, t) - (actions - noise)", "ask(net, seen, x, t) - actions"),
    "the path runs from data to noise": ("x = (1 - t) * noise + t * actions", "x = t * noise + (1 - t) * actions"),
    "the network is not told the time": (
        "return net(torch.cat([seen, chunk, t], 1))",
        "return net(torch.cat([seen, chunk, 0 * t], 1))",
    ),
    "the network does not see the scene": (
        "return net(torch.cat([seen, chunk, t], 1))",
        "return net(torch.cat([0 * seen, chunk, t], 1))",
    ),
    "no gradient": (
        "(ask(net, seen, x, t) - (actions",
        "(ask(net, seen, x, t).detach() + 0 * ask(net, seen, x, t) - (actions",
    ),
    "a piece less": ("for k in range(PIECES):", "for k in range(PIECES - 1):"),
    "a step too far": ("velocity(x, k / PIECES) / PIECES", "velocity(x, k / PIECES) / (PIECES - 1)"),
    "time stands still": ("velocity(x, k / PIECES) / PIECES", "velocity(x, 0.0) / PIECES"),
    "all noise is the same": ("torch.randn(20 * 50, ACTIONS, generator=tests)", "torch.zeros(20 * 50, ACTIONS)"),
    "all go above": ("torch.where(above, PASS, -PASS)", "torch.where(above, PASS, PASS)"),
    "the obstacle is elsewhere": ("actions.cpu() / SCALE - seen[:, 1:])", "actions.cpu() / SCALE - seen[:, :1])"),
    "the flow's loss is of the sum": ("(actions - noise)).square().mean()", "(actions - noise)).mean().square()"),
    "one demonstration is enough": ("hits(asked, taught[nearest].mean(1))", "hits(asked, taught[nearest][:, 0])"),
    "the middle of a path is its end": ("actions[..., ACTIONS // 2]", "actions[..., -1]"),
    "no obstacle": ("return (apart < RADIUS**2)", "return (apart < 0)"),
    "the demonstrations run into it": ("PASS, SCALE = 9, 0.22, 0.45,", "PASS, SCALE = 9, 0.22, 0.15,"),
}
FULL = {
    "the obstacle is elsewhere",
    "all noise is the same",
    "one demonstration is enough",
    "all go above",
    "no obstacle",
    "the demonstrations run into it",
    "the middle of a path is its end",
}
