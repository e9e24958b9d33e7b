"""What the claims on momentum must not forgive."""

MUTANTS = {
    "an average, not a sum": ("v = beta * v + g  #", "v = beta * v + (1 - beta) * g  #"),
    "nothing is remembered": ("v = beta * v + g  #", "v = g  #"),
    "nothing is forgotten": ("v = beta * v + g  #", "v = v + g  #"),
    "Nesterov does not look ahead": ("(g + beta * v if nesterov else v)", "(v if nesterov else v)"),
    "Nesterov counts the gradient once": ("(g + beta * v if nesterov else v)", "(beta * v if nesterov else v)"),
    "the heavy ball looks ahead": ("(g + beta * v if nesterov else v)", "(g + beta * v)"),
    "the gradient of the start": ("g = gradient(w)", "g = gradient(path[0])"),
    "no root of the curvatures in beta": ("((high - low) / (high + low)) ** 2", "((high - low) / (high + low)) ** 8"),
    "the heavy ball's rate is that of descent": ("return 4 / (high + low) ** 2,", "return 1 / steepest,"),
    "Nesterov takes the heavy ball's momentum": (
        "return 1 / steepest, (high - low) / (high + low)",
        "return 1 / steepest, ((high - low) / (high + low)) ** 2",
    ),
    "descent takes wrong rates": ("torch.logspace(-2.2, -1.6, 61)", "torch.logspace(-4, -3, 61)"),
    "the velocity starts full": ("path, v = [w], 0 * w", "path, v = [w], w"),
}
FULL = {"Nesterov takes the heavy ball's momentum", "descent takes wrong rates"}
