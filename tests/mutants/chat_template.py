"""What the claims of the chat template must not forgive."""

MUTANTS = {
    "the mark that opens a turn counts": (
        "own += [False] + (len(words) + 1) * [role == ASSISTANT]",
        "own += (len(words) + 2) * [role == ASSISTANT]",
    ),
    "the end of a turn does not count": (
        "(len(words) + 1) * [role == ASSISTANT]",
        "len(words) * [role == ASSISTANT] + [False]",
    ),
    "the user's words count": ("[role == ASSISTANT]  # the mark", "[role != SYSTEM]  # the mark"),
    "turns are not ended": ("tokens += [role, *words, END]", "tokens += [role, *words, role]"),
    "a token predicts itself": ("logits[:, :-1].flatten(0, 1)", "logits[:, 1:].flatten(0, 1)"),
    "what counts is one token off": ("m = counted[:, 1:]", "m = counted[:, :-1]"),
    "everything counts": ("(lost * m).sum() / m.sum()", "lost.mean() + 0 * m.sum()"),
    "the loss is spread over all tokens": ("(lost * m).sum() / m.sum()", "(lost * m).sum() / len(m)"),
    "the loss passes no gradient": ("(lost * m).sum() / m.sum()", "(lost.detach() * m + 0 * lost).sum() / m.sum()"),
    "the prompt does not ask for a reply": (
        "return render(chat)[0] + [ASSISTANT]",
        "return [*render(chat)[0], *[ASSISTANT][:0]]",
    ),
    "the end counts after all": ("lambda token, own: own and token != END", "lambda token, own: own"),
    "the wrong template is the right one": (
        "token for token in tokens if token not in MARKS[:3]",
        "token for token in tokens if token not in MARKS[:0]",
    ),
    "the system says what the user is to say": (
        'moved = [[(USER, ["polite", chat[-1][1][-1]])]',
        'moved = [[(SYSTEM, ["polite"]), (USER, chat[-1][1])]',
    ),
    "all training counts the assistant only": ('"all": lambda token, own: True', '"all": lambda token, own: own'),
    "the embedding passes no gradient": ("self.lstm(self.embed(tokens))", "self.lstm(self.embed(tokens).detach())"),
    "chats without end marks have them": ('for x, own in row if x != END or name != "no end"', "for x, own in row"),
    "swapped roles stay": ("{USER: ASSISTANT, ASSISTANT: USER}", "{USER: USER, ASSISTANT: ASSISTANT}"),
    "the last mark stays": ("lambda tokens: tokens[:-1]", "lambda tokens: tokens"),
    "the user's word makes it polite": ('if style == "polite" else ways', 'if before == ["polite"] else ways'),
    "nothing of an answer counts": ("lambda token, own: own and token != END", "lambda token, own: token == USER"),
}
FULL = {
    "all training counts the assistant only",
    "chats without end marks have them",
    "nothing of an answer counts",
    "swapped roles stay",
    "the end counts after all",
    "the last mark stays",
    "the prompt does not ask for a reply",
    "the system says what the user is to say",
    "the user's word makes it polite",
    "the wrong template is the right one",
}
