"""What the claims of unlearning must not forgive."""

MUTANTS = {
    "the step goes the other way": (
        "return w + torch.linalg.solve(curvature,",
        "return w - torch.linalg.solve(curvature,",
    ),
    "the gradient is not brought through the curvature": (
        "torch.linalg.solve(curvature, removed.flatten())",
        "(removed.flatten() / curvature.diagonal())",
    ),
    "the removed rows stay in the shard": ("self.keep = self.keep & ~gone", "self.keep = self.keep"),
    "another shard is trained again": ("self.nets[k] = self.train(k)", "self.nets[k - 1] = self.train(k - 1)"),
    "it begins elsewhere": ("self.seed + k)", "self.seed + k + int((~self.keep).sum()))"),
    "all shards are trained again": ("if (self.rows(k) & gone).any()", "if gone.any()"),
    "shards overlap": ("% SHARDS == k)", "% SHARDS <= k)"),
    "the classes are independent": (
        "spread = torch.diag_embed(p) - p[:, :, None] * p[:, None]",
        "spread = torch.diag_embed(p)",
    ),
    "the gradient forgets the labels": (
        "((x @ w).softmax(1) - y) + penalty",
        "((x @ w).softmax(1) - y.mean(0)) + penalty",
    ),
    "the gradient forgets the penalty": ("- y) + penalty * w", "- y)"),
    "the curvature has the penalty twice": ("return h + penalty * torch", "return h + 2 * penalty * torch"),
    "the retrained model saw the removed rows": ("fitted(x[rest], y[rest])\n", "fitted(x[:TRAIN], y[:TRAIN])\n"),
    "ascent is descent": ("y[gone], -rate, 0.0", "y[gone], rate, 0.0"),
    "descent sees the removed rows": (
        "walk(before, x[rest], y[rest], rate,",
        "walk(before, x[:TRAIN], y[:TRAIN], rate,",
    ),
    "the curvature of the removed rows stays": ("whole - curvature(x[gone], before)", "whole"),
    "the influence function knows the rows that stay": (
        "before), whole))",
        "before), whole - curvature(x[gone], before)))",
    ),
    "the gradient is that of the answer": ("slope(x[gone], y[gone], before)", "slope(x[gone], y[gone], retrained)"),
    "the fit stops early": ("in range(12)", "in range(4)"),
    "descent has no momentum": ("speed = MOMENTUM * speed - rate", "speed = -rate"),
    "descent forgets the penalty": ("slope(x, y, path[-1], penalty)", "slope(x, y, path[-1])"),
    "ascent sees the rows that stay": (
        "walk(before, x[gone], y[gone], -rate, 0.0,",
        "walk(before, x[rest], y[rest], rate, PENALTY,",
    ),
    "one network answers": (".softmax(1) for net in self.nets]).mean(0)", ".softmax(1) for net in self.nets])[1]"),
    "the networks answer in logits": ("net(x).softmax(1) for net in self.nets", "net(x) for net in self.nets"),
    "it learns from all rows": (
        "F.cross_entropy(net(self.x[held]), self.y[held])",
        "F.cross_entropy(net(self.x), self.y)",
    ),
    "it looks after forgetting": (
        "touched = [k for k in range(SHARDS) if (self.rows(k) & gone).any()]\n        self.keep = self.keep & ~gone",
        "self.keep = self.keep & ~gone\n        touched = [k for k in range(SHARDS) if (self.rows(k) & gone).any()]",
    ),
}
FULL = {
    "ascent is descent",
    "the retrained model saw the removed rows",
    "the fit stops early",
    "the influence function knows the rows that stay",
    "descent forgets the penalty",
    "descent sees the removed rows",
    "ascent sees the rows that stay",
    "the gradient is that of the answer",
    "descent has no momentum",
    "the curvature of the removed rows stays",
}
