"""How a sentence is written, in English and in Chinese: what a careful editor would mark."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from kb.language import wiki
from kb.language.hidden import HIDDEN
from kb.language.text import Bilingual, Language

HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_HALF_WIDTH = re.compile(rf"[{HAN}][,;:?!()]|[,;:?!()][{HAN}]|[{HAN}]\.(?=\s|$)")
_CROWDED = re.compile(rf"[{HAN}][A-Za-z0-9$\\]|[A-Za-z0-9%$][{HAN}]")
_LOOSE = re.compile(rf"[{HAN}] +[{HAN}]|[，。、；：？！（）] | [，。、；：？！）]")
_UNSEEN = re.compile(rf"{HIDDEN.pattern}|\t|(?:(?<=(.))|^)[\u200c\u200d](?=(.)|$)", re.DOTALL)
_JOINED = ("Lo", "Mn", "Mc", "So", "Sk")
"""Categories that joiners stand between: letters without case, their marks, emoji and their skin tones."""
_EN_END = re.compile(r"[.!?](?=[\s”\"’)]|$)")
_ABBREVIATIONS = re.compile(
    r"\b(?:e\.g|i\.e|et al|vs|cf|Fig|Eq|Sec|approx|resp|etc|[A-Z])\.(?= [a-z(\d]| [A-Z][a-z]*\b)"
)


def sentences(text: str, language: Language) -> int:
    """How many sentences a text has."""
    if language == "zh":
        return len(re.findall(r"[。！？]", text))
    return len(_EN_END.findall(_ABBREVIATIONS.sub("x", text)))


def length(text: str, language: Language) -> int:
    """Words of an English text; 汉字 of a Chinese one."""
    return len(re.findall(rf"[{HAN}]", text)) if language == "zh" else len(text.split())


def chinese(text: str, *, keywords: bool = False) -> Iterator[Bilingual]:
    """Slips of Chinese typography: half-width punctuation, missing or needless spaces.

    Args:
        keywords: Spaces may stand between words, as people type them into a search.
    """
    plain = wiki.plain(text)
    for pattern, english, han in (
        (_HALF_WIDTH, "half-width punctuation beside 汉字", "汉字旁使用了半角标点"),
        (_CROWDED, "no space between 汉字 and Latin letters or digits", "汉字与字母或数字之间缺少空格"),
        (_LOOSE, "a needless space", "多余的空格"),
    ):
        for match in pattern.finditer(plain) if not (keywords and pattern is _LOOSE) else ():
            around = plain[max(0, match.start() - 6) : match.end() + 6].strip()
            yield Bilingual(f"{english}: …{around}…", f"{han}：…{around}…")


def english(text: str) -> Iterator[Bilingual]:
    """Slips of English typography: full-width punctuation, doubled spaces, 汉字."""
    plain = wiki.plain(text)
    for match in re.finditer(rf"[，。、；：？！（）]|[{HAN}]|(?<=\S)  +(?=\S)", plain):
        around = plain[max(0, match.start() - 10) : match.end() + 10].strip()
        yield Bilingual(f"Chinese characters or doubled spaces: …{around}…", f"含中文字符或多余空格：…{around}…")


def unseen(text: str, *, lines: bool = True) -> Iterator[Bilingual]:
    """What no reader sees: control characters, those that Unicode ignores, joiners where nothing joins.

    Args:
        lines: Paragraphs may stand in the text.
    """
    found = dict.fromkeys(match[0] for match in _UNSEEN.finditer(text) if not _joins(match[1], match[2]))
    for character in found:
        code = f"U+{ord(character):04X}"
        if unicodedata.category(character) == "Cc":
            yield Bilingual(f"a control character, {code}", f"含控制字符 {code}")
        else:
            yield Bilingual(f"an invisible character, {code}", f"含不可见字符 {code}")
    if not lines and "\n" in text:
        yield Bilingual("a line break", "含换行")


def _joins(*sides: str | None) -> bool:
    """Both neighbours of a joiner are of scripts that have joiners, or emoji."""
    return all(side and unicodedata.category(side) in _JOINED and not re.match(f"[{HAN}]", side) for side in sides)
