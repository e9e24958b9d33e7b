"""What the claims of node2vec must not forgive."""

MUTANTS = {
    "stepping back weighs p": ("weight = back / p + near", "weight = back * p + near"),
    "leading away weighs q": ("(1 - back - near) / q", "(1 - back - near) * q"),
    "no one is near": ("near = adjacency[:, None]", "near = 0 * adjacency[:, None]"),
    "no edge is asked for": ("odds = weight * adjacency\n", "odds = weight + 0 * adjacency\n"),
    "back is where it is": ("adjacency.device)[:, None]  # x is t", "adjacency.device)[None]  # x is t"),
    "a walk of first order": ("odds[path[-2], path[-1]]", "adjacency[path[-1]]"),
    "the window ends early": ("range(1, WINDOW + 1)", "range(1, WINDOW)"),
    "the window begins late": ("range(1, WINDOW + 1)", "range(2, WINDOW + 2)"),
    "one way only": ("counts.view(n, n) + counts.view(n, n).mT", "2 * counts.view(n, n)"),
    "neighbours of the last are left out": ("weight = back / p + near +", "weight = back / p +"),
    "odds do not add up": ("return odds / odds.sum(2, keepdim=True)", "return odds"),
    "a node is its own context": (
        "counts.view(n, n) + counts.view(n, n).mT",
        "counts.view(n, n) + counts.view(n, n).mT + torch.eye(n)",
    ),
    "the loss is not a mean": (
        "F.logsigmoid(-score)).sum() / counts.sum()",
        "F.logsigmoid(-score)).sum() / len(counts)",
    ),
    "nodes pass no gradient": ("score = node @ context.mT", "score = node.detach() @ context.mT"),
    "walks stay where they are": ("path.append(torch", "path.append(path[-2] if len(path) % 2 else torch"),
    "the known are all of one group": ("known = torch.arange(GROUPS) * SIZE +", "known = 0 * torch.arange(GROUPS) +"),
    "the rewired are more": (
        "accuracy(vectors, choices) for vectors in found",
        "accuracy(vectors, choices) for vectors in found[::-1]",
    ),
    "one negative": ("false = NEGATIVES * counts", "false = counts"),
    "negatives are uniform": ("keepdim=True) * counts.sum(0) / counts.sum()", "keepdim=True) / len(counts)"),
    "negatives count as true": ("false * F.logsigmoid(-score)", "false * F.logsigmoid(score)"),
    "negatives pass no gradient": ("F.logsigmoid(-score)).sum()", "F.logsigmoid(-score.detach())).sum()"),
    "contexts pass no gradient": ("score = node @ context.mT", "score = node @ context.detach().mT"),
    "the rewired keep their edges": (
        "tables, n = [table for pair in pairs for table in pair]",
        "tables, n = [pair[0] for pair in pairs for _ in pair]",
    ),
    "the rows know the groups": (
        "accuracy(rows(table), choices)",
        "accuracy(torch.eye(GROUPS).repeat_interleave(SIZE, 0), choices)",
    ),
    "the vectors know the groups": (
        "right = [accuracy(vectors, choices)",
        "right = [accuracy(torch.eye(GROUPS).repeat_interleave(SIZE, 0), choices)",
    ),
    "nothing is learned": ("        optimizer.step()\n", "        optimizer.zero_grad()\n"),
}
FULL = {
    "a walk of first order",
    "walks stay where they are",
    "the known are all of one group",
    "the rewired are more",
    "the rewired keep their edges",
    "the rows know the groups",
    "the vectors know the groups",
    "nothing is learned",
}
