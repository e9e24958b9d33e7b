"""VQ-VAE — an autoencoder whose code is a few integers, learned through a step that has no gradient of its own.

The encoder turns a digit (8 x 8 pixels) into four vectors; each is replaced by the nearest of 32 vectors of a codebook,
and the decoder sees only those: 20 bits a digit. The gradient of that choice is zero almost everywhere, so the
straight-through estimator (STE) hands the decoder's gradient to the encoder as if nothing had been replaced.
Gumbel-softmax instead mixes the entries of the codebook with random weights, at first soft, then nearly one-hot; its
encoder is tested with the nearest entry too. The control learns a codebook and a decoder alike, but its encoder gets no
gradient. With the STE an entry no vector chooses gets no gradient: where the codebook begins at random, far from the
encoder's vectors, few are ever in use; here it begins at the encoder's vectors of eight digits.
Four principal components, real numbers, do worse, says the table; k-means on each quarter of the picture, 20 bits too,
does better: the point here is that encoder, codebook and decoder are learned together.

Needs:  torch, scikit-learn
Source: A. van den Oord, O. Vinyals, K. Kavukcuoglu, Neural Discrete Representation Learning, NIPS 2017; Y. Bengio,
        N. Leonard, A. Courville, Estimating or Propagating Gradients Through Stochastic Neurons, 2013;
        E. Jang, S. Gu, B. Poole, Categorical Reparameterization with Gumbel-Softmax, ICLR 2017
"""

from copy import deepcopy

import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

PIXELS, HIDDEN, CODES, WIDTH, ENTRIES = 64, 128, 4, 4, 32
TRAIN, BATCH, RATE, COMMITMENT = 1400, 64, 4e-3, 0.25

# %% the concept


class VQVAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CODES * WIDTH))
        self.decoder = nn.Sequential(nn.Linear(CODES * WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS))
        self.codebook = nn.Parameter(torch.randn(ENTRIES, WIDTH))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:  # (B, PIXELS) -> (B, CODES, WIDTH), (B, CODES, ENTRIES)
        z = self.encoder(x).unflatten(1, (CODES, WIDTH))
        return z, ((z[:, :, None] - self.codebook) ** 2).sum(-1)  # |z - e_k|^2

    def decode(self, choice: Tensor) -> Tensor:  # integers (B, CODES) -> (B, PIXELS)
        return self.decoder(self.entries(choice).flatten(1))

    def entries(self, choice: Tensor) -> Tensor:
        return F.one_hot(choice, ENTRIES).to(self.codebook.dtype) @ self.codebook

    def loss(self, x: Tensor) -> Tensor:
        z, distance = self.encode(x)
        choice = distance.argmin(-1)  # the discrete latent: the nearest entry's number
        e = self.entries(choice)
        q = z + (e - z).detach()  # straight-through: forward e, backward dq/dz = 1
        error = ((self.decoder(q.flatten(1)) - x) ** 2).mean()
        codebook = ((e - z.detach()) ** 2).mean()  # |sg(z) - e|^2 moves the entries to the vectors
        commitment = ((z - e.detach()) ** 2).mean()  # |z - sg(e)|^2 keeps the vectors near the entries
        return error + codebook + COMMITMENT * commitment

    def soft_loss(self, x: Tensor, gumbel: Tensor, t: float) -> Tensor:
        weights = soft_choice(-self.encode(x)[1], gumbel, t)
        return ((self.decoder((weights @ self.codebook).flatten(1)) - x) ** 2).mean()


def soft_choice(logits: Tensor, gumbel: Tensor, t: float) -> Tensor:
    return ((logits + gumbel) / t).softmax(-1)  # t -> 0: one-hot, entry k with probability softmax(logits)_k


# %% its control


def frozen_loss(net: VQVAE, x: Tensor) -> Tensor:
    """No gradient reaches the encoder; the error moves the entries, as their distance does."""
    z, distance = net.encode(x)
    choice = distance.argmin(-1)
    error = ((net.decode(choice) - x) ** 2).mean()
    return error + ((net.entries(choice) - z.detach()) ** 2).mean()


# %% the experiment


def loss_gap(net: VQVAE, x: Tensor, weight: float) -> float:
    """Largest gap of the loss and its gradients from the chain rule by hand, with F.embedding and F.mse_loss (f64)."""
    net, x = deepcopy(net).cpu().double(), x.cpu().double()
    mine, choice = net.loss(x), net.encode(x)[1].argmin(-1)
    encoder, decoder = [*net.encoder.parameters()], [*net.decoder.parameters()]
    z = net.encoder(x).view(-1, CODES, WIDTH)
    nearest = torch.cdist(z, net.codebook).argmin(-1)
    e = F.embedding(nearest, net.codebook)
    q = e.detach().requires_grad_()
    error, apart = F.mse_loss(net.decoder(q.flatten(1)), x), F.mse_loss(e, z)
    upstream, *known = torch.autograd.grad(error, [q, *decoder])
    pull = upstream + weight * 2 * (z - e).detach() / z.numel()
    theirs = [error + (1 + weight) * apart, *torch.autograd.grad(z, encoder, pull, retain_graph=True), *known]
    theirs += torch.autograd.grad(apart, net.codebook)
    ours = [mine, *torch.autograd.grad(mine, [*encoder, *decoder, net.codebook], materialize_grads=True)]
    gaps = [(a - b).detach().abs().max().item() for a, b in zip(ours, theirs, strict=True)]
    gaps += [float((nearest != choice).sum()), (net.decode(choice) - net.decoder(q.flatten(1))).abs().max().item()]
    return max(gaps)


def gumbel_gap(net: VQVAE, x: Tensor, seed: int, t: float) -> float:
    """Largest gap of the soft loss and its gradients from F.gumbel_softmax at temperature 0.5 (f64)."""
    net, x = deepcopy(net).cpu().double(), x.cpu().double()
    logits = -(torch.cdist(net.encoder(x).view(-1, CODES, WIDTH), net.codebook) ** 2)
    torch.manual_seed(seed)
    soft = net.decoder((F.gumbel_softmax(logits, tau=0.5) @ net.codebook).flatten(1))
    torch.manual_seed(seed)
    gumbel = -torch.empty_like(logits).exponential_().log()
    losses = net.soft_loss(x, gumbel, t), F.mse_loss(soft, x)
    found = [[loss, *torch.autograd.grad(loss, [*net.parameters()], materialize_grads=True)] for loss in losses]
    return max((a - b).detach().abs().max().item() for a, b in zip(*found, strict=True))


def quarters_error(train: Tensor, test: Tensor, seed: int) -> float:
    """Test error of k-means on each quarter of the picture, with as many clusters as the codebook has entries."""
    total = 0.0
    for a, b in zip(*(F.unfold(x.view(-1, 1, 8, 8), 4, stride=4).unbind(2) for x in (train, test)), strict=True):
        found = KMeans(ENTRIES, n_init=1, random_state=seed).fit(a.numpy())
        total += float(((found.cluster_centers_[found.predict(b.numpy())] - b.numpy()) ** 2).mean()) / 4
    return total


def components_error(train: Tensor, test: Tensor) -> float:
    mean = train.mean(0)
    basis = torch.linalg.eigh((train - mean).T.cov())[1][:, -CODES:]
    return F.mse_loss(mean + (test - mean) @ basis @ basis.T, test).item()


def perplexity(choice: Tensor) -> float:
    """How many entries are in use, counted by exp(entropy) of their shares."""
    return torch.special.entr(F.one_hot(choice, ENTRIES).float().mean((0, 1))).sum().exp().item()


def run(device="cpu", seed=0, steps=300):
    torch.manual_seed(3 * seed)  # weights, digits and Gumbel noise: three streams
    data, noise = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    digits = torch.tensor(load_digits().data).float() / 16
    digits = digits[torch.randperm(len(digits), generator=data)]
    train, test = digits[:TRAIN], digits[TRAIN:]
    first = VQVAE()
    names = ("straight-through", "Gumbel-softmax", "no gradient", "codebook begins far away")
    nets = {name: deepcopy(first).to(device) for name in names}
    for name in ("straight-through", "no gradient"):
        nets[name].codebook.data.copy_(first.encode(train[: ENTRIES // CODES])[0].flatten(0, 1).detach())
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(1, steps + 1):
        x = train[torch.randint(0, TRAIN, (BATCH,), generator=data)].to(device)
        gumbel = -torch.empty(BATCH, CODES, ENTRIES).exponential_(generator=noise).log().to(device)
        losses = {name: frozen_loss(net, x) if name == "no gradient" else net.loss(x) for name, net in nets.items()}
        losses["Gumbel-softmax"] = nets["Gumbel-softmax"].soft_loss(x, gumbel, max(0.1, 1 - step / steps))
        for name, loss in losses.items():
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        yield step / steps, {name: loss.item() for name, loss in losses.items()}

    error, used, decoded = {}, {}, {"digit": test}
    with torch.no_grad():
        for name, net in nets.items():
            choice = net.encode(test.to(device))[1].argmin(-1)
            decoded[name] = net.decode(choice).cpu()
            error[name], used[name] = F.mse_loss(decoded[name], test).item(), perplexity(choice.cpu())
    components = components_error(train, test)
    shown = {"digit": "digit", "straight-through": "STE", "Gumbel-softmax": "Gumbel", "no gradient": "frozen"}
    rows = [[name, error[name], used[name]] for name in names]
    rows += [[f"{CODES} principal components, not rounded", components, "-"]]
    rows += [["k-means on each quarter", quarters_error(train, test, seed), "-"]]
    net, few = nets["straight-through"], test[:32]
    return {
        "vq_error": error["straight-through"],
        "gumbel_error": error["Gumbel-softmax"],
        "frozen_error": error["no gradient"],
        "control_error": min(error["no gradient"], components),
        "seen_rows": len(set(map(tuple, test.tolist())) & set(map(tuple, train.tolist()))),
        "all_rows": len(test),
        "used": used["straight-through"],
        "used_if_far": used[names[-1]],
        "loss_gap": loss_gap(net, few, COMMITMENT),
        "uncommitted_gap": loss_gap(net, few, 0.0),
        "gumbel_gap": gumbel_gap(net, few, seed, 0.5),
        "hotter_gap": gumbel_gap(net, few, seed, 1.0),
    }, {
        "digits, and what four integers keep of them": {
            "kind": "images",
            "images": [image.clamp(0, 1) for name in shown for image in decoded[name][:7].view(-1, 8, 8)],
            "titles": [said if i == 0 else "" for said in shown.values() for i in range(7)],
            "columns": 7,
        },
        "on unseen digits": {"kind": "table", "columns": ["code", "squared error", "effective entries"], "rows": rows},
    }


# %% what is claimed

TITLE = {"en": "VQ-VAE: digits as four integers", "zh": "VQ-VAE：用四个整数表示一个数字"}
CURVES = "training loss"
CPU_SECONDS = 3
CLAIMS = {
    "trained vq_error <= 0.031 < control_error <= 0.04": {
        "en": "squared error of unseen digits from four integers, straight-through; control: no gradient reaches the "
        "encoder, or four principal components, whichever is better",
        "zh": "用四个整数还原未见数字的均方误差（直通估计）；对照：编码器得不到梯度，或四个主成分，取较好者",
    },
    "trained gumbel_error <= 0.034 < control_error <= 0.04": {
        "en": "squared error of unseen digits from four integers, trained by Gumbel-softmax; the same control",
        "zh": "用四个整数还原未见数字的均方误差（Gumbel-softmax 训练）；对照同上",
    },
    "trained used >= 26 > used_if_far": {
        "en": "effective number of codebook entries, of 32 (exp of the entropy of their shares); the control's "
        "codebook begins at random, far from the encoder's vectors",
        "zh": "32 个码字中的有效个数（使用频率之熵的指数）；对照的码本随机初始化，离编码器的输出较远",
    },
    "parity seen_rows <= 0 < all_rows": {
        "en": "unseen digits that occur among those of the training; the control counts all of them",
        "zh": "测试数字中出现在训练集里的个数；对照为其总数",
    },
    "parity loss_gap <= 1e-10 < uncommitted_gap": {
        "en": "largest gap of the loss and its gradients to the chain rule written out (f64); the control leaves out "
        "the commitment",
        "zh": "损失及其梯度与手写链式法则的最大差距（f64）；对照去掉承诺项",
    },
    "parity gumbel_gap <= 1e-10 < hotter_gap": {
        "en": "largest gap of the soft loss and its gradients to F.gumbel_softmax (f64); the control is twice as hot",
        "zh": "软选择的损失及其梯度与 F.gumbel_softmax 的最大差距（f64）；对照的温度为两倍",
    },
}
ZH = {
    "training loss": "训练损失",
    "straight-through": "直通估计",
    "no gradient": "不传梯度",
    "codebook begins far away": "码本起点较远",
    "Gumbel-softmax": "Gumbel-softmax（软选择）",
    "STE": "直通",
    "Gumbel": "软选择",
    "frozen": "不传",
    "digit": "原图",
    "digits, and what four integers keep of them": "数字，以及四个整数所保留的内容",
    "on unseen digits": "在未见数字上",
    "code": "编码",
    "squared error": "均方误差",
    "effective entries": "有效码字数",
    "4 principal components, not rounded": "4 个主成分（实数，不取整）",
    "k-means on each quarter": "图像四个象限各自的 k-means",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
