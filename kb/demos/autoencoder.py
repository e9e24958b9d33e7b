"""Autoencoder — two numbers per image: a linear network ends at PCA, a deep one goes well below it.

8x8 digits are squeezed through two numbers and rebuilt; the loss is the squared error of the 64 pixels. PCA is the
best that a linear encoder and decoder can do, and gradient descent comes within a thousandth of it. A deep encoder and
decoder bend the plane: they rebuild held-out digits better and keep the classes further apart, though no label was
seen. A bent way back alone, the mean of the 40 training digits with the nearest PCA codes, does not suffice.

Needs:  torch, scikit-learn
Source: P. Baldi, K. Hornik, Neural Networks and Principal Component Analysis, Neural Networks 2(1), 1989; G.
        Hinton, R. Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks, Science 313, 2006
"""

from copy import deepcopy
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.nn import functional as F

PIXELS, CODE, TRAIN, BATCH, VOTES, AVERAGED = 64, 2, 1300, 128, 5, 40

# %% the concept


class Autoencoder(nn.Module):
    def __init__(self, *hidden: int) -> None:
        super().__init__()
        sizes = (PIXELS, *hidden, CODE)
        self.encoder = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(sizes)])
        self.decoder = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(sizes[::-1])])

    def encode(self, x: Tensor) -> Tensor:  # z = f(x): (B, PIXELS) -> (B, CODE), too narrow for a copy
        for layer in self.encoder[:-1]:
            x = layer(x).relu()
        return self.encoder[-1](x)

    def decode(self, z: Tensor) -> Tensor:  # x^ = g(z): (B, CODE) -> (B, PIXELS)
        for layer in self.decoder[:-1]:
            z = layer(z).relu()
        return self.decoder[-1](z)

    def loss(self, x: Tensor) -> Tensor:  # mean of |x^ - x|^2: the input is its own target
        return ((self.decode(self.encode(x)) - x) ** 2).sum(1).mean()


# %% the experiment


def split(generator: torch.Generator) -> tuple[Tensor, ...]:
    """Digits to train on, their labels, the same to test on, and the mean of the former, which is taken off (f64)."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=generator)
    x, labels = torch.from_numpy(digits.data)[order] / 16, torch.from_numpy(digits.target)[order]
    mean = x[:TRAIN].mean(0)
    return x[:TRAIN] - mean, labels[:TRAIN], x[TRAIN:] - mean, labels[TRAIN:], mean


def vote(known: Tensor, labels: Tensor, codes: Tensor, true: Tensor) -> tuple[float, int]:
    """How often the nearest known codes vote for the true label, and how many codes are known themselves."""
    distances, places = torch.cdist(codes, known).topk(VOTES, largest=False)
    right = labels[places].mode(1).values == true
    return right.float().mean().item(), int((distances[:, 0] < 1e-5).sum())


def rows(images: Tensor) -> list[bytes]:
    """Each image as something that a set can hold."""
    return [image.tobytes() for image in images.cpu().numpy()]


def gap_to_torch(net: Autoencoder, x: Tensor, activation: type[nn.Module]) -> float:
    """Largest difference from nn.Sequential of the same layers, in codes, loss and gradients (f64)."""
    own, twin, x = deepcopy(net).cpu().double(), deepcopy(net).cpu().double(), x.cpu().double()
    encoder, decoder = (
        nn.Sequential(*[part for layer in layers for part in (layer, activation())][:-1])
        for layers in (twin.encoder, twin.decoder)
    )
    losses = own.loss(x), F.mse_loss(decoder(encoder(x)), x) * PIXELS
    gradients = [
        torch.autograd.grad(loss, [*module.parameters()], materialize_grads=True)
        for loss, module in zip(losses, (own, twin), strict=True)
    ]
    pairs = [losses, (own.encode(x), encoder(x)), *zip(*gradients, strict=True)]
    return max((a - b).detach().abs().max().item() for a, b in pairs)


def run(device="cpu", seed=0, steps=1000):
    torch.manual_seed(3 * seed)  # weights, the split and the batches: three streams
    cut, batches = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    known, labels, unseen, true, mean = split(cut)
    train, test = known.float().to(device), unseen.float().to(device)
    pca = PCA(CODE, svd_solver="full").fit(known.numpy())
    flat, flat_test = (torch.from_numpy(pca.transform(x.numpy())) for x in (known, unseen))
    by_pca, by_pca_test = (torch.from_numpy(pca.inverse_transform(codes.numpy())) for codes in (flat, flat_test))
    optimum = ((by_pca - known) ** 2).sum(1).mean().item()

    nets = {"linear": Autoencoder(), "random encoder": Autoencoder(), "deep": Autoencoder(128, 64)}
    nets["random encoder"].encoder.requires_grad_(False)
    rates = {"linear": 3e-2, "random encoder": 3e-2, "deep": 3e-3}
    optimizers = {name: torch.optim.Adam(net.to(device).parameters()) for name, net in nets.items()}
    seen: set[bytes] = set()  # the images that any net has trained on

    def loss_of(net: Autoencoder, images: Tensor) -> Tensor:
        seen.update(rows(images))
        return net.loss(images)

    for step in range(steps):
        x = train[torch.randint(0, TRAIN, (BATCH,), generator=batches).to(device)]
        losses = {name: loss_of(net, x) for name, net in nets.items()}
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = rates[name] * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()} | {"PCA": optimum}

    with torch.no_grad():
        excess = {name: net.loss(train).item() / optimum - 1 for name, net in nets.items()}
        codes, test_codes = (nets["deep"].encode(x) for x in (train, test))
        rebuilt = {"deep": nets["deep"].decode(test_codes).cpu(), "PCA": by_pca_test}
    codes, test_codes = codes.cpu().double(), test_codes.cpu().double()
    means = known[torch.cdist(flat_test, flat).topk(AVERAGED, largest=False).indices].mean(1)
    errors = [((images - unseen) ** 2).sum(1).mean().item() for images in (*rebuilt.values(), means)]
    votes = [vote(*pair, true) for pair in ((codes, labels, test_codes), (flat, labels, flat_test))]
    measured = {
        "linear_excess": excess["linear"],
        "random_encoder_excess": excess["random encoder"],
        "deep_error": errors[0],
        "pca_error": min(errors[1:]),
        "deep_code_accuracy": votes[0][0],
        "pca_code_accuracy": votes[1][0],
        "net_gap": gap_to_torch(nets["deep"], test[:64], nn.ReLU),
        "tanh_gap": gap_to_torch(nets["deep"], test[:64], nn.Tanh),
        "shared_rows": max(len(seen & {*rows(test)}), *(shared for _, shared in votes)),
        "all_rows": vote(flat_test, true, flat_test, true)[1],
    }
    shown = {"digit": unseen, **rebuilt}
    return measured, {
        "held-out digits, and what two numbers give back": {
            "kind": "images",
            "images": [image for images in shown.values() for image in (images[:7] + mean).clamp(0, 1).view(-1, 8, 8)],
            "titles": [name for name in shown for _ in range(7)],
            "columns": 7,
        },
        "codes of held-out digits from 0 to 5, from the deep encoder": {
            "kind": "scatter",
            "series": {str(d): tuple(test_codes[true == d].T.tolist()) for d in range(6)},
            "texts": {str(d): test_codes[true == d].median(0).values.tolist() for d in range(6)},
            "x": "first number",
            "y": "second number",
        },
    }


# %% what is claimed

TITLE = {"en": "Autoencoder against PCA", "zh": "自编码器与 PCA"}
CURVES = "squared error"
CPU_SECONDS = 2
CLAIMS = {
    "trained linear_excess <= 0.001 < random_encoder_excess": {
        "en": "relative excess of the linear autoencoder's error over PCA's; the control's encoder is random",
        "zh": "线性自编码器的误差超出 PCA 的比例；对照的编码器随机且固定",
    },
    "trained deep_error <= 2.3 < pca_error": {
        "en": "squared error of held-out digits rebuilt from two numbers; control: PCA's numbers, rebuilt by PCA or "
        "as the mean of the 40 training digits with the nearest ones, whichever is better",
        "zh": "仅凭两个数重建留出数字的平方误差；对照用 PCA 的两个数，由 PCA 或最近 40 个训练数字的平均还原，取较好者",
    },
    "trained deep_code_accuracy >= 0.76 > pca_code_accuracy": {
        "en": "held-out digits told apart by their 5 nearest neighbours among the training codes; the control is PCA",
        "zh": "用训练集编码中的 5 个最近邻判别留出数字的准确率；对照为 PCA",
    },
    "parity net_gap <= 1e-10 < tanh_gap": {
        "en": "largest gap of the deep net to torch.nn in codes, loss and gradients (f64); the control uses tanh",
        "zh": "深层网络的编码、损失与梯度同 torch.nn 的最大差距（f64）；对照用 tanh",
    },
    "parity shared_rows <= 0 < all_rows": {
        "en": "held-out digits that were trained on, or whose own code votes; in the control they all vote",
        "zh": "参与过训练、或自己的编码混入投票的留出数字的个数；对照让它们全都参加投票",
    },
}
ZH = {
    "squared error": "平方误差",
    "linear": "线性",
    "random encoder": "随机编码器",
    "deep": "深层",
    "digit": "原图",
    "held-out digits, and what two numbers give back": "留出的数字，以及由两个数还原的结果",
    "codes of held-out digits from 0 to 5, from the deep encoder": "深层编码器给留出的数字 0 至 5 的编码",
    "first number": "第一个数",
    "second number": "第二个数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
