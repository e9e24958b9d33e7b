"""What the claims of super-resolution and inpainting must not forgive."""

MUTANTS = {
    "rows and columns of a block are exchanged": ("permute(0, 1, 4, 2, 5, 3)", "permute(0, 1, 4, 3, 5, 2)"),
    "the grid is read the wrong way": ("permute(0, 1, 3, 5, 2, 4)", "permute(0, 1, 5, 3, 2, 4)"),
    "the damaged picture is not added": ("whole = shuffle(grid + change)", "whole = shuffle(0 * grid + change)"),
    "the first layer gets no gradient": ("self.first(grid).relu()", "self.first(grid).relu().detach()"),
    "the middle layer is linear": (
        "self.middle(self.first(grid).relu()).relu()",
        "self.middle(self.first(grid).relu())",
    ),
    "PSNR counts ten times the bits": ("float(-10 * ", "float(-20 * "),
    "PSNR is of absolute errors": ("((a - b) ** 2).mean().log10()", "(a - b).abs().mean().log10()"),
    "SSIM is blind to brightness": ("return (brightness * (2", "return (brightness**0 * (2"),
    "SSIM takes products for covariances": ("mean[k] - mean[i] * mean[j]", "mean[k]"),
    "known pixels are made anew": ("torch.where(self.hole, whole, x)", "whole"),
    "the hole is not emptied": ("torch.where(HOLE, 0.5, x)", "torch.where(HOLE, 0.5 * x, x)"),
    "neighbours are the farthest": (".argsort(1)", ".argsort(1, descending=True)"),
    "the test is known": (".tensor_split([TRAIN])", ".split(TRAIN)[:1] * 2"),
}
FULL = {"neighbours are the farthest", "the test is known", "the hole is not emptied"}
