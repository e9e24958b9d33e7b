"""Pruning — most weights of a trained net can go, if the right ones go.

Digit classifiers are trained; then 95 % of the weights of each are set to zero, those of smallest magnitude over all
layers, and the rest is trained on for as many steps. The control keeps as many weights at random, over all layers or,
where that is better, as many in each layer as magnitude does. The lottery ticket experiment resets the weights that
magnitude kept to their first values and trains these; its control gives the same mask new ones. All accuracies are
means over three nets. Not claimed: speed, which zeros without structure do not give by themselves.

Needs:  torch, scikit-learn
Source: S. Han et al., Learning Both Weights and Connections for Efficient Neural Networks, NeurIPS 2015; J. Frankle,
        M. Carbin, The Lottery Ticket Hypothesis, ICLR 2019
"""

import copy
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune

KEPT, KEPT_UNTUNED, TRAIN, SIZES, NETS = 0.05, 0.3, 1300, (64, 128, 64, 10), 3

# %% the concept


def masks(scores: list[Tensor], share: float) -> list[Tensor]:
    """1 for the given share of a net's entries with the largest scores, over all layers together: (NETS, n, m) each."""
    every = torch.cat([score.flatten(1) for score in scores], 1)  # (NETS, all weights)
    threshold = every.topk(round(share * every.shape[1])).values[:, -1, None, None]
    return [(score >= threshold).to(score) for score in scores]


class Nets(nn.Module):
    """Perceptrons side by side, each with its own weights and the mask that says which of them stay."""

    def __init__(self, device: str) -> None:
        super().__init__()
        drawn = [(2 * torch.rand(NETS, n, m + 1) - 1) / m**0.5 for m, n in pairwise(SIZES)]
        self.weights = nn.ParameterList(layer[:, :, 1:].to(device) for layer in drawn)
        self.biases = nn.ParameterList(layer[:, None, :, 0].to(device) for layer in drawn)
        self.masks = [torch.ones_like(weight) for weight in self.weights]

    def pruned(self, kept: list[Tensor]) -> "Nets":
        nets = copy.deepcopy(self)
        nets.masks = kept
        return nets

    def forward(self, x: Tensor) -> Tensor:  # (B, 64) -> (NETS, B, 10)
        for i, (weight, bias, mask) in enumerate(zip(self.weights, self.biases, self.masks, strict=True)):
            kept = mask * weight  # what is cut is zero, and so is its gradient
            x = (x.relu() if i else x) @ kept.mT + bias
        return x


# %% the experiment


def digits(split: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images to learn from and their labels, 497 others to be read and theirs."""
    held = load_digits()
    rows = torch.randperm(len(held.data), generator=split)
    x, y = torch.tensor(held.data, dtype=torch.float32)[rows] / 16, torch.tensor(held.target)[rows]
    return x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]


def shared(rows: Tensor, others: Tensor) -> int:
    """How many of the rows stand among the others."""
    return int((rows[:, None] == others).all(-1).any(1).sum())


def gap_to_torch(trained: Nets, tuned: Nets, x: Tensor, y: Tensor, globally: bool = True) -> float:
    """Largest difference of the tuned nets from torch's pruning of them, in answers and gradients, f64."""
    trained, own, gaps = copy.deepcopy(trained).cpu(), copy.deepcopy(tuned).cpu().double(), []
    x, y = x.cpu().double(), y.cpu()
    own.masks = [mask.cpu().double() for mask in own.masks]
    answers = own(x)
    weights = [*own.weights, *own.biases]
    loss = F.cross_entropy(answers.flatten(0, 1), y.repeat(NETS), reduction="sum")
    mine = [answers, *torch.autograd.grad(loss, weights, materialize_grads=True)]
    for k in range(NETS):
        layers = [nn.Linear(m, n).double() for m, n in pairwise(SIZES)]
        for layer, weight in zip(layers, trained.weights, strict=True):
            layer.weight.data = weight.data[k].double()
        every, total = [(layer, "weight") for layer in layers], sum(layer.weight.numel() for layer in layers)
        if globally:
            prune.global_unstructured(every, prune.L1Unstructured, amount=total - round(KEPT * total))
        else:
            for layer, name in every:
                prune.l1_unstructured(layer, name, amount=1 - KEPT)
        for layer, weight, bias in zip(layers, own.weights, own.biases, strict=True):  # torch's mask, tuned weights
            layer.weight_orig.data, layer.bias.data = weight.data[k], bias.data[k, 0]
        twin = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        theirs = [twin(x)]
        F.cross_entropy(theirs[0], y, reduction="sum").backward()
        theirs += [layer.weight_orig.grad for layer in layers] + [layer.bias.grad for layer in layers]
        gaps += [(a[k] - b).abs().max().item() for a, b in zip(mine, theirs, strict=True)]
    return max(gaps)


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(4 * seed)  # weights, the split, batches, and what chance keeps: four streams
    split, batches, luck = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    x, y, x_test, y_test = (t.to(device) for t in digits(split))
    initial, fresh = Nets(device), Nets(device)

    def accuracy(nets: Nets) -> float:
        with torch.no_grad():
            return (nets(x_test).argmax(-1) == y_test).float().mean().item()

    def update(nets: Nets, optimizer: torch.optim.Optimizer, rows: Tensor, done: float) -> None:
        optimizer.param_groups[0]["lr"] = 3e-3 * min(1, 2 - 2 * done)
        optimizer.zero_grad()
        F.cross_entropy(nets(x[rows]).flatten(0, 1), y[rows].repeat(NETS)).backward()
        optimizer.step()

    trained = copy.deepcopy(initial)
    optimizer = torch.optim.Adam(trained.parameters())
    for step in range(200):
        update(trained, optimizer, torch.randint(TRAIN, (64,), generator=batches).to(device), step / 200)

    magnitudes = [weight.detach().abs() for weight in trained.weights]
    lots = [torch.rand(size.shape, generator=luck).to(device) for size in magnitudes]
    shares = [0.02, 0.05, 0.1, 0.2, KEPT_UNTUNED, 0.5, 0.7, 0.85, 1.0]
    untuned = [[accuracy(trained.pruned(masks(scores, share))) for share in shares] for scores in (magnitudes, lots)]
    largest = masks(magnitudes, KEPT)
    orders = [torch.rand(mask.flatten(1).shape, generator=luck).argsort(1).to(device) for mask in largest]
    shuffled = [m.flatten(1).gather(1, o).view_as(m) for m, o in zip(largest, orders, strict=True)]
    nets = {
        "magnitude": trained.pruned(largest),
        "random": trained.pruned(masks(lots, KEPT)),
        "random in each layer": trained.pruned(shuffled),
        "ticket": initial.pruned(largest),
        "new weights": fresh.pruned(largest),
    }
    starts = [  # what nets have before they are tuned, and what they should have
        (nets["ticket"].weights, initial.weights),
        (nets["random"].weights, trained.weights),
        (nets["random in each layer"].weights, trained.weights),
        (nets["new weights"].masks, nets["ticket"].masks),
        (nets["magnitude"].weights, initial.weights),  # the control
    ]
    *same, other = [max((a - b).abs().max().item() for a, b in zip(*pair, strict=True)) for pair in starts]
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        rows = torch.randint(TRAIN, (64,), generator=batches).to(device)
        for name, net in nets.items():
            update(net, optimizers[name], rows, step / steps)
        if step % 20 == 19 or step == steps - 1:
            yield (step + 1) / steps, {name: accuracy(net) for name, net in nets.items()}

    scores = {name: accuracy(net) for name, net in nets.items()}
    at = shares.index(KEPT_UNTUNED)
    seen = {"the largest": largest[0], "random": nets["random"].masks[0]}
    return {
        "magnitude_accuracy": scores["magnitude"],
        "random_accuracy": max(scores["random"], scores["random in each layer"]),
        "untuned_accuracy": untuned[0][at],
        "untuned_random_accuracy": untuned[1][at],
        "ticket_accuracy": scores["ticket"],
        "reinitialized_accuracy": scores["new weights"],
        "pruning_gap": gap_to_torch(trained, nets["magnitude"], x_test, y_test),
        "layerwise_gap": gap_to_torch(trained, nets["magnitude"], x_test, y_test, globally=False),
        "rewound_gap": max(same),
        "trained_gap": other,
        "shared_images": shared(x_test, x),
        "own_images": shared(x[:100], x),
    }, {
        "test accuracy without tuning, by the share of weights kept": {
            "kind": "lines",
            "series": {name: (shares, line) for name, line in zip(("the largest", "random"), untuned, strict=True)},
            "x": "share kept",
            "y": "accuracy",
        },
        "connections kept from each pixel, first net": {
            "kind": "images",
            "images": [mask[0].sum(0).view(8, 8).tolist() for mask in seen.values()],
            "titles": list(seen),
        },
    }


# %% what is claimed

TITLE = {"en": "Pruning 95 % of the weights", "zh": "剪掉 95% 的权重"}
CURVES = "test accuracy"
CPU_SECONDS = 3
CLAIMS = {
    "trained magnitude_accuracy >= 0.82 > random_accuracy >= 0.4": {
        "en": "test accuracy with the largest 5 % of weights, tuned; the control keeps random ones, over all layers or "
        "as many in each, whichever is better",
        "zh": "保留最大的 5% 权重并微调后的测试准确率；对照随机保留同样多的权重（全局或逐层等量），取较好者",
    },
    "trained untuned_accuracy >= 0.85 > untuned_random_accuracy": {
        "en": "test accuracy right after pruning 70 % by magnitude; the control prunes as many at random",
        "zh": "按幅值剪掉 70% 权重后未微调的测试准确率；对照随机剪掉同样多的权重",
    },
    "trained ticket_accuracy >= 0.77 > reinitialized_accuracy >= 0.35": {
        "en": "test accuracy of the mask with its first weights, trained again; the control has new ones",
        "zh": "掩码配其初始权重重新训练的测试准确率；对照换成新的初始权重",
    },
    "parity pruning_gap <= 1e-10 < layerwise_gap": {
        "en": "gap of the tuned net to prune.global_unstructured in answers and gradients (f64); the control "
        "prunes each layer alike",
        "zh": "微调后网络的输出与梯度同 prune.global_unstructured 的最大差距（f64）；对照逐层按同一比例剪枝",
    },
    "parity rewound_gap <= 0 < trained_gap": {
        "en": "largest difference before tuning: of the ticket's weights from the first, of the random nets' from the "
        "trained, of the new weights' mask from the ticket's; control: the trained weights from the first",
        "zh": "微调前的最大差异：彩票权重与最初权重、随机网络权重与训练后权重、新权重的掩码与彩票掩码；"
        "对照为训练后权重与最初权重之差",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images among the training images; the control counts a hundred training images",
        "zh": "训练集中出现的测试图像数；对照对一百张训练图像计数",
    },
}
ZH = {
    "test accuracy": "测试准确率",
    "magnitude": "按幅值",
    "random": "随机",
    "random in each layer": "逐层随机",
    "ticket": "彩票",
    "new weights": "新的权重",
    "test accuracy without tuning, by the share of weights kept": "未微调的测试准确率随保留比例的变化",
    "the largest": "幅值最大",
    "share kept": "保留比例",
    "accuracy": "准确率",
    "connections kept from each pixel, first net": "每个像素保留的连接数（第一个网络）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
