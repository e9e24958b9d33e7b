"""What the claims of the RNN must not forgive."""

MUTANTS = {
    "the state is not fed back": ("x_t + self.recurrent(past)).tanh()", "x_t + self.recurrent(0 * past)).tanh()"),
    "the state passes no gradient": ("past = h.detach() if self.cut else h", "past = h.detach()"),
    "the gradient is never truncated": ("past = h.detach() if self.cut else h", "past = h"),
    "the state is not squashed": ("self.recurrent(past)).tanh()", "self.recurrent(past))"),
    "the old state stays beside the new": ("h = (x_t + self.rec", "h = 0.5 * h + (x_t + self.rec"),
    "by hand, the squashing has no slope": ("* (1 - h[:, t] ** 2)", "* 1"),
    "by hand, the error passes the matrix the wrong way": ("a @ rnn.recurrent.weight", "a @ rnn.recurrent.weight.T"),
    "by hand, each state is its own past": ("[torch.zeros_like(h[:, :1]), h[:, :-1]]", "[h[:, :0], h]"),
    "by hand, the steps stand in the wrong order": ("torch.stack(errors[::-1], 1)", "torch.stack(errors, 1)"),
    "the answer stands in the input": (
        "return (2.0 * bits - 1)[..., None], bits.cumsum(1) % 2",
        "return (2.0 * (bits.cumsum(1) % 2) - 1)[..., None], bits.cumsum(1) % 2",
    ),
    "by hand, the bias gets a mean": ("e.sum(0)", "e.mean(0)"),
}

FULL = {"the answer stands in the input"}
