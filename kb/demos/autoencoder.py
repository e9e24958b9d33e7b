"""Autoencoder — two numbers per image: a linear one ends at PCA, a deep one goes well below it.

8x8 digits are squeezed through two numbers and rebuilt; the loss is the squared error of the 64 pixels. PCA
is the best that any linear encoder and decoder can do, and gradient descent finds it. A deep encoder and
decoder bend the plane: on held-out digits they rebuild better and keep the classes further apart, though no
label was seen.

Claim:  the linear autoencoder ends within a percent of the PCA optimum; the deep one beats PCA on held-out
        digits, in error and in what a nearest-neighbour vote over the codes says about the class.
Source: P. Baldi, K. Hornik, Neural Networks and Principal Component Analysis, Neural Networks 2(1), 1989; G.
        Hinton, R. Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks, Science 313, 2006
Run:    python kb/demos/autoencoder.py --device cpu --seed 0 --steps 1000
"""

from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "Autoencoder against PCA", "zh": "自编码器与 PCA"}
CPU_SECONDS = 3
CLAIMS = {
    "trained linear_excess <= 0.08 < random_encoder_excess": {
        "en": "relative excess of the linear autoencoder's error over PCA's; the control's encoder is random",
        "zh": "线性自编码器的误差超出 PCA 的比例；对照的编码器随机且固定",
    },
    "trained deep_error <= 2.7 < pca_error": {
        "en": "squared error of held-out digits rebuilt from two numbers; the control is PCA",
        "zh": "仅凭二维编码重建留出集数字的平方误差；对照为 PCA",
    },
    "trained deep_code_accuracy >= 0.74 > pca_code_accuracy": {
        "en": "held-out digits told apart by their 5 nearest neighbours among the codes; the control is PCA",
        "zh": "用编码的 5 个最近邻判别留出集数字的准确率；对照为 PCA",
    },
    "parity pca_gap <= 1e-10 < kept_gap": {
        "en": "error of PCA against the sum of the discarded variances; the control sums the kept ones",
        "zh": "PCA 的误差与被舍弃方差之和的差距；对照取保留的方差之和",
    },
}

PIXELS, CODE, TRAIN, BATCH = 64, 2, 1300, 128


class Autoencoder(nn.Module):
    def __init__(self, hidden: tuple[int, ...], rate: float, frozen: bool = False) -> None:
        super().__init__()
        sizes = (PIXELS, *hidden, CODE)
        self.encoder, self.decoder = self.stack(sizes), self.stack(sizes[::-1])
        self.encoder.requires_grad_(not frozen)
        self.rate = rate

    @staticmethod
    def stack(sizes: tuple[int, ...]) -> nn.Sequential:
        """Linear layers with a ReLU between each two."""
        pairs = [(nn.ReLU(), nn.Linear(a, b)) for a, b in pairwise(sizes)]
        return nn.Sequential(*sum(pairs, ())[1:])

    def forward(self, x: Tensor) -> Tensor:  # (B, PIXELS) -> (B, PIXELS), through (B, CODE)
        return self.decoder(self.encoder(x))


def error(rebuilt: Tensor, x: Tensor) -> Tensor:  # (B, PIXELS) twice -> ()
    return F.mse_loss(rebuilt, x) * PIXELS


def principal_axes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Axes of centred data, widest first, and the variance along each: (n, D) -> (D, D), (D,)."""
    _, scale, axes = torch.linalg.svd(x, full_matrices=False)
    return axes, scale**2 / len(x)


def vote_accuracy(codes: Tensor, labels: Tensor) -> float:
    """Share of the codes after TRAIN whose 5 nearest neighbours before TRAIN vote for the right label."""
    nearest = torch.cdist(codes[TRAIN:], codes[:TRAIN]).topk(5, largest=False).indices
    return (labels[nearest].mode(1).values == labels[TRAIN:]).float().mean().item()


def run(device="cpu", seed=0, steps=1000):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=data)
    exact, labels = torch.from_numpy(digits.data)[order] / 16, torch.from_numpy(digits.target)[order]
    mean = exact[:TRAIN].mean(0)
    exact = exact - mean  # float64, on the CPU
    x = exact.float().to(device)  # (1797, 64), centred

    nets = {
        "linear": Autoencoder((), 3e-2),
        "random encoder": Autoencoder((), 3e-2, frozen=True),
        "deep": Autoencoder((128, 64), 3e-3),
    }
    optimizers = {
        name: torch.optim.Adam([p for p in net.to(device).parameters() if p.requires_grad])
        for name, net in nets.items()
    }
    for step in range(steps):
        batch = x[torch.randint(0, TRAIN, (BATCH,), generator=data).to(device)]
        losses = {}
        for name, net in nets.items():
            optimizers[name].param_groups[0]["lr"] = net.rate * min(1, 2 - 2 * step / steps)
            loss = error(net(batch), batch)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        if step % 20 == 19 or step == steps - 1:
            yield (step + 1) / steps, losses

    axes, variances = principal_axes(exact[:TRAIN])
    flat = exact @ axes[:CODE].T  # (1797, CODE)
    rebuilt = flat @ axes[:CODE]
    optimum = error(rebuilt[:TRAIN], exact[:TRAIN]).item()
    with torch.no_grad():
        errors = {name: error(net(x[:TRAIN]), x[:TRAIN]).item() for name, net in nets.items()}
        codes = nets["deep"].encoder(x).cpu()
        held_out = nets["deep"](x[TRAIN:]).cpu()
    measured = {
        "linear_excess": errors["linear"] / optimum - 1,
        "random_encoder_excess": errors["random encoder"] / optimum - 1,
        "deep_error": error(held_out, x[TRAIN:].cpu()).item(),
        "pca_error": error(rebuilt[TRAIN:], exact[TRAIN:]).item(),
        "deep_code_accuracy": vote_accuracy(codes, labels),
        "pca_code_accuracy": vote_accuracy(flat, labels),
        "pca_gap": abs(optimum - variances[CODE:].sum().item()),
        "kept_gap": abs(optimum - variances[:CODE].sum().item()),
    }
    return measured, {
        "codes of held-out digits": {
            "kind": "scatter",
            "zh": "留出集数字的编码",
            "series": {str(d): tuple(codes[TRAIN:][labels[TRAIN:] == d].T.tolist()) for d in range(10)},
        },
        "held-out digits, from the deep code, from PCA": {
            "kind": "images",
            "zh": "留出集数字、深层编码的重建、PCA 的重建",
            "images": [
                (image + mean).clamp(0, 1).reshape(8, 8)
                for images in (exact[TRAIN:], held_out, rebuilt[TRAIN:])
                for image in images[:10]
            ],
            "columns": 10,
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
