"""AlphaZero — a network guides a tree search and learns from what it finds: tic-tac-toe, from self-play alone.

The network sees the board and gives each move a probability and the position a value, from -1 (lost) to 1 (won). A
search of 20 simulations tries what is likely or has proved good, and chooses better than the network alone. The search
plays 96 games a round against itself, from openings at random; the network learns which moves the search preferred and
who won. Minimax, which follows every line to its end, knows the truth. Asked are 500 positions where moves differ in
value: how often is the chosen move a best one? The control is the same search before training. The network is asked
alone too, before and after; its values are judged in all 4520 unfinished positions.

Needs:  torch
Source: D. Silver et al., A General Reinforcement Learning Algorithm That Masters Chess, Shogi, and Go through
        Self-Play, Science 362, 2018; L. Kocsis, C. Szepesvári, Bandit Based Monte-Carlo Planning, ECML 2006
"""

import copy
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIMULATIONS, GAMES, BATCH, UPDATES, HIDDEN, RATE, EXPLORE, ASKED = 20, 96, 256, 60, 96, 5e-3, 1.5, 500
OPENING, WINDOW = 5, 4  # games begin after 0 to 4 random moves; rounds that are remembered
LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))

# %% the concept


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(18, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))

    def forward(
        self, board: Tensor
    ) -> tuple[Tensor, Tensor]:  # (B, 9) of 1 own, -1 theirs -> logits (B, 9), value (B,)
        out = self.net(torch.cat([board > 0, board < 0], -1).to(self.net[0].weight.dtype))
        return out[:, :9].masked_fill(board != 0, -torch.inf), out[:, 9].tanh()


def loss(net: Net, board: Tensor, preferred: Tensor, result: Tensor) -> Tensor:
    logits, value = net(board)
    # (z - v)^2 - pi . log p
    return (result - value).square() - (preferred * logits.log_softmax(-1).clamp(min=-1e9)).sum(-1)


Game = tuple[Tensor, ...]  # by position: boards (S, 9), where moves lead (S, 9), whether it is over, and its result


def search(game: Game, prior: Tensor, value: Tensor, root: Tensor, simulations: int) -> tuple[Tensor, ...]:
    """Trees over B positions, from priors (S, 9) and values (S,): positions, children, visits, summed values."""
    _, leads, over, result = game
    rows, n = torch.arange(len(root), device=root.device), len(root)
    at = root[:, None].repeat(1, simulations + 1)  # the position of each node: (B, nodes)
    child = torch.full((n, simulations + 1, 9), -1, device=root.device)
    visits, total = (torch.zeros(n, simulations + 1, 9, device=root.device) for _ in range(2))
    for new in range(1, simulations + 1):
        node, path, on = torch.zeros_like(root), [], ~over[root]
        for _ in range(9):
            s, seen = at[rows, node], visits[rows, node]
            mean = total[rows, node] / seen.clamp(min=1)
            # argmax_a Q(s, a) + c P(s, a) sqrt(1 + N(s)) / (1 + N(s, a)): what is good, or likely and little tried
            score = mean + EXPLORE * prior[s] * (1 + seen.sum(-1, keepdim=True)).sqrt() / (1 + seen)
            a = score.masked_fill(leads[s] < 0, -torch.inf).argmax(-1)
            path.append((node, a, on))
            after = child[rows, node, a]
            fresh = on & (after < 0)
            child[rows, node, a] = torch.where(fresh, new, after)
            at[:, new] = torch.where(fresh, leads[s, a], at[:, new])
            node = torch.where(on, child[rows, node, a], node)
            on = on & ~fresh & ~over[at[rows, node]]
            if not on.any():
                break
        s = at[rows, node]
        worth = torch.where(over[s], result[s], value[s])  # for the player to move there
        back = torch.stack([on for _, _, on in path]).sum(0)  # moves from the root
        for depth, (node, a, on) in enumerate(path):
            sign = 1.0 - 2 * ((back - depth) % 2)  # what is good for one player is bad for the other
            visits[rows, node, a] += on.float()
            total[rows, node, a] += on * sign * worth
    return at, child, visits, total


# %% its control


def evaluate(net: Net, boards: Tensor) -> tuple[Tensor, Tensor]:  # no search: the network's word alone
    with torch.no_grad():
        logits, value = net(boards)
    return logits.softmax(-1).nan_to_num(), value


# %% the experiment


@cache
def positions() -> Game:
    """All that play can reach, from the view of the player to move; -1 where no move leads."""
    index, queue, leads = {(0,) * 9: 0}, [(0,) * 9], []
    ended = []
    for board in queue:
        lost = any(all(board[i] == -1 for i in line) for line in LINES)
        ended.append((lost or 0 not in board, -1.0 * lost))
        row = []
        for i in range(9):
            if board[i] or lost:
                row.append(-1)
                continue
            after = tuple(-x for x in (*board[:i], 1, *board[i + 1 :]))
            if after not in index:
                index[after] = len(queue)
                queue.append(after)
            row.append(index[after])
        leads.append(row)
    over, result = zip(*ended, strict=True)
    return torch.tensor(queue), torch.tensor(leads), torch.tensor(over), torch.tensor(result)


@cache
def minimax() -> tuple[Tensor, Tensor]:
    """Each position's value, and each move's: (S,), (S, 9)."""
    boards, leads, over, result = positions()
    value = result.clone()
    for stones in range(8, -1, -1):
        moves = torch.where(leads < 0, -9.0, -value[leads])
        here = (boards != 0).sum(1) == stones
        value = torch.where(here & ~over, moves.amax(1), value)
    return value, torch.where(leads < 0, -9.0, -value[leads])


def self_play(game: Game, net: Net, chance: Tensor, opening: Tensor) -> tuple[Tensor, ...]:
    """Games of the search against itself: positions, the search's preferences, results for the player to move."""
    _, leads, over, result = game
    prior, value = evaluate(net, game[0])
    s, history = torch.zeros_like(opening), []
    for move in range(9):
        visits = search(game, prior, value, s, SIMULATIONS)[2][:, 0]
        preferred = visits / visits.sum(1, keepdim=True).clamp(min=1)
        legal = (leads[s] >= 0).float()
        odds = torch.where((move < opening)[:, None], legal / legal.sum(1, keepdim=True).clamp(min=1), preferred)
        a, on = (odds.cumsum(1) < chance[move][:, None] * 0.9999).sum(1).clamp(max=8), ~over[s]
        history.append((s, preferred, on, on & (move >= opening)))
        s = torch.where(on, leads[s, a], s)
    left, found = torch.zeros_like(result[s]), []
    for position, preferred, on, counts in reversed(history):
        left = left + on.float()
        found.append((position[counts], preferred[counts], (result[s] * (1 - 2 * (left % 2)))[counts]))
    return tuple(torch.cat(column) for column in zip(*found, strict=True))


def seats_gap(prior: Tensor, blind: bool) -> float:
    """Where every position counts 0, visits of the first moves are d'Hondt's seats for the prior: largest gap."""
    game, n = positions(), 24
    value, one = torch.zeros(len(game[0])), prior.cpu() if not blind else (game[1] >= 0) / 9
    visits = search((*game[:3], value), one.float(), value, torch.tensor([0]), n)[2][0, 0]
    quotients = prior[0].cpu()[:, None] / torch.arange(1, n + 1)
    seats = torch.bincount(quotients.flatten().topk(n).indices // n, minlength=9)
    return float((visits - seats).abs().max())


def backup_gap(game: Game, prior: Tensor, value: Tensor, root: Tensor, flat: bool) -> float:
    """What a search summed, against sums over the nodes below, from the leaves up; `flat` forgets whose turn it is."""
    at, child, visits, total = (t.cpu() for t in search(game, prior, value, root, 60))
    (_, _, over, result), value, sign = (t.cpu() for t in game), value.cpu(), 1 if flat else -1
    worst, counted, summed = 0.0, torch.zeros(at.shape), torch.zeros(at.shape)
    rows, first = torch.arange(len(at)), torch.where(over[at], result[at], value[at])
    for node in reversed(range(1, at.shape[1])):  # a child comes after its parent
        where = (child == node).flatten(1)
        here, edge = where.any(1), where.float().argmax(1)
        parent, a = edge // 9, edge % 9
        times = visits[rows, parent, a]
        end = over[at[:, node]]
        own = torch.where(end, times * first[:, node], first[:, node] + sign * summed[:, node])
        tally = torch.where(end, times, 1 + counted[:, node])
        worst = max(worst, float(((sign * own - total[rows, parent, a]).abs() + (tally - times).abs())[here].sum()))
        summed[rows, parent] += torch.where(here, own, 0)
        counted[rows, parent] += torch.where(here, times, 0)
    return worst


def loss_gap(net: Net, boards: Tensor, preferred: Tensor, result: Tensor, blind: bool) -> float:
    """The loss and its gradients against F.cross_entropy and F.mse_loss; f64; `blind` leaves the results out."""
    twin = copy.deepcopy(net).cpu().double()
    boards, preferred, result = boards.cpu(), preferred.cpu().double(), result.cpu().double()
    first, second = twin.net[0], twin.net[2]
    hidden = F.relu(F.linear(torch.stack([boards == 1, boards == -1], 1).flatten(1).double(), first.weight, first.bias))
    out = F.linear(hidden, second.weight, second.bias)
    logits = torch.where(boards == 0, out[:, :9], -1e9)
    theirs = F.cross_entropy(logits, preferred) + F.mse_loss(out[:, 9].tanh(), result * (not blind))
    pairs = [(loss(twin, boards, preferred, result).mean(), theirs)]
    pairs += zip(*(torch.autograd.grad(y, [*twin.parameters()]) for y in pairs[0]), strict=True)
    return max(float((x - y).detach().abs().max()) for x, y in pairs)


def run(device="cpu", seed=0, steps=12):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    game = tuple(t.to(device) for t in positions())
    truth, worth = minimax()
    best = worth == truth[:, None]
    matters = (best.sum(1) < (positions()[1] >= 0).sum(1)).nonzero()[:, 0]
    asked = matters[torch.randperm(len(matters), generator=unseen)[:ASKED]]
    net = Net().to(device)
    optimizer = torch.optim.Adam(net.parameters(), RATE)

    def shares() -> tuple[float, float]:  # of moves that keep the value: the network alone, and with the search
        prior, value = evaluate(net, game[0])
        visits = search(game, prior, value, asked.to(device), SIMULATIONS)[2][:, 0]
        chosen = [t.argmax(1).cpu() for t in (prior[asked.to(device)], visits)]
        return tuple(best[asked, a].float().mean().item() for a in chosen)

    before, memory = shares(), []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        opening = torch.randint(OPENING, (GAMES,), generator=data).to(device)
        chance = torch.rand(9, GAMES, generator=data).to(device)
        memory = [*memory, self_play(game, net, chance, opening)][-WINDOW:]
        s, preferred, result = (torch.cat(column) for column in zip(*memory, strict=True))
        for _ in range(UPDATES):
            i = (torch.rand(BATCH, generator=data) * len(s)).long().to(device)
            optimizer.zero_grad()
            loss(net, game[0][s[i]], preferred[i], result[i]).mean().backward()
            optimizer.step()
        after = shares()
        yield (step + 1) / steps, {"network alone": after[0], "with search": after[1]}
    prior, value = evaluate(net, game[0])
    checked = game[0][s[:200]], preferred[:200], result[:200]
    middle = asked[:20].to(device)
    board = torch.tensor([1, 1, 0, -1, -1, 0, 0, 0, 0])  # two in a row each: to win, or to block
    here = int((positions()[0] == board).all(1).nonzero()[0])
    at = torch.tensor([here], device=device)
    visits = search(game, prior, value, at, SIMULATIONS)[2][0, 0].cpu()
    kept = [f"{value:.0f}" if value > -9 else "" for value in worth[here].tolist()]
    marks = ["X" if x > 0 else "O" if x < 0 else "" for x in board.tolist()]
    gaps = [seats_gap(prior, blind) for blind in (False, True)]
    gaps += [backup_gap(game, prior, value, middle, flat) for flat in (False, True)]
    gaps += [loss_gap(net, *checked, blind) for blind in (False, True)]
    unfinished = ~positions()[2]
    errors = [(said - truth)[unfinished].square().mean() for said in (value.cpu(), truth[unfinished].mean())]
    return {
        "guided_share": after[1],
        "untrained_share": before[1],
        "net_share": after[0],
        "untrained_net_share": before[0],
        "value_error": float(errors[0]),
        "mean_error": float(errors[1]),
        "seats_gap": gaps[0],
        "blind_seats_gap": gaps[1],
        "backup_gap": gaps[2],
        "flat_gap": gaps[3],
        "loss_gap": gaps[4],
        "blind_loss_gap": gaps[5],
    }, {
        "X is to move: what the network, the search and minimax think of each square": {
            "kind": "table",
            "columns": ["square", "on it", "network, in %", "visits of the search", "value by minimax"],
            "rows": [
                [str(i + 1), marks[i], f"{100 * float(prior[here, i]):.0f}", f"{int(visits[i])}", kept[i]]
                for i in range(9)
            ],
        }
    }


# %% what is claimed

TITLE = {"en": "AlphaZero learns tic-tac-toe by self-play", "zh": "AlphaZero：靠自我博弈学下井字棋"}
CURVES = "share of moves that keep the value"
CPU_SECONDS = 3
CLAIMS = {
    "trained guided_share >= 0.93 > untrained_share >= 0.8": {
        "en": "share of 500 positions, where moves differ in value, in which the move chosen by network and search "
        "keeps the value of minimax; the control is the same search before training",
        "zh": "在 500 个各步好坏不一的局面中，网络加搜索所选的一步保住极小化极大值的比例；对照是训练前的同样搜索",
    },
    "trained untrained_share >= 0.82 > untrained_net_share": {
        "en": "the same share for a search with the untrained network; the control is that network with no search",
        "zh": "未训练的网络配合搜索的同一比例；对照是该网络不搜索",
    },
    "trained net_share >= 0.85 > untrained_net_share": {
        "en": "the same share for the network alone, after self-play; the control is the network before",
        "zh": "自我博弈之后单凭网络的同一比例；对照是训练前的网络",
    },
    "trained value_error <= 0.45 < mean_error <= 0.6": {
        "en": "mean squared error of the network's value after self-play, against minimax in all unfinished positions; "
        "the control is the best constant, their mean",
        "zh": "自我博弈之后网络的价值在所有未终局局面上同极小化极大值的均方误差；对照是最好的常数，即平均值",
    },
    "parity seats_gap <= 0 < blind_seats_gap": {
        "en": "visits of the first moves, where every position counts 0, against d'Hondt's seats for the network's "
        "probabilities; the control searches without them",
        "zh": "所有局面都计 0 分时首步的访问次数，同按网络概率以洪德（d'Hondt）法分配的席位之差；对照不用这些概率",
    },
    "parity backup_gap <= 1e-4 < flat_gap": {
        "en": "what a search of 60 simulations counted and summed against sums over the tree, from the leaves up; the "
        "control forgets whose turn it is",
        "zh": "60 次模拟的计数与累计值，同自叶子向上对整棵树求和的差距；对照不区分轮到谁走",
    },
    "parity loss_gap <= 1e-10 < blind_loss_gap": {
        "en": "loss and gradients against F.cross_entropy and F.mse_loss (f64); the control does not know the results",
        "zh": "损失与梯度同 F.cross_entropy 与 F.mse_loss 的差距（f64）；对照不知道胜负",
    },
}
ZH = {
    "share of moves that keep the value": "保住局面价值的比例",
    "network alone": "单凭网络",
    "with search": "网络加搜索",
    "X is to move: what the network, the search and minimax think of each square": (
        "轮到 X：网络、搜索与极小化极大对各格的看法"
    ),
    "square": "格",
    "on it": "棋子",
    "network, in %": "网络（%）",
    "visits of the search": "搜索的访问次数",
    "value by minimax": "极小化极大值",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
