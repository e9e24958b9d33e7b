"""Equivariant network — turn the atoms and the forces turn along: built in, it need not be learned from copies.

Five atoms, simulated, lie at random in a box; the energy of each holds the root of a sum over the others, so a
pair's force depends on the rest. An equivariant network lets an atom see the others by squared distance alone, passes
messages twice, and pushes atoms along the lines between them: whatever it learned, its output turns, mirrors and is
listed as the input is. (In the paper each layer moves the points; here only the last.) Nets learn from the same 300
clouds in 600 steps. Controls: a network of the same form that sees squared distances and differences of coordinates,
writes three numbers a pair, and is taught with copies turned anew at each look; its forces do not turn along exactly.
Its error was two to nine times as large on the 15 seeds tried, yet small: copies teach much of the symmetry (with 400
steps as well). And, equivariant too, forces along lines between pairs by distance only, fitted by ridge
regression. Rates were chosen by the error on fresh clouds of some seeds, for both.

Needs:  torch
Source: V. G. Satorras, E. Hoogeboom, M. Welling, E(n) Equivariant Graph Neural Networks, ICML 2021; energies:
        M. W. Finnis, J. E. Sinclair, A simple empirical N-body potential for transition metals, Phil. Mag. A 50, 1984
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ATOMS, CLOUDS, TESTS, HIDDEN, BATCH, RATES = 5, 300, 1000, 16, 32, (0.01, 0.02)

# %% the concept


def layers(d_in: int, d_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(d_in, 2 * HIDDEN), nn.SiLU(), nn.Linear(2 * HIDDEN, d_out))


class Equivariant(nn.Module):
    reads, writes = 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.first, self.node = layers(self.reads, HIDDEN), layers(HIDDEN, HIDDEN)
        self.second, self.push = layers(self.reads + 2 * HIDDEN, HIDDEN), layers(HIDDEN, self.writes)

    def sight(self, r: Tensor) -> Tensor:
        return r.square().sum(-1, keepdim=True)  # |x_i - x_j|^2: no rotation, mirror or shift changes it

    def forces(self, r: Tensor, w: Tensor) -> Tensor:
        return r * w  # (x_i - x_j) w_ij: turns with r

    def forward(self, x: Tensor) -> Tensor:  # (B, N, 3) -> (B, N, 3)
        r = x[:, :, None] - x[:, None]  # (B, N, N, 3)
        d, others = self.sight(r), (1 - torch.eye(x.shape[1]).to(x))[..., None]
        h = self.node((self.first(d) * others).sum(2))  # h_i = g(sum_j m(d_ij)): (B, N, H)
        at, of = h[:, :, None].expand(*r.shape[:3], -1), h[:, None].expand(*r.shape[:3], -1)
        w = self.push(self.second(torch.cat([d, at, of], -1)))  # w_ij from d_ij, h_i and h_j
        return (self.forces(r, w) * others).sum(2)  # f_i = sum_j (x_i - x_j) w_ij


# %% its control


class Coordinates(Equivariant):
    reads, writes = 4, 3

    def sight(self, r: Tensor) -> Tensor:
        return torch.cat([r, super().sight(r)], -1)  # the squared distance is told as well

    def forces(self, r: Tensor, w: Tensor) -> Tensor:
        return w


def turns(n: int, generator: torch.Generator) -> Tensor:  # rotations, with a mirror or without: (n, 3, 3)
    q, r = torch.linalg.qr(torch.randn(n, 3, 3, generator=generator))
    return q * r.diagonal(dim1=1, dim2=2).sign()[:, None]


def pair_error(x: Tensor, y: Tensor, fresh: Tensor, truth: Tensor) -> float:
    def pushes(x: Tensor) -> Tensor:  # between pairs, each a bump over distance: (B, N, 3) -> (3 B N, 12)
        r = (x[:, :, None] - x[:, None]).double()
        far = r.norm(dim=-1, keepdim=True) - torch.linspace(0.3, 5, 12)
        return torch.einsum("bijc,bijk->bick", r, (-far.square() / 0.3).exp()).flatten(0, 2)

    known, ridge = pushes(x), 0.1 * torch.eye(12, dtype=torch.float64)
    return share(pushes(fresh) @ torch.linalg.solve(known.mT @ known + ridge, known.mT @ y.double().flatten()), truth)


# %% the experiment


def clouds(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Atoms at least 0.8 apart, and the forces on them, which are minus the slope of the energy: (n, N, 3) both."""
    tried = 3 * torch.rand(n, 60, ATOMS, 3, generator=generator)
    self = torch.eye(ATOMS)
    apart = (torch.cdist(tried, tried) + 9 * self).amin((2, 3)) > 0.8
    x = tried[torch.arange(n), apart.float().argmax(1)].double().requires_grad_()
    near = (-((x[:, :, None] - x[:, None]).square().sum(-1) + self).sqrt()).exp() * (1 - self)  # exp(-d_ij)
    energy = 6 * near.square().sum(2) - 6 * near.sum(2).sqrt()  # of an atom
    return x.detach().float(), -torch.autograd.grad(energy.sum(), x)[0].float()


def share(answer: Tensor, truth: Tensor) -> float:
    return float((answer.flatten() - truth.flatten()).square().mean() / truth.square().mean())


def turned_gap(net: nn.Module, x: Tensor, generator: torch.Generator) -> float:
    """Largest change of the forces where input is turned, mirrored, moved and listed in another order; f64."""
    net, x = copy.deepcopy(net).cpu().double(), x.double()
    turn = torch.linalg.qr(turns(len(x), generator).double())[0]  # orthogonal to the last digit of f64
    order = torch.randperm(ATOMS, generator=generator)
    return (net((x @ turn + 5)[:, order]) - (net(x) @ turn)[:, order]).detach().abs().max().item()


def by_loops(net: Equivariant, cloud: Tensor, power: int) -> Tensor:
    """The same for one cloud, pair by pair, from the weights: (N, 3) -> (N, 3)."""

    def read(part: nn.Sequential, *v: Tensor) -> Tensor:
        u = part[0].weight @ torch.cat(v) + part[0].bias
        return part[2].weight @ (u / (1 + (-u).exp())) + part[2].bias

    atoms = range(len(cloud))
    d = [[((a - b) ** 2).sum()[None] ** (power / 2) for b in cloud] for a in cloud]
    h = [read(net.node, sum(read(net.first, d[i][j]) for j in atoms if j != i)) for i in atoms]
    w = {(i, j): read(net.push, read(net.second, d[i][j], h[i], h[j])) for i in atoms for j in atoms if j != i}
    return torch.stack([sum((cloud[i] - cloud[j]) * w[i, j] for j in atoms if j != i) for i in atoms])


def loop_gap(net: Equivariant, x: Tensor, power: int = 2) -> float:
    """Largest gap to `by_loops` in forces and in the gradients of input and weights; f64."""
    net, x = copy.deepcopy(net).cpu().double(), x.double().requires_grad_()
    both = net(x), torch.stack([by_loops(net, cloud, power) for cloud in x])
    weighted = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)
    slopes = [torch.autograd.grad((out * weighted).sum(), [x, *net.parameters()]) for out in both]
    return max(float((a - b).detach().abs().max()) for a, b in [both, *zip(*slopes, strict=True)])


def run(device="cpu", seed=0, steps=600):
    data, unseen, batches, copies, checks = (torch.Generator().manual_seed(6 * seed + k) for k in range(1, 6))
    (x, y), (fresh, truth) = clouds(CLOUDS, data), clouds(TESTS, unseen)
    torch.manual_seed(6 * seed)
    nets = {"equivariant": Equivariant(), "turned copies": Coordinates()}
    optimizers = [torch.optim.Adam(net.to(device).parameters(), betas=(0.9, 0.99)) for net in nets.values()]
    for step in range(steps):
        rows, turn = torch.randint(CLOUDS, (BATCH,), generator=batches), turns(BATCH, copies)
        given = (x[rows], y[rows]), (x[rows] @ turn, y[rows] @ turn)
        pairs = zip(nets.values(), given, strict=True)
        losses = [F.mse_loss(net(a.to(device)), b.to(device)) for net, (a, b) in pairs]
        for optimizer, rate, loss in zip(optimizers, RATES, losses, strict=True):
            optimizer.param_groups[0]["lr"] = rate * min(1, 2 - 2 * step / steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in zip(nets, losses, strict=True)}

    errors = {name: share(net(fresh.to(device)).detach().cpu(), truth) for name, net in nets.items()}
    pairs_only = pair_error(x, y, fresh, truth)
    sides = [(c[:, :, None] - c[:, None]).double().norm(dim=-1) for c in (x, fresh, x @ turns(CLOUDS, checks))]
    known, asked, moved = (d.flatten(1).sort().values for d in sides)  # no turn and no order tells
    angle = torch.linspace(0, 2 * torch.pi, 49)
    about = torch.matrix_exp(angle[:, None, None] * torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 0]]))  # (49, 3, 3)
    lines = {name: net((fresh[0] @ about).to(device)).detach().cpu() @ about.mT for name, net in nets.items()}
    lines["truth"] = truth[:1].expand(49, -1, -1)
    return {
        "equivariant_error": errors["equivariant"],
        "copies_error": errors["turned copies"],
        "pair_error": pairs_only,
        "pair_forces_error": pairs_only,
        "turned_gap": turned_gap(nets["equivariant"], fresh[:50], checks),
        "copies_turned_gap": turned_gap(nets["turned copies"], fresh[:50], checks),
        "loop_gap": loop_gap(nets["equivariant"], fresh[:2]),
        "plain_distance_gap": loop_gap(nets["equivariant"], fresh[:2], power=1),
        "shared_clouds": int((torch.cdist(asked, known) < 1e-3).sum()),
        "turned_clouds": int((torch.cdist(moved, known) < 1e-3).sum()),
    }, {
        "a cloud is turned, and the force on its first atom turned back": {
            "kind": "lines",
            "series": {name: (angle.rad2deg().tolist(), f[:, 0, 0].tolist()) for name, f in lines.items()},
            "x": "turned by (degrees)",
            "y": "force along x, turned back",
        }
    }


# %% what is claimed

TITLE = {"en": "Forces that turn with the atoms", "zh": "随原子一起旋转的力"}
CURVES = "squared error"
CPU_SECONDS = 3
CLAIMS = {
    "trained equivariant_error <= 0.006 < pair_error <= 0.05": {
        "en": "error on fresh clouds, as a share of the forces' mean square; control: pair forces by ridge regression",
        "zh": "在新点云上的误差，占真实力均方值的比例；对照：岭回归拟合的成对力，同样等变",
    },
    "trained copies_error <= 0.009 < pair_forces_error <= 0.05": {
        "en": "the same of the network on differences and squared distances, taught with turned copies; same control",
        "zh": "读坐标差与距离平方、以旋转后的副本训练的网络的同一误差；对照同上",
    },
    "parity turned_gap <= 1e-10 < copies_turned_gap": {
        "en": "largest change of forces, clouds turned, mirrored, moved, relisted (f64); control: the net of copies",
        "zh": "把点云旋转、镜像、平移并换一种排列后，力的最大变化（f64）；对照：以旋转副本训练的网络",
    },
    "parity loop_gap <= 1e-10 < plain_distance_gap": {
        "en": "largest gap of forces and gradients to a loop over pairs (f64); control: one that reads the distance",
        "zh": "力与梯度同逐对循环计算的最大差距（f64）；对照：循环读入的是距离而非其平方",
    },
    "parity shared_clouds <= 0 < turned_clouds": {
        "en": "fresh clouds that are a training cloud, turned or not; control: the training clouds, turned",
        "zh": "与某个训练点云相同（允许旋转）的新点云个数；对照：旋转后的训练点云",
    },
}
ZH = {
    "squared error": "平方误差",
    "equivariant": "等变网络",
    "turned copies": "旋转副本",
    "truth": "真实值",
    "a cloud is turned, and the force on its first atom turned back": "旋转点云，再把第一个原子所受的力转回来",
    "turned by (degrees)": "旋转角度（度）",
    "force along x, turned back": "转回后沿 x 方向的力",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
