"""What the claims of photometric stereo must not forgive."""

MUTANTS = {
    "nothing faces away": ("(lamps @ g.mT).clamp(min=0)", "(lamps @ g.mT)"),
    "what faces away is lit": ("(lamps @ g.mT).clamp(min=0)", "(lamps @ g.mT).abs()"),
    "light passes no gradient": ("(lamps @ g.mT).clamp(min=0)", "(lamps @ g.detach().mT).clamp(min=0) + 0 * g.sum()"),
    "half the light": ("(lamps @ g.mT).clamp(min=0)", "(lamps @ g.mT / 2).clamp(min=0)"),
    "the misfit is not squared": ("- pictures).square().sum()", "- pictures).abs().sum()"),
    "the square falls off": ("- pictures).square().sum()", "- pictures).square().mean()"),
    "dark readings only": ("(pictures > least)", "(pictures <= least)"),
    "lamps from above": ("math.sin(slant) * turn.cos()", "0 * turn.cos()"),
    "no noise in the control's pictures": (
        '"least squares": solved(lamps, noisy),',
        '"least squares": solved(around(8, 0.3), render(paint * normal, around(8, 0.3))),',
    ),
    "the descent does not move": ("        optimizer.step()\n", ""),
    "the control drops the dark": (
        '"least squares": solved(lamps, noisy),',
        '"least squares": solved(lamps, noisy, DARK),',
    ),
    "bumps stay bumps": ("manual_seed(2 * seed), up=-1)", "manual_seed(2 * seed))"),
    "the lamp moves up": ("tensor([-1.0, -1.0, 1.0])", "tensor([-1.0, -1.0, 2.0])"),
    "readings are not matched to lamps": ("used[..., None] * lamps", "used[..., None] * lamps.flip(0)"),
    "the control has three lamps": ("for n in (2, 3)}", "for n in (2, 3)} | {2: around(3, 0.3)}"),
}
FULL = {"no noise in the control's pictures", "the control drops the dark", "the descent does not move"}
