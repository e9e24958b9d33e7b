"""What the claims of attention in translation must not forgive."""

MUTANTS = {
    "target words share a source word out": ("(states @ memory.mT).softmax(-1)", "(states @ memory.mT).softmax(-2)"),
    "all source words weigh the same": ("(states @ memory.mT).softmax(-1)", "(0 * states @ memory.mT).softmax(-1)"),
    "the context passes no gradient": ("return weights @ memory, weights", "return weights @ memory.detach(), weights"),
    "the weights get no gradient": ("return weights @ memory, weights", "return weights.detach() @ memory, weights"),
    "the decoder starts from nothing": (
        "self.decoder(self.target(written), code)",
        "self.decoder(self.target(written))",
    ),
    "the context is left out": (
        "self.mix(torch.cat([context, states], -1)).tanh())\n\n    @torch",
        "self.mix(torch.cat([0 * context, states], -1)).tanh())\n\n    @torch",
    ),
    "the answer stands in the input": (
        "loss = F.cross_entropy(net(source, after_start(target))",
        "loss = F.cross_entropy(net(source, target)",
    ),
    "other words than its own are read in translating": (
        "best = self(source, written)[",
        "best = self(source, torch.cat([written[:, :1], source.flip(1)[:, : written.shape[1] - 1]], 1))[",
    ),
    "the scored words are written beside the right ones": (
        "net.translate(source) for name, net",
        "torch.no_grad()(net)(source, after_start(target)).argmax(-1) for name, net",
    ),
}
FULL = {"the answer stands in the input"}
