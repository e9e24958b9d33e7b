"""What CLIP's claims must not forgive."""

MUTANTS = {
    "vectors keep their lengths": ("return x / x.norm(dim=1, keepdim=True)", "return x"),
    "the length passes no gradient": ("x.norm(dim=1, keepdim=True)", "x.norm(dim=1, keepdim=True).detach()"),
    "captions pass no gradient": ("image @ text.T", "image @ text.detach().T"),
    "the temperature is not learned": ("self.log_scale.exp() *", "self.log_scale.exp().detach() *"),
    "only images choose": ("(similarity.logsumexp(0) - pairs)", "(similarity.logsumexp(1) - pairs)"),
    "both ways are summed": (" - pairs)).mean() / 2", " - pairs)).mean()"),
    "it reads one word": ("self.words(caption).sum(1)", "self.words(caption)[:, 0]"),
    "unseen pairs are trained on": (
        "caption = seen[torch.randperm",
        "caption = torch.cat([unseen, seen])[torch.randperm",
    ),
    "the words stand in the image": (
        "ground).clamp(0, 1)",
        "ground).clamp(0, 1) + F.pad(as_words(caption)[:, None, None], (0, 2, 0, 15))",
    ),
    "the control reads words": ("as_symbols(c).to(device)", "c.to(device)"),
    "all captions are those of unseen pairs": ("among(unseen), among(every)", "among(unseen), among(unseen)"),
    "the control is fitted to 20 pictures": (
        "FITTED, PENALTY = 5000, 1",
        "FITTED, PENALTY = 20, 1",
    ),
}
FULL = {
    "all captions are those of unseen pairs",
    "the control is fitted to 20 pictures",
    "the control reads words",
    "the words stand in the image",
}
