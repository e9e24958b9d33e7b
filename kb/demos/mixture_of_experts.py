"""Mixture of experts — a gate sends each input to one of eight experts: a large net at the cost of a small one.

Inputs come from eight clusters, each with a map of its own to the answer, linear from its centre. Eight small networks
share the work: a gate, trained with them, picks one for every input, and only that one is computed. The rivals cost as
many multiplications or more: one dense network, and the same experts behind a gate that is not trained. A loss for
uneven shares keeps all experts at work; without it fewer share the work. The table has a dense network as wide as all
experts together, which multiplies several times as much.

Needs:  torch
Source: N. Shazeer et al., Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer, ICLR 2017;
        W. Fedus, B. Zoph, N. Shazeer, Switch Transformers, JMLR 23, 2022 (one expert an input, the balance loss)
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

INPUTS, OUTPUTS, CLUSTERS, RADIUS, BATCH = 8, 4, 8, 6.0, 256
EXPERTS, WIDTH, BALANCE = 8, 16, 0.5
RATES = {"experts": 5e-2, "no balance loss": 5e-2, "untrained gate": 5e-2, "dense": 1e-1, "dense, large": 5e-2}

# %% the concept


def network(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(INPUTS, width), nn.ReLU(), nn.Linear(width, OUTPUTS))


class Mixture(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(INPUTS, EXPERTS)
        self.experts = nn.ModuleList(network(WIDTH) for _ in range(EXPERTS))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (B, m) -> (B, n), the balance loss, who: (B,)
        p = self.gate(x).softmax(-1)  # (B, E)
        weight, who = p.max(-1)
        rows = [(who == e).nonzero()[:, 0] for e in range(EXPERTS)]  # each expert computes its own rows only
        parts = torch.cat([expert(x[r]) for expert, r in zip(self.experts, rows, strict=True)])
        y = weight[:, None] * parts[torch.cat(rows).argsort()]  # p_e(x) f_e(x), e = argmax p: the gate's gradient
        shares = F.one_hot(who, EXPERTS).to(p).mean(0)  # s_e, which has no gradient; P_e, the mean of p_e, has
        return y, EXPERTS * (shares * p.mean(0)).sum(), who  # E sum_e s_e P_e: 1 where all shares are even


# %% the experiment


def gap_to_masked(net: Mixture, x: Tensor, weighted: bool = True) -> float:
    """Largest difference from computing all experts and masking, in answers, loss, and gradients of both; f64."""
    net, x = copy.deepcopy(net).cpu().double(), x.cpu().double().requires_grad_()
    net.requires_grad_(True)
    y, loss, _ = net(x)
    logits = F.linear(x, net.gate.weight, net.gate.bias)
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    chosen = (logits == logits.amax(1, keepdim=True)).double()  # (B, E)
    every = torch.stack(
        [F.linear(F.linear(x, e[0].weight, e[0].bias).clamp(min=0), e[2].weight, e[2].bias) for e in net.experts], 1
    )
    masked = torch.einsum("be,beo->bo", chosen * p if weighted else chosen, every)
    balance = EXPERTS / len(x) ** 2 * (chosen.sum(0) @ p.sum(0))
    slopes, found = torch.linspace(-1, 1, OUTPUTS, dtype=torch.float64), []
    for answer, of_loss in ((y, loss), (masked, balance)):
        total = (answer * slopes).sum() + 100 * of_loss
        gradients = torch.autograd.grad(total, [x, *net.parameters()], materialize_grads=True)
        found.append([answer.detach(), of_loss.detach(), *gradients])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def at_work(shares: Tensor) -> float:
    """So many experts with even shares would have the same entropy."""
    return float(torch.special.entr(shares).sum().exp())


def cost(net: nn.Module, x: Tensor) -> float:
    """Multiplications an input, as torch counts them: those of the layers."""
    with FlopCounterMode(display=False) as counter:
        copy.deepcopy(net).cpu()(x.cpu())
    return counter.get_total_flops() / 2 / len(x)


def run(device="cpu", seed=0, steps=250):
    torch.manual_seed(3 * seed)  # weights, the task and training data, test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    centres = RADIUS * F.normalize(torch.randn(CLUSTERS, INPUTS, generator=data), dim=1)
    maps = torch.randn(CLUSTERS, INPUTS, OUTPUTS, generator=data) / INPUTS**0.5

    def examples(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        cluster = torch.randint(CLUSTERS, (n,), generator=generator)
        place = torch.randn(n, INPUTS, generator=generator)
        return centres[cluster] + place, (place[:, None] @ maps[cluster])[:, 0], cluster

    mixture = Mixture()
    as_dear = WIDTH - (-INPUTS * EXPERTS // (INPUTS + OUTPUTS))  # what the gate costs, in hidden units: rounded up
    nets = {"experts": mixture, "no balance loss": copy.deepcopy(mixture), "untrained gate": copy.deepcopy(mixture)}
    nets["untrained gate"].gate.requires_grad_(False)
    nets |= {"dense": network(as_dear), "dense, large": network(EXPERTS * WIDTH)}
    nets = {name: net.to(device) for name, net in nets.items()}
    optimizers = {
        name: torch.optim.Adam([p for p in net.parameters() if p.requires_grad]) for name, net in nets.items()
    }
    for step in range(steps):
        x, y, _ = (t.to(device) for t in examples(BATCH, data))
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATES[name] * min(1, 2 - 2 * step / steps)
            answer, uneven = net(x)[:2] if isinstance(net, Mixture) else (net(x), torch.zeros((), device=device))
            loss = F.mse_loss(answer, y)
            optimizers[name].zero_grad()
            (loss + (0.0 if name == "no balance loss" else BALANCE) * uneven).backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    x, y, cluster = examples(2000, unseen)
    errors, shares, sent = {}, {}, {}
    with torch.no_grad():
        for name, net in nets.items():
            answer, *rest = net(x.to(device)) if isinstance(net, Mixture) else (net(x.to(device)),)
            errors[name] = (F.mse_loss(answer.cpu(), y) / y.var()).item()
            if rest:
                sent[name] = F.one_hot(rest[1].cpu(), EXPERTS).float()
                shares[name] = sent[name].mean(0)
    costs = {name: cost(net, x) for name, net in nets.items()}
    table = torch.stack([sent["experts"][cluster == k].mean(0) for k in range(CLUSTERS)])
    return {
        "experts_error": errors["experts"],
        "routed_error": errors["experts"],
        "dense_error": errors["dense"],
        "untrained_gate_error": errors["untrained gate"],
        "experts_at_work": at_work(shares["experts"]),
        "unbalanced_at_work": at_work(shares["no balance loss"]),
        "experts_cost": costs["experts"] / costs["dense"],
        "large_cost": costs["dense, large"] / costs["dense"],
        "masked_gap": gap_to_masked(nets["experts"], x[:64]),
        "unweighted_gap": gap_to_masked(nets["experts"], x[:64], weighted=False),
    }, {
        "inputs of each cluster that each expert gets, in %": {
            "kind": "heatmap",
            "values": (100 * table).round().tolist(),
            "rows": [str(k + 1) for k in range(CLUSTERS)],
            "columns": [str(e + 1) for e in range(EXPERTS)],
            "x": "expert",
            "y": "cluster",
        },
        "what each net costs and leaves": {
            "kind": "table",
            "columns": ["net", "parameters", "multiplications an input", "relative test error", "experts at work"],
            "rows": [
                [
                    name,
                    sum(p.numel() for p in net.parameters()),
                    costs[name],
                    errors[name],
                    at_work(shares[name]) if name in shares else "-",
                ]
                for name, net in nets.items()
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "Experts share the work", "zh": "专家各司其职"}
CURVES = "squared error"
CPU_SECONDS = 3
CLAIMS = {
    "trained experts_error <= 0.1 < dense_error <= 0.43": {
        "en": "relative test error of eight experts, of which one is computed for an input; control: a dense network "
        "of as many multiplications or more, trained as long",
        "zh": "八个专家（每个输入只计算一个）的相对测试误差；对照：乘法次数不少于它、训练同样久的稠密网络",
    },
    "trained routed_error <= 0.1 < untrained_gate_error <= 0.26": {
        "en": "the same; control: the same experts, trained as long behind a gate that is not trained",
        "zh": "同上；对照：门控不训练、专家训练同样久的同一网络",
    },
    "trained experts_at_work >= 7.6 > unbalanced_at_work >= 3": {
        "en": "experts at work on the test inputs: exp of the entropy of their shares, 8 where these are even; "
        "control: trained without the balance loss",
        "zh": "测试输入上工作的专家数：各专家份额之熵的指数，份额均等时为 8；对照：训练时不加均衡损失",
    },
    "parity experts_cost <= 1 < large_cost": {
        "en": "multiplications an input in the layers of gate and experts, counted as they run, over those of the "
        "dense network; control: a dense network of the width of all experts together",
        "zh": "门控与专家各层每个输入的乘法次数（运行时计数）与稠密网络之比；对照：与全部专家等宽的稠密网络",
    },
    "parity masked_gap <= 1e-10 < unweighted_gap": {
        "en": "largest gap to computing all experts and masking, in answers, balance loss and gradients (f64); "
        "control: answers not weighted by the gate",
        "zh": "与计算全部专家再做掩码的结果在答案、均衡损失与梯度上的最大差距（f64）；对照：答案不乘门控权重",
    },
}
ZH = {
    "squared error": "均方误差",
    "experts": "混合专家",
    "no balance loss": "无均衡损失",
    "untrained gate": "门控不训练",
    "dense": "稠密",
    "dense, large": "稠密（大）",
    "inputs of each cluster that each expert gets, in %": "各簇的输入分给各专家的比例（%）",
    "expert": "专家",
    "cluster": "簇",
    "what each net costs and leaves": "各网络的代价与误差",
    "net": "网络",
    "parameters": "参数个数",
    "multiplications an input": "每个输入的乘法次数",
    "relative test error": "相对测试误差",
    "experts at work": "工作的专家数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
