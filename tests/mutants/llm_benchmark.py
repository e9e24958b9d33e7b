"""What the claims of a benchmark's error bars must not forgive."""

MUTANTS = {
    "passages are not added up first": (
        "return groups / (groups - 1) * apart.square().sum(-1) / n**2",
        "return (score - score.mean(-1, keepdim=True)).square().sum(-1) / n**2",
    ),
    "the spread has one degree of freedom too many": ("return groups / (groups - 1) * apart", "return apart"),
    "the freedom is that of questions": ("return groups / (groups - 1) * apart", "return n / (n - 1) * apart"),
    "the mean is not taken off": ("apart = (score - score.mean(-1, keepdim=True)) @", "apart = score @"),
    "divided by passages and not by questions": (".sum(-1) / n**2", ".sum(-1) / groups**2"),
    "errors of passages are not squared": ("apart.square().sum(-1) / n**2", "apart.abs().sum(-1) / n**2"),
    "a passage is lost": ("groups, n = int(passage.max()) + 1,", "groups, n = int(passage.max()),"),
    "the lead has the error bar of one model": (
        "return gap.mean(-1), squared_error(gap, passage)",
        "return gap.mean(-1), squared_error(a, passage)",
    ),
    "the lead adds the two up": ("gap = a - b  # question by question", "gap = a + b"),
    "the lead pairs each question with the next": ("gap = a - b  # question by question", "gap = a - b.roll(1, -1)"),
    "each question is taken to stand alone in the lead": (
        "return gap.mean(-1), squared_error(gap, passage)",
        "return gap.mean(-1), alone(gap)",
    ),
    "the interval is half as wide": ("<= WIDE * square.sqrt()", "<= WIDE / 2 * square.sqrt()"),
    "the interval is wider": ("<= WIDE * square.sqrt()", "<= 1.2 * WIDE * square.sqrt()"),
    "the interval reaches the squared error": ("<= WIDE * square.sqrt()", "<= WIDE * square"),
    "the control knows of passages": (
        'for name, square in (("by passage", squared_error(x, passage)), ("each alone", alone(x))):',
        'for name, square in [(name, squared_error(x, passage)) for name in ("by passage", "each alone")]:',
    ),
    "the unpaired control is paired": (
        "squared_error(a, passage) + squared_error(b, passage)",
        "squared_error(a - b, passage)",
    ),
    "the unpaired control has far too long a bar": (
        "squared_error(a, passage) + squared_error(b, passage)",
        "2 * (squared_error(a, passage) + squared_error(b, passage))",
    ),
    "the design effect counts one question more": ("return 1 + (each - 1) * (p", "return 1 + each * (p"),
    "the correlation is a covariance": ("/ (p.mean() * (1 - p.mean()))).item()", ").item()"),
    "passages differ less": ("(side[:, None] + side)", "(0 * side[:, None] + side)"),
    "each question has its own passage's luck": (
        "generator=generator)[..., passage]",
        "generator=generator)[..., passage[torch.randperm(len(passage))]]",
    ),
    "the equal models are one": ('"equal": (lead, 2)', '"equal": (lead, 1)'),
    "the equal models are not": ('"equal": (lead, 2)', '"equal": (lead, 0)'),
    "the better model meets other questions": (
        "[t.to(device) for t in rights]",
        "[t.roll(k, 0).to(device) for k, t in enumerate(rights)]",
    ),
    "both like the same passages": ("chance(skill)[liked, text, question]", "chance(skill)[likes[0], text, question]"),
    "neither likes passages of its own": ("LIKES * side[:, None, None]", "LIKES * side.square()[:, None, None]"),
    "gaps have no sign": ("gap = a - b  # question by question", "gap = (a - b).abs()"),
    "each passage counts the same": (
        "keepdim=True)) @ member",
        "keepdim=True)) @ (member / member.sum(0) * n / groups)",
    ),
    "the control forgets the number of questions": ("score.var(-1) / score.shape[-1]", "score.var(-1)"),
    "the gaps, each alone, are not paired": (
        "return (a - b).mean(-1), alone(a - b)",
        "return (a - b).mean(-1), alone(a) + alone(b)",
    ),
    "the truth is another model's": (
        "truth, share = chance(SKILL).mean()",
        "truth, share = chance(SKILL + 0.1).mean()",
    ),
}
FULL = {
    "both like the same passages",
    "each question has its own passage's luck",
    "gaps have no sign",
    "neither likes passages of its own",
    "passages differ less",
    "the better model meets other questions",
    "the control forgets the number of questions",
    "the control knows of passages",
    "the correlation is a covariance",
    "the design effect counts one question more",
    "the equal models are not",
    "the equal models are one",
    "the gaps, each alone, are not paired",
    "the interval is half as wide",
    "the interval is wider",
    "the interval reaches the squared error",
    "the lead adds the two up",
    "the truth is another model's",
    "the unpaired control has far too long a bar",
}
