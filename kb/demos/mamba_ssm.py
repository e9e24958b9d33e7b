"""State-space models — a state of fixed size carries the past; Mamba chooses at each token what it keeps.

Numbers come one by one; a few are marked, and a mark starts a new sum. Asked at each token for the sum since the last
mark, a selective state-space layer (step, that is how much it forgets and takes in, and input and output weights depend
on the token) drops much of its state at marks. The net is Mamba's block without its short convolution. The control is
the same net with a fixed layer, alike at all tokens. One recurrence, h_t = a_t h_(t-1) + b_t, is computed in three
ways: token by token, by a scan in log T rounds, as a table over pairs of tokens; the fixed layer is a convolution as
well. In linear attention, and in RWKV with a decay for each key channel, the state is a matrix under the same
recurrence; what they add in reading it (a normalizer, a bonus for the token at hand) is left out. What a token needs
from the past does not grow; attention keeps the keys and values of all tokens, and its scores for all of them at once
grow with the square of the length.

Needs:  torch
Source: A. Gu, T. Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, 2023; A. Gu, K. Goel, C. Re,
        Efficiently Modeling Long Sequences with Structured State Spaces, ICLR 2022; A. Katharopoulos et al.,
        Transformers are RNNs, ICML 2020 (linear attention); B. Peng et al., Eagle and Finch: RWKV with Matrix-Valued
        States and Dynamic Recurrence, 2024 (decay by channel and token)
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LENGTH, CHANNELS, STATES, BATCH, RATE, FIXED_RATE, MARKED = 32, 16, 4, 32, 8e-2, 5e-2, 0.08
HEAD, HEAD_STATES = 64, 16

# %% the concept


def scan(a: Tensor, b: Tensor) -> Tensor:
    """h_t = a_t h_(t-1) + b_t at all t, in log2 T rounds: (B, T, D, N), (B, T, D, N) -> (B, T, D, N)."""
    back = 1
    while back < a.shape[1]:  # a step of a pair of tokens is a step again: (a2 a1, a2 b1 + b2)
        before = (0, 0, 0, 0, back, 0)
        b = b + a * F.pad(b, before)[:, :-back]
        a = a * F.pad(a, before, value=1.0)[:, :-back]
        back *= 2
    return b


def token_by_token(a: Tensor, b: Tensor) -> tuple[Tensor, int]:
    """The same as a loop, and the most numbers that it needs at a token: state, a_t and b_t of one sequence."""
    h, states, held = torch.zeros_like(b[:, 0]), [], 0
    for a_t, b_t in zip(a.unbind(1), b.unbind(1), strict=True):
        h = a_t * h + b_t
        states.append(h)
        held = max(held, sum(t[0].numel() for t in (h, a_t, b_t)))
    return torch.stack(states, 1), held


class Selective(nn.Module):
    def __init__(self, channels: int, states: int) -> None:
        super().__init__()
        self.rates = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(channels, 1))  # A = -exp(rates)
        self.bias = nn.Parameter(torch.empty(channels).uniform_(0.02, 0.5).expm1().log())  # softplus(bias): the step
        self.skip = nn.Parameter(torch.ones(channels))
        self.weights(channels, states)

    def weights(self, channels: int, states: int) -> None:
        self.delta = nn.Linear(channels, channels, bias=False)
        self.b, self.c = nn.Linear(channels, states, bias=False), nn.Linear(channels, states, bias=False)

    def select(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # step (B, T, D); b, c that broadcast to (B, T, D, N)
        return F.softplus(self.delta(x) + self.bias), self.b(x)[..., None, :], self.c(x)[..., None, :]

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        step, b, c = self.select(x)
        a = (-step[..., None] * self.rates.exp()).exp()  # a_t = exp(step_t A): a large step forgets
        return a, (step * x)[..., None] * b, c  # b_t = step_t B_t x_t

    def forward(self, x: Tensor) -> Tensor:  # (B, T, D) -> (B, T, D)
        a, b, c = self.terms(x)
        return (scan(a, b) * c).sum(-1) + self.skip * x  # y_t = C_t h_t + D x_t


def linear_attention(q: Tensor, k: Tensor, v: Tensor, decay: Tensor) -> Tensor:
    """S_t = diag(w_t) S_(t-1) + k_t v_t^T, y_t = q_t S_t: (B, T, d) each, decay too -> (B, T, d_v)."""
    outer = k[..., :, None] * v[..., None, :]  # (B, T, d, d_v)
    return (q[..., None, :] @ scan(decay[..., None].expand_as(outer), outer))[..., 0, :]


# %% its control


class Fixed(Selective):
    """Linear and the same at all times: step, B and C are parameters, for each channel their own."""

    def weights(self, channels: int, states: int) -> None:
        self.b, self.c = nn.Parameter(torch.ones(channels, states)), nn.Parameter(torch.randn(channels, states) / 2)

    def select(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return F.softplus(self.bias).expand_as(x), self.b, self.c


# %% the experiment


class Net(nn.Module):
    def __init__(self, kind: type[Selective]) -> None:
        super().__init__()
        self.enter, self.gate = nn.Linear(2, CHANNELS), nn.Linear(2, CHANNELS)
        self.ssm, self.head = kind(CHANNELS, STATES), nn.Linear(CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, 2) -> (B, T)
        return self.head(self.ssm(F.silu(self.enter(x))) * F.silu(self.gate(x)))[..., 0]


def sequences(n: int, generator: torch.Generator, at: list[int] | None = None) -> tuple[Tensor, Tensor]:
    """Numbers with marks (n, T, 2), and the sum since the last mark, with its own number (n, T)."""
    values = 2 * torch.rand(n, LENGTH, generator=generator) - 1
    marks = torch.rand(n, LENGTH, generator=generator) < MARKED
    if at:
        marks = torch.isin(torch.arange(LENGTH), torch.tensor(at)).expand(n, -1)
    part = marks.cumsum(1)
    since = (part[:, :, None] == part[:, None]).float().tril()  # (n, T, T): which numbers count
    return torch.stack([values, marks.float()], -1), (since @ values[..., None])[..., 0]


def pairs_of_tokens(log_a: Tensor, b: Tensor) -> Tensor:
    """h_t = sum over s <= t of exp(log a_(s+1) + ... + log a_t) b_s: the closed form, with a T x T table."""
    total = log_a.cumsum(1)
    ahead = torch.ones(total.shape[1], total.shape[1], dtype=torch.bool).triu(1)[..., None, None]
    table = (total[:, :, None] - total[:, None]).masked_fill(ahead, -torch.inf).exp()  # (B, T, T, D, N)
    return (table * b[:, None]).sum(2)


def difference(ours: Tensor, theirs: Tensor, leaves: list[Tensor]) -> float:
    """The largest, in two outputs and in the gradients of a weighted sum of each."""
    found = []
    for y in (ours, theirs):
        weighted = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)).sum()
        found.append([y.detach(), *torch.autograd.grad(weighted, leaves, materialize_grads=True)])
    return max(float((a - b).abs().max()) for a, b in zip(*found, strict=True))


def closed_form(ssm: Selective, x: Tensor, decayed: bool = True) -> Tensor:
    step = ssm.select(x)[0]
    b, c = (part(x)[..., None, :] if isinstance(part, nn.Linear) else part for part in (ssm.b, ssm.c))
    log_a = step[..., None] * -ssm.rates.exp() * decayed
    return (pairs_of_tokens(log_a, step[..., None] * b * x[..., None]) * c).sum(-1) + ssm.skip * x


def ssm_gap(ssm: Selective, x: Tensor, decayed: bool = True) -> float:
    x = x.clone().requires_grad_()
    a, b = (t.detach().requires_grad_() for t in ssm.terms(x)[:2])
    loops = difference(scan(a, b), token_by_token(a, b)[0], [a, b])
    return max(difference(ssm(x), closed_form(ssm, x, decayed), [x, *ssm.parameters()]), loops)


@torch.no_grad()
def convolution_gap(ssm: Selective, x: Tensor) -> float:
    """From the response to one impulse, convolved with the input by the Fourier transform."""
    impulse = torch.zeros_like(x[:1])
    impulse[:, 0] = 1
    both = [torch.fft.rfft(t, 2 * LENGTH, dim=1) for t in (ssm(impulse), x)]
    return float((torch.fft.irfft(both[0] * both[1], 2 * LENGTH, dim=1)[:, :LENGTH] - ssm(x)).abs().max())


def attention_gap(generator: torch.Generator, decayed: bool = True) -> float:
    """Linear attention to the masked product (q k^T) v, each pair decayed channel by channel."""
    q, k, v, w = (torch.randn(2, 9, d, generator=generator, dtype=torch.float64) for d in (5, 5, 4, 5))
    leaves = [t.requires_grad_() for t in (q, k, v, w)]
    since = F.logsigmoid(w).cumsum(1) if decayed else 0 * w
    scores = ((q * since.exp()) @ (k / since.exp()).mT).tril()
    return difference(linear_attention(q, k, v, w.sigmoid()), scores @ v, leaves)


@torch.no_grad()
def held(n: int, generator: torch.Generator) -> dict[str, int]:
    """Numbers that one head needs at its last token, and those in attention's scores and weights for all tokens."""
    q, k, v = torch.randn(3, 1, n, HEAD, generator=generator)
    a, b, _ = Selective(HEAD, HEAD_STATES).terms(v)
    matrix = k[..., :, None] * v[..., None, :]
    scores = q @ k.mT
    weights = scores.softmax(-1)
    return {
        "Mamba": token_by_token(a, b)[1],
        "linear attention": token_by_token(torch.ones_like(matrix), matrix)[1],
        "attention, token by token": sum(t.numel() for t in (k, v, scores[:, -1], weights[:, -1])),
        "attention": scores.numel() + weights.numel(),
    }


def run(device="cpu", seed=0, steps=200):
    torch.manual_seed(3 * seed)  # weights, training data and test data: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    nets = {"selective": Net(Selective).to(device), "fixed": Net(Fixed).to(device)}
    rates = {"selective": RATE, "fixed": FIXED_RATE}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        x, y = (t.to(device) for t in sequences(BATCH, data))
        losses = {name: F.mse_loss(net(x), y) for name, net in nets.items()}
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = rates[name] * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(nets[name].parameters(), 1.0)
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    nets = {name: net.cpu() for name, net in nets.items()}
    x, y = sequences(1000, unseen)
    with torch.no_grad():
        answers = {name: net(x) for name, net in nets.items()}
        kept = nets["selective"].ssm.terms(F.silu(nets["selective"].enter(x)))[0].mean((2, 3))
    errors = {name: float((given - y).square().mean() / y.var()) for name, given in answers.items()}
    marked, lengths = x[..., 1] > 0, [64, 128, 256, 512, 1024]
    counts = [held(n, unseen) for n in lengths]
    deep = {name: copy.deepcopy(net).double() for name, net in nets.items()}
    inner = {name: F.silu(net.enter(x[:2].double())).detach() for name, net in deep.items()}
    shown, true_sum = sequences(1, unseen, at=[8, 16, 24])
    with torch.no_grad():
        lines = {"true sum": true_sum} | {name: net(shown) for name, net in nets.items()}
    tokens = list(range(1, LENGTH + 1))
    return {
        "selective_error": errors["selective"],
        "fixed_error": errors["fixed"],
        "kept_at_marks": float(kept[marked].mean()),
        "kept_elsewhere": float(kept[~marked].mean()),
        "ssm_gap": max(ssm_gap(deep[name].ssm, inner[name]) for name in deep),
        "undecayed_gap": min(ssm_gap(deep[name].ssm, inner[name], decayed=False) for name in deep),
        "fixed_convolution_gap": convolution_gap(deep["fixed"].ssm, inner["fixed"]),
        "selective_convolution_gap": convolution_gap(deep["selective"].ssm, inner["selective"]),
        "attention_gap": attention_gap(unseen),
        "undecayed_attention_gap": attention_gap(unseen, decayed=False),
        "state_growth": max(counts[-1][name] / counts[0][name] for name in ("Mamba", "linear attention")),
        "attention_growth": counts[-1]["attention, token by token"] / counts[0]["attention, token by token"],
    }, {
        "the sum since the last mark (tokens 9, 17, 25), and what each net says": {
            "kind": "lines",
            "series": {name: (tokens, line[0].tolist()) for name, line in lines.items()},
            "x": "token",
            "y": "sum",
        },
        COMMON: {
            "kind": "lines",
            "series": {name: (lengths, [count[name] for count in counts]) for name in counts[0]},
            "x": "tokens",
            "y": "numbers",
            "log": "xy",
        },
    }


# %% what is claimed

COMMON = "numbers held for one head"
TITLE = {"en": "Mamba chooses what a state of fixed size keeps", "zh": "Mamba 选择在固定大小的状态中保留什么"}
CURVES = "squared error"
CPU_SECONDS = 3
CLAIMS = {
    "trained selective_error <= 0.025 < fixed_error <= 0.35": {
        "en": "squared error of the sum since the last mark in fresh sequences, over its variance; control: the net "
        "with a fixed layer",
        "zh": "新序列中“自上次标记以来之和”的均方误差与其方差之比；对照：换成固定层的同一网络",
    },
    "trained kept_at_marks <= 0.7 < kept_elsewhere": {
        "en": "mean factor on the state at marked tokens, selective layer; control: at the others",
        "zh": "选择性层在有标记的词元上对状态所乘因子的均值；对照：其余词元",
    },
    "parity ssm_gap <= 1e-10 < undecayed_gap": {
        "en": "both trained layers by scan against the closed form over pairs of tokens and the loop, in outputs and "
        "gradients (f64); control: the closed form without decay",
        "zh": "两个训练后的层用并行扫描计算，与词元对的闭式解及逐词元循环在输出与梯度上的最大差距（f64）；"
        "对照：不衰减的闭式解",
    },
    "parity fixed_convolution_gap <= 1e-10 < selective_convolution_gap": {
        "en": "the trained fixed layer against the convolution with its response to one impulse (f64); control: the "
        "selective layer, which is none",
        "zh": "训练后的固定层与“用其脉冲响应做卷积”的差距（f64）；对照：并非卷积的选择性层",
    },
    "parity attention_gap <= 1e-10 < undecayed_attention_gap": {
        "en": "linear attention with a decay for each key channel, by scan, against masked products of queries and "
        "keys, in outputs and gradients (f64); control: products without decay",
        "zh": "各键通道各自衰减的线性注意力用扫描计算，与查询和键的掩码乘积在输出与梯度上的差距（f64）；"
        "对照：不衰减的乘积",
    },
    "parity state_growth <= 1 < attention_growth <= 17": {
        "en": "factor by which the numbers needed at a token grow from 64 to 1024 tokens, the larger of Mamba and "
        "linear attention; control: attention token by token, with keys and values kept",
        "zh": "从 64 个词元增到 1024 个时每步所需的数增大的倍数，取 Mamba 与线性注意力中较大者；"
        "对照：缓存键与值、逐词元计算的注意力",
    },
}
ZH = {
    "squared error": "均方误差",
    "selective": "选择性",
    "fixed": "固定",
    "true sum": "正确的和",
    "the sum since the last mark (tokens 9, 17, 25), and what each net says": "自上次标记（词元 9、17、25）以来之和，"
    "与两个网络的回答",
    "token": "词元",
    "sum": "和",
    "numbers held for one head": "单个头同时占用的数",
    "linear attention": "线性注意力",
    "attention, token by token": "普通注意力，逐词元",
    "attention": "普通注意力",
    "tokens": "词元数",
    "numbers": "数的个数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
