"""Chat template — marks say who speaks and where a turn ends; with wrong marks the same weights often fail.

A language model continues one row of tokens. A template makes such a row of a chat: a role mark (system, user or
assistant) opens each turn, an end mark closes it, and a last assistant mark asks for the reply. A small LSTM learns
invented chats: a user names a room, the assistant says the two to four steps of the way to it, between "please" and
"thanks" where the system prompt says "polite"; from the user, that word counts for nothing. Four trainings see the
same chats. In the first, only the assistant's own tokens count, its end mark too. If all tokens count, the model
writes a last mark that the prompt lacks; the first does not, and may then miss the answer. If of the assistant's
tokens the end mark does not count (as happens where it doubles as padding), the reply runs on behind the answer, to
the limit of 12 tokens. If there are no end marks, as in a transcript, the model answers, then speaks for the user; to
cut the reply at the next role mark would mend that. All is learned by heart: test chats are drawn anew, but of the
same rooms and phrases, and many a short one was seen in training.

Needs:  torch
Source: L. Ouyang et al., Training language models to follow instructions with human feedback, NeurIPS 2022;
        M. Carrigan, Chat Templates: An End to the Silent Performance Killer, Hugging Face blog, 2023
"""

import copy
import math
import random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# %% the concept

SYSTEM, USER, ASSISTANT, END = MARKS = ("<system>", "<user>", "<assistant>", "<end>")
Chat = list[tuple[str, list[str]]]  # each turn: its role, its words


def render(chat: Chat) -> tuple[list[str], list[bool]]:
    """The tokens of a chat, and which of them are the assistant's own: its words and the end of its turn."""
    tokens, own = [], []
    for role, words in chat:
        tokens += [role, *words, END]
        own += [False] + (len(words) + 1) * [role == ASSISTANT]  # the mark that opens a turn is put, not written
    return tokens, own


def prompt(chat: Chat) -> list[str]:
    return render(chat)[0] + [ASSISTANT]  # whose turn it is now


def chat_loss(logits: Tensor, tokens: Tensor, counted: Tensor) -> Tensor:  # (B, T, V), (B, T), (B, T) -> ()
    """- sum_t m_t log p(x_t | x_1 .. x_t-1) / sum_t m_t, with m_t = 1 where a token counts, else 0."""
    lost = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    m = counted[:, 1:].flatten().to(lost)
    return (lost * m).sum() / m.sum()


COUNTED = {  # what counts in four trainings: (token, is it the assistant's own?) -> bool
    "assistant": lambda token, own: own,
    "all": lambda token, own: True,
    "end uncounted": lambda token, own: own and token != END,
    "no end": lambda token, own: True,  # its chats have no end marks
}

# %% its control

TEMPLATES = {  # what becomes of the tokens of a prompt
    "as trained": lambda tokens: tokens,
    "roles swapped": lambda tokens: [{USER: ASSISTANT, ASSISTANT: USER}.get(token, token) for token in tokens],
    "no roles": lambda tokens: [token for token in tokens if token not in MARKS[:3]],
    "no last mark": lambda tokens: tokens[:-1],
}

# %% the experiment

ROOMS = "lab office kitchen library garage studio chapel cellar archive gym lounge clinic attic bar bank pool".split()
ROOMS += "stage shop vault terrace court hall depot tower".split()
STEPS, STYLES = "left right up down along across".split(), ["brief", "polite"]
WORDS = [*MARKS, *ROOMS, *STEPS, *STYLES, "where", "is", "the", "please", "thanks"]
TRAIN, TEST, BATCH, TURNS, WIDTH, RATE, LIMIT = 600, 60, 24, 2, 48, 2e-2, 12


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.lstm = nn.Embedding(len(WORDS), WIDTH), nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.leave = nn.Linear(WIDTH, len(WORDS))
        self.lstm.bias_hh_l0.data[WIDTH : 2 * WIDTH] = 2  # it forgets little to begin with

    def forward(self, tokens: Tensor) -> Tensor:  # (B, T) -> (B, T, V)
        return self.leave(self.lstm(self.embed(tokens))[0])


def chats(n: int, ways: dict[str, list[str]], draw: random.Random, *styles: str) -> list[Chat]:
    """Chats of one to TURNS questions, each with its answer; "" among the styles is no system prompt."""
    made = []
    for _ in range(n):
        style = draw.choice(styles)
        chat = [(SYSTEM, [style])] if style else []
        for _ in range(draw.randint(1, TURNS)):
            room, before = draw.choice(ROOMS), draw.choice([[], ["where", "is"], ["the"], [draw.choice(STYLES)]])
            answer = ["please", *ways[room], "thanks"] if style == "polite" else ways[room]
            chat += [(USER, [*before, room]), (ASSISTANT, answer)]
        made.append(chat)
    return made


def padded(rows: list[list]) -> Tensor:
    return torch.tensor([row + [0] * (max(map(len, rows)) - len(row)) for row in rows])


def ids(tokens: list[str]) -> list[int]:
    return [WORDS.index(token) for token in tokens]


@torch.no_grad()
def replies(net: Model, prompts: list[list[str]], device: str) -> list[list[str]]:
    """What it writes, each time the likeliest token, up to its end mark or LIMIT tokens."""
    texts = [ids(tokens) for tokens in prompts]
    for _ in range(LIMIT):
        last = torch.tensor([len(text) - 1 for text in texts], device=device)
        logits = net(padded(texts).to(device))[torch.arange(len(texts), device=device), last]
        texts = [[*text, token] for text, token in zip(texts, logits.argmax(1).tolist(), strict=True)]
    written = [[WORDS[i] for i in text[len(given) :]] for text, given in zip(texts, prompts, strict=True)]
    return [words[: words.index(END) + 1] if END in words else words for words in written]


def after(reply: list[str], answer: list[str]) -> list[str]:
    """What follows the right answer, before which an assistant mark may stand; nothing where the answer is missed."""
    reply = reply[reply[:1] == [ASSISTANT] :]
    return reply[len(answer) :] if reply[: len(answer)] == answer else []


def share(held: list[bool]) -> float:
    return sum(held) / len(held) if held else math.nan


def loss_gap(net: Model, some: list[Chat], late: int = 0) -> float:
    """Largest gap, in loss and gradients, to a text read token by token, f64; `late` takes one behind the next."""
    net, terms = copy.deepcopy(net).cpu().double(), []
    for chat in some:
        text = " ".join(f"{role} {' '.join(words)} <end>" for role, words in chat).split()
        state, speaker = None, ""
        for t, token in enumerate(text[:-1]):
            speaker = "" if token == END else token if token in MARKS else speaker
            y, state = net.lstm(net.embed(torch.tensor([ids([token])])), state)
            if speaker == ASSISTANT:
                following = text[min(t + 1 + late, len(text) - 1)]
                terms.append(-net.leave(y)[0, 0].log_softmax(0)[WORDS.index(following)])
    tokens, own = zip(*map(render, some), strict=True)
    tokens, found = padded([ids(row) for row in tokens]), []
    for loss in (chat_loss(net(tokens), tokens, padded([*own])), torch.stack(terms).mean()):
        found.append([loss.detach(), *torch.autograd.grad(loss, [*net.parameters()], materialize_grads=True)])
    return max((a - b).abs().max().item() for a, b in zip(*found, strict=True))


def run(device="cpu", seed=0, steps=250):
    data, unseen, batches = (random.Random(4 * seed + k) for k in (1, 2, 3))
    torch.manual_seed(4 * seed)  # weights; ways and chats, test chats, batches: streams of their own
    ways, rows, first = {room: data.choices(STEPS, k=data.randint(2, 4)) for room in ROOMS}, {}, Model()
    known = [[*zip(*render(chat), strict=True)] for chat in chats(TRAIN, ways, data, "", *STYLES)]
    for name, counts in COUNTED.items():
        kept = [[(x, own) for x, own in row if x != END or name != "no end"] for row in known]
        rows[name] = [(ids([x for x, _ in row]), [counts(x, own) for x, own in row]) for row in kept]
    nets = {name: copy.deepcopy(first).to(device) for name in rows}
    optimizers = {name: torch.optim.Adam(net.parameters()) for name, net in nets.items()}
    for step in range(steps):
        chosen, losses = batches.sample(range(TRAIN), BATCH), {}
        for name, net in nets.items():
            tokens, counted = (
                padded([*part]).to(device) for part in zip(*(rows[name][k] for k in chosen), strict=True)
            )
            loss = chat_loss(net(tokens), tokens, counted)
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    fresh, written = chats(TEST, ways, unseen, "", *STYLES), {}
    for name, net in nets.items():
        for template, change in TEMPLATES.items():
            prompts = [[x for x in change(prompt(chat[:-1])) if x != END or name != "no end"] for chat in fresh]
            written[name, template] = replies(net, prompts, device)
    rests = {
        key: [after(reply, chat[-1][1]) for reply, chat in zip(made, fresh, strict=True)]
        for key, made in written.items()
    }
    answered = {key: share([*map(bool, found)]) for key, found in rests.items()}
    right = {name: [rest for rest in rests[name, "as trained"] if rest] for name in nets}  # what follows right answers
    marked = {name: share([words[0] == ASSISTANT for words in written[name, "no last mark"]]) for name in nets}
    polite = [chat[:-1] for chat in chats(TEST, ways, unseen, "polite")]
    moved = [[(USER, ["polite", chat[-1][1][-1]])] for chat in polite]  # the same word, from the user
    said = [replies(nets["assistant"], [prompt(chat) for chat in some], device) for some in (polite, moved)]
    thanked = [share([reply[0] == "please" and "thanks" in reply for reply in some]) for some in said]
    shown = [[name, *(written[name, "as trained"][0] + LIMIT * [""])[:7]] for name in nets]
    return {
        "answered": answered["assistant", "as trained"],
        "wrong_answered": max(answered["assistant", wrong] for wrong in ("roles swapped", "no roles")),
        "mark_written": marked["all"],
        "mark_missed": marked["assistant"],
        "stops": share([rest == [END] for rest in right["assistant"]]),
        "uncounted_stops": share([END in rest for rest in right["end uncounted"]]),
        "speaks_for_user": share([rest[0] == USER for rest in right["no end"]]),
        "ended_speaks": share([USER in rest for rest in right["all"]]),
        "system_followed": thanked[0],
        "user_followed": thanked[1],
        "loss_gap": loss_gap(nets["all"], fresh[:4]),
        "late_gap": loss_gap(nets["all"], fresh[:4], late=1),
    }, {
        "share of prompts answered right": {
            "kind": "heatmap",
            "values": [[answered[name, template] for name in nets] for template in TEMPLATES],
            "rows": list(TEMPLATES),
            "columns": list(nets),
            "x": "what counts in training",
            "y": "template of the prompt",
        },
        "replies to one prompt": {"kind": "table", "columns": ["counted", *"1234567"], "rows": shown},
    }


# %% what is claimed

TITLE = {"en": "A chat needs the marks that the model was trained on", "zh": "对话须用模型训练时的标记"}
CURVES = "loss on what counts"
CPU_SECONDS = 3
CLAIMS = {
    "trained answered >= 0.95 > wrong_answered": {
        "en": "share of replies that begin with the right answer, only the assistant's tokens counted in training; "
        "control: the same weights, roles in the prompt swapped or left out, whichever does better",
        "zh": "回复以正确答案开头的比例（训练只计助手的词元）；对照：同样的权重，提示中角色互换或缺角色标记，取较好者",
    },
    "trained stops >= 0.95 > uncounted_stops": {
        "en": "share of right answers that end at once; control: share that ever end where the end mark did not count "
        "in training",
        "zh": "正确答案之后立即结束的比例；对照：训练损失不计结束标记时，答对的回复中最终能结束的比例",
    },
    "trained speaks_for_user >= 0.9 > ended_speaks": {
        "en": "share of right answers after which the model opens a user's turn, trained on chats without end marks; "
        "control: trained with them, all tokens counted",
        "zh": "训练对话没有结束标记时，答对后接着替用户说话的比例；对照：有结束标记、所有词元都计入损失的训练",
    },
    "trained mark_written >= 0.95 > mark_missed": {
        "en": "share of replies that begin with the last assistant mark where the prompt lacks it, all tokens "
        "counted in training; control: only the assistant's counted",
        "zh": "提示缺末尾助手标记时，回复先补上该标记的比例，训练时所有词元都计入损失；对照：只计助手的词元",
    },
    "trained system_followed >= 0.95 > user_followed": {
        "en": 'share of replies with "please" and "thanks" where the system prompt says "polite"; control: where the '
        "user says it",
        "zh": "系统提示词为 polite 时，回复带 please 和 thanks 的比例；对照：同一个词由用户说出",
    },
    "parity loss_gap <= 1e-10 < late_gap": {
        "en": "largest gap of loss and gradients to a text read token by token, only what follows within the "
        "assistant's turn counted (f64); control: a token further on",
        "zh": "损失与梯度同逐词元读入文本、只计助手话轮内后续词元的结果的最大差距（f64）；对照：取再后一个词元",
    },
}
ZH = {
    "loss on what counts": "计入部分的损失",
    "share of prompts answered right": "答对的提示所占比例",
    "what counts in training": "训练时计入损失的词元",
    "template of the prompt": "提示的模板",
    "assistant": "仅助手",
    "all": "全部",
    "end uncounted": "不计结束标记",
    "no end": "无结束标记",
    "as trained": "与训练时相同",
    "roles swapped": "角色互换",
    "no roles": "缺角色标记",
    "no last mark": "缺末尾标记",
    "replies to one prompt": "对同一提示的回复",
    "counted": "计入损失",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
