"""What the claims of the attention sink must not forgive."""

MUTANTS = {
    "plus one adds nothing": ("F.pad(scores, (0, 1)).softmax(-1)[..., :-1]", "scores.softmax(-1)"),
    "the added score is 1": ("F.pad(scores, (0, 1)).softmax", "F.pad(scores, (0, 1), value=1.0).softmax"),
    "the denominator passes no gradient": (
        "return scores.softmax(-1)  # exp",
        "return scores.exp() / scores.exp().sum(-1, keepdim=True).detach()  # exp",
    ),
    "scores are not scaled": ("self.k(x).mT / math.sqrt(HEAD)", "self.k(x).mT"),
    "keys pass no gradient": ("self.q(x) @ self.k(x).mT", "self.q(x) @ self.k(x).detach().mT"),
    "values pass no gradient": ("seen) @ self.v(x)", "seen) @ self.v(x).detach()"),
    "the gate is open": ("self.gate(x).sigmoid() * y if", "self.gate(x).sigmoid() ** 0 * y if"),
    "all heads have a gate": ('y if self.way == "gate" else y', 'y if self.way == "gate" or True else y'),
    "tokens read ahead": ("masked_fill(~seen, -math.inf)", "masked_fill(~(seen | seen.mT), -math.inf)"),
    "the first token is never dropped": ("seen[1:, 0] = first", "seen[1:, 0] = True"),
    "the first token is always dropped": ("seen[1:, 0] = first", "seen[1:, 0] = False"),
    "all tokens ask": ("generator=generator) < SHARE)", "generator=generator) < 2)"),
    "the answer stands in the input": ("torch.cat([keys * held, values * held,", "torch.cat([keys * held, wanted,"),
    "softmax without a first token has one": ('"softmax, no first": False', '"softmax, no first": True'),
    "the first token says something": ("values * held,", "values,"),
    "the gate is a tanh": ("self.gate(x).sigmoid() * y if", "self.gate(x).tanh() * y if"),
    "what is hidden has score 0": ("masked_fill(~seen, -math.inf)", "masked_fill(~seen, 0.0)"),
    "the first token is dropped where it is kept": ('error("softmax", True)', 'error("softmax", False)'),
    "queries are keys": ("(self.q(x) @ self.k(x)", "(self.k(x) @ self.k(x)"),
}
FULL = {"the first token is never dropped", "the first token is always dropped", "all tokens ask"}
FULL |= {"the answer stands in the input", "softmax without a first token has one", "the first token says something"}
FULL |= {"the first token is dropped where it is kept"}
