"""What the DCGAN's claims must not forgive."""

MUTANTS = {
    "the kernel passes no gradient": ('("bchw,couv->bouvhw", x, w)', '("bchw,couv->bouvhw", x, w.detach())'),
    "the image passes no gradient": ('("bchw,couv->bouvhw", x, w)', '("bchw,couv->bouvhw", x.detach(), w)'),
    "the kernel lies mirrored": ('("bchw,couv->bouvhw", x, w)', '("bchw,couv->bouvhw", x, w.flip(2))'),
    "rows and columns change places": ('"bchw,couv->bouvhw"', '"bchw,couv->bovuhw"'),
    "the tied kernel is not turned": ("w = self.weight.flip(2, 3)  # (C", "w = self.weight  # (C"),
    "resize leaves three pixels in four dark": ("for u in (0, 1) for v in (0, 1))", "for u in (1,) for v in (1,))"),
    "the cover leaves out a pixel": ("one.weight.fill_(1)", "one.weight.fill_(1)[0, 0, 0] = 0"),
    "the kernel of 4 is tied too": ('"kernel 4": (Enlarge, 4, 8)', '"kernel 4": (Resize, 3, 14)'),
    "resize may do as it likes": ('"resize": (Resize, 3, 14)', '"resize": (Enlarge, 4, 8)'),
    "fakes count as real": ("+ F.softplus(judge(fake.detach()))", "+ F.softplus(-judge(fake.detach()))"),
    "the generator wants to be caught": ("F.softplus(-judge(fake)).mean()", "F.softplus(judge(fake)).mean()"),
    "the generators stand still": ('.param_groups[0]["lr"] = RATE *', '.param_groups[0]["lr"] = 0 *'),
    "the Gaussian takes stored blobs": ("unlike(gaussian(real, noise))", "unlike(real)"),
    "the Gaussian is too wide": ("flatten(1) / len(x) ** 0.5", "flatten(1) / len(x) ** 0.25"),
    "blobs lie in the middle": ("blob(4 + 8 * x, 4 + 8 * y,", "blob(8 + 0 * x, 8 + 0 * y,"),
    "resize is judged by coarser waves": ('float(spectra["resize"][-1])', 'float(spectra["resize"][4])'),
}
FULL = {
    "fakes count as real",
    "the generator wants to be caught",
    "the kernel of 4 is tied too",
    "resize may do as it likes",
    "the generators stand still",
    "the Gaussian takes stored blobs",
    "the Gaussian is too wide",
    "blobs lie in the middle",
    "resize is judged by coarser waves",
}
