"""What the claims of machine translation must not forgive."""

MUTANTS = {
    "padding is read": ("there = (source > 0)[:, None, None]", "there = (source >= 0)[:, None, None]"),
    "the words to come are read": ("written.shape[1]).tril().to(", "written.shape[1]).to("),
    "the scores are divided by d": ("math.sqrt(WIDTH // HEADS)", "(WIDTH // HEADS)"),
    "the source gets no gradient": (
        "self.multihead_attn(self.norm2(x), memory, there)",
        "self.multihead_attn(self.norm2(x), memory.detach(), there)",
    ),
    "the weights get no gradient": ("(weights @ v)", "(weights.detach() @ v)"),
    "target words share a source word out": ("scores.softmax(-1)", "scores.softmax(-2)"),
    "the source is not read": ("x + self.multihead_attn(", "x + 0 * self.multihead_attn("),
    "there is no shortcut": ("return x + self.linear2(", "return self.linear2("),
    "the order of words is not known": (
        "embed(text) + place.weight[: text.shape[1]]",
        "embed(text) + 0 * place.weight[: text.shape[1]]",
    ),
    "a short text pays nothing": ("min(0, 1 - ratio)", "min(0, 0 * ratio)"),
    "one n-gram counts again and again": ("min(c, r[g]) if clip", "c * (g in r) if clip"),
    "the answer stands in the input": (
        "written = torch.cat([torch.ones_like(target[:, :1]), target[:, :-1]], 1)\n        loss",
        "written = target\n        loss",
    ),
    "the dictionary is not fitted": ("for round in range(ROUNDS)", "for round in range(1)"),
    "the pairs of the test are trained on": (
        "if ((verb, thing) in held) == fresh:",
        "if not fresh or (verb, thing) in held:",
    ),
}
FULL = {"the answer stands in the input", "the dictionary is not fitted"}
