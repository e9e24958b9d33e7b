"""What the GRU's claims must not forgive."""

MUTANTS = {
    "what is kept passes no gradient": ("h = z * h +", "h = z * h.detach() +"),
    "the gates are mixed up": ("h = z * h + (1 - z) * n", "h = (1 - z) * h + z * n"),
    "the reset gate is open": ("(n + r * from_n).tanh()", "(n + from_n).tanh()"),
    "the candidate is not squashed": ("(n + r * from_n).tanh()", "n + r * from_n"),
    "the update gate does not see the state": ("z = (z + from_z).sigmoid()", "z = z.sigmoid()"),
    "nothing is kept": ("h = z * h +", "h ="),
    "the answer stands in the input": ("[values, flags], -1), values", "[values.gather(1, last), flags], -1), values"),
    "every number is flagged in the answer": ("(flags * torch.arange(LENGTH))", "(torch.arange(LENGTH).expand(n, -1))"),
}
FULL = {"every number is flagged in the answer", "the answer stands in the input"}
