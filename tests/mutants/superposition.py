"""What the claims of superposition must not forgive."""

MUTANTS = {
    "the ReLU is missing": ("b[..., None, :]).relu()", "b[..., None, :])"),
    "the decoder gets no gradient": ("(h @ w.mT + b", "(h @ w.detach().mT + b"),
    "the encoder gets no gradient": ("h = x @ w  #", "h = x @ w.detach()  #"),
    "there is no bias": ("(h @ w.mT + b[..., None, :])", "(h @ w.mT + 0 * b[..., None, :])"),
    "the features get past the two numbers": ("h = x @ w  #", "return x + 0 * b[..., None, :]; h = x @ w  #"),
    "all features are worth the same": ("(WORTH.to(x) * (answer", "(WORTH.to(x).pow(0) * (answer"),
    "the error is absolute": ("(answer(x, w, b) - x).square()", "(answer(x, w, b) - x).abs()"),
    "PCA keeps one component": ("spread[..., :-NUMBERS]", "spread[..., : 1 - NUMBERS]"),
    "PCA is not centred": ("scaled = scaled - scaled.mean(-2, keepdim=True)", "scaled = scaled - 0"),
    "PCA forgets what features are worth": ("scaled = WORTH.to(x).sqrt() * x", "scaled = x"),
    "all features are dense": ("x * (chance < torch.tensor", "x * (chance < 1 + torch.tensor"),
    "features come together": ("chance < torch.tensor", "chance[..., :1] < torch.tensor"),
    "the smallest feature is kept": ("x.amax(-1", "x.amin(-1"),
    "the pentagon's biases are positive": ("-bias * torch.ones", "bias * torch.ones"),
    "the pentagon's directions are one": (
        "star = torch.stack([turn.cos(), turn.sin()], 1)",
        "star = torch.ones(FEATURES, 2)",
    ),
    "the bias gets no gradient": ("+ b[..., None, :]).relu()", "+ b.detach()[..., None, :]).relu()"),
    "the worst beginning is kept": ("tried.argmin(1)", "tried.argmax(1)"),
    "test features are dense": (
        "b[best.to(device)], features(TEST, unseen)",
        "b[best.to(device)], torch.rand_like(features(TEST, unseen))",
    ),
    "nothing is learned": ("        optimizer.step()\n", "        optimizer.zero_grad()\n"),
}
FULL = {
    "all features are dense",
    "features come together",
    "nothing is learned",
    "the smallest feature is kept",
    "test features are dense",
    "the pentagon's directions are one",
    "the pentagon's biases are positive",
    "the worst beginning is kept",
}
