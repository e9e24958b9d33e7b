"""Agent memory — a context forgets what leaves it; notes that are looked up keep it, if the newest is believed.

A simulated agent reads 400 messages and is asked at the end about each thing they spoke of. Seven in ten say something
of one of 60 things, some of which come up far oftener than others, and it replaces what was said of that thing before;
the rest is chatter. What is in its context the agent reads without error, but only 40 messages fit. A digest, the
newest message on each of 40 things, lasts longer than the last 40 messages; it never mistakes what a message is about.
Notes on all messages, outside the context, are found by the likeness of vectors: the same thing is never said in quite
the same words, so that each message and each question has the thing's vector and noise. The likest note is often an old
one; adding a bonus for newness helps, but not enough. Of the notes that are like enough, by a threshold that suits this
noise, the newest is nearly always right, and so is a store in which a new note replaces those that are like it.

Needs:  torch
Source: C. Packer et al., MemGPT: Towards LLMs as Operating Systems, 2023; J. S. Park et al., Generative Agents:
        Interactive Simulacra of Human Behavior, UIST 2023 (notes looked up by likeness, newness, importance)
"""

import torch
from torch import Tensor
from torch.nn import functional as F

MESSAGES, THINGS, ROOM, WIDTH, NOISE, CHATTER, LIKE = 400, 60, 40, 64, 0.6, 0.3, 0.6
BONUS = 0.5  # for the newest note in the control: the best of 0.1, 0.3, 0.5, 1 and 2

# %% the concept


def newest_alike(questions: Tensor, notes: Tensor) -> Tensor:  # (q, d), (n, d) -> (q,)
    """For each question the last note whose cosine with it is at least LIKE; -1 where none is."""
    alike = F.normalize(questions, dim=1) @ F.normalize(notes, dim=1).T >= LIKE
    return torch.where(alike, torch.arange(len(notes), device=notes.device), -1).amax(1)


def replacing(notes: Tensor) -> Tensor:  # (n, d) -> (kept,)
    """The notes that stay where a new one takes the place of all that are like it: none after them resembles them."""
    unit = F.normalize(notes, dim=1)
    return (~(unit @ unit.T >= LIKE).triu(1).any(1)).nonzero()[:, 0]


# %% its controls: the window, the digest, and the likest note


def likest(questions: Tensor, notes: Tensor, bonus: float = 0.0) -> Tensor:  # (q, d), (n, d) -> (q,)
    newness = torch.linspace(0, 1, len(notes)).to(notes)
    return (F.normalize(questions, dim=1) @ F.normalize(notes, dim=1).T + bonus * newness).argmax(1)


def in_window(last: Tensor) -> Tensor:
    """What of the last messages on each thing is still in the context; -1 where it has left."""
    return torch.where(last >= MESSAGES - ROOM, last, -1)


def in_digest(last: Tensor) -> Tensor:
    """The same where the context holds the newest message on each of as many things as fit."""
    return torch.where(last >= last.sort().values[-ROOM:][0], last, -1)


# %% the experiment


def stream(often: Tensor, vectors: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """The messages; the last on each thing spoken of; a question on each."""
    things = torch.multinomial(often, MESSAGES, True, generator=g)
    things[torch.rand(MESSAGES, generator=g) < CHATTER] = -1
    noise, doubt = torch.randn(MESSAGES + THINGS, WIDTH, generator=g).div(WIDTH**0.5).split([MESSAGES, THINGS])
    said = torch.where(things[:, None] < 0, noise, vectors[things] + NOISE * noise)
    last = torch.where(things == torch.arange(THINGS)[:, None], torch.arange(MESSAGES), -1).amax(1)
    spoken = last >= 0
    return said, last[spoken], (vectors + NOISE * doubt)[spoken]


def gap_to_loops(said: Tensor, questions: Tensor, first: bool = False) -> int:
    """In how many places the notes found, both ways, and those that stay differ from what loops over messages find."""
    cosine = [[F.cosine_similarity(a, b, dim=0).item() for b in said] for a in [*questions, *said]]
    found = [[k for k, c in enumerate(row) if c >= LIKE] for row in cosine]
    there = [(row[:1] if first else row[-1:]) or [-1] for row in found[: len(questions)]]
    top = [row.index(max(row)) for row in cosine[: len(questions)]]
    stay = [i for i, row in enumerate(found[len(questions) :]) if (row[0] if first else row[-1]) == i]
    differ = sum(k != there[q][0] for q, k in enumerate(newest_alike(questions, said).tolist()))
    differ += sum(k != top[q] for q, k in enumerate(likest(questions, said).tolist()))
    return differ + len(set(stay) ^ set(replacing(said).tolist()))


def run(device="cpu", seed=0, steps=200):
    words, talk = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))
    often = torch.arange(1, THINGS + 1).double() ** -0.7
    often = often / often.sum()
    vectors = F.normalize(torch.randn(THINGS, WIDTH, generator=words), dim=1)
    right = dict.fromkeys(("window", "digest", "newest alike", "likest", "likest and new", "replacing"), 0.0)
    asked, by_age = 0, torch.zeros(len(right), 2, 4)
    for step in range(steps):
        said, last, questions = (t.to(device) for t in stream(often, vectors, talk))
        kept = replacing(said)
        answers = {
            "window": in_window(last),
            "digest": in_digest(last),
            "newest alike": newest_alike(questions, said),
            "likest": likest(questions, said),
            "likest and new": likest(questions, said, BONUS),
            "replacing": kept[likest(questions, said[kept])],
        }
        age = ((MESSAGES - 1 - last) // ROOM).clamp(max=3)
        for k, (name, answer) in enumerate(answers.items()):
            right[name] += (answer == last).sum().item()
            for a in range(4):
                at = age == a
                by_age[k, 0, a] += (answer == last)[at].sum().item()
                by_age[k, 1, a] += at.sum().item()
        asked += len(last)
        yield (step + 1) / steps, {name: r / asked for name, r in right.items()}

    share = {name: r / asked for name, r in right.items()}
    p = often * (1 - CHATTER)
    expected, chatterless = (((1 - (1 - q) ** ROOM).sum() / (1 - (1 - q) ** MESSAGES).sum()).item() for q in (p, often))
    lengths = torch.linspace(0.5, 2, 60).double()[:, None]  # that likeness is to ignore
    few = said[:60].cpu() * lengths, questions[:20].cpu() * lengths[:20]
    return {
        "notes_right": share["newest alike"],
        "window_right": share["window"],
        "digest_right": share["digest"],
        "digest_notes_right": share["digest"],
        "newest_right": share["newest alike"],
        "bonus_right": max(share["likest"], share["likest and new"]),
        "replaced_right": share["replacing"],
        "unreplaced_right": share["likest"],
        "window_off": abs(share["window"] / expected - 1),
        "chatterless_off": abs(share["window"] / chatterless - 1),
        "loop_gap": gap_to_loops(*few),
        "first_gap": gap_to_loops(*few, first=True),
    }, {
        "questions answered rightly, by the age of what is asked": {
            "kind": "heatmap",
            "values": (by_age[:, 0] / by_age[:, 1].clamp(min=1)).tolist(),
            "rows": list(right),
            "columns": ["0-39", "40-79", "80-119", "120-399"],
            "x": "messages since",
        }
    }


# %% what is claimed

TITLE = {"en": "Notes outlast the context, if the newest counts", "zh": "笔记比上下文更持久，前提是以最新为准"}
CURVES = "share answered rightly so far"
CPU_SECONDS = 1
CLAIMS = {
    "trained digest_right >= 0.69 > window_right >= 0.3": {
        "en": "share of questions answered from the newest message on each of 40 things; control: from the last 40 "
        "messages, as much room",
        "zh": "上下文存放 40 件事各自的最新消息时，答对的比例；对照：同样的空间存放最后 40 条消息",
    },
    "trained notes_right >= 0.98 > digest_notes_right >= 0.65": {
        "en": "share answered from notes on all messages, the newest that is like enough; control: the digest",
        "zh": "为所有消息做笔记，取足够相似者中最新的一条，答对的比例；对照：摘要",
    },
    "trained newest_right >= 0.98 > bonus_right >= 0.75": {
        "en": "the same share; control: the note of highest likeness, with or without a bonus of up to 0.5 for newness",
        "zh": "同一比例；对照：取相似度（加或不加至多 0.5 的新近奖励）最高的笔记",
    },
    "trained replaced_right >= 0.98 > unreplaced_right": {
        "en": "share answered from the likest note where a new one takes the place of those that are like it; control: "
        "where all stay",
        "zh": "新笔记替换与之相似的旧笔记时，取最相似者答对的比例；对照：旧笔记全部保留",
    },
    "trained window_off <= 0.03 < chatterless_off": {
        "en": "relative difference of the window's share from its closed form; control: the form without chatter",
        "zh": "窗口答对的比例与闭式解的相对差距；对照：不计闲谈的闭式解",
    },
    "parity loop_gap <= 0 < first_gap": {
        "en": "notes, found or staying, other than those by loops over 60 messages; control: loops that take the first",
        "zh": "找到或留下的笔记，与逐一循环 60 条消息所得不同的个数；对照：循环取相似者中最早的一条",
    },
}
ZH = {
    "share answered rightly so far": "到目前为止答对的比例",
    "window": "窗口",
    "digest": "摘要",
    "newest alike": "相似者中最新的",
    "likest": "最相似的",
    "likest and new": "相似且较新的",
    "replacing": "新旧替换",
    "questions answered rightly, by the age of what is asked": "答对的比例，按所问消息的新旧",
    "messages since": "此后的消息数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
