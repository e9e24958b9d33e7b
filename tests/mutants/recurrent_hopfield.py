"""What the claims of the Hopfield network must not forgive."""

MUTANTS = {
    "units feed themselves": (
        "return weight * (1 - torch.eye(x.shape[-1], dtype=x.dtype)).to(x.device)",
        "return weight",
    ),
    "weights grow with the patterns": ("x.mT @ x / x.shape[-1]", "x.mT @ x / x.shape[-2]"),
    "the energy counts pairs twice": ("-(s @ weight * s).sum(-1) / 2", "-(s @ weight * s).sum(-1)"),
    "the energy has the wrong sign": ("return -(s @ weight * s).sum(-1) / 2", "return (s @ weight * s).sum(-1) / 2"),
    "units turn away": ("[..., 0].ge(0) * 2.0 - 1  # s_i", "[..., 0].le(0) * 2.0 - 1  # s_i"),
    "the softmax is not sharpened": (
        "return (SHARPNESS * s @ x.mT).softmax(-1) @ x ",
        "return (s @ x.mT).softmax(-1) @ x ",
    ),
    "the softmax runs over queries": (".softmax(-1) @ x ", ".softmax(-2) @ x "),
    "no softmax": ("(SHARPNESS * s @ x.mT).softmax(-1) @ x ", "(SHARPNESS * s @ x.mT) @ x "),
    "the weights pass no gradient": (".softmax(-1) @ x ", ".softmax(-1).detach() @ x "),
    "the modern energy lacks its square": ("return s.square().sum(-1) / 2 - (SHARP", "return -(SHARP"),
    "the answer is shown": (
        "return torch.where(torch.rand(x.shape, generator=generator).argsort(-1) < WRONG, -x, x)",
        "return torch.where(torch.rand(x.shape, generator=generator).argsort(-1) < 0, -x, x)",
    ),
    "the modern energy is not divided by the sharpness": (".logsumexp(-1) / SHARPNESS", ".logsumexp(-1)"),
    "all patterns count alike": (
        "return (SHARPNESS * s @ x.mT).softmax(-1) @ x ",
        "return (0 * s @ x.mT).softmax(-1) @ x ",
    ),
    "the old memory is shown a whole pattern": (
        "            s = shown.to(device)\n",
        "            s = x[:, :SHOWN].to(device)\n",
    ),
    "all units turn together": (
        "    s = s.clone()\n",
        "    return at_once(weight, s)\n",
    ),
    "half of the units never turn": (
        "    for i in order:\n",
        "    for i in sorted(order)[:50]:\n",
    ),
    "the values pass no gradient": (
        ".softmax(-1) @ x ",
        ".softmax(-1) @ x.detach() ",
    ),
    "the pseudo-inverse is shown whole patterns": (
        "projection(x.double()).float().to(device)}",
        "projection(x.double()).float().to(device)}\n        shown = x[:, :SHOWN]",
    ),
}
FULL = {
    "the answer is shown",
    "the old memory is shown a whole pattern",
    "half of the units never turn",
    "the pseudo-inverse is shown whole patterns",
}
