"""Energy cost — operations follow from shapes, joules and CO2 from operations; the last eightfold buys little accuracy.

A product of matrices (B, m) (m, n) takes 2 B m n operations; training takes it once forwards, once for the weights and,
above the first layer, once for the inputs. PyTorch's counter judges the count, also that of a whole search for a rate.
Networks of 4 to 256 units then read digits: eight times the operations, from 4 units to 32, avoid most of the errors;
eight times more, to 256, few or none, and with some seeds there are more. From operations to CO2 is a MODEL; nothing
here measured a watt. Assumed are GPUs of 400 W and 312 Tflop/s, used to 40 % (chosen to fit), and, from the LLaMA
paper, 10 % more for the building and 385 g of CO2 for a kWh. With them the GPU hours that Llama 2's makers
reported give their tonnes, though they give neither number there and say that cooling is left out; 2e12 tokens give
the hours to 9 %. The controls: 6 operations for each weight and example; the best trial alone; no 10 %; the peak.

Needs:  torch, scikit-learn
Source: R. Schwartz et al., Green AI, CACM 63(12), 2020; J. Kaplan et al., Scaling Laws for Neural Language
        Models, 2020 (6 N D); H. Touvron et al., Llama 2, 2023 (hours, watts, tonnes), and LLaMA, 2023 (10 %, 385 g)
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

TRAIN, BATCH, RATE, WIDTHS = 1000, 50, 0.04, (4, 8, 16, 32, 64, 128, 256)
WATTS, PEAK, USED, BUILDING, GRAMS = 400, 312e12, 0.4, 1.1, 385  # assumed; 1.1 is the PUE

# %% the concept


def forward_flops(sizes: list[int], examples: int) -> int:
    return sum(2 * examples * m * n for m, n in pairwise(sizes))  # (B, m) (m, n): B m n products, as many sums


def training_flops(sizes: list[int], examples: int) -> int:
    weights = forward_flops(sizes, examples)  # dL/dW = x^T g: (m, B) (B, n)
    inputs = forward_flops(sizes[1:], examples)  # dL/dx = g W^T: (B, n) (n, m); nobody asks for the first layer's
    return forward_flops(sizes, examples) + weights + inputs


def search_flops(sizes: list[int], examples: int, passes: int, trials: int) -> int:
    return training_flops(sizes, examples) * passes * trials  # Green AI: cost = E D H, not that of the best trial


def hours(flops: float) -> float:
    """Of one GPU."""
    return flops / (PEAK * USED) / 3600


def tonnes(gpu_hours: float) -> float:
    """Of CO2."""
    kilowatt_hours = gpu_hours * WATTS / 1000 * BUILDING
    return kilowatt_hours * GRAMS / 1e6


# %% its control


def rule_of_six(weights: float, tokens: float) -> float:
    """2 forwards, 2 for the weights, 2 for the inputs, of each weight and token: close if the first layer is small."""
    return 6 * weights * tokens


# %% the experiment

RATES = 0.01, 0.04, 0.16
# weights, GPU hours, tonnes of CO2; the model of 34B is left out, whose GPUs had 350 W
REPORTED = {"7B": (7e9, 184_320, 31.22), "13B": (13e9, 368_640, 62.44), "70B": (70e9, 1_720_320, 291.42)}


def mlp(sizes: list[int]) -> nn.Sequential:
    layers = [layer for m, n in pairwise(sizes) for layer in (nn.Linear(m, n), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


def counted(work: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def learn(sizes: list[int], rate: float, passes: int) -> None:
    """Passes over one batch: what a trial of the search costs does not depend on its data."""
    net, x, y = mlp(sizes), torch.zeros(BATCH, sizes[0]), torch.zeros(BATCH, dtype=torch.long)
    optimizer = torch.optim.SGD(net.parameters(), rate)
    for _ in range(passes):
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()


def search(sizes: list[int], passes: int) -> None:
    for rate in RATES:
        learn(sizes, rate, passes)


def digits(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    loaded = load_digits()
    order = torch.randperm(len(loaded.target), generator=generator)
    return torch.from_numpy(loaded.data).float()[order] / 16, torch.from_numpy(loaded.target)[order]


def run(device="cpu", seed=0, steps=400):
    order, rows = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    x, y = (t.to(device) for t in digits(order))
    test = slice(TRAIN, None)
    sizes = {width: [64, width, 10] for width in WIDTHS}
    torch.manual_seed(3 * seed)
    nets = {width: mlp(sizes[width]).to(device) for width in WIDTHS}
    optimizer = torch.optim.Adam([w for net in nets.values() for w in net.parameters()], RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
    for step in range(steps):
        chosen = torch.randint(TRAIN, (BATCH,), generator=rows).to(device)
        losses = {width: F.cross_entropy(net(x[chosen]), y[chosen]) for width, net in nets.items()}
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # the networks share nothing
        optimizer.step()
        schedule.step()
        yield (step + 1) / steps, {f"{width} units": losses[width].item() for width in (4, 32, 256)}

    with torch.no_grad():
        wrong = {width: (net(x[test]).argmax(1) != y[test]).float().sum().item() for width, net in nets.items()}
    shapes = [*sizes.values(), [30, 20, 15, 10]]
    steps_counted = [counted(partial(learn, shape, RATE, 1)) for shape in shapes]
    by_six = [rule_of_six(sum(m * n for m, n in pairwise(shape)), BATCH) for shape in shapes]
    whole, best = counted(lambda: search(sizes[32], 3)), counted(lambda: learn(sizes[32], RATE, 3))
    estimated = {name: hours(rule_of_six(weights, 2e12)) for name, (weights, _, _) in REPORTED.items()}
    return {
        "last_cut": 1 - wrong[256] / max(wrong[32], 1),
        "first_cut": 1 - wrong[32] / max(wrong[4], 1),
        "count_gap": max(abs(training_flops(s, BATCH) / n - 1) for s, n in zip(shapes, steps_counted, strict=True)),
        "six_gap": min(abs(six / n - 1) for six, n in zip(by_six, steps_counted, strict=True)),
        "search_gap": abs(search_flops(sizes[32], BATCH, 3, len(RATES)) / whole - 1),
        "best_gap": abs(best / whole - 1),
        "carbon_gap": max(abs(tonnes(used) / said - 1) for _, used, said in REPORTED.values()),
        "bare_gap": min(abs(tonnes(used) / BUILDING / said - 1) for _, used, said in REPORTED.values()),
        "hours_gap": max(abs(estimated[name] / used - 1) for name, (_, used, _) in REPORTED.items()),
        "peak_gap": min(abs(estimated[name] * USED / used - 1) for name, (_, used, _) in REPORTED.items()),
    }, {
        "errors by what the training took": {
            "kind": "lines",
            "series": {
                "4 to 256 units": (
                    [training_flops(sizes[width], BATCH) * steps / 1e6 for width in WIDTHS],
                    [100 * wrong[width] / len(y[test]) for width in WIDTHS],
                )
            },
            "x": "million operations",
            "y": "% of test images misread",
            "log": "x",
        },
        "Llama 2, modelled beside reported": {
            "kind": "table",
            "columns": ["weights", "GPU hours", "reported", "MWh", "t CO2", "reported"],
            "rows": [
                [name, f"{gpu:.0f}", f"{used}", f"{gpu * WATTS * BUILDING / 1e6:.0f}", f"{tonnes(gpu):.1f}", f"{said}"]
                for (name, gpu), (_, used, said) in zip(estimated.items(), REPORTED.values(), strict=True)
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "Operations, energy and what they buy", "zh": "运算量、能耗与所换得的准确率"}
CURVES = "cross-entropy"
CPU_SECONDS = 2
CLAIMS = {
    "trained last_cut <= 0.4 < first_cut <= 0.9": {
        "en": "share of the test errors that 8 times the operations avoid, from 32 units to 256; the control goes from "
        "4 units to 32",
        "zh": "隐藏单元从 32 增到 256（运算量 8 倍）所消除的测试错误比例；对照从 4 增到 32",
    },
    "parity count_gap <= 0 < six_gap": {
        "en": "largest relative gap of the counted training step to torch.utils.flop_counter; the control counts 6 "
        "operations for each weight and example, by its smallest gap",
        "zh": "训练一步的计数与 torch.utils.flop_counter 的最大相对差距；对照按每个权重每个样本 6 次运算计，取最小差距",
    },
    "parity search_gap <= 0 < best_gap": {
        "en": "relative gap of cost of an example x examples x passes x trials to the counted operations of a whole "
        "search; the control is the best trial alone",
        "zh": "单样本运算量 × 样本数 × 遍数 × 试验数与整次搜索实际计数的相对差距；对照只算最好的一次试验",
    },
    "parity carbon_gap <= 0.001 < bare_gap": {
        "en": "largest relative gap of the modelled tonnes of CO2, from the reported hours, to those reported for "
        "three Llama 2 models; the control leaves out the 10 % for the building",
        "zh": "由公布的 GPU 机时推算的二氧化碳吨数与三个 Llama 2 模型公布值的最大相对差距；对照不计机房的 10%",
    },
    "parity hours_gap <= 0.09 < peak_gap": {
        "en": "largest relative gap of the modelled GPU hours, at 40 % of the peak (chosen to fit), to those reported "
        "for three Llama 2 models; the control is the peak, by its smallest gap",
        "zh": "按峰值的 40%（为拟合而取）推算的 GPU 机时与三个 Llama 2 模型公布值的最大相对差距；"
        "对照按峰值推算，取最小差距",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "4 units": "4 个单元",
    "32 units": "32 个单元",
    "256 units": "256 个单元",
    "4 to 256 units": "4 至 256 个单元",
    "errors by what the training took": "错误率与训练所用的运算量",
    "million operations": "百万次运算",
    "% of test images misread": "测试图像误识率（%）",
    "Llama 2, modelled beside reported": "Llama 2：推算值与公布值",
    "weights": "权重数",
    "GPU hours": "GPU 机时",
    "reported": "公布值",
    "MWh": "兆瓦时",
    "t CO2": "二氧化碳（吨）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
