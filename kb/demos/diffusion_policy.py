"""Diffusion policy — shown both ways round an obstacle, a generative head takes either; their mean runs into it.

A point crosses a field with a round obstacle halfway. A network that is told the heights of its start and of the
obstacle answers with a chunk of nine actions, its heights from the start to the end, without a second
look. About half of the simulated demonstrations go above, the others below, the nearer side more often. The head is
generative: it learns how to move noise towards the demonstrated chunks (flow matching, a close relative of diffusion),
and different noise gives different paths. The control, the same network for as many updates, minimizes the squared
error; its answer is the mean of what was shown, and so is that of five nearest neighbours. Copying any one of these
five hardly ever hits: with two numbers to see and a thousand demonstrations, that is all one needs here.

Needs:  torch
Source: C. Chi et al., Diffusion Policy: Visuomotor Policy Learning via Action Diffusion, RSS 2023; Y. Lipman et al.,
        Flow Matching for Generative Modeling, ICLR 2023
"""

import copy
import math
from itertools import pairwise

import torch
from torch import Tensor, nn

ACTIONS, RADIUS, PASS, SCALE = 9, 0.22, 0.45, 4.0
DEMOS, TESTS, BATCH, HIDDEN, RATE, PIECES = 1000, 500, 128, 96, 2e-2, 20

# %% the concept


def ask(net: nn.Module, seen: Tensor, chunk: Tensor, t: Tensor) -> Tensor:  # (n, 2), (n, 9), (n, 1) -> (n, 9)
    return net(torch.cat([seen, chunk, t], 1))


def flow_loss(net: nn.Module, seen: Tensor, actions: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    # x_t = (1 - t) noise + t actions moves with the velocity actions - noise; asked is its mean given seen, x_t and t
    x = (1 - t) * noise + t * actions
    return (ask(net, seen, x, t) - (actions - noise)).square().mean()


def sample(velocity, noise: Tensor) -> Tensor:
    """From noise at t = 0 to a chunk of actions at t = 1, in equal pieces."""
    x = noise
    for k in range(PIECES):
        x = x + velocity(x, k / PIECES) / PIECES
    return x


# %% its control


def mean_loss(net: nn.Module, seen: Tensor, actions: Tensor) -> Tensor:
    return (ask(net, seen, 0 * actions, 0 * actions[:, :1]) - actions).square().mean()


# %% the experiment

PLACES = torch.linspace(0, 1, ACTIONS)


def scenes(n: int, generator: torch.Generator) -> Tensor:
    """Height of the start and of the obstacle: (n, 2)."""
    return (2 * torch.rand(n, 2, generator=generator) - 1) * torch.tensor([0.4, 0.3])


def demonstrate(seen: Tensor, generator: torch.Generator) -> Tensor:
    """Smooth paths to the height 0, above or below the obstacle, scaled: (n, 2) -> (n, 9)."""
    start, obstacle = seen.T
    above = torch.rand(len(seen), generator=generator) < (3 * (start - obstacle)).sigmoid()
    peak = obstacle + torch.where(above, PASS, -PASS) + 0.04 * torch.randn(len(seen), generator=generator)
    return SCALE * (start[:, None] * (1 - PLACES) + (peak - start / 2)[:, None] * (math.pi * PLACES).sin())


def hits(seen: Tensor, actions: Tensor) -> float:
    """Share of the paths of which a point lies in the obstacle."""
    apart = (PLACES - 0.5) ** 2 + (actions.cpu() / SCALE - seen[:, 1:]) ** 2
    return (apart < RADIUS**2).any(1).float().mean().item()


def lean(seen: Tensor, actions: Tensor) -> float:
    """How far the share of paths above is from a half, mean over scenes: (m, 2), (m, r, 9)."""
    above = actions[..., ACTIONS // 2].cpu() > SCALE * seen[:, 1:]
    return (above.float().mean(1) - 0.5).abs().mean().item()


def gap_to_rows(net: nn.Module, seen: Tensor, actions: Tensor, swap: bool = False) -> float:
    """Largest gap of the loss and its gradients to a sum row by row, number by number; `swap` mixes noise and data."""
    net, (seen, actions) = copy.deepcopy(net).cpu().double(), (part[:4].cpu().double() for part in (seen, actions))
    noise, t = actions.roll(1, 0).sin(), torch.tensor([[0.1], [0.4], [0.7], [0.9]]).double()
    ours = flow_loss(net, seen, *((noise, actions) if swap else (actions, noise)), t)
    total = torch.zeros(()).double()
    for i in range(4):
        x = [(noise[i, j] + t[i, 0] * (actions[i, j] - noise[i, j])) for j in range(ACTIONS)]
        out = net(torch.stack([*seen[i], *x, t[i, 0]]))
        total = total + sum((out[j] + noise[i, j] - actions[i, j]) ** 2 for j in range(ACTIONS)) / (4 * ACTIONS)
    pairs = [(ours, total), *zip(*(torch.autograd.grad(of, [*net.parameters()]) for of in (ours, total)), strict=True)]
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


def gaps_to_demos(demos: Tensor, generator: torch.Generator) -> tuple[float, float]:
    """How far paths by the exact velocity, and the mean of two demonstrations, are from the nearer of them; f64."""

    def exact(x: Tensor, t: float) -> Tensor:  # (E[actions | x] - x) / (1 - t): the mean of (actions - noise) at x
        weights = (-torch.cdist(x, t * demos).square() / (2 * (1 - t) ** 2)).softmax(1)
        return (weights @ demos - x) / (1 - t)

    paths = sample(exact, torch.randn(100, ACTIONS, generator=generator, dtype=torch.float64))
    return tuple(float((of[:, None] - demos).norm(dim=2).amin(1).max()) for of in (paths, demos.mean(0, keepdim=True)))


def run(device="cpu", seed=0, steps=800):
    torch.manual_seed(4 * seed)
    data, draws, tests = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    shown = scenes(DEMOS, data)
    taught = demonstrate(shown, data)
    asked, seen, actions = scenes(TESTS, tests), shown.to(device), taught.to(device)
    noises = torch.randn(TESTS, ACTIONS, generator=tests).to(device)
    nets = {}
    for name in ("flow", "mean"):
        sizes = ACTIONS + 3, HIDDEN, HIDDEN, ACTIONS
        layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.SiLU())][:-1]
        nets[name] = nn.Sequential(*layers).to(device)
    optimizers = {name: torch.optim.Adam(net.parameters(), RATE) for name, net in nets.items()}

    @torch.no_grad()
    def paths(name: str, scene: Tensor, noise: Tensor) -> Tensor:  # (n, 2), (n, 9) -> (n, 9)
        scene = scene.to(device)
        if name == "flow":
            return sample(lambda x, t: ask(nets[name], scene, x, torch.full_like(x[:, :1], t)), noise)
        return ask(nets[name], scene, 0 * noise, 0 * noise[:, :1])

    for step in range(steps):
        rows = torch.randint(DEMOS, (BATCH,), generator=draws).to(device)
        noise, t = (draw(BATCH, n, generator=draws).to(device) for draw, n in ((torch.randn, ACTIONS), (torch.rand, 1)))
        x, y = seen[rows], actions[rows]
        losses = {"flow": flow_loss(nets["flow"], x, y, noise, t), "mean": mean_loss(nets["mean"], x, y)}
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = RATE * (1 - step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        if (step + 1) % (steps // 20 or 1) == 0 or step == steps - 1:
            hit = {name: hits(asked, paths(name, asked, noises)) for name in nets}
            yield (step + 1) / steps, hit

    nearest = torch.cdist(asked, shown).topk(5, largest=False).indices
    five = hits(asked, taught[nearest].mean(1))
    level = asked[:20, 1:].expand(-1, 2)  # it starts at the height of the obstacle: both ways are equally likely
    many = level.repeat_interleave(50, 0), torch.randn(20 * 50, ACTIONS, generator=tests).to(device)
    leans = {name: lean(level, paths(name, *many).unflatten(0, (20, 50))) for name in nets}
    drawn = torch.zeros(12, 2), torch.randn(12, ACTIONS, generator=tests).to(device)
    ways = {name: paths(name, *drawn).cpu() / SCALE for name in nets}
    joined = [step for way in ways["flow"] for step in pairwise(zip(PLACES.tolist(), way.tolist(), strict=True))]
    ways = {name: (PLACES.repeat(len(way)).tolist(), way.flatten().tolist()) for name, way in ways.items()}
    edge = [(0.5 + RADIUS * math.cos(a / 8 * math.pi), RADIUS * math.sin(a / 8 * math.pi)) for a in range(17)]
    path_gap, middle_gap = gaps_to_demos(torch.cat([taught[:1], -taught[:1]]).double(), tests)  # two ways
    return {
        "flow_hits": hit["flow"],
        "nearest_hits": hits(asked.repeat_interleave(5, 0), taught[nearest.flatten()]),
        "mean_hits": min(hit["mean"], five),
        "five_hits": five,
        "flow_lean": leans["flow"],
        "mean_lean": leans["mean"],
        "loss_gap": gap_to_rows(nets["flow"], seen, actions),
        "swapped_gap": gap_to_rows(nets["flow"], seen, actions, swap=True),
        "path_gap": path_gap,
        "middle_gap": middle_gap,
    }, {
        "paths from one start, and the obstacle": {
            "kind": "scatter",
            "series": ways,
            "edges": [*joined, *pairwise(edge)],
            "equal": True,
            "x": "way",
            "y": "height",
        }
    }


# %% what is claimed

TITLE = {"en": "A policy that goes round either way", "zh": "上下两边都会绕的策略"}
CURVES = "share of paths that hit the obstacle"
CPU_SECONDS = 1
CLAIMS = {
    "trained flow_hits <= 0.04 < mean_hits <= 0.75": {
        "en": "share of new scenes in which the flow's path hits the obstacle; control: the same network by squared "
        "error, or the mean of the five nearest demonstrations, whichever is better",
        "zh": "新场景中流匹配头的路径撞上障碍的比例；对照：同样网络最小化平方误差，或五个最近示教的平均，取较好者",
    },
    "trained nearest_hits <= 0.02 < five_hits": {
        "en": "the same share where one of the five nearest demonstrations is copied; control: the mean of the five",
        "zh": "照搬最近五条示教之一时的同一比例；对照：这五条的平均",
    },
    "trained flow_lean <= 0.15 < mean_lean": {
        "en": "how far the share of paths above is from a half where both are shown as often (mean of 20 scenes); "
        "control: squared error, whose path is always the same",
        "zh": "示教走两边的概率相等时从上方绕行的比例与一半的差距（20 个场景的平均）；对照：平方误差，路径总是同一条",
    },
    "parity loss_gap <= 1e-10 < swapped_gap": {
        "en": "gap of the loss and its gradients from sums number by number (f64); control: noise and actions swapped",
        "zh": "损失及其梯度与逐数求和的差距（f64）；对照把噪声与动作对调",
    },
    "parity path_gap <= 1e-10 < middle_gap": {
        "en": "how far paths by the exact velocity for a demonstration and its mirror image end from the nearer "
        "(f64, at most); control: the mean of the two",
        "zh": "按一条示教及其镜像的精确速度场走出的路径与其中较近者的最大距离（f64）；对照：两者的平均",
    },
}
ZH = {
    "share of paths that hit the obstacle": "撞上障碍的路径比例",
    "flow": "流匹配",
    "mean": "均值（平方误差）",
    "paths from one start, and the obstacle": "同一起点的多条路径，与障碍",
    "way": "前进的距离",
    "height": "高度",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
