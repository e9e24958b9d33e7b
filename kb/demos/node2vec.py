"""Node2vec — random walks are read as sentences: nodes that occur near each other get vectors that are alike.

Each synthetic graph has four groups of 24 nodes, whose edges mostly stay inside. Biased walks cross it, and skip-gram
with negative samples, as in word2vec (here all of them, by how often they occur), gives each node a vector of
4 numbers that foretells which nodes come within 4 steps of it on a walk. One node of each group is labelled; every
other gets the label of the one whose vector points most nearly the same way. Controls: each node's row in the table of
edges, itself included, compared likewise, which sees shared neighbours and no farther; and node2vec where edges are
rewired and degrees kept. Two numbers steer a walk: p above 1 makes it step back less, q above 1 keeps it near where it
came from, and q below 1 leads it away; here p = q = 1 (DeepWalk) does as well. What helps is to look farther: rows of
96 counts of who meets on walks do as well, those of (table + I)^4 a little better, and a spectral embedding (four
eigenvectors of the table, scaled by degrees) best. 4 is the number of groups: with 2 numbers node2vec does much worse,
with 8 a little, the spectral one with 8 much. Graphs this small need no walks (none of these is shown).

Needs:  torch, networkx
Source: A. Grover, J. Leskovec, node2vec: Scalable Feature Learning for Networks, KDD 2016; B. Perozzi et al.,
        DeepWalk: Online Learning of Social Representations, KDD 2014
"""

import networkx as nx
import torch
from torch import Tensor
from torch.nn import functional as F

GRAPHS, GROUPS, SIZE, INSIDE, ACROSS, P, Q = 8, 4, 24, 0.2, 0.02, 1.0, 0.5
WALKS, LENGTH, WINDOW, D, NEGATIVES, TRIALS, RATE = 20, 20, 4, 4, 5, 64, 5e-2

# %% the concept


def turns(adjacency: Tensor, p: float, q: float) -> Tensor:
    """Odds of going on to x, having come from t to v: (N, N, N) over t, v, x."""
    back = torch.eye(len(adjacency), dtype=adjacency.dtype).to(adjacency.device)[:, None]  # x is t
    near = adjacency[:, None]  # x is a neighbour of t
    weight = back / p + near + (1 - back - near) / q  # 1/p at distance 0 from t, 1 at distance 1, 1/q at distance 2
    odds = weight * adjacency
    return odds / odds.sum(2, keepdim=True)


def walk(adjacency: Tensor, p: float, q: float, generator: torch.Generator) -> Tensor:
    """WALKS from every node: (WALKS * N, LENGTH)."""
    at = torch.arange(len(adjacency)).repeat(WALKS)
    path, odds = [at, torch.multinomial(adjacency[at], 1, generator=generator)[:, 0]], turns(adjacency, p, q)
    while len(path) < LENGTH:
        path.append(torch.multinomial(odds[path[-2], path[-1]], 1, generator=generator)[:, 0])
    return torch.stack(path, 1)


def together(paths: Tensor, n: int) -> Tensor:
    """How often each pair is at most WINDOW steps apart on a walk, both ways: (n, n)."""
    counts = torch.zeros(n * n)
    for k in range(1, WINDOW + 1):
        counts += torch.bincount((paths[:, :-k] * n + paths[:, k:]).flatten(), minlength=n * n)
    return counts.view(n, n) + counts.view(n, n).mT


def skip_gram(node: Tensor, context: Tensor, counts: Tensor) -> Tensor:
    """-sum of C_ij log s(u_i v_j) + k C_i P_j log s(-u_i v_j), over sum C: (N, D), (N, D), (N, N) -> ()."""
    score = node @ context.mT
    false = NEGATIVES * counts.sum(1, keepdim=True) * counts.sum(0) / counts.sum()  # k C_i P_j
    return -(counts * F.logsigmoid(score) + false * F.logsigmoid(-score)).sum() / counts.sum()


# %% its control


def rows(adjacency: Tensor) -> Tensor:  # each node's neighbours, itself among them
    return adjacency + torch.eye(len(adjacency)).to(adjacency)


# %% the experiment


def graphs(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A connected graph of groups, and the same with its edges rewired, degrees kept: (N, N) twice."""
    label = torch.arange(GROUPS).repeat_interleave(SIZE)
    while True:
        odds = torch.where(label[:, None] == label, INSIDE, ACROSS)
        upper = (torch.rand(odds.shape, generator=generator) < odds).float().triu(1)
        graph = nx.from_numpy_array((upper + upper.mT).numpy())
        if nx.is_connected(graph):
            break
    wired = upper + upper.mT
    nx.double_edge_swap(graph, 4 * graph.number_of_edges(), 10**6, seed=int(upper.sum()))
    return wired, torch.from_numpy(nx.to_numpy_array(graph, dtype="float32"))


def accuracy(vectors: Tensor, generator: torch.Generator) -> float:
    """Share of the others that get their group from the likest of four labelled nodes, over TRIALS choices of these."""
    alike = F.normalize(vectors, dim=1) @ F.normalize(vectors, dim=1).mT
    label, right = torch.arange(GROUPS).repeat_interleave(SIZE), 0.0
    for _ in range(TRIALS):
        known = torch.arange(GROUPS) * SIZE + torch.randint(SIZE, (GROUPS,), generator=generator)
        hits = (alike[:, known].argmax(1) == label).float()
        hits[known] = 0.0
        right += hits.sum().item() / (len(label) - GROUPS) / TRIALS
    return right


def turns_gap(adjacency: Tensor, p: float, q: float) -> float:
    """Largest gap of `turns` to weights of p = 0.25 and q = 4 by shortest paths, one by one; f64."""
    graph, n = nx.from_numpy_array(adjacency.numpy()), len(adjacency)
    theirs = torch.zeros(n, n, n, dtype=torch.float64)
    for t, v in [*graph.edges, *((v, t) for t, v in graph.edges)]:
        far = {x: nx.shortest_path_length(graph, t, x) for x in graph[v]}
        for x, steps in far.items():
            theirs[t, v, x] = {0: 1 / 0.25, 1: 1.0, 2: 1 / 4}[steps]
        theirs[t, v] /= theirs[t, v].sum()
    came = adjacency[:, :, None] > 0
    return ((turns(adjacency.double(), p, q) - theirs) * came).abs().max().item()


def pairs_gap(paths: Tensor, n: int, generator: torch.Generator, window: int = WINDOW) -> float:
    """Largest gap of the loss of these walks, and of its gradients, to a mean pair by pair (f64); the control's window
    is another one."""
    leaves = [torch.randn(n, D, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2)]
    pairs = []
    for path in paths.tolist():
        pairs += [(a, b) for i, a in enumerate(path) for j, b in enumerate(path) if 0 < abs(i - j) <= window]
    first, second = torch.tensor(pairs).unbind(1)
    score, yes = leaves[0] @ leaves[1].mT, torch.ones(n, n, dtype=torch.float64)
    true, false = (F.binary_cross_entropy_with_logits(score, k * yes, reduction="none") for k in (1, 0))
    share = second.bincount(minlength=n).double() / len(pairs)
    theirs = true[first, second].mean() + NEGATIVES * (false @ share)[first].mean()
    losses = theirs, skip_gram(*leaves, together(paths, n).double())
    found = [(loss, *torch.autograd.grad(loss, leaves, retain_graph=True, materialize_grads=True)) for loss in losses]
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=200):
    draws, weights, walks, choices = (torch.Generator().manual_seed(4 * seed + k) for k in range(4))
    pairs = [graphs(draws) for _ in range(GRAPHS)]
    tables, n = [table for pair in pairs for table in pair], GROUPS * SIZE
    counts = [together(walk(table, P, Q, walks), n).to(device) for table in tables]
    begin = [(0.1 * torch.randn(2, n, D, generator=weights)).to(device).requires_grad_() for _ in tables]
    optimizer = torch.optim.Adam(begin)
    for step in range(steps):
        losses = [skip_gram(*vectors, seen) for vectors, seen in zip(begin, counts, strict=True)]
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
        yield (step + 1) / steps, {"groups": losses[0].item(), "rewired": losses[1].item()}

    found = [vectors.detach()[0].cpu() for vectors in begin]
    right = [accuracy(vectors, choices) for vectors in found]
    plain = [accuracy(rows(table), choices) for table in tables[::2]]
    spread = [[len(set(path)) for path in walk(tables[0], P, q, walks).tolist()] for q in (0.25, 4.0)]
    middle = F.normalize(found[0], dim=1) - F.normalize(found[0], dim=1).mean(0)
    flat = middle @ torch.linalg.svd(middle, full_matrices=False).Vh[:2].mT
    paths = walk(tables[0], P, Q, walks)[:12]
    return {
        "node_accuracy": sum(right[::2]) / GRAPHS,
        "row_accuracy": sum(plain) / GRAPHS,
        "wired_accuracy": sum(right[::2]) / GRAPHS,
        "rewired_accuracy": sum(right[1::2]) / GRAPHS,
        "nodes_outward": sum(spread[0]) / len(spread[0]),
        "nodes_near": sum(spread[1]) / len(spread[1]),
        "turns_gap": turns_gap(tables[0], 0.25, 4.0),
        "swapped_gap": turns_gap(tables[0], 4.0, 0.25),
        "pairs_gap": pairs_gap(paths, n, weights),
        "window_gap": pairs_gap(paths, n, weights, WINDOW - 1),
    }, {
        "directions of the node vectors, in two dimensions": {
            "kind": "scatter",
            "series": {f"group {k + 1}": flat[k * SIZE : (k + 1) * SIZE].mT.tolist() for k in range(GROUPS)},
            "x": "first component",
            "y": "second component",
            "equal": True,
        }
    }


# %% what is claimed

TITLE = {"en": "Random walks turn a graph into vectors", "zh": "随机游走把图变成向量"}
CURVES = "loss"
CPU_SECONDS = 2
CLAIMS = {
    "trained node_accuracy >= 0.75 > row_accuracy >= 0.57": {
        "en": "share of unlabelled nodes put into their group by the likest vector of four labelled ones, mean of "
        "eight graphs; control: by rows of the table of edges",
        "zh": "其余节点按四个有标注节点中向量最相似者分组的准确率，八张图的均值；对照：按边表中的行比较",
    },
    "trained wired_accuracy >= 0.75 > rewired_accuracy": {
        "en": "the same; control: node2vec where edges are rewired, degrees kept",
        "zh": "同一准确率；对照：保持度数、边被重连的图上的 node2vec",
    },
    "trained nodes_outward >= 16 > nodes_near >= 9.5": {
        "en": "mean number of different nodes among the 20 of a walk, q = 0.25, on the first graph; control: q = 4",
        "zh": "第一张图上，游走的 20 个节点中互不相同者的平均个数，q = 0.25；对照：q = 4",
    },
    "parity turns_gap <= 1e-10 < swapped_gap": {
        "en": "largest gap of the odds of each turn to weights by shortest paths (f64); control: p and q swapped",
        "zh": "每一步转移概率同按最短路逐个算出的权重之间的最大差距（f64）；对照：p 与 q 互换",
    },
    "parity pairs_gap <= 1e-10 < window_gap": {
        "en": "largest gap of the loss of 12 walks and of its gradients to a mean pair by pair (f64); control: a "
        "window of 3 and not 4",
        "zh": "12 条游走的损失及其梯度同逐对求平均的最大差距（f64）；对照：窗口为 3 而非 4",
    },
}
ZH = {
    "loss": "损失",
    "groups": "有分组的图",
    "rewired": "重连的图",
    "directions of the node vectors, in two dimensions": "节点向量的方向，降到两维",
    "group 1": "第 1 组",
    "group 2": "第 2 组",
    "group 3": "第 3 组",
    "group 4": "第 4 组",
    "first component": "第一主成分",
    "second component": "第二主成分",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
