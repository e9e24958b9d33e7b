"""What the claims of self-distillation must not forgive."""

MUTANTS = {
    "the centre is added": ("self.teacher(views) - (self", "self.teacher(views) + (self"),
    "nothing is sharpened": ("return (centred / self.temperature)", "return (centred / WARM)"),
    "the student is as sharp as the teacher": ("(self.student(views) / WARM)", "(self.student(views) / SHARP)"),
    "a view teaches itself": (".roll(len(views) // 2, 0)  # of", ".roll(0, 0)  # of"),
    "the teacher passes gradients": (
        "with torch.no_grad():\n            told = self.target",
        "with torch.enable_grad():\n            told = self.target",
    ),
    "the student passes none": (
        "(self.student(views) / WARM)",
        "(self.student(views).detach() / WARM + 0 * self.student(views))",
    ),
    "the student is the target": ("centred = self.teacher(views) -", "centred = self.student(views) -"),
    "the teacher is copied": ("old.copy_(KEEP * old + (1 - KEEP) * new)", "old.copy_(new)"),
    "the teacher stays": ("old.copy_(KEEP * old + (1 - KEEP) * new)", "old.copy_(old)"),
    "the centre is of the latest views alone": (
        "CENTRE_KEEP * self.centre + (1 - CENTRE_KEEP) * self.teacher(views).mean(0)",
        "self.teacher(views).mean(0)",
    ),
    "the control is centred": ('"without centring": {"centring": False}', '"without centring": {"centring": True}'),
    "both views are one": (
        "torch.cat([view(images[rows], noise), view(images[rows], noise)])",
        "torch.cat([view(images[rows], noise)] * 2)",
    ),
    "views are not altered": ("return moved + 0.1 *", "return x + 0 * moved + 0.1 *"),
    "ten centres": ("KMeans(OUTPUTS,", "KMeans(10,"),
    "the untrained network is trained": ('"untrained": before}', '"untrained": runs["DINO"]}'),
    "the information is the entropy": ("known[name].append(mean - own)", "known[name].append(mean)"),
    "the outputs' names are shuffled": ("votes.argmax(1)[test_wins]", "votes.argmax(1).flip(0)[test_wins]"),
    "labels of other images": ("labels[rows], won[1], labels[test])", "labels[rows.flip(0)], won[1], labels[test])"),
    "the control is sharpened": ('{"sharpening": False}}', '{"sharpening": True}}'),
    "it trains on test images": (
        "train, test = order[:TRAIN], order[TRAIN:]",
        "train, test = order[:TRAIN], order[:500]",
    ),
}
FULL = {
    "both views are one",
    "labels of other images",
    "ten centres",
    "the control is centred",
    "the control is sharpened",
    "the information is the entropy",
    "the outputs' names are shuffled",
    "the teacher is copied",
    "the untrained network is trained",
    "views are not altered",
}
