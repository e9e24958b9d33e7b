"""What the claims of benchmark contamination must not forgive."""

MUTANTS = {
    "other words are put in for synonyms": ("return questions ^ (", "return (questions + 2) % WORDS ^ ("),
    "the paraphrase is a copy": ("(torch.arange(LENGTH) % every == every // 2).long()", "0 * torch.arange(LENGTH)"),
    "the paraphrase keeps long runs": ("(torch.arange(LENGTH) % every ==", "(torch.arange(LENGTH) % 9 =="),
    "the clean net sees the test": ('{"clean": others, ', '{"clean": test, '),
    "other questions pass for the leak": ('"copies": test, ', '"copies": others, '),
    "no paraphrase leaks": ('"paraphrases": paraphrase(test),', '"paraphrases": paraphrase(others),'),
    "the search takes longer runs": ("question.unfold(0, length, 1)", "question.unfold(0, length + 1, 1)"),
    "the search skips every other run": ("question.unfold(0, length, 1)", "question.unfold(0, length, 2)"),
    "one word in common is enough": ("question.unfold(0, length, 1)", "question.unfold(0, 1, 1)"),
    "each run must be found": ("not seen.isdisjoint(runs(question, length))", "runs(question, length) <= seen"),
    "the fresh questions are the test": (
        "test, fresh = questions_of(TEST, unseen), questions_of(FRESH, unseen)",
        "test, fresh = [questions_of(TEST, unseen)] * 2",
    ),
    "fresh questions are trained on": (
        "train, others = questions_of(TRAIN, data), questions_of(TEST, data)",
        "train, others = questions_of(TRAIN, torch.Generator().manual_seed(5 * seed + 2)), questions_of(TEST, data)",
    ),
    "the clean net's questions repeat": ('{"clean": others, ', '{"clean": train[:TEST], '),
    "the rewritten test keeps most words": ("paraphrase(test, 1)}", "paraphrase(test, 4)}"),
    "fresh accuracy is that of the test": ("for questions in (test, fresh))", "for questions in (test, test))"),
    "test accuracy is that of fresh questions": ("for questions in (test, fresh))", "for questions in (fresh, fresh))"),
    "the rule is of words, not meanings": (
        "scores[torch.arange(LENGTH), questions // 2]",
        "scores[torch.arange(LENGTH), questions % MEANINGS]",
    ),
    "all is fresh at each step": ("batch = sets[way][rows]", "batch = questions_of(BATCH, order)"),
    "no gradient reaches the nets": ("loss.backward()", "(0 * loss).backward()"),
    "what leaked is hardly drawn": ("torch.randint(TRAIN + TEST, (BATCH,)", "torch.randint(TRAIN + 40, (BATCH,)"),
}
FULL = {
    "all is fresh at each step",
    "the rewritten test keeps most words",
    "fresh accuracy is that of the test",
    "test accuracy is that of fresh questions",
    "no paraphrase leaks",
    "no gradient reaches the nets",
    "what leaked is hardly drawn",
}
