"""What the claims of activation checkpointing must not forgive."""

MUTANTS = {
    "the second pass draws other dropout": ("torch.set_rng_state(ctx.state)", "torch.get_rng_state()"),
    "the random state is not put back": ("torch.set_rng_state(after)", "torch.get_rng_state()"),
    "nothing flows on to the segment before": ("return x.grad, None", "return 0 * x.grad, None"),
    "the gradient that comes in is ignored": ("torch.autograd.backward(y, g)", "torch.autograd.backward(y, g * 0 + 1)"),
    "the segment is cut from its input": ("y = ctx.segment(x)", "y = ctx.segment(x.detach())"),
    "one pass too many": ("return segment(x)", "return segment(x) + 0 * segment(x)"),
    "the first segment is left out": (
        "for i in range(0, BLOCKS, self.segment)",
        "for i in range(3, BLOCKS, self.segment)",
    ),
    "all is kept": (
        "x = Checkpoint.apply(x, self.blocks[i : i + self.segment], self.restored)",
        "x = self.blocks[i : i + self.segment](x)",
    ),
    "masks cost nothing": ("segment * 13  #", "segment * 12  #"),
    "what is let go still counts": ("meter.count(self.t, -1)", "meter.count(self.t, 0)"),
}
