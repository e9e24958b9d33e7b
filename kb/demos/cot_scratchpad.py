"""Chain of thought — a net that writes down each step solves a task that it does not learn to solve in one go.

The shell game: a ball lies under one of five cups, cups are swapped in pairs eight times; where is the ball? A
Transformer of one layer reads the swaps and the start, then writes where the ball is after each swap, and reads what it
wrote; it is taught to, with the true states before it. Its control is the same net, trained on the same games with the
same labels for each swap and as many tokens, but dots stand where it would have written. So neither labels nor the
number of tokens makes the difference, but that each step may begin where the last one ended: then there is a table of
fifty entries to learn, ball and swap, and counts would do as well. Layers run one after another too, but they are few:
three do better than one after two or three swaps; trained five times as long on twice as many games a step, they find
some 35% of the balls after eight (not shown). A GRU carries a state from swap to swap anyway, and needs no writing. A
false step that is slipped in is believed.

Needs:  torch
Source: M. Nye et al., Show Your Work: Scratchpads for Intermediate Computation with Language Models, arXiv:2112.00114,
        2021; J. Wei et al., Chain-of-Thought Prompting Elicits Reasoning in Large Language Models, NeurIPS 2022; Z. Li
        et al., Chain of Thought Empowers Transformers to Solve Inherently Serial Problems, ICLR 2024
"""

from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CUPS, SWAPS, WIDTH, HEADS, BATCH, RATE, TESTS, FEW = 5, 8, 32, 2, 32, 5e-3, 1000, 200
PAIRS = list(combinations(range(CUPS), 2))  # token CUPS + i says: swap the cups of pair i
DOT = CUPS + len(PAIRS)

# %% the concept


def write(net: nn.Module, swaps: Tensor, said: Tensor) -> Tensor:  # (B, SWAPS), (B, k) -> (B, 1 + SWAPS)
    while said.shape[1] <= SWAPS:
        state = net(swaps, said)[:, -1].argmax(-1)  # state_t = net(question, state_0 .. state_(t-1)): one step on
        said = torch.cat([said, state[:, None]], 1)  # what is written is read in the next step
    return said


# %% its control


def dots(start: Tensor) -> Tensor:  # (B,) -> (B, SWAPS): the start, and tokens that say nothing
    return F.pad(start[:, None], (0, SWAPS - 1), value=DOT)


# %% the experiment


class Transformer(nn.Module):
    def __init__(self, layers: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(DOT + 1, WIDTH), nn.Embedding(SWAPS, WIDTH)
        block = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, CUPS)

    def forward(self, swaps: Tensor, said: Tensor) -> Tensor:  # (B, SWAPS), (B, t) -> (B, t, CUPS)
        tokens = torch.cat([swaps, said], 1)
        place = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.tokens(tokens) + self.places(place % SWAPS)  # swap t and token t of what is said share a place
        later = place > place[:, None]
        return self.head(self.blocks(x, later))[:, SWAPS:]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.gru = nn.Embedding(DOT + 1, WIDTH), nn.GRU(WIDTH, 2 * WIDTH)
        self.head = nn.Linear(2 * WIDTH, CUPS)

    def forward(self, swaps: Tensor, said: Tensor) -> Tensor:  # reads the start, then the swaps: (B, SWAPS, CUPS)
        x = self.tokens(torch.cat([said[:, :1], swaps], 1).T)  # time first
        return self.head(self.gru(x)[0][1:]).transpose(0, 1)


def follow(swaps: Tensor, start: Tensor) -> Tensor:  # (B, n), (B,) -> (B, 1 + n): where the ball is after each swap
    table = torch.arange(CUPS).repeat(len(PAIRS), 1)
    for i, (a, b) in enumerate(PAIRS):
        table[i, a], table[i, b] = b, a
    states = [start]
    for swap in swaps.T:
        states.append(table[swap - CUPS, states[-1]])
    return torch.stack(states, 1)


def games(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # swaps and states: (n, SWAPS), (n, 1 + SWAPS)
    start = torch.randint(CUPS, (n,), generator=generator)
    swaps = CUPS + torch.randint(len(PAIRS), (n, SWAPS), generator=generator)
    return swaps, follow(swaps, start)


def wrong_states(swaps: Tensor, states: Tensor, backward: bool = False) -> int:
    """How many differ from those found by swapping the items of a list."""
    wrong = 0
    for row, held in zip(swaps.tolist(), states.tolist(), strict=True):
        cups = [cup == held[0] for cup in range(CUPS)]
        for swap, state in zip(row[::-1] if backward else row, held[1:], strict=True):
            a, b = PAIRS[swap - CUPS]
            cups[a], cups[b] = cups[b], cups[a]
            wrong += cups.index(True) != state
    return wrong


def run(device="cpu", seed=0, steps=300):
    data, unseen = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    makers = {"writes states": lambda: Transformer(1), "dots, 1 layer": lambda: Transformer(1)}
    makers |= {"dots, 3 layers": lambda: Transformer(3), "GRU": Recurrent}
    nets = {}
    for name, maker in makers.items():
        torch.manual_seed(3 * seed)
        nets[name] = maker().to(device)
    optimizers = {name: torch.optim.Adam(net.parameters(), betas=(0.9, 0.98)) for name, net in nets.items()}
    for step in range(steps):
        swaps, states = (t.to(device) for t in games(BATCH, data))
        losses = {}
        for name, net in nets.items():
            said = states[:, :-1] if name == "writes states" else dots(states[:, 0])
            loss = F.cross_entropy(net(swaps, said).flatten(0, 1), states[:, 1:].flatten())
            optimizers[name].param_groups[0]["lr"] = RATE * min(1, (step + 1) / 20, 2 - 2 * step / steps)
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
            losses[name] = loss.item()
        yield (step + 1) / steps, losses

    swaps, states = games(TESTS, unseen)
    nets = {name: net.cpu().double() for name, net in nets.items()}
    net, start, half = nets["writes states"], states[:, 0], SWAPS // 2
    with torch.no_grad():
        answers = {name: other(swaps, dots(start)).argmax(-1) for name, other in nets.items()}
        written = write(net, swaps, start[:, None])
        asked, said = swaps[:FEW], written[:FEW]
        step_by_step = torch.cat([net(asked, said[:, : t + 1])[:, -1:] for t in range(SWAPS)], 1)
        chosen = step_by_step.gather(2, said[:, 1:, None])[..., 0]
        read, unread = (net(asked, held) - step_by_step for held in (said[:, :-1], dots(said[:, 0])))
        false = (written[:, half] + torch.randint(1, CUPS, (TESTS,), generator=unseen)) % CUPS
        misled = write(net, swaps, torch.cat([written[:, :half], false[:, None]], 1))
    answers["writes states"] = written[:, 1:]
    right = {name: (answer == states[:, 1:]).double().mean(0).tolist() for name, answer in answers.items()}
    implied, dotted = follow(swaps[:, half:], false)[:, -1], [right["dots, 1 layer"], right["dots, 3 layers"]]
    believed = (misled[:, -1] == implied) & (misled[:, -1] != states[:, -1])
    return {
        "written_right": right["writes states"][-1],
        "dots_right": max(held[-1] for held in dotted),
        "carried_right": right["GRU"][-1],
        "three_layers_right": right["dots, 3 layers"][-1],
        "twice_right": right["dots, 3 layers"][1],
        "half_right": max(held[half - 1] for held in dotted),
        "followed_share": float(believed.double().mean()),
        "unmoved_share": float((misled[:, -1] == states[:, -1]).double().mean()),
        "reading_gap": max(float(read.abs().max()), float((step_by_step.amax(2) - chosen).max())),
        "dots_gap": float(unread.abs().max()),
        "wrong_states": wrong_states(swaps, states),
        "backward_states": wrong_states(swaps, states, backward=True),
    }, {
        "the ball is found, by how often cups were swapped": {
            "kind": "lines",
            "series": {name: (list(range(1, SWAPS + 1)), held) for name, held in right.items() if name != "GRU"},
            "x": "swaps",
            "y": "share of right answers",
        }
    }


# %% what is claimed

TITLE = {"en": "Chain of thought: what is written down can be built on", "zh": "思维链：写下的步骤，可以接着推"}
CURVES = "cross-entropy"
CPU_SECONDS = 5
CLAIMS = {
    "trained written_right >= 0.99 > dots_right >= 0.16": {
        "en": "share of fresh games whose ball is found after eight swaps by the net that writes each step; control: "
        "nets with dots in place of the steps, of one layer or three, whichever is better (chance: 0.2)",
        "zh": "逐步写出球位的网络在新题中换杯八次后找对球的比例；对照：以点号代替所写步骤的一层或三层网络，取较好者"
        "（随机猜为 0.2）",
    },
    "trained carried_right >= 0.98 > three_layers_right >= 0.16": {
        "en": "the same for a GRU, which answers at once; control: the Transformer of three layers with dots",
        "zh": "同上，由不写步骤、直接回答的 GRU 作答；对照：用点号的三层 Transformer",
    },
    "trained twice_right >= 0.45 > half_right": {
        "en": "share of right answers after two swaps of the three layers with dots: they learned something; control: "
        "after four swaps, of the better net with dots",
        "zh": "用点号的三层网络换杯两次后答对的比例：说明它确实学到了东西；对照：换杯四次后，用点号的网络中较好者",
    },
    "trained followed_share >= 0.99 > unmoved_share": {
        "en": "share of games in which, after a false fourth state is put in, the answer is what follows from it, and "
        "so is wrong; control: the share in which it still is the right one",
        "zh": "把写下的第四个状态换成错误的之后，答案恰由该错误推出、因而答错的比例；对照：答案依然正确的比例",
    },
    "parity reading_gap <= 1e-10 < dots_gap": {
        "en": "largest gap between the scores while writing and those on reading all of it at once, and of what was "
        "written from the likeliest (f64); control: the scores on reading dots",
        "zh": "逐步书写时的得分与一次读完全文时的得分之间、所写状态与最可能状态之间的最大差距（f64）；"
        "对照：改为读点号时的得分",
    },
    "parity wrong_states <= 0 < backward_states": {
        "en": "states of the test games that differ from a list whose items are swapped; control: in reverse order",
        "zh": "测试题的状态与逐次交换列表元素所得不同的个数；对照：倒序交换",
    },
}
ZH = {
    "cross-entropy": "交叉熵",
    "writes states": "写出每步状态",
    "dots, 1 layer": "点号，1 层",
    "dots, 3 layers": "点号，3 层",
    "the ball is found, by how often cups were swapped": "找对球的比例与换杯次数",
    "swaps": "换杯次数",
    "share of right answers": "答对的比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
