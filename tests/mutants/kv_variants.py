"""What the claims of the KV cache variants must not forgive."""

MUTANTS = {
    "all groups read the first key": (
        "(t.unflatten(-1, (self.groups, HEAD)).transpose(1, 2) for t in cache)",
        "(t.unflatten(-1, (self.groups, HEAD)).transpose(1, 2)[:, :1] for t in cache)",
    ),
    "queries far apart share a key": (
        "q = self.q(asked).unflatten(-1, (self.groups, -1, HEAD))",
        "q = self.q(asked).unflatten(-1, (-1, self.groups, HEAD)).transpose(1, 2)",
    ),
    "the scores of groups are not scaled": (
        "weights = (q @ k.mT / math.sqrt(HEAD)).softmax(-1)",
        "weights = (q @ k.mT).softmax(-1)",
    ),
    "the cached keys get no gradient": (
        "return [self.k(tokens), self.v(tokens)]",
        "return [self.k(tokens).detach(), self.v(tokens)]",
    ),
    "MLA caches the token itself": (
        "return [self.down(tokens)]",
        "return [self.down(tokens), tokens]",
    ),
    "MLA scales by the latent's width": (
        "weights = (q @ c.mT / math.sqrt(HEAD)).softmax(-1)",
        "weights = (q @ c.mT / math.sqrt(RANK)).softmax(-1)",
    ),
    "MLA expands no values": (
        "weights @ c, up_v)",
        "weights @ c, up_k)",
    ),
    "the latent gets no gradient": (
        "c = cache[0]  # (B, N, r)",
        "c = cache[0].detach()  # (B, N, r)",
    ),
    "eight bits are cut off, not rounded": (
        "(t / scale).round().to(torch.int8)",
        "(t / scale).to(torch.int8)",
    ),
    "one scale for all": (
        "scale = t.abs().amax(dim, keepdim=True) / 127",
        "scale = t.abs().amax().expand(1, 1, 1) / 127",
    ),
    "sixteen bits are counted as eight": (
        "return sum(t.numel() * t.element_size() for t in cache)",
        "return sum(t.numel() * t.element_size() // 2 for t in cache)",
    ),
    "the latent takes the weakest directions": (
        "[0][:, :rank]  # U",
        "[0][:, -rank:]  # U",
    ),
    "one head of MHA is weak": (
        '"MHA, 2 heads": (2, 2)',
        '"MHA, 2 heads": (1, 1)',
    ),
    "the whole dictionary is one pair": (
        "which, rows = torch.randint(PAIRS,",
        "which, rows = torch.randint(1,",
    ),
    "what is read was never in eight bits": (
        '"MHA, 8 bits": [unpack(t) for t in packed]',
        '"MHA, 8 bits": caches["MHA"]',
    ),
}
FULL = {"one head of MHA is weak", "the latent takes the weakest directions", "the whole dictionary is one pair"}
