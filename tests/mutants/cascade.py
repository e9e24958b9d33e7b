"""What the claims of the cascade must not forgive."""

MUTANTS = {
    "it hands on what it is sure of": ("p.argmax(1), margin(p) < threshold", "p.argmax(1), margin(p) > threshold"),
    "the margin is the first guess alone": ("return first - second\n", "return first\n"),
    "the margin is to the third guess": (
        "p.topk(2, dim=1).values.unbind(1)",
        "p.topk(3, dim=1).values[:, ::2].unbind(1)",
    ),
    "the large model is not asked": ("large(x[unsure]).argmax(1)  #", "small(x[unsure]).argmax(1)  #"),
    "the large model sees other images": ("large(x[unsure]).argmax(1)  #", "large(x[unsure].flip(0)).argmax(1)  #"),
    "the farthest answers": ("squared.argmin(1)", "squared.argmax(1)"),
    "the large model sees all images": ("large(x[unsure]).argmax(1)  #", "large(x).argmax(1)[unsure]  #"),
    "a sure image is answered by its second guess": (
        "answers, unsure = p.argmax(1), ",
        "answers, unsure = p.topk(2).indices[:, 1], ",
    ),
    "the threshold is that of what is right": (".quantile(SHARE).item()", ".quantile(1 - SHARE).item()"),
    "the threshold passes all": ("margin(p) < threshold", "margin(p) < 0 * threshold"),
    "the control counts what was right": (
        "known.argmax(1) != kept_label",
        "known.argmax(1) == kept_label",
    ),
    "the control hands on half as many": ("int(handed.sum())", "int(handed.sum()) // 2"),
    "the control goes by chance": (
        "rate = error_rate(p, known, known.argmax(1) != kept_label)",
        "rate = torch.rand(len(p))",
    ),
    "the control goes by the margin": (
        "rate = error_rate(p, known, known.argmax(1) != kept_label)",
        "rate = -margin(p)",
    ),
    "the small model learns a tenth of the steps": ("for _ in range(steps)", "for _ in range(steps // 10)"),
    "the large model stores a tenth": (
        "nearest(stored, stored_label)\n",
        "nearest(stored[::10], stored_label[::10])\n",
    ),
    "the products are halved": ("- 2 * x @ store.mT", "- x @ store.mT"),
    "test images are stored": (
        "= ([t[part] for part in parts] for t in (x, y))",
        "= ([t[part] for part in (parts[2], *parts[1:])] for t in (x, y))",
    ),
    "the small model learned shuffled labels": (
        "F.cross_entropy(net(x), y).backward()",
        "F.cross_entropy(net(x), y.flip(0)).backward()",
    ),
    "the small model gets no gradient": (
        "F.cross_entropy(net(x), y).backward()",
        "(F.cross_entropy(net(x), y) * 0).backward()",
    ),
    "half is handed on": (".quantile(SHARE).item()", ".quantile(0.5).item()"),
    "the control knows the test errors": (
        "rate = error_rate(p, known, known.argmax(1) != kept_label)",
        "rate = (p.argmax(1) != label).to(p)",
    ),
    "the control sends the easiest digits": ("    return rate[p.argmax(1)]", "    return -rate[p.argmax(1)]"),
}
FULL = {
    "the control knows the test errors",
    "the products are halved",
    "half is handed on",
    "the large model sees all images",
    "the control hands on half as many",
    "the large model stores a tenth",
    "the control sends the easiest digits",
    "the control counts what was right",
    "the farthest answers",
    "the control goes by the margin",
    "the control goes by chance",
    "the small model learns a tenth of the steps",
    "the small model gets no gradient",
    "the small model learned shuffled labels",
    "the threshold is that of what is right",
}
