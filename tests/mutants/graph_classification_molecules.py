"""What the claims on graph isomorphism networks must not forgive."""

MUTANTS = {
    "a node does not hear itself": ("return h + edges @ h  #", "return edges @ h  #"),
    "the sum is a mean": (
        "return h + edges @ h  #",
        "return h + edges @ h / edges.sum(-1, keepdim=True).clamp(min=1)  #",
    ),
    "neighbours get no gradient": ("return h + edges @ h  #", "return h + edges @ h.detach()  #"),
    "the last layer is not heard": ("held.append(h)", "held.append(h if layer is not self.layers[-1] else 0 * h)"),
    "places without a node count": (
        "h = layer(self.heard(edges, h)) * real[..., None]",
        "h = layer(self.heard(edges, h))",
    ),
    "a graph is the mean over places": ("torch.cat(held, -1).sum(1)  #", "torch.cat(held, -1).mean(1)  #"),
    "colours count neighbours alone": ("*sorted(c[u] for u in graph[v])", "*sorted(c[u] >= 0 for u in graph[v])"),
    "a round of colours less": ("recolour(graphs, LAYERS)]", "recolour(graphs, LAYERS - 1)]"),
    "nodes know their degree": ("[h := real[..., None]]", "[h := edges.sum(-1, keepdim=True)]"),
    "a graph is its largest node": ("torch.cat(held, -1).sum(1)  #", "torch.cat(held, -1).amax(1)  #"),
    "GCN does not scale": ("return scale * (looped @ (scale * h))  #", "return looped @ h  #"),
    "unseen pairs are trained on": ("for k in (0, 1))\n    twins", "for k in (0, 0))\n    twins"),
    "the twins are trained on": (".any(1)] = 2  #", ".any(1)] = 0  #"),
    "the lower score should win": ("F.softplus(low - high)", "F.softplus(high - low)"),
    "a tie counts": ("> SAME[1] * score.abs().max()).double()", ">= -SAME[1] * score.abs().max()).double()"),
}
FULL = {"the lower score should win", "a tie counts"}
