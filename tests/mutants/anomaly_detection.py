"""What the claims of anomaly detection must not forgive."""

MUTANTS = {
    "it does not bend": ("x = x.tanh()", "x = 1 * x"),
    "the code is bent as well": ("if k in (0, 2):", "if k in (0, 1, 2):"),
    "the bias is left out": ("x @ weight.T + bias", "x @ weight.T + 0 * bias"),
    "the weights get no gradient": ("x @ weight.T + bias", "x @ weight.detach().T + bias"),
    "the input gets no gradient": ("(self(x) - x).square().mean()", "(self(x) - x.detach()).square().mean()"),
    "residuals are not squared": ("(self(x) - x).square().mean()", "(self(x) - x).abs().mean()"),
    "sensors are not scaled": ("(residual / healthy.square().mean(0).sqrt()).square()", "residual.square()"),
    "all sensors have one scale": ("healthy.square().mean(0).sqrt()", "healthy.square().mean().sqrt()"),
    "ties count in full": ("+ ties * (", "+ 2 * ties * ("),
    "the code can copy the input": ("widths = [SENSORS, WIDTH, CODE,", "widths = [SENSORS, WIDTH, SENSORS,"),
    "faults stand among the healthy readings": (
        "healthy, held = (readings(n, law, data) for n in (TRAIN, TEST))",
        "healthy, held = (readings(n, law, data) + FAULT * torch.randn(n, 12, generator=data) for n in (TRAIN, TEST))",
    ),
    "PCA has one component": ("for k in range(1, SENSORS):", "for k in range(1, 2):"),
}
FULL = {"the code can copy the input", "faults stand among the healthy readings", "PCA has one component"}
