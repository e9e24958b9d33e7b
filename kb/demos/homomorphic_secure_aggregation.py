"""Computing on hidden numbers — a server adds up what it cannot read, and the sum is exact.

Two ways. Paillier encryption: a product of ciphertexts decrypts to the sum of the numbers, a power to a multiple, so
that a server without the primes adds up clients' gradients and scores images by its linear model. Secure aggregation:
each pair of clients agrees on random masks; one adds them, the other subtracts them, modulo 2^32, and in the sum of all
they cancel. So five clients train a linear classifier of digits; their updates are rounded to multiples of 2^-16, as
are those of the plain sums beside it. Controls: ciphertexts that are added; encryption without its random factor, of
which anyone can make a table; updates without masks; masks that are used twice; a client that drops out of every
round, so that its partners' masks stay in the sum (real protocols recover from that). What the sums give away is not
asked. Simulated in one process, and a toy: the primes are famous, no generator is cryptographic, all keep to the rules.

Needs:  torch, scikit-learn
Source: P. Paillier, Public-Key Cryptosystems Based on Composite Degree Residuosity Classes, EUROCRYPT 1999;
        K. Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning, CCS 2017
"""

import random
from collections.abc import Callable
from itertools import combinations
from math import lcm, prod

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

CLIENTS, TRAIN, RATE, ONE, MODULUS = 5, 1200, 0.5, 2**16, 2**32
P, Q = 2**127 - 1, 2**89 - 1

# %% the concept

N = P * Q  # the public key; who knows the primes can decrypt


def encrypt(m: int, r: int) -> int:
    """c = (1 + n)^m r^n mod n^2, and (1 + n)^m = 1 + m n there; r is to be drawn anew each time."""
    return (1 + m * N) * pow(r, N, N**2) % N**2


def decrypt(c: int) -> int:
    """m = L(c^k) / k mod n, with k = lcm(p - 1, q - 1) and L(u) = (u - 1) / n; the upper half is negative."""
    k = lcm(P - 1, Q - 1)
    m = (pow(c, k, N**2) - 1) // N * pow(k, -1, N) % N
    return m if m <= N // 2 else m - N


def total(ciphertexts: list[int]) -> int:
    """E(a) E(b) = E(a + b): the encrypted sum, made without the primes."""
    return prod(ciphertexts) % N**2


def weighted(ciphertexts: list[int], weights: list[int]) -> int:
    """E(a)^w = E(w a): the encrypted dot product with whole numbers of one's own."""
    return total([pow(c, w, N**2) for c, w in zip(ciphertexts, weights, strict=True)])


def masked(x: Tensor, client: int, masks: dict[tuple[int, int], Tensor]) -> Tensor:
    """y_i = x_i + sum_(j > i) s_ij - sum_(j < i) s_ji mod 2^32; over the clients the masks cancel."""
    for (i, j), mask in masks.items():
        x = x + mask * ((client == i) - (client == j))
    return x % MODULUS


def unmasked_sum(sent: list[Tensor]) -> Tensor:
    """What the server learns: the sum of the x_i, the upper half of the range being negative."""
    return (sum(sent) + MODULUS // 2) % MODULUS - MODULUS // 2


# %% its control


def added(ciphertexts: list[int]) -> int:
    return sum(ciphertexts) % N**2


def read_by_table(images: list[list[int]], lock: Callable[[int], int]) -> float:
    """Share of encrypted inputs that stand in a table of 0 to 16, which anyone can make with the public key."""
    table, locked = {lock(m) for m in range(17)}, [lock(m) for row in images for m in row]
    return sum(c in table for c in locked) / len(locked)


# %% the experiment


def update(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """A client's share of the gradient of the mean loss, in fixed point: (65, 10)."""
    g = x.mT @ ((x @ w).softmax(1) - F.one_hot(y, 10)) / TRAIN
    return (g.cpu().double() * ONE).round().long()


def draw_masks(shape: torch.Size, generator: torch.Generator) -> dict[tuple[int, int], Tensor]:
    return {pair: torch.randint(MODULUS, shape, generator=generator) for pair in combinations(range(CLIENTS), 2)}


def unevenness(sent: Tensor) -> float:
    """Chi-square of a byte over its degrees of freedom, about 1 for uniform ones: the largest of the four."""
    bytes_of = [(sent if size == MODULUS else sent % size, size) for size in (2**8, 2**16, 2**24, MODULUS)]
    counts = torch.stack([torch.histc(part.double(), 256, 0, size) for part, size in bytes_of])
    return ((counts * 256 / sent.numel() - 1).square().sum(1) * sent.numel() / 256 / 255).max().item()


def likeness(a: Tensor, b: Tensor) -> float:
    """Absolute correlation of two rows of numbers, those of the first read as signed."""
    return torch.stack([unmasked_sum([a]).flatten(), b.flatten()]).double().corrcoef()[0, 1].abs().item()


def run(device="cpu", seed=0, steps=200):
    split, noise = (torch.Generator().manual_seed(3 * seed + k) for k in (0, 1))
    factors = random.Random(3 * seed + 2)
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=split)
    pixels, labels = torch.tensor(digits.data).long()[order], torch.tensor(digits.target)[order]
    x = F.pad(pixels.float() / 16, (0, 1), value=1.0).to(device)  # (n, 65): the last is for the bias
    clients = list(zip(x[:TRAIN].chunk(CLIENTS), labels[:TRAIN].to(device).chunk(CLIENTS), strict=True))
    w = {name: torch.zeros(65, 10, device=device) for name in ("masked", "plain", "one lost")}
    seen, kept, right, x_test, y_test = [], [], {}, x[TRAIN:], labels[TRAIN:].to(device)
    for step in range(steps):
        masks = draw_masks(w["plain"].shape, noise)
        own = [update(w["masked"], *client) for client in clients]
        sent = [masked(u, i, masks) for i, u in enumerate(own)]
        broken = [masked(update(w["one lost"], *client), i, masks) for i, client in enumerate(clients)]
        sums = unmasked_sum(sent), sum(update(w["plain"], *c) for c in clients), unmasked_sum(broken[1:])
        for name, g in zip(w, sums, strict=True):
            w[name] = w[name] - RATE * (g.float() / ONE).to(device)
            right[name] = ((x_test @ w[name]).argmax(1) == y_test).float().mean().item()
        seen, kept = [*seen, *sent][-100:], [*kept, (own[0], sent[0])][-2:]
        yield (step + 1) / steps, right

    def hide(m: int) -> int:
        return encrypt(m % N, factors.randrange(1, N))

    columns = [[hide(m) for m in held] for held in torch.stack(own).flatten(1)[:, :200].mT.tolist()]  # 200 of the 650
    sums = sum(own).flatten()[:200].tolist()
    whole = (w["masked"].cpu().double() * ONE).round().long().mT.tolist()  # ten rows of 65
    images = [[*row, 16] for row in pixels[TRAIN:][:12].tolist()]
    hidden = [[hide(m) for m in row] for row in images]
    scores = [weighted(row, weights) for row in hidden for weights in whole]
    plain = (torch.tensor(images) @ torch.tensor(whole).mT).flatten().tolist()
    opened, unweighted = [decrypt(c) for c in scores], [decrypt(total(row)) for row in hidden]
    (before, sent_before), (after, sent_after) = kept[0], kept[-1]  # client 1 in the last two rounds
    twice = masked(after, 0, masks) - masked(before, 0, masks)
    views = [u[:64, 0].double() for u in (*own[:2], sum(own), *sent[:2], unmasked_sum(sent))]
    return {
        "paillier_gap": max(abs(decrypt(total(c)) - s) for c, s in zip(columns, sums, strict=True)),
        "added_gap": max(abs(decrypt(added(c)) - s) for c, s in zip(columns, sums, strict=True)),
        "score_gap": max(abs(a - b) for a, b in zip(opened, plain, strict=True)),
        "unweighted_gap": max(abs(a - b) for a, b in zip(unweighted, plain[::10], strict=True)),
        "read_by_table": read_by_table(images, hide),
        "read_without_r": read_by_table(images, lambda m: encrypt(m, 1)),
        "masked_gap": (w["masked"] - w["plain"]).abs().max().item(),
        "lost_gap": (w["one lost"] - w["plain"]).abs().max().item(),
        "masked_accuracy": right["masked"],
        "lost_accuracy": right["one lost"],
        "unevenness": unevenness(torch.stack(seen)),
        "bare_unevenness": unevenness(torch.stack(own) % MODULUS),
        "fresh_likeness": likeness(sent_after - sent_before, after - before),
        "reused_likeness": likeness(twice, after - before),
    }, {
        "gradients for the digit 0, black where least, white where greatest": {
            "kind": "images",
            "images": [((v - v.min()) / (v.max() - v.min())).view(8, 8).tolist() for v in views],
            "titles": ["client 1", "client 2", "sum of five", "client 1, sent", "client 2, sent", "sum of the sent"],
            "columns": 3,
        },
    }


# %% what is claimed

TITLE = {"en": "A server adds up what it cannot read", "zh": "服务器对读不懂的数求和"}
CURVES = "test accuracy"
CPU_SECONDS = 2
CLAIMS = {
    "parity paillier_gap <= 0 < added_gap": {
        "en": "largest gap of the decrypted product from the sum of five clients' numbers; control: ciphertexts added",
        "zh": "密文之积解密后与五个客户端明文之和的最大差距；对照：把密文相加",
    },
    "parity score_gap <= 0 < unweighted_gap": {
        "en": "largest gap of decrypted scores of 12 encrypted images from plain ones; control: without weights",
        "zh": "12 张加密图像解密后的得分与明文得分的最大差距；对照：密文相乘时不带权重",
    },
    "parity read_by_table <= 0 < read_without_r": {
        "en": "share of encrypted inputs found in a table of the 17 possible values; control: no random factor",
        "zh": "加密输入中，能在 17 个可能取值的密文表里查到的比例；对照：加密时不用随机因子",
    },
    "parity masked_gap <= 0 < lost_gap": {
        "en": "largest gap of weights trained by masked sums from those by plain sums; control: client 1 drops out",
        "zh": "用带掩码的和训练所得权重与用明文和训练所得权重的最大差距；对照：客户端 1 每轮掉线",
    },
    "trained masked_accuracy >= 0.9 > lost_accuracy": {
        "en": "accuracy on 597 other digits after training by masked sums; control: client 1 drops out",
        "zh": "用带掩码的和训练后，在另外 597 个数字上的准确率；对照：客户端 1 掉线",
    },
    "parity unevenness <= 1.5 < bare_unevenness": {
        "en": "chi-square per degree of freedom (uniform: 1) of bytes sent, largest of four; control: without masks",
        "zh": "发出的数的四个字节中最大的卡方值除以自由度（均匀分布时约为 1）；对照：不加掩码",
    },
    "parity fresh_likeness <= 0.2 < reused_likeness": {
        "en": "|correlation| of the last change of client 1's message with its update's; control: masks used twice",
        "zh": "客户端 1 最后一轮消息的变化与其更新变化的相关系数（绝对值）；对照：掩码用两次",
    },
}
ZH = {
    "test accuracy": "测试准确率",
    "masked": "带掩码的和",
    "plain": "明文的和",
    "one lost": "一个客户端掉线",
    "gradients for the digit 0, black where least, white where greatest": "数字 0 的权重梯度，黑为最小，白为最大",
    "client 1": "客户端 1",
    "client 2": "客户端 2",
    "sum of five": "五个之和",
    "client 1, sent": "客户端 1 发出",
    "client 2, sent": "客户端 2 发出",
    "sum of the sent": "发出的之和",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
