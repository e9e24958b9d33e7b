"""What the claims of contrastive self-supervised learning must not forgive."""

MUTANTS = {
    "vectors keep their lengths": ("return z / z.norm(dim=1, keepdim=True)", "return z"),
    "the length passes no gradient": (
        "return z / z.norm(dim=1, keepdim=True)",
        "return z / z.norm(dim=1)[:, None].detach()",
    ),
    "a view is among its own negatives": ("1e9 * itself", "0 * itself"),
    "the others pass no gradient": ("similarity = z @ z.T", "similarity = z @ z.detach().T"),
    "there is no temperature": ("z @ z.T / TEMPERATURE", "z @ z.T"),
    "the next image is the partner": ("similarity.roll(len(z) // 2, 0)", "similarity.roll(1, 0)"),
    "the encoder gets no gradient": ("z = self.head(self.encoder(x))", "z = self.head(self.encoder(x).detach())"),
    "the test is trained on": ("batch = pool[torch.randperm(POOL", "batch = test[torch.randperm(len(test)"),
    "the rival hardly learns": ("RIVAL_RATE, DRAWS, LABELS = 3e-3, 1e-2", "RIVAL_RATE, DRAWS, LABELS = 3e-3, 1e-5"),
    "the answer stands in the pixels": (
        "torch.tensor(digits.data).float() / 16,",
        "torch.tensor(digits.data).float() / 16 + 3 * F.one_hot(torch.tensor(digits.target), 64),",
    ),
    "the blind one has negatives": ("negatives=False)]", "negatives=True)]"),
}
FULL = {"the rival hardly learns", "the answer stands in the pixels", "the blind one has negatives"}
