"""LoRA — where a new task differs by a low-rank change of the weights, small adapters learn it from few examples.

A network has mastered a task; in the new one, whose 200 examples it gets, every layer's weights are changed by a
matrix of rank 2, unknown to it. It is a model, with two assumptions: pre-training was perfect, and the change is of
low rank. LoRA freezes the weights and trains a product of two thin matrices beside each. Its rivals, on the same
examples, fine-tune all weights, only the last layer, or as many single weights as LoRA has numbers, those of the
largest gradients; or they start from scratch. The figure has the limit as well: a change of full rank, where adapters
of rank 16 or less do worse than fine-tuning everything.

Needs:  torch
Source: E. Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUTS, HIDDEN, OUTPUTS, EXAMPLES, GAIN = 64, 64, 16, 200, 2.0
CHANGE, SIZE, RANK, ALPHA, RATE = 2, 0.5, 4, 8.0, 2e-2
RANKS = (1, 2, 4, 8, 16)
RATES = {"all weights": 1e-3, "all, full rank": 1e-3, "last layer": 1e-2, "single weights": 3e-3, "from scratch": 1e-3}
RATE_FULL = 5e-3  # of the adapters where the change is of full rank: what suits them there

# %% the concept


class LoRA(nn.Module):
    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base, self.scale = base.requires_grad_(False), ALPHA / rank  # W is frozen
        self.a = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))  # B = 0: it begins as the network that it adapts

    def forward(self, x: Tensor) -> Tensor:  # W x + alpha / r B A x: (B, m) -> (B, n)
        return self.base(x) + self.scale * (x @ self.a.T @ self.b.T)

    def merged(self) -> nn.Linear:  # W + alpha / r B A: after training, it costs nothing more
        layer = copy.deepcopy(self.base)
        layer.weight.data += self.scale * self.b.detach() @ self.a.detach()
        return layer


def adapted(net: nn.Sequential, rank: int) -> nn.Sequential:
    """A copy whose linear layers have adapters: r (m + n) numbers to train beside m n."""
    layers = copy.deepcopy(net)
    return nn.Sequential(*(LoRA(layer, rank) if isinstance(layer, nn.Linear) else layer for layer in layers))


# %% its control


def largest(net: nn.Sequential, x: Tensor, y: Tensor, count: int) -> list[Tensor]:
    """Which of the parameters have the largest gradients at first: masks of so many ones in all."""
    gradients = torch.autograd.grad(F.mse_loss(net(x), y), [*net.parameters()])
    least = torch.cat([g.flatten() for g in gradients]).abs().topk(count).values[-1]
    return [(g.abs() >= least).float() for g in gradients]


# %% the experiment


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(INPUTS, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, OUTPUTS))


def changed(net: nn.Sequential, rank: int, generator: torch.Generator) -> nn.Sequential:
    """The network of the new task: each matrix gets a random one of this rank, or full, and half its own norm added."""
    new = copy.deepcopy(net)
    for layer in (new[0], new[2]):
        n, m = layer.weight.shape
        left, right = (torch.linalg.qr(torch.randn(size, min(rank, n), generator=generator))[0] for size in (n, m))
        layer.weight.data += SIZE * layer.weight.norm() / math.sqrt(min(rank, n)) * left @ right.T
    return new


def error(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """Mean squared error as a share of the variance."""
    with torch.no_grad():
        return (F.mse_loss(net(x), y) / y.var()).item()


def merged_gap(net: nn.Sequential, start: nn.Sequential, x: Tensor, scaled: bool = True) -> float:
    """What a trained net with adapters differs by from plain layers of weights W + s B A, in answers and in the
    gradients of x, A and B (for a gradient G of the weights, s B'G and s G A'); how far W has moved; and what
    untrained adapters change. f64.
    """
    net, start, x = copy.deepcopy(net).cpu().double(), copy.deepcopy(start).cpu().double(), x.cpu().double()
    x.requires_grad_()
    adapters, weigh = [net[0], net[2]], torch.linspace(-1, 1, OUTPUTS, dtype=torch.float64)
    scales = [ALPHA / len(one.a) if scaled else 1.0 for one in adapters]
    pairs = list(zip(adapters, scales, strict=True))
    plain = [(one.base.weight + s * one.b @ one.a).detach().requires_grad_() for one, s in pairs]
    first = F.linear(x, plain[0], start[0].bias).tanh()
    answer = F.linear(first, plain[1], start[2].bias)
    of_x, *of_weights = torch.autograd.grad((answer * weigh).sum(), [x, *plain])
    expected = [answer, of_x]
    for (one, s), g in zip(pairs, of_weights, strict=True):
        expected += [s * one.b.T @ g, s * g @ one.a.T]
    own, leaves = net(x), [x, *(p for one in adapters for p in (one.a, one.b))]
    found = [own, *torch.autograd.grad((own * weigh).sum(), leaves, materialize_grads=True)]
    whole = nn.Sequential(adapters[0].merged(), nn.Tanh(), adapters[1].merged())
    found, expected = [*found, whole(x)], [*expected, answer]
    found += [one.base.weight for one in adapters] + [adapted(start, 3).double()(x)]
    expected += [start[0].weight, start[2].weight, start(x)]
    return max((a - b).detach().abs().max().item() for a, b in zip(found, expected, strict=True))


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    start = network()
    for layer in (start[0], start[2]):
        layer.weight.data *= GAIN  # which makes the hidden units bend, and answers of a variance near 0.6
    tasks = {rank: changed(start, rank, data) for rank in (CHANGE, INPUTS)}
    x, x_test = (torch.randn(n, INPUTS, generator=g) for n, g in ((EXAMPLES, data), (2000, unseen)))
    answers = {rank: (task(x).detach().to(device), task(x_test).detach().to(device)) for rank, task in tasks.items()}
    x, x_test = x.to(device), x_test.to(device)
    adapters = {(rank, r): adapted(start, r).to(device) for rank in tasks for r in RANKS}
    start, scratch = start.to(device), network().to(device)
    count = sum(one.a.numel() + one.b.numel() for one in (adapters[CHANGE, RANK][0], adapters[CHANGE, RANK][2]))
    few = largest(start, x, answers[CHANGE][0], count)
    some = {name: copy.deepcopy(start) for name in ("all weights", "last layer", "single weights", "all, full rank")}
    some["last layer"][0].requires_grad_(False)
    jobs = {key: (net, RATE if key[0] == CHANGE else RATE_FULL, key[0]) for key, net in adapters.items()}
    for name, net in [*some.items(), ("from scratch", scratch)]:
        jobs[name] = (net, RATES[name], INPUTS if name == "all, full rank" else CHANGE)
    parts = {key: [p for p in net.parameters() if p.requires_grad] for key, (net, _, _) in jobs.items()}
    optimizers = {key: torch.optim.Adam(parts[key]) for key in jobs}
    for step in range(steps):
        losses = {}
        for key, (net, rate, rank) in jobs.items():
            optimizers[key].param_groups[0]["lr"] = rate * min(1, 2 - 2 * step / steps)
            loss = F.mse_loss(net(x), answers[rank][0])
            optimizers[key].zero_grad()
            loss.backward()
            for p, mask in zip(parts[key], few, strict=True) if key == "single weights" else ():
                p.grad *= mask
            optimizers[key].step()
            losses[key] = loss.item()
        shown = {name: losses[name] for name in ("all weights", "last layer", "single weights", "from scratch")}
        yield (step + 1) / steps, {"LoRA": losses[CHANGE, RANK]} | shown

    errors = {key: error(net, x_test, answers[rank][1]) for key, (net, _, rank) in jobs.items()}
    untouched = error(start, x_test, answers[CHANGE][1])
    total = sum(p.numel() for p in start.parameters())
    sizes = {"all weights": total, "last layer": sum(p.numel() for p in parts["last layer"]), "from scratch": total}
    rows = [["LoRA", count, errors[CHANGE, RANK]]]
    rows += [[name, sizes.get(name, count), errors[name]] for name in shown]
    checked = adapters[CHANGE, RANK]
    return {
        "lora_error": errors[CHANGE, RANK],
        "low_rank_error": errors[CHANGE, RANK],
        "adapted_error": errors[CHANGE, RANK],
        "full_error": errors["all weights"],
        "few_error": min(errors["single weights"], errors["last layer"]),
        "short_error": errors[CHANGE, CHANGE - 1],
        "untuned_error": min(errors["from scratch"], untouched),
        "merged_gap": merged_gap(checked, start, x[:20]),
        "unscaled_gap": merged_gap(checked, start, x[:20], scaled=False),
    }, {
        "test error by rank of the adapters": {
            "kind": "lines",
            "series": {
                "LoRA, change of rank 2": (list(RANKS), [errors[CHANGE, r] for r in RANKS]),
                "all weights, change of rank 2": ([RANKS[0], RANKS[-1]], [errors["all weights"]] * 2),
                "LoRA, change of full rank": (list(RANKS), [errors[INPUTS, r] for r in RANKS]),
                "all weights, change of full rank": ([RANKS[0], RANKS[-1]], [errors["all, full rank"]] * 2),
            },
            "x": "rank of the adapters",
            "y": "relative squared error",
        },
        "what each way trains": {
            "kind": "table",
            "columns": ["way", "numbers trained", "relative test error"],
            "rows": [*rows, ["untouched", 0, untouched]],
        },
    }


# %% what is claimed

TITLE = {"en": "LoRA learns a low-rank change", "zh": "LoRA 学到低秩的改变"}
CURVES = "squared error"
CPU_SECONDS = 2
CLAIMS = {
    "trained lora_error <= 0.001 < full_error <= 0.1": {
        "en": "relative test error of LoRA of rank 4 after 200 examples of a task that is a change of rank 2 away; "
        "control: all weights fine-tuned on them",
        "zh": "新任务与旧任务相差一个秩 2 的改变，用 200 个样本训练秩 4 的 LoRA 后的相对测试误差；对照：用同样样本微调"
        "全部权重",
    },
    "trained adapted_error <= 0.001 < few_error <= 0.17": {
        "en": "the same; control: as many single weights, those of the largest gradients, or the last layer alone, "
        "whichever is better",
        "zh": "同上；对照：微调同样多的单个权重（取梯度最大者），或只微调最后一层，取较好者",
    },
    "trained low_rank_error <= 0.001 < short_error <= 0.22": {
        "en": "the same; control: adapters of one rank less than the change",
        "zh": "同上；对照：适配器的秩比改变的秩少一",
    },
    "trained full_error <= 0.1 < untuned_error <= 0.2": {
        "en": "relative test error after fine-tuning all weights; control: trained from scratch on the same examples, "
        "or not trained on them at all, whichever is better",
        "zh": "微调全部权重后的相对测试误差；对照：用同样样本从头训练，或完全不训练，取较好者",
    },
    "parity merged_gap <= 1e-10 < unscaled_gap": {
        "en": "largest gap of the trained net to plain layers of weights W + alpha/r BA, in answers and gradients, of "
        "W to what it was, and of untrained adapters to none (f64); control: without alpha/r",
        "zh": "训练后的网络与权重为 W + alpha/r BA 的普通层在输出与梯度上的差距、W 的变动、未训练的适配器造成的差别，"
        "三者的最大值（f64）；对照：不乘 alpha/r",
    },
}
ZH = {
    "squared error": "均方误差",
    "all weights": "全部权重",
    "last layer": "最后一层",
    "single weights": "单个权重",
    "from scratch": "从头训练",
    "untouched": "不训练",
    "test error by rank of the adapters": "测试误差随适配器的秩的变化",
    "LoRA, change of rank 2": "LoRA，改变的秩为 2",
    "all weights, change of rank 2": "全部权重，改变的秩为 2",
    "LoRA, change of full rank": "LoRA，改变为满秩",
    "all weights, change of full rank": "全部权重，改变为满秩",
    "rank of the adapters": "适配器的秩",
    "relative squared error": "相对均方误差",
    "what each way trains": "各方法训练的参数",
    "way": "方法",
    "numbers trained": "训练的参数个数",
    "relative test error": "相对测试误差",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
