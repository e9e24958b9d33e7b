"""Deduplication — MinHash finds texts that are nearly the same without comparing every pair.

Two texts are alike by the share of their runs of three words that both have (Jaccard similarity s). A random hash takes
its smallest value on the same run in both with just that chance (nearly: here it only multiplies and adds). Signatures
of 100 smallest values are cut into bands of five; only texts that agree in a whole band are compared: one pair in 20 at
s = 0.3, half at 0.5, nearly all above 0.8. The texts are invented: words by Zipf's law, copies with words replaced, put
in and left out, and openings of 30 words, each shared by many texts otherwise unlike, as licences are. Controls: tables
of longer runs. Of 30 words, all texts that open alike are compared; of 32, some changed copies are missed. (One
that leaves out runs which very many texts share would do well.)

Needs:  torch
Source: A. Broder, On the Resemblance and Containment of Documents, Compression and Complexity of Sequences, 1997;
        P. Indyk, R. Motwani, Approximate Nearest Neighbors: Towards Removing the Curse of Dimensionality, STOC 1998;
        K. Lee et al., Deduplicating Training Data Makes Language Models Better, ACL 2022
"""

from collections import defaultdict
from itertools import combinations, permutations

import torch
from torch import Tensor

BANDS, ROWS, OPENING = 20, 5, 30  # OPENING: words that a quarter of every other text begins with
TEXTS, COPIES, PAIRS, LENGTH, WORDS, PRIME = 1000, 300, 240, 100, 1000, 2**31 - 1

# %% the concept


def shingles(text: list[int]) -> list[int]:
    """A number for each run of three words: L -> L - 2."""
    return [(a * WORDS + b) * WORDS + c for a, b, c in zip(text, text[1:], text[2:], strict=False)]


def hashed(numbers: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Of every shingle by every hash, (a x + b) mod p: (D, S), (H,), (H,) -> (D, H, S)."""
    return (a[:, None] * numbers[:, None] + b[:, None]) % PRIME


def signatures(hashes: Tensor) -> Tensor:
    """The smallest hash of each set: P(equal) = |A and B| / |A or B|: (..., S) -> (...)."""
    return hashes.amin(-1)


def meet(a: Tensor, b: Tensor) -> Tensor:
    """Whether two signatures agree in all rows of some band: (..., H), (..., H) -> (...)."""
    return (a == b).unflatten(-1, (BANDS, ROWS)).all(-1).any(-1)


def curves(s: Tensor) -> dict[str, Tensor]:
    """How often a pair meets that is alike by s."""
    return {"bands": 1 - (1 - s**ROWS) ** BANDS, "one minimum": s}  # s^r: a band agrees; (1 - s^r)^b: none does


def candidates(signed: Tensor) -> set[tuple[int, int]]:
    """All pairs that agree in some band, from a table of bands: (D, H) -> pairs."""
    table = defaultdict(list)
    for i, bands in enumerate(signed.unflatten(-1, (BANDS, ROWS)).tolist()):
        for k, band in enumerate(bands):
            table[k, *band].append(i)
    return {pair for same in table.values() for pair in combinations(same, 2)}


# %% its control


def run_pairs(texts: list[list[int]], size: int) -> set[tuple[int, int]]:
    """All pairs that share a run of `size` words, from a table of runs."""
    table = defaultdict(set)
    for i, text in enumerate(texts):
        for k in range(len(text) - size + 1):
            table[tuple(text[k : k + size])].add(i)
    return {pair for same in table.values() for pair in combinations(sorted(same), 2)}


# %% the experiment


def jaccard(a: list[int], b: list[int]) -> float:
    one, other = set(shingles(a)), set(shingles(b))
    return len(one & other) / len(one | other)


def drawn(n: int, generator: torch.Generator) -> list[list[int]]:
    """Texts of LENGTH words: (n, L)."""
    zipf = 1 / torch.arange(1.0, WORDS + 1)
    return torch.multinomial(zipf, n * LENGTH, replacement=True, generator=generator).view(n, LENGTH).tolist()


def changed(text: list[int], share: float, generator: torch.Generator) -> list[int]:
    """A copy, as long, with some words replaced, others left out, others put in."""
    copy, what, new = [], torch.rand(len(text), generator=generator).tolist(), drawn(2, generator)
    for word, p, other in zip(text, what, new[0], strict=True):
        copy += [word] if p > share else [other] if p > share / 2 else [word, other] if p > share / 4 else []
    return (copy + new[1])[: len(text)]


def numbers(texts: list[list[int]]) -> Tensor:
    return torch.tensor([shingles(text) for text in texts])


def over_all_orders(one: list[int], other: list[int], size: int) -> float:
    """How often the minima of two sets are equal, over all orders of `size` numbers."""
    ranks = torch.tensor([*permutations(range(size))])  # (size!, size)
    return (signatures(ranks[:, one]) == signatures(ranks[:, other])).double().mean().item()


def slips(signed: Tensor, bands: int) -> int:
    """Pairs that the table finds and a comparison of every two, in some bands, does not, or the reverse."""
    kept = signed[:, : bands * ROWS].tolist()
    starts = range(0, bands * ROWS, ROWS)
    true = {
        (i, j)
        for (i, x), (j, y) in combinations(enumerate(kept), 2)
        if any(x[k : k + ROWS] == y[k : k + ROWS] for k in starts)
    }
    return len(candidates(signed) ^ true)


def run(device="cpu", seed=0, steps=40):
    words, noise = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))
    first = drawn(PAIRS, words)
    second = [changed(text, 0.45 * (i + 1) / PAIRS, words) for i, text in enumerate(first)]
    alike = torch.tensor([jaccard(a, b) for a, b in zip(first, second, strict=True)]).double()
    order = alike.argsort(descending=True)
    known = numbers(first + second).to(device)
    equal, found = (torch.zeros(PAIRS).double() for _ in range(2))
    for step in range(steps):
        a, b = (torch.randint(1, PRIME, (BANDS * ROWS,), generator=noise).to(device) for _ in range(2))
        one, other = signatures(hashed(known, a, b)).cpu().split(PAIRS)
        equal += (one == other).double().mean(1)
        found += meet(one, other)
        gap = (equal / (step + 1) - alike).abs().mean().item()
        yield (step + 1) / steps, {"share of equal minima": gap}

    tenths = [(alike[k].mean().item(), (found[k] / steps).mean().item(), k) for k in order.chunk(10)]
    gaps = {name: max(abs(y - c[k].mean().item()) for _, y, k in tenths) for name, c in curves(alike).items()}
    openings = [text[:OPENING] for text in drawn(4, words)]
    texts = [openings[i // 2 % 4] + text[OPENING:] if i % 2 else text for i, text in enumerate(drawn(TEXTS, words))]
    texts += [changed(text, 0.05, words) for text in texts[:COPIES]]
    near = {(i, TEXTS + i) for i in range(COPIES) if jaccard(texts[i], texts[TEXTS + i]) >= 0.75}
    signed = signatures(hashed(numbers(texts).to(device), a, b)).cpu()
    pairs, every = candidates(signed), len(texts) * (len(texts) - 1) / 2
    short, long = (run_pairs(texts, OPENING + more) for more in (0, 2))  # one word more is often shared by chance
    coarse = torch.randint(3, (60, BANDS * ROWS), generator=noise)  # signatures that often agree by chance
    grid = torch.linspace(0, 1, 41)
    return {
        "recall": len(near & pairs) / len(near),
        "long_recall": len(near & long) / len(near),
        "compared": len(pairs) / every,
        "short_compared": len(short) / every,
        "long_compared": len(long) / every,
        "short_recall": len(near & short) / len(near),
        "exact_recall": sum(texts[i] == texts[j] for i, j in near) / len(near),
        "curve_gap": gaps["bands"],
        "line_gap": gaps["one minimum"],
        "order_gap": abs(over_all_orders([0, 1, 2, 3], [2, 3, 4], 7) - 2 / 5),
        "dice_gap": abs(over_all_orders([0, 1, 2, 3], [2, 3, 4], 7) - 4 / 7),
        "table_slips": slips(coarse, BANDS),
        "fewer_bands_slips": slips(coarse, BANDS - 1),
    }, {
        "pairs that meet in a band": {
            "kind": "lines",
            "series": {
                "measured": ([s for s, _, _ in tenths], [y for _, y, _ in tenths]),
                **{name: (grid.tolist(), curve.tolist()) for name, curve in curves(grid).items()},
            },
            "x": "Jaccard similarity s",
            "y": "share of pairs",
        },
    }


# %% what is claimed

TITLE = {"en": "Near-duplicates without comparing all", "zh": "不必两两比较，找出近似重复"}
CURVES = "mean distance from the Jaccard similarity"
CPU_SECONDS = 4
CLAIMS = {
    "trained recall >= 0.98 > long_recall >= 0.8": {
        "en": "copies alike by 0.75 or more that meet in some band; control: that share a run of 32 words",
        "zh": "相似度不低于 0.75 的副本对，在某个分段中相遇的比例；对照：有 32 个连续词相同的比例",
    },
    "trained compared <= 0.003 < short_compared <= 0.06": {
        "en": "share of all pairs that are compared; control: that share a run of 30 words, as long as the openings",
        "zh": "需要比较的文本对占全部文本对的比例；对照：凡有 30 个连续词相同（与开头等长）的都要比较",
    },
    "trained curve_gap <= 0.06 < line_gap": {
        "en": "largest distance from 1 - (1 - s^5)^20 of the share that meet, in tenths of the pairs by s; control: "
        "from s, the chance that one minimum is equal",
        "zh": "按 s 把文本对分成十份，相遇比例与 1 - (1 - s^5)^20 的最大差；对照：与 s（单个最小值相等的概率）之差",
    },
    "parity order_gap <= 1e-12 < dice_gap": {
        "en": "over all orders of seven numbers, distance of the share of equal minima from |A and B| / |A or B|; "
        "control: from 2 |A and B| / (|A| + |B|)",
        "zh": "遍历七个数的全部排列，最小值相等的比例与 |A∩B| / |A∪B| 之差；对照：与 2|A∩B| / (|A| + |B|) 之差",
    },
    "parity table_slips <= 0 < fewer_bands_slips": {
        "en": "pairs on which the table of bands and a comparison of every two differ, of random signatures; control: "
        "one band fewer is compared",
        "zh": "分段哈希表与逐对比较结果不同的文本对数（用随机签名）；对照：逐对比较时少一段",
    },
}
ZH = {
    "mean distance from the Jaccard similarity": "与杰卡德相似度的平均差",
    "share of equal minima": "相等最小值的比例",
    "pairs that meet in a band": "在某个分段中相遇的文本对",
    "measured": "实测",
    "bands": "分段公式",
    "one minimum": "单个最小值",
    "Jaccard similarity s": "杰卡德相似度 s",
    "share of pairs": "文本对的比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
