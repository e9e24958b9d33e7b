"""CycleGAN — two domains are translated into each other without pairs, and the cycle loss makes each undo the other.

Domain A is a square of points, domain B half a ring; no point is paired with another, there are only samples of each.
G translates A to B and F translates B to A, each against a discriminator, and the cycle loss asks that F(G(a)) is a and
that G(F(b)) is b. The adversarial loss is cross-entropy, as in the paper's first equation; its training takes squares.
Two controls leave one part out. Without the cycle, both translations go most of the way, but they do not agree: there
and back, a point ends up elsewhere. Without discriminators all come back, but few points reach the other domain. After
so short a training about a third of the points that the CycleGAN takes to B lie beside the half ring, not on it. The
loss asks for a way back, not for one translation: a linear map that moves mean and covariance of A to those of B has
one too, says the table, and its samples come about as near here by the energy distance (0 for equal distributions).

Needs:  torch
Source: J.-Y. Zhu, T. Park, P. Isola, A. Efros, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
        Networks, ICCV 2017
"""

import math
from copy import deepcopy
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN, BATCH, RATE, WEIGHT, TESTS = 48, 64, 1.6e-2, 10.0, 1000

# %% the concept


class CycleGAN(nn.Module):
    def __init__(self, weight: float = WEIGHT, adversarial: float = 1.0) -> None:
        super().__init__()
        self.weight, self.adversarial = weight, adversarial
        self.to_b, self.to_a = mlp(2), mlp(2)  # G: A -> B, F: B -> A
        self.judge_a, self.judge_b = mlp(1), mlp(1)

    def translate(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return self.to_b(a), self.to_a(b)  # G(a), F(b): (B, 2) twice

    def judges_loss(self, a: Tensor, b: Tensor, as_b: Tensor, as_a: Tensor) -> Tensor:
        real = F.softplus(-self.judge_a(a)) + F.softplus(-self.judge_b(b))
        # -log D - log(1 - D), in both domains
        return (real + F.softplus(self.judge_a(as_a.detach())) + F.softplus(self.judge_b(as_b.detach()))).mean()

    def cycle(self, a: Tensor, b: Tensor, as_b: Tensor, as_a: Tensor) -> Tensor:
        there = (self.to_a(as_b) - a).abs().mean()
        return there + (self.to_b(as_a) - b).abs().mean()  # |F(G(a)) - a| + |G(F(b)) - b|

    def translators_loss(self, a: Tensor, b: Tensor, as_b: Tensor, as_a: Tensor) -> Tensor:
        passed = F.softplus(-self.judge_b(as_b)).mean() + F.softplus(-self.judge_a(as_a)).mean()
        return self.adversarial * passed + self.weight * self.cycle(a, b, as_b, as_a)


def mlp(d_out: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(2, HIDDEN), nn.LeakyReLU(0.2)),
        *(nn.Linear(HIDDEN, HIDDEN), nn.LeakyReLU(0.2), nn.Linear(HIDDEN, d_out)),
    )


# %% the experiment


def domain_a(n: int, generator: torch.Generator) -> Tensor:  # -> (n, 2)
    return 2 * torch.rand(n, 2, generator=generator) + torch.tensor([2.0, -1.0])


def domain_b(n: int, generator: torch.Generator) -> Tensor:
    angle, radius = torch.rand(2, n, 1, generator=generator)
    angle, radius = math.pi * angle, 1 + 0.6 * radius
    return radius * torch.cat([angle.cos(), angle.sin()], 1) - torch.tensor([0.0, 0.8])


def moved(x: Tensor, y: Tensor, points: Tensor) -> Tensor:
    """Points by the linear map that takes mean and covariance of x to those of y."""
    root, onto = (torch.linalg.cholesky(t.T.cov()) for t in (x, y))
    return torch.linalg.solve_triangular(root, (points - x.mean(0)).T, upper=False).T @ onto.T + y.mean(0)


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|: zero on average when the two samples have one distribution."""
    within = sum(torch.cdist(s, s).sum() / (len(s) * (len(s) - 1)) for s in (a, b))
    return float(2 * torch.cdist(a, b).mean() - within)


def gap_to_torch(net: CycleGAN, a: Tensor, b: Tensor, crossed: bool = False) -> float:
    """Largest gap of both losses and their gradients to torch's cross-entropy and F.l1_loss (f64); `crossed` asks the
    cycle to return the other domain's point."""
    net, a, b = deepcopy(net).cpu().double(), a.double(), b.double()
    made = net.translate(a, b)
    as_b, as_a = net.to_b(a), net.to_a(b)
    one = torch.ones(len(a), 1).double()
    cost = F.binary_cross_entropy_with_logits
    judged = cost(net.judge_a(a), one) + cost(net.judge_b(b), one)
    judged = judged + cost(net.judge_a(as_a.detach()), 0 * one) + cost(net.judge_b(as_b.detach()), 0 * one)
    there, back = (b, a) if crossed else (a, b)
    cycle = F.l1_loss(net.to_a(as_b), there) + F.l1_loss(net.to_b(as_a), back)
    passed = cost(net.judge_a(as_a), one) + cost(net.judge_b(as_b), one)
    pairs = [(net.judges_loss(a, b, *made), judged), (net.translators_loss(a, b, *made), passed + WEIGHT * cycle)]
    for mine, theirs in pairs[:]:
        found = (
            torch.autograd.grad(loss, [*net.parameters()], retain_graph=True, materialize_grads=True)
            for loss in (mine, theirs)
        )
        pairs += zip(*found, strict=True)
    return max((x - y).detach().abs().max().item() for x, y in pairs)


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(3 * seed)  # weights, training and test: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    first, parts = CycleGAN(), {"CycleGAN": (WEIGHT, 1.0), "no cycle": (0.0, 1.0), "no discriminators": (WEIGHT, 0.0)}
    nets, optimizers = {name: deepcopy(first).to(device) for name in parts}, {}
    for name, net in nets.items():
        net.weight, net.adversarial = parts[name]
        halves = [chain(x.parameters(), y.parameters()) for x, y in ((net.judge_a, net.judge_b), (net.to_a, net.to_b))]
        optimizers[name] = [torch.optim.Adam(half, betas=(0.5, 0.99)) for half in halves]
    a_test, b_test = domain_a(TESTS, unseen), domain_b(TESTS, unseen)
    for step in range(1, steps + 1):
        a, b = domain_a(BATCH, data).to(device), domain_b(BATCH, data).to(device)
        cycles = {}
        for name, net in nets.items():
            made = net.translate(a, b)
            cycles[name] = net.cycle(a, b, *made).item()
            both = zip(optimizers[name], (net.judges_loss, net.translators_loss), (1, 0.25), strict=True)
            for optimizer, loss, share in both:
                optimizer.param_groups[0]["lr"] = RATE * share * min(1, 2 - 2 * step / steps)
                optimizer.zero_grad()
                loss(a, b, *made).backward()
                optimizer.step()
        yield step / steps, cycles

    astray, off, back_home = {}, {}, {"A": a_test[:200]}
    a, b = a_test.to(device), b_test.to(device)
    with torch.no_grad():
        for name, net in nets.items():
            as_b, as_a = net.translate(a, b)
            back, again = net.to_a(as_b).cpu(), net.to_b(as_a).cpu()
            astray[name] = ((back - a_test).norm(dim=1).mean() + (again - b_test).norm(dim=1).mean()).item() / 2
            off[name] = max(energy_distance(as_b.cpu(), b_test), energy_distance(as_a.cpu(), a_test))
            if name != "no discriminators":
                back_home[f"A there and back, {name}"] = back[:200]
            if name == "CycleGAN":
                abroad = {"B": b_test[:200], "A translated": as_b[:200].cpu()}
    known = domain_a(TESTS, data), domain_b(TESTS, data)
    linear = [moved(*known, a_test), moved(*known[::-1], b_test)]
    rows = [[name, astray[name], off[name]] for name in nets]
    rows += [["linear map", 0.0, max(energy_distance(linear[0], b_test), energy_distance(linear[1], a_test))]]
    rows += [["untranslated", 0.0, energy_distance(a_test, b_test)]]
    checked = nets["CycleGAN"], a_test[:64], b_test[:64]
    return {
        "astray": astray["CycleGAN"],
        "astray_without": astray["no cycle"],
        "off": off["CycleGAN"],
        "off_without": min(off["no discriminators"], energy_distance(a_test, b_test)),
        "loss_gap": gap_to_torch(*checked),
        "crossed_gap": gap_to_torch(*checked, crossed=True),
    }, {
        title: {
            "kind": "scatter",
            "series": {name: tuple(points.T.tolist()) for name, points in shown.items()},
            "equal": True,
            "x": "x",
            "y": "y",
        }
        for title, shown in (
            ("half ring B, and A translated", abroad),
            ("square A, and the same after a cycle", back_home),
        )
    } | {
        "on fresh points": {
            "kind": "table",
            "columns": ["", "distance after a cycle", "energy distance from the domain"],
            "rows": rows,
        },
    }


# %% what is claimed

TITLE = {"en": "CycleGAN: translation with a way back", "zh": "CycleGAN：可以转回来的转换"}
CURVES = "cycle loss"
CPU_SECONDS = 3
CLAIMS = {
    "trained astray <= 0.06 < astray_without": {
        "en": "mean distance of a point from where it began, there and back; the control is trained without the cycle "
        "loss",
        "zh": "点转换过去再转换回来之后与起点的平均距离；对照训练时没有循环损失",
    },
    "trained off <= 0.06 < off_without": {
        "en": "energy distance of translated points from their domain, the worse of both; control: no discriminators, "
        "or untranslated points, the nearer",
        "zh": "转换后的点与目标域的能量距离，取两个方向中较差者；对照：没有判别器，或不作转换，取较近者",
    },
    "parity loss_gap <= 1e-10 < crossed_gap": {
        "en": "largest gap of both losses and their gradients to torch's cross-entropy and F.l1_loss (f64); the "
        "control's cycle returns to the other domain's point",
        "zh": "两个损失及其梯度与 torch 交叉熵、F.l1_loss 的最大差距（f64）；对照的循环回到另一域的点",
    },
}
ZH = {
    "cycle loss": "循环损失",
    "no cycle": "无循环损失",
    "no discriminators": "无判别器",
    "linear map": "线性映射",
    "untranslated": "不作转换",
    "half ring B, and A translated": "半环 B，以及转换后的 A",
    "A translated": "A 转换之后",
    "square A, and the same after a cycle": "方块 A，以及循环一周之后的 A",
    "A there and back, CycleGAN": "A 转换后再转回，CycleGAN",
    "A there and back, no cycle": "A 转换后再转回，无循环损失",
    "on fresh points": "在新的点上",
    "distance after a cycle": "循环一周后的距离",
    "energy distance from the domain": "与目标域的能量距离",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
