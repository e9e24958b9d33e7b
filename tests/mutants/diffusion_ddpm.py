"""What the DDPM's claims must not forgive."""

MUTANTS = {
    "the noise is too weak": ("left.sqrt() * x + (1 - left).sqrt() * noise", "left.sqrt() * x + (1 - left) * noise"),
    "the data do not fade": ("left.sqrt() * x + (1 - left)", "x + (1 - left)"),
    "steps are summed up": ("(1 - beta).cumprod(0).to(like)", "(1 - beta.cumsum(0)).clamp(min=1e-3).to(like)"),
    "a step takes back too much": ("beta[t] / (1 - left[t]).sqrt() * eps", "beta[t].sqrt() * eps"),
    "points are not stretched back": ("* eps) / (1 - beta[t]).sqrt()", "* eps)"),
    "no noise on the way back": ("x = x + beta[t].sqrt() * noises[LEVELS - t]", "x = x + 0 * noises[LEVELS - t]"),
    "the network gets no gradient": (
        "((denoiser(noised(x, t, noise), t) - noise)",
        "((denoiser(noised(x, t, noise), t).detach() - noise + 0 * sum(p.sum() for p in denoiser.parameters()))",
    ),
    "the answer is the input": ("denoiser(noised(x, t, noise), t)", "denoiser(noise, t)"),
    "the samples start from data": (
        "    x = noises[0]\n",
        "    x = moons(len(noises[0]), torch.Generator()).to(noises)\n",
    ),
    "the network is not told the level": ("angle = t[:, None] / LEVELS", "angle = 0 * t[:, None] / LEVELS"),
    "the schedule's cosine is not squared": ("left = angle.cos() ** 2", "left = angle.cos()"),
    "the schedule begins at no noise": ("dtype=torch.float64) + 0.008) / 1.008", "dtype=torch.float64) + 0) / 1"),
    "the control is fitted to 30 points": (
        ".fit(known.cpu().double().numpy())",
        ".fit(known[:30].cpu().double().numpy())",
    ),
}
FULL = {"the control is fitted to 30 points", "the network is not told the level"}
