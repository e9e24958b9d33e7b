"""What the claims of decoding must not forgive."""

MUTANTS = {
    "the cache keeps no old values": (
        "torch.cat([cache[1], v], 2)",
        "torch.cat([0 * cache[1], v], 2)",
    ),
    "the future is read": (
        "scores.masked_fill(~past, -math.inf)",
        "scores.masked_fill(~past, 0.0)",
    ),
    "the mask forgets where the cache ends": (
        ".tril(k.shape[2] - q.shape[2])",
        ".tril()",
    ),
    "the cache is not used": (
        "gpt(words[:, -1:], caches) if cached else gpt(words)",
        "gpt(words)",
    ),
    "the text comes in one piece": (
        "        yield word\n        words = torch.cat([words, word], 1)",
        "        words = torch.cat([words, word], 1)\n        yield from words[:, "
        "1:].split(1, 1) if words.shape[1] > LONG else ()",
    ),
    "the temperature multiplies": (
        "(logits / temperature).softmax(-1).sort",
        "(logits * temperature).softmax(-1).sort",
    ),
    "top-k keeps one word more": (
        "p[top_k:] = 0",
        "p[top_k + 1 :] = 0",
    ),
    "the word that reaches top-p is cut": (
        "p[p.cumsum(0) - p >= top_p] = 0",
        "p[1:][p.cumsum(0)[1:] >= top_p] = 0",
    ),
    "draws begin at the second word": (
        "(p.cumsum(-1) <= u",
        "(p.cumsum(-1) - p <= u",
    ),
    "beams forget what they cost": (
        "sums = logs[:, None] + gpt",
        "sums = 0 * logs[:, None] + gpt",
    ),
    "guesses stand too often": (
        "return (p / q).clamp(max=1)",
        "return (2 * p / q).clamp(max=1)",
    ),
    "fallen guesses are drawn from the model": (
        "return (p - q).clamp(min=0)",
        "return p",
    ),
    "guesses stand behind a fallen one": (
        ".long().cumprod(1)",
        ".long()",
    ),
    "nothing is penalized": (
        "torch.where(old > 0, old / PENALTY, old * PENALTY)",
        "old",
    ),
    "the greedy control takes the second word": (
        "return logits.argmax(-1, keepdim=True)",
        "return logits.argsort(-1)[:, -2:-1]",
    ),
    "what was said is favoured": (
        "torch.where(old > 0, old / PENALTY, old * PENALTY)",
        "torch.where(old > 0, old * PENALTY, old / PENALTY)",
    ),
}
FULL = {
    "beams forget what they cost",
    "guesses stand behind a fallen one",
    "nothing is penalized",
    "the greedy control takes the second word",
    "what was said is favoured",
}
