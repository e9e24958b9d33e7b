"""Constrained decoding — a mask of grammar and length makes every output valid JSON and bends the model's distribution.

A tiny exact model: a table of the next token given the last two, trained on short JSON records of which each token is
lost with chance 0.08. The grammar is an automaton: an object of the keys "a" and "b", with numbers (1 or 2) or lists of
them, in at most 14 tokens. Free decoding, the control, is valid as often as its own chance says. The mask forbids at
each step what cannot become valid in the tokens that are left; one that knows the grammar only, as is usual, is cut off
now and then. Every valid record is enumerated: the mask gives each another probability than the model's, given that it
is valid; weighting by the chance of a valid ending gives just that one. How far two distributions are apart is their
total variation, half the sum of the absolute differences.

Needs:  torch
Source: B. Willard, R. Louf, Efficient Guided Generation for Large Language Models, arXiv:2307.09702, 2023 (a mask);
        K. Park et al., Grammar-Aligned Decoding, NeurIPS 2024 (the distortion, and the expected future)
"""

import json
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOKENS = ["", "{", "}", "[", "]", ",", ":", '"a"', '"b"', "1", "2"]  # the first one begins and ends a record
LENGTH, LOST, BATCH, SAMPLES, RATE = 15, 0.08, 256, 4000, 0.1

# %% the concept

MOVES = {  # the grammar: state -> token -> next state; "" ends
    "start": {"{": "first"},
    "first": {"}": "closed", '"a"': "colon", '"b"': "colon"},
    "colon": {":": "value"},
    "value": {"1": "after", "2": "after", "[": "list"},
    "list": {"]": "after", "1": "item", "2": "item"},
    "item": {",": "more", "]": "after"},
    "more": {"1": "item", "2": "item"},
    "after": {",": "key", "}": "closed"},
    "key": {'"a"': "colon", '"b"': "colon"},
    "closed": {"": "end"},
    "end": {},
}
STATES = list(MOVES)


def automaton() -> Tensor:  # next state of each state and token, -1 where it is forbidden: (S, V)
    rows = [[STATES.index(moves[t]) if t in moves else -1 for t in TOKENS] for moves in MOVES.values()]
    return torch.tensor(rows)


def futures(log_p: Tensor, step: Tensor) -> Tensor:
    """Log chance of a valid ending, by tokens left, last two tokens and state: (L + 1, V, V, S); -inf: none."""
    v, s = len(TOKENS), len(STATES)
    ahead = [torch.full((v, v, s), -math.inf, dtype=log_p.dtype)]
    ahead[0][..., STATES.index("end")] = 0.0  # nothing is left, and the record is complete
    for _ in range(LENGTH):
        then = ahead[-1][:, :, step.clamp(min=0)]  # (V, V, S, V): of the token before and this one ...
        then = torch.diagonal(then, dim1=1, dim2=3)  # ... taken: (V, S, V), by the last token, state and token
        log_q = log_p[:, :, None] + then[None].masked_fill(step < 0, -math.inf)  # log p(t) + log V(next): (V, V, S, V)
        ahead.append(log_q.logsumexp(-1))
        ahead[-1][..., STATES.index("end")] = 0.0
    return torch.stack(ahead)


def choices(log_p: Tensor, context: Tensor, state: Tensor, left: int, step: Tensor, ahead: Tensor, how: str) -> Tensor:
    """Log chances of the next token, after which `left` tokens are left: (n, V)."""
    log_q = log_p[context[:, 0], context[:, 1]]
    if how == "local":  # what the grammar forbids here
        log_q = log_q.masked_fill(step[state] < 0, -math.inf)
    elif how != "free":
        tokens = torch.arange(len(TOKENS))
        then = ahead[left, context[:, 1:], tokens, step[state].clamp(min=0)].masked_fill(step[state] < 0, -math.inf)
        log_q = log_q + then if how == "aligned" else log_q.masked_fill(then == -math.inf, -math.inf)
    return log_q.log_softmax(-1)


# %% the experiment


def records(n: int, generator: torch.Generator) -> Tensor:
    """Records by random walks through the grammar, those too long left out, then tokens lost: (n, LENGTH)."""
    rows: list[list[int]] = []
    while len(rows) < n:
        state, text = "start", []
        for draw, kept in torch.rand(LENGTH - 1, 2, generator=generator).tolist():
            token = list(MOVES[state])[int(draw * len(MOVES[state]))]
            state = MOVES[state][token]
            text += [TOKENS.index(token)] * (kept > LOST)
            if state == "closed":
                rows.append(text + [0] * (LENGTH - len(text)))
                break
    return torch.tensor(rows)


def is_record(tokens: list[int]) -> bool:
    """By Python's JSON reader: ended in time, an object, its values numbers or lists of numbers."""
    if 0 not in tokens:
        return False
    try:
        read = json.loads(" ".join(TOKENS[t] for t in tokens[: tokens.index(0)]))
    except ValueError:
        return False
    values = list(read.values()) if isinstance(read, dict) else [None]
    return all(isinstance(v, int) or (isinstance(v, list) and all(isinstance(w, int) for w in v)) for v in values)


def every(state: str = "start", begun: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    """All records of the grammar that end in time."""
    if state == "end":
        return [begun]
    if len(begun) == LENGTH:
        return []
    return [r for token, then in MOVES[state].items() for r in every(then, (*begun, TOKENS.index(token)))]


def chances(log_p: Tensor, found: Tensor, step: Tensor, ahead: Tensor, how: str) -> Tensor:
    """Log chance with which a way of decoding writes each record, token by token: (n, LENGTH) -> (n,)."""
    context, state = torch.zeros(len(found), 2, dtype=torch.long), torch.zeros(len(found), dtype=torch.long)
    total, ended = log_p.new_zeros(len(found)), torch.zeros(len(found), dtype=torch.bool)
    for i, token in enumerate(found.T):
        log_q = choices(log_p, context, state, LENGTH - 1 - i, step, ahead, how)
        total += log_q.gather(1, token[:, None])[:, 0].masked_fill(ended, 0.0)
        ended = ended | (token == 0)
        context, state = torch.stack([context[:, 1], token], 1), step[state, token].clamp(min=0)
    return total


def sample(log_p: Tensor, step: Tensor, ahead: Tensor, how: str, generator: torch.Generator) -> list[list[int]]:
    context, state = torch.zeros(SAMPLES, 2, dtype=torch.long), torch.zeros(SAMPLES, dtype=torch.long)
    ended, out = torch.zeros(SAMPLES, dtype=torch.bool), []
    for i in range(LENGTH):
        q = choices(log_p, context, state, LENGTH - 1 - i, step, ahead, how).exp()
        q[ended] = F.one_hot(torch.tensor(0), len(TOKENS)).double()
        token = torch.multinomial(q, 1, generator=generator)[:, 0]
        ended = ended | (token == 0)
        context, state = torch.stack([context[:, 1], token], 1), step[state, token].clamp(min=0)
        out.append(token)
    return torch.stack(out, 1).tolist()


def run(device="cpu", seed=0, steps=150):
    torch.manual_seed(3 * seed)  # weights, records and samples: three streams
    data, draws = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    corpus = F.pad(records(2000, data), (2, 0))
    table = nn.Parameter(0.1 * torch.randn([len(TOKENS)] * 3).to(device))
    optimizer = torch.optim.Adam([table], lr=RATE)
    for k in range(steps):
        rows = corpus[torch.randint(len(corpus), (BATCH,), generator=data)]
        before, last, token = (rows[:, i : i + LENGTH].flatten() for i in range(3))
        alive = (last > 0) | (torch.arange(len(last)) % LENGTH == 0)  # what follows the end is not learned
        before, last, token = (t[alive].to(device) for t in (before, last, token))
        loss = F.cross_entropy(table[before, last], token)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield (k + 1) / steps, {"model": loss.item()}

    log_p, step = table.detach().cpu().double().log_softmax(-1), automaton()
    ahead, found = futures(log_p, step), torch.tensor([[*r, *[0] * (LENGTH - len(r))] for r in every()])
    exact = {how: chances(log_p, found, step, ahead, how) for how in ("free", "masked", "aligned")}
    valid = {
        how: sum(map(is_record, sample(log_p, step, ahead, how, draws))) / SAMPLES
        for how in ("free", "local", "masked", "aligned")
    }
    summed, whole = exact["free"].logsumexp(0), ahead[LENGTH, 0, 0, 0]
    given = exact["free"] - summed  # the model's own distribution, given that the record is valid
    bend = {how: 0.5 * (exact[how].exp() - given.exp()).abs().sum().item() for how in ("masked", "aligned")}
    ten = math.log(10)
    return {
        "masked_valid": valid["masked"],
        "whole_valid": valid["masked"],
        "aligned_valid": valid["aligned"],
        "free_valid": valid["free"],
        "local_valid": valid["local"],
        "masked_bend": bend["masked"],
        "aligned_bend": bend["aligned"],
        "masked_sum": abs(exact["masked"].exp().sum().item() - 1),
        "free_sum": abs(exact["free"].exp().sum().item() - 1),
        "valid_gap": abs(float(whole - summed)),
        "sample_gap": abs(valid["free"] - whole.exp().item()),
        "local_gap": abs(valid["local"] - whole.exp().item()),
        "short_gap": abs(float(ahead[LENGTH - 2, 0, 0, 0] - summed)),
    }, {
        "chance of each valid record, log10": {
            "kind": "scatter",
            "series": {
                name: ((given / ten).tolist(), (exact[how] / ten).tolist())
                for name, how in (("mask", "masked"), ("mask and future", "aligned"))
            },
            "x": "the model's, given that it is valid",
            "y": "as decoded",
        }
    }


# %% what is claimed

TITLE = {"en": "A mask that looks ahead makes every output valid", "zh": "向前看的掩码让每个输出都合法"}
CURVES = "cross-entropy"
CPU_SECONDS = 1
CLAIMS = {
    "trained masked_valid >= 1 > free_valid >= 0.55": {
        "en": "sampled records that a JSON reader and the schema accept, with the mask; control: free decoding",
        "zh": "使用掩码时，采样的记录被 JSON 解析器与模式接受的比例；对照：自由解码",
    },
    "trained whole_valid >= 1 > local_valid >= 0.93": {
        "en": "the same; control: a mask that does not look at how many tokens are left",
        "zh": "同上；对照：不顾剩余词元数的掩码",
    },
    "parity masked_sum <= 1e-10 < free_sum": {
        "en": "what the chances of all valid records lack to 1 with the mask (f64); control: free decoding",
        "zh": "使用掩码时所有合法记录的概率之和与 1 的差距（f64）；对照：自由解码",
    },
    "trained masked_bend >= 0.1 > aligned_bend": {
        "en": "total variation between what the mask writes and what the model says, given that it is valid; control: "
        "each token weighted by the chance of a valid ending",
        "zh": "掩码解码的分布与模型在合法条件下的分布之间的全变差；对照：每个词元按其合法收尾的概率加权",
    },
    "parity aligned_bend <= 1e-10 < masked_bend": {
        "en": "the same for tokens weighted by the chance of a valid ending (f64); control: the mask",
        "zh": "每个词元按合法收尾的概率加权时的全变差（f64）；对照：掩码",
    },
    "parity sample_gap <= 0.03 < local_gap": {
        "en": "share of 4000 freely sampled records that the reader accepts against the chance by the automaton; "
        "control: records sampled with the grammar's mask",
        "zh": "自由采样的 4000 条记录中被解析器接受的比例与自动机所得概率的差距；对照：按语法掩码采样的记录",
    },
    "parity valid_gap <= 1e-10 < short_gap": {
        "en": "log chance of a valid record, by the automaton against the sum over all of them (f64); the control "
        "allows two tokens fewer",
        "zh": "合法记录的对数概率：自动机递推与逐条枚举求和的差距（f64）；对照少允许两个词元",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "model": "模型",
    "chance of each valid record, log10": "每条合法记录的概率（log10）",
    "mask": "掩码",
    "mask and future": "掩码加收尾概率",
    "the model's, given that it is valid": "模型在合法条件下的概率",
    "as decoded": "解码所得的概率",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
