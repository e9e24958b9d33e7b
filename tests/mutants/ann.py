"""What the claims of approximate nearest neighbours must not forgive."""

MUTANTS = {
    "the farthest cells are searched": (
        "squared(q, centres)[0].topk(probes, largest=False)",
        "squared(q, centres)[0].topk(probes, largest=True)",
    ),
    "a cell is left out": (
        "for c in chosen.tolist()])",
        "for c in chosen.tolist()[: max(1, probes - 1)]])",
    ),
    "centres cost nothing": (
        "return closest(q, x, rows), len(centres) + len(rows)",
        "return closest(q, x, rows), len(rows)",
    ),
    "what is found is not sorted by distance": (
        "return rows[squared(q, x[rows])[0].topk(min(NEAREST, len(rows)), largest=False).indices]",
        "return rows[:NEAREST]",
    ),
    "links lead to the farthest": (
        "masked_fill(~before, torch.inf).topk(LINKS, largest=False)",
        "masked_fill(~before, -torch.inf).topk(LINKS, largest=True)",
    ),
    "links lead anywhere": (
        "for j in near[:i]:",
        "for j in [j * 7919 % i for j in near[:i]]:",
    ),
    "links lead to the last ones stored": (
        "for j in near[:i]:",
        "for j in range(max(0, i - LINKS), i):",
    ),
    "the walk goes to the farthest first": (
        "heapq.heappush(todo, (gap, j))",
        "heapq.heappush(todo, (-gap, j))",
    ),
    "the walk stops at the first one": (
        "if len(best) == keep and gap > -best[0][0]:",
        "if i:",
    ),
    "the worst of the list stays": (
        "heapq.heappushpop)(best, (-gap, j))",
        "heapq.heapreplace)(best, (gap, j))",
    ),
    "the start is not counted": (
        "int(seen.sum())",
        "int(seen[1:].sum())",
    ),
    "the centres stay where they began": (
        "torch.where(count > 0, share.mT @ x / count.clamp(min=1), centres)",
        "centres + 0 * count",
    ),
    "each cell gets its neighbour's vectors": (
        "(cell == c).nonzero()[:, 0] for c in range(CELLS)",
        "(cell == (c + 1) % CELLS).nonzero()[:, 0] for c in range(CELLS)",
    ),
    "the control reads nothing": (
        "cost + len(rows) * (first - read), first",
        "cost, first",
    ),
    "the control filters by the last components": (
        "asked @ axes, x @ axes",
        "asked @ axes.flip(1), x @ axes.flip(1)",
    ),
    "only those kept are counted": (
        "int(seen.sum())",
        "len(best)",
    ),
    "links lead one way only": (
        "links[j].add(i)",
        "links[j].update({i} if j < LINKS else ())",
    ),
    "the walk keeps the first ones it meets": (
        "if len(best) < keep or gap < -best[0][0]:",
        "if len(best) < keep:",
    ),
    "the second filter sees no more than the first": (
        "squared(q[:, :first], x[rows, :first])",
        "squared(q[:, :2], x[rows, :2])",
    ),
    "only a vector's own shift is a near one": (
        "topk(NEAREST, largest=False).values[:, -1] + 1e-9",
        "topk(NEAREST, largest=False).values[:, 0] + 1e-9",
    ),
    "stored ones are too far to be right": (
        "last = exact.topk(NEAREST, largest=False).values[:, -1] + 1e-9",
        "last = exact.topk(NEAREST + 9, largest=False).values[:, -1] + 1e-9",
    ),
    "queries are stored": (
        "kept = images[torch.randperm(len(images), generator=generator)].tensor_split([QUERIES])",
        "kept = [images[torch.randperm(len(images), generator=generator)][: s or None] for s in (QUERIES, 0)]",
    ),
}
FULL = {
    "each cell gets its neighbour's vectors",
    "links lead to the last ones stored",
    "only a vector's own shift is a near one",
    "stored ones are too far to be right",
    "the centres stay where they began",
    "the control filters by the last components",
    "the control reads nothing",
    "the farthest cells are searched",
    "the second filter sees no more than the first",
    "the walk goes to the farthest first",
}
