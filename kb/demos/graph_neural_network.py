"""Graph neural network — two labels and the edges reveal how a karate club split.

Zachary's karate club: 34 members, an edge between those who met outside the club, and the side each took when it
broke up (real data). In each of 32 trials one member per side is labelled and the 32 others are asked for. A member's
only feature is its number, so whatever is learned about another member comes through the edges. The controls of the
graph convolutional network (GCN) have rewired edges with the same degrees, or none. Label propagation, which learns
nothing, does about as well here: so small a graph shows what edges carry, not that a network is needed. After 64
propagations all members look alike but for a factor set by their degree (over-smoothing), and a network with as many,
trained as long, finds little.

Needs:  torch, networkx
Source: T. Kipf, M. Welling, Semi-Supervised Classification with Graph Convolutional Networks, ICLR 2017; Q. Li et al.,
        Deeper Insights into Graph Convolutional Networks for Semi-Supervised Learning, AAAI 2018 (over-smoothing);
        W. Zachary, An Information Flow Model for Conflict and Fission in Small Groups, 1977 (the data)
"""

import math

import networkx as nx
import torch
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN, TRIALS, RATE, SWAPS, DEPTH, RESTART = 16, 32, 1e-2, 400, 64, 0.2

# %% the concept


def propagation(adjacency: Tensor) -> Tensor:
    a = adjacency + torch.eye(len(adjacency)).to(adjacency)
    scale = a.sum(1).rsqrt()
    return scale[:, None] * a * scale  # D^-1/2 (A + I) D^-1/2: average yourself and neighbours, popular ones count less


class GCN(nn.Module):
    """TRIALS two-layer networks side by side, each with its own weights."""

    def __init__(self, d_in: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.empty(TRIALS, d_in, HIDDEN).uniform_(-0.35, 0.35))
        self.second = nn.Parameter(torch.empty(TRIALS, HIDDEN, 2).uniform_(-0.6, 0.6))

    def forward(self, a: Tensor, x: Tensor) -> Tensor:  # (N, N) or (TRIALS, N, N), (N, d_in) -> (TRIALS, N, 2)
        h = F.relu(a @ x @ self.first)  # H = ReLU(a X W): average over the neighbourhood, then transform
        return a @ h @ self.second


# %% the experiment

MANY = f"{DEPTH} propagations"


def by_neighbours(graph: nx.Graph, net: GCN, x: Tensor) -> Tensor:
    """The network again, member by member: each sums over itself and its neighbours in the graph."""

    def gather(h: Tensor) -> Tensor:  # (TRIALS, N, d) -> (TRIALS, N, d)
        members = []
        for i in range(len(graph)):
            near = [i, *graph.neighbors(i)]
            weights = [(len(near) * (1 + graph.degree(j))) ** -0.5 for j in near]
            members.append(sum(weight * h[:, j] for weight, j in zip(weights, near, strict=True)))
        return torch.stack(members, 1)

    return gather(gather(x @ net.first).clamp(min=0) @ net.second)


def slopes(output: Tensor, net: GCN, x: Tensor) -> list[Tensor]:
    """An output and its gradients by the weights and the features."""
    weighted = output * torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    return [output, *torch.autograd.grad(weighted.sum(), [net.first, net.second, x], materialize_grads=True)]


def gap(some: list[Tensor], others: list[Tensor]) -> float:
    return torch.stack([(a - b).abs().max() for a, b in zip(some, others, strict=True)]).max().item()


def spread(a: Tensor, depth: int) -> float:
    """Share of the one-hot features left outside the direction that every member ends up in."""
    h, limit = torch.linalg.matrix_power(a, depth), torch.linalg.eigh(a).eigenvectors[:, -1]  # of the eigenvalue 1
    return float((h - limit[:, None] * (limit @ h)).norm() / h.norm())


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(3 * seed)  # weights, labelled members, and another numbering: three streams
    labels, numbering = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    club = nx.karate_club_graph()
    side = torch.tensor([int(club.nodes[member]["club"] == "Officer") for member in club])
    labelled = torch.zeros(TRIALS, len(side), dtype=torch.bool)
    for trial in labelled:
        for members in ((side == 0).nonzero()[:, 0], (side == 1).nonzero()[:, 0]):
            trial[members[torch.randint(len(members), (1,), generator=labels)]] = True
    asked = ~labelled
    rewired = [nx.double_edge_swap(club.copy(), SWAPS, 100 * SWAPS, seed=TRIALS * seed + k) for k in range(TRIALS)]
    adjacency, *others = (torch.tensor(nx.to_numpy_array(graph, weight=None)) for graph in (club, *rewired))
    a, x = propagation(adjacency), torch.eye(len(side))  # the number of a member, one-hot
    graphs = {
        "GCN": a,
        "rewired edges": torch.stack([propagation(other) for other in others]),
        "no edges": torch.eye(len(side)),
        MANY: torch.linalg.matrix_power(a, DEPTH // 2),  # in each of the two layers
    }
    graphs = {name: graph.float().to(device) for name, graph in graphs.items()}
    nets = {name: GCN(len(side)).to(device) for name in graphs}
    optimizers = {name: torch.optim.Adam(net.parameters(), RATE) for name, net in nets.items()}
    hot = labelled[..., None] * F.one_hot(side, 2).double()
    carried = []
    for graph in (a, torch.stack([propagation(other) for other in others])):
        scores = torch.linalg.solve(torch.eye(len(side)) - (1 - RESTART) * graph, hot)  # nothing is learned
        carried.append((scores.argmax(-1) == side)[asked].float().mean().item())
    known, truth, seen = labelled.to(device), side.expand(TRIALS, -1).to(device), x.to(device)
    for step in range(steps):
        accuracy = {"label propagation": carried[0]}
        for name, net in nets.items():
            logits = net(graphs[name], seen)  # (TRIALS, N, 2)
            loss = F.cross_entropy(logits[known], truth[known])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            right = (logits.argmax(-1) == truth).float().masked_fill(known, math.nan).cpu()  # none that is told
            accuracy[name] = right[asked].mean().item()
        yield (step + 1) / steps, accuracy

    order, double = torch.randperm(len(side), generator=numbering), x.double()
    net, features = nets["GCN"].cpu().double(), double.clone().requires_grad_()
    reference = slopes(by_neighbours(club, net, features), net, features)
    row_average = F.normalize(adjacency + double, p=1, dim=1)
    looped = club.copy()
    looped.add_edges_from((member, member) for member in club)
    twin = double - torch.tensor(nx.normalized_laplacian_matrix(looped, weight=None).toarray())
    with torch.no_grad():
        answers, moved = net(a, double), net(a[order][:, order], double[order])  # a member keeps its feature
        dense, dense_moved = adjacency @ net.first, adjacency[order][:, order] @ net.first

    place = torch.tensor([list(at) for at in nx.spring_layout(club, seed=1).values()])
    guess, given = answers[0].argmax(-1), labelled[0]
    groups = {
        "labelled": given,
        "found: Mr. Hi's side": ~given & (guess == side) & (side == 0),
        "found: the officer's side": ~given & (guess == side) & (side == 1),
        "misplaced": ~given & (guess != side),
    }
    powers = [2**k for k in range(8)]
    return {
        "gcn_accuracy": accuracy["GCN"],
        "control_accuracy": max(accuracy["rewired edges"], accuracy["no edges"]),
        "deep_accuracy": accuracy[MANY],
        "deep_spread": spread(a, DEPTH),
        "shallow_spread": spread(a, 2),
        "propagation_gap": gap([a], [twin]),
        "row_average_gap": gap([row_average], [twin]),
        "network_gap": gap(slopes(net(a, features), net, features), reference),
        "row_average_network_gap": gap(slopes(net(row_average, features), net, features), reference),
        "renumbering_gap": gap([moved], [answers[:, order]]),
        "dense_renumbering_gap": gap([dense_moved], [dense[:, order]]),
        "known_asked": float((asked & labelled).sum()),
        "known": float(labelled.sum()),
        "spread_distance": abs(carried[0] - accuracy["GCN"]),
        "rewired_spread_distance": abs(carried[1] - accuracy["GCN"]),
    }, {
        "the club in the first trial": {
            "kind": "scatter",
            "series": {name: tuple(place[inside].T.tolist()) for name, inside in groups.items()},
            "edges": [(place[i].tolist(), place[j].tolist()) for i, j in club.edges],
            "texts": {str(i): (x + 0.025, y) for i, (x, y) in enumerate(place.tolist())},
        },
        "what tells members apart, beside their degree": {
            "kind": "lines",
            "series": {"share left": (powers, [spread(a, power) for power in powers])},
            "x": "propagations",
            "y": "share",
            "log": "xy",
        },
    }


# %% what is claimed

TITLE = {"en": "A GCN finds the two sides of a social network", "zh": "GCN 找出社交网络的两个阵营"}
CURVES = "accuracy on the members without a label"
CPU_SECONDS = 1
CLAIMS = {
    "trained gcn_accuracy >= 0.82 > control_accuracy >= 0.44": {
        "en": "accuracy on the members without a label; control: the same network on rewired edges with the same "
        "degrees, or on none, whichever is better",
        "zh": "未标注成员上的准确率；对照：同样的网络，边在度数不变下被重连，或没有边，取较好者",
    },
    "parity propagation_gap <= 1e-10 < row_average_gap": {
        "en": "gap of propagation from I minus networkx's normalized Laplacian, loops added; the control averages rows",
        "zh": "传播矩阵与 networkx 归一化拉普拉斯（I − L，已加自环）的差距；对照只按行平均",
    },
    "parity network_gap <= 1e-10 < row_average_network_gap": {
        "en": "gap of the trained network and its gradients from sums over networkx's neighbours (f64); the control "
        "averages rows",
        "zh": "训练后的网络及其梯度与逐邻居求和（networkx，f64）的差距；对照只按行平均",
    },
    "parity renumbering_gap <= 1e-10 < dense_renumbering_gap": {
        "en": "answers of renumbered members minus renumbered answers; the control reads raw adjacency rows",
        "zh": "成员重新编号后的输出与重排后的原输出之差；对照为直接读邻接矩阵行的线性层",
    },
    "trained deep_accuracy <= 0.6 < gcn_accuracy": {
        "en": "accuracy after 64 propagations (over-smoothing), trained as long; the control has two",
        "zh": "64 次传播（过平滑）、训练同样久后的准确率；对照为 2 次传播",
    },
    "constant deep_spread <= 0.001 < shallow_spread": {
        "en": "share of the features that tells members apart, beside their degree, after 64 propagations; the "
        "control: after two",
        "zh": "64 次传播后特征中除度数外仍能区分成员的比例；对照为 2 次传播",
    },
    "parity known_asked <= 0 < known": {
        "en": "labelled members among those that are asked for; the control counts all that are labelled",
        "zh": "被提问的成员中已标注的人数；对照为全部已标注的人数",
    },
    "trained spread_distance <= 0.05 < rewired_spread_distance": {
        "en": "label propagation does about as well: its distance from the network's accuracy; the control spreads "
        "labels along rewired edges",
        "zh": "标签传播与网络的准确率之差（两者相近）；对照沿重连的边传播",
    },
}
ZH = {
    "accuracy on the members without a label": "未标注成员上的准确率",
    "label propagation": "标签传播",
    "rewired edges": "重连的边",
    "no edges": "没有边",
    "64 propagations": "64 次传播",
    "the club in the first trial": "第一次试验中的俱乐部",
    "labelled": "已标注",
    "found: Mr. Hi's side": "判对：Mr. Hi 一方",
    "found: the officer's side": "判对：主席一方",
    "misplaced": "判错",
    "what tells members apart, beside their degree": "除度数外还能区分成员的部分",
    "share left": "剩余比例",
    "propagations": "传播次数",
    "share": "比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
