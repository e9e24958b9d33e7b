"""Contact map — which places of a protein touch shows in which letters change together, once chains of them are undone.

A toy protein: 36 places along a chain that is folded to and fro in a square of 6 x 6, so that 25 pairs touch that are
not next to each other in the chain. Real proteins have 20 letters; here each place is + or -, and touching places
prefer to agree, or to differ, by couplings of random strength. Gibbs sampling draws 3,000 sequences of the family.
Letters that agree need not touch: two strong couplings in a row bind places more than a weak one does. A model of all
couplings at once tells them apart: fitted to predict each letter from all others (pseudo-likelihood), or, here just
as well, by inverting the matrix of covariances. With 50 sequences, and a penalty, it finds only about half. Real
alignments are harder: sequences are related, and places are missing. AlphaFold's networks read alignments too.

Needs:  torch
Source: F. Morcos et al., Direct-Coupling Analysis of Residue Coevolution Captures Native Contacts across Many Protein
        Families, PNAS 108(49), 2011; M. Ekeberg et al., Improved Contact Prediction in Proteins: Using
        Pseudolikelihoods to Infer Potts Models, Physical Review E 87, 2013; J. Jumper et al., Highly Accurate Protein
        Structure Prediction with AlphaFold, Nature 596, 2021
"""

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE, SEQUENCES, FEW, SWEEPS, WEAK, STRONG, RATE, RIDGE, PENALTY = 6, 3000, 50, 100, 0.25, 0.75, 0.05, 0.05, 0.3

# %% the concept


def pseudo_loss(coupling: Tensor, field: Tensor, letters: Tensor) -> Tensor:
    """-mean over sequences of sum_i log P(s_i | all others), P = sigmoid(2 s_i (field_i + sum_{j != i} J_ij s_j))."""
    both = (coupling + coupling.T) / 2
    others = letters @ (both - both.diag().diag()) + field
    return -F.logsigmoid(2 * letters * others).sum(1).mean()


def inverted(letters: Tensor) -> Tensor:  # (n, places) -> (places, places)
    """Couplings as minus the inverse of the covariances, with a ridge; without, 0 in a Gaussian where none couples."""
    covariance = (letters - letters.mean(0)).T @ (letters - letters.mean(0)) / len(letters)
    return -torch.linalg.inv(covariance + RIDGE * torch.eye(letters.shape[1], device=letters.device))


# %% its control


def correlated(letters: Tensor) -> Tensor:
    """Correlations of two places each, whatever the others do."""
    return torch.corrcoef(letters.T)


# %% the experiment


def fold(side: int) -> tuple[Tensor, Tensor]:
    """Which places touch in the square, and which of two are at least two steps apart in the chain, once each."""
    places = torch.tensor([(r, c if r % 2 == 0 else side - 1 - c) for r in range(side) for c in range(side)])
    apart = torch.ones(side**2, side**2).triu(2) > 0
    return (places[:, None] - places).abs().sum(2) == 1, apart


def sample(coupling: Tensor, n: int, sweeps: int, g: torch.Generator) -> Tensor:
    """Gibbs sampling: each place in turn is drawn given all others, in n sequences at once: (n, places), -1 or 1."""
    letters = torch.randint(2, (n, len(coupling)), generator=g) * 2.0 - 1
    for _ in range(sweeps):
        for i in range(len(coupling)):
            plus = (2 * letters @ coupling[:, i]).sigmoid()
            letters[:, i] = torch.where(torch.rand(n, generator=g) < plus, 1.0, -1.0)
    return letters


def gaps_to_enumeration(g: torch.Generator, right: bool = True) -> tuple[float, float]:
    """On 9 places, the largest difference of loss and gradients from those by energies of whole sequences, f64, and of
    sampled correlations from exact ones; not `right`: by half the energies, and of letters never drawn anew."""
    touch, _ = fold(3)
    coupling = torch.rand(9, 9, generator=g, dtype=torch.float64).triu(1) * touch
    coupling = (coupling + coupling.T).requires_grad_()
    field = torch.rand(9, generator=g, dtype=torch.float64).requires_grad_()
    every = torch.cartesian_prod(*9 * [torch.tensor([-1.0, 1.0], dtype=torch.float64)])  # (512, 9)

    def energy(s: Tensor, field: Tensor | float) -> Tensor:
        return -((s @ coupling.triu(1) + field) * s).sum(-1)

    some = every[::37]
    flips = torch.stack([some * (1 - 2 * torch.eye(9))[i] for i in range(9)])  # (9, n, 9)
    risen = energy(flips, field) - energy(some, field)
    losses = pseudo_loss(coupling, field, some), F.softplus(-risen if right else -risen / 2).sum(0).mean()
    slopes = [torch.autograd.grad(loss, (coupling, field)) for loss in losses]
    (ours, fields), (theirs, their_fields) = slopes
    pairs = losses, (ours + ours.T, theirs + theirs.T), (fields, their_fields)
    exact = every.T @ ((-energy(every, 0.0)).softmax(0)[:, None] * every)
    drawn = sample(coupling.detach().float(), SEQUENCES, SWEEPS if right else 0, g).double()
    gap = max((a - b).abs().max().item() for a, b in pairs)
    return gap, (drawn.T @ drawn / SEQUENCES - exact).abs().max().item()


def run(device="cpu", seed=0, steps=150):
    strengths, draws, shuffles, check = (torch.Generator().manual_seed(4 * seed + k) for k in range(4))
    touch, apart = fold(SIDE)
    n = SIDE**2
    size = WEAK + (STRONG - WEAK) * torch.rand(n, n, generator=strengths)
    true = (size * (torch.randint(2, (n, n), generator=strengths) * 2 - 1) * touch).triu(1)
    true = true + true.T
    letters = sample(true, SEQUENCES, SWEEPS, draws)
    families = {"all": letters.to(device), "few": letters[:FEW].to(device)}
    models = {name: [torch.zeros(n, n, device=device), torch.zeros(n, device=device)] for name in families}
    optimizers = {name: torch.optim.Adam([p.requires_grad_() for p in model], RATE) for name, model in models.items()}
    for step in range(steps):
        losses = {}
        for name, model in models.items():
            loss = pseudo_loss(*model, families[name]) + (PENALTY if name == "few" else 0) * model[0].square().sum() / 2
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    known = int((touch & apart).sum())

    def right(score: Tensor) -> float:
        """Of the strongest pairs, as many as touch, the share that does touch."""
        return touch[apart][score.cpu().abs()[apart].topk(known).indices].double().mean().item()

    shuffled = torch.stack([column[torch.randperm(SEQUENCES, generator=shuffles)] for column in letters.T], 1)
    fitted = {name: ((model[0] + model[0].T) / 2).detach().cpu() for name, model in models.items()}
    seen = correlated(families["all"]).cpu()
    pairs = torch.ones(n, n).triu(1) > 0
    (loss_gap, sampled_off), (halved_gap, unswept_off) = (gaps_to_enumeration(check, right) for right in (True, False))

    def off(coupling: Tensor) -> float:
        return (coupling.cpu() - true)[pairs].square().mean().sqrt().item()

    inverse = inverted(families["all"])
    maps = [touch.float(), seen.abs().fill_diagonal_(0), fitted["all"].abs().fill_diagonal_(0)]
    return {
        "pairs": known,
        "pairs_with_chain": int((touch & pairs).sum()),
        "contacts": right(fitted["all"]),
        "correlated_contacts": right(seen),
        "inverted_contacts": right(inverse),
        "shuffled_contacts": right(inverted(shuffled.to(device))),
        "deep_contacts": right(fitted["all"]),
        "few_contacts": right(fitted["few"]),
        "coupling_off": off(fitted["all"]),
        "pair_off": off(seen.clamp(-0.99, 0.99).atanh()),
        "inverted_off": off(inverse),
        "uncoupled_off": off(0 * true),
        "loss_gap": loss_gap,
        "halved_gap": halved_gap,
        "sampled_off": sampled_off,
        "unswept_off": unswept_off,
    }, {
        "row and column: the 36 places along the chain": {
            "kind": "images",
            "images": maps,
            "titles": ["touching in the fold", "correlations", "fitted couplings"],
        }
    }


# %% what is claimed

TITLE = {"en": "Couplings, not correlations, tell which places touch", "zh": "判断哪些位点相接触，看耦合而不是看相关"}
CURVES = "pseudo-likelihood loss, with any penalty"
CPU_SECONDS = 1
CLAIMS = {
    "parity pairs <= 25 < pairs_with_chain": {
        "en": "pairs that touch and are not next to each other in the chain; control: with those that are",
        "zh": "相接触、而链上不相邻的位点对数；对照：把链上相邻者也算进去",
    },
    "trained contacts >= 0.95 > correlated_contacts >= 0.3": {
        "en": "of the 25 pairs with the strongest fitted couplings, neighbours in the chain left out, the share that "
        "touches; control: the 25 with the strongest correlations",
        "zh": "不计链上相邻者，拟合耦合最强的 25 对中真正接触的比例；对照：相关最强的 25 对",
    },
    "trained deep_contacts >= 0.95 > few_contacts >= 0.2": {
        "en": "the same share; control: couplings fitted to 50 of the 3,000 sequences, with a penalty on their squares",
        "zh": "同一比例；对照：只用 3000 条序列中的 50 条拟合，并对耦合的平方加惩罚",
    },
    "parity inverted_contacts >= 0.95 > shuffled_contacts": {
        "en": "the same share by the inverse of the covariances; control: each column's letters shuffled",
        "zh": "改用协方差矩阵的逆时的同一比例；对照：把每一列的字母打乱",
    },
    "trained coupling_off <= 0.055 < pair_off": {
        "en": "root of the mean squared error of the fitted couplings; control: what each pair's correlation alone "
        "would mean, atanh",
        "zh": "拟合耦合的均方根误差；对照：单看每一对的相关所推出的耦合（atanh）",
    },
    "parity inverted_off <= 0.07 < uncoupled_off": {
        "en": "the same error by the inverse of the covariances, with a ridge; control: no couplings at all",
        "zh": "改用协方差矩阵的逆（加岭项）时的同一误差；对照：认为毫无耦合",
    },
    "parity loss_gap <= 1e-10 < halved_gap": {
        "en": "largest difference of loss and gradients from the energies of whole sequences, 9 places, f64; control: "
        "half the energies",
        "zh": "9 个位点时，损失与梯度同由整条序列能量算出者的最大差距（f64）；对照：能量减半",
    },
    "parity sampled_off <= 0.09 < unswept_off": {
        "en": "largest difference of sampled correlations from those of all 512 sequences; control: letters never "
        "drawn anew",
        "zh": "采样所得相关与枚举全部 512 条序列者的最大差距；对照：字母从未重新抽取",
    },
}
ZH = {
    "pseudo-likelihood loss, with any penalty": "伪似然损失（含惩罚项）",
    "all": "全部序列",
    "few": "50 条序列",
    "row and column: the 36 places along the chain": "行与列：链上的 36 个位点",
    "touching in the fold": "折叠中相接触",
    "correlations": "相关",
    "fitted couplings": "拟合的耦合",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
