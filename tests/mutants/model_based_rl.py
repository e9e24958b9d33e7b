"""What the claims of model-based reinforcement learning must not forgive."""

MUTANTS = {
    "counts are not made shares": ("n / total.clamp(min=1), stay", "n / total.clamp(min=1).sqrt(), stay"),
    "shares are of where a move began": ("total = n.sum(-1, keepdim=True)", "total = n.sum(0, keepdim=True)"),
    "the future counts in full": ("(goal + DISCOUNT * value * (1 - goal))).view", "(goal + value * (1 - goal))).view"),
    "the walk goes on after the goal": ("DISCOUNT * value * (1 - goal))).view", "DISCOUNT * value)).view"),
    "what follows is averaged over moves": ("value = q.amax(-2)", "value = q.mean(-2)"),
    "what was never done is believed to reach all": (
        "stay = torch.eye(STATES).to(n)[:, None]",
        "stay = torch.ones_like(n[..., :1, :1, :])",
    ),
    "Q-learning sees no goal": ("target = there + DISCOUNT", "target = 0 * there + DISCOUNT"),
    "Q-learning expects of where it was": ("q[n, after].amax(1)", "q[n, s].amax(1)"),
    "the old value is added twice": ("rate[:, None] * (target - q[n, s, a])", "rate[:, None] * target"),
    "the plan is made in the true maze": ("n[w, s, a, after] += 1", "n[w] += moves.float().to(n)"),
    "the control sees a quarter of the moves": ("q = q_learning(q, *(t", "q = q if step % 4 else q_learning(q, *(t"),
    "nothing is replayed": ("q_learning(replayed, *trail[k], middle)", "replayed"),
    "the last move is replayed alone": (
        "torch.randint(step + 1, (REPLAYS,)",
        "torch.randint(step, step + 1, (REPLAYS,)",
    ),
    "the plan is short": (
        "LEARNERS, SWEEPS, RATES, REPLAYS = 0.1, 0.95, 20, 100",
        "LEARNERS, SWEEPS, RATES, REPLAYS = 0.1, 0.95, 20, 5",
    ),
    "nothing slips": ("return (1 - SLIP) * sure + SLIP *", "return sure + 0 * SLIP *"),
    "the judge lets walks go on": ("DISCOUNT * walk * (1 - goal)[:, None]", "DISCOUNT * walk"),
    "one cell alone is set right": ("for cell in SHUT], torch", "for cell in SHUT[:1]], torch"),
    "the old goal is asked at its own": (
        '"other_goals_share": float((old.mean((1, 2, 3)) / best.mean()).max())',
        '"other_goals_share": own',
    ),
    "nobody is told": ("n[..., shut] = 0", "n[..., shut] += 0"),
    "nothing is shut": ("to in CELLS and to not in shut", "to in CELLS and to not in ()"),
    "the control serves all goals": ("q[..., -1:].expand_as(q)", "q"),
}
FULL = {
    "Q-learning expects of where it was",
    "nobody is told",
    "nothing is replayed",
    "nothing is shut",
    "one cell alone is set right",
    "the control sees a quarter of the moves",
    "the control serves all goals",
    "the last move is replayed alone",
    "the old goal is asked at its own",
    "the plan is short",
    "what was never done is believed to reach all",
}
