"""What the claims about deployment must not forgive."""

MUTANTS = {
    "only the answers are compared": (
        "(path(way(pixels)) - scores).abs().max() <= tolerance",
        "(path(way(pixels)).argmax(1) == scores.argmax(1)).all()",
    ),
    "the check prepares its images itself": ("(path(way(pixels)) - scores)", "(path(prepare(pixels)) - scores)"),
    "one gap is enough to pass": ("- scores).abs().max() <= tolerance", "- scores).abs().min() <= 10 * tolerance + 1"),
    "the tolerance is loose": (
        "GOLDEN, TOLERANCE, SIZES = 1300, 64, 0.1, 8, 10, 1e-3",
        "GOLDEN, TOLERANCE, SIZES = 1300, 64, 0.1, 8, 10, 1e3",
    ),
    "the tolerance is tight": (
        "GOLDEN, TOLERANCE, SIZES = 1300, 64, 0.1, 8, 10, 1e-3",
        "GOLDEN, TOLERANCE, SIZES = 1300, 64, 0.1, 8, 10, 1e-9",
    ),
    "weights are shipped in 16 bits": (
        "torch.export.export(net.eval(), (torch",
        "torch.export.export(copy.deepcopy(net).half().float().eval(), (torch",
    ),
    "another prepares for the program": ("/ 16\n\n\ndef shipped", "/ 16 + torch.rand(1)\n\n\ndef shipped"),
    "the schema stops all": ("return bool(sound and", "return bool(not sound and"),
    "training mode is none": ("copy.deepcopy(net).train()", "copy.deepcopy(net).eval()"),
    "the schema minds no mean": (" and (prepared.mean(0) - mean).abs().max() <= 0.1", ""),
    "the mean is of all pixels": ("prepare(train).mean(0)", "prepare(train).mean()"),
    "the program is of an untrained net": (
        "served, fixed = shipped(net)",
        "served, fixed = shipped(Net().requires_grad_(False))",
    ),
    "the stored scores are of the images in another order": (
        "net(prepare(test[:GOLDEN]))",
        "net(prepare(test[:GOLDEN].flip(0)))",
    ),
    "every path but one is sound": ("sound = [served, net,", "sound = [served, old,"),
    "the labels begin with 0": ("served(x).roll(1, 1)", "served(x).roll(10, 1)"),
    "the earlier weights are the last": ("(prepare, old),", "(prepare, net),"),
    "requests are miscounted": (".sum(1) != 10)", ".sum(1) != 9)"),
    "test images are trained on": ("(t.tensor_split([TRAIN]) for t", "((t[:TRAIN], t[TRAIN - 400 :]) for t"),
    "the labels are of other images": ("scores.argmax(1) == y_test)", "scores.argmax(1) == y_test.roll(1))"),
    "nothing is learned": ("        optimizer.step()\n", "        optimizer.zero_grad()\n"),
}
FULL = {"the labels are of other images", "nothing is learned"}
