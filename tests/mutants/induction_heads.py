"""What the claims of induction heads must not forgive."""

MUTANTS = {
    "the future is read": (
        "scores.masked_fill(back < 0, -math.inf).softmax",
        "scores.masked_fill(back < 0, 0.0).softmax",
    ),
    "the scores are not scaled": ("q @ k.mT / math.sqrt(WIDTH) + self", "q @ k.mT + self"),
    "the distance gets no gradient": (
        "self.distance[back.clamp(min=0)]  # by",
        "self.distance.detach()[back.clamp(min=0)]  # by",
    ),
    "the weights get no gradient": (
        "return self.out(weights @ v), weights",
        "return self.out(weights.detach() @ v), weights",
    ),
    "the second head does not read the first": (
        "head(F.rms_norm(x, (WIDTH,)))\n",
        "head(F.rms_norm(self.enter(tokens), (WIDTH,)))\n",
    ),
    "the first layer passes no gradient": ("x = x + added", "x = x.detach() + added"),
    "the period is the same in all": (
        "block.gather(1, place % period), place[1:] >= period",
        "block.gather(1, place % 6 + 0 * period), place[1:] >= period",
    ),
    "the rival is not trained": ("lost.mean().backward()", "(lost.mean() * (len(net.heads) > 1)).backward()"),
    "the answer stands before the question": (
        "torch.cat([*said, pairs[rows, asked, :1]], 1)",
        "torch.cat([*said, pairs[rows, asked], pairs[rows, asked, :1]], 1)",
    ),
}
FULL = {"the period is the same in all", "the rival is not trained", "the answer stands before the question"}
