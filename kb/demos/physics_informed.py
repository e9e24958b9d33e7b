"""PINN — a network that must obey a law of motion foresees what it was not shown, and finds the stiffness in it.

Eight damped oscillators (simulated: weights on springs, with friction), each with a damping c and a stiffness k of
its own, are read 16 times in the first half of the time, with noise. A network for the motion u(t) fits the readings
and, at 32 times over the whole span, the law u'' + c u' + k u = 0, whose c and k it learns along the way. Control: the
same network without the law; or c and k computed afterwards from its derivatives; or always 0; whichever is
best. (The c that is learned is not judged: on one seed of ten it is hardly better than the control's.)
Where a law is solved as easily as here, no network is needed: least squares through the solution does as well.

Needs:  torch
Source: M. Raissi, P. Perdikaris, G. E. Karniadakis, Physics-informed neural networks: A deep learning framework for
        solving forward and inverse problems involving nonlinear partial differential equations, JCP 378, 2019
"""

import copy
import math
from itertools import pairwise

import torch
from torch import Tensor, nn

SETS, READINGS, NOISE, KNOWN, END, PLACES, HIDDEN, RATE, WEIGHT = 8, 16, 0.02, 2.0, 4.0, 32, 32, 3e-2, 1e-2

# %% the concept


def derivatives(motion, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # of S motions, (S, n, 1) each
    t = t.clone().requires_grad_()
    u = motion(t)
    (v,) = torch.autograd.grad(u.sum(), t, create_graph=True)  # v = u'(t): by the input, not by the weights
    (a,) = torch.autograd.grad(v.sum(), t, create_graph=True)  # a = u''(t); the graph is kept, to train through it
    return u, v, a


def physics_loss(motion, law: Tensor, t: Tensor) -> Tensor:  # law (2, S, 1, 1): c and k
    u, v, a = derivatives(motion, t)
    residual = a + law[0] * v + law[1] * u  # r = u'' + c u' + k u: zero where the law holds
    return residual.square().mean((1, 2)).sum()


def pinn_loss(net, t: Tensor, reading: Tensor, everywhere: Tensor, weight: float = WEIGHT) -> Tensor:
    loss = (net(t) - reading).square().mean((1, 2)).sum()  # L = mean (u(t_i) - y_i)^2 + weight mean r(t_j)^2
    return loss + weight * physics_loss(net, net.law, everywhere) if weight else loss


# %% its control


def matched_law(motion, t: Tensor) -> Tensor:
    """c and k by least squares from the derivatives of a motion that was fitted before: (2, S, 1, 1)."""
    u, v, a = (x.detach() for x in derivatives(motion, t))
    return torch.linalg.lstsq(torch.cat([v, u], -1), -a).solution.movedim(1, 0)[..., None]


def solutions(t: Tensor, c: Tensor, k: Tensor) -> Tensor:
    """Two whose weighted sums are the rest: exp(-c t / 2) times cos(w t) and sin(w t), w^2 = k - c^2 / 4: (S, n, 2)."""
    angle = (k - c * c / 4).clamp_min(1e-2).sqrt() * t
    return (-c * t / 2).exp() * torch.cat([angle.cos(), angle.sin()], -1)


def fitted(c: Tensor, k: Tensor, t: Tensor, reading: Tensor, when: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares of the solutions to the readings: its squared error, and the motion at other times."""
    basis = solutions(t, c, k)
    scale = torch.linalg.solve(basis.mT @ basis, basis.mT @ reading)
    return (basis @ scale - reading).square().sum((-2, -1)), solutions(when, c, k) @ scale


def solved_law(t: Tensor, reading: Tensor) -> Tensor:
    """The strong rival, no network: c and k on a grid whose solutions fit the readings best."""
    laws = torch.cartesian_prod(torch.arange(0, 2, 0.05), torch.arange(5, 30, 0.1)).T[..., None, None].double()
    best = [fitted(*laws, *pair, pair[0])[0].argmin() for pair in zip(t, reading, strict=True)]
    return laws[:, torch.stack(best)]


# %% the experiment


class Motion(nn.Module):
    """Eight networks 1-32-32-1 side by side, one for each oscillator; and its law."""

    def __init__(self) -> None:
        super().__init__()
        sizes = list(pairwise((1, HIDDEN, HIDDEN, 1)))
        self.weights = nn.ParameterList(torch.empty(SETS, n, m).uniform_(-1, 1) / math.sqrt(n) for n, m in sizes)
        self.biases = nn.ParameterList(torch.empty(SETS, 1, m).uniform_(-1, 1) / math.sqrt(n) for n, m in sizes)
        self.log_law = nn.Parameter(torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).repeat(1, SETS, 1, 1))  # a first guess

    @property
    def law(self) -> Tensor:
        return self.log_law.exp()  # c and k are positive

    def forward(self, t: Tensor) -> Tensor:  # (S, n, 1) -> (S, n, 1)
        h = 2 * t - END
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = (h @ weight + bias).sin()
        return h @ self.weights[-1] + self.biases[-1]


def by_hand(net: Motion, t: Tensor, reading: Tensor, everywhere: Tensor, law: Tensor) -> Tensor:
    """The same loss: u, u' and u'' are carried through the layers by the chain rule."""
    x = torch.cat([t, everywhere], 1)
    u, v, a = 2 * x - END, torch.full_like(x, 2), torch.zeros_like(x)
    for n, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        u, v, a = u @ weight + bias, v @ weight, a @ weight
        if n < 2:
            u, v, a = u.sin(), u.cos() * v, u.cos() * a - u.sin() * v * v
    residual = (a + law[0] * v + law[1] * u)[:, READINGS:]
    return ((u[:, :READINGS] - reading) ** 2).sum() / READINGS + WEIGHT * (residual**2).sum() / PLACES


def gap(net: Motion, *given: Tensor, swap: bool = False) -> float:
    """Of the two losses and their gradients, f64."""
    found = []
    for loss in (pinn_loss(net, *given), by_hand(net, *given, net.law.flip(0) if swap else net.law)):
        found.append([loss.detach(), *torch.autograd.grad(loss, [*net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=800):
    torch.manual_seed(3 * seed)  # weights, oscillators, noise: three streams
    data, noise = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    c, k, phase = torch.rand(3, SETS, 1, 1, generator=data).double()
    law, start = torch.stack([0.4 + 0.4 * c, 12 + 8 * k]), torch.cat([phase.cos(), phase.sin()], 1)

    def truth(t: Tensor) -> Tensor:
        return solutions(t, *law) @ start

    t = (torch.arange(READINGS)[:, None] + torch.rand(SETS, READINGS, 1, generator=data).double()) * KNOWN / READINGS
    reading = truth(t) + NOISE * torch.randn(t.shape, generator=noise)
    spans = (0, END, PLACES), (KNOWN, END, 101), (KNOWN / 32, KNOWN * 31 / 32, 100), (0, END, 121)
    everywhere, late, known, when = (torch.linspace(*span).double()[:, None].repeat(SETS, 1, 1) for span in spans)
    exact = t, reading, everywhere
    given = [x.float().to(device) for x in exact]
    pinn = Motion().to(device)
    nets = {"with the law": pinn, "without the law": copy.deepcopy(pinn)}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            loss = pinn_loss(net, *given, WEIGHT if name == "with the law" else 0)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item() / SETS
        yield (step + 1) / steps, losses

    pinn, blind = (net.cpu().double() for net in nets.values())

    def error(u: Tensor) -> float:  # in the second half, as a share of the motion; mean of the oscillators
        return ((u - truth(late)).norm(dim=1) / truth(late).norm(dim=1)).mean().item()

    matched = matched_law(blind, known)
    best = error(fitted(*solved_law(t, reading), t, reading, late)[1])
    rival = min(error(blind(late)), error(fitted(*matched, t, reading, late)[1]), error(0 * late))
    drawn = {"readings": (t, reading), "truth": (when, truth(when))}
    drawn |= {name: (when, net(when).detach()) for name, net in nets.items()}
    return {
        "pinn_error": error(pinn(late)),
        "rival_error": rival,
        "excess": error(pinn(late)) / best,
        "rival_excess": rival / best,
        "stiffness_off": 100 * float((pinn.law / law - 1)[1].detach().abs().mean()),
        "matched_off": 100 * float((matched / law - 1)[1].abs().mean()),
        "loss_gap": max(gap(pinn, *exact), physics_loss(truth, law, everywhere).item()),
        "swapped_gap": min(gap(pinn, *exact, swap=True), physics_loss(truth, law.flip(0), everywhere).item()),
        "latest_reading": given[0].max().item(),
        "latest_place": given[2].max().item(),
    }, {
        "motion of the first oscillator; readings end at t = 2": {
            "kind": "lines",
            "series": {name: (x[0, :, 0].tolist(), u[0, :, 0].tolist()) for name, (x, u) in drawn.items()},
            "x": "time t",
            "y": "u",
        },
    }


# %% what is claimed

TITLE = {"en": "A PINN foresees what it was not shown", "zh": "PINN 预见没有读数的后半段"}
CURVES = "loss in training"
CPU_SECONDS = 3
CLAIMS = {
    "trained pinn_error <= 0.1 < rival_error <= 0.5": {
        "en": "error in the second half, as a share of the motion, mean of eight; control: the best of the "
        "network without the law, c and k from its derivatives, and 0",
        "zh": "后半段的误差占运动幅度的比例（取平均）；对照：不带定律的网络、由其导数求得的 c 与 k、0，取最好者",
    },
    "trained excess <= 1.4 < rival_excess": {
        "en": "that error over that of least squares through the solution, no network; control: the best above",
        "zh": "上述误差与不用网络、直接拟合解析解的最小二乘误差之比；对照：上一行的对照",
    },
    "trained stiffness_off <= 1.7 < matched_off <= 11": {
        "en": "mean error of the stiffness k, in %; control: k from the derivatives of the network without the law",
        "zh": "刚度 k 的平均误差（%）；对照：由不带定律的网络的导数求得的 k",
    },
    "parity loss_gap <= 1e-10 < swapped_gap": {
        "en": "gap of the trained network's loss and gradients to the chain rule by hand, and the true motions' "
        "residual (f64); control: c and k exchanged",
        "zh": "训练后网络的损失与梯度同手工链式法则的最大差距，以及真实运动的残差（f64）；对照：c 与 k 互换",
    },
    "parity latest_reading <= 2 < latest_place": {
        "en": "time of the latest reading; control: the latest time where only the law is asked for",
        "zh": "最晚一次读数的时刻；对照：只要求满足定律的最晚时刻",
    },
}
ZH = {
    "loss in training": "训练损失",
    "with the law": "带定律",
    "without the law": "不带定律",
    "truth": "真实运动",
    "readings": "读数",
    "motion of the first oscillator; readings end at t = 2": "第一个振子的运动；读数止于 t = 2",
    "time t": "时间 t",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
