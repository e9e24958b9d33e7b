"""Hardware: GPU and TPU — a matrix product is thousands of independent sums, and hardware does them at once.

On the device at hand (--device cuda for a GPU) batched matrix products are compared with loops over single
elements: the same numbers, and how many multiply-adds per second by size, which depends on the machine and is
information only. Then a small systolic array, the heart of a TPU, is SIMULATED cycle by cycle: weights stay
in the cells, inputs move right, partial sums move down, one cell a cycle. Nothing is claimed about the speed
of a real TPU.

Claim:  the batched product equals the loops; the simulated array computes the same product if its inputs
        enter skewed, row k after k cycles; a product of two 16 x 16 matrices takes it 46 cycles, one
        multiplier 4096.
Source: H. T. Kung, Why Systolic Architectures?, IEEE Computer 15(1), 1982; N. Jouppi et al., In-Datacenter
        Performance Analysis of a Tensor Processing Unit, ISCA 2017
Run:    python kb/demos/hardware_gpu_tpu.py --device cpu --seed 0 --steps 24
"""

import time

import torch
from torch import Tensor

TITLE = {"en": "Parallel hardware and matrix products", "zh": "并行硬件与矩阵乘法"}
CPU_SECONDS = 1
CLAIMS = {
    "parity loops_gap <= 1e-5 < transposed_loops_gap": {
        "en": "batched matrix products on the device against loops over elements; the control transposes",
        "zh": "设备上的批量矩阵乘法与逐元素循环的差距；对照误用转置",
    },
    "parity array_gap <= 1e-5 < unskewed_array_gap": {
        "en": "simulated systolic array against the matrix product; in the control the inputs enter unskewed",
        "zh": "模拟脉动阵列与矩阵乘法的差距；对照中输入未错开",
    },
    "trained array_cycles <= 2000 < single_cycles": {
        "en": "cycles of the simulated 16 x 16 array for one product; the control is a single multiplier",
        "zh": "模拟的 16×16 阵列完成一次矩阵乘法的周期数；对照为单个乘法器",
    },
    "timing speedup >= 20 > loop_speedup": {
        "en": "multiply-adds per second of batched products over those of loops; the control: loops again",
        "zh": "批量矩阵乘法与循环的每秒乘加数之比；对照为循环自身再测一次",
    },
}

SIDE, BATCH = 16, 8


def loops(a: list, b: list) -> list:
    """One multiply-add at a time, as a processor without parallel units would: two nested lists."""
    product = [[0.0] * len(b[0]) for _ in a]
    for i in range(len(a)):
        for j in range(len(b[0])):
            for k in range(len(b)):
                product[i][j] += a[i][k] * b[k][j]
    return product


def systolic(x: Tensor, weight: Tensor, skewed: bool = True) -> tuple[Tensor, int, list[float]]:
    """SIMULATION: x @ weight on a grid of cells that only talk to neighbours; also cycles and busy cells."""
    (m, k), n = x.shape, weight.shape[1]
    cycles = m + k + n - 2  # the last input enters the last row, then crosses all columns
    entering = x.new_zeros(cycles, k)
    for row in range(k):
        delay = row if skewed else 0
        entering[delay : delay + m, row] = x[:, row]
    moving, sums = x.new_zeros(k, n), x.new_zeros(k, n)
    leaving, busy = [], []
    for cycle in range(cycles):
        moving = torch.cat([entering[cycle][:, None], moving[:, :-1]], 1)  # one cell to the right
        sums = torch.cat([x.new_zeros(1, n), sums[:-1]]) + moving * weight  # one cell down
        leaving.append(sums[-1])  # (n,), column j leaves j cycles late
        busy.append((moving != 0).float().mean().item())
    out = torch.stack(leaving)  # (cycles, n)
    return torch.stack([out[k - 1 + j : k - 1 + j + m, j] for j in range(n)], 1), cycles, busy


def rate(work, multiply_adds: int) -> float:
    """Billions of multiply-adds per second, the best of three."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return multiply_adds / min(seconds) / 1e9


def run(device="cpu", seed=0, steps=24):
    data = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(BATCH, SIDE, SIDE, generator=data) / SIDE**0.5 for _ in range(2))
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    by_loops = torch.tensor([loops(*pair) for pair in pairs])
    slow, again = (rate(lambda: [loops(*pair) for pair in pairs], BATCH * SIDE**3) for _ in range(2))
    sizes, rates = [], []
    for step in range(steps):
        size = round(8 * 64 ** (step / max(steps - 1, 1)))  # 8 ... 512
        x, y = (torch.randn(BATCH, size, size, generator=data).to(device) for _ in range(2))
        sizes.append(float(size))
        # item() waits until a GPU has the result; the call alone returns before
        rates.append(rate(lambda x=x, y=y: (x @ y)[0, 0, 0].item(), BATCH * size**3))
        yield (step + 1) / steps, {"batched product": rates[-1], "loops": slow}
    ints = [torch.randint(1, 9, (SIDE, SIDE), generator=data).float().to(device) for _ in range(2)]  # exact
    product, cycles, busy = systolic(*ints)
    unskewed = systolic(*ints, skewed=False)[0]
    return {
        "loops_gap": float(((a.to(device) @ b.to(device)).cpu() - by_loops).abs().max()),
        "transposed_loops_gap": float(((a.to(device) @ b.to(device).mT).cpu() - by_loops).abs().max()),
        "array_gap": float((product - ints[0] @ ints[1]).abs().max()),
        "unskewed_array_gap": float((unskewed - ints[0] @ ints[1]).abs().max()),
        "array_cycles": float(cycles),
        "single_cycles": float(SIDE**3),
        "speedup": max(rates) / slow,
        "loop_speedup": again / slow,
    }, {
        "throughput by size (this machine)": {
            "kind": "lines",
            "zh": "不同规模的吞吐量（本机）",
            "series": {"batched product": (sizes, rates), "loops": ([sizes[0], sizes[-1]], [slow, slow])},
            "x": "matrix size",
            "y": "billion multiply-adds per second",
            "log": "xy",
        },
        "busy cells of the array (simulation)": {
            "kind": "lines",
            "zh": "阵列中工作单元的比例（模拟）",
            "series": {"busy": ([float(cycle + 1) for cycle in range(cycles)], busy)},
            "x": "cycle",
            "y": "share",
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
