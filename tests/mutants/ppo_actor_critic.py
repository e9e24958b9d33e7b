"""What the claims of PPO must not forgive."""

MUTANTS = {
    "the advantage runs on past the end": ("advantage[0] * ~cut[t])", "advantage[0])"),
    "the trace is left out": ("DISCOUNT * trace * advantage[0]", "DISCOUNT * advantage[0]"),
    "a fall is worth what the critic says": ("DISCOUNT * after * ~over - value", "DISCOUNT * after - value"),
    "the larger gain counts, not the smaller": ("return torch.minimum(ratio", "return torch.maximum(ratio"),
    "the clip has no lower end": ("ratio.clamp(1 - CLIP, 1 + CLIP)", "ratio.clamp(max=1 + CLIP)"),
    "the ratio carries no gradient": ("[..., 0] - log_old).exp()  #", "[..., 0] - log_old).exp().detach()  #"),
    "the critic's error passes no gradient": ("(value - to_go).square()", "(value.detach() - to_go).square()"),
    "the difference of logarithms is taken for the ratio": ("- log_old).exp()  #", "- log_old + 1)  #"),
    "PPO makes one pass": ('"PPO": (clipped, PASSES, CHUNKS)', '"PPO": (clipped, 1, CHUNKS)'),
    "the control of one pass is weakened": ('"one pass": 3.5e-3', '"one pass": 3.5e-5'),
}
FULL = {"PPO makes one pass", "the control of one pass is weakened"}
