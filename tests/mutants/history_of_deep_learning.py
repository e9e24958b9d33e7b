"""What the claims about the history of deep learning must not forgive."""

MUTANTS = {
    "what is found is averaged": ("self.out(h.amax((2, 3)))", "self.out(h.mean((2, 3)))"),
    "the first layer squares": ("self.layers[0](x[:, None]).relu()", "self.layers[0](x[:, None]).square()"),
    "the network is pooled": ("def __init__(self, pool: int = 1)", "def __init__(self, pool: int = 2)"),
    "nothing bends": ("h = layer(h).relu()", "h = layer(h)"),
    "the layers below learn nothing": ("h = layer(h).relu()", "h = layer(h.detach()).relu()"),
    "the edge is mirrored": ("nn.Conv2d(a, b, 3, padding=1)", 'nn.Conv2d(a, b, 3, padding=1, padding_mode="reflect")'),
    "the machine is a line": ("SVC(C=COST, gamma=GAMMA)", 'SVC(C=COST, kernel="linear")'),
    "the machine is too narrow": ("SVC(C=COST, gamma=GAMMA)", "SVC(C=COST, gamma=5 * GAMMA)"),
    "the machine learns the test": ("machine(torch.cat(copies), known.repeat(COPIES))", "machine(moved, truth)"),
    "the machine knows no moved copy": ("machine(torch.cat(copies), known.repeat(COPIES))", "machine(still, known)"),
    "the pooled network is hardly taught": ("(lambda: Convolutional(2), 2e-2)", "(lambda: Convolutional(2), 2e-5)"),
    "the pooled network is not pooled": ("lambda: Convolutional(2)", "lambda: Convolutional(1)"),
    "the test stays in the middle": (
        "torch.randint(room, (len(test), 2), generator=fresh)",
        "middle.expand(len(test), 2)",
    ),
    "nothing is pushed": ("(first[:, None] + torch.arange(SIDE))", "(0 * first[:, None] + torch.arange(SIDE))"),
    "rows are taken for columns": ("x.amax(3 - axis)", "x.amax(axis)"),
    "the digits are not scaled": ("torch.tensor(raw / 16)", "torch.tensor(raw / 1600)"),
    "labels are shuffled": ("torch.tensor(labels)[order]", "torch.tensor(labels)[order.flip(0)]"),
}
FULL = {
    "the machine is a line",
    "the machine is too narrow",
    "the machine learns the test",
    "the machine knows no moved copy",
    "the pooled network is hardly taught",
    "the pooled network is not pooled",
    "the test stays in the middle",
    "nothing is pushed",
    "rows are taken for columns",
    "the digits are not scaled",
    "labels are shuffled",
}
