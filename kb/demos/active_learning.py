"""Active learning — labels asked for where the model is unsure teach more than as many labels at random.

A softmax regression on digits begins with 20 random labels and asks for ten more at a time, those of the images where
its first guess is least ahead of its second (the margin). It is compared with as many at random; a second random choice
says what luck is worth. The same margin says which new images a person should read (human in the loop). People err:
simulated annotators err independently of each other and of the image, which real ones do not; majorities of five, which
cost five times as much as one annotator, are checked against the binomial formula, and the agreement of two against
scikit-learn's kappa (agreement beyond chance). All accuracies are means over twelve draws, on 800 images that are never
asked about.

Needs:  torch, scikit-learn
Source: B. Settles, Active Learning Literature Survey, University of Wisconsin-Madison, TR 1648, 2009; T. Scheffer
        et al., Active Hidden Markov Models for Information Extraction, IDA 2001 (margin); J. Cohen, A Coefficient of
        Agreement for Nominal Scales, Educational and Psychological Measurement 20, 1960 (kappa)
"""

import math

import torch
from sklearn.datasets import load_digits
from sklearn.metrics import cohen_kappa_score
from torch import Tensor
from torch.nn import functional as F

START, MORE, ROUNDS, DRAWS, POOL, CROWD, RIGHT, VOTERS, READ = 20, 10, 12, 12, 997, 300, 0.6, 5, 0.1

# %% the concept


def margin(logits: Tensor) -> Tensor:
    """How far the first guess is ahead of the second: (…, C) -> (…); small where the model is unsure."""
    first, second = logits.softmax(-1).topk(2).values.unbind(-1)
    return first - second  # p(1) - p(2)


def ask(score: Tensor, known: Tensor, n: int) -> Tensor:
    """The n images of the lowest score without a label: (…, N), (…, N) -> (…, n)."""
    return score.masked_fill(known, math.inf).topk(n, largest=False).indices


def majority(votes: Tensor, classes: int) -> Tensor:
    """The class with most votes, (A, …) -> (…); in a tie the first annotator's, or else the lowest."""
    ballots = F.one_hot(votes, classes).float()
    return (ballots.sum(0) + ballots[0] / 2).argmax(-1)


def kappa(a: Tensor, b: Tensor, classes: int) -> float:
    """Agreement of two annotators beyond chance: (observed - chance) / (1 - chance)."""
    table = F.one_hot(a, classes).double().mT @ F.one_hot(b, classes).double() / len(a)  # shares of each pair of labels
    chance = table.sum(1) @ table.sum(0)
    return ((table.diagonal().sum() - chance) / (1 - chance)).item()


# %% its control


def by_lot(runs: int, n: int, generator: torch.Generator) -> Tensor:
    """Scores that know nothing of the images: (runs, n)."""
    return torch.rand(runs, n, generator=generator)


# %% the experiment


def slope(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
    """Gradient of mean cross-entropy + 0.001 |w|^2: (R, n, d), (R, n, C), (R, d, C) -> (R, d, C)."""
    return x.mT @ ((x @ w).softmax(-1) - y) / x.shape[-2] + 0.002 * w


def learn(x: Tensor, labels: Tensor, w: Tensor, steps: int) -> Tensor:
    y, speed = F.one_hot(labels, 10).to(x.dtype), torch.zeros_like(w)
    for _ in range(steps):
        speed = 0.9 * speed - 0.5 * slope(x, y, w)
        w = w + speed
    return w


def slope_gap(x: Tensor, labels: Tensor, w: Tensor, decay: float = 0.001) -> float:
    """Largest gap of the slope, where training ended, to autograd's; f64."""
    x, w = x.cpu().double(), w.cpu().double().requires_grad_()
    loss = sum(F.cross_entropy(a @ b, y) for a, b, y in zip(x, w, labels.cpu(), strict=True)) + decay * w.square().sum()
    (theirs,) = torch.autograd.grad(loss, w)
    return (slope(x, F.one_hot(labels.cpu(), 10).double(), w) - theirs).abs().max().item()


def missed(logits: Tensor, known: Tensor, n: int, second: float = 1.0) -> int:
    """Questions that differ from those that sorting every image by hand gives."""
    p, found = logits.double().exp(), 0
    questions = ask(margin(logits.double()), known, n)
    for scores, taken, asked in zip(p / p.sum(-1, keepdim=True), known, questions, strict=True):
        ranked = [sorted(row, reverse=True) for row in scores.tolist()]
        order = sorted((row[0] - second * row[1], i) for i, row in enumerate(ranked) if not taken[i])
        found += len({i for _, i in order[:n]} ^ set(asked.tolist()))
    return found


def annotate(y: Tensor, people: int, right: float, classes: int, generator: torch.Generator) -> Tensor:
    """Labels by people who are each right so often, else name another class at random: (n,) -> (people, n)."""
    errs = torch.rand(people, len(y), generator=generator) >= right
    return (y + errs * torch.randint(1, classes, (people, len(y)), generator=generator)) % classes


def with_one(x: Tensor) -> Tensor:
    return torch.cat([x, torch.ones(len(x), 1)], 1)


def run(device="cpu", seed=0, steps=60):
    split, chance, crowd = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    digits = load_digits()
    mixed = torch.randperm(len(digits.target), generator=split)
    all_x, all_y = with_one(torch.tensor(digits.data / 16).float())[mixed], torch.tensor(digits.target)[mixed]
    x, y, x_test, y_test = all_x[:POOL].to(device), all_y[:POOL], all_x[POOL:].to(device), all_y[POOL:]

    def accuracy(w: Tensor) -> Tensor:
        return ((x_test @ w).argmax(-1).cpu() == y_test).float().mean(-1)

    arms = ("smallest margin", "at random", "at random, again")
    first = torch.stack([torch.randperm(POOL, generator=split)[:START] for _ in range(DRAWS)])
    rows = first.repeat(len(arms), 1)  # (arms * DRAWS, labels)
    w = torch.zeros(len(rows), x.shape[1], 10).to(device)
    curves: dict[str, list[float]] = {name: [] for name in arms}
    counts = [START + MORE * k for k in range(ROUNDS)]
    for k in range(ROUNDS):
        w = learn(x[rows.to(device)], y[rows].to(device), w, steps)
        for name, mean in zip(arms, accuracy(w).view(len(arms), DRAWS).mean(1).tolist(), strict=True):
            curves[name].append(mean)
        yield (k + 1) / ROUNDS, {name: found[-1] for name, found in curves.items()}
        if k + 1 < ROUNDS:
            known = torch.zeros(len(rows), POOL).scatter(1, rows, 1.0).bool()
            unsure = margin(x @ w[:DRAWS]).cpu()
            scores = torch.cat([unsure, by_lot(2 * DRAWS, POOL, chance)])
            rows = torch.cat([rows, ask(scores, known, MORE)], 1)

    logits = (x_test @ w[:DRAWS]).cpu()
    n = round(READ * len(y_test))
    none = torch.zeros(DRAWS, len(y_test), dtype=torch.bool)
    by_person = none.scatter(1, ask(margin(logits), none, n), True)
    by_chance = none.scatter(1, ask(by_lot(DRAWS, len(y_test), chance), none, n), True)
    right = logits.argmax(-1) == y_test
    caught = [(~right & read).sum().item() / max(1, (~right).sum().item()) for read in (by_person, by_chance)]

    taught = torch.stack([torch.randperm(POOL, generator=split)[:CROWD] for _ in range(DRAWS)])
    votes = annotate(y[taught].flatten(), VOTERS, RIGHT, 10, crowd)
    given = {1: votes[0], VOTERS: majority(votes, 10)}
    begun = torch.zeros(DRAWS, x.shape[1], 10).to(device)
    images = x[taught.to(device)]
    crowds = {k: learn(images, v.view(DRAWS, CROWD).to(device), begun, 2 * steps) for k, v in given.items()}
    learned = {k: accuracy(v).mean().item() for k, v in crowds.items()}

    coins = torch.randint(2, (200_000,), generator=crowd)
    p, ballots = 0.7, annotate(coins, VOTERS, 0.7, 2, crowd)
    formula = sum(math.comb(VOTERS, k) * p**k * (1 - p) ** (VOTERS - k) for k in range(VOTERS // 2 + 1, VOTERS + 1))
    two = annotate(y, 2, 0.8, 10, crowd) // 4  # three classes of unequal size: chance agrees often
    theirs = cohen_kappa_score(*two.numpy())
    probe, labelled = logits[:, :60], none[:, :60].scatter(1, torch.arange(7).expand(DRAWS, -1), True)
    asked, at_random, again = (found[-1] for found in curves.values())
    return {
        "asked_gain": asked - at_random,
        "luck_gain": again - at_random,
        "random_accuracy": min(at_random, again),
        "first_accuracy": curves["at random"][0],
        "caught": caught[0],
        "caught_by_lot": caught[1],
        "crowd_accuracy": learned[VOTERS],
        "one_accuracy": learned[1],
        "vote_gap": abs((majority(ballots, 2) == coins).double().mean().item() - formula),
        "one_vote_gap": abs((ballots[0] == coins).double().mean().item() - formula),
        "kappa_gap": abs(kappa(two[0], two[1], 3) - theirs),
        "agreement_gap": abs((two[0] == two[1]).double().mean().item() - theirs),
        "missed": missed(probe, labelled, 9),
        "missed_by_confidence": missed(probe, labelled, 9, 0),
        "slope_gap": slope_gap(x[rows[:DRAWS].to(device)], y[rows[:DRAWS]], w[:DRAWS]),
        "no_decay_gap": slope_gap(x[rows[:DRAWS].to(device)], y[rows[:DRAWS]], w[:DRAWS], 0.0),
    }, {
        "accuracy on new images, by how the labelled ones were chosen": {
            "kind": "lines",
            "series": {name: (counts, found) for name, found in curves.items()},
            "x": "labels",
            "y": "accuracy",
        },
    }


# %% what is claimed

TITLE = {"en": "Ask for the labels that teach most", "zh": "先标注最有用的样本"}
CURVES = "accuracy"
CPU_SECONDS = 2
CLAIMS = {
    "trained asked_gain >= 0.016 > luck_gain >= -0.016": {
        "en": "accuracy with 130 labels, all but the first 20 those of smallest margin, beyond that with as many at "
        "random, mean of 12 draws; the control is the same gain of a second random choice",
        "zh": "用 130 个标签时（前 20 个随机），选间隔最小的图像比随机选高出的准确率（12 次抽取的平均）；"
        "对照为再随机选一次的同一差值",
    },
    "trained random_accuracy >= 0.88 > first_accuracy >= 0.55": {
        "en": "accuracy with 130 random labels, the worse of both choices; the control has the first 20 of them",
        "zh": "130 个随机标签时的准确率，取两次随机选择中较差者；对照只有其中最初的 20 个",
    },
    "trained caught >= 0.5 > caught_by_lot >= 0.05": {
        "en": "share of the model's errors among the tenth of the new images that a person reads, those of smallest "
        "margin; the control reads a random tenth",
        "zh": "由人复核间隔最小的一成新图像时，所含模型错误的比例；对照随机抽一成复核",
    },
    "trained crowd_accuracy >= 0.87 > one_accuracy >= 0.71": {
        "en": "accuracy after training on 300 images whose labels are majorities of five annotators, each right in "
        "60 % of cases, mean of 12 draws; the control has one such annotator (label noise)",
        "zh": "300 张图像的标签由五名各有六成正确的标注者投票得出时，训练后的准确率（12 次抽取的平均）；"
        "对照只有一名这样的标注者（标签噪声）",
    },
    "parity vote_gap <= 0.004 < one_vote_gap": {
        "en": "gap between 200,000 simulated majorities of five, each right in 70 % of two-class cases, and the "
        "binomial formula; the control is one of the five",
        "zh": "五人投票（两类，各有七成正确）模拟 20 万次的正确率与二项式公式的差距；对照为五人之一",
    },
    "parity kappa_gap <= 1e-12 < agreement_gap": {
        "en": "gap of Cohen's kappa of two annotators to scikit-learn's; the control is their plain agreement",
        "zh": "两名标注者的 Cohen's kappa 与 scikit-learn 的差距；对照为不扣除偶然一致的一致率",
    },
    "parity missed <= 0 < missed_by_confidence": {
        "en": "questions that differ from those of sorting all images by margin, one by one; the control sorts by the "
        "first guess alone",
        "zh": "与逐张按间隔排序所得不同的提问数；对照只按最大概率排序",
    },
    "parity slope_gap <= 1e-12 < no_decay_gap": {
        "en": "largest gap of the slope that trains the model to autograd's, where training ended (f64); the control "
        "lacks weight decay",
        "zh": "训练结束时，模型所用梯度与自动求导的最大差距（f64）；对照没有权重衰减",
    },
}
ZH = {
    "accuracy": "准确率",
    "smallest margin": "间隔最小",
    "at random": "随机",
    "at random, again": "再次随机",
    "labels": "标签数",
    "accuracy on new images, by how the labelled ones were chosen": "新图像上的准确率，按选择标注图像的方法",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
