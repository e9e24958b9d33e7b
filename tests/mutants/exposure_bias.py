"""What the claims on exposure bias must not forgive."""

MUTANTS = {
    "the teacher cuts the curve": (
        "return (curve - 1.5 * offset - 2 * heading)",
        "return (-1.5 * offset - 2 * heading)",
    ),
    "the teacher steers the wrong way": ("(curve - 1.5 * offset -", "(curve + 1.5 * offset -"),
    "the readings are exact": ("[offset + NOISE * noise[:, 0],", "[offset + 0 * noise[:, 0],"),
    "one noise for both": ("heading + NOISE * noise[:, 1], curve]", "heading + NOISE * noise[:, 0], curve]"),
    "no wind": ("(steer - curve) + WIND * wind)", "(steer - curve) + 0 * wind)"),
    "the net learns nothing": (
        "F.mse_loss(of(x[rows])[:, 0], y[rows])",
        "F.mse_loss(of(x[rows]).detach()[:, 0] + 0 * of(x[rows])[:, 0], y[rows])",
    ),
    "the policy's answer is noted": (
        "(read, answers, offsets), (x, answer, offset)",
        "(read, answers, offsets), (x, steer, offset)",
    ),
    "the car ignores the road": ("heading + DT * (steer - curve) + WIND * wind", "heading + DT * steer + WIND * wind"),
    "no car turns": ("offset + DT * heading.sin()", "offset + DT * heading"),
    "the teacher drives in every round": ("drive(world, policy if round_ else None)", "drive(world, None)"),
    "the clone is shown what DAgger is": (
        "return drive(world, None)\n\n\n# %% the experiment",
        "return drive(world, policy if round_ else None)\n\n\n# %% the experiment",
    ),
    "the teacher drives the test": ("return (drive(test, policy)[2]", "return (drive(test, None)[2]"),
    "the road is as wide as the world": (".abs() > EDGE)", ".abs() > 3 * EDGE)"),
    "its own states are the teacher's": ("both = [taught, drive(test, policy)]", "both = [taught, taught]"),
}
FULL = {
    "its own states are the teacher's",
    "the clone is shown what DAgger is",
    "the net learns nothing",
    "the road is as wide as the world",
    "the teacher drives in every round",
    "the teacher drives the test",
}
