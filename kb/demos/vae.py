"""VAE — an autoencoder whose latent space can be sampled, because a KL term pulls the codes to a known prior.

Binarized 8x8 digits. The encoder gives each image a Gaussian over 8 latent variables, the decoder gives each
latent vector 64 Bernoulli pixels, and the loss is minus the ELBO: reconstruction plus KL to the prior. The
same network without noise and KL is an ordinary autoencoder. Its codes lie elsewhere than the prior, so its
decoder turns prior samples into mixtures of strokes; sampling from a Gaussian fitted to its codes would
repair most of that.

Claim:  on held-out digits -ELBO, a bound on the negative log-likelihood, is below the best of a decoder that
        ignores its latents: independent pixels; decoded prior samples are near to held-out digits in
        distribution, an autoencoder's are not; the KL term is the one of torch.distributions.
Source: D. Kingma, M. Welling, Auto-Encoding Variational Bayes, ICLR 2014
Run:    python kb/demos/vae.py --device cpu --seed 0 --steps 1200
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

TITLE = {"en": "VAE: a latent space to sample from", "zh": "VAE：可以采样的隐空间"}
CPU_SECONDS = 4
CLAIMS = {
    "trained negative_elbo <= 21.4 < independent_nll": {
        "en": "-ELBO of held-out digits in nats; the control is the likelihood of independent pixels",
        "zh": "留出集数字的 -ELBO（单位 nat）；对照为各像素独立时的负对数似然",
    },
    "trained prior_distance <= 0.19 < autoencoder_distance": {
        "en": "energy distance of decoded prior samples from held-out digits; the control is an autoencoder",
        "zh": "先验样本解码后与留出集数字的能量距离；对照为普通自编码器",
    },
    "parity kl_gap <= 1e-5 < reversed_kl_gap": {
        "en": "largest relative gap of the KL term from torch.distributions; the control swaps its arguments",
        "zh": "KL 项与 torch.distributions 的最大相对差距；对照交换了 KL 的两个参数",
    },
}

PIXELS, HIDDEN, LATENT, TRAIN, BATCH = 64, 128, 8, 1400, 128


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x): (B, PIXELS) -> (B, LATENT) each."""
        return self.encoder(x).chunk(2, 1)

    def negative_elbo(self, x: Tensor, noise: Tensor) -> Tensor:  # (B, PIXELS), (B, LATENT) -> ()
        mean, log_variance = self.posterior(x)
        z = mean + (log_variance / 2).exp() * noise  # reparameterized: the gradient reaches both
        return (nll(self.decoder(z), x) + kl_to_prior(mean, log_variance)).mean()

    def reconstruction(self, x: Tensor) -> Tensor:  # the loss of an autoencoder: mean code, no noise, no KL
        return nll(self.decoder(self.posterior(x)[0]), x).mean()


def nll(logits: Tensor, x: Tensor) -> Tensor:  # (B, PIXELS) twice -> (B,)
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)


def kl_to_prior(mean: Tensor, log_variance: Tensor) -> Tensor:  # KL(q || N(0, I)): (B, LATENT) -> (B,)
    return (mean**2 + log_variance.exp() - 1 - log_variance).sum(1) / 2


def kl_gap(mean: Tensor, log_variance: Tensor, reverse: bool = False) -> float:
    q = torch.distributions.Normal(mean, (log_variance / 2).exp())
    pair = (q, torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean)))
    theirs = torch.distributions.kl_divergence(*(pair[::-1] if reverse else pair)).sum(1)
    return float(((kl_to_prior(mean, log_variance) - theirs) / theirs).abs().max())


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'|: zero when the two samples have one distribution."""
    within = sum(torch.cdist(s, s).sum() / (len(s) * (len(s) - 1)) for s in (a, b))
    return float(2 * torch.cdist(a, b).mean() - within)


def run(device="cpu", seed=0, steps=1200):
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(seed)
    digits = torch.from_numpy(load_digits().data > 8).float()
    digits = digits[torch.randperm(len(digits), generator=data)].to(device)  # (1797, 64), zeros and ones
    train, test = digits[:TRAIN], digits[TRAIN:]

    vae, autoencoder = VAE().to(device), VAE().to(device)
    optimizers = [torch.optim.Adam(net.parameters()) for net in (vae, autoencoder)]
    for step in range(steps):
        x = train[torch.randint(0, TRAIN, (BATCH,), generator=data).to(device)]
        noise = torch.randn(BATCH, LATENT, generator=data).to(device)
        losses = {"VAE: -ELBO": vae.negative_elbo(x, noise), "autoencoder": autoencoder.reconstruction(x)}
        for optimizer, loss in zip(optimizers, losses.values(), strict=True):
            optimizer.param_groups[0]["lr"] = 2e-3 * min(1, 2 - 2 * step / steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if step % 20 == 19 or step == steps - 1:
            yield (step + 1) / steps, {name: loss.item() for name, loss in losses.items()}

    z = torch.randn(2000, LATENT, generator=data).to(device)
    coin = torch.rand(2000, PIXELS, generator=data).to(device)
    with torch.no_grad():
        noises = torch.randn(8, len(test), LATENT, generator=data).to(device)
        bounds = [vae.negative_elbo(test, noise) for noise in noises]
        codes = autoencoder.posterior(train)[0]
        fitted = codes.mean(0) + z @ torch.linalg.cholesky(codes.T.cov()).T
        pixels = {
            "VAE": vae.decoder(z).sigmoid(),
            "autoencoder": autoencoder.decoder(z).sigmoid(),
            "fitted": autoencoder.decoder(fitted).sigmoid(),
        }
        distances = {name: energy_distance((coin < p).float(), test) for name, p in pixels.items()}
        mean, log_variance = vae.posterior(test)
        gaps = [kl_gap(mean, log_variance, reverse) for reverse in (False, True)]
    frequency = train.mean(0).clamp(1 / TRAIN, 1 - 1 / TRAIN)
    measured = {
        "negative_elbo": torch.stack(bounds).mean().item(),
        "independent_nll": nll(frequency.logit().expand(len(test), -1), test).mean().item(),
        "prior_distance": distances["VAE"],
        "autoencoder_distance": distances["autoencoder"],
        "fitted_autoencoder_distance": distances["fitted"],
        "kl_gap": gaps[0],
        "reversed_kl_gap": gaps[1],
    }
    return measured, {
        "decoded prior samples: VAE above, autoencoder below": {
            "kind": "images",
            "zh": "先验样本的解码结果：上为 VAE，下为自编码器",
            "images": [p.reshape(8, 8).cpu() for name in ("VAE", "autoencoder") for p in pixels[name][:10]],
            "columns": 10,
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
