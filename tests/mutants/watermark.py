"""What the claims of the watermark must not forgive."""

MUTANTS = {
    "red words are favoured": ("logits + BIAS * green)", "logits + BIAS * ~green)"),
    "the mark is half as strong": ("logits + BIAS * green)", "logits + BIAS / 2 * green)"),
    "green words alone are drawn": ("logits + BIAS * green)", "logits + 99 * green)"),
    "what is marked is no distribution": ("BIAS * green).log_softmax(-1)", "BIAS * green)"),
    "the word before is not hashed": ("before[:, None] * 1_000_003", "0 * before[:, None]"),
    "the key is not hashed": ("* 7_919 + key", "* 7_919 + 0 * key"),
    "repeated pairs count again": (".tril(-1).any(-1))", ".tril(-1).any(-1) & False)"),
    "a pair rules itself out": (".tril(-1).any(-1))", ".tril(1).any(-1))"),
    "a word is looked up after itself": ("table[before, word]", "table[word, word]"),
    "chance is nought": ("- GREEN * n) / (n", "- 0 * n) / (n"),
    "the deviation is the variance": ("(n * GREEN * (1 - GREEN)).sqrt()", "(n * GREEN * (1 - GREEN))"),
    "the paraphrase changes nothing": ("generator=noise) < REPLACED", "generator=noise) < 0"),
}
FULL = {"the word before is not hashed", "the key is not hashed", "the paraphrase changes nothing"}
