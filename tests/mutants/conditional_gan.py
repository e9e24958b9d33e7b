"""What the claims of the conditional GAN must not forgive."""

MUTANTS = {
    "the generator does not hear the question": ("torch.cat([c, z], 1)", "torch.cat([0 * c, z], 1)"),
    "the generator gets no noise": ("torch.cat([c, z], 1)", "torch.cat([c, 0 * z], 1)"),
    "the discriminator does not see the question": ("torch.cat([c, y], 1) if", "torch.cat([0 * c, y], 1) if"),
    "the answer gets no gradient": ("torch.cat([c, y], 1) if", "torch.cat([c, y.detach()], 1) if"),
    "the discriminator never sees a fake": (
        "(F.softplus(-self.judge(c, y)) + F.softplus(self.judge(c, fake.detach()))).mean()",
        "F.softplus(-self.judge(c, y)).mean()",
    ),
    "fakes are judged by another question": ("self.judge(c, fake.detach())", "self.judge(c.flip(0), fake.detach())"),
    "the generator saturates": (
        "return F.softplus(-self.judge(c, fake)).mean()",
        "return -F.softplus(self.judge(c, fake)).mean()",
    ),
    "regression learns little": ("fitting.step()", "fitting.step() if step % 50 == 0 else None"),
    "regression is told the answer": (
        "regression(asked).cpu()\n",
        "truth\n",
    ),
}
FULL = {"regression learns little", "regression is told the answer"}
