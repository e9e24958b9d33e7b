"""What the claims of reproducibility must not forgive."""

MUTANTS = {
    "the stream is not the network's own": ("torch.Generator().manual_seed(s) for s", "torch.default_generator for s"),
    "somebody else's draw is ignored": ("torch.rand(extra, generator=g)  #", "torch.rand(extra)  #"),
    "batches come from no seed": ("(BATCH,), generator=g) for g", "(BATCH,)) for g"),
    "the activation is lost": ("(x @ w + b).relu() @ v", "(x @ w + b) @ v"),
    "the hidden layer gets no gradient": (
        "(x @ w + b).relu() @ v",
        "((x @ w + b).relu().detach() + 0 * (x @ w + b)) @ v",
    ),
    "the last bias is left out": ("@ v + c", "@ v + 0 * c"),
    "the loss is a sum": (".view(y.shape).mean(1)", ".view(y.shape).sum(1)"),
    "the interval holds half": ("[0.025, 0.975]", "[0.25, 0.75]"),
    "the interval holds 99 %": ("[0.025, 0.975]", "[0.005, 0.995]"),
    "the interval holds 90 %": ("[0.025, 0.975]", "[0.05, 0.95]"),
    "the interval has one side": ("[0.025, 0.975]", "[0.0, 0.95]"),
    "more images are drawn again than there are": (
        "torch.randint(n, right.shape, generator",
        "torch.randint(n, (len(right), 4 * n), generator",
    ),
    "one draw of images stands for all": (
        "rows = torch.stack([torch.randperm(right.shape[1], generator=draws) for _ in range(DRAWS)])",
        "rows = torch.randperm(right.shape[1], generator=draws).expand(DRAWS, -1)",
    ),
    "images are not drawn again": (
        "right.gather(1, torch.randint(n, right.shape, generator=generator)).mean(1)",
        "right.mean(1)",
    ),
    "images are drawn from one half": ("torch.randint(n, right.shape", "torch.randint(n // 2, right.shape"),
    "the best is any": ("return test.argmax(0)", "return test.argmax(0).flip(0)"),
    "the best is the worst": ("return test.argmax(0)", "return test.argmin(0)"),
    "reported where it was chosen": (
        "rows[:, TEST : 2 * TEST], rows[:, 2 * TEST :]",
        "rows[:, :TEST], rows[:, 2 * TEST :]",
    ),
    "the rest holds the test images": ("rows[:, 2 * TEST :]\n", "rows\n"),
    "the named one is the best": ("torch.arange(DRAWS) % SEEDS,", "best_of(test),"),
    "all networks share one stream of batches": (
        "(BATCH,), generator=g) for g",
        "(BATCH,), generator=self.streams[0]) for g",
    ),
    "all networks share one stream of weights": (
        "generator=g) for g in self.streams]) * (2",
        "generator=self.streams[0]) for g in self.streams]) * (2",
    ),
    "uphill": ("p.data -= RATE * g", "p.data += RATE * g"),
    "chosen on the rest": ("best_of(test), torch.arange", "best_of(rest), torch.arange"),
    "the lead is over the worst": ("- of.mean(0)).mean", "- of.min(0).values).mean"),
    "the interval of the best is from other images": (
        "right[chosen[:, None], parts[0]]",
        "right[chosen[:, None], parts[1]]",
    ),
    "one image stands for all": (
        "right.gather(1, torch.randint(n, right.shape, ",
        "right.gather(1, torch.randint(1, right.shape, ",
    ),
    "training images are held out": (
        "for part in (slice(TRAIN), slice(TRAIN, None))",
        "for part in (slice(TRAIN), slice(TRAIN - 9, None))",
    ),
}
FULL = {
    "chosen on the rest",
    "images are drawn from one half",
    "images are not drawn again",
    "more images are drawn again than there are",
    "one draw of images stands for all",
    "one image stands for all",
    "the best is any",
    "the best is the worst",
    "the interval has one side",
    "the interval holds 90 %",
    "the interval holds 99 %",
    "the interval holds half",
    "the interval of the best is from other images",
    "the lead is over the worst",
    "the named one is the best",
}
