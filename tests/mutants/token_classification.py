"""What the claims of token classification must not forgive."""

MUTANTS = {
    "the first tag has no score": ("alpha = self.first + unary[:, 0]", "alpha = 0 * self.first + unary[:, 0]"),
    "the best way in place of the sum": ("self.pair).logsumexp(1) + u", "self.pair).amax(1) + u"),
    "the sum runs over the next tag": ("self.pair).logsumexp(1) + u", "self.pair).logsumexp(2) + u"),
    "the sum does not see the pairs": ("(alpha[:, :, None] + self.pair)", "(alpha[:, :, None] + 0 * self.pair)"),
    "pairs get no gradient from the sum": (
        "(alpha[:, :, None] + self.pair)",
        "(alpha[:, :, None] + self.pair.detach())",
    ),
    "the words get no gradient from the sum": ("logsumexp(1) + u  #", "logsumexp(1) + u.detach()  #"),
    "the last pair is not scored": ("self.pair[tags[:, :-1], tags[:, 1:]]", "self.pair[tags[:, :-2], tags[:, 1:-1]]"),
    "Viterbi forgets the words": ("delta, back = delta + u,", "delta, back = delta + 0 * u,"),
    "Viterbi does not see the pairs": ("(delta[:, :, None] + self.pair)", "(delta[:, :, None] + 0 * self.pair)"),
    "the path is not traced back": ("come.gather(1, path[0][:, None])[:, 0])", "come.max(1).values)"),
    "the HMM does not count pairs": ("(1 + torch.einsum(", "(1 + 0 * torch.einsum("),
    "the control is not trained": (
        "return F.cross_entropy(unary.flatten(0, 1), tags.flatten())",
        "return 0 * F.cross_entropy(unary.flatten(0, 1), tags.flatten())",
    ),
    "the answer stands in the words": (
        "[[word for word, _ in text] for text in texts]",
        "[[f'{word}{tag or str()}' for word, tag in text] for text in texts]",
    ),
}
FULL = {"the answer stands in the words", "the control is not trained", "the HMM does not count pairs"}
