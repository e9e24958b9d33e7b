"""Self-distillation — a student matches its own slow average without labels; centring and sharpening prevent collapse.

Two altered views of an 8x8 digit go through student and teacher, two networks alike with 64 outputs. The student learns
to say of one view what the teacher says of the other; the teacher is a running average of the student. Two tricks keep
them from saying the same of every image: centring takes the average output away, so that no output wins always, and
sharpening lowers the teacher's temperature, so that they do not all draw. Measured is the information in nats between
an unseen view and the teacher's output. It says no more than that nothing collapsed: the untrained network has more of
it if it is sharpened enough. So the outputs have to tell digits as well, each named afterwards by the labels of the
training images that it wins. Controls: the same training without one trick (without centring a few outputs are
sometimes left), the network before training, and 64 k-means centres of the unaltered images, named alike; centres of
altered ones do worse. As features this is no gain: the nearest of the altered training images tells more on average.

Needs:  torch, scikit-learn
Source: M. Caron et al., Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021 (DINO)
"""

import copy

import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN, BATCH, HIDDEN, OUTPUTS, RATE, KEEP, CENTRE_KEEP, WARM, SHARP = 1297, 128, 256, 64, 1e-3, 0.98, 0.9, 0.1, 0.04

# %% the concept


class DINO:
    def __init__(self, student: nn.Module, centring: bool = True, sharpening: bool = True) -> None:
        self.student, self.teacher = student, copy.deepcopy(student)
        self.centre = torch.zeros(OUTPUTS).to(next(student.parameters()))
        self.centring, self.temperature = centring, SHARP if sharpening else WARM

    def target(self, views: Tensor) -> Tensor:  # (n, 64) -> (n, OUTPUTS)
        centred = self.teacher(views) - (self.centre if self.centring else 0)
        return (centred / self.temperature).softmax(1)  # a lower temperature than the student's: sharper

    def loss(self, views: Tensor) -> Tensor:  # (2B, 64): rows i and i + B are views of one image
        with torch.no_grad():
            told = self.target(views).roll(len(views) // 2, 0)  # of the other view
        return -(told * (self.student(views) / WARM).log_softmax(1)).sum(1).mean()  # cross-entropy

    @torch.no_grad()
    def follow(self, views: Tensor) -> None:
        self.centre = CENTRE_KEEP * self.centre + (1 - CENTRE_KEEP) * self.teacher(views).mean(0)
        for old, new in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            old.copy_(KEEP * old + (1 - KEEP) * new)  # the teacher: an average of students, never trained


# %% the experiment


def network() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN // 2), nn.ReLU()),
        nn.Linear(HIDDEN // 2, OUTPUTS, bias=False),
    )


def view(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each image turned, sheared, scaled and shifted by up to a pixel, with noise: (n, 64) -> (n, 64)."""
    turn, shear, size, right, down = 2 * torch.rand(5, len(x), generator=generator) - 1
    cos, sin = (1 + 0.2 * size) * (0.3 * turn).cos(), (1 + 0.2 * size) * (0.3 * turn).sin()
    rows = torch.stack([cos, 0.3 * shear - sin, right / 4, sin, cos, down / 4], 1).view(-1, 2, 3)
    grid = F.affine_grid(rows, [len(x), 1, 8, 8], align_corners=False)
    moved = F.grid_sample(x.view(-1, 1, 8, 8), grid, align_corners=False).flatten(1)
    return moved + 0.1 * torch.randn(x.shape, generator=generator)


@torch.no_grad()
def entropies(told: Tensor) -> tuple[float, float]:
    """Of the mean output, H(k), and of the outputs on average, H(k | view); their difference is information."""
    told = told.cpu().double()
    mean, own = torch.special.entr(told.mean(0)).sum(), torch.special.entr(told).sum(1).mean()
    return mean.item(), own.item()


def named(wins: Tensor, labels: Tensor, test_wins: Tensor, test_labels: Tensor) -> float:
    """Share of the test views told, when each output has the name of the digit that it wins most in training."""
    votes = torch.zeros(OUTPUTS, 10).index_put_((wins, labels), torch.ones(len(wins)), accumulate=True)
    return (votes.argmax(1)[test_wins] == test_labels).float().mean().item()


def gap(dino: DINO, views: Tensor, held: bool = True) -> float:
    """Largest gap of loss, gradients, next centre and next teacher from F.cross_entropy, pair by pair, and the averages
    written out; if not `held`, the reference lets gradients through a teacher that is the student; f64."""
    dino, views = copy.deepcopy(dino), views.cpu().double().requires_grad_()
    student, teacher, centre = dino.student.cpu().double(), dino.teacher.cpu().double(), dino.centre.cpu().double()
    dino.centre, leaves = centre, [views, *student.parameters()]
    outputs, total = teacher(views) if held else student(views), views.new_zeros(())
    told = ((outputs - centre) / SHARP).exp()
    told = told / told.sum(1, keepdim=True)
    for i in range(len(views)):
        goal = told[i - len(views) // 2]
        total = total + F.cross_entropy(student(views[i]) / WARM, goal.detach() if held else goal) / len(views)
    found = [[loss, *torch.autograd.grad(loss, leaves)] for loss in (dino.loss(views), total)]
    after = centre + 0.1 * (teacher(views).mean(0) - centre)
    weights = [old + 0.02 * (new - old) for old, new in zip(teacher.parameters(), student.parameters(), strict=True)]
    dino.follow(views)
    found[0] += [dino.centre, *teacher.parameters()]
    found[1] += [after, *weights]
    return max((a - b).detach().abs().max().item() for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=800):
    split, noise, unseen = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    images, labels = torch.tensor(load_digits().data).float() / 16, torch.tensor(load_digits().target)
    order = torch.randperm(len(images), generator=split)
    train, test = order[:TRAIN], order[TRAIN:]
    ways = {"DINO": {}, "without centring": {"centring": False}, "without sharpening": {"sharpening": False}}
    runs = {}
    for name, how in ways.items():
        torch.manual_seed(4 * seed)
        runs[name] = DINO(network().to(device), **how)
    optimizers = {name: torch.optim.Adam(dino.student.parameters(), RATE) for name, dino in runs.items()}
    fresh, seen, before = view(images[test], unseen).to(device), set(), copy.deepcopy(runs["DINO"])
    known, points = {name: [] for name in runs}, []
    for step in range(steps):
        rows = train[torch.randperm(TRAIN, generator=noise)[:BATCH]]
        seen |= set(rows.tolist())
        views = torch.cat([view(images[rows], noise), view(images[rows], noise)]).to(device)
        for name, dino in runs.items():
            loss = dino.loss(views)
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            dino.follow(views)
        if step % 10 == 9 or step == steps - 1:
            told = {name: entropies(dino.target(fresh)) for name, dino in runs.items()}
            points.append(step + 1)
            for name, (mean, own) in told.items():
                known[name].append(mean - own)
            yield (step + 1) / steps, {name: held[-1] for name, held in known.items()}

    rows = train.repeat(2)
    known_views = view(images[rows], noise)
    before.centre = before.teacher(known_views.to(device)).mean(0)
    kmeans = KMeans(OUTPUTS, n_init=4, random_state=seed).fit(images[train].numpy())
    wins = {"k-means": [torch.tensor(kmeans.predict(views.cpu().numpy())).long() for views in (known_views, fresh)]}
    for name, dino in {**runs, "untrained": before}.items():
        wins[name] = [dino.target(views.to(device)).argmax(1).cpu() for views in (known_views, fresh)]
    digits = {name: named(won[0], labels[rows], won[1], labels[test]) for name, won in wins.items()}
    return {
        "named": digits.pop("DINO"),
        "rival_named": max(digits.values()),
        "information": known["DINO"][-1],
        "collapsed_information": max(held[-1] for name, held in known.items() if name != "DINO"),
        "loss_gap": gap(runs["DINO"], views[:: BATCH // 8]),
        "leaking_gap": gap(runs["DINO"], views[:: BATCH // 8], held=False),
        "tested_seen": len(seen & set(test.tolist())),
        "trained_seen": len(seen),
    }, {
        "information of the teacher's output about an unseen view": {
            "kind": "lines",
            "series": {name: (points, held) for name, held in known.items()},
            "x": "step",
            "y": "nats",
        }
    }


# %% what is claimed

TITLE = {"en": "Self-distillation without collapse", "zh": "不坍缩的自蒸馏"}
CURVES = "information in nats"
CPU_SECONDS = 7
CLAIMS = {
    "trained information >= 1.8 > collapsed_information": {
        "en": "information between an unseen view and the teacher's output, in nats; control: trained without centring "
        "or without sharpening, the better",
        "zh": "未见视图与教师输出之间的互信息（奈特）；对照：训练时去掉中心化或去掉锐化，取较好者",
    },
    "trained named >= 0.62 > rival_named >= 0.48": {
        "en": "share of unseen digits told by the output that wins, each named by the training images that it wins; "
        "control: the best of 64 k-means centres, the untrained network, training without one trick",
        "zh": "未见数字由胜出的输出判对的比例，各输出以其胜出的训练图像的标签命名；对照：64 个 k 均值中心、未训练的"
        "网络、缺少任一技巧的训练，取最好者",
    },
    "parity loss_gap <= 1e-10 < leaking_gap": {
        "en": "largest gap of loss, gradients, next centre and next teacher from F.cross_entropy and averages written "
        "out (f64); in the control the teacher is the student and passes gradients",
        "zh": "损失、梯度、下一步的中心向量与教师同 F.cross_entropy 及逐式写出的平均之间的最大差距（f64）；"
        "对照中教师就是学生并传递梯度",
    },
    "parity tested_seen <= 0 < trained_seen": {
        "en": "test images that training has seen; the control counts all that it has seen",
        "zh": "训练中见过的测试图像数；对照为训练中见过的全部图像数",
    },
}
ZH = {
    "information in nats": "互信息（奈特）",
    "without centring": "无中心化",
    "without sharpening": "无锐化",
    "information of the teacher's output about an unseen view": "教师输出关于未见视图的信息",
    "step": "步数",
    "nats": "奈特",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
