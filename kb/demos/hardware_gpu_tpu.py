"""Hardware: GPU and TPU — a matrix product is many independent sums, and hardware works on many of them at once.

A systolic array, the heart of a TPU, is SIMULATED cycle by cycle: weights stay in the cells, inputs move right, partial
sums move down, one cell a cycle. Inputs must enter skewed, row k after k cycles, to meet their sums. With its weights
in place, 256 multipliers take 46 cycles for a product of two 16 x 16 matrices, one multiplier 4096; 512 numbers are
read from memory instead of 8192, for weights stay and inputs are passed on. Two thirds of the cells idle meanwhile, on
average; a stream of 1024 rows leaves 3 % idle. Nothing is claimed about the speed of a real TPU. Then, on the device at
hand (--device cuda for a GPU), batched matrix products are timed beside Python loops over single numbers, where most of
the time is the interpreter's, and beside elementwise multiply-adds, which use each number once or twice: that depends
on the machine and is information only.

Needs:  torch
Source: H. T. Kung, Why Systolic Architectures?, IEEE Computer 15(1), 1982; N. Jouppi et al., In-Datacenter Performance
        Analysis of a Tensor Processing Unit, ISCA 2017
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

SIDE, BATCH, STREAM = 16, 8, 1024

# %% the concept


class Systolic:
    """SIMULATION: a grid of cells, one a weight, that talk to their neighbours only."""

    def __init__(self, weight: Tensor, skewed: bool = True) -> None:
        self.weight, self.skewed = weight, skewed  # (k, n)
        self.reads, self.waves = weight.numel(), list[Tensor]()  # numbers from memory; the cells at work, each cycle

    @property
    def cycles(self) -> int:
        return len(self.waves)

    def product(self, x: Tensor) -> Tensor:  # x @ weight: (m, k) -> (m, n)
        (m, k), n = x.shape, self.weight.shape[1]
        inputs, sums, busy = torch.zeros(k, n), torch.zeros(k, n), torch.zeros(k, n, dtype=torch.bool)
        leaving, before = [list[Tensor]() for _ in range(n)], len(self.waves)
        while len(leaving[-1]) < m:  # until the last sum has left
            row = len(self.waves) - before - torch.arange(k) * self.skewed  # of x: what enters each row now
            here = (row >= 0) & (row < m)
            entering = x[row.clamp(0, m - 1), torch.arange(k)] * here  # (k,)
            inputs = torch.cat([entering[:, None], inputs[:, :-1]], 1)  # one cell to the right
            above = torch.cat([torch.zeros(1, n), sums[:-1]])  # one cell down
            sums = above + inputs * self.weight  # in every cell: s_out = s_in + x * w
            busy = torch.cat([here[:, None], busy[:, :-1]], 1)
            for j in busy[-1].nonzero()[:, 0].tolist():  # finished below
                leaving[j].append(sums[-1, j])
            self.reads += int(here.sum())
            self.waves.append(busy)
        return torch.stack([torch.stack(column) for column in leaving], 1)


# %% its control


def loops(x: list, weight: list) -> tuple[list, int]:
    """One multiplier: the product, and its multiply-adds, one a cycle, each with two numbers from memory."""
    product, cycles = [[0.0] * len(weight[0]) for _ in x], 0
    for i in range(len(x)):
        for j in range(len(weight[0])):
            for k in range(len(weight)):
                product[i][j] += x[i][k] * weight[k][j]
                cycles += 1
    return product, cycles


# %% the experiment


def simulations(generator: torch.Generator) -> tuple[dict[str, float], Systolic]:
    """Arrays and streams of several shapes: products, cycles, work and reads against what they must be."""
    gaps: dict[str, list[float]] = {"array_gap": [], "unskewed_array_gap": [], "count_gap": [], "single_count_gap": []}
    for m, k, n in ((SIDE, SIDE, SIDE), (1, 3, 5), (7, 2, 4), (5, 6, 1), (3, 4, 8), (STREAM, SIDE, SIDE)):
        x, weight = (torch.randint(1, 9, size, generator=generator).float() for size in ((m, k), (k, n)))
        array, unskewed = Systolic(weight), Systolic(weight, skewed=False)
        gaps["array_gap"].append(float((array.product(x) - x @ weight).abs().max()))  # whole numbers: exact
        gaps["unskewed_array_gap"].append(float((unskewed.product(x) - x @ weight).abs().max()))
        work, single = int(torch.stack(array.waves).sum()), loops(x.tolist(), weight.tolist())[1]
        counts = {"": (array.cycles, array.reads, work), "single_": (single, 2 * single, single)}
        right, share = (m + k + n - 2, m * k + k * n, m * k * n), work / (array.cycles * weight.numel())
        if m < SIDE:  # its weights stay: the array serves a second product, and reads only the inputs again
            gaps["array_gap"].append(float((array.product(-x) + x @ weight).abs().max()))
            gaps["count_gap"].append(float(abs(array.cycles - 2 * right[0]) + abs(array.reads - right[1] - m * k)))
        for name, counted in counts.items():
            gaps[f"{name}count_gap"].append(float(max(abs(a - b) for a, b in zip(counted, right, strict=True))))
        if m == SIDE:
            square, cycles, short = array, single, share
    return {name: max(found) for name, found in gaps.items()} | {
        "array_cycles": float(square.cycles),
        "single_cycles": float(cycles),
        "array_reads": float(square.reads),
        "single_reads": float(2 * cycles),
        "stream_share": share,
        "square_share": short,
    }, square


def rate(work: Callable[[], object], multiply_adds: int) -> float:
    """Billions of multiply-adds per second, the best of three."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return multiply_adds / min(seconds) / 1e9


def run(device="cpu", seed=0, steps=24):
    data, timed = (torch.Generator().manual_seed(2 * seed + k) for k in (0, 1))
    measured, array = simulations(data)
    a, b = (torch.randint(-8, 9, (BATCH, SIDE, SIDE), generator=data).float() for _ in range(2))
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    by_loops = torch.tensor([loops(*pair)[0] for pair in pairs])
    slow, again = (rate(lambda: [loops(*pair) for pair in pairs], BATCH * SIDE**3) for _ in range(2))
    kinds: dict[str, list[float]] = {"matrix product": [], "elementwise": []}
    sizes = [round(8 * 64 ** (step / max(steps - 1, 1))) for step in range(steps)]  # 8 ... 512
    for step, size in enumerate(sizes):
        x, y = (torch.randn(BATCH, size, size, generator=timed).to(device) for _ in range(2))
        # item() waits until a GPU has the result; the call alone returns before
        kinds["matrix product"].append(rate(lambda x=x, y=y: (x @ y)[0, 0, 0].item(), BATCH * size**3))
        kinds["elementwise"].append(rate(lambda x=x, y=y: x.addcmul(x, y)[0, 0, 0].item(), BATCH * size**2))
        yield (step + 1) / steps, {kind: rates[-1] for kind, rates in kinds.items()} | {"loops": slow}
    shown = [round(len(array.waves) * part / 8) for part in range(1, 9)]
    on_device = [(a.to(device) @ right.to(device)).cpu() for right in (b, b.mT)]
    return measured | {
        "loops_gap": float((on_device[0] - by_loops).abs().max()),
        "transposed_loops_gap": float((on_device[1] - by_loops).abs().max()),
        "speedup": max(kinds["matrix product"]) / slow,
        "loop_speedup": again / slow,
    }, {
        "cells of the array at work (bright), by cycle: a simulation": {
            "kind": "images",
            "images": [array.waves[cycle - 1].double().tolist() for cycle in shown],
            "titles": [str(cycle) for cycle in shown],
            "columns": 4,
        },
        "throughput by size on this machine": {
            "kind": "lines",
            "series": {kind: ([float(size) for size in sizes], rates) for kind, rates in kinds.items()}
            | {"loops": ([float(sizes[0]), float(sizes[-1])], [slow, slow])},
            "x": "matrix size",
            "y": "billion multiply-adds per second",
            "log": "xy",
        },
    }


# %% what is claimed

TITLE = {"en": "Parallel hardware and matrix products", "zh": "并行硬件与矩阵乘法"}
CURVES = "billion multiply-adds per second"
CPU_SECONDS = 1
CLAIMS = {
    "constant array_cycles <= 46 < single_cycles": {
        "en": "cycles of the simulated 16 x 16 array, 256 multipliers with their weights in place, for one product; "
        "the control is one multiplier",
        "zh": "模拟的 16×16 阵列（256 个乘法器，权重已就位）完成一次矩阵乘法的周期数；对照为单个乘法器",
    },
    "constant array_reads <= 512 < single_reads": {
        "en": "numbers that the array reads from memory for it; the control, one multiplier, reads two for each cycle",
        "zh": "阵列为此从内存读取的数的个数；对照为单个乘法器，每周期读两个",
    },
    "constant stream_share >= 0.97 > square_share": {
        "en": "share of the cells at work while 1024 rows stream through the array; the control: 16 rows",
        "zh": "1024 行数据流过阵列时工作单元的比例；对照只有 16 行",
    },
    "parity array_gap <= 0 < unskewed_array_gap": {
        "en": "simulated products of six shapes against matrix products, in whole numbers; in the control the inputs "
        "enter unskewed",
        "zh": "模拟阵列在六种形状的乘法上与矩阵乘积的差距（整数，精确）；对照中输入未错开",
    },
    "parity count_gap <= 0 < single_count_gap": {
        "en": "counted cycles, reads and multiply-adds of the arrays against m + k + n - 2, mk + kn and mkn; control: "
        "those of one multiplier",
        "zh": "阵列的周期数、读取数与乘加数同 m + k + n − 2、mk + kn、mkn 之差；对照为单个乘法器的计数",
    },
    "parity loops_gap <= 0 < transposed_loops_gap": {
        "en": "batched matrix products on the device against loops over numbers; the control transposes a factor",
        "zh": "设备上的批量矩阵乘法与逐元素循环的差距；对照误把一个因子转置",
    },
    "timing speedup >= 20 > loop_speedup": {
        "en": "multiply-adds per second of batched products, at the best size, over those of Python loops; the "
        "control: loops again",
        "zh": "批量矩阵乘法（取最佳规模）与 Python 循环的每秒乘加数之比；对照为循环自身再测一次",
    },
}
ZH = {
    "billion multiply-adds per second": "每秒十亿次乘加",
    "matrix product": "矩阵乘法",
    "elementwise": "逐元素乘加",
    "loops": "循环",
    "cells of the array at work (bright), by cycle: a simulation": "各周期中阵列里工作的单元（亮）：模拟",
    "throughput by size on this machine": "本机不同规模的吞吐量",
    "matrix size": "矩阵大小",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
