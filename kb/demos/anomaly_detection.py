"""Anomaly detection — an autoencoder that knows healthy readings alone finds most of what breaks their curved law.

A simulated machine: two hidden states (say speed and load) drive twelve sensors through a curved law, with some noise.
A fault shifts one sensor by five times the noise, seldom out of its usual range. All detectors are fitted to healthy
readings. The autoencoder squeezes the twelve values through three; what it fails to rebuild is the alarm. Rivals: what
PCA (the best linear squeeze) fails to rebuild, an isolation forest (random cuts soon set a fault apart), and the
distance to the nearest healthy reading. Residuals are divided by their spread in held-out healthy readings, PCA's too,
with as many components as serve it best on the test. Not shown, about as good: a mean of 12 neighbours, to rebuild.

Needs:  torch, scikit-learn
Source: M. Sakurada, T. Yairi, Anomaly Detection Using Autoencoders with Nonlinear Dimensionality Reduction, 2014;
        F. T. Liu, K. M. Ting, Z.-H. Zhou, Isolation Forest, ICDM 2008 (a rival)
"""

import copy
from itertools import pairwise

import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

SENSORS, STATES, CURVE, NOISE, FAULT = 12, 2, 3.5, 0.05, 0.25
WIDTH, CODE, TRAIN, TEST, BATCH, RATE = 96, 3, 2000, 1000, 128, 1e-2

# %% the concept


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        widths = [SENSORS, WIDTH, CODE, WIDTH, SENSORS]
        pairs = list(pairwise(widths))
        self.weights = nn.ParameterList(torch.randn(o, i) / i**0.5 for i, o in pairs)
        self.biases = nn.ParameterList(torch.zeros(o) for _, o in pairs)

    def forward(self, x: Tensor) -> Tensor:  # (n, SENSORS) -> (n, CODE) -> (n, SENSORS)
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight.T + bias
            if k in (0, 2):
                x = x.tanh()  # bends; the code between has too few numbers to copy the input
        return x

    def loss(self, x: Tensor) -> Tensor:  # -> (), of healthy readings alone
        return (self(x) - x).square().mean()  # |f(x) - x|^2: what it fails to rebuild


def surprise(residual: Tensor, healthy: Tensor) -> Tensor:  # (n, SENSORS), (m, SENSORS) -> (n, SENSORS)
    return (residual / healthy.square().mean(0).sqrt()).square()  # in units of each sensor's usual residual


def auc(normal: Tensor, faulty: Tensor, ties: float = 0.5) -> float:
    """How often a fault scores above a healthy reading: the area under the ROC curve."""
    above = (faulty[:, None] > normal).double() + ties * (faulty[:, None] == normal).double()  # P(f > n) + P(f = n) / 2
    return above.mean().item()


# %% the experiment


def readings(n: int, law: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
    states = 2 * torch.rand(n, STATES, generator=generator) - 1
    clean = (states @ law[0]).tanh() @ law[1]  # (n, SENSORS)
    return clean + NOISE * torch.randn(n, SENSORS, generator=generator)


def net_gap(net: Autoencoder, x: Tensor, bent: bool) -> float:
    """Largest difference from nn.Sequential and F.mse_loss, in output, loss and gradients by weights and input; f64."""
    layers: list[nn.Module] = []
    for k, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        layers.append(nn.Linear(*weight.T.shape, dtype=torch.float64))
        layers[-1].weight.data, layers[-1].bias.data = weight.detach().clone(), bias.detach().clone()
        layers += [nn.Tanh()] if bent and k in (0, 2) else []
    twin, found = nn.Sequential(*layers), []
    own = [p for pair in zip(net.weights, net.biases, strict=True) for p in pair]
    for module, weights in ((net, own), (twin, None)):
        leaf = x.clone().requires_grad_()
        loss = net.loss(leaf) if weights else F.mse_loss(twin(leaf), leaf)
        leaves = [leaf, *(weights or twin.parameters())]
        found.append([module(x).detach(), loss.detach(), *torch.autograd.grad(loss, leaves, materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def auc_gap(ties: float, scores: list[Tensor]) -> float:
    """Difference from scikit-learn, on scores that are rounded, so that many are equal."""
    normal, faulty = (torch.round(part) for part in scores)
    labels = [0] * len(normal) + [1] * len(faulty)
    return abs(auc(normal, faulty, ties) - roc_auc_score(labels, torch.cat([normal, faulty])))


def surprise_gap(residual: Tensor, healthy: Tensor, scaled: bool) -> float:
    """Largest difference from scikit-learn's scaler without a mean, squared."""
    scaler = StandardScaler(with_mean=False, with_std=scaled).fit(torch.cat([healthy, -healthy]).double().numpy())
    theirs = torch.tensor(scaler.transform(residual.double().numpy())).square()
    return (surprise(residual.double(), healthy.double()) - theirs).abs().max().item()


def roc(normal: Tensor, faulty: Tensor) -> tuple[list[float], list[float]]:
    """Shares of false alarms and of faults found, at 21 thresholds."""
    shares = torch.linspace(0, 1, 21)
    limits = torch.quantile(normal.float(), 1 - shares)
    return shares.tolist(), [(faulty > limit).float().mean().item() for limit in limits]


def run(device="cpu", seed=0, steps=1200):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    law = CURVE * torch.randn(STATES, 16, generator=data), torch.randn(16, SENSORS, generator=data) / 4
    healthy, held = (readings(n, law, data) for n in (TRAIN, TEST))
    normal, faulty = (readings(TEST, law, unseen) for _ in range(2))
    broken = torch.randint(SENSORS, (TEST,), generator=unseen)
    signs = 2.0 * torch.randint(2, (TEST,), generator=unseen) - 1
    faulty = faulty + FAULT * signs[:, None] * F.one_hot(broken, SENSORS)
    torch.manual_seed(3 * seed)  # weights, healthy readings and test: three streams
    net = Autoencoder().to(device)
    optimizer, inputs = torch.optim.Adam(net.parameters()), healthy.to(device)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1, 2 * (1 - step / steps))
        loss = net.loss(inputs[torch.randint(TRAIN, (BATCH,), generator=data).to(device)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (step + 1) / steps, {"autoencoder": loss.item(), "noise": NOISE**2}

    def of_net(x: Tensor) -> Tensor:
        with torch.no_grad():
            return x - net(x.to(device)).cpu()

    parts = [of_net(x) for x in (held, normal, faulty)]
    sensors = {"autoencoder": [surprise(part, parts[0]) for part in parts[1:]]}
    for k in range(1, SENSORS):
        pca = PCA(k).fit(healthy.numpy())
        parts = [x - torch.tensor(pca.inverse_transform(pca.transform(x.numpy()))) for x in (held, normal, faulty)]
        sensors[f"PCA {k}"] = [surprise(part, parts[0]) for part in parts[1:]]
    scores = {name: [part.sum(1) for part in both] for name, both in sensors.items()}
    forest = IsolationForest(n_estimators=100, random_state=seed).fit(healthy.numpy())
    scores["isolation forest"] = [torch.tensor(-forest.score_samples(x.numpy())) for x in (normal, faulty)]
    near = NearestNeighbors(n_neighbors=1).fit(healthy.numpy())
    scores["nearest reading"] = [torch.tensor(near.kneighbors(x.numpy())[0][:, -1]) for x in (normal, faulty)]
    areas = {name: auc(*both) for name, both in scores.items()}
    found = {name: (both[1].argmax(1) == broken).float().mean().item() for name, both in sensors.items()}
    pca = max((name for name in sensors if name.startswith("PCA")), key=areas.__getitem__)
    curves = {"best PCA": pca} | {name: name for name in ("autoencoder", "nearest reading", "isolation forest")}
    exact, held_rest = copy.deepcopy(net).cpu().double(), of_net(held)
    return {
        "net_auc": areas["autoencoder"],
        "rival_auc": max(area for name, area in areas.items() if name != "autoencoder"),
        "net_found": found["autoencoder"],
        "pca_found": max(share for name, share in found.items() if name != "autoencoder"),
        "net_gap": net_gap(exact, normal[:20].double(), True),
        "straight_gap": net_gap(exact, normal[:20].double(), False),
        "surprise_gap": surprise_gap(of_net(normal), held_rest, True),
        "unscaled_gap": surprise_gap(of_net(normal), held_rest, False),
        "auc_gap": auc_gap(0.5, scores["autoencoder"]),
        "tieless_gap": auc_gap(0.0, scores["autoencoder"]),
    }, {
        "faults found at each share of false alarms": {
            "kind": "lines",
            "series": {shown: roc(*scores[name]) for shown, name in curves.items()},
            "x": "false alarms",
            "y": "faults found",
        }
    }


# %% what is claimed

TITLE = {"en": "What it cannot rebuild is the alarm", "zh": "重建不了的就是异常"}
CURVES = "mean squared error of rebuilding"
CPU_SECONDS = 2
CLAIMS = {
    "trained net_auc >= 0.92 > rival_auc >= 0.83": {
        "en": "area under the ROC curve, faults against new healthy readings; control: the best of PCA with "
        "any number of components, an isolation forest and the distance to the nearest healthy reading",
        "zh": "区分故障读数与新的正常读数的 ROC 曲线下面积；对照：任意主成分数的 PCA、孤立森林、"
        "到最近正常读数的距离中最好的",
    },
    "trained net_found >= 0.84 > pca_found >= 0.5": {
        "en": "share of faults whose broken sensor is the one that surprises most; control: PCA with the number of "
        "components that is best at it",
        "zh": "残差最反常的传感器正是故障传感器的比例；对照：主成分数取最有利值的 PCA",
    },
    "parity net_gap <= 1e-10 < straight_gap": {
        "en": "largest gap to nn.Sequential and F.mse_loss in output, loss and gradients (f64); the control is linear",
        "zh": "与 nn.Sequential 和 F.mse_loss 在输出、损失与梯度上的最大差距（f64）；对照没有非线性",
    },
    "parity surprise_gap <= 1e-8 < unscaled_gap": {
        "en": "largest gap of a sensor's surprise to scikit-learn's StandardScaler about 0, squared; the control does "
        "not divide by the usual residual",
        "zh": "传感器残差的反常程度与 scikit-learn 以 0 为中心的 StandardScaler 平方后的最大差距；对照不除以平时的残差",
    },
    "parity auc_gap <= 1e-10 < tieless_gap": {
        "en": "gap of the area to scikit-learn's roc_auc_score on rounded scores; the control gives nothing for ties",
        "zh": "四舍五入后的分数上，面积与 scikit-learn 的 roc_auc_score 之差；对照不计并列",
    },
}
ZH = {
    "mean squared error of rebuilding": "重建的均方误差",
    "autoencoder": "自编码器",
    "noise": "噪声",
    "best PCA": "最好的 PCA",
    "nearest reading": "最近邻距离",
    "isolation forest": "孤立森林",
    "faults found at each share of false alarms": "各误报率下的检出率",
    "false alarms": "误报率",
    "faults found": "检出率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
