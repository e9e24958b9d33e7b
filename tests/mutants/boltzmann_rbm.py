"""What the claims of the restricted Boltzmann machine must not forgive."""

MUTANTS = {
    "hidden units ignore their bias": (
        "return (v @ self.weight + self.c).sigmoid()",
        "return (v @ self.weight).sigmoid()",
    ),
    "visible units ignore their bias": (
        "return (h @ self.weight.mT + self.b).sigmoid()",
        "return (h @ self.weight.mT).sigmoid()",
    ),
    "the free energy is an energy": (
        "F.softplus(v @ self.weight + self.c).sum(1)  # -log",
        "(v @ self.weight + self.c).relu().sum(1)  # -log",
    ),
    "the free energy forgets the visible bias": (
        "return -v @ self.b - F.softplus",
        "return 0 * v @ self.b - F.softplus",
    ),
    "moments take hidden units to be certain": (
        "h = self.hidden(v) * share[:, None]",
        "h = self.hidden(v).round() * share[:, None]",
    ),
    "moments of the pictures are of the hidden units": (
        "return [v.mT @ h, share @ v, h.sum(0)]",
        "return [v.mT @ h, share @ v, h.square().sum(0)]",
    ),
    "the sum over states forgets a bias": (
        "(h @ self.c + F.softplus(h @ self.weight.mT + self.b).sum(1)).logsumexp(0)",
        "F.softplus(h @ self.weight.mT + self.b).sum(1).logsumexp(0)",
    ),
    "samples are never pulled up": ("value + rate * (up - down)", "value + rate * up"),
    "the energy goes up at data": ("value + rate * (up - down)", "value - rate * (up - down)"),
    "samples are not drawn": (
        "drawn(machine.visible(drawn(machine.hidden(samples), noise)), noise)",
        "drawn(machine.visible(drawn(machine.hidden(samples), noise)), noise).round() * 0 + samples",
    ),
    "samples are the data": ("        machine.learn(batch, samples,", "        machine.learn(batch, batch,"),
    "the free energy of the weights has no gradient": (
        "- F.softplus(v @ self.weight + self.c)",
        "- F.softplus(v @ self.weight.detach() + self.c)",
    ),
    "the test is the training set": (
        "x, fresh = bars(TRAIN, data).to(device), bars(TEST, unseen).to(device)",
        "x = fresh = bars(TRAIN, data).to(device)",
    ),
    "hidden states are not binary": (
        "return (torch.arange(2**n)[:, None] >> torch.arange(n)) & 1",
        "return (torch.arange(2**n)[:, None] >> torch.arange(n)) & 2",
    ),
    "samples pull half": (
        "rate * (up - down)",
        "rate * (up - 0.5 * down)",
    ),
    "draws are turned round": (
        "< p).to(p.dtype)",
        "> p).to(p.dtype)",
    ),
    "chains restart at data": (
        "drawn(machine.hidden(samples), noise)), noise)",
        "drawn(machine.hidden(batch), noise)), noise)",
    ),
    "the mixture is fitted to the test": (
        "mixture(x, fresh, size, smooth, weights)",
        "mixture(fresh, fresh, size, smooth, weights)",
    ),
    "the mixture is one Bernoulli a pixel": (
        "(14, 100, 250, 500), (0.1",
        "(1,), (0.1",
    ),
}
FULL = {
    "samples are never pulled up",
    "the energy goes up at data",
    "samples are not drawn",
    "samples are the data",
    "the test is the training set",
    "samples pull half",
    "draws are turned round",
    "chains restart at data",
    "the mixture is fitted to the test",
    "the mixture is one Bernoulli a pixel",
}
