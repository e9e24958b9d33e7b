"""What the claims of float formats must not forgive."""

MUTANTS = {
    "numbers are truncated": ("((x / step).round() * step)", "((x / step).trunc() * step)"),
    "half a step is always rounded up": ("((x / step).round() * step)", "((x / step + 0.5).floor() * step)"),
    "there are no subnormal numbers": (".clamp(min=1 - bias)", ".clamp(min=-999)"),
    "the step is one bit too fine": ("exponent - mantissa)", "exponent - mantissa - 1)"),
    "integers have an odd largest number": (
        "scale = x.abs().max() / (2 ** (bits - 1) - 1)",
        "scale = x.abs().max() / 2 ** (bits - 1)",
    ),
    "the largest number of E4M3 is too small": ("(3, 7, 448.0)", "(3, 7, 240.0)"),
    "the scale of MXFP4 is twice too large": ("block[..., :1]), exponent - 2)", "block[..., :1]), exponent - 1)"),
    "a block of MXFP4 has 16 numbers": ("x.unflatten(-1, (-1, 32))", "x.unflatten(-1, (-1, 16))"),
    "a block of NVFP4 has 32 numbers": ("x.unflatten(-1, (-1, 16))", "x.unflatten(-1, (-1, 32))"),
    "the scale of NVFP4 is not rounded": (
        'round_to(block.abs().amax(-1, keepdim=True) / 6 / whole, *FORMATS["E4M3"]) * whole',
        "block.abs().amax(-1, keepdim=True) / 6",
    ),
    "the outliers are left out": ("        x[:, columns] *= TIMES", "        x[:, columns] *= 1.0"),
    "the outliers count as ordinary": ("ordinary[columns] = False", "ordinary[columns] = True"),
}
