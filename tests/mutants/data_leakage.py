"""What the claims about data leakage must not forgive."""

MUTANTS = {
    "the spread is of n - 1": ("x.mean(0), x.std(0, correction=0)", "x.mean(0), x.std(0)"),
    "a copy is made of the common class": ("rare, missing = (y > 0)", "rare, missing = (y == 0)"),
    "one copy too few": ("len(y) - 2 * int(y.sum())", "len(y) - 2 * int(y.sum()) - 1"),
    "a category of few rows is trusted": (
        "+ SMOOTH * y.mean()) / (member.sum(0) + SMOOTH)",
        "+ 1e-9) / (member.sum(0) + 1e-9)",
    ),
    "it chooses the largest with their sign": (".mean(0).abs().topk", ".mean(0).topk"),
    "it chooses the worst": (".abs().topk(CHOSEN)", ".abs().topk(CHOSEN, largest=False)"),
    "the penalty is doubled": ("z.T @ z + penalty", "z.T @ z + 2 * penalty"),
    "test rows are prepared with the others": ("= step(x[train], y[train])", "= step(x, y)"),
    "the halves are one": (".tensor_split(2)\n\n\ndef ridge", ".tensor_split(2)[:1] * 2\n\n\ndef ridge"),
    "the control is judged by labels of other rows": (
        "answer(seen[test]), labels[test])",
        "answer(seen[test]), labels[test.flip(0)])",
    ),
    "a tie counts nothing": (".sign().mean().item() + 1) / 2", " > 0).float().mean().item()"),
    "a number tells the label": ("torch.randperm(ROWS, generator=g) % 5 == 0", "x[:, 1] > 0.85"),
    "fresh rows are the old ones": (
        "= ([t.to(device) for t in table(g)] for g in (data, unseen))",
        "= [[t.to(device) for t in table(data)]] * 2",
    ),
    "a rare category is taken for half and half": ("SMOOTH * y.mean()) /", "SMOOTH * 0.5) /"),
    "columns are chosen from the first": ("lambda t: t[:, best]", "lambda t: t[:, :CHOSEN]"),
    "ridge forgets the mean": ("(t - x.mean(0)) @ w + y.mean()", "(t - x.mean(0)) @ w"),
    "later rows scale themselves": ("lambda t: (t - mean) / spread", "lambda t: (t - t.mean(0)) / spread"),
    "the farthest answers": ("argmin(1)]", "argmax(1)]"),
    "a copy is of one row": ("rare.repeat(len(y) // len(rare))[:missing]", "rare[:1].repeat(missing)"),
    "the wines are not scaled": ("scale(wine_x[train], wine_y)[2](wine_x)", "wine_x"),
}
FULL = {
    "fresh rows are the old ones",
    "the farthest answers",
    "the halves are one",
    "a number tells the label",
    "the wines are not scaled",
    "test rows are prepared with the others",
    "a tie counts nothing",
    "the control is judged by labels of other rows",
}
