"""What the claims of the CycleGAN must not forgive."""

MUTANTS = {
    "the two translators are one": ("return self.to_b(a), self.to_a(b)", "return self.to_b(a), self.to_b(b)"),
    "translations get no gradient": ("return self.to_b(a), self.to_a(b)", "return self.to_b(a).detach(), self.to_a(b)"),
    "the cycle has no gradient for the way there": (
        "there = (self.to_a(as_b) - a)",
        "there = (self.to_a(as_b.detach()) - a)",
    ),
    "the cycle runs one way": ("return there + (self.to_b(as_a) - b).abs().mean()", "return there"),
    "the cycle counts squares": (
        "there = (self.to_a(as_b) - a).abs().mean()",
        "there = (self.to_a(as_b) - a).square().mean()",
    ),
    "the judges never see a fake": (
        "(real + F.softplus(self.judge_a(as_a.detach())) + F.softplus(self.judge_b(as_b.detach()))).mean()",
        "real.mean()",
    ),
    "each judge minds the other domain": ("real = F.softplus(-self.judge_a(a))", "real = F.softplus(-self.judge_a(b))"),
    "fakes are judged in the domain they left": (
        "passed = F.softplus(-self.judge_b(as_b))",
        "passed = F.softplus(-self.judge_a(as_b))",
    ),
    "the control has a cycle": ('"no cycle": (0.0, 1.0)', '"no cycle": (WEIGHT, 1.0)'),
    "the translators are not asked for a cycle": ('"CycleGAN": (WEIGHT, 1.0)', '"CycleGAN": (0.0, 1.0)'),
}
FULL = {"the control has a cycle"}
