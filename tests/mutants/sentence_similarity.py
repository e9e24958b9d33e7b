"""What the claims of sentence embeddings must not forgive."""

MUTANTS = {
    "vectors keep their length": (
        "return F.normalize(self.head(states.amax(1)), dim=1)",
        "return self.head(states.amax(1))",
    ),
    "the mean of the states is taken": ("states.amax(1)", "states.mean(1)"),
    "the sentence gets no gradient": ("cosines = one @ torch", "cosines = one.detach() @ torch"),
    "the others get no gradient": (
        "torch.cat([same, swapped]).mT  # (B, 2 B)",
        "torch.cat([same, swapped]).mT.detach()",
    ),
    "swapped ones are no negatives": ("torch.cat([same, swapped]).mT  # (B, 2 B)", "same.mT"),
    "the temperature multiplies": ("cosines / HEAT", "cosines * HEAT"),
    "the next sentence is the paraphrase": (
        "torch.arange(len(one)).to(one.device)",
        "torch.arange(len(one)).roll(1).to(one.device)",
    ),
    "words are not read": ("self.read(self.embed(words))", "self.read(self.embed(0 * words))"),
    "the LSTM learns nothing": ("states.amax(1)", "states.amax(1).detach()"),
    "test meanings are trained on": ("known = every[~is_held]", "known = every[TEST:]"),
    "swapped test meanings are trained on": ("torch.cat([held, held.flip(1)])", "torch.cat([held, held])"),
    "words are in any order": ("topk(k).indices.sort().values", "topk(k).indices"),
    "the control does not learn": ("self.embed(parts).mean(1)", "self.embed(0 * parts).mean(1)"),
}
FULL = {"the control does not learn", "words are in any order"}
