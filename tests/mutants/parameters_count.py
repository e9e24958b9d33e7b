"""What the claims of counting parameters must not forgive."""

MUTANTS = {
    "groups share nothing": ("self.k**2 * self.c_in // self.groups * self.c_out", "self.k**2 * self.c_in * self.c_out"),
    "normalization learns one number a channel": ("+ 2 * self.norm", "+ self.norm"),
    "every layer has a bias": ("return self.size == 1 or not self.norm", "return True"),
    "the stride is forgotten": ("- self.k) // self.stride + 1", "- self.k) // 1 + 1"),
    "a product without its sum": ("return 2 * self.kernel() * places**2", "return self.kernel() * places**2"),
    "keys and values are as wide as queries": ("2 * d * self.kv * self.head", "2 * d * inner"),
    "the rotary key is not cached": ("sum(self.latent[1:])", "self.latent[1]"),
    "the shared expert is forgotten": ("(experts + self.shared) * each", "experts * each"),
    "the router is free": ("+ self.width * self.experts", "+ 0 * self.experts"),
    "tied embeddings count twice": ("(1 if self.tied else 2)", "2"),
    "the embedding works as well": (
        "return self.weights(self.used) + self.vocab * self.width",
        "return self.weights(self.used) + 2 * self.vocab * self.width",
    ),
    "all experts count as active": ("return self.weights(self.used)", "return self.weights(self.experts)"),
    "the shortcuts of ResNet are missing": ("* (step - 1)", "* 0"),
    "DenseNet forgets the layers before": ("            c += 32", "            c += 31"),
    "the last maps of ResNet are not halved": ("(256, 512, 14, 2)", "(256, 512, 28, 2)"),
    "squeeze and excite shrinks what was widened": (
        "Layer(wide, c // 4), Layer(c // 4, wide)",
        "Layer(wide, wide // 4), Layer(wide // 4, wide)",
    ),
    "Mistral has as many keys as queries": (
        "Config(32, 4096, 32, 8, 128, 14336, 32000)",
        "Config(32, 4096, 32, 32, 128, 14336, 32000)",
    ),
    "the control counts one cache a layer as it is": (
        'saw("wide_cache", 2 * thin.layers * thin.width',
        'saw("wide_cache", thin.cached()',
    ),
}
