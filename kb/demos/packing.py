"""Sequence packing — short texts share a row, each seeing only itself: the same training, with little padding.

A batch is a table, and texts differ in length: padding fills each row up to the longest text of its batch. Packing puts
several texts into a row (the longest first, each into the first row with room), with a mask that lets a token attend
only to its own text, and positions that begin anew with each. A small transformer (one head, no normalization) is
trained on the same 32 texts a step, padded and packed, and comes to the same. The controls leave out the mask, or let
positions run on. More texts packed at once usually waste less. Bucketing sorts a pool of texts by length, so
that those of a batch are much alike: it wastes more of the same 480, needs ten times as many to waste 1 % or so,
and its batches are no random samples. Texts are made up, each of steps of one size; places in tables are counted, time
is not: attention between texts is computed here, then masked.

Needs:  torch
Source: M. M. Krell, M. Kosec, S. P. Perez, A. Fitzgibbon, Efficient Sequence Packing without Cross-contamination:
        Accelerating Large Language Models without Impacting Performance, arXiv 2107.02027, 2021 (with other packings)
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY, WIDTH, LAYERS, ROW, TEXTS, POOL, RATE = 16, 24, 2, 64, 32, 480, 0.3

# %% the concept


def packed(texts: list[Tensor]) -> list[list[Tensor]]:
    """Rows of at most ROW tokens: the longest first, each into the first row with room."""
    rows: list[list[Tensor]] = []
    for text in sorted(texts, key=len, reverse=True):
        for row in rows:
            if sum(map(len, row)) + len(text) <= ROW:
                row.append(text)
                break
        else:
            rows.append([text])
    return rows


def table(rows: list[list[Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, the text of each (1, 2, ... in its row; 0 is padding) and its position there: (R, L) each."""
    tokens = [torch.cat(row) for row in rows]
    text = [torch.cat([torch.full_like(t, i) for i, t in enumerate(row, 1)]) for row in rows]
    position = [torch.cat([torch.arange(len(t)) for t in row]) for row in rows]
    return tuple(nn.utils.rnn.pad_sequence(part, batch_first=True) for part in (tokens, text, position))


def mask(text: Tensor) -> Tensor:
    """Block-diagonal and causal: (R, L) -> (R, L, L)."""
    own = text[:, :, None] == text[:, None]
    return own & torch.ones_like(own).tril()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(ROW, WIDTH)
        self.qkv = nn.ModuleList(nn.Linear(WIDTH, 3 * WIDTH) for _ in range(LAYERS))
        self.mlp = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)) for _ in range(LAYERS)
        )
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, x: Tensor, position: Tensor, sees: Tensor) -> Tensor:  # (R, L, W), (R, L), (R, L, L) -> (R, L, V)
        x = x + self.position(position)
        for qkv, mlp in zip(self.qkv, self.mlp, strict=True):
            x = x + F.scaled_dot_product_attention(*qkv(x).chunk(3, -1), sees)
            x = x + mlp(x)
        return self.head(x)


def loss(net: Net, tokens: Tensor, text: Tensor, position: Tensor, masked: bool = True) -> Tensor:
    """Mean over tokens that follow one of their own text."""
    sees = mask(text if masked else (text > 0).long())
    said = net(net.token(tokens), position, sees)[:, :-1]  # (R, L - 1, V)
    counts = (text[:, 1:] == text[:, :-1]) & (text[:, 1:] > 0)
    return F.cross_entropy(said[counts], tokens[:, 1:][counts])


# %% its control


def bucketed(texts: list[Tensor]) -> list[list[list[Tensor]]]:
    """Batches of rows, one text each, from a pool that is sorted by length."""
    ordered = sorted(texts, key=len)
    return [[[text] for text in ordered[i : i + TEXTS]] for i in range(0, len(ordered), TEXTS)]


# %% the experiment


def written(n: int, generator: torch.Generator) -> list[Tensor]:
    """Texts of 4 to ROW tokens, most of them short; each starts anywhere and goes on by a step of its own, 1 to 7."""
    lengths = (torch.randn(n, generator=generator) * 0.8 + 2.7).exp().clamp(4, ROW).long().tolist()
    first, step = (torch.randint(*ends, (n, 1), generator=generator) for ends in ((0, VOCABULARY), (1, 8)))
    return [t[:length] for t, length in zip((first + step * torch.arange(ROW)) % VOCABULARY, lengths, strict=True)]


def wasted(batches: list[list[list[Tensor]]]) -> float:
    """Share of the tables' places that hold padding."""
    texts = [table(rows)[1] for rows in batches]
    return sum(int((t == 0).sum()) for t in texts) / sum(t.numel() for t in texts)


def slopes(net: Net, value: Tensor) -> list[Tensor]:
    return [value.detach(), *torch.autograd.grad(value, [*net.parameters()])]


def apart(a: list[Tensor], b: list[Tensor]) -> float:
    return max((x - y).abs().max().item() for x, y in zip(a, b, strict=True))


def stripes(rows: list[list[Tensor]]) -> Tensor:
    """The first 32 rows (32, L): texts in two shades by turns, padding light."""
    text = table(rows[:32])[1]
    return torch.where(text > 0, 0.2 + 0.35 * ((text + torch.arange(32)[:, None] // 2) % 2), 1.0)


def run(device="cpu", seed=0, steps=80):
    torch.manual_seed(3 * seed)  # weights, training texts and other texts: three streams
    data, others = (torch.Generator().manual_seed(3 * seed + k) for k in (1, 2))
    start = Net().to(device)
    nets = {name: copy.deepcopy(start) for name in ("padded", "packed", "packed, no mask")}
    for step in range(steps):
        texts, losses = written(TEXTS, data), {}
        for name, net in nets.items():
            batch = (t.to(device) for t in table([[t] for t in texts] if name == "padded" else packed(texts)))
            value = loss(net, *batch, masked="no mask" not in name)
            for p, slope in zip(net.parameters(), torch.autograd.grad(value, [*net.parameters()]), strict=True):
                p.data -= RATE * slope
            losses[name] = value.item()
        yield (step + 1) / steps, losses

    pool = written(POOL, others)
    randomly = [pool[i : i + TEXTS] for i in range(0, POOL, TEXTS)]
    more = pool + written(9 * POOL, others)
    few = {"padded": wasted([[[t] for t in texts] for texts in randomly]), "packed": wasted([*map(packed, randomly)])}
    shares = {"padded": few["padded"], "bucketed": wasted(bucketed(pool)), "packed": wasted([packed(pool)])}
    nets = {name: net.cpu().double() for name, net in nets.items()}
    net, texts = nets["packed"], randomly[0]
    rows = packed(texts)
    tokens, text, position = table(rows)
    causal = torch.ones(1, ROW, ROW, dtype=torch.bool).tril()
    each = [net(net.token(t[None]), torch.arange(len(t))[None], causal[:, : len(t), : len(t)])[0, :-1] for t in texts]
    alone = slopes(net, F.cross_entropy(torch.cat(each), torch.cat([t[1:] for t in texts])))
    with torch.no_grad():
        tested = {name: loss(net, *table([[t] for t in pool])).item() for name, net in nets.items()}
    shown = [[[t] for t in texts], bucketed(pool)[len(pool) // TEXTS // 2], packed(pool)[-40:]]
    return {
        "packed_gap": apart(slopes(net, loss(net, tokens, text, position)), alone),
        "unmasked_gap": apart(slopes(net, loss(net, tokens, text, position, masked=False)), alone),
        "restart_gap": apart(slopes(net, loss(net, tokens, text, position)), alone),
        "running_gap": apart(slopes(net, loss(net, tokens, text, torch.arange(text.shape[1]).expand_as(text))), alone),
        "packed_harm": abs(tested["packed"] - tested["padded"]),
        "unmasked_harm": tested["packed, no mask"] - tested["padded"],
        "packed_wasted": shares["packed"],
        "bucketed_wasted": shares["bucketed"],
    }, {
        "32 rows of a table: texts in two shades, padding light": {
            "kind": "images",
            "images": [stripes(rows).tolist() for rows in shown],
            "titles": [*shares],
            "columns": 3,
        },
        "the share of padding, and the loss on texts alone": {
            "kind": "table",
            "columns": ["batches", "texts", "padding", "loss"],
            "rows": [
                *([name, "32", f"{few[name.split(',')[0]]:.3f}", f"{tested[name]:.3f}"] for name in nets),
                *([name, str(POOL), f"{shares[name]:.3f}", ""] for name in ("packed", "bucketed")),
                ["bucketed", str(10 * POOL), f"{wasted(bucketed(more)):.3f}", ""],
            ],
        },
    }


# %% what is claimed

TITLE = {"en": "Many texts in a row, and none sees another", "zh": "多条文本同排一行，互不可见"}
CURVES = "cross-entropy in training"
CPU_SECONDS = 3
CLAIMS = {
    "parity packed_gap <= 1e-10 < unmasked_gap": {
        "en": "largest gap of the packed loss and gradients to those of one text at a time (f64); control: without "
        "the mask",
        "zh": "打包后的损失与梯度同逐条计算的最大差距（f64）；对照：不加掩码",
    },
    "parity restart_gap <= 1e-10 < running_gap": {
        "en": "the same gap, where positions begin anew with each text; control: positions that run on",
        "zh": "同一差距，位置在每条文本开头重新计数；对照：位置一直往下数",
    },
    "trained packed_harm <= 0.00001 < unmasked_harm": {
        "en": "change of the loss on fresh texts, one in a row, when training is packed and not padded; "
        "control: packed without the mask",
        "zh": "训练由填充改为打包后，在新文本（每行一条）上损失的变化；对照：打包但不加掩码",
    },
    "parity packed_wasted <= 0.015 < bucketed_wasted <= 0.12": {
        "en": "share of places that hold padding when 480 texts are packed; control: 32 of like length a batch",
        "zh": "480 条文本打包后填充所占的比例；对照：按长度相近的 32 条分批",
    },
}
ZH = {
    "cross-entropy in training": "训练中的交叉熵",
    "padded": "填充",
    "packed": "打包",
    "packed, no mask": "打包，无掩码",
    "bucketed": "分桶",
    "32 rows of a table: texts in two shades, padding light": "表中 32 行：文本用两种灰度交替表示，填充为亮色",
    "the share of padding, and the loss on texts alone": "填充的比例，与单独文本上的损失",
    "batches": "批次",
    "texts": "文本数",
    "padding": "填充比例",
    "loss": "损失",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
