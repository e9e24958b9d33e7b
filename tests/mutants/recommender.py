"""What the recommender's claims must not forgive."""

MUTANTS = {
    "nothing holds the vectors back": ("return error + PENALTY * sum", "return error + 0 * sum"),
    "no biases": ("return self.mean + bias[..., 0] + agreement", "return self.mean + 0 * bias[..., 0] + agreement"),
    "a film has no bias": (
        "bias = self.user_bias(user) + self.film_bias(film)",
        "bias = self.user_bias(user) + 0 * self.film_bias(film)",
    ),
    "the films learn nothing from agreement": (
        "(self.user(user) * self.film(film)).sum(-1)",
        "(self.user(user) * self.film(film).detach()).sum(-1)",
    ),
    "the error adds without its square": (
        "(rating - self(user, film)).square().sum()",
        "(rating - self(user, film)).abs().sum()",
    ),
    "a newcomer is not held back": ("x.T @ x + PENALTY * torch.eye", "x.T @ x + 1e-9 * torch.eye"),
    "a newcomer has no bias": (
        "torch.ones_like(rating)[:, None]], 1)  # (n, size + 1)",
        "torch.zeros_like(rating)[:, None]], 1)",
    ),
    "it trains on the unseen ratings": (
        "train, test = listed(seen), listed(~seen)",
        "train, test = listed(seen | ~seen), listed(~seen)",
    ),
    "it asks for ratings that it has seen": (
        "train, test = listed(seen), listed(~seen)",
        "train, test = listed(seen), listed(seen)",
    ),
    "a newcomer has rated all films": (
        "twin.welcome(rated, likes[rated])",
        "twin.welcome(torch.arange(FILMS), likes)",
    ),
    "the top tenth is a fifth": (".sum(1, keepdim=True) / 10", ".sum(1, keepdim=True) / 5"),
}
