"""What the claims on Adam and its relatives must not forgive."""

MUTANTS = {
    "momentum is an average": ("self.m = 0.9 * self.m + g", "self.m = 0.9 * self.m + 0.1 * g"),
    "momentum keeps too little": ("self.m = 0.9 * self.m + g", "self.m = 0.8 * self.m + g"),
    "Adagrad forgets": ("self.v = self.v + g**2", "self.v = 0.99 * self.v + g**2"),
    "RMSProp never forgets": ("self.v = 0.99 * self.v + 0.01", "self.v = self.v + 0.01"),
    "RMSProp divides by the mean square": (
        "return self.lr * g / (self.v.sqrt() + 1e-8)",
        "return self.lr * g / (self.v + 1e-8)",
    ),
    "Adam's second moment starts at zero": ("v / (1 - 0.999**self.t)", "v"),
    "Adam's first moment starts at zero": ("m / (1 - 0.9**self.t)", "m"),
    "Adam has no momentum": ("self.m = 0.9 * self.m + 0.1 * g", "self.m = g"),
    "Adam divides by the variance": ("self.lr * m / (v.sqrt() + 1e-8)", "self.lr * m / (v + 1e-8)"),
    "nothing keeps from dividing by zero": ("(self.v.sqrt() + 1e-10)", "self.v.sqrt()"),
    "half the gradient": ("return 2 * (w - true) @ moments", "return (w - true) @ moments"),
    "the gradient of a sum": ("return x.mT @ x / x.shape[1]", "return x.mT @ x"),
    "the turn stretches": (
        "torch.linalg.qr(torch.randn(PROBLEMS, FEATURES, FEATURES, **f64))[0]",
        "torch.linalg.qr(torch.randn(PROBLEMS, FEATURES, FEATURES, **f64))[1]",
    ),
    "the answer is the first guess": (
        "weights = {key: torch.zeros(PROBLEMS, len(RATES), FEATURES, device=device) for key in rules}",
        "weights = {key: data[key[0]][1].repeat(1, len(RATES), 1) for key in rules}",
    ),
    "nothing is rare": (
        "(torch.rand(rare.shape, **f64) < present)",
        "(torch.rand(rare.shape, **f64) < 2) * present.sqrt()",
    ),
    "all features have one size": ("FEATURES, **f64) * size", "FEATURES, **f64)"),
    "every step sees all samples": (
        'moments | {"sparse": second_moments(data["sparse"][0][every, rows])}',
        "moments",
    ),
}
FULL = {"all features have one size", "every step sees all samples", "the answer is the first guess"}
