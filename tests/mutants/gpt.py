"""What the claims of GPT must not forgive."""

MUTANTS = {
    "the next word is seen": (".tril(k.shape[2] - q.shape[2])", ".tril(k.shape[2] - q.shape[2] + 1)"),
    "the scores are not scaled": ("q @ k.mT / math.sqrt(q.shape[-1])", "q @ k.mT"),
    "the norm stands outside the shortcut": (
        "return x + self.mlp(self.norm2(x))",
        "return self.norm2(x + self.mlp(x))",
    ),
    "the shortcut passes no gradient": ("x = x + self.out(", "x = x.detach() + self.out("),
    "values get no gradient": (".softmax(-1) @ v", ".softmax(-1) @ v.detach()"),
    "places are counted from the last word": (
        "self.position.weight[start : start + words.shape[1]]",
        "self.position.weight[: words.shape[1]]",
    ),
    "the cache forgets": ("cache[:] = k, v", "cache[:] = k[:, :, -2:], v[:, :, -2:]"),
    "it is asked for the word that it sees": ("words[:, 1:].flatten())", "words[:, :-1].flatten())"),
    "it is tested on what it was trained on": (
        "text(800, random.Random(3 * seed + 2))",
        "text(800, random.Random(3 * seed + 1))",
    ),
    "it writes as if every word were the first": ("words[:, -1:], t, caches)", "words[:, -1:], 0, caches)"),
    "it writes the likeliest word": (
        "words = torch.cat([words, torch.multinomial(odds, 1, generator=generator)], 1)",
        "words = torch.cat([words, odds.argmax(1, keepdim=True)], 1)",
    ),
}
FULL = {"it is asked for the word that it sees", "it is tested on what it was trained on"}
