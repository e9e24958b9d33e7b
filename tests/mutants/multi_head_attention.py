"""What the claims of multi-head attention must not forgive."""

MUTANTS = {
    "the scores are scaled by the whole width": ("math.sqrt(q.shape[-1])", "math.sqrt(WIDTH)"),
    "the scores are not scaled": ("k.mT / math.sqrt(q.shape[-1])", "k.mT / 1"),
    "heads share a place out": (".softmax(-1)  # softmax", ".softmax(1)  # softmax"),
    "all heads look where the first does": ("joined = (weights @ v)", "joined = (weights[:, :1] @ v)"),
    "all heads read the first one's values": ("joined = (weights @ v)", "joined = (weights @ v[:, :1].expand_as(v))"),
    "heads are joined channel by channel": (".transpose(1, 2).flatten(2)  # [", ".permute(0, 2, 3, 1).flatten(2)  # ["),
    "the weights get no gradient": ("joined = (weights @ v)", "joined = (weights.detach() @ v)"),
    "the heads are not mixed": ("return self.out(joined), weights", "return joined, weights"),
    "all that is sought is one thing": (
        "generator=generator).argsort(1)[:, :SOUGHT]",
        "generator=generator).argsort(1)[:, :1].expand(-1, SOUGHT)",
    ),
    "the rivals are trained at a thousandth of the rate": (
        "= RATE * min(",
        "= RATE * (1 if heads == 4 else 1e-3) * min(",
    ),
}

FULL = {"all that is sought is one thing", "the rivals are trained at a thousandth of the rate"}
