"""What the claims of the neural ODE must not forgive."""

MUTANTS = {
    "the second stage is left out": (
        "zip(state, a, b, b, c, c, d, strict=True)",
        "zip(state, a, c, c, c, c, d, strict=True)",
    ),
    "the middle slopes count once": (
        "h / 6 * sum(k) for s, *k in zip(state, a, b, b, c, c, d,",
        "h / 4 * sum(k) for s, *k in zip(state, a, b, c, d,",
    ),
    "the last stage is a half step": ("[s + h * k for s, k in zip(state, c", "[s + h / 2 * k for s, k in zip(state, c"),
    "one step is missing": (
        "for _ in range(steps):\n        a = f(state)",
        "for _ in range(steps - 1):\n        a = f(state)",
    ),
    "the state is not traced back": ("return [-v.detach(), *slopes]", "return [0 * v.detach(), *slopes]"),
    "the path runs on instead of back": ("return [-v.detach(), *slopes]", "return [v.detach(), *slopes]"),
    "the adjoint is not carried back": ("v, [x, *ctx.parameters], state[1])", "v, [x, *ctx.parameters], a)"),
    "the start gets no gradient": ("return a, None, None, None, *g", "return 0 * a, None, None, None, *g"),
    "the network gets no gradient": (
        "return a, None, None, None, *g",
        "return a, None, None, None, *[0 * k for k in g]",
    ),
    "the gap is ignored on the way back": ("v = gap * ctx.net(x)", "v = ctx.net(x)"),
    "autograd holds the path": (
        "    return Solve.apply(x, gap, steps, net, *net.parameters())",
        "    return through(net, x, gap, steps)",
    ),
    "the test begins where training did": (
        "unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))",
        "unseen = (torch.Generator().manual_seed(3 * seed + 1) for k in (1, 2))",
    ),
    "the snapshots are one": ("torch.stack([x, through(pendulum, x, gap, 40)])", "torch.stack([x, x])"),
    "the leap is told the end": (
        "return x + gap * net(torch.cat([x, gap], 1)) ",
        "return through(pendulum, x, gap, 40) + 0 * net(torch.cat([x, gap], 1)) ",
    ),
    "the start is kept in place of the end": (
        "ctx.save_for_backward(y, gap)",
        "ctx.save_for_backward(x, gap)",
    ),
    "the parameters' adjoint starts at one": (
        "*map(torch.zeros_like, ctx",
        "*map(torch.ones_like, ctx",
    ),
    "the way back is one step": (
        "ctx.parameters)], ctx.steps)",
        "ctx.parameters)], 1)",
    ),
    "the leap is one over all": (
        "max(1, round(k * EVERY)) if leaps else 1",
        "1",
    ),
}
FULL = {
    "the snapshots are one",
    "the leap is told the end",
    "the leap is one over all",
}
