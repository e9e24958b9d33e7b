"""Bidirectional RNN — one net reads forwards, one backwards, and each place is labelled from both sides.

Letters A and B are scattered over blanks; each place between the ends is to be labelled with the letter before it and
the letter after it, one label of four. Two LSTMs (RNNs with a memory) label fresh sequences together; what reads only
what came before knows one half of the label and guesses the other, so that 1/2 is its ceiling on average. Rivals: one
LSTM that reads forwards, with more parameters, and a table of what was commonest for the same seven characters around
the place, which sees three ahead.

Needs:  torch
Source: M. Schuster, K. Paliwal, Bidirectional Recurrent Neural Networks, IEEE Transactions on Signal Processing
        45(11), 1997; A. Graves, J. Schmidhuber, Framewise Phoneme Classification with Bidirectional LSTM and Other
        Neural Network Architectures, Neural Networks 18, 2005
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LENGTH, HIDDEN, WIDE, BATCH, BLANK, AROUND, FARTHEST, RATE = 24, 16, 26, 32, 0.75, 3, 8, 2e-2

# %% the concept


class Bidirectional(nn.Module):
    def __init__(self, d_in: int, d_hid: int) -> None:
        super().__init__()
        self.ahead, self.back = (nn.LSTM(d_in, d_hid, batch_first=True) for _ in range(2))  # weights of their own

    def forward(self, x: Tensor) -> Tensor:  # (B, T, d_in) -> (B, T, 2 d_hid)
        before = self.ahead(x)[0]  # h_t from x_1 ... x_t
        after = self.back(x.flip(1))[0].flip(1)  # g_t from x_T ... x_t: read backwards, put back in order
        return torch.cat([before, after], -1)  # [h_t; g_t]


# %% its control


class Forwards(nn.LSTM):
    def forward(self, x: Tensor) -> Tensor:  # (B, T, d_in) -> (B, T, d_hid)
        return super().forward(x)[0]


# %% the experiment


def labelled(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Characters (n, T), 0 a blank; labels of the places between the ends (n, T - 2); steps to the next letter."""
    letters = torch.randint(1, 3, (n, LENGTH), generator=generator)
    blank = torch.rand(n, LENGTH, generator=generator) < BLANK
    blank[:, [0, -1]] = False  # a letter at both ends
    x = letters.masked_fill(blank, 0)
    places = torch.arange(LENGTH) * (x > 0)
    before = places.cummax(1)[0][:, :-2]
    after = LENGTH - 1 - (torch.arange(LENGTH) * (x > 0).flip(1)).cummax(1)[0].flip(1)[:, 2:]
    labels = 2 * x.gather(1, before) + x.gather(1, after) - 3
    return x, labels, after - torch.arange(1, LENGTH - 1)


def table(x: Tensor, labels: Tensor, asked: Tensor) -> Tensor:
    """The commonest label of places with the same characters up to AROUND before and after."""

    def around(x: Tensor) -> Tensor:
        spread = F.pad(x, (AROUND - 1, AROUND - 1), value=3).unfold(1, 2 * AROUND + 1, 1)
        return (spread * 4 ** torch.arange(2 * AROUND + 1)).sum(-1)

    counts = torch.bincount((4 * around(x) + labels).flatten(), minlength=4 ** (2 * AROUND + 2))
    return counts.unflatten(0, (-1, 4)).argmax(1)[around(asked)]


def torch_gap(net: Bidirectional, x: Tensor, swap: bool) -> float:
    """Largest difference from nn.LSTM(bidirectional=True) of the same weights, in states and gradients; f64."""
    net, found = copy.deepcopy(net).cpu().double(), []
    twin = nn.LSTM(3, HIDDEN, batch_first=True, bidirectional=True).double()
    own = [p for half in (net.ahead, net.back) for p in half.parameters()]
    for theirs, mine in zip(twin.parameters(), own[4:] + own[:4] if swap else own, strict=True):
        theirs.data = mine.detach().clone()
    for module, leaves in ((net, own), (lambda x: twin(x)[0], [*twin.parameters()])):
        given = x.cpu().double().requires_grad_()
        states = module(given)
        weighted = (states * torch.linspace(-1, 1, 2 * HIDDEN, dtype=torch.float64)).sum()
        found.append([states.detach(), *torch.autograd.grad(weighted, [given, *leaves], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


@torch.no_grad()
def change(net: nn.Module, x: Tensor, half: slice) -> float:
    """Largest change of those states at the first half of the places when the second half is changed; f64."""
    net, x = copy.deepcopy(net).cpu().double(), x.cpu().double()
    other = torch.cat([x[:, : LENGTH // 2], x[:, LENGTH // 2 :].roll(1, 2)], 1)
    return (net(x) - net(other))[:, : LENGTH // 2, half].abs().max().item()


def run(device="cpu", seed=0, steps=200):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    cells = {"both ways": Bidirectional(3, HIDDEN), "forwards": Forwards(3, WIDE, batch_first=True)}
    widths = {"both ways": 2 * HIDDEN, "forwards": WIDE}
    nets = {name: nn.Sequential(cell, nn.Linear(widths[name], 4)).to(device) for name, cell in cells.items()}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        x, labels, _ = (t.to(device) for t in labelled(BATCH, data))
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            loss = F.cross_entropy(net(F.one_hot(x, 3).float())[:, 1:-1].flatten(0, 1), labels.flatten())
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    (x, labels, ahead), known = labelled(1000, unseen), labelled(steps * BATCH, data)
    one_hot = F.one_hot(x, 3).float()
    with torch.no_grad():
        said = {name: net(one_hot.to(device))[:, 1:-1].argmax(-1).cpu() for name, net in nets.items()}
    said["seven characters"] = table(*known[:2], x)
    shares = {name: (best == labels).float().mean().item() for name, best in said.items()}
    far = {name: (best == labels)[ahead > AROUND].float().mean().item() for name, best in said.items()}
    steps_to = list(range(1, FARTHEST + 1))
    curves = {n: [(best == labels)[ahead == k].float().mean().item() for k in steps_to] for n, best in said.items()}
    sizes = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    net, few = cells["both ways"], one_hot[:8]
    return {
        "both_share": shares["both ways"],
        "forwards_share": shares["forwards"],
        "table_share": shares["seven characters"],
        "control_share": max(shares["forwards"], shares["seven characters"]),
        "far_share": far["both ways"],
        "far_control_share": max(far["forwards"], far["seven characters"]),
        "both_parameters": sizes["both ways"],
        "forwards_parameters": sizes["forwards"],
        "torch_gap": torch_gap(net, few, swap=False),
        "swapped_gap": torch_gap(net, few, swap=True),
        "ahead_change": change(net, few, slice(HIDDEN)),
        "back_change": change(net, few, slice(HIDDEN, None)),
    }, {
        "right labels by how far the next letter is": {
            "kind": "lines",
            "series": {name: (steps_to, curve) for name, curve in curves.items()},
            "x": "steps to the next letter",
            "y": "share of right labels",
        }
    }


# %% what is claimed

TITLE = {"en": "A bidirectional RNN labels from both sides", "zh": "双向 RNN 从两侧给每个位置标注"}
CURVES = "cross-entropy"
CPU_SECONDS = 1
CLAIMS = {
    "trained both_share >= 0.98 > control_share >= 0.6": {
        "en": "right labels in fresh sequences; control: an LSTM that reads forwards only, with more parameters, or a "
        "table of the seven characters around the place, whichever is better",
        "zh": "新序列中标对的比例；对照：参数更多、只向前读的 LSTM，或按该位置前后共七个字符查表，取较好者",
    },
    "trained far_share >= 0.98 > far_control_share >= 0.46": {
        "en": "right labels where the next letter is four steps on or farther; control: the better of the same two, "
        "which see at most one half of the label",
        "zh": "下一个字母在四步及更远处时标对的比例；对照：同样两者中较好的一个，它们至多看得到标签的一半",
    },
    "parity torch_gap <= 1e-10 < swapped_gap": {
        "en": "largest gap to torch.nn.LSTM(bidirectional=True) in states and gradients (f64); control: the two "
        "directions have each other's weights",
        "zh": "状态与梯度同 torch.nn.LSTM(bidirectional=True) 的最大差距（f64）；对照：两个方向互换权重",
    },
    "parity ahead_change <= 1e-10 < back_change": {
        "en": "change of the forward states in the first half when the second half changes (f64); control: the "
        "backward states",
        "zh": "改动后半段时前半段正向状态的变化（f64）；对照：反向状态",
    },
    "constant both_parameters <= 3000 < forwards_parameters": {
        "en": "parameters of the bidirectional net; control: those of the net that reads forwards",
        "zh": "双向网络的参数个数；对照：只向前读的网络的参数个数",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "both ways": "双向",
    "forwards": "只向前",
    "seven characters": "前后七个字符",
    "right labels by how far the next letter is": "下一个字母的远近与标对的比例",
    "steps to the next letter": "到下一个字母的步数",
    "share of right labels": "标对的比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
