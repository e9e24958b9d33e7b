"""Accountability — one hash over data, weights, decisions, settings, code: who holds it notices any later change.

A model of loans (synthetic) is trained, then grants or refuses; each row of data, each weight and decision, the
settings and the compiled code of the training become leaves of a hash tree. Who keeps its root, 32 bytes, notices any
later change: 250 of 1 down to a millionth all give another. The control, what a report keeps (settings, counts, loss
and accuracy to four digits), misses most; one hash of all would notice as much, and tell no place. Who keeps the tree
finds it: from the root down, two hashes a level lead there. One a level, at most, proves that a row was among the
data. Unmarked, a pair of hashes would pass for a row: leaves and nodes get marks. Repeated from the settings kept, on
the same machine, the run gives the same root; each score is the sum of an offset and six reasons. The limit: a tree
proves what was kept, not that it was right, and who can replace the root can replace all.

Needs:  torch
Source: R. Merkle, A Digital Signature Based on a Conventional Encryption Function, CRYPTO 1987; B. Laurie et al.,
        Certificate Transparency, RFC 6962, 2013; M. Mitchell et al., Model Cards for Model Reporting, FAT* 2019
"""

import marshal
import struct
from collections.abc import Callable
from hashlib import sha256

import torch
from torch import Tensor
from torch.nn import functional as F

# %% the concept

Levels, Record = list[list[bytes]], dict[str, Tensor]


def leaf(entry: bytes) -> bytes:
    return sha256(b"\0" + entry).digest()  # marked as a leaf


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def tree(low: list[bytes], join: Callable = node) -> Levels:
    """Leaves, hashes of pairs, of pairs of pairs, ... and the root; who has no partner moves up as it is."""
    levels = [low]
    while len(low) > 1:
        low = [join(*low[i : i + 2]) if i + 1 < len(low) else low[i] for i in range(0, len(low), 2)]
        levels.append(low)
    return levels


def proof(levels: Levels, i: int) -> list[tuple[bool, bytes]]:
    """What leaf i lacks on its way to the root: its partners, and whether they stand on the left."""
    return [(i >> k & 1 == 1, low[i >> k ^ 1]) for k, low in enumerate(levels[:-1]) if i >> k ^ 1 < len(low)]


def climb(start: bytes, partners: list[tuple[bool, bytes]], join: Callable = node) -> bytes:
    for is_left, partner in partners:
        start = join(partner, start) if is_left else join(start, partner)
    return start


def locate(kept: Levels, now: Levels) -> tuple[list[int], int]:
    """The leaves that differ, found from the root downwards, and how many hashes were compared."""
    differ, compared = [0] * (kept[-1] != now[-1]), 1
    for low, others in zip(kept[-2::-1], now[-2::-1], strict=True):
        below = [i for above in differ for i in (2 * above, 2 * above + 1) if i < len(low)]
        differ, compared = [i for i in below if low[i] != others[i]], compared + len(below)
    return differ, compared


# %% its control


def report(record: Record) -> tuple:
    """What else one keeps: settings, the number of rows and of refusals, loss and accuracy to four digits."""
    (x, y), w, answers = record["data"].tensor_split([REASONS], 1), record["weights"], record["decisions"][:, -1]
    scores = x @ w[1:] + w[0]
    loss, right = F.binary_cross_entropy_with_logits(scores, y), ((scores > 0) == (y > 0)).double().mean()
    return record["settings"].tolist(), len(x), int((answers == 0).sum()), f"{loss:.4f}", f"{right:.4f}"


def plain(*parts: bytes) -> bytes:  # a hash without a mark
    return sha256(b"".join(parts)).digest()


# %% the experiment

ROWS, ASKED, REASONS, BATCH, RATE, TRIALS, SHOWN = 768, 200, 6, 64, 0.5, 50, 16
LIST = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]  # Certificate Transparency's test, and its root
ROOT = "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"


def work(device: str, steps: int, seed: int, rate: float) -> tuple[Record, list[float]]:
    """Train, decide, and keep a record of it all, f64; and the losses."""
    data, order = (torch.Generator().manual_seed(3 * seed + k) for k in (0, 1))
    x = torch.randn(ROWS + ASKED, REASONS, generator=data)
    y = torch.rand(len(x), generator=data) < (x @ torch.linspace(-1.5, 1.5, REASONS) + 0.5).sigmoid()
    here, told, w, losses = x.to(device), y.float().to(device), torch.zeros(REASONS + 1).to(device), []
    for step in range(steps):
        batch = torch.randint(ROWS, (BATCH,), generator=order).to(device)
        w.requires_grad_()
        loss = F.binary_cross_entropy_with_logits(here[batch] @ w[1:] + w[0], told[batch])
        w = w.detach() - rate * (1 - step / steps) * torch.autograd.grad(loss, w)[0]
        losses.append(loss.item())
    scores = (here[ROWS:] @ w[1:] + w[0]).cpu()[:, None]
    record = {
        "data": torch.cat([x, y[:, None]], 1)[:ROWS],
        "weights": w.cpu()[:, None],
        "decisions": torch.cat([x[ROWS:], scores, scores > 0], 1),
        "settings": torch.tensor([[steps, seed, rate, ROWS, ASKED, BATCH]], dtype=torch.float64),
        "code": torch.tensor([list(marshal.dumps(work.__code__, 2))]),
    }
    return {name: rows.double() for name, rows in record.items()}, losses


def entries(record: Record) -> list[bytes]:
    return [struct.pack(f"<{len(row)}d", *row) for rows in record.values() for row in rows.tolist()]


def grown(record: Record) -> Levels:
    return tree([leaf(entry) for entry in entries(record)])


def changed(record: Record, name: str, size: float, g: torch.Generator) -> tuple[Record, int]:
    """With one number changed; and which entry that is."""
    rows, before = record[name].clone(), [len(record[other]) for other in list(record)[: list(record).index(name)]]
    i, j = (int(torch.randint(n, (), generator=g)) for n in rows.shape)
    rows[i, j] += size
    return record | {name: rows}, sum(before) + i


def proof_faults(low: list[bytes], leaf: Callable, join: Callable) -> int:
    """Entries whose proof fails, others that pass with it, pairs of hashes that pass for an entry, a wrong ROOT."""
    levels = tree([leaf(entry) for entry in low], join)
    faults = int(tree([leaf(bytes.fromhex(entry)) for entry in LIST], join)[-1][0].hex() != ROOT)
    for i, entry in enumerate(low):
        path, pair = proof(levels, i), b"".join(levels[0][i : i + 2])
        faults += [climb(leaf(entry), path, join)] != levels[-1]
        faults += [climb(leaf(low[i - 1]), path, join)] == levels[-1]
        faults += i % 2 == 0 and [climb(leaf(pair), path[1:], join)] == levels[-1]
    return faults


def picture(kept: Levels, now: Levels) -> dict:
    """Which nodes differ, and which ones the proof of the lowest needs."""
    at = {(k, i): ((i + 0.5) * 2**k, float(k)) for k, level in enumerate(kept) for i in range(len(level))}
    differ = [(k, i) for k, i in at if kept[k][i] != now[k][i]]
    needed = [(k, i ^ 1) for k, i in differ[:-1]]
    groups = {"as it was": [key for key in at if key not in differ + needed], "differs": differ, "its proof": needed}
    series = {name: ([at[key][0] for key in keys], [at[key][1] for key in keys]) for name, keys in groups.items()}
    edges = [(at[k, i], at[k + 1, i // 2]) for k, i in at if k + 1 < len(kept)]
    return {"kind": "scatter", "series": series, "edges": edges, "x": "leaf", "y": "level"}


def run(device="cpu", seed=0, steps=300):
    trials = torch.Generator().manual_seed(3 * seed + 2)
    record, losses = work(device, steps, seed, RATE)
    for step, loss in enumerate(losses):
        yield (step + 1) / steps, {"loss": loss}
    low, told = entries(record), report(record)
    kept, unseen, unreported = grown(record), 0, 0
    for name in record:
        for k in range(TRIALS):
            other, place = changed(record, name, 10.0 ** -(k % 7), trials)
            differ, compared = locate(kept, grown(other))
            unseen += differ != [place] or compared > 2 * len(kept) - 1  # the root, and two on each level below it
            unreported += report(other) == told
    count, key, rate = record["settings"][0, :3].tolist()
    again, slower = (work(device, int(count), int(key), r)[0] for r in (rate, 0.99 * rate))
    reasons, scores = record["decisions"].tensor_split([REASONS, REASONS + 1], 1)[:2]
    gaps = [float((reasons @ w[1:] + w[0] - scores).abs().max()) for w in (record["weights"], slower["weights"])]
    shown = picture(grown(few := {"data": record["data"][:SHOWN]}), grown(changed(few, "data", 1e-6, trials)[0]))
    return {
        "unseen_changes": unseen,
        "unreported_changes": unreported,
        "proof_faults": proof_faults(low, leaf, node),
        "unmarked_faults": proof_faults(low, plain, plain),
        "leaves_changed": sum(a != b for a, b in zip(low, entries(again), strict=True)),
        "other_leaves_changed": sum(a != b for a, b in zip(low, entries(slower), strict=True)),
        "score_gap": gaps[0],
        "other_score_gap": gaps[1],
    }, {"hash tree of 16 rows, one of which was changed": shown}


# %% what is claimed

TITLE = {"en": "A hash tree holds a run to account", "zh": "哈希树让一次训练可以追责"}
CURVES = "loss"
CPU_SECONDS = 1
CLAIMS = {
    "parity unseen_changes <= 0 < unreported_changes": {
        "en": "of 250 changes of the record those that the tree does not show in the right place, comparing two hashes "
        "a level; control: those that a report does not show",
        "zh": "对记录的 250 处改动中，树未能显示或指错位置的个数（每层只比较两个哈希）；对照：报告看不出的个数",
    },
    "parity proof_faults <= 0 < unmarked_faults": {
        "en": "proofs that fail, or pass for another entry or a pair of hashes, plus 1 if the root of a published "
        "test of RFC 6962 trees is missed; control: hashed without marks",
        "zh": "不成立、被他人借用或被哈希对冒用的证明数，与 RFC 6962 公开测试的根不符再加 1；对照：哈希时不加标记",
    },
    "parity leaves_changed <= 0 < other_leaves_changed": {
        "en": "entries that differ when the run is repeated from its settings; control: at a rate one per cent lower",
        "zh": "按记录的设置重跑后不同的条目数；对照：学习率低百分之一",
    },
    "parity score_gap <= 1e-5 < other_score_gap": {
        "en": "largest gap of a kept score to offset and six reasons by kept weights; control: by weights at that rate",
        "zh": "记录的得分与按记录的权重算出的常数项加六项理由的最大差距；对照：用学习率较低那次的权重",
    },
}
ZH = {
    "loss": "损失",
    "hash tree of 16 rows, one of which was changed": "16 行数据的哈希树，其中一行被改动",
    "differs": "不同",
    "its proof": "该叶的证明",
    "as it was": "未变",
    "leaf": "叶",
    "level": "层",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
