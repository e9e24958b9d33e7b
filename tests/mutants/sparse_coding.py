"""What the claims of sparse coding must not forgive."""

MUTANTS = {
    "nothing is set to zero": ("(a.abs() - t).clamp(min=0)", "(a.abs() - t)"),
    "small weights go, large ones stay as they are": ("a.sign() * (a.abs() - t).clamp(min=0)", "a * (a.abs() > t)"),
    "the threshold is the charge, whatever the step": ("slope / bend, charge / bend)", "slope / bend, charge)"),
    "the step is half as long": ("ahead - slope / bend,", "ahead - slope / bend / 2,"),
    "the slope is of the last codes, not of those ahead": ("slope = (ahead @ atoms", "slope = (a @ atoms"),
    "no momentum": ("if momentum else a", "if not momentum else a"),
    "momentum does not grow": ("t, held = (1 + math.sqrt(1 + 4 * t * t)) / 2, t", "t, held = 2.0, 1.5"),
    "steps lead the wrong way": ("(held - 1) / t * (a - before)", "(held - 1) / t * (before - a)"),
    "the dictionary forgets the ridge": ("a.mT @ a + held, a.mT @ x)", "a.mT @ a + 1e-5 * held, a.mT @ x)"),
    "the dictionary is not fitted, only correlated": (
        "torch.linalg.solve(a.mT @ a + held, a.mT @ x)",
        "a.mT @ x + 0 * held.sum()",
    ),
    "learning begins with the strokes": (
        "unit(torch.randn(ATOMS, SIDE**2, generator=begin)).to(device)",
        "truth.to(device)",
    ),
    "the rival's atoms are the strokes": ('"single": singles.cpu(),', '"single": truth,'),
    "atoms may grow": ("atoms = unit(dictionary(x, a))", "atoms = dictionary(x, a)"),
    "the squared charge is an L1 charge": (
        "squared(x, dense, CHARGE)))",
        "codes(x, dense, CHARGE, INNER)))",
    ),
    "every signal has most strokes": (
        "NOISE, CHARGE, INNER, RIDGE = 6, 48, 4,",
        "NOISE, CHARGE, INNER, RIDGE = 6, 48, 7,",
    ),
    "the dictionary sees signs of the codes": (
        "atoms = unit(dictionary(x, a))",
        "atoms = unit(dictionary(x, a.sign()))",
    ),
    "the codes are too few steps": ("CHARGE, INNER, start=a)", "CHARGE, 1, start=None)"),
    "an atom of the other sign is not found": (".abs().amax(1) > 0.95)", ".amax(1) > 0.95)"),
    "one atom is the four": ("largest(even, start, 1)", "codes(even, start, CHARGE, INNER)"),
    "the bound is a tenth": ("    bound = 2 * float(", "    bound = 0.2 * float("),
    "likeness counts from a half": (".amax(1) > 0.95)", ".amax(1) > 0.5)"),
    "the dictionary is not learned": ("atoms = unit(dictionary(x, a))", "atoms = unit(atoms)"),
}
FULL = {
    "an atom of the other sign is not found",
    "atoms may grow",
    "every signal has most strokes",
    "learning begins with the strokes",
    "likeness counts from a half",
    "one atom is the four",
    "the codes are too few steps",
    "the dictionary is not learned",
    "the dictionary sees signs of the codes",
    "the rival's atoms are the strokes",
    "the squared charge is an L1 charge",
}
