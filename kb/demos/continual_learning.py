"""Continual learning — a network that learns four tasks in turn forgets the first; replay and EWC keep what they can.

The tasks are scikit-learn's 8 x 8 digits with the pixels permuted, in another way for each task; the network is never
told which task an image is of. Plain fine-tuning on the new task overwrites what the old ones need. Replay keeps ten
images a digit of every task and learns them along. Elastic weight consolidation (EWC) keeps no image: it holds each
weight near its old value, the more so the more the answers depend on it (the Fisher information). Its rivals hold all
weights alike, at two strengths, or just learn more slowly, which forgets less and learns less; its control deals the
same Fisher values out at random. What EWC retains is paid for in the newest task. All tasks at once are the ceiling.
Replay sees twice the images a step; looking up the nearest of those it keeps does about as well.

Needs:  torch, scikit-learn
Source: J. Kirkpatrick et al., Overcoming Catastrophic Forgetting in Neural Networks, PNAS 114(13), 2017 (EWC);
        M. McCloskey, N. Cohen, Catastrophic Interference in Connectionist Networks, 1989
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TASKS, HIDDEN, TRAIN, BATCH, RATE, KEPT, DIGITS = 4, 100, 1200, 64, 1e-2, 10, 10
STRENGTH, ALIKE, SLOW, SOME = 60.0, (0.003, 0.01), (1e-3, 3e-4), 20

# %% the concept


def fisher(net: nn.Sequential, x: Tensor) -> list[Tensor]:
    """Mean over images x and answers y, weighed as the net believes, of (d log p(y | x) / dw)^2: one value a weight."""
    first, _, last = net
    with torch.no_grad():
        h = F.relu(first(x))  # (n, HIDDEN)
        p, total = last(h).softmax(1), [torch.zeros_like(w) for w in net.parameters()]
        for y in range(DIGITS):
            at_last = F.one_hot(torch.tensor(y), DIGITS).to(p) - p  # d log p(y) / d logits: (n, 10)
            at_first = at_last @ last.weight * (h > 0)  # and before the ReLU: (n, HIDDEN)
            share = p[:, y : y + 1] / len(x)  # how often it would say y
            for k, (d, below) in enumerate(((at_first, x), (at_last, h))):
                total[2 * k] += (share * d**2).T @ below**2  # the square of an outer product: all images at once
                total[2 * k + 1] += (share * d**2).sum(0)
    return total


def pull(net: nn.Module, anchors: list[tuple[list[Tensor], list[Tensor]]]) -> Tensor:
    """sum over old tasks and weights of F (w - w_old)^2 / 2."""
    terms = [
        (f * (w - old) ** 2).sum() / 2
        for olds, fs in anchors
        for w, old, f in zip(net.parameters(), olds, fs, strict=True)
    ]
    return sum(terms, torch.zeros(()).to(next(net.parameters())))


# %% the experiment


def by_image(net: nn.Sequential, x: Tensor, mean_first: bool = False) -> list[Tensor]:
    """The Fisher information again, by autograd, one image and answer after the other; or of the mean gradient."""
    total = [torch.zeros_like(w) for w in net.parameters()]
    for image in [x] if mean_first else x.split(1):
        for y in range(DIGITS):
            log_p = net(image).log_softmax(1)[:, y]
            gradients = torch.autograd.grad(log_p.mean(), list(net.parameters()))
            for t, g in zip(total, gradients, strict=True):
                t += log_p.exp().mean().detach() * g**2 * len(image) / len(x)
    return total


def gap(some: list[Tensor], others: list[Tensor]) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(some, others, strict=True))


def run(device="cpu", seed=0, steps=600):
    torch.manual_seed(3 * seed)  # weights, the tasks and batches: three streams
    world, data = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    digits = load_digits()
    x, y = torch.tensor(digits.data).float() / 16, torch.tensor(digits.target)
    order = torch.randperm(len(x), generator=world)
    train, test = order[:TRAIN], order[TRAIN:]
    pixels = [torch.randperm(64, generator=world) for _ in range(TASKS)]
    kept = torch.cat([train[y[train] == digit][:KEPT] for digit in range(DIGITS)])
    asked, answers = [x[test][:, p].to(device) for p in pixels], y[test].to(device)
    alike, slow = {f"alike {s}": s for s in ALIKE}, {f"slow {rate}": rate for rate in SLOW}
    pulls = {"fine-tuning": 0.0, "replay": 0.0, "EWC": STRENGTH, "shuffled": STRENGTH, **alike, "all at once": 0.0}
    pulls |= dict.fromkeys(slow, 0.0)
    begin = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, DIGITS)).to(device)
    nets = {name: copy.deepcopy(begin) for name in pulls}
    anchors: dict[str, list] = {name: [] for name in pulls}
    each = max(steps // TASKS, 1)
    table = {name: torch.zeros(TASKS, TASKS) for name in pulls}  # accuracy on each task (across) after each (down)
    for task in range(TASKS):
        optimizers = {name: torch.optim.Adam(net.parameters(), slow.get(name, RATE)) for name, net in nets.items()}
        for step in range(each):
            rows = train[torch.randint(TRAIN, (BATCH,), generator=data)]
            again = kept[torch.randint(len(kept), (BATCH,), generator=data)]
            olds = torch.randint(max(task, 1), (BATCH, 1), generator=data)
            every = torch.stack(pixels)
            for name, net in nets.items():
                images = [(x[rows][:, pixels[task]], y[rows], 1)]
                if name == "replay" and task:
                    images.append((x[again].gather(1, every[olds[:, 0]]), y[again], task))
                if name == "all at once":
                    images = [(x[rows].gather(1, every[(olds[:, 0] + k) % TASKS]), y[rows], 1) for k in range(TASKS)]
                loss = sum(n * F.cross_entropy(net(a.to(device)), b.to(device)) for a, b, n in images)
                if pulls[name]:
                    loss = loss + pulls[name] * pull(net, anchors[name])
                optimizers[name].zero_grad()
                loss.backward()
                optimizers[name].step()
            if step % 10 == 9 or step == each - 1:
                with torch.no_grad():
                    right = {n: (net(asked[0]).argmax(1) == answers).float().mean().item() for n, net in nets.items()}
                yield (task + (step + 1) / each) / TASKS, {name: right[name] for name in list(pulls)[:3]}
        seen = x[train][:, pixels[task]].to(device)
        for name, net in nets.items():
            anchor = [w.detach().clone() for w in net.parameters()]
            held = fisher(net, seen) if name in ("EWC", "shuffled") else [torch.ones_like(w) for w in anchor]
            if name == "shuffled":
                held = [f.flatten()[torch.randperm(f.numel(), generator=world)].view_as(f) for f in held]
            anchors[name].append((anchor, held))
            with torch.no_grad():
                found = [(net(images).argmax(1) == answers).float().mean().item() for images in asked]
            table[name][task] = torch.tensor(found)
    ends = {name: rows[-1] for name, rows in table.items()}  # accuracy on each task after the last
    memory = torch.cat([x[kept][:, p] for p in pixels])
    nearest = [y[kept].repeat(TASKS)[torch.cdist(images.cpu(), memory).argmin(1)] for images in asked]
    ends["nearest kept image"] = torch.stack([(found == y[test]).float().mean() for found in nearest])
    uniform, slower = (max(names, key=lambda name: ends[name].mean()) for names in (alike, slow))
    net, few = copy.deepcopy(nets["EWC"]).cpu().double(), x[train[:SOME]][:, pixels[-1]].double()
    olds, fs = ([w.cpu().double() for w in part] for part in anchors["EWC"][0])
    held = pull(net, [(olds, fs)])
    by_hand = [f * (w - old) for w, old, f in zip(net.parameters(), olds, fs, strict=True)]
    pulled = list(torch.autograd.grad(held, list(net.parameters()), materialize_grads=True))
    rows = [{tuple(image) for image in x[part].tolist()} for part in (train, test)]
    called = {uniform: "all weights alike", slower: "slower fine-tuning", "shuffled": "EWC, shuffled"}
    shown = ["fine-tuning", slower, uniform, "shuffled", "EWC", "replay", "nearest kept image", "all at once"]
    mean = {name: float(end.mean()) for name, end in ends.items()}
    plain, rival = ("fine-tuning", *slow), max(mean[uniform], mean[slower])
    return {
        "replay_first": float(ends["replay"][0]),
        "fine_first": max(float(ends[name][0]) for name in plain),
        "replay_mean": mean["replay"],
        "fine_mean": max(mean[name] for name in plain),
        "ewc_gain": mean["EWC"] - rival,
        "shuffled_gain": mean["shuffled"] - rival,
        "newest": float(ends["fine-tuning"][-1]),
        "ewc_newest": float(ends["EWC"][-1]),
        "fisher_gap": max(gap(fisher(net, few), by_image(net, few)), gap(pulled, by_hand)),
        "mean_first_gap": gap(fisher(net, few), by_image(net, few, mean_first=True)),
        "shared_images": float(len(rows[0] & rows[1])),
        "images": float(len(rows[0])),
    }, {
        "accuracy on each task after the last": {
            "kind": "heatmap",
            "values": [ends[name].tolist() for name in shown],
            "rows": [called.get(name, name) for name in shown],
            "columns": [str(task + 1) for task in range(TASKS)],
            "x": "task",
            "y": "method",
        },
    }


# %% what is claimed

TITLE = {"en": "Replay and EWC against forgetting", "zh": "用回放与 EWC 对抗遗忘"}
CURVES = "accuracy on the first task"
CPU_SECONDS = 4
CLAIMS = {
    "trained replay_first >= 0.8 > fine_first": {
        "en": "accuracy on the first task after all, with ten images a digit replayed; control: fine-tuning, the best "
        "of three rates",
        "zh": "学完四个任务后在第一个任务上的准确率，每类数字回放十张图像；对照：直接微调，取三种学习率中最好者",
    },
    "trained replay_mean >= 0.87 > fine_mean": {
        "en": "mean accuracy on the four tasks with replay; control: fine-tuning, the best of three rates",
        "zh": "使用回放时四个任务的平均准确率；对照：直接微调，取三种学习率中最好者",
    },
    "trained ewc_gain >= 0.06 > shuffled_gain": {
        "en": "mean accuracy with EWC above that of all weights held alike or of slower fine-tuning, whichever is "
        "best; control: EWC with the Fisher values shuffled within each tensor",
        "zh": "EWC 的平均准确率比同等约束所有权重与放慢微调中较好者高出多少；对照：在各参数张量内打乱 Fisher 值的 EWC",
    },
    "trained newest >= 0.9 > ewc_newest": {
        "en": "accuracy on the newest task after plain fine-tuning; control: EWC, which pays there for what it keeps",
        "zh": "直接微调后在最新任务上的准确率；对照：EWC，它在此为保留旧知识付出代价",
    },
    "parity fisher_gap <= 1e-10 < mean_first_gap": {
        "en": "gap of the Fisher information from squared gradients one image and answer at a time, and of the pull's "
        "gradient from its formula (f64); the control squares mean gradients",
        "zh": "Fisher 信息与逐图像逐答案的梯度平方之间、约束项的梯度与公式之间的差距（f64）；对照先平均梯度再平方",
    },
    "parity shared_images <= 0 < images": {
        "en": "fresh images that occur in training; the control counts those in training",
        "zh": "新图像中出现在训练集里的个数；对照为训练图像的个数",
    },
}
ZH = {
    "accuracy on the first task": "第一个任务上的准确率",
    "fine-tuning": "直接微调",
    "replay": "回放",
    "EWC": "EWC（弹性权重巩固）",
    "accuracy on each task after the last": "学完最后一个任务后各任务的准确率",
    "all weights alike": "同等约束所有权重",
    "slower fine-tuning": "放慢微调",
    "EWC, shuffled": "EWC（打乱 Fisher）",
    "nearest kept image": "最近的留存图像",
    "all at once": "同时学习",
    "task": "任务",
    "method": "方法",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
