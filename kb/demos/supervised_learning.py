"""Supervised learning — a network learns from examples, and their errors by heart; held-out ones say when to stop.

Real 8x8 digits: 800 to learn from, 400 to choose by, the rest to judge by. A third of the names of the first two
parts is wrong, those of the last are true. A small network sees the 800 once in each epoch; it learns first what digits
look like, then the wrong names too: it overfits. The epoch with the lowest loss on the 400 is kept as a checkpoint. The
controls know the wrong names by heart: the last epoch, the nearest neighbour. A vote of 15 neighbours, shown beside,
outvotes the errors without any training and reads the digits better still.

Needs:  torch, scikit-learn
Source: C. Zhang et al., Understanding deep learning requires rethinking generalization, ICLR 2017 (wrong labels are
        learned by heart); B. D. Ripley, Pattern Recognition and Neural Networks, 1996 (training, validation, test)
"""

import io
import math

import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

TRAIN, CHOOSE, WRONG, HIDDEN, BATCH, RATE, MOMENTUM = 800, 400, 0.33, 256, 20, 0.05, 0.9
WRONGLY = "wrong names learned by heart"

# %% the concept


def cross_entropy(scores: Tensor, names: Tensor) -> Tensor:  # (B, 10), (B,) -> ()
    taken = scores.gather(1, names[:, None])[:, 0]
    return (scores.logsumexp(1) - taken).mean()  # -log softmax(scores)[name]


class Training:
    """A model, its data, and all else that the next step depends on."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, order: torch.Generator) -> None:
        self.model, self.x, self.y, self.order = model, x, y, order
        self.velocities = [torch.zeros_like(p) for p in model.parameters()]

    def batches(self) -> tuple[Tensor, ...]:
        """An epoch: every example once, in a new order."""
        return torch.randperm(len(self.x), generator=self.order).split(BATCH)

    def epoch(self) -> float:
        total = 0.0
        for rows in self.batches():
            rows = rows.to(self.x.device)
            loss = cross_entropy(self.model(self.x[rows]), self.y[rows])  # data -> model -> loss
            self.clear()
            loss.backward()  # p.grad += dL/dp
            self.step()
            total += loss.item() * len(rows) / len(self.x)
        return total

    def clear(self) -> None:
        self.model.zero_grad()  # or the gradients of all steps add up

    @torch.no_grad()
    def step(self) -> None:
        for p, v in zip(self.model.parameters(), self.velocities, strict=True):
            v.mul_(MOMENTUM).add_(p.grad)  # v <- m v + dL/dp
            p.sub_(RATE * v)  # p <- p - rate v

    def checkpoint(self) -> bytes:
        """As it would lie in a file: weights, the state of the optimizer, and of the generator that draws the order."""
        weights = [p.detach().cpu() for p in self.model.parameters()]
        state = {"weights": weights, "velocities": [v.cpu() for v in self.velocities], "order": self.order.get_state()}
        torch.save(state, file := io.BytesIO())
        return file.getvalue()

    def resume(self, saved: bytes) -> None:
        state = torch.load(io.BytesIO(saved))
        for p, saved_p in zip(self.model.parameters(), state["weights"], strict=True):
            p.data.copy_(saved_p)
        self.order.set_state(state["order"])
        self.velocities = [v.to(self.x.device) for v in state["velocities"]]


# %% its control


class Uncleared(Training):
    def clear(self) -> None:
        pass  # the call that is forgotten


class WeightsAlone(Training):
    def resume(self, saved: bytes) -> None:
        super().resume(saved)
        self.velocities = [torch.zeros_like(v) for v in self.velocities]


# %% the experiment


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(3 * seed)
    return nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))


def parts(seed: int) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
    """Images and names of each part, and which names to learn from are wrong; they err in the first two parts."""
    data, errors = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    loaded = load_digits()
    order = torch.randperm(len(loaded.target), generator=data)
    x, true = torch.from_numpy(loaded.data).float()[order] / 16, torch.from_numpy(loaded.target)[order]
    is_wrong = torch.rand(len(true), generator=errors) < WRONG
    said = torch.where(is_wrong, (true + torch.randint(1, 10, true.shape, generator=errors)) % 10, true)
    a, b = TRAIN, TRAIN + CHOOSE
    divided = {"training": (x[:a], said[:a]), "validation": (x[a:b], said[a:b]), "test": (x[b:], true[b:])}
    return divided, is_wrong[:a]


def share(hits: Tensor) -> float:
    return hits.float().mean().item()


def gaps(kind: type[Training], x: Tensor, y: Tensor, seed: int) -> tuple[float, float]:
    """Gap to PyTorch's loader, loss and SGD after two epochs, and after two more that go on from a checkpoint; f64."""
    first, resumed, twin = (network(seed + k).double() for k in (0, 1, 0))
    training, order = kind(first, x, y, torch.Generator().manual_seed(9)), torch.Generator().manual_seed(9)
    optimizer, found = torch.optim.SGD(twin.parameters(), RATE, MOMENTUM), []
    for epoch in range(4):
        if epoch == 2:  # as another process would: weights and an order of its own until it reads the checkpoint
            saved, training = training.checkpoint(), kind(resumed, x, y, torch.Generator())
            training.resume(saved)
        training.epoch()
        rows = torch.randperm(len(x), generator=order)
        for images, names in DataLoader(TensorDataset(x[rows], y[rows]), BATCH):
            optimizer.zero_grad()
            F.cross_entropy(twin(images), names).backward()
            optimizer.step()
        pairs = zip(training.model.parameters(), twin.parameters(), strict=True)
        found.append(max((p - q).abs().max().item() for p, q in pairs))
    return found[1], found[3]


def run(device="cpu", seed=0, steps=80):
    data, is_wrong = parts(seed)
    placed = {name: (x.to(device), y.to(device)) for name, (x, y) in data.items()}
    known = torch.cat([data["training"][0], data["validation"][0]])
    is_new = torch.cdist(data["test"][0].double(), known.double()).amin(1) > 1e-3  # only these count
    training = Training(network(seed).to(device), *placed["training"], torch.Generator().manual_seed(3 * seed))
    shares: dict[str, list[float]] = {name: [] for name in (*data, WRONGLY)}
    lowest, chosen = math.inf, 0
    for step in range(steps):
        losses = {"training": training.epoch()}
        with torch.no_grad():
            scores = {name: training.model(x).cpu() for name, (x, _) in placed.items()}
        losses["validation"] = cross_entropy(scores["validation"], data["validation"][1]).item()
        hits = {name: scores[name].argmax(1) == y for name, (_, y) in data.items()}
        hits |= {"test": hits["test"] & is_new, WRONGLY: hits["training"][is_wrong]}
        for name, hit in hits.items():
            shares[name].append(share(hit))
        if losses["validation"] < lowest:
            lowest, chosen, saved = losses["validation"], step, training.checkpoint()
        yield (step + 1) / steps, losses

    training.resume(saved)
    with torch.no_grad():
        judged = share((training.model(placed["test"][0]).cpu().argmax(1) == data["test"][1]) & is_new)
    neighbours = {k: KNeighborsClassifier(k).fit(*data["training"]).score(*data["test"]) for k in (1, 15)}
    levels = {"nearest neighbour, test": neighbours[1], "vote of 15 neighbours, test": neighbours[15]}
    x, y = (t[:200] for t in data["training"])
    found, uncleared, alone = (gaps(kind, x.double(), y, seed) for kind in (Training, Uncleared, WeightsAlone))
    return {
        "chosen_accuracy": judged,
        "control_accuracy": max(shares["test"][-1], neighbours[1]),
        "errors_by_heart": shares[WRONGLY][-1],
        "errors_when_chosen": shares[WRONGLY][chosen],
        "loop_gap": found[0],
        "uncleared_gap": uncleared[0],
        "resumed_gap": found[1],
        "weights_gap": alone[1],
    }, {
        "what the network has learned after each epoch": {
            "kind": "lines",
            "series": {name: (list(range(1, steps + 1)), values) for name, values in shares.items()}
            | {name: ([1, steps], [value, value]) for name, value in levels.items()},
            "x": "epoch",
            "y": "share",
        }
    }


# %% what is claimed

TITLE = {"en": "Held-out examples say when to stop", "zh": "何时停止，由留出的样本来定"}
CURVES = "cross-entropy"
CPU_SECONDS = 2
CLAIMS = {
    "trained chosen_accuracy >= 0.82 > control_accuracy >= 0.58": {
        "en": "test accuracy of the epoch that validation chooses; the control is the last epoch of the run or "
        "the nearest neighbour, whichever is better",
        "zh": "由验证集选出的那一轮的测试准确率；对照：同一次训练的最后一轮，或最近邻，取较好者",
    },
    "trained errors_by_heart >= 0.93 > errors_when_chosen": {
        "en": "share of the wrong names that the network repeats at the end; the control is the epoch that was chosen",
        "zh": "训练结束时被网络照搬的错误标签的比例；对照是被选中的那一轮",
    },
    "parity loop_gap <= 1e-10 < uncleared_gap": {
        "en": "largest gap of the weights to PyTorch's loader, loss and SGD after two epochs, each of every example "
        "once in a new order (f64); the control does not clear the gradients",
        "zh": "训练两轮（每轮以新的次序遍历样本）后，全部权重与用 PyTorch 的加载器、损失和 SGD 训练所得的最大差距"
        "（f64）；对照不清零梯度",
    },
    "parity resumed_gap <= 1e-10 < weights_gap": {
        "en": "the same gap after two more epochs, resumed from a checkpoint; the control restores the weights and the "
        "order, not the optimizer's velocities",
        "zh": "从检查点续训两轮后的同一差距；对照恢复权重与次序，但不恢复优化器的动量",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "training": "训练集",
    "validation": "验证集",
    "test": "测试集",
    "what the network has learned after each epoch": "每一轮之后网络学到了什么",
    "wrong names learned by heart": "错误标签中被记住的",
    "epoch": "轮",
    "share": "比例",
    "nearest neighbour, test": "最近邻（测试集）",
    "vote of 15 neighbours, test": "15 个近邻投票（测试集）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
