"""What the claims of domain adaptation must not forgive."""

MUTANTS = {
    "the covariance is taken in full": ("return vectors * values**exponent @", "return vectors * values @"),
    "whitened, not recoloured": ("return power(c, -0.5) @ power(wanted, 0.5)", "return power(c, -0.5)"),
    "recoloured, not whitened": ("return power(c, -0.5) @ power(wanted, 0.5)", "return power(wanted, 0.5)"),
    "the last factor is lost": (
        "@ power(half @ wanted @ half, 0.5) @ power(c, -0.5)",
        "@ power(half @ wanted @ half, 0.5)",
    ),
    "the middle is no root": ("power(half @ wanted @ half, 0.5)", "(half @ wanted @ half)"),
    "the target mean stays": ("(x - target[0]) @ linear", "x @ linear"),
    "the source mean is not added": ("linear(target[1], source[1]) + source[0]", "linear(target[1], source[1])"),
    "source and target are swapped": ("linear(target[1], source[1])", "linear(source[1], target[1])"),
    "the covariance is that of the source": (
        "source, target = moments(x), moments(blurred[free])",
        "source, target = moments(x), moments(x)",
    ),
    "the classifier learns from the target": ("x, y = sharp[rows], labels[rows]", "x, y = blurred[rows], labels[rows]"),
    "the test images are among the unlabelled": ("order[SOURCE : SOURCE + UNLABELLED]", "order[SOURCE:]"),
    "the skewed target holds all digits": ("labels[part] < 3]", "labels[part] < 30]"),
}
FULL = {
    "the covariance is that of the source",
    "the classifier learns from the target",
    "the skewed target holds all digits",
}
