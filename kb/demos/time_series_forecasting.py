"""Time series forecasting — a causal network forecasts a load that bends with the weather; a random walk it cannot.

A simulated power load by the hour: a daily cycle, more power the further the temperature is from mild, on either side,
and noise that is larger by day than by night. It is forecast six hours ahead, from load, temperature and hour up to
now; all methods are fitted to the past and judged on what comes after it (a backtest). The network's convolutions see
nothing that comes later; it gives the load's median, its forecast, and bounds that 10 % and 90 % should stay below.
Rivals: the last value, the same hour yesterday, and ridge regression (linear, large weights cost; the best of 3 costs)
on two days of both series and the hour. The best forecast of a random walk, a model of prices, is its last value.

Needs:  torch, scikit-learn
Source: S. Bai, J. Z. Kolter, V. Koltun, An Empirical Evaluation of Generic Convolutional and Recurrent Networks for
        Sequence Modeling, 2018 (a larger network); R. Koenker, G. Bassett, Regression Quantiles, Econometrica 46(1),
        1978 (its loss)
"""

import copy
import math

import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_pinball_loss
from torch import Tensor, nn
from torch.nn import functional as F

PAST, LATER, AHEAD, WIDTH, KERNEL, LAYERS, RATE, WINDOW, BATCH, LAGS = 8000, 3000, 6, 20, 3, 5, 8e-3, 400, 4, 48
STAYS, SHOCK, NOISE = 0.985, 0.15, (0.5, 0.03)  # of the weather, and of the load by day and by night
REACH = 64  # the first hours of a window, where the network sees too little; not scored
LEVELS = 0.1, 0.5, 0.9

# %% the concept


class CausalConv(nn.Module):
    """Output t is a weighted sum of inputs t, t - d, t - 2d, ...: nothing that comes later."""

    def __init__(self, d_in: int, d_out: int, dilation: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_out, d_in, KERNEL) / math.sqrt(d_in * KERNEL))
        self.bias, self.dilation = nn.Parameter(torch.zeros(d_out)), dilation

    def forward(self, x: Tensor) -> Tensor:  # (B, d_in, T) -> (B, d_out, T)
        reach = (KERNEL - 1) * self.dilation
        x = F.pad(x, (reach, 0))  # zeros before the start, none after the end
        taps = [x[..., k * self.dilation : x.shape[-1] - reach + k * self.dilation] for k in range(KERNEL)]
        y = sum(self.weight[..., k] @ tap for k, tap in enumerate(taps))  # y_t = sum_k w_k x_{t - (K - 1 - k) d}
        return y + self.bias[:, None]


class TCN(nn.Module):
    def __init__(self, d_in: int) -> None:
        super().__init__()
        widths = [d_in] + LAYERS * [WIDTH]
        self.layers = nn.ModuleList(CausalConv(*widths[k : k + 2], 2**k) for k in range(LAYERS))  # sees 63 hours
        self.head = nn.Conv1d(WIDTH, len(LEVELS), 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, d_in, T) -> (B, levels, T)
        h = self.layers[0](x)
        for layer in self.layers[1:]:
            h = h + layer(h.relu())
        return self.head(h.relu()) + x[:, :1]  # what changes from the last value


def pinball(guess: Tensor, truth: Tensor) -> Tensor:  # (B, levels, T), (B, T) -> ()
    error = truth[:, None] - guess
    level = torch.tensor(LEVELS, dtype=guess.dtype).to(guess.device)[:, None]
    return torch.maximum(level * error, (level - 1) * error).mean()  # least where P(truth < guess) = level


# %% its control


def ridge_forecast(series: Tensor, penalty: float, until: int) -> Tensor:
    """Forecasts of each hour's load, AHEAD hours before, by a linear fit up to `until`: (T,), the first are 0."""
    issued = torch.arange(LAGS, series.shape[1] - AHEAD)
    lags = series[:2, issued[:, None] - torch.arange(LAGS)].transpose(0, 1).flatten(1)
    known = torch.cat([lags, F.one_hot(issued % 24, 24)], 1).numpy()
    truth = series[0, issued + AHEAD].numpy()
    fitted = Ridge(penalty).fit(known[: until - LAGS - AHEAD], truth[: until - LAGS - AHEAD])
    return torch.cat([torch.zeros(LAGS + AHEAD), torch.tensor(fitted.predict(known)).float()])


# %% the experiment


def simulate(hours: int, generator: torch.Generator) -> Tensor:
    """Load, temperature, and the hour as sine and cosine: (4, hours)."""
    noise, angle = torch.randn(2, hours, generator=generator), 2 * math.pi * torch.arange(hours) / 24
    weather, warmth = [], 0.0
    for shock in noise[0].tolist():
        warmth = STAYS * warmth + SHOCK * shock  # an autoregression of order one
        weather.append(warmth)
    degrees = torch.tensor(weather) + 0.5 * angle.sin()
    level = degrees.abs() + 0.6 * (angle - 1).sin() + torch.where(is_day(hours), *NOISE) * noise[1]
    return torch.stack([level, degrees, angle.sin(), angle.cos()])


def best_possible(series: Tensor) -> Tensor:
    """The median of each hour's load for one who knows how it is simulated, AHEAD hours before: (T,)."""
    _, degrees, sine, cosine = series
    spread = SHOCK * math.sqrt(sum(STAYS ** (2 * k) for k in range(AHEAD)))
    likely = torch.distributions.Normal(0.0, 1.0).icdf(torch.arange(0.5, 40) / 40)
    drift = (STAYS**AHEAD * (degrees - 0.5 * sine)).roll(AHEAD) + 0.5 * sine
    warm = (drift[:, None] + spread * likely).abs()[:, :, None]  # (T, 40, 1)
    noise = torch.where(is_day(len(drift)), *NOISE)[:, None, None] * likely[::3]
    return (warm + noise).flatten(1).median(1).values + 0.6 * (sine * math.cos(1) - cosine * math.sin(1))


def is_day(hours: int) -> Tensor:
    return torch.arange(hours) % 24 < 12


def train(series: Tensor, steps: int, seed: int, device: str):
    """A network fitted to the past; yields it and its loss at each step."""
    torch.manual_seed(3 * seed)
    net, order = TCN(len(series)).to(device), torch.Generator().manual_seed(3 * seed + 2)
    optimizer, past = torch.optim.Adam(net.parameters()), series[:, :PAST].to(device)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 * (1 - step / steps), (step + 1) / 20)
        starts = torch.randint(PAST - WINDOW - AHEAD, (BATCH,), generator=order).tolist()
        x = torch.stack([past[:, k : k + WINDOW] for k in starts])
        y = torch.stack([past[0, k + AHEAD : k + AHEAD + WINDOW] for k in starts])
        loss = pinball(net(x)[..., REACH:], y[:, REACH:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield net, loss.item()


def tcn_gap(net: TCN, x: Tensor, truth: Tensor, causal: bool) -> float:
    """Largest difference from F.conv1d and scikit-learn's pinball loss, in outputs, loss and gradients; f64."""
    h = x
    for k, layer in enumerate(net.layers):
        reach = (KERNEL - 1) * 2**k
        sides = (reach, 0) if causal else (reach // 2, reach // 2)
        y = F.conv1d(F.pad(h if h is x else h.relu(), sides), layer.weight, layer.bias, dilation=2**k)
        h = y if h is x else h + y
    theirs, ours = F.conv1d(h.relu(), net.head.weight, net.head.bias) + x[:, :1], net(x)
    loss, levels = pinball(ours, truth), torch.tensor(LEVELS, dtype=torch.float64)[:, None]
    share = (truth[:, None] < theirs).double() - levels  # the gradient of the pinball loss, times its size
    found = [
        torch.autograd.grad(loss, [*net.parameters()], retain_graph=True, materialize_grads=True),
        torch.autograd.grad((theirs * share.detach()).mean(), [*net.parameters()]),
    ]
    flat = [(truth.flatten().numpy(), theirs[:, k].detach().flatten().numpy(), q) for k, q in enumerate(LEVELS)]
    right = sum(mean_pinball_loss(y, guess, alpha=q) for y, guess, q in flat) / len(LEVELS)
    gaps = [(a - b).abs().max().item() for a, b in zip(*found, strict=True)]
    return max(abs(loss.item() - right), (ours - theirs).detach().abs().max().item(), *gaps)


def run(device="cpu", seed=0, steps=160):
    data = torch.Generator().manual_seed(3 * seed + 1)  # weights, data and the order of training: three streams
    hours = PAST + LATER
    series = {"load": simulate(hours, data), "random walk": torch.randn(1, hours, generator=data).cumsum(1) / 10}
    nets = {}
    runs = {name: train(values, steps, seed, device) for name, values in series.items()}
    for step in range(steps):
        losses = {}
        for name, training in runs.items():
            nets[name], losses[name] = next(training)
        yield (step + 1) / steps, losses
    later, load, walk = slice(PAST + AHEAD, hours), series["load"][0], series["random walk"][0]
    blocks = walk[PAST:].unfold(0, WINDOW, WINDOW)
    blocks = blocks - blocks[:, :1] + walk[:PAST].median()  # each starts amid the past: levels that training saw
    with torch.no_grad():
        low, middle, high = F.pad(nets["load"](series["load"][None].to(device))[0].cpu(), (AHEAD, 0))[:, :hours]
        walked = nets["random walk"](blocks[:, None].to(device))[:, 1].cpu()

    def error(forecast: Tensor, truth: Tensor) -> float:
        return (forecast - truth)[later].abs().mean().item()

    fits = {penalty: ridge_forecast(series["load"], penalty, PAST * 4 // 5) for penalty in (1.0, 10.0, 100.0)}
    held = slice(PAST * 4 // 5, PAST)  # the penalty is chosen on the end of the past
    best = min(fits, key=lambda penalty: (fits[penalty] - load)[held].abs().mean().item())
    rivals = {"ridge": ridge_forecast(series["load"], best, PAST), "last": load.roll(AHEAD)}
    rivals["yesterday"] = load.roll(24)
    scale = error(best_possible(series["load"]), load)
    spread = torch.quantile((load - fits[best])[held], torch.tensor(LEVELS))
    bands = {"net": (low, high), "ridge": (rivals["ridge"] + spread[0], rivals["ridge"] + spread[2])}

    def cover_gap(band: tuple[Tensor, Tensor]) -> float:
        inside = ((band[0] <= load) & (load <= band[1]))[later].float()
        day = is_day(hours)[later]
        return max(abs(inside[which].mean().item() - 0.8) for which in (day, ~day))

    walk_errors = [
        (guess[:, REACH:-AHEAD] - blocks[:, REACH + AHEAD :]).abs().mean().item() for guess in (walked, blocks)
    ]
    exact = copy.deepcopy(nets["load"]).cpu().double()
    few = series["load"][None, :, :200].double(), load[None, AHEAD : 200 + AHEAD].double()
    shown = list(range(72))
    cut = slice(PAST + AHEAD, PAST + AHEAD + 72)
    lines = {"load": load, "10 %": low, "median": middle, "90 %": high}
    errors = {name: error(forecast, load) for name, forecast in rivals.items()}
    return {
        "net_error": error(middle, load) / scale,
        "rival_error": min(errors.values()) / scale,
        "cover_gap": cover_gap(bands["net"]),
        "constant_cover_gap": cover_gap(bands["ridge"]),
        "walk_gap": abs(walk_errors[0] / walk_errors[1] - 1),
        "load_gap": abs(error(middle, load) / errors["last"] - 1),
        "tcn_gap": tcn_gap(exact, *few, True),
        "uncausal_gap": tcn_gap(exact, *few, False),
    }, {
        "three days after the past, forecast six hours ahead": {
            "kind": "lines",
            "series": {name: (shown, values[cut].tolist()) for name, values in lines.items()},
            "x": "hour",
            "y": "load",
        }
    }


# %% what is claimed

TITLE = {"en": "A causal network forecasts better than a line", "zh": "因果网络的预测胜过线性模型"}
CURVES = "pinball loss"
CPU_SECONDS = 2
CLAIMS = {
    "trained net_error <= 1.09 < rival_error <= 1.3": {
        "en": "mean absolute error on the load six hours ahead, over that of one who knows the simulation; control: "
        "the best of the last value, the same hour yesterday, and ridge regression on two days",
        "zh": "提前六小时预测负荷的平均绝对误差，除以知道模拟规律者的误差；对照：最近值、昨日同时刻的值、"
        "用过去两天数据的岭回归中最好的",
    },
    "trained cover_gap <= 0.06 < constant_cover_gap <= 0.17": {
        "en": "how far the share of loads between the 10 % and the 90 % quantile is from 80 %, by day or by night, "
        "whichever is worse; control: ridge regression with the quantiles of its residuals",
        "zh": "负荷落在预测的 10% 与 90% 分位数之间的比例偏离 80% 多少，取白天与夜间中较差者；"
        "对照：岭回归加上其残差的分位数",
    },
    "trained walk_gap <= 0.06 < load_gap": {
        "en": "how far the ratio of the error on a random walk to that of its last value, the best forecast, is from "
        "1; control: the same on the load, where there is something to learn",
        "zh": "随机游走上的误差与最近值（最优预测）的误差之比偏离 1 多少；对照：负荷上的同一数值，那里有规律可学",
    },
    "parity tcn_gap <= 1e-10 < uncausal_gap": {
        "en": "largest gap to F.conv1d and scikit-learn's pinball loss in outputs, loss and gradients (f64); the "
        "control looks into the future as well",
        "zh": "与 F.conv1d 及 scikit-learn 的分位数损失在输出、损失与梯度上的最大差距（f64）；对照同时看过去与未来",
    },
}
ZH = {
    "pinball loss": "分位数损失",
    "load": "负荷",
    "random walk": "随机游走",
    "10 %": "10% 分位",
    "median": "中位数",
    "90 %": "90% 分位",
    "hour": "小时",
    "three days after the past, forecast six hours ahead": "训练期之后的三天，提前六小时预测",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
