"""Model parallelism — one network cut into columns, stages and shards trains as if it were on one device.

SIMULATED in one process: 4 data-parallel ranks, each a pipeline of 4 stages, each stage on 2 tensor-parallel ranks; the
exchange of tensors is modelled, its time is not. Tensor parallelism splits a block by columns, then by rows, and sums
once on the way forwards. A pipeline of p stages cuts a batch into m micro-batches; a forward job takes one unit of
time, a backward job two (assumed): stages idle for (p - 1) / (m + p - 1) of the time, the bubble. GPipe does all
forward jobs first; with one forward, one backward job in turn (1F1B) the bubble is the same, but the first stage keeps
at most p micro-batches, not m, and later ones fewer. ZeRO (FSDP is like its third stage) leaves each rank a shard of
Adam's moments, then of gradients, then of weights; counted is the whole network, without what is gathered for use. The
controls: no micro-batches; a step after each quarter of the batch; (p - 1) / m; GPipe's order; the ZeRO stage below.

Needs:  torch
Source: M. Shoeybi et al., Megatron-LM, 2019 (arXiv:1909.08053); Y. Huang et al., GPipe, NeurIPS 2019; D. Narayanan
        et al., PipeDream, SOSP 2019 (1F1B), and Efficient Large-Scale Language Model Training on GPU Clusters, SC 2021
        (1F1B with one update a batch); S. Rajbhandari et al., ZeRO, SC 2020
"""

import copy
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HIDDEN, CLASSES, BATCH, RATE = 16, 32, 4, 64, 3e-3
RANKS, STAGES, MICRO, SPLIT = 4, 4, 4, 2  # data-parallel ranks, pipeline stages, micro-batches, tensor-parallel ranks
FORWARD, BACKWARD = 1, 2  # assumed: units of time of a job

# %% the concept


class TensorParallel(nn.Module):
    """x + tanh(x A + a) B + b: rank r has columns r of A and a, rows r of B."""

    def __init__(self, ranks: int = SPLIT) -> None:
        super().__init__()
        self.columns = nn.ModuleList(nn.Linear(WIDTH, HIDDEN // ranks) for _ in range(ranks))
        self.rows = nn.ModuleList(nn.Linear(HIDDEN // ranks, WIDTH, bias=False) for _ in range(ranks))
        self.bias = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, x: Tensor) -> Tensor:  # (B, D) -> (B, D)
        parts = [row(column(x).tanh()) for column, row in zip(self.columns, self.rows, strict=True)]  # no exchange
        return x + sum(parts) + self.bias  # the sum over ranks is the all-reduce; the bias comes once


Job = tuple[str, int]  # "F" or "B", micro-batch
Order = Callable[[int, int, int], list[Job]]


def gpipe(stage: int, stages: int, micro: int) -> list[Job]:
    return [("F", i) for i in range(micro)] + [("B", i) for i in range(micro)]


def one_f_one_b(stage: int, stages: int, micro: int) -> list[Job]:
    ahead = min(stages - 1 - stage, micro)  # forward jobs before the turns of one and one
    turns = [job for i in range(micro - ahead) for job in (("F", ahead + i), ("B", i))]
    return [("F", i) for i in range(ahead)] + turns + [("B", i) for i in range(micro - ahead, micro)]


def timetable(orders: list[list[Job]]) -> list[tuple[int, int, int, Job]]:
    """Start, end, stage, job: each stage does its jobs in order, each as soon as what it needs is there."""
    todo, free, ends, table = [list(order) for order in orders], [0] * len(orders), dict[tuple[int, Job], int](), []
    while any(todo):
        for s, jobs in enumerate(todo):
            while jobs:
                kind, i = jobs[0]
                needs = [(s - 1, ("F", i))] * (s > 0) if kind == "F" else [(s + 1, ("B", i))] * (s + 1 < len(todo))
                if any(need not in ends for need in needs):
                    break
                start = max([free[s], *(ends[need] for need in needs)])
                free[s] = ends[s, jobs[0]] = start + (FORWARD if kind == "F" else BACKWARD)
                table.append((start, free[s], s, jobs.pop(0)))
    return sorted(table)


def pipeline(
    stages: nn.ModuleList, x: Tensor, y: Tensor, order: Order = one_f_one_b, micro: int = MICRO
) -> tuple[float, int]:
    """Add up the gradient of the batch in .grad; its loss, and the most micro-batches that the first stage kept."""
    last, loss, most = len(stages) - 1, 0.0, 0
    arrived, kept = (
        {(0, i): part for i, part in enumerate(x.chunk(micro))},
        dict[tuple[int, int], tuple[Tensor, Tensor]](),
    )
    due, right = dict[tuple[int, int], Tensor](), y.chunk(micro)
    for _, _, s, (kind, i) in timetable([order(s, last + 1, micro) for s in range(last + 1)]):
        if kind == "F":
            here = arrived.pop((s, i)).detach().requires_grad_()  # sent: no graph across stages
            out = stages[s](here)
            if s == last:
                out = F.cross_entropy(out, right[i], reduction="sum") / len(y)  # its share in the mean
                loss += out.item()
            kept[s, i], arrived[s + 1, i] = (here, out), out
            most = max(most, sum(stage == 0 for stage, _ in kept))
        else:
            here, out = kept.pop((s, i))
            torch.autograd.backward(out, due.pop((s, i), None))
            due[s - 1, i] = here.grad  # sent back
    return loss, most


class Zero:
    """Adam on ranks that hold a share: stage 1 of the moments, 2 of the gradients too, 3 of the weights too."""

    def __init__(self, weights: Tensor, stage: int) -> None:
        self.stage, self.size, self.t = stage, -(-len(weights) // RANKS), 0
        self.parts = [slice(r * self.size, (r + 1) * self.size) if stage else slice(None) for r in range(RANKS)]
        self.ranks = [
            {"w": weights[part if stage > 2 else slice(None)].clone(), "g": torch.zeros(0)}
            | {moment: torch.zeros_like(weights[part]) for moment in "mv"}
            for part in self.parts
        ]

    def gathered(self) -> Tensor:
        shards = [rank["w"] for rank in self.ranks]
        return torch.cat(shards) if self.stage > 2 else shards[0].clone()  # all-gather

    def step(self, gradients: list[Tensor]) -> None:
        self.t += 1
        old, fresh = self.gathered(), self.gathered()
        for rank, part in zip(self.ranks, self.parts, strict=True):
            g = sum(gradient[part] for gradient in gradients) / RANKS  # reduce-scatter: its part of the mean
            rank["g"] = g if self.stage > 1 else sum(gradients) / RANKS
            rank["m"] = 0.9 * rank["m"] + 0.1 * g
            rank["v"] = 0.999 * rank["v"] + 0.001 * g**2
            size = (rank["v"] / (1 - 0.999**self.t)).sqrt() + 1e-8
            fresh[part] = old[part] - RATE * rank["m"] / (1 - 0.9**self.t) / size
        for rank, part in zip(self.ranks, self.parts, strict=True):
            rank["w"] = fresh[part if self.stage > 2 else slice(None)].clone()

    def held(self) -> list[int]:
        """Numbers on the first rank: weights, gradients, moments."""
        return [sum(self.ranks[0][kind].numel() for kind in kinds) for kinds in ("w", "g", "mv")]


# %% its control


class Dense(nn.Module):
    """The same block on one device."""

    def __init__(self, split: TensorParallel) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)
        self.first.weight.data = torch.cat([column.weight.data for column in split.columns])
        self.first.bias.data = torch.cat([column.bias.data for column in split.columns])
        self.second.weight.data = torch.cat([row.weight.data for row in split.rows], 1)
        self.second.bias.data = split.bias.data.clone()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x).tanh())


# %% the experiment


def network() -> nn.ModuleList:
    blocks = [TensorParallel() for _ in range(STAGES)]
    return nn.ModuleList([*blocks[:-1], nn.Sequential(blocks[-1], nn.Linear(WIDTH, CLASSES))])


def dense(net: nn.ModuleList) -> nn.Sequential:
    *blocks, (last, head) = net
    return nn.Sequential(*map(Dense, [*blocks, last]), copy.deepcopy(head)).to(head.weight)


def flat(net: nn.Module) -> Tensor:
    return torch.cat([w.data.flatten() for w in net.parameters()])


def flat_gradient(net: nn.Module) -> Tensor:
    return torch.cat([(w.new_zeros(w.shape) if w.grad is None else w.grad).flatten() for w in net.parameters()])


def parallel_step(net: nn.ModuleList, zero: Zero, x: Tensor, y: Tensor) -> float:
    """One step of all ranks; `net` serves each in turn."""
    gradients, losses = [], []
    for mine, right in zip(x.chunk(RANKS), y.chunk(RANKS), strict=True):
        nn.utils.vector_to_parameters(zero.gathered(), net.parameters())
        net.zero_grad()
        losses.append(pipeline(net, mine, right)[0])
        gradients.append(flat_gradient(net))
    zero.step(gradients)
    nn.utils.vector_to_parameters(zero.gathered(), net.parameters())
    return sum(losses) / RANKS


def one_process(whole: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, parts: int = 1) -> float:
    """A step on the whole batch; or, the control, one after each of several parts."""
    losses = []
    for part, right in zip(x.chunk(parts), y.chunk(parts), strict=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(whole(part), right)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / parts


def train_gap(
    net: nn.ModuleList, batches: list[tuple[Tensor, Tensor]], stage: int, parts: int = 1
) -> tuple[float, list[int]]:
    """Weights after a few steps of all ranks, to one process with torch.optim.Adam, f64; numbers on a rank."""
    net = copy.deepcopy(net).cpu().double()
    whole, zero = dense(net), Zero(flat(net), stage)
    optimizer = torch.optim.Adam(whole.parameters(), RATE)
    for x, y in batches:
        parallel_step(net, zero, x.double(), y)
        one_process(whole, optimizer, x.double(), y, parts)
    return (flat(dense(net)) - flat(whole)).abs().max().item(), zero.held()


def bubble(order: Order, stages: int, micro: int) -> float:
    """Share of time that stages idle."""
    table = timetable([order(s, stages, micro) for s in range(stages)])
    return 1 - sum(end - start for start, end, _, _ in table) / (stages * max(end for _, end, _, _ in table))


def gantt(stages: int = 2, micro: int = 3) -> list[list[int]]:
    """Rows of stages, columns of time: the micro-batch, negative backwards, 0 idle."""
    rows = []
    for order in (gpipe, one_f_one_b):
        table = timetable([order(s, stages, micro) for s in range(stages)])
        row = [[0] * max(end for _, end, _, _ in table) for _ in range(stages)]
        for start, end, s, (kind, i) in table:
            row[s][start:end] = [(i + 1) * (1 if kind == "F" else -1)] * (end - start)
        rows += row
    return rows


def run(device="cpu", seed=0, steps=20):
    data, lesson = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    torch.manual_seed(3 * seed)
    net, teacher = network(), torch.randn(WIDTH, CLASSES, generator=lesson)
    start = copy.deepcopy(net)
    whole, hasty = dense(net).to(device), dense(net).to(device)
    adam = {which: torch.optim.Adam(which.parameters(), RATE) for which in (whole, hasty)}
    zero = Zero(flat(net.to(device)), 3)

    def batch() -> tuple[Tensor, Tensor]:
        x = torch.randn(BATCH, WIDTH, generator=data)
        return x, (x @ teacher).argmax(1)

    for step in range(steps):
        x, y = (t.to(device) for t in batch())
        losses = {"32 ranks": parallel_step(net, zero, x, y), "one process": one_process(whole, adam[whole], x, y)}
        losses["a step for each quarter"] = one_process(hasty, adam[hasty], x, y, MICRO)
        yield (step + 1) / steps, losses

    batches = [batch() for _ in range(3)]
    gaps, held = zip(*(train_gap(start, batches, stage) for stage in range(4)), strict=True)
    shares = [sum(numbers) / len(flat(start)) for numbers in held]
    right = [4, 2 + 2 / RANKS, 1 + 3 / RANKS, 4 / RANKS]  # weights 1, gradients 1, moments 2
    shapes = list(product((2, 3, 4, 8), (1, 2, 4, 8, 16)))
    found = [(bubble(order, p, m), p, m) for p, m in shapes for order in (gpipe, one_f_one_b)]
    kept = [pipeline(copy.deepcopy(start), *batches[0], order, 16)[1] for order in (one_f_one_b, gpipe)]
    return {
        "train_gap": max(gaps),
        "hasty_gap": train_gap(start, batches, 3, MICRO)[0],
        "bubble": bubble(one_f_one_b, 4, 16),
        "naive_bubble": bubble(one_f_one_b, 4, 1),
        "bubble_gap": max(abs(share - (p - 1) / (m + p - 1)) for share, p, m in found),
        "forward_gap": min(abs(share - (p - 1) / m) for share, p, m in found),
        "kept": float(kept[0]),
        "gpipe_kept": float(kept[1]),
        "zero_gap": max(abs(share - said) for share, said in zip(shares, right, strict=True)),
        "lower_gap": min(abs(share - said) for share, said in zip(shares[1:], right[:-1], strict=True)),
    }, {
        "two stages over time: forwards 1, 2, 3, backwards -1, -2, -3, idle 0": {
            "kind": "heatmap",
            "values": gantt(),
            "columns": [str(t) for t in range(len(gantt()[0]))],
            "rows": [f"{name}{s}" for name in ("GPipe", "1F1B") for s in (1, 2)],
            "x": "time",
            "y": "stage",
        },
        "numbers on each of 4 ranks": {
            "kind": "table",
            "columns": ["ZeRO stage", "weights", "gradients", "moments", "in all", "share"],
            "rows": [
                [str(stage), *map(str, [*numbers, sum(numbers)]), f"{share / 4:.3f}"]
                for stage, (numbers, share) in enumerate(zip(held, shares, strict=True))
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "32 simulated ranks train as one", "zh": "模拟的 32 个进程与单进程训练一致"}
CURVES = "cross-entropy"
CPU_SECONDS = 1
CLAIMS = {
    "parity train_gap <= 1e-10 < hasty_gap": {
        "en": "largest gap in weights after 3 steps of Adam on 4 x 4 x 2 ranks, at every ZeRO stage, to one process "
        "(f64); the control steps after each quarter of the batch",
        "zh": "4 × 4 × 2 个进程在各 ZeRO 阶段下用 Adam 走 3 步后，权重与单进程的最大差距（f64）；"
        "对照把批次分 4 份，每份更新一次",
    },
    "parity bubble <= 0.16 < naive_bubble <= 0.75": {
        "en": "share of simulated time that 4 stages idle with 16 micro-batches (1F1B); the control has one",
        "zh": "1F1B 下 4 级流水线、16 个微批次时空闲时间的占比（模拟）；对照不切微批次",
    },
    "parity bubble_gap <= 1e-12 < forward_gap": {
        "en": "largest distance of the simulated bubble from (p - 1) / (m + p - 1) for 20 shapes and both orders; the "
        "control, by its smallest distance, is (p - 1) / m, the same idle time relative to the work",
        "zh": "20 种形状、两种次序下，模拟所得气泡率与 (p - 1) / (m + p - 1) 的最大差距；"
        "对照是 (p - 1) / m，即空闲时间与工作时间之比，取最小差距",
    },
    "parity kept <= 4 < gpipe_kept <= 16": {
        "en": "micro-batches of 16 that the first of 4 stages keeps at once with 1F1B; the control is GPipe's order",
        "zh": "1F1B 下 4 级流水线首级同时保留的微批次数（共 16 个）；对照是 GPipe 的次序",
    },
    "parity zero_gap <= 0 < lower_gap": {
        "en": "largest gap between the numbers on a rank, as a multiple of the weights, and 4, 2 + 2/n, 1 + 3/n, 4/n "
        "at ZeRO stages 0 to 3; the control takes, by its smallest gap, the formula of the stage below",
        "zh": "ZeRO 阶段 0 至 3 下每个进程所存的数值个数（以权重数为单位）与 4、2 + 2/n、1 + 3/n、4/n 的最大差距；"
        "对照套用低一阶段的公式，取最小差距",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "32 ranks": "32 个进程",
    "one process": "单进程",
    "a step for each quarter": "每四分之一批更新一次",
    "two stages over time: forwards 1, 2, 3, backwards -1, -2, -3, idle 0": "两级流水线随时间的工作："
    "前向 1、2、3，反向 -1、-2、-3，空闲 0",
    "time": "时间",
    "stage": "级",
    "numbers on each of 4 ranks": "4 个数据并行进程各存多少个数",
    "ZeRO stage": "ZeRO 阶段",
    "weights": "权重",
    "gradients": "梯度",
    "moments": "Adam 的矩",
    "in all": "合计",
    "share": "占比",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
