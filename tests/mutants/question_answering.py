"""What the claims of question answering must not forgive."""

MUTANTS = {
    "padding counts in the question": ("there = (question > 0).sum(1, keepdim=True)", "there = question.shape[1]"),
    "the question gets no gradient": (
        "asked = self.embed(question).sum(1) / there",
        "asked = self.embed(question).sum(1).detach() / there",
    ),
    "the question's words are not marked": ("match.float().to(asked)", "0 * match.float().to(asked)"),
    "padding is marked": ("& (passage > 0)[..., None]", "| (passage < 0)[..., None]"),
    "the states pass no gradient": ("scores = states @ self.ends", "scores = states.detach() @ self.ends"),
    "start and end are scored alike": (".unflatten(1, (2, -1)).mT  #", ".unflatten(1, (2, -1))[:, [0, 0]].mT  #"),
    "tokens share a question out": ("log_p = scores.log_softmax(1)", "log_p = scores.log_softmax(2)"),
    "the end is not trained": ("gather(1, spans[:, None]).sum(2)", "gather(1, spans[:, None])[..., 0]"),
    "a span may end before it starts": (
        "torch.ones_like(pairs[0]).triu().tril(SPAN - 1)",
        "torch.ones_like(pairs[0]).tril(SPAN - 1)",
    ),
    "a span may be of any length": (".triu().tril(SPAN - 1)", ".triu()"),
    "start and end are mixed up": (
        "best // scores.shape[1], best % scores.shape[1]",
        "best % scores.shape[1], best // scores.shape[1]",
    ),
    "the regression is held at nothing": ("C=STRENGTH", "C=1e-6"),
}
FULL = {"the regression is held at nothing"}
