"""Float formats — beside outliers, 8-bit floats keep the small numbers that integers lose; in 4 bits, blocks keep some.

A matrix of activations has normal numbers, and six features of 512 that are a hundred times as large (Dettmers et al.
found some that are up to twenty times as large in language models; INT8 loses by less there). It is rounded to INT8,
INT4, FP8 (E4M3: 4 bits of exponent, 3 of mantissa; E5M2), FP4 (E2M1), and to blocks with scales of their own: MXFP4 (32
numbers, a power of two) and NVFP4 (16 numbers, an E4M3 scale). What is measured is the error of the ordinary features,
relative to their own size: what an outlier does to the others. Each is judged beside a rival: integers of as many bits,
other blocks, one scale for all. E5M2 pays with a coarser step for its range, which numbers that spread over eight
decades need. Rounding is simulated: nothing here says what is faster.

Needs:  torch
Source: P. Micikevicius et al., FP8 Formats for Deep Learning, 2022; B. Rouhani et al., Microscaling Data Formats for
        Deep Learning, 2023; T. Dettmers et al., LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale,
        NeurIPS 2022 (outlier features); NVIDIA, Pretraining Large Language Models with NVFP4, 2025
"""

import torch
from torch import Tensor

ROWS, FEATURES, OUTLIERS, TIMES, DECADES = 256, 512, 6, 100.0, 8
FORMATS = {"E4M3": (3, 7, 448.0), "E5M2": (2, 15, 57344.0), "E2M1": (1, 1, 6.0), "FP16": (10, 15, 65504.0)}

# %% the concept


def round_to(x: Tensor, mantissa: int, bias: int, largest: float) -> Tensor:
    """The nearest floats with so many bits after the leading one; ties to even, beyond the largest to the largest."""
    exponent = (torch.frexp(x)[1] - 1).clamp(min=1 - bias)  # 2^e <= |x| < 2^(e + 1); subnormal numbers share the least
    step = torch.ldexp(torch.ones_like(x), exponent - mantissa)  # floats are 2^(e - m) apart: finer where x is small
    return ((x / step).round() * step).clamp(-largest, largest)


def integers(x: Tensor, bits: int) -> Tensor:
    """The nearest of -(2^(b - 1) - 1) .. 2^(b - 1) - 1, which are equally far apart."""
    top = 2 ** (bits - 1) - 1
    return x.round().clamp(-top, top)


def rounded(x: Tensor, name: str) -> Tensor:
    """To the format of this name, with the largest number of x on the largest of the format: any shape."""
    if name.startswith("INT"):
        bits = int(name[3:])
        scale = x.abs().max() / (2 ** (bits - 1) - 1)
        return integers(x / scale, bits) * scale
    scale = x.abs().max() / FORMATS[name][2]
    return round_to(x / scale, *FORMATS[name]) * scale


def mxfp4(x: Tensor) -> Tensor:  # (..., d): 32 numbers of E2M1 share a power of two, 4 + 8/32 bits each
    block = x.unflatten(-1, (-1, 32))
    exponent = torch.frexp(block.abs().amax(-1, keepdim=True))[1] - 1
    scale = torch.ldexp(torch.ones_like(block[..., :1]), exponent - 2)  # 2^(floor(log2 max) - 2): 4 is E2M1's top power
    return (round_to(block / scale, *FORMATS["E2M1"]) * scale).flatten(-2)


def nvfp4(x: Tensor) -> Tensor:  # (..., d): 16 numbers of E2M1 share an E4M3 scale, 4 + 8/16 bits each
    block = x.unflatten(-1, (-1, 16))
    whole = x.abs().max() / (6 * 448)  # one scale for all: that the largest block's scale is E4M3's largest number
    scale = round_to(block.abs().amax(-1, keepdim=True) / 6 / whole, *FORMATS["E4M3"]) * whole
    return (round_to(block / scale.clamp(min=1e-30), *FORMATS["E2M1"]) * scale).flatten(-2)


WAYS = {name: (lambda x, name=name: rounded(x, name)) for name in ("FP16", "INT8", "E4M3", "E5M2", "INT4", "E2M1")}
WAYS |= {"MXFP4": mxfp4, "NVFP4": nvfp4}

# %% the experiment


def matrix(outliers: bool, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Normal numbers, some columns of which are large; and which columns are ordinary: (rows, d), (d,)."""
    x = torch.randn(ROWS, FEATURES, generator=generator)
    columns = torch.randperm(FEATURES, generator=generator)[:OUTLIERS]
    if outliers:
        x[:, columns] *= TIMES
    ordinary = torch.ones(FEATURES, dtype=torch.bool)
    ordinary[columns] = False
    return x, ordinary


def loss_of(given: Tensor, x: Tensor) -> float:
    """Squared error as a share of the squares; its root is the relative error."""
    return ((given - x).square().sum() / x.square().sum()).item()


def relative(x: Tensor, name: str) -> Tensor:
    """Of each number, against its own size."""
    return (rounded(x, name) - x).abs() / x.abs()


def nearest(x: Tensor, name: str) -> Tensor:
    """As `round_to`, by search among all numbers of a format, most as torch decodes them; of two as near, the even."""
    codes = torch.arange(0x7C00 if name == "FP16" else 0x7F if name == "E4M3" else 0x7C, dtype=torch.int16)  # finite
    if name == "E2M1":
        known = torch.tensor([0.0, 0.5, 1, 1.5, 2, 3, 4, 6], dtype=x.dtype)
    elif name == "FP16":
        known = codes.view(torch.float16).to(x)
    else:
        known = codes.to(torch.uint8).view(torch.float8_e4m3fn if name == "E4M3" else torch.float8_e5m2).to(x)
    above = torch.searchsorted(known, x.abs().contiguous()).clamp(1, len(known) - 1)
    low, high = x.abs() - known[above - 1], known[above] - x.abs()
    return known[above - ((low < high) | ((low == high) & (above % 2 == 1))).long()] * x.sign()


def reference(x: Tensor, name: str) -> Tensor:
    """Each way of rounding a matrix once more: integers by floor, floats from `nearest`, blocks one by one; f64."""
    largest = x.abs().max().item()
    if name.startswith("INT"):
        top = 2 ** (int(name[3:]) - 1) - 1
        return (x * top / largest + 0.5).floor() * largest / top
    if name in FORMATS:
        return nearest(x * FORMATS[name][2] / largest, name) * largest / FORMATS[name][2]
    size, parts = (32 if name == "MXFP4" else 16), []
    for block in x.flatten().split(size):
        most = block.abs().max()
        if name == "MXFP4":
            scale = 2.0 ** (most.log2().floor() - 2)
        else:
            whole = largest / 2688
            scale = nearest(most / 6 / whole, "E4M3") * whole
        parts.append(nearest((block / scale).clamp(-6, 6), "E2M1") * scale)
    return torch.cat(parts).view_as(x)


def reference_gap(x: Tensor, swap: bool = False) -> float:
    """Largest difference of every way of rounding from `reference`, relative to the largest number; f64. `swap` takes
    the other 8-bit float, and the other blocks of 4-bit ones, and gives the smaller of the two.
    """
    other = {"E4M3": "E5M2", "MXFP4": "NVFP4"} if swap else {name: name for name in WAYS}
    gaps = [(WAYS[a](x) - reference(x, b)).abs().max() / x.abs().max() for a, b in other.items()]
    halves = torch.arange(-24, 25).double() / 4  # some lie half-way between two numbers of a format
    ties = [(round_to(halves, *FORMATS[name]) - nearest(halves, name)).abs().max() for name in FORMATS]
    return min(gaps).item() if swap else max(*gaps, *ties).item()


def run(device="cpu", seed=0, steps=20):
    data, spread = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))  # two streams: matrices, wide numbers
    losses: dict[tuple[str, bool], list[float]] = {(name, outliers): [] for name in WAYS for outliers in (False, True)}
    for step in range(steps):
        for outliers in (False, True):
            x, ordinary = (t.to(device) for t in matrix(outliers, data))
            for name, way in WAYS.items():
                losses[name, outliers].append(loss_of(way(x) * ordinary, x * ordinary))
        yield (step + 1) / steps, {name: losses[name, True][-1] ** 0.5 for name in WAYS}

    error = {key: (sum(found) / len(found)) ** 0.5 for key, found in losses.items()}
    wide = 10 ** (-DECADES * torch.rand(4000, generator=spread))
    wide = torch.cat([wide, torch.ones(1)]).to(device)
    sizes = [10 ** (-k / 8) for k in range(8 * DECADES, -1, -1)]
    near = torch.linspace(0.75, 1.25, 200) * torch.tensor(sizes)[:, None]
    near = torch.cat([near.flatten().clamp(max=1), torch.ones(1)]).to(device)
    lines = {
        name: (sizes, relative(near, name)[:-1].view(len(sizes), -1).mean(1).clamp(min=1e-4).tolist())
        for name in ("INT8", "E4M3", "E5M2", "E2M1")
    }
    checked = matrix(True, data)[0][:8].double()
    bits = {"FP16": 16, "INT8": 8, "E4M3": 8, "E5M2": 8, "INT4": 4, "E2M1": 4, "MXFP4": 4.25, "NVFP4": 4.5}
    return {
        "e4m3_error": error["E4M3", True],
        "int8_error": error["INT8", True],
        "int8_plain_error": error["INT8", False],
        "nvfp4_error": error["NVFP4", True],
        "mxfp4_error": error["MXFP4", True],
        "e2m1_error": error["E2M1", True],
        "e5m2_wide_error": relative(wide, "E5M2").mean().item(),
        "e4m3_wide_error": relative(wide, "E4M3").mean().item(),
        "reference_gap": reference_gap(checked),
        "swapped_gap": reference_gap(checked, swap=True),
    }, {
        "relative rounding error by size": {
            "kind": "lines",
            "series": lines,
            "x": "size, as a share of the largest number",
            "y": "mean relative error",
            "log": "xy",
        },
        "relative error of the ordinary features": {
            "kind": "table",
            "columns": ["format", "bits a number", "no outliers", "with outliers"],
            "rows": [[name, bits[name], error[name, False], error[name, True]] for name in WAYS],
        },
    }


# %% what is claimed

TITLE = {"en": "Small floats and outliers", "zh": "低比特浮点与离群特征"}
CURVES = "relative error"
CPU_SECONDS = 2
CLAIMS = {
    "parity e4m3_error <= 0.028 < int8_error <= 0.95": {
        "en": "relative error of the ordinary features in FP8 (E4M3), one scale for the matrix; control: INT8, as many "
        "bits",
        "zh": "整个矩阵共用一个缩放因子时，FP8（E4M3）下普通特征的相对误差；对照：位数相同的 INT8",
    },
    "parity int8_plain_error <= 0.013 < int8_error": {
        "en": "the same in INT8 without outlier features; control: with six of them",
        "zh": "没有离群特征时 INT8 的相对误差；对照：有六个离群特征时",
    },
    "parity nvfp4_error <= 0.42 < mxfp4_error <= 0.6": {
        "en": "the same in NVFP4, a scale for every 16 numbers; control: MXFP4, a scale for every 32",
        "zh": "NVFP4（每 16 个数一个缩放因子）的相对误差；对照：MXFP4（每 32 个数一个缩放因子）",
    },
    "parity mxfp4_error <= 0.6 < e2m1_error": {
        "en": "the same in MXFP4; control: FP4 (E2M1) with one scale for the matrix",
        "zh": "MXFP4 的相对误差；对照：整个矩阵共用一个缩放因子的 FP4（E2M1）",
    },
    "parity e5m2_wide_error <= 0.05 < e4m3_wide_error <= 0.38": {
        "en": "mean relative error in E5M2 of numbers that spread over eight decades; control: E4M3",
        "zh": "数值横跨八个数量级时 E5M2 的平均相对误差；对照：E4M3",
    },
    "parity reference_gap <= 1e-10 < swapped_gap": {
        "en": "largest gap of all formats to a second way, as a share of the largest number (f64): floats by search "
        "among all of their format, blocks one by one, integers by floor(x + 1/2); control: E5M2 for E4M3 or NVFP4 for "
        "MXFP4, the smaller",
        "zh": "各格式与另一种算法的最大差距，相对于最大的数（f64）：浮点数在该格式的全部取值中搜索最近者，"
        "分块格式逐块计算，整数用 floor(x + 1/2)；对照：以 E5M2 代 E4M3 或以 NVFP4 代 MXFP4，取较小者",
    },
}
ZH = {
    "relative error": "相对误差",
    "relative rounding error by size": "各种大小的数的相对舍入误差",
    "size, as a share of the largest number": "数的大小，相对于最大的数",
    "mean relative error": "平均相对误差",
    "relative error of the ordinary features": "普通特征的相对误差",
    "format": "格式",
    "bits a number": "每个数的位数",
    "no outliers": "无离群特征",
    "with outliers": "有离群特征",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
