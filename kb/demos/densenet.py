"""DenseNet — every layer reads all layers before it: 20 of them learn where 20 in a chain, no smaller, lag behind.

Each layer makes four new maps (pictures of features) out of all that are there (growth rate k = 4) and appends them;
the classifier reads them all. It is one dense block, without the paper's bottlenecks and transitions. Control: a chain
of as many layers of the same kind (batch normalization, ReLU, 3x3 convolution), 14 maps wide, so with no fewer
parameters; both are trained for 100 steps. That is about depth: five wide layers in a chain with about as many
parameters, in the table, do better on a task as small as this (real 8x8 digits). Features are reused: when the
trained layers no longer read the older half of the sources before them (the input's maps or a layer's), much more is
lost than without the newer half.

Needs:  torch, scikit-learn
Source: G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, Densely Connected Convolutional Networks, CVPR 2017
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

LAYERS, GROWTH, FIRST = 20, 4, 8

# %% the concept


class Layer(nn.Module):
    """H: normalize, bend, convolve."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(c_in), nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:  # (B, c_in, H, W) -> (B, c_out, H, W)
        return self.conv(self.norm(x).relu())


class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, FIRST, 3, 2, 1, bias=False)
        self.layers = nn.ModuleList(Layer(FIRST + GROWTH * n, GROWTH) for n in range(LAYERS))  # c_0 + k l maps come in
        self.norm, self.out = nn.BatchNorm2d(FIRST + GROWTH * LAYERS), nn.Linear(FIRST + GROWTH * LAYERS, 10)

    def forward(self, image: Tensor) -> Tensor:  # (B, 1, 8, 8) -> (B, 10)
        x = self.stem(image)  # (B, c_0, 4, 4)
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)  # x_l = H_l([x_0, x_1, ..., x_l-1]), put beside them
        return self.out(self.norm(x).relu().mean((2, 3)))


# %% its control


class Chain(nn.Module):
    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, 2, 1, bias=False)
        self.layers = nn.ModuleList(Layer(width, width) for _ in range(layers))
        self.norm, self.out = nn.BatchNorm2d(width), nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        for layer in self.layers:
            x = layer(x)
        return self.out(self.norm(x).relu().mean((2, 3)))


# %% the experiment

TRAIN, BATCH, RATES = 1200, 32, {"dense": 1e-2, "chain": 5e-3, "short chain": 1e-2}

SPANS = [f"{n + 1}-{n + 4}" for n in range(0, LAYERS, 4)]


def by_sources(net: DenseNet, image: Tensor, turn: int = 0) -> tuple[Tensor, list[list[Tensor]]]:
    """The same, with no concatenation: a layer adds up a convolution of each source's maps; and their kernels."""
    sources, kernels = [F.conv2d(image, net.stem.weight, None, 2, 1)], []
    sizes = [FIRST] + [GROWTH] * LAYERS
    for layer in net.layers:
        count = len(sources)
        parts = [t.split(sizes[:count]) for t in (layer.norm.weight, layer.norm.bias)]
        own = [k.clone() for k in layer.conv.weight.split(sizes[:count], 1)]
        read = [F.batch_norm(s, None, None, w, b, True).relu() for s, w, b in zip(sources, *parts, strict=True)]
        last = read[1:][turn:] + read[1:][:turn]  # turned: kernels of one source read another's maps
        sources.append(sum(F.conv2d(s, k, None, 1, 1) for s, k in zip([read[0], *last], own, strict=True)))
        kernels.append(own)
    parts = [t.split(sizes) for t in (net.norm.weight, net.norm.bias)]
    read = [F.batch_norm(s, None, None, w, b, True).relu() for s, w, b in zip(sources, *parts, strict=True)]
    pairs = zip(read, net.out.weight.split(sizes, 1), strict=True)
    return net.out.bias + sum(s.mean((2, 3)) @ w.T for s, w in pairs), kernels


def net_gap(net: DenseNet, image: Tensor, turn: int = 0) -> float:
    """From the trained net to a sum over sources, in outputs and gradients; f64."""
    net, image, found = copy.deepcopy(net).cpu().double().train(), image.cpu().double(), []
    for answer in (net(image), by_sources(net, image, turn)[0]):
        weighted = (answer * torch.linspace(-1, 1, 10, dtype=torch.float64)).sum()
        gradients = torch.autograd.grad(weighted, [*net.parameters()], materialize_grads=True)
        found.append([answer.detach(), *gradients])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def connections(net: nn.Module, image: Tensor) -> int:
    """Pairs of a layer and a source of maps (the stem or a layer) whose kernel gets a gradient from the answers."""
    net, image = copy.deepcopy(net).cpu().double().train(), image.cpu().double()
    kernels = [layer.conv.weight for layer in net.layers]
    gradients = torch.autograd.grad(net(image).square().sum(), kernels, materialize_grads=True)
    sizes = [FIRST] + [GROWTH] * LAYERS
    moved = 0
    for n, gradient in enumerate(gradients):
        parts = gradient.split(sizes[: n + 1], 1) if isinstance(net, DenseNet) else [gradient]
        moved += sum(bool(part.abs().max() > 0) for part in parts)
    return moved


def without(net: DenseNet, older: bool) -> DenseNet:
    """A copy whose layers no longer read the older half of the sources before them, or the newer half."""
    net = copy.deepcopy(net)
    with torch.no_grad():
        for n, layer in enumerate(net.layers):  # n + 1 sources, of which the middle one, if any, stays in both
            parts, half = layer.conv.weight.split([FIRST] + [GROWTH] * n, 1), (n + 1) // 2
            for part in parts[:half] if older else parts[n + 1 - half :]:
                part.zero_()
    return net


def run(device="cpu", seed=0, steps=100):
    data = torch.Generator().manual_seed(3 * seed + 1)
    source = load_digits()
    images, labels = torch.from_numpy(source.images).float()[:, None] / 16 - 0.3, torch.from_numpy(source.target)
    order = torch.randperm(len(images), generator=data)
    known, fresh = order[:TRAIN], order[TRAIN:]
    torch.manual_seed(3 * seed)
    nets = {"dense": DenseNet(), "chain": Chain(LAYERS, 14), "short chain": Chain(5, 28)}
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    nets = {name: net.to(device) for name, net in nets.items()}
    optimizers = {name: torch.optim.Adam(net.parameters(), RATES[name]) for name, net in nets.items()}
    x, y = images[known].to(device), labels[known].to(device)
    for step in range(steps):
        picked, losses = torch.randint(TRAIN, (BATCH,), generator=data).to(device), {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATES[name] * min(1, 2 - 2 * step / steps)
            loss = F.cross_entropy(net(x[picked]), y[picked])
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    def read(net: nn.Module) -> tuple[float, float]:
        """Shares of known and fresh digits, with the statistics of all known ones."""
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a mean over what comes
        with torch.no_grad():
            net.train()(x)
            given = net.eval()(images.to(device)).argmax(1).cpu() == labels
        return given[known].float().mean().item(), given[fresh].float().mean().item()

    shares = {name: read(net) for name, net in nets.items()}
    old, new = (shares["dense"][1] - read(without(nets["dense"], older))[1] for older in (True, False))
    dense = copy.deepcopy(nets["dense"]).cpu()
    sizes = [FIRST] + [GROWTH] * LAYERS
    readers = [*(layer.conv.weight.detach() for layer in dense.layers), dense.out.weight.detach()[..., None, None]]
    strength = torch.zeros(LAYERS + 1, LAYERS + 1)
    for n, weight in enumerate(readers):
        strength[n, : n + 1] = torch.stack([k.square().mean().sqrt() for k in weight.split(sizes[: n + 1], 1)])
    groups = [slice(n, n + 4) for n in range(0, LAYERS, 4)]
    table = [
        [
            float(block.sum() / (block > 0).sum().clamp_min(1))
            for block in (lines[:, :1], *(lines[:, 1:][:, g] for g in groups))
        ]
        for lines in (*(strength[g] for g in groups), strength[LAYERS:])
    ]
    return {
        "dense_accuracy": shares["dense"][1],
        "chain_accuracy": shares["chain"][1],
        "old_fall": old,
        "new_fall": new,
        "chain_parameters": counts["chain"],
        "dense_parameters": counts["dense"],
        "net_gap": net_gap(nets["dense"], x[:20]),
        "turned_gap": net_gap(nets["dense"], x[:20], 1),
        "connections": connections(nets["dense"], x[:20]),
        "chain_connections": connections(nets["chain"], x[:20]),
        "known_digits": len(set(known.tolist()) & set(fresh.tolist())),
        "known_digits_planted": len(set(known.tolist()) & set(order.tolist())),
    }, {
        "size of the weights (root mean square, times 1000) by which layers read earlier ones": {
            "kind": "heatmap",
            "values": [[round(1000 * value) for value in line] for line in table],
            "rows": [*SPANS, "classifier"],
            "columns": ["stem", *SPANS],
            "x": "maps of layers",
            "y": "read by layers",
        },
        "digits read": {
            "kind": "table",
            "columns": ["network", "layers", "parameters", "training digits, %", "fresh digits, %"],
            "rows": [
                (
                    name,
                    str(len(nets[name].layers)),
                    str(counts[name]),
                    *(round(100 * share, 1) for share in shares[name]),
                )
                for name in nets
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "Dense connections make depth trainable", "zh": "稠密连接让深网络可训练"}
CURVES = "cross-entropy in training"
CPU_SECONDS = 4
CLAIMS = {
    "trained dense_accuracy >= 0.92 > chain_accuracy >= 0.3": {
        "en": "fresh digits read by 20 densely connected layers after 100 steps; control: 20 in a chain",
        "zh": "20 层稠密连接训练 100 步后读对新数字的比例；对照：20 层依次相连",
    },
    "parity dense_parameters <= 36098 < chain_parameters": {
        "en": "parameters of the dense network; the control is the chain, which has no fewer",
        "zh": "稠密网络的参数量；对照为链式网络，其参数量不少于前者",
    },
    "trained old_fall >= 0.3 > new_fall": {
        "en": "accuracy lost when the layers no longer read the older half of the sources before them; control: the "
        "newer half",
        "zh": "各层不再读取其前各来源中较早的一半时损失的准确率；对照：不再读取较晚的一半",
    },
    "parity connections >= 210 > chain_connections": {
        "en": "pairs of a layer and a source it reads, L (L + 1) / 2 for L = 20, counted by gradients; "
        "control: the chain",
        "zh": "按梯度清点的（层，来源）连接数，L = 20 时为 L (L + 1) / 2；对照：链式网络",
    },
    "parity net_gap <= 1e-10 < turned_gap": {
        "en": "largest gap of the trained network to a sum of convolutions, one for each source, with no "
        "concatenation, in outputs and gradients (f64); the control gives sources each other's kernels",
        "zh": "训练后的网络与不做拼接、逐来源卷积再相加的结果，在输出与梯度上的最大差距（f64）；"
        "对照把各来源的卷积核错配",
    },
    "parity known_digits <= 0 < known_digits_planted": {
        "en": "test digits that were trained on; the control tests on all digits",
        "zh": "测试数字中出现在训练集里的个数；对照用全部数字测试",
    },
}
ZH = {
    "cross-entropy in training": "训练时的交叉熵",
    "dense": "稠密连接",
    "chain": "链式",
    "short chain": "短链式",
    "size of the weights (root mean square, times 1000) by which layers read earlier ones": "各层读取此前各层的权重"
    "大小（均方根，乘以 1000）",
    "classifier": "分类器",
    "stem": "首层",
    "maps of layers": "被读取的层",
    "read by layers": "读取的层",
    "digits read": "读对的数字",
    "network": "网络",
    "layers": "层数",
    "parameters": "参数量",
    "training digits, %": "训练数字（%）",
    "fresh digits, %": "新数字（%）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
