"""What the claims on transfer learning must not forgive."""

MUTANTS = {
    "the body is not carried over": (
        "nn.Sequential(copy.deepcopy(pretrained), nn.Linear",
        "nn.Sequential(body(), nn.Linear",
    ),
    "the features are not frozen": (
        "train(net[1].parameters(), net[1], net[0](x).detach(), y, HEAD",
        "train(net.parameters(), net, x, y, HEAD",
    ),
    "fine-tuning leaves the body alone": (
        "train(net.parameters(), net, x, y, TUNING",
        "train(net[1].parameters(), net, x, y, TUNING",
    ),
    "the features pass no gradient to the body": (
        "train(net.parameters(), net, x, y, TUNING",
        "train(net.parameters(), lambda x: net[1](net[0](x).detach()), x, y, TUNING",
    ),
    "the head is never trained": ("    for _ in range(steps):", "    for _ in range(0):"),
    "fine-tuning at a large rate": (
        "HEAD_RATE, TUNING_RATE, SCRATCH_RATE = 2e-3, 1e-2, 1e-4",
        "HEAD_RATE, TUNING_RATE, SCRATCH_RATE = 2e-3, 1e-2, 1e-1",
    ),
    "pre-trained on labels that mean nothing": ("y_source[some].to(device)", "y_source[some.flip(0)].to(device)"),
    "the source moves nothing": (
        "pretrained = nn.Sequential(body(), nn.Linear(WIDTH, 10))",
        "pretrained = nn.Sequential(body().requires_grad_(False), nn.Linear(WIDTH, 10))",
    ),
    "the source holds the new digits": ("source, target = digits[names < 6]", "source, target = digits[:1083]"),
    "the test holds the examples": ("rest = order[~torch.isin(order, few)]", "rest = order"),
    "the control takes the farthest example": (
        "torch.cdist(asked, x).argmin(1)",
        "torch.cdist(asked, x).argmax(1)",
    ),
}
FULL = {
    "fine-tuning at a large rate",
    "pre-trained on labels that mean nothing",
    "the control takes the farthest example",
}
