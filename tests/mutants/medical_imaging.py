"""What the claims on a diagnostic threshold must not forgive."""

MUTANTS = {
    "the law is one place off": ("comb(place - 1 + j, j) *", "comb(place + j, j) *"),
    "the law forgets the order of the rest": ("* comb(old - place + new - j, new - j) / orders", "/ orders"),
    "the risk counts those found": ("if new - j < WANTED * new - 1e-9)", "if new - j >= WANTED * new - 1e-9)"),
    "the safe place is hardly so": ("if risk(old, new, place) <= 1 - SURE)", "if risk(old, new, place) <= 0.4)"),
    "the false alarms are those of the ill": ("(1 - specificity) * (1 - ill)", "(1 - specificity) * ill"),
    "the false alarms are the healthy spared": ("(1 - specificity) * (1 - ill)", "specificity * (1 - ill)"),
    "the plain threshold is not the plain one": ("WANTED) * old + 1e-9) + 1", "WANTED) * old + 1e-9) + 4"),
    "the threshold is one place too high": ("place - 1 : place]  #", "place : place + 1]  #"),
    "the new stand among the old": ("(scores[..., OLD:] < limit).sum(2)", "(scores[..., 1 : 1 + NEW] < limit).sum(2)"),
    "the threshold is picked on the new": ("limit = scores[..., :OLD]", "limit = scores[..., OLD:]"),
    "those asked about were trained on": (
        "known = torch.cat([group[order[:, KEPT:]]",
        "known = torch.cat([group[order[:, : len(group) - KEPT]]",
    ),
    "the answer stands in the measurements": (
        "data.data).float()",
        "data.data + 999 * (data.target[:, None] == 0)).float()",
    ),
    "the rival is the worst measurement": ("torch.tensor([max(range(", "torch.tensor([min(range("),
    "nothing is learned": ("Adam([weight, bias], 0.01)", "Adam([weight, bias], 1e-9)"),
}
FULL = {"the rival is the worst measurement", "nothing is learned"}
