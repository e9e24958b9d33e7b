"""What the claims of constrained decoding must not forgive."""

MUTANTS = {
    "an object may end after a comma": (
        """"key": {'"a"': "colon", '"b"': "colon"}""",
        """"key": {'"a"': "colon", '"b"': "colon", "}": "closed"}""",
    ),
    "a list may end after a comma": ('"more": {"1": "item",', '"more": {"]": "after", "1": "item",'),
    "a record is complete before it has ended": (
        'ahead[0][..., STATES.index("end")] = 0.0',
        'ahead[0][..., STATES.index("closed")] = 0.0',
    ),
    "what has ended early is forgotten": ('ahead[-1][..., STATES.index("end")] = 0.0', "pass"),
    "the future is the likeliest one": ("ahead.append(log_q.logsumexp(-1))", "ahead.append(log_q.amax(-1))"),
    "the future counts by half": ('log_q + then if how == "aligned"', 'log_q + 0.5 * then if how == "aligned"'),
    "what is forbidden is only unlikely": (
        "log_q.masked_fill(then == -math.inf, -math.inf)",
        "log_q.masked_fill(then == -math.inf, -3.0)",
    ),
    "the mask counts one token too many": ("then = ahead[left, context", "then = ahead[left + 1, context"),
    "the last two tokens are swapped": ("log_p[context[:, 0], context[:, 1]]", "log_p[context[:, 1], context[:, 0]]"),
    "chances are not renormalized": ("return log_q.log_softmax(-1)", "return log_q"),
    "what no reader accepts counts": (
        "except ValueError:\n        return False",
        "except ValueError:\n        return True",
    ),
    "the model learns nothing": ("loss.backward()", "(0 * loss).backward()"),
}
FULL = {"a list may end after a comma", "an object may end after a comma", "the model learns nothing"}
