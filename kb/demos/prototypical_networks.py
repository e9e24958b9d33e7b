"""Prototypical Networks — in a learned space, the nearest mean of five examples tells new classes apart.

A class is a sound: six tones, each with a loudness of its own; every example has other phases and noise. Training sees
64 such classes in episodes of ten classes, with five examples and five questions each; tested are 200 episodes of five
new classes. On the waves themselves nearest class means are little above chance (one in five), since each example has
other phases; the best of four ways without a network is the control. A table shows two more spaces that do even better
here: the features of a classifier of the same size, trained as long to name the 64 classes, and the Fourier amplitudes,
for who knows that phases do not matter.

Needs:  torch, scikit-learn
Source: J. Snell, K. Swersky, R. Zemel, Prototypical Networks for Few-shot Learning, NeurIPS 2017
"""

import copy

import torch
from sklearn.neighbors import NearestCentroid
from sklearn.svm import SVC
from torch import Tensor, nn
from torch.nn import functional as F

LENGTH, TONES, CLASSES, NOISE, TESTS = 32, 6, 64, 0.1, 200
WAYS, SHOTS, ASKED, HIDDEN, WIDTH, RATE = 10, 5, 5, 128, 32, 3e-3

# %% the concept


def prototypes(examples: Tensor) -> Tensor:  # (…, K, shots, d) -> (…, K, d)
    return examples.mean(-2)  # c_k = mean of f(x) over the examples of class k


def scores(asked: Tensor, centres: Tensor) -> Tensor:  # (…, n, d), (…, K, d) -> (…, n, K)
    return -(asked[..., :, None, :] - centres[..., None, :, :]).square().sum(-1)  # -|f(x) - c_k|^2


def episode_loss(embed: nn.Module, examples: Tensor, asked: Tensor) -> Tensor:  # (K, S, L), (K, Q, L) -> ()
    logits = scores(embed(asked), prototypes(embed(examples)))  # (K, Q, K)
    own = logits.diagonal(dim1=0, dim2=2).mT  # (K, Q): each question at its own class
    return (logits.logsumexp(-1) - own).mean()  # -log softmax_k(-|f(x) - c_k|^2)


def embedding() -> nn.Sequential:
    layers = [nn.Linear(LENGTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, WIDTH)]
    return nn.Sequential(*layers)


# %% its control


def whitening(waves: Tensor) -> Tensor:
    """What makes the scatter within the training classes round, as in LDA: (K, n, L) -> (L, L)."""
    within = (waves - waves.mean(1, keepdim=True)).flatten(0, 1)
    return torch.linalg.cholesky(torch.linalg.inv(within.T @ within / len(within) + 3e-3 * torch.eye(LENGTH)))


def machine(examples: Tensor, asked: Tensor) -> Tensor:
    """A support vector machine on the few examples of each episode: (E, K, S, L), (E, n, L) -> (E, n)."""
    labels = torch.arange(examples.shape[1]).repeat_interleave(examples.shape[2]).numpy()
    fitted = [SVC(C=10, gamma=0.1).fit(few.flatten(0, 1).numpy(), labels) for few in examples]
    return torch.stack([torch.from_numpy(f.predict(x.numpy())) for f, x in zip(fitted, asked, strict=True)])


# %% the experiment


def sounds(loudness: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """So many examples of each class, at phases drawn by chance: (…, TONES) -> (…, n, LENGTH)."""
    tone, time = torch.arange(1, TONES + 1)[:, None], torch.arange(LENGTH) / LENGTH
    phase = torch.rand(*loudness.shape[:-1], n, TONES, 1, generator=generator)
    waves = (loudness[..., None, :, None] * (2 * torch.pi * (tone * time + phase)).sin()).sum(-2)
    return waves + NOISE * torch.randn(waves.shape, generator=generator)


def gap_to_torch(net: nn.Module, examples: Tensor, asked: Tensor, squared: bool = True) -> float:
    """Largest difference of loss and all gradients from F.cross_entropy of a linear layer, 2 c_k x - |c_k|^2, f64;
    if not `squared`, of plain distances."""
    net, x = copy.deepcopy(net).cpu().double(), torch.cat([examples, asked], 1).cpu().double().requires_grad_()
    ways, shots, leaves = len(x), examples.shape[1], [x, *net.parameters()]
    labels = torch.arange(ways).repeat_interleave(shots)
    z, target = net(x[:, shots:].flatten(0, 1)), torch.arange(ways).repeat_interleave(asked.shape[1])
    sums = torch.zeros(ways, WIDTH, dtype=torch.float64).index_add(0, labels, net(x[:, :shots].flatten(0, 1)))
    centres = sums / torch.bincount(labels)[:, None]
    logits = F.linear(z, 2 * centres, -centres.square().sum(1)) if squared else -torch.cdist(z, centres)
    losses = episode_loss(net, x[:, :shots], x[:, shots:]), F.cross_entropy(logits, target)
    found = [[loss, *torch.autograd.grad(loss, leaves, materialize_grads=True)] for loss in losses]
    return max((a - b).detach().abs().max().item() for a, b in zip(*found, strict=True))


def otherwise_than_sklearn(z: Tensor, shots: int) -> int:
    """Questions of the first 100 episodes, given their embeddings, that scikit-learn's NearestCentroid with SHOTS
    examples answers otherwise."""
    count = 0
    labels = torch.arange(5).repeat_interleave(SHOTS).numpy()
    for few, asked in zip(z[:100, :, :SHOTS], z[:100, :, SHOTS:].flatten(1, 2), strict=True):
        theirs = NearestCentroid().fit(few.flatten(0, 1).numpy(), labels).predict(asked.numpy())
        count += int((torch.from_numpy(theirs) != scores(asked, prototypes(few[:, :shots])).argmax(-1)).sum())
    return count


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(3 * seed)
    data, fresh = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    known, new = torch.rand(CLASSES, TONES, generator=data), torch.rand(TESTS, 5, TONES, generator=fresh)
    net, joint = embedding().to(device), nn.Sequential(embedding(), nn.Linear(WIDTH, CLASSES)).to(device)
    optimizers = [torch.optim.Adam(n.parameters(), RATE) for n in (net, joint)]
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, steps) for o in optimizers]
    for step in range(steps):
        kinds = torch.randperm(CLASSES, generator=data)[:WAYS]
        x = sounds(known[kinds], SHOTS + ASKED, data).to(device)
        named = F.cross_entropy(joint(x).flatten(0, 1), kinds.repeat_interleave(SHOTS + ASKED).to(device))
        losses = episode_loss(net, x[:, :SHOTS], x[:, SHOTS:]), named
        for loss, optimizer, schedule in zip(losses, optimizers, schedules, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        yield (step + 1) / steps, {"episodes": losses[0].item(), "naming all classes": losses[1].item()}

    round_ = whitening(sounds(known, 20, data))
    x, target = sounds(new, SHOTS + ASKED, fresh), torch.arange(5).repeat_interleave(ASKED)
    with torch.no_grad():
        z, features = (n(x.to(device)).cpu() for n in (net, joint[0]))
        z64 = copy.deepcopy(net).cpu().double()(x.double())
    fourier = torch.fft.rfft(x).abs()
    spaces = {"prototypical network": z, "classifier's features": features, "Fourier amplitudes": fourier}
    plain = {"waves": x, "waves, whitened (LDA)": x @ round_, "squared waves": x.square()}
    table = {}
    for name, space in (spaces | plain).items():
        few, asked = space[:, :, :SHOTS], space[:, :, SHOTS:].flatten(1, 2)
        given = [scores(asked, prototypes(few[:, :, :shots])).argmax(-1) for shots in (1, SHOTS)]
        table[name] = [(answer == target).float().mean().item() for answer in given]
    given = [machine(x[:, :, :shots], x[:, :, SHOTS:].flatten(1, 2)) for shots in (1, SHOTS)]
    table["support vector machine"] = [(answer == target).float().mean().item() for answer in given]
    rivals = [table[name] for name in (*plain, "support vector machine")]
    centred = z[0] - z[0].mean((0, 1))
    axes = torch.linalg.svd(centred.flatten(0, 1)).Vh[:2].T  # of the largest spread
    flat, means = centred @ axes, prototypes(centred[:, :SHOTS]) @ axes
    return {
        "five_shot": table["prototypical network"][1],
        "rival_five_shot": max(five for _, five in rivals),
        "one_shot": table["prototypical network"][0],
        "rival_one_shot": max(one for one, _ in rivals),
        "class_distance": torch.cdist(new.flatten(0, 1), known).min().item(),
        "own_distance": torch.cdist(known, known, compute_mode="donot_use_mm_for_euclid_dist").min().item(),
        "loss_gap": gap_to_torch(net, x[0, :, :SHOTS], x[0, :, SHOTS:]),
        "unsquared_gap": gap_to_torch(net, x[0, :, :SHOTS], x[0, :, SHOTS:], squared=False),
        "answered_otherwise": otherwise_than_sklearn(z64, SHOTS),
        "answered_by_one": otherwise_than_sklearn(z64, 1),
    }, {
        "five new classes in the learned space": {
            "kind": "scatter",
            "series": {f"{k + 1}": flat[k].T.tolist() for k in range(5)} | {"class means": means.T.tolist()},
            "x": "first axis",
            "y": "second axis",
            "equal": True,
        },
        "nearest mean of new classes, share right": {
            "kind": "table",
            "columns": ["space", "one example", "five examples"],
            "rows": [[name, *(f"{share:.3f}" for share in shares)] for name, shares in table.items()],
        },
    }


# %% what is claimed

TITLE = {"en": "Prototypical networks: new classes from five examples", "zh": "原型网络：五个样本认识新类别"}
CURVES = "loss"
CPU_SECONDS = 2
CLAIMS = {
    "trained five_shot >= 0.98 > rival_five_shot >= 0.4": {
        "en": "questions about five new classes answered rightly, with five examples each; the control is the best of "
        "class means of waves, whitened waves and squared waves, and a support vector machine on the examples",
        "zh": "每类给五个样本时，五个新类别的查询样本的正确率；对照为按波形、白化波形、平方波形的类均值分类，"
        "及只用这些样本的支持向量机，取最好者",
    },
    "trained one_shot >= 0.965 > rival_one_shot >= 0.24": {
        "en": "the same with one example of each class; the control is the best of the same four",
        "zh": "每类只给一个样本时的同一正确率；对照为同样四种方法中的最好者",
    },
    "parity class_distance >= 0.01 > own_distance": {
        "en": "smallest distance of a test class from all training classes, in loudness of the tones; the control is "
        "that of the training classes themselves",
        "zh": "测试类别与全部训练类别（按各音的响度）的最小距离；对照为训练类别自身的这一距离",
    },
    "parity loss_gap <= 1e-10 < unsquared_gap": {
        "en": "loss of an episode and all gradients against F.cross_entropy of a linear layer with weights 2c and bias "
        "-|c|² (f64); the control takes distances that are not squared",
        "zh": "一个情节的损失及全部梯度，与权重 2c、偏置 -|c|² 的线性层的 F.cross_entropy 之差（f64）；"
        "对照用未平方的距离",
    },
    "parity answered_otherwise <= 0 < answered_by_one": {
        "en": "questions of 100 test episodes that scikit-learn's NearestCentroid answers otherwise; the control "
        "keeps one example of five",
        "zh": "100 个测试情节中，与 scikit-learn 的 NearestCentroid 判断不同的查询样本数；对照只用五个样本中的一个",
    },
}
ZH = {
    "loss": "损失",
    "episodes": "情节式训练",
    "naming all classes": "对全部类别分类",
    "five new classes in the learned space": "学到的空间中的五个新类别",
    "class means": "类均值",
    "first axis": "第一轴",
    "second axis": "第二轴",
    "nearest mean of new classes, share right": "按最近类均值区分新类别的正确率",
    "space": "空间",
    "one example": "一个样本",
    "five examples": "五个样本",
    "prototypical network": "原型网络",
    "classifier's features": "分类器的特征",
    "Fourier amplitudes": "傅里叶幅度",
    "waves": "波形",
    "waves, whitened (LDA)": "白化波形（LDA）",
    "squared waves": "平方波形",
    "support vector machine": "支持向量机",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
