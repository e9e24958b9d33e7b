"""Survival analysis — who is still alive when the study ends counts too: dropping them makes life look shorter.

Simulated patients: two measurements and a hazard, the risk of dying now if alive so far, that grows with the first and
with the square of the second. A study ends for each at a random time; of many it knows only that they lived that long
(censored). Kaplan and Meier multiply the shares that survive each death among those still watched. Cox asks, at each
death, how likely it was to be this one of those still watched, so that the hazard's course over time need not be known.
On that likelihood a network learns log risks from raw measurements, as in DeepSurv; Cox's own model, which is linear,
misses the square unless it is told. The curve is wrong where the sick leave early, as the well are watched longer.

Needs:  torch
Source: E. L. Kaplan, P. Meier, Nonparametric Estimation from Incomplete Observations, JASA 53, 1958; D. R. Cox,
        Regression Models and Life-Tables, Journal of the Royal Statistical Society B 34(2), 1972; J. L. Katzman et al.,
        DeepSurv, BMC Medical Research Methodology 18, 2018
"""

import torch
from torch import Tensor, autograd, nn

PATIENTS, TEST, WEIGHT, SHAPE, STUDY, RATE = 3000, 2000, 0.7, 1.5, 2.5, 1e-2

# %% the concept


def kaplan_meier(time: Tensor, died: Tensor) -> tuple[Tensor, Tensor]:
    """S(t) = product over deaths up to t of 1 - 1 / (number still watched): sorted times and S after each."""
    order = time.argsort()
    watched = torch.arange(len(time), 0, -1, device=time.device)
    return time[order], (1 - died[order].to(time) / watched).cumprod(0)


def cox_loss(risk: Tensor, time: Tensor, died: Tensor) -> Tensor:
    """Mean over deaths i of -log(exp(risk_i) / sum_{j: time_j >= time_i} exp(risk_j))."""
    order = time.argsort(descending=True)
    risk, died = risk[order], died[order]
    return -(risk - risk.logcumsumexp(0))[died].mean()


def cox(x: Tensor, time: Tensor, died: Tensor) -> Tensor:  # (n, d) -> (d,)
    """The coefficients of a risk that is linear in x, by Newton's steps."""
    loss, b = (lambda b: cox_loss(x @ b, time, died)), torch.zeros_like(x[0])
    for _ in range(8):
        b = b - torch.linalg.solve(autograd.functional.hessian(loss, b), autograd.functional.jacobian(loss, b))
    return b


# %% its control: the censored are dropped, or counted as dead


def dropped(time: Tensor, died: Tensor) -> tuple[Tensor, Tensor]:
    return time[died], died[died]


def counted(time: Tensor, died: Tensor) -> tuple[Tensor, Tensor]:
    return time, torch.ones_like(died)


# %% the experiment


def patients(n: int, g: torch.Generator, leave: str = "") -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Measurements (n, 2), log risk, time watched, died?, (n,) each; `leave`: some end early, the others late."""
    x = torch.randn(n, 2, generator=g)
    risk = WEIGHT * (x[:, 0] + x[:, 1] ** 2 - 1)
    # P(T > t) = exp(-t^shape exp(risk)): the hazard is shape t^(shape - 1) exp(risk)
    life = (-(1 - torch.rand(n, generator=g)).log() / risk.exp()) ** (1 / SHAPE)
    end = STUDY * torch.rand(n, generator=g)
    if leave:
        leaves = risk if leave == "sick" else risk[torch.randperm(n, generator=g)]
        end = torch.where(leaves > 0, end / 4, end * 4)
    return x, risk, torch.minimum(life, end), life <= end


def concordance(risk: Tensor, time: Tensor, died: Tensor) -> float:
    """Of the pairs in which one is known to die first, the share in which it had the higher risk."""
    pairs = died[:, None] & (time[:, None] < time)
    return (risk[:, None] > risk)[pairs].double().mean().item()


def gaps_to_loops(risk: Tensor, time: Tensor, died: Tensor, strictly: bool = False) -> float:
    """Largest difference of curve, loss, gradient and concordance from loops, f64; `strictly` leaves out who dies."""
    risk = risk.requires_grad_()
    curve, loss, alive, steps = kaplan_meier(time, died)[1], 0.0, 1.0, []
    for i in time.argsort().tolist():
        watched = time > time[i] if strictly else time >= time[i]
        if died[i] and watched.any():
            alive *= 1 - 1 / int(watched.sum())
            loss = loss - (risk[i] - risk[watched].exp().sum().log()) / died.sum()
        steps.append(alive)
    ours = cox_loss(risk, time, died)
    slopes = [torch.autograd.grad(part, risk)[0] for part in (ours, loss)]
    pairs = [(i, j) for i in died.nonzero()[:, 0].tolist() for j in range(len(time)) if time[j] > time[i]]
    right = sum(bool(risk[i] > risk[j]) for i, j in pairs) / len(pairs)
    gaps = curve - torch.tensor(steps, dtype=curve.dtype), ours - loss, slopes[0] - slopes[1]
    return max(abs(concordance(risk, time, died) - right), *(gap.abs().max().item() for gap in gaps))


def run(device="cpu", seed=0, steps=150):
    torch.manual_seed(4 * seed)  # weights, patients, leaving patients, new patients: four streams
    g, leaving, unseen = (torch.Generator().manual_seed(4 * seed + k) for k in (1, 2, 3))
    x, _, time, died = (t.to(device) for t in patients(PATIENTS, g))
    known = {"network": (x, time, died), "deaths alone": (x[died], *dropped(time, died))}
    nets = {name: nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1)).to(device) for name in known}
    optimizers = {name: torch.optim.Adam(net.parameters(), RATE) for name, net in nets.items()}
    for step in range(steps):
        losses = {name: cox_loss(nets[name](rows)[:, 0], *seen) for name, (rows, *seen) in known.items()}
        for name, loss in losses.items():
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    moments = torch.linspace(0, 2, 81)
    nodes = torch.linspace(-6, 6, 401)
    density = (-(nodes**2) / 2).exp() / (-(nodes**2) / 2).exp().sum()
    hazards = (WEIGHT * (nodes[:, None] + nodes**2 - 1)).exp()  # (401, 401): a grid of both measurements
    true = torch.stack([density @ (-(t**SHAPE) * hazards).exp() @ density for t in moments])

    def curve(time: Tensor, died: Tensor) -> Tensor:
        times, alive = (t.cpu() for t in kaplan_meier(time, died))
        return torch.cat([torch.ones(1), alive])[torch.searchsorted(times, moments, right=True)]

    sick, anybody = ([t.to(device) for t in patients(PATIENTS, leaving, who)[2:]] for who in ("sick", "any"))
    curves = {
        "true": true,
        "Kaplan-Meier": curve(time, died),
        "censored dropped": curve(*dropped(time, died)),
        "censored counted as dead": curve(*counted(time, died)),
        "the sick leave early": curve(*sick),
    }
    off = {name: (c - true).abs().mean().item() for name, c in (curves | {"any": curve(*anybody)}).items()}
    columns, seen = torch.stack([x[:, 0], x[:, 1] ** 2], 1).cpu().double(), (time.cpu().double(), died.cpu())
    alike = cox(columns, *seen), cox(columns[seen[1]], *dropped(*seen)), cox(columns, *counted(*seen))
    wrong = [(b - WEIGHT).abs().max().item() for b in alike]
    x_new, risk_new, time_new, died_new = patients(TEST, unseen)
    with torch.no_grad():
        learned, from_deaths = (net.cpu()(x_new)[:, 0] for net in nets.values())
    risks = risk_new, learned, x_new @ cox(x.cpu().double(), *seen).float()
    ordered = [concordance(risk, time_new, died_new) for risk in risks]
    wide = [risk - risk_new - (risk - risk_new).mean() for risk in (learned, from_deaths)]
    few = risk_new[:60].double(), time_new[:60].double(), died_new[:60]
    return {
        "curve_off": off["Kaplan-Meier"],
        "dropped_off": min(off["censored dropped"], off["censored counted as dead"]),
        "anybody_off": off["any"],
        "leaving_off": off["the sick leave early"],
        "coefficients_off": wrong[0],
        "coefficients_dropped_off": min(wrong[1:]),
        "network_lacks": ordered[0] - ordered[1],
        "linear_lacks": ordered[0] - ordered[2],
        "network_off": wide[0].abs().mean().item(),
        "network_dropped_off": wide[1].abs().mean().item(),
        "loop_gap": gaps_to_loops(*few),
        "strict_gap": gaps_to_loops(*few, strictly=True),
    }, {
        "share of the patients still alive": {
            "kind": "lines",
            "series": {name: (moments.tolist(), c.tolist()) for name, c in curves.items()},
            "x": "time",
            "y": "share alive",
        }
    }


# %% what is claimed

TITLE = {"en": "Who is still alive counts too", "zh": "仍在世的人也要算进去"}
CURVES = "Cox's loss"
CPU_SECONDS = 1
CLAIMS = {
    "parity curve_off <= 0.025 < dropped_off": {
        "en": "mean distance of Kaplan and Meier's curve from the true one; control: the censored dropped, or counted "
        "as dead, whichever is nearer",
        "zh": "Kaplan–Meier 曲线与真实曲线的平均距离；对照：丢弃删失者，或把他们算作死亡，取较近者",
    },
    "parity anybody_off <= 0.025 < leaving_off": {
        "en": "the same distance where many leave early, whoever they are; control: about as many, those at high risk",
        "zh": "同一距离，许多人提前退出、但与病情无关时；对照：约同样多的人退出，但都是风险较高者",
    },
    "parity coefficients_off <= 0.06 < coefficients_dropped_off": {
        "en": "error of the worse of Cox's two coefficients, 0.7 each, told the square; control: the censored dropped, "
        "or counted as dead, whichever is nearer",
        "zh": "已知平方项时，Cox 模型两个系数（均为 0.7）中较差者的误差；对照：丢弃删失者，或把他们算作死亡，取较近者",
    },
    "trained network_lacks <= 0.005 < linear_lacks": {
        "en": "share of new patients' pairs ordered rightly, below the share by the true risks, for a network on the "
        "raw measurements; control: Cox's linear model on them",
        "zh": "网络用原始测量值给新患者两两排序，正确的比例比按真实风险排序低多少；对照：同样输入的线性 Cox 模型",
    },
    "trained network_off <= 0.15 < network_dropped_off <= 0.5": {
        "en": "mean error of the network's log risks, their mean set right; control: trained on the deaths alone",
        "zh": "网络给出的对数风险的平均绝对误差（先对齐均值）；对照：只用死亡者训练",
    },
    "parity loop_gap <= 1e-10 < strict_gap": {
        "en": "largest difference of curve, loss, gradient and ordered pairs from loops (f64); control: whoever dies "
        "is not counted among those watched",
        "zh": "曲线、损失、梯度与排序正确率同逐个循环计算的最大差距（f64）；对照：死亡者本人不计入仍在观察者",
    },
}
ZH = {
    "Cox's loss": "Cox 损失",
    "network": "网络",
    "deaths alone": "只用死亡者",
    "share of the patients still alive": "仍在世的患者比例",
    "true": "真实",
    "Kaplan-Meier": "Kaplan–Meier 估计",
    "censored dropped": "丢弃删失者",
    "censored counted as dead": "删失者算作死亡",
    "the sick leave early": "病重者提前退出",
    "time": "时间",
    "share alive": "在世比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
