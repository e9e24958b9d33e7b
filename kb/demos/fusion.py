"""Operator fusion — a chain of cheap operations is as slow as its trips to memory; done tile by tile, it makes few.

The chain is GEGLU, a gate in transformers: GELU written out, times a second input; 10 operations on each number. One
after the other, each reads its inputs from memory and writes its result there: 24 numbers moved for one of the output.
Fused, all 10 work on one tile before the next is read, and what lies between them stays in the cache: two numbers in,
one out. Both are counted by a rule and in a cache that is SIMULATED (256 lines; the one unused for longest leaves
first), the 24 also by watching what PyTorch's operations take and give. While all fits into the cache, the control
moves as little, and tiles of 64 lines, which do not fit, move far more than those of 16. A MODEL, the roofline
(arithmetic or memory sets the time, whichever is slower), for an H100 in 16 bits (3.35 TB/s, and the 989 Tflop/s of
its matrix units, more than the chain gets), says that fusing makes the chain as much faster as it moves less; behind a
product of 8192 x 8192 matrices, whose own time stays, both together gain less than twice. Tiles in a Python loop give
the right result, not speed; a compiler would write one kernel. PyTorch's GELU is such a kernel: with a product behind
it, it is timed beside the 10 operations, as information. Gradients are left out.

Needs:  torch
Source: S. Williams et al., Roofline: An Insightful Visual Performance Model for Multicore Architectures, CACM 52(4),
        2009; J. Ansel et al., PyTorch 2, ASPLOS 2024 (a compiler); N. Shazeer, GLU Variants Improve Transformer, 2020
"""

import time
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

# %% the concept

Op = tuple[str, Callable, tuple]  # the name of what it makes, the operation, and of what: names or numbers
GEGLU: list[Op] = [  # y = x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) g
    ("a", torch.mul, ("x", "x")),
    ("b", torch.mul, ("a", "x")),
    ("c", torch.mul, ("b", 0.044715)),
    ("d", torch.add, ("c", "x")),
    ("e", torch.mul, ("d", (2 / torch.pi) ** 0.5)),
    ("f", torch.tanh, ("e",)),
    ("h", torch.add, ("f", 1.0)),
    ("i", torch.mul, ("h", "x")),
    ("j", torch.mul, ("i", "g")),
    ("y", torch.mul, ("j", 0.5)),
]


def names(op: Op) -> list[str]:
    return [name for name in op[2] if isinstance(name, str)]


def moved(kernels: list[list[Op]]) -> int:
    """Tensors that pass between kernels and memory: what a kernel did not make is read, what is needed, written."""
    total = 0
    for kernel in kernels:
        made, read = {op[0] for op in kernel}, {name for op in kernel for name in names(op)}
        needed = {"y"}.union(*(names(op) for other in kernels if other is not kernel for op in other))
        total += len(read - made) + len(made & needed)
    return total


def tiles(inputs: dict[str, Tensor], y: Tensor, buffers: dict[str, Tensor]) -> Tensor:
    """The chain on one tile, as long as a buffer, then on the next: tensors are (n,), buffers (tile,)."""
    tile = len(buffers["a"])
    for start in range(0, len(y), tile):
        held = {name: t[start : start + tile] for name, t in (inputs | {"y": y}).items()}
        held |= {name: t[: len(y) - start] for name, t in buffers.items()}
        for out, operation, given in GEGLU:
            operation(*(held.get(name, name) for name in given), out=held[out])
    return y


# %% its control


def whole(inputs: dict[str, Tensor]) -> Tensor:
    """One operation after the other: (n,)."""
    held = dict(inputs)
    for out, operation, given in GEGLU:
        held[out] = operation(*(held.get(name, name) for name in given))
    return held["y"]


# %% the experiment

N, LINES, CACHE, TILE, LARGE, PEAK, BANDWIDTH, SIDE = 2**18, 4096, 256, 16, 64, 989e12, 3.35e12, 8192


class Watch(TorchDispatchMode):
    """Numbers that operations take and give."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **kwargs or {})
        self.numbers += sum(t.numel() for t in {id(t): t for t in (*args, result) if isinstance(t, Tensor)}.values())
        return result


def traffic(lines: int, tile: int) -> int:
    """SIMULATION of a cache: lines of the chain's tensors that come from memory or go there."""
    cache, count = OrderedDict[tuple[str, int], bool](), 0  # oldest first; whether memory lacks it
    for start in range(0, lines, tile):
        for op in GEGLU:
            for i in range(min(tile, lines - start)):
                for name in (*names(op), op[0]):
                    line, writes = (name, i + start * (name in "xgy")), name == op[0]  # buffers are used again
                    count += line not in cache and not writes
                    cache[line] = writes or cache.get(line, False)
                    cache.move_to_end(line)
                    if len(cache) > CACHE:
                        count += cache.popitem(last=False)[1]
    return count + sum(lacks for (name, _), lacks in cache.items() if name == "y")  # buffers are given up


def gains() -> tuple[float, float]:
    """By the roofline, how many times faster: the chain alone fused, and behind a product of SIDE x SIDE matrices."""
    n, work = SIDE**2, len(GEGLU) * SIDE**2  # numbers of 2 bytes; operations of the chain
    apart, fused = (max(work / PEAK, 2 * n * moved(k) / BANDWIDTH) for k in ([[op] for op in GEGLU], [GEGLU]))
    product = max(2 * SIDE**3 / PEAK, 2 * n * 3 / BANDWIDTH)
    joint = max((2 * SIDE**3 + work) / PEAK, 2 * n * 4 / BANDWIDTH)  # two matrices and g in, y out
    return apart / fused, (product + apart) / joint


def run(device="cpu", seed=0, steps=17):
    g = torch.Generator().manual_seed(seed)
    inputs = {name: torch.randn(N, generator=g) for name in ("x", "g")}
    few = {name: t[:1000].double() for name, t in inputs.items()}
    inputs = {name: t.to(device) for name, t in inputs.items()}
    with Watch() as watch:
        whole(few)
    results = tiles(few, torch.empty_like(few["x"]), {op[0]: few["x"][:64].clone() for op in GEGLU[:-1]})
    gaps = [(results - F.gelu(few["x"], approximate=how) * few["g"]).abs().max() for how in ("tanh", "none")]
    y, room = torch.empty_like(inputs["x"]), {op[0]: inputs["x"].clone() for op in GEGLU[:-1]}
    ways = {"ten": lambda: tiles(inputs, y, room), "ten again": lambda: tiles(inputs, y, room)}
    ways["two"] = lambda: torch.mul(F.gelu(inputs["x"], approximate="tanh"), inputs["g"], out=y)
    curves: dict[str, list[float]] = {"one operation after the other": [], "tile by tile": []}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    sizes = [round(2 ** (4 + 8 * step / max(steps - 1, 1))) for step in range(steps)]
    for step, lines in enumerate(sizes):
        for name, tile in zip(curves, (lines, TILE), strict=True):
            curves[name].append(traffic(lines, tile) / lines)
        for name, way in ways.items():
            begin = time.process_time()
            way()[-1].item()  # a GPU would have to finish
            seconds[name].append(time.process_time() - begin)
        yield (step + 1) / steps, {name: held[-1] for name, held in curves.items()}
    best = {name: min(held) for name, held in seconds.items()}
    counted = [traffic(LINES, tile) for tile in (TILE, LARGE, LINES)]
    per_op, fused = moved([[op] for op in GEGLU]), moved([GEGLU])
    chain, joint = gains()
    return {
        "result_gap": float(gaps[0]),
        "erf_gap": float(gaps[1]),
        "count_gap": abs(watch.numbers / 1000 - per_op),
        "fused_count_gap": abs(watch.numbers / 1000 - fused),
        "cache_gap": abs(counted[0] - fused * LINES) + abs(counted[2] - per_op * LINES),
        "large_tile_gap": abs(counted[1] - fused * LINES),
        "tiles_moved": counted[0] / LINES,
        "whole_moved": counted[2] / LINES,
        "chain_gain": chain,
        "joint_gain": joint,
        "speedup": best["ten"] / best["two"],
        "same_speedup": best["ten"] / best["ten again"],
    }, {
        "numbers moved for one of the output: a simulated cache of 256 lines": {
            "kind": "lines",
            "series": {name: ([float(size) for size in sizes], held) for name, held in curves.items()},
            "x": "lines of a tensor",
            "y": "numbers moved",
            "log": "x",
        },
    }


# %% what is claimed

TITLE = {"en": "A fused chain makes fewer trips to memory", "zh": "融合后的算子链少跑内存"}
CURVES = "numbers moved"
CPU_SECONDS = 1
CLAIMS = {
    "parity result_gap <= 1e-12 < erf_gap": {
        "en": "largest gap of tiles to torch's GELU (tanh form) times the gate (f64); control: its exact form",
        "zh": "分块结果同 PyTorch 的 GELU（tanh 形式）乘门控的最大差距（f64）；对照：其精确形式",
    },
    "parity count_gap <= 0 < fused_count_gap": {
        "en": "numbers that PyTorch's 10 operations take and give, for one of the output, against the rule; control: "
        "the rule for one kernel",
        "zh": "PyTorch 的 10 个算子每个输出读写的数的个数与规则之差；对照：按单个内核计算",
    },
    "parity cache_gap <= 0 < large_tile_gap": {
        "en": "lines that the simulated cache moves against the rule, for tiles and for whole tensors; control: "
        "tiles of 64 lines, which do not fit",
        "zh": "模拟缓存搬运的行数与规则之差（分块与整张量）；对照：放不下的 64 行大块",
    },
    "parity tiles_moved <= 3 < whole_moved": {
        "en": "numbers moved for one of the output, in tiles, simulated; control: one operation after the other",
        "zh": "分块执行时每个输出搬运的数的个数（模拟）；对照：逐个算子执行",
    },
    "constant chain_gain >= 8 > joint_gain": {
        "en": "how many times faster fusing makes the chain, by the roofline; control: a product of matrices with "
        "the chain behind it",
        "zh": "按屋顶线模型，融合使算子链加快的倍数；对照：矩阵乘积后接该算子链",
    },
    "timing speedup >= 1.5 > same_speedup": {
        "en": "CPU time of the ten operations over that of PyTorch's GELU and a product; control: the ten again",
        "zh": "本机上十个算子的 CPU 时间与 PyTorch 的 GELU 内核加一次乘法之比；对照：十个算子再测一次",
    },
}
ZH = {
    "numbers moved": "搬运的数的个数",
    "one operation after the other": "逐个算子",
    "tile by tile": "逐块",
    "numbers moved for one of the output: a simulated cache of 256 lines": "每个输出搬运的数：模拟的 256 行缓存",
    "lines of a tensor": "张量的行数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
