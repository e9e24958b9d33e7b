"""What a query was meant to say: misspelt words, pinyin and characters that only sound right, put right.

Only what the knowledge base does not know is touched, and only towards names that it has. The reading is shown to the
user wherever it differs from what they typed.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from kb.errors import KbError
from kb.paths import shipped_data
from kb.search.tokenizer import UnigramTokenizer
from kb.store import Store
from kb.surface import fold, strip_tones

LONGEST = 400
"""Characters of a query that are looked at for slips."""
_PIECE = re.compile(r"[a-z]+|[\u3400-\u4dbf\u4e00-\u9fff]+|[^a-z\u3400-\u4dbf\u4e00-\u9fff]+", re.IGNORECASE)


class Reading(NamedTuple):
    """A query as it is understood."""

    text: str
    changed: bool


def read_query(store: Store, query: str) -> Reading:
    """The query with its slips put right; as it was typed where there are none."""
    text = unicodedata.normalize("NFKC", query)[:LONGEST]
    if not text.isascii():
        from kb.han import TO_SIMPLIFIED

        text = text.translate(TO_SIMPLIFIED)
    if not any(c > "\u2e80" for c in text):
        text = strip_tones(text)
    pieces = _PIECE.findall(text)
    known = _known(store, [piece.casefold() for piece in pieces if piece.isascii() and piece.isalpha()])
    spelled = _read_pinyin(store, pieces, known)
    corrected = [_correct(store, piece, known) for piece in (spelled or pieces)]
    if corrected == pieces:
        return Reading(query, False)
    return Reading("".join(corrected), True)


def _known(store: Store, words: list[str]) -> set[str]:
    rows = store.query("SELECT text FROM word WHERE text IN (SELECT value FROM json_each(?))", (json.dumps(words),))
    return {text for (text,) in rows}


def _read_pinyin(store: Store, pieces: list[str], known: set[str]) -> list[str] | None:
    """The pieces with every name that is written in pinyin in 汉字; None where there is none.

    A name may stand with or without spaces between its syllables; English words that we know are left alone.
    """
    latin = [i for i, piece in enumerate(pieces) if piece.isascii() and piece.isalpha()]
    if not latin or all(pieces[i].casefold() in known for i in latin):
        return None
    read, at, found = list(pieces), 0, False
    while at < len(latin):
        for end in range(len(latin), at, -1):
            run = latin[at:end]
            gaps = [pieces[i] for i in range(run[0], run[-1]) if i not in run]
            joined = fold("".join(pieces[i] for i in run))
            if len(joined) > 40 or any(gap.strip(" '-") for gap in gaps):
                continue
            if (
                len(joined) >= 4
                and (name := _sounds_like(store, joined))
                and not {pieces[i].casefold() for i in run} <= known
            ):
                read[run[0] : run[-1] + 1] = [name] + [""] * (run[-1] - run[0])
                at, found = end, True
                break
        else:
            at += 1
    return [piece for piece in read if piece] if found else None


def _sounds_like(store: Store, spelled: str) -> str:
    """The Chinese name that is spelled so; empty where there is none."""
    rows = store.query("SELECT text FROM surface WHERE key = ? AND status = 'pinyin' ORDER BY length(text)", (spelled,))
    return str(rows[0][0]) if rows else ""


def _correct(store: Store, piece: str, known: set[str]) -> str:
    """A piece with its slip put right, if it has one that we can tell."""
    if piece.isascii():
        word = piece.casefold()
        is_slip = piece.isalpha() and len(piece) >= 4 and word not in known and not _is_english(word)
        return (is_slip and _nearest_word(store, word)) or piece
    return _correct_han(store, piece)


def _is_english(word: str) -> bool:
    """Whether the encoder knows the word as one piece: what is common is no slip, `cook` is not `book`."""
    try:
        return len(_tokenizer().encode(word)) == 3  # with the marks at both ends
    except KbError:  # no encoder: the words of the knowledge base have to do
        return False


@lru_cache(maxsize=1)
def _tokenizer() -> UnigramTokenizer:
    return UnigramTokenizer(shipped_data() / "encoder" / "tokenizer.bin")


def _nearest_word(store: Store, word: str) -> str:
    """The word of a name that differs by one slip, two in long words; empty where several or none do."""
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    names = [text for (text,) in store.query("SELECT text FROM word WHERE in_name AND length(text) >= 4")]
    slips = 1 if len(word) < 6 else 2
    near = process.extract(word, names, scorer=OSA.distance, score_cutoff=slips, limit=4)
    best = [name for name, distance, _ in near if distance == near[0][1]]
    return str(next((name for name in best if name[0] == word[0]), best[0])) if best else ""


def _correct_han(store: Store, run: str) -> str:
    """A run of 汉字 in which what only sounds like a name becomes that name."""
    names = {text for (text,) in store.query(
        "SELECT value FROM json_each(?) WHERE value IN (SELECT text FROM surface)", (json.dumps(_parts(run)),)
    )}  # fmt: skip
    from kb.pinyin import readings

    table = readings()
    at, out = 0, ""
    while at < len(run):
        for length in range(min(10, len(run) - at), 2, -1):
            part = run[at : at + length]
            if part in names:
                out, at = out + part, at + length
                break
            spelled = "".join(table.get(character, "?") for character in part)
            if (name := _sounds_like(store, spelled)) and len(name) == length and _is_slip(part, name):
                out, at = out + name, at + length
                break
        else:
            out, at = out + run[at], at + 1
    return out


def _parts(run: str) -> list[str]:
    return [run[i : i + n] for i in range(len(run)) for n in range(3, 11) if i + n <= len(run)]


def _is_slip(part: str, name: str) -> bool:
    """Whether at most half of the characters differ."""
    return 0 < sum(a != b for a, b in zip(part, name, strict=True)) <= len(name) / 2
