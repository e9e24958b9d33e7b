"""What the claims of BERT must not forgive."""

MUTANTS = {
    "words share a word out": ("(scores.softmax(-1) @ v)", "(scores.softmax(-2) @ v)"),
    "the scores are not scaled": ("q @ k.mT / math.sqrt(q.shape[-1])", "q @ k.mT"),
    "what is chosen is always masked": ("torch.where(fate < 0.8, MASK,", "torch.where(fate < 2, MASK,"),
    "what is not chosen is spoilt": ("return torch.where(chosen < 0.3, spoilt, words),", "return spoilt,"),
    "all words are asked for": ("return surprise[chosen].mean()", "return surprise.mean()"),
    "the places are not told": ("x = self.word(words) + self.position.weight", "x = self.word(words)"),
    "the shortcut passes no gradient": ("x = x + self.out(", "x = x.detach() + self.out("),
    "nothing is hidden in training": (
        "loss = masked_loss(net.fill(net(spoilt))",
        "loss = masked_loss(net.fill(net(words))",
    ),
    "the hidden word stands in the input": ("spoilt[:, place] = MASK", "spoilt[:, place] = words[:, place]"),
    "the labels of the test are used": (
        "few, labels = sentences(LABELLED, unseen, torch.arange(LABELLED) % TOPICS)",
        "few, labels = words, topics",
    ),
}
FULL = {"nothing is hidden in training", "the hidden word stands in the input", "the labels of the test are used"}
