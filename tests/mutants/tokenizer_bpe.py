"""What the claims of BPE must not forgive."""

MUTANTS = {
    "the rarest pair is merged": ("best = max(count, key", "best = min(count, key"),
    "a pair counts once for each word": ("count[pair] += sign * times[i]", "count[pair] += sign"),
    "old pairs are not discounted": ("            add(i, -1)\n", ""),
    "new pairs are not counted": (
        "            words[i] = merge(words[i], best)\n            add(i, 1)",
        "            words[i] = merge(words[i], best)",
    ),
    "the last merge comes first": ("min(known, key=rank.__getitem__)", "max(known, key=rank.__getitem__)"),
    "pairs are merged from the left": ("min(known, key=rank.__getitem__)", "known[0]"),
    "the words are cut into characters that ASCII lacks": (
        "for byte in word.encode()]",
        "for byte in word.encode('ascii', 'replace')]",
    ),
    "a token swallows its neighbour": ("(merged[-1], token) == pair", "merged[-1] == pair[0]"),
    "the test is the training text": ('"".join(texts[n:])[:TEST]', '"".join(texts)[:TEST]'),
    "the rival has few tokens": (
        "best_substrings(train, steps), best_words(train, steps)",
        "best_substrings(train, 9), best_words(train, 9)",
    ),
}
FULL = {"the rival has few tokens"}
