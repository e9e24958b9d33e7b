"""What the claims of summarization must not forgive."""

MUTANTS = {
    "the query is not seen": (
        "(self.key(e) + self.query(state)[:, None])",
        "(self.key(e) + 0 * self.query(state)[:, None])",
    ),
    "the query gets no gradient": ("self.query(state)[:, None]).tanh()", "self.query(state.detach())[:, None]).tanh()"),
    "the scores are not squashed": (".tanh() @ self.v", " @ self.v"),
    "what was taken is forgotten": ("state = self.write(seen, state)", "state = self.write(0 * seen, state)"),
    "it begins with the last sentence": ("state, seen, logits = e.mean(1)", "state, seen, logits = e[:, -1]"),
    "sentences get no gradient": (".sum(2))[0]  # (B, N, D)", ".sum(2).detach())[0]  # (B, N, D)"),
    "matches are not clipped": ("(a & b).total() /", "(a | b).total() /"),
    "only one word steps on": (
        "for i in range(len(words) - n + 1)) for words",
        "for i in range(0, len(words) - n + 1, n)) for words",
    ),
    "ranks flow backwards": ("rank @ step", "step @ rank"),
    "nobody starts anew": ("(1 - DAMPING) / n +", "(1 - DAMPING) * rank +"),
    "the summary comes first": (
        "order = torch.randperm(len(told), generator=generator).tolist()",
        "order = [0, 2, 4, 1, 3, 5, 6, 7, 8]",
    ),
    "the control is told to take three": ("best(score, 2 * FACTS)", "best(score, FACTS)"),
}
FULL = {"the summary comes first", "the control is told to take three"}
