"""What the claims of TransE must not forgive."""

MUTANTS = {
    "the step to the head is not taken back": ("tail - relation], 1)", "tail + relation], 1)"),
    "there are no relations": ("goal = torch.stack([head + relation", "goal = torch.stack([head + 0 * relation"),
    "relations get no gradient": (
        "head + relation, tail - relation",
        "head + relation.detach(), tail - relation.detach()",
    ),
    "entities get no gradient as answers": ("- self.entity).norm", "- self.entity.detach()).norm"),
    "distances are squared": (".norm(dim=-1)  # -k", ".square().sum(-1)  # -k"),
    "the far is near": ("return -SHARP *", "return SHARP *"),
    "tail and head are mixed up": (
        "F.cross_entropy(scores.flatten(0, 1), facts[:, ::2].flip(1)",
        "F.cross_entropy(scores.flatten(0, 1), facts[:, ::2]",
    ),
    "the missing facts are trained on": (
        "known, missing = facts.split(",
        "known, missing = facts, facts; facts.split(",
    ),
    "the rules are of one step": ("for paths in [steps, two, *((step", "for paths in [steps, *((0 * step"),
    "the rules are of two steps": ("two, *((step @ two)", "two, *((0 * step @ two)"),
    "TransE is trained on the missing facts": ("known.to(device)", "facts.to(device)"),
    "rules are trusted where they are wrong": ("torch.log1p(-trust) @", "torch.log1p(trust) @"),
    "heads are not asked": ("facts[:, ::2].flip(1).flatten())  #", "facts[:, 2:].repeat(1, 2).flatten())  #"),
    "twins are told both ways": ("f[1] == TWIN and (f[2], TWIN, f[0]) in told]", "f[1] != TWIN]"),
    "east is asked for north": ("(1, 0), (0, 1), (1, 1), (2, 0)", "(1, 0), (0, 1), (2, 0), (1, 1)"),
}
FULL = {
    "the rules are of one step",
    "the rules are of two steps",
    "TransE is trained on the missing facts",
    "the missing facts are trained on",
    "rules are trusted where they are wrong",
    "twins are told both ways",
    "east is asked for north",
}
