"""What the claims of RLHF and DPO must not forgive."""

MUTANTS = {
    "the loser is preferred": ("return -F.logsigmoid(won - lost)", "return -F.logsigmoid(lost - won)"),
    "the loser does not count": ("return -F.logsigmoid(won - lost)", "return -F.logsigmoid(won)"),
    "the loser passes no gradient": ("return -F.logsigmoid(won - lost)", "return -F.logsigmoid(won - lost.detach())"),
    "a hinge takes the place of the sigmoid": ("return -F.logsigmoid(won - lost)", "return F.relu(1 - won + lost)"),
    "the start is left out": ("BETA * (won - start_won), BETA * (lost - start_lost)", "BETA * won, BETA * lost"),
    "only the winner is compared with its start": ("BETA * (lost - start_lost))", "BETA * lost)"),
    "beta is left out": ("BETA * (won - start_won), BETA * (lost - start_lost)", "won - start_won, lost - start_lost"),
    "the policy is not normalized": ("self.out(hidden).log_softmax(-1) * tokens", "self.out(hidden) * tokens"),
    "a token sees itself": (".tril(-1)[:, :, None]", ".tril()[:, :, None]"),
    "the reward model learns nothing": ("model(p, w), model(p, v)).mean()", "model(p, w), model(p, v)).mean() * 0"),
    "imitation copies the start": ("return log_start + (2 * beats", "return log_start + 0 * (2 * beats"),
    "the judge tosses a coin": ("(reward[prompt, one] - reward[prompt, two]).sigmoid()", "0.5"),
}
FULL = {"the reward model learns nothing", "imitation copies the start", "the judge tosses a coin"}
