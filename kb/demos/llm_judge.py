"""LLM as a judge — a judge that likes the first and the longer answer misranks models, and more votes do not help.

A simulation, no language model: eight models of known strength answer; a judge prefers the first of two answers with
chance sigmoid(its lead in strength + 0.8 + 1.0 a unit of extra length): the Bradley-Terry model and two biases, all
assumed. Some weak models write long answers; the one that is listed first is shown first. Judging in both orders takes
the first place's advantage away (as would a random order); the length's stays until the fit has terms for both. People,
assumed to be unbiased, cast a fiftieth of the votes. The control of each remedy is the fit without it. Elo, updated
game by game, depends on the order of the games; the Bradley-Terry fit does not.

Needs:  torch, scikit-learn
Source: L. Zheng et al., Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena, NeurIPS 2023 (biases, the swap);
        W.-L. Chiang et al., Chatbot Arena, arXiv:2403.04132, 2024 (Bradley-Terry in place of Elo)
"""

import itertools

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

MODELS, FIRST, LONGER, BATCH, SHARE, K = 8, 0.8, 1.0, 2500, 50, 0.023
WORDY = [-0.6, 0.3, -0.3, 0.6, -0.3, 0.6, 0.0, 0.9]  # mean length of each model's answers, the strongest first

# %% the concept


def chance(edge: Tensor, extra: Tensor, first: float, longer: float) -> Tensor:  # of preferring what is shown first
    return (edge + first + longer * extra).sigmoid()  # its edge in strength, its extra length: (n,)


def both_orders(edge: Tensor, extra: Tensor, first: float, longer: float) -> Tensor:  # mean of two judgments
    back = 1 - chance(-edge, -extra, first, longer)  # of preferring it where it is shown second
    return (chance(edge, extra, first, longer) + back) / 2


def features(games: Tensor, *terms: Tensor) -> Tensor:  # +1 for a, -1 for b, then what is corrected for: (n, M + k)
    sides = F.one_hot(games[:, 0], MODELS) - F.one_hot(games[:, 1], MODELS)
    return torch.cat([sides.double(), *(t[:, None].double() for t in terms)], 1)


def bradley_terry(x: Tensor, wins: Tensor, rounds: int = 8) -> Tensor:
    """Weights w that maximize wins log p + (1 - wins) log(1 - p), p = sigmoid(x w), by Newton: (M + k,)."""
    w = x.new_zeros(x.shape[1])
    for _ in range(rounds):
        p = (x @ w).sigmoid()
        gradient = x.T @ (wins.double() - p)
        curvature = (x * (p * (1 - p))[:, None]).T @ x
        w = w + torch.linalg.pinv(curvature, rtol=1e-9, hermitian=True) @ gradient  # only differences are known
    return w


# %% its control


def elo(games: Tensor, won: Tensor) -> Tensor:  # r_a += K (won - expected), r_b the opposite; K: 4 points
    ratings = [0.0] * MODELS
    for (a, b), result in zip(games.tolist(), won.tolist(), strict=True):
        change = K * (result - torch.tensor(ratings[a] - ratings[b]).sigmoid().item())
        ratings[a] += change
        ratings[b] -= change
    return torch.tensor(ratings)


# %% the experiment


def pairs(n: int, listed: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two models a game, the one listed first shown first, and its answer's extra length: (n, 2), (n,)."""
    two = torch.rand(n, MODELS, generator=generator).argsort(1)[:, :2].sort(1)[0]
    games = listed[two]
    lengths = torch.tensor(WORDY)[games] + 0.5 * torch.randn(n, 2, generator=generator)
    return games, lengths[:, 0] - lengths[:, 1]


def error(w: Tensor, strength: Tensor) -> float:
    """Root mean square, of strengths whose mean is zero."""
    return float((w[:MODELS] - w[:MODELS].mean() - strength).pow(2).mean().sqrt())


def disordered(w: Tensor) -> int:
    """Pairs of models whose order is wrong: the true one is 0, 1, 2, ..."""
    return sum(bool(w[i] <= w[j]) for i, j in itertools.combinations(range(MODELS), 2))


def sklearn_gap(x: Tensor, wins: Tensor, w: Tensor) -> float:
    """To scikit-learn's logistic regression without a penalty, in differences to the first model's strength."""
    twin = LogisticRegression(C=float("inf"), fit_intercept=False, solver="newton-cholesky", tol=1e-10)
    theirs = torch.from_numpy(twin.fit(x[:, 1:].numpy(), wins.numpy()).coef_[0])
    ours = torch.cat([w[1:MODELS] - w[0], w[MODELS:]])
    return float((ours - theirs).abs().max())


def run(device="cpu", seed=0, steps=10):
    shown, votes, humans = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    strength = torch.linspace(1, -1, MODELS)
    listed = torch.tensor([3, 7, 0, 5, 2, 6, 1, 4])
    kept: dict[str, list[Tensor]] = {name: [] for name in ("games", "extra", "one", "there", "back", "who", "people")}
    curves: dict[str, list[float]] = {name: [] for name in ("one order", "both orders", "with terms", "people")}
    for step in range(steps):
        games, extra = pairs(BATCH, listed, shown)
        edge = strength[games[:, 0]] - strength[games[:, 1]]
        p, back = chance(edge, extra, FIRST, LONGER), 1 - chance(-edge, -extra, FIRST, LONGER)
        who, more = pairs(2 * BATCH // SHARE, listed, humans)
        fair = chance(strength[who[:, 0]] - strength[who[:, 1]], more, 0.0, 0.0)
        draws = torch.rand(3, BATCH, generator=votes)
        judged = games, extra, draws[0] < p, draws[1] < p, draws[2] < back
        new = *judged, who, torch.rand(len(who), generator=humans) < fair
        for held, part in zip(kept.values(), new, strict=True):
            held.append(part.to(device))
        games, extra, one, there, back, who, people = (torch.cat(held).cpu() for held in kept.values())
        twice, more, place = torch.cat([games, games]), torch.cat([extra, extra]), torch.ones(len(games))
        two = torch.cat([there, back])
        fits = {
            "one order": bradley_terry(features(twice), torch.cat([one, there])),
            "both orders": bradley_terry(features(twice), two),
            "with terms": bradley_terry(features(twice, more, torch.cat([place, -place])), two),
            "people": bradley_terry(features(who), people),
        }
        for name, w in fits.items():
            curves[name].append(error(w, strength))
        yield (step + 1) / steps, {name: found[-1] for name, found in curves.items()}

    x = features(games, extra, torch.ones(len(games)))
    w = bradley_terry(x, one)  # all three terms, from votes in one order
    few, won = games[:2000], one[:2000]
    mixed = torch.randperm(len(few), generator=shown)
    ratings, later = elo(few, won), elo(few[mixed], won[mixed])
    fitted, again = bradley_terry(features(few), won), bradley_terry(features(few[mixed]), won[mixed])
    zero = torch.zeros(1)
    cast = [2 * BATCH * (k + 1) for k in range(steps)]
    last = {name: found[-1] for name, found in curves.items()}
    return {
        "both_tie": abs(float(both_orders(zero, zero, FIRST, LONGER)) - 0.5),
        "one_tie": abs(float(chance(zero, zero, FIRST, LONGER)) - 0.5),
        "one_error": last["one order"],
        "both_error": last["both orders"],
        "terms_error": last["with terms"],
        "judge_error": last["with terms"],
        "people_error": last["people"],
        "terms_pairs": disordered(fits["with terms"]),
        "both_pairs": disordered(fits["both orders"]),
        "fit_shuffle": float((fitted - again).abs().max()),
        "elo_shuffle": float((ratings - later).abs().max()),
        "fit_gap": sklearn_gap(x, one, w),
        "elo_gap": float((fitted - ratings).abs().max()),
    }, {
        "error of the strengths, by the judge's votes": {
            "kind": "lines",
            "series": {name: (cast, found) for name, found in curves.items()},
            "x": "votes (people: a fiftieth)",
            "y": "error",
            "log": "xy",
        },
        "strength of each model": {
            "kind": "table",
            "columns": ["model", "mean length", "true", *fits],
            "rows": [
                [
                    str(k + 1),
                    f"{WORDY[k]:.1f}",
                    f"{strength[k]:.2f}",
                    *(f"{f[k] - f[:MODELS].mean():.2f}" for f in fits.values()),
                ]
                for k in range(MODELS)
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "A biased judge misranks models", "zh": "有偏的评审会排错模型的名次"}
CURVES = "error of the strengths"
CPU_SECONDS = 1
CLAIMS = {
    "parity both_tie <= 1e-7 < one_tie": {
        "en": "how far the preference between equal answers is from one half where both orders are judged; control: "
        "one order",
        "zh": "两种顺序都评时，对同等回答的偏好与二分之一的差距；对照：只评一种顺序",
    },
    "trained both_error <= 0.51 < one_error <= 0.85": {
        "en": "root-mean-square error of the Bradley-Terry strengths from both orders; control: as many votes in one "
        "order",
        "zh": "由两种顺序的评判拟合的 Bradley-Terry 实力的均方根误差；对照：票数相同，只评一种顺序",
    },
    "trained terms_error <= 0.04 < both_error <= 0.52": {
        "en": "the same with terms for length and place in the fit; control: without them",
        "zh": "拟合中加入长度与位置两项后的同一误差；对照：不加",
    },
    "trained terms_pairs <= 0 < both_pairs": {
        "en": "pairs of models in the wrong order, with these terms; control: without them",
        "zh": "加入这两项后排错顺序的模型对数；对照：不加",
    },
    "trained people_error <= 0.2 < both_error": {
        "en": "error from the votes of unbiased people; control: the judge in both orders, with fifty times as many",
        "zh": "由无偏的人投票所得的误差；对照：两种顺序都评的评审，票数为其五十倍",
    },
    "trained judge_error <= 0.04 < people_error <= 0.2": {
        "en": "error from the judge's votes with terms for length and place; control: people's votes, a fiftieth of "
        "them",
        "zh": "加入长度与位置两项后评审的误差；对照：人的投票，票数为其五十分之一",
    },
    "parity fit_shuffle <= 1e-9 < elo_shuffle <= 0.3": {
        "en": "how far the order of the same 2000 games moves a Bradley-Terry strength; control: an Elo rating",
        "zh": "同样 2000 局换个先后，Bradley-Terry 实力的最大变化；对照：Elo 等级分",
    },
    "parity fit_gap <= 1e-6 < elo_gap <= 0.3": {
        "en": "gap of strengths and terms to scikit-learn's logistic regression (f64); control: Elo to the fit of the "
        "same 2000 games, without terms",
        "zh": "实力与各修正项同 scikit-learn 逻辑回归的差距（f64）；对照：同样 2000 局上 Elo 与无修正项的拟合之差",
    },
}
ZH = {
    "error of the strengths": "实力误差",
    "one order": "一种顺序",
    "both orders": "两种顺序",
    "with terms": "再加修正项",
    "people": "人",
    "error of the strengths, by the judge's votes": "实力误差与评审的票数",
    "votes (people: a fiftieth)": "票数（人：五十分之一）",
    "error": "误差",
    "strength of each model": "各模型的实力",
    "model": "模型",
    "mean length": "平均长度",
    "true": "真实",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
