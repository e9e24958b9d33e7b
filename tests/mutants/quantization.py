"""What the claims of quantization must not forgive."""

MUTANTS = {
    "values are truncated": ("(x / scale).round().clamp", "(x / scale).trunc().clamp"),
    "one scale serves all units": (
        "return x.abs().amax(1, keepdim=True)",
        "return 0 * x.abs().amax(1, keepdim=True) + x.abs().max()",
    ),
    "the scale is of one bit less": ("(2 ** (bits - 1) - 1)\n\n\ndef", "(2 ** (bits - 1))\n\n\ndef"),
    "rounding stops the gradient": (
        "weight = weight + (scale * quantize(weight, scale, bits) - weight).detach()",
        "weight = scale * quantize(weight, scale, bits)",
    ),
    "no gradient reaches the weights": ("weight = weight + (scale", "weight = weight.detach() + (scale"),
    "training does not round": ("if bits:  # the value", "if not bits:  # the value"),
    "integers without the scale of the unit": (
        "x = total * (x_scale * w_scale.T) +",
        "x = total * (x_scale * w_scale.mean()) +",
    ),
    "activations are not rounded": ("quantize(x, x_scale, 8)", "(x / x_scale)"),
    "the scale comes from the first layer's images": (
        "seen = F.linear(seen, layer.weight, layer.bias)",
        "seen = F.linear(seen, layer.weight)",
    ),
    "the scale comes from the test images": ("scale_of(seen.flatten()[None], 8)", "scale_of(x.flatten()[None], 8)"),
    "test images are among those to learn from": ("x[TRAIN:], y[TRAIN:]", "x[:497], y[:497]"),
    "what is scored takes its scale from the test images": (
        "answers = [infer(net, x_test, x, b)",
        "answers = [infer(net, x_test, x_test, b)",
    ),
    "the control tries one scale, not twenty": (
        "torch.linspace(0.05, 1, 20)",
        "torch.linspace(1, 1, 20)",
    ),
}
FULL = {"the control tries one scale, not twenty"}
