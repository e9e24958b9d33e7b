"""What the claims on gradient descent must not forgive."""

MUTANTS = {
    "it climbs": ("w = w - rate * gradient(w)", "w = w + rate * gradient(w)"),
    "half a step": ("w = w - rate * gradient(w)", "w = w - rate * gradient(w) / 2"),
    "all of the steps look from the first place": ("w = w - rate * gradient(w)", "w = w - rate * gradient(path[0])"),
    "only the direction counts": ("* gradient(w)  #", "* F.normalize(gradient(w), dim=-1)  #"),
    "the limit is 1 / L": ("return 2 / steepest", "return 1 / steepest"),
    "the best rate is the limit": ("return 2 / (steepest + flattest)", "return 1.99 / steepest"),
    "the factor of the rate 1 / L": ("return (kappa - 1) / (kappa + 1)", "return (kappa - 1) / kappa"),
    "a sum, not a mean": ("@ x / len(x) + L2 * w", "@ x / 100 + L2 * w"),
    "no share for the penalty": ("@ x / len(x) + L2 * w", "@ x / len(x)"),
    "margins for probabilities": ("((w @ x.T).sigmoid() - y)", "((w @ x.T) - y)"),
    "the network steps too seldom": ("NETWORK_RATES = (0.03, 0.1, 0.3, 1, 3, 10, 30)", "NETWORK_RATES = (1e-5,)"),
    "an example is left out": ("rate, slice(None))", "rate, slice(0, 568))"),
    "twenty starts are one": ("w = begin.to(device)", "w = begin[:1].expand(STARTS, -1).to(device)"),
    "the network learns what is no XOR": ("torch.tensor([0.0, 1, 1, 0])", "torch.tensor([0.0, 0, 1, 1])"),
}
FULL = {"the network learns what is no XOR", "the network steps too seldom", "twenty starts are one"}
