"""What a query was meant to say: misspelt words, pinyin, its initials, characters that only sound right, put right.

Only what the knowledge base does not know is touched, and only towards names that it has. The reading is shown to the
user wherever it differs from what they typed.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Container, Mapping
from functools import lru_cache
from typing import NamedTuple

from kb.language.surface import strip_tones
from kb.language.text import normal
from kb.paths import shipped_data
from kb.snapshot.store import Store

LONGEST = 400
"""Characters of a query that are looked at for slips."""
CERTAIN = 8
"""Letters from which the pinyin of a name is no English by chance."""
SHORTEST = 4
"""Letters of a word that may be a slip, or the initials of a name."""
_WRITTEN = re.compile("[^，。？！；：（）]+")
_PIECE = re.compile(  # IGNORECASE would go through all of the 汉字: 4 ms of every search
    r"[A-Za-z]+|[\u3400-\u4dbf\u4e00-\u9fff]+|[^A-Za-z\u3400-\u4dbf\u4e00-\u9fff]+"
)


class Reading(NamedTuple):
    """A query as it is understood."""

    text: str
    changed: bool


def read_query(store: Store, query: str) -> Reading:
    """The query with its slips put right; as it was typed where there are none."""
    text = _WRITTEN.sub(lambda run: normal(run[0]), query)
    text, rest = text[:LONGEST], text[LONGEST:]
    if not text.isascii():
        from kb.language.han import TO_SIMPLIFIED

        text = text.translate(TO_SIMPLIFIED)
    if not any(c > "\u2e80" for c in text):
        text = strip_tones(text)
    pieces = _PIECE.findall(text)
    known = store.word_places([piece.casefold() for piece in pieces if piece.isascii() and piece.isalpha()])
    settled = {word for word, place in known.items() if place != "ask"}  # people ask in pinyin, too
    spelled = _read_pinyin(store, pieces, settled)
    words = spelled or pieces
    beside = [
        (words[i - 1][-1:] if i else "") + (words[i + 1][:1] if i + 1 < len(words) else "") for i in range(len(words))
    ]
    initials = store.abbreviated({word for word in words if len(word) >= SHORTEST})
    corrected = [
        _correct(store, word, known, initials, in_code=any(c in "0123456789._" for c in around))
        for word, around in zip(words, beside, strict=True)
    ]
    if corrected == pieces:
        return Reading(query, False)
    return Reading("".join(corrected) + rest, True)


def _read_pinyin(store: Store, pieces: list[str], known: set[str]) -> list[str] | None:
    """The pieces with every name that is written in pinyin in 汉字; None where there is none.

    A name may stand with or without spaces between its syllables; short runs of English words that we know are left
    alone.
    """
    runs = _latin_runs(pieces)
    names = store.sounding_like({spelled for ends in runs.values() for _, spelled in ends})
    read: list[str] = []
    at = 0
    while at < len(pieces):
        for end, spelled in reversed(runs.get(at, [])):
            is_english = {piece.casefold() for piece in pieces[at:end] if piece.isalpha()} <= known
            if spelled in names and not (len(spelled) < CERTAIN and is_english):
                read.append(names[spelled])
                at = end
                break
        else:
            read.append(pieces[at])
            at += 1
    return read if read != pieces else None


def _latin_runs(pieces: list[str]) -> dict[int, list[tuple[int, str]]]:
    """Where each run of Latin pieces starts, where it may end, and its letters: 4 to 40 of them, spaces between."""
    runs: dict[int, list[tuple[int, str]]] = {}
    for start in (i for i, piece in enumerate(pieces) if piece.isascii() and piece.isalpha()):
        letters = ""
        for end in range(start, len(pieces)):
            piece = pieces[end]
            if piece.isascii() and piece.isalpha():
                letters += piece.casefold()
                if 4 <= len(letters) <= 40:
                    runs.setdefault(start, []).append((end + 1, letters))
            if len(letters) > 40 or not (piece.isalpha() or not piece.strip(" '-")):
                break
    return runs


def _correct(store: Store, piece: str, known: Container[str], initials: Mapping[str, str], *, in_code: bool) -> str:
    """A piece with its slip put right, if it has one that we can tell.

    Args:
        initials: Of the pinyin of names, and the name that each can only mean.
        in_code: It stands beside a digit, a dot or an underscore: the part of an identifier.
    """
    if not piece.isascii():
        return _correct_han(store, piece)
    word = piece.casefold()
    is_slip = piece.isalpha() and len(piece) >= SHORTEST and not in_code and word not in known and not _is_english(word)
    return (is_slip and (initials.get(piece) or _nearest_word(store, piece))) or piece


def _is_english(word: str) -> bool:
    return f"\n{word}\n".encode() in _english()


@lru_cache(maxsize=1)
def _english() -> bytes:
    """English words, one a line; none where the file is missing."""
    try:
        return zlib.decompress((shipped_data() / "english.z").read_bytes())
    except (OSError, zlib.error):
        return b""


def _nearest_word(store: Store, piece: str) -> str:
    """The word of a name that a piece was meant to be; empty where we cannot tell.

    It differs by one slip, by two in long words that begin alike. A short word, or one with capitals inside, is more
    often a name that we do not know: there only swapped letters count, and any slip in an acronym.
    """
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    word = piece.casefold()
    near = process.extract(word, _name_words(store), scorer=OSA.distance, score_cutoff=1 + (len(word) >= 8), limit=8)
    whole = store.keys([name for name, *_ in near])
    near.sort(key=lambda found: (found[1], found[0] not in whole))
    is_name = len(word) < 6 or not (piece.islower() or piece[1:].islower())
    for name, distance, _ in near:
        alike, swapped = name[0] == word[0], sorted(name) == sorted(word)
        plural = name in (f"{word}s", f"{word}es") or word in (f"{name}s", f"{name}es")
        if plural or distance > near[0][1] or (distance > 1 and not alike):
            continue
        if not is_name or swapped or (piece.isupper() and alike):
            return str(name)
    return ""


@lru_cache(maxsize=2)
def _name_words(store: Store) -> list[str]:
    return store.name_words(4)


def _correct_han(store: Store, run: str) -> str:
    """A run of 汉字 in which what only sounds like a name becomes that name."""
    from kb.language.han import TO_SIMPLIFIED
    from kb.language.pinyin import readings

    table = readings()
    spelled = {part: "".join(table.get(character, "?") for character in part) for part in _parts(run)}
    known = {key for key, _ in store.named_by(spelled)}
    names = {key: name.translate(TO_SIMPLIFIED) for key, name in store.sounding_like(set(spelled.values())).items()}
    at, out = 0, ""
    while at < len(run):
        for length in range(min(10, len(run) - at), 2, -1):
            part = run[at : at + length]
            name = part if part in known else names.get(spelled[part], "")
            if name == part or (len(name) == length and _is_slip(part, name)):
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
