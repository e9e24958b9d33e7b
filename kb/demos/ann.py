"""Approximate nearest neighbours — find almost all of the ten nearest vectors by comparing with few of them.

An inverted file (IVF) groups the stored vectors by k-means and looks only into the cells with the nearest centres. A
graph links each vector, both ways, to the 8 nearest of those stored before it (a navigable small world); a search walks
from vector to vector towards the query, and keeps a list of the best so far. Stored are 4,000 8x8 digits, shifted by up
to a pixel; 300 other digits are the queries. The vectors compared with are counted (centres too); time is not measured,
nor what building takes: here links come from comparing all pairs. The controls filter: they read a few principal
components of all vectors, and compare with the best 100; or in two stages, 2 of all, 12 of 200 to 1,200, and compare
with the best 50. One stage reads more than IVF; two read about as much as IVF, and more than the graph.

Needs:  torch, scikit-learn
Source: H. Jégou, M. Douze, C. Schmid, Product Quantization for Nearest Neighbor Search, IEEE Trans. PAMI 33, 2011 (with
        inverted files); Y. Malkov et al., Approximate nearest neighbor algorithm based on navigable small world graphs,
        Information Systems 45, 2014; Y. Malkov, D. Yashunin, Efficient and robust approximate nearest neighbor search
        using Hierarchical Navigable Small World graphs, 2016 (a stack of such graphs)
"""

import heapq
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.nn import functional as F

STORED, QUERIES, NEAREST, CELLS, LINKS, ENOUGH = 4000, 300, 10, 64, 8, 0.95
Found = tuple[Tensor, int]  # the rows of the nearest, and how many vectors were compared with

# %% the concept


def squared(a: Tensor, b: Tensor) -> Tensor:
    """|a_i - b_j|^2: (n, d), (m, d) -> (n, m)."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()


def closest(q: Tensor, x: Tensor, rows: Tensor) -> Tensor:
    """Of these rows of x those nearest to q (1, d), nearest first."""
    return rows[squared(q, x[rows])[0].topk(min(NEAREST, len(rows)), largest=False).indices]


def inverted(q: Tensor, x: Tensor, centres: Tensor, cells: list[Tensor], probes: int) -> Found:
    """The nearest of the vectors in the `probes` cells whose centres are nearest."""
    chosen = squared(q, centres)[0].topk(probes, largest=False).indices
    rows = torch.cat([cells[c] for c in chosen.tolist()])
    return closest(q, x, rows), len(centres) + len(rows)


def linked(x: Tensor) -> list[Tensor]:
    """Each vector and the LINKS nearest of those before it, linked both ways; the early links are the long ones."""
    before = torch.ones(len(x), len(x), dtype=torch.bool).tril(-1)
    rows = squared(x, x).masked_fill(~before, torch.inf).topk(LINKS, largest=False).indices.tolist()
    links: list[set[int]] = [set() for _ in x]
    for i, near in enumerate(rows):
        for j in near[:i]:  # the first few have fewer before them
            links[i].add(j)
            links[j].add(i)
    return [torch.tensor(sorted(of)) for of in links]


def walk(q: Tensor, x: Tensor, links: list[Tensor], keep: int) -> Found:
    """From the first vector to the neighbours of the nearest not yet visited, while it is among the best `keep`."""
    seen, start = torch.zeros(len(x), dtype=torch.bool), squared(q, x[:1]).item()
    seen[0] = True
    todo, best = [(start, 0)], [(-start, 0)]  # nearest first; farthest first
    while todo:
        gap, i = heapq.heappop(todo)
        if len(best) == keep and gap > -best[0][0]:
            break
        new = links[i][~seen[links[i]]]
        seen[new] = True
        for gap, j in zip(squared(q, x[new])[0].tolist(), new.tolist(), strict=True):
            if len(best) < keep or gap < -best[0][0]:
                heapq.heappush(todo, (gap, j))
                (heapq.heappush if len(best) < keep else heapq.heappushpop)(best, (-gap, j))
    return torch.tensor([j for _, j in sorted(best, reverse=True)[:NEAREST]]), int(seen.sum())


def lloyd(x: Tensor, centres: Tensor) -> tuple[Tensor, float]:
    """A round of k-means: the new centres, and the mean squared distance before."""
    gap, nearest = squared(x, centres).min(1)
    share = F.one_hot(nearest, len(centres)).to(x.dtype)
    count = share.sum(0)[:, None]
    return torch.where(count > 0, share.mT @ x / count.clamp(min=1), centres), gap.mean().item()


# %% its controls


def filtered(q: Tensor, x: Tensor, stages: tuple[tuple[int, int], ...]) -> Found:
    """By the first few of d principal components, so many are left, and so on; each costs 1 / d of a comparison."""
    rows, read, cost = torch.arange(len(x)), 0, 0
    for first, left in stages:
        cost, read = cost + len(rows) * (first - read), first
        rows = rows[squared(q[:, :first], x[rows, :first])[0].topk(left, largest=False).indices]
    return closest(q, x, rows), (cost + len(rows) * (x.shape[1] - read)) // x.shape[1]


# %% the experiment


def digits(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Stored (STORED, 64), in random order: digits shifted by up to a pixel; queries (QUERIES, 64): other digits."""
    images = torch.tensor(load_digits().images / 16)
    asked, kept = images[torch.randperm(len(images), generator=generator)].tensor_split([QUERIES])
    shifted = F.pad(kept, (1, 1, 1, 1)).unfold(1, 8, 1).unfold(2, 8, 1).flatten(3).flatten(0, 2)  # (9 n, 64)
    return shifted[torch.randperm(len(shifted), generator=generator)[:STORED]], asked.flatten(1)


def run(device="cpu", seed=0, steps=10):
    data, starts = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))
    x, asked = digits(data)
    exact = squared(asked, x)
    last = exact.topk(NEAREST, largest=False).values[:, -1] + 1e-9  # as near counts as well
    centres = x[torch.randperm(STORED, generator=starts)[:CELLS]].float().to(device)
    on_device = x.float().to(device)
    for step in range(steps):
        centres, apart = lloyd(on_device, centres)
        yield (step + 1) / steps, {"k-means": apart}

    centres = centres.cpu().double()  # lists of cells and links are for the CPU
    cell = squared(x, centres).argmin(1)
    cells, links = [(cell == c).nonzero()[:, 0] for c in range(CELLS)], linked(x)
    axes = torch.linalg.svd(x - x.mean(0), full_matrices=False)[2].mT  # (64, 64), principal components first

    def curve(method, cases, q, x, *index) -> tuple[list[float], list[float]]:
        """Vectors compared with, and the share of the nearest that is found, of each case."""
        all_found = [[method(one[None], x, *index, case) for one in q] for case in cases]
        near = [sum(int((exact[i, of] <= last[i]).sum()) for i, (of, _) in enumerate(found)) for found in all_found]
        return [sum(n for _, n in found) / QUERIES for found in all_found], [n / NEAREST / QUERIES for n in near]

    def gap(found: Found, count: int) -> float:
        """Largest difference from scikit-learn's brute force in distances, and from this count."""
        brute = NearestNeighbors(n_neighbors=NEAREST, algorithm="brute").fit(x.numpy())
        far = torch.from_numpy(brute.kneighbors(asked[:1].numpy())[0][0])
        apart = exact[0, F.pad(found[0], (0, NEAREST - len(found[0])))].sqrt() - far
        return max(apart.abs().max().item(), abs(found[1] - count))

    q, line = asked[:1], torch.arange(64.0)[:, None]
    walked = walk(line[40:41], line, linked(line), 1)[1]  # 0, then 8 new ones at each of 0, 8, 16, 24, 32 and 40
    turned, every_cell = (asked @ axes, x @ axes), inverted(q, x, centres, cells, CELLS)
    curves = {
        "cells (IVF)": curve(inverted, (1, 2, 3, 4, 5, 6, 8), asked, x, centres, cells),
        "graph": curve(walk, (10, 12, 15, 20, 40), asked, x, links),
        "filtered once": curve(filtered, [((n, 100),) for n in (2, 4, 6, 7, 8)], *turned),
        "filtered twice": curve(filtered, [((2, n), (12, 50)) for n in (200, 400, 600, 800, 1200)], *turned),
    }

    def needed(name: str) -> float:
        """Where its curve reaches ENOUGH, on a line between two cases (or begins above); all vectors, where never."""
        for (few, low), (more, high) in pairwise(zip(*curves[name], strict=True)):
            if high >= ENOUGH:
                return few + (more - few) * max(0, (ENOUGH - low) / (high - low))
        return STORED

    return {
        "all_gap": max(gap(every_cell, CELLS + STORED), gap(walk(q, x, links, STORED), STORED), abs(walked - 49)),
        "one_cell_gap": gap(inverted(q, x, centres, cells, 1), CELLS + STORED),
        "graph_compared": needed("graph"),
        "twice_compared": needed("filtered twice"),
        "cells_compared": needed("cells (IVF)"),
        "once_compared": needed("filtered once"),
        "stored_queries": int((squared(asked, x) == 0).any(1).sum()),
        "stored_own": int((squared(x[:100], x) == 0).any(1).sum()),
    }, {
        "the ten nearest, and how many vectors were compared with": {
            "kind": "lines",
            "series": curves,
            "x": "vectors compared with, of 4,000",
            "y": "share of the ten nearest that is found",
        },
    }


# %% what is claimed

TITLE = {"en": "Near enough, by looking at little", "zh": "只看一小部分也找得到近邻"}
CURVES = "mean squared distance"
CPU_SECONDS = 2
CLAIMS = {
    "trained graph_compared <= 240 < twice_compared <= 320": {
        "en": "vectors of 4,000 that the graph compares a query with to find at least 95% of the ten nearest; control: "
        "filtered twice by principal components, of which 64 count as one vector",
        "zh": "图搜索要找到十个最近邻的至少 95%，每个查询须比较的向量数（共 4,000 个）；对照：用主成分预筛两次，"
        "64 个分量计为一个向量",
    },
    "trained cells_compared <= 400 < once_compared <= 520": {
        "en": "vectors of 4,000, and 64 centres, that IVF compares a query with to find 95% of the ten nearest; "
        "control: filtered once",
        "zh": "IVF 要找到十个最近邻的 95%，每个查询须比较的向量数（共 4,000 个，另有 64 个中心）；对照：只预筛一次",
    },
    "parity all_gap <= 1e-10 < one_cell_gap": {
        "en": "largest gap, all searched for one query, of distances to scikit-learn's brute force and of the number "
        "compared to all there are (along a line, from point 0 to 40: to 49); control: one cell",
        "zh": "为一个查询搜遍所有单元或整张图时，距离与 scikit-learn 暴力搜索、比较次数与全部个数的最大差距"
        "（沿直线由第 0 点走到第 40 点时，应为 49 次）；对照：只搜一个单元",
    },
    "parity stored_queries <= 0 < stored_own": {
        "en": "queries that are stored as well; control: 100 stored vectors",
        "zh": "查询向量中也在库里的数目；对照：库中的 100 个向量",
    },
}
ZH = {
    "mean squared distance": "平均平方距离",
    "k-means": "k 均值",
    "the ten nearest, and how many vectors were compared with": "找到的最近邻，与比较过的向量数",
    "cells (IVF)": "单元（IVF）",
    "graph": "图",
    "filtered once": "预筛一次",
    "filtered twice": "预筛两次",
    "vectors compared with, of 4,000": "比较过的向量数（共 4,000 个）",
    "share of the ten nearest that is found": "十个最近邻中找到的比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
