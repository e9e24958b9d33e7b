"""What the claims of GRPO must not forgive."""

MUTANTS = {
    "the mean is of a column": ("reward.mean(1, keepdim=True)", "reward.mean(0, keepdim=True)"),
    "no deviation divides": (".clamp(min=1e-6)  # A_i", ".clamp(min=1, max=1)  # A_i"),
    "the deviation is the sample's": ("reward.std(1, keepdim=True, correction=0)", "reward.std(1, keepdim=True)"),
    "nothing is clipped": ("ratio.clamp(1 - CLIP, 1 + CLIP) * a", "ratio * a"),
    "the clipped gain counts alone": ("torch.minimum(ratio * a, ratio", "torch.minimum(9e9 + 0 * a, ratio"),
    "the policy gets no gradient": (
        "ratio, a = (log_p - log_old).exp()",
        "ratio, a = (log_p.detach() - log_old).exp()",
    ),
    "the penalty is turned round": ("drift = log_start - log_p", "drift = log_p - log_start"),
    "the penalty passes no gradient": ("drift = log_start - log_p", "drift = log_start - log_p.detach()"),
    "the penalty is the drift alone": ("kl = drift.exp() - drift - 1", "kl = -drift"),
    "long answers weigh more": ("* on).sum(-1) / on.sum(-1)).mean(-1)", "* on).sum(-1)).mean(-1)"),
    "what follows the end is penalized": ("((gain - penalty * kl) * on)", "(gain * on - penalty * kl)"),
    "what follows the end counts": ("return (ends.cumsum(1) == ends).float()", "return torch.ones_like(ends).float()"),
    "the careless rule reads one token": (
        "return (said == total(asked)[:, None])",
        "return (said[:, :1] == total(asked)[:, None])",
    ),
    "marks start too far apart for the control": ("1e-2, 3.0", "1e-2, 99.0"),
}
FULL = {"the careless rule reads one token", "marks start too far apart for the control"}
