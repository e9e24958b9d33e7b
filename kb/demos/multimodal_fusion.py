"""Multimodal fusion — whether a tone fits a picture is in neither alone; multiplying what is seen and heard finds it.

Pictures of handwritten digits (8 x 8) are paired with synthetic tones: random phase, noise, one of ten pitches that
stand for 0 to 9. About half of the pairs match. Two small networks turn picture and tone into 32 numbers each; these
are multiplied, and a linear head says whether the pair matches. The control, of the same size and trained on the same
pairs, adds them: late fusion, a score of the picture plus a score of the tone. Where all digits are equally frequent,
as they nearly are, the cross-entropy of such a sum is least where it always says 1/2, and with whatever threshold it
is right on three pairs in four at most: it cannot accept (a, a) and (b, b) and yet refuse (a, b) and (b, a). The rule
"match if the pitch is not below the digit", told both, gets there. Multiplying is not the only way: a
hidden layer over both, or the nearest of 20,000 known pairs, does about as well.

Needs:  torch, scikit-learn
Source: T. Baltrušaitis et al., Multimodal Machine Learning: A Survey and Taxonomy, IEEE TPAMI 41(2), 2019
"""

import math
from copy import deepcopy

import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn
from torch.autograd.functional import hessian, jacobian
from torch.nn import functional as F

WIDTH, HID, BATCH, RATE, KNOWN, TESTS, NOISE = 32, 64, 128, 1e-2, 1200, 2000, 0.3

# %% the concept


class Fusion(nn.Module):
    def __init__(self, fuse) -> None:
        super().__init__()
        self.see, self.hear = (nn.Sequential(nn.Linear(64, HID), nn.ReLU(), nn.Linear(HID, WIDTH)) for _ in "12")
        self.fuse, self.head = fuse, nn.Linear(WIDTH, 1)

    def forward(self, picture: Tensor, sound: Tensor) -> Tensor:  # (B, 64), (B, 64) -> (B,)
        u, v = self.see(picture), self.hear(sound)
        return self.head(self.fuse(u, v))[:, 0]


def multiply(u: Tensor, v: Tensor) -> Tensor:
    return u * v  # score = sum_k w_k u_k(picture) v_k(sound) + b


def fusion_loss(score: Tensor, match: Tensor) -> Tensor:  # (...), (...) -> ()
    return -F.logsigmoid((2 * match - 1) * score).mean()  # -log p(right), p(match) = 1 / (1 + exp(-score))


# %% its control


def add(u: Tensor, v: Tensor) -> Tensor:
    return u + v  # score = w . u(picture) + w . v(sound) + b: a score of each, added


# %% the experiment

WAYS = {
    "product": multiply,
    "hidden layer over both": lambda u, v: (u + v).relu(),
    "sum": add,
    "picture alone": lambda u, v: u.relu(),
    "tone alone": lambda u, v: v.relu(),
}


def pairs(pictures: Tensor, digits: Tensor, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Pictures (n, 64), sounds (n, 64), whether they match (n,), their digits (n,) and pitches (n,)."""
    drawn, match = (torch.randint(high, (n,), generator=generator) for high in (len(pictures), 2))
    digit, off = digits[drawn], torch.randint(1, 10, (n,), generator=generator)
    pitch = torch.where(match == 1, digit, (digit + off) % 10)  # one of the nine others
    turns = (pitch[:, None] + 3) * torch.arange(64) / 64 + torch.rand(n, 1, generator=generator)
    sound = (2 * math.pi * turns).sin() + NOISE * torch.randn(n, 64, generator=generator)
    return pictures[drawn], sound, match.float(), digit, pitch


def fusion_gap(net: Fusion, inputs: list[Tensor], match: Tensor, mixed: bool = False) -> float:
    """Largest gap of scores, loss, gradients to torch's bilinear form and cross-entropy (f64); `mixed`: all u_k v_j."""
    net, match, found = deepcopy(net).cpu().double(), match[:20].double(), []
    leaves = [x[:20].double().requires_grad_() for x in inputs]
    w = net.head.weight[0].expand(WIDTH, WIDTH) if mixed else net.head.weight[0].diag()
    theirs = F.bilinear(net.see(leaves[0]), net.hear(leaves[1]), w[None], net.head.bias)[:, 0]
    ours = net(*leaves)
    losses = fusion_loss(ours, match), F.binary_cross_entropy_with_logits(theirs, match)
    for score, loss in zip((ours, theirs), losses, strict=True):
        gradients = torch.autograd.grad(loss, [*leaves, *net.parameters()], materialize_grads=True)
        found.append([score.detach(), loss.detach(), *gradients])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def limits(generator: torch.Generator) -> tuple[float, float]:
    """Of a score of the digit plus one of the pitch, both known: least cross-entropy, and most right (f64)."""
    match = torch.eye(10, dtype=torch.float64)
    share = match / 20 + (1 - match) / 180  # of the pairs: half of them match

    def loss(scores: Tensor) -> Tensor:  # (2, 10) -> ()
        return -(share * F.logsigmoid((2 * match - 1) * add(scores[0][:, None], scores[1]))).sum()

    scores = torch.rand(2, 10, generator=generator, dtype=torch.float64)
    for _ in range(20):  # Newton's method
        slope, bend = jacobian(loss, scores), hessian(loss, scores)
        scores = scores - (torch.linalg.pinv(bend.view(20, 20)) @ slope.flatten()).view(2, 10)
    gain = (share * (2 * match - 1)).cumsum(0)  # digits by falling score, all orders alike: a pitch accepts the first k
    return float(loss(scores)), 0.5 + gain.amax(0).clamp(min=0).sum().item()


def run(device="cpu", seed=0, steps=600):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    images, labels = map(torch.tensor, load_digits(return_X_y=True))
    first, rest = torch.randperm(len(images), generator=data).tensor_split([KNOWN])
    known, fresh = ((images[rows].float() / 8 - 1, labels[rows]) for rows in (first, rest))
    nets = {}
    for name, fuse in WAYS.items():
        torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
        nets[name] = Fusion(fuse).to(device)
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        picture, sound, match = (t.to(device) for t in pairs(*known, BATCH, data)[:3])
        losses = {name: fusion_loss(net(picture, sound), match) for name, net in nets.items()}
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        yield (step + 1) / steps, {name: losses[name].item() for name in ("product", "sum")} | {"log 2": math.log(2)}

    *test, match, digit, pitch = pairs(*fresh, TESTS, unseen)
    with torch.no_grad():
        scores = {name: net(*(t.to(device) for t in test)).cpu() for name, net in nets.items()}
    said = {name: score > 0 for name, score in scores.items()}
    *seen, seen_match, _, _ = pairs(*known, 10 * TESTS, data)
    nearest = KNeighborsClassifier(1).fit(torch.cat(seen, 1), seen_match)
    said["nearest neighbour of both"] = torch.from_numpy(nearest.predict(torch.cat(test, 1)))
    said["pitch not below digit, both told"] = pitch >= digit
    right = {name: (answer == match).float().mean().item() for name, answer in said.items()}
    loss = {name: fusion_loss(score, match).item() for name, score in scores.items()}
    rows = [[name, share, loss.get(name, "")] for name, share in right.items()]
    cell, both = 10 * digit + pitch, torch.stack([scores["product"], scores["sum"]]).sigmoid()
    maps = torch.zeros(2, 100).index_add(1, cell, both) / cell.bincount(minlength=100).clamp(min=1)
    least, most = limits(unseen)
    tested, trained = (set(map(tuple, rows.tolist())) for rows in (test[0], known[0]))
    return {
        "product_accuracy": right["product"],
        "told_accuracy": right["pitch not below digit, both told"],
        "sum_loss": loss["sum"],
        "product_loss": loss["product"],
        "alone_accuracy": max(right["picture alone"], right["tone alone"]),
        "other_joint_accuracy": min(right["hidden layer over both"], right["nearest neighbour of both"]),
        "bound_gap": max(abs(least - math.log(2)), abs(most - 3 / 4)),
        "product_bound_gap": min(math.log(2) - fusion_loss(20 * torch.eye(10) - 10, torch.eye(10)).item(), 1 / 4),
        "fusion_gap": fusion_gap(nets["product"], test, match),
        "mixed_gap": fusion_gap(nets["product"], test, match, mixed=True),
        "shared_pictures": len(tested & trained),
        "own_pictures": len(tested),
    }, {
        "probability of a match: digits down, pitches across": {
            "kind": "images",
            "images": [shown.view(10, 10, 1).expand(-1, -1, 3) for shown in maps],
            "titles": ["product", "sum"],
            "columns": 2,
        },
        "fresh pairs": {"kind": "table", "columns": ["", "right", "cross-entropy"], "rows": rows},
    }


# %% what is claimed

TITLE = {"en": "Fusion: what neither picture nor tone says alone", "zh": "多模态融合：图像与声音单独都说不出的答案"}
CURVES = "cross-entropy"
CPU_SECONDS = 3
CLAIMS = {
    "trained product_accuracy >= 0.95 > told_accuracy >= 0.7": {
        "en": "fresh pairs judged rightly by the product; control: a best rule that adds a score of each, told both",
        "zh": "相乘时对新数据判断正确的比例；对照：已知数字与音高，把两者得分相加的最优规则之一",
    },
    "trained sum_loss >= 0.69 > product_loss": {
        "en": "cross-entropy of the sum on fresh pairs, trained as long; log 2 is a coin's; control: the product's",
        "zh": "相加时在新数据上的交叉熵，训练同样久，log 2 相当于抛硬币；对照：相乘时的交叉熵",
    },
    "trained alone_accuracy <= 0.56 < other_joint_accuracy": {
        "en": "fresh pairs judged rightly from the picture alone or the tone alone, the better; control: a hidden "
        "layer over both or the nearest neighbour of both, the worse",
        "zh": "只看图像或只听声音时的正确率，取较好者；对照：两者之上加隐藏层、两者拼接后的最近邻，取较差者",
    },
    "parity bound_gap <= 1e-10 < product_bound_gap": {
        "en": "of all scores of the digit plus one of the pitch, the least cross-entropy against log 2 and the most "
        "right against 3/4, the larger gap (f64); control: how far a product of one-hot vectors is beyond, the smaller",
        "zh": "数字得分加音高得分：最小交叉熵与 log 2、最高正确率与 3/4 之差，取较大者（f64）；对照：one-hot 向量之积"
        "超出这两者多少，取较小者",
    },
    "parity fusion_gap <= 1e-10 < mixed_gap": {
        "en": "scores, loss and gradients against torch's bilinear form and cross-entropy (f64); control: each "
        "number of the picture meets each of the tone",
        "zh": "得分、损失及梯度同 torch 的双线性形式与交叉熵的最大差距（f64）；对照：图像与声音的各数两两相乘",
    },
    "parity shared_pictures <= 0 < own_pictures": {
        "en": "pictures of the test that are in the training set; control: those in the test itself",
        "zh": "测试图像中出现在训练集里的张数；对照：测试图像本身的张数",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "product": "相乘",
    "sum": "相加",
    "log 2": "log 2（抛硬币）",
    "hidden layer over both": "两者之上加隐藏层",
    "picture alone": "只看图像",
    "tone alone": "只听声音",
    "nearest neighbour of both": "两者拼接，最近邻",
    "pitch not below digit, both told": "已知两数：音高不低于数字",
    "probability of a match: digits down, pitches across": "判为相配的概率，越白越高：行为数字，列为音高",
    "fresh pairs": "新的图像-声音对",
    "right": "正确率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
