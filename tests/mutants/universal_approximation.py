"""What the claims of universal approximation must not forgive."""

MUTANTS = {
    "no neuron bends": ("else h.relu()", "else h"),
    "the neurons have no bias": ("h = x @ self.w + self.b", "h = x @ self.w + 0 * self.b"),
    "the hidden layer gets no gradient": ("return self.hidden(x) @ self.v", "return self.hidden(x).detach() @ self.v"),
    "the output has no bias": ("@ self.v + self.c  # f(x)", "@ self.v + 0 * self.c  # f(x)"),
    "slopes stand for bends": ("torch.cat([slopes[:1], slopes.diff()])", "slopes"),
    "neurons begin a knot too late": ("-knots[:-1], bends", "-knots[1:], bends"),
    "the net begins at zero": ("bends, f(knots)[0]", "bends, 0 * f(knots)[0]"),
    "all bends go upwards": ("slopes.diff()])", "slopes.diff().abs()])"),
    "the control's readout is hardly fitted": ("(1e-2, 1.0, 10.0, 100.0)", "(1e4, 1e5, 1e6, 1e7)"),
    "tested on its training points": (
        "known, fresh = wave(TRAIN, data), wave(TEST, unseen)",
        "known = wave(TRAIN, data); fresh = known[0][:TEST], known[1][:TEST]",
    ),
    "the answer stands in the input": (
        "return x, (2 * x @ direction).sin()",
        "y = (2 * x @ direction).sin(); return torch.cat([y[:, None], x[:, 1:]], 1), y",
    ),
}

FULL = {"the answer stands in the input", "the control's readout is hardly fitted"}
