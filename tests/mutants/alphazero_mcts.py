"""What the claims of AlphaZero must not forgive."""

MUTANTS = {
    "both players want the same": ("sign = 1.0 - 2 * ((back - depth) % 2)", "sign = 1.0 - 0 * ((back - depth) % 2)"),
    "the search ignores the probabilities": ("EXPLORE * prior[s] *", "EXPLORE / 9 *"),
    "what is much tried is not held back": (".sqrt() / (1 + seen)", ".sqrt() / (1 + 0 * seen)"),
    "the root of the own visits holds back": (".sqrt() / (1 + seen)", ".sqrt() / (1 + seen).sqrt()"),
    "the network's word counts where the game is over": (
        "torch.where(over[s], result[s], value[s])",
        "torch.where(over[s], value[s], value[s])",
    ),
    "only the first move is counted": (
        "visits[rows, node, a] += on.float()",
        "visits[rows, node, a] += on * (depth < 1)",
    ),
    "the value passes no gradient": ("(result - value).square()", "(result - value.detach()).square()"),
    "the probabilities pass no gradient": ("logits.log_softmax(-1).clamp", "logits.detach().log_softmax(-1).clamp"),
    "the error of the value is not squared": ("(result - value).square()", "(result - value).abs()"),
    "the sides are mixed up": ("[board > 0, board < 0]", "[board < 0, board > 0]"),
    "it learns its own probabilities, not the search's": (
        "history.append((s, preferred, on,",
        "history.append((s, prior[s], on,",
    ),
    "it learns the winner from one side only": (
        "(result[s] * (1 - 2 * (left % 2)))[counts]",
        "result[s][counts]",
    ),
}
FULL = {"it learns its own probabilities, not the search's", "it learns the winner from one side only"}
