"""DQN — with a replay buffer and a target network, Q-learning with neural networks plays Catch from pixels.

A ball falls straight down, five rows in all; a paddle moves left, stays, or moves right. A catch earns 1, a miss costs
1, every ball can be caught, and the game goes on for ever, later rewards discounted by 0.99. A network sees the screen
as 25 pixels and says what each move is worth. It learns from a random batch of all moves so far (replay): a move is
worth its reward and what an older copy of the network, the target network, says of the best move after it. Sixteen
networks a setting make as many moves and updates; which balls their best moves catch then is computed exactly, over
every start. One control learns from its latest 32 moves alone, another takes its targets from the network that it
changes, each at the best of the rates that were tried. On pure noise the largest of three estimates is too high on
average; that of Double DQN, where one network chooses and the other judges, is not.

Needs:  torch
Source: V. Mnih et al., Human-level control through deep reinforcement learning, Nature 518, 2015 (replay, target
        network); H. van Hasselt, A. Guez, D. Silver, Deep Reinforcement Learning with Double Q-learning, AAAI 2016
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROWS, WIDE, DISCOUNT, CURIOUS = 5, 5, 0.99, 0.1
LEARNERS, GAMES, BATCH, HIDDEN, SYNC = 16, 4, 32, 64, 40
RATES = {"DQN": 1e-2, "no replay": 5e-3, "no target network": 2e-3}

# %% the concept

Net = list[Tensor]  # L networks side by side: (L, in, hidden), (L, 1, hidden), (L, hidden, A), (L, 1, A)


def q_values(net: Net, pixels: Tensor) -> Tensor:  # (L, B, in) -> (L, B, A)
    return torch.baddbmm(net[3], torch.baddbmm(net[1], pixels, net[0]).relu(), net[2])


def target(reward: Tensor, frozen: Tensor, online: Tensor | None = None) -> Tensor:
    """What to learn, from the target network's values of the state after (L, B, A); `online` makes it Double DQN."""
    best = (frozen if online is None else online).argmax(-1, keepdim=True)
    # y = r + discount * max_a Q_frozen(s', a); Double DQN: Q_frozen(s', argmax_a Q(s', a))
    return reward + DISCOUNT * frozen.gather(-1, best)[..., 0]  # (L, B)


def td_loss(
    net: Net, frozen: Net, pixels: Tensor, a: Tensor, reward: Tensor, after: Tensor, double: bool = False
) -> Tensor:
    with torch.no_grad():  # targets are data: no gradient flows into them
        y = target(reward, q_values(frozen, after), q_values(net, after) if double else None)
    said = q_values(net, pixels).gather(-1, a[..., None])[..., 0]  # of the move that was made
    return (said - y).square().mean(1)  # (L,)


def replay(moves: int, chance: Tensor) -> Tensor:  # any move so far, each as likely: (L, B) of 0..moves-1
    return (chance * moves).long()


# %% its control


def latest(moves: int, chance: Tensor) -> Tensor:
    return torch.arange(moves - BATCH, moves, device=chance.device).expand_as(chance)


# %% the experiment


def catch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The game by state: pixels (S, in), where each move leads (S, A), its reward, and which states land: (S,)."""
    row, ball, paddle = (torch.arange(n) for n in (ROWS - 1, WIDE, WIDE))
    row, ball, paddle = (t.flatten() for t in torch.meshgrid(row, ball, paddle, indexing="ij"))
    pixels = torch.cat([F.one_hot(row * WIDE + ball), F.one_hot(paddle, WIDE)], -1).float()
    moved = (paddle[:, None] + torch.arange(-1, 2)).clamp(0, WIDE - 1)
    lands = row == ROWS - 2
    after = torch.where(lands, 0, (row + 1) * WIDE**2 + ball * WIDE)[:, None] + moved  # a landing: the ball is to come
    return pixels, after, ((moved == ball[:, None]) * 2.0 - 1) * lands[:, None], lands


def caught(table: Tensor) -> Tensor:
    """Share of the balls that the greedy policy catches, over every start: (L, S, A) -> (L,)."""
    _, after, reward, _ = (t.to(table.device) for t in catch())
    s, best = torch.arange(WIDE**2, device=table.device), table.argmax(-1)  # (L, S)
    for _ in range(ROWS - 1):
        a = best.gather(1, s.expand(len(best), -1))
        got, s = reward[s, a], after[s, a]
    return (got > 0).float().mean(1)


def gap_to_torch(net: Net, frozen: Net, batch: tuple[Tensor, ...], shared: bool = False) -> float:
    """Losses and gradients, plain and double, against nn.Linear and F.mse_loss; f64; `shared` drops the frozen net."""
    net, frozen = ([p.detach().cpu().double().requires_grad_() for p in of] for of in (net, frozen))
    pixels, a, reward, after = (t.cpu().double() if t.is_floating_point() else t.cpu() for t in batch)
    gaps = []
    for double in (False, True):
        losses = td_loss(net, net if shared else frozen, pixels, a, reward, after, double)
        ours = torch.autograd.grad(losses.sum(), [*net, *frozen], materialize_grads=True, allow_unused=True)
        for i in range(len(pixels)):
            twins = [nn.Sequential(nn.Linear(*net[0].shape[1:]), nn.ReLU(), nn.Linear(HIDDEN, 3)) for _ in range(2)]
            for twin, of in zip(twins, (net, frozen), strict=True):
                for theirs, mine in zip(twin.double().parameters(), of, strict=True):
                    theirs.data = mine[i].detach().mT.reshape(theirs.shape)
            online, old = (twin(after[i]).detach() for twin in twins)
            follow = torch.eye(3).double()[online.argmax(1)] * old
            y = reward[i] + DISCOUNT * (follow.sum(1) if double else old.max(1).values)
            loss = F.mse_loss(twins[0](pixels[i])[torch.arange(BATCH), a[i]], y)
            theirs = [g.view(g.shape[0], -1).mT.flatten() for g in torch.autograd.grad(loss, [*twins[0].parameters()])]
            gaps.append((losses[i] - loss).detach().abs())
            gaps += [(x[i].flatten() - g).abs().max() for x, g in zip(ours, theirs, strict=False)]
        gaps += [g.abs().max() for g in ours[len(net) :]]  # none into the target network
    return float(torch.stack(gaps).max())


def run(device="cpu", seed=0, steps=500):
    first, world, draws = (torch.Generator().manual_seed(3 * seed + k) for k in range(3))
    pixels, leads, pays, lands = (t.to(device) for t in catch())
    sizes, bounds = ((pixels.shape[1], HIDDEN), (1, HIDDEN), (HIDDEN, 3), (1, 3)), (pixels.shape[1], 1, HIDDEN, 1)
    start = [torch.rand(LEARNERS, *s, generator=first) * 2 - 1 for s in sizes]
    start = [p / math.sqrt(n) * (p.shape[1] > 1) for p, n in zip(start, bounds, strict=True)]
    nets = {name: [p.clone().to(device).requires_grad_() for p in start] for name in RATES}
    frozen = {name: [p.detach().clone() for p in net] for name, net in nets.items()}
    frozen["no target network"] = nets["no target network"]
    optimizers = {name: torch.optim.Adam(net, RATES[name]) for name, net in nets.items()}
    every, rows = pixels.expand(LEARNERS, -1, -1), torch.arange(LEARNERS, device=device)[:, None]
    s = torch.randint(len(leads), (LEARNERS, GAMES), generator=world).to(device)
    now, memory = dict.fromkeys(RATES, s), {name: [torch.zeros_like(s[:, :0])] * 4 for name in RATES}
    shares, batch = dict.fromkeys(RATES, 0.0), (pixels,) * 4
    for step in range(-BATCH // GAMES, steps):
        whim = torch.rand(3, LEARNERS, GAMES, generator=world).to(device)
        chance = torch.rand(LEARNERS, BATCH, generator=draws).to(device)
        for name, net in nets.items():
            s = now[name]
            with torch.no_grad():
                a = q_values(net, pixels[s]).argmax(-1)
            a = torch.where(whim[0] < max(CURIOUS, 1 - 2 * step / steps), (whim[1] * 3).long(), a)
            after = leads[s, a] + (whim[2] * WIDE).long() * WIDE * lands[s]  # a new ball anywhere in the top row
            seen = (s, a, pays[s, a], after)
            memory[name] = [torch.cat(pair, 1) for pair in zip(memory[name], seen, strict=True)]
            now[name] = after
            if step < 0:  # a batch of moves before the first update
                continue
            i = (latest if name == "no replay" else replay)(memory[name][0].shape[1], chance)
            s, a, reward, after = (t[rows, i] for t in memory[name])
            batch = pixels[s], a, reward, pixels[after]
            optimizers[name].zero_grad()
            td_loss(net, frozen[name], *batch).sum().backward()
            optimizers[name].step()
            if name != "no target network" and (step + 1) % SYNC == 0:
                frozen[name] = [p.detach().clone() for p in net]
        if step >= 0 and ((step + 1) % (steps // 25 or 1) == 0 or step == steps - 1):
            tables = {name: q_values(net, every).detach() for name, net in nets.items()}
            shares = {name: float(caught(table).mean()) for name, table in tables.items()}
            yield (step + 1) / steps, shares
    gaps = [gap_to_torch(nets["DQN"], frozen["DQN"], batch, shared) for shared in (False, True)]
    noise = torch.randn(2, 1, 200_000, 3, generator=draws)  # two networks' errors where each move is worth 0
    biases = [float(target(torch.zeros(()), noise[0], online).mean()) for online in (None, noise[1])]
    table = tables["DQN"].mean(0)[2 * WIDE**2 : 3 * WIDE**2].cpu()
    columns = [str(i + 1) for i in range(WIDE)]
    return {
        "dqn_share": shares["DQN"],
        "targeted_share": shares["DQN"],
        "no_replay_share": shares["no replay"],
        "no_target_share": shares["no target network"],
        "double_bias": abs(biases[1]),
        "plain_bias": biases[0],
        "loss_gap": gaps[0],
        "shared_gap": gaps[1],
    }, {
        "worth of right less that of left by DQN, in % of a catch; ball in row 3 of 5": {
            "kind": "heatmap",
            "values": (100 * (table[:, 2] - table[:, 0])).view(WIDE, WIDE).T.round().tolist(),
            "rows": columns,
            "columns": columns,
            "x": "column of the ball",
            "y": "column of the paddle",
        }
    }


# %% what is claimed

TITLE = {"en": "DQN plays Catch from pixels", "zh": "DQN：看像素玩接球"}
CURVES = "share of balls caught"
CPU_SECONDS = 2
CLAIMS = {
    "trained dqn_share >= 0.94 > no_replay_share >= 0.65": {
        "en": "share of balls caught by the greedy policy, exact, mean of 16 networks; the control has a target "
        "network but learns from its latest 32 moves",
        "zh": "贪心策略接住球的比例（精确值，16 个网络的平均）；对照有目标网络，但只用最近 32 步学习",
    },
    "trained targeted_share >= 0.94 > no_target_share >= 0.65": {
        "en": "the same share; the control replays as well, but takes its targets from the network that it changes",
        "zh": "同一比例；对照也做经验回放，但目标取自正在更新的网络",
    },
    "parity double_bias <= 0.01 < plain_bias": {
        "en": "mean target of Double DQN where three moves are worth 0 and two networks err independently by N(0, 1); "
        "control: the plain maximum",
        "zh": "三个动作价值都为 0、两个网络的误差独立服从 N(0, 1) 时，双重 DQN 目标的平均偏差；对照：直接取最大值",
    },
    "parity loss_gap <= 1e-10 < shared_gap": {
        "en": "losses and gradients, plain and double, against nn.Linear and F.mse_loss (f64); the control has no "
        "target network",
        "zh": "普通与双重 DQN 的损失和梯度，同 nn.Linear 与 F.mse_loss 的差距（f64）；对照没有目标网络",
    },
}
ZH = {
    "share of balls caught": "接住球的比例",
    "no replay": "无回放",
    "no target network": "无目标网络",
    "worth of right less that of left by DQN, in % of a catch; ball in row 3 of 5": (
        "DQN 眼中向右比向左的价值高多少（接住一球为 100）；球在五行中的第 3 行"
    ),
    "column of the ball": "球所在列",
    "column of the paddle": "挡板所在列",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
