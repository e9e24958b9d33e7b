"""Click-through rate — a factorization machine learns which user suits which ad, also where the two never met.

Synthetic: 20000 impressions, each of a user, an ad and a place on the page, clicked or not. Each of the three moves the
odds by itself, and hidden tastes of user and ad by their product: the very form a factorization machine assumes. It
gives each value of a field a vector and adds up the products of all pairs. The controls are logistic regression, which
adds up the fields; the same with a weight of its own for each pair of user and ad; and boosted trees. Log loss judges
the chances that are told; the true chances, known here, are the floor. Other methods do about as well: the first
singular vectors of what logistic regression leaves over, or a network on embeddings, stopped in time. In a second world
nothing is crossed, and logistic regression is better than a machine with the old penalty.

Needs:  torch, scikit-learn
Source: S. Rendle, Factorization Machines, ICDM 2010 (also the sum over pairs in linear time); H.-T. Cheng et al.,
        Wide & Deep Learning for Recommender Systems, 2016 (crossed features by hand)
"""

import copy
from itertools import combinations

import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor, nn
from torch.nn import functional as F

SIZES, TASTES, TASTE, TRAIN, TEST, SHOWN = (200, 100, 8), 2, 1.1, 20000, 8000, 12
FACTORS, PENALTY, LINEAR_PENALTY, PAIR_PENALTY, RATE = 4, 1.5, 1.0, 0.4, 0.05
FIRST = torch.tensor([0, SIZES[0], SIZES[0] + SIZES[1]])  # where the values of each field begin

# %% the concept


class FactorizationMachine(nn.Module):
    def __init__(self, values: int, factors: int) -> None:
        super().__init__()
        self.bias, self.weight = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(values))
        self.vector = nn.Parameter(0.1 * torch.randn(values, factors))

    def forward(self, x: Tensor) -> Tensor:  # (B, fields), which values are there -> (B,), log odds
        v = self.vector[x]  # (B, fields, factors)
        pairs = (v.sum(1).square() - v.square().sum(1)).sum(1) / 2  # sum_i<j <v_i, v_j> = (|sum v|^2 - sum |v|^2) / 2
        return self.bias + self.weight[x].sum(1) + pairs

    def objective(self, x: Tensor, clicked: Tensor, penalty: float) -> Tensor:
        loss = F.binary_cross_entropy_with_logits(self(x), clicked, reduction="sum")
        return loss + penalty * (self.weight.square().sum() + self.vector.square().sum())


# %% its control


def with_pairs(x: Tensor) -> Tensor:
    """One more field, crossed by hand: a value for each pair of user and ad: (B, 3) -> (B, 4)."""
    pair = sum(SIZES) + x[:, 0] * SIZES[1] + x[:, 1] - SIZES[0]
    return torch.cat([x, pair[:, None]], 1)


# %% the experiment


def impressions(n: int, habits: Tensor, tastes: Tensor, crossed: float, generator: torch.Generator) -> list[Tensor]:
    """Which values are there, whether it was clicked, and the true chance: (n, 3), (n,), (n,)."""
    x = torch.stack([torch.randint(size, (n,), generator=generator) for size in SIZES], 1) + FIRST
    chance = (habits[x].sum(1) - 1.5 + crossed * (tastes[x[:, 0]] * tastes[x[:, 1]]).sum(1)).sigmoid()
    return [x, (torch.rand(n, generator=generator) < chance).float(), chance]


def log_loss(chance: Tensor, clicked: Tensor) -> float:
    return F.binary_cross_entropy(chance.clamp(1e-6, 1 - 1e-6), clicked).item()


def by_pairs(model: FactorizationMachine, x: Tensor, clicked: Tensor, penalty: float, skip: int = 0) -> list[Tensor]:
    """The log odds, the objective and its gradients, every pair of fields in turn; `skip` leaves pairs out; f64."""
    odds = model.bias + sum(model.weight[x[:, i]] for i in range(x.shape[1]))
    for i, j in list(combinations(range(x.shape[1]), 2))[skip:]:
        odds = odds + torch.stack([v @ w for v, w in zip(model.vector[x[:, i]], model.vector[x[:, j]], strict=True)])
    held = sum((table**2).sum() for table in (model.weight, model.vector))
    value = (odds.exp().log1p() - clicked * odds).sum() + penalty * held  # -log of the chance of what happened
    return [odds, value, *torch.autograd.grad(value, list(model.parameters()))]


def gap(some: list[Tensor], others: list[Tensor]) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(some, others, strict=True))


def run(device="cpu", seed=0, steps=120):
    torch.manual_seed(4 * seed)  # weights, the world, training and test: four streams
    world, data, unseen = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    habits, tastes = 0.5 * torch.randn(sum(SIZES), generator=world), torch.randn(sum(SIZES), TASTES, generator=world)
    sets = {
        kind: [impressions(n, habits, TASTE * tastes, crossed, g) for n, g in ((TRAIN, data), (TEST, unseen))]
        for kind, crossed in (("crossed", 1.0), ("plain", 0.0))
    }
    makers = {
        "factorization machine": (0, FACTORS, PENALTY, "crossed"),
        "logistic regression": (0, 0, LINEAR_PENALTY, "crossed"),
        "logistic regression with pairs": (SIZES[0] * SIZES[1], 0, PAIR_PENALTY, "crossed"),
        "factorization machine, nothing crossed": (0, FACTORS, PENALTY, "plain"),
        "logistic regression, nothing crossed": (0, 0, LINEAR_PENALTY, "plain"),
    }
    models = {name: FactorizationMachine(sum(SIZES) + more, k).to(device) for name, (more, k, *_) in makers.items()}
    optimizers = {name: torch.optim.Adam(model.parameters(), RATE) for name, model in models.items()}
    seen, asked = {}, {}
    for name, (more, *_, kind) in makers.items():
        for part, (x, clicked, _) in zip((seen, asked), sets[kind], strict=True):
            part[name] = (with_pairs(x) if more else x).to(device), clicked.to(device)
    for step in range(steps):
        for name, model in models.items():
            optimizers[name].zero_grad()
            model.objective(*seen[name], makers[name][2]).backward()
            optimizers[name].step()
        if step % 5 == 4 or step == steps - 1:
            with torch.no_grad():
                chances = {name: model(asked[name][0]).sigmoid().cpu() for name, model in models.items()}
            losses = {name: log_loss(chance, asked[name][1].cpu()) for name, chance in chances.items()}
            yield (step + 1) / steps, {name: losses[name] for name in list(makers)[:3]}

    (x, clicked, _), (x_test, clicked_test, truth) = sets["crossed"]
    trees = HistGradientBoostingClassifier(
        max_iter=300, max_leaf_nodes=8, early_stopping=False, categorical_features=[0, 1, 2], random_state=seed
    ).fit((x - FIRST).numpy(), clicked.numpy())
    fm, *rivals = list(makers)[:3]
    chances["trees"] = torch.from_numpy(trees.predict_proba((x_test - FIRST).numpy())[:, 1]).float()
    rivals.append("trees")
    met, pairs = with_pairs(x)[:, 3], with_pairs(x_test)[:, 3]
    new = ~torch.isin(pairs, met)  # impressions of a user and an ad that never met in training

    floor = log_loss(sets["plain"][1][2], sets["plain"][1][1])
    plain = [losses[name] - floor for name in list(makers)[3:]]

    def excess(name: str, where: Tensor) -> float:
        return log_loss(chances[name][where], clicked_test[where]) - log_loss(truth[where], clicked_test[where])

    above, above_new = ({name: excess(name, where) for name in (fm, *rivals)} for where in (new | ~new, new))
    twin, some = copy.deepcopy(models[fm]).cpu().double(), (x[:300], clicked[:300].double(), PENALTY)
    objective = twin.objective(*some)
    mine = [twin(some[0]), objective, *torch.autograd.grad(objective, list(twin.parameters()), materialize_grads=True)]
    learned, real = (t.detach().cpu().double() for t in (models[fm].vector, tastes))
    crossed = [v[: SIZES[0]] @ v[SIZES[0] : sum(SIZES[:2])].T for v in (0 * learned, learned, TASTE**2 * real)]
    users, ads = real[: SIZES[0], 0].argsort(), real[SIZES[0] : sum(SIZES[:2]), 0].argsort()
    some_users, some_ads = (torch.cat([order[:SHOWN], order[-SHOWN:]]) for order in (users, ads))
    limit = crossed[2][some_users][:, some_ads].abs().max()
    crossed[0][x[:, 0], x[:, 1] - SIZES[0]] = limit * (2 * clicked.double() - 1)
    return {
        "fm_excess": above[fm],
        "rival_excess": min(above[name] for name in rivals),
        "new_excess": above_new[fm],
        "new_rival_excess": min(above_new[name] for name in rivals),
        "plain_excess": plain[1],
        "plain_fm_excess": plain[0],
        "pairs_gap": gap(mine, by_pairs(twin, *some)),
        "lost_pair_gap": gap(mine, by_pairs(twin, *some, skip=1)),
        "met_pairs": float(torch.isin(pairs[new], met).sum()),
        "all_met_pairs": float(torch.isin(pairs, met).sum()),
    }, {
        "users (down) and ads (across) at both ends of one hidden taste": {
            "kind": "images",
            "images": [(part[some_users][:, some_ads] / limit / 2 + 0.5).clamp(0, 1).tolist() for part in crossed],
            "titles": ["clicked: white; grey: never shown", "learned product", "true product"],
        },
    }


# %% what is claimed

TITLE = {"en": "A factorization machine predicts clicks", "zh": "因子分解机预估点击率"}
CURVES = "log loss on fresh impressions"
CPU_SECONDS = 3
CLAIMS = {
    "trained fm_excess <= 0.05 < rival_excess <= 0.1": {
        "en": "log loss on fresh impressions above that of the true chances; control: logistic regression, with "
        "weights for pairs or without, or boosted trees, whichever is best",
        "zh": "新曝光上的对数损失比真实概率的高出多少；对照：逻辑回归（有或没有配对交叉特征）或梯度提升树，取最好者",
    },
    "trained new_excess <= 0.06 < new_rival_excess <= 0.1": {
        "en": "the same where this user never met this ad in training; control: the best of the same rivals",
        "zh": "同上，只看训练中从未相遇的用户与广告；对照：同样的对手中最好者",
    },
    "trained plain_excess <= 0.012 < plain_fm_excess <= 0.05": {
        "en": "where nothing is crossed: log loss of logistic regression above that of the true chances; control: the "
        "factorization machine with the penalty that suits the first world",
        "zh": "没有交叉时，逻辑回归的对数损失比真实概率的高出多少；对照：沿用第一个世界惩罚系数的因子分解机",
    },
    "parity pairs_gap <= 1e-10 < lost_pair_gap": {
        "en": "gap of the trained machine, its objective and gradients from sums pair by pair (f64); the "
        "control leaves out a pair",
        "zh": "训练后的因子分解机、其目标函数及梯度与逐对求和的差距（f64）；对照漏掉一对",
    },
    "parity met_pairs <= 0 < all_met_pairs": {
        "en": "impressions said to be of a new pair whose pair occurs in training; the control counts all fresh ones",
        "zh": "被当作新配对的曝光中，配对在训练里出现过的个数；对照在全部新曝光中计数",
    },
}
ZH = {
    "log loss on fresh impressions": "新曝光上的对数损失",
    "factorization machine": "因子分解机",
    "logistic regression": "逻辑回归",
    "logistic regression with pairs": "带配对特征的逻辑回归",
    "users (down) and ads (across) at both ends of one hidden taste": "某一隐藏口味两端的用户（行）与广告（列）",
    "clicked: white; grey: never shown": "白：点击；灰：从未展示",
    "learned product": "学到的乘积",
    "true product": "真实的乘积",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
