"""Sparse coding — every signal is a sum of four strokes out of 48; which strokes there are is learned from sums alone.

A signal is a 6x6 image: four of 48 random strokes with random weights, and noise; signals and strokes are synthetic.
Two steps in turn find the strokes: with the dictionary held, the lasso gives each signal its few weights (FISTA);
with the weights held, least squares gives the dictionary. A stroke counts as found where an atom's |cosine| with it is
above 0.95. Controls: one atom per signal, the best of four starts, and 96 k-means centres of signals and negatives,
both at length one; the 36 independent components; and the same learning with a squared charge, which finds none.
With three strokes a signal k-means finds most (--set ACTIVE=3). That weights are few counts for more than how they are
chosen: the four atoms that fit best, a number that is told, find most too (the curve). The charge is told; a quarter
finds hardly any (--set CHARGE=0.05). FISTA keeps Beck and Teboulle's bound; ISTA, without its momentum, does not.

Needs:  torch, scikit-learn
Source: B. Olshausen, D. Field, Emergence of simple-cell receptive field properties by learning a sparse code for
        natural images, Nature 381, 1996; K. Engan et al., Method of Optimal Directions for Frame Design, ICASSP 1999;
        A. Beck, M. Teboulle, A Fast Iterative Shrinkage-Thresholding Algorithm …, SIAM J. Imaging Sciences 2(1), 2009
"""

import math
import warnings

import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import FastICA
from sklearn.linear_model import Lasso
from torch import Tensor

SIDE, ATOMS, ACTIVE, SIGNALS, NOISE, CHARGE, INNER, RIDGE = 6, 48, 4, 1500, 0.05, 0.2, 20, 1e-3
FINE, COUNTS = 0.005, [1, 2, 5, 10, 20, 40, 80, 140, 200]  # charge and steps where the solvers are compared

# %% the concept


def soft(a: Tensor, t: Tensor) -> Tensor:
    return a.sign() * (a.abs() - t).clamp(min=0)  # argmin_z |z - a|^2 / 2 + t |z|: shorter by t, or zero


def codes(x: Tensor, atoms: Tensor, charge: float, steps: int, momentum: bool = True, start: Tensor | None = None):
    """argmin_a |x - a D|^2 / 2 + charge |a|_1 by FISTA, or ISTA without momentum: (n, d), (m, d) -> (n, m)."""
    a = ahead = x.new_zeros(len(x), len(atoms)) if start is None else start
    bend, t = torch.linalg.matrix_norm(atoms, 2) ** 2, 1.0  # the largest curvature of half the squared error, L
    for _ in range(steps):
        slope = (ahead @ atoms - x) @ atoms.mT
        before, a = a, soft(ahead - slope / bend, charge / bend)  # a step down, then shrink
        t, held = (1 + math.sqrt(1 + 4 * t * t)) / 2, t
        ahead = a + (held - 1) / t * (a - before) if momentum else a
    return a


def dictionary(x: Tensor, a: Tensor) -> Tensor:  # (n, d), (n, m) -> (m, d)
    held = RIDGE * torch.eye(a.shape[1], dtype=a.dtype).to(a.device)
    return torch.linalg.solve(a.mT @ a + held, a.mT @ x)  # D = (A^T A + r I)^-1 A^T X: ridge regression


def unit(atoms: Tensor) -> Tensor:
    return atoms / atoms.norm(dim=1, keepdim=True).clamp(min=1e-9)  # else the charge could be dodged by long atoms


# %% its control


def largest(x: Tensor, atoms: Tensor, count: int) -> Tensor:
    """Each signal takes the atoms that fit best, with weights of either sign: (n, d), (m, d) -> (n, m)."""
    fits = x @ atoms.mT
    best = fits.abs().topk(count, 1).indices
    return torch.zeros_like(fits).scatter(1, best, fits.gather(1, best))


def squared(x: Tensor, atoms: Tensor, charge: float) -> Tensor:  # argmin_a |x - a D|^2 / 2 + charge |a|^2 / 2
    return torch.linalg.solve(atoms.mT @ atoms + charge * torch.eye(SIDE**2).to(x), x.mT).mT @ atoms.mT


# %% the experiment


def strokes(generator: torch.Generator) -> Tensor:
    """Short waves of random place, direction, phase and pitch, no two alike (|cosine| below 0.6): (ATOMS, SIDE^2)."""
    at = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE)).float()
    found = torch.empty(0, SIDE**2)
    while len(found) < ATOMS:
        row, column, turn, phase, pitch = torch.rand(5, generator=generator)
        apart = at - (SIDE - 1) * torch.stack([row, column])
        along = apart @ torch.stack([(math.pi * turn).cos(), (math.pi * turn).sin()])
        wave = (along * (1.2 + 1.2 * pitch) + 2 * math.pi * phase).cos() * (-apart.square().sum(1) / 3.4).exp()
        new = unit(wave[None])
        if not len(found) or (found @ new.T).abs().max() < 0.6:
            found = torch.cat([found, new])
    return found


def sums(n: int, atoms: Tensor, generator: torch.Generator) -> Tensor:
    """ACTIVE atoms each, with weights from 0.5 to 1.5 of either sign, and noise: (n, SIDE^2)."""
    chosen = torch.rand(n, ATOMS, generator=generator).topk(ACTIVE, 1).indices
    sign = torch.randint(0, 2, (n, ACTIVE), generator=generator) * 2.0 - 1
    weight = sign * (torch.rand(n, ACTIVE, generator=generator) + 0.5)
    clean = torch.zeros(n, ATOMS).scatter(1, chosen, weight) @ atoms
    return clean + NOISE * torch.randn(n, SIDE**2, generator=generator)


def found_share(atoms: Tensor, truth: Tensor) -> float:
    return ((truth @ unit(atoms.cpu()).T).abs().amax(1) > 0.95).float().mean().item()


def reference_gap(x: Tensor, atoms: Tensor, scaled: float = 1.0) -> float:
    """Largest gap from scikit-learn's Lasso of what codes at `scaled` times the charge give back and of their sums of
    magnitudes, which are unique, and of the dictionary from a stacked least squares; f64."""
    x, atoms = x.cpu().double(), atoms.cpu().double()
    mine = codes(x, atoms, scaled * CHARGE, 20000)
    lasso = Lasso(CHARGE / x.shape[1], fit_intercept=False, tol=1e-15, max_iter=20000)  # it divides by d
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at the last digit it would go on
        theirs = torch.tensor(lasso.fit(atoms.T.numpy(), x.T.numpy()).coef_)
    rows = torch.cat([mine, math.sqrt(RIDGE) * torch.eye(ATOMS, dtype=x.dtype)])
    stacked = torch.linalg.lstsq(rows, torch.cat([x, x.new_zeros(ATOMS, x.shape[1])])).solution
    gaps = (mine - theirs) @ atoms, mine.abs().sum(1) - theirs.abs().sum(1), dictionary(x, mine) - stacked
    return max(gap.abs().max().item() for gap in gaps)


def bound_share(x: Tensor, atoms: Tensor, momentum: bool) -> float:
    """Largest ratio, over COUNTS steps, of the objective above its minimum to Beck and Teboulle's bound; f64."""
    x, atoms = x.double(), atoms.double()

    def objective(a: Tensor) -> float:
        return ((x - a @ atoms).square().sum(1) / 2 + FINE * a.abs().sum(1)).mean().item()

    best = codes(x, atoms, FINE, 6000)
    bound = 2 * float(torch.linalg.matrix_norm(atoms, 2) ** 2 * best.square().sum(1).mean())
    above = [objective(codes(x, atoms, FINE, k, momentum)) - objective(best) for k in COUNTS]
    return max((k + 1) ** 2 / bound * excess for k, excess in zip(COUNTS, above, strict=True))


def run(device="cpu", seed=0, steps=60):
    made, data, begin, unseen = (torch.Generator().manual_seed(4 * seed + k) for k in range(4))
    truth = strokes(made)
    x = (known := sums(SIGNALS, truth, data)).to(device)
    even, both = unit(x), unit(torch.cat([known, -known])).numpy()
    atoms = first = unit(torch.randn(ATOMS, SIDE**2, generator=begin)).to(device)
    starts, four, dense, a = [first, *even[: 3 * ATOMS].chunk(3)], first, first, None
    for step in range(steps):
        a = codes(x, atoms, CHARGE, INNER, start=a)
        atoms = unit(dictionary(x, a))
        starts = [unit(dictionary(even, largest(even, start, 1))) for start in starts]
        singles = max(starts, key=lambda start: found_share(start, truth))
        four = unit(dictionary(x, largest(x, four, ACTIVE)))
        dense = unit(dictionary(x, squared(x, dense, CHARGE)))
        now = {"sparse": atoms, "single": singles, "four atoms": four, "squared charge": dense}
        yield (step + 1) / steps, {name: found_share(held, truth) for name, held in now.items()}

    rivals = {
        "single": singles.cpu(),
        "ICA": torch.tensor(FastICA(random_state=seed, max_iter=1000, tol=1e-3).fit(known.numpy()).mixing_.T).float(),
        "means": torch.tensor(KMeans(2 * ATOMS, n_init=4, random_state=seed).fit(both).cluster_centers_),
    }
    fresh = sums(20, truth, unseen)
    shown, rows = {"stroke": truth, "sparse": atoms.cpu()} | rivals, []
    for held in shown.values():
        like = truth[:8] @ unit(held).T
        best = like.abs().argmax(1, keepdim=True)
        rows += [*(unit(held)[best[:, 0]] * like.gather(1, best).sign())]  # turned to the stroke's sign
    return {
        "found": found_share(atoms, truth),
        "rival_found": max(found_share(held, truth) for held in [first, *rivals.values()]),
        "l1_found": found_share(atoms, truth),
        "squared_found": found_share(dense, truth),
        "fista_share": bound_share(fresh, truth, momentum=True),
        "ista_share": bound_share(fresh, truth, momentum=False),
        "solver_gap": reference_gap(fresh, atoms),
        "charge_gap": reference_gap(fresh, atoms, 1.01),
    }, {
        "eight strokes, and the most similar atom of four methods": {
            "kind": "images",
            "images": [(image / 1.2 + 0.5).clamp(0, 1).view(SIDE, SIDE) for image in rows],
            "titles": [name for name in shown for _ in range(8)],
            "columns": 8,
        },
    }


# %% what is claimed

TITLE = {"en": "Sparse coding finds the strokes", "zh": "稀疏编码找回笔画"}
CURVES = "share of the strokes found"
CPU_SECONDS = 2
CLAIMS = {
    "trained found >= 0.9 > rival_found >= 0.4": {
        "en": "share of the 48 strokes with an atom whose |cosine| exceeds 0.95; control: the best of one atom per "
        "signal, ICA, k-means and the random atoms at the start",
        "zh": "48 个笔画中有原子与之余弦绝对值超过 0.95 的比例；对照：单原子、ICA、k 均值、初始随机原子中的最好者",
    },
    "trained l1_found >= 0.9 > squared_found": {
        "en": "the same share; control: learned as long with a squared charge in the place of L1",
        "zh": "同一比例；对照：以平方惩罚代替 L1，训练同样久",
    },
    "parity fista_share <= 1 < ista_share": {
        "en": "how far the objective is above its minimum, over the bound 2 L |a*|^2 / (k + 1)^2: the largest of nine "
        "step counts k, charge 0.005; control: ISTA",
        "zh": "目标函数高出最小值的量与上界 2 L |a*|^2 / (k + 1)^2 之比，取九个步数 k 中的最大值（惩罚系数 0.005）；"
        "对照：ISTA",
    },
    "parity solver_gap <= 1e-10 < charge_gap": {
        "en": "largest gap from scikit-learn's Lasso of what the codes give back and of their sums of magnitudes, and "
        "of the dictionary from a stacked least squares (f64); control: the charge is 1% higher",
        "zh": "编码的重构、编码绝对值之和同 scikit-learn 的 Lasso 之间，以及字典同堆叠最小二乘解之间的最大差距（f64）；"
        "对照的惩罚系数高 1%",
    },
}
ZH = {
    "share of the strokes found": "找到的笔画比例",
    "sparse": "稀疏",
    "single": "单原子",
    "stroke": "笔画",
    "four atoms": "四个原子",
    "squared charge": "平方惩罚",
    "means": "k 均值",
    "eight strokes, and the most similar atom of four methods": "八个笔画，以及四种方法中最相近的原子",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
