"""What the claims of code generation must not forgive."""

MUTANTS = {
    "every operation is applied to the first list": ("operation(trace[-1]) for", "operation(trace[0]) for"),
    "programs run backwards": ("in programs.unbind(1):", "in programs.flip(1).unbind(1):"),
    "sums have no last digit": ("lambda x: x.cumsum(-1) % 10", "lambda x: x.cumsum(-1).clamp(max=9)"),
    "it rotates the other way": ("lambda x: x.roll(1, -1)", "lambda x: x.roll(-1, -1)"),
    "one estimate is the other": (
        "return 1 - (wrong.double() / (n - torch.arange(k).to(right.device))).prod(-1)",
        "return plug_in(k, right, n)",
    ),
    "drawn with replacement": (
        "wrong = n - right[..., None] - torch.arange(k).to(right.device)",
        "wrong = (n - right[..., None]).expand(*right.shape, k)",
    ),
    "one draw too many": ("(n - torch.arange(k).to(right.device))).prod(-1)", "(n + 1 - torch.arange(k))).prod(-1)"),
    "all k must be right": ("return 1 - (wrong.double()", "return (right[..., None].double() - wrong * 0"),
    "the control is unbiased": ("return 1 - (1 - right.double() / n) ** k", "return pass_at(k, right, n)"),
    "the lists are never run on": ("p = coder(now if guided else lists,", "p = coder(lists,"),
    "the control is the network itself": ('curves["not run"][9]', 'curves["run as written"][9]'),
    "the wanted lists are not seen": (
        "lists = F.one_hot(torch.cat([now, wanted], -1), 10)",
        "lists = F.one_hot(torch.cat([now, now], -1), 10)",
    ),
    "the next operation is written already": (
        "expand(-1, LENGTH, -1).tril(-1) - later",
        "expand(-1, LENGTH, -1).tril(0) - later.triu(1)",
    ),
    "nothing is learned": ("sum(losses.values()).backward()", "(0 * sum(losses.values())).backward()"),
    "training holds what is asked for": ("known = (~fresh).nonzero()", "known = (fresh | ~fresh).nonzero()"),
    "training is what is asked for": ("known = (~fresh).nonzero()", "known = fresh.nonzero()"),
    "programs are fresh whatever they do": ("fresh = torch.isin(does, torch", "fresh = torch.isin(does.roll(1), torch"),
    "a text is the same where one operation is": ("same = (best == target).all(1)", "same = (best == target).any(1)"),
    "it draws the least likely": ("wanted, written).softmax(1)", "wanted, written).neg().softmax(1)"),
    "operations are drawn at random": ("wanted, written).softmax(1)", "wanted, written).mul(0).softmax(1)"),
    "the network runs on what is wanted": ("now = trace[:, :-1] if guided", "now = trace[:, 1:] if guided"),
    "the text's verdict is that of the examples": (
        "((correct & ~same).sum()",
        "((correct & ~agree(best, target, lists).all(1)).sum()",
    ),
    "the tests are the examples": (
        "agree(of, target, tests).all(1) for name,",
        "agree(of, target, lists).all(1) for name,",
    ),
    "the first layer is not trained": (
        "nn.Sequential(first, nn.ReLU()",
        "nn.Sequential(first.requires_grad_(False), nn.ReLU()",
    ),
    "nines are tens": ("lambda x: 9 - x)", "lambda x: (10 - x) % 10)"),
    "it runs on the lists before last": ("execute(chosen, now)[:, -1]", "execute(chosen, now)[:, 0]"),
}
FULL = {
    "a text is the same where one operation is",
    "it draws the least likely",
    "it runs on the lists before last",
    "nothing is learned",
    "operations are drawn at random",
    "the control is the network itself",
    "the first layer is not trained",
    "the lists are never run on",
    "the network runs on what is wanted",
    "the next operation is written already",
    "the tests are the examples",
    "the text's verdict is that of the examples",
    "the wanted lists are not seen",
}
