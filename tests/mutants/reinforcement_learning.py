"""What Q-learning's claims must not forgive."""

MUTANTS = {
    "the future counts in full": ("target = reward + DISCOUNT * best", "target = reward + best"),
    "the future does not count": ("target = reward + DISCOUNT * best", "target = reward + 0 * best"),
    "it expects of where it was": ("best(q[n, after], -1)", "best(q[n, s], -1)"),
    "it expects what its move expects": ("best(q[n, after], -1)", "q[n, after, a]"),
    "the old value is added twice": ("rate * (target - q[n, s, a])", "rate * target"),
    "another action learns": ("q.index_put((n, s, a),", "q.index_put((n, s, 0 * a),"),
    "Bellman forgets the discount": ("(reward + DISCOUNT * value * ~over)", "(reward + value * ~over)"),
    "what follows an end counts": ("DISCOUNT * value * ~over)) * ~over[:, None]", "DISCOUNT * value))"),
    "the explorer is never curious": ("torch.where(chance[0] < epsilon,", "torch.where(chance[0] < epsilon - 1,"),
    "curiosity grows": ("2.5 - 3.5 * done", "3.5 * done - 1"),
    "it starts from the answer": (
        "q = torch.zeros(len(SETTINGS) * LEARNERS, STATES, 4, device=device)",
        "q = action_values(optimum).float().to(device).repeat(len(SETTINGS) * LEARNERS, 1, 1)",
    ),
    "they start anywhere, ends too": ("s = torch.where(over[after], START, after)", "s = n % STATES"),
    "the greedy control does not break ties": (
        "looks = q[n, s] + 1e-6 * whim[2:].T",
        "looks = q[n, s]",
    ),
}
FULL = {
    "curiosity grows",
    "it starts from the answer",
    "the explorer is never curious",
    "the greedy control does not break ties",
    "they start anywhere, ends too",
}
