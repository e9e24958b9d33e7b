"""Semi-supervised learning — four labels per class go further with the unlabelled images beside them.

Of 1,297 digits 40 carry a label; the rest are pixels alone. Label spreading lets labels run along a graph of similar
images and names those very images (transductive). A FixMatch step trusts a prediction on a clean image where it is
sure (60 % here, 95 % in the paper) and asks for the same one, a pseudo-label, on a noisy copy (the paper shifts images
and distorts them); the network is tested on 500 other digits. The controls learn from the same 40 labels alone: the
network, trained for as many steps on noisy copies of its images, and a support vector machine. All accuracies are means
over four draws of the labels. The graph gains most where labels are fewest (the figure). And where all 1,297 images
have a label, of which 40 % are wrong (weak supervision), the graph mends most of them; a support vector machine that is
trained on those labels and asked about the same images does so as well.

Needs:  torch, scikit-learn
Source: D. Zhou et al., Learning with Local and Global Consistency, NeurIPS 2003 (label spreading); D.-H. Lee,
        Pseudo-Label, ICML 2013 workshop; K. Sohn et al., FixMatch: Simplifying Semi-Supervised Learning with
        Consistency and Confidence, NeurIPS 2020
"""

import torch
from sklearn.datasets import load_digits
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC
from torch import Tensor, nn
from torch.nn import functional as F

LABELS, DRAWS, POOL, WIDTH, BATCH, SURE, NOISE, WRONG = 4, 4, 1297, 128, 128, 0.6, 0.5, 0.4

# %% the concept


def graph(x: Tensor, gamma: float = 8.0) -> Tensor:
    """Similarities of all pairs, scaled by the degrees at both ends of an edge: (n, d) -> (n, n)."""
    squares = x.square().sum(1)
    w = (-gamma * (squares[:, None] + squares - 2 * x @ x.mT)).exp()  # w_ij = exp(-gamma |x_i - x_j|^2)
    w = w * (1 - torch.eye(len(x), dtype=x.dtype).to(x.device))  # no image is its own neighbour
    root = w.sum(1).rsqrt()
    return root[:, None] * w * root  # S = D^-1/2 W D^-1/2


def spread(s: Tensor, given: Tensor, alpha: float = 0.99) -> Tensor:
    """The fixed point of F = alpha S F + (1 - alpha) Y; rows of Y without a label are zero: (n, C) -> (n, C)."""
    return torch.linalg.solve(torch.eye(len(s), dtype=s.dtype).to(s.device) - alpha * s, (1 - alpha) * given)


def fixmatch(clean: Tensor, noisy: Tensor) -> Tensor:
    """Logits of the same images, clean and noisy, (…, n, C): the loss of those that the network is sure of."""
    confidence, label = clean.detach().softmax(-1).max(-1)  # the pseudo-label: no gradient
    sure = (confidence >= SURE).to(noisy.dtype)
    cost = noisy.logsumexp(-1) - (noisy * F.one_hot(label, noisy.shape[-1])).sum(-1)  # -log p(label | noisy copy)
    return (sure * cost).mean()  # over all images: few are sure to begin with


# %% its control


class Networks(nn.Module):
    """One small network for each draw of the labels, side by side."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        w, v = torch.randn(DRAWS, 64, WIDTH, generator=generator), torch.randn(DRAWS, WIDTH, 10, generator=generator)
        self.w, self.b = nn.Parameter(w * (2 / 64) ** 0.5), nn.Parameter(torch.zeros(DRAWS, 1, WIDTH))
        self.v, self.c = nn.Parameter(v / WIDTH**0.5), nn.Parameter(torch.zeros(DRAWS, 1, 10))

    def forward(self, x: Tensor) -> Tensor:  # (DRAWS, n, 64) -> (DRAWS, n, 10)
        return (x @ self.w + self.b).relu() @ self.v + self.c


def from_labels(net: Networks, x: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of the labelled images: what the control learns from, and FixMatch too."""
    return F.cross_entropy(net(x).flatten(0, 1), y.flatten())


# %% the experiment


def chosen(y: Tensor, each: int, generator: torch.Generator) -> Tensor:
    """Rows with a label, so many of each class."""
    rows = [(y == c).nonzero()[:, 0] for c in range(10)]
    return torch.cat([r[torch.randperm(len(r), generator=generator)[:each]] for r in rows])


def sklearn_gap(x: Tensor, rows: Tensor, y: Tensor, scale: float = 1.0) -> float:
    """Largest gap of the label distributions to LabelSpreading, on 200 rows with some labels; f64."""
    x, given = x[:200].double(), torch.where(torch.isin(torch.arange(200), rows), y[:200], -1)
    given[:10] = y[:10]
    theirs = LabelSpreading(gamma=8.0, alpha=0.9, tol=1e-12, max_iter=1000).fit(x.numpy(), given.numpy())
    known = torch.zeros(200, 10, dtype=torch.float64)
    known[given >= 0, given[given >= 0]] = 1
    ours = spread(scale * graph(x), known, 0.9)
    ours = (ours / ours.sum(1, keepdim=True))[:, torch.from_numpy(theirs.classes_)]
    return (ours - torch.from_numpy(theirs.label_distributions_)).abs().max().item()


def fixmatch_gap(net: Networks, x: Tensor, noisy: Tensor, sure: float) -> float:
    """Largest gap of the loss and its gradients to F.cross_entropy of the sure images alone; f64."""
    found = []
    for own in (True, False):
        twin = Networks(torch.Generator()).double()
        twin.load_state_dict({name: p.cpu().double() for name, p in net.state_dict().items()})
        clean, copies = twin(x.double()), twin(noisy.double())
        loss = fixmatch(clean, copies)
        if not own:
            p = clean.detach().exp() / clean.detach().exp().sum(-1, keepdim=True)
            kept = p.amax(-1) >= sure
            loss = F.cross_entropy(copies[kept], p[kept].argmax(-1), reduction="sum") / kept.numel()
        found.append([loss.detach(), *torch.autograd.grad(loss, [*twin.parameters()])])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def share(answers: Tensor, y: Tensor) -> float:
    return (answers == y).float().mean().item()


def machine(x: Tensor, y: Tensor, rows: Tensor, asked: Tensor) -> Tensor:
    fitted = SVC(C=10, gamma=0.05).fit(x[rows].numpy(), y[rows].numpy())
    return torch.from_numpy(fitted.predict(asked.numpy()))


def run(device="cpu", seed=0, steps=400):
    split, init, noise, faults = (torch.Generator().manual_seed(4 * seed + k) for k in range(4))
    digits = load_digits()
    mixed = torch.randperm(len(digits.target), generator=split)
    all_x, all_y = (torch.tensor(t)[mixed] for t in (digits.data / 16, digits.target))
    x, y, x_test, y_test = all_x[:POOL].float(), all_y[:POOL], all_x[POOL:].float(), all_y[POOL:]
    there, answers = x.to(device), F.one_hot(y, 10).double()

    counts = [1, 2, LABELS, 8, 16, 32]
    drawn = {each: [chosen(y, each, split) for _ in range(DRAWS)] for each in counts}
    shift = torch.randint(1, 10, (DRAWS, POOL), generator=faults)
    weak = (y + shift * (torch.rand(DRAWS, POOL, generator=faults) < WRONG)) % 10
    given = [torch.zeros(POOL, 10).double().index_copy(0, r, answers[r]) for rows in drawn.values() for r in rows]
    given += [F.one_hot(labels, 10).double() for labels in weak]
    scores = spread(graph(x.double()), torch.cat(given, 1))  # one system for all: float64, on the CPU
    named = scores.unflatten(1, (-1, DRAWS, 10)).argmax(-1)  # (POOL, counts and the weak labels, DRAWS)

    curves: dict[str, list[float]] = {"label spreading": [], "support vector machine": []}
    for k, rows in enumerate(drawn.values()):
        hits = torch.zeros(2, DRAWS)
        for i, r in enumerate(rows):
            rest = torch.ones(POOL).index_fill(0, r, 0.0).bool()
            hits[0, i] = share(named[rest, k, i], y[rest])
            hits[1, i] = share(machine(x, y, r, x[rest]), y[rest])
        for name, found in zip(curves, hits.mean(1).tolist(), strict=True):
            curves[name].append(found)
    few = torch.stack(drawn[LABELS])
    alone = sum(share(machine(x, y, rows, x_test), y_test) for rows in few) / DRAWS

    net, control = Networks(init).to(device), Networks(init).to(device)
    optimizers = [torch.optim.Adam(n.parameters(), 1e-2) for n in (net, control)]
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, steps) for o in optimizers]
    taught, labels = x[few], y[few].to(device)
    sure, right, unsure_right = [], [], []
    for step in range(steps):
        copies = (taught + 0.3 * torch.randn(taught.shape, generator=noise)).to(device)
        batch = torch.randint(POOL, (DRAWS, BATCH), generator=noise)
        noisy = x[batch] + NOISE * torch.randn(DRAWS, BATCH, 64, generator=noise)
        with torch.no_grad():
            clean = net(there[batch.to(device)])
        losses = [from_labels(net, copies, labels), from_labels(control, copies, labels)]
        total = losses[0] + fixmatch(clean, net(noisy.to(device)))
        for loss, optimizer, schedule in zip((total, losses[1]), optimizers, schedules, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        confidence, label = clean.softmax(-1).max(-1)
        kept, true = (confidence >= SURE).cpu(), (label.cpu() == y[batch])
        sure.append(kept.float().mean().item())
        right.append((true & kept).sum().item())
        unsure_right.append((true & ~kept).sum().item())
        yield (step + 1) / steps, {"FixMatch": total.item(), "labels alone": losses[1].item()}

    with torch.no_grad():
        tested = [n(x_test.to(device).expand(DRAWS, -1, -1)).argmax(-1).cpu() for n in (net, control)]
    seen, all_seen = sum(sure) * DRAWS * BATCH, DRAWS * BATCH * steps
    here = counts.index(LABELS)
    of_net = [share(answer, y_test) for answer in tested]
    batch = torch.arange(DRAWS * 16).view(DRAWS, 16)
    probe = x[batch] + NOISE * torch.randn(DRAWS, 16, 64, generator=noise)
    return {
        "spread_accuracy": curves["label spreading"][here],
        "machine_accuracy": curves["support vector machine"][here],
        "fixmatch_gain": of_net[0] - of_net[1],
        "machine_gain": alone - of_net[1],
        "sure_right": sum(right) / max(1, seen),
        "unsure_right": sum(unsure_right) / max(1, all_seen - seen),
        "mended_accuracy": share(named[:, -1].mT, y),
        "weak_accuracy": share(weak, y),
        "sklearn_gap": sklearn_gap(x, few[0], y),
        "damped_gap": sklearn_gap(x, few[0], y, 0.9),
        "fixmatch_gap": fixmatch_gap(net, x[batch], probe, SURE),
        "all_trusted_gap": fixmatch_gap(net, x[batch], probe, 0.0),
    }, {
        "accuracy on images without a label": {
            "kind": "lines",
            "series": {name: (counts, found) for name, found in curves.items()},
            "x": "labels per class",
            "y": "accuracy",
            "log": "x",
        },
    }


# %% what is claimed

TITLE = {"en": "Unlabelled images stretch a few labels", "zh": "无标签图像让少量标签更有用"}
CURVES = "loss"
CPU_SECONDS = 2
CLAIMS = {
    "trained spread_accuracy >= 0.915 > machine_accuracy >= 0.81": {
        "en": "accuracy of label spreading on the images without a label, 4 labels per class, mean of 4 draws; the "
        "control is a support vector machine with the same labels",
        "zh": "标签传播在无标签图像上的准确率（每类 4 个标签，4 次抽取的平均）；对照为用同样标签训练的支持向量机",
    },
    "trained fixmatch_gain >= 0.027 > machine_gain >= -0.03": {
        "en": "accuracy on 500 other digits that unlabelled images add to a network's that learns from the labels "
        "alone, mean of 4 draws; the control is what a support vector machine with the labels adds to it",
        "zh": "在另外 500 个数字上，无标签图像让网络的准确率比只用标签时提高多少（4 次抽取的平均）；"
        "对照为换成只用标签的支持向量机后提高多少",
    },
    "trained sure_right >= 0.88 > unsure_right": {
        "en": "share of pseudo-labels that are right where the network is sure, over the whole training; the control "
        "is the share where it is not",
        "zh": "整个训练中，网络有把握时伪标签正确的比例；对照为没有把握时的比例",
    },
    "trained mended_accuracy >= 0.87 > weak_accuracy >= 0.55": {
        "en": "share of labels that are right after spreading, of which about 40 % were wrong, mean of 4 draws; the "
        "control is the labels as they were",
        "zh": "约四成有错的标签经标签传播之后正确的比例（4 次抽取的平均）；对照为传播之前的标签",
    },
    "parity sklearn_gap <= 1e-9 < damped_gap": {
        "en": "largest gap of the label distributions to scikit-learn's LabelSpreading (f64); the control weakens "
        "every edge of the graph by a tenth",
        "zh": "标签分布与 scikit-learn 的 LabelSpreading 的最大差距（f64）；对照把图中每条边减弱一成",
    },
    "parity fixmatch_gap <= 1e-10 < all_trusted_gap": {
        "en": "largest gap of loss and gradients, after training, to F.cross_entropy of the sure images (f64); the "
        "control trusts every pseudo-label",
        "zh": "训练结束时，损失与梯度同仅在有把握的图像上计算的 F.cross_entropy 的最大差距（f64）；对照相信每个伪标签",
    },
}
ZH = {
    "loss": "损失",
    "labels alone": "只用标签",
    "label spreading": "标签传播",
    "support vector machine": "支持向量机",
    "accuracy on images without a label": "无标签图像上的准确率",
    "labels per class": "每类标签数",
    "accuracy": "准确率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
