"""What the claims on supervised learning must not forgive."""

MUTANTS = {
    "the loss is not normalized": ("(scores.logsumexp(1) - taken)", "(-taken)"),
    "the loss is a sum": ("(scores.logsumexp(1) - taken).mean()", "(scores.logsumexp(1) - taken).sum()"),
    "the normalizer gets no gradient": ("(scores.logsumexp(1) - taken)", "(scores.logsumexp(1).detach() - taken)"),
    "the gradients are not cleared": ("self.model.zero_grad()  #", "pass  #"),
    "velocities do not fade": ("v.mul_(MOMENTUM).add_", "v.add_"),
    "velocities are a mean": ("add_(p.grad)", "add_(p.grad, alpha=1 - MOMENTUM)"),
    "examples stay in one order": ("torch.randperm(len(self.x), generator=self.order)", "torch.arange(len(self.x))"),
    "the last batch is dropped": ("generator=self.order).split(BATCH)", "generator=self.order).split(BATCH)[:-1]"),
    "a checkpoint forgets the order": ('self.order.set_state(state["order"])', "pass"),
    "a checkpoint forgets the weights": ("p.data.copy_(saved_p)", "pass"),
    "the network is judged on what it learned from": ('"test": (x[b:], true[b:])', '"test": (x[:a], true[:a])'),
    "no name is wrong": ("generator=errors) < WRONG", "generator=errors) < 0"),
    "the last epoch is kept": ('if losses["validation"] < lowest', "if True"),
    "the network hardly learns": ("p.sub_(RATE * v)", "p.sub_(0.01 * RATE * v)"),
}
FULL = {"the network is judged on what it learned from", "no name is wrong", "the last epoch is kept"}
