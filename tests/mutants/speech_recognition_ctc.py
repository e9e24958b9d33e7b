"""What the claims on CTC must not forgive."""

MUTANTS = {
    "equal neighbours need no blank between": ("(skip_equal | (path[:, 2:] != path[:, :-2]))", "True"),
    "no blank may be skipped": ("torch.stack([alpha, step, skip])", "torch.stack([alpha, step])"),
    "only the best path counts": (
        "torch.stack([alpha, step, skip]).logsumexp(0)",
        "torch.stack([alpha, step, skip]).amax(0)",
    ),
    "it must start with a blank": (
        "F.pad(emit[:, 0, :2], (0, path.shape[1] - 2)",
        "F.pad(emit[:, 0, :1], (0, path.shape[1] - 1)",
    ),
    "it must end with a blank": (
        "torch.stack([2 * sizes, 2 * sizes - 1], 1)",
        "torch.stack([2 * sizes, 2 * sizes], 1)",
    ),
    "the silence that pads is read": ("[rows, frames - 1]", "[rows, -1]"),
    "the past gets no gradient": ("alphas.append(alpha)", "alphas.append(alpha); alpha = alpha.detach()"),
    "blanks get no gradient": (
        "emit = log_p @ chosen.mT",
        "emit = torch.cat([log_p[..., :1].detach(), log_p[..., 1:]], -1) @ chosen.mT",
    ),
    "blanks do not part equal neighbours": (
        "itertools.groupby(path) if label]",
        "itertools.groupby(x for x in path if x)]",
    ),
    "the test holds training utterances": ("(3 * seed + k) for k in (1, 2)", "(3 * seed + k) for k in (1, 1)"),
    "the transcripts are read": ("read[name] = [collapse(path[:t]) for path, t in best]", "read[name] = transcripts"),
    "the test is scaled by its own bands": ("scaled(x, frames, (sounds, truth[1]))", "scaled(x, frames, (x, frames))"),
}
FULL = {"the transcripts are read"}
