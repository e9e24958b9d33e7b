"""Model merging — the mean of two nets' weights may know what each learned, if both began alike or units are matched.

A net learns digits (8 x 8) from three images of each. Two copies go on, one with even digits alone, one with odd;
each unlearns much of the other half. The mean of their weights reads all ten: far better than either, better than the
net they began as, at least about as well as a vote of the two, which costs two nets. The control merges nets that
learned the same from different weights to begin with: much worse, for each has its units in an order of its own. A
permutation of hidden units, with their biases and weights in and out, changes nothing that a net computes; the second
net's units are put in the order in which, layer by layer, they correlate best with the first's on the training
images, without labels. Then the mean comes near that vote. Five starts; accuracies are means over five pairs.

Needs:  torch, scikit-learn
Source: M. Wortsman et al., Model soups: averaging weights of multiple fine-tuned models improves accuracy without
        increasing inference time, ICML 2022; G. Ilharco et al., Editing Models with Task Arithmetic, ICLR 2023 (nets of
        different tasks); S. Ainsworth et al., Git Re-Basin: Merging Models modulo Permutation Symmetries, ICLR 2023
        (matching)
"""

import copy

import torch
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

WIDTH, FIRST, TRAIN, BATCH, START_RATE, RATE, STARTS = 128, 3, 1300, 64, 3e-3, 2e-3, 5

# %% the concept


@torch.no_grad()
def merged(a: nn.Sequential, b: nn.Sequential, share: float = 0.5) -> nn.Sequential:
    """(1 - share) a + share b, weight by weight."""
    net = copy.deepcopy(a)
    for p, q in zip(net.parameters(), b.parameters(), strict=True):
        p.mul_(1 - share).add_(share * q)
    return net


@torch.no_grad()
def reordered(net: nn.Sequential, layer: int, order: Tensor) -> nn.Sequential:
    """The same function with a layer's units in another order: its rows, and the columns of the next."""
    net = copy.deepcopy(net)
    into, out = net[layer], net[layer + 2]
    into.weight.copy_(into.weight[order])
    into.bias.copy_(into.bias[order])
    out.weight.copy_(out.weight[:, order])
    return net


@torch.no_grad()
def matched(a: nn.Sequential, b: nn.Sequential, x: Tensor) -> nn.Sequential:
    """b with each hidden layer's units in the order that correlates best, in sum, with those of a on x."""
    for layer in (0, 2):
        units = [F.normalize(h - h.mean(0), dim=0) for h in (net[: layer + 2](x) for net in (a, b))]  # (n, W) each
        _, order = linear_sum_assignment((units[0].T @ units[1]).cpu().numpy(), maximize=True)
        b = reordered(b, layer, torch.tensor(order, device=x.device))
    return b


# %% the experiment


def network(seed: int) -> nn.Sequential:  # (B, 64) -> (B, 10)
    torch.manual_seed(seed)
    hidden = nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()
    return nn.Sequential(*hidden, nn.Linear(WIDTH, 10))


def training(nets: list, tasks: list, steps: int, rate: float, generator: torch.Generator):
    """Each net on the images of its task; yields the losses at each step."""
    optimizers = [torch.optim.Adam(net.parameters()) for net in nets]
    for step in range(steps):
        losses = []
        for net, (x, y), optimizer in zip(nets, tasks, optimizers, strict=True):
            rows = torch.randint(len(x), (BATCH,), generator=generator).to(x.device)
            loss = F.cross_entropy(net(x[rows]), y[rows])
            optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        yield losses


def difference(ours: nn.Module, theirs: nn.Module, x: Tensor) -> float:
    """Largest in outputs and in the gradients of the input; f64."""
    found = []
    for net in (ours, theirs):
        leaf = x.cpu().double().requires_grad_()
        out = copy.deepcopy(net).cpu().double()(leaf)
        found.append([out, *torch.autograd.grad((out * torch.linspace(-1, 1, 10, dtype=out.dtype)).sum(), [leaf])])
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def torch_mean(*nets: nn.Module) -> nn.Module:
    mean = AveragedModel(nets[0])
    for net in nets:
        mean.update_parameters(net)
    return mean.module


def run(device="cpu", seed=0, steps=200):
    order, batches, checks = (torch.Generator().manual_seed(4 * seed + k) for k in (2, 3, 1))
    digits = load_digits()
    drawn = torch.randperm(len(digits.data), generator=order)
    x, y = (torch.tensor(part)[drawn].to(device) for part in (digits.data.astype("float32") / 16, digits.target))
    x, y, x_test, y_test = x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]
    first = torch.cat([(y == digit).nonzero()[:FIRST, 0] for digit in range(10)])
    half = max(steps // 2, 1)
    starts = [network(2000 * seed + 4 * k).to(device) for k in range(STARTS)]
    for step, losses in enumerate(training(starts, [(x[first], y[first])] * STARTS, half, START_RATE, batches)):
        yield (step + 1) / (2 * half), {"start": losses[0]}
    later, odd = ~torch.isin(torch.arange(TRAIN, device=device), first), y % 2 == 1
    tasks = [(x[later & rows], y[later & rows]) for rows in [~odd] * STARTS + [odd] * STARTS]
    nets = [copy.deepcopy(net) for net in starts * 2]
    for step, losses in enumerate(training(nets, tasks, half, RATE, batches)):
        yield 0.5 + (step + 1) / (2 * half), {"even digits": losses[0], "odd digits": losses[STARTS]}

    @torch.no_grad()
    def right(*nets: nn.Module) -> float:
        """Test accuracy of a net, or of the mean of several nets' probabilities."""
        votes = sum(net(x_test).softmax(1) for net in nets)
        return float((votes.argmax(1) == y_test).float().mean())

    def mean(nets: list, others: list, share: float = 0.5) -> float:
        return sum(right(merged(a, b, share)) for a, b in zip(nets, others, strict=True)) / STARTS

    evens, odds, even = nets[:STARTS], nets[STARTS:], nets[0]
    others = odds[1:] + odds[:1]  # each even net's partner began as another start
    fitted = [matched(a, b, x) for a, b in zip(evens, others, strict=True)]
    partners = {"one start": odds, "two starts": others, "two starts, matched": fitted}
    shares = [i / 10 for i in range(11)]
    lines = {name: [mean(evens, found, share) for share in shares] for name, found in partners.items()}
    middle = {name: mean(evens, found) for name, found in partners.items()}
    before = mean(starts, starts)
    votes = sum(right(*pair) for pair in zip(evens, odds, strict=True)) / STARTS
    flat = {"their start": ([0.0, 1.0], [before] * 2), "vote of the two": ([0.0, 1.0], [votes] * 2)}
    curves = {name: (shares, held) for name, held in lines.items()} | flat
    figure = {"kind": "lines", "series": curves, "x": "share of the second net", "y": "test accuracy"}
    shuffled, probe = (torch.randperm(WIDTH, generator=checks).to(device) for _ in range(2)), x[:20]
    once = reordered(even, 0, next(shuffled))
    twice, broken = reordered(once, 2, next(shuffled)), copy.deepcopy(once)
    broken[2].load_state_dict(even[2].state_dict())
    back, pair = merged(even, matched(even, twice, x)), [copy.deepcopy(net).cpu().double() for net in (even, odds[0])]
    third, twice_first = merged(*pair, share=1 / 3), torch_mean(pair[0], *pair)
    return {
        "order_gap": max(difference(net, even, probe) for net in (twice, back)),
        "rows_gap": difference(broken, even, probe),
        "mean_gap": max(difference(merged(*pair), torch_mean(*pair), probe), difference(third, twice_first, probe)),
        "swapped_gap": difference(merged(*pair, share=2 / 3), twice_first, probe),
        "gained_accuracy": middle["one start"] - before,
        "regained_accuracy": max(mean(part, other) for part in (evens, odds) for other in (part, starts)) - before,
        "lost_to_vote": votes - middle["one start"],
        "apart_lost": votes - middle["two starts"],
        "matched_lost": votes - middle["two starts, matched"],
        "unmatched_lost": votes - middle["two starts"],
        "shared_images": len(set(map(tuple, x_test.tolist())) & set(map(tuple, x.tolist()))),
        "own_images": len(set(map(tuple, x_test.tolist()))),
    }, {"all ten digits read on the way from one net to the other": figure}


# %% what is claimed

TITLE = {"en": "Two nets of one start can be averaged", "zh": "同一起点的两个网络可以直接平均"}
CURVES = "cross-entropy"
CPU_SECONDS = 2
CLAIMS = {
    "parity order_gap <= 1e-10 < rows_gap": {
        "en": "largest change in outputs and input gradients when a trained net's hidden units are shuffled, and when "
        "they are then matched to the net and merged with it (f64); control: shuffled, but not the weights going out",
        "zh": "打乱训练后网络的隐藏单元，以及再与原网络匹配并合并后，输出与输入梯度的最大变化（f64）；"
        "对照：打乱单元而不改动其传出的权重",
    },
    "parity mean_gap <= 1e-10 < swapped_gap": {
        "en": "largest gap to torch's AveragedModel in outputs and input gradients (f64), of the mean of two nets and "
        "of one with a third of the second; control: two thirds of it",
        "zh": "两网络平均以及第二个占三分之一的合并，同 PyTorch 的 AveragedModel 在输出与输入梯度上的最大差距（f64）；"
        "对照：第二个占三分之二",
    },
    "trained gained_accuracy >= 0.02 > regained_accuracy >= -0.2": {
        "en": "test accuracy on all ten digits that the mean of two nets from one start gains on that start; control: "
        "what either net does, or its mean with the start, whichever is best",
        "zh": "同一起点的两个网络取平均后，十个数字的测试准确率比起点高出多少；"
        "对照：其中任一网络、或其与起点的平均高出多少，取最好者",
    },
    "trained lost_to_vote <= 0.02 < apart_lost <= 0.6": {
        "en": "accuracy that the mean of two nets from one start lacks of their vote; control: the mean of nets from "
        "two starts, against the same vote",
        "zh": "同一起点的两个网络取平均后比两者投票少的准确率；对照：两个不同起点的网络取平均，同样与该投票相比",
    },
    "trained matched_lost <= 0.06 < unmatched_lost <= 0.6": {
        "en": "accuracy that the mean of nets from two starts, units matched, lacks of that vote; control: not matched",
        "zh": "两个不同起点的网络匹配单元后取平均，比该投票少的准确率；对照：不匹配",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images that are among the training images; the control counts those among the test images",
        "zh": "同时出现在训练集中的测试图像数；对照数的是测试集自身中的图像",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "start": "起点",
    "even digits": "偶数",
    "odd digits": "奇数",
    "all ten digits read on the way from one net to the other": "从一个网络到另一个网络的途中，十个数字的识别",
    "one start": "同一起点",
    "two starts": "两个起点",
    "two starts, matched": "两个起点，单元已匹配",
    "their start": "共同起点",
    "vote of the two": "两者投票",
    "share of the second net": "第二个网络所占的比例",
    "test accuracy": "测试准确率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
