"""Pruning — most weights of a trained net can go, if the right ones go.

A digit classifier is trained; then 95 % of its weights are set to zero, those of smallest magnitude over all
layers or as many at random, and the rest is trained on for the same steps. The lottery ticket experiment
resets the weights that magnitude kept to their initial values and trains them from there.

Claim:  fine-tuned (95 %) or not (70 %), pruning by magnitude beats random pruning by far; in the same steps
        the ticket gets further than the same mask with new initial weights (longer training closes most of
        that gap); the mask is that of torch.nn.utils.prune. Not claimed: speed, which zeros without structure
        do not give by themselves.
Source: S. Han et al., Learning Both Weights and Connections for Efficient Neural Networks, NeurIPS 2015; J.
        Frankle, M. Carbin, The Lottery Ticket Hypothesis, ICLR 2019
Run:    python kb/demos/pruning.py --device cpu --seed 0 --steps 200
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune

TITLE = {"en": "Pruning 95 % of the weights", "zh": "剪掉 95% 的权重"}
CPU_SECONDS = 2
CLAIMS = {
    "trained magnitude_accuracy >= 0.71 > random_accuracy": {
        "en": "test accuracy with the largest 5 % of weights, fine-tuned; the control keeps random ones",
        "zh": "保留最大的 5% 权重并微调后的测试准确率；对照随机保留同样多的权重并微调",
    },
    "trained untuned_accuracy >= 0.65 > untuned_random_accuracy": {
        "en": "test accuracy right after pruning 70 % by magnitude; the control prunes as many at random",
        "zh": "按幅值剪掉 70% 权重后未微调的测试准确率；对照随机剪掉同样多的权重",
    },
    "trained ticket_accuracy >= 0.75 > reinitialized_accuracy": {
        "en": "test accuracy of the mask with its initial weights, retrained; the control has new ones",
        "zh": "掩码配其初始权重重新训练的测试准确率；对照换成新的初始权重",
    },
    "parity mask_gap <= 1e-5 < layerwise_mask_gap": {
        "en": "share of mask entries unlike prune.global_unstructured; the control prunes each layer alike",
        "zh": "掩码与 prune.global_unstructured 不同的比例；对照逐层按同一比例剪枝",
    },
}

KEPT, KEPT_UNTUNED = 0.05, 0.3


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def weights_of(net: nn.Sequential) -> list[Tensor]:
    return [layer.weight for layer in net if isinstance(layer, nn.Linear)]


def masks(scores: list[Tensor], share: float) -> list[Tensor]:
    """1 for the given share of entries with the largest scores, over all layers together."""
    every = torch.cat([score.flatten() for score in scores])
    threshold = every.topk(round(share * len(every))).values[-1]
    return [(score >= threshold).float() for score in scores]


@torch.no_grad()
def cut(net: nn.Sequential, kept: list[Tensor]) -> nn.Sequential:
    for weight, mask in zip(weights_of(net), kept, strict=True):
        weight *= mask
    return net


def mask_of_torch(net: nn.Sequential, share: float, globally: bool) -> list[Tensor]:
    layers = [(layer, "weight") for layer in copy.deepcopy(net) if isinstance(layer, nn.Linear)]
    if globally:
        total = sum(weight.numel() for weight in weights_of(net))
        prune.global_unstructured(layers, prune.L1Unstructured, amount=total - round(share * total))
    else:
        for layer, name in layers:
            prune.l1_unstructured(layer, name, amount=1 - share)
    return [layer.weight_mask for layer, _ in layers]


def unlike(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Share of mask entries that differ."""
    return torch.cat([(a != b).flatten() for a, b in zip(ours, theirs, strict=True)]).float().mean().item()


def run(device="cpu", seed=0, steps=200):
    digits, data = load_digits(), torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    order = torch.randperm(len(digits.data), generator=data)
    x = torch.tensor(digits.data, dtype=torch.float32)[order].to(device) / 16
    y = torch.tensor(digits.target)[order].to(device)
    x_test, y_test = x[1300:], y[1300:]

    def accuracy(net: nn.Module) -> float:
        with torch.no_grad():
            return (net(x_test).argmax(1) == y_test).float().mean().item()

    def update(net: nn.Module, optimizer: torch.optim.Optimizer, rows: Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()

    initial = network().to(device)
    trained = copy.deepcopy(initial)
    optimizer = torch.optim.Adam(trained.parameters(), lr=2e-3)
    for _ in range(200):
        update(trained, optimizer, torch.randint(1300, (64,), generator=data).to(device))

    sizes = [weight.detach().abs() for weight in weights_of(trained)]
    lots = [torch.rand(size.shape, generator=data).to(device) for size in sizes]
    untuned = [accuracy(cut(copy.deepcopy(trained), masks(scores, KEPT_UNTUNED))) for scores in (sizes, lots)]
    largest, lucky, everything = masks(sizes, KEPT), masks(lots, KEPT), masks(sizes, 1.0)
    plan = {  # name: the weights to start from and those to keep
        "dense": (trained, everything),
        "magnitude": (trained, largest),
        "random": (trained, lucky),
        "ticket": (initial, largest),
        "reinitialized": (network().to(device), largest),
    }
    nets = {name: cut(copy.deepcopy(start), kept) for name, (start, kept) in plan.items()}
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=2e-3) for name, net in nets.items()}
    for step in range(steps):
        rows = torch.randint(1300, (64,), generator=data).to(device)
        for name, net in nets.items():
            update(net, optimizers[name], rows)
            cut(net, plan[name][1])  # what was cut stays cut
        if step % 5 == 4 or step == steps - 1:
            yield (step + 1) / steps, {name: accuracy(net) for name, net in nets.items()}

    whole, layered = (mask_of_torch(trained, KEPT, globally) for globally in (True, False))
    weights = torch.cat([weight.flatten() for weight in weights_of(nets["magnitude"])])
    return {
        **{f"{name}_accuracy": accuracy(net) for name, net in nets.items()},
        "untuned_accuracy": untuned[0],
        "untuned_random_accuracy": untuned[1],
        "sparsity": (weights == 0).float().mean().item(),
        "mask_gap": unlike(largest, whole),
        "layerwise_mask_gap": unlike(largest, layered),
    }, {
        "connections kept from each pixel, by magnitude": {
            "kind": "heatmap",
            "zh": "按幅值剪枝后每个像素保留的连接数",
            "values": largest[0].sum(0).view(8, 8).cpu(),
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
