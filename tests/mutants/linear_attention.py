"""What the claims of linear attention and the delta rule must not forgive."""

MUTANTS = {
    "the recurrence forgets": (
        "state = state + k_t[:, :, None] * v_t[:, None]",
        "state = 0.9 * state + k_t[:, :, None] * v_t[:, None]",
    ),
    "the past passes no gradient": (
        "state = state + k_t[:, :, None] * v_t[:, None]",
        "state = state.detach() + k_t[:, :, None] * v_t[:, None]",
    ),
    "it reads before it writes": (
        "        y = (q_t[:, None] @ state)[:, 0]",
        "        y = (q_t[:, None] @ (state - 0.5 * k_t[:, :, None] * v_t[:, None]))[:, 0]",
    ),
    "the weights do not sum to one": ("out.append(y[:, :-1] / y[:, -1:])", "out.append(y[:, :-1])"),
    "the table's mask is one off": ("ahead: int = 0", "ahead: int = 1"),
    "the table's sums pass no gradient": (
        "scores @ v / scores.sum(-1, keepdim=True)",
        "scores @ v / scores.detach().sum(-1, keepdim=True)",
    ),
    "the delta rule reads nothing first": ("(v_t - erase * held)[:, None]", "(v_t - 0 * held)[:, None]"),
    "what it reads passes no gradient": ("(v_t - erase * held)", "(v_t - erase * held.detach())"),
    "it writes in full": (
        "state = state + b_t[:, :, None] * k_t[:, :, None]",
        "state = state + k_t[:, :, None]",
    ),
    "the system holds each key's own": (".tril(-1) + torch.eye", ".tril() + torch.eye"),
    "the values of the system are not gated": ("(system, b * v, upper=False)", "(system, v, upper=False)"),
    "the keys of the table are as long as they come": (
        "q, k, b = unit(q), unit(k), (gate + 2).sigmoid()\n    system",
        "q, k, b = unit(q), 1.1 * unit(k), (gate + 2).sigmoid()\n    system",
    ),
    "the state keeps every token": (
        "return torch.stack(out, 1), state\n\n\ndef linear_table",
        "return torch.stack(out, 1), k\n\n\ndef linear_table",
    ),
    "softmax reads the last 8 tokens alone": ("width: int = TOKENS", "width: int = 8"),
    "softmax has no preference": ("scores = q @ k.mT - back * F.softplus(gate)", "scores = q @ k.mT"),
    "decay fades nothing": (".clamp(max=0).exp()", ".clamp(max=0).mul(0).exp()"),
    "the asked key is the one at hand": (
        "* (at + 1)).long())",
        "* 0 + at).long())",
    ),
    "the answer is the oldest value": ("* at).amax(-1)", "/ (at + 1)).argmax(-1)"),
    "linear attention does not learn": ("LINEAR: 0.15}", "LINEAR: 0.0}"),
    "the decay passes no gradient": ("total = F.logsigmoid(gate + 3)", "total = F.logsigmoid(gate.detach() + 3)"),
    "the questions are of what is to come": ("* (at + 1)).long())", "* TOKENS).long())"),
    "the answer is among the values": (
        "return key, label, ask, label.gather(1, newest)",
        "return key, label.gather(1, newest), ask, label.gather(1, newest)",
    ),
    "delta reads with the asked key": ("held = (k_t[:, None] @ state)", "held = (q_t[:, None] @ state)"),
    "keys and questions may be of any length": (
        "unit = partial(F.normalize, dim=-1)",
        "unit = partial(torch.mul, other=1.0)",
    ),
    "the slope is up": ("scores = q @ k.mT - back", "scores = q @ k.mT + back"),
    "the window is wide": ("partial(softmax, width=8)", "partial(softmax, width=24)"),
    "phi is not positive": ("return F.elu(x) + 1", "return F.elu(x)"),
    "it trains on few keys alone": ("stream(BATCH, data))", "stream(BATCH, data, (2,)))"),
    "one load is asked for all": ("stream(150, unseen, (load,))", "stream(150, unseen, (2,))"),
    "the decay is one for all channels": ("D if name == DECAY else 1", "1"),
}
FULL = {
    "the decay passes no gradient",
    "softmax has no preference",
    "the slope is up",
    "keys and questions may be of any length",
    "it trains on few keys alone",
    "the asked key is the one at hand",
    "linear attention does not learn",
    "the decay is one for all channels",
    "the answer is among the values",
    "the window is wide",
    "one load is asked for all",
    "the questions are of what is to come",
    "softmax reads the last 8 tokens alone",
    "decay fades nothing",
    "the answer is the oldest value",
}
