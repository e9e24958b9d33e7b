"""GRU — one update gate decides at every step whether to keep the state or to write over it.

Each sequence holds 30 random numbers, the first and one in ten of the others flagged; the answer is the number
flagged last. So the state must be kept while nothing is flagged and replaced when something is. Guessing the
mean costs an error of 1/12. The control is the best of three: the same cell with an update gate that sees
nothing (a leaky memory, its rates learned) and a tanh RNN, trained as long, each at its best learning rate of
those tried, and a linear fit to the flags and the flagged numbers of as many sequences.

Needs:  torch
Source: K. Cho et al., Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
        Translation, EMNLP 2014
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LENGTH, HIDDEN, BATCH = 30, 24, 32
FLAGGED = 0.1  # share of the numbers after the first

# %% the concept


class GRU(nn.Module):
    def __init__(self, d_in: int, d_hid: int) -> None:
        super().__init__()
        self.input, self.recurrent = nn.Linear(d_in, 3 * d_hid), nn.Linear(d_hid, 3 * d_hid)
        memory = torch.empty(d_hid).uniform_(1, LENGTH - 1).log()  # keep for about 2..LENGTH steps to begin with
        self.input.bias.data[d_hid : 2 * d_hid] = memory

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # (B, T, d_in) -> states and openings (B, T, d_hid)
        h, states, openings = x.new_zeros(len(x), self.recurrent.in_features), [], []
        for x_t in self.input(x).unbind(1):
            (r, z, n), (from_r, from_z, from_n) = x_t.chunk(3, -1), self.recurrent(h).chunk(3, -1)
            r = (r + from_r).sigmoid()  # reset gate: r_t = sigmoid(W_r x_t + U_r h)
            z = (z + from_z).sigmoid()  # update gate: z_t = sigmoid(W_z x_t + U_z h)
            n = (n + r * from_n).tanh()  # n_t = tanh(W_n x_t + r_t * (U_n h)); the paper has U_n (r_t * h)
            h = z * h + (1 - z) * n  # h_t = z_t * h + (1 - z_t) * n_t: keep, or write over
            states.append(h)
            openings.append(1 - z)
        return torch.stack(states, 1), torch.stack(openings, 1)


# %% its control


class Leaky(GRU):
    """The same cell, its update gate a learned constant of each unit."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        blind = slice(self.recurrent.in_features, 2 * self.recurrent.in_features)
        self.input.weight.data[blind] = self.recurrent.weight.data[blind] = 0
        return super().forward(x)


class RNN(nn.RNNCell):
    def forward(self, x: Tensor) -> tuple[Tensor, None]:  # (B, T, d_in) -> states (B, T, d_hid)
        h, states = None, []
        for x_t in x.unbind(1):
            h = super().forward(x_t, h)
            states.append(h)
        return torch.stack(states, 1), None


# %% the experiment


def sequences(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers with flags, and at each step the number flagged last: (n, T, 2), (n, T)."""
    values, flags = torch.rand(n, LENGTH, generator=generator), torch.rand(n, LENGTH, generator=generator) < FLAGGED
    flags[:, 0] = True  # so that there always is one
    last = (flags * torch.arange(LENGTH)).cummax(1).values  # (n, T): where
    return torch.stack([values, flags], -1), values.gather(1, last)


def gap_to_torch(cell: GRU, x: Tensor, swap: bool = False) -> float:
    """Largest difference from nn.GRU of the same weights, in states and gradients, f64; `swap` mixes the gates."""
    x, module = x.cpu().double(), copy.deepcopy(cell).cpu().double()
    twin = nn.GRU(2, HIDDEN, batch_first=True).double()
    own = [module.input.weight, module.recurrent.weight, module.input.bias, module.recurrent.bias]
    order = (1, 0, 2) if swap else (0, 1, 2)
    for theirs, mine in zip(twin.parameters(), own, strict=True):
        theirs.data = torch.cat([mine.detach().chunk(3)[k] for k in order])
    weighted, results = torch.linspace(-1, 1, HIDDEN, dtype=torch.float64), []
    for net, parameters in ((module, own), (twin, list(twin.parameters()))):
        inputs = x.clone().requires_grad_()
        states = net(inputs)[0]
        results.append([states, *torch.autograd.grad((states * weighted).sum(), [inputs, *parameters])])
    return max((a - b).abs().max().item() for a, b in zip(*results, strict=True))


def linear_error(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> float:
    """Test error of a linear fit of the last answer to all flags and all flagged numbers."""
    known, unseen = (torch.cat([x[..., 1], x.prod(-1), torch.ones(len(x), 1)], 1) for x, _ in (train, test))
    weights = torch.linalg.lstsq(known, train[1][:, -1:], driver="gelsd").solution
    return F.mse_loss(unseen @ weights, test[1][:, -1:]).item()


def reach(cell: nn.Module, x: Tensor) -> list[float]:
    """Mean norm of the gradient of a read-out of the last state, at the input k steps back, relative to k = 0; f64."""
    x = x.cpu().double().requires_grad_()
    last = copy.deepcopy(cell).cpu().double()(x)[0][:, -1]
    (g,) = torch.autograd.grad(last @ torch.linspace(-1, 1, HIDDEN, dtype=torch.float64), x, torch.ones(len(x)))
    norms = g.norm(dim=-1).mean(0).flip(0)
    return (norms / norms[0]).tolist()


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    cells = {"GRU": GRU(2, HIDDEN), "leaky": Leaky(2, HIDDEN), "RNN": RNN(2, HIDDEN)}
    heads = {name: nn.Linear(HIDDEN, 1) for name in cells}
    nets = {name: nn.ModuleList([cells[name], heads[name]]).to(device) for name in cells}
    rates = {"GRU": 2e-2, "leaky": 8e-2, "RNN": 3e-3}
    optimizers = {name: torch.optim.Adam(net.parameters(), rates[name]) for name, net in nets.items()}

    def answer(name: str, x: Tensor) -> Tensor:  # (B, T, 2) -> (B, T)
        return heads[name](cells[name](x)[0])[..., 0]

    fresh = sequences(1000, unseen)
    x_test, y_test = (t.to(device) for t in fresh)
    for step in range(steps):
        x, y = (t.to(device) for t in sequences(BATCH, data))
        losses = {name: F.mse_loss(answer(name, x)[:, -1], y[:, -1]) for name in nets}
        for name, loss in losses.items():
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(nets[name].parameters(), 1.0)
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()} | {"guess the mean": 1 / 12}

    with torch.no_grad():
        answers = {name: answer(name, x_test) for name in nets}
        gate = cells["GRU"](x_test)[1]  # (n, T, d_hid)
    errors = {name: F.mse_loss(given[:, -1], y_test[:, -1]).item() for name, given in answers.items()}
    errors["linear"] = linear_error(sequences(steps * BATCH, data), fresh)
    flags = x_test[..., 1] > 0
    shuffled = flags.gather(1, torch.rand(flags.shape, generator=unseen).argsort(1).to(device))

    def contrast(where: Tensor) -> Tensor:  # (n, T) -> (d_hid,): opening there minus opening elsewhere
        return gate[where].mean(0) - gate[~where].mean(0)

    times, unit = list(range(1, LENGTH + 1)), int(contrast(flags).argmax())
    one = int((flags.sum(1) == 4).int().argmax())  # a sequence with four flags
    gaps = [gap_to_torch(cells["GRU"], x_test[:8], swap) for swap in (False, True)]
    return {
        "gru_mse": errors["GRU"],
        "ungated_mse": min(errors["leaky"], errors["RNN"], errors["linear"]),
        "leaky_mse": errors["leaky"],
        "rnn_mse": errors["RNN"],
        "linear_mse": errors["linear"],
        "gate_contrast": contrast(flags).max().item(),
        "shuffled_gate_contrast": contrast(shuffled).max().item(),
        "cell_gap": gaps[0],
        "swapped_gap": gaps[1],
    }, {
        "one sequence: the state is kept, and written over": {
            "kind": "lines",
            "series": {
                "number flagged last": (times, y_test[one].tolist()),
                "the GRU's answer": (times, answers["GRU"][one].tolist()),
            },
            "x": "step",
        },
        "its update gate opens where a number is flagged": {
            "kind": "lines",
            "series": {
                "flag": (times, flags[one].float().tolist()),
                "opening of the most selective gate": (times, gate[one, :, unit].tolist()),
            },
            "x": "step",
        },
        COMMON: {
            "kind": "lines",
            "series": {name: (list(range(LENGTH)), reach(cells[name], x_test[:64])) for name in ("GRU", "RNN")},
            "x": "steps back",
            "y": "gradient, relative to the last step",
            "log": "y",
        },
    }


# %% what is claimed

TITLE = {"en": "GRU keeps or replaces its state", "zh": "GRU 保留或改写状态"}
CURVES = "squared error"
COMMON = "gradient from k steps back"
CPU_SECONDS = 3
CLAIMS = {
    "trained gru_mse <= 0.005 < ungated_mse <= 0.06": {
        "en": "squared error on fresh sequences; control: a cell whose update gate sees nothing and a tanh RNN, "
        "trained as long, and a linear fit to flags and flagged numbers, whichever is best",
        "zh": "新序列上的均方误差；对照：更新门看不到输入的单元与 tanh RNN（训练同样久），以及对标记与"
        "被标记数字的线性拟合，取最好者",
    },
    "trained gate_contrast >= 0.3 > shuffled_gate_contrast": {
        "en": "opening of the most selective gate at flags minus elsewhere; the control shuffles the flags",
        "zh": "选择性最强的更新门在标记处与别处的开度之差；对照打乱标记位置",
    },
    "parity cell_gap <= 1e-10 < swapped_gap": {
        "en": "largest gap to torch.nn.GRU in states and gradients (f64); the control swaps the two gates",
        "zh": "状态与梯度同 torch.nn.GRU 的最大差距（f64）；对照交换了两个门",
    },
}
ZH = {
    "squared error": "均方误差",
    "guess the mean": "只猜均值",
    "leaky": "泄漏记忆",
    "one sequence: the state is kept, and written over": "一条序列：状态何时保留，何时改写",
    "number flagged last": "最近被标记的数",
    "the GRU's answer": "GRU 的回答",
    "its update gate opens where a number is flagged": "数字被标记时，更新门打开",
    "flag": "标记",
    "opening of the most selective gate": "选择性最强的门的开度",
    "step": "步",
    "gradient from k steps back": "k 步之前传来的梯度",
    "steps back": "往前的步数",
    "gradient, relative to the last step": "梯度，相对于最后一步",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
