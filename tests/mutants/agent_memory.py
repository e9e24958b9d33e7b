"""What the claims about an agent's memory must not forgive."""

MUTANTS = {
    "the oldest of those alike": (
        "torch.arange(len(notes), device=notes.device), -1).amax(1)",
        "-torch.arange(len(notes), device=notes.device), -999).amax(1).neg()",
    ),
    "all notes are alike": ("F.normalize(notes, dim=1).T >= LIKE", "F.normalize(notes, dim=1).T >= -LIKE"),
    "a note gives way to older ones": (".triu(1).any(1)).nonzero()", ".tril(-1).any(1)).nonzero()"),
    "a note gives way to itself": (".triu(1).any(1)).nonzero()", ".triu(0).sum(1).gt(2)).nonzero()"),
    "no note gives way": ("(~(unit @ unit.T >= LIKE)", "(~(unit @ unit.T >= 9 * LIKE)"),
    "the control finds the newest": (
        "return (F.normalize(questions, dim=1) @ F.normalize(notes, dim=1).T + bonus * newness).argmax(1)",
        "return newest_alike(questions, notes)",
    ),
    "the window holds all": ("last >= MESSAGES - ROOM, last", "last >= 0, last"),
    "the window is one message short": ("last >= MESSAGES - ROOM, last", "last > MESSAGES - ROOM + 4, last"),
    "the digest is the window": ("last.sort().values[-ROOM:][0]", "MESSAGES - ROOM"),
    "messages say nothing": ("vectors[things] + NOISE * noise)", "noise)"),
    "no chatter": (
        "things[torch.rand(MESSAGES, generator=g) < CHATTER] = -1",
        "things[torch.rand(MESSAGES, generator=g) < 0] = -1",
    ),
    "questions about the first message": (
        "torch.arange(MESSAGES), -1).amax(1)",
        "-torch.arange(MESSAGES), -999).amax(1).neg()",
    ),
    "lengths count as likeness": (
        "alike = F.normalize(questions, dim=1) @ F.normalize(notes, dim=1).T",
        "alike = questions @ notes.T",
    ),
    "lengths of notes count in the likest": (
        "F.normalize(notes, dim=1).T + bonus",
        "notes.T + bonus",
    ),
    "every thing comes up as often": (".double() ** -0.7", ".double() ** -0.0"),
    "the bonus is for old notes": ("torch.linspace(0, 1, len(notes))", "torch.linspace(1, 0, len(notes))"),
    "the digest holds all": ("last.sort().values[-ROOM:][0]", "last.sort().values[0]"),
    "questions are the messages": (
        "return said, last[spoken], (vectors + NOISE * doubt)[spoken]",
        "return said, last[spoken], said[last[spoken]]",
    ),
    "notes say the same words": ("vectors[things] + NOISE * noise)", "vectors[things])"),
    "replaced notes are asked, not kept": ("said[kept])]", "said[: len(kept)])]"),
    "the kept notes are numbered anew": ("kept[likest(questions, said[kept])]", "likest(questions, said[kept])"),
}
FULL = {
    "every thing comes up as often",
    "no chatter",
    "questions about the first message",
    "questions are the messages",
    "replaced notes are asked, not kept",
    "the bonus is for old notes",
    "the digest holds all",
    "the digest is the window",
    "the kept notes are numbered anew",
    "the window holds all",
    "the window is one message short",
}
