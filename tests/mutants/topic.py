"""What the claims of the topic model must not forgive."""

MUTANTS = {
    "the text does not count": ("(n_dk + ALPHA) * (n_kv", "(1 + ALPHA) * (n_kv"),
    "the priors are swapped": ("(n_dk + ALPHA) * (n_kv + BETA)", "(n_dk + BETA) * (n_kv + ALPHA)"),
    "a common topic is not divided by its size": ("/ (n_k + WORDS * BETA) for", "/ (WORDS * BETA) for"),
    "the prior is not summed over words": ("(n_k + WORDS * BETA) for", "(n_k + BETA) for"),
    "the old topic stays counted": ("self.count(d, v, self.topics[d][i], -1)", "pass"),
    "a topic's size is not kept": ("self.total[k] += by", "self.total[k] += max(by, 0)"),
    "all topics are drawn alike": ("k = bisect(heights, chance[d][i] * heights[-1])", "k = int(chance[d][i] * TOPICS)"),
    "the draw is off by one": (
        "k = bisect(heights, chance[d][i] * heights[-1])",
        "k = max(0, bisect(heights, chance[d][i] * heights[-1]) - 1)",
    ),
    "a text has one topic": ("ALPHA * TOPICS / (ALPHA * TOPICS + i), topic", "0, topic"),
    "words are shuffled among texts": (".view(TEXTS, LENGTH)\n", ".view(LENGTH, TEXTS).T\n"),
    "the table is always right": ("table.amax(1).sum() / table.sum()", "table.sum() / table.sum()"),
    "the table knows nothing": ("table.amax(1).sum() / table.sum()", "table.mean(1).sum() / table.sum()"),
    "the likeliest topic is taken": (
        "k = bisect(heights, chance[d][i] * heights[-1])",
        "k = max(range(TOPICS), key=self.weights(d, v).__getitem__)",
    ),
    "the factors are told the topics": ('"NMF": factors(counts, seed)', '"NMF": grid()'),
    "topics are paired so that they are far": (
        "linear_sum_assignment(torch.cdist(",
        "linear_sum_assignment(-torch.cdist(",
    ),
    "the distance is not halved": (".sum(1).mean() / 2)", ".sum(1).mean())"),
    "the names of topics go the other way": ('pairs(found["LDA"]).argsort()[', 'pairs(found["LDA"])['),
    "k-means is told the topics": ('"k-means": clusters(counts, seed)', '"k-means": grid()'),
}
FULL = {
    "the likeliest topic is taken",
    "the factors are told the topics",
    "topics are paired so that they are far",
    "the distance is not halved",
    "the names of topics go the other way",
    "all topics are drawn alike",
    "the draw is off by one",
    "a text has one topic",
    "words are shuffled among texts",
    "the table is always right",
    "the table knows nothing",
    "k-means is told the topics",
}
