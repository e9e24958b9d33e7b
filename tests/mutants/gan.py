"""What the GAN's claims must not forgive."""

MUTANTS = {
    "the discriminator never sees a fake": ("x)).mean() + as_fake(self.discriminator(fake)).mean()", "x)).mean()"),
    "the generator gets no gradient": (
        "as_real(self.discriminator(fake)).mean()",
        "as_real(self.discriminator(fake.detach())).mean()",
    ),
    "the generator saturates": (
        "return as_real(self.discriminator(fake)).mean()",
        "return -as_fake(self.discriminator(fake)).mean()",
    ),
    "fakes are called real": ("    return F.softplus(logit)", "    return F.softplus(-logit)"),
    "the discriminator is not squashed": ("    return F.softplus(-logit)", "    return -logit"),
    "the noise is data": ("torch.randn(BATCH, NOISE, generator=data).to", "real(BATCH, data).to"),
    "the samples are data": ("pair.generator(noise).cpu() for", "fresh.clone() for"),
    "the weaker of the two controls is shown": (
        '"fitted_on_mode": max(fitted)',
        '"fitted_on_mode": min(fitted)',
    ),
}
FULL = {"the noise is data", "the samples are data", "the weaker of the two controls is shown"}
