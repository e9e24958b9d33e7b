"""What the claims of prototypical networks must not forgive."""

MUTANTS = {
    "the sum stands for the mean": ("return examples.mean(-2)", "return examples.sum(-2)"),
    "the first example stands for the mean": ("return examples.mean(-2)", "return examples[..., 0, :]"),
    "the prototypes get no gradient": (
        "prototypes(embed(examples)))  # (K, Q, K)",
        "prototypes(embed(examples)).detach())",
    ),
    "the distance is not squared": (".square().sum(-1)  # -|f(x) - c_k|^2", ".norm(dim=-1)"),
    "the distance is by coordinates": (".square().sum(-1)  # -|f(x) - c_k|^2", ".abs().sum(-1)"),
    "questions take part in the loss of their class alone": (
        "return (logits.logsumexp(-1) - own).mean()",
        "return -own.mean()",
    ),
    "the other classes get no gradient": ("(logits.logsumexp(-1) - own)", "(logits.logsumexp(-1).detach() - own)"),
    "the answers are shifted by a class": ("own = logits.diagonal(", "own = logits.roll(1, 0).diagonal("),
    "the test's classes are trained on": (
        "known, new = torch.rand(CLASSES, TONES, generator=data),",
        "twin = torch.Generator().manual_seed(3 * seed + 2)\n    "
        "known, new = torch.rand(TESTS, 5, TONES, generator=twin).flatten(0, 1)[:CLASSES],",
    ),
    "nothing is learned": ("RATE = 10, 5, 5, 128, 32, 3e-3", "RATE = 10, 5, 5, 128, 32, 0.0"),
    "the phases are all the same": ("phase = torch.rand(", "phase = 0 * torch.rand("),
    "the rival is a line": ("fitted = [SVC(C=10, gamma=0.1).fit(", 'fitted = [SVC(C=10, kernel="linear").fit('),
}
FULL = {"nothing is learned", "the phases are all the same", "the rival is a line"}
