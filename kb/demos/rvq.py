"""Residual vector quantization (RVQ) — each codebook codes what those before it left over; eight small ones go far.

A digit of 8x8 pixels, less the mean digit, becomes eight numbers below 16: 32 bits. A stage picks the nearest of its 16
vectors and hands on the difference; its vectors are those that k-means finds among the differences of the training
images. The sum of the mean and the picked vectors is the digit again, coarse after one stage, on average finer with
each: a sender may stop at any. Many neural audio codecs do this to each frame that their encoder gives, and train the
two together. Control: one codebook with as many vectors in all, hence the same memory and search, but 7 bits. At
equal bits one codebook is better where it can be had: the figure has it up to all 1400 training images, 10.5 bits.
Rival: product quantization (PQ), which cuts the pixels into parts with a codebook of 16 vectors each. Of eight blocks
of 2x4 it is better than RVQ at 32 bits, as the figure shows, but not when cut short; of those tried, the PQ that
bears this best has principal components for its parts, the first ones first.

Needs:  torch, scikit-learn
Source: B.-H. Juang, A. Gray, Multiple Stage Vector Quantization for Speech Coding, ICASSP 1982; H. Jegou et al.,
        Product Quantization for Nearest Neighbor Search, IEEE TPAMI 33(1), 2011; N. Zeghidour et al., SoundStream:
        An End-to-End Neural Audio Codec, 2021
"""

import math
from itertools import accumulate

import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from torch import Tensor

STAGES, ENTRIES, TRAIN = 8, 16, 1400

# %% the concept


def nearest(x: Tensor, book: Tensor) -> Tensor:  # (n, d), (k, d) -> (n,)
    return (book.square().sum(1) - 2 * x @ book.T).argmin(1)  # |x - e|^2 without |x|^2, which no entry changes


def encode(x: Tensor, books: list[Tensor]) -> Tensor:  # (n, d) -> (n, stages), integers
    codes = []
    for book in books:
        codes.append(nearest(x, book))
        x = x - book[codes[-1]]  # the residual: what is left to the next
    return torch.stack(codes, 1)


def decode(codes: Tensor, books: list[Tensor]) -> Tensor:  # (n, stages) -> (n, d); fewer codes: a coarser answer
    return sum(book[code] for book, code in zip(books, codes.T, strict=False))


def lloyd(x: Tensor, book: Tensor) -> Tensor:
    """One round of k-means: each entry moves to the mean of the vectors it is nearest to; without any, it stays."""
    share = torch.nn.functional.one_hot(nearest(x, book), len(book)).to(x.dtype)
    count = share.sum(0)[:, None]
    return torch.where(count > 0, share.T @ x / count.clamp(min=1), book)


# %% its control


def kmeans(x: Tensor, entries: int, seed: int) -> Tensor:
    return torch.from_numpy(KMeans(entries, n_init=1, random_state=seed).fit(x.numpy()).cluster_centers_)


def product(x: Tensor, x_test: Tensor, parts: list[Tensor], seed: int) -> list[float]:
    """Product quantization: what is left after each number of codes, those first that gained most in training."""
    gains = []
    for part in parts:
        book, cuts = kmeans(x[:, part], ENTRIES, seed), (x[:, part], x_test[:, part])
        gains.append([left(cut, 0) - left(cut, book[nearest(cut, book)]) for cut in cuts])
    return list(accumulate((-gain for _, gain in sorted(gains, reverse=True)), initial=left(x_test, 0)))[1:]


def blocks(rows: int, columns: int) -> list[Tensor]:
    return [block.flatten() for strip in torch.arange(64).view(8, 8).chunk(rows) for block in strip.chunk(columns, 1)]


# %% the experiment


def left(x: Tensor, answer: Tensor | float) -> float:
    """Squared distance, mean over images."""
    return float((x - answer).square().sum(1).mean())


def digits(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Training and test images less the mean of the training images, which comes third: (n, 64), (m, 64), (64,)."""
    pixels = torch.tensor(load_digits().data).float() / 16
    pixels = pixels[torch.randperm(len(pixels), generator=generator)]
    mean = pixels[:TRAIN].mean(0)
    return pixels[:TRAIN] - mean, pixels[TRAIN:] - mean, mean


def shared(rows: Tensor, others: Tensor) -> int:
    return len(set(map(tuple, rows.tolist())) & set(map(tuple, others.tolist())))


def loop_gap(x: Tensor, books: list[Tensor], late: int = 0) -> float:
    """Largest gap of codes, answers at each number of stages, and a round of k-means from loops over vectors and
    entries (f64); with `late` their residual lags a stage behind."""
    x, books = x.double(), [book.double() for book in books]
    codes, gap = encode(x, books), 0.0
    answers = [decode(codes[:, : k + 1], books) for k in range(len(books))]
    groups: list[list[Tensor]] = [[] for _ in books[0]]
    for i, row in enumerate(x):
        sums = [torch.zeros_like(row)]
        for k, book in enumerate(books):
            distances = [float((row - sums[max(k - late, 0)] - entry).square().sum()) for entry in book]
            choice = distances.index(min(distances))
            sums.append(sums[-1] + book[choice])
            gap = max(gap, abs(choice - int(codes[i, k])), float((sums[-1] - answers[k][i]).abs().max()))
        groups[int(codes[i, 0])].append(row)
    means = torch.stack([sum(g) / len(g) if g else e for g, e in zip(groups, books[0], strict=True)])
    return max(gap, float((lloyd(x, books[0]) - means).abs().max()))


def run(device="cpu", seed=0, steps=320):
    data, begin = (torch.Generator().manual_seed(2 * seed + k) for k in (0, 1))
    x, x_test, mean = digits(data)
    rest, books, rounds, whole = x.to(device), [], max(1, steps // STAGES), left(x_test, 0)
    for stage in range(STAGES):
        book = rest[torch.randperm(TRAIN, generator=begin)[:ENTRIES].to(device)]
        for k in range(rounds):
            book = lloyd(rest, book)
            remains = left(rest, book[nearest(rest, book)]) / left(x, 0)
            yield (stage + (k + 1) / rounds) / STAGES, {"training images": remains}
        books.append(book)
        rest = rest - book[nearest(rest, book)]

    books = [book.cpu() for book in books]
    errors = {"RVQ": [left(x_test, decode(encode(x_test, books[: k + 1]), books)) / whole for k in range(STAGES)]}
    axes = torch.linalg.svd(x, full_matrices=False)[2].T
    turned, sizes = (x @ axes, x_test @ axes), ((1, 1), (2, 1), (2, 2), (4, 2))
    errors["PQ of blocks"] = [product(x, x_test, blocks(*size), seed)[-1] / whole for size in sizes]
    widths = [torch.arange(64)[: STAGES * k].split(k) for k in (2, 3, 4, 6, 8)]
    short = min((product(*turned, list(parts), seed) for parts in widths), key=lambda after: after[1])
    errors["PQ cut short"] = [after / whole for after in short]
    singles = {n: kmeans(x, n, seed) for n in (16, 32, 64, 128, 256)} | {TRAIN: x}
    errors["one codebook"] = [left(x_test, one[nearest(x_test, one)]) / whole for one in singles.values()]
    bits = {name: [4 * (k + 1) for k in range(len(held))] for name, held in errors.items()}
    bits |= {"PQ of blocks": [4, 8, 16, 32], "one codebook": [math.log2(n) for n in singles]}
    codes = encode(x_test[:3], books)
    images = [[x_test[i], *(decode(codes[i : i + 1, :n], books)[0] for n in (1, 2, 4, 8))] for i in range(3)]
    return {
        "rvq_left": errors["RVQ"][-1],
        "one_left": errors["one codebook"][3],
        "early_left": errors["RVQ"][1],
        "early_rival": errors["PQ cut short"][1],
        "loop_gap": loop_gap(x_test[:40], books),
        "late_gap": loop_gap(x_test[:40], books, late=1),
        "shared_images": shared(x_test, x),
        "own_images": shared(x_test, x_test),
    }, {
        "three test digits, and the sum of the first stages": {
            "kind": "images",
            "images": [(image + mean).clamp(0, 1).view(8, 8).tolist() for row in images for image in row],
            "titles": ["digit", "1 stage", *(f"{n} stages" for n in (2, 4, 8)), *[""] * 10],
            "columns": 5,
        },
        "what is left of test images over bits": {
            "kind": "lines",
            "series": {name: (list(bits[name]), held) for name, held in errors.items()},
            "x": "bits an image",
            "y": "squared distance, as a share of that from the mean",
        },
    }


# %% what is claimed

TITLE = {"en": "Each codebook codes what is left", "zh": "每个码本只编码余下的部分"}
CURVES = "squared distance left"
CPU_SECONDS = 1
CLAIMS = {
    "trained rvq_left <= 0.21 < one_left <= 0.34": {
        "en": "squared distance left on test digits, as a share of that from the mean, with eight codebooks of 16 "
        "vectors; control: one of 128, as many in all, by k-means",
        "zh": "用八个各含 16 个向量的码本编码测试数字后余下的平方距离，占到均值平方距离的比例；"
        "对照：一个 128 个向量的码本（总数相同，k-means）",
    },
    "trained early_left <= 0.41 < early_rival <= 0.47": {
        "en": "the same after two of the eight codes; control: two of eight codes of product quantization, of five "
        "that cut the principal components the one that is best there",
        "zh": "八个编码只取前两个时的余量比例；对照：切分主成分的乘积量化同样只取两个，五种切法中取此时最好的",
    },
    "parity loop_gap <= 1e-10 < late_gap": {
        "en": "largest gap of codes, of sums and of a round of k-means from loops over vectors and entries (f64); "
        "control: the loop's residual lags a stage behind",
        "zh": "编码、各级之和、一轮 k-means 同逐向量逐码字循环的最大差距（f64）；对照：循环中的残差晚了一级",
    },
    "parity shared_images <= 0 < own_images": {
        "en": "test images that are among the training images; control: those among the test images",
        "zh": "同时出现在训练集中的测试图像数；对照：测试集自身中的图像",
    },
}
ZH = {
    "squared distance left": "余下的平方距离",
    "training images": "训练图像",
    "three test digits, and the sum of the first stages": "三个测试数字，与前几级之和",
    "digit": "原图",
    "1 stage": "1 级",
    "2 stages": "2 级",
    "4 stages": "4 级",
    "8 stages": "8 级",
    "what is left of test images over bits": "测试图像的余量随比特数的变化",
    "RVQ": "RVQ（残差向量量化）",
    "PQ of blocks": "像素块的 PQ（乘积量化）",
    "PQ cut short": "只取部分编码的 PQ",
    "one codebook": "单个码本",
    "bits an image": "每张图像的比特数",
    "squared distance, as a share of that from the mean": "平方距离，占到均值平方距离的比例",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
