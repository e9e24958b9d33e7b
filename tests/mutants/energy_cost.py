"""What the claims on the cost of energy must not forgive."""

MUTANTS = {
    "sums are not counted": ("sum(2 * examples * m * n for", "sum(examples * m * n for"),
    "the first layer's inputs ask for a gradient": (
        "inputs = forward_flops(sizes[1:], examples)",
        "inputs = forward_flops(sizes, examples)",
    ),
    "gradients of the weights are free": ("weights = forward_flops(sizes, examples)", "weights = 0"),
    "one trial is counted": ("* passes * trials", "* passes"),
    "kilowatts are watts": ("gpu_hours * WATTS / 1000 *", "gpu_hours * WATTS *"),
    "the building takes nothing": ("WATTS / 1000 * BUILDING", "WATTS / 1000"),
    "seconds are minutes": ("(PEAK * USED) / 3600", "(PEAK * USED) / 60"),
    "the rule leaves out the inputs' gradient": ("return 6 * weights * tokens", "return 4 * weights * tokens"),
    "the test holds what was learned": ("test = slice(TRAIN, None)", "test = slice(0, 797)"),
    "the test is learned": ("torch.randint(TRAIN, (BATCH,)", "torch.randint(len(x), (BATCH,)"),
    "only the large networks learn": (
        "torch.stack(list(losses.values())).sum()",
        "torch.stack(list(losses.values())[4:]).sum()",
    ),
}
FULL = {"only the large networks learn", "the test holds what was learned", "the test is learned"}
