"""What the claims of edge computing must not forgive."""

MUTANTS = {
    "the factor has eight bits": ("(fraction * 2**BITS).round()", "((fraction * 2**8).round() * 2 ** (BITS - 8))"),
    "the shift is one too far": ("BITS - exponent.long()", "BITS + 1 - exponent.long()"),
    "it rounds down": ("+ (1 << (layer.shift - 1))", "+ 0"),
    "it rounds up": ("+ (1 << (layer.shift - 1))", "+ (1 << layer.shift) - 1"),
    "negative sums stay": (".clamp(0, 127).to(torch.int8)", ".clamp(-127, 127).to(torch.int8)"),
    "seven bits hold less": (".clamp(0, 127).to(torch.int8)", ".clamp(0, 63).to(torch.int8)"),
    "the bias is left out": ("layer.weight.int().T + layer.bias", "layer.weight.int().T"),
    "the bias has the scale of the weights": ("linear.bias / (scale * step)\n", "linear.bias / step\n"),
    "weights are cut off": ("weight.round().to(torch.int8)", "weight.trunc().to(torch.int8)"),
    "the scale of the input stays": ("        scale = after\n    return layers", "    return layers"),
    "sums are made in floats": ("x.int() @ layer.weight.int().T +", "(x.float() @ layer.weight.float().T).int() +"),
    "the next layer undoes nothing": ("second.weight.data = second.weight * s", "pass"),
    "the bias is not equalized": (", first.bias / s\n", ", first.bias\n"),
    "equalizing goes the wrong way": (
        "(first.weight.abs().amax(1) / second.weight.abs().amax(0)).sqrt()",
        "(second.weight.abs().amax(0) / first.weight.abs().amax(1)).sqrt()",
    ),
    "the large unit keeps its bias": ("net[0].bias.data[unit] *= factor", "net[0].bias.data[unit] *= 1"),
    "the control is equalized too": ("freeze(of, seen)) for", "freeze(equalized(of), seen)) for"),
    "scales are set on the test images": (
        "requires_grad_(False), x / PIXEL,",
        "requires_grad_(False), x_test / PIXEL,",
    ),
    "equalizing takes no root": (".amax(0)).sqrt()", ".amax(0))"),
    "the unit is not undone": ("net[2].weight.data[:, unit] /= factor", "pass"),
    "the answer is the smallest sum": ("whole)[-1].argmax(1)", "whole)[-1].argmin(1)"),
    "the sum is of 16 bits": ("product = total.long()", "product = total.to(torch.int16).long()"),
    "weights are cut to seven bits": ("weight.round().to(torch.int8)", "weight.round().clamp(-64, 63).to(torch.int8)"),
    "a scale for each unit is one for all": ("large if by_unit else", "large if not by_unit else"),
    "the test images are those of training": (
        "t[mixed].split([TRAIN, len(t) - TRAIN])",
        "(t[mixed][:TRAIN], t[mixed][:400])",
    ),
    "nothing is learned": ("        loss.backward()\n", "        (0 * loss).backward()\n"),
}
FULL = {
    "equalizing takes no root",
    "the answer is the smallest sum",
    "equalizing goes the wrong way",
    "the control is equalized too",
    "nothing is learned",
}
