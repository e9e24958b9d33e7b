"""What the claims of text classification must not forgive."""

MUTANTS = {
    "a filter has no bias": ("windows, filters) + bias", "windows, filters) + 0 * bias"),
    "the mean place, not the best": ("match.relu().amax(1)", "match.relu().mean(1)"),
    "nothing is rectified": ("match.relu().amax(1)", "match.amax(1)"),
    "windows do not overlap": ("x.unfold(1, filters.shape[-1], 1)", "x.unfold(1, filters.shape[-1], 2)"),
    "filters learn nothing": ('"btdk,fdk->btf", windows, filters)', '"btdk,fdk->btf", windows, filters.detach())'),
    "words learn nothing": ("x, found = self.embed(words), []", "x, found = self.embed(words).detach(), []"),
    "classes are taken as equally common": ("of_class.mean(0).log() +", "0 * of_class.mean(0).log() +"),
    "words are shared out over the classes": ("(seen / seen.sum(0)).log()", "(seen / seen.sum(1, True)).log()"),
    "a word counts once": ("of_class.mean(0).log() + asked @", "of_class.mean(0).log() + asked.clamp(max=1) @"),
    "frequent words weigh as much": ("texts_with)).log() + 1", "texts_with)).log() * 0 + 1"),
    "texts keep their length": ("F.normalize(counts * idf, dim=1)", "counts * idf"),
    "the control is hardly trained": ("RUNS, STRENGTH = (1, 2, 3), 100.0", "RUNS, STRENGTH = (1,), 1e-9"),
    "the control learns the test": ("best_of_runs(texts, about[:, 1], fresh", "best_of_runs(fresh, sentiment, fresh"),
    "the sentiment stands in the text": (
        'texts.append(" ".join(',
        'texts.append(f"s{word ^ negated} " + " ".join(',
    ),
}
FULL = {"the control learns the test", "the sentiment stands in the text", "the control is hardly trained"}
