"""GRU — one update gate decides at every step whether to keep the state or to write over it.

Each sequence holds 30 random numbers, about one in ten of them flagged; the answer is the number that was
flagged last. So the state must be kept while nothing is flagged and replaced when something is. One contender
is the same cell with an update gate that cannot see the input (a leaky memory, its rates learned), the other
a tanh RNN. Guessing the mean costs an error of 1/12. Given several times the steps, the contenders learn the
task too; the claim is about the same number.

Claim:  the hand-written GRU answers fresh sequences, the ungated cells are still near guessing; its gate
        opens at flags and stays shut between them; the cell is torch.nn.GRU's (reset gate after the matrix;
        the published paper has it before).
Source: K. Cho et al., Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
        Translation, EMNLP 2014
Run:    python kb/demos/gru.py --device cpu --seed 0 --steps 200
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "GRU keeps or replaces its state", "zh": "GRU 保留或改写状态"}
CPU_SECONDS = 4
CLAIMS = {
    "trained gru_mse <= 0.04 < ungated_mse": {
        "en": "squared error on fresh sequences; the control, trained as long, is the better ungated cell",
        "zh": "新序列上的均方误差；对照为训练同样久的无门单元中较好者",
    },
    "trained gate_contrast >= 0.3 > shuffled_gate_contrast": {
        "en": "opening of the most selective gate at flags minus elsewhere; the control shuffles the flags",
        "zh": "选择性最强的更新门在标记处与别处的开度之差；对照打乱标记位置",
    },
    "parity cell_gap <= 1e-10 < early_reset_gap": {
        "en": "gap of the cell to torch.nn.GRU in f64; the control applies the reset gate before the matrix",
        "zh": "手写单元与 torch.nn.GRU 的差距（f64）；对照在乘矩阵之前应用重置门",
    },
}

LENGTH, HIDDEN, BATCH = 30, 24, 32


class GRU(nn.Module):
    def __init__(self, d_in: int, d_hid: int, gated: bool = True) -> None:
        super().__init__()
        self.gated = gated
        self.input, self.recurrent = (
            nn.Linear(d_in, 3 * d_hid),
            nn.Linear(d_hid, 3 * d_hid),
        )  # reset, update, new
        with torch.no_grad():  # memories of 1..LENGTH steps to begin with, as for the LSTM's forget gate
            self.input.bias[d_hid : 2 * d_hid].uniform_(1, LENGTH - 1).log_()

    def forward(self, x: Tensor, early_reset: bool = False) -> tuple[Tensor, Tensor]:
        """(B, T, d_in) -> last state (B, d_hid), openings of the gate (B, T, d_hid)."""
        d = self.recurrent.in_features
        h, openings = x.new_zeros(len(x), d), []
        for x_t in self.input(x).unbind(1):
            from_h = self.recurrent(h)
            r, z = (x_t + from_h)[:, : 2 * d].sigmoid().chunk(2, -1)
            if not self.gated:
                z = self.input.bias[d : 2 * d].sigmoid()  # a constant for each unit
            change = r * from_h[:, 2 * d :]
            if early_reset:
                change = F.linear(r * h, self.recurrent.weight[2 * d :], self.recurrent.bias[2 * d :])
            h = z * h + (1 - z) * (x_t[:, 2 * d :] + change).tanh()  # keep, or write over
            openings.append((1 - z).expand_as(h))
        return h, torch.stack(openings, 1)


class RNN(nn.Module):
    def __init__(self, d_in: int, d_hid: int) -> None:
        super().__init__()
        self.input, self.recurrent = nn.Linear(d_in, d_hid), nn.Linear(d_hid, d_hid, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:  # (B, T, d_in) -> (B, d_hid)
        h = x.new_zeros(len(x), self.recurrent.in_features)
        for x_t in self.input(x).unbind(1):
            h = (x_t + self.recurrent(h)).tanh()
        return h, None


class Reader(nn.Module):
    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, 2) -> (B,)
        return self.head(self.cell(x)[0])[:, 0]


def sequences(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers with flags, and the number flagged last: (n, T, 2), (n,)."""
    values = torch.rand(n, LENGTH, generator=generator)
    flags = (torch.rand(n, LENGTH, generator=generator) < 0.1).float()
    flags[:, 0] = 1.0  # so that there always is one
    last = LENGTH - 1 - flags.flip(1).argmax(1)
    return torch.stack([values, flags], -1), values[torch.arange(n), last]


@torch.no_grad()
def gap_to_torch(cell: GRU, x: Tensor, early_reset: bool) -> float:
    """Largest difference from nn.GRU with the same weights, in f64 on the CPU."""
    cell, x = copy.deepcopy(cell).cpu().double(), x.cpu().double()
    twin = nn.GRU(x.shape[-1], cell.recurrent.in_features, batch_first=True).double()
    twin.weight_ih_l0.copy_(cell.input.weight)
    twin.weight_hh_l0.copy_(cell.recurrent.weight)
    twin.bias_ih_l0.copy_(cell.input.bias)
    twin.bias_hh_l0.copy_(cell.recurrent.bias)
    return float((twin(x)[1][0] - cell(x, early_reset)[0]).abs().max())


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    cells = {"GRU": GRU(2, HIDDEN), "leaky": GRU(2, HIDDEN, gated=False), "RNN": RNN(2, HIDDEN)}
    nets = {name: Reader(cell).to(device) for name, cell in cells.items()}
    rates = {"GRU": 2e-2, "leaky": 1e-2, "RNN": 3e-3}
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=rates[name]) for name, net in nets.items()}
    for step in range(steps):
        x, y = (t.to(device) for t in sequences(BATCH, data))
        losses = {}
        for name, net in nets.items():
            loss = F.mse_loss(net(x), y)
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 10 == 9 or step == steps - 1:
            yield (step + 1) / steps, losses

    x, y = (t.to(device) for t in sequences(1000, torch.Generator().manual_seed(seed + 1000)))
    with torch.no_grad():
        errors = {name: F.mse_loss(net(x), y).item() for name, net in nets.items()}
        gate = nets["GRU"].cell(x)[1]  # (n, T, d_hid)
    flags = x[..., 1] > 0
    shuffled = flags[:, torch.randperm(LENGTH, generator=data).to(device)]

    def contrast(where: Tensor) -> Tensor:  # (n, T) -> (d_hid,): opening there minus opening elsewhere
        return gate[where].mean(0) - gate[~where].mean(0)

    times, unit = list(range(1, LENGTH + 1)), int(contrast(flags).argmax())
    return {
        "gru_mse": errors["GRU"],
        "ungated_mse": min(errors["leaky"], errors["RNN"]),
        "leaky_mse": errors["leaky"],
        "rnn_mse": errors["RNN"],
        "gate_contrast": contrast(flags).max().item(),
        "shuffled_gate_contrast": contrast(shuffled).max().item(),
        "cell_gap": gap_to_torch(nets["GRU"].cell, x[:8], early_reset=False),
        "early_reset_gap": gap_to_torch(nets["GRU"].cell, x[:8], early_reset=True),
    }, {
        "update gate over one sequence": {
            "kind": "lines",
            "zh": "一条序列上的更新门",
            "series": {
                "flag": (times, x[0, :, 1].tolist()),
                "gate opening": (times, gate[0, :, unit].tolist()),
            },
            "x": "step",
            "y": "most selective unit",
        }
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
