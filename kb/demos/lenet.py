"""LeNet-5 — by sharing, 60,000 parameters make 340,908 connections; one sweep of the net answers all along a strip.

The network of 1998 as published: all maps of C3 but one see only some maps of S2 (table I of the paper), averages have
a weight and a bias, and F6 draws a 7x12 picture; the answer is the digit whose picture is nearest. (The paper draws
printed characters; here they are figures of seven segments, and loss, first weights and optimizer are of today.)
Parameters and connections of every layer are counted, the connections by gradients, and compared with the paper's;
control: all maps of S2 connected to all of C3. C5 is a convolution too, so on a strip of 32 x 112 pixels the net that
learned single digits gives 21 answers in one pass (not all right), the same as for 21 cut-outs. Real 8x8 digits stand
in for MNIST, enlarged to 20x20 and laid on 32x32 pixels; after 250 steps the net reads far more of them than the
nearest mean canvas of a digit does; the nearest training canvas reads about as many, or more.

Needs:  torch, scikit-learn
Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-Based Learning Applied to Document Recognition,
        Proceedings of the IEEE 86(11), 1998 (LeNet-5; its connections of C3 are table I)
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

# %% the concept

SEES = [{(m + k) % 6 for k in range(3)} for m in range(6)]  # which maps of S2 each map of C3 sees: three in a row,
SEES += [{(m + k) % 6 for k in range(4)} for m in range(6)]  # four in a row,
SEES += [{(m + k) % 6 for k in (0, 1, 3, 4)} for m in range(3)] + [set(range(6))]  # two pairs; all
ALL = [set(range(6))] * 16


def squash(x: Tensor) -> Tensor:
    return 1.7159 * (2 / 3 * x).tanh()  # A tanh(S x): about 1 at 1


class Subsample(nn.Module):
    """S: the mean (in the paper the sum) of each 2x2 block, times a weight, plus a bias; one of each for a map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(2.5 * torch.ones(maps, 1, 1)), nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H/2, W/2)
        return self.weight * x.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).mean((3, 5)) + self.bias


class C3(nn.Module):
    """60 kernels in place of 6 * 16: each map adds up only the maps that it sees."""

    def __init__(self, sees: list[set[int]]) -> None:
        super().__init__()
        self.where = torch.tensor([(m, k) for m, some in enumerate(sees) for k in sorted(some)]).T  # (2, 60)
        fan = torch.tensor([25 * len(sees[m]) for m in self.where[0]])[:, None, None]
        self.kernels, self.bias = nn.Parameter(torch.randn(len(fan), 5, 5) / fan.sqrt()), nn.Parameter(torch.zeros(16))

    def forward(self, x: Tensor) -> Tensor:  # (B, 6, H, W) -> (B, 16, H-4, W-4)
        full = x.new_zeros(16, 6, 5, 5).index_put(tuple(self.where.to(x.device)), self.kernels)
        return F.conv2d(x, full, self.bias)  # a kernel that is not there is zero


class LeNet(nn.Module):
    def __init__(self, sees: list[set[int]] = SEES) -> None:
        super().__init__()
        self.c1, self.s2, self.c3, self.s4 = nn.Conv2d(1, 6, 5), Subsample(6), C3(sees), Subsample(16)
        self.c5, self.f6 = nn.Conv2d(16, 120, 5), nn.Conv2d(120, 84, 1)
        for layer in (self.c1, self.c5, self.f6):  # so that sums of inputs of variance 1 have variance 1
            nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
        self.register_buffer("codes", pictures())  # (10, 84): fixed

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, 32, 32 + 4n) -> (B, 1 + n, 10)
        h = squash(self.s2(squash(self.c1(x))))  # (B, 6, 28, 28), (B, 6, 14, 14)
        h = squash(self.s4(squash(self.c3(h))))  # (B, 16, 10, 10), (B, 16, 5, 5)
        drawn = squash(self.f6(squash(self.c5(h))))[:, :, 0].mT  # (B, 120, 1, 1 + n), (B, 84, 1, 1 + n)
        return (drawn[:, :, None] - self.codes).square().sum(-1)  # y_i = sum_j (x_j - w_ij)^2, the least wins


def pictures() -> Tensor:
    """A figure of seven segments for each digit, 12 rows of 7: (10, 84), ink 1, paper -1."""
    strokes = {"a": (1, 2, 1, 6), "g": (5, 6, 1, 6), "d": (10, 11, 1, 6), "f": (1, 6, 1, 2), "b": (1, 6, 5, 6)}
    strokes |= {"e": (5, 11, 1, 2), "c": (5, 11, 5, 6)}
    codes = -torch.ones(10, 12, 7)
    for digit, lit in enumerate("abcdef bc abged abgcd fgbc afgcd afgedc abc abcdefg abcdfg".split()):
        for top, bottom, left, right in (strokes[name] for name in lit):
            codes[digit, top:bottom, left:right] = 1
    return codes.flatten(1)


# %% the experiment

SIDE, WIDE, STEP, DIGIT, TRAIN, BATCH, RATE = 32, 112, 4, 20, 1200, 16, 3e-3
TABLE = (  # which maps of S2 (rows) are seen by which of C3 (columns): the paper's table I
    "X...XXX..XXXX.XX",
    "XX...XXX..XXXX.X",
    "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX",
    "..XXX..XXXX.XX.X",
    "...XXX..XXXX.XXX",
)
PUBLISHED = {  # trainable parameters, connections; the output's are what the 340,908 of the paper leave: 10 x 84
    "C1": (156, 122304),
    "S2": (12, 5880),
    "C3": (1516, 151600),
    "S4": (32, 2000),
    "C5": (48120, 48120),
    "F6": (10164, 10164),
    "output": (0, 840),
}


def canvases(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each digit near the middle of a canvas, paper -0.13 and ink 1.17: (n, 8, 8) -> (n, 1, 32, 32)."""
    canvas = torch.zeros(len(images), 1, SIDE, SIDE)
    large = F.interpolate(images[:, None], size=DIGIT, mode="bilinear")
    for n, (row, column) in enumerate(torch.randint(3, 10, (len(images), 2), generator=generator).tolist()):
        canvas[n, 0, row : row + DIGIT, column : column + DIGIT] = large[n, 0]
    return (canvas - 0.1) * 1.3


def parameters(net: LeNet) -> list[int]:
    layers = (net.c1, net.s2, net.c3, net.s4, net.c5, net.f6)
    return [*(sum(p.numel() for p in layer.parameters()) for layer in layers), 0]


def connections(net: LeNet, generator: torch.Generator) -> list[int]:
    """Of each layer: inputs that change an output, and its bias, over all maps and places; f64."""
    net, found = copy.deepcopy(net).cpu().double(), []
    shapes = (1, 32, 28), (6, 28, 14), (6, 14, 10), (16, 10, 5), (16, 5, 1), (120, 1, 1)
    for layer, (maps, size, places) in zip((net.c1, net.s2, net.c3, net.s4, net.c5, net.f6), shapes, strict=True):
        x = torch.randn(1, maps, size, size, generator=generator, dtype=torch.float64).requires_grad_()
        middle = layer(x)[0, :, places // 2, places // 2]
        reached = [int((torch.autograd.grad(y, x, retain_graph=True)[0] != 0).sum()) for y in middle]
        found.append(places**2 * (sum(reached) + len(reached)))
    return [*found, net.codes.numel()]


def net_gap(net: LeNet, x: Tensor, turn: int = 0) -> float:
    """From the trained net to PyTorch's layers with its weights, C3 wired by TABLE, in outputs and gradients; f64."""
    net, x = copy.deepcopy(net).cpu().double(), x.cpu().double()
    c1, c3, c5, f6 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 120, 5), nn.Conv2d(120, 84, 1)
    s2, s4 = (nn.Conv2d(maps, maps, 2, 2, groups=maps) for maps in (6, 16))  # four equal weights for each map
    nn.ModuleList([c1, c3, c5, f6, s2, s4]).double()
    for twin, mine in ((c1, net.c1), (c5, net.c5), (f6, net.f6)):
        twin.load_state_dict(mine.state_dict())
    for twin, mine in ((s2, net.s2), (s4, net.s4)):
        twin.weight.data = (mine.weight.detach() / 4)[..., None].repeat(1, 1, 2, 2)
        twin.bias.data = mine.bias.detach().flatten()
    pairs = [(m, (k + turn) % 6) for m in range(16) for k in range(6) if TABLE[k][m] == "X"]
    c3.weight.data, c3.bias.data = torch.zeros_like(c3.weight), net.c3.bias.detach()
    for (m, k), kernel in zip(pairs, net.c3.kernels.detach(), strict=False):
        c3.weight.data[m, k] = kernel
    h = x
    for layer in (c1, s2, c3, s4, c5, f6):
        h = 1.7159 * torch.tanh(2 * layer(h) / 3)
    found = []
    for answer, layers in (
        (net(x), (net.c1, net.s2, net.c3, net.s4, net.c5, net.f6)),
        (torch.cdist(h.flatten(2).mT, net.codes[None]) ** 2, (c1, s2, c3, s4, c5, f6)),
    ):
        weighted = (answer * torch.linspace(-1, 1, 10, dtype=torch.float64)).sum()
        leaves = [next(layer.parameters()) for layer in layers] + [layer.bias for layer in layers]
        w1, w2, w3, w4, *rest = torch.autograd.grad(weighted, leaves, materialize_grads=True)
        if layers[0] is c1:  # a map's weight is a quarter in four places; kernels that are there
            w2, w4 = w2.mean((1, 2, 3)), w4.mean((1, 2, 3))
            w3 = torch.stack([w3[m, k] for m, k in pairs])[: len(net.c3.kernels)]
        found.append([t.detach().flatten() for t in (answer, w1, w2, w3, w4, *rest)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def sweep_gap(net: LeNet, strip: Tensor, late: int = 0) -> float:
    """From one pass over a strip to a pass for each cut-out, where those begin `late` pixels further on; f64."""
    net, strip = copy.deepcopy(net).cpu().double(), F.pad(strip, (0, late), value=-0.13).double()
    cuts = strip[..., late:].unfold(3, SIDE, STEP)[0, 0].transpose(0, 1)[:, None]  # (21, 1, 32, 32)
    with torch.no_grad():
        return (net(strip[..., :WIDE])[0] - net(cuts)[:, 0]).abs().max().item()


def cost(net: nn.Module, x: Tensor) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(x)
    return counter.get_total_flops()


def run(device="cpu", seed=0, steps=250):
    torch.manual_seed(3 * seed)  # weights, training data and the strip: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    source = load_digits()
    images, labels = torch.from_numpy(source.images).float() / 16, torch.from_numpy(source.target)
    order = torch.randperm(len(images), generator=data)
    known, fresh = order[:TRAIN], order[TRAIN:]
    x, y = canvases(images[known], data), labels[known]
    net, dense = LeNet().to(device), nn.Conv2d(1, 300, SIDE, STEP)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    for step in range(steps):
        picked = torch.randint(TRAIN, (BATCH,), generator=data)
        loss = F.cross_entropy(-0.1 * net(x[picked].to(device))[:, 0], y[picked].to(device))
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"LeNet-5": loss.item()}

    three = fresh[[int(torch.where(labels[fresh] == digit)[0][seed % 20]) for digit in (3, 0, 7)]]
    strip = torch.full((1, 1, SIDE, WIDE), -0.13)
    for k, canvas in enumerate(canvases(images[three], unseen)):
        strip[0, 0, :, 28 * k + 12 : 28 * k + 40] = torch.maximum(
            strip[0, 0, :, 28 * k + 12 : 28 * k + 40], canvas[0, :, 2:30]
        )
    with torch.no_grad():
        distances = net(strip.to(device))[0].cpu()
    n, nearest = len(distances), distances.min(1).values
    plain = LeNet(ALL)
    counts, all_counts = parameters(net), parameters(plain)
    wires, all_wires = connections(net, unseen), connections(plain, unseen)
    published = list(PUBLISHED.values())
    cuts = torch.zeros(n, 1, SIDE, SIDE)
    x_test, y_test = canvases(images[fresh], unseen), labels[fresh]
    means = torch.stack([x[y == digit].mean(0) for digit in range(10)])
    with torch.no_grad():
        given = net(x_test.to(device))[:, 0].argmin(1).cpu()
    places = [STEP * k + SIDE // 2 for k in range(n)]
    return {
        "net_accuracy": (given == y_test).float().mean().item(),
        "mean_accuracy": (torch.cdist(x_test.flatten(1), means.flatten(1)).argmin(1) == y_test).float().mean().item(),
        "parameters": sum(counts),
        "all_parameters": sum(all_counts),
        "count_gap": max(abs(c - p) for c, (p, _) in zip(counts, published, strict=True)),
        "all_count_gap": max(abs(c - p) for c, (p, _) in zip(all_counts, published, strict=True)),
        "wire_gap": max(abs(w - p) for w, (_, p) in zip(wires, published, strict=True)),
        "all_wire_gap": max(abs(w - p) for w, (_, p) in zip(all_wires, published, strict=True)),
        "net_gap": net_gap(net, x[:8]),
        "turned_gap": net_gap(net, x[:8], turn=1),
        "sweep_gap": sweep_gap(net, strip),
        "late_gap": sweep_gap(net, strip, 2),
        "sweep_share": cost(LeNet(), strip) / cost(LeNet(), cuts),
        "dense_share": cost(dense, strip) / cost(dense, cuts),
    }, {
        "LeNet-5, layer by layer": {
            "kind": "table",
            "columns": ["layer", "parameters", "connections", "with all maps connected"],
            "rows": [
                *(
                    (name, str(c), str(w), str(a))
                    for name, c, w, a in zip(PUBLISHED, counts, wires, all_wires, strict=True)
                ),
                ("sum", str(sum(counts)), str(sum(wires)), str(sum(all_wires))),
            ],
        },
        "one pass over a strip that shows 3, 0, 7": {
            "kind": "lines",
            "series": {
                f"picture of {digit}": (places, (distances[:, digit] - nearest).tolist()) for digit in (3, 0, 7)
            },
            "x": "middle of what is seen, in pixels",
            "y": "squared distance to the picture, beyond the nearest of ten",
        },
    }


# %% what is claimed

TITLE = {"en": "LeNet-5 counted, checked and swept over a strip", "zh": "LeNet-5：逐层计数、核对，并扫过一条长图"}
CURVES = "cross-entropy in training"
CPU_SECONDS = 2
CLAIMS = {
    "trained net_accuracy >= 0.65 > mean_accuracy >= 0.35": {
        "en": "fresh digits read by the trained net; control: the nearest of the ten digits' mean canvases",
        "zh": "训练后的网络读对新数字的比例；对照：取十个数字的平均画布中最近者",
    },
    "parity parameters <= 60000 < all_parameters": {
        "en": "trainable parameters; the control connects all maps of S2 to all of C3",
        "zh": "可训练参数量；对照把 S2 的全部特征图与 C3 全部相连",
    },
    "parity count_gap <= 0 < all_count_gap": {
        "en": "largest difference from the paper's parameters, layer by layer; control as above",
        "zh": "逐层与论文所载参数量的最大差；对照同上",
    },
    "parity wire_gap <= 0 < all_wire_gap": {
        "en": "largest difference from the paper's connections, layer by layer, counted by gradients; control as above",
        "zh": "逐层与论文所载连接数（按梯度清点）的最大差；对照同上",
    },
    "parity net_gap <= 1e-10 < turned_gap": {
        "en": "largest gap of the trained net to PyTorch's layers, wired by the paper's table I, in outputs and "
        "gradients (f64); in the control each map of C3 sees the next maps of S2",
        "zh": "训练后的网络与按论文表 I 连接的 PyTorch 各层在输出与梯度上的最大差距"
        "（f64）；对照中 C3 各图所看的 S2 图依次错后一张",
    },
    "parity sweep_gap <= 1e-10 < late_gap": {
        "en": "largest difference of 21 answers in one pass over a strip from those for 21 cut-outs (f64); the control "
        "cuts two pixels further on",
        "zh": "一次扫过长图所得 21 个回答与逐块计算的最大差（f64）；对照的切块右移两个像素",
    },
    "parity sweep_share <= 0.33 < dense_share": {
        "en": "operations (of convolutions) in that pass over those in 21; the control is the first layer of a dense "
        "net with 300 hidden units, swept likewise",
        "zh": "扫一遍的卷积运算量与逐块计算之比；对照为同样滑动的全连接网络首层（300 个隐藏单元）",
    },
}
ZH = {
    "cross-entropy in training": "训练时的交叉熵",
    "LeNet-5, layer by layer": "LeNet-5 逐层",
    "layer": "层",
    "parameters": "参数量",
    "connections": "连接数",
    "with all maps connected": "全部相连时的连接数",
    "output": "输出",
    "sum": "合计",
    "one pass over a strip that shows 3, 0, 7": "一次扫过写有 3、0、7 的长图",
    "picture of 3": "3 的图案",
    "picture of 0": "0 的图案",
    "picture of 7": "7 的图案",
    "middle of what is seen, in pixels": "视野中心（像素）",
    "squared distance to the picture, beyond the nearest of ten": "与图案的平方距离，减去十个中最近者",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
