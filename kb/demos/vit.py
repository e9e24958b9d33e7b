"""Vision Transformer — patches of an image are read like words; with few images a convolutional network reads better.

Real 8x8 digits are laid at random places on a blank 12x12 canvas: 1200 canvases to learn from; 597 other digits, each
at four places, to read. The Vision Transformer (ViT) cuts a canvas into nine patches and knows nothing of how they lie:
that a digit is the same one pixel further on, it has to learn. A convolutional network has that built in (its inductive
bias); in part, so has the hybrid, whose patches come from two convolutions, and which has one block for the ViT's two.
All three learn their training canvases nearly by heart. The nearest training canvas, pixel by pixel, is a better guess
here than the ViT's.

Needs:  torch, scikit-learn
Source: A. Dosovitskiy et al., An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale, ICLR 2021;
        convolutions before the patches: T. Xiao et al., Early Convolutions Help Transformers See Better, NeurIPS 2021
"""

import copy

import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn
from torch.nn import functional as F

CANVAS, PATCH, WIDTH, HEADS, TRAIN, BATCH, LAID = 12, 4, 64, 4, 1200, 32, 4
RATES = {"ViT": 2e-3, "hybrid": 2e-3, "CNN": 1e-2}  # what suits each
SPANS = {"ViT": 1.0, "hybrid": 0.5, "CNN": 0.6}  # share of the steps that each needs

# %% the concept


def patches(x: Tensor) -> Tensor:  # (B, 1, CANVAS, CANVAS) -> (B, N, PATCH * PATCH), row by row
    return x.unflatten(2, (-1, PATCH)).unflatten(4, (-1, PATCH)).transpose(3, 4).flatten(4).flatten(1, 3)


class Block(nn.Module):
    """A Transformer's encoder block, normalized before each of its two parts."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.linear1, self.linear2 = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:  # (B, 1 + N, WIDTH) -> the same
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # (B, H, 1 + N, d)
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)  # every patch looks at every other
        x = x + self.out((weights @ v).transpose(1, 2).flatten(2))
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))


class ViT(nn.Module):
    def __init__(self, embed: nn.Module, depth: int) -> None:
        super().__init__()
        self.embed, self.norm = embed, nn.LayerNorm(WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(depth)))
        self.token, self.head = nn.Parameter(torch.zeros(WIDTH)), nn.Linear(WIDTH, 10)
        self.positions = nn.Parameter(0.02 * torch.randn(1 + (CANVAS // PATCH) ** 2, WIDTH))

    def read(self, words: Tensor) -> Tensor:  # (B, N, WIDTH) -> (B, 10)
        x = torch.cat([self.token.expand(len(words), 1, -1), words], 1) + self.positions  # z_0 = [token; words] + p
        return self.head(self.norm(self.blocks(x))[:, 0])  # what the token has gathered

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, CANVAS, CANVAS) -> (B, 10)
        return self.read(self.embed(x))


class Patches(nn.Linear):
    """One linear map for all patches: the words of the image."""

    def __init__(self) -> None:
        super().__init__(PATCH * PATCH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, CANVAS, CANVAS) -> (B, N, WIDTH)
        return super().forward(patches(x))


# %% its control


def convolutions() -> list[nn.Module]:
    return [nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 48, 3), nn.ReLU()]


def cnn() -> nn.Sequential:
    """The digit counts wherever it is seen: 12 -> 10 -> 5 -> 3 -> 1."""
    return nn.Sequential(*convolutions(), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(48, 10))


class Stem(nn.Sequential):
    """The hybrid's words: the nine places of a map that two convolutions make."""

    def __init__(self) -> None:
        super().__init__(*convolutions(), nn.Flatten(2))

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, CANVAS, CANVAS) -> (B, 48, 9) -> (B, 9, WIDTH)
        return F.pad(super().forward(x).mT, (0, WIDTH - 48))


# %% the experiment


def canvases(digits: Tensor, generator: torch.Generator) -> Tensor:
    """Each digit at a random place: (n, 8, 8) -> (n, 1, CANVAS, CANVAS)."""
    canvas = torch.zeros(len(digits), 1, CANVAS, CANVAS)
    places = torch.randint(0, CANVAS - 7, (len(digits), 2), generator=generator).tolist()
    for n, (row, column) in enumerate(places):
        canvas[n, 0, row : row + 8, column : column + 8] = digits[n]
    return canvas


def torch_answer(net: ViT, x: Tensor, columns_first: bool = False) -> Tensor:
    """What a strided convolution and nn.TransformerEncoderLayer, with the net's own weights, make of the images."""
    words = F.conv2d(x, net.embed.weight.unflatten(1, (1, PATCH, PATCH)), net.embed.bias, stride=PATCH)
    z = (words.mT if columns_first else words).flatten(2).mT
    z = torch.cat([net.token.repeat(len(x), 1, 1), z], 1) + net.positions
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True)
    for block in net.blocks:
        named = {f"self_attn.{name}" if "out." in name else name: p for name, p in block.named_parameters()}
        named = {k.replace("qkv.", "self_attn.in_proj_").replace("out.", "out_proj."): p for k, p in named.items()}
        z = torch.func.functional_call(layer, named, (z,))
    return net.head(F.layer_norm(z, (WIDTH,), net.norm.weight, net.norm.bias)[:, 0])


def net_gaps(vit: ViT, x: Tensor) -> dict[str, float]:
    """Gap of the trained net to torch.nn in answers and gradients, f64; and what reading patches backwards changes."""
    net, leaf = copy.deepcopy(vit).cpu().double(), x.cpu().double().requires_grad_()
    sides = []
    for answer in (net(leaf), torch_answer(net, leaf), torch_answer(net, leaf, columns_first=True)):
        total = (answer * torch.linspace(-1, 1, 10, dtype=answer.dtype)).sum()
        found = torch.autograd.grad(total, [leaf, *net.parameters()], materialize_grads=True)
        sides.append(torch.cat([t.detach().flatten() for t in (answer, *found)]))
    gaps = {name: (sides[0] - sides[k]).abs().max().item() for k, name in ((1, "net_gap"), (2, "turned_gap"))}
    with torch.no_grad():
        words = net.embed(leaf)
        for name in ("placed_gap", "shuffle_gap"):
            gaps[name] = (net.read(words) - net.read(words.flip(1))).abs().max().item()
            net.positions.zero_()  # for the second
    return gaps


@torch.no_grad()
def right(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return (net(x).argmax(1) == y).cpu()


def run(device="cpu", seed=0, steps=600):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    loaded = load_digits()
    digits, names = torch.from_numpy(loaded.images).float() / 16, torch.from_numpy(loaded.target)
    order = torch.randperm(len(digits), generator=data)
    known, fresh = order[:TRAIN], order[TRAIN:].repeat(LAID)  # each test digit at several places
    x, y = canvases(digits[known], data).to(device), names[known].to(device)
    x_test, y_test = canvases(digits[fresh], unseen).to(device), names[fresh].to(device)
    nets = {}
    for name, make in {"ViT": lambda: ViT(Patches(), 2), "hybrid": lambda: ViT(Stem(), 1), "CNN": cnn}.items():
        torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
        nets[name] = make().to(device)
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    losses: dict[str, float] = {}
    for step in range(steps):
        rows = torch.randint(0, TRAIN, (BATCH,), generator=data).to(device)
        for name, net in nets.items():
            done = (step + 1) / steps / SPANS[name]
            if done <= 1:
                optimizers[name].param_groups[0]["lr"] = RATES[name] * min(1, 2 - 2 * done + 1e-3, 12 * done)
                loss = F.cross_entropy(net(x[rows]), y[rows])
                optimizers[name].zero_grad()
                loss.backward()
                optimizers[name].step()
                losses[name] = loss.item()
        yield (step + 1) / steps, dict(losses)

    seen = {digit.numpy().tobytes() for digit in digits[known]}
    is_new = torch.tensor([digit.numpy().tobytes() not in seen for digit in digits[fresh]])  # only these count
    read = {name: (right(net, x_test, y_test) & is_new).float().mean().item() for name, net in nets.items()}
    learned = {name: right(net, x, y).float().mean().item() for name, net in nets.items()}
    near = KNeighborsClassifier(1).fit(x.cpu().flatten(1), y.cpu()).score(x_test.cpu().flatten(1), y_test.cpu())
    cut = patches(x_test[:1])[0].unflatten(1, (PATCH, PATCH)).cpu()
    sizes = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    return {
        "cnn_accuracy": read["CNN"],
        "hybrid_accuracy": read["hybrid"],
        "vit_accuracy": read["ViT"],
        "rival_accuracy": max(near, read["ViT"]),
        "training_accuracy": min(learned.values()),
        **net_gaps(nets["ViT"], x_test[:8]),
    }, {
        "a canvas, and the nine patches that the ViT reads as words": {
            "kind": "images",
            "images": [x_test[0, 0].cpu(), *cut],
            "titles": ["canvas", *map(str, range(1, 10))],
            "columns": 5,
        },
        "digits read rightly": {
            "kind": "table",
            "columns": ["network", "parameters", "training canvases", "fresh digits"],
            "rows": [[name, str(sizes[name]), f"{learned[name]:.3f}", f"{read[name]:.3f}"] for name in nets]
            + [["nearest canvas", "-", "1.000", f"{near:.3f}"]],
        },
    }


# %% what is claimed

TITLE = {"en": "A Vision Transformer lacks what a CNN has built in", "zh": "视觉 Transformer 缺少 CNN 内置的归纳偏置"}
CURVES = "cross-entropy"
CPU_SECONDS = 8
CLAIMS = {
    "trained cnn_accuracy >= 0.91 > rival_accuracy >= 0.79": {
        "en": "accuracy of a convolutional network on fresh digits at random places; control: a ViT that learned from "
        "the same 1200 canvases, or the nearest of them by pixels, whichever is better",
        "zh": "卷积网络在随机位置新数字上的准确率；对照：用同样 1200 张画布训练的 ViT，或按像素最近的画布，取较好者",
    },
    "trained hybrid_accuracy >= 0.88 > vit_accuracy >= 0.67": {
        "en": "accuracy of a Transformer of one block, whose words come from two convolutions; the control is the ViT, "
        "of two blocks, which cuts patches",
        "zh": "混合 Transformer（一个编码器块，词元由两层卷积产生）的准确率；对照为直接切图像块的 ViT（两个编码器块）",
    },
    "trained training_accuracy >= 0.96 > vit_accuracy": {
        "en": "accuracy on the training canvases, of the network that is worst there; the control is the ViT on fresh "
        "digits",
        "zh": "训练画布上的准确率，取三个网络中最差者；对照是 ViT 在新数字上的准确率",
    },
    "parity net_gap <= 1e-10 < turned_gap": {
        "en": "largest gap of the trained ViT, answers and gradients, from a strided convolution and "
        "nn.TransformerEncoderLayer (f64); the control reads the patches column by column",
        "zh": "训练后的 ViT（输出与梯度）与步幅卷积加 nn.TransformerEncoderLayer 的最大差距（f64）；对照按列读取图像块",
    },
    "parity shuffle_gap <= 1e-10 < placed_gap": {
        "en": "what reading the patches backwards changes in the answers of the ViT without positions (f64); the "
        "control has its positions",
        "zh": "去掉位置编码后，倒序读取图像块使 ViT 的输出改变多少（f64）；对照保留位置编码",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "hybrid": "混合",
    "a canvas, and the nine patches that the ViT reads as words": "一张画布，与 ViT 当作词元读取的九个图像块",
    "canvas": "画布",
    "digits read rightly": "认对的比例",
    "network": "网络",
    "nearest canvas": "最近的画布",
    "parameters": "参数量",
    "training canvases": "训练画布",
    "fresh digits": "新数字",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
