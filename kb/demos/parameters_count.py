"""Counting parameters — a net's plan alone says how many numbers it learns, multiplies, stores and caches.

Layer widths, kernel sizes and numbers of experts (small nets side by side, of which each token uses a few) are
hyperparameters: somebody chose them. How many numbers are learned follows by formula, without building the net. The
formulas are checked against PyTorch's own layers on narrow copies (its counter of operations included) and against
published counts. Controls: kernels without biases and normalization, one product or two operations per parameter,
GPT-2's rules 12 L d^2 + V d and 2 L d (L layers of width d, V tokens), and experts that all work. Language models are
counted by their matrices, without the attention scores, which grow with the context. The table takes 16 bits a number
and attention to all 32k tokens, though gpt-oss and DeepSeek-V3 are published in fewer bits, GPT-2 and Gemma-2B read
fewer tokens, and layers keep only 128 of them (half of gpt-oss's) or 4096 (Mistral-7B v0.1). LeNet-5 has all its maps
connected here.

Needs:  torch
Source: published configurations; K. He et al., Deep Residual Learning for Image Recognition, CVPR 2016; M. Tan,
        Q. Le, EfficientNet, ICML 2019; DeepSeek-AI, DeepSeek-V3 Technical Report, 2024; torchvision's table of
        models (the counts of the five larger image nets, AlexNet as it is built there)
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

NARROWER, CONTEXT = 8, 32768

# %% the concept


@dataclass(frozen=True)
class Layer:  # a linear layer is a convolution of a map of one pixel
    c_in: int
    c_out: int
    k: int = 1
    size: int = 1
    stride: int = 1
    groups: int = 1
    norm: int = 0  # channels that are normalized before or after
    pad: int | None = None

    @property
    def padding(self) -> int:
        return self.k // 2 if self.pad is None else self.pad

    @property
    def bias(self) -> bool:  # normalization makes it idle
        return self.size == 1 or not self.norm

    def kernel(self) -> int:  # k^2 c_in / groups for each output channel
        return self.k**2 * self.c_in // self.groups * self.c_out

    def parameters(self) -> int:  # and a bias, and a scale and a shift where it is normalized
        return self.kernel() + self.bias * self.c_out + 2 * self.norm

    def operations(self) -> int:  # the kernel is used again at every place: a product and a sum per weight
        places = (self.size + 2 * self.padding - self.k) // self.stride + 1
        return 2 * self.kernel() * places**2


@dataclass(frozen=True)
class Config:
    layers: int
    width: int
    heads: int
    kv: int  # heads of keys and values
    head: int
    hidden: int
    vocab: int
    matrices: int = 3  # of a feed-forward net: three where it is gated
    tied: bool = False  # one matrix embeds and reads out
    positions: int = 0
    experts: int = 0
    used: int = 0
    shared: int = 0
    expert: int = 0  # width of one
    dense: int = 0  # layers without experts, of a model that has them
    latent: tuple[int, int, int] | None = None  # ranks of queries and of keys and values, and the rotary key

    def attention(self) -> int:
        d, inner = self.width, self.heads * self.head
        if self.latent:
            q, kv, rope = self.latent
            return d * q + q * (inner + self.heads * rope) + d * (kv + rope) + kv * 2 * inner + inner * d
        return 2 * d * inner + 2 * d * self.kv * self.head  # W_q and W_o; W_k and W_v may be narrower

    def weights(self, experts: int) -> int:
        """Of all layers, where this many experts count."""
        sparse = self.layers - self.dense if self.experts else 0
        each = self.matrices * self.width * self.expert
        fed = (self.layers - sparse) * self.matrices * self.width * self.hidden
        return (
            self.layers * self.attention() + fed + sparse * ((experts + self.shared) * each + self.width * self.experts)
        )

    def total(self) -> int:
        return self.weights(self.experts) + ((1 if self.tied else 2) * self.vocab + self.positions) * self.width

    def active(self) -> int:  # what one token is multiplied with; its embedding is only looked up
        return self.weights(self.used) + self.vocab * self.width

    def cached(self) -> int:  # numbers for each token of the context
        return self.layers * (sum(self.latent[1:]) if self.latent else 2 * self.kv * self.head)


def image_nets() -> dict[str, list[Layer]]:
    vgg, size, c = [], 224, 3
    for width, n in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        vgg += [Layer(c, width, 3, size)] + [Layer(width, width, 3, size)] * (n - 1)
        size, c = size // 2, width
    resnet = [Layer(3, 64, 7, 224, 2, norm=64)]
    for c, width, size, step in ((64, 64, 56, 1), (64, 128, 56, 2), (128, 256, 28, 2), (256, 512, 14, 2)):
        resnet += [Layer(c, width, 3, size, step, norm=width)] + [Layer(width, width, 3, size // step, norm=width)] * 3
        resnet += [Layer(c, width, 1, size, step, norm=width)] * (step - 1)  # the shortcut
    dense, c, size = [Layer(3, 64, 7, 224, 2, norm=64)], 64, 56
    for n in (6, 12, 24, 16):
        for _ in range(n):  # every layer reads all before it, and adds 32 channels
            dense += [Layer(c, 128, 1, size, norm=c), Layer(128, 32, 3, size, norm=128)]
            c += 32
        dense += [Layer(c, c // 2, 1, size, norm=c) if n < 16 or size > 7 else Layer(c, 1000, norm=c)]
        c, size = c // 2, size // 2
    small, c, size = [Layer(3, 32, 3, 224, 2, norm=32)], 32, 112
    plan = "1 16 1 1 3, 6 24 2 2 3, 6 40 2 2 5, 6 80 3 2 3, 6 112 3 1 5, 6 192 4 2 5, 6 320 1 1 3"
    for more, width, n, step, k in (map(int, row.split()) for row in plan.split(",")):
        for _ in range(n):
            wide = more * c
            small += [Layer(c, wide, 1, size, norm=wide)] * (more > 1)
            small += [Layer(wide, wide, k, size, step, wide, norm=wide)]  # depthwise: a kernel for each channel
            small += [Layer(wide, c // 4), Layer(c // 4, wide)]  # squeeze and excite
            c, size, step = width, size // step, 1
            small += [Layer(wide, width, 1, size, norm=width)]
    lenet = [Layer(1, 6, 5, 28), Layer(6, 16, 5, 14, pad=0), Layer(16, 120, 5, 5, pad=0), Layer(120, 84), Layer(84, 10)]
    alex = [Layer(3, 64, 11, 224, 4, pad=2), Layer(64, 192, 5, 27), Layer(192, 384, 3, 13), Layer(384, 256, 3, 13)]
    alex += [Layer(256, 256, 3, 13), Layer(256, 4096, 6, 6, pad=0), Layer(4096, 4096), Layer(4096, 1000)]
    return {
        "LeNet-5": lenet,
        "AlexNet": alex,
        "VGG-16": vgg + [Layer(512, 4096, 7, 7, pad=0), Layer(4096, 4096), Layer(4096, 1000)],
        "ResNet-18": resnet + [Layer(512, 1000)],
        "DenseNet-121": dense,
        "EfficientNet-B0": small + [Layer(320, 1280, 1, 7, norm=1280), Layer(1280, 1000)],
    }


# %% the experiment

PUBLISHED = {"AlexNet": 61100840, "VGG-16": 138357544, "ResNet-18": 11689512, "DenseNet-121": 7978856}
PUBLISHED |= {"EfficientNet-B0": 5288548}
PRODUCTS = {"AlexNet": 0.71, "VGG-16": 15.47, "ResNet-18": 1.81, "DenseNet-121": 2.83, "EfficientNet-B0": 0.39}  # 1e9
MODELS = {  # billions as published, and the configuration
    "GPT-2": (0.1244, Config(12, 768, 12, 12, 64, 3072, 50257, matrices=2, tied=True, positions=1024)),
    "Gemma-2B": (2.506, Config(18, 2048, 8, 1, 256, 16384, 256000, tied=True)),
    "Mistral-7B": (7.24, Config(32, 4096, 32, 8, 128, 14336, 32000)),
    "Llama-3.1-8B": (8.03, Config(32, 4096, 32, 8, 128, 14336, 128256)),
    "Qwen3-30B-A3B": (30.5, Config(48, 2048, 32, 4, 128, 0, 151936, experts=128, used=8, expert=768)),
    "gpt-oss-120b": (116.83, Config(36, 2880, 64, 8, 64, 0, 201088, experts=128, used=4, expert=2880)),
    "DeepSeek-V3": (
        671.0,
        Config(61, 7168, 128, 128, 128, 18432, 129280, 3, False, 0, 256, 8, 1, 2048, 3, (1536, 512, 64)),
    ),
}


class Copy(nn.Module):
    """The matrices of a language model; one token passes those that it needs, and what it caches is returned."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.c, d, inner = c, c.width, c.heads * c.head
        self.embed, self.read = nn.Embedding(c.vocab, d), None if c.tied else nn.Embedding(c.vocab, d)
        self.places = nn.Embedding(c.positions, d) if c.positions else None
        q, rank, rope = c.latent or (0, 0, 0)
        shapes = {"k": (d, c.kv * c.head), "v": (d, c.kv * c.head), "q": (d, inner), "o": (inner, d)}
        if c.latent:
            shapes = {
                "down": (d, q),
                "q": (q, inner + c.heads * rope),
                "c": (d, rank),
                "rope": (d, rope),
                "o": (inner, d),
            }
            shapes |= {"k": (rank, inner), "v": (rank, inner)}
        self.layers = nn.ModuleList()
        for i in range(c.layers):
            of = shapes | ({"router": (d, c.experts)} if c.experts and i >= c.dense else {})
            layer = nn.ModuleDict({name: nn.Linear(*shape, bias=False) for name, shape in of.items()})
            sizes = [c.expert] * (c.experts + c.shared) if "router" in of else [c.hidden]
            layer["fed"] = nn.ModuleList(
                nn.ModuleList(nn.Linear(d, f, bias=False) for f in [size] * c.matrices) for size in sizes
            )
            self.layers.append(layer)

    def forward(self, token: Tensor) -> list[Tensor]:
        x, kept, c = self.embed(token), [], self.c
        for layer in self.layers:
            source = layer["c"](x) if c.latent else x
            keys, values = layer["k"](source), layer["v"](source)
            kept += [source, layer["rope"](x)] if c.latent else [keys, values]
            layer["o"](layer["q"](layer["down"](x) if c.latent else x)[:, : c.heads * c.head])
            chosen = layer["fed"]
            if "router" in layer:
                best = layer["router"](x).topk(c.used).indices[0].tolist()
                chosen = [chosen[i] for i in best] + list(chosen[c.experts :])
            for net in chosen:
                for matrix in net:
                    matrix(x)  # of the right size; what becomes of it is no matter here
        x @ (self.read or self.embed).weight.T
        return kept


def narrow(c: Config) -> Config:
    """Of two layers or three, with most things smaller."""
    less = {name: max(1, getattr(c, name) // 32) for name in ("width", "vocab", "hidden", "expert")}
    less |= {name: max(1, getattr(c, name) // 8) for name in ("heads", "kv", "head")} | {"positions": c.positions // 32}
    latent = tuple(n // 16 for n in c.latent) if c.latent else None
    return replace(c, layers=2 + (c.dense > 0), dense=min(c.dense, 1), experts=c.experts // 8, latent=latent, **less)


def operations(module: nn.Module, x: Tensor) -> tuple[int, Tensor]:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        y = module(x)
    return counter.get_total_flops(), y


def run(device="cpu", seed=0, steps=10):
    torch.manual_seed(seed)
    nets, gaps, sizes, rows = image_nets(), {}, {}, []

    def saw(name: str, ours: float, theirs: float) -> None:
        gaps[name] = max(gaps.get(name, 0.0), abs(ours / theirs - 1))

    for i, (name, net) in enumerate(nets.items()):
        for layer in net:
            less = {
                n: max(1, getattr(layer, n) // NARROWER) for n in ("c_in", "c_out", "norm") if getattr(layer, n) > 3
            }
            thin = replace(layer, groups=less["c_in"] if layer.groups > 1 else 1, **less)
            kernel = (thin.c_in, thin.c_out, thin.k, thin.stride, thin.padding)
            conv = nn.Conv2d(*kernel, groups=thin.groups, bias=thin.bias).to(device)
            learned = [*conv.parameters(), *(nn.BatchNorm2d(thin.norm).parameters() if thin.norm else ())]
            counted = sum(p.numel() for p in learned)
            done, _ = operations(conv, torch.zeros(1, thin.c_in, thin.size, thin.size, device=device))
            saw("count", thin.parameters(), counted)
            saw("kernels", thin.kernel(), counted)
            saw("operations", thin.operations(), done)
            saw("two_a_weight", 2 * counted, done)
        all_of, work = (sum(getattr(layer, of)() for layer in net) for of in ("parameters", "operations"))
        saw("count", all_of, PUBLISHED.get(name, all_of))
        saw("products", work / 2e9, PRODUCTS.get(name, work / 2e9))
        saw("one_a_weight", all_of / 1e9, PRODUCTS.get(name, all_of / 1e9))
        sizes[name] = ([math.log10(all_of)], [math.log10(work)])
        yield (i + 1) / (len(nets) + len(MODELS)), {"image nets": all_of / 1e9}
    for i, (name, (published, c)) in enumerate(MODELS.items()):
        thin = narrow(c)
        copy = Copy(thin).to(device)
        done, kept = operations(copy, torch.zeros(1, dtype=torch.long, device=device))
        saw("published", c.total() / 1e9, published)
        saw("rule", (12 * c.layers * c.width**2 + c.vocab * c.width) / 1e9, published)
        saw("model", thin.total(), sum(p.numel() for p in copy.parameters()))
        saw("model", 2 * thin.active(), done)
        saw("all_experts", 2 * (thin.weights(thin.experts) + thin.vocab * thin.width), done)
        saw("cache", thin.cached(), sum(t.numel() for t in kept))
        saw("wide_cache", 2 * thin.layers * thin.width, sum(t.numel() for t in kept))
        held = f"{2 * c.total() / 1e9:.1f} + {2 * c.cached() * CONTEXT / 1e9:.1f}"
        rows.append([name, f"{c.total() / 1e9:.2f}", f"{c.active() / 1e9:.2f}", f"{2 * c.cached() / 1024:.0f}", held])
        yield (len(nets) + i + 1) / (len(nets) + len(MODELS)), {"language models": c.total() / 1e9}
    rows.append(["GPT-5 and Gemini 2.5 Pro", *["not published"] * 4])
    return {f"{name}_gap": gap for name, gap in gaps.items()}, {
        "image nets: parameters and operations, powers of ten": {
            "kind": "scatter",
            "series": sizes,
            "x": "parameters",
            "y": "operations per image",
        },
        "language models from their configurations": {
            "kind": "table",
            "columns": ["model", "parameters, 1e9", "active", "cached KiB per token", "16-bit GB: weights + 32k cache"],
            "rows": rows,
        },
    }


# %% what is claimed

TITLE = {"en": "Parameters, operations and memory by formula", "zh": "用公式算参数量、运算量与显存"}
CURVES = "parameters, billions"
CPU_SECONDS = 2
CLAIMS = {
    "parity count_gap <= 0 < kernels_gap": {
        "en": "relative gap of the parameters of six image nets to nn.Conv2d and BatchNorm2d (each layer, narrowed) "
        "and to torchvision's counts of five (full size); the control counts kernels alone",
        "zh": "六个图像网络的参数量同 nn.Conv2d 与 BatchNorm2d（逐层比较，通道数缩小）及 torchvision "
        "公布值（其中五个，原尺寸）的相对差距；对照只数卷积核",
    },
    "parity operations_gap <= 0 < two_a_weight_gap": {
        "en": "relative gap of a layer's operations (narrowed) to PyTorch's counter; the control takes two for each "
        "parameter, though a kernel is used at every place",
        "zh": "每层（通道数缩小）的运算量与 PyTorch 计数器的相对差距；对照按每个参数两次运算计，"
        "而卷积核在每个位置都要用一遍",
    },
    "parity products_gap <= 0.012 < one_a_weight_gap": {
        "en": "largest relative gap of the products per image of five image nets (full size) to torchvision's table, "
        "which is rounded to 1e7; the control takes one for each parameter",
        "zh": "五个图像网络（原尺寸）每张图像的乘法次数与 torchvision 公布值（精确到 1e7）的最大相对差距；"
        "对照按每个参数一次计",
    },
    "parity published_gap <= 0.0015 < rule_gap": {
        "en": "largest relative gap of the totals of seven language models to the published ones; the control is "
        "GPT-2's rule, 12 L d^2 + V d",
        "zh": "七个语言模型的总参数量与公布值的最大相对差距；对照为 GPT-2 的估算式 12 L d^2 + V d",
    },
    "parity model_gap <= 0 < all_experts_gap": {
        "en": "relative gap of total and active parameters to the weights of narrow copies and to half the operations "
        "that PyTorch counts for one token; in the control all experts work",
        "zh": "总参数量、激活参数量分别同缩小副本的权重数、"
        "PyTorch 统计的单个词元运算量之半的相对差距；对照让所有专家都参与",
    },
    "parity cache_gap <= 0 < wide_cache_gap": {
        "en": "relative gap of the numbers cached for one token to what the narrow copies return; the control is "
        "GPT-2's rule, 2 L d",
        "zh": "每词元缓存的数与缩小副本实际返回的相对差距；对照为 GPT-2 的规则 2 L d",
    },
}
ZH = {
    "parameters, billions": "参数量（十亿）",
    "image nets": "图像网络",
    "language models": "语言模型",
    "image nets: parameters and operations, powers of ten": "图像网络的参数量与运算量（10 的幂）",
    "parameters": "参数量",
    "operations per image": "每张图像的运算量",
    "language models from their configurations": "由配置算出的语言模型",
    "model": "模型",
    "parameters, 1e9": "参数（十亿）",
    "active": "激活",
    "cached KiB per token": "每词元缓存 KiB",
    "16-bit GB: weights + 32k cache": "16 位时 GB：权重 + 32k 缓存",
    "GPT-5 and Gemini 2.5 Pro": "GPT-5 与 Gemini 2.5 Pro",
    "not published": "未公布",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
