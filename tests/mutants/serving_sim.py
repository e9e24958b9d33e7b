"""What the claims of the serving simulation must not forgive."""

MUTANTS = {
    "nobody joins a batch under way": ("if self.continuous or not running:", "if not running:"),
    "the future is served": ("while waiting and waiting[0].arrival <= self.clock and len", "while waiting and len"),
    "an idle engine serves who is not there": ("self.clock = max(self.clock, waiting[0].arrival)", "self.clock += 0"),
    "answers go on by a token": ("if len(request.times) < request.answer]", "if len(request.times) <= request.answer]"),
    "prompts are read in one piece": ("take = min(request.unread, room)", "take = request.unread"),
    "reading costs nothing": ("STEP + DECODE * decoding + PREFILL * tokens", "STEP + DECODE * decoding"),
    "a block is known whatever stood before it": ("hash((key, *prompt[i", "hash((0, *prompt[i"),
    "the last token is not read either": ("len(prompt) - 1) if self.cached", "len(prompt)) if self.cached"),
    "nothing is remembered": ("if len(request.times) == 1 else ()", "if len(request.times) == 0 else ()"),
    "pages in the order of memory": ("pool[table].flatten(0, 1)", "pool[table.sort().values].flatten(0, 1)"),
    "the rest of the last page is read": ("flatten(0, 1)[:length]", "flatten(0, 1)[: length + 1]"),
    "the weights get no gradient": ("scores.softmax(-1), v)", "scores.softmax(-1).detach(), v)"),
    "each sequence holds a page too many": ("-(-size // BLOCK) * BLOCK", "(size // BLOCK + 2) * BLOCK"),
    "twice as much is reserved": ("len(request.prompt) + LONGEST", "len(request.prompt) + 3 * LONGEST"),
    "static batches are small": (
        "len(running) < self.slots:",
        "len(running) < (self.slots if self.continuous else 4):",
    ),
}
