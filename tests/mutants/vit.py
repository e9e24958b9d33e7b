"""What the claims on the Vision Transformer must not forgive."""

MUTANTS = {
    "pixels of a patch are read column by column": (".transpose(3, 4).flatten(4)", ".transpose(3, 4).mT.flatten(4)"),
    "patches are read column by column": (".transpose(3, 4).flatten(4)", ".transpose(3, 4).transpose(2, 3).flatten(4)"),
    "the scores are not scaled": ("q @ k.mT / q.shape[-1] ** 0.5", "q @ k.mT"),
    "the first norm is left out": ("self.qkv(self.norm1(x))", "self.qkv(x)"),
    "the block hands nothing past its second part": ("return x + self.linear2(", "return self.linear2("),
    "the weights get no gradient": ("(weights @ v)", "(weights.detach() @ v)"),
    "the positions get no gradient": ("words], 1) + self.positions", "words], 1) + self.positions.detach()"),
    "the words get no gradient": ("self.read(self.embed(x))", "self.read(self.embed(x).detach())"),
    "an answer is read from the first patch": ("self.norm(self.blocks(x))[:, 0]", "self.norm(self.blocks(x))[:, 1]"),
    "the test draws the training digits": ("order[TRAIN:].repeat(LAID)", "order[:597].repeat(LAID)"),
    "the ViT is hardly trained": ('RATES = {"ViT": 2e-3', 'RATES = {"ViT": 2e-5'),
    "digits stand still": ("torch.randint(0, CANVAS - 7, (len", "torch.randint(2, 3, (len"),
}
FULL = {"the test draws the training digits", "the ViT is hardly trained", "digits stand still"}
