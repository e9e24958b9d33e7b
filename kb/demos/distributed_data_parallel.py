"""Distributed data parallel — replicas that add up their gradients around a ring train as one process does.

SIMULATED in one process: every rank has its own weights, optimizer and part of the batch, and hears of the others by
messages alone, whose numbers are counted. In a ring all-reduce in equal chunks each rank sends 2 (n - 1) / n times the
gradient, less than twice, however many there are; one server that adds up sends it n - 1 times. The parts of the batch
are of unequal size here: gradients are sums, divided by the size of the whole batch. The controls: a mean of the ranks'
means, which PyTorch's DDP takes and which is the same only for equal parts; replicas that are averaged at the end only;
and, for the numbers that are sent, the server.

Needs:  torch, scikit-learn
Source: S. Li et al., PyTorch Distributed: Experiences on Accelerating Data Parallel Training, VLDB 2020; P. Patarasuk,
        X. Yuan, Bandwidth Optimal All-reduce Algorithms for Clusters of Workstations, JPDC 69(2), 2009
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

RANKS, HIDDEN, BATCH, RATE, MOMENTUM, MOST = 4, 32, 61, 0.1, 0.9, 8

# %% the concept


def ring_all_reduce(vectors: list[Tensor], frames: list[Tensor] | None = None) -> tuple[list[Tensor], list[int]]:
    """The sum of all vectors at every rank, and how many numbers each rank sent: (N,) each."""
    n, sent = len(vectors), [0] * len(vectors)
    chunks = [[chunk.clone() for chunk in vector.tensor_split(n)] for vector in vectors]
    for t in range(2 * (n - 1)):
        adds = t < n - 1  # reduce-scatter: a chunk grows as it goes round; then all-gather: the sums go round
        messages = []
        for r in range(n):  # all at once: each to its right neighbour
            which = (r - t) % n  # in step n - 1, rank r has the whole sum of chunk r + 1
            messages.append((which, chunks[r][which].clone()))
            sent[r] += len(messages[r][1])
        for r, (which, message) in enumerate(messages):
            to = (r + 1) % n
            chunks[to][which] = chunks[to][which] + message if adds else message
        if frames is not None:
            frames.append(torch.tensor([[float(chunk.mean()) for chunk in own] for own in chunks]))
    return [torch.cat(own) for own in chunks], sent


class Rank:
    def __init__(self, net: nn.Module) -> None:
        self.net = copy.deepcopy(net)
        self.optimizer = torch.optim.SGD(self.net.parameters(), RATE, MOMENTUM)

    def gradient(self, x: Tensor, y: Tensor, share: float) -> tuple[Tensor, float]:
        """Of its part of the batch: the sum over examples times a share, as one vector; the loss."""
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(x), y, reduction="sum") * share
        loss.backward()
        return torch.cat([w.grad.flatten() for w in self.net.parameters()]), loss.item()

    def step(self, gradient: Tensor) -> None:
        parts = gradient.split([w.numel() for w in self.net.parameters()])
        for w, part in zip(self.net.parameters(), parts, strict=True):
            w.grad = part.view_as(w).clone()
        self.optimizer.step()


def ddp_step(ranks: list[Rank], x: Tensor, y: Tensor) -> float:
    """Each rank: its gradient, the sum of all, the same step."""
    parts = zip(ranks, x.tensor_split(len(ranks)), y.tensor_split(len(ranks)), strict=True)
    found = [rank.gradient(mine, right, 1 / len(x)) for rank, mine, right in parts]
    for rank, total in zip(ranks, ring_all_reduce([gradient for gradient, _ in found])[0], strict=True):
        rank.step(total)
    return sum(loss for _, loss in found)


# %% its control


def mean_of_means(ranks: list[Rank], x: Tensor, y: Tensor) -> None:
    parts = zip(ranks, x.tensor_split(len(ranks)), y.tensor_split(len(ranks)), strict=True)
    found = [rank.gradient(mine, right, 1 / len(mine))[0] for rank, mine, right in parts]
    for rank, total in zip(ranks, ring_all_reduce(found)[0], strict=True):
        rank.step(total / len(ranks))


def alone(ranks: list[Rank], x: Tensor, y: Tensor) -> None:
    for rank, mine, right in zip(ranks, x.tensor_split(len(ranks)), y.tensor_split(len(ranks)), strict=True):
        rank.step(rank.gradient(mine, right, 1 / len(mine))[0])


def server_all_reduce(vectors: list[Tensor]) -> tuple[list[Tensor], list[int]]:
    """Rank 0 hears all, adds up, and tells all."""
    total = torch.stack(vectors).sum(0)
    return [total for _ in vectors], [len(total) * (len(vectors) - 1), *(len(total) for _ in vectors[1:])]


# %% the experiment


def flat(net: nn.Module) -> Tensor:
    return torch.cat([w.detach().flatten() for w in net.parameters()])


def digits(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    loaded = load_digits()
    order = torch.randperm(len(loaded.target), generator=generator)
    return torch.from_numpy(loaded.data).float()[order] / 16, torch.from_numpy(loaded.target)[order]


def gaps(net: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Weights after all batches, of every rank or of rivals, to those of one process; f64."""
    net = copy.deepcopy(net).cpu().double()
    batches = [(x.cpu().double(), y.cpu()) for x, y in batches]
    one = copy.deepcopy(net)
    optimizer = torch.optim.SGD(one.parameters(), RATE, MOMENTUM)
    ways = {"ddp": ddp_step, "means": mean_of_means, "alone": alone}
    teams = {name: [Rank(net) for _ in range(RANKS)] for name in ways}
    for x, y in batches:
        optimizer.zero_grad()
        F.cross_entropy(one(x), y).backward()
        optimizer.step()
        for name, way in ways.items():
            way(teams[name], x, y)
    ends = {name: torch.stack([flat(rank.net) for rank in team]) for name, team in teams.items()}
    right = flat(one)
    return {
        "ddp": (ends["ddp"] - right).abs().max().item(),
        "means": (ends["means"][0] - right).abs().max().item(),
        "averaged": (ends["alone"].mean(0) - right).abs().max().item(),
    }


def ring_gap(generator: torch.Generator, short: int = 0) -> float:
    """To the plain sum, with 2 to MOST ranks, most with unequal chunks; the control drops the last rank's vector."""
    found = []
    for n in range(2, MOST + 1):
        vectors = list(torch.randn(n, 50, generator=generator, dtype=torch.float64))
        sums = torch.stack(ring_all_reduce(vectors)[0])
        found.append((sums - torch.stack(vectors[: n - short]).sum(0)).abs().max().item())
    return min(found) if short else max(found)


def run(device="cpu", seed=0, steps=60):
    split, batches, rings = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2, 1))
    x, y = digits(split)
    torch.manual_seed(3 * seed)
    net = nn.Sequential(nn.Linear(64, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 10)).to(device)
    team, one = [Rank(net) for _ in range(RANKS)], Rank(net)
    used = []
    for step in range(steps):
        rows = torch.randint(len(x), (BATCH,), generator=batches)
        used.append((x[rows], y[rows]))
        here, right = x[rows].to(device), y[rows].to(device)
        gradient, loss = one.gradient(here, right, 1 / BATCH)
        losses = {f"{RANKS} ranks": ddp_step(team, here, right), "one process": loss}
        one.step(gradient)
        yield (step + 1) / steps, losses

    found = gaps(net, used[:5])
    sizes = list(range(2, MOST + 1))
    length = 840  # of a gradient; 2 ... 8 divide it
    sent = {name: [] for name in ("ring", "server")}
    for n in sizes:
        vectors = list(torch.ones(n, length))
        sent["ring"].append(max(ring_all_reduce(vectors)[1]) / length)
        sent["server"].append(max(server_all_reduce(vectors)[1]) / length)
    bound = [2 * (n - 1) / n for n in sizes]
    frames = [torch.ones(3, 3)]
    ring_all_reduce([torch.ones(3) for _ in range(3)], frames)
    return {
        "train_gap": found["ddp"],
        "rival_gap": min(found["means"], found["averaged"]),
        "ring_gap": ring_gap(rings),
        "deaf_gap": ring_gap(rings, 1),
        "traffic_gap": max(abs(a - b) for a, b in zip(sent["ring"], bound, strict=True)),
        "server_gap": min(abs(a - b) for a, b in zip(sent["server"][1:], bound[1:], strict=True)),
    }, {
        "how many gradients are summed up in chunks a, b, c of ranks 1, 2, 3": {
            "kind": "heatmap",
            "values": [frame.flatten().tolist() for frame in frames],
            "rows": [str(t) for t in range(len(frames))],
            "columns": [f"{r}{c}" for r in (1, 2, 3) for c in "abc"],
            "x": "rank and chunk",
            "y": "messages",
        },
        "what the busiest rank sends": {
            "kind": "lines",
            "series": {name: (sizes, shares) for name, shares in sent.items()},
            "x": "ranks",
            "y": "gradients",
        },
    }


# %% what is claimed

TITLE = {"en": "Replicas in step are one process", "zh": "同步的副本等同于单进程"}
CURVES = "cross-entropy"
CPU_SECONDS = 1
CLAIMS = {
    "parity train_gap <= 1e-10 < rival_gap <= 0.002": {
        "en": "largest gap of any rank's weights after 5 steps to those of one process (f64), parts of unequal size; "
        "the control is a mean of the ranks' means or replicas averaged at the end, whichever is nearer",
        "zh": "5 步后任一进程的权重与单进程的最大差距（f64），各进程所分样本数不等；"
        "对照是各进程均值的均值或只在最后平均的副本，取较接近者",
    },
    "parity ring_gap <= 1e-12 < deaf_gap": {
        "en": "largest gap of the ring all-reduce of 2 to 8 ranks to the sum, chunks mostly of unequal size (f64); the "
        "control leaves out the last rank",
        "zh": "2 至 8 个进程的环形全归约与直接求和的最大差距，各块大小多不相等（f64）；对照漏掉最后一个进程",
    },
    "parity traffic_gap <= 0 < server_gap <= 0.7": {
        "en": "largest distance of the numbers that the busiest of 2 to 8 ranks sends, in gradients, from "
        "2 (n - 1) / n; the control is one server, from 3 ranks on, by its smallest distance",
        "zh": "2 至 8 个进程中最忙者发送的数（以梯度长度计）与 2 (n - 1) / n 的最大差距；"
        "对照是单服务器方案（3 个进程起），取最小差距",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "4 ranks": "4 个进程",
    "one process": "单进程",
    "how many gradients are summed up in chunks a, b, c of ranks 1, 2, 3": "进程 1、2、3 的块 a、b、c 中已累加的梯度数",
    "rank and chunk": "进程与块",
    "messages": "通信次数",
    "what the busiest rank sends": "最忙的进程发送的量",
    "ring": "环形",
    "server": "服务器",
    "ranks": "进程数",
    "gradients": "以梯度长度计",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
