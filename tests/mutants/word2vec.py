"""What the claims of Word2vec must not forgive."""

MUTANTS = {
    "negatives are drawn near": ("F.logsigmoid(-false)", "F.logsigmoid(false)"),
    "negatives count as one": ("F.logsigmoid(-false).sum(-1)", "F.logsigmoid(-false).mean(-1)"),
    "a word is its own context": ("vector * self.context[context]", "vector * self.word[context]"),
    "negatives get no gradient": ("vector, self.context[negatives])", "vector, self.context[negatives].detach())"),
    "the word gets no gradient of the pair": ("true = (vector *", "true = (vector.detach() *"),
    "a word is paired with itself": (
        "(~torch.eye(sentences.shape[1], dtype=torch.bool))",
        "torch.ones(2 * sentences.shape[1:])",
    ),
    "the fourth word of the analogy is told": ("+ vectors[ID[c]])", "+ vectors[ID[one[1 - g]]])"),
    "the control's text is not shuffled": (
        "shuffled = sentences.flatten()[",
        "shuffled = sentences; sentences.flatten()[",
    ),
}
FULL = {"a word is paired with itself", "the control's text is not shuffled", "the fourth word of the analogy is told"}
