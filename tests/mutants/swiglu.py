"""What the claims of SwiGLU must not forgive."""

MUTANTS = {
    "the gate is a sigmoid alone": ("(z * z.sigmoid() * (x @ self.value))", "(z.sigmoid() * (x @ self.value))"),
    "the gate passes no gradient": ("(z * z.sigmoid() *", "(z.detach() * z.sigmoid() *"),
    "the sigmoid passes no gradient": ("(z * z.sigmoid() *", "(z * z.detach().sigmoid() *"),
    "the value passes no gradient": ("(x @ self.value)) @", "(x @ self.value.detach())) @"),
    "the gate is a GELU": ("(z * z.sigmoid() *", "(F.gelu(z) *"),
    "the gate is a tanh": ("(z * z.sigmoid() *", "(z * z.tanh() *"),
    "gate and value are one": ("(x @ self.value)) @", "(x @ self.gate)) @"),
    "nothing is multiplied": ("z.sigmoid() * (x @ self.value)", "z.sigmoid() + (x @ self.value)"),
    "the rival's scale is wrong": (
        "math.sqrt(math.pi / 2) / (4 * scale**2)",
        "0 * math.sqrt(math.pi / 2) / (4 * scale)",
    ),
    "the far test is near": ("inputs(1000, reach, unseen)", "inputs(1000, NEAR, unseen)"),
    "the plain blocks are given the answers": (
        "return self.act(x @ self.into + self.shifts[0]) @ self.out + self.shifts[1]",
        "return 0 * (self.act(x @ self.into) @ self.out) + (answer('product', x) if x.shape[-1] > 2 else 1)",
    ),
    "the nets learn sums": ("return a * b if task", "return a + b if task"),
    "the plain blocks see no input": ("return self.act(x", "return self.act(0 * x"),
    "the sigmoid is twice as steep": ("(z * z.sigmoid() *", "(z * (2 * z).sigmoid() *"),
    "the biases are none": ("x.shape[-1]), value=1.0)", "x.shape[-1]), value=0.0)"),
    "it trains on the far range": ("inputs(BATCH, NEAR, data)", "inputs(BATCH, FAR, data)"),
    "the rival has few scales": ("torch.logspace(-9, 0, 40", "torch.logspace(-1, 0, 40"),
    "errors are not over the variance": ("/ y.var((1, 2))", "/ 1"),
}
FULL = {"errors are not over the variance", "it trains on the far range", "the nets learn sums", "the biases are none"}
FULL |= {"the far test is near"}
