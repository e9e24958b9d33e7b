"""What the claims on reward shaping must not forgive."""

MUTANTS = {
    "the goal has a potential": ("phi[GOAL] = 0  #", "phi[GOAL] = 1  #"),
    "the potential after is not discounted": ("DISCOUNT * phi[after] - phi[:, None]", "phi[after] - phi[:, None]"),
    "the potential before costs nothing": ("DISCOUNT * phi[after] - phi[:, None]", "DISCOUNT * phi[after]"),
    "shaping points back": ("+ DISCOUNT * phi[after] - phi[:, None]", "- DISCOUNT * phi[after] + phi[:, None]"),
    "shaping replaces the reward": ("return sparse(after) + DISCOUNT", "return DISCOUNT"),
    "the next state is worth nothing": (
        "target = reward + DISCOUNT * q[n, after].amax(-1)",
        "target = reward + 0 * q[n, after].amax(-1)",
    ),
    "the next state is not discounted": (
        "target = reward + DISCOUNT * q[n, after].amax(-1)",
        "target = reward + q[n, after].amax(-1)",
    ),
    "the worst move comes next": ("DISCOUNT * q[n, after].amax(-1)", "DISCOUNT * q[n, after].amin(-1)"),
    "the potential falls towards the goal": ("phi = 1 - distance() / 20", "phi = 1 + distance() / 20"),
    "going away costs as much": (
        "BONUS * (far[after] < far[:, None])",
        "BONUS * (DISCOUNT * -far[after] + far[:, None])",
    ),
    "the bonus is too small to go round for": ("50, 0.2\n", "50, 0.05\n"),
    "tables of the control start at the potential": (
        "(sparse(after), share, 0.0)",
        "(sparse(after), share, potential()[:, None])",
    ),
    "the way goes on from the goal": ("torch.where(to == GOAL, START, to)", "to"),
    "no move is taken to the right": ("[(-1, 0), (0, 1), (1, 0), (0, -1)]", "[(-1, 0), (0, -1), (1, 0), (0, -1)]"),
    "the update forgets what was known": ("RATE * (target - q[n, s, a])", "RATE * target"),
    "the sparse learners are shaped": (
        'optimistic, {first}": (sparse(after), 0.1',
        'optimistic, {first}": (shaped(after), 0.1',
    ),
    "one learner's luck is another's": ("torch.tensor(0.1), chance)", "torch.tensor(0.1 + i), chance)"),
}
FULL = {
    "tables of the control start at the potential",
    "the potential falls towards the goal",
    "the sparse learners are shaped",
    "the way goes on from the goal",
    "the worst move comes next",
}
