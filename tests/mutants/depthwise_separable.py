"""What the claims of the depthwise separable convolution must not forgive."""

MUTANTS = {
    "the channels are not mixed": (
        '"oc,bchw->bohw", self.point, z)',
        '"oc,bchw->bohw", torch.eye(*self.point.shape).to(z), z)',
    ),
    "the kernels get no gradient": ("z = F.conv2d(x, self.depth,", "z = F.conv2d(x, self.depth.detach(),"),
    "the mixing gets no gradient": ("self.point, z)", "self.point.detach(), z)"),
    "the input gets no gradient": ("z = F.conv2d(x, self", "z = F.conv2d(x.detach(), self"),
    "the outputs change places": ('"oc,bchw->bohw", self.point, z)', '"oc,bchw->bohw", self.point.flip(0), z)'),
    "the kernels are flipped": ("z = F.conv2d(x, self.depth,", "z = F.conv2d(x, self.depth.flip(2, 3),"),
    "the channels change places": ("z = F.conv2d(x, self.depth,", "z = F.conv2d(x.roll(1, 1), self.depth,"),
    "the formula forgets the mixing": ("return k * k * c_in + c_in * c_out", "return k * k * c_in"),
    "the formula has the wrong channels": ("return k * k * c_in + c_in * c_out", "return k * k * c_out + c_in * c_out"),
    "the control sees a shape": ("(full, 37, 1)", "(full, 37, 3)"),
    "the test images are blank": ("return (net.eval()(x_test)", "return (net.eval()(0 * x_test)"),
    "the test holds training images": ("order[:TRAIN], order[TRAIN:]", "order[:TRAIN], order[TRAIN - 9 :]"),
}
FULL = {"the control sees a shape", "the test images are blank"}
