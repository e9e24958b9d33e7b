"""RNN — one small network reads any number of steps and keeps what it needs in its state; far back is hard to learn.

Counting: the net says after every bit whether the ones so far are even or odd. It trains on 12 bits and is asked on
200. Since every step is told its answer, no gradient need travel from step to step: the state before each is taken as
given (detached). A table of the last 8 bits, and a linear fit to the states of the untrained net, are the rivals.
Recalling: the net is asked once, at the end, for the first of some random numbers. Now the error has to travel back
through all steps (backpropagation through time). Over 5 it does; over 60 the same net, trained as long, comes a part
of the way: what it still missed ran, by the start, from 7 % of the variance to 99 %. No rate suited it clearly better
than 2e-2 (used); at 1e-2 and below it answers with the mean. The gradient k steps back is drawn before training, where
less is left the farther back, and after it.

Needs:  torch
Source: J. Elman, Finding Structure in Time, Cognitive Science 14(2), 1990 (the net); P. Werbos, Backpropagation
        Through Time: What It Does and How to Do It, Proceedings of the IEEE 78(10), 1990; Y. Bengio, P. Simard,
        P. Frasconi, Learning Long-Term Dependencies with Gradient Descent Is Difficult, 1994 (its limit)
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN, BATCH, TRAINED, ASKED, NEAR, FAR, WINDOW, RATE = 32, 32, 12, 200, 5, 60, 8, 2e-2

# %% the concept


class RNN(nn.Module):
    def __init__(self, d_in: int, d_hid: int, cut: bool = False) -> None:
        super().__init__()
        self.input, self.recurrent = nn.Linear(d_in, d_hid), nn.Linear(d_hid, d_hid, bias=False)
        self.cut = cut

    def forward(self, x: Tensor) -> Tensor:  # (B, T, d_in) -> (B, T, d_hid)
        h, states = x.new_zeros(len(x), self.recurrent.in_features), []
        for x_t in self.input(x).unbind(1):  # the same weights at every step
            past = h.detach() if self.cut else h  # truncated: what was is given, not learned
            h = (x_t + self.recurrent(past)).tanh()  # h_t = tanh(W_x x_t + b + W_h h_(t-1))
            states.append(h)
        return torch.stack(states, 1)


def through_time(rnn: RNN, x: Tensor, g: Tensor) -> list[Tensor]:
    """The gradients of W_x, b and W_h by hand, where g (B, T, d_hid) is the loss's gradient at each state."""
    h = rnn(x)
    before = torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], 1)  # h_(t-1)
    a, errors = torch.zeros_like(h[:, 0]), []
    for t in reversed(range(x.shape[1])):
        back = torch.zeros_like(a) if rnn.cut else a @ rnn.recurrent.weight  # what the step after sends
        a = (g[:, t] + back) * (1 - h[:, t] ** 2)  # dL/da_t = (dL/dh_t + W_h^T dL/da_(t+1)) * tanh'
        errors.append(a)
    e = torch.stack(errors[::-1], 1).flatten(0, 1)  # one weight at all steps: its gradient is the sum over them
    return [e.T @ x.flatten(0, 1), e.sum(0), e.T @ before.flatten(0, 1)]


# %% the experiment


def counting(n: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Bits as -1 or 1, and after each whether the ones so far are odd: (n, T, 1), (n, T)."""
    bits = torch.randint(2, (n, length), generator=generator)
    return (2.0 * bits - 1)[..., None], bits.cumsum(1) % 2


def recalling(n: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers of variance 1, and the first of them: (n, T, 1), (n,)."""
    x = (2 * torch.rand(n, length, 1, generator=generator) - 1) * 3**0.5
    return x, x[:, 0, 0]


def table_share(known: tuple[Tensor, Tensor], asked: tuple[Tensor, Tensor]) -> float:
    """Share of right answers in the second half, by the commonest after the same WINDOW bits."""
    places = [((x[..., 0].unfold(1, WINDOW, 1) > 0) * 2 ** torch.arange(WINDOW)).sum(-1) for x, _ in (known, asked)]
    answers = [y[:, WINDOW - 1 :] for _, y in (known, asked)]
    odd = torch.bincount(places[0].flatten(), 2.0 * answers[0].flatten() - 1, minlength=2**WINDOW)
    return ((odd > 0)[places[1]] == answers[1].bool())[:, -ASKED // 2 :].float().mean().item()


def untrained_share(cell: RNN, known: tuple[Tensor, Tensor], asked: tuple[Tensor, Tensor]) -> float:
    """The same share, by a linear fit to the states of a net that was not trained; f64."""
    with torch.no_grad():
        states, fresh = (F.pad(copy.deepcopy(cell).double()(x.double()), (0, 1), value=1.0) for x, _ in (known, asked))
    weights = torch.linalg.lstsq(states.flatten(0, 1), 2.0 * known[1].flatten()[:, None].double() - 1).solution
    return (((fresh @ weights)[..., 0] > 0) == asked[1].bool())[:, -ASKED // 2 :].float().mean().item()


def cell_gap(cell: RNN, x: Tensor, cut: bool) -> float:
    """Largest difference from nn.RNN of the same weights, in states and all gradients; f64."""
    cell, twin = copy.deepcopy(cell).cpu().double(), nn.RNN(1, HIDDEN, batch_first=True).double()
    cell.cut = cut
    own = [cell.input.weight, cell.recurrent.weight, cell.input.bias]
    for theirs, mine in zip(twin.parameters(), [*own, 0 * own[2]], strict=True):
        theirs.data = mine.detach().clone()
    found = []
    for net, leaves in ((cell, own), (lambda x: twin(x)[0], [*twin.parameters()][:3])):
        given = x.cpu().double().requires_grad_()
        states = net(given)
        weighted = (states * torch.linspace(-1, 1, HIDDEN, dtype=torch.float64)).sum()
        found.append([states.detach(), *torch.autograd.grad(weighted, [given, *leaves])])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def hand_gap(cell: RNN, x: Tensor, g: Tensor, cut: tuple[bool, bool]) -> float:
    """Largest difference of the gradients by hand from autograd's, where each is cut between the steps or not; f64."""
    cell, x = copy.deepcopy(cell).cpu().double(), x.cpu().double()
    cell.cut = cut[0]
    exact = torch.autograd.grad((cell(x) * g).sum(), [*cell.parameters()])
    cell.cut = cut[1]
    with torch.no_grad():
        hand = through_time(cell, x, g)
    return max((a - b).abs().max().item() for a, b in zip(exact, hand, strict=True))


def reach(cell: nn.Module, x: Tensor) -> list[float]:
    """Mean |gradient| of a read-out of the last state, at the input k steps back, relative to k = 0: T values; f64."""
    x = x.cpu().double().requires_grad_()
    last = copy.deepcopy(cell).cpu().double()(x)[:, -1]
    (g,) = torch.autograd.grad(last @ torch.linspace(-1, 1, last.shape[1], dtype=torch.float64), x, torch.ones(len(x)))
    norms = g.norm(dim=-1).mean(0).flip(0)
    return (norms / norms[0]).tolist()


def run(device="cpu", seed=0, steps=350):
    tasks = {"count, told at each step": (counting, TRAINED)}
    tasks |= {f"recall the number {k} steps back": (recalling, k + 1) for k in (NEAR, FAR)}
    count, near, far = tasks
    errors = {count: F.binary_cross_entropy_with_logits, near: F.mse_loss, far: F.mse_loss}
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    cells, heads, optimizers = {}, {}, {}
    for name in tasks:
        torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
        cells[name], heads[name] = RNN(1, HIDDEN, cut=name == count).to(device), nn.Linear(HIDDEN, 1).to(device)
        optimizers[name] = torch.optim.Adam([*cells[name].parameters(), *heads[name].parameters()])
    untrained = copy.deepcopy(cells[far]).cpu()  # all three start alike

    def answer(name: str, x: Tensor) -> Tensor:
        states = cells[name](x)
        return heads[name](states if name == count else states[:, -1])[..., 0]

    for step in range(steps):
        losses = {}
        for name, (task, length) in tasks.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            x, y = (t.to(device) for t in task(BATCH, length, data))
            loss = errors[name](answer(name, x), y.float())
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(cells[name].parameters(), 1.0)
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    known, asked = counting(500, ASKED, data), counting(200, ASKED, unseen)
    with torch.no_grad():
        right = (answer(count, asked[0].to(device)) > 0).cpu() == asked[1].bool()
        fresh = {name: [t.to(device) for t in recalling(1000, tasks[name][1], unseen)] for name in (near, far)}
        recalled = {name: F.mse_loss(answer(name, x), y).item() for name, (x, y) in fresh.items()}
        states = cells[count](asked[0][:4].to(device)).cpu().double()[:, -ASKED // 2 :].flatten(0, 1)
    table, linear = table_share(known, asked), untrained_share(untrained, known, asked)
    centred = states - states.mean(0)
    plane = centred @ torch.linalg.svd(centred, full_matrices=False)[2][:2].T
    odd = asked[1][:4, -ASKED // 2 :].flatten().bool()
    g = torch.randn(8, NEAR + 1, HIDDEN, generator=unseen, dtype=torch.float64)
    x, distant = counting(8, NEAR + 1, unseen)[0], recalling(200, FAR + 1, unseen)[0]
    return {
        "count_share": right[:, -ASKED // 2 :].float().mean().item(),
        "table_share": table,
        "untrained_share": linear,
        "control_share": max(table, linear),
        "near_error": recalled[near],
        "far_error": recalled[far],
        "cell_gap": cell_gap(cells[near], x, cut=False),
        "cut_cell_gap": cell_gap(cells[near], x, cut=True),
        "bptt_gap": max(hand_gap(cells[near], x, g, (cut, cut)) for cut in (False, True)),
        "truncated_gap": hand_gap(cells[near], x, g, (False, True)),
    }, {
        "the hidden state at steps 101 to 200, along its two main directions": {
            "kind": "scatter",
            "series": {
                "ones so far: even": plane[~odd].T.tolist(),
                "ones so far: odd": plane[odd].T.tolist(),
            },
            "x": "first direction",
            "y": "second direction",
        },
        COMMON: {
            "kind": "lines",
            "series": {
                "RNN": (list(range(FAR + 1)), reach(cells[far], distant)),
                "RNN, untrained": (list(range(FAR + 1)), reach(untrained, distant)),
            },
            "x": "steps back",
            "y": "gradient, relative to the last step",
            "log": "y",
        },
    }


# %% what is claimed

TITLE = {
    "en": "RNN counts on and on, yet hardly learns what is far back",
    "zh": "RNN 能一直数下去，却很难学会久远的事",
}
CURVES = "loss"
COMMON = "gradient from k steps back"
CPU_SECONDS = 2
CLAIMS = {
    "trained count_share >= 0.98 > control_share >= 0.48": {
        "en": "right answers at steps 101 to 200, after training on 12; control: the commonest answer after the last "
        "8 bits, or a linear fit to the states of the untrained net, whichever is better",
        "zh": "只在 12 步上训练、第 101 至 200 步答对的比例；对照：最近 8 位之后最常见的答案，或对未训练网络"
        "状态的线性拟合，取较好者",
    },
    "trained near_error <= 0.004 < far_error <= 1.15": {
        "en": "squared error of the number 5 steps back, where guessing the mean costs 1; control: the same net "
        "trained as long, at a rate that suits it, for the number 60 steps back",
        "zh": "回忆 5 步之前的数的均方误差（只猜均值为 1）；对照：同一网络以适合它的学习率"
        "训练同样久，回忆 60 步之前的数",
    },
    "parity cell_gap <= 1e-10 < cut_cell_gap": {
        "en": "largest gap to torch.nn.RNN in states and gradients (f64); the control passes no gradient between steps",
        "zh": "状态与梯度同 torch.nn.RNN 的最大差距（f64）；对照不在各步之间传梯度",
    },
    "parity bptt_gap <= 1e-10 < truncated_gap": {
        "en": "largest gap of the weights' gradients by hand to autograd's, whole and truncated to one step (f64); "
        "control: the truncated against the whole",
        "zh": "手写的权重梯度与 autograd 的最大差距，完整的与截断到一步的都算（f64）；对照：截断的与完整的相比",
    },
}
ZH = {
    "loss": "损失",
    "count, told at each step": "计数，每步告知答案",
    "recall the number 5 steps back": "回忆 5 步之前的数",
    "recall the number 60 steps back": "回忆 60 步之前的数",
    "the hidden state at steps 101 to 200, along its two main directions": "第 101 至 200 步的隐状态（沿两个主方向）",
    "ones so far: even": "到此有偶数个 1",
    "ones so far: odd": "到此有奇数个 1",
    "first direction": "第一主方向",
    "second direction": "第二主方向",
    "gradient from k steps back": "k 步之前的梯度",
    "steps back": "往回的步数",
    "RNN, untrained": "RNN（未训练）",
    "gradient, relative to the last step": "梯度（与最后一步之比）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
