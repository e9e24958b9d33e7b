"""Rounding order — (a + b) + c need not be a + (b + c) once every sum is rounded; a sum depends on its order.

A sum of 4,096 numbers between 0 and 1, rounded to BF16 (8 significant bits) after each addition, stops growing at 256:
neighbouring BF16 numbers are 2 apart there, and no number exceeds half of that. Kahan's sum carries along what each
rounding lost; a sum in pairs (neighbours, then sums of neighbours) keeps terms of like size together. In FP32, a
hundred orders of the same 10,000 numbers give dozens of different sums. Then a toy language model, a random recurrent
network that always takes the likeliest of 64 tokens, continues 200 prompts (a token and a state each, random). Its
products are summed in one chunk, as a server might for a large batch, or in eight, as for a small one, with partial
sums rounded to BF16: within 64 tokens about half of the texts part or more, each where two tokens are nearly tied; how
many depends on how chaotic the network is. With partial sums in FP32, as most kernels keep them, few part so soon.
Simulated: no server is timed, and how a library cuts its sums depends on the device.

Needs:  torch
Source: W. Kahan, Pracniques: Further Remarks on Reducing Truncation Errors, Communications of the ACM 8(1), 1965;
        N. J. Higham, The Accuracy of Floating Point Summation, SIAM Journal on Scientific Computing 14(4), 1993
"""

import math

import torch
from torch import Tensor

COUNT, SUMS, ORDERS, MANY = 4096, 50, 100, 10_000
PROMPTS, VOCABULARY, WIDTH, GAIN = 200, 64, 256, 1.5

# %% the concept


def rounded(x: Tensor) -> Tensor:
    """To the nearest BF16 number, ties to even; kept in the type of x."""
    return x.bfloat16().to(x.dtype)


def kahan(x: Tensor) -> Tensor:  # (n, sums) -> (n, sums): the totals after each number
    total = lost = torch.zeros_like(x[0])
    totals = []
    for number in x:
        corrected = rounded(number - lost)
        new = rounded(total + corrected)
        lost = rounded(rounded(new - total) - corrected)  # what the rounding of the sum put in too much
        total = new
        totals.append(total)
    return torch.stack(totals)


def pairwise(x: Tensor) -> Tensor:  # (2^k, sums) -> (sums,)
    while len(x) > 1:
        x = rounded(x[0::2] + x[1::2])
    return x[0]


def product(x: Tensor, w: Tensor, chunks: int, rounding=rounded) -> Tensor:  # (B, d), (d, out) -> (B, out)
    """x w, the d products summed in chunks; each partial sum, and each sum of them, is rounded; the last to BF16."""
    total = torch.zeros_like(x[:, :1])
    for part, weights in zip(x.chunk(chunks, 1), w.chunk(chunks), strict=True):
        total = rounding(total + rounding(part @ weights))
    return rounded(total)


# %% its control


def running(x: Tensor, rounding=rounded) -> Tensor:  # (n, sums) -> (n, sums)
    """Plain addition, one number after the other, rounded each time."""
    total, totals = torch.zeros_like(x[0]), []
    for number in x:
        total = rounding(total + number)
        totals.append(total)
    return torch.stack(totals)


# %% the experiment


def by_hand(x: Tensor) -> Tensor:
    """BF16 by its definition: 8 bits of the fraction that frexp gives, 0.5 to 1; torch.round takes ties to even."""
    fraction, exponent = torch.frexp(x)
    return torch.ldexp((fraction * 256).round() / 256, exponent)


def texts(start: Tensor, state: Tensor, net: tuple[Tensor, ...], chunks: int, batch: int, rounding=rounded):
    """Yields the next token of each prompt, and the lead of its score over the second: (B,), (B,)."""
    recurrent, embed, out = net
    states, token = list(state.split(batch)), start
    while True:
        scores = []
        for k, read in enumerate(token.split(batch)):
            states[k] = rounded((product(states[k], recurrent, chunks, rounding) + embed[read]).tanh())
            scores.append(product(states[k], out, chunks, rounding))
        best = torch.cat(scores).topk(2, 1)
        token = best.indices[:, 0]
        yield token, best.values[:, 0] - best.values[:, 1]


def run(device="cpu", seed=0, steps=64):
    weights, prompts, numbers = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    shapes = (WIDTH, WIDTH, GAIN / WIDTH**0.5), (VOCABULARY, WIDTH, 1.0), (WIDTH, VOCABULARY, 1.0)
    net = tuple(rounded(k * torch.randn(n, m, generator=weights, dtype=torch.float64)) for n, m, k in shapes)
    start = torch.randint(VOCABULARY, (PROMPTS,), generator=prompts)
    state = rounded(torch.randn(PROMPTS, WIDTH, generator=prompts, dtype=torch.float64))  # all texts: on the CPU
    ways = (8, PROMPTS), (1, PROMPTS), (8, 20), (8, PROMPTS, lambda t: t.float().double())
    eight, one, again, finely = (texts(start, state, net, *way) for way in ways)
    parted = {"eight chunks or one": [], "eight, other batches": [], "eight in FP32, or one": []}
    same = {name: torch.ones_like(start).bool() for name in parted}
    leads = {True: [], False: []}
    for step in range(steps):
        (token, lead), (token_one, _), (token_again, _), (token_finely, _) = map(next, (eight, one, again, finely))
        pairs = (token, token_one), (token, token_again), (token_finely, token_one)
        differs = {name: a != b for name, (a, b) in zip(parted, pairs, strict=True)}
        for there in leads:
            leads[there].append(lead[same["eight chunks or one"] & (differs["eight chunks or one"] == there)])
        for name in parted:
            same[name] &= ~differs[name]
            parted[name].append(1 - same[name].double().mean().item())
        yield (step + 1) / steps, {name: shares[-1] for name, shares in parted.items()}

    x, ones = rounded(torch.rand(COUNT, SUMS, generator=numbers)).to(device), torch.ones(1024, 1, device=device)
    exact, totals = x.cpu().double().cumsum(0), {"one after the other": running(x).cpu(), "Kahan": kahan(x).cpu()}
    totals["exact"] = exact
    off = {name: (total[-1] / exact[-1] - 1).abs() for name, total in totals.items()}
    many = torch.randn(MANY, generator=numbers)
    orders = [many[torch.randperm(MANY, generator=numbers)] for _ in range(ORDERS)]
    sums = running(torch.stack(orders, 1).to(device), rounding=lambda t: t)[-1]
    shown = list(range(0, COUNT, 32))
    return {
        "ones_total": running(ones)[-1].item(),
        "ones_pairs": pairwise(ones).item(),
        "kahan_off": off["Kahan"].max().item(),
        "pairs_off": (pairwise(x).cpu() / exact[-1] - 1).abs().max().item(),
        "running_off": off["one after the other"].min().item(),
        "sums": len(set(sums.tolist())),
        "rounded_once": len({math.fsum(order.tolist()) for order in orders}),
        "parted": parted["eight chunks or one"][-1],
        "parted_by_batch": parted["eight, other batches"][-1],
        "parted_coarsely": parted["eight chunks or one"][-1],
        "parted_finely": parted["eight in FP32, or one"][-1],
        "lead_at_parting": torch.cat(leads[True]).max().item() if len(torch.cat(leads[True])) else math.nan,
        "lead_before": torch.cat(leads[False]).median().item(),
        "rounding_gap": (rounded(many) - by_hand(many)).abs().max().item(),
        "wider_gap": (many - by_hand(many)).abs().max().item(),
    }, {
        "the sum of so many numbers between 0 and 1, in BF16 or exact": {
            "kind": "lines",
            "series": {name: ([k + 1 for k in shown], total[shown, 0].tolist()) for name, total in totals.items()},
            "x": "numbers added",
            "y": "total",
        },
        "texts that two ways of summing continue differently": {
            "kind": "lines",
            "series": {name: (list(range(1, steps + 1)), shares) for name, shares in parted.items()},
            "x": "tokens",
            "y": "share of the texts",
        },
    }


# %% what is claimed

TITLE = {"en": "The order of a sum decides its result", "zh": "求和的次序决定结果"}
CURVES = "share of texts that have parted"
CPU_SECONDS = 1
CLAIMS = {
    "parity ones_total <= 256 < ones_pairs": {
        "en": "1,024 ones added one after the other in BF16: 256 and 1 are 256 again; control: added in pairs",
        "zh": "用 BF16 把 1024 个 1 逐个相加：256 加 1 仍得 256；对照：两两相加",
    },
    "parity kahan_off <= 0.006 < running_off": {
        "en": "relative error of Kahan's sum of 4,096 numbers, the worst of 50 sums; control: one after the other, the "
        "best of the 50",
        "zh": "Kahan 求和对 4096 个数的相对误差，50 个和中最差的；对照：逐个相加，50 个中最好的",
    },
    "parity pairs_off <= 0.02 < running_off": {
        "en": "relative error of the sum in pairs, the worst of the 50; each number is in 12 roundings, none errs by "
        "more than 1/256; control: the same",
        "zh": "两两相加的相对误差，50 个中最差的；每个数经过 12 次舍入，每次误差至多 1/256；对照：同上",
    },
    "parity sums >= 30 > rounded_once": {
        "en": "different sums that 100 orders of 10,000 numbers give in FP32; control: the exact sums, rounded once",
        "zh": "10000 个数按 100 种次序在 FP32 中相加，得到多少个不同的和；对照：精确求和，只舍入一次",
    },
    "trained parted >= 0.42 > parted_by_batch": {
        "en": "share of 200 texts that eight chunks and one continue differently within 64 tokens; control: eight "
        "chunks both times, in batches of 200 and of 20",
        "zh": "200 段文本中，分八块与不分块求和在 64 个词元内续写出现不同的比例；"
        "对照：都分八块，每批 200 段与每批 20 段",
    },
    "trained parted_coarsely >= 0.42 > parted_finely": {
        "en": "the same share; control: partial sums kept in FP32, the result alone rounded to BF16",
        "zh": "同一比例；对照：部分和保持 FP32，只把结果舍入为 BF16",
    },
    "trained lead_at_parting <= 1 < lead_before": {
        "en": "lead of the likeliest token's score over the second's where a text parts, at most; control: the "
        "median of the tokens before a text parts",
        "zh": "文本分岔处，得分最高的词元领先第二名多少，取最大值；对照：尚未分岔处的词元的中位数",
    },
    "parity rounding_gap <= 0 < wider_gap": {
        "en": "largest difference from BF16 by its definition, 8 significant bits; control: numbers left in FP32",
        "zh": "与按定义（8 位有效位）舍入的 BF16 的最大差距；对照：保持 FP32 不舍入",
    },
}
ZH = {
    "share of texts that have parted": "已分岔的文本比例",
    "eight chunks or one": "分八块与不分块",
    "eight, other batches": "都分八块，批次不同",
    "eight in FP32, or one": "分八块（FP32）与不分块",
    "the sum of so many numbers between 0 and 1, in BF16 or exact": "若干个 0 到 1 之间的数之和（BF16 与精确值）",
    "one after the other": "逐个相加",
    "Kahan": "Kahan 求和",
    "exact": "精确值",
    "numbers added": "已加的个数",
    "total": "和",
    "texts that two ways of summing continue differently": "两种求和方式续写不同的文本",
    "tokens": "词元数",
    "share of the texts": "占全部文本的比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
