"""What the claims on the U-Net must not forgive."""

MUTANTS = {
    "the skip connections carry zeros": ("skip if self.skips else", "0 * skip if self.skips else"),
    "the skip connections pass no gradient": ("skip if self.skips else", "skip.detach() if self.skips else"),
    "the skip connections change places": (
        "torch.cat([enlarge(coarse), skip if self.skips else torch.zeros_like(skip)]",
        "torch.cat([skip if self.skips else torch.zeros_like(skip), enlarge(coarse)]",
    ),
    "the encoder takes means": ("self.down[1](F.max_pool2d(", "self.down[1](F.avg_pool2d("),
    "the image is not shrunk to the bottom": (
        "coarse = self.down[2](F.max_pool2d(middle, 2))",
        "coarse = self.down[2](F.interpolate(middle, scale_factor=0.5))",
    ),
    "the layers are linear": ("nn.BatchNorm2d(c_out), nn.ReLU())", "nn.BatchNorm2d(c_out), nn.Identity())"),
    "the bottom passes no gradient": ("enlarge(coarse)", "enlarge(coarse.detach())"),
    "IoU counts the overlap twice": ("matrix.sum(1) - right)", "matrix.sum(1))"),
    "IoU is precision": ("(matrix.sum(0) + matrix.sum(1) - right)", "matrix.sum(0)"),
    "tested on the training scans": ("scans(SCANS, data), scans(TESTS, unseen)", "2 * [scans(SCANS, data)]"),
    "the answer stands in the scan": ("return image + 0.08 * torch", "return labels[:, None] / 3 + 0.08 * torch"),
    "the control's table knows one scan": (
        "by_table(image, labels, fresh, 5)",
        "by_table(image[:1], labels[:1], fresh, 5)",
    ),
}
FULL = {"the answer stands in the scan", "the control's table knows one scan"}
