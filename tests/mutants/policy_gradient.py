"""What the policy gradient's claims must not forgive."""

MUTANTS = {
    "an action answers for what came before it": ("rewards.flip(-1).cumsum(-1).flip(-1)", "rewards.cumsum(-1)"),
    "an action answers for the whole walk": (
        "rewards.flip(-1).cumsum(-1).flip(-1)",
        "rewards.sum(-1, keepdim=True).expand_as(rewards)",
    ),
    "the policy passes no gradient to its normalizer": (
        "logits.log_softmax(-1)[s, a]",
        "(logits - logits.logsumexp(-1, keepdim=True).detach())[s, a]",
    ),
    "odds instead of their logarithm": ("logits.log_softmax(-1)[s, a]", "logits.softmax(-1)[s, a]"),
    "the baseline bends to the policy": ("(gain - baseline).detach()", "gain.detach() - baseline"),
    "it descends": ("- climb * on", "+ climb * on"),
    "the values are fitted without their square": ("(gain - baseline) ** 2 * on", "(gain - baseline).abs() * on"),
    "the baseline knows the return": ("advantage = (gain - baseline)", "advantage = (gain - gain)"),
    "the baseline is of another move": ("torch.arange(s.shape[-1],", "torch.zeros(s.shape[-1], dtype=torch.long,"),
    "the walker foresees its slips": ("(going[s, a] < v)", "(going[s, a] < u)"),
    "it plays the likeliest move": ("a = (acting[s] < u)", "a = (acting[s] < 0.5)"),
    "the control sees the return": ("return rewards\n", "return to_go(rewards)\n"),
    "the control has the baseline with the wrong sign": (
        "zip(spread, (value, 0 * value), strict=True)",
        "zip(spread, (value, -value), strict=True)",
    ),
}
FULL = {"the control has the baseline with the wrong sign"}
