"""What the claims of model parallelism must not forgive."""

MUTANTS = {
    "only the first rank is heard": ("return x + sum(parts) + self.bias", "return x + parts[0] + self.bias"),
    "the second rank gets no gradient": (
        "return x + sum(parts) + self.bias",
        "return x + parts[0] + parts[1].detach() + self.bias",
    ),
    "the sum is a mean": ("return x + sum(parts) + self.bias", "return x + sum(parts) / len(parts) + self.bias"),
    "a stage rests before each job": ("start = max([free[s], *", "start = max([free[s] + 1, *"),
    "backward jobs are counted as forward ones": ('FORWARD if kind == "F" else BACKWARD', "FORWARD if s else BACKWARD"),
    "no stage is ahead": ("ahead = min(stages - 1 - stage, micro)", "ahead = micro"),
    "each micro-batch counts whole": ('reduction="sum") / len(y)', 'reduction="mean")'),
    "the gradient is not sent back": ("due[s - 1, i] = here.grad", "due[s - 1, i] = 0 * here.grad"),
    "ranks step by their own gradients": (
        "g = sum(gradient[part] for gradient in gradients) / RANKS",
        "g = gradients[0][part]",
    ),
    "each rank keeps all gradients": ('rank["g"] = g if self.stage > 1 else', 'rank["g"] = g if self.stage > 2 else'),
    "each rank keeps all weights": ("fresh[part if self.stage > 2 else slice(None)].clone()", "fresh.clone()"),
    "the second moment is not corrected": ('(rank["v"] / (1 - 0.999**self.t)).sqrt()', 'rank["v"].sqrt()'),
    "the control has micro-batches": ("bubble(one_f_one_b, 4, 1)", "bubble(one_f_one_b, 4, 64)"),
}
