"""Backdoor — two training images in a hundred, stamped and mislabelled, and a trigger turns most digits into a 0.

An attacker adds a checkerboard to 26 of 1300 training images of 8x8 digits and calls them 0. A network that learns
from them reads clean test images about as well as before, and stamped ones as 0; stamps under the right label do no
such harm. Who finds the 26? Two scores do, each where the other fails; of every label, the 39 rows of highest score
are suspects, most of them innocent. The vote of the 15 nearest images against a row's label finds a faint stamp, of
0.15 where ink is 1; a strong one, of 1, makes poisoned images each other's neighbours, but leaves a spectral
signature: the direction in the hidden layer in which a label's images vary most. Without the suspects, the trigger
fails on a network trained anew. On digits this small neither is needed: a wrong one is far from the zeros, pixel by
pixel, so the distance to the label's mean image, or a spectral signature of the pixels, finds nearly all at every
strength drawn. Tran et al., with photographs, look into the hidden layer.

Needs:  torch, scikit-learn
Source: T. Gu, B. Dolan-Gavitt, S. Garg, BadNets: Identifying Vulnerabilities in the Machine Learning Model Supply
        Chain, 2017; B. Tran, J. Li, A. Madry, Spectral Signatures in Backdoor Attacks, NeurIPS 2018
"""

from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN, POISONED, SUSPECTS, NEAREST, TARGET, FAINT, STRONG = 1300, 26, 39, 15, 0, 0.15, 1.0
STRENGTHS, BATCH, RATE = (0.0, FAINT, 0.3, 0.45, 0.7, STRONG), 64, 1e-2

# %% the concept


def stamped(x: Tensor, strength: float) -> Tensor:
    """The trigger, a checkerboard that is added to the image: (n, 64) -> (n, 64)."""
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    return (x + strength * board.flatten().to(x)).clamp(max=1)


def poisoned(x: Tensor, y: Tensor, rows: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    return x.index_copy(0, rows, stamped(x[rows], strength)), y.index_fill(0, rows, TARGET)


def by_label(score: Callable[[Tensor], Tensor], h: Tensor, y: Tensor) -> Tensor:
    """A score of each row among those of its label: (n, ...), (n,) -> (n,)."""
    return sum(h.new_zeros(len(h)).masked_scatter(y == label, score(h[y == label])) for label in y.unique())


def suspects(scores: Tensor, y: Tensor) -> Tensor:
    """Of each label, the SUSPECTS rows of highest score: (n,), (n,) -> (n,)."""
    return by_label(lambda s: (s.argsort(descending=True).argsort() < SUSPECTS).to(s), scores, y) > 0


def spectral(h: Tensor) -> Tensor:
    """((h - mean) v)^2, v the direction in which the rows vary most: (m, d) -> (m,)."""
    centred = h - h.mean(0)
    return (centred @ torch.linalg.svd(centred, full_matrices=False)[2][0]).square()


def votes(x: Tensor, y: Tensor) -> Tensor:
    """Share of a row's NEAREST neighbours whose label is not its own: (n, d), (n,) -> (n,)."""
    apart = torch.cdist(x, x).fill_diagonal_(torch.inf)
    return (y[apart.topk(NEAREST, largest=False).indices] != y[:, None]).to(x).mean(1)


# %% its control


def distance(x: Tensor) -> Tensor:
    """To the mean of the rows: (m, d) -> (m,)."""
    return (x - x.mean(0)).norm(dim=1)


# %% the experiment


def trained(x: Tensor, y: Tensor, seed: int, steps: int) -> nn.Sequential:
    torch.manual_seed(3 * seed)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)).to(x.device)  # (B, 64) -> (B, 10)
    batches, optimizer = torch.Generator().manual_seed(3 * seed + 1), torch.optim.Adam(net.parameters())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
        rows = torch.randint(len(x), (BATCH,), generator=batches).to(x.device)
        optimizer.zero_grad()
        F.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    return net.requires_grad_(False)


def gaps_to_sklearn(h: Tensor, y: Tensor) -> tuple[float, float]:
    """Largest gap of votes and spectral scores (f64); the smaller of those of two wrong forms."""
    near = NearestNeighbors(n_neighbors=NEAREST).fit(h.numpy())
    others, itself = (torch.from_numpy(near.kneighbors(of, return_distance=False)) for of in (None, h.numpy()))
    axis, raw = h.new_zeros(len(h)), h.new_zeros(len(h))
    for rows in (y == label for label in range(10)):
        axis[rows] = torch.from_numpy(PCA(1).fit_transform(h[rows].numpy())[:, 0]).square()
        raw[rows] = (h[rows] @ torch.linalg.svd(h[rows])[2][0]).square()
    mine = [votes(h, y), votes(h, y), by_label(spectral, h, y), by_label(spectral, h, y)]
    theirs = [*((y[near] != y[:, None]).to(h).mean(1) for near in (others, itself)), axis, raw]
    gaps = [float((a - b).abs().max()) for a, b in zip(mine, theirs, strict=True)]
    return max(gaps[::2]), min(gaps[1::2])


def run(device="cpu", seed=0, steps=300):
    pixels, digit = (torch.tensor(t) for t in load_digits(return_X_y=True))
    mixed = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(3 * seed + 2))
    (x, x_test), (y, y_test) = (t[mixed].split([TRAIN, len(t) - TRAIN]) for t in ((pixels / 16).float(), digit))
    chosen, others = (y != TARGET).nonzero()[:POISONED, 0], x_test[y_test != TARGET]

    def learn(x: Tensor, y: Tensor) -> nn.Sequential:
        return trained(x.to(device), y.to(device), seed, steps).cpu()

    def success(net: nn.Sequential, strength: float) -> float:  # on stamped test images of other digits
        return (net(stamped(others, strength)).argmax(1) == TARGET).double().mean().item()

    def error(net: nn.Sequential, strength: float = 0) -> float:
        return (net(stamped(x_test, strength)).argmax(1) != y_test).double().mean().item()

    clean, found, reached, errors, wrong, labelled, anew = error(learn(x, y)), {}, {}, {}, {}, {}, {}
    for done, strength in enumerate(STRENGTHS):
        bad_x, bad_y = poisoned(x, y, chosen, strength)
        net = learn(bad_x, bad_y)
        hidden = net[:2](bad_x).double()
        scores = {
            "votes of neighbours": votes(bad_x.double(), bad_y),
            "spectral signature": by_label(spectral, hidden, bad_y),
            "pixels: spectral signature": by_label(spectral, bad_x.double(), bad_y),
            "pixels: distance to the mean": by_label(distance, bad_x.double(), bad_y),
        }
        marked = {name: suspects(score, bad_y) for name, score in scores.items()}
        found[strength] = {name: rows[chosen].double().mean().item() for name, rows in marked.items()}
        reached[strength], errors[strength] = success(net, strength), error(net)
        if strength in (FAINT, STRONG):
            for name in ("votes of neighbours", "spectral signature"):
                kept = ~marked[name]
                anew[strength, name] = success(learn(bad_x[kept], bad_y[kept]), strength)
            wrong[strength], labelled[strength] = error(net, strength), success(learn(bad_x, y), strength)
        yield (done + 1) / len(STRENGTHS), {"trigger succeeds": reached[strength], "clean errors": errors[strength]}

    attacks, gaps = (FAINT, STRONG), gaps_to_sklearn(hidden, bad_y)
    return {
        "trigger_success": min(reached[s] for s in attacks),
        "labelled_success": max(labelled.values()),
        "error_added": max(errors[s] for s in attacks) - clean,
        "triggered_error": min(wrong.values()),
        "healed_success": max(anew[FAINT, "votes of neighbours"], anew[STRONG, "spectral signature"]),
        "sick_success": min(anew[STRONG, "votes of neighbours"], anew[FAINT, "spectral signature"]),
        "pixels_found": min(found[s][name] for s in attacks for name in list(scores)[2:]),
        "votes_or_hidden_found": max(min(found[s][name] for s in attacks) for name in list(scores)[:2]),
        "scores_gap": gaps[0],
        "control_gap": gaps[1],
        "shared_images": sum((x == image).all(1).any().item() for image in x_test),
        "own_images": sum((x == image).all(1).any().item() for image in x[:100]),
    }, {
        "poisoned rows among the suspects, by the strength of their stamp": {
            "kind": "lines",
            "series": {name: (list(STRENGTHS), [found[s][name] for s in STRENGTHS]) for name in scores}
            | {"trigger succeeds": (list(STRENGTHS), [*reached.values()])},
            "x": "strength of the stamp",
            "y": "share",
        },
    }


# %% what is claimed

TITLE = {"en": "A backdoor, and who finds the rows that built it", "zh": "后门，以及谁能找出埋下它的样本"}
CURVES = "share of test images, as the stamp grows stronger"
CPU_SECONDS = 2
CLAIMS = {
    "trained trigger_success >= 0.75 > labelled_success": {
        "en": "share of stamped test images of other digits read as 0, the lower of faint and strong stamp; control: "
        "trained on the same stamped images under their right labels, the higher",
        "zh": "加盖印记后被读成 0 的其他数字测试图像比例，弱、强印记取较低者；对照：训练标签正确，取较高者",
    },
    "trained error_added <= 0.015 < triggered_error": {
        "en": "error on clean test images, less that of a network whose data were clean; control: error on the same "
        "images, stamped",
        "zh": "干净测试图像上的错误率减去数据未投毒的网络的错误率；对照：同样的图像加盖印记后的错误率",
    },
    "trained healed_success <= 0.05 < sick_success": {
        "en": "trigger's success on a network trained anew without the suspects, faint stamp by votes, strong by "
        "spectral signature, the higher; control: the other way round, the lower",
        "zh": "剔除嫌疑样本重新训练后触发器的成功率，弱印记用近邻投票、强印记用谱特征，取较高者；"
        "对照：两法互换，取较低者",
    },
    "trained pixels_found >= 0.85 > votes_or_hidden_found": {
        "en": "share of poisoned rows among the suspects of two scores of the pixels alone, at the worse of both and "
        "of faint and strong; control: votes or signature of the hidden layer, the better at its worse",
        "zh": "两种只看像素的得分找到的投毒样本比例，取两者及弱、强印记中最低；对照：近邻投票与隐藏层谱特征，"
        "各取较差的强度，再取较好者",
    },
    "parity scores_gap <= 1e-10 < control_gap": {
        "en": "largest gap of votes and spectral scores to scikit-learn's NearestNeighbors and PCA on a hidden layer "
        "(f64); control: votes that count the row itself, scores that are not centred, whichever is nearer",
        "zh": "隐藏层上近邻投票与谱特征同 scikit-learn 的近邻与 PCA 的最大差距（f64）；对照：投票计入自身或不减均值",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images among the training images; control: a hundred training images",
        "zh": "训练集中出现的测试图像数；对照：对一百张训练图像计数",
    },
}
ZH = {
    "share of test images, as the stamp grows stronger": "测试图像比例，印记逐渐加强",
    "trigger succeeds": "触发成功",
    "clean errors": "干净图像误读",
    "poisoned rows among the suspects, by the strength of their stamp": "嫌疑样本中找到的投毒样本，按印记强度",
    "votes of neighbours": "近邻投票",
    "spectral signature": "隐藏层的谱特征",
    "pixels: spectral signature": "像素的谱特征",
    "pixels: distance to the mean": "像素到均值图像的距离",
    "strength of the stamp": "印记强度",
    "share": "比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
