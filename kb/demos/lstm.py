"""LSTM — a gated cell state carries two numbers to the end of 60 steps; a plain RNN loses them.

Each sequence holds 60 random numbers, one marked in either half; the answer is the sum of the two. Guessing
the mean costs an error of 1/6. Both networks see the same data for the same number of steps, each at its own
learning rate; no rate from 1e-3 to 2e-2 took the RNN clearly below guessing.

Needs:  torch
Source: S. Hochreiter, J. Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), 1997 (adding problem);
        F. Gers et al., Learning to Forget, Neural Computation 12(10), 2000 (the forget gate); C. Tallec,
        Y. Ollivier, Can recurrent neural networks warp time?, ICLR 2018 (its initialization)
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LENGTH, HIDDEN, BATCH = 60, 32, 32

# %% the concept


class LSTM(nn.Module):
    def __init__(self, d_in: int, d_hid: int) -> None:
        super().__init__()
        self.input, self.recurrent = nn.Linear(d_in, 4 * d_hid), nn.Linear(d_hid, 4 * d_hid, bias=False)
        memory = torch.empty(d_hid).uniform_(1, LENGTH - 1).log()  # forget after 2..LENGTH steps to begin with
        self.input.bias.data = torch.cat([-memory, memory, torch.zeros(2 * d_hid)])

    def forward(self, x: Tensor) -> Tensor:  # (B, T, d_in) -> (B, T, d_hid)
        h = c = x.new_zeros(len(x), self.recurrent.in_features)
        states = []
        for x_t in self.input(x).unbind(1):  # the input's share needs no loop
            i, f, g, o = (x_t + self.recurrent(h)).chunk(4, -1)  # input, forget, cell, output: PyTorch's order
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()  # c_t = f * c + i * g: no repeated matrix product
            h = o.sigmoid() * c.tanh()  # h_t = o * tanh(c_t)
            states.append(h)
        return torch.stack(states, 1)


# %% its control


class RNN(nn.Module):
    def __init__(self, d_in: int, d_hid: int) -> None:
        super().__init__()
        self.input, self.recurrent = nn.Linear(d_in, d_hid), nn.Linear(d_hid, d_hid, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, d_in) -> (B, T, d_hid)
        h, states = x.new_zeros(len(x), self.recurrent.in_features), []
        for x_t in self.input(x).unbind(1):
            h = (x_t + self.recurrent(h)).tanh()
            states.append(h)
        return torch.stack(states, 1)


# %% the experiment


def sequences(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers with a mark in either half, and the sum of the marked: (n, T, 2), (n,)."""
    values = torch.rand(n, LENGTH, generator=generator)
    halves = torch.rand(n, 2, LENGTH // 2, generator=generator)
    marks = F.one_hot(halves.argmax(2), LENGTH // 2).flatten(1).float()
    return torch.stack([values, marks], -1), (values * marks).sum(1)


def gap_to_torch(cell: LSTM, x: Tensor, swap: bool = False) -> float:
    """Largest difference from nn.LSTM of the same weights, in states and gradients, f64; `swap` mixes two gates."""
    x, module = x.cpu().double(), copy.deepcopy(cell).cpu().double()
    twin = nn.LSTM(2, HIDDEN, batch_first=True).double()
    order = (0, 1, 3, 2) if swap else (0, 1, 2, 3)
    own = [p.detach() for p in (module.input.weight, module.recurrent.weight, module.input.bias)]
    for theirs, mine in zip(twin.parameters(), [*own, 0 * own[2]], strict=True):
        theirs.data = torch.cat([mine.chunk(4)[k] for k in order])
    theirs, mine = x.clone().requires_grad_(), x.clone().requires_grad_()
    module.zero_grad()
    weighted = torch.linspace(-1, 1, HIDDEN, dtype=torch.float64)
    outputs = twin(theirs)[0], module(mine)
    for output in outputs:
        (output * weighted).sum().backward()
    pairs = [outputs, (theirs.grad, mine.grad), (twin.weight_hh_l0.grad, module.recurrent.weight.grad)]
    return max((a - b).detach().abs().max().item() for a, b in pairs)


def linear_error(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> float:
    """Test error of a linear fit to the inputs summed over time: what no memory of order is needed for."""
    (x, y), (x_test, y_test) = train, test
    known = torch.cat([x.sum(1), torch.ones(len(x), 1)], 1)
    weights = torch.linalg.lstsq(known, y[:, None], driver="gelsd").solution  # the marks always sum to two
    answer = torch.cat([x_test.sum(1), torch.ones(len(x_test), 1)], 1) @ weights
    return F.mse_loss(answer[:, 0], y_test).item()


def reach(cell: nn.Module, x: Tensor) -> list[float]:
    """Mean norm of a last-state read-out's gradient at the input k steps back, relative to k = 0: T values; f64."""
    x = x.cpu().double().requires_grad_()
    last = copy.deepcopy(cell).cpu().double()(x)[:, -1]
    (g,) = torch.autograd.grad(last @ torch.linspace(-1, 1, HIDDEN, dtype=torch.float64), x, torch.ones(len(x)))
    norms = g.norm(dim=-1).mean(0).flip(0)
    return (norms / norms[0]).tolist()


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    cells = {"LSTM": LSTM(2, HIDDEN), "RNN": RNN(2, HIDDEN)}
    heads = {name: nn.Linear(HIDDEN, 1) for name in cells}
    nets = {name: nn.ModuleList([cells[name], heads[name]]).to(device) for name in cells}
    rates = {"LSTM": 2e-2, "RNN": 3e-3}
    optimizers = {name: torch.optim.Adam(net.parameters(), rates[name]) for name, net in nets.items()}

    def answer(name: str, x: Tensor) -> Tensor:
        return heads[name](cells[name](x)[:, -1])[:, 0]

    fresh = sequences(1000, unseen)
    x_test, y_test = (t.to(device) for t in fresh)
    for step in range(steps):
        x, y = (t.to(device) for t in sequences(BATCH, data))
        losses = {name: F.mse_loss(answer(name, x), y) for name in nets}
        for name, loss in losses.items():
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(nets[name].parameters(), 1.0)
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()} | {"guess the mean": 1 / 6}

    with torch.no_grad():
        answers = {name: answer(name, x_test) for name in nets}
    errors = {name: F.mse_loss(given, y_test).item() for name, given in answers.items()}
    linear = linear_error(sequences(1000, data), fresh)
    gaps = [gap_to_torch(cells["LSTM"], x_test[:8], swap) for swap in (False, True)]
    shown = {name: (y_test[:150].tolist(), given[:150].tolist()) for name, given in answers.items()}
    return {
        "lstm_mse": errors["LSTM"],
        "rnn_mse": errors["RNN"],
        "linear_mse": linear,
        "control_mse": min(errors["RNN"], linear),
        "cell_gap": gaps[0],
        "swapped_gap": gaps[1],
    }, {
        "the sum, and what each net says after 60 steps": {
            "kind": "scatter",
            "series": shown,
            "x": "true sum",
            "y": "answer",
        },
        COMMON: {
            "kind": "lines",
            "series": {name: (list(range(LENGTH)), reach(cells[name], x_test[:64])) for name in ("LSTM", "RNN")},
            "x": "steps back",
            "y": "gradient, relative to the last step",
            "log": "y",
        },
    }


# %% what is claimed

TITLE = {"en": "LSTM solves the adding problem", "zh": "LSTM 解决加法问题"}
CURVES = "squared error"
COMMON = "gradient from k steps back"
CPU_SECONDS = 3
CLAIMS = {
    "trained lstm_mse <= 0.01 < control_mse <= 0.2": {
        "en": "squared error on fresh sequences of 60 steps; control: a tanh RNN trained as long, or a linear fit to "
        "the summed inputs, whichever is better",
        "zh": "在 60 步新序列上的均方误差；对照：训练同样久的 tanh RNN 与对输入之和的线性拟合，取较好者",
    },
    "parity cell_gap <= 1e-10 < swapped_gap": {
        "en": "largest gap to torch.nn.LSTM in states and gradients (f64); the control swaps two gates",
        "zh": "状态与梯度同 torch.nn.LSTM 的最大差距（f64）；对照交换了两个门",
    },
}
ZH = {
    "squared error": "均方误差",
    "guess the mean": "只猜均值",
    "the sum, and what each net says after 60 steps": "正确的和，与两个网络在 60 步后的回答",
    "true sum": "正确的和",
    "answer": "回答",
    "gradient from k steps back": "k 步之前传来的梯度",
    "steps back": "往前的步数",
    "gradient, relative to the last step": "梯度，相对于最后一步",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
