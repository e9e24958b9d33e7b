"""VAE — an autoencoder whose latent space can be sampled, because a KL term pulls the codes to a known prior.

Binarized 8x8 digits. The encoder gives each image a Gaussian over 8 latent variables, the decoder gives each latent
vector 64 Bernoulli pixels, and the loss is minus the ELBO: reconstruction plus KL to the prior. It lies above the
negative log-likelihood; here reconstruction alone lies below. The same network without noise and KL is an ordinary
autoencoder: its codes lie elsewhere than the prior, so its decoder turns prior samples into mixtures of strokes. The
table tells the rest: a Gaussian fitted to its codes repairs most of that; and ten clusters of independent pixels, the
control of the likelihood, are no match for the VAE, but forty come near.

Needs:  torch, scikit-learn
Source: D. Kingma, M. Welling, Auto-Encoding Variational Bayes, ICLR 2014; the estimate of the likelihood by importance
        sampling: D. Rezende, S. Mohamed, D. Wierstra, Stochastic Backpropagation, ICML 2014
"""

import math
from copy import deepcopy

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.nn import functional as F

PIXELS, HIDDEN, LATENT, TRAIN, BATCH, SAMPLES = 64, 256, 8, 1400, 128, 50

# %% the concept


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS))

    def negative_elbo(self, x: Tensor, noise: Tensor) -> Tensor:  # (B, PIXELS), (B, LATENT) -> (B,)
        mean, log_variance = self.encoder(x).chunk(2, 1)  # q(z | x), a Gaussian for each image
        z = mean + (log_variance / 2).exp() * noise  # reparameterized: the gradient reaches both
        # KL(q || N(0, I)) = sum of (mean^2 + variance - 1 - log variance) / 2
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1) / 2
        return nll(self.decoder(z), x) + kl  # -ELBO = E_q[-log p(x | z)] + KL(q || p)


def nll(logits: Tensor, x: Tensor) -> Tensor:  # -log p(x | z) of Bernoulli pixels: (B, PIXELS) twice -> (B,)
    return (F.softplus(logits) - x * logits).sum(1)


# %% its control


def reconstruction(net: VAE, x: Tensor) -> Tensor:  # the loss of an autoencoder: no noise, no KL
    return nll(net.decoder(net.encoder(x)[:, :LATENT]), x)


# %% the experiment


def split(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Digits to train on and to test on, as zeros and ones; of digits that are alike only one."""
    digits = torch.from_numpy(load_digits().data > 8).float().unique(dim=0)  # (1752, PIXELS)
    digits = digits[torch.randperm(len(digits), generator=generator)]
    return digits[:TRAIN], digits[TRAIN:]


def posterior(net: VAE, x: Tensor) -> Independent:
    mean, log_variance = net.encoder(x).chunk(2, 1)
    return Independent(Normal(mean, (log_variance / 2).exp()), 1)


def prior(x: Tensor) -> Independent:
    return Independent(Normal(x.new_zeros(len(x), LATENT), 1.0), 1)


def gap_to_torch(net: VAE, x: Tensor, noise: Tensor, swap: bool = False) -> float:
    """Largest difference of -ELBO and its gradients from torch.distributions (f64); `swap` turns the KL round."""
    net, x, noise = deepcopy(net).cpu().double(), x.cpu().double(), noise.cpu().double()
    q = posterior(net, x)
    z = q.base_dist.icdf(Normal(0.0, 1.0).cdf(noise))  # the sample that has the noise's rank
    kl = kl_divergence(prior(x), q) if swap else kl_divergence(q, prior(x))
    theirs = kl - Independent(Bernoulli(logits=net.decoder(z)), 1).log_prob(x)
    mine = net.negative_elbo(x, noise)
    gradients = (
        torch.autograd.grad(bound.mean(), [*net.parameters()], materialize_grads=True) for bound in (mine, theirs)
    )
    return max((a - b).detach().abs().max().item() for a, b in [(mine, theirs), *zip(*gradients, strict=True)])


def scores(net: VAE, x: Tensor, generator: torch.Generator) -> dict[str, float]:
    """-ELBO of unseen digits, its reconstruction, -log p by importance sampling; and how many are not unseen."""
    q, terms = posterior(net, x), []
    for noise in torch.randn(SAMPLES, len(x), LATENT, generator=generator).to(x.device):
        z = q.base_dist.loc + q.base_dist.scale * noise
        error = nll(net.decoder(z), x)
        terms.append(torch.stack([net.negative_elbo(x, noise), error, error - prior(x).log_prob(z) + q.log_prob(z)]))
    bound, error, surprise = torch.stack(terms, 1)  # (SAMPLES, B) each
    estimate = math.log(len(terms)) - (-surprise).logsumexp(0).mean().item()  # p(x) = E_q[p(x | z) p(z) / q(z)]
    return {
        "negative_elbo": bound.mean().item(),
        "estimate": estimate,
        "bound_slack": bound.mean().item() - estimate,
        "reconstruction_slack": error.mean().item() - estimate,
        "shared_rows": len(set(map(tuple, x.tolist())) & set(map(tuple, net.known.tolist()))),
        "all_rows": len(x),
    }


def clusters_nll(k: int, train: Tensor, test: Tensor, generator: torch.Generator) -> float:
    """-log p of a mixture of k images of independent pixels, fitted by 60 rounds of EM; on the CPU."""
    share = F.one_hot(torch.randint(0, k, (len(train),), generator=generator), k).float()  # who belongs where
    for _ in range(60):
        weight, pixel = share.mean(0), (share.T @ train + 0.5) / (share.sum(0)[:, None] + 1)
        joint = [x @ pixel.log().T + (1 - x) @ (1 - pixel).log().T + weight.log() for x in (train, test)]
        share = joint[0].softmax(1)
    return -joint[1].logsumexp(1).mean().item()


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|: zero on average when the two samples have one distribution."""
    within = sum(torch.cdist(s, s).sum() / (len(s) * (len(s) - 1)) for s in (a, b))
    return float(2 * torch.cdist(a, b).mean() - within)


def run(device="cpu", seed=0, steps=1000):
    torch.manual_seed(3 * seed)  # weights, training and test: three streams
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    train, test = (x.to(device) for x in split(data))
    vae, autoencoder = VAE().to(device), VAE().to(device)
    vae.known = train  # what it learns from; scores() counts what of it is asked
    optimizers = [torch.optim.Adam(net.parameters()) for net in (vae, autoencoder)]
    for step in range(steps):
        x = vae.known[torch.randint(0, TRAIN, (BATCH,), generator=data).to(device)]
        noise = torch.randn(BATCH, LATENT, generator=data).to(device)
        losses = {"VAE": vae.negative_elbo(x, noise).mean(), "autoencoder": reconstruction(autoencoder, x).mean()}
        for optimizer, loss in zip(optimizers, losses.values(), strict=True):
            optimizer.param_groups[0]["lr"] = 4e-3 * min(1, 2 - 2 * step / steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    z, noise = (torch.randn(n, LATENT, generator=unseen).to(device) for n in (2000, 64))
    coin = torch.rand(2000, PIXELS, generator=unseen).to(device)
    with torch.no_grad():
        found = scores(vae, test, unseen)
        codes = autoencoder.encoder(train)[:, :LATENT]
        fitted = codes.mean(0) + z @ torch.linalg.cholesky(codes.T.cov()).T
        decoded = (vae.decoder(z), autoencoder.decoder(z), autoencoder.decoder(fitted))
        distances = [energy_distance((coin < logits.sigmoid()).float(), test) for logits in decoded]
    nlls = [clusters_nll(k, train.cpu(), test.cpu(), data) for k in (1, 10, 40)]
    measured = {
        **found,
        "clusters_nll": nlls[1],
        "prior_distance": distances[0],
        "autoencoder_distance": distances[1],
        "elbo_gap": gap_to_torch(vae, test[:64], noise),
        "swapped_gap": gap_to_torch(vae, test[:64], noise, swap=True),
    }
    shown = {"VAE": decoded[0].sigmoid(), "AE": decoded[1].sigmoid(), "data": test}
    return measured, {
        "decoded prior samples: VAE, autoencoder (AE); data": {
            "kind": "images",
            "images": [image.cpu() for images in shown.values() for image in images[:7].view(-1, 8, 8)],
            "titles": [name for name in shown for _ in range(7)],
            "columns": 7,
        },
        "on held-out digits": {
            "kind": "table",
            "columns": ["model", "-log p, nats", "energy distance of samples"],
            "rows": [
                ["VAE", found["estimate"], distances[0]],
                ["autoencoder, sampled from the prior", "-", distances[1]],
                ["autoencoder, from a Gaussian fit to its codes", "-", distances[2]],
                ["training digits", "-", energy_distance(train, test)],
                ["independent pixels", nlls[0], "-"],
                ["10 clusters of independent pixels", nlls[1], "-"],
                ["40 clusters of independent pixels", nlls[2], "-"],
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "VAE: a latent space to sample from", "zh": "VAE：可以采样的隐空间"}
CURVES = "loss in nats"
SCALE = ("HIDDEN", "BATCH")
CPU_SECONDS = 4
CLAIMS = {
    "trained negative_elbo <= 18.9 < clusters_nll <= 21.5": {
        "en": "-ELBO of held-out digits in nats; the control is a mixture of ten clusters of independent pixels",
        "zh": "留出数字的 -ELBO（单位 nat）；对照为十个簇、簇内像素独立的混合模型的负对数似然",
    },
    "trained bound_slack >= 0 > reconstruction_slack": {
        "en": "how far -ELBO lies above -log p, as estimated by importance sampling; the control leaves out the KL",
        "zh": "-ELBO 高出 -log p（用重要性采样估计）多少；对照去掉 KL 项，只剩重建误差",
    },
    "trained prior_distance <= 0.02 < autoencoder_distance": {
        "en": "energy distance of decoded prior samples from held-out digits; the control is an autoencoder",
        "zh": "先验样本解码后与留出数字的能量距离；对照为普通自编码器",
    },
    "parity elbo_gap <= 1e-10 < swapped_gap": {
        "en": "largest gap of -ELBO and its gradients to torch.distributions (f64); the control swaps the KL",
        "zh": "-ELBO 及其梯度与 torch.distributions 的最大差距（f64）；对照交换了 KL 的两个参数",
    },
    "parity shared_rows <= 0 < all_rows": {
        "en": "held-out digits that occur in training; the control counts all of them",
        "zh": "留出数字中出现在训练集里的个数；对照为其总数",
    },
}
ZH = {
    "loss in nats": "损失（nat）",
    "autoencoder": "自编码器",
    "AE": "自编码器",
    "data": "真实",
    "decoded prior samples: VAE, autoencoder (AE); data": "先验样本的解码：VAE 与自编码器；真实数字",
    "on held-out digits": "在留出数字上",
    "model": "模型",
    "-log p, nats": "负对数似然（nat）",
    "energy distance of samples": "样本的能量距离",
    "autoencoder, sampled from the prior": "自编码器，从先验采样",
    "autoencoder, from a Gaussian fit to its codes": "自编码器，从对编码拟合的高斯分布采样",
    "training digits": "训练数字",
    "independent pixels": "像素独立",
    "10 clusters of independent pixels": "10 个簇（簇内像素独立）",
    "40 clusters of independent pixels": "40 个簇（簇内像素独立）",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
