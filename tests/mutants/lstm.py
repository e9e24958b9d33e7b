"""What the LSTM's claims must not forgive."""

MUTANTS = {
    "the cell state passes no gradient": ("c = f.sigmoid() * c +", "c = f.sigmoid() * c.detach() +"),
    "nothing is forgotten": ("c = f.sigmoid() * c +", "c = c +"),
    "the candidate is not squashed": ("i.sigmoid() * g.tanh()", "i.sigmoid() * g"),
    "the output gate is open": ("h = o.sigmoid() * c.tanh()", "h = c.tanh()"),
    "the state is not fed back": ("x_t + self.recurrent(h)).chunk", "x_t + self.recurrent(0 * h)).chunk"),
    "it forgets from the start": ("torch.cat([-memory, memory,", "torch.cat([-memory, -memory,"),
    "the answer stands in the input": ("torch.stack([values, marks], -1)", "torch.stack([values * marks, marks], -1)"),
}
FULL = {"it forgets from the start", "the answer stands in the input"}
