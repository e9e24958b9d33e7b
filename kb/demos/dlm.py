"""Diffusion language model — hidden tokens are written several at a time; those that depend on each other come apart.

A sentence has six letters out of a, b, c; the last three mirror the first, each with a slip in one of ten. A network
sees sentences of which each letter is hidden with chance t, drawn anew each time, and learns what may stand in each
gap, by itself. All 729 sentences and all orders of writing are counted, so every distance (Kullback-Leibler
divergence, in nats) is exact. Written one by one in random order, sentences come out nearly as the language has
them; all at once, each letter is right by itself, and pairs are not: the distance of a perfect network is then the
total correlation of the letters. What is written together matters more than how much: one half, then the other is
nearly exact in two passes, a random half first is not, nor is two by two in order, where the third and fourth, a
pair, fall together, in three passes. The rival, trained as long from left to right, does as well one by one; more
letters a pass it never learned. The language is made up; a table of its 729 sentences would hold it too.

Needs:  torch
Source: J. Austin et al., Structured Denoising Diffusion Models in Discrete State-Spaces, NeurIPS 2021; S. Sahoo et
        al., Simple and Effective Masked Diffusion Language Models, NeurIPS 2024 (the loss)
"""

import copy
import math
from itertools import permutations, product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LETTERS, LENGTH, WIDTH, BATCH, RATE, SLIP = 3, 6, 64, 128, 1e-2, 0.1
SENTENCES = torch.tensor(list(product(range(LETTERS), repeat=LENGTH)))  # (729, 6)
HIDDEN = list(product((False, True), repeat=LENGTH))  # 64 sets of hidden places

# %% the concept


class Denoiser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(LENGTH * (LETTERS + 1), WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()
        self.net = nn.Sequential(*layers, nn.Linear(WIDTH, LENGTH * LETTERS))

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:  # (B, 6), (B, 6) -> log p(x_i | what is seen): (B, 6)
        seen = F.one_hot(x.masked_fill(hidden, LETTERS), LETTERS + 1)  # a fourth letter: the mask
        guesses = self.net(seen.flatten(1).to(self.net[0].weight)).unflatten(1, (LENGTH, LETTERS)).log_softmax(-1)
        return guesses.gather(-1, x[..., None])[..., 0]


def diffusion_loss(net: nn.Module, x: Tensor, t: Tensor, hidden: Tensor) -> Tensor:  # (B, 6), (B, 1), (B, 6) -> (B,)
    return -(net(x, hidden) * hidden / t).sum(1)  # -1/t times the sum over the hidden of log p(x_i | seen)


def law(told: dict, order, size: int) -> Tensor:  # chance of each sentence, written `size` letters a pass: (729,)
    chance, hidden = torch.zeros(len(SENTENCES), dtype=torch.float64), [True] * LENGTH
    for start in range(0, LENGTH, size):
        block = list(order[start : start + size])
        chance = chance + told[tuple(hidden)][:, block].sum(1)  # its letters are drawn apart: their chances multiply
        hidden = [gap and i not in block for i, gap in enumerate(hidden)]
    return chance.exp()


# %% its control


def next_loss(net: nn.Module, x: Tensor, place: Tensor) -> Tensor:  # from left to right: (B, 6), (B, 1) -> (B,)
    places = torch.arange(LENGTH, device=x.device)
    return -LENGTH * (net(x, places >= place) * (places == place)).sum(1)  # -log p(x_place | all before it), times 6


# %% the experiment


def language() -> Tensor:
    """The chance of each sentence: (729,); f64."""
    mirrored = (SENTENCES[:, :3] == SENTENCES[:, 3:].flip(1)).double()
    return (mirrored * (1 - SLIP) + (1 - mirrored) * SLIP / (LETTERS - 1)).prod(1) / LETTERS**3


@torch.no_grad()
def known(net: nn.Module) -> dict:
    """log p(x_i | seen) of each sentence and letter, for each set of hidden places; f64."""
    net = copy.deepcopy(net).cpu().double()
    return {flags: net(SENTENCES, torch.tensor(flags).expand(len(SENTENCES), -1)) for flags in HIDDEN}


def perfect(p: Tensor) -> dict:
    """The same of a perfect network: log p(x_i, seen) - log p(seen)."""
    cube, seen = p.view([LETTERS] * LENGTH), {}
    for flags in HIDDEN:
        gaps = [i for i, gap in enumerate(flags) if gap]
        seen[flags] = (cube.sum(gaps, keepdim=True) if gaps else cube).expand(cube.shape).flatten().log()
    also = {flags: [seen[*flags[:i], False, *flags[i + 1 :]] for i in range(LENGTH)] for flags in HIDDEN}
    return {flags: torch.stack(also[flags], 1) - seen[flags][:, None] for flags in HIDDEN}


def distance(p: Tensor, told: dict, orders: list, size: int) -> float:
    """Kullback-Leibler divergence of the language p from the mean law over these orders of writing, in nats."""
    q = sum(law(told, order, size) for order in orders) / len(orders)
    return float((p * (p / q).log()).sum())


def bound_gap(net: Denoiser, x: Tensor, weighted: bool = True) -> float:
    """Gap of the expected diffusion loss, over t and hidden sets, from the mean over all orders of the loss letter by
    letter, and of the gradients; f64. Without `weighted`, 1/t is left out."""
    net = copy.deepcopy(net).cpu().double()
    nodes = [(0.5 - math.sqrt(0.15), 5 / 18), (0.5, 8 / 18), (0.5 + math.sqrt(0.15), 5 / 18)]  # Gauss: exact with 1/t
    expected = letters = torch.zeros((), dtype=torch.float64)
    for flags in HIDDEN[1:]:
        hidden, k = torch.tensor(flags).expand(len(x), -1), sum(flags)
        seen = F.one_hot(torch.where(hidden, LETTERS, x), LETTERS + 1).double().flatten(1)
        losses = F.cross_entropy(net.net(seen).view(-1, LETTERS), x.flatten(), reduction="none").view(x.shape)
        for t, weight in nodes:
            chance = weight * t**k * (1 - t) ** (LENGTH - k) * (1 if weighted else t)
            expected = expected + chance * diffusion_loss(net, x, torch.full_like(losses[:, :1], t), hidden).sum()
        orders = math.factorial(LENGTH - k) * math.factorial(k - 1)  # in which a hidden letter comes next
        letters = letters + (losses * hidden).sum() * orders / math.factorial(LENGTH)
    found = [[loss, *torch.autograd.grad(loss, [*net.parameters()])] for loss in (expected, letters)]
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=1000):
    data, noise = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    torch.manual_seed(3 * seed)  # weights, data and what is hidden: three streams
    p, start = language(), Denoiser().to(device)
    nets = {name: copy.deepcopy(start) for name in ("diffusion", "left to right")}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        x = SENTENCES[torch.multinomial(p, BATCH, replacement=True, generator=data)].to(device)
        t, place = 1 - torch.rand(BATCH, 1, generator=noise), torch.randint(LENGTH, (BATCH, 1), generator=noise)
        hidden = (torch.rand(BATCH, LENGTH, generator=noise) < t).to(device)
        losses = {
            "diffusion": diffusion_loss(nets["diffusion"], x, t.to(device), hidden).mean(),
            "left to right": next_loss(nets["left to right"], x, place.to(device)).mean(),
        }
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    told = {name: known(net) for name, net in nets.items()} | {"perfect": perfect(p)}

    sizes, orders = (6, 3, 2, 1), list(permutations(range(LENGTH)))  # the first order is the given one
    random = {name: [distance(p, told[name], orders, n) for n in sizes] for name in ("diffusion", "perfect")}
    planned = {name: [distance(p, told[name], orders[:1], n) for n in sizes[1:]] for name in nets}
    at_once = law(told["diffusion"], orders[0], LENGTH)
    single = torch.stack([SENTENCES.eq(a).double().T @ (at_once - p) for a in range(LETTERS)])
    pairs = SENTENCES.eq(SENTENCES.flip(1)).double().T @ (at_once - p)
    entropies = [-(m * m.log()).sum() for m in (p.view(3**i, 3, -1).sum((0, 2)) for i in range(LENGTH))]
    correlation = float(sum(entropies) + (p * p.log()).sum())
    x, calls = SENTENCES[torch.multinomial(p, 8, replacement=True, generator=noise)], [LENGTH // n for n in sizes]
    return {
        "one_by_one_distance": max(random["diffusion"][3], planned["left to right"][2]),
        "at_once_distance": random["diffusion"][0],
        "halves_distance": planned["diffusion"][0],
        "random_halves_distance": random["diffusion"][1],
        "letter_gap": float(single.abs().max()),
        "pair_gap": float(pairs.abs().min()),
        "correlation_gap": abs(random["perfect"][0] - correlation),
        "two_step_gap": abs(random["perfect"][1] - correlation),
        "bound_gap": bound_gap(nets["diffusion"], x),
        "unweighted_gap": bound_gap(nets["diffusion"], x, weighted=False),
    }, {
        "distance from the language, by passes of the network": {
            "kind": "lines",
            "series": {
                "random order": (calls, random["diffusion"]),
                "random order, perfect network": (calls, random["perfect"]),
                "in order": (calls[1:], planned["diffusion"]),
                "left to right": (calls[1:], planned["left to right"]),
            },
            "x": "passes for six letters",
            "y": "nats",
        }
    }


# %% what is claimed

TITLE = {"en": "What is written at once comes apart", "zh": "同时写出的词元彼此无关"}
CURVES = "loss, nats a sentence"
CPU_SECONDS = 3
CLAIMS = {
    "trained one_by_one_distance <= 0.03 < at_once_distance <= 2.2": {
        "en": "distance from the language in nats, one by one: the worse of diffusion and rival; control: all at once",
        "zh": "逐个写出时与语言的距离（奈特），取扩散（随机次序）与从左到右的对手中较差者；对照：一次全部写出",
    },
    "trained halves_distance <= 0.06 < random_halves_distance <= 0.5": {
        "en": "distance from the language in two passes, one half, then its mirror image; control: random halves",
        "zh": "分两次写（先写一半，再写与之对称的一半）时与语言的距离；对照：随机分成两半",
    },
    "trained letter_gap <= 0.05 < pair_gap": {
        "en": "written all at once, the largest error of the share of a letter at a place; control: the smallest of "
        "the share of equal pairs",
        "zh": "一次全部写出时，各位置各字母所占比例的最大误差；对照：对称位置字母相同的比例的最小误差",
    },
    "parity correlation_gap <= 1e-10 < two_step_gap": {
        "en": "gap of a perfect network's distance, all at once, to the total correlation of the letters (f64); "
        "control: its distance in two passes",
        "zh": "完美网络一次全部写出时的距离与各字母的总相关之差（f64）；对照：其分两次写出时的距离",
    },
    "parity bound_gap <= 1e-10 < unweighted_gap": {
        "en": "gap of the expected diffusion loss and its gradients to the mean over all orders of the loss letter "
        "by letter (f64); control: without the factor 1/t",
        "zh": "扩散损失的期望及其梯度同所有次序下逐字母损失的平均之差（f64）；对照：去掉系数 1/t",
    },
}
ZH = {
    "loss, nats a sentence": "损失（每句奈特数）",
    "diffusion": "扩散",
    "left to right": "从左到右",
    "distance from the language, by passes of the network": "与语言的距离（按网络运行的次数）",
    "random order": "随机次序",
    "random order, perfect network": "随机次序，完美网络",
    "in order": "依次",
    "passes for six letters": "写六个字母所用的次数",
    "nats": "奈特",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
