"""What the claims on DETR's set loss must not forgive."""

MUTANTS = {
    "the dearest pairing is taken": ("return ways[paid.argmin(1)]", "return ways[paid.argmax(1)]"),
    "each object takes its nearest answer": (
        "        return match(costs(",
        "        return (lambda c: c.argmin(1))(costs(",
    ),
    "the cost forgets whether there is something": ("(2 * apart - there.sigmoid()[:, :, None])", "(2 * apart)"),
    "the cost forgets the place": (
        "(2 * apart - there.sigmoid()[:, :, None])",
        "(0 * apart - there.sigmoid()[:, :, None])",
    ),
    "absent objects cost too": ("* real[:, None]).detach()", ").detach()"),
    "absent objects are paired": (
        "F.one_hot(answer, ANSWERS).to(place) * real[..., None]",
        "F.one_hot(answer, ANSWERS).to(place)",
    ),
    "the place learns nothing": (
        "(paired @ place - truth * real[..., None])",
        "(paired @ place.detach() - truth * real[..., None])",
    ),
    "the presence learns nothing": (
        "F.binary_cross_entropy_with_logits(there, paired.amax(1)",
        "F.binary_cross_entropy_with_logits(there.detach(), paired.amax(1)",
    ),
    "answers left over learn nothing": (
        ', reduction="none").sum(1) + 2',
        ', weight=paired.amax(1), reduction="none").sum(1) + 2',
    ),
    "nothing is learned": ("1e-2, 1000, 0.04", "0.0, 1000, 0.04"),
    "each answer is reported": ("& (there > 0)[..., None] &", "& (there > -9)[..., None] &"),
    "the order stands in the list": (
        "    gap = torch.arange(CELLS)",
        "    turn = turn.sort(1).values\n    gap = torch.arange(CELLS)",
    ),
}
FULL = {"nothing is learned", "each answer is reported", "the order stands in the list"}
