"""What the claims of DQN must not forgive."""

MUTANTS = {
    "gradients flow into the targets": ("with torch.no_grad():  # targets", "with torch.enable_grad():  # targets"),
    "later rewards are not discounted": ("return reward + DISCOUNT * frozen", "return reward + frozen"),
    "one network chooses and judges": ("(frozen if online is None else online).argmax", "frozen.argmax"),
    "the best move learns, not the one made": (".gather(-1, a[..., None])[..., 0]  # of", ".amax(-1)  # of"),
    "the hidden layer passes no gradient": ("net[0]).relu(), net[2])", "net[0]).detach().relu(), net[2])"),
    "the hidden layer is linear": ("net[0]).relu(), net[2])", "net[0]), net[2])"),
    "targets come from the network that learns": (
        "y = target(reward, q_values(frozen, after)",
        "y = target(reward, q_values(net, after)",
    ),
    "the error is not squared": ("(said - y).square().mean(1)", "(said - y).abs().mean(1)"),
    "only the latest moves are replayed": (
        "return (chance * moves).long()",
        "return moves - 1 - (chance * BATCH).long()",
    ),
    "the target network is never renewed": ("(step + 1) % SYNC == 0", "step < 0"),
    "the control without a target network is weakened": ('"no target network": 2e-3', '"no target network": 2e-5'),
    "the next ball stands in the pixels, not this one": ("batch = pixels[s], a,", "batch = pixels[after], a,"),
}
FULL = {
    "only the latest moves are replayed",
    "the target network is never renewed",
    "the control without a target network is weakened",
    "the next ball stands in the pixels, not this one",
}
