"""Recommender — learned tastes predict ratings that averages cannot.

Synthetic: 300 users rate 12 % of 200 films. A rating is a user's habit, plus a film's quality, plus the
agreement of three hidden tastes, plus noise of 0.3. Collaborative filtering sees the ratings alone, no
description of anyone.

Claim:  matrix factorization (a vector for each user and film, their product is the agreement) predicts unseen
        ratings and ranks unseen films better than habits and averages fitted to the same ratings. A
        newcomer's vector is a ridge regression on the film vectors, the one of scikit-learn.
Source: Y. Koren, R. Bell, C. Volinsky, Matrix Factorization Techniques for Recommender Systems, IEEE Computer
        42(8), 2009
Run:    python kb/demos/recommender.py --device cpu --seed 0 --steps 250
"""

import torch
from sklearn.linear_model import Ridge
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Matrix factorization recommends what averages miss", "zh": "矩阵分解：推荐均值看不出的偏好"}
CPU_SECONDS = 2
CLAIMS = {
    "trained factor_error <= 0.8 < average_error": {
        "en": "root mean squared error on unseen ratings; the control has habits and averages only",
        "zh": "在未见评分上的均方根误差；对照只有用户与影片的均值偏置",
    },
    "trained factor_precision >= 0.68 > average_precision": {
        "en": "share of ten recommended unseen films in a user's own top tenth; the control: averages",
        "zh": "推荐的十部未看影片中，真正属于该用户前 10% 的比例；对照按均值推荐",
    },
    "parity newcomer_gap <= 1e-10 < unpenalized_newcomer_gap": {
        "en": "a newcomer's vector in closed form against scikit-learn's Ridge; the control has no penalty",
        "zh": "新用户向量的闭式解与 scikit-learn 岭回归的差距；对照没有惩罚项",
    },
}

USERS, FILMS, TASTES, SEEN, NOISE, TOP, PENALTY = 300, 200, 3, 0.12, 0.3, 10, 0.1


class Factorization(nn.Module):
    """A rating is mean + user bias + film bias + <user vector, film vector>; size 0 leaves the biases."""

    def __init__(self, size: int, mean: float) -> None:
        super().__init__()
        self.mean = mean
        self.user, self.film = nn.Embedding(USERS, size), nn.Embedding(FILMS, size)
        self.user_bias, self.film_bias = nn.Embedding(USERS, 1), nn.Embedding(FILMS, 1)
        for table in self.children():
            nn.init.normal_(table.weight, std=0.1)

    def forward(self) -> Tensor:  # every user with every film: (USERS, FILMS)
        agreement = self.user.weight @ self.film.weight.T
        return self.mean + self.user_bias.weight + self.film_bias.weight.T + agreement


def run(device="cpu", seed=0, steps=250):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    habit, quality = 0.5 * torch.randn(USERS, 1, generator=data), 0.5 * torch.randn(1, FILMS, generator=data)
    users, films = (torch.randn(n, TASTES, generator=data) / TASTES**0.25 for n in (USERS, FILMS))
    truth = (3 + habit + quality + users @ films.T).to(device)
    ratings = truth + NOISE * torch.randn(USERS, FILMS, generator=data).to(device)
    seen = (torch.rand(USERS, FILMS, generator=data) < SEEN).to(device)

    mean = ratings[seen].mean().item()
    models = {name: Factorization(size, mean).to(device) for name, size in {"factors": 8, "averages": 0}.items()}
    optimizers = {name: torch.optim.Adam(model.parameters(), lr=0.03) for name, model in models.items()}
    for step in range(steps):
        errors = {}
        for name, model in models.items():
            guess = model()
            penalty = PENALTY * sum(weight.square().sum() for weight in model.parameters())
            loss = (F.mse_loss(guess[seen], ratings[seen], reduction="sum") + penalty) / seen.sum()
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            errors[name] = F.mse_loss(guess[~seen], ratings[~seen]).sqrt().item()
        if step % 5 == 4 or step == steps - 1:
            yield (step + 1) / steps, errors

    best = truth.masked_fill(seen, float("-inf")).topk(FILMS // 10).indices  # (USERS, 20)
    guesses = {name: model().detach() for name, model in models.items()}
    precision = {}
    for name, guess in guesses.items():
        top = guess.masked_fill(seen, float("-inf")).topk(TOP).indices  # (USERS, TOP)
        precision[name] = (top[:, :, None] == best[:, None]).any(-1).float().mean().item()

    vectors = models["factors"].film.weight.detach().cpu().double()[:20]  # the newcomer has rated 20 films
    liked = torch.randn(20, generator=data).double()  # above or below what the averages say
    square = vectors.T @ vectors
    newcomer, unpenalized = (
        torch.linalg.solve(square + penalty * torch.eye(len(square)).double(), vectors.T @ liked)
        for penalty in (PENALTY, 0)
    )
    twin = torch.tensor(Ridge(alpha=PENALTY, fit_intercept=False).fit(vectors.numpy(), liked.numpy()).coef_)
    row, column = (~seen).nonzero()[::USERS].T
    return {
        "factor_error": errors["factors"],
        "average_error": errors["averages"],
        "factor_precision": precision["factors"],
        "average_precision": precision["averages"],
        "newcomer_gap": float((newcomer - twin).abs().max()),
        "unpenalized_newcomer_gap": float((unpenalized - twin).abs().max()),
    }, {
        "unseen ratings": {
            "kind": "scatter",
            "zh": "未见过的评分",
            "series": {
                name: (ratings[row, column].tolist(), guess[row, column].tolist()) for name, guess in guesses.items()
            },
            "x": "rating",
            "y": "prediction",
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
