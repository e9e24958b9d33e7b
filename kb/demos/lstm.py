"""LSTM — a gated cell state carries two numbers across 60 steps; a plain RNN loses them.

Each sequence holds 60 random numbers, one marked in either half; the answer is the sum of the two. Guessing
the mean costs an error of 1/6. Both networks see the same data for the same number of steps, each at its own
learning rate; no rate from 1e-3 to 2e-2 took the RNN clearly below guessing.

Claim:  the hand-written LSTM answers fresh sequences with a small error, the tanh RNN does not get past
        guessing; the cell is the one of torch.nn.LSTM.
Source: S. Hochreiter, J. Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), 1997 (adding problem);
        F. Gers et al., Learning to Forget, Neural Computation 12(10), 2000 (the forget gate); C. Tallec,
        Y. Ollivier, Can recurrent neural networks warp time?, ICLR 2018 (its initialization)
Run:    python kb/demos/lstm.py --device cpu --seed 0 --steps 300
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "LSTM solves the adding problem", "zh": "LSTM 解决加法问题"}
CPU_SECONDS = 6
CLAIMS = {
    "trained lstm_mse <= 0.08 < rnn_mse": {
        "en": "squared error on fresh sequences of 60 steps; the control is a tanh RNN trained as long",
        "zh": "相同训练后，在 60 步新序列上的均方误差；对照为 tanh RNN",
    },
    "parity cell_gap <= 1e-10 < swapped_cell_gap": {
        "en": "largest gap between hand-written cell and torch.nn.LSTM (f64); the control swaps two gates",
        "zh": "手写单元与 torch.nn.LSTM 的最大差距（f64）；对照交换了两个门",
    },
}

LENGTH, HIDDEN, BATCH = 60, 32, 32


class LSTM(nn.Module):
    def __init__(self, d_in: int, d_hid: int) -> None:
        super().__init__()
        self.d_hid = d_hid
        self.input = nn.Linear(d_in, 4 * d_hid)  # input, forget, cell, output: PyTorch's order
        self.recurrent = nn.Linear(d_hid, 4 * d_hid, bias=False)
        with torch.no_grad():  # a forget gate that remembers for 1..LENGTH steps, see Tallec & Ollivier
            self.input.bias.zero_()
            memory = torch.empty(d_hid).uniform_(1, LENGTH - 1).log()
            self.input.bias[d_hid : 2 * d_hid], self.input.bias[:d_hid] = memory, -memory

    def forward(self, x: Tensor) -> Tensor:  # (B, T, d_in) -> (B, d_hid)
        h = c = x.new_zeros(len(x), self.d_hid)
        for x_t in self.input(x).unbind(1):  # the input's share needs no loop
            i, f, g, o = (x_t + self.recurrent(h)).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()  # additive: no repeated matrix product
            h = o.sigmoid() * c.tanh()
        return h


class RNN(nn.Module):
    def __init__(self, d_in: int, d_hid: int) -> None:
        super().__init__()
        self.d_hid = d_hid
        self.input, self.recurrent = nn.Linear(d_in, d_hid), nn.Linear(d_hid, d_hid, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, d_in) -> (B, d_hid)
        h = x.new_zeros(len(x), self.d_hid)
        for x_t in self.input(x).unbind(1):
            h = (x_t + self.recurrent(h)).tanh()
        return h


def sequences(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers with two marks, and the sum of the marked: (n, T, 2), (n,)."""
    values = torch.rand(n, LENGTH, generator=generator)
    marks = torch.zeros(n, LENGTH)
    first = torch.randint(0, LENGTH // 2, (n, 1), generator=generator)
    second = torch.randint(LENGTH // 2, LENGTH, (n, 1), generator=generator)
    marks.scatter_(1, first, 1.0).scatter_(1, second, 1.0)
    return torch.stack([values, marks], -1), (values * marks).sum(1)


@torch.no_grad()
def gap_to_torch(cell: LSTM, x: Tensor, order: str = "ifgo") -> float:
    """Largest difference from nn.LSTM that holds the same weights, its gates laid out in `order`."""
    cell, x = copy.deepcopy(cell).cpu().double(), x.cpu().double()
    twin = nn.LSTM(x.shape[-1], cell.d_hid, batch_first=True).double()
    rows = torch.cat([torch.arange(cell.d_hid) + "ifgo".index(gate) * cell.d_hid for gate in order])
    twin.weight_ih_l0.copy_(cell.input.weight[rows])
    twin.weight_hh_l0.copy_(cell.recurrent.weight[rows])
    twin.bias_ih_l0.copy_(cell.input.bias[rows])
    twin.bias_hh_l0.zero_()
    return float((twin(x)[1][0][0] - cell(x)).abs().max())


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    nets = {
        name: nn.Sequential(kind(2, HIDDEN), nn.Linear(HIDDEN, 1)).to(device)
        for name, kind in {"LSTM": LSTM, "RNN": RNN}.items()
    }
    rates = {"LSTM": 2e-2, "RNN": 3e-3}
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=rates[name]) for name, net in nets.items()}
    for step in range(steps):
        x, y = (t.to(device) for t in sequences(BATCH, data))
        losses = {}
        for name, net in nets.items():
            loss = F.mse_loss(net(x)[:, 0], y)
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, losses

    x, y = (t.to(device) for t in sequences(1000, torch.Generator().manual_seed(seed + 1000)))
    with torch.no_grad():
        errors = {name: F.mse_loss(net(x)[:, 0], y).item() for name, net in nets.items()}
    cell = nets["LSTM"][0]
    measured = {
        "lstm_mse": errors["LSTM"],
        "rnn_mse": errors["RNN"],
        "cell_gap": gap_to_torch(cell, x[:8]),
        "swapped_cell_gap": gap_to_torch(cell, x[:8], order="ifog"),
    }
    bars = {**errors, "guess the mean": 1 / 6}
    return measured, {"squared error after training": {"kind": "bars", "zh": "训练后的均方误差", "values": bars}}


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
