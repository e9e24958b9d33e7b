"""Model collapse — a model fitted again and again to its own samples loses its spread and its rare words.

Two tiny exact models. A Gaussian is fitted to 20 samples, the next one to 20 samples of that, and so on, 20 times; a
table of word frequencies (100 words, Zipf's law: the k-th has a share like 1/k) is counted from 500 samples of the one
before. Three ways to choose each generation's data: only the last model's samples (replace), a fifth of them drawn
afresh from the real source (a fifth real), and all data so far, ever more (accumulate). The first is compared
with the others. All figures are means, over 4000 chains of Gaussians and 400 of word tables; the last are held against
exact expectations (but for the words where data accumulate, which are never lost). Where data are replaced, the
expected variance falls by the factor 1 - 1/n with each fit by maximum likelihood; divided by n - 1 it would stay, and
half the chains would still lose about two thirds of theirs, or more.

Needs:  torch
Source: I. Shumailov et al., The Curse of Recursion: Training on Generated Data Makes Models Forget, arXiv:2305.17493,
        2023; M. Gerstgrasser et al., Is Model Collapse Inevitable?, arXiv:2404.01413, 2024 (accumulated data)
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SAMPLES, REAL, CHAINS, WORDS, TOKENS = 20, 4, 4000, 100, 500
WAYS = ("replace", "a fifth real", "accumulate")

# %% the concept


def fit(x: Tensor) -> tuple[Tensor, Tensor]:  # maximum likelihood: (chains, n) -> (chains, 1) each
    mean = x.mean(1, keepdim=True)
    return mean, (x - mean).pow(2).mean(1, keepdim=True)


def generate(mean: Tensor, variance: Tensor, noise: Tensor) -> Tensor:  # (chains, 1), (chains, 1), (chains, n)
    return mean + variance.sqrt() * noise


def draw(p: Tensor, n: int, generator: torch.Generator) -> Tensor:  # how often each word was said: (chains, WORDS)
    words = torch.multinomial(p, n, replacement=True, generator=generator)
    return torch.zeros_like(p).scatter_add_(1, words, torch.ones_like(words, dtype=p.dtype))


def count(said: Tensor) -> Tensor:  # the next model: relative frequencies, so a word once lost stays lost
    return said / said.sum(1, keepdim=True)


# %% its control


def next_data(way: str, old: Tensor, new: Tensor, real: Tensor) -> Tensor:  # (chains, so far), (chains, n), (chains, n)
    if way == "accumulate":
        return torch.cat([old, new], 1)
    share = REAL if way == "a fifth real" else 0
    return torch.cat([real[:, :share], new[:, share:]], 1)


def next_counts(way: str, old: Tensor, said: Tensor, p: Tensor, source: Tensor, generator: torch.Generator) -> Tensor:
    if way == "accumulate":
        return old + said
    if way == "replace":
        return said
    real = TOKENS * REAL // SAMPLES
    return draw(p, TOKENS - real, generator) + draw(source, real, generator)


# %% the experiment


def expected(way: str, generations: int) -> float:
    """Of the variance: a recursion for it (a) and for the squared distance of the mean (b), exact for n samples."""
    if way == "accumulate":  # the k-th fit sees k n samples
        return math.prod(1 - 1 / (SAMPLES * k**2) for k in range(1, generations + 2))
    a, b, n, m = 1 - 1 / SAMPLES, 1 / SAMPLES, SAMPLES, REAL if way == "a fifth real" else 0
    for _ in range(generations):
        b_next = (m + (n - m) * a) / n**2 + (1 - m / n) ** 2 * b  # of the mean of m real and n - m generated samples
        a, b = m / n + (1 - m / n) * (a + b) - b_next, b_next
    return a


def surviving(way: str, source: Tensor, generations: int) -> float:
    """Expected number of words: how often each is said is a Markov chain, followed exactly; f64."""
    real = TOKENS * REAL // SAMPLES if way == "a fifth real" else 0
    k, said = torch.arange(TOKENS + 1, dtype=torch.float64), TOKENS - real
    step = torch.distributions.Binomial(said, k[:, None] / TOKENS).log_prob(k[: said + 1]).exp().nan_to_num(0.0)
    step[0], step[-1] = F.one_hot(torch.tensor([0, said]), said + 1).double()
    chances = torch.distributions.Binomial(TOKENS, source[:, None]).log_prob(k).exp()  # (WORDS, TOKENS + 1)
    added = torch.distributions.Binomial(real, source[:, None]).log_prob(k[: real + 1]).exp()  # of real tokens
    for _ in range(generations):  # the distribution of a sum is a convolution
        chances = F.conv1d((chances @ step)[None], added.flip(1)[:, None], padding=real, groups=WORDS)[0]
    return float((1 - chances[:, 0]).sum())


def run(device="cpu", seed=0, steps=20):
    real, noise, said = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    zipf = 1 / torch.arange(1, WORDS + 1, dtype=torch.float64)
    source = (zipf / zipf.sum()).expand(CHAINS // 10, -1)
    first, words = torch.randn(CHAINS, SAMPLES, generator=real).to(device), draw(source, TOKENS, real)
    data, counts = dict.fromkeys(WAYS, first), dict.fromkeys(WAYS, words)
    variances = {way: [fit(first)[1].mean().item()] for way in WAYS}
    known = {way: [(words > 0).sum(1).double().mean().item()] for way in WAYS}
    for step in range(steps):
        fresh = torch.randn(CHAINS, SAMPLES, generator=real).to(device)
        for way in WAYS:
            new = generate(*fit(data[way]), torch.randn(CHAINS, SAMPLES, generator=noise).to(device))
            data[way] = next_data(way, data[way], new, fresh)
            variances[way].append(fit(data[way])[1].mean().item())
            p = count(counts[way])
            counts[way] = next_counts(way, counts[way], draw(p, TOKENS, said), p, source, said)
            known[way].append((count(counts[way]) > 0).sum(1).double().mean().item())
        yield (step + 1) / steps, {way: found[-1] for way, found in variances.items()}

    last = {way: found[-1] for way, found in variances.items()}
    left = {way: found[-1] for way, found in known.items()}
    generations = list(range(steps + 1))
    gaps = [abs(last[way] - expected(way, steps)) for way in WAYS]
    return {
        "replaced_variance": last["replace"],
        "first_variance": variances["replace"][1],
        "kept_variance": min(last["a fifth real"], last["accumulate"]),
        "replaced_words": left["replace"],
        "kept_words": min(left["a fifth real"], left["accumulate"]),
        "form_gap": max(gaps),
        "power_gap": abs(expected("replace", steps) - (1 - 1 / SAMPLES) ** (steps + 1)),
        "still_gap": abs(expected("replace", 0) - last["replace"]),
        "words_gap": max(abs(left[way] - surviving(way, source[0], steps)) for way in WAYS[:2]),
        "kept_gap": abs(left["accumulate"] - surviving("replace", source[0], steps)),
    }, {
        "variance by generation, mean of 4000 chains": {
            "kind": "lines",
            "series": {way: (generations, found) for way, found in variances.items()},
            "x": "generation",
            "y": "variance",
        },
        "words that are left of 100, mean of 400 chains": {
            "kind": "lines",
            "series": {way: (generations, found) for way, found in known.items()},
            "x": "generation",
            "y": "words",
        },
    }


# %% what is claimed

TITLE = {"en": "Models collapse on their own samples", "zh": "模型反复学习自己的样本会崩溃"}
CURVES = "variance of the model"
CPU_SECONDS = 1
CLAIMS = {
    "trained replaced_variance <= 0.4 < kept_variance <= 0.95": {
        "en": "variance that is left after 20 generations where each replaces the data, mean of the chains; control: "
        "a fifth real data, or all data kept, whichever has less",
        "zh": "每代都替换数据时 20 代后剩下的方差（各链均值）；对照：每代新抽五分之一真实数据或保留全部数据，取较小者",
    },
    "trained first_variance >= 0.87 > replaced_variance": {
        "en": "variance after one generation of synthetic data; control: after 20",
        "zh": "只用一代合成数据之后的方差；对照：20 代之后",
    },
    "trained kept_words >= 69 > replaced_words >= 23.5": {
        "en": "words still known after 20 generations with a fifth real data or all data kept, whichever has fewer; "
        "control: each generation replaces the data",
        "zh": "每代新抽五分之一真实数据或保留全部数据时 20 代后仍留存的词数，取较少者；对照：每代都替换数据",
    },
    "parity form_gap <= 0.06 < still_gap": {
        "en": "simulated mean variance against its exact expectation, in all three ways; the control says that nothing "
        "is lost after the first fit where data are replaced",
        "zh": "三种方式下模拟的平均方差与精确期望的最大差距；对照认为替换数据时首次拟合后不再损失",
    },
    "parity power_gap <= 1e-12 < still_gap": {
        "en": "its recursion where data are replaced against the power (1 - 1/n)^(t + 1), t generations after the "
        "first fit; the same control",
        "zh": "替换数据时其递推式同幂公式 (1 - 1/n)^(t + 1)（首次拟合后第 t 代）的差距；对照同上",
    },
    "parity words_gap <= 0.6 < kept_gap": {
        "en": "words left where data are replaced, or a fifth real, against the exact Markov chain of each word's "
        "count; control: all data kept, against the chain of replaced data",
        "zh": "替换数据与含五分之一真实数据时，剩余词数同逐词计数的马尔可夫链精确值的最大差距；"
        "对照：保留全部数据，与替换数据的链相比",
    },
}
ZH = {
    "variance of the model": "模型的方差",
    "replace": "替换",
    "a fifth real": "五分之一真实",
    "accumulate": "累积",
    "variance by generation, mean of 4000 chains": "方差与代数（4000 条链的均值）",
    "words that are left of 100, mean of 400 chains": "100 个词中剩下的词数（400 条链的均值）",
    "generation": "代数",
    "variance": "方差",
    "words": "词数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
