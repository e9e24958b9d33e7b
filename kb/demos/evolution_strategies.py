"""Evolution strategies — a net learns from a score without its gradient, by the scores of random copies of itself.

The net reads 8x8 digits through 16 units that say 0 or 1 and so have no useful derivative; its score is the mean
log-probability of the right digit. In a step 50 random changes are added to the weights and subtracted from them; the
mean of the changes, weighted by the ranks of their scores, estimates a gradient, and Adam follows it. Controls: random
search, which scores as many copies of the best so far on the same batches and keeps only the best of them, where it is
no worse (as the oldest evolution strategies did), with the best of four step sizes; backpropagation, which reaches only
the output layer; and 16 such units that stay random, with thresholds at the median, under ridge regression. Where a
made-up slope will do, it does better: with that of a sigmoid (straight-through), backpropagation trains all of the net
and looks at each batch once instead of 100 times. In many dimensions the estimate is poor: its cosine with a plane's
gradient in n of them, from K pairs of copies, is about 1 / sqrt(1 + (n + 1) / K).

Needs:  torch, scikit-learn
Source: T. Salimans et al., Evolution Strategies as a Scalable Alternative to Reinforcement Learning, 2017;
        Y. Bengio et al., Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation,
        2013 (straight-through)
"""

import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

HIDDEN, PAIRS, SIGMA, RATE, BATCH, TRAIN = 16, 50, 0.3, 0.1, 100, 1200
SIZES = (64 * HIDDEN, HIDDEN, HIDDEN * 10, 10)
WEIGHTS = sum(SIZES)

# %% the concept


def ranks(scores: Tensor) -> Tensor:
    """From -1/2 for the worst to 1/2 for the best: (P,)."""
    return scores.argsort(stable=True).argsort() / (len(scores) - 1) - 0.5


def estimate(utility: Tensor, noise: Tensor) -> Tensor:
    """g = sum_i u_i e_i / (P sigma), of P copies theta + sigma e_i: (P,), (P, n) -> (n,)."""
    return utility @ noise / (len(noise) * SIGMA)


def mirrored(pairs: int, n: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Tensor:
    """e and -e, so that what both score alike cancels: (2 pairs, n)."""
    e = torch.randn(pairs, n, generator=generator, dtype=dtype)
    return torch.cat([e, -e])


# %% its control


def survivor(best: Tensor, scores: Tensor, copies: Tensor, kept: Tensor) -> Tensor:
    """The best of the copies, where it is no worse than what there was: (n,)."""
    return copies[scores.argmax()] if scores.max() >= kept else best


def backpropagated(weights: Tensor, x: Tensor, y: Tensor, through: bool) -> Tensor:
    """The score's gradient by autograd; that of the hidden weights is 0, but for a made-up slope: (n,)."""
    weights = weights.detach().requires_grad_()
    return torch.autograd.grad(score(weights[None], x, y, through)[0], weights)[0]


# %% the experiment


def logits(weights: Tensor, x: Tensor, through: bool = False) -> Tensor:
    """Of each copy; `through` gives the units the slope of a sigmoid: (P, 1210), (m, 64) -> (P, m, 10)."""
    w, b, v, c = weights.split(SIZES, 1)
    h = x @ w.view(-1, 64, HIDDEN) + b[:, None]
    hidden = (h > 0).to(x.dtype) + (h.sigmoid() - h.sigmoid().detach() if through else 0)
    return hidden @ v.view(-1, HIDDEN, 10) + c[:, None]


def score(weights: Tensor, x: Tensor, y: Tensor, through: bool = False) -> Tensor:
    """Mean log-probability of the right answer, of each copy: (P,)."""
    return logits(weights, x, through).log_softmax(-1)[:, torch.arange(len(y), device=y.device), y].mean(1)


def accuracy(weights: Tensor, x: Tensor, y: Tensor) -> float:
    return (logits(weights[None], x)[0].argmax(-1) == y).float().mean().item()


def ridge(x: Tensor, y: Tensor, x_test: Tensor, y_test: Tensor, generator: torch.Generator) -> float:
    """Accuracy of ridge regression on 16 random units, each 1 for half of the training digits."""
    w = torch.randn(64, HIDDEN, generator=generator)
    middle = (x.cpu() @ w).median(0).values
    h, h_test = (F.pad((t.cpu() @ w > middle).double(), (0, 1), value=1.0) for t in (x, x_test))
    v = torch.linalg.solve(h.mT @ h + torch.eye(HIDDEN + 1, dtype=h.dtype), h.mT @ F.one_hot(y.cpu(), 10).double())
    return ((h_test @ v).argmax(1) == y_test.cpu()).float().mean().item()


def likelihood_gap(weights: Tensor, x: Tensor, y: Tensor, generator: torch.Generator, one_sided: bool = False) -> float:
    """Largest gap to the gradient of mean u log N(copy; theta, sigma^2) by torch.distributions; f64."""
    noise = mirrored(20, WEIGHTS, generator, torch.float64)
    theta = weights.double().requires_grad_()
    copies = (theta + SIGMA * noise).detach()
    utility = score(copies, x.double(), y)
    log_p = torch.distributions.Normal(theta, torch.tensor(SIGMA, dtype=torch.float64)).log_prob(copies).sum(1)
    (g,) = torch.autograd.grad((utility * log_p).mean(), theta)
    return (g - (estimate(utility[:20], noise[:20]) if one_sided else estimate(utility, noise))).abs().max().item()


def cosine(pairs: int, n: int, generator: torch.Generator) -> float:
    """Of the estimate with the gradient of a plane in n dimensions, mean of 20."""
    found = []
    for _ in range(20):
        slope, noise = torch.randn(n, generator=generator), mirrored(pairs, n, generator)
        found.append(torch.cosine_similarity(slope, estimate(noise @ slope, noise), dim=0))
    return torch.stack(found).mean().item()


def run(device="cpu", seed=0, steps=300):
    split, init, batches, noise, checks = (torch.Generator().manual_seed(5 * seed + k) for k in range(5))
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=split)
    x, y = torch.tensor(digits.data).float()[order] / 16, torch.tensor(digits.target)[order]
    x_test, y_test, x, y = (t.to(device) for t in (x[TRAIN:], y[TRAIN:], x[:TRAIN], y[:TRAIN]))
    theta = SIGMA * torch.randn(WEIGHTS, generator=init).to(device)
    searches, tested = dict.fromkeys((0.03, 0.1, 0.2, 0.3), theta), {}
    nets = {name: theta.clone() for name in ("evolution strategy", "backpropagation", "straight-through")}
    adam = torch.optim.Adam(nets.values(), RATE, betas=(0.9, 0.99))  # it treats every weight by itself
    for step in range(steps):
        rows = torch.randint(TRAIN, (BATCH,), generator=batches).to(device)
        e = mirrored(PAIRS, WEIGHTS, noise).to(device)
        for size, best in searches.items():
            copies = best + size * e
            kept = score(best[None], x[rows], y[rows])
            searches[size] = survivor(best, score(copies, x[rows], y[rows]), copies, kept)
        utility = ranks(score(nets["evolution strategy"] + SIGMA * e, x[rows], y[rows]))
        for name, w in nets.items():
            known = name == "evolution strategy"
            w.grad = -estimate(utility, e) if known else -backpropagated(w, x[rows], y[rows], name != "backpropagation")
        adam.param_groups[0]["lr"] = RATE * (1 - step / steps)
        adam.step()
        if step % 10 == 9 or step == steps - 1:
            found = max(accuracy(best, x_test, y_test) for best in searches.values())
            tested = {name: accuracy(w, x_test, y_test) for name, w in nets.items()} | {"random search": found}
            yield (step + 1) / steps, tested

    sizes = [10, 30, 100, 300, 1000]
    cosines = [cosine(k, 300, checks) for k in sizes]
    theory = [1 / math.sqrt(1 + 301 / k) for k in sizes]
    few = nets["evolution strategy"].cpu(), x[:50].cpu(), y[:50].cpu()
    return {
        "es_accuracy": tested["evolution strategy"],
        "search_accuracy": tested["random search"],
        "trained_units": tested["evolution strategy"],
        "random_units": ridge(x, y, x_test, y_test, checks),
        "through_accuracy": tested["straight-through"],
        "backpropagated": tested["backpropagation"],
        "likelihood_gap": likelihood_gap(*few, checks),
        "one_sided_gap": likelihood_gap(*few, checks, True),
        "cosine_gap": max(abs(a - b) for a, b in zip(cosines, theory, strict=True)),
        "linear_gap": max(abs(min(1, k / 300) - b) for k, b in zip(sizes, theory, strict=True)),
    }, {
        "the estimate beside the true gradient, in 300 dimensions": {
            "kind": "lines",
            "series": {"measured": (sizes, cosines), "1 / sqrt(1 + (n + 1) / K)": (sizes, theory)},
            "x": "pairs of copies",
            "y": "cosine",
            "log": "x",
        },
    }


# %% what is claimed

TITLE = {"en": "Learning from scores without a gradient", "zh": "没有梯度，也能从得分中学习"}
CURVES = "test accuracy"
CPU_SECONDS = 3
CLAIMS = {
    "trained es_accuracy >= 0.8 > search_accuracy >= 0.5": {
        "en": "accuracy on 597 other digits; control: random search, as many copies and the best of four step sizes",
        "zh": "另外 597 个数字上的准确率；对照：副本同样多的随机搜索，取四种步长中最好者",
    },
    "trained trained_units >= 0.8 > random_units >= 0.5": {
        "en": "the same; control: ridge regression on 16 units that stay random",
        "zh": "同上；对照：16 个保持随机的单元上的岭回归",
    },
    "trained through_accuracy >= 0.91 > backpropagated >= 0.3": {
        "en": "the same by backpropagation, where the units' slope is said to be a sigmoid's; control: the true one, 0",
        "zh": "同上，但用反向传播，并假定单元的导数是 sigmoid 的导数（直通估计）；对照：用真实导数，即 0",
    },
    "parity likelihood_gap <= 1e-10 < one_sided_gap": {
        "en": "largest gap of the estimate to the score-function gradient by torch.distributions (f64); control: half "
        "of the copies, without their mirror images",
        "zh": "该估计与用 torch.distributions 求得的得分函数梯度的最大差距（f64）；对照：只用一半副本，没有镜像",
    },
    "parity cosine_gap <= 0.06 < linear_gap": {
        "en": "largest gap of the measured cosine to 1 / sqrt(1 + (n + 1) / K), K from 10 to 1000, n = 300; control: "
        "a cosine of min(1, K / n)",
        "zh": "余弦的实测值与 1 / sqrt(1 + (n + 1) / K) 的最大差距，K 从 10 到 1000，n = 300；对照：min(1, K / n)",
    },
}
ZH = {
    "test accuracy": "测试准确率",
    "evolution strategy": "进化策略",
    "random search": "随机搜索",
    "backpropagation": "反向传播",
    "straight-through": "直通估计",
    "the estimate beside the true gradient, in 300 dimensions": "300 维中，估计与真梯度的夹角余弦",
    "measured": "实测",
    "1 / sqrt(1 + (n + 1) / K)": "1 / sqrt(1 + (n + 1) / K)，理论",
    "pairs of copies": "副本对的数目 K",
    "cosine": "余弦",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
