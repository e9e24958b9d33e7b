"""What the claims of bias and variance must not forgive."""

MUTANTS = {
    "the bias is not squared": ('"squared bias": (mean - truth) ** 2', '"squared bias": (mean - truth).abs()'),
    "the variance is about the truth": ('"variance": (fits - mean) ** 2', '"variance": (fits - truth) ** 2'),
    "the mean fit is the median": ("mean = fits.mean(0)", "mean = fits.median(0).values"),
    "the fits are shrunk": ("(u.T @ y) / s[:, None]", "(u.T @ y) / (s[:, None] + 0.1)"),
    "not the smallest norm": (
        "return vh.T @ ((u.T @ y) / s[:, None])",
        "return 1e-3 + vh.T @ ((u.T @ y) / s[:, None])",
    ),
    "the polynomials lack their constant": (
        "(k * x.acos()).cos() for k in range(degree + 1)",
        "(k * x.acos()).cos() for k in range(1, degree + 1)",
    ),
    "the answers have no noise": ("NOISE * torch.randn(POINTS", "0 * torch.randn(POINTS"),
    "the truth is noisy": (
        "curve(fresh)) for degree, held",
        "curve(fresh) + NOISE * torch.randn(101)) for degree, held",
    ),
    "the test holds the training examples": (
        "x_test = torch.randn(TESTS, DIM, generator=test, dtype=torch.float64)",
        "x_test = x.repeat(TESTS // EXAMPLES, 1)",
    ),
    "the cheap control may not fit a line": (
        "for width, error in by_width.items() if width < EXAMPLES)",
        "for width, error in by_width.items() if 0 < width < EXAMPLES)",
    ),
}
FULL = {"the answers have no noise", "the cheap control may not fit a line", "the truth is noisy"}
