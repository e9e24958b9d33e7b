"""What the claims of retrieval-augmented generation must not forgive."""

MUTANTS = {
    "passages weigh alike": ("return found, best.log_softmax(1)", "return found, (0 * best).log_softmax(1)"),
    "the weights do not sum to one": ("return found, best.log_softmax(1)", "return found, F.logsigmoid(best)"),
    "the retriever learns nothing": ("(log_z[..., None] + read)", "(log_z.detach()[..., None] + read)"),
    "the reader learns nothing": ("(log_z[..., None] + read)", "(log_z[..., None] + read.detach())"),
    "the worst passages are read": ("scores.topk(K)", "scores.topk(K, largest=False)"),
    "one passage fewer is read": ("scores.topk(K)", "scores.topk(K - 1)"),
    "one distribution over all passages": (
        ").log_softmax(2)  #",
        ").flatten(1).log_softmax(1).view(*passages.shape)  #",
    ),
    "the reader does not know what is asked": ("wanted = self.asks(self.embed(", "wanted = self.asks(0 * self.embed("),
    "logarithms are summed": ("(log_z[..., None] + read).exp()", "(log_z[..., None] * read).exp()"),
    "it trains on questions about new people": ("question[:old], answer[:old],", "question, answer,"),
    "the new people are those it knows": ("question[old:], answer[old:]", "question[:480], answer[:480]"),
    "the closed-book net does not read the question": (
        "self.net(self.embed(question)",
        "self.net(0 * self.embed(question)",
    ),
    "BM25 counts no rare words": ("(rare * counts * 2.2", "(0 * rare * counts * 2.2"),
    "the question holds the answer": (
        "asked += [(fill(form), ID",
        "asked += [(torch.cat([fill(form), torch.tensor([ID[answers[j]]])]), ID",
    ),
    "new people are not in the store": ("rag.retrieve(new, store)", "rag.retrieve(new, store[: 2 * KNOWN])"),
    "nobody is led astray": ("len(new)).roll(8)", "len(new)).roll(0)"),
}
FULL = {
    "BM25 counts no rare words",
    "it trains on questions about new people",
    "the new people are those it knows",
    "the closed-book net does not read the question",
    "nobody is led astray",
    "the question holds the answer",
    "new people are not in the store",
}
