"""BPE — merging the most frequent pair of neighbours again and again turns bytes into words and parts of words.

The text is Python's own help, some topics to learn from and others to test. Every byte is a token from the start, so
nothing is out of the vocabulary: the test, Chinese and an emoji come back as they were, while a list of the words seen
in training loses part of the test. After 500 merges a token of the test stands for more bytes than with as many tokens
of a rival: the most frequent substrings, or the words that save the most bytes, next to all single bytes. And a code
by the frequency of its tokens needs fewer bits than one by the frequency of bytes. No merge crosses from a word to the
next.

Needs:  torch
Source: R. Sennrich, B. Haddow, A. Birch, Neural Machine Translation of Rare Words with Subword Units, ACL 2016;
        C. Wang, K. Cho, J. Gu, Neural Machine Translation with Byte-Level Subwords, AAAI 2020 (bytes)
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pydoc_data.topics import topics

import torch

Word = list[bytes]
Pair = tuple[bytes, bytes]
TRAIN, TEST, CHECKED, LONGEST = 150000, 100000, 40, 12
FOREIGN = "深度学习 🙂"
SHOWN = ("_function", "_functions", "_malfunction", "_interpreter", "_returned", "é")

# %% the concept


def merge(word: Word, pair: Pair) -> Word:
    merged: Word = []
    for token in word:
        if merged and (merged[-1], token) == pair:
            merged[-1] += token
        else:
            merged.append(token)
    return merged


def learn(frequency: Mapping[str, int], merges: int) -> Iterator[tuple[Pair, int]]:
    """Each merge, and how many tokens the text is after it."""
    words, times = [single_bytes(word) for word in frequency], list(frequency.values())
    count, where = Counter[Pair](), defaultdict[Pair, set[int]](set)

    def add(i: int, sign: int) -> None:
        for pair in pairwise(words[i]):
            count[pair] += sign * times[i]
            where[pair].add(i)

    for i in range(len(words)):
        add(i, 1)
    for _ in range(merges):
        best = max(count, key=lambda pair: (count[pair], pair))  # the most frequent; of a tie, the last in order
        for i in where[best].copy():  # only words that may hold the pair are counted anew
            add(i, -1)
            words[i] = merge(words[i], best)
            add(i, 1)
        yield best, sum(len(word) * n for word, n in zip(words, times, strict=True))


def encode(word: str, rank: Mapping[Pair, int]) -> Word:
    tokens = single_bytes(word)
    while known := [pair for pair in pairwise(tokens) if pair in rank]:
        tokens = merge(tokens, min(known, key=rank.__getitem__))  # the merge that was learned first
    return tokens


def decode(tokens: Iterable[bytes]) -> str:
    return b"".join(tokens).decode()


def single_bytes(word: str) -> Word:
    return [bytes([byte]) for byte in word.encode()]


# %% its control


def longest(word: str, vocabulary: set[bytes]) -> Word:
    """The longest token that fits, from the left; single bytes are always there."""
    text, tokens = word.encode(), []
    while text:
        size = next((n for n in range(min(LONGEST, len(text)), 1, -1) if text[:n] in vocabulary), 1)
        tokens.append(text[:size])
        text = text[size:]
    return tokens


def best_substrings(frequency: Mapping[str, int], n: int) -> set[bytes]:
    count = Counter[bytes]()  # the most frequent: those that save the most bytes overlap, and do worse
    for word, times in frequency.items():
        text = word.encode()
        for size in range(2, min(LONGEST, len(text)) + 1):
            for start in range(len(text) - size + 1):
                count[text[start : start + size]] += times
    return {token for token, _ in count.most_common(n)}


def best_words(frequency: Mapping[str, int], n: int) -> set[bytes]:
    saved = Counter({word.encode(): times * (len(word.encode()) - 1) for word, times in frequency.items()})
    return {token for token, _ in saved.most_common(n)}


# %% the experiment


def words_of(text: str) -> list[str]:
    """Words and signs with the space before them, and other spaces."""
    return re.findall(r" ?\w+| ?[^\w\s]+|\s+", text)


def by_definition(frequency: Mapping[str, int], merges: int) -> list[Pair]:
    """The merges, with every pair counted anew for each."""
    words, learned = {word: tuple(single_bytes(word)) for word in frequency}, []
    for _ in range(merges):
        count = Counter[Pair]()
        for word, tokens in words.items():
            for k in range(len(tokens) - 1):
                count[tokens[k : k + 2]] += frequency[word]
        first, second = learned_now = max(count, key=lambda pair: (count[pair], pair))
        learned.append(learned_now)
        for word, tokens in words.items():
            k, new = 0, []
            while k < len(tokens):
                joined = tokens[k : k + 2] == (first, second)
                new.append(first + second if joined else tokens[k])
                k += 1 + joined
            words[word] = tuple(new)
    return learned


def replayed(word: str, merges: Iterable[Pair]) -> Word:
    """All merges in the order in which they were learned."""
    tokens = single_bytes(word)
    for pair in merges:
        tokens = merge(tokens, pair)
    return tokens


def bits_per_byte(cut: Callable[[str], Word], train: Counter[str], test: Counter[str], device: str) -> float:
    """Of a code by the frequency of single tokens in training, each counted once more: mean over the test."""
    seen, said = Counter[bytes](), Counter[bytes]()
    for text, count in ((train, seen), (test, said)):
        for word, times in text.items():
            for token in cut(word):
                count[token] += times
    ours = torch.tensor([float(seen[token] + 1) for token in said], device=device)
    times = torch.tensor([float(said[token]) for token in said], device=device)
    bits = (times * (math.log2(seen.total() + len(seen.keys() | said.keys())) - ours.log2())).sum()
    return float(bits) / sum(len(word.encode()) * times for word, times in test.items())


def tokens_of(frequency: Mapping[str, int], rank: Mapping[Pair, int]) -> int:
    return sum(times * len(encode(word, rank)) for word, times in frequency.items())


def told(tokens: Word) -> list[str]:
    """Bytes that are no character stand as numbers."""
    return [token.decode(errors="backslashreplace").replace(" ", "_") for token in tokens]


def run(device="cpu", seed=0, steps=500):
    generator = torch.Generator().manual_seed(seed)
    texts = [topics[name] for name in sorted(topics)]
    texts = [texts[i] for i in torch.randperm(len(texts), generator=generator).tolist()]
    n = next(i for i in range(len(texts)) if sum(map(len, texts[:i])) >= TRAIN)
    learned_from, held_out = "".join(texts[:n])[:TRAIN], "".join(texts[n:])[:TEST]
    train, test = Counter(words_of(learned_from)), Counter(words_of(held_out)[:-1])
    size, merges, path = len(learned_from.encode()), [], []
    for k, (pair, tokens) in enumerate(learn(train, steps)):
        merges.append(pair)
        path.append(size / tokens)
        yield (k + 1) / steps, {"bytes a token": path[-1]}

    rank = {pair: k for k, pair in enumerate(merges)}
    substrings, words = best_substrings(train, steps), best_words(train, steps)
    cuts: dict[str, Callable[[str], Word]] = {
        "BPE": lambda word: encode(word, rank),
        "substrings": lambda word: longest(word, substrings),
        "words": lambda word: [word.encode()] if word.encode() in words else single_bytes(word),
        "bytes": single_bytes,
    }
    total = sum(len(word.encode()) * times for word, times in test.items())
    shares = {name: total / sum(times * len(cut(word)) for word, times in test.items()) for name, cut in cuts.items()}
    bits = {name: bits_per_byte(cuts[name], train, test, device) for name in ("BPE", "bytes")}
    pieces = [word for word in (*test, *words_of(FOREIGN)) if decode(encode(word, rank)) != word]
    few, sample = merges[:CHECKED], [*test][:200]
    expected = by_definition(train, len(few))
    unweighted = [pair for pair, _ in learn(dict.fromkeys(train, 1), len(few))]
    misread = sum(encode(word, rank) != replayed(word, merges) for word in sample)
    return {
        "bpe_bytes": shares["BPE"],
        "rival_bytes": max(shares["substrings"], shares["words"]),
        "bpe_bits": bits["BPE"],
        "byte_bits": bits["bytes"],
        "bpe_lost": len(pieces) / len(test),
        "word_lost": sum(word not in train for word in test) / len(test),
        "differing": sum(a != b for a, b in zip(few, expected, strict=True))
        + misread
        + abs(tokens_of(train, rank) - tokens),
        "unweighted_differing": sum(a != b for a, b in zip(unweighted, expected, strict=True)),
    }, {
        "bytes a token stands for, in training": {
            "kind": "lines",
            "series": {"BPE": (list(range(1, len(path) + 1)), path)},
            "x": "merges",
            "y": "bytes a token",
        },
        "how text is cut (_ is a space)": {
            "kind": "table",
            "columns": ["text", "tokens"],
            "rows": [[text, "|".join(told(encode(text.replace("_", " "), rank)))] for text in SHOWN],
        },
    }


# %% what is claimed

TITLE = {"en": "BPE: a vocabulary from bytes upwards", "zh": "BPE：从字节合并出词表"}
CURVES = "bytes a token"
CPU_SECONDS = 1
CLAIMS = {
    "trained bpe_bytes >= 2.32 > rival_bytes >= 2.0": {
        "en": "bytes that a token of the test stands for; control: as many of the most frequent substrings, or of the "
        "words that save the most bytes, whichever are better",
        "zh": "测试文本中每个词元所含的字节数；对照：同样多的最常见子串或最省字节的单词，取较好者",
    },
    "trained bpe_bits <= 3.8 < byte_bits <= 5": {
        "en": "bits a byte of the test for a code by the frequency of tokens in training; control: by that of bytes",
        "zh": "按训练中单个词元的频率编码测试文本时，每字节所需的比特；对照：按字节的频率",
    },
    "parity bpe_lost <= 0 < word_lost": {
        "en": "share of the different words, Chinese and an emoji among them, that decoding does not give back; the "
        "control is a list of the words seen in training",
        "zh": "编码后解码未能还原的不同单词（含中文与表情符号）的比例；对照是训练中见过的单词表",
    },
    "parity differing <= 0 < unweighted_differing": {
        "en": "first 40 merges, encoded words and tokens in all that differ from the definition; the control counts a "
        "pair once for each different word",
        "zh": "前 40 次合并、编码的单词与词元总数中同定义不一致的个数；对照对每个不同的单词只计一次",
    },
}
ZH = {
    "bytes a token": "每词元字节数",
    "bytes a token stands for, in training": "训练文本中每个词元所含的字节数",
    "merges": "合并次数",
    "how text is cut (_ is a space)": "文本怎样切分（_ 表示空格）",
    "text": "文本",
    "tokens": "词元",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
