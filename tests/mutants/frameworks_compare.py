"""What the claims of the frameworks compared must not forgive."""

MUTANTS = {
    "a second user's gradient replaces the first's": ("flow[a] + g if a in flow else g", "g"),
    "relu passes every gradient": ('(g * node("step", a),)', "(g,)"),
    "the product passes no gradient to its left": (
        '(g @ node("t", b), node',
        '(g @ node("t", b) * node("step", node("neg", a * a)), node',
    ),
    "the mean's gradient is not divided": ("({0}.expand_as({1}) / len({1}))", "({0}.expand_as({1}) * 1)"),
    "the logarithm passes its gradient on": ('(g * node("inv", a),)', "(g,)"),
    "steps are fused with the sign lost": ("({0} > 0).to({0}.dtype)", "({0} >= -1).to({0}.dtype)"),
    "nothing is fused": ("text[y] = said if fused else", "fused = False\n        text[y] = said if fused else"),
    "the loop stops after one halving": ("    while node(", "    if node("),
    "NumPy does not divide by the batch": ("dz = (p - y) / len(x)", "dz = (p - y) / len(y) ** 0.9"),
    "the control learns at the same rate": ("0.99 * RATE", "1.0 * RATE"),
    "the trace is told how long to run": ("enumerate((live, trace(x)))", "enumerate((live, live))"),
}
