"""What the claims about the order of sums must not forgive."""

MUTANTS = {
    "what was lost stays lost": ("corrected = rounded(number - lost)", "corrected = rounded(number)"),
    "what was lost is taken off twice": ("rounded(number - lost)", "rounded(number - 2 * lost)"),
    "what was lost has the wrong sign": ("rounded(number - lost)", "rounded(number + lost)"),
    "pairs overlap": ("x[0::2] + x[1::2]", "x[0::2] + x[0::2]"),
    "pairs are not rounded": ("x = rounded(x[0::2] + x[1::2])", "x = x[0::2] + 0 * x[1::2] + x[1::2].floor()"),
    "a chunk is left out": (
        "total = rounding(total + rounding(part @ weights))",
        "total = rounding(rounding(part @ weights))",
    ),
    "partial sums are exact": ("rounding(total + rounding(part @ weights))", "total + part @ weights"),
    "the running sum is exact": ("total = rounding(total + number)", "total = total + number"),
    "rounded to FP16": ("return x.bfloat16().to(x.dtype)", "return x.half().to(x.dtype)"),
    "rounded down": ("return x.bfloat16().to(x.dtype)", "return (x * 0.998).bfloat16().to(x.dtype)"),
    "the control is cut otherwise": ("(1, PROMPTS), (8, 20),", "(1, PROMPTS), (4, 20),"),
    "one chunk is eight": ("(8, PROMPTS), (1, PROMPTS), (8, 20),", "(8, PROMPTS), (8, PROMPTS), (8, 20),"),
    "one order": ("many[torch.randperm(MANY, generator=numbers)]", "many[torch.arange(MANY)]"),
    "tokens are drawn from the start anew": (
        "token = best.indices[:, 0]\n        yield",
        "token = start\n        yield",
    ),
    "every lead counts": ('lead[same["eight chunks or one"] & (', 'lead[same["eight chunks or one"] | ('),
    "what was lost is remembered for ever": (
        "lost = rounded(rounded(new - total) - corrected)",
        "lost = lost + rounded(rounded(new - total) - corrected)",
    ),
    "the loss is measured but not of what was added": (
        "rounded(new - total) - corrected)",
        "rounded(new - total) - number)",
    ),
    "the corrected number is not added": ("new = rounded(total + corrected)", "new = rounded(total + number)"),
    "tokens are not read": ("+ embed[read]).tanh()", "+ 0 * embed[read]).tanh()"),
    "the second token is taken": ("token = best.indices[:, 0]", "token = best.indices[:, 1]"),
    "FP32 is BF16": ("lambda t: t.float().double()", "rounded"),
    "texts may come together again": ("same[name] &= ~differs[name]", "same[name] = ~differs[name]"),
}
FULL = {
    "tokens are drawn from the start anew",
    "texts may come together again",
    "the second token is taken",
    "every lead counts",
    "one chunk is eight",
    "tokens are not read",
    "the control is cut otherwise",
    "a chunk is left out",
    "FP32 is BF16",
    "partial sums are exact",
}
