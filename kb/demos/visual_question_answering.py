"""Visual question answering — a question that modulates what is seen is answered; one only added, half the time.

Two objects of different shape and colour lie in a scene of 10 x 10 pixels; questions are "colour of box" or "shape of
red". A FiLM layer lets the question scale and shift every feature map of the scene. The control, trained as long on the
same batches, adds what the scene says to what the question says, and gets half right: of the two objects it cannot tell
which is meant. Tables of the commonest answer to each question alone, or to the true objects alone, get about a quarter
right: four answers remain. The maps, summed up, are brightest at the object asked for (boxed), more often than not.

Needs:  torch
Source: E. Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer, AAAI 2018;
        the task: S. Antol et al., VQA: Visual Question Answering, ICCV 2015
"""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, BATCH, TESTS, RATE, ADDED_RATE, NOISE = 32, 64, 1000, 1.5e-2, 2e-2, 0.1
SHAPES, COLOURS = ["box", "tee", "cup", "ell"], ["red", "green", "blue", "white"]
WORDS = ["colour", "shape", *COLOURS, *SHAPES]  # the last eight are the answers, too

# %% the concept


class FiLM(nn.Module):
    def __init__(self, d_question: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Linear(d_question, 2 * channels)

    def forward(self, maps: Tensor, question: Tensor) -> Tensor:  # (B, C, H, W), (B, d) -> (B, C, H, W)
        gamma, beta = self.affine(question)[..., None, None].chunk(2, 1)  # (B, C, 1, 1) each
        return (1 + gamma) * maps + beta  # a scale and a shift for every feature map


class VQA(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.see, self.mix = nn.Conv2d(3, WIDTH, 3), nn.Conv2d(WIDTH, WIDTH, 1)
        self.words, self.film, self.head = nn.Embedding(len(WORDS), 16), FiLM(16, WIDTH), nn.Linear(WIDTH, 8)

    def maps(self, scene: Tensor, question: Tensor) -> Tensor:  # (B, 3, 10, 10), (B, 2) -> (B, C, 8, 8)
        asked = self.words(question).sum(1)  # both words: (B, d)
        return self.mix(self.film(self.see(scene), asked).relu()).relu()

    def forward(self, scene: Tensor, question: Tensor) -> Tensor:  # -> (B, 8)
        return self.head(self.maps(scene, question).amax((2, 3)))  # wherever it is


# %% its control


class Added(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.see, self.mix = nn.Conv2d(3, WIDTH, 3), nn.Conv2d(WIDTH, WIDTH, 1)
        self.words, self.head = nn.Embedding(len(WORDS), 8), nn.Linear(WIDTH, 8)

    def maps(self, scene: Tensor, _: Tensor) -> Tensor:
        return self.mix(self.see(scene).relu()).relu()

    def forward(self, scene: Tensor, question: Tensor) -> Tensor:
        return self.head(self.maps(scene, question).amax((2, 3))) + self.words(question).sum(1)


# %% the experiment


def pictures() -> Tensor:
    """Each shape at each of its places, nine in each quarter of the scene: (4, 36, 10, 10)."""
    drawn = torch.tensor([[7, 5, 7], [7, 2, 2], [5, 5, 7], [4, 4, 7]])[..., None] >> torch.tensor([2, 1, 0]) & 1
    every = torch.zeros(4, 36, 10, 10)
    for place, (row, column) in enumerate(corners(torch.arange(36)).tolist()):
        every[:, place, row : row + 3, column : column + 3] = drawn.float()
    return every


def corners(place: Tensor) -> Tensor:
    """Row and column of an object's first pixel: (..., 2)."""
    quarter, within = place // 9, place % 9
    return torch.stack([5 * (quarter // 2) + within // 3, 5 * (quarter % 2) + within % 3], -1)


def asked_scenes(n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Scenes, questions of two words (n, 2), answers (n,); shapes and colours of both objects (n, 4), their corners
    (n, 2, 2), and which of them is asked for (n,)."""
    shape, colour, quarter = (torch.rand(n, 4, generator=generator).argsort(1)[:, :2] for _ in range(3))  # differ
    place = 9 * quarter + torch.randint(9, (n, 2), generator=generator)
    rgb = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])[colour]
    scene = (pictures()[shape, place][:, :, None] * rgb[..., None, None]).sum(1)
    scene = scene + NOISE * torch.randn(n, 3, 10, 10, generator=generator)
    kind, which = torch.randint(2, (2, n, 1), generator=generator)  # the kind of question, and the object
    named = torch.stack([colour, 4 + shape], 1).gather(2, which[..., None].expand(n, 2, 1))[..., 0]  # its two words
    question, answer = torch.cat([kind, 2 + named.gather(1, 1 - kind)], 1), named.gather(1, kind)
    return scene, question, answer[:, 0], torch.cat([shape, colour], 1), corners(place), which[:, 0]


def from_counts(seen: Tensor, answer: Tensor, fresh: Tensor) -> Tensor:
    """To each fresh row, the commonest answer to such a row among those seen: (n,)."""
    votes: dict[tuple[int, ...], list[int]] = {}
    for row, said in zip(seen.tolist(), answer.tolist(), strict=True):
        votes.setdefault(tuple(row), []).append(said)
    best = {row: max(sorted(set(said)), key=said.count) for row, said in votes.items()}
    return torch.tensor([best.get(tuple(row), -1) for row in fresh.tolist()])


def film_gap(net: VQA, scene: Tensor, question: Tensor, bias: bool = True) -> float:
    """Largest gap, in outputs and gradients (f64), from a net whose every scene has a convolution of its own, with
    filters and bias that the question scales; without `bias`, the question does not scale it."""
    net, scene, question = deepcopy(net).cpu().double(), scene.cpu().double().requires_grad_(), question.cpu()
    hot = F.one_hot(question, len(WORDS)).sum(1).double()
    gamma, beta = F.linear(hot @ net.words.weight, net.film.affine.weight, net.film.affine.bias).split(WIDTH, 1)
    filters = (net.see.weight + gamma[..., None, None, None] * net.see.weight).flatten(0, 1)  # (B C, 3, 3, 3)
    shift = net.see.bias + gamma * net.see.bias if bias else net.see.bias
    own = F.conv2d(scene.view(1, -1, 10, 10), filters, (shift + beta).flatten(), groups=len(scene))
    mixed = net.mix.weight[:, :, 0, 0] @ own.clamp(min=0).view(len(scene), WIDTH, -1) + net.mix.bias[:, None]
    theirs = mixed.clamp(min=0).max(2).values @ net.head.weight.T + net.head.bias
    found = []
    for y in (net(scene, question), theirs):
        weighted = (y * torch.linspace(-1, 2, 8, dtype=y.dtype)).sum()
        found.append([y.detach(), *torch.autograd.grad(weighted, [scene, *net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def maps_of_all(net: VQA, n: int, objects: Tensor, scene: Tensor, device: str) -> tuple[list[Tensor], Tensor]:
    """The sums of a net's maps of scene n when asked for the colours, then the shapes, of its objects; its answers."""
    shape, colour = objects[n].view(2, 2)
    question = torch.stack([torch.tensor([0, 0, 1, 1]), 2 + torch.cat([4 + shape, colour])], 1).to(device)
    several = scene[n].expand(4, -1, -1, -1).to(device)
    maps = net.maps(several, question).sum(1).cpu()  # the convolution has no border: a pixel is a corner of an object
    maps = maps - maps.amin((1, 2), keepdim=True)
    return list(F.pad(maps / maps.amax((1, 2), keepdim=True), (1, 1, 1, 1))), net(several, question).argmax(1).cpu()


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets = {"FiLM": VQA().to(device), "added": Added().to(device)}
    rates = {"FiLM": RATE, "added": ADDED_RATE}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        scene, question, answer = (t.to(device) for t in asked_scenes(BATCH, data)[:3])
        losses = {name: F.cross_entropy(net(scene, question), answer) for name, net in nets.items()}
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = rates[name] * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    scene, question, answer, objects, corner, which = asked_scenes(TESTS, unseen)
    _, seen_question, seen_answer, seen_objects, *_ = asked_scenes(10 * TESTS, data)
    said = {
        "question alone, counted": from_counts(seen_question, seen_answer, question),
        "objects alone, counted": from_counts(seen_objects, seen_answer, objects),
    }
    looked, shown, titles, boxes = {}, [], [], []
    with torch.no_grad():
        for name, net in nets.items():
            said[name] = net(scene.to(device), question.to(device)).argmax(1).cpu()
            brightest = net.maps(scene.to(device), question.to(device)).sum(1).flatten(1).argmax(1).cpu()
            off = torch.stack([brightest // 8, brightest % 8], 1) - corner[torch.arange(TESTS), which]
            looked[name] = (off.abs().amax(1) <= 1).float().mean().item()
        for n in range(2):
            maps, answers = maps_of_all(nets["FiLM"], n, objects, scene, device)
            words = [4 + objects[n, :2], objects[n, 2:]][n].tolist()  # asked: colours in one scene, shapes in another
            shown += [scene[n].movedim(0, -1).clamp(0, 1), *maps[2 * n : 2 * n + 2]]
            titles += ["scene", *(f"{WORDS[n]} of {WORDS[2 + word]}" for word in words)]
            places = zip(corner[n].tolist(), answers[2 * n : 2 * n + 2].tolist(), strict=True)
            boxes += [[], *([(x, y, x + 3, y + 3, WORDS[2 + word])] for (y, x), word in places)]
    hits = {name: (answers == answer).float() for name, answers in said.items()}
    accuracy, kinds = {name: right.mean().item() for name, right in hits.items()}, question[:, 0]
    checked = nets["FiLM"], scene[:20], question[:20]
    return {
        "vqa_accuracy": accuracy["FiLM"],
        "added_accuracy": accuracy["added"],
        "alone_accuracy": max(accuracy[name] for name in accuracy.keys() - nets.keys()),
        "looked": looked["FiLM"],
        "added_looked": looked["added"],
        "film_gap": film_gap(*checked),
        "unscaled_bias_gap": film_gap(*checked, bias=False),
    }, {
        "two fresh scenes, and the sum of the maps at each question": {
            "kind": "images",
            "images": shown,
            "titles": titles,
            "boxes": boxes,
            "columns": 3,
        },
        "right answers to fresh questions": {
            "kind": "table",
            "columns": ["", "of colour", "of shape", "all"],
            "rows": [
                [name, *(right[kinds == k].mean().item() for k in (0, 1)), accuracy[name]]
                for name, right in hits.items()
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "Questions about a scene: FiLM is enough, a sum is not", "zh": "看图答题：FiLM 调制足够，相加不够"}
CURVES = "cross-entropy"
CPU_SECONDS = 2
CLAIMS = {
    "trained vqa_accuracy >= 0.94 > added_accuracy >= 0.42": {
        "en": "right answers about fresh scenes; the control adds what the scene says and what the question says",
        "zh": "对新场景提问的正确率；对照把场景给出的分数与问题给出的分数相加",
    },
    "trained added_accuracy >= 0.42 > alone_accuracy >= 0.22": {
        "en": "right answers where scene and question are added; control: the commonest answer to the question alone "
        "or to the true objects alone, whichever is better",
        "zh": "把场景与问题的分数相加时的正确率；对照：只按问题或只按真实物体取最常见的答案，取较好者",
    },
    "trained looked >= 0.65 > added_looked >= 0.45": {
        "en": "fresh scenes whose maps, summed up, are brightest within a pixel of the middle of the object asked for; "
        "the control is the same of the net that adds, whose maps know no question",
        "zh": "新场景中各特征图之和的最亮处离所问物体中心不超过一个像素的比例；对照为相加的网络，其特征图不受问题影响",
    },
    "parity film_gap <= 1e-10 < unscaled_bias_gap": {
        "en": "largest gap of the network, in outputs and gradients (f64), to a convolution for each scene whose "
        "filters and bias the question scales, and the bias it shifts; the control does not scale the bias",
        "zh": "整个网络与“每个场景各用一个卷积”的网络在输出与梯度上的最大差距（f64），其卷积核与偏置由问题缩放，"
        "偏置还由问题平移；对照不缩放偏置",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "added": "相加",
    "two fresh scenes, and the sum of the maps at each question": "两个新场景，以及每次提问时特征图之和",
    "scene": "场景",
    "red": "红色",
    "green": "绿色",
    "blue": "蓝色",
    "white": "白色",
    "box": "方框",
    "tee": "T 形",
    "cup": "U 形",
    "ell": "L 形",
    "colour of box": "方框的颜色",
    "colour of tee": "T 形的颜色",
    "colour of cup": "U 形的颜色",
    "colour of ell": "L 形的颜色",
    "shape of red": "红色的形状",
    "shape of green": "绿色的形状",
    "shape of blue": "蓝色的形状",
    "shape of white": "白色的形状",
    "right answers to fresh questions": "新问题的正确率",
    "of colour": "问颜色",
    "of shape": "问形状",
    "all": "全部",
    "question alone, counted": "只看问题（计数）",
    "objects alone, counted": "只看物体（计数）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
