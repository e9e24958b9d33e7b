"""What the claims of the VQ-VAE must not forgive."""

MUTANTS = {
    "nothing goes straight through": ("q = z + (e - z).detach()", "q = e"),
    "the vectors are not replaced": ("q = z + (e - z).detach()", "q = z"),
    "the entries get no gradient": (
        "codebook = ((e - z.detach()) ** 2)",
        "codebook = ((e.detach() - z.detach()) ** 2)",
    ),
    "the codebook's loss moves the encoder": ("codebook = ((e - z.detach()) ** 2)", "codebook = ((e - z) ** 2)"),
    "the vectors commit to nothing": ("((z - e.detach()) ** 2).mean()", "((z.detach() - e.detach()) ** 2).mean()"),
    "the farthest entry is chosen": ("choice = distance.argmin(-1)  #", "choice = distance.argmax(-1)  #"),
    "the soft choice is not tempered": ("((logits + gumbel) / t).softmax", "(logits + gumbel / t).softmax"),
    "the soft choice is among the codes": ("/ t).softmax(-1)", "/ t).softmax(-2)"),
    "the soft choice passes no gradient": ("(weights @ self.codebook)", "(weights.detach() @ self.codebook)"),
    "it trains on the test": ("digits[:TRAIN], digits[TRAIN:]", "digits[:TRAIN], digits[:400]"),
    "the weaker of two controls is shown": (
        'min(error["no gradient"], components)',
        'max(error["no gradient"], components)',
    ),
}
FULL = {"the weaker of two controls is shown"}
