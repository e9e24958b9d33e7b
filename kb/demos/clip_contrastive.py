"""CLIP — images and captions in one space: words learned on some pairs name pairs never seen.

Synthetic 16 x 16 images show one of 4 shapes in one of 6 colours in one of 4 corners; the caption has the three words.
Two encoders, a small convolutional network and a bag of words, are trained so that in a batch of 64 each image finds
its caption and each caption its image. A quarter of the 24 colour-shape pairs never occurs in training. Over nine in
ten fresh images of such pairs then find their caption among the 24 of unseen pairs. The control's text encoder knows
each caption as one symbol, not as words: on seen pairs it is about as good, of unseen ones it matches one in ten at
most. Among all 96 captions, where the seen ones attract, fewer are found, but many more than by a linear fit from
pixels to words.

Needs:  torch
Source: A. Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021;
        the loss: A. van den Oord, Y. Li, O. Vinyals, Representation Learning with Contrastive Predictive
        Coding, 2018
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, WIDTH, BATCH, TESTS, RATE = 16, 32, 64, 600, 3e-3
FITTED, PENALTY = 5000, 1

# %% the concept


def unit(x: Tensor) -> Tensor:  # (n, d) -> (n, d), each row on the unit sphere
    return x / x.norm(dim=1, keepdim=True)


class CLIP(nn.Module):
    def __init__(self, words: int) -> None:
        super().__init__()
        self.image_encoder = nn.Sequential(
            *(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()),  # 16 -> 8 -> 4
            *(nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, WIDTH)),
        )
        self.words = nn.Embedding(words, 64)
        self.text_encoder = nn.Linear(64, WIDTH)
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())  # of the inverse temperature, learned

    def forward(self, images: Tensor, caption: Tensor) -> Tensor:  # (B, 3, SIDE, SIDE), (C, words) -> (B, C)
        image = unit(self.image_encoder(images))  # (B, WIDTH)
        text = unit(self.text_encoder(self.words(caption).sum(1)))  # (C, WIDTH): a bag of words
        return self.log_scale.exp() * image @ text.T


def contrastive_loss(similarity: Tensor) -> Tensor:  # (B, B) -> (); the pairs are on the diagonal
    # -log exp(s_ii) / sum_j exp(s_ij), each image against all captions, and with sum_j exp(s_ji) each caption against
    # all images
    pairs = similarity.diagonal()
    return ((similarity.logsumexp(1) - pairs) + (similarity.logsumexp(0) - pairs)).mean() / 2


# %% its control


def as_symbols(caption: Tensor) -> Tensor:  # (C, 3) -> (C, 1): a number for the whole caption
    colour, shape, corner = caption.unbind(1)
    return (16 * colour + 4 * (shape - 6) + corner - 10)[:, None]


# %% the experiment

COLOURS = {
    "red": (1.0, 0.1, 0.1),
    "green": (0.1, 0.9, 0.1),
    "blue": (0.2, 0.3, 1.0),
    "yellow": (1.0, 0.9, 0.1),
    "magenta": (0.9, 0.2, 0.9),
    "cyan": (0.1, 0.9, 0.9),
}
WORDS = (*COLOURS, "square", "disc", "triangle", "cross", "top left", "top right", "bottom left", "bottom right")


def captions() -> tuple[Tensor, Tensor]:
    """All captions as three word numbers, seen and unseen: (72, 3), (24, 3)."""
    every = torch.cartesian_prod(torch.arange(6), torch.arange(6, 10), torch.arange(10, 14))
    unseen = (every[:, 0] + every[:, 1]) % 4 == 1  # a shape for each colour
    return every[~unseen], every[unseen]


def render(caption: Tensor, generator: torch.Generator) -> Tensor:  # (B, 3) -> (B, 3, SIDE, SIDE)
    n, (colour, shape, corner) = len(caption), (caption - torch.tensor([0, 6, 10])).unbind(1)
    radius = 3 + torch.rand(n, generator=generator)
    corner = torch.stack([corner % 2, corner // 2])  # column, row
    centre = 4 + 8 * corner + torch.rand(2, n, generator=generator) - 0.5
    u, v = (torch.arange(SIDE) + 0.5 - centre[..., None]) / radius[:, None]  # -1..1 in the shape
    u, v = torch.broadcast_tensors(u[:, None, :], v[:, :, None])
    a, b = u.abs(), v.abs()
    square, disc, triangle = a.maximum(b) <= 0.9, u**2 + v**2 <= 1, (2 * a - 1 <= v) & (v <= 1)
    cross = (a.minimum(b) <= 0.35) & (a.maximum(b) <= 1)
    inside = torch.stack([square, disc, triangle, cross], 1)[torch.arange(n), shape]
    paint = torch.tensor(list(COLOURS.values()))[colour] + 0.1 * torch.randn(n, 3, generator=generator)
    ground = 0.35 * torch.rand(n, 3, SIDE, SIDE, generator=generator)
    return torch.where(inside[:, None], paint[..., None, None], ground).clamp(0, 1)


def found(similarity: Tensor, choices: Tensor, answers: Tensor) -> float:
    """Share of the images (rows) whose nearest caption among the choices is the right one."""
    return (choices[similarity.argmax(1)] == answers).all(1).float().mean().item()


def as_words(caption: Tensor) -> Tensor:  # (C, 3) -> (C, words): a one for each word
    return torch.zeros(len(caption), len(WORDS)).scatter(1, caption, 1.0)


def fit_words(images: Tensor, caption: Tensor) -> Tensor:
    """Ridge regression from pixels to which words stand in the caption: (pixels + 1, words)."""
    x = F.pad(images.flatten(1), (0, 1), value=1.0)
    return torch.linalg.solve(x.T @ x + PENALTY * torch.eye(x.shape[1]), x.T @ as_words(caption))


def gap_to_torch(net: CLIP, images: Tensor, caption: Tensor, one_way: bool = False) -> float:
    """Largest difference of similarities, loss and all gradients from torch's cosine similarity and cross-entropy, f64;
    `one_way` lets only the images choose."""
    net, images, caption = copy.deepcopy(net).cpu().double(), images.double().requires_grad_(), caption.cpu()
    text = net.text_encoder(F.embedding_bag(caption, net.words.weight, mode="sum"))
    cosine = F.cosine_similarity(net.image_encoder(images)[:, None], text[None], dim=2)
    theirs, ours, target = net.log_scale.exp() * cosine, net(images, caption), torch.arange(len(images))
    loss = (F.cross_entropy(theirs, target) + F.cross_entropy(theirs.T, target)) / 2
    own = F.cross_entropy(ours, target) if one_way else contrastive_loss(ours)
    leaves = [images, *net.parameters()]
    gradients = (torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True) for value in (own, loss))
    pairs = [(ours, theirs), (own, loss), *zip(*gradients, strict=True)]
    return max((a - b).detach().abs().max().item() for a, b in pairs)


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(3 * seed)
    data, fresh = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    seen, unseen = captions()
    nets = {"words": CLIP(len(WORDS)).to(device), "whole captions": CLIP(6 * 4 * 4).to(device)}
    reads = {"words": lambda c: c.to(device), "whole captions": lambda c: as_symbols(c).to(device)}
    optimizers = {name: torch.optim.Adam(net.parameters(), RATE) for name, net in nets.items()}
    trained = set()
    for step in range(steps):
        caption = seen[torch.randperm(len(seen), generator=data)[:BATCH]]  # all different
        images = render(caption, data)
        trained |= {tuple(words) for words in caption.tolist()}
        losses = {}
        for name, net in nets.items():
            loss = contrastive_loss(net(images.to(device), reads[name](caption)))
            optimizers[name].param_groups[0]["lr"] = RATE * (1 - step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    def match(name: str, pictures: Tensor, choices: Tensor) -> Tensor:
        with torch.no_grad():
            return nets[name](pictures.to(device), reads[name](choices)).cpu()

    every = torch.cat([seen, unseen])
    new, old = (group[torch.randint(len(group), (TESTS,), generator=fresh)] for group in (unseen, seen))
    new_images, old_images, shown = (render(caption, fresh) for caption in (new, old, unseen))
    zero_shot = {name: found(match(name, new_images, unseen), unseen, new) for name in nets}
    known = {name: found(match(name, old_images, every), every, old) for name in nets}
    examples = seen[torch.randint(len(seen), (FITTED,), generator=data)]
    named = F.pad(new_images.flatten(1), (0, 1), value=1.0) @ fit_words(render(examples, data), examples)

    def among(choices: Tensor) -> list[float]:
        """Images of unseen pairs that find their caption among the choices: by CLIP, and by the linear fit."""
        similarities = match("words", new_images, choices), named @ as_words(choices).T
        return [found(similarity, choices, new) for similarity in similarities]

    (_, ridge), (among_all, ridge_among_all) = among(unseen), among(every)
    fresh_words = {tuple(words) for words in new.tolist()}
    cosine = match("words", shown, unseen) / nets["words"].log_scale.detach().exp().cpu()
    pairs = [f"{WORDS[colour]} {WORDS[shape]}" for colour, shape, _ in unseen[::4].tolist()]
    corners = cosine.view(6, 4, 6, 4).diagonal(dim1=1, dim2=3).mean(-1)  # both in the same corner, (6, 6)
    some = [4 * pair + (0, 3)[pair % 2] for pair in range(6)] + [1, 6]
    return {
        "zero_shot_accuracy": zero_shot["words"],
        "whole_caption_accuracy": zero_shot["whole captions"],
        "seen_pairs_accuracy": min(known.values()),
        "zero_shot_among_all": among_all,
        "ridge_among_all": ridge_among_all,
        "ridge_accuracy": ridge,
        "trained_unseen": len(trained & fresh_words),
        "trained_seen": len(trained),
        "loss_gap": gap_to_torch(nets["words"], images, caption),
        "one_way_gap": gap_to_torch(nets["words"], images, caption, one_way=True),
    }, {
        "images of unseen pairs, and which of 24 captions each finds": {
            "kind": "images",
            "images": [shown[i].permute(1, 2, 0).tolist() for i in some],
            "titles": [pairs[int(cosine[i].argmax()) // 4] for i in some],
            "columns": 4,
        },
        "cosine of images and captions of unseen pairs, in the same corner": {
            "kind": "heatmap",
            "values": corners.round(decimals=2).tolist(),
            "rows": pairs,
            "columns": list(COLOURS),
            "x": "caption, by its colour",
            "y": "image",
        },
    }


# %% what is claimed

TITLE = {"en": "CLIP names pairs it has never seen", "zh": "CLIP：说出从未见过的组合"}
CURVES = "contrastive loss"
SCALE = ("WIDTH", "BATCH")
CPU_SECONDS = 3
CLAIMS = {
    "trained zero_shot_accuracy >= 0.9 > whole_caption_accuracy": {
        "en": "images of unseen pairs matched to the right one of 24 captions; the control reads no words",
        "zh": "未见组合的图像在 24 条描述中选对的比例；对照把整条描述当作一个符号",
    },
    "trained seen_pairs_accuracy >= 0.96 > whole_caption_accuracy": {
        "en": "images of seen pairs matched to the right one of 96 captions, by the worse of the two models; "
        "control: the model without words on unseen pairs",
        "zh": "已见组合的图像在 96 条描述中选对的比例，取两个模型中较差者；对照：不读词者面对未见组合",
    },
    "trained zero_shot_among_all >= 0.4 > ridge_among_all >= 0.06": {
        "en": "images of unseen pairs matched to the right one of all 96 captions; the control is a linear fit from "
        "pixels to words",
        "zh": "未见组合的图像在全部 96 条描述中选对的比例；对照为从像素到单词的线性拟合",
    },
    "parity trained_unseen <= 0 < trained_seen": {
        "en": "captions of the test that were trained on; the control counts all that were trained on",
        "zh": "训练中出现过的测试描述数；对照为训练中出现过的全部描述数",
    },
    "parity loss_gap <= 1e-10 < one_way_gap": {
        "en": "similarities, loss and gradients against torch's cosine similarity and cross-entropy both ways (f64); "
        "in the control only images choose",
        "zh": "相似度、损失及梯度同 torch 的余弦相似度与双向交叉熵的差距（f64）；对照只由图像选描述",
    },
}
ZH = {
    "contrastive loss": "对比损失",
    "words": "逐词",
    "whole captions": "整条描述",
    "images of unseen pairs, and which of 24 captions each finds": "未见组合，及各自在 24 条中选中的描述",
    "red cross": "红色十字",
    "green triangle": "绿色三角",
    "blue disc": "蓝色圆",
    "yellow square": "黄色方块",
    "magenta cross": "品红十字",
    "cyan triangle": "青色三角",
    "cosine of images and captions of unseen pairs, in the same corner": "未见组合的图像与描述的余弦（同一角落）",
    "caption, by its colour": "描述（按颜色）",
    "image": "图像",
    "red": "红",
    "green": "绿",
    "blue": "蓝",
    "yellow": "黄",
    "magenta": "品红",
    "cyan": "青",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
