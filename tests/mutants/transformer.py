"""What the claims of the Transformer must not forgive."""

MUTANTS = {
    "sines alone tell the positions": (
        "torch.stack([angles.sin(), angles.cos()]",
        "torch.stack([angles.sin(), angles.sin()]",
    ),
    "the positions are random": (
        "return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)",
        "return torch.randn(length, width)",
    ),
    "the angles go down to a tenth": ("1e4 ** (-torch", "10 ** (-torch"),
    "the scores are not scaled": (" / math.sqrt(q.shape[-1])", " / 1"),
    "the next symbol is seen": ("device=x.device).triu(1)", "device=x.device).triu(2)"),
    "the shortcut passes no gradient": ("x = x + self.self_attn", "x = x.detach() + self.self_attn"),
    "the keys get no gradient": ("scores = q @ k.mT", "scores = q @ k.detach().mT"),
    "the decoder reads itself": (
        "self.multihead_attn(self.norm2(x), memory, False)",
        "self.multihead_attn(self.norm2(x), x, False)",
    ),
    "the true symbols are read in writing": (
        "best = self(source, written)[",
        "best = self(source, torch.cat([written[:, :1], source.flip(1)[:, : written.shape[1] - 1]], 1))[",
    ),
    "it is tested on what it was trained on": ("(3 * seed + k) for k in (1, 2)", "(3 * seed + k) for k in (1, 1)"),
    "the scored symbols are written beside the true ones": (
        "n.write(fresh) for name, n",
        "torch.no_grad()(n)(fresh, after_start(fresh.flip(1))).argmax(-1) for name, n",
    ),
}
FULL = {"it is tested on what it was trained on"}
