"""The encoder's tokenizer: text to the ids of its pieces, from a hash table used as it lies in its file.

scripts/build_encoder.py writes the file and explains its layout.

Source: Kudo, Subword Regularization, ACL 2018 (the unigram model).
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from kb.errors import KbError
from kb.language.text import Bilingual, normal

MAX_TOKENS = 512  # <s> and </s> included
BOS, PAD, EOS, UNKNOWN = 0, 1, 2, 3
SPACE = "▁"  # how SentencePiece writes the space before a word

# Dropping and spacing these, then NFKC, is the model's own normalisation map: the build script proves it.
DROPPED = (*range(1, 9), 11, *range(14, 32), 127, 0x8F, 0x9F)
SPACED = (9, 10, 12, 13, 0x1680, *range(0x200B, 0x2010), 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD)
_CHARACTERS = {**dict.fromkeys(DROPPED, ""), **dict.fromkeys(SPACED, " ")}

_REINSTALL = Bilingual("reinstall kb to restore it", "重新安装 kb 即可恢复")


def normalize(text: str) -> str:
    """The text as the model was trained to see it: no controls, plain spaces, NFKC."""
    return normal(text.translate(_CHARACTERS))


def damaged(path: Path, reason: Bilingual) -> KbError:
    """The error for an encoder file that is missing, cut short or overwritten."""
    en = f"the encoder file {path} cannot be used: {reason.en}"
    return KbError(Bilingual(en, f"编码器文件 {path} 无法使用：{reason.zh}"), _REINSTALL)


def read_file(path: Path) -> bytes:
    """The file's bytes; KbError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise damaged(path, Bilingual(reason, reason)) from error


class UnigramTokenizer:
    """The model's tokenizer, ready in about 3 ms (its JSON form takes 60).

    Args:
        path: tokenizer.bin, as scripts/build_encoder.py packs it.

    Raises:
        KbError: the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        data = read_file(path)
        if data[:4] != b"KBT1" or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
            raise damaged(path, Bilingual("its checksum is wrong", "校验和不符"))
        count, slots, self._longest, lowest = struct.unpack_from("<3If", data, 4)
        at = 20
        self._ends, at = array("I", data[at : at + 4 * count + 4]), at + 4 * count + 4
        self._scores, at = array("f", data[at : at + 4 * count]), at + 4 * count
        self._slots, at = array("I", data[at : at + 4 * slots]), at + 4 * slots
        self._pieces = data[at:-4]
        self._unknown = lowest - 10.0  # SentencePiece's penalty for a character that no piece covers

    def vocabulary(self) -> list[tuple[str, float]]:
        """Every piece with its score, in the order of the ids."""
        ends = self._ends
        pieces = (self._pieces[start:end].decode() for start, end in pairwise(ends))
        return list(zip(pieces, self._scores, strict=True))

    def encode(self, text: str, limit: int = MAX_TOKENS) -> list[int]:
        """Piece ids between <s> and </s>, at most `limit` in all; the tail of a longer text is dropped."""
        room = limit - 2
        ids: list[int] = []
        for word in normalize(text)[: room * self._longest].split(" "):
            if word and len(ids) < room:
                ids += self._split(SPACE + word)
        return [BOS, *ids[:room], EOS]

    def _split(self, word: str) -> list[int]:
        """The best-scoring split of a word (Viterbi); neighbouring unknown characters share one id."""
        chars = [char.encode("utf-8", "surrogatepass") for char in word]
        size = len(chars)
        best = [0.0] + [float("-inf")] * size  # best[n]: score of the first n characters
        back = [(0, UNKNOWN)] * (size + 1)  # back[n]: where the last of their pieces starts, and its id
        for start in range(size):
            single = False
            for end, piece in self._matches(chars, start):
                single = single or end == start + 1
                score = best[start] + self._scores[piece]
                if score > best[end]:
                    best[end], back[end] = score, (start, piece)
            if not single and best[start] + self._unknown > best[start + 1]:
                best[start + 1], back[start + 1] = best[start] + self._unknown, (start, UNKNOWN)
        ids: list[int] = []
        while size:
            size, piece = back[size]
            if piece != UNKNOWN or ids[-1:] != [UNKNOWN]:
                ids.append(piece)
        return ids[::-1]

    def _matches(self, chars: Sequence[bytes], start: int) -> Iterator[tuple[int, int]]:
        """Every piece that begins at a character, as (end, id), shortest first.

        CRC-32 of a longer candidate continues that of the shorter one, and an empty slot ends the search:
        most candidates cost one hash and one look.
        """
        hashed, text = 0, b""
        slots, ends, mask = self._slots, self._ends, len(self._slots) - 1
        for end in range(start, min(len(chars), start + self._longest)):
            hashed = zlib.crc32(chars[end], hashed)
            text += chars[end]
            at = hashed & mask
            while slot := slots[at]:
                if text == self._pieces[ends[slot - 1] : ends[slot]]:
                    if slot > UNKNOWN + 1:  # text never stands for <s> <pad> </s> <unk>
                        yield end + 1, slot - 1
                    break
                at = (at + 1) & mask
