"""What the claims of deduplication must not forgive."""

MUTANTS = {
    "the mean is no minimum": ("return hashes.amin(-1)", "return hashes.sum(-1)"),
    "the first run is taken": ("return hashes.amin(-1)", "return hashes[..., 0]"),
    "all hashes are one": (
        "return (a[:, None] * numbers[:, None] + b[:, None])",
        "return (a[:1, None] * numbers[:, None] + b[:1, None] + 0 * b[:, None])",
    ),
    "hashes only shift": ("return (a[:, None] * numbers[:, None] +", "return (0 * a[:, None] + numbers[:, None] +"),
    "hashes are few": ("b[:, None]) % PRIME", "b[:, None]) % 101"),
    "a band agrees in one row": (".all(-1).any(-1)", ".any(-1).any(-1)"),
    "all bands must agree": (".all(-1).any(-1)", ".all(-1).all(-1)"),
    "bands and rows are swapped": ("unflatten(-1, (BANDS, ROWS)).all", "unflatten(-1, (ROWS, BANDS)).all"),
    "the formula swaps bands and rows": ("1 - (1 - s**ROWS) ** BANDS", "1 - (1 - s**BANDS) ** ROWS"),
    "the table keeps one text a band": ("table[k, *band].append(i)", "table[k, *band][:] = [i]"),
    "the table forgets a band": ("table[k, *band].append(i)", "table[max(k, 1), *(band if k else [i])].append(i)"),
    "the band has no number": ("table[k, *band].append(i)", "table[0, *band].append(i)"),
    "copies are left as they are": ("changed(text, 0.05, words)", "changed(text, 0.0, words)"),
    "nothing opens alike": ("openings[i // 2 % 4] + text[OPENING:] if", "text if"),
    "the long runs are short": ("for more in (0, 2)", "for more in (0, -10)"),
    "the short runs are long": ("for more in (0, 2)", "for more in (2, 2)"),
    "another copy is looked for": ("near = {(i, TEXTS + i)", "near = {(i, TEXTS + i + 1)"),
}
FULL = {
    "copies are left as they are",
    "bands and rows are swapped",
    "hashes only shift",
    "all hashes are one",
    "all bands must agree",
    "a band agrees in one row",
    "hashes are few",
    "the formula swaps bands and rows",
    "nothing opens alike",
    "the long runs are short",
    "the short runs are long",
    "another copy is looked for",
}
