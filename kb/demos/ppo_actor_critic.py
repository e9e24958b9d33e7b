"""PPO — its clip makes eight passes over the same moves safe; they teach more than one pass, or eight without it.

A cart is pushed to the left or right so that the pole on it stays up, with the equations, limits and 500-move games of
Gymnasium's CartPole-v1. A network gives each push a probability (the actor) and tells the rewards to come (the critic);
generalized advantage estimates say how much better a move turned out than the critic expected. Twelve networks a
setting play 24 games at once for 960 moves each. PPO passes eight times over each batch of moves: once a move's
probability has changed by a fifth, in the direction that its advantage asks for, more of that gains nothing. One
control makes a single pass (much as A2C does), another eight without the clip, each at the best of the rates tried.

Needs:  torch
Source: J. Schulman et al., Proximal Policy Optimization Algorithms, arXiv:1707.06347, 2017; J. Schulman et al.,
        High-Dimensional Continuous Control Using Generalized Advantage Estimation, ICLR 2016; A. Barto, R. Sutton,
        C. Anderson, Neuronlike Adaptive Elements That Can Solve Difficult Learning Control Problems, 1983
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Categorical

DISCOUNT, TRACE, CLIP = 0.99, 0.95, 0.2
LEARNERS, GAMES, MOVES, HIDDEN, PASSES, CHUNKS = 12, 24, 64, 64, 8, 4
RATES = {"PPO": 1.5e-2, "one pass": 3.5e-3, "no clip": 5e-3}
LIMIT, TILT, LONGEST, TESTS = 2.4, math.radians(12), 500, 32
GRAVITY, CART, POLE, HALF, FORCE, TICK = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02

# %% the concept


def gae(reward: Tensor, value: Tensor, after: Tensor, over: Tensor, cut: Tensor, trace: float = TRACE) -> Tensor:
    """Advantages (T, ...) of moves, from the critic's values before and after them; `over` is a fall, `cut` any end."""
    # delta_t = r_t + discount * V(s_t+1) - V(s_t), and V = 0 after a fall; an actor-critic learns from this surprise
    delta = reward + DISCOUNT * after * ~over - value
    advantage = [torch.zeros_like(value[0])]
    for t in reversed(range(len(reward))):  # A_t = delta_t + discount * lambda * A_t+1
        advantage.insert(0, delta[t] + DISCOUNT * trace * advantage[0] * ~cut[t])
    return torch.stack(advantage[:-1])


def clipped(ratio: Tensor, advantage: Tensor) -> Tensor:  # min(r A, clip(r, 1 - e, 1 + e) A)
    return torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)


Net = list[Tensor]  # L networks side by side: (L, 4, hidden), (L, 1, hidden), (L, hidden, 3), (L, 1, 3)


def actor_critic(net: Net, s: Tensor) -> tuple[Tensor, Tensor]:  # (L, B, 4) -> log policy (L, B, 2), value (L, B)
    out = torch.baddbmm(net[3], torch.baddbmm(net[1], s, net[0]).tanh(), net[2])
    return out[..., :2].log_softmax(-1), 10 * out[..., 2]


def loss(net: Net, s: Tensor, a: Tensor, log_old: Tensor, advantage: Tensor, to_go: Tensor, gain: Callable) -> Tensor:
    """What to descend, from moves (L, B) and the log-probabilities of the policy that made them: (L,)."""
    log_policy, value = actor_critic(net, s)
    ratio = (log_policy.gather(-1, a[..., None])[..., 0] - log_old).exp()  # policy(a | s) / old policy(a | s)
    return 0.005 * (value - to_go).square().mean(1) - gain(ratio, advantage).mean(1)


# %% its control


def unclipped(ratio: Tensor, advantage: Tensor) -> Tensor:
    return ratio * advantage


SETTINGS = {
    "one pass": (unclipped, 1, CHUNKS),
    "no clip": (unclipped, PASSES, CHUNKS),
    "PPO": (clipped, PASSES, CHUNKS),
}

# %% the experiment


def play(s: Tensor, a: Tensor) -> Tensor:
    """The state after a push to the left (0) or right (1): place, speed, angle, spin: (..., 4), (...)."""
    _, speed, angle, spin = s.unbind(-1)
    pull = (FORCE * (2.0 * a - 1) + POLE * HALF * spin**2 * angle.sin()) / (CART + POLE)
    turn = (GRAVITY * angle.sin() - angle.cos() * pull) / (HALF * (4 / 3 - POLE * angle.cos() ** 2 / (CART + POLE)))
    faster = pull - POLE * HALF * turn * angle.cos() / (CART + POLE)
    return s + TICK * torch.stack([speed, faster, spin, turn], -1)


def fallen(s: Tensor) -> Tensor:
    return (s[..., 0].abs() > LIMIT) | (s[..., 2].abs() > TILT)


def gae_gap(value: Tensor, after: Tensor, over: Tensor, cut: Tensor, blind: bool) -> float:
    """Estimates for given values (T,) against linear equations; trace 1: returns, less the values; f64."""
    value, after, ticks = value.double(), after.double(), torch.arange(len(value))
    over, cut = over | (ticks % 18 == 8), cut | (ticks % 9 == 8)  # ends at any stage of training
    reward, on = ticks.sin().double(), torch.diag(1.0 - cut[:-1].double(), 1)  # whether the next row is the same game
    gaps = []
    for trace in (0.0, TRACE, 1.0):
        # sum of k rewards, then the critic's word: it stands for the rest in a share 1 - trace, or where a game is cut
        known = reward + DISCOUNT * after * (1 - over.double()) * (1 - trace * on.sum(1))
        theirs = torch.linalg.solve(torch.eye(len(value)) - DISCOUNT * trace * on, known) - value
        ours = gae(reward, value, after, over, cut & ~torch.tensor(blind), trace)
        gaps.append(float((ours - theirs)[:-1].abs().max()))
    return max(gaps)


def loss_gap(net: Net, data: list[Tensor], gain: Callable) -> float:
    """Losses and gradients against Categorical, by cases: a move gains only inside of the clip, or towards it; f64."""
    net = [p.detach().cpu().double().requires_grad_() for p in net]
    s, a, log_old, advantage, to_go = (t.cpu().double() if t.is_floating_point() else t.cpu() for t in data)
    log_old = log_old + torch.arange(s.shape[1]).sin()  # odds on either side of the clip, at any stage of training
    hidden = torch.tanh(torch.einsum("lbi,lih->lbh", s, net[0]) + net[1])
    out = torch.einsum("lbh,lho->lbo", hidden, net[2]) + net[3]
    ratio = (Categorical(logits=out[..., :2]).log_prob(a) - log_old).exp()
    stopped = torch.where(advantage > 0, ratio > 1 + CLIP, ratio < 1 - CLIP)
    bound = 1 + CLIP * advantage.sign()
    error = 0.005 * (10 * out[..., 2] - to_go) ** 2
    theirs = (error - torch.where(stopped, bound, ratio) * advantage).mean(1)
    pairs = [(loss(net, s, a, log_old, advantage, to_go, gain), theirs)]
    pairs += zip(*(torch.autograd.grad(y.sum(), net, retain_graph=True) for y in pairs[0]), strict=True)
    return max(float((x - y).detach().abs().max()) for x, y in pairs)


def run(device="cpu", seed=0, steps=15):
    first, world, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    shapes = (4, HIDDEN, 0.5), (1, HIDDEN, 0.0), (HIDDEN, 3, 0.02), (1, 3, 0.0)
    start = [scale * torch.randn(LEARNERS, m, n, generator=first) for m, n, scale in shapes]
    nets = {name: [p.clone().to(device).requires_grad_() for p in start] for name in SETTINGS}
    optimizers = {name: torch.optim.Adam(net, RATES[name]) for name, net in nets.items()}
    s = (0.1 * torch.rand(LEARNERS, GAMES, 4, generator=world) - 0.05).to(device)
    now = {name: (s, torch.zeros_like(s[..., 0])) for name in SETTINGS}
    tests = (0.1 * torch.rand(LEARNERS, TESTS, 4, generator=unseen) - 0.05).to(device)
    drift = dict.fromkeys(SETTINGS, 0.0)
    for step in range(steps):
        chance = torch.rand(MOVES, LEARNERS, GAMES, generator=world).to(device)
        fresh = (0.1 * torch.rand(MOVES, LEARNERS, GAMES, 4, generator=world) - 0.05).to(device)
        order = [torch.rand(LEARNERS, MOVES * GAMES, generator=world).argsort(1).to(device) for _ in range(PASSES)]
        lengths = {}
        for name, (gain, passes, chunks) in SETTINGS.items():
            net, (s, age), moves = nets[name], now[name], []
            with torch.no_grad():
                for t in range(MOVES):
                    log_policy, value = actor_critic(net, s)
                    a = (chance[t] > log_policy[..., 0].exp()).long()
                    after, age = play(s, a), age + 1
                    over = fallen(after)
                    cut = over | (age >= LONGEST)
                    log_old = log_policy.gather(-1, a[..., None])[..., 0]
                    moves.append((s, a, log_old, value, actor_critic(net, after)[1], over, cut))
                    s, age = torch.where(cut[..., None], fresh[t], after), age * ~cut
            now[name] = s, age
            *acted, value, after, over, cut = (torch.stack(column) for column in zip(*moves, strict=True))
            advantage = gae(torch.ones_like(value), value, after, over, cut)
            to_go = advantage + value
            centered = advantage - advantage.mean((0, 2), keepdim=True)
            advantage = centered / centered.square().mean((0, 2), keepdim=True).sqrt()
            data = [t.transpose(0, 1).flatten(1, 2) for t in (*acted, advantage, to_go)]
            optimizers[name].param_groups[0]["lr"] = RATES[name] * (1 - step / steps)
            rows = torch.arange(LEARNERS, device=device)[:, None]
            for i in (part for whole in order[:passes] for part in whole.chunk(chunks, 1)):
                optimizers[name].zero_grad()
                loss(net, *(t[rows, i] for t in data), gain).sum().backward()
                optimizers[name].step()
            with torch.no_grad():
                log_policy = actor_critic(net, data[0])[0]
            change = log_policy.gather(-1, data[1][..., None])[..., 0] - data[2]
            drift[name] = max(drift[name], float((change.exp() - 1 - change).mean()))
            lengths[name] = cut.numel() / max(1, int(cut.sum()))
        yield (step + 1) / steps, lengths
    scores = {}
    for name, net in nets.items():
        s, up, score = (tests, torch.ones_like(tests[..., 0]), torch.zeros_like(tests[..., 0]))
        with torch.no_grad():
            for _ in range(LONGEST):
                s, score = play(s, actor_critic(net, s)[0].argmax(-1)), score + up
                up = up * ~fallen(s)
        scores[name] = float(score.mean())
    seen = [t[:27, 0, 0].cpu() for t in (value, after, over, cut)]  # of PPO, which comes last
    gaps = [gae_gap(*seen, blind) for blind in (False, True)]
    gaps += [loss_gap(nets["PPO"], [t[:, :200] for t in data], gain) for gain in (clipped, unclipped)]
    odds = torch.linspace(0.5, 1.5, 41)
    return {
        "ppo_moves": scores["PPO"],
        "clipped_moves": scores["PPO"],
        "one_pass_moves": scores["one pass"],
        "unclipped_moves": scores["no clip"],
        "ppo_kl": drift["PPO"],
        "unclipped_kl": drift["no clip"],
        "gae_gap": gaps[0],
        "blind_gae_gap": gaps[1],
        "loss_gap": gaps[2],
        "unclipped_loss_gap": gaps[3],
    }, {
        "what PPO maximizes: flat once the probability has moved enough, the right way": {
            "kind": "lines",
            "series": {
                f"advantage {sign}1": (odds.tolist(), clipped(odds, torch.tensor(float(f"{sign}1"))).tolist())
                for sign in "+-"
            },
            "x": "probability of the move, new over old",
            "y": "gain",
        }
    }


# %% what is claimed

TITLE = {"en": "PPO balances a pole", "zh": "PPO：让倒立摆站稳"}
CURVES = "moves for each game that ended"
CPU_SECONDS = 4
CLAIMS = {
    "trained ppo_moves >= 460 > one_pass_moves >= 200": {
        "en": "moves that the pole stays up, of 500, mean of 12 learners in fresh games; the control makes one pass "
        "over as many moves (much as A2C does)",
        "zh": "在新的对局中立杆保持不倒的步数（上限 500，12 个学习者的平均）；对照对同样多的数据只学一遍（类似 A2C）",
    },
    "trained clipped_moves >= 475 > unclipped_moves >= 300": {
        "en": "the same moves; the control makes eight passes as well, but without the clip",
        "zh": "同一步数；对照也学八遍，但不做截断",
    },
    "trained ppo_kl <= 0.03 < unclipped_kl": {
        "en": "KL divergence, by the moves, between the policy that made them and the one after eight passes, mean of "
        "the learners, largest of 15 rounds; the control does not clip",
        "zh": "采样策略与学八遍之后的策略之间的 KL 散度（按所采动作估计，学习者平均，15 轮中最大）；对照不做截断",
    },
    "parity gae_gap <= 1e-10 < blind_gae_gap": {
        "en": "advantages for λ = 0, 0.95 and 1 against λ-returns from linear equations, less the values (f64); the "
        "control sums on past the end of a game",
        "zh": "λ 为 0、0.95、1 的优势估计同“线性方程组解出的 λ 回报减去价值”的差距（f64）；对照越过对局结束继续求和",
    },
    "parity loss_gap <= 1e-10 < unclipped_loss_gap": {
        "en": "losses and gradients of the trained networks against torch.distributions and the rule that a move "
        "gains only inside of the clip, or towards it (f64); the control does not clip",
        "zh": "训练后网络的损失与梯度，同 torch.distributions 及“只在截断区内或朝它变化时才有收益”"
        "这一规则的差距（f64）；对照不做截断",
    },
}
ZH = {
    "moves for each game that ended": "平均每结束一局所走的步数",
    "one pass": "只学一遍",
    "no clip": "不截断",
    "what PPO maximizes: flat once the probability has moved enough, the right way": (
        "PPO 最大化的目标：概率朝应有的方向改变足够多之后变平"
    ),
    "advantage +1": "优势 +1",
    "advantage -1": "优势 -1",
    "probability of the move, new over old": "该动作的新旧概率之比",
    "gain": "目标值",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
