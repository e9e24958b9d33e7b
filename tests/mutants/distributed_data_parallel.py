"""What the claims of distributed data parallel must not forgive."""

MUTANTS = {
    "the ring stops a message early": ("for t in range(2 * (n - 1)):", "for t in range(2 * (n - 1) - 1):"),
    "what is full is added to": ("chunks[to][which] + message if adds else message", "chunks[to][which] + message"),
    "the wrong chunk is sent": ("which = (r - t) % n", "which = (r + t) % n"),
    "the second round is not counted": ("sent[r] += len(messages[r][1])", "sent[r] += adds * len(messages[r][1])"),
    "whole gradients are sent": ("sent[r] += len(messages[r][1])", "sent[r] += len(vectors[r])"),
    "each rank divides by its own part": (
        "found = [rank.gradient(mine, right, 1 / len(x)) for",
        "found = [rank.gradient(mine, right, 1 / len(mine)) for",
    ),
    "gradients are not cleared": ("        self.optimizer.zero_grad()\n", ""),
    "biases get no gradient": ("w.grad = part.view_as(w).clone()", "w.grad = part.view_as(w).clone() * (w.dim() > 1)"),
    "a rank keeps its own gradient": (
        "rank.step(total)\n    return sum(loss",
        "rank.step(found[0][0] if rank is ranks[0] else total)\n    return sum(loss",
    ),
    "the rival adds means": ("rank.step(total / len(ranks))", "rank.step(total)"),
    "no momentum": ("self.net.parameters(), RATE, MOMENTUM)", "self.net.parameters(), RATE)"),
    "the server sends twice": ("[len(total) * (len(vectors) - 1),", "[2 * len(total) * (len(vectors) - 1),"),
}
