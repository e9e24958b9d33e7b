"""What the claims of the equivariant network must not forgive."""

MUTANTS = {
    "it sees coordinates, squared": ("return r.square().sum(-1, keepdim=True)", "return r.square()[..., :1]"),
    "it pushes along one axis": ("return r * w  #", "return w.expand(r.shape)  #"),
    "atoms send messages to themselves": ("(self.first(d) * others).sum(2)", "self.first(d).sum(2)"),
    "the largest message counts": ("(self.first(d) * others).sum(2)", "(self.first(d) * others).amax(2)"),
    "others' places pass no gradient": (
        "r = x[:, :, None] - x[:, None]  #",
        "r = x[:, :, None] - x[:, None].detach()  #",
    ),
    "messages pass no gradient": ("torch.cat([d, at, of], -1)", "torch.cat([d, at, of.detach()], -1)"),
    "an atom reads itself for the other": ("torch.cat([d, at, of], -1)", "torch.cat([d, at, at], -1)"),
    "fresh clouds begin with the trained": (
        "unseen, batches, copies, checks = (torch.Generator().manual_seed(6 * seed + k) for k in range(1, 6))",
        "unseen, batches, copies, checks = (torch.Generator().manual_seed(6 * seed + k) for k in (1, 1, 3, 4, 5))",
    ),
    "copies are turned, forces are not": ("(x[rows] @ turn, y[rows] @ turn)", "(x[rows] @ turn, y[rows])"),
    "the control writes nothing": ("        return w\n", "        return 0 * w\n"),
    "the control sees nothing": ("return torch.cat([r, super().sight(r)], -1)", "return r.new_zeros(*r.shape[:3], 4)"),
    "the control is not told the distance": ("torch.cat([r, super().sight(r)], -1)", "torch.cat([r, r[..., :1]], -1)"),
    "the control hardly learns": ("(0.01, 0.02)", "(0.01, 0.0005)"),
    "the ridge rules": ("0.1 * torch.eye(12", "1e4 * torch.eye(12"),
    "it sees the distance": ("r.square().sum(-1, keepdim=True)", "r.norm(dim=-1, keepdim=True)"),
    "an atom does not know itself": ("torch.cat([d, at, of], -1)", "torch.cat([d, 0 * at, of], -1)"),
    "energy of pairs": ("- 6 * near.sum(2).sqrt()", "- 3 * near.sum(2)"),
}
FULL = {
    "copies are turned, forces are not",
    "energy of pairs",
    "the control sees nothing",
    "the control is not told the distance",
    "the control hardly learns",
    "the ridge rules",
}
