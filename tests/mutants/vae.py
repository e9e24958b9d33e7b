"""What the VAE's claims must not forgive."""

MUTANTS = {
    "the deviation is the variance": ("(log_variance / 2).exp() * noise  # rep", "log_variance.exp() * noise  # rep"),
    "no noise": ("(log_variance / 2).exp() * noise  # rep", "0 * noise  # rep"),
    "the variance has no gradient from z": (
        "(log_variance / 2).exp() * noise  # rep",
        "(log_variance.detach() / 2).exp() * noise  # rep",
    ),
    "a tenth of the KL": ("return nll(self.decoder(z), x) + kl", "return nll(self.decoder(z), x) + 0.1 * kl"),
    "half of the KL": ("log_variance).sum(1) / 2", "log_variance).sum(1) / 4"),
    "the KL forgets the log of the variance": ("log_variance.exp() - 1 - log_variance).", "log_variance.exp() - 1)."),
    "the encoder gets no gradient from the decoder": (
        "nll(self.decoder(z), x) +",
        "nll(self.decoder(z.detach()), x) +",
    ),
    "pixels are averaged": ("x * logits).sum(1)", "x * logits).mean(1)"),
    "the bound is of training digits": ("scores(vae, test, unseen)", "scores(vae, train, unseen)"),
    "held-out digits are training digits": ("return digits[:TRAIN], digits[TRAIN:]", "return digits, digits[TRAIN:]"),
    "it learns from what it is tested on": ("vae.known = train", "vae.known = torch.cat([test, train])"),
    "the control gets one round of EM": (
        "for _ in range(60):",
        "for _ in range(1):",
    ),
}
FULL = {"the control gets one round of EM"}
