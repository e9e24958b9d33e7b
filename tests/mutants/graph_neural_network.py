"""What the claims on the graph network must not forgive."""

MUTANTS = {
    "a member does not hear itself": (
        "a = adjacency + torch.eye(len(adjacency)).to(adjacency)",
        "a = adjacency.clone()",
    ),
    "the average is of rows alone": ("return scale[:, None] * a * scale ", "return scale[:, None] ** 2 * a "),
    "the first layer has no edges": ("F.relu(a @ x @ self.first)", "F.relu(x @ self.first)"),
    "the second layer has no edges": ("return a @ h @ self.second", "return h @ self.second"),
    "nothing bends": ("h = F.relu(a @ x @ self.first)", "h = a @ x @ self.first"),
    "the first layer gets no gradient": ("return a @ h @ self.second", "return a @ h.detach() @ self.second"),
    "labelled members are asked": ("asked = ~labelled", "asked = torch.ones_like(labelled)"),
    "it trains on the sides of all": (
        "F.cross_entropy(logits[known], truth[known])",
        "F.cross_entropy(logits.flatten(0, 1), truth.flatten())",
    ),
    "the side is a feature": (
        "truth, seen = labelled.to(device), side.expand(TRIALS, -1).to(device), x.to(device)",
        "truth, seen = labelled.to(device), side.expand(TRIALS, -1).to(device), (x * side).to(device)",
    ),
    "all members are scored": ("right[asked].mean()", "right.mean()"),
    "label propagation is told all sides": (
        "hot = labelled[..., None] * F.one_hot(side, 2).double()",
        "hot = F.one_hot(side, 2).double().expand(TRIALS, -1, -1)",
    ),
}
FULL = {
    "all members are scored",
    "it trains on the sides of all",
    "label propagation is told all sides",
    "the side is a feature",
}
