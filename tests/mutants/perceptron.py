"""What the claims of the perceptron must not forgive."""

MUTANTS = {
    "the weights turn away": ("history[-1] + y[k] * x[k]", "history[-1] - y[k] * x[k]"),
    "the weights never change": ("history[-1] + y[k] * x[k]", "history[-1] + 0 * x[k]"),
    "the label is forgotten": ("history[-1] + y[k] * x[k]", "history[-1] + x[k]"),
    "a step is half as long": ("history[-1] + y[k] * x[k]", "history[-1] + 0.5 * y[k] * x[k]"),
    "what is right is added": ("@ history[-1]) <= 0)", "@ history[-1]) > 0)"),
    "a sum of 0 counts as right": ("@ history[-1]) <= 0)", "@ history[-1]) < 0)"),
    "a single pass is all": ("start = 0  # the next pass", "break"),
    "the pass starts over after each mistake": ("start = k + 1", "start = 0"),
    "the bias is ignored": ("return torch.where(x @ w > 0", "return torch.where(x[:, :-1] @ w[:-1] > 0"),
    "the neuron says no where it should say yes": ("x @ w > 0, 1.0, -1.0", "x @ w < 0, 1.0, -1.0"),
    "the control's points do not contradict": ("-signs[:1]])", "signs[:1]])"),
    "the mean margin stands for the least": ("/ best.norm()).min()", "/ best.norm()).mean()"),
    "the mean length stands for the largest": ("x.norm(dim=1).max()", "x.norm(dim=1).mean()"),
    "XOR is given its answer as an input": (
        "answers == torch.tensor(y)",
        "answers * torch.tensor(GATES['XOR']) == torch.tensor(y)",
    ),
}
