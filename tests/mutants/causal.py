"""What the claims of causal inference must not forgive."""

MUTANTS = {
    "what is set adds to its causes": ("value = torch.full_like(value, t)", "value = value + t"),
    "another variable is set": ("if i == T and t is not None", "if i == W and t is not None"),
    "nothing is set": ("if i == T and t is not None", "if i == T and t is None and len(x) == 0"),
    "noise has width one": ("world.width[i] * noise[:, i]", "noise[:, i]"),
    "arrows are turned round": ("x @ world.arrow[i] +", "x @ world.arrow[:, i] +"),
    "causes pass no gradient": ("x @ world.arrow[i] +", "x.detach() @ world.arrow[i] +"),
    "the arrows pass no gradient": ("x @ world.arrow[i] +", "x @ world.arrow[i].detach() +"),
    "w follows t": ("torch.stack([w, torch.full_like", "torch.stack([w + WT * t, torch.full_like"),
    "w and t change places": (
        "torch.stack([w, torch.full_like(w, t)], 1)",
        "torch.stack([torch.full_like(w, t), w], 1)",
    ),
    "the answer at the mean of w": (
        "torch.stack([w, torch.full_like",
        "torch.stack([0 * w + w.mean(), torch.full_like",
    ),
    "the middle and not the mean": ("torch.full_like(w, t)], 1)).mean()", "torch.full_like(w, t)], 1)).median()"),
    "some w are left out": ("torch.full_like(w, t)], 1)).mean()", "torch.full_like(w, t)], 1))[1:].mean()"),
    "the net is asked at half of t": ('plain(nets["t"], t, w)', 'plain(nets["t"], t / 2, w)'),
    "inputs are halved in training": (
        "F.mse_loss(net(x[:, inputs[name]]), x[:, Y]) for name, net in nets.items()}\n        optimizer",
        "F.mse_loss(net(x[:, inputs[name]] * 0.5), x[:, Y]) for name, net in nets.items()}\n        optimizer",
    ),
    "both worlds are one": ("world_of((T, Y, W), seen())", "world_of((W, T, Y), seen())"),
    "the width is a variance": ("(cov[i, i] - share @ cov[before, i]).sqrt()", "cov[i, i] - share @ cov[before, i]"),
    "the answer is an input": ('"t and w": slice(W, T + 1)}', '"t and w": slice(T, Y + 1)}'),
    "the net of t sees w": ('{"t": slice(T, T + 1)', '{"t": slice(W, W + 1)'),
    "the nets learn from trials": (
        "torch.randn(BATCH, 3, generator=data))",
        "torch.randn(BATCH, 3, generator=data), step % 5 - 2.0)",
    ),
    "the nets do not learn": ("        optimizer.step()\n", "        optimizer.zero_grad()\n"),
}
FULL = {
    "inputs are halved in training",
    "the net of t sees w",
    "the nets do not learn",
    "w and t change places",
    "the answer is an input",
    "the nets learn from trials",
    "the net is asked at half of t",
}
