"""What the claims of normalizing flows must not forgive."""

MUTANTS = {
    "the determinant is left out": ("log_det = log_det + its_log_det", "log_det = log_det + 0 * its_log_det"),
    "only the last coupling's determinant counts": ("log_det = log_det + its_log_det", "log_det = its_log_det"),
    "the determinant passes no gradient": (
        "log_det = log_det + its_log_det",
        "log_det = log_det + its_log_det.detach()",
    ),
    "the determinant is the inverse's": ("return z, log_scale[:, 0]", "return z, -log_scale[:, 0]"),
    "the determinant is the scale": ("return z, log_scale[:, 0]", "return z, log_scale[:, 0].exp()"),
    "the scale is no power": ("b * log_scale.exp() + shift", "b * (1 + log_scale) + shift"),
    "the scale passes no gradient": ("b * log_scale.exp() + shift", "b * log_scale.detach().exp() + shift"),
    "the inverse does not shift back": ("(b - shift) * (-log_scale).exp()", "b * (-log_scale).exp() - shift"),
    "the inverse does not turn the order": ("in reversed(self.couplings)", "in self.couplings"),
    "the normal lacks its constant": ("- math.log(2 * math.pi) + log_det", "- math.log(math.pi) + log_det"),
    "the couplings do not take turns": ("Coupling(k % 2) for k", "Coupling(0) for k"),
    "fresh points are noise": (
        "fresh, z = moons(SAMPLES, unseen),",
        "fresh, z = torch.randn(SAMPLES, 2, generator=unseen) / 5,",
    ),
    "the control knows thirty points": (".fit(known)", ".fit(known[:30])"),
}
FULL = {"the couplings do not take turns", "fresh points are noise", "the control knows thirty points"}
